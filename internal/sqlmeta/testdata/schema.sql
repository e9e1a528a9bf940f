-- What the tests of analysis run against: a small shop with everything that
-- makes names and lineage hard.
CREATE SCHEMA crm;
CREATE SCHEMA evil;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TYPE address AS (street text, city text, zip varchar(10));
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');

CREATE TABLE customers (
  id integer PRIMARY KEY,
  name text NOT NULL,
  ssn varchar(11),
  card text,
  email email,
  home address,
  tags text[],
  doc jsonb,
  created timestamptz DEFAULT now()
);
CREATE TABLE orders (
  id integer PRIMARY KEY,
  customer_id bigint,
  total numeric(10,2),
  placed date,
  note text,
  name text
);
CREATE TABLE items (id int PRIMARY KEY, order_id int, sku varchar(20), qty int);
CREATE TABLE crm.customers (id integer, name text, phone text);
CREATE TABLE evil.orders (id integer, secret text);
CREATE TABLE "Weird Table" ("Ssn" text, "select" int, "a""b" text, ssn text);
CREATE TABLE gone (a int, b int, c text, d text);
ALTER TABLE gone DROP COLUMN b;
CREATE TABLE generated (id int, ssn text, upper_ssn text GENERATED ALWAYS AS (upper(ssn)) STORED, twice int GENERATED ALWAYS AS (id * 2) VIRTUAL);
CREATE TABLE empty ();

CREATE TABLE events (id int, kind text, payload text) PARTITION BY LIST (kind);
CREATE TABLE events_a PARTITION OF events FOR VALUES IN ('a');
CREATE TABLE events_b PARTITION OF events FOR VALUES IN ('b');
CREATE TABLE people (id int, ssn text);
CREATE TABLE employees (salary int) INHERITS (people);

CREATE VIEW customer_names AS SELECT id, name FROM customers;
CREATE VIEW masked AS SELECT c.id AS cid, c.ssn AS s, upper(c.ssn) AS us, count(*) AS n
  FROM customers c LEFT JOIN orders o ON o.customer_id = c.id GROUP BY c.id;
CREATE VIEW stacked AS SELECT * FROM masked WHERE n > 0;
CREATE VIEW unioned AS SELECT id, ssn FROM customers UNION ALL SELECT id, ssn FROM people;
CREATE VIEW recursive_view AS WITH RECURSIVE t(n, s) AS (SELECT id, ssn::text FROM customers UNION SELECT n + 1, s FROM t WHERE n < 3) SELECT n, s FROM t;
CREATE MATERIALIZED VIEW mat AS SELECT ssn, name FROM customers;
CREATE SEQUENCE seq;

CREATE FUNCTION leak(i int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ssn::text FROM customers WHERE id = i';
CREATE FUNCTION leaks() RETURNS TABLE (who text, what text) LANGUAGE sql STABLE AS 'SELECT name, ssn::text FROM customers';
CREATE FUNCTION all_customers() RETURNS SETOF customers LANGUAGE sql STABLE AS 'SELECT * FROM customers';
CREATE FUNCTION an_address() RETURNS address LANGUAGE sql IMMUTABLE AS $$SELECT ROW('a', 'b', 'c')::address$$;
CREATE FUNCTION out_one(OUT lone text) LANGUAGE sql AS $$SELECT 'x'::text$$;
CREATE FUNCTION full_name(c customers) RETURNS text LANGUAGE sql AS 'SELECT c.name || c.ssn';
CREATE FUNCTION evil.keep(s text, t text) RETURNS text LANGUAGE sql AS 'SELECT max(ssn) FROM customers';
CREATE AGGREGATE spy (text) (SFUNC = evil.keep, STYPE = text);
CREATE PROCEDURE doit(x int) LANGUAGE sql AS 'UPDATE orders SET total = 0 WHERE id = x';
CREATE FUNCTION evil.lower(t text) RETURNS text LANGUAGE sql AS 'SELECT t || max(ssn) FROM public.customers';

INSERT INTO customers VALUES (1, 'Ann', '123-45-6789', '4111111111111111', 'ann@example.com', ROW('Main', 'Rome', '1'), '{a,b}', '{"k": 1}');
INSERT INTO orders VALUES (1, 1, 9.99, '2026-01-01', 'n', 'first');

-- Functions whose bodies are looked into, and some that are not.
CREATE SCHEMA fn;
CREATE FUNCTION fn.atomic(i int) RETURNS text LANGUAGE sql STABLE BEGIN ATOMIC SELECT ssn FROM customers WHERE id = i; END;
CREATE FUNCTION fn.returned(t text) RETURNS text LANGUAGE sql IMMUTABLE RETURN upper(t);
CREATE FUNCTION fn.returned_row(c customers) RETURNS text LANGUAGE sql IMMUTABLE RETURN c.name || c.card;
CREATE FUNCTION fn.guess(text) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM public.customers WHERE ssn = $1';
CREATE FUNCTION fn.names() RETURNS SETOF text LANGUAGE sql STABLE AS 'SELECT name FROM public.customers';
CREATE FUNCTION fn.outs(i int, OUT who text, OUT what text) LANGUAGE sql STABLE AS 'SELECT name, ssn FROM public.customers WHERE id = outs.i';
CREATE FUNCTION fn.defaulted(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql AS 'SELECT a + b';
CREATE FUNCTION fn.variadic(VARIADIC a text[]) RETURNS text LANGUAGE sql AS $$SELECT array_to_string(a, ',')$$;
CREATE FUNCTION fn.same(a anyelement) RETURNS anyelement LANGUAGE sql AS 'SELECT a';
CREATE FUNCTION fn.elsewhere() RETURNS text LANGUAGE sql SET search_path = crm AS 'SELECT max(phone) FROM customers';
CREATE FUNCTION fn.here() RETURNS text LANGUAGE sql AS 'SELECT max(name) FROM customers';
CREATE FUNCTION fn.calls_here() RETURNS text LANGUAGE sql SET search_path = crm AS 'SELECT fn.here()';
CREATE FUNCTION fn.definer() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT max(name) FROM customers';
CREATE FUNCTION fn.writes() RETURNS int LANGUAGE sql AS 'UPDATE public.orders SET total = 0 RETURNING id';
CREATE FUNCTION fn.writes_within() RETURNS int LANGUAGE sql AS 'WITH w AS (DELETE FROM public.orders RETURNING id) SELECT id FROM w';
CREATE FUNCTION fn.two() RETURNS int LANGUAGE sql AS 'SELECT 1; SELECT 2';
CREATE FUNCTION fn.sets(t text) RETURNS text LANGUAGE sql AS $$SELECT set_config('application_name', t, false)$$;
CREATE FUNCTION fn.file() RETURNS text LANGUAGE sql AS $$SELECT pg_read_file('/etc/passwd')$$;
CREATE FUNCTION fn.procedural(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN i; END';
CREATE FUNCTION fn.calls_procedural(i int) RETURNS int LANGUAGE sql AS 'SELECT fn.procedural(i)';
CREATE FUNCTION fn.itself(i int) RETURNS int LANGUAGE sql AS 'SELECT CASE WHEN i > 0 THEN fn.itself(i - 1) ELSE 0 END';
CREATE FUNCTION fn.overloaded(i int) RETURNS text LANGUAGE sql AS 'SELECT name FROM public.customers';
CREATE FUNCTION fn.overloaded(t text) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM public.customers';
CREATE VIEW calling AS SELECT fn.atomic(id) AS a, fn.returned(name) AS b, fn.here() AS c FROM customers;
