-- Limits of an account's or a key's own, as a JSON object of what is said. NULL = nothing: the plan says, or nobody.
ALTER TABLE accounts ADD COLUMN limits TEXT;
ALTER TABLE api_keys ADD COLUMN limits TEXT;
-- The first of the keys that this one replaced, by id: it goes on with its counts. NULL = it replaced none.
ALTER TABLE api_keys ADD COLUMN counts_as TEXT;
