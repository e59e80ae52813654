-- Reports that their reporter took back, and looking a report up by its receipt.

ALTER TABLE report_index ADD COLUMN withdrawn_seq BIGINT;
-- When a report is withdrawn, what repeats it is written down: see `kept_repeats`.
CREATE INDEX report_index_by_repeated ON report_index (repeat_of) WHERE repeat_of IS NOT NULL;
CREATE INDEX decisions_by_case ON decisions (case_id, id);
DROP VIEW report_status;
CREATE VIEW report_status AS
SELECT i.report_id, i.seq, i.owner, i.repeat_of, i.conflict, c.reference, c.status,
    i.withdrawn_seq IS NOT NULL AS withdrawn,
    (SELECT d.decided_at FROM decisions d WHERE d.case_id = c.id ORDER BY d.id DESC LIMIT 1) AS decided_at,
    (SELECT d.reason_class FROM decisions d WHERE d.case_id = c.id ORDER BY d.id DESC LIMIT 1) AS reason_class
FROM report_index i LEFT JOIN cases c ON c.id = i.case_id;

-- Written once, and kept in a rebuild: rows of the journal that belong to a withdrawn report, and what those that counted
-- had added. When the row itself is blank, nothing else tells. No tag stands here.
CREATE TABLE withdrawn_rows (
    seq           BIGINT  NOT NULL PRIMARY KEY,
    report_id     BLOB    NOT NULL,
    -- The row of the withdrawal.
    withdrawn_seq BIGINT  NOT NULL,
    -- The report itself, or the amendment that took effect; not a twin, nor the withdrawal.
    is_counted    BOOLEAN NOT NULL,
    case_id       BIGINT,
    repeat_of     BLOB,
    -- What is left of its voice in a decided case, which nobody can be told from any more.
    proof         TEXT,
    attested_by   BLOB,
    is_legit      BOOLEAN,
    is_blank      BOOLEAN NOT NULL
);
CREATE INDEX withdrawn_rows_to_blank ON withdrawn_rows (seq) WHERE NOT is_blank;

-- Written once, and kept in a rebuild: what repeated a report that is withdrawn stays where it was linked.
CREATE TABLE kept_repeats (
    seq       BIGINT NOT NULL PRIMARY KEY,
    report_id BLOB   NOT NULL,
    -- The row of the withdrawal.
    withdrawn_seq BIGINT NOT NULL,
    case_id   BIGINT,
    repeat_of BLOB   NOT NULL
);

-- Derived, as everything below.

-- What an amended report was before.
ALTER TABLE amended_reports ADD COLUMN case_id BIGINT;
ALTER TABLE amended_reports ADD COLUMN repeat_of BLOB;
CREATE INDEX amended_reports_by_repeated ON amended_reports (repeat_of) WHERE repeat_of IS NOT NULL;

-- Rows of the journal with a report's id beside the one that the index names: twins, amendments.
CREATE TABLE further_rows (
    report_id BLOB   NOT NULL,
    seq       BIGINT NOT NULL,
    PRIMARY KEY (report_id, seq)
) WITHOUT ROWID;

-- Of a voice that several reports add to, what each adds; the first one, whose place is not known here, has `seq` 0.
CREATE TABLE voice_parts (
    case_id      BIGINT  NOT NULL,
    reporter_tag BLOB    NOT NULL,
    seq          BIGINT  NOT NULL,
    report_id    BLOB,
    -- 1, or 0 of a repeat.
    reports      BIGINT  NOT NULL,
    proof        TEXT    NOT NULL,
    attested_by  BLOB    NOT NULL,
    is_legit     BOOLEAN NOT NULL,
    -- Said again after the decision: its word does not count.
    is_late      BOOLEAN NOT NULL,
    PRIMARY KEY (case_id, reporter_tag, seq)
) WITHOUT ROWID;
