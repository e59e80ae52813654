ALTER TABLE case_totals DROP COLUMN counter_voices;
ALTER TABLE voices DROP COLUMN is_legit;
