-- What became of each carrier's reports, by day: figures for the carrier itself, added up by the nodes.
CREATE TABLE carrier_usage (
    carrier_id BYTEA   NOT NULL REFERENCES carriers (id),
    -- Days since 1970-01-01, of the region's time.
    day        INTEGER NOT NULL,
    -- `accepted`, `duplicate`, or the code of a problem.
    what       TEXT    NOT NULL,
    count      BIGINT  NOT NULL,
    PRIMARY KEY (carrier_id, day, what)
);
