-- Each of these, on a line of its own, would tell the server of somebody else, or
-- might. None may run.
SET weir.subject = 'mallory'
SET LOCAL weir.subject = 'mallory'
SET "Weir.Subject" TO 'mallory'
SET "weir".subject TO 'mallory'
SET weir.roles = '["group:dba"]'
SET weir.anything = 'x'
RESET weir.subject
SET weir.subject TO DEFAULT
SET application_name = 'mallory'
SELECT set_config('weir.subject', 'mallory', false)
SELECT pg_catalog.set_config('WEIR.SUBJECT', 'mallory', true)
SELECT set_config('weir.' || 'subject', 'mallory', false)
SELECT set_config(new_value => 'mallory', setting_name => 'weir.subject', is_local => false)
SELECT * FROM set_config('weir.subject', 'mallory', false)
SELECT owner FROM ledger WHERE set_config('weir.subject', 'mallory', true) IS NOT NULL
SELECT set_config(n, 'mallory', false) FROM (VALUES ('weir.subject')) v(n)
SELECT set_config(name, 'mallory', false) FROM (VALUES ('weir.subject')) v(name) WHERE name <> 'search_path'
EXPLAIN ANALYZE SELECT set_config('weir.subject', 'mallory', false)
UPDATE pg_settings SET setting = 'mallory' WHERE name = 'weir.subject'
WITH u AS (UPDATE pg_settings SET setting = 'mallory' WHERE name = 'weir.subject' RETURNING 1) SELECT * FROM u
CREATE TEMP VIEW v AS SELECT * FROM pg_settings
CREATE VIEW v AS SELECT set_config('weir.subject', 'mallory', false)
PREPARE p AS SELECT set_config($1, $2, false)
PREPARE p AS UPDATE pg_settings SET setting = $1 WHERE name = $2
DECLARE c CURSOR WITH HOLD FOR SELECT set_config('weir.subject', 'mallory', false)
COPY (SELECT set_config('weir.subject', 'mallory', false)) TO STDOUT
INSERT INTO notes (body) VALUES (set_config('weir.subject', 'mallory', false))
CREATE TABLE t (a text DEFAULT set_config('weir.subject', 'mallory', false))
CREATE TEMP TABLE t AS SELECT set_config('weir.subject', 'mallory', false)
CREATE DOMAIN d AS text CHECK (set_config('weir.subject', VALUE, false) IS NOT NULL)
CREATE AGGREGATE a (text, boolean) (sfunc = set_config, stype = text, initcond = 'weir.subject')
CREATE FUNCTION f() RETURNS void LANGUAGE sql AS $$ SELECT set_config('weir.subject', 'mallory', false) $$
CREATE FUNCTION f() RETURNS text LANGUAGE sql SET weir.subject = 'mallory' AS $$ SELECT owner FROM ledger $$
CREATE PROCEDURE f() LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('weir.' || 'subject', 'mallory', false); END $$
CREATE OPERATOR = (leftarg = text, rightarg = text, function = textne)
DO $$ BEGIN PERFORM set_config('weir.' || 'subject', 'mallory', false); END $$
SELECT run('SET weir.subject = ''mallory''')
SELECT run($$ SELECT set_config('weir.subject', 'mallory', false) $$), owner FROM ledger
SELECT query_to_xml('SELECT set_config(''weir.subject'', ''mallory'', false)', true, true, '')
SELECT * FROM ts_stat('SELECT to_tsvector(set_config(''weir.subject'', ''mallory'', false))')
ALTER ROLE weir_orders SET weir.subject = 'mallory'
ALTER ROLE CURRENT_USER SET "weir.subject" TO 'mallory'
ALTER DATABASE shop SET weir.subject = 'mallory'
ALTER ROLE ALL IN DATABASE shop SET application_name = 'mallory'
SELECT 1; SET weir.subject = 'mallory'; SELECT owner FROM ledger
BEGIN; SET LOCAL weir.subject = 'mallory'; SELECT owner FROM ledger; COMMIT
