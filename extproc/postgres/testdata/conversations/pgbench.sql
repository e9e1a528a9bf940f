\set x random(1, 100)
BEGIN;
SELECT :x + 1;
COMMIT;
\startpipeline
SELECT :x;
SELECT 2;
\endpipeline
