-- What the log needs beside its entries: who looks after what, how far it was
-- passed on, and which gateways' ends were told of.

-- +goose Up
CREATE TABLE leases (
    name   TEXT   PRIMARY KEY, -- what one Manager of several does
    holder TEXT   NOT NULL,
    until  BIGINT NOT NULL
);
CREATE TABLE log_forwarded (
    name     TEXT   PRIMARY KEY, -- receiver
    position BIGINT NOT NULL     -- of the first entry that it may lack
);
-- Whether the log has that this instance is gone.
ALTER TABLE gateway_instances ADD COLUMN ended BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE gateway_instances DROP COLUMN ended;
DROP TABLE log_forwarded;
DROP TABLE leases;
