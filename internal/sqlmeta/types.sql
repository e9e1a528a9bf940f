-- Lists the server's own types: name, OID, OID of its array type. types.txt is
-- its output.
SELECT typname, oid, typarray FROM pg_type
 WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typarray <> 0 AND oid < 10000
 ORDER BY typname COLLATE "C";
