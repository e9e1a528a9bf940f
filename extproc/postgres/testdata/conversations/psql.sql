SELECT 1 AS a; SELECT nosuch;
SELECT $1::int + $2::int \bind 1 2 \g
SELECT $1::text \parse named
\bind_named named 'x' \g
\close_prepared named
BEGIN; SELECT 1/0; SELECT 'aborted'; ROLLBACK;
SELECT 1\; SELECT 2;
CREATE TEMP TABLE t (id int, v text);
\copy t FROM STDIN
1	one
2	two
\.
\copy t TO STDOUT WITH (FORMAT csv)
\startpipeline
SELECT $1 \bind a \sendpipeline
SELECT 1/0 \bind \sendpipeline
SELECT 'skipped' \bind \sendpipeline
\syncpipeline
SELECT $1 \bind b \sendpipeline
\endpipeline
\set FETCH_COUNT 2
SELECT generate_series(1, 5);
\d t
