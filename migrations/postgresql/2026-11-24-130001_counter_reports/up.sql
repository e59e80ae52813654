-- Of one person's words for and against a sender in a case the latest counts.
ALTER TABLE voices ADD COLUMN is_legit BOOLEAN NOT NULL DEFAULT FALSE;
-- Distinct reporters whose latest word is that the messages were wanted.
ALTER TABLE case_totals ADD COLUMN counter_voices BIGINT NOT NULL DEFAULT 0;
