-- What a carrier may call and from where; and its API keys in a table of their own, so that a key can be replaced
-- without a moment in which none is good.

CREATE TABLE api_keys (
    -- SHA-256 of the key.
    key_hash   BYTEA  NOT NULL PRIMARY KEY,
    carrier_id BYTEA  NOT NULL REFERENCES carriers (id),
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
INSERT INTO api_keys (key_hash, carrier_id, created_at, revoked_at)
SELECT key_hash, id, created_at, revoked_at FROM carriers;
CREATE INDEX api_keys_by_carrier ON api_keys (carrier_id);

ALTER TABLE carriers
    DROP COLUMN key_hash,
    -- Words of src/domain/carrier.rs, with commas.
    ADD COLUMN scopes    TEXT NOT NULL DEFAULT 'report',
    -- `any`, or networks with commas.
    ADD COLUMN addresses TEXT NOT NULL DEFAULT 'any';
