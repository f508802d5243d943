-- +goose Up

CREATE TABLE workers (
    id         TEXT    PRIMARY KEY,
    version    BIGINT  NOT NULL,
    generation BIGINT  NOT NULL,
    created    BIGINT  NOT NULL,
    updated    BIGINT  NOT NULL,
    spec       TEXT    NOT NULL,
    consumer   TEXT    NOT NULL UNIQUE, -- no reference: it goes first
    suspended  BOOLEAN NOT NULL,
    task       TEXT    NOT NULL,
    done       TEXT    NOT NULL, -- seen, not decided, like the next: change no version
    problem    TEXT    NOT NULL,
    token      TEXT    NOT NULL, -- id; empty: none
    run        TEXT    NOT NULL,
    restart_at BIGINT  NOT NULL
);
CREATE INDEX workers_task ON workers (task);

-- +goose Down

DROP TABLE workers;
