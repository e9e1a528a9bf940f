-- Ordinary work, and what looks like a leak but is none. No statement here may be
-- opaque or use customers.ssn.

SELECT 1

SELECT 1 FROM customers

SELECT FROM customers

SELECT count(*) FROM customers

SELECT id, name FROM customers WHERE id = 1

SELECT c.id AS ssn, 'ssn' AS x FROM customers c

SELECT id FROM (SELECT * FROM customers) x

SELECT x.id FROM (SELECT id, ssn FROM customers) x JOIN orders o ON o.customer_id = x.id

WITH c AS (SELECT * FROM customers) SELECT name FROM c

WITH customers AS (SELECT id, 'x' AS ssn FROM orders) SELECT ssn FROM customers

SELECT EXISTS (SELECT * FROM customers WHERE id = 1)

SELECT id FROM orders WHERE customer_id IN (SELECT id FROM customers)

SELECT (SELECT name FROM customers c WHERE c.id = o.customer_id), o.total FROM orders o

SELECT id, name FROM customer_names ORDER BY name

SELECT cid, n FROM masked

SELECT name FROM mat

SELECT crm.customers.phone FROM crm.customers

SELECT "select" FROM "Weird Table"

SELECT date_trunc('month', placed) AS m, sum(total), avg(total)::numeric(10, 2), percentile_cont(0.5) WITHIN GROUP (ORDER BY total) FROM orders GROUP BY 1 ORDER BY 1

SELECT o.*, row_number() OVER (PARTITION BY customer_id ORDER BY placed) FROM orders o

SELECT * FROM orders NATURAL JOIN items

SELECT g, o.id FROM generate_series(1, 10) g LEFT JOIN orders o ON o.id = g

SELECT * FROM unnest($1::int[], $2::text[]) AS t(a, b)

SELECT * FROM json_to_recordset($1) AS x(a int, b text)

SELECT jsonb_build_object('id', id, 'lines', (SELECT jsonb_agg(jsonb_build_object('sku', sku, 'qty', qty)) FROM items WHERE order_id = orders.id)) FROM orders

SELECT similarity(name, 'ann') FROM customers WHERE name % 'ann'

INSERT INTO orders (id, note) VALUES (1, 'x') RETURNING id

INSERT INTO orders (id, note) VALUES (1, 'x'), (2, 'y') ON CONFLICT (id) DO UPDATE SET note = excluded.note

INSERT INTO customers (id, name, ssn) VALUES (1, 'x', NULL) RETURNING id

UPDATE orders SET total = total * 1.1 WHERE id = 1 RETURNING id, total

DELETE FROM items USING orders WHERE orders.id = items.order_id AND orders.placed < now()

MERGE INTO items i USING orders o ON o.id = i.order_id WHEN MATCHED THEN UPDATE SET qty = 0 WHEN NOT MATCHED THEN INSERT (id, order_id) VALUES (o.id, o.id)

COPY orders TO STDOUT

COPY customers (id, name) TO STDOUT (FORMAT csv)

COPY orders (id, note) FROM STDIN

EXPLAIN SELECT * FROM customers WHERE id = 1

BEGIN

SELECT nextval('seq'), lastval()

SELECT pg_advisory_lock(1), pg_try_advisory_lock(id) FROM orders

SELECT current_setting('server_version'), version(), pg_backend_pid()

SELECT set_config('application_name', 'x', false)

PREPARE p (int) AS SELECT name FROM customers WHERE id = $1

DECLARE c CURSOR WITH HOLD FOR SELECT id FROM customers

VALUES (1, 'a'), (2, 'b')

TABLE orders
