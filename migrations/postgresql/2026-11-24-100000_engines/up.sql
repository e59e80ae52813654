-- What a node that only takes reports may read of them: no tag, no envelope, no similarity. Its user has no right to
-- more.

CREATE VIEW journal.arrivals AS SELECT seq, report_id, owner, received_at FROM journal.reports;

CREATE VIEW report_status AS
SELECT i.report_id, i.seq, i.owner, i.repeat_of, i.conflict, c.reference, c.status
FROM report_index i LEFT JOIN cases c ON c.id = i.case_id;

-- Below this `seq` the journal is complete for whoever sees this snapshot: every transaction that could add a row has
-- ended.
CREATE FUNCTION journal.horizon() RETURNS BIGINT LANGUAGE sql STABLE AS $$
    SELECT (xid_base + pg_snapshot_xmin(pg_current_snapshot())::text::bigint) << 20 FROM journal.numbering
$$;

-- A dump that was loaded into another cluster: transactions are counted from a small number there, and rows written with
-- it would lie behind the builder's cursor. Counts on from the last row instead. Says whether there was something to do.
CREATE FUNCTION journal.adopt_cluster() RETURNS BOOLEAN
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    here    BIGINT := (SELECT system_identifier FROM pg_control_system());
    reached BIGINT;
    base    BIGINT;
BEGIN
    IF journal.counts_on() THEN
        RETURN FALSE;
    END IF;
    -- A dump loads this row after those of the journal, and what it has not loaded yet would be counted behind.
    IF NOT EXISTS (SELECT FROM public.builder_cursor) THEN
        RAISE EXCEPTION 'the database is still being loaded from a dump';
    END IF;
    -- No row is written between the look at the last one and the new counting.
    LOCK TABLE journal.reports IN ACCESS EXCLUSIVE MODE;
    IF journal.counts_on() THEN
        RETURN FALSE;
    END IF;
    SELECT greatest(
        (SELECT coalesce(max(seq), 0) FROM journal.reports),
        (SELECT furthest_seq FROM public.builder_cursor),
        (SELECT coalesce(max(greatest(opened_seq, closed_seq)), 0) FROM public.cases)
    ) INTO reached;
    -- From the oldest transaction that runs: it may yet write its first row.
    base := greatest((reached >> 20) + 1 - pg_snapshot_xmin(pg_current_snapshot())::text::bigint, 0);
    EXECUTE format(
        'ALTER TABLE journal.reports ALTER COLUMN seq SET DEFAULT '
        '(((%s + pg_current_xact_id()::text::bigint) << 20) | nextval(''journal.row_numbers''))', base);
    UPDATE journal.numbering SET xid_base = base, cluster = here;
    RETURN TRUE;
END
$$;

-- Makes the partitions of this month and the `ahead` next ones. Attached, and not created in place: that would wait for
-- every writer. It waits for readers all the same, and others would wait behind it: when they read for long, as a backup
-- does, it is left for the next time.
CREATE FUNCTION journal.make_partitions(ahead INTEGER) RETURNS INTEGER
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '300ms' AS $$
DECLARE
    first DATE := date_trunc('month', CURRENT_DATE)::date;
    from_day DATE;
    name  TEXT;
    made  INTEGER := 0;
BEGIN
    FOR n IN 0..least(ahead, 24) LOOP
        from_day := first + make_interval(months => n);
        name := 'reports_' || to_char(from_day, 'YYYY_MM');
        CONTINUE WHEN to_regclass('journal.' || name) IS NOT NULL;
        -- Two nodes may come here at once.
        LOCK TABLE journal.numbering IN SHARE UPDATE EXCLUSIVE MODE;
        CONTINUE WHEN to_regclass('journal.' || name) IS NOT NULL;
        BEGIN
            EXECUTE format('CREATE TABLE journal.%I (LIKE journal.reports INCLUDING ALL)', name);
            EXECUTE format('ALTER TABLE journal.reports ATTACH PARTITION journal.%I FOR VALUES FROM (%L) TO (%L)',
                name, from_day, (from_day + INTERVAL '1 month')::date);
            made := made + 1;
        EXCEPTION WHEN check_violation THEN
            -- The default partition holds rows of this month. It goes on doing so, and the builder says it; the other
            -- months get theirs.
            NULL;
        END;
    END LOOP;
    RETURN made;
EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
END
$$;

-- Takes what has no partition, so that no report is refused for a calendar. A row in it is an alarm.
CREATE TABLE journal.reports_default PARTITION OF journal.reports DEFAULT;
SELECT journal.make_partitions(3);

CREATE FUNCTION journal.is_default_partition_used() RETURNS BOOLEAN
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM journal.reports_default)
$$;

-- These act with their owner's rights; `deploy/postgresql/roles.sql` says who may call them.
REVOKE EXECUTE ON FUNCTION journal.adopt_cluster(), journal.make_partitions(INTEGER), journal.horizon(),
    journal.is_default_partition_used() FROM PUBLIC;
