-- psql's own commands that talk to the server.
\set VERBOSITY verbose
\set ON_ERROR_ROLLBACK off
SELECT 1 AS one, 'two' AS two, NULL AS three \gdesc
SELECT $1::int + $2 AS sum \bind 1 2 \g
SELECT $1::text AS named, $2::jsonb \parse stmt
\bind_named stmt 'a' '{"b": [1, 2]}' \g
\bind_named stmt 'c' NULL \gx
\close_prepared stmt
\bind_named stmt 'c' NULL \g
SELECT n % 3 AS r, n % 2 AS c, count(*) FROM generate_series(1, 12) n GROUP BY 1, 2 ORDER BY 1, 2 \crosstabview
SELECT 'CREATE TABLE made_' || n || ' (x int)' FROM generate_series(1, 3) n \gexec
\dt made_*
SELECT 'value' AS one, 42 AS two \gset got_
\echo :got_one :got_two :'got_one' :"got_one" :ROW_COUNT :SQLSTATE :ERROR
SELECT :got_two + 1, :'got_one';
SELECT 1/0;
\echo :ERROR :SQLSTATE :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE
\errverbose
SELEC 1;
SELECT nosuch FROM pg_class;
SELECT 1 AS "a b"; SELECT 2; SELECT 3
;
SELECT 1\; SELECT 2 AS two\; SELECT 3 AS three;
SELECT 1\; SELECT 1/0\; SELECT 3;
BEGIN;
CREATE TABLE t (id int PRIMARY KEY, v text);
INSERT INTO t VALUES (1, 'one') RETURNING *;
SAVEPOINT s;
INSERT INTO t VALUES (1, 'again');
SELECT 1;
ROLLBACK TO s;
SELECT * FROM t;
COMMIT AND CHAIN;
DELETE FROM t;
ROLLBACK;
TABLE t;
\set ON_ERROR_ROLLBACK on
BEGIN;
SELECT 1/0;
SELECT 'still here';
COMMIT;
\set AUTOCOMMIT off
INSERT INTO t VALUES (2, 'two');
\echo :AUTOCOMMIT
ROLLBACK;
\set AUTOCOMMIT on
\copy t FROM STDIN
3	three
4	\N
5	back\\slash\ttab
\.
\copy t TO STDOUT
\copy (SELECT * FROM t ORDER BY id DESC) TO STDOUT WITH (FORMAT csv, HEADER, NULL 'none')
COPY t FROM STDIN WITH (FORMAT csv);
6,"six, ""quoted"""
not a number,7
\.
COPY t TO STDOUT WITH (FORMAT text, DELIMITER '|');
COPY t FROM STDIN;
1	again
\.
COPY nosuch FROM STDIN;
ignored
\.
SELECT count(*) FROM t;
\copy t FROM PROGRAM 'echo 8,eight' WITH (FORMAT csv)
DO $$ BEGIN RAISE DEBUG 'unseen'; RAISE NOTICE 'a notice'; RAISE WARNING 'a warning' USING HINT = 'a hint', DETAIL = 'a detail', ERRCODE = '01234'; END $$;
DO $$ BEGIN RAISE EXCEPTION 'own' USING ERRCODE = 'P0W31', DETAIL = 'd', HINT = 'h', COLUMN = 'c', CONSTRAINT = 'k', DATATYPE = 'dt', TABLE = 'tb', SCHEMA = 'sc'; END $$;
LISTEN channel;
NOTIFY channel, 'payload';
SELECT pg_notify('channel', 'from a function');
UNLISTEN *;
PREPARE p(int) AS SELECT $1 * 2 AS double;
EXECUTE p(21);
EXECUTE p('x');
DEALLOCATE p;
EXECUTE p(1);
SET statement_timeout = '50ms';
SELECT pg_sleep(10);
RESET statement_timeout;
SET search_path = pg_catalog;
SHOW search_path;
\dt pg_class
RESET search_path;
SET client_encoding = 'LATIN1';
SELECT 'caf' || chr(233) = 'x';
RESET client_encoding;
SET DateStyle = 'SQL, DMY';
SELECT date '2020-12-31', timestamptz '2020-12-31 23:59:59+00';
SET TimeZone = 'America/New_York';
SELECT timestamptz '2020-12-31 23:59:59+00';
RESET ALL;
\x on
SELECT * FROM t ORDER BY id LIMIT 2;
\x off
\pset format csv
SELECT * FROM t ORDER BY id;
\pset format aligned
\set FETCH_COUNT 2
SELECT * FROM generate_series(1, 7) n;
SELECT n, 10 / (5 - n) FROM generate_series(1, 7) n;
\unset FETCH_COUNT
CREATE TEMP TABLE fleeting AS SELECT 1 AS x;
SELECT * FROM fleeting;
\d fleeting
DISCARD ALL;
SELECT * FROM fleeting;
BEGIN; DECLARE c SCROLL CURSOR FOR SELECT generate_series(1, 5); FETCH 2 FROM c; FETCH BACKWARD 1 FROM c; MOVE 2 IN c; FETCH ALL FROM c; CLOSE c; FETCH c; COMMIT;
EXPLAIN (COSTS off) SELECT * FROM t WHERE id = 1;
BEGIN; PREPARE TRANSACTION 'two'; COMMIT PREPARED 'two'; ROLLBACK PREPARED 'two';
\lo_import /dev/null
SELECT lo_from_bytea(4711, '\x0102030405');
\lo_export 4711 /dev/stdout
SELECT lo_get(4711), lo_put(4711, 2, '\xff'), lo_get(4711, 1, 3);
\lo_list
\lo_unlink 4711
\if :{?PIPELINE_SYNC_COUNT}
SELECT 1 \watch c=2 i=0.01
\endif
\timing off
\password nosuchrole
\if :ERROR
\echo failed
\endif
VACUUM t;
BEGIN; VACUUM t; COMMIT;
;

SELECT U&'d\0061t\+000061' AS "ünïcode ✓", E'tab\there', $tag$dollar $$ quoted$tag$;
