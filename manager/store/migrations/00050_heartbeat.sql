-- +goose Up

ALTER TABLE workers ADD COLUMN previous TEXT NOT NULL DEFAULT 'null'; -- spec that the container runs with, where it is another
ALTER TABLE workers ADD COLUMN asleep BOOLEAN NOT NULL DEFAULT FALSE;

-- What the heartbeat made of each Worker. It is seen, not decided: no generation.
CREATE TABLE worker_health (
    worker       TEXT   PRIMARY KEY,
    state        TEXT   NOT NULL, -- empty: not looked at yet
    reason       TEXT   NOT NULL,
    since        BIGINT NOT NULL, -- when the state began
    counted_from BIGINT NOT NULL, -- what was before counts for nothing
    restarts     BIGINT NOT NULL, -- in a row
    restarted    BIGINT NOT NULL,
    problem      TEXT   NOT NULL, -- of the rules
    facts        TEXT   NOT NULL  -- that decided, JSON
);

-- +goose Down

DROP TABLE worker_health;
ALTER TABLE workers DROP COLUMN asleep;
ALTER TABLE workers DROP COLUMN previous;
