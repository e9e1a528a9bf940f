"""What asyncpg can do: the binary protocol of its own, statements that it prepares
and keeps, and its questions about types."""

import asyncio
import datetime as dt
import decimal
import ipaddress
import os
import ssl
import uuid

import asyncpg

from transcript import LITERALS, Transcript, digest

t = Transcript()
SCHEMA = "drive_asyncpg"


def fields(e):
    if not isinstance(e, asyncpg.PostgresError) or getattr(e, "sqlstate", None) is None:
        return {"text": str(e)}
    return {k: v for k, v in e.as_dict().items() if v is not None}


def step(name, fails=None):
    return t.step(name, fails, fields)


def verified():
    return ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])


async def connect(**more):
    settings = {"search_path": f"{SCHEMA},public", "application_name": "drive", **more.pop("server_settings", {})}
    return await asyncpg.connect(server_settings=settings, ssl=more.pop("ssl", verified()), **more)


async def connecting():
    with step("the connection"):
        c = await connect()
        t.note(c.get_server_version(), c.get_settings().__getattr__("TimeZone"), c.get_settings().server_encoding, c.get_server_pid() == await c.fetchval("select pg_backend_pid()"))
        t.note(await c.fetchrow("select current_user = session_user, current_setting('application_name'), current_database() = $1", os.environ["PGDATABASE"]))
        await c.close()
    for name, kw in {
        "an unknown setting": {"server_settings": {"no_such_setting": "1"}},
        "a value that is none": {"server_settings": {"statement_timeout": "soon"}},
        "a database that is not there": {"database": "no_such_database"},
        "a password that is wrong": {"password": "wrong"},
    }.items():
        with step("connect with " + name, asyncpg.PostgresError):
            await connect(**kw)
    with step("connect with a CA that signed nothing", ssl.SSLCertVerificationError):
        await connect(ssl=ssl.create_default_context())


async def types(c):
    for typ, text in LITERALS:
        with step(f"type {typ}: {text[:30]}"):
            try:
                t.note(await c.fetchrow(f"select $1::text::{typ}, null::{typ}, array[$1::text::{typ}]" if "[]" not in typ and "vector" not in typ else f"select $1::text::{typ}", text))
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OverflowError, ValueError, NotImplementedError) as e:
                t.note([type(e).__name__, str(e)])
    with step("values"):
        for typ, v in [
            ("bool", True), ("int2", -(2**15)), ("int8", 2**63 - 1), ("numeric", decimal.Decimal("1e-40")), ("numeric", decimal.Decimal("NaN")), ("float4", 0.1), ("float8", float("-inf")),
            ("text", "é世\U0001f600 ' \\"), ("bytea", bytes(range(256))), ("date", dt.date(1, 1, 1)), ("timestamp", dt.datetime.max), ("timestamptz", dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)),
            ("interval", dt.timedelta(days=-3, microseconds=5)), ("uuid", uuid.UUID(int=7)), ("inet", ipaddress.ip_interface("10.0.0.1/8")), ("cidr", ipaddress.ip_network("::/0")), ("jsonb", '{"a": 1}'),
            ("int4[]", [1, None, 3]), ("int4[]", [[1, 2], [3, 4]]), ("text[]", ["a", None, 'b"']), ("int4range", asyncpg.Range(1, 5)), ("tstzrange", asyncpg.Range(empty=True)),
            ("int4multirange", [asyncpg.Range(1, 2), asyncpg.Range(5, None)]), ("point", asyncpg.Point(1, 2)), ("bit(4)", asyncpg.BitString("1010")), ("varbit", asyncpg.BitString("1")), ("text", None),
            ("oid", 2**32 - 1), ("time", dt.time(1, 2, 3)), ("timetz", dt.time(1, tzinfo=dt.timezone.utc)), ("polygon", asyncpg.Polygon((0, 0), (1, 1))), ("path", asyncpg.Path((0, 0), (1, 1), is_closed=True)),
        ]:
            t.note([typ, await c.fetchrow(f"select $1::{typ}, pg_typeof($1)::text", v)])
    with step("a value that does not fit", asyncpg.DataError):
        await c.fetchval("select $1::int4", 2**40)
    with step("types of the user's own, found by asyncpg's recursive question"):
        await c.execute("create type mood as enum ('sad', 'ok'); create type pair as (a int, m mood[]); create domain positive as int check (value > 0); create type deep as (p pair, q pair[], d positive); create type frange as range (subtype = float8)")
        t.note(await c.fetchrow("select 'sad'::mood, array['ok']::mood[], row(1, array['sad'])::pair, row(row(1, null), array[row(2, array['ok'])]::pair[], 5)::deep, '[1,2)'::frange, 3::positive, row(1, 'x'), '{[1,2]}'::fmultirange"))
        t.note(await c.fetchval("select $1::deep", ((1, ["sad"]), [(2, None)], 7)))
        await c.set_type_codec("jsonb", schema="pg_catalog", encoder=lambda v: "[%s]" % v, decoder=lambda v: v + "!", format="text")
        t.note(await c.fetchval("select $1::jsonb", 5))
        await c.reset_type_codec("jsonb", schema="pg_catalog")
        await c.set_type_codec("mood", schema=SCHEMA, encoder=str.lower, decoder=str.upper)
        t.note(await c.fetchval("select $1::mood", "SAD"))
        await c.reset_type_codec("mood", schema=SCHEMA)
    with step("what a type and a statement are"):
        s = await c.prepare("select 1::int as a, $1::text as b, $2::numeric(10,2) as c, null::pair as d")
        t.note([(p.name, p.kind, p.schema) for p in s.get_parameters()], [(a.name, a.type.name, a.type.kind) for a in s.get_attributes()], await s.explain("x", decimal.Decimal(1)))


async def statements(c):
    await c.execute("create table stat (id int primary key, v text)")
    with step("executemany"):
        await c.executemany("insert into stat values ($1, $2)", [(i, f"v{i}") for i in range(1500)])
        t.note(await c.fetchval("select count(*) from stat"))
    with step("executemany, one fails", asyncpg.UniqueViolationError):
        await c.executemany("insert into stat values ($1, 'x')", [(i,) for i in range(3000, 1000, -1)])
    with step("and nothing of it stays"):
        t.note(await c.fetchval("select count(*) from stat"))
    with step("executemany, one is no value", asyncpg.DataError):
        await c.executemany("insert into stat values ($1, $2)", [(10000, "a"), ("no", "b")])
    with step("fetchmany"):
        t.note([r["id"] for r in await c.fetchmany("insert into stat values ($1, 'm') returning id", [(20000,), (20001,)])])
    with step("many statements in one text"):
        t.note(await c.execute("insert into stat values (30000, 'x'); select 1; update stat set v = 'y' where id > 25000"))
    with step("many statements with arguments", asyncpg.PostgresSyntaxError):
        await c.execute("select $1::int; select 2", 1)
    with step("many statements, one fails", asyncpg.DivisionByZeroError):
        await c.execute("insert into stat values (40000, 'x'); select 1/0")
    with step("status"):
        for text in ("select 1 where false", "create table st2 ()", "begin", "commit", "vacuum stat", "set work_mem = '5MB'", "show work_mem", "listen a", "delete from stat where id = 40000"):
            t.note([text, await c.execute(text)])
    with step("a statement kept, and its table changes"):
        await c.execute("create table changing (a int); insert into changing values (1)")
        s = await c.prepare("select * from changing")
        t.note(await s.fetch(), await c.fetch("select * from changing where a = $1", 1))
        other = await connect()
        await other.execute("alter table changing add b text default 'new'; alter table changing alter a type bigint")
        await other.close()
        for again in range(2):
            try:
                t.note(await c.fetch("select * from changing where a = $1", 1))
            except asyncpg.PostgresError as e:
                t.note([type(e).__name__, str(e)])
        try:
            t.note(await s.fetch())
        except Exception as e:
            t.note([type(e).__name__, str(e)])
        await c.execute("drop table changing")
        try:
            await c.fetch("select * from changing where a = $1", 1)
        except asyncpg.PostgresError as e:
            t.note([type(e).__name__, str(e)])
    with step("a type changes"):
        await c.execute("create type evolves as (a int); create table holder (e evolves); insert into holder values (row(1))")
        t.note(await c.fetchval("select e from holder"))
        await c.execute("alter type evolves add attribute b text")
        await c.reload_schema_state()
        t.note(await c.fetchval("select e from holder"))
    with step("more statements than are kept"):
        for i in range(150):
            await c.fetchval(f"select {i} + $1::int", 1)
        t.note(await c.fetchval("select count(*) <= 110 from pg_prepared_statements"))
    with step("a named statement"):
        s = await c.prepare("select $1::int * 2", name="mine")
        t.note(s.get_name(), await s.fetchval(21))
    with step("the same name again", asyncpg.DuplicatePreparedStatementError):
        await c.prepare("select 1", name="mine")
    with step("statements that are wrong"):
        for text in ("selec 1", "select * from nowhere", "select $1", "select 1 +", "select 'é' || nothing", "select $1 + $2", "insert into stat values (1)"):
            try:
                t.note(await c.fetch(text, *[1] * text.count("$")))
            except Exception as e:
                t.note([text, type(e).__name__, fields(e)])
    with step("a zero byte in a statement", asyncpg.ProtocolViolationError):
        await c.fetch("select '\0'")
    with step("and the session goes on"):
        t.note(await c.fetchval("select 1"))
    with step("no bytes left over"):
        big = os.urandom(1 << 20)
        t.note(await c.fetchval("select $1::bytea", big) == big, await c.fetchval("select length($1)", "é" * 500_000))
        rows = await c.fetch("select i, i::text, i * 1.5 from generate_series(1, 30000) i")
        t.note(len(rows), digest(repr([tuple(r) for r in rows])))
        t.note(await c.fetchval("select " + "+".join(f"${i}::int" for i in range(1, 1001)), *range(1000)))
        t.note(await c.fetchval("select cardinality(array[" + ",".join(f"${i}::text" for i in range(1, 32768)) + "])", *["x"] * 32767))
    with step("too many arguments", asyncpg.InterfaceError):
        await c.fetchval("select cardinality(array[" + ",".join(f"${i}::text" for i in range(1, 32769)) + "])", *["x"] * 32768)


async def cursors(c):
    with step("cursors"):
        async with c.transaction():
            got = [r[0] async for r in c.cursor("select generate_series(1, $1::int)", 1000, prefetch=37)]
            t.note(sum(got))
            cur = await c.cursor("select generate_series(1, 100)")
            t.note(await cur.fetch(3), await cur.forward(10), await cur.fetchrow(), len(await cur.fetch(1000)), await cur.fetchrow())
            s = await c.prepare("select $1::text || i from generate_series(1, 20) i")
            one, two = await s.cursor("a"), await s.cursor("b")
            for _ in range(4):
                t.note(await one.fetchval() if hasattr(one, "fetchval") else await one.fetchrow(), await two.fetch(2))
    with step("a cursor outside a transaction", asyncpg.NoActiveSQLTransactionError):
        await c.cursor("select 1")
    with step("a cursor that fails half way", asyncpg.DivisionByZeroError):
        async with c.transaction():
            n = 0
            async for _ in c.cursor("select 1/(100-i) from generate_series(1, 1000) i", prefetch=10):
                n += 1
            t.note(n)


async def copies(c):
    await c.execute("create table copied (a int, b text, at timestamptz)")
    with step("copy_records_to_table"):
        t.note(await c.copy_records_to_table("copied", records=[(i, f"v{i}", dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)) for i in range(5000)]))
        t.note(await c.copy_records_to_table("copied", records=[(1, None, None)], columns=["a", "b", "at"], where="a > 0"))
    with step("copy_to_table"):
        async def source():
            for i in range(1000):
                yield f"{i}\tx\t\\N\n".encode()

        t.note(await c.copy_to_table("copied", source=source()))
        t.note(await c.copy_to_table("copied", source=source(), schema_name=SCHEMA, columns=["a", "b", "at"]))
    for form in ("text", "csv", "binary"):
        with step("copy_from_query, " + form):
            out = []

            async def sink(data):
                out.append(bytes(data))

            t.note(await c.copy_from_query("select a, b from copied where a < $1 order by a, b", 500, output=sink, format=form), digest(b"".join(out)))
    with step("copy_from_table"):
        out.clear()
        t.note(await c.copy_from_table("copied", output=sink, columns=["a"], format="csv", header=True, delimiter=";", force_quote=["a"]), len(b"".join(out)))
    with step("copy with a bad row", asyncpg.PostgresError):
        async def bad():
            for i in range(3000):
                yield f"{i if i != 1500 else 'x'}\ty\t\\N\n".encode()

        await c.copy_to_table("copied", source=bad())
    with step("copy whose source fails", KeyError):
        async def fails():
            yield b"1\tx\t\\N\n"
            raise KeyError("no more")

        await c.copy_to_table("copied", source=fails())
    with step("copy whose sink fails", KeyError):
        async def refuses(data):
            raise KeyError("full")

        await c.copy_from_query("select repeat('x', 1000) from generate_series(1, 5000)", output=refuses)
    with step("copy that takes too long", asyncio.TimeoutError):
        async def slow(data):
            await asyncio.sleep(60)

        await c.copy_from_query("select repeat('x', 1000) from generate_series(1, 5000)", output=slow, timeout=0.3)
    with step("and the connection goes on"):
        t.note(await c.fetchval("select count(*) from copied"), c.is_in_transaction())


async def transactions(c):
    await c.execute("create table tx (a int primary key check (a < 100))")
    with step("savepoints"):
        async with c.transaction():
            await c.execute("insert into tx values (1)")
            for bad in (1, 100, None):
                try:
                    async with c.transaction():
                        await c.execute("insert into tx values ($1)", bad)
                except asyncpg.PostgresError as e:
                    t.note(fields(e))
            t.note(await c.fetch("select * from tx"))
        t.note(c.is_in_transaction())
    with step("isolation"):
        for level in ("read_uncommitted", "read_committed", "repeatable_read", "serializable"):
            for read_only in (False, True):
                async with c.transaction(isolation=level, readonly=read_only, deferrable=level == "serializable" and read_only):
                    t.note(await c.fetchrow("select current_setting('transaction_isolation'), current_setting('transaction_read_only'), current_setting('transaction_deferrable')"))
    with step("a failed transaction", asyncpg.InFailedSQLTransactionError):
        await c.execute("begin")
        try:
            await c.execute("select 1/0")
        except asyncpg.DivisionByZeroError:
            t.note(c.is_in_transaction())
        try:
            await c.fetchval("select $1::int", 1)
        finally:
            await c.execute("rollback")
    with step("two that conflict"):
        a, b = await connect(), await connect()
        ta, tb = a.transaction(isolation="serializable"), b.transaction(isolation="serializable")
        await ta.start()
        await tb.start()
        for one in (a, b):
            await one.fetchval("select sum(a) from tx")
        await a.execute("insert into tx values (50)")
        await b.execute("insert into tx values (51)")
        await ta.commit()
        try:
            await tb.commit()
        except asyncpg.SerializationError as e:
            t.note(fields(e))
        for one in (a, b):
            await one.close()


async def unasked(c):
    with step("LISTEN and NOTIFY"):
        got = asyncio.Queue()
        await c.add_listener("drive", lambda _, pid, channel, payload: got.put_nowait((pid, channel, payload)))
        other = await connect()
        await other.execute("notify drive, 'x'")
        await other.execute("select pg_notify('drive', $1)", "é" * 100)
        for _ in range(2):
            pid, channel, payload = await asyncio.wait_for(got.get(), 20)
            t.note(pid == other.get_server_pid(), channel, payload)
        async with other.transaction():
            for i in range(200):
                await other.execute("select pg_notify('drive', $1)", str(i))
        t.note([(await asyncio.wait_for(got.get(), 20))[2] for _ in range(200)])
        await c.reset()
        t.note(await c.fetch("select pg_listening_channels()"))
        await other.close()
    with step("notices"):
        logged = []
        c.add_log_listener(lambda _, m: logged.append(fields(m)))
        await c.execute("do $$ begin raise notice 'a' using detail = 'd'; raise warning 'b'; end $$")
        await c.fetch("select 1")
        await asyncio.sleep(0)
        t.note(logged)
    with step("settings"):
        await c.execute("set timezone = 'Asia/Tokyo'")
        t.note(c.get_settings().TimeZone, await c.fetchval("select '2026-01-01'::timestamptz"))
        await c.reset()
        t.note(c.get_settings().TimeZone)
        await c.execute(f"set search_path = {SCHEMA}, public")


async def cancels(c):
    with step("timeout", asyncio.TimeoutError):
        await c.fetch("select pg_sleep(60)", timeout=0.2)
    with step("the session goes on"):
        t.note(await c.fetchval("select 1"))
    with step("a task that is cancelled", RuntimeError):
        task = asyncio.ensure_future(c.fetch("select pg_sleep(60)"))
        await asyncio.sleep(0.2)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            raise RuntimeError("cancelled") from None
    with step("the session goes on again"):
        t.note(await c.fetchval("select 2"))
    with step("statement_timeout", asyncpg.QueryCanceledError):
        async with c.transaction():
            await c.execute("set local statement_timeout = 50")
            await c.fetch("select pg_sleep(60)")
    with step("two at once", asyncpg.InterfaceError):
        first = asyncio.ensure_future(c.fetch("select pg_sleep(0.1)"))
        await asyncio.sleep(0)
        try:
            await c.fetch("select 1")
        finally:
            t.note(await first)
    with step("ended by another"):
        victim = await connect()
        ended = asyncio.Event()
        victim.add_termination_listener(lambda _: ended.set())
        await c.fetchval("select pg_terminate_backend($1, 20000)", victim.get_server_pid())
        await asyncio.wait_for(ended.wait(), 20)
        t.note(victim.is_closed())


async def pools():
    with step("a pool and its reset"):
        async def made(con):
            await con.execute(f"set search_path = {SCHEMA}")

        async with asyncpg.create_pool(min_size=2, max_size=4, init=made, ssl=verified(), statement_cache_size=10) as pool:
            t.note(sum(await asyncio.gather(*[pool.fetchval("select $1::int", i) for i in range(100)])))
            async with pool.acquire() as con:
                await con.execute("set work_mem = '7MB'; create temp table t1 (a int); listen z; select pg_advisory_lock(77)")
                async with con.transaction():
                    await con.execute("declare c1 cursor with hold for select 1")
            for _ in range(5):
                async with pool.acquire() as con:
                    t.note(await con.fetchrow("select current_setting('work_mem'), (select count(*) from pg_listening_channels()), (select count(*) from pg_cursors), (select count(*) from pg_locks where locktype = 'advisory' and objid = 77)"))
            await pool.expire_connections()
            t.note(await pool.fetchval("select 1"), pool.get_size() <= 4)
    with step("without kept statements"):
        con = await connect(statement_cache_size=0)
        for i in range(5):
            t.note(await con.fetchval("select $1::int + 1", i))
        await con.close()


async def main():
    await connecting()
    c = await connect()
    await c.execute(f"drop schema if exists {SCHEMA} cascade; create schema {SCHEMA}")
    for part in (types, statements, cursors, copies, transactions, unasked, cancels):
        await part(c)
    await pools()
    await c.execute(f"drop schema {SCHEMA} cascade")
    await c.close()
    t.end()


asyncio.run(main())
