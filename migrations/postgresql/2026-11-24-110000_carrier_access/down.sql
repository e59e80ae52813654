-- Of several good keys the newest stays.
ALTER TABLE carriers DROP COLUMN scopes, DROP COLUMN addresses, ADD COLUMN key_hash BYTEA;
UPDATE carriers c SET (key_hash, revoked_at) = (
    SELECT k.key_hash, coalesce(c.revoked_at, k.revoked_at) FROM api_keys k WHERE k.carrier_id = c.id
    ORDER BY k.revoked_at IS NOT NULL, k.created_at DESC, k.key_hash LIMIT 1
);
DROP TABLE api_keys;
ALTER TABLE carriers ALTER COLUMN key_hash SET NOT NULL, ADD UNIQUE (key_hash);
