-- The network that one subscriber has, where the login came from: an IPv4 address, or the /64 of an IPv6 address.
-- Empty = from before, over IPv6.
ALTER TABLE sessions ADD COLUMN subscriber TEXT NOT NULL DEFAULT '';
UPDATE sessions SET subscriber = address WHERE address NOT LIKE '%:%';

-- Whether an account lately logged in from somewhere is one search, however many sessions there are. What was ended for
-- cause vouches for no place.
CREATE INDEX sessions_by_place ON sessions (account_id, subscriber, created_at)
    WHERE ended_by IS NULL OR ended_by = 'logout' OR ended_by = 'too_many';

-- Who used a refresh token: the network of one subscriber. NULL = from before; then nobody is the same.
ALTER TABLE refresh_tokens ADD COLUMN used_from TEXT;

-- What a new password ends: by the end alone, because a clock that is set back brings what was over to life again.
CREATE INDEX sessions_not_ended ON sessions (account_id) WHERE ended_at IS NULL;
