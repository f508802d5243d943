-- Public keys of gateways, to which credentials are sealed.

-- +goose Up
CREATE TABLE sealing_keys (
    id         TEXT   PRIMARY KEY, -- of the key pair
    version    BIGINT NOT NULL,
    generation BIGINT NOT NULL,
    created    BIGINT NOT NULL,
    updated    BIGINT NOT NULL,
    public     TEXT   NOT NULL,
    note       TEXT   NOT NULL
);

-- +goose Down
DROP TABLE sealing_keys;
