-- One append-only log of what gateways decided and what was done in the Manager.
-- The columns after hash are there to search by; what counts is in body.

-- +goose Up

-- The one row that every append takes: it puts entries in a row.
CREATE TABLE log_head (
    one  BIGINT PRIMARY KEY CHECK (one = 1),
    size BIGINT NOT NULL
);
INSERT INTO log_head (one, size) VALUES (1, 0);

CREATE TABLE log (
    position BIGINT PRIMARY KEY,
    body     TEXT   NOT NULL, -- JSON; empty: dropped by retention
    hash     TEXT   NOT NULL, -- RFC 6962 leaf hash of body, base64
    time     BIGINT NOT NULL,
    kind     TEXT   NOT NULL,
    id       TEXT   NOT NULL, -- decision, or API request
    gateway  TEXT   NOT NULL,
    vm       TEXT   NOT NULL,
    sequence BIGINT NOT NULL, -- 0: not a gateway's record
    consumer TEXT   NOT NULL,
    target   TEXT   NOT NULL,
    method   TEXT   NOT NULL,
    name     TEXT   NOT NULL,
    verdict  TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    rules    TEXT   NOT NULL, -- one a line
    actor    TEXT   NOT NULL,
    noun     TEXT   NOT NULL, -- kind of the object that an action changed
    object   TEXT   NOT NULL
);
-- A record that is sent again is not kept again.
CREATE UNIQUE INDEX log_sequence ON log (gateway, vm, sequence) WHERE sequence > 0;
CREATE INDEX log_id ON log (id) WHERE id <> '';
CREATE INDEX log_consumer ON log (consumer, position) WHERE consumer <> '';
CREATE INDEX log_noun ON log (noun, position) WHERE noun <> '';

DROP TABLE events;

-- +goose Down
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
DROP TABLE log;
DROP TABLE log_head;
