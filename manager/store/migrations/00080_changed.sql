-- What changed since a generation is read along an index, kind by kind: a single
-- change must cost the same among any number of entries.

-- +goose Up
CREATE INDEX entries_changed ON entries (kind, generation, id);
DROP INDEX entries_generation;

-- +goose Down
CREATE INDEX entries_generation ON entries (generation);
DROP INDEX entries_changed;
