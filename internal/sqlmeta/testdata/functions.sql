-- Functions in SQL: what they read is what their bodies read.

SELECT leak(1)

SELECT who FROM leaks()

SELECT what FROM leaks()

SELECT (leaks()).who

SELECT leaks()

SELECT name FROM all_customers()

SELECT ssn FROM all_customers()

SELECT (an_address()).city

SELECT out_one()

SELECT full_name(c) FROM customers c

SELECT c.full_name FROM customers c

SELECT spy(name) FROM customers

CALL doit(1)

SELECT fn.atomic(1)

SELECT fn.returned(name), fn.returned(ssn) FROM customers

SELECT fn.returned_row(c) FROM customers c

SELECT fn.guess('123-45-6789')

SELECT * FROM fn.names()

SELECT who FROM fn.outs(1)

SELECT what FROM fn.outs(1)

SELECT who FROM customers c, fn.outs(c.id)

SELECT fn.defaulted(1), fn.defaulted(b => 1, a => c.id) FROM customers c

SELECT fn.variadic('a', ssn) FROM customers

SELECT fn.same(ssn) FROM customers

SELECT fn.elsewhere()

SELECT fn.here()

SELECT fn.calls_here()

SELECT fn.definer()

SELECT fn.writes()

SELECT fn.writes_within()

SELECT fn.two()

SELECT fn.sets(ssn) FROM customers

SELECT fn.file()

SELECT fn.procedural(1)

SELECT fn.calls_procedural(1)

SELECT fn.itself(3)

SELECT fn.overloaded(1)

SELECT a FROM calling

SELECT b FROM calling

SELECT c FROM calling

SELECT id FROM orders WHERE note = fn.returned('x') AND name = leak(1)
