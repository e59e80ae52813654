-- What carriers are told of decided cases. Numbers stand here only sealed to the carrier's own public key.

ALTER TABLE decisions ADD COLUMN reason_class TEXT NOT NULL DEFAULT 'other' CHECK (reason_class IN
    ('violation', 'lawful_expression', 'not_proven', 'wrong_sender', 'consented', 'other'));

-- What else is known of a carrier that is told of cases (scopes `feed` and `feed_all`). Its lock is that of the carrier's items: positions are given under it,
-- so none is filled in behind a cursor that has passed.
CREATE TABLE feed_terms (
    carrier_id         BLOB   NOT NULL PRIMARY KEY REFERENCES carriers (id),
    -- E.164 prefixes beside those it attests, separated by commas.
    own_prefixes       TEXT   NOT NULL DEFAULT '',
    -- X25519; without it nothing is told.
    public_key         BLOB,
    -- What the items were made for: with other terms or another key they are made anew, in their places.
    published_for      BLOB,
    published_decision BIGINT NOT NULL DEFAULT 0,
    last_position      BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE feed_items (
    carrier_id  BLOB    NOT NULL,
    position    BIGINT  NOT NULL,
    decision_id BIGINT  NOT NULL,
    -- The sender is a number of this carrier.
    is_own      BOOLEAN NOT NULL,
    -- JSON, as it is handed out.
    body        TEXT    NOT NULL,
    PRIMARY KEY (carrier_id, position)
) WITHOUT ROWID;
CREATE UNIQUE INDEX feed_items_by_decision ON feed_items (carrier_id, decision_id);
