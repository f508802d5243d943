-- Which build of a plugin an instance of a gateway is.

-- +goose Up
ALTER TABLE gateway_instances ADD COLUMN build TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE gateway_instances DROP COLUMN build;
