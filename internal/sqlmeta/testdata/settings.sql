-- Every way to change a setting. What each changes must be said, or that it is not
-- known.

UPDATE pg_settings SET setting = 'public' WHERE name = 'search_path'

UPDATE pg_catalog.pg_settings s SET setting = 'mallory' WHERE name = 'weir.subject'

WITH u AS (UPDATE pg_settings SET setting = 'x' RETURNING name) SELECT * FROM u

SELECT name FROM pg_settings

SET "Weir.Subject" = 'mallory'

SET LOCAL weir.subject TO DEFAULT

RESET weir.subject

SELECT set_config(new_value => 'mallory', setting_name => 'weir.subject', is_local => false)

SELECT set_config('weir.' || 'subject', 'mallory', false)

SELECT * FROM set_config('weir.subject', 'mallory', false)

SELECT set_config(name, 'mallory', false) FROM (VALUES ('weir.subject')) v(name) WHERE name LIKE 'weir.subject'

SELECT id FROM customers WHERE set_config('weir.subject', 'mallory', true) IS NOT NULL LIMIT length(set_config('role', 'x', true))

INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET id = length(set_config('weir.subject', 'mallory', false)) RETURNING set_config('a.b', 'c', false)

COPY (SELECT set_config('weir.subject', 'mallory', false)) TO STDOUT

CREATE TABLE t (a text DEFAULT set_config('weir.subject', 'mallory', false))

ALTER TABLE customers ALTER COLUMN name SET DEFAULT pg_catalog.set_config('weir.subject', 'mallory', false)

ALTER TABLE customers ALTER COLUMN name TYPE text USING set_config('weir.subject', name, false)

CREATE DOMAIN d AS text CHECK (set_config('weir.subject', VALUE, false) IS NOT NULL)

CREATE POLICY p ON customers USING (set_config('weir.subject', 'mallory', false) IS NOT NULL)

CREATE AGGREGATE a (text, boolean) (sfunc = set_config, stype = text, initcond = 'weir.subject')

CREATE VIEW v AS SELECT set_config('weir.subject', 'mallory', false)

CREATE VIEW v AS SELECT * FROM pg_settings

CREATE FUNCTION f() RETURNS int LANGUAGE sql SET weir.subject = 'mallory' AS 'SELECT 1'

ALTER FUNCTION f() SET weir.subject TO 'mallory'

ALTER ROLE weir_orders SET weir.subject = 'mallory'

ALTER ROLE weir_orders RESET ALL

ALTER DATABASE shop SET weir.subject = 'mallory'

ALTER SYSTEM SET weir.subject = 'mallory'

PREPARE p AS SELECT set_config($1, 'mallory', false)

EXPLAIN ANALYZE SELECT set_config('weir.subject', 'mallory', false)

SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY

RESET ALL

DISCARD ALL
