-- Lists what pg_catalog has by way of functions: "name", "name=a,b" for one that
-- returns a row of these columns, "name=?" for one whose row is given by its
-- caller; "*" after the name marks one that takes a row as its only argument, "+"
-- one that returns a set.
-- Types are listed too: type(x) is a cast. builtins.txt is its output.
WITH p AS (
  SELECT proname AS name, prorettype = 'record'::regtype AS record, proretset AS set,
         coalesce(pronargs >= 1 AND pronargs - pronargdefaults <= 1 AND proargtypes[0] = ANY (
           ARRAY['"any"', 'anyelement', 'anynonarray', 'anycompatible', 'anycompatiblenonarray', 'record']::regtype[]::oid[]), false) AS row,
         (SELECT string_agg(coalesce(n, ''), ',' ORDER BY o)
            FROM unnest(proargmodes, proargnames) WITH ORDINALITY AS u (m, n, o) WHERE m IN ('o', 'b', 't')) AS outs
    FROM pg_proc
   WHERE pronamespace = 'pg_catalog'::regnamespace AND oid < 16384 AND (proname <> 'unnest' OR proargmodes IS NULL)
), f AS (
  SELECT name, max(outs) AS outs, bool_or(record) AS record, bool_or("row") AS row, bool_or(set) AS set FROM p GROUP BY name
)
SELECT name || CASE WHEN "row" THEN '*' ELSE '' END || CASE WHEN set THEN '+' ELSE '' END ||
       CASE WHEN outs IS NOT NULL THEN '=' || outs WHEN record AND name LIKE 'json%' THEN '=?' ELSE '' END
  FROM (SELECT name, outs, record, "row", set FROM f
        UNION SELECT typname, NULL, false, false, false FROM pg_type
               WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typelem = 0 AND typrelid = 0
                 AND typname NOT IN (SELECT name FROM f)) AS u
 ORDER BY name COLLATE "C";
