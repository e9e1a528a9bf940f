package drivers

import "strings"

// schema is what the scripts of the Go drivers work on.
const schema = `
SET ROLE weir_shop;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, m mood, d positive, CONSTRAINT long_enough CHECK (length(name) > 1));
CREATE TABLE visits (id int REFERENCES people, note text UNIQUE);
INSERT INTO people SELECT i, 'name ' || i, 'ok', i FROM generate_series(1, 500) i;
CREATE FUNCTION shout(t text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'shouting %', t USING HINT = 'softer'; RETURN upper(t); END $$;
CREATE FUNCTION fails() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'own error' USING ERRCODE = 'P0W31', DETAIL = 'a detail', HINT = 'a hint', COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 'dt', TABLE = 'tb', SCHEMA = 'sc'; END $$;
CREATE PROCEDURE both_ways(INOUT x int) LANGUAGE plpgsql AS $$ BEGIN x := x + 1; COMMIT; END $$;
CREATE TABLE "Odd Näme ""quoted""" ("select" int, "Ünï" text);
`

// values are expressions of every builtin type, its extremes and NULL.
var values = strings.Split(strings.TrimSpace(`
NULL::int
true
'f'::bool
'-32768'::int2
2147483647
'-9223372036854775808'::int8
1.5::float4
'NaN'::float8
'-Infinity'::float8
1e308::float8
'NaN'::numeric
'Infinity'::numeric
123456789012345678901234567890.123456789012345678901234567890
-0.000000000000000000000000000001
0::numeric(10,4)
'12.34'::money
'text ünïcode ✓ 😀'
''
'x'::char(5)
'y'::varchar(3)
'z'::"char"
'name'::name
'\x00ff10'::bytea
''::bytea
'0001-01-01'::date
'5874897-12-31'::date
'infinity'::date
'4713-01-01 BC'::date
'00:00:00'::time
'24:00:00'::time
'12:34:56.789012+05:30'::timetz
'2020-02-29 23:59:59.999999'::timestamp
'-infinity'::timestamp
'2020-06-01 12:00:00+02'::timestamptz
'infinity'::timestamptz
'1 year 2 months 3 days 04:05:06.789'::interval
'-178000000 years'::interval
'550e8400-e29b-41d4-a716-446655440000'::uuid
'{"a": [1, 2.50, null], "b": "ü"}'::json
'{"b": 1, "a": {"c": []}}'::jsonb
'null'::jsonb
'$.a[*] ? (@ > 1)'::jsonpath
'<a>b</a>'::xml
'192.168.0.1/24'::inet
'::1'::inet
'10.0.0.0/8'::cidr
'08:00:2b:01:02:03'::macaddr
'08:00:2b:01:02:03:04:05'::macaddr8
B'10101'
B'1'::varbit
'(1,2)'::point
'{1,2,3}'::line
'[(1,2),(3,4)]'::lseg
'((3,4),(1,2))'::box
'[(1,2),(3,4)]'::path
'((1,2),(3,4),(5,6))'::polygon
'<(1,2),3>'::circle
'a fat cat'::tsvector
'fat & (cat | rat)'::tsquery
'{1,2,NULL}'::int[]
'{}'::text[]
'{{1,2},{3,4}}'::int[]
'[2:3]={a,b}'::text[]
ARRAY['a,b', 'c"d', 'e\f', NULL, 'NULL']
'[1,10)'::int4range
'empty'::int4range
'(,5]'::numrange
'[2020-01-01,2020-12-31]'::daterange
'{[1,3),[5,7)}'::int4multirange
'happy'::mood
ROW(1, 'x')::pair
ROW(1, NULL, 'three')
'{happy,NULL}'::mood[]
ARRAY[ROW(1,'x')::pair, NULL]
5::positive
'pg_class'::regclass
'now()'::regprocedure
'int4'::regtype
'1/ABCDEF'::pg_lsn
'10:20:10,14'::pg_snapshot
'(0,1)'::tid
'1 2 3'::int2vector
'1 2'::oidvector
1234::oid
acldefault('r', 10)
'a'::text COLLATE "C"
repeat('large ', 1000)
`), "\n")

// statements are run in order, one at a time, whatever each answers.
var statements = strings.Split(strings.TrimSpace(`
SELECT 1 AS a, 'b' AS b, NULL AS c
SELECT generate_series(1, 5) AS n
SELECT WHERE false

-- only a comment
SELECT 1/0
SELECT nosuch FROM people
SELECT * FROM nosuch
SELECT nosuch(1)
SELEC 1
SELECT 'not a number'::int
INSERT INTO people VALUES (1, 'again')
INSERT INTO people VALUES (1001, 'x')
INSERT INTO people VALUES (1001, NULL)
INSERT INTO people VALUES (1001, 'neg', 'ok', -1)
INSERT INTO people VALUES (1001, 'enum', 'bad')
INSERT INTO visits VALUES (9999, 'x')
INSERT INTO visits VALUES (1, 'x') RETURNING id, note
INSERT INTO visits VALUES (2, 'x')
INSERT INTO visits VALUES (2, 'x') ON CONFLICT (note) DO UPDATE SET note = excluded.note || '!' RETURNING *
UPDATE people SET name = upper(name) WHERE id < 4 RETURNING id, name
DELETE FROM visits
MERGE INTO visits v USING people p ON v.id = p.id WHEN NOT MATCHED AND p.id < 3 THEN INSERT VALUES (p.id, p.name)
SELECT shout('hey')
SELECT fails()
DO $$ BEGIN RAISE WARNING 'careful'; PERFORM 1; END $$
CALL both_ways(41)
SHOW server_version
SHOW search_path
SET application_name = 'a script'
SHOW application_name
SET search_path = public, pg_temp
SET nosuch.setting = 'x'
SHOW nosuch.setting
SET work_mem = 'lots'
SELECT current_user, session_user, current_database(), inet_client_addr() IS NOT NULL
SELECT count(*) FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl
CREATE TEMP TABLE fleeting (x int) ON COMMIT PRESERVE ROWS
INSERT INTO fleeting SELECT generate_series(1, 3)
SELECT sum(x) FROM fleeting
DROP TABLE fleeting
SELECT * FROM fleeting
CREATE TABLE made AS SELECT 1 AS one
ALTER TABLE made ADD COLUMN two text DEFAULT 'x'
SELECT * FROM made
DROP TABLE made
BEGIN
SAVEPOINT s
SELECT 1/0
SELECT 1
ROLLBACK TO s
SELECT 2
COMMIT
COMMIT
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY
INSERT INTO visits VALUES (3, 'read only')
ROLLBACK
DECLARE c CURSOR FOR SELECT 1
BEGIN
DECLARE c SCROLL CURSOR FOR SELECT generate_series(1, 5) AS n
FETCH 2 FROM c
FETCH BACKWARD 1 FROM c
MOVE 2 IN c
FETCH ALL FROM c
CLOSE c
FETCH c
ROLLBACK
PREPARE p(int, text) AS SELECT $1 + 1 AS n, $2 AS t
EXECUTE p(1, 'x')
EXECUTE p('a', 'x')
DEALLOCATE p
EXECUTE p(1, 'x')
BEGIN
INSERT INTO visits VALUES (4, 'two-phase')
PREPARE TRANSACTION 'script'
ROLLBACK PREPARED 'script'
ROLLBACK PREPARED 'script'
LISTEN channel
NOTIFY channel, 'payload'
UNLISTEN *
SELECT lo_from_bytea(4711, '\x010203'), lo_get(4711), lo_unlink(4711)
LOCK TABLE people
EXPLAIN (COSTS OFF) SELECT * FROM people WHERE id = 1
VACUUM people
GRANT SELECT ON people TO nobody_at_all
SET ROLE nobody_at_all
CREATE ROLE other
SELECT pg_read_file('/etc/passwd')
SELECT "select", "Ünï" FROM "Odd Näme ""quoted"""
WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT n, lag(n) OVER (ORDER BY n) FROM r
VALUES (1, 'a'), (2, NULL)
TABLE visits
SET LOCAL work_mem = '1MB'
SET statement_timeout = '30ms'
SELECT pg_sleep(10)
RESET statement_timeout
SET DateStyle = 'German'
SELECT date '2020-12-31'
RESET ALL
DISCARD ALL
`), "\n")
