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
