-- One schema for SQLite and PostgreSQL: only the types TEXT, BIGINT and BOOLEAN.
-- Times are Unix milliseconds; 0 stands for "never" or "none". Nested parts are
-- JSON text. Digests are lower-case hex.

-- +goose Up

-- The one row that every mutation takes first: it puts mutations in a row.
CREATE TABLE state (
    one        BIGINT PRIMARY KEY CHECK (one = 1),
    epoch      TEXT   NOT NULL,
    generation BIGINT NOT NULL,
    policy     TEXT   NOT NULL -- live policy version; empty: none
);

CREATE TABLE events (
    generation BIGINT NOT NULL,
    part       BIGINT NOT NULL,
    time       BIGINT NOT NULL,
    actor      TEXT   NOT NULL,
    actor_name TEXT   NOT NULL,
    role       TEXT   NOT NULL,
    action     TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    object     TEXT   NOT NULL,
    before     TEXT   NOT NULL,
    after      TEXT   NOT NULL,
    request    TEXT   NOT NULL,
    PRIMARY KEY (generation, part)
);
CREATE INDEX events_object ON events (kind, object, generation);

-- What a gateway holds, entry by entry, with the generation that last changed
-- it. A removed entry stays as a tombstone: it tells gateways, and keeps the id
-- from being used again.
CREATE TABLE entries (
    kind       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    born       BIGINT  NOT NULL, -- generation in which it came
    generation BIGINT  NOT NULL,
    removed    BOOLEAN NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX entries_generation ON entries (generation);

CREATE TABLE idempotency (
    id          TEXT   PRIMARY KEY, -- digest of actor and key
    fingerprint TEXT   NOT NULL,    -- keyed digest of the request
    answer      TEXT   NOT NULL,    -- sealed under a key that is not in the store
    expires     BIGINT NOT NULL
);
CREATE INDEX idempotency_expires ON idempotency (expires);

CREATE TABLE admin_tokens (
    id         TEXT   PRIMARY KEY,
    version    BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    name       TEXT   NOT NULL,
    role       TEXT   NOT NULL CHECK (role IN ('auditor', 'operator', 'admin')),
    expires    BIGINT NOT NULL,
    sha256     TEXT   NOT NULL UNIQUE
);

CREATE TABLE consumers (
    id         TEXT   PRIMARY KEY,
    version    BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    kind       TEXT   NOT NULL CHECK (kind IN ('worker', 'human', 'service')),
    labels     TEXT   NOT NULL,
    state      TEXT   NOT NULL CHECK (state IN ('active', 'suspended', 'revoked'))
);

CREATE TABLE tokens (
    id          TEXT    PRIMARY KEY,
    version     BIGINT  NOT NULL,
    generation  BIGINT  NOT NULL,
    created     BIGINT  NOT NULL,
    updated     BIGINT  NOT NULL,
    consumer    TEXT    NOT NULL REFERENCES consumers (id) ON DELETE CASCADE,
    note        TEXT    NOT NULL,
    expires     BIGINT  NOT NULL,
    revoked     BOOLEAN NOT NULL,
    replaced_by TEXT    NOT NULL,
    last_used   BIGINT  NOT NULL, -- seen, not decided: changes no version
    sha256      TEXT    NOT NULL UNIQUE
);
CREATE INDEX tokens_consumer ON tokens (consumer);

CREATE TABLE credentials (
    id         TEXT    PRIMARY KEY,
    version    BIGINT  NOT NULL,
    generation BIGINT  NOT NULL,
    created    BIGINT  NOT NULL,
    updated    BIGINT  NOT NULL,
    note       TEXT    NOT NULL,
    retired    BOOLEAN NOT NULL,
    current    BIGINT  NOT NULL, -- number of the version in use
    last       BIGINT  NOT NULL  -- highest number ever given out
);

CREATE TABLE credential_versions (
    credential TEXT   NOT NULL REFERENCES credentials (id) ON DELETE CASCADE,
    number     BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    retires    BIGINT NOT NULL,
    upstream   TEXT   NOT NULL,
    sealed     TEXT   NOT NULL,
    PRIMARY KEY (credential, number)
);

CREATE TABLE targets (
    id         TEXT   PRIMARY KEY,
    version    BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    kind       TEXT   NOT NULL CHECK (kind IN ('mcp', 'llm', 'http')),
    credential TEXT   REFERENCES credentials (id),
    spec       TEXT   NOT NULL
);
CREATE INDEX targets_credential ON targets (credential);

-- No two targets have an equal match.
CREATE TABLE target_matches (
    route  TEXT NOT NULL,
    host   TEXT NOT NULL,
    path   TEXT NOT NULL,
    target TEXT NOT NULL REFERENCES targets (id) ON DELETE CASCADE,
    PRIMARY KEY (route, host, path)
);
CREATE INDEX target_matches_target ON target_matches (target);

-- A consumer's own credential for a target.
CREATE TABLE overrides (
    consumer   TEXT NOT NULL REFERENCES consumers (id) ON DELETE CASCADE,
    target     TEXT NOT NULL REFERENCES targets (id) ON DELETE CASCADE,
    credential TEXT NOT NULL REFERENCES credentials (id),
    PRIMARY KEY (consumer, target)
);
CREATE INDEX overrides_target ON overrides (target);
CREATE INDEX overrides_credential ON overrides (credential);

CREATE TABLE grants (
    id         TEXT   PRIMARY KEY,
    version    BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    consumer   TEXT   NOT NULL REFERENCES consumers (id) ON DELETE CASCADE,
    target     TEXT   NOT NULL REFERENCES targets (id) ON DELETE CASCADE,
    expires    BIGINT NOT NULL,
    spec       TEXT   NOT NULL
);
CREATE INDEX grants_consumer ON grants (consumer, id);
CREATE INDEX grants_target ON grants (target, id);

CREATE TABLE policies (
    id         TEXT   PRIMARY KEY,
    version    BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    note       TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    number     BIGINT NOT NULL, -- generation in which it came; the order of versions
    published  BIGINT NOT NULL
);

-- Apart, since lists do without.
CREATE TABLE policy_texts (
    policy  TEXT PRIMARY KEY REFERENCES policies (id) ON DELETE CASCADE,
    source  TEXT NOT NULL,
    program TEXT NOT NULL -- base64; empty until first published
);

CREATE TABLE gateways (
    id         TEXT   PRIMARY KEY,
    version    BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    sha256     TEXT   NOT NULL UNIQUE,
    epoch      TEXT   NOT NULL, -- this and what follows is heard, not decided
    confirmed  BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL
);

-- +goose Down
DROP TABLE gateways;
DROP TABLE policy_texts;
DROP TABLE policies;
DROP TABLE grants;
DROP TABLE overrides;
DROP TABLE target_matches;
DROP TABLE targets;
DROP TABLE credential_versions;
DROP TABLE credentials;
DROP TABLE tokens;
DROP TABLE consumers;
DROP TABLE admin_tokens;
DROP TABLE idempotency;
DROP TABLE entries;
DROP TABLE events;
DROP TABLE state;
