-- When a command was run: the latest are kept, as a homeserver can give one again.

-- +goose Up
ALTER TABLE matrix_commands ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE matrix_commands DROP COLUMN generation;
