-- Derived: reports whose sender was told later, and by which row of the journal. Of several amendments the first counts.
CREATE TABLE amended_reports (
    report_id BYTEA  NOT NULL PRIMARY KEY,
    seq       BIGINT NOT NULL
);
