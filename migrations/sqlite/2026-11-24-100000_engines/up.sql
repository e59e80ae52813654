-- What a node that only takes reports may read of them: no tag, no envelope, no similarity. In PostgreSQL its user has
-- no right to more.

-- Within the attached file a view may name its own tables only, and without the file's name.
CREATE VIEW IF NOT EXISTS journal.arrivals AS SELECT seq, report_id, owner, received_at FROM reports;

CREATE VIEW report_status AS
SELECT i.report_id, i.seq, i.owner, i.repeat_of, i.conflict, c.reference, c.status
FROM report_index i LEFT JOIN cases c ON c.id = i.case_id;
