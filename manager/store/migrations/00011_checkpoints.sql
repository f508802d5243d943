-- Signed states of the log, and inner hashes of its tree. The hashes can be
-- made anew from those of the entries.

-- +goose Up
CREATE TABLE log_checkpoints (
    size BIGINT PRIMARY KEY, -- entries that it covers
    time BIGINT NOT NULL,
    note TEXT   NOT NULL     -- signed note
);

CREATE TABLE log_nodes (
    level  BIGINT NOT NULL, -- a multiple of 8, from 8
    number BIGINT NOT NULL, -- covers entries [number << level, (number + 1) << level)
    hash   TEXT   NOT NULL,
    PRIMARY KEY (level, number)
);

-- +goose Down
DROP TABLE log_nodes;
DROP TABLE log_checkpoints;
