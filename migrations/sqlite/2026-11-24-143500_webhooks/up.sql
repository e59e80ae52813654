-- Where carriers want to be called, and what is on its way to them.

CREATE TABLE webhooks (
    id               BLOB   NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    carrier_id       BLOB   NOT NULL REFERENCES carriers (id),
    url              TEXT   NOT NULL,
    -- Sealed under a key of the key files.
    secret           BLOB   NOT NULL,
    -- While it lives, each message is signed with both.
    old_secret       BLOB,
    old_secret_until BIGINT,
    created_at       BIGINT NOT NULL,
    disabled_at      BIGINT,
    disabled_reason  TEXT
);

CREATE TABLE webhook_deliveries (
    webhook_id  BLOB    NOT NULL REFERENCES webhooks (id),
    event_id    BLOB    NOT NULL CHECK (length(event_id) = 16),
    -- JSON, as it is sent; the sender in it is sealed to the carrier's key.
    body        TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('waiting', 'delivered', 'dead')),
    attempts    INTEGER NOT NULL,
    -- When it is tried next. While a node has it in hand, when another may take it over.
    due_at      BIGINT  NOT NULL,
    last_result TEXT,
    changed_at  BIGINT  NOT NULL,
    PRIMARY KEY (webhook_id, event_id)
);
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (state, due_at);
