-- +goose Up
-- What slips through the deduplication of inserts is taken out here.
CREATE OR REPLACE VIEW weir.all_events {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT * FROM weir.events LIMIT 1 BY event_id
COMMENT 'Every event once.';

CREATE OR REPLACE VIEW weir.sessions {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    o.session AS session,
    o.ts AS started,
    if(c.session = '', NULL, c.ts) AS ended,
    o.target AS target,
    JSONExtractString(o.canonical, 'body', 'target', 'kind') AS kind,
    o.subject AS subject,
    JSONExtractString(o.canonical, 'body', 'principal', 'issuer') AS issuer,
    JSONExtractString(o.canonical, 'body', 'principal', 'kind') AS principal,
    JSONExtract(o.canonical, 'body', 'principal', 'roles', 'Array(String)') AS roles,
    JSONExtractRaw(o.canonical, 'body', 'principal', 'on_behalf_of') AS on_behalf_of,
    JSONExtractString(o.canonical, 'body', 'token', 'jti') AS token_id,
    JSONExtractString(o.canonical, 'body', 'client', 'address') AS client,
    JSONExtractString(o.canonical, 'body', 'client', 'application') AS application,
    JSONExtractString(o.canonical, 'body', 'database') AS database,
    JSONExtractString(o.canonical, 'body', 'decision', 'revision') AS policy,
    JSONExtractString(c.canonical, 'body', 'reason') AS end_reason,
    JSONExtractUInt(c.canonical, 'body', 'operations') AS operations,
    JSONExtractUInt(c.canonical, 'body', 'refused') AS refused,
    JSONExtractUInt(c.canonical, 'body', 'bytes_in') AS bytes_in,
    JSONExtractUInt(c.canonical, 'body', 'bytes_out') AS bytes_out
FROM (SELECT * FROM weir.events WHERE kind = 'session.opened' LIMIT 1 BY event_id) AS o
LEFT JOIN (SELECT * FROM weir.events WHERE kind = 'session.closed' LIMIT 1 BY event_id) AS c ON o.session = c.session
COMMENT 'Who was where, from when to when. Counts are there once a session has ended.';

CREATE OR REPLACE VIEW weir.operations {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    r.ts AS ts,
    r.operation AS operation,
    r.session AS session,
    r.target AS target,
    r.subject AS subject,
    JSONExtractString(r.canonical, 'body', 'operation', 'protocol') AS protocol,
    JSONExtractString(r.canonical, 'body', 'operation', 'action') AS action,
    if(JSONType(r.canonical, 'body', 'operation', 'text') = 'Object',
        concat(JSONExtractString(r.canonical, 'body', 'operation', 'text', '$cut', 'head'), ' …'),
        JSONExtractString(r.canonical, 'body', 'operation', 'text')) AS text,
    JSONExtractRaw(r.canonical, 'body', 'operation', 'parameters') AS parameters,
    JSONExtract(r.canonical, 'body', 'operation', 'risks', 'Array(String)') AS risks,
    JSONExtractString(r.canonical, 'body', 'decision', 'effect') AS effect,
    JSONExtractString(r.canonical, 'body', 'decision', 'deny', 1, 'code') AS code,
    arrayStringConcat(arrayMap(d -> JSONExtractString(d, 'message'), JSONExtractArrayRaw(r.canonical, 'body', 'decision', 'deny')), '; ') AS reason,
    JSONExtractString(r.canonical, 'body', 'decision', 'id') AS decision,
    JSONExtractString(r.canonical, 'body', 'decision', 'approval') AS approval,
    JSONExtract(r.canonical, 'body', 'decision', 'rules', 'Array(String)') AS rules,
    JSONExtractString(r.canonical, 'body', 'decision', 'revision') AS policy,
    JSONExtractString(c.canonical, 'body', 'status') AS status,
    JSONExtractString(c.canonical, 'body', 'error') AS error,
    JSONExtractUInt(c.canonical, 'body', 'rows') AS rows,
    JSONExtractUInt(c.canonical, 'body', 'bytes') AS bytes,
    JSONExtractFloat(c.canonical, 'body', 'ms') AS ms,
    JSONExtract(c.canonical, 'body', 'masked', 'Map(String, UInt64)') AS masked
FROM (SELECT * FROM weir.events WHERE kind = 'operation.requested' LIMIT 1 BY event_id) AS r
LEFT JOIN (SELECT * FROM weir.events WHERE kind = 'operation.completed' LIMIT 1 BY event_id) AS c ON r.operation = c.operation
COMMENT 'Every statement and request: what it was, what was decided, how it ended. status is empty while it runs or where it was refused.';

CREATE OR REPLACE VIEW weir.denials {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT ts, session, target, subject, action, text, code, reason, decision FROM weir.operations WHERE effect != 'allow'
UNION ALL
SELECT ts, session, target, subject, 'sign_in' AS action, '' AS text,
    if(JSONHas(canonical, 'body', 'decision'), JSONExtractString(canonical, 'body', 'decision', 'deny', 1, 'code'), 'sign_in') AS code,
    if(JSONHas(canonical, 'body', 'reason'), JSONExtractString(canonical, 'body', 'reason'), JSONExtractString(canonical, 'body', 'decision', 'deny', 1, 'message')) AS reason,
    JSONExtractString(canonical, 'body', 'decision', 'id') AS decision
FROM (SELECT * FROM weir.events WHERE kind = 'session.refused' LIMIT 1 BY event_id)
COMMENT 'Everything that was refused: statements, requests, sign-ins.';

CREATE OR REPLACE VIEW weir.approvals {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    q.ts AS requested,
    JSONExtractString(q.canonical, 'body', 'id') AS approval,
    q.session AS session,
    q.target AS target,
    q.subject AS requester,
    JSONExtractString(q.canonical, 'body', 'operation', 'text') AS text,
    arrayMap(n -> JSONExtractString(n, 'rule'), JSONExtractArrayRaw(q.canonical, 'body', 'needs')) AS rules,
    if(d.session = '', 'pending', JSONExtractString(d.canonical, 'body', 'state')) AS state,
    if(d.session = '', NULL, d.ts) AS resolved,
    arrayMap(v -> JSONExtractString(v, 'approver', 'subject'), JSONExtractArrayRaw(d.canonical, 'body', 'votes')) AS voters,
    arrayMap(v -> JSONExtractString(v, 'reason'), JSONExtractArrayRaw(d.canonical, 'body', 'votes')) AS reasons,
    JSONExtractString(q.canonical, 'body', 'content_hash') AS content_hash
FROM (SELECT * FROM weir.events WHERE kind = 'approval.requested' LIMIT 1 BY event_id) AS q
LEFT JOIN (SELECT *, JSONExtractString(canonical, 'body', 'approval') AS approval FROM weir.events WHERE kind = 'approval.resolved' LIMIT 1 BY event_id) AS d
    ON JSONExtractString(q.canonical, 'body', 'id') = d.approval
COMMENT 'Held operations: who asked, who decided, why.';

CREATE OR REPLACE VIEW weir.masked_reads {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT ts, session, operation, target, subject, text, masked.1 AS class, masked.2 AS hidden
FROM (SELECT ts, session, operation, target, subject, text, arrayJoin(CAST(masked, 'Array(Tuple(String, UInt64))')) AS masked FROM weir.operations)
COMMENT 'Which classes of values were hidden from whom, and how many.';

CREATE OR REPLACE VIEW weir.column_access {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT
    ts, session, operation, target, subject,
    JSONExtractString(c, 'schema') AS schema, JSONExtractString(c, 'table') AS table, JSONExtractString(c, 'name') AS column,
    JSONExtract(c, 'classes', 'Array(String)') AS classes, JSONExtractString(c, 'use') AS use,
    JSONExtractString(canonical, 'body', 'decision', 'effect') AS effect,
    toBool(arrayExists(k -> has(arrayMap(m -> JSONExtractString(m, 'class'), JSONExtractArrayRaw(canonical, 'body', 'decision', 'mask')), k), classes)) AS masked
FROM (
    SELECT *, arrayJoin(JSONExtractArrayRaw(canonical, 'body', 'operation', 'columns')) AS c
    FROM (SELECT * FROM weir.events WHERE kind = 'operation.requested' LIMIT 1 BY event_id)
)
COMMENT 'Who accessed which column, how, and whether policy had it masked.';

CREATE OR REPLACE VIEW weir.policy_changes {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT ts, kind, writer,
    JSONExtractString(canonical, 'body', 'revision') AS revision,
    JSONExtractString(canonical, 'body', 'previous') AS previous,
    JSONExtract(canonical, 'body', 'added', 'Array(String)') AS added,
    JSONExtract(canonical, 'body', 'changed', 'Array(String)') AS changed,
    JSONExtract(canonical, 'body', 'removed', 'Array(String)') AS removed
FROM (SELECT * FROM weir.events WHERE kind IN ('policy.activated', 'config.activated') LIMIT 1 BY event_id)
COMMENT 'Which rules and configuration were in force from when.';

CREATE OR REPLACE VIEW weir.gaps {{.Cluster}} DEFINER = CURRENT_USER SQL SECURITY DEFINER AS
SELECT writer, min(seq) AS first, max(seq) AS last, uniqExact(seq) AS kept, last - kept AS missing, min(ts) AS began, max(ts) AS ended
FROM weir.events GROUP BY writer HAVING missing > 0
COMMENT 'Writers whose numbers are not complete. Nothing here is as it should be, but for the last seconds.';

-- +goose Down
DROP VIEW weir.gaps;
DROP VIEW weir.policy_changes;
DROP VIEW weir.column_access;
DROP VIEW weir.masked_reads;
DROP VIEW weir.approvals;
DROP VIEW weir.denials;
DROP VIEW weir.operations;
DROP VIEW weir.sessions;
DROP VIEW weir.all_events;
