-- Of several good keys the newest stays.
CREATE TABLE carriers_before (
    id         BLOB   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL UNIQUE,
    key_hash   BLOB   NOT NULL UNIQUE,
    attests    TEXT   NOT NULL,
    per_second INTEGER,
    burst      INTEGER,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
INSERT INTO carriers_before (id, name, key_hash, attests, per_second, burst, created_at, revoked_at)
SELECT c.id, c.name, k.key_hash, c.attests, c.per_second, c.burst, c.created_at, coalesce(c.revoked_at, k.revoked_at)
FROM carriers c JOIN api_keys k ON k.key_hash = (
    SELECT o.key_hash FROM api_keys o WHERE o.carrier_id = c.id
    ORDER BY o.revoked_at IS NOT NULL, o.created_at DESC, o.key_hash LIMIT 1
);
DROP TABLE api_keys;
DROP TABLE carriers;
ALTER TABLE carriers_before RENAME TO carriers;
