-- Public halves of keys that all Managers of this store share, by what they sign.

-- +goose Up
CREATE TABLE manager_keys (
    name   TEXT PRIMARY KEY,
    public TEXT NOT NULL
);

-- +goose Down
DROP TABLE manager_keys;
