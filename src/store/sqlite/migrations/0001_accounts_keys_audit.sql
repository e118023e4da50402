-- Ids are UUIDv7 in lower-case text, times are milliseconds since the Unix epoch, sets are words parted by spaces.

CREATE TABLE accounts (
    id           TEXT   NOT NULL PRIMARY KEY,
    email        TEXT   NOT NULL,
    -- In lower case, by which addresses are compared.
    email_folded TEXT   NOT NULL UNIQUE,
    status       TEXT   NOT NULL CHECK (status IN ('active', 'disabled')),
    -- NULL = the defaults of the catalogue.
    scopes       TEXT,
    created_at   BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id                TEXT   NOT NULL PRIMARY KEY,
    account_id        TEXT   NOT NULL REFERENCES accounts (id),
    -- SHA-256 of the whole key in lower-case hexadecimal; the key itself is nowhere.
    digest            TEXT   NOT NULL UNIQUE CHECK (length(digest) = 64),
    name              TEXT   NOT NULL,
    prefix            TEXT   NOT NULL,
    last4             TEXT   NOT NULL,
    scopes            TEXT   NOT NULL,
    allowed_addresses TEXT   NOT NULL,
    created_at        BIGINT NOT NULL,
    expires_at        BIGINT NOT NULL,
    last_used_at      BIGINT,
    revoked_at        BIGINT
);

CREATE INDEX api_keys_of_account ON api_keys (account_id, id);
CREATE INDEX api_keys_by_expiry ON api_keys (expires_at);
CREATE INDEX api_keys_by_revocation ON api_keys (revoked_at);

-- One row per change, written in the change's own transaction; seq follows the order of commits.
CREATE TABLE audit_log (
    seq        BIGINT NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor      TEXT   NOT NULL,
    via        TEXT   NOT NULL,
    action     TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    subject_id TEXT   NOT NULL,
    detail     TEXT   NOT NULL
);
