-- +goose Up
CREATE TABLE IF NOT EXISTS weir.events {{.Cluster}}
(
    event_id  UUID COMMENT 'version 7',
    writer    UUID COMMENT 'one per start of a recorder',
    seq       UInt64 COMMENT '1, 2, 3, … for each writer, without a gap',
    ts        DateTime64(6, 'UTC'),
    kind      LowCardinality(String),
    session   String,
    operation String,
    target    LowCardinality(String),
    subject   String COMMENT 'of the principal',
    canonical String COMMENT 'the event in canonical form (RFC 8785): the bytes that were hashed' CODEC(ZSTD(1))
)
ENGINE = {{.Engine "events"}}
PARTITION BY toYYYYMM(ts)
ORDER BY (target, toStartOfHour(ts), subject, session, seq)
SETTINGS {{.Deduplication}} = 10000
COMMENT 'Every event of every gateway. Append only.';

CREATE TABLE IF NOT EXISTS weir.payloads {{.Cluster}}
(
    ts        DateTime64(6, 'UTC'),
    session   String,
    operation String,
    target    LowCardinality(String),
    stream    LowCardinality(String) COMMENT 'request, response (as delivered), original (sealed), key (sealed data key), cut (a long text of an event)',
    key       String COMMENT 'of sealed bytes: which data key; of a cut text: its SHA-256',
    position  UInt64 COMMENT 'of the first byte within its stream',
    size      UInt64 COMMENT 'bytes before sealing',
    final     Bool COMMENT 'nothing of this stream follows',
    missing   UInt64 COMMENT 'bytes that were only counted: past the cap',
    sealed    Bool,
    writer    UUID,
    block     UInt64,
    data      String CODEC(ZSTD(1))
)
ENGINE = {{.Engine "payloads"}}
PARTITION BY toYYYYMMDD(ts)
ORDER BY (session, operation, stream, key, position)
TTL toDateTime(ts) + toIntervalSecond({{.PayloadTTL}})
SETTINGS {{.Deduplication}} = 10000
COMMENT 'The protocol bytes of operations.';

-- +goose Down
DROP TABLE weir.payloads;
DROP TABLE weir.events;
