-- +goose Up
-- An acknowledged insert is on disk: the spool gives up what it held.
ALTER TABLE weir.events {{.Cluster}} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1;
ALTER TABLE weir.payloads {{.Cluster}} MODIFY SETTING fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

-- What the views ask for most, taken from the canonical bytes when they arrive.
ALTER TABLE weir.events {{.Cluster}}
    ADD COLUMN IF NOT EXISTS facts Tuple(
        operation Tuple(action LowCardinality(String), protocol LowCardinality(String),
            columns Array(Tuple(schema String, table String, name String, classes Array(String), use LowCardinality(String)))),
        decision Tuple(id String, effect LowCardinality(String), approval String, revision String, mask Array(Tuple(class String))),
        status LowCardinality(String), rows Int64, bytes Int64, ms Float64, masked Map(String, UInt64))
    MATERIALIZED JSONExtract(canonical, 'body', 'Tuple(
        operation Tuple(action LowCardinality(String), protocol LowCardinality(String),
            columns Array(Tuple(schema String, table String, name String, classes Array(String), use LowCardinality(String)))),
        decision Tuple(id String, effect LowCardinality(String), approval String, revision String, mask Array(Tuple(class String))),
        status LowCardinality(String), rows Int64, bytes Int64, ms Float64, masked Map(String, UInt64))')
    COMMENT 'what the views ask for most, taken from canonical',
    ADD COLUMN IF NOT EXISTS leaf String ALIAS lower(hex(SHA256(concat(char(0), canonical))))
    COMMENT 'the hash of canonical as a leaf of a Merkle tree (RFC 6962), in hex',
    ADD COLUMN IF NOT EXISTS prev String ALIAS JSONExtractString(canonical, 'prev')
    COMMENT 'the leaf of the writer''s event before; zeros in its first',
    COMMENT COLUMN ts 'when it happened, by the gateway''s clock',
    COMMENT COLUMN kind 'session.opened, operation.requested, …; unreadable: a message of the spool that this version did not understand',
    COMMENT COLUMN session 'empty outside a session',
    COMMENT COLUMN operation 'empty outside an operation',
    COMMENT COLUMN target 'its name; empty where there is none',
    ADD INDEX IF NOT EXISTS by_session session TYPE bloom_filter(0.001) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_operation operation TYPE bloom_filter(0.001) GRANULARITY 1,
    ADD INDEX IF NOT EXISTS by_event event_id TYPE bloom_filter(0.001) GRANULARITY 1;

ALTER TABLE weir.payloads {{.Cluster}}
    COMMENT COLUMN ts 'when the first byte passed',
    COMMENT COLUMN session 'as in events',
    COMMENT COLUMN operation 'as in events',
    COMMENT COLUMN target 'as in events',
    COMMENT COLUMN sealed 'data can be opened by an auditor only',
    COMMENT COLUMN writer 'who numbered the blocks that chunks travel in',
    COMMENT COLUMN block '1, 2, 3, … of its writer, without a gap',
    COMMENT COLUMN data 'the protocol''s exact bytes';

-- A second row of an event is the same in all that stands in LIMIT BY, and a
-- filter on any of it reaches the table's keys.
CREATE OR REPLACE VIEW weir.all_events {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT event_id, writer, seq, ts, kind, session, operation, target, subject, canonical, facts, leaf, prev
FROM weir.events
LIMIT 1 BY target, ts, subject, session, operation, kind, event_id
COMMENT 'Every event once.';

CREATE OR REPLACE VIEW weir.sessions {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    o.session AS session,
    o.ts AS started,
    if(c.kind = '', NULL, c.ts) AS ended,
    o.target AS target,
    JSONExtractString(o.canonical, 'body', 'target', 'kind') AS kind,
    o.subject AS subject,
    JSONExtractString(o.canonical, 'body', 'principal', 'issuer') AS issuer,
    JSONExtractString(o.canonical, 'body', 'principal', 'kind') AS principal,
    JSONExtract(o.canonical, 'body', 'principal', 'roles', 'Array(String)') AS roles,
    JSONExtractRaw(o.canonical, 'body', 'principal', 'on_behalf_of') AS on_behalf_of,
    JSONExtractString(o.canonical, 'body', 'token', 'jti') AS token_id,
    JSONExtractString(o.canonical, 'body', 'client', 'address') AS client,
    JSONExtractString(o.canonical, 'body', 'client', 'tls') AS tls,
    JSONExtractString(o.canonical, 'body', 'client', 'application') AS application,
    JSONExtractString(o.canonical, 'body', 'database') AS database,
    o.facts.decision.revision AS policy,
    JSONExtractString(c.canonical, 'body', 'reason') AS end_reason,
    n.operations AS operations,
    n.refused AS refused,
    JSONExtractUInt(c.canonical, 'body', 'bytes_in') AS bytes_in,
    JSONExtractUInt(c.canonical, 'body', 'bytes_out') AS bytes_out
FROM (SELECT * FROM weir.all_events WHERE kind = 'session.opened') AS o
LEFT JOIN (SELECT * FROM weir.all_events WHERE kind = 'session.closed') AS c ON c.session = o.session
LEFT JOIN (
    SELECT session, count() AS operations, countIf(facts.decision.effect != 'allow') AS refused
    FROM weir.all_events WHERE kind = 'operation.requested' GROUP BY session
) AS n ON n.session = o.session
COMMENT 'Who was where, from when to when, and how much was asked for.';

CREATE OR REPLACE VIEW weir.operations {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    r.ts AS ts,
    r.operation AS operation,
    r.session AS session,
    r.target AS target,
    r.subject AS subject,
    r.facts.operation.protocol AS protocol,
    r.facts.operation.action AS action,
    if(JSONType(r.canonical, 'body', 'operation', 'text') = 'Object',
        concat(JSONExtractString(r.canonical, 'body', 'operation', 'text', '$cut', 'head'), ' …'),
        JSONExtractString(r.canonical, 'body', 'operation', 'text')) AS text,
    JSONExtractRaw(r.canonical, 'body', 'operation', 'parameters') AS parameters,
    JSONExtract(r.canonical, 'body', 'operation', 'risks', 'Array(String)') AS risks,
    r.facts.decision.effect AS effect,
    if(effect = 'allow', '', if(JSONLength(r.canonical, 'body', 'decision', 'deny') = 0, 'default_deny', JSONExtractString(r.canonical, 'body', 'decision', 'deny', 1, 'code'))) AS code,
    arrayStringConcat(arrayMap(d -> JSONExtractString(d, 'message'), JSONExtractArrayRaw(r.canonical, 'body', 'decision', 'deny')), '; ') AS reason,
    r.facts.decision.id AS decision,
    r.facts.decision.approval AS approval,
    JSONExtract(r.canonical, 'body', 'decision', 'rules', 'Array(String)') AS rules,
    r.facts.decision.revision AS policy,
    c.facts.status AS status,
    JSONExtractString(c.canonical, 'body', 'error') AS error,
    toUInt64(c.facts.rows) AS rows,
    toUInt64(c.facts.bytes) AS bytes,
    c.facts.ms AS ms,
    c.facts.masked AS masked,
    JSONExtractString(c.canonical, 'body', 'digest') AS digest
FROM (SELECT * FROM weir.all_events WHERE kind = 'operation.requested') AS r
LEFT JOIN (SELECT * FROM weir.all_events WHERE kind = 'operation.completed') AS c ON c.session = r.session AND c.operation = r.operation
COMMENT 'Every statement and request: what it was, what was decided, how it ended. status is empty while it runs or where it was refused.';

CREATE OR REPLACE VIEW weir.denials {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    ts, session, target, subject,
    if(kind = 'session.refused', 'sign_in', facts.operation.action) AS action,
    if(JSONType(canonical, 'body', 'operation', 'text') = 'Object',
        concat(JSONExtractString(canonical, 'body', 'operation', 'text', '$cut', 'head'), ' …'),
        JSONExtractString(canonical, 'body', 'operation', 'text')) AS text,
    multiIf(NOT JSONHas(canonical, 'body', 'decision'), 'sign_in',
        JSONLength(canonical, 'body', 'decision', 'deny') = 0, 'default_deny',
        JSONExtractString(canonical, 'body', 'decision', 'deny', 1, 'code')) AS code,
    multiIf(NOT JSONHas(canonical, 'body', 'decision'), JSONExtractString(canonical, 'body', 'reason'),
        JSONLength(canonical, 'body', 'decision', 'deny') = 0, 'no rule allows this',
        arrayStringConcat(arrayMap(d -> JSONExtractString(d, 'message'), JSONExtractArrayRaw(canonical, 'body', 'decision', 'deny')), '; ')) AS reason,
    facts.decision.id AS decision,
    operation,
    facts.decision.approval AS approval,
    facts.decision.revision AS policy
FROM (SELECT * FROM weir.all_events WHERE kind IN ('operation.requested', 'session.refused') AND facts.decision.effect != 'allow')
COMMENT 'Everything that was refused: statements, requests, sign-ins.';

CREATE OR REPLACE VIEW weir.sign_in_refusals {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT ts, target,
    JSONExtractString(canonical, 'body', 'client', 'address') AS client,
    JSONExtractString(canonical, 'body', 'client', 'tls') AS tls,
    JSONExtractString(canonical, 'body', 'reason') AS reason
FROM (SELECT * FROM weir.all_events WHERE kind = 'session.refused' AND NOT JSONHas(canonical, 'body', 'decision'))
COMMENT 'Who was turned away before there was anybody to judge: strangers, expired tokens, garbage.';

CREATE OR REPLACE VIEW weir.approvals {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    minIf(ts, kind = 'approval.requested') AS requested,
    id AS approval,
    any(session) AS session,
    any(target) AS target,
    anyIf(subject, kind = 'approval.requested') AS requester,
    anyIf(JSONExtractString(canonical, 'body', 'operation', 'text'), kind = 'approval.requested') AS text,
    anyIf(arrayMap(n -> JSONExtractString(n, 'rule'), JSONExtractArrayRaw(canonical, 'body', 'needs')), kind = 'approval.requested') AS rules,
    if(countIf(kind = 'approval.resolved') = 0, 'pending', anyIf(JSONExtractString(canonical, 'body', 'state'), kind = 'approval.resolved')) AS state,
    if(countIf(kind = 'approval.resolved') = 0, NULL, maxIf(ts, kind = 'approval.resolved')) AS resolved,
    anyIf(arrayMap(v -> JSONExtractString(v, 'approver', 'subject'), JSONExtractArrayRaw(canonical, 'body', 'votes')), kind = 'approval.resolved') AS voters,
    anyIf(arrayMap(v -> JSONExtractString(v, 'reason'), JSONExtractArrayRaw(canonical, 'body', 'votes')), kind = 'approval.resolved') AS reasons,
    anyIf(JSONExtractString(canonical, 'body', 'content_hash'), kind = 'approval.requested') AS content_hash,
    any(operation) AS operation
FROM (
    SELECT *, JSONExtractString(canonical, 'body', if(kind = 'approval.requested', 'id', 'approval')) AS id
    FROM weir.all_events WHERE kind IN ('approval.requested', 'approval.voted', 'approval.resolved')
)
GROUP BY id
COMMENT 'Held operations: who asked, who decided, why.';

CREATE OR REPLACE VIEW weir.privileged_operations {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT o.ts AS ts, o.session AS session, o.operation AS operation, o.target AS target, o.subject AS subject, o.action AS action, o.text AS text,
    o.effect AS effect, o.status AS status, o.approval AS approval, a.state AS state, a.voters AS voters, a.reasons AS reasons
FROM (SELECT * FROM weir.operations WHERE approval != '') AS o
LEFT JOIN weir.approvals AS a ON a.approval = o.approval
COMMENT 'Operations that needed an approval, with the approvers and their reasons.';

CREATE OR REPLACE VIEW weir.masked_reads {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT ts, session, operation, target, subject, text, m.1 AS class, m.2 AS hidden
FROM (SELECT ts, session, operation, target, subject, text, arrayJoin(CAST(masked, 'Array(Tuple(String, UInt64))')) AS m FROM weir.operations)
COMMENT 'Which classes of values were hidden from whom, and how many.';

CREATE OR REPLACE VIEW weir.column_access {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    ts, session, operation, target, subject,
    c.schema AS schema, c.table AS table, c.name AS column, c.classes AS classes, c.use AS use,
    facts.decision.effect AS effect,
    toBool(hasAny(c.classes, facts.decision.mask.class)) AS masked
FROM (SELECT * FROM weir.all_events WHERE kind = 'operation.requested')
ARRAY JOIN facts.operation.columns AS c
COMMENT 'Who accessed which column, how, and whether policy had it masked.';

CREATE OR REPLACE VIEW weir.unmasked_reads {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT a.ts AS ts, a.session AS session, a.operation AS operation, a.target AS target, a.subject AS subject,
    a.schema AS schema, a.table AS table, a.column AS column, a.use AS use, a.classes AS classes, toUInt64(c.facts.rows) AS rows
FROM (SELECT * FROM weir.column_access WHERE use IN ('output', 'derived') AND effect = 'allow' AND notEmpty(classes) AND NOT masked) AS a
INNER JOIN (SELECT * FROM weir.all_events WHERE kind = 'operation.completed') AS c ON c.session = a.session AND c.operation = a.operation
WHERE c.facts.rows > 0
COMMENT 'Classified columns that were delivered without a mask.';

CREATE OR REPLACE VIEW weir.policy_changes {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT ts, kind, writer,
    JSONExtractString(canonical, 'body', 'revision') AS revision,
    JSONExtractString(canonical, 'body', 'previous') AS previous,
    JSONExtract(canonical, 'body', 'added', 'Array(String)') AS added,
    JSONExtract(canonical, 'body', 'changed', 'Array(String)') AS changed,
    JSONExtract(canonical, 'body', 'removed', 'Array(String)') AS removed
FROM (SELECT * FROM weir.all_events WHERE kind IN ('policy.activated', 'config.activated'))
COMMENT 'Which rules and configuration were in force from when.';

CREATE OR REPLACE VIEW weir.gaps {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT what, writer, before + 1 AS first, number - 1 AS last, number - before - 1 AS missing, before = 0 AS at_start, ts AS until
FROM (
    SELECT 'events' AS what, writer, seq AS number, ts, lagInFrame(seq, 1, 0) OVER (PARTITION BY writer ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
    FROM (SELECT DISTINCT writer, seq, ts FROM weir.events WHERE kind != 'unreadable')
    UNION ALL
    SELECT 'payloads' AS what, writer, block AS number, ts, lagInFrame(block, 1, 0) OVER (PARTITION BY writer ORDER BY block ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
    FROM (SELECT writer, block, min(ts) AS ts FROM weir.payloads WHERE stream != 'unreadable' GROUP BY writer, block)
)
WHERE missing > 0
COMMENT 'Numbers that are missing. What is missing at the start of a writer may be older than the retention.';

CREATE OR REPLACE VIEW weir.broken_chains {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT writer, seq, ts, event_id, prev AS holds, before AS should_hold
FROM (
    SELECT *, lagInFrame(leaf, 1, repeat('0', 64)) OVER w AS before, lagInFrame(seq, 1, 0) OVER w AS seq_before
    FROM (SELECT writer, seq, ts, event_id, leaf, prev FROM weir.events WHERE kind != 'unreadable' LIMIT 1 BY writer, seq)
    WINDOW w AS (PARTITION BY writer ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
)
WHERE seq_before = seq - 1 AND prev != before
COMMENT 'Events that do not hold the hash of the one before: one of the two was changed.';
