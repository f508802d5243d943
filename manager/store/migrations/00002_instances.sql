-- What gateways confirm, by instance: the VMs of one plugin in one process.
-- Several processes may share one gateway's token.

-- +goose Up
CREATE TABLE gateway_instances (
    gateway   TEXT   NOT NULL REFERENCES gateways (id) ON DELETE CASCADE,
    id        TEXT   NOT NULL, -- by lot; dies with the process
    epoch     TEXT   NOT NULL,
    confirmed BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    PRIMARY KEY (gateway, id)
);
ALTER TABLE gateways DROP COLUMN epoch;
ALTER TABLE gateways DROP COLUMN confirmed;
ALTER TABLE gateways DROP COLUMN last_seen;

-- +goose Down
ALTER TABLE gateways ADD COLUMN epoch TEXT NOT NULL DEFAULT '';
ALTER TABLE gateways ADD COLUMN confirmed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE gateways ADD COLUMN last_seen BIGINT NOT NULL DEFAULT 0;
DROP TABLE gateway_instances;
