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
INSERT INTO boxes (list[length(set_config('weir.subject', 'mallory', false))]) VALUES (1)
INSERT INTO boxes (list[(SELECT 1 FROM (SELECT set_config('weir.subject', 'mallory', false)) s)]) VALUES (1)
MERGE INTO boxes USING (VALUES (1)) v(n) ON false WHEN NOT MATCHED THEN INSERT (list[length(set_config('weir.subject', 'mallory', false))]) VALUES (1)
INSERT INTO boxes (list) VALUES ('{1}') RETURNING list[length(set_config('weir.subject', 'mallory', false))]
UPDATE boxes SET list[length(set_config('weir.subject', 'mallory', false))] = 1
SELECT set_config('\x776569722e7375626a656374'::bytea::text, 'mallory', false)
SELECT set_config('1259'::regclass::text, 'mallory', false)
SELECT set_config('work_mem'::regclass::text, 'mallory', false)
SELECT set_config('my.x', 'weir.subject', false), set_config(name, 'mallory', false) FROM (SELECT current_setting('my.x') AS name) s WHERE name = 'work_mem'
SELECT (SELECT 1 FROM set_config(name, 'mallory', false) s(x), (VALUES ('work_mem')) w(name) WHERE name = 'work_mem') FROM (VALUES ('weir.subject')) v(name)
WITH u AS (UPDATE notes SET body = 'weir.subject' WHERE body = 'work_mem' RETURNING set_config(body, 'mallory', false)) SELECT * FROM u
SELECT set_config(name, 'mallory', false) FROM (VALUES ('weir.subject'), ('work_mem')) v(name) WHERE name = 'work_mem' OR true
SELECT set_config(name, 'mallory', false) FROM (VALUES ('weir.subject')) v(name) WHERE name OPERATOR(pg_catalog.<>) 'work_mem'
CREATE TEMP VIEW pg_settings AS SELECT current_setting('my.x') AS name
CREATE VIEW pg_settings AS SELECT current_setting('my.x') AS name
CREATE TABLE pg_settings (name text, setting text)
ALTER VIEW mine RENAME TO pg_settings
ALTER TABLE mine RENAME TO pg_settings
CREATE TABLE elsewhere.pg_settings AS SELECT 1 AS name
SELECT current_setting('my.x') AS name INTO TEMP pg_settings
ALTER TABLE boxes RENAME TO pg_settings
SET "weir.subject" = 'mallory'
SET SESSION "WEIR"."SUBJECT" TO mallory
SET U&"w\0065ir"."subject" = 'mallory'
SET weir . subject = 'mallory'
SET weir.subject FROM CURRENT
SET weir.subject.x = 'mallory'
SELECT set_config(U&'w\0065ir.subject', 'mallory', false)
SELECT set_config(E'weir\x2esubject', 'mallory', false)
SELECT set_config($$weir.subject$$, 'mallory', false)
SELECT "pg_catalog"."set_config"('weir.subject'::name, 'mallory', false)
SELECT shop.pg_catalog.set_config('weir.subject', 'mallory', false)
VALUES (set_config('weir.subject', 'mallory', false))
TABLE ledger LIMIT length(set_config('weir.subject', 'mallory', false))
SELECT 1 OFFSET length(set_config('weir.subject', 'mallory', false))
SELECT 1 FROM ledger ORDER BY set_config('weir.subject', 'mallory', false)
SELECT count(*) FROM ledger GROUP BY set_config('weir.subject', 'mallory', false)
SELECT count(*) FROM ledger HAVING set_config('weir.subject', 'mallory', false) <> ''
SELECT count(*) FILTER (WHERE set_config('weir.subject', 'mallory', false) <> '') FROM ledger
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY set_config('weir.subject', 'mallory', false)) FROM ledger
SELECT sum(amount) OVER (PARTITION BY set_config('weir.subject', 'mallory', false)) FROM ledger
SELECT sum(amount) OVER w FROM ledger WINDOW w AS (ORDER BY set_config('weir.subject', 'mallory', false))
SELECT sum(amount) OVER (ROWS length(set_config('weir.subject', 'mallory', false)) PRECEDING) FROM ledger
SELECT * FROM ledger TABLESAMPLE system (length(set_config('weir.subject', 'mallory', false)))
SELECT * FROM ledger TABLESAMPLE system (100) REPEATABLE (length(set_config('weir.subject', 'mallory', false)))
SELECT * FROM ROWS FROM (set_config('weir.subject', 'mallory', false), generate_series(1, 2))
SELECT * FROM ledger JOIN notes ON set_config('weir.subject', 'mallory', false) <> ''
SELECT CASE WHEN true THEN set_config('weir.subject', 'mallory', false) END
SELECT coalesce(set_config('weir.subject', 'mallory', false), '')
SELECT ARRAY[set_config('weir.subject', 'mallory', false)]
SELECT ARRAY(SELECT set_config('weir.subject', 'mallory', false))
SELECT ROW(set_config('weir.subject', 'mallory', false))
SELECT (ARRAY[1])[length(set_config('weir.subject', 'mallory', false))]
SELECT 'a' IN (set_config('weir.subject', 'mallory', false))
SELECT 'a' LIKE 'a' ESCAPE set_config('weir.subject', 'm', false)
SELECT now() AT TIME ZONE set_config('weir.subject', 'utc', false)
SELECT xmlelement(name a, set_config('weir.subject', 'mallory', false))
SELECT xmlforest(set_config('weir.subject', 'mallory', false) AS a)
SELECT xmlserialize(content xmlelement(name a, set_config('weir.subject', 'mallory', false)) AS text)
SELECT * FROM xmltable('/a' PASSING '<a/>' COLUMNS b text DEFAULT set_config('weir.subject', 'mallory', false))
SELECT json_object('a': set_config('weir.subject', 'mallory', false))
SELECT json_array(SELECT set_config('weir.subject', 'mallory', false))
SELECT json_value('{}'::jsonb, '$.a' DEFAULT set_config('weir.subject', 'mallory', false) ON EMPTY)
SELECT json_query('{}'::jsonb, '$.a' PASSING set_config('weir.subject', 'mallory', false) AS x)
SELECT json_objectagg('a': set_config('weir.subject', 'mallory', false)) FROM ledger
SELECT * FROM json_table('[1]'::jsonb, '$[*]' PASSING set_config('weir.subject', 'mallory', false) AS x COLUMNS (b text PATH '$.b'))
SELECT * FROM json_table('[1]'::jsonb, '$[*]' COLUMNS (b text PATH '$.b' DEFAULT set_config('weir.subject', 'mallory', false) ON EMPTY))
INSERT INTO notes (id, body) VALUES (1, '') ON CONFLICT (id) DO UPDATE SET body = set_config('weir.subject', 'mallory', false)
INSERT INTO notes (id, body) VALUES (1, '') ON CONFLICT (id) DO UPDATE SET body = '' WHERE set_config('weir.subject', 'mallory', false) <> ''
UPDATE notes SET (body) = ROW (set_config('weir.subject', 'mallory', false))
DELETE FROM notes USING ledger WHERE set_config('weir.subject', 'mallory', false) <> ''
DELETE FROM notes RETURNING set_config('weir.subject', 'mallory', false)
MERGE INTO notes USING ledger ON true WHEN MATCHED AND set_config('weir.subject', 'mallory', false) <> '' THEN DELETE
MERGE INTO notes USING ledger ON true WHEN MATCHED THEN DELETE RETURNING set_config('weir.subject', 'mallory', false)
WITH RECURSIVE r(n) AS (SELECT set_config('weir.subject', 'mallory', false) UNION ALL SELECT n FROM r WHERE false) SELECT * FROM r
EXPLAIN (ANALYZE, COSTS off) SELECT set_config('weir.subject', 'mallory', false)
COPY notes (body) FROM STDIN WHERE set_config('weir.subject', 'mallory', false) <> ''
EXECUTE said(set_config('weir.subject', 'mallory', false))
EXPLAIN EXECUTE said(set_config('weir.subject', 'mallory', false))
CREATE TABLE made AS EXECUTE said(set_config('weir.subject', 'mallory', false))
CREATE TABLE made (a text GENERATED ALWAYS AS (set_config('weir.subject', 'mallory', false)) STORED)
CREATE TABLE made (a text CHECK (set_config('weir.subject', a, false) <> ''))
CREATE TABLE made PARTITION OF parted FOR VALUES IN (set_config('weir.subject', 'mallory', false))
CREATE SCHEMA made CREATE VIEW v AS SELECT set_config('weir.subject', 'mallory', false)
CREATE MATERIALIZED VIEW made AS SELECT set_config('weir.subject', 'mallory', false)
CREATE RECURSIVE VIEW made (n) AS SELECT set_config('weir.subject', 'mallory', false)
CREATE INDEX ON notes (set_config('weir.subject', body, false))
CREATE INDEX ON notes (body) WHERE set_config('weir.subject', body, false) <> ''
CREATE STATISTICS made ON (set_config('weir.subject', body, false)), id FROM notes
CREATE TRIGGER made BEFORE UPDATE ON notes FOR EACH ROW WHEN (set_config('weir.subject', NEW.body, false) <> '') EXECUTE FUNCTION suppress_redundant_updates_trigger()
CREATE RULE made AS ON UPDATE TO notes DO ALSO SELECT set_config('weir.subject', 'mallory', false)
CREATE RULE made AS ON UPDATE TO notes DO ALSO UPDATE pg_settings SET setting = 'mallory' WHERE name = 'weir.subject'
CREATE POLICY made ON notes USING (set_config('weir.subject', 'mallory', false) <> '')
CREATE CAST (text AS notes) WITH FUNCTION run(text)
CREATE EVENT TRIGGER made ON ddl_command_start EXECUTE FUNCTION run()
CREATE EXTENSION plpgsql
CREATE PUBLICATION made FOR TABLE notes WHERE (set_config('weir.subject', 'mallory', false) <> '')
ALTER TABLE notes ADD COLUMN made text DEFAULT set_config('weir.subject', 'mallory', false)
ALTER TABLE notes ALTER COLUMN body SET DEFAULT set_config('weir.subject', 'mallory', false)
ALTER TABLE notes ALTER COLUMN body TYPE text USING set_config('weir.subject', 'mallory', false)
ALTER TABLE notes ADD CHECK (set_config('weir.subject', 'mallory', false) <> '')
ALTER DOMAIN short ADD CHECK (set_config('weir.subject', VALUE, false) <> '')
ALTER DOMAIN short SET DEFAULT set_config('weir.subject', 'mallory', false)
ALTER POLICY own ON ledger USING (set_config('weir.subject', 'mallory', false) <> '')
ALTER FUNCTION run(text) SET weir.subject = 'mallory'
ALTER FUNCTION run(text) SET weir.subject FROM CURRENT
ALTER SYSTEM SET weir.subject = 'mallory'
ALTER ROLE ALL SET weir.subject TO 'mallory'
ALTER USER weir_orders SET weir.subject TO 'mallory'
UPDATE ONLY pg_catalog."pg_settings" AS s SET setting = 'mallory' WHERE s.name = 'weir.subject'
UPDATE my_settings SET setting = 'mallory' WHERE name = 'weir.subject'
UPDATE over_settings SET setting = 'mallory' WHERE name = 'weir.subject'
MERGE INTO pg_settings USING (VALUES (1)) v(n) ON name = 'weir.subject' WHEN MATCHED THEN UPDATE SET setting = 'mallory'
CALL made('mallory')
SELECT run('RESET weir.subject') WHERE false
SELECT * FROM ledger WHERE owner OPERATOR(public.=) 'mallory'
SELECT database_to_xml(true, true, '')
SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, set_config(''weir.subject'', ''mallory'', false)::tsquery')
CREATE TYPE made AS RANGE (subtype = text, subtype_diff = difference)
CREATE SERVER made FOREIGN DATA WRAPPER postgres_fdw OPTIONS (options '-c weir.subject=mallory')
ALTER SERVER loop OPTIONS (SET options '-c weir.subject=mallory')
CREATE USER MAPPING FOR CURRENT_USER SERVER loop OPTIONS (user 'weir_orders', password 'guessed')
CREATE FOREIGN TABLE made (owner text) SERVER loop OPTIONS (table_name 'ledger')
IMPORT FOREIGN SCHEMA public FROM SERVER loop INTO elsewhere
CREATE SUBSCRIPTION made CONNECTION 'options=''-c weir.subject=mallory''' PUBLICATION p
