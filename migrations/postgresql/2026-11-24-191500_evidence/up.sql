-- Files that reporters add, sealed for the authority. They go with their report.
CREATE TABLE evidence (
    report_id   BYTEA   NOT NULL,
    -- Which of its report's files it is.
    place       INTEGER NOT NULL CHECK (place BETWEEN 1 AND 3),
    kind        TEXT    NOT NULL,
    -- Keyed hash of what is in it: the same file is kept once.
    content_tag BYTEA   NOT NULL,
    body        BYTEA   NOT NULL,
    received_at BIGINT  NOT NULL,
    PRIMARY KEY (report_id, place)
);
