-- What hides what it reads: each has a risk of its own.

DO $$ BEGIN PERFORM ssn FROM customers; END $$

SELECT query_to_xml('select ssn from customers', true, false, '')

SELECT table_to_xml('customers', true, false, '')

SELECT cursor_to_xml('c', 1, true, false, '')

SELECT word FROM ts_stat('select to_tsvector(ssn) from customers')

SELECT pg_read_file('/etc/passwd')

SELECT * FROM pg_ls_dir('/')

SELECT lo_get(1)

SELECT most_common_vals FROM pg_stats WHERE tablename = 'customers'

SELECT s FROM pg_stats s

SELECT query FROM pg_stat_activity

SELECT a FROM pg_stat_activity a

SELECT pid FROM pg_stat_activity WHERE query LIKE '%1%'

SELECT statement FROM pg_cursors

SELECT statement FROM pg_prepared_statements

SELECT * FROM pg_stat_get_activity(NULL)

SELECT data FROM pg_logical_slot_peek_changes('s', NULL, NULL)

COPY customers TO '/tmp/x'

COPY customers FROM PROGRAM 'cat'

CALL nosuch(1)

SELECT nosuchcolumn FROM customers

SELECT nosuchfunction(ssn) FROM customers

SELECT * FROM nosuchtable

EXPLAIN EXECUTE x
