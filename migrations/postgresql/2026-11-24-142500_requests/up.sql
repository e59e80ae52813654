-- What the authority asks of a carrier about a case, and the carrier's answers.

CREATE TABLE carrier_requests (
    id           BYTEA  NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    carrier_id   BYTEA  NOT NULL REFERENCES carriers (id),
    -- Given one after another under the builder's lock: none is filled in behind a cursor that has passed.
    position     BIGINT NOT NULL,
    case_id      BIGINT NOT NULL REFERENCES cases (id),
    kind         TEXT   NOT NULL CHECK (kind IN
        ('check_subscriber', 'warn_subscriber', 'suspend_service', 'trace_origin', 'preserve_records')),
    requested_by TEXT   NOT NULL,
    requested_at BIGINT NOT NULL,
    due_at       BIGINT NOT NULL,
    -- JSON, as it is handed out; the sender in it is sealed to the carrier's key.
    body         TEXT   NOT NULL
);
CREATE UNIQUE INDEX carrier_requests_in_order ON carrier_requests (carrier_id, position);
CREATE INDEX carrier_requests_by_case ON carrier_requests (case_id);

-- Written once.
CREATE TABLE request_answers (
    request_id  BYTEA  NOT NULL PRIMARY KEY REFERENCES carrier_requests (id),
    outcome     TEXT   NOT NULL CHECK (outcome IN
        ('done', 'already_done', 'not_our_subscriber', 'not_possible', 'refused')),
    -- Sealed to the authority.
    note        TEXT,
    -- Keyed hash of outcome and note, which tells the same answer from another.
    answer_tag  BYTEA  NOT NULL,
    answered_at BIGINT NOT NULL
);
