-- Signed requests: whether a carrier has to sign, and its keys.

-- `optional` or `required`.
ALTER TABLE carriers ADD COLUMN signatures TEXT NOT NULL DEFAULT 'optional';

CREATE TABLE signing_keys (
    -- What `keyid` of a signature says.
    key_id     TEXT   NOT NULL PRIMARY KEY,
    carrier_id BYTEA  NOT NULL REFERENCES carriers (id),
    algorithm  TEXT   NOT NULL CHECK (algorithm IN ('hmac-sha256', 'ed25519')),
    -- A public key, or a shared secret sealed under a key of the nodes.
    material   BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX signing_keys_by_carrier ON signing_keys (carrier_id);
