-- Tokens that hold no more, or not for some topics: one row for each thing that is revoked.
CREATE TABLE revocations (
    kind text COLLATE "C" NOT NULL,     -- subject, token or topic
    name text COLLATE "C" NOT NULL,
    revoked_at timestamptz NOT NULL,    -- tokens that were issued up to then are meant
    until timestamptz,                  -- when no such token lives any more, NULL for never
    -- A new one with each change, rising in the order of commits, so that the greatest tells whether there is news.
    number bigserial NOT NULL UNIQUE,
    PRIMARY KEY (kind, name)
);
