-- +goose Up
-- One index of three columns answers as three indexes do, and is two files of each
-- part instead of six.
ALTER TABLE weir.events {{.Cluster}}
    ADD INDEX IF NOT EXISTS by_id (session, operation, event_id) TYPE bloom_filter(0.001) GRANULARITY 1,
    DROP INDEX IF EXISTS by_session,
    DROP INDEX IF EXISTS by_operation,
    DROP INDEX IF EXISTS by_event;

-- For the parts that are there already, in the background.
ALTER TABLE weir.events {{.Cluster}} MATERIALIZE INDEX by_id;
