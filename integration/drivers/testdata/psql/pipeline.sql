-- The pipelines of psql 18.
\set VERBOSITY verbose
\startpipeline
SELECT $1::int AS a \bind 1 \sendpipeline
SELECT $1::int AS b \bind 2 \sendpipeline
\flushrequest
\getresults
SELECT 'c' \bind \sendpipeline
\syncpipeline
SELECT 1/0 \bind \sendpipeline
SELECT 'skipped' \bind \sendpipeline
\syncpipeline
SELECT 'after' \bind \sendpipeline
\endpipeline
\echo :PIPELINE_SYNC_COUNT :PIPELINE_COMMAND_COUNT :PIPELINE_RESULT_COUNT
\startpipeline
CREATE TABLE pipe (id int) \bind \sendpipeline
INSERT INTO pipe SELECT generate_series(1, 3) \bind \sendpipeline
SELECT count(*) FROM pipe \bind \sendpipeline
\endpipeline
\startpipeline
INSERT INTO pipe VALUES (4) \bind \sendpipeline
SELECT nosuch FROM pipe \bind \sendpipeline
\endpipeline
SELECT count(*) FROM pipe;
\startpipeline
SELECT $1 AS prepared \parse pp
\bind_named pp 'one' \sendpipeline
\bind_named pp 'two' \sendpipeline
\close_prepared pp
\bind_named pp 'gone' \sendpipeline
\endpipeline
\startpipeline
BEGIN \bind \sendpipeline
INSERT INTO pipe VALUES (5) \bind \sendpipeline
\syncpipeline
SELECT 1/0 \bind \sendpipeline
\syncpipeline
SELECT 'in a failed transaction' \bind \sendpipeline
\syncpipeline
ROLLBACK \bind \sendpipeline
\endpipeline
SELECT count(*) FROM pipe;
