DROP TABLE feed_items;
DROP TABLE feed_terms;
ALTER TABLE decisions DROP COLUMN reason_class;
