-- The key that replaced this one, by id; it may be gone by now. NULL = none, or in a version before.
ALTER TABLE api_keys ADD COLUMN replaced_by TEXT;

-- The living keys of one account are counted without walking over its dead ones.
CREATE INDEX api_keys_living ON api_keys (account_id, expires_at, id, revoked_at) WHERE revoked_at IS NULL;
