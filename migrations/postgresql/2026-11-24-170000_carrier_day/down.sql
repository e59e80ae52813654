ALTER TABLE carriers DROP COLUMN per_day;
