-- What psql asks of the catalog, and how it shows it.
CREATE TABLE people (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL CHECK (name <> ''), born date DEFAULT '1970-01-01', "Odd Name" text, UNIQUE (name, born));
CREATE TABLE visits (id bigserial PRIMARY KEY, person int REFERENCES people ON DELETE CASCADE, at timestamptz, note varchar(20) COLLATE "C") WITH (fillfactor = 70);
CREATE INDEX visits_note ON visits (lower(note)) WHERE note IS NOT NULL;
CREATE VIEW recent AS SELECT p.name, v.at FROM people p JOIN visits v ON v.person = p.id;
CREATE MATERIALIZED VIEW counted AS SELECT person, count(*) FROM visits GROUP BY 1;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE SEQUENCE counter START 5 INCREMENT 2 CYCLE MAXVALUE 100;
CREATE SCHEMA "Odd Schema";
CREATE TABLE "Odd Schema"."Odd ""Table" (x int);
CREATE FUNCTION twice(n int DEFAULT 1) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT n * 2';
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'seen %', new.id; RETURN new; END $$;
CREATE TRIGGER noted AFTER INSERT ON visits FOR EACH ROW EXECUTE FUNCTION note();
CREATE PROCEDURE nothing() LANGUAGE plpgsql AS 'BEGIN COMMIT; END';
CREATE TABLE parts (k int, v text) PARTITION BY RANGE (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
COMMENT ON TABLE people IS 'who they are';
GRANT SELECT ON people TO PUBLIC;
ALTER TABLE people ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_them ON people USING (true);
\d
\d+
\d people
\d+ visits
\d recent
\d+ recent
\d counted
\d visits_note
\d counter
\d pair
\d "Odd Schema"."Odd ""Table"
\d parts
\d+ parts
\d nosuch
\dt *.Odd*
\dt "Odd Schema".*
\di+
\ds
\dv
\dm
\dn
\dn+
\dT
\dT+ mood
\dD
\df
\df+ twice
\sf twice
\sf+ note
\sv recent
\dp
\ddp
\du
\drg
\db
\dx
\dC int4
\do =
\dO "C"
\dF
\dL
\dRp
\des
\dy
\dP
\da count
\dconfig work_mem
\l
\z people
\dd
\encoding
\h SELECT
SELECT pg_get_functiondef('twice'::regproc);
