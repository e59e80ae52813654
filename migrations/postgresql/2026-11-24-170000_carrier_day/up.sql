-- Items of a carrier in a day: 0 for as many as come, none for the configured default.
ALTER TABLE carriers ADD COLUMN per_day INTEGER;
