ALTER TABLE journal.reports DROP COLUMN is_legit;
