DROP FUNCTION journal.has_track_tag(BIGINT, BYTEA);
DROP FUNCTION journal.blank_withdrawn(INTEGER);
DROP TABLE voice_parts;
DROP TABLE further_rows;
DROP INDEX amended_reports_by_repeated;
ALTER TABLE amended_reports DROP COLUMN repeat_of;
ALTER TABLE amended_reports DROP COLUMN case_id;
DROP TABLE kept_repeats;
DROP TABLE withdrawn_rows;
DROP VIEW report_status;
DROP INDEX decisions_by_case;
DROP INDEX report_index_by_repeated;
ALTER TABLE report_index DROP COLUMN withdrawn_seq;
CREATE VIEW report_status AS
SELECT i.report_id, i.seq, i.owner, i.repeat_of, i.conflict, c.reference, c.status
FROM report_index i LEFT JOIN cases c ON c.id = i.case_id;
