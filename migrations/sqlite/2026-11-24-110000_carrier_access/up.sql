-- What a carrier may call and from where; and its API keys in a table of their own, so that a key can be replaced
-- without a moment in which none is good.

-- Built anew, because a unique column cannot be dropped.
CREATE TABLE carriers_anew (
    id         BLOB   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    attests    TEXT   NOT NULL,
    per_second INTEGER,
    burst      INTEGER,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT,
    -- Words of src/domain/carrier.rs, with commas.
    scopes     TEXT   NOT NULL DEFAULT 'report',
    -- `any`, or networks with commas.
    addresses  TEXT   NOT NULL DEFAULT 'any'
);
INSERT INTO carriers_anew (id, name, attests, per_second, burst, created_at, revoked_at)
SELECT id, name, attests, per_second, burst, created_at, revoked_at FROM carriers;

CREATE TEMPORARY TABLE keys_before AS SELECT key_hash, id, created_at, revoked_at FROM carriers;
DROP TABLE carriers;
ALTER TABLE carriers_anew RENAME TO carriers;

CREATE TABLE api_keys (
    -- SHA-256 of the key.
    key_hash   BLOB   NOT NULL PRIMARY KEY,
    carrier_id BLOB   NOT NULL REFERENCES carriers (id),
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
INSERT INTO api_keys (key_hash, carrier_id, created_at, revoked_at)
SELECT key_hash, id, created_at, revoked_at FROM keys_before;
DROP TABLE keys_before;
CREATE INDEX api_keys_by_carrier ON api_keys (carrier_id);
