-- What the other side answers: once for a case, sealed for the authority.
CREATE TABLE responses (
    id          BLOB   NOT NULL PRIMARY KEY,
    case_id     BIGINT NOT NULL UNIQUE REFERENCES cases (id),
    body        TEXT   NOT NULL,
    received_at BIGINT NOT NULL
);
