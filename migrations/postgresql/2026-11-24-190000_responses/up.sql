-- What the other side answers: once for a case, sealed for the authority.
CREATE TABLE responses (
    id          BYTEA  NOT NULL PRIMARY KEY,
    case_id     BIGINT NOT NULL UNIQUE REFERENCES cases (id),
    body        TEXT   NOT NULL,
    received_at BIGINT NOT NULL
);

-- The cases of one grouping key, newest first: for who may read no grouping key, because it holds tags.
CREATE FUNCTION reported_cases(key BYTEA, at_most INTEGER) RETURNS TABLE (
    case_id BIGINT, category TEXT, status TEXT, voices BIGINT, first_report_at BIGINT, last_report_at BIGINT,
    is_answered BOOLEAN
)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.id, c.category, c.status, t.voices, t.first_report_at, t.last_report_at,
        EXISTS (SELECT FROM public.responses r WHERE r.case_id = c.id)
    FROM public.cases c JOIN public.case_totals t ON t.case_id = c.id
    WHERE c.group_key = key ORDER BY c.id DESC LIMIT at_most
$$;
REVOKE EXECUTE ON FUNCTION reported_cases(BYTEA, INTEGER) FROM PUBLIC;
