"""What psycopg 2 can do: client-side binding over libpq's simple protocol, and
large objects, which libpq reaches by FunctionCall."""

import io
import select
import threading

import psycopg2
import psycopg2.extensions as ext
import psycopg2.extras as extras
import psycopg2.pool

from transcript import LITERALS, Transcript, digest

t = Transcript()
SCHEMA = "drive_psycopg2"


def fields(e):
    if getattr(e, "pgcode", None) is None:
        return {"text": str(e)}
    d = e.diag
    return {n: getattr(d, n) for n in dir(d) if not n.startswith("_") and getattr(d, n) is not None}


def step(name, fails=None):
    return t.step(name, fails, fields)


def connect(**more):
    c = psycopg2.connect("", options=f"-c search_path={SCHEMA},public", **more)
    c.autocommit = True
    return c


def ask(c, text, args=None):
    with c.cursor() as cur:
        cur.execute(text, args)
        return cur.fetchall() if cur.description else [cur.statusmessage, cur.rowcount]


def basics(c):
    with step("the connection"):
        t.note(c.server_version, c.protocol_version, c.encoding, c.get_transaction_status(), c.get_backend_pid() == ask(c, "select pg_backend_pid()")[0][0])
        t.note(c.info.ssl_in_use, c.info.dbname == c.info.dsn_parameters.get("dbname", c.info.dbname), c.info.parameter_status("DateStyle"))
    with step("types"):
        for typ, text in LITERALS:
            try:
                t.note([typ, ask(c, f"select %s::{typ}, null::{typ}", [text])])
            except (psycopg2.Error, ValueError, OverflowError) as e:
                t.note([typ, type(e).__name__, str(e)])
    with step("values"):
        values = [True, 2**70, 1.5, float("nan"), "it's \\ é", b"\0\xff", [1, None], ["a", 'b"'], None, extras.Json({"a": 1}), extras.NumericRange(1, 5), (1, 2)]
        for v in values:
            t.note(ask(c, "select %s" if not isinstance(v, tuple) else "select 1 in %s", [v]))
    with step("rows in other shapes"):
        for factory in (extras.DictCursor, extras.RealDictCursor, extras.NamedTupleCursor):
            with c.cursor(cursor_factory=factory) as cur:
                cur.execute("select 1 as a, 'x' as b")
                t.note(repr(cur.fetchall()), repr(cur.description))
    with step("types of the user's own"):
        ask(c, "create type pair as (a int, b text)")
        extras.register_composite("pair", c)
        extras.register_uuid()
        t.note(ask(c, "select row(1, 'x')::pair, array[row(2, null)::pair]"))
    with step("callproc"):
        ask(c, "create function add(int, int) returns int language sql as 'select $1 + $2'")
        with c.cursor() as cur:
            cur.callproc("add", [1, 2])
            t.note(cur.fetchall())


def many(c):
    ask(c, "create table many (id int primary key, v text)")
    with c.cursor() as cur:
        with step("execute_values and execute_batch"):
            t.note(extras.execute_values(cur, "insert into many values %s returning id", [(i, str(i)) for i in range(1000)], page_size=300, fetch=True)[-1])
            extras.execute_batch(cur, "update many set v = v || %s where id = %s", [("!", i) for i in range(1000)], page_size=250)
            t.note(cur.rowcount, cur.statusmessage)
            cur.executemany("delete from many where id = %s", [(i,) for i in range(10)])
            t.note(cur.rowcount)
    with step("one of a batch fails", psycopg2.errors.UniqueViolation):
        with c.cursor() as cur:
            extras.execute_batch(cur, "insert into many values (%s, 'again')", [(5000,), (500,), (5001,)])
    with step("several statements"):
        t.note(ask(c, "select 1; select 2; insert into many values (6000, 'x')"), c.notices)
    with step("a named cursor"):
        c.autocommit = False
        with c.cursor("named", scrollable=True) as cur:
            cur.itersize = 70
            cur.execute("select id from many order by id")
            t.note(cur.fetchone(), cur.fetchmany(3), sum(r[0] for r in cur))
            cur.scroll(3, mode="absolute")
            t.note(cur.fetchone())
        c.commit()
        with c.cursor("held", withhold=True) as cur:
            cur.execute("select generate_series(1, 5)")
            c.commit()
            t.note(cur.fetchall())
        c.rollback()
        c.autocommit = True


def copies(c):
    ask(c, "create table copied (a int, b text)")
    with c.cursor() as cur:
        with step("copy_from and copy_to"):
            cur.copy_from(io.StringIO("".join(f"{i}\tv{i}\n" for i in range(5000))), "copied", columns=("a", "b"))
            t.note(cur.rowcount)
            out = io.StringIO()
            cur.copy_to(out, "copied", sep=",")
            t.note(digest(out.getvalue()))
        with step("copy_expert"):
            cur.copy_expert("copy copied from stdin (format csv, header)", io.StringIO('a,b\n1,"x, ""y"""\n2,\n'))
            out = io.BytesIO()
            cur.copy_expert("copy (select * from copied where a < 4 order by 1, 2) to stdout (format binary)", out)
            t.note(out.getvalue())
        with step("a bad line", psycopg2.errors.InvalidTextRepresentation):
            cur.copy_from(io.StringIO("1\tx\nno\ty\n"), "copied")

        class Broken:
            def read(self, n):
                raise KeyError("no more")

        with step("a file that cannot be read", psycopg2.Error):
            cur.copy_from(Broken(), "copied")
        with step("a file that cannot be written", Exception):
            cur.copy_to(type("W", (), {"write": lambda *_: 1 / 0})(), "copied")
    with step("and the connection goes on"):
        t.note(ask(c, "select count(*) from copied"))


def large_objects(c):
    with step("large objects, by function calls"):
        c.autocommit = False
        lob = c.lobject(0, "wb")
        oid = lob.oid
        t.note(lob.write(b"weir" * 50000), lob.tell(), lob.seek(-8, 2), lob.tell())
        lob.close()
        lob = c.lobject(oid, "rb")
        t.note(digest(lob.read(100000)), len(lob.read()), lob.seek(3), lob.read(4))
        lob.close()
        lob = c.lobject(oid, "rwt")
        lob.truncate(10)
        t.note(lob.read())
        c.commit()
        lob = c.lobject(oid, "n")
        lob.unlink()
        c.commit()
    with step("a large object that is not there", psycopg2.Error):
        try:
            c.lobject(1, "rb")
        finally:
            t.note(c.get_transaction_status())
            c.rollback()
            c.autocommit = True


def rest(c):
    with step("LISTEN and NOTIFY"):
        other = connect()
        ask(c, "listen drive")
        ask(other, "notify drive, 'hello'")
        while not c.notifies:
            select.select([c], [], [], 20)
            c.poll()
        n = c.notifies.pop()
        t.note(n.channel, n.payload, n.pid == other.get_backend_pid())
        ask(c, "unlisten drive")
        other.close()
    with step("notices"):
        del c.notices[:]
        ask(c, "do $$ begin raise notice 'one'; raise warning 'two' using detail = 'd'; end $$")
        t.note(c.notices)
    with step("transactions"):
        c.autocommit = False
        ask(c, "create table tx (a int primary key)")
        with c:
            ask(c, "insert into tx values (1)")
        try:
            with c:
                ask(c, "insert into tx values (2)")
                ask(c, "insert into tx values (1)")
        except psycopg2.errors.UniqueViolation as e:
            t.note(fields(e))
        t.note(ask(c, "select * from tx"), c.get_transaction_status())
        c.rollback()
        for level in (1, 2, 3, 4):
            c.set_session(isolation_level=level, readonly=level % 2 == 0, deferrable=level == 3)
            t.note(ask(c, "select current_setting('transaction_isolation'), current_setting('transaction_read_only'), current_setting('transaction_deferrable')"))
            c.rollback()
        c.set_session(isolation_level="default", readonly="default", deferrable="default")
    with step("in two phases"):
        xid = c.xid(1, "drive2", "b")
        c.tpc_begin(xid)
        ask(c, "insert into tx values (7)")
        c.tpc_prepare()
        c.tpc_rollback()
        t.note(ask(c, "select count(*) from tx"))
        c.rollback()
        c.autocommit = True
    with step("cancel", psycopg2.errors.QueryCanceled):
        other = connect()

        def when_it_runs():
            while not ask(other, "select 1 from pg_stat_activity where pid = %s and state = 'active' and query like '%%pg_sleep(62)%%'", [c.get_backend_pid()]):
                pass
            c.cancel()

        th = threading.Thread(target=when_it_runs)
        th.start()
        try:
            ask(c, "select pg_sleep(62)")
        finally:
            th.join()
            other.close()
    with step("reset"):
        ask(c, "set work_mem = '9MB'")
        c.reset()
        t.note(ask(c, "show work_mem"), c.autocommit)
        c.rollback()
        c.autocommit = True
        ask(c, f"set search_path = {SCHEMA}, public")
    with step("encodings"):
        for enc in ("SQL_ASCII", "LATIN1", "UTF8"):
            c.set_client_encoding(enc)
            t.note(c.encoding, ask(c, "select chr(233) = %s, 'plain'", ["plain"]))
    with step("asynchronously"):
        a = psycopg2.connect("", async_=1)

        def wait():
            while (state := a.poll()) != ext.POLL_OK:
                select.select([a] if state == ext.POLL_READ else [], [a] if state == ext.POLL_WRITE else [], [], 20)

        wait()
        cur = a.cursor()
        cur.execute("select pg_sleep(0.01), 42")
        wait()
        t.note(cur.fetchall())
        a.close()
    with step("a pool"):
        pool = psycopg2.pool.ThreadedConnectionPool(1, 3, "")
        got = [pool.getconn() for _ in range(3)]
        t.note([ask(x, "select 1") for x in got])
        for x in got:
            pool.putconn(x)
        t.note([x.get_transaction_status() for x in got])
        pool.closeall()


def main():
    c = connect()
    ask(c, f"drop schema if exists {SCHEMA} cascade")
    ask(c, f"create schema {SCHEMA}")
    for part in (basics, many, copies, large_objects, rest):
        part(c)
    ask(c, f"drop schema {SCHEMA} cascade")
    c.close()
    t.end()


main()
