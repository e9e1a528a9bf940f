"""What psycopg 3 says in its conversation: libpq's environment variables tell where."""

import contextlib

import psycopg

with psycopg.connect(autocommit=True) as c:
    for text in ("select 1 as a, 'b', null", "select nosuch", "", "create temp table t (id int primary key, v text)", "listen c", "notify c, 'payload'"):
        with contextlib.suppress(psycopg.Error):
            c.execute(text)
    for prepare in (False, True, True):
        c.execute("select %s::int + 1, %s", [1, "x"], prepare=prepare)
    c.cursor(binary=True).execute("select %s::int8, %b::bytea", [2**40, b"\x00\xff"])
    c.cursor().executemany("insert into t values (%s, %s)", [(i, f"v{i}") for i in range(5)])
    with contextlib.suppress(psycopg.errors.DivisionByZero), c.pipeline():
        c.execute("insert into t values (10, 'gone')")
        c.execute("select 1/0")
        c.execute("select 'skipped'")
    with contextlib.suppress(psycopg.errors.UniqueViolation), c.transaction():
        with c.transaction(force_rollback=True):
            c.execute("delete from t")
        c.execute("insert into t values (1, 'again')")
    with c.transaction(), c.cursor("named") as named:
        named.execute("select id from t order by id")
        named.fetchmany(2)
    with c.cursor().copy("copy t from stdin") as copy:
        copy.write_row((20, "copied"))
    with contextlib.suppress(psycopg.errors.InvalidTextRepresentation), c.cursor().copy("copy t from stdin") as copy:
        copy.write("x\ty\n")
    with c.cursor().copy("copy t to stdout (format binary)") as copy:
        for _ in copy:
            pass
