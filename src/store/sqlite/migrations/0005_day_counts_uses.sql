-- What accounts, and keys and routes of theirs, have used of a day, in days since 1970. Written every second: what is read
-- at a start and what is removed is one stretch of it, and a day of a clock that was wrong stands in no other day's way.
CREATE TABLE day_counts (
    day        BIGINT NOT NULL,
    account_id TEXT   NOT NULL,
    -- Empty = the account as a whole; 'key:' and an id; 'route:' and a name.
    subject    TEXT   NOT NULL,
    used       BIGINT NOT NULL,
    PRIMARY KEY (day, account_id, subject)
) WITHOUT ROWID;

-- When keys were last used, which changes every second: apart from what is known of keys, so that it touches few pages.
CREATE TABLE key_uses (
    key_id TEXT   NOT NULL PRIMARY KEY REFERENCES api_keys (id) ON DELETE CASCADE,
    at     BIGINT NOT NULL
) WITHOUT ROWID;

-- The column stays, unread: a server of the version before, which is still running, selects it.
INSERT INTO key_uses (key_id, at)
    SELECT id, last_used_at FROM api_keys WHERE last_used_at IS NOT NULL ORDER BY id;
