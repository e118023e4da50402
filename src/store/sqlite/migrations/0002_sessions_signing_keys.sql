-- The first half of an account's proof: a PHC string (argon2id), never the password. NULL = it cannot log in.
ALTER TABLE accounts ADD COLUMN password TEXT;

CREATE TABLE sessions (
    id           TEXT   NOT NULL PRIMARY KEY,
    account_id   TEXT   NOT NULL REFERENCES accounts (id),
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL,
    ends_at      BIGINT NOT NULL,
    ended_at     BIGINT,
    ended_by     TEXT,
    -- Since when none of its tokens is good: expires_at, or ended_at once it has ended.
    dead_at      BIGINT NOT NULL,
    address      TEXT   NOT NULL,
    agent        TEXT   NOT NULL
);

-- The living of one account are found without walking over its dead; the dead without walking over the living.
CREATE INDEX sessions_of_account ON sessions (account_id, dead_at);
CREATE INDEX sessions_by_death ON sessions (dead_at);

CREATE TABLE refresh_tokens (
    -- SHA-256 of the whole token in lower-case hexadecimal; the token itself is nowhere.
    digest     TEXT   NOT NULL PRIMARY KEY CHECK (length(digest) = 64),
    session_id TEXT   NOT NULL REFERENCES sessions (id),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    -- The digest of the token that it was exchanged for.
    successor  TEXT
) WITHOUT ROWID;

-- Of a session's tokens one at most is alive.
CREATE UNIQUE INDEX refresh_tokens_alive ON refresh_tokens (session_id) WHERE used_at IS NULL;
CREATE INDEX refresh_tokens_of_session ON refresh_tokens (session_id);

CREATE TABLE signing_keys (
    id          TEXT   NOT NULL PRIMARY KEY,
    purpose     TEXT   NOT NULL,
    algorithm   TEXT   NOT NULL,
    private_key TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    signs_from  BIGINT NOT NULL,
    retires_at  BIGINT
);

-- Under which an account can get a new password, once. A new one takes the place of an older.
CREATE TABLE reset_links (
    account_id TEXT   NOT NULL PRIMARY KEY REFERENCES accounts (id),
    digest     TEXT   NOT NULL UNIQUE CHECK (length(digest) = 64),
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX reset_links_by_expiry ON reset_links (expires_at);

-- Secrets that tokens are derived from.
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- Requests that were answered, by the SHA-256 of their Idempotency-Key and of what they asked for.
CREATE TABLE answered_requests (
    account_id TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    body       TEXT   NOT NULL,
    -- The id of what was made.
    made       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, key)
) WITHOUT ROWID;

CREATE INDEX answered_requests_by_age ON answered_requests (created_at);

-- Where a key comes from: made here, or a digest from elsewhere.
ALTER TABLE api_keys ADD COLUMN provenance TEXT NOT NULL DEFAULT 'made' CHECK (provenance IN ('made', 'imported'));

-- What imported keys look like; length 0 = any. Kept when the last of a form is gone: a look-up more harms nobody.
CREATE TABLE key_forms (
    prefix TEXT   NOT NULL,
    length BIGINT NOT NULL,
    PRIMARY KEY (prefix, length)
);
