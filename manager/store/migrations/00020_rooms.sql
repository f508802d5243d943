-- Rooms, what waits to be shown in them, and how far Matrix was read.

-- +goose Up
CREATE TABLE rooms (
    id             TEXT    PRIMARY KEY,
    version        BIGINT  NOT NULL,
    generation     BIGINT  NOT NULL,
    created        BIGINT  NOT NULL,
    updated        BIGINT  NOT NULL,
    kind           TEXT    NOT NULL CHECK (kind IN ('manager', 'worker', 'shared')),
    name           TEXT    NOT NULL,
    members        TEXT    NOT NULL,
    calls          BOOLEAN NOT NULL,
    each_llm       BOOLEAN NOT NULL,
    each_auth      BOOLEAN NOT NULL,
    digest_seconds BIGINT  NOT NULL
);

-- Seen, not decided: changes no version. It outlives a shared room, whose name
-- then leads back to the same room in Matrix.
CREATE TABLE room_places (
    room   TEXT PRIMARY KEY,
    matrix TEXT NOT NULL
);
CREATE INDEX room_places_matrix ON room_places (matrix);

-- The entries of the log that wait for a room.
CREATE TABLE outbox (
    room     TEXT   NOT NULL,
    lane     TEXT   NOT NULL CHECK (lane IN ('each', 'digest')),
    position BIGINT NOT NULL,
    due      BIGINT NOT NULL,
    PRIMARY KEY (room, lane, position)
);

-- The message that is being sent, or was when the Manager ended.
CREATE TABLE outbox_sending (
    room     TEXT   NOT NULL,
    lane     TEXT   NOT NULL,
    first    BIGINT NOT NULL,
    last     BIGINT NOT NULL,
    since    BIGINT NOT NULL, -- when this was written
    PRIMARY KEY (room, lane)
);

CREATE TABLE matrix_state (
    one   BIGINT PRIMARY KEY CHECK (one = 1),
    read  BIGINT NOT NULL, -- position in the log up to which the outbox is filled
    since TEXT   NOT NULL  -- place in the homeserver's stream up to which commands were run
);
INSERT INTO matrix_state (one, read, since) VALUES (1, 0, '');

-- Commands that were run since that place, with what was answered.
CREATE TABLE matrix_commands (
    event  TEXT   PRIMARY KEY,
    answer TEXT   NOT NULL
);

-- +goose Down
DROP TABLE matrix_commands;
DROP TABLE matrix_state;
DROP TABLE outbox_sending;
DROP TABLE outbox;
DROP TABLE room_places;
DROP TABLE rooms;
