"""What psycopg 3 can do, over libpq and with server-side binding."""

import asyncio
import contextlib
import datetime as dt
import decimal
import enum
import ipaddress
import logging
import os
import threading
import uuid
import warnings

import psycopg
import psycopg_pool
from psycopg import pq, rows, sql
from psycopg.types.composite import CompositeInfo, register_composite
from psycopg.types.enum import EnumInfo, register_enum
from psycopg.types.json import Json, Jsonb
from psycopg.types.multirange import Multirange, MultirangeInfo, register_multirange
from psycopg.types.range import Range, RangeInfo, register_range

from transcript import LITERALS, Transcript, digest

t = Transcript()
logging.getLogger("psycopg").setLevel(logging.CRITICAL)
SCHEMA = "drive_psycopg"


def fields(e):
    """All that the server said in an error."""
    d = getattr(e, "diag", None)
    if d is None or d.sqlstate is None:
        return {"text": str(e)}
    names = [n for n in dir(d) if not n.startswith("_") and isinstance(getattr(d, n), (str, type(None)))]
    return {n: getattr(d, n) for n in names if getattr(d, n) is not None}


def step(name, fails=None):
    return t.step(name, fails, fields)


def connect(**more):
    more.setdefault("autocommit", True)
    return psycopg.connect(options=f"-c search_path={SCHEMA},public", application_name="drive", **more)


def all_results(cur):
    out = []
    while True:
        out.append([cur.statusmessage, cur.rowcount, cur.fetchall() if cur.description else None])
        if not cur.nextset():
            return out


# -- how one connects ---------------------------------------------------------

def connecting():
    with step("what the server says of itself"):
        with connect() as c:
            t.note(c.info.server_version, c.info.encoding, str(c.info.timezone), c.info.transaction_status.name, c.pgconn.ssl_in_use)
            for name in ("server_version", "server_encoding", "client_encoding", "is_superuser", "in_hot_standby", "default_transaction_read_only",
                         "DateStyle", "IntervalStyle", "TimeZone", "integer_datetimes", "standard_conforming_strings", "scram_iterations",
                         "application_name", "session_authorization", "search_path"):
                t.note([name, c.info.parameter_status(name)])
            t.note(c.execute("select pg_backend_pid()").fetchone()[0] == c.info.backend_pid)
            t.note(c.execute("select current_setting('application_name'), current_setting('search_path'), current_user = session_user").fetchone())
    with step("start-up settings"):
        with psycopg.connect(client_encoding="latin1", options="-c statement_timeout=12345 -c geqo=off -c datestyle=german,dmy --work_mem=5MB") as c:
            t.note(c.info.encoding, c.execute("select current_setting('statement_timeout'), current_setting('geqo'), current_setting('datestyle'), current_setting('work_mem')").fetchone())
            t.note(c.execute("select %s, '2026-02-01'::date::text, length(%s)", ["é", "é"]).fetchone())
    with step("a text that is not in UTF-8"):
        with psycopg.connect(client_encoding="latin1") as c:
            try:
                t.note(c.execute("select 'é', length('é')").fetchone())
            except psycopg.errors.FeatureNotSupported as e:
                t.note(e.diag.message_primary)
    for name, kw in {
        "an unknown setting": {"options": "-c no_such_setting=1"},
        "a value that is none": {"options": "-c statement_timeout=soon"},
        "an option that is none": {"options": "-Z"},
        "an extension's setting": {"options": "-c myapp.tenant=7"},
        "a database that is not there": {"dbname": "no_such_database"},
        "an encoding that is none": {"client_encoding": "klingon"},
    }.items():
        with t.step("connect with " + name, None if "extension" in name else psycopg.OperationalError, lambda e: {"text": str(e).split("FATAL:")[-1].strip()}):
            with psycopg.connect(**kw) as c:
                t.note(c.execute("select current_setting('myapp.tenant', true)").fetchone())
    for how, kw in {
        "TLS by request": {"sslnegotiation": "postgres"}, "direct TLS": {"sslnegotiation": "direct"}, "TLS 1.2": {"ssl_max_protocol_version": "TLSv1.2"},
        "no GSS": {"gssencmode": "disable"}, "no channel binding": {"channel_binding": "disable"}, "the newest protocol": {"max_protocol_version": "latest"},
    }.items():
        if "max_protocol_version" in kw and pq.version() < 180000:
            continue
        with step("connect with " + how):
            with psycopg.connect(**kw) as c:
                t.note(c.execute("select 1").fetchone(), c.pgconn.ssl_in_use)
    with step("connect with a CA that signed nothing", psycopg.OperationalError):
        psycopg.connect(sslrootcert="system", sslmode="verify-full").close()
    with step("many sessions at once"):
        many = [connect() for _ in range(10)]
        for i, c in enumerate(many):
            c.execute("select set_config('drive.n', %s, false)", [str(i)])
        t.note([c.execute("select current_setting('drive.n')").fetchone()[0] for c in many])
        t.note(len({c.info.backend_pid for c in many}))
        for c in many:
            c.close()


# -- types --------------------------------------------------------------------

def types(c):
    for typ, text in LITERALS:
        with step(f"type {typ}: {text[:30]}"):
            query = f"select $1::text::{typ}, null::{typ}, $2::{typ}".encode()
            for fmt in (0, 1):
                r = c.pgconn.exec_params(query, [text.encode(), None], result_format=fmt)
                t.note([r.status, r.error_message if r.status == 7 else None, r.get_value(0, 0), r.get_value(0, 1), r.ftype(0) if r.nfields and r.ftype(0) < 10000 else None, r.fmod(0), r.fsize(0)])
    with step("types as Python has them"):
        for binary in (False, True):
            cur = c.cursor(binary=binary)
            for typ, text in LITERALS:
                try:
                    t.note([typ, cur.execute(sql.SQL("select %s::text::{}").format(sql.SQL(typ)), [text]).fetchone()[0]])
                except (psycopg.DataError, OverflowError, psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFunction) as e:
                    t.note([typ, type(e).__name__, str(e)])
    values = [
        True, 0, -1, 2**15, 2**31, 2**63 - 1, -2**63, 2**70, 1.5, float("inf"), float("nan"), decimal.Decimal("1.50"), decimal.Decimal("-1e-30"),
        decimal.Decimal("NaN"), "text", "", "it's \\ \"quoted\"", "é世\U0001f600", b"", bytes(range(256)), dt.date(2026, 2, 28), dt.time(1, 2, 3, 4), dt.time(1, 2, tzinfo=dt.timezone.utc),
        dt.datetime(2026, 1, 1, 1, 1, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5))), dt.timedelta(days=-3, seconds=5, microseconds=7),
        uuid.UUID(int=5), ipaddress.ip_address("10.0.0.1"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("::1/64"), Json({"a": [1, None]}), Jsonb({"b": "é"}),
        [1, 2, None], [[1, 2], [3, 4]], ["a", None, "b,c", 'd"e'], [dt.date(2026, 1, 1)], [], [decimal.Decimal("1.5")], Range(1, 5), Range(empty=True), Range(dt.date(2026, 1, 1), None, "(]"),
        Multirange([Range(1, 3), Range(5, 8)]), None,
    ]
    for placeholder in ("%s", "%b", "%t"):
        with step("values as parameters " + placeholder):
            for v in values:
                try:
                    cur = c.cursor(binary=placeholder == "%b")
                    typ = "" if v is not None and v != [] else "::int4[]" if v == [] else "::text"
                    got = cur.execute(f"select {placeholder}{typ}, pg_typeof({placeholder}{typ})::text", [v, v]).fetchone()
                    t.note(got)
                except (psycopg.Error, NotImplementedError) as e:
                    t.note([repr(v), type(e).__name__, str(e)])
    with step("a type of the user's own"):
        class Mood(enum.Enum):
            sad = "sad"
            happy = "happy"

        c.execute("create type mood as enum ('sad', 'happy'); create type pair as (a int, b text, c mood); create type frange as range (subtype = float8); create domain small as int check (value < 10)")
        register_enum(EnumInfo.fetch(c, "mood"), c, Mood)
        register_composite(CompositeInfo.fetch(c, "pair"), c)
        register_range(RangeInfo.fetch(c, "frange"), c)
        register_multirange(MultirangeInfo.fetch(c, "fmultirange"), c)
        for binary in (False, True):
            cur = c.cursor(binary=binary)
            t.note(cur.execute("select 'sad'::mood, array['happy', null]::mood[], row(1, 'x', 'sad')::pair, array[row(1, null, 'sad')::pair], '[1.5,2]'::frange, '{[1,2]}'::fmultirange, 5::small, row(1, 'two')").fetchone())
            t.note(cur.execute("select %s, %s::mood[]", [Mood.sad, [Mood.happy]]).fetchone())
    with step("a domain's check", psycopg.errors.CheckViolation):
        c.execute("select 10::small")
    with step("no columns, no rows, many columns"):
        t.note(c.execute("select").fetchall(), c.execute("select from generate_series(1,3)").rowcount, c.execute("select 1 where false").fetchall())
        cur = c.execute("select " + ", ".join(f"{i} as c{i}" for i in range(1600)))
        t.note(len(cur.description), sum(cur.fetchone()))
    with step("columns described"):
        cur = c.execute("select 1 as a, 'x'::varchar(7) as \"B c\", 1.5::numeric(10,2) as d, now()::timestamp(3) as e, null as f")
        t.note([[d.name, d.type_code, d.display_size, d.internal_size, d.precision, d.scale] for d in cur.description])


# -- big things ---------------------------------------------------------------

def big(c):
    with step("a large value, both ways"):
        text = "weir é" * 200_000
        got = c.execute("select %s::text, length(%s)", [text, text]).fetchone()
        t.note(got[0] == text, got[1])
        raw = os.urandom(1 << 16) * 16
        for binary in (False, True):
            t.note(c.cursor(binary=binary).execute("select %b", [raw]).fetchone()[0] == raw)
    with step("many rows"):
        for binary in (False, True):
            cur = c.cursor(binary=binary)
            cur.execute("select i, i::text || 'x', i * 1.5 from generate_series(1, 30000) i")
            t.note(cur.rowcount, digest(repr(cur.fetchall())))
    with step("a long statement"):
        t.note(c.execute("select " + "+".join(["1"] * 1000)).fetchone(), c.execute(f"select length('{'x' * 500_000}')").fetchone())
    with step("32767 parameters and more"):
        t.note(c.execute("select " + "+".join(["%s::int"] * 1000), range(1000)).fetchone())
        t.note(c.execute("select count(*) from (values " + ",".join(["(%s)"] * 65535) + ") v", ["x"] * 65535).fetchone())
    with step("65536 parameters", psycopg.Error):
        c.execute("select count(*) from (values " + ",".join(["(%s)"] * 65536) + ") v", ["x"] * 65536)
    with step("a row at a time"):
        for kw in ({}, {"size": 100}):
            t.note(sum(r[0] for r in c.cursor().stream("select generate_series(1, 2000)", **kw)))
    with step("a row at a time, left early"):
        for r in c.cursor().stream("select generate_series(1, 200000)"):
            if r[0] == 5:
                break
        t.note(c.info.transaction_status.name, c.execute("select 1").fetchone())
    with step("a row at a time, failing half way", psycopg.errors.DivisionByZero):
        n = 0
        for r in c.cursor().stream("select 1/(1000-i) from generate_series(1, 2000) i"):
            n += 1
        t.note(n)


# -- many statements ----------------------------------------------------------

def batches(c):
    c.execute("create table batch (id int primary key, v text)")
    with step("executemany"):
        cur = c.cursor()
        cur.executemany("insert into batch values (%s, %s)", [(i, f"v{i}") for i in range(500)])
        t.note(cur.rowcount)
        cur.executemany("update batch set v = v || %s where id = %s returning id, v", [("!", i) for i in range(5)], returning=True)
        t.note([r.fetchall() for r in cur.results()] if hasattr(cur, "results") else all_results(cur))
    with step("executemany, one fails", psycopg.errors.UniqueViolation):
        with c.transaction():
            c.cursor().executemany("insert into batch values (%s, 'again')", [(1000,), (1001,), (1,), (1002,)])
    with step("and nothing of it stays"):
        t.note(c.execute("select count(*) from batch").fetchone())
    with step("several statements in one text"):
        cur = c.execute("select 1; insert into batch values (2000, 'x') returning id; select 2 as two, 3; ; update batch set v = 'y' where id >= 1999; select 4 where false")
        t.note(all_results(cur))
    with step("several statements, one of them wrong", psycopg.errors.DivisionByZero):
        c.execute("insert into batch values (3000, 'x'); select 1/0; insert into batch values (3001, 'x')")
    with step("and all of them are one transaction"):
        t.note(c.execute("select count(*) from batch where id >= 3000").fetchone())
    with step("several statements with transaction control"):
        cur = c.execute("insert into batch values (3100, 'x'); commit; insert into batch values (3101, 'x'); begin; insert into batch values (3102, 'x'); rollback")
        t.note(all_results(cur), c.info.transaction_status.name, c.execute("select count(*) from batch where id >= 3100").fetchone())
    with step("nothing at all"):
        for text in ("", " ; ", "-- only a comment", "/* nested /* comment */ */"):
            cur = c.execute(text)
            t.note([text, cur.statusmessage, c.pgconn.exec_(text.encode()).status, c.pgconn.exec_params(text.encode(), []).status])
    with step("with parameters there is one statement", psycopg.errors.SyntaxError):
        c.execute("select %s; select 2", [1])


def pipelines(c):
    with step("a pipeline of thousands"):
        with c.pipeline():
            curs = [c.execute("select %s::int + 1", [i]) for i in range(2000)]
        t.note(sum(cur.fetchone()[0] for cur in curs))
    with step("a pipeline read while it is written"):
        got = []
        with c.pipeline() as p:
            for i in range(5):
                cur = c.execute("select %s::int", [i])
                got.append(cur.fetchone()[0])
                if i == 2:
                    p.sync()
        t.note(got, c.info.transaction_status.name)
    with step("a pipeline that fails half way"):
        try:
            with c.pipeline() as p:
                for i in (5000, 5001, 1, 5002):
                    c.execute("insert into batch values (%s, 'p')", [i])
                p.sync()
        except psycopg.Error as e:
            t.note([type(e).__name__, e.sqlstate])
        t.note(c.info.transaction_status.name, c.execute("select array_agg(id) from batch where id >= 5000").fetchone())
    with step("a pipeline by hand: errors, syncs and flushes"):
        pg = c.pgconn
        pg.enter_pipeline_mode()
        pg.send_query_params(b"select 1", None)
        pg.send_query_params(b"select 1/0", None)
        pg.send_query_params(b"select 3", None)
        pg.pipeline_sync()
        pg.send_prepare(b"by_hand", b"select $1::int, $2::text")
        pg.send_describe_prepared(b"by_hand")
        pg.send_query_prepared(b"by_hand", [b"4", None], result_format=1)
        pg.send_query_prepared(b"by_hand", [b"not a number", None])
        pg.pipeline_sync()
        pg.send_query_params(b"select 5", None)
        pg.send_flush_request()
        pg.flush()
        seen, syncs, idle = [], 0, 0
        while idle < 2 and syncs < 3:
            while pg.is_busy():
                pg.consume_input()
            r = pg.get_result()
            if r is None:
                idle += 1
                continue
            idle = 0
            status = pq.ExecStatus(r.status).name
            seen.append([status, r.error_field(pq.DiagnosticField.SQLSTATE), r.nparams, [r.ftype(i) for i in range(r.nfields)], r.get_value(0, 0) if r.ntuples else None])
            syncs += status == "PIPELINE_SYNC"
            if status == "TUPLES_OK" and r.get_value(0, 0) == b"5":
                pg.pipeline_sync()
                pg.flush()
        pg.exit_pipeline_mode()
        t.note(seen, c.execute("select 'still here'").fetchone())
    with step("a pipeline in a transaction"):
        with c.pipeline(), c.transaction():
            c.execute("create table piped (a int)")
            c.execute("insert into piped values (1), (2)")
            cur = c.execute("select sum(a) from piped")
        t.note(cur.fetchone())
    with step("a pipeline with nested transactions, one undone"):
        with c.pipeline():
            with c.transaction():
                c.execute("insert into piped values (10)")
                with contextlib.suppress(psycopg.errors.DivisionByZero):
                    with c.transaction():
                        c.execute("insert into piped values (20)")
                        c.execute("select 1/0").fetchone()
                c.execute("insert into piped values (30)")
        t.note(c.execute("select array_agg(a order by a) from piped").fetchone())


# -- prepared statements ------------------------------------------------------

def prepared(c):
    c.execute("create table plan (a int, b text); insert into plan values (1, 'x')")
    with step("prepared, again and again"):
        for i in range(10):
            t.note(c.execute("select * from plan where a = %s", [1], prepare=True).fetchall())
        t.note(c.execute("select count(*), sum(generic_plans + custom_plans) from pg_prepared_statements").fetchone())
    with step("the table changes below a prepared statement", psycopg.errors.FeatureNotSupported):
        c.pgconn.prepare(b"changes", b"select * from plan")
        c.pgconn.exec_(b"alter table plan add c int default 7")  # psycopg itself would deallocate all
        r = c.pgconn.exec_prepared(b"changes", [])
        raise psycopg.errors.error_from_result(r)
    with step("and it is prepared anew"):
        c.execute("deallocate all")
        t.note(c.execute("select * from plan where a = %s", [1], prepare=True).fetchall())
    with step("by hand, described"):
        pg = c.pgconn
        r = pg.prepare(b"s1", b"select a, b, $1::int8 + a from plan where b = $2 or a = $3", [0, 0, 23])
        t.note(r.status)
        r = pg.describe_prepared(b"s1")
        t.note(r.status, [r.param_type(i) for i in range(r.nparams)], [[r.fname(i), r.ftype(i), r.ftablecol(i), r.fformat(i)] for i in range(r.nfields)])
        r = pg.exec_prepared(b"s1", [b"5", b"x", b"\0\0\0\1"], [0, 0, 1], 1)
        t.note(r.status, [r.get_value(0, i) for i in range(r.nfields)])
    for name, do in {
        "a name that is taken": lambda pg: pg.prepare(b"s1", b"select 1"),
        "a name that is not there": lambda pg: pg.exec_prepared(b"nope", []),
        "too few parameters": lambda pg: pg.exec_prepared(b"s1", [b"1"]),
        "a parameter that is none": lambda pg: pg.exec_prepared(b"s1", [b"x", b"y", b"1"]),
        "a broken binary parameter": lambda pg: pg.exec_prepared(b"s1", [b"1", b"y", b"\0"], [0, 0, 1]),
        "a text that is none": lambda pg: pg.prepare(b"s2", b"selec 1"),
        "two statements": lambda pg: pg.prepare(b"s2", b"select 1; select 2"),
        "a type that is not known": lambda pg: pg.prepare(b"s2", b"select $1 || 'x'", [99999999]),
        "a parameter without a type": lambda pg: pg.prepare(b"s2", b"select $1 is null"),
        "a portal that is not there": lambda pg: pg.describe_portal(b"nope"),
        "bytes that are no text": lambda pg: pg.exec_params(b"select $1::text", [b"\xff\xfe"]),
        "a zero byte": lambda pg: pg.exec_params(b"select $1::text", [b"a\0b"], [0], [1]),
        "a text that is not UTF-8": lambda pg: pg.exec_params(b"select '\xff'", []),
        "closing a statement": lambda pg: pg.close_prepared(b"s1"),
        "closing what is not there": lambda pg: pg.close_prepared(b"s1"),
        "closing a portal": lambda pg: pg.close_portal(b"nope"),
    }.items():
        with step("prepared: " + name):
            r = do(c.pgconn)
            t.note(pq.ExecStatus(r.status).name, [(r.error_field(f) or b"").decode() for f in pq.DiagnosticField], c.info.transaction_status.name)
    with step("PREPARE and EXECUTE in SQL"):
        c.execute("prepare q (int) as select $1 + a from plan")
        t.note(c.execute("execute q(5)").fetchall(), c.execute("select name, parameter_types::text[], from_sql from pg_prepared_statements").fetchall())
        c.execute("deallocate q")
    with step("EXECUTE of what is gone", psycopg.errors.InvalidSqlStatementName):
        c.execute("execute q(5)")
    with step("prepared in one transaction that is undone"):
        for text in (b"begin", b"prepare undone as select 1", b"rollback"):
            c.pgconn.exec_(text)
        t.note(c.execute("execute undone").fetchall())
    with step("DISCARD ALL"):
        c.execute("discard all")
        t.note(c.execute("select count(*) from pg_prepared_statements").fetchone(), c.execute("show search_path").fetchone())
        c.execute(f"set search_path = {SCHEMA}, public")


# -- cursors ------------------------------------------------------------------

def cursors(c):
    with step("a server-side cursor"):
        with c.transaction(), c.cursor("named", scrollable=True) as cur:
            cur.execute("select i, i::text from generate_series(1, %s) i", [1000])
            cur.itersize = 100
            t.note(cur.fetchone(), cur.fetchmany(3), cur.scroll(10), cur.fetchone(), cur.scroll(0, "absolute"), cur.fetchone(), sum(r[0] for r in cur), cur.fetchall())
            t.note([d.name for d in cur.description])
    with step("a cursor that outlives its transaction"):
        cur = c.cursor("held", withhold=True, binary=True)
        with c.transaction():
            cur.execute("select i, i::numeric / 3 from generate_series(1, 5) i")
        t.note(cur.fetchall())
        cur.close()
    with step("a cursor outside a transaction", psycopg.errors.NoActiveSqlTransaction):
        c.execute("declare outside cursor for select 1")
    with step("a cursor that cannot go back", psycopg.errors.ObjectNotInPrerequisiteState):
        with c.transaction(), c.cursor("forward", scrollable=False) as cur:
            cur.execute("select generate_series(1, 10)")
            cur.fetchmany(5)
            cur.scroll(-2)
            cur.fetchone()
    with step("DECLARE, FETCH, MOVE, CLOSE"):
        with c.transaction():
            c.execute("declare hand scroll cursor for select * from generate_series(1, 20) g order by g")
            for text in ("fetch 2 from hand", "fetch backward 1 from hand", "move forward 5 from hand", "fetch relative 2 from hand", "fetch absolute -1 from hand",
                         "fetch all from hand", "fetch backward all from hand", "move absolute 3 in hand", "fetch prior from hand"):
                cur = c.execute(text)
                t.note([text, cur.statusmessage, cur.fetchall() if cur.description else None])
            t.note(c.execute("select name, statement, is_holdable, is_binary, is_scrollable from pg_cursors").fetchall())
            c.execute("close hand")
    with step("UPDATE WHERE CURRENT OF"):
        c.execute("create table walked (a int); insert into walked select generate_series(1,3)")
        with c.transaction():
            c.execute("declare walk cursor for select * from walked for update")
            c.execute("fetch 2 from walk")
            t.note(c.execute("update walked set a = a * 10 where current of walk").rowcount)
        t.note(c.execute("select array_agg(a order by a) from walked").fetchone())
    with step("a cursor from a function"):
        c.execute("create function opens() returns refcursor language plpgsql as $$ declare r refcursor := 'given'; begin open r for select generate_series(1, 4); return r; end $$")
        with c.transaction():
            t.note(c.execute("select opens()").fetchone(), c.execute('fetch all from "given"').fetchall())


# -- COPY ---------------------------------------------------------------------

def copies(c):
    c.execute("create table copied (id int primary key, v text, n numeric, at timestamptz default '2026-01-01')")
    with step("COPY in, text"):
        cur = c.cursor()
        with cur.copy("copy copied (id, v, n) from stdin") as copy:
            for i in range(2000):
                copy.write_row((i, f"v\t{i}\\é" if i % 3 else None, decimal.Decimal(i) / 7))
        t.note(cur.rowcount, cur.statusmessage)
    with step("COPY in, binary"):
        cur = c.cursor()
        with cur.copy("copy copied from stdin (format binary)") as copy:
            copy.set_types(["int4", "text", "numeric", "timestamptz"])
            for i in range(2000, 4000):
                copy.write_row((i, "b", decimal.Decimal("1.5"), dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)))
        t.note(cur.rowcount)
    with step("COPY in, csv in large blocks"):
        block = "".join(f'{i},"a ""quoted"", {"x" * 100}",\n' for i in range(4000, 9000))
        cur = c.cursor()
        with cur.copy("copy copied (id, v, n) from stdin (format csv)") as copy:
            copy.write(block)
        t.note(cur.rowcount)
    for form in ("text", "csv", "binary"):
        with step("COPY out, " + form):
            cur = c.cursor()
            with cur.copy(f"copy (select * from copied order by id) to stdout (format {form})") as copy:
                raw = b"".join(copy)
            t.note(len(raw), digest(raw), cur.rowcount)
    with step("COPY out, by rows"):
        for form in ("text", "binary"):
            with c.cursor().copy(f"copy (select id, v, n, at from copied where id < 5 order by id) to stdout (format {form})") as copy:
                copy.set_types(["int4", "text", "numeric", "timestamptz"])
                t.note(list(copy.rows()))
    with step("COPY with a header, quotes and nulls"):
        with c.cursor().copy("copy (select 1 as a, null as b, '' as c, 'x,y' as d) to stdout with (format csv, header, null '-', force_quote (d), delimiter ';')") as copy:
            t.note(b"".join(copy))
        with c.cursor().copy("copy (select 1) to stdout with (format csv, header)") as copy:
            t.note(b"".join(copy))
    with step("COPY of nothing"):
        cur = c.cursor()
        with cur.copy("copy copied from stdin") as copy:
            pass
        t.note(cur.rowcount)
        with cur.copy("copy (select 1 where false) to stdout") as copy:
            t.note(b"".join(copy))
    with step("COPY in with a bad row half way", psycopg.errors.InvalidTextRepresentation):
        with c.cursor().copy("copy copied (id, v) from stdin") as copy:
            for i in range(10000, 40000):
                copy.write(f"{i if i != 20000 else 'twenty thousand'}\tv\n")
    with step("COPY in of a row twice", psycopg.errors.UniqueViolation):
        with c.cursor().copy("copy copied (id, v) from stdin") as copy:
            copy.write("10000\tv\n1\tv\n")
    with step("COPY in of too few columns", psycopg.errors.BadCopyFileFormat):
        with c.cursor().copy("copy copied (id, v, n) from stdin") as copy:
            copy.write("10000\tv\n")
    with step("COPY in given up by the client", KeyError):
        with c.cursor().copy("copy copied (id, v) from stdin") as copy:
            copy.write("10000\tv\n")
            raise KeyError("changed my mind")
    with step("COPY in failed by the client", psycopg.Error):
        c.pgconn.exec_(b"copy copied (id, v) from stdin")
        c.pgconn.put_copy_data(b"10000\tv\n")
        c.pgconn.put_copy_end(b"no more")
        raise psycopg.errors.error_from_result(c.pgconn.get_result())
    while c.pgconn.get_result():
        pass
    with step("COPY out left early"):
        with contextlib.suppress(KeyError):
            with c.cursor().copy("copy (select repeat('x', 1000) from generate_series(1, 20000)) to stdout") as copy:
                for _ in copy:
                    raise KeyError("enough")
        t.note(c.info.transaction_status.name)
    with step("COPY out that fails half way", psycopg.errors.DivisionByZero):
        with c.cursor().copy("copy (select 1/(5000-i) from generate_series(1, 10000) i) to stdout") as copy:
            for _ in copy:
                pass
    with step("COPY between other statements"):
        pg = c.pgconn
        pg.send_query(b"select 1; copy copied (id, v) from stdin; select 2; copy (select 3) to stdout; select 4")
        seen = []
        while (r := pg.get_result()) is not None:
            status = pq.ExecStatus(r.status).name
            seen.append([status, r.command_status, r.get_value(0, 0) if r.ntuples else None])
            if status == "COPY_IN":
                pg.put_copy_data(b"50000\tin the middle\n")
                pg.put_copy_end()
            if status == "COPY_OUT":
                while True:
                    n, data = pg.get_copy_data(0)
                    if n < 0:
                        break
                    seen.append(data)
        t.note(seen)
    with step("COPY in a pipeline", psycopg.Error):
        try:
            with c.pipeline():
                with c.cursor().copy("copy copied from stdin") as copy:
                    copy.write("1\n")
        finally:
            t.note(c.info.transaction_status.name)
    with step("what was copied"):
        t.note(c.execute("select count(*), sum(id), max(id), count(v) from copied").fetchone())
    with step("COPY to a file that cannot be", psycopg.Error):
        c.execute("copy copied to '/no/such/folder/x'")


# -- what comes unasked -------------------------------------------------------

def unasked(c):
    with step("LISTEN and NOTIFY"):
        with connect() as other:
            c.execute("listen drive")
            c.execute('listen "Drive two"')
            other.execute("notify drive, 'from another'")
            other.execute("select pg_notify('Drive two', 'é')")
            c.execute("notify drive")
            got = [(n.channel, n.payload, n.pid == other.info.backend_pid, n.pid == c.info.backend_pid) for n in c.notifies(timeout=20, stop_after=3)]
            t.note(sorted(got, key=str))
            with other.transaction():
                for i in range(100):
                    other.execute("select pg_notify('drive', %s)", [str(i)])
            t.note([n.payload for n in c.notifies(timeout=20, stop_after=100)])
            with contextlib.suppress(psycopg.errors.DivisionByZero), other.transaction():
                other.execute("notify drive, 'never'")
                other.execute("select 1/0")
            other.execute("notify drive, 'last'")
            t.note([n.payload for n in c.notifies(timeout=20, stop_after=1)])
            c.execute("unlisten *")
            t.note(c.execute("select pg_listening_channels()").fetchall())
    with step("a payload that is too long", psycopg.Error):
        c.execute("select pg_notify('drive', repeat('x', 8000))")
    with step("notices"):
        got = []
        c.add_notice_handler(lambda d: got.append(fields(type("e", (), {"diag": d}))))
        c.execute("set client_min_messages = debug1")
        c.execute("do $$ begin raise notice 'hello %', 1 using detail = 'D', hint = 'H', errcode = 'WX001', column = 'c', constraint = 'k', datatype = 't', table = 'ta', schema = 's'; raise warning 'w'; raise info 'i'; raise log 'l'; raise debug 'd'; end $$")
        c.execute("drop table if exists not_there")
        c.execute("reset client_min_messages")
        t.note(got)
        got.clear()
        c.execute("do $$ begin for i in 1..500 loop raise notice '%', i; end loop; end $$")
        t.note(len(got), got[0], got[-1])
    with step("a setting changes"):
        for text in ("set application_name = 'new name'", "set datestyle = 'sql, dmy'", "set timezone = 'Asia/Kathmandu'", "set client_encoding = 'utf8'", "set intervalstyle = 'iso_8601'"):
            c.execute(text)
            t.note([c.info.parameter_status(n) for n in ("application_name", "DateStyle", "TimeZone", "client_encoding", "IntervalStyle")])
        c.execute("reset all")
        t.note([c.info.parameter_status(n) for n in ("application_name", "DateStyle", "TimeZone", "client_encoding", "IntervalStyle")])


# -- transactions -------------------------------------------------------------

def transactions(c):
    c.execute("create table acc (id int primary key, n int not null check (n >= 0)); insert into acc values (1, 10), (2, 10); create table owned (id int references acc)")
    with step("implicit transactions"):
        with connect(autocommit=False) as d:
            t.note(d.info.transaction_status.name)
            d.execute("insert into acc values (3, 1)")
            t.note(d.info.transaction_status.name)
            d.rollback()
            t.note(d.info.transaction_status.name, d.execute("select count(*) from acc").fetchone())
            with contextlib.suppress(psycopg.errors.DivisionByZero):
                d.execute("select 1/0")
            t.note(d.info.transaction_status.name)
            try:
                d.execute("select 1")
            except psycopg.errors.InFailedSqlTransaction as e:
                t.note(fields(e))
            d.rollback()
    with step("savepoints"):
        with c.transaction() as tx:
            c.execute("update acc set n = 1")
            with contextlib.suppress(psycopg.errors.CheckViolation), c.transaction("inner"):
                c.execute("update acc set n = -1")
            t.note(c.info.transaction_status.name, c.execute("select sum(n) from acc").fetchone())
            with c.transaction(force_rollback=True):
                c.execute("delete from acc")
            t.note(c.execute("select count(*) from acc").fetchone())
            raise psycopg.Rollback(tx)
        t.note(c.execute("select sum(n) from acc").fetchone())
    with step("isolation levels"):
        with connect(autocommit=False) as d:
            for level in psycopg.IsolationLevel:
                for read_only in (False, True):
                    for deferrable in (False, True):
                        d.isolation_level, d.read_only, d.deferrable = level, read_only, deferrable
                        t.note(d.execute("select current_setting('transaction_isolation'), current_setting('transaction_read_only'), current_setting('transaction_deferrable')").fetchone())
                        d.rollback()
    with step("a write in a read-only transaction", psycopg.errors.ReadOnlySqlTransaction):
        with connect(autocommit=False) as d:
            d.read_only = True
            d.execute("delete from acc")
    with step("a conflict of two", psycopg.errors.SerializationFailure):
        with connect(autocommit=False) as a, connect(autocommit=False) as b:
            for d in (a, b):
                d.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
                d.execute("select sum(n) from acc")
            a.execute("update acc set n = n + 1 where id = 1")
            b.execute("update acc set n = n + 1 where id = 2")
            a.commit()
            b.commit()
    with step("a deadlock"):
        outcomes = []
        with connect(autocommit=False) as a, connect(autocommit=False) as b:
            for d in (a, b):
                d.execute("set local deadlock_timeout = '100ms'")
            a.execute("update acc set n = 5 where id = 1")
            b.execute("update acc set n = 5 where id = 2")

            def cross():
                try:
                    b.execute("update acc set n = 6 where id = 1")
                    outcomes.append("ok")
                except psycopg.errors.DeadlockDetected as e:
                    outcomes.append(e.sqlstate)
                b.rollback()

            th = threading.Thread(target=cross)
            th.start()
            try:
                a.execute("update acc set n = 6 where id = 2")
                outcomes.append("ok")
            except psycopg.errors.DeadlockDetected as e:
                outcomes.append(e.sqlstate)
            a.rollback()
            th.join()
        t.note(sorted(outcomes))
    for name, text, err in [
        ("statement_timeout", "set statement_timeout = '50ms'; select pg_sleep(10)", psycopg.errors.QueryCanceled),
        ("a foreign key", "insert into owned values (99)", psycopg.errors.ForeignKeyViolation),
        ("not null", "insert into acc values (5, null)", psycopg.errors.NotNullViolation),
        ("a syntax error", "select * frm acc", psycopg.errors.SyntaxError),
        ("a syntax error far away, after é", "select 'é', " + "1, " * 100 + "frm x y z", psycopg.errors.SyntaxError),
        ("no such table", "select * from nowhere", psycopg.errors.UndefinedTable),
        ("no such column", "select nocolumn from acc", psycopg.errors.UndefinedColumn),
        ("no such function", "select nofunc(1)", psycopg.errors.UndefinedFunction),
        ("no such schema", "create table nosuch.t (a int)", psycopg.errors.InvalidSchemaName),
        ("a user's own error", "do $$ begin raise exception 'mine' using errcode = 'WX123', detail = 'D', hint = 'H', table = 'T'; end $$", psycopg.Error),
        ("an error inside a function", "do $$ begin execute 'select 1/0'; end $$", psycopg.errors.DivisionByZero),
        ("too much for int4", "select 2147483647 + 1", psycopg.errors.NumericValueOutOfRange),
        ("a role that is not there", "set role no_such_role", psycopg.Error),
        ("a setting that is not there", "set no_such_setting = 1", psycopg.errors.UndefinedObject),
        ("idle in a transaction", "rollback", None),
        ("VACUUM in a transaction", "begin; vacuum acc", psycopg.errors.ActiveSqlTransaction),
    ]:
        with step("error: " + name, err):
            c.execute(text)
    c.execute("rollback; reset statement_timeout")
    with step("lock_timeout", psycopg.errors.LockNotAvailable):
        with connect(autocommit=False) as a:
            a.execute("lock table acc in access exclusive mode")
            c.execute("set lock_timeout = '50ms'; select * from acc")
    c.execute("reset lock_timeout")
    with step("idle_in_transaction_session_timeout", psycopg.OperationalError):
        with connect(autocommit=False) as a:
            a.execute("set idle_in_transaction_session_timeout = '50ms'")
            a.wait(psycopg.generators.notifies(a.pgconn))
    with step("in two phases"):
        with connect(autocommit=False) as d:
            xid = d.xid(7, "drive", "branch")
            d.tpc_begin(xid)
            d.execute("insert into acc values (70, 1)")
            d.tpc_prepare()
            t.note([x.gtrid for x in c.tpc_recover() if x.gtrid == "drive"], c.execute("select count(*) from acc where id = 70").fetchone())
            d.tpc_commit()
            t.note(c.execute("select count(*) from acc where id = 70").fetchone())
            d.tpc_begin("plain")
            d.execute("insert into acc values (71, 1)")
            d.tpc_prepare()
            d.tpc_rollback()
            t.note(c.execute("select count(*) from acc where id = 71").fetchone())
    with step("advisory locks"):
        with connect() as d:
            t.note(c.execute("select pg_try_advisory_lock(42)").fetchone(), d.execute("select pg_try_advisory_lock(42)").fetchone(), c.execute("select pg_advisory_unlock(42)").fetchone())


def cancels(c):
    for name, cancel in {"cancel_safe": lambda x: x.cancel_safe(timeout=20), "cancel": lambda x: x.cancel()}.items():
        with step("a statement cancelled by " + name, psycopg.errors.QueryCanceled):
            with connect() as other:
                pid = c.info.backend_pid

                def when_it_runs():
                    while not other.execute("select 1 from pg_stat_activity where pid = %s and state = 'active' and query like '%%pg_sleep(60)%%'", [pid]).fetchone():
                        pass
                    cancel(c)

                th = threading.Thread(target=when_it_runs)
                th.start()
                try:
                    c.execute("select pg_sleep(60)")
                finally:
                    th.join()
        with step("and the session goes on after " + name):
            t.note(c.info.transaction_status.name, c.execute("select 1").fetchone())
    with step("nothing to cancel"):
        c.cancel_safe(timeout=20)
        t.note(c.execute("select 1").fetchone())
    with step("another session cancelled in SQL", psycopg.errors.QueryCanceled):
        with connect() as other:
            def when_it_runs():
                while not other.execute("select pg_cancel_backend(pid) from pg_stat_activity where pid = %s and state = 'active' and query like '%%pg_sleep(61)%%'", [c.info.backend_pid]).fetchone():
                    pass

            th = threading.Thread(target=when_it_runs)
            th.start()
            try:
                c.execute("select pg_sleep(61)")
            finally:
                th.join()
    with step("a session ended by another", psycopg.errors.AdminShutdown):
        with connect() as victim:
            c.execute("select pg_terminate_backend(%s, 20000)", [victim.info.backend_pid])
            victim.execute("select 1")


# -- sessions -----------------------------------------------------------------

def sessions(c):
    with step("temporary tables"):
        with connect() as d:
            d.execute("create temp table mine (a int) on commit preserve rows; insert into mine values (1), (2)")
            t.note(d.execute("select sum(a) from mine").fetchone(), d.execute("select sum(a) from pg_temp.mine").fetchone())
            with d.transaction():
                d.execute("create temp table gone (a int) on commit drop")
                d.execute("insert into gone values (1)")
                t.note(d.execute("select * from gone").fetchall())
            t.note(d.execute("select to_regclass('gone')").fetchone())
            d.execute("create temp table acc (other text)")
            t.note(d.execute("select * from acc").fetchall())
            d.execute("discard temp")
            t.note(d.execute("select count(*) from acc").fetchone())
    with step("settings of the session"):
        with connect() as d:
            d.execute("set drive.a = '1'; set local drive.b = '2'; set session time zone 'UTC'")
            with d.transaction():
                d.execute("set local work_mem = '7MB'")
                t.note(d.execute("show work_mem").fetchone())
            t.note(d.execute("select current_setting('drive.a'), current_setting('drive.b', true), current_setting('work_mem'), current_setting('timezone')").fetchone())
            d.execute("reset all")
            t.note(d.execute("show drive.a").fetchone(), d.execute("show all").fetchall()[0])
    with step("roles"):
        with connect() as d:
            d.execute("set role pg_monitor")
            t.note(d.execute("select current_user, current_user = session_user, current_role").fetchone(), d.info.parameter_status("is_superuser"))
            d.execute("reset role")
            d.execute("set session authorization pg_monitor")
            t.note(d.execute("select current_user, session_user").fetchone())
            d.execute("reset session authorization")
    with step("another schema"):
        with connect() as d:
            d.execute("create schema if not exists drive_psycopg_two; create table drive_psycopg_two.acc (only_here int); insert into drive_psycopg_two.acc values (1)")
            d.execute("set search_path = drive_psycopg_two")
            t.note(d.execute("select * from acc").fetchall())
            d.execute(f"select set_config('search_path', '{SCHEMA}', false)")
            t.note(len(d.execute("select * from acc").description))
            d.execute("drop schema drive_psycopg_two cascade")
    with step("SQL of all kinds"):
        for text in [
            "create table kinds (id int generated always as identity, a int, b int generated always as (a * 2) stored)",
            "insert into kinds (a) values (1), (2), (3) returning id, b", "insert into kinds (a) select generate_series(4, 6)",
            "update kinds set a = a + 1 where id < 3 returning old.a, new.a", "delete from kinds where id = 1 returning *",
            "merge into kinds k using (values (2), (99)) v (x) on k.id = v.x when matched then update set a = 0 when not matched then insert (a) values (x) returning merge_action(), k.id",
            "with w as (delete from kinds where id = 2 returning *) select * from w", "table kinds", "values (1, 'a'), (2, 'b')",
            "select * from kinds order by id for update skip locked", "select a, count(*) over (partition by a > 3), lag(a) over (order by id) from kinds order by id",
            "with recursive r (n) as (select 1 union all select n + 1 from r where n < 5) select * from r", "select * from kinds, lateral (select a + 1 as z) l order by id",
            "select * from json_table('[{\"a\": 1}]', '$[*]' columns (a int path '$.a'))", "select grouping(a), count(*) from kinds group by rollup (a) order by 1, 2 limit 2",
            "select * from generate_series(1, 2) with ordinality", "select * from kinds tablesample system (100) order by id", "explain (costs off) select * from kinds",
            "create view seen as select a from kinds", "select * from seen order by a", "create materialized view kept as select count(*) from kinds", "refresh materialized view kept",
            "create index on kinds (a)", "create function twice(int) returns int language sql as 'select $1 * 2'", "select twice(a) from kinds order by id",
            "create procedure does(inout x int) language plpgsql as $$ begin x := x + 1; end $$", "call does(5)", "create sequence seq", "select nextval('seq'), currval('seq'), lastval()",
            "create rule noted as on delete to seen do instead nothing", "delete from seen", "comment on table kinds is 'é'", "truncate kinds restart identity", "analyze kinds", "vacuum kinds",
            "create table parts (a int) partition by range (a)", "create table parts1 partition of parts for values from (0) to (10)", "insert into parts values (5)", "select tableoid::regclass::text, * from parts",
            "checkpoint", "reindex table kinds", "alter table kinds rename a to aa", "select aa from kinds", "grant select on kinds to pg_monitor", "drop view seen",
            "select pg_catalog.version() like 'PostgreSQL%'", "show server_version", "listen x", "unlisten x", "load 'plpgsql'", "do $$ begin perform 1; end $$",
            "select * from pg_get_keywords() limit 1", "select $$dollar$$, $tag$quoted$tag$, E'\\x41', U&'\\0061', B'101', X'ff'",
        ]:
            for prepare in (False, True):
                if prepare and not text.startswith(("select", "with", "table", "values", "explain", "show")):
                    continue
                cur = c.execute(text, prepare=prepare)
                t.note([text[:40], cur.statusmessage, cur.fetchall() if cur.description else None])
    with step("rows in other shapes"):
        for factory in (rows.dict_row, rows.namedtuple_row, rows.scalar_row):
            t.note(c.cursor(row_factory=factory).execute("select 1 as a, 2 as b").fetchall())
    with step("client-side binding"):
        cur = psycopg.ClientCursor(c)
        t.note(cur.execute("select %s, %s, %s::int; select %s", [1, "it's \\ é", None, [1, 2]]).fetchall(), cur.nextset(), cur.fetchall())
        t.note(psycopg.RawCursor(c).execute("select $1::int + $2", [1, 2]).fetchall())
    with step("large objects in SQL"):
        with c.transaction():
            oid = c.execute("select lo_create(0)").fetchone()[0]
            fd = c.execute("select lo_open(%s, 131072 | 262144)", [oid]).fetchone()[0]
            t.note(fd, c.execute("select lowrite(%s, %b)", [fd, b"weir" * 1000]).fetchone(), c.execute("select lo_lseek64(%s, -6, 2)", [fd]).fetchone())
            t.note(c.execute("select loread(%s, 100)", [fd]).fetchone(), c.execute("select lo_close(%s)", [fd]).fetchone())
            t.note(c.execute("select lo_get(%s, 2, 4)", [oid]).fetchone(), c.execute("select lo_unlink(%s)", [oid]).fetchone())


def pools():
    with step("a pool"):
        with psycopg_pool.ConnectionPool(min_size=2, max_size=4, check=psycopg_pool.ConnectionPool.check_connection, kwargs={"autocommit": True}) as pool:
            pool.wait(30)

            def work(i, out):
                with pool.connection() as c:
                    out.append(c.execute("select %s::int * 2", [i]).fetchone()[0])

            out = []
            threads = [threading.Thread(target=work, args=(i, out)) for i in range(20)]
            for th in threads:
                th.start()
            for th in threads:
                th.join()
            t.note(sorted(out))
            with contextlib.suppress(psycopg.errors.DivisionByZero), pool.connection() as c, c.transaction():
                c.execute("select 1/0")
            with pool.connection() as c:
                t.note(c.info.transaction_status.name)
    with step("asynchronously"):
        async def play():
            async with await psycopg.AsyncConnection.connect(autocommit=True) as c:
                cur = await c.execute("select generate_series(1, 5)")
                t.note(await cur.fetchall())
                async with c.pipeline():
                    curs = [await c.execute("select %s::int", [i]) for i in range(50)]
                    t.note([await x.fetchone() for x in curs][-1])
                try:
                    await asyncio.wait_for(c.execute("select pg_sleep(60)"), 0.2)
                except asyncio.TimeoutError:
                    t.note("timed out", c.info.transaction_status.name)

        asyncio.run(play())


def main():
    warnings.simplefilter("ignore")
    connecting()
    with connect() as c:
        c.execute(f"set client_min_messages = error; drop schema if exists {SCHEMA} cascade; create schema {SCHEMA}; reset client_min_messages")
        for part in (types, big, batches, pipelines, prepared, cursors, copies, unasked, transactions, cancels, sessions):
            part(c)
        pools()
        with step("the end"):
            t.note(c.info.transaction_status.name)
            c.execute(f"set client_min_messages = error; drop schema {SCHEMA} cascade")
    t.end()


main()
