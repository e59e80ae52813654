-- Reports that their reporter took back, and looking a report up by its receipt.

ALTER TABLE report_index ADD COLUMN withdrawn_seq BIGINT;
-- When a report is withdrawn, what repeats it is written down: see `kept_repeats`.
CREATE INDEX report_index_by_repeated ON report_index (repeat_of) WHERE repeat_of IS NOT NULL;
CREATE INDEX decisions_by_case ON decisions (case_id, id);
CREATE OR REPLACE VIEW report_status AS
SELECT i.report_id, i.seq, i.owner, i.repeat_of, i.conflict, c.reference, c.status,
    i.withdrawn_seq IS NOT NULL AS withdrawn,
    (SELECT d.decided_at FROM decisions d WHERE d.case_id = c.id ORDER BY d.id DESC LIMIT 1) AS decided_at,
    (SELECT d.reason_class FROM decisions d WHERE d.case_id = c.id ORDER BY d.id DESC LIMIT 1) AS reason_class
FROM report_index i LEFT JOIN cases c ON c.id = i.case_id;

-- Written once, and kept in a rebuild: rows of the journal that belong to a withdrawn report, and what those that counted
-- had added. When the row itself is blank, nothing else tells. No tag stands here.
CREATE TABLE withdrawn_rows (
    seq           BIGINT  NOT NULL PRIMARY KEY,
    report_id     BYTEA   NOT NULL,
    -- The row of the withdrawal.
    withdrawn_seq BIGINT  NOT NULL,
    -- The report itself, or the amendment that took effect; not a twin, nor the withdrawal.
    is_counted    BOOLEAN NOT NULL,
    case_id       BIGINT,
    repeat_of     BYTEA,
    -- What is left of its voice in a decided case, which nobody can be told from any more.
    proof         TEXT,
    attested_by   BYTEA,
    is_legit      BOOLEAN,
    is_blank      BOOLEAN NOT NULL
);
CREATE INDEX withdrawn_rows_to_blank ON withdrawn_rows (seq) WHERE NOT is_blank;

-- Written once, and kept in a rebuild: what repeated a report that is withdrawn stays where it was linked.
CREATE TABLE kept_repeats (
    seq       BIGINT NOT NULL PRIMARY KEY,
    report_id BYTEA  NOT NULL,
    -- The row of the withdrawal.
    withdrawn_seq BIGINT NOT NULL,
    case_id   BIGINT,
    repeat_of BYTEA  NOT NULL
);

-- Derived, as everything below.

-- What an amended report was before.
ALTER TABLE amended_reports ADD COLUMN case_id BIGINT;
ALTER TABLE amended_reports ADD COLUMN repeat_of BYTEA;
CREATE INDEX amended_reports_by_repeated ON amended_reports (repeat_of) WHERE repeat_of IS NOT NULL;

-- Rows of the journal with a report's id beside the one that the index names: twins, amendments.
CREATE TABLE further_rows (
    report_id BYTEA  NOT NULL,
    seq       BIGINT NOT NULL,
    PRIMARY KEY (report_id, seq)
);

-- Of a voice that several reports add to, what each adds; the first one, whose place is not known here, has `seq` 0.
CREATE TABLE voice_parts (
    case_id      BIGINT  NOT NULL,
    reporter_tag BYTEA   NOT NULL,
    seq          BIGINT  NOT NULL,
    report_id    BYTEA,
    -- 1, or 0 of a repeat.
    reports      BIGINT  NOT NULL,
    proof        TEXT    NOT NULL,
    attested_by  BYTEA   NOT NULL,
    is_legit     BOOLEAN NOT NULL,
    -- Said again after the decision: its word does not count.
    is_late      BOOLEAN NOT NULL,
    PRIMARY KEY (case_id, reporter_tag, seq)
);

-- Blanks at most `at_most` rows of withdrawn reports in place; how many. Acts with its owner's rights, since nobody else may
-- change the journal, and believes no table that its caller writes: without the withdrawal in the journal nothing is blanked.
CREATE FUNCTION journal.blank_withdrawn(at_most INTEGER) RETURNS INTEGER
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    due  RECORD;
    done INTEGER := 0;
BEGIN
    FOR due IN
        SELECT w.seq, w.report_id FROM public.withdrawn_rows w
        WHERE NOT w.is_blank AND EXISTS (
            SELECT FROM journal.reports r
            WHERE r.seq = w.withdrawn_seq AND r.report_id = w.report_id AND r.event_kind = 'withdrawal')
        ORDER BY w.seq LIMIT at_most FOR UPDATE SKIP LOCKED
    LOOP
        UPDATE journal.reports SET reporter_tag = '', sender_tag = NULL, text_tag = NULL, fingerprint = '',
            similarity = NULL, track_tag = '', envelope = ''
        WHERE seq = due.seq AND report_id = due.report_id;
        UPDATE public.withdrawn_rows SET is_blank = TRUE WHERE seq = due.seq;
        done := done + 1;
    END LOOP;
    RETURN done;
END
$$;

-- Whether the row at this place has this track tag: for who may read no tag.
CREATE FUNCTION journal.has_track_tag(at_seq BIGINT, tag BYTEA) RETURNS BOOLEAN
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM journal.reports WHERE seq = at_seq AND track_tag = tag AND length(tag) = 8)
$$;
REVOKE EXECUTE ON FUNCTION journal.blank_withdrawn(INTEGER), journal.has_track_tag(BIGINT, BYTEA) FROM PUBLIC;
