-- The scratch schema. {people.ssn 1} stands for the protected value of a row; what
-- has no such mark is the same on both sides. What follows "-- data" is run again
-- after a statement that has changed rows.
CREATE TYPE address AS (street text, city text);
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE DOMAIN shouted AS text;

CREATE TABLE people (
  id int PRIMARY KEY, name text NOT NULL, dept int,
  ssn text, card varchar(40), email text, salary int, bonus bigint, net numeric(14,2), score float8, born date, seen timestamp,
  token uuid, photo bytea, doc jsonb, tags text[], home address, ip inet, active bool
);
CREATE TABLE depts (id int PRIMARY KEY, title text, boss int);
CREATE TABLE orders (id int PRIMARY KEY, person int, total numeric(10,2), placed date, note text, extra jsonb);
CREATE TABLE accounts (id int PRIMARY KEY, iban text UNIQUE CHECK (iban <> ''), person int CHECK (person > 0));
CREATE TABLE payments (id int PRIMARY KEY, iban text REFERENCES accounts (iban) DEFERRABLE, amount int);
CREATE TABLE logs (id int, kind text, secret text) PARTITION BY LIST (kind);
CREATE TABLE logs_a PARTITION OF logs FOR VALUES IN ('a');
CREATE TABLE logs_b PARTITION OF logs FOR VALUES IN ('b');
CREATE TABLE parents (id int, secret text);
CREATE TABLE children (age int) INHERITS (parents);
CREATE TABLE "Odd Table" (id int, "Ssn" text, ssn text, "select" int);
CREATE TABLE generated (id int, ssn text, loud text GENERATED ALWAYS AS (upper(ssn)) STORED, soft text GENERATED ALWAYS AS (reverse(ssn)) VIRTUAL);
CREATE TABLE sink (id int, body text, num numeric, doc jsonb);
CREATE TABLE notified (id int, secret text);
CREATE TABLE names (id int, ssn text, name text);
CREATE TABLE control (mark text);
CREATE SEQUENCE counter;
CREATE INDEX ON people (upper(ssn));

CREATE VIEW plain_view AS SELECT id, name FROM people;
CREATE VIEW renamed AS SELECT id AS pid, ssn AS s, upper(ssn) AS us, salary::bigint * 2 AS twice FROM people;
CREATE VIEW stacked AS SELECT pid, s, us FROM renamed WHERE pid > 0;
CREATE VIEW unioned AS SELECT id, ssn FROM people UNION ALL SELECT id, secret FROM parents;
CREATE VIEW rows AS SELECT id, to_jsonb(p) AS whole FROM people p;
CREATE VIEW filtered AS SELECT id, name FROM people WHERE ssn > 'M';
CREATE MATERIALIZED VIEW kept AS SELECT id, ssn, upper(card) AS card, name FROM people;

CREATE FUNCTION ssn_of(i int) RETURNS text LANGUAGE sql STABLE AS 'SELECT ssn FROM {schema}.people WHERE id = i';
CREATE FUNCTION ssn_begin(i int) RETURNS text LANGUAGE sql STABLE BEGIN ATOMIC SELECT ssn FROM people WHERE id = i; END;
CREATE FUNCTION everybody() RETURNS SETOF people LANGUAGE sql STABLE AS 'SELECT * FROM {schema}.people';
CREATE FUNCTION pairs() RETURNS TABLE (who text, what text) LANGUAGE sql STABLE AS 'SELECT name, ssn FROM {schema}.people';
CREATE FUNCTION plain(i int) RETURNS text LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT ssn FROM {schema}.people WHERE id = i); END';
CREATE FUNCTION shouts(i int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''%'', (SELECT ssn FROM {schema}.people WHERE id = i); RETURN i; END';
CREATE FUNCTION fails(i int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''%'', (SELECT ssn FROM {schema}.people WHERE id = i); END';
CREATE FUNCTION reads(q text) RETURNS SETOF text LANGUAGE plpgsql AS 'BEGIN RETURN QUERY EXECUTE q; END';
CREATE FUNCTION full_name(p people) RETURNS text LANGUAGE sql AS 'SELECT p.name || p.ssn';
CREATE FUNCTION opens() RETURNS refcursor LANGUAGE plpgsql AS 'DECLARE c refcursor := ''opened''; BEGIN OPEN c FOR SELECT ssn FROM {schema}.people; RETURN c; END';
CREATE FUNCTION owned(i int) RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT ssn FROM {schema}.people WHERE id = i';
CREATE FUNCTION twice(s text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT s || s';
CREATE PROCEDURE spills(INOUT x text) LANGUAGE plpgsql AS 'BEGIN x := (SELECT ssn FROM {schema}.people WHERE id = 1); END';
CREATE AGGREGATE gather (text) (SFUNC = pg_catalog.textcat, STYPE = text, INITCOND = '');
CREATE OPERATOR ~~~ (FUNCTION = pg_catalog.textcat, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION tells() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE NOTICE ''%'', NEW.secret; RETURN NEW; END';
CREATE TRIGGER tells BEFORE UPDATE ON notified FOR EACH ROW EXECUTE FUNCTION tells();
CREATE FUNCTION spreads() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO {schema}.sink (id, body) VALUES (NEW.id, NEW.secret); RETURN NEW; END';
CREATE TRIGGER spreads AFTER INSERT ON notified FOR EACH ROW EXECUTE FUNCTION spreads();
CREATE RULE copies AS ON UPDATE TO children DO ALSO INSERT INTO sink (id, body) VALUES (OLD.id, OLD.secret);

-- data
TRUNCATE people, depts, orders, accounts, payments, logs, parents, children, "Odd Table", generated, sink, notified, names, control;
ALTER SEQUENCE counter RESTART;
INSERT INTO people VALUES
  (1, 'Ann', 1, '{people.ssn 1}', '{people.card 1}', '{people.email 1}', '{people.salary 1}', '{people.bonus 1}', '{people.net 1}', '{people.score 1}', '{people.born 1}', '{people.seen 1}', '{people.token 1}', '{people.photo 1}', '{people.doc 1}', '{people.tags 1}', '{people.home 1}', '{people.ip 1}', '{people.active 1}'),
  (2, 'Bob', 1, '{people.ssn 2}', '{people.card 2}', '{people.email 2}', '{people.salary 2}', '{people.bonus 2}', '{people.net 2}', '{people.score 2}', '{people.born 2}', '{people.seen 2}', '{people.token 2}', '{people.photo 2}', '{people.doc 2}', '{people.tags 2}', '{people.home 2}', '{people.ip 2}', '{people.active 2}'),
  (3, 'Cid', 2, '{people.ssn 3}', '{people.card 3}', '{people.email 3}', '{people.salary 3}', '{people.bonus 3}', '{people.net 3}', '{people.score 3}', '{people.born 3}', '{people.seen 3}', '{people.token 3}', '{people.photo 3}', '{people.doc 3}', '{people.tags 3}', '{people.home 3}', '{people.ip 3}', '{people.active 3}'),
  (4, 'Dee', 2, '{people.ssn 4}', '{people.card 4}', '{people.email 4}', '{people.salary 4}', '{people.bonus 4}', '{people.net 4}', '{people.score 4}', '{people.born 4}', '{people.seen 4}', '{people.token 4}', '{people.photo 4}', '{people.doc 4}', '{people.tags 4}', '{people.home 4}', '{people.ip 4}', '{people.active 4}'),
  (5, 'Eve', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO depts VALUES (1, 'Sales', 1), (2, 'Law', 3), (3, 'Empty', NULL);
INSERT INTO orders SELECT i, 1 + i % 5, i * 1.25, date '2026-01-01' + i, 'note ' || i, jsonb_build_object('i', i) FROM generate_series(1, 12) i;
INSERT INTO accounts VALUES (1, '{accounts.iban 1}', 1), (2, '{accounts.iban 2}', 2), (3, '{accounts.iban 3}', 3);
INSERT INTO payments VALUES (1, '{accounts.iban 1}', 10);
INSERT INTO logs VALUES (1, 'a', '{logs.secret 1}'), (2, 'b', '{logs.secret 2}'), (3, 'a', '{logs.secret 3}');
INSERT INTO parents VALUES (1, '{parents.secret 1}'), (2, '{parents.secret 2}');
INSERT INTO children VALUES (3, '{parents.secret 3}', 30);
INSERT INTO "Odd Table" VALUES (1, '{"Odd Table"."Ssn" 1}', 'plain', 1), (2, '{"Odd Table"."Ssn" 2}', 'plain', 2), (3, '{"Odd Table"."Ssn" 3}', 'plain', 3);
INSERT INTO generated (id, ssn) VALUES (1, '{generated.ssn 1}'), (2, '{generated.ssn 2}'), (3, '{generated.ssn 3}');
ALTER TABLE notified DISABLE TRIGGER ALL;
INSERT INTO notified VALUES (1, '{notified.secret 1}'), (2, '{notified.secret 2}'), (3, '{notified.secret 3}');
ALTER TABLE notified ENABLE TRIGGER ALL;
INSERT INTO names VALUES (1, 'no', 'one'), (2, 'nor', 'two');
INSERT INTO control VALUES ('{mark}');
REFRESH MATERIALIZED VIEW kept;
ANALYZE people;
