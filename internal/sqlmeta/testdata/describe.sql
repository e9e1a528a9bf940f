-- Statements whose result the server describes; the test compares names and
-- origins with what the analysis says. One statement a paragraph.

SELECT 1

SELECT

TABLE customers

SELECT * FROM customers

SELECT c.* FROM customers c

SELECT public.customers.* FROM public.customers

SELECT c.*, o.* FROM customers c, orders o

SELECT * FROM customers c JOIN orders o ON o.customer_id = c.id

SELECT * FROM customers JOIN crm.customers AS k USING (id)

SELECT * FROM customers c LEFT JOIN orders o USING (id, name)

SELECT * FROM customers c RIGHT JOIN orders o USING (id)

SELECT * FROM customers c FULL JOIN orders o USING (id)

SELECT * FROM customers c FULL JOIN orders o USING (id, name) JOIN items USING (id)

SELECT * FROM customers NATURAL JOIN orders

SELECT * FROM customers NATURAL JOIN empty

SELECT * FROM (customers c JOIN orders o USING (id)) AS j (a, b, c)

SELECT j.* FROM customers c JOIN orders o USING (id) AS j

SELECT j.id, c.id, o.id, id FROM customers c LEFT JOIN orders o USING (id) AS j

SELECT customer_id, id FROM orders JOIN (SELECT id AS customer_id FROM customers) x USING (customer_id)

SELECT sku FROM items JOIN (SELECT ssn AS sku FROM customers) x USING (sku)

SELECT zip FROM (SELECT ssn AS zip FROM customers) a JOIN (SELECT name AS zip FROM customers) b USING (zip)

SELECT c FROM customers c

SELECT customers FROM customers

SELECT c.c FROM (SELECT 1 AS c) c

SELECT (c).ssn FROM customers c

SELECT (c).* FROM customers c

SELECT (c.home).city, (c.home).* FROM customers c

SELECT (customers.home).zip FROM customers

SELECT ssn(c), name(c) FROM customers c

SELECT c.full_name FROM customers c

SELECT full_name(c) FROM customers c

SELECT c.row_to_json FROM customers c

SELECT row_to_json(c), to_jsonb(c), c::text, row_to_json(row(c.ssn, c.id)) FROM customers c

SELECT array_agg(c), json_agg(c), count(c), count(*), count(c.*) FROM customers c

SELECT ssn AS x, name y, ssn || name, ssn::text, ssn::varchar(20), CAST(id AS int8), id::int4 FROM customers

SELECT -id, +id, NOT (id = 1), id IS NULL, id = 1 IS TRUE, id BETWEEN 1 AND 2, id IN (1, 2), ssn LIKE 'a' FROM customers

SELECT CASE WHEN id = 1 THEN ssn ELSE name END, CASE id WHEN 1 THEN 'a' END, CASE WHEN true THEN 'x' ELSE upper(ssn) END::text FROM customers

SELECT COALESCE(ssn, 'x'), NULLIF(ssn, ''), GREATEST(ssn, name), LEAST(id, 1), ROW(1, 2), (1, 2), ARRAY[1, 2], ARRAY[ssn] FROM customers

SELECT EXISTS (SELECT 1 FROM customers), ARRAY(SELECT ssn FROM customers), (SELECT ssn FROM customers LIMIT 1), (SELECT max(ssn) AS m FROM customers), 1 IN (SELECT id FROM customers), (SELECT (SELECT name FROM customers LIMIT 1))

SELECT (SELECT c FROM customers c LIMIT 1), ((SELECT c FROM customers c LIMIT 1)).ssn

SELECT current_date, current_time, current_timestamp, localtime, localtimestamp(0), current_user, user, session_user, current_role, current_catalog, current_schema

SELECT tags[1], tags[1:2], (tags)[1], (ARRAY[1, 2])[1], doc['k'], doc -> 'k', doc ->> 'k' FROM customers

SELECT xmlelement(name x, ssn), xmlforest(ssn AS q), xmlconcat('<a/>'), xmlpi(name php), xmlparse(content 'a'), xmlroot('<a/>'::xml, version '1.0'), xmlserialize(content '<a/>'::xml AS text), '<a/>'::xml IS DOCUMENT FROM customers

SELECT json_object('a' : ssn), json_array(ssn, 1), json_array(SELECT ssn FROM customers), json_objectagg(id : ssn), json_arrayagg(ssn) FROM customers GROUP BY ssn

SELECT json('{}'), json_scalar(1), json_serialize('{}'), '{}' IS JSON, json_exists(doc, '$.k'), json_value(doc, '$.k'), json_query(doc, '$.k') FROM customers

SELECT extract(year FROM created), position('a' IN ssn), substring(ssn FROM 1 FOR 2), trim(ssn), overlay(ssn PLACING 'x' FROM 1), created AT TIME ZONE 'UTC', normalize(name), (created, created) OVERLAPS (created, created), ssn COLLATE "C" FROM customers

SELECT name COLLATE "C", upper(name) COLLATE "C", $1::text, $1, 'a', 1.5, NULL, true, B'1', interval '1 day', date '2026-01-01' FROM customers

SELECT max(ssn), min(id) FILTER (WHERE ssn LIKE '1%'), string_agg(name, ',' ORDER BY ssn), percentile_cont(0.5) WITHIN GROUP (ORDER BY id), mode() WITHIN GROUP (ORDER BY ssn) FROM customers

SELECT id, row_number() OVER (PARTITION BY name ORDER BY ssn), lag(ssn) OVER w, first_value(c) OVER w FROM customers c WINDOW w AS (ORDER BY id)

SELECT ssn, count(*), grouping(ssn, name) FROM customers GROUP BY ROLLUP (ssn, name)

SELECT ssn AS s FROM customers GROUP BY s HAVING count(*) > 0 ORDER BY s

SELECT upper(ssn) FROM customers GROUP BY 1 ORDER BY 1

SELECT DISTINCT ssn FROM customers

SELECT DISTINCT ON (name) ssn, name FROM customers ORDER BY name

SELECT ssn FROM customers ORDER BY 1 LIMIT 1 OFFSET 0

SELECT id FROM customers FOR UPDATE

VALUES (1, 'a'), (2, 'b')

VALUES ((SELECT ssn FROM customers), 1)

SELECT * FROM (VALUES (1, 'a')) v

SELECT * FROM (VALUES (1, 'a')) v (x)

SELECT * FROM (VALUES ((SELECT ssn FROM customers LIMIT 1))) v (s), customers c WHERE c.ssn = v.s

SELECT s FROM (SELECT ssn AS s FROM customers) t

SELECT * FROM (SELECT c.*, 1 AS one FROM customers c) t (i, n)

SELECT t FROM (SELECT ssn, id FROM customers) t

SELECT (t).ssn, t.ssn FROM (SELECT ssn, id FROM customers) t

SELECT t.* FROM (SELECT ssn FROM customers UNION SELECT name FROM customers) t

SELECT ssn FROM customers UNION ALL SELECT ssn FROM people

SELECT ssn AS a FROM customers UNION SELECT name FROM customers ORDER BY a

SELECT ssn FROM customers INTERSECT SELECT name FROM customers

SELECT ssn FROM customers EXCEPT ALL SELECT '1'

(SELECT id FROM customers) UNION (SELECT id FROM orders UNION SELECT 1) ORDER BY 1 LIMIT 1

WITH c AS (SELECT ssn FROM customers) SELECT * FROM c

WITH customers AS (SELECT 1 AS ssn) SELECT ssn FROM customers

WITH customers AS (SELECT 1 AS ssn) SELECT ssn FROM public.customers

WITH a AS (SELECT ssn FROM customers), b (z) AS (SELECT * FROM a) SELECT z, b FROM b

WITH a AS (WITH b AS (SELECT ssn FROM customers) SELECT * FROM b) SELECT (SELECT ssn FROM a LIMIT 1), * FROM a

WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n FROM t

WITH RECURSIVE t AS (SELECT id, ssn::text, name FROM customers UNION ALL SELECT t.id, t.name, c.card FROM t JOIN customers c USING (id)) SELECT * FROM t

WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT ssn FROM customers) SELECT * FROM a

WITH RECURSIVE t(id, ssn) AS (SELECT id, ssn FROM people UNION ALL SELECT p.id, p.ssn FROM people p JOIN t ON p.id = t.id) SEARCH DEPTH FIRST BY id SET o CYCLE id SET is_cycle USING path SELECT * FROM t

WITH d AS (DELETE FROM customers WHERE id = 1 RETURNING ssn, id) SELECT * FROM d

WITH m AS MATERIALIZED (SELECT ssn FROM customers) SELECT m.ssn FROM m

SELECT * FROM customers c, LATERAL (SELECT c.ssn AS s, o.total FROM orders o WHERE o.customer_id = c.id) x

SELECT * FROM customers c LEFT JOIN LATERAL (SELECT c.ssn) x ON true

SELECT u.* FROM customers c, unnest(c.tags) u

SELECT * FROM customers c CROSS JOIN unnest(c.tags) WITH ORDINALITY

SELECT * FROM unnest(ARRAY[1, 2], ARRAY['a', 'b']) AS u(a, b)

SELECT * FROM generate_series(1, 3)

SELECT * FROM generate_series(1, 3) g

SELECT g FROM generate_series(1, 3) g (x)

SELECT g, g.x FROM generate_series(1, 3) g (x)

SELECT * FROM json_each('{"a": 1}')

SELECT j.key, j.value FROM customers c, jsonb_each(to_jsonb(c)) j

SELECT * FROM jsonb_array_elements('[1]')

SELECT * FROM jsonb_array_elements('[1]') WITH ORDINALITY AS x (e, n)

SELECT * FROM json_to_recordset('[]') AS t(a int, b text)

SELECT * FROM json_populate_record(NULL::customers, '{}')

SELECT (json_populate_record(NULL::customers, '{}')).*

SELECT (json_each('{"a": 1}')).*, (json_each('{"a": 1}')).key

SELECT * FROM ROWS FROM (generate_series(1, 2), json_each('{}')) WITH ORDINALITY

SELECT * FROM ROWS FROM (json_to_record('{}') AS (a int), generate_series(1, 2)) AS r (x)

SELECT * FROM current_date

SELECT * FROM current_date AS d

SELECT * FROM pg_stat_file('postgresql.conf')

SELECT * FROM upper('a')

SELECT * FROM out_one()

SELECT * FROM out_one() AS x

SELECT * FROM leaks()

SELECT leaks(), (leaks()).*, (leaks()).what

SELECT * FROM all_customers() a

SELECT (all_customers()).ssn

SELECT * FROM an_address()

SELECT an_address(), (an_address()).city, leak(1)

SELECT * FROM xmltable('/a' PASSING (SELECT '<a/>'::xml) COLUMNS x int PATH 'x', o FOR ORDINALITY)

SELECT x.* FROM customers c, json_table(c.doc, '$' COLUMNS (k int PATH '$.k', n FOR ORDINALITY, NESTED PATH '$.z' COLUMNS (q text PATH '$'))) x

SELECT * FROM json_table('{}', '$' COLUMNS (k int PATH '$.k', e int EXISTS PATH '$.k'))

SELECT * FROM customers TABLESAMPLE system (10)

SELECT * FROM customer_names

SELECT v, v.name FROM customer_names v

SELECT * FROM masked

SELECT s FROM stacked WHERE us LIKE 'A%'

SELECT * FROM unioned

SELECT * FROM recursive_view

SELECT * FROM mat

SELECT ctid, tableoid, xmin, cmin, c.xmax, c.cmax FROM customers c

SELECT tableoid::regclass, * FROM ONLY people

SELECT * FROM events

SELECT * FROM events_a

SELECT * FROM employees

SELECT * FROM people

SELECT * FROM gone

SELECT c, d FROM gone

SELECT * FROM generated

SELECT * FROM empty

SELECT * FROM seq

SELECT * FROM "Weird Table"

SELECT "Ssn", "select", "a""b", U&"s\0073n", SSN FROM "Weird Table"

SELECT "customers"."ssn" FROM "public"."customers"

SELECT U&"\0073sn" FROM customers

SELECT U&"!0073sn" UESCAPE '!' FROM customers

SELECT /* ssn */ id /* from orders */ FROM -- nothing
 customers

SELECT postgres.public.customers.ssn FROM postgres.public.customers

SELECT a_name_that_is_longer_than_sixty_three_bytes_and_so_is_cut_by_the_server_itself.id, 1 AS a_name_that_is_longer_than_sixty_three_bytes_and_so_is_cut_by_the_server_itself FROM customers a_name_that_is_longer_than_sixty_three_bytes_and_so_is_cut_by_the_server_itself

SELECT id FROM crm.customers

SELECT c.phone, d.ssn FROM crm.customers c, customers d

SELECT customers.phone FROM crm.customers

SELECT crm.customers.phone, public.customers.ssn FROM crm.customers, public.customers

SELECT relname FROM pg_class

SELECT * FROM pg_catalog.pg_namespace

SELECT * FROM information_schema.tables

SELECT n.nspname, c.relname, pg_catalog.pg_get_userbyid(c.relowner) AS "Owner" FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace

SELECT usename, query FROM pg_stat_activity

SELECT most_common_vals FROM pg_stats

SELECT similarity(name, 'x'), name % 'x' FROM customers

SELECT (information_schema._pg_expandarray(tags)).n, (information_schema._pg_expandarray(tags)).* FROM customers

INSERT INTO orders (id, note) VALUES (9, 'x') RETURNING *

INSERT INTO orders (id, note) SELECT id, ssn FROM customers RETURNING id, note AS n, upper(note)

INSERT INTO orders AS o VALUES (1) ON CONFLICT (id) DO UPDATE SET note = excluded.note || o.note WHERE o.id = 1 RETURNING o.*

INSERT INTO orders DEFAULT VALUES RETURNING id

INSERT INTO orders (id) VALUES (1) RETURNING old.id, new.id, old, new.*

UPDATE customers SET ssn = 'x' WHERE id = 1 RETURNING *

UPDATE customers c SET ssn = o.note FROM orders o WHERE o.customer_id = c.id RETURNING c.ssn, o.*, *

UPDATE customers SET (ssn, name) = (SELECT note, name FROM orders LIMIT 1) RETURNING ssn, old.ssn, new.name

UPDATE customers SET home.city = 'x', tags[1] = 'y' RETURNING (home).city

UPDATE customer_names SET name = 'x' WHERE id = 1 RETURNING *

DELETE FROM customers WHERE id = 1 RETURNING ssn, customers

DELETE FROM customers c USING orders o WHERE o.customer_id = c.id RETURNING *

MERGE INTO customers c USING orders o ON o.customer_id = c.id WHEN MATCHED THEN UPDATE SET name = o.name WHEN NOT MATCHED THEN INSERT (id, name) VALUES (o.id, o.note) RETURNING merge_action(), c.ssn, o.note

MERGE INTO customers c USING orders o ON o.customer_id = c.id WHEN MATCHED THEN DELETE RETURNING *

MERGE INTO customers c USING (SELECT 1 AS k) s ON s.k = c.id WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN NOT MATCHED THEN DO NOTHING RETURNING *, old.ssn

EXPLAIN SELECT ssn FROM customers

EXPLAIN (ANALYZE, FORMAT json) SELECT ssn FROM customers

SHOW search_path

SHOW ALL

SHOW DateStyle

SHOW TIME ZONE

SHOW TRANSACTION ISOLATION LEVEL

SELECT x.ssn FROM customers x WHERE x IS NOT NULL

SELECT c1.ssn, c2.ssn FROM customers c1 JOIN customers c2 ON c1.id = c2.id

SELECT ssn FROM (customers c JOIN orders o ON o.customer_id = c.id) JOIN items i ON i.order_id = o.id

SELECT c.ssn FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND c.ssn IS NOT NULL)

SELECT ssn FROM customers WHERE id = ANY ($1) AND name = $2 LIMIT $3

SELECT a.id FROM customers a, customers b, LATERAL (SELECT * FROM orders WHERE orders.id = b.id) z WHERE z.id = a.id

SELECT x FROM customers c, LATERAL (SELECT c) AS x

SELECT y FROM customers c, LATERAL (SELECT c AS y) AS x

SELECT (y).ssn, (x.y).ssn FROM customers c, LATERAL (SELECT c AS y) AS x

SELECT sum(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM customers

SELECT set_config('a.b', 'c', false), current_setting('a.b', true), nextval('seq'), currval('seq')

SELECT $1::int + id AS "Sum", id AS "ID" FROM customers

SELECT ssn FROM customers NATURAL JOIN unioned

SELECT ssn FROM unioned NATURAL JOIN customers

SELECT ssn FROM customers LEFT JOIN unioned USING (ssn)

SELECT ssn FROM customers RIGHT JOIN unioned USING (ssn)

SELECT ssn FROM (SELECT '1' AS ssn) x JOIN people USING (ssn)

SELECT ssn FROM people JOIN (SELECT '1' AS ssn) x USING (ssn)

SELECT id FROM (SELECT 1 AS id) x JOIN people USING (id)

SELECT id FROM (SELECT 1 AS id) x RIGHT JOIN people USING (id)
