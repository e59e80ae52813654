DROP TABLE signing_keys;
ALTER TABLE carriers DROP COLUMN signatures;
