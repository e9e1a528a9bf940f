-- Statements that are no queries, and the risks of each.

BEGIN

START TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY

COMMIT AND CHAIN

ROLLBACK TO SAVEPOINT a

SAVEPOINT a

PREPARE TRANSACTION 'x'

COMMIT PREPARED 'x'

SET TRANSACTION READ ONLY

SET application_name = 'x'

SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY

SET search_path TO evil, public

SET LOCAL "search_path" = 'evil'

SET NAMES 'SJIS'

SET standard_conforming_strings = off

SET row_security = off

SET session_replication_role = replica

SET ROLE admin

SET SESSION AUTHORIZATION postgres

RESET ROLE

RESET ALL

RESET search_path

SET TIME ZONE 'UTC'

SET log_statement = 'none'

SHOW ALL

SHOW server_version

DISCARD ALL

DISCARD TEMP

LISTEN a

UNLISTEN *

NOTIFY a, 'b'

LOCK TABLE customers IN EXCLUSIVE MODE

TRUNCATE customers, orders CASCADE

VACUUM customers

ANALYZE

CLUSTER customers USING customers_pkey

REINDEX TABLE customers

REFRESH MATERIALIZED VIEW mat

CHECKPOINT

LOAD 'plpgsql'

ALTER SYSTEM SET work_mem = '1MB'

GRANT SELECT ON customers TO public

GRANT admin TO bob

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM bob

ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO public

REASSIGN OWNED BY a TO b

CREATE ROLE bob LOGIN PASSWORD 'x'

ALTER ROLE bob SET search_path = evil

DROP ROLE bob

ALTER TABLE customers OWNER TO bob

ALTER TABLE customers ADD COLUMN x int DEFAULT leak(1)

ALTER TABLE customers RENAME COLUMN ssn TO harmless

ALTER TABLE customers RENAME TO other

ALTER TABLE customers ATTACH PARTITION orders DEFAULT

DROP TABLE IF EXISTS customers, nosuch CASCADE

DROP VIEW customer_names

DROP SCHEMA crm CASCADE

DROP FUNCTION leak

DROP TRIGGER t ON customers

CREATE TABLE new (id int PRIMARY KEY, c text REFERENCES customers (id))

CREATE TABLE IF NOT EXISTS customers (id int)

CREATE TEMP TABLE orders (id int)

CREATE TABLE copy (LIKE customers INCLUDING ALL)

CREATE TABLE child () INHERITS (people)

CREATE TEMP VIEW orders AS SELECT ssn AS note FROM customers

CREATE OR REPLACE VIEW customer_names AS SELECT id, ssn AS name FROM customers

CREATE RECURSIVE VIEW r (n) AS SELECT id FROM customers UNION ALL SELECT n + 1 FROM r WHERE n < 5

CREATE INDEX ON customers (upper(ssn)) WHERE leak(id) IS NOT NULL

CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ssn FROM customers'

CREATE FUNCTION f() RETURNS text BEGIN ATOMIC SELECT ssn FROM customers; END

CREATE TRIGGER t BEFORE UPDATE ON customers FOR EACH ROW EXECUTE FUNCTION f()

CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION f()

CREATE RULE r AS ON SELECT TO customer_names DO INSTEAD SELECT id, ssn AS name FROM customers

CREATE POLICY p ON customers USING (id IN (SELECT customer_id FROM orders))

CREATE EXTENSION dblink

CREATE SCHEMA s CREATE TABLE t (a int) CREATE VIEW v AS SELECT ssn FROM public.customers

CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'evil')

CREATE USER MAPPING FOR public SERVER s OPTIONS (password 'x')

CREATE FOREIGN TABLE ft (a int) SERVER s

IMPORT FOREIGN SCHEMA public FROM SERVER s INTO public

CREATE SUBSCRIPTION s CONNECTION 'host=evil' PUBLICATION p

CREATE PUBLICATION p FOR ALL TABLES

CREATE TABLESPACE t LOCATION '/tmp'

CREATE DATABASE d

CREATE TYPE t AS (a int)

CREATE DOMAIN d AS text CHECK (leak(1) = VALUE)

CREATE AGGREGATE a (text) (SFUNC = leak, STYPE = text)

CREATE OPERATOR === (FUNCTION = leak, LEFTARG = text)

CREATE CAST (text AS int) WITH FUNCTION leak(text)

CREATE SEQUENCE s

COMMENT ON TABLE customers IS 'x'

SECURITY LABEL ON TABLE customers IS 'x'

CREATE TABLE x AS EXECUTE p

EXPLAIN EXECUTE p

EXPLAIN (ANALYZE off) DELETE FROM customers

EXPLAIN ANALYZE CREATE TABLE x AS SELECT ssn FROM customers

DEALLOCATE p

DEALLOCATE ALL

CLOSE ALL

CLOSE c

DELETE FROM customers

DELETE FROM customers WHERE true

DELETE FROM customers WHERE 1 = 1

DELETE FROM customers WHERE EXISTS (SELECT 1 FROM orders)

DELETE FROM customers WHERE id = 1

DELETE FROM customers USING orders WHERE orders.id = 1

DELETE FROM customers WHERE CURRENT OF c

UPDATE customers SET name = 'x'

UPDATE customers SET name = 'x' WHERE id > 0

UPDATE customer_names SET name = 'x' WHERE id = 1

DELETE FROM customer_names WHERE id = 1

MERGE INTO customers USING orders ON true WHEN MATCHED THEN DELETE

INSERT INTO people DEFAULT VALUES

INSERT INTO events_a VALUES (1, 'a', 'p')

SELECT pg_sleep(1), pg_terminate_backend(1), pg_reload_conf(), pg_switch_wal()

SELECT * FROM pg_logical_slot_get_changes('s', NULL, NULL)

SELECT rolpassword FROM pg_authid

SELECT rolname FROM pg_roles

SELECT passwd FROM pg_shadow

SELECT data FROM pg_largeobject

SELECT * FROM pg_user_mapping

SELECT current_setting('my.x')

MOVE 1 IN c

ALTER TABLE customers RENAME ssn TO harmless

ALTER TABLE people RENAME TO harmless

ALTER TABLE people SET SCHEMA crm

ALTER TABLE events DETACH PARTITION events_a

ALTER TABLE employees NO INHERIT people

ALTER VIEW customer_names RENAME TO harmless

SELECT ssn OPERATOR(pg_catalog.=) 'x', 1 ### 2 FROM customers
