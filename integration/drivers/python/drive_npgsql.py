"""What Npgsql can do, driven from Python: a .NET runtime and Npgsql.dll are there
as parts of Python packages, and a compiler is not."""

import json
import os
import sys
import tempfile

from transcript import LITERALS, Transcript, digest

t = Transcript()
SCHEMA = "drive_npgsql"


def load():
    """Starts .NET in this process and returns the namespace Npgsql."""
    import dotnetcore2
    from clr_loader import get_coreclr
    from pythonnet import set_runtime

    with tempfile.NamedTemporaryFile("w", suffix=".json") as config:
        json.dump({"runtimeOptions": {
            "tfm": "netcoreapp3.1", "framework": {"name": "Microsoft.NETCore.App", "version": "3.1.0"},
            "configProperties": {"System.Globalization.Invariant": True},
        }}, config)
        config.flush()
        root = os.path.join(os.path.dirname(dotnetcore2.__file__), "bin")
        set_runtime(get_coreclr(runtime_config=config.name, dotnet_root=root))
        import clr

    sys.path.append(os.path.join(os.path.dirname(os.path.dirname(root)), "azureml", "dataprep", "api", "engineapi", "bin"))
    clr.AddReference("Npgsql")
    clr.AddReference("System.Data.Common")
    import Npgsql

    return Npgsql


npgsql = load()
import System  # noqa: E402 it is there once .NET runs
from System.Data import IsolationLevel  # noqa: E402


def fields(e):
    if not isinstance(e, npgsql.PostgresException):
        return {"text": str(e.Message) if hasattr(e, "Message") else str(e)}
    names = ["Severity", "SqlState", "MessageText", "Detail", "Hint", "Position", "InternalPosition", "InternalQuery", "Where", "SchemaName", "TableName",
             "ColumnName", "DataTypeName", "ConstraintName", "File", "Line", "Routine"]
    return {n: getattr(e, n) for n in names if getattr(e, n) is not None}


def step(name, fails=None):
    return t.step(name, fails, fields)


def shown(v):
    if v is None or isinstance(v, (bool, int, float, str)):
        return v
    kind = v.GetType().FullName if hasattr(v, "GetType") else type(v).__name__
    if isinstance(v, System.Array):
        return [kind, [shown(x) for x in v]]
    return [kind, "" if kind == "System.DBNull" else v.ToString()]


def connect(more=""):
    e = os.environ
    c = npgsql.NpgsqlConnection(f"Host=localhost;Port={e['PGPORT']};Username={e['PGUSER']};Password={e['PGPASSWORD']};Database={e['PGDATABASE']};"
                                f"Search Path={SCHEMA},public;SSL Mode=Require;Trust Server Certificate=true;Application Name=drive;Timeout=30;" + more)
    c.Open()
    return c


def command(c, text, *args):
    cmd = npgsql.NpgsqlCommand(text, c)
    for i, a in enumerate(args):
        cmd.Parameters.AddWithValue(f"p{i}", a)
    return cmd


def read(cmd):
    r = cmd.ExecuteReader()
    try:
        out = []
        while True:
            out.append([[r.GetName(i), r.GetDataTypeName(i)] for i in range(r.FieldCount)])
            while r.Read():
                out.append([shown(r.GetValue(i)) for i in range(r.FieldCount)])
            if not r.NextResult():
                return [out, r.RecordsAffected]
    finally:
        r.Close()


def ask(c, text, *args):
    return read(command(c, text, *args))


def run(c, text):
    return command(c, text).ExecuteNonQuery()


def main():
    with step("the connection"):
        c = connect()
        t.note(c.ServerVersion, str(c.PostgreSqlVersion), c.FullState.ToString(), ask(c, "select pg_backend_pid() = @p0, current_setting('application_name')", System.Int32(c.ProcessID)))
    with step("a schema"):
        run(c, f"drop schema if exists {SCHEMA} cascade; create schema {SCHEMA}")
    for name, more in {"a database that is not there": "Database=no_such_database", "pooling off": "Pooling=false", "compatible types": "Server Compatibility Mode=NoTypeLoading"}.items():
        with step("connect with " + name, npgsql.PostgresException if "database" in name else None):
            d = connect(more)
            t.note(ask(d, "select 1"))
            d.Close()
    for typ, text in LITERALS:
        with step(f"type {typ}: {text[:30]}"):
            try:
                t.note(ask(c, f"select @p0::text::{typ}, null::{typ}", text))
            except System.Exception as e:
                t.note(fields(e))
    with step("values"):
        for v in (True, System.Int16(5), System.Int32(5), System.Int64(2**62), System.Double(1.5), System.Decimal(7), "é ' \\", System.DBNull.Value, System.Guid("00112233-4455-6677-8899-aabbccddeeff"),
                  System.DateTime(2026, 1, 2, 3, 4, 5), System.TimeSpan(1, 2, 3), System.Array[System.Int32]([1, 2]), System.Array[System.Byte]([0, 255])):
            t.note(ask(c, "select @p0", v))
    with step("types of the user's own"):
        run(c, "create type mood as enum ('sad', 'ok'); create domain small as int; create table held (m mood, s small, a mood[])")
        c.ReloadTypes()
        run(c, "insert into held values ('sad', 5, '{ok}')")
        t.note(ask(c, "select m::text, s, a::text[] from held"))
    with step("several statements, with values"):
        run(c, "create table many (id int primary key, v text)")
        t.note(ask(c, "insert into many values (@p0, @p1); select * from many; update many set v = 'y' returning v; select 1 where false", System.Int32(1), "x"))
    with step("several statements, one fails", npgsql.PostgresException):
        run(c, "insert into many values (2, 'x'); select 1/0; insert into many values (3, 'x')")
    with step("and nothing of it stays"):
        t.note(ask(c, "select * from many"))
    with step("prepared, and DDL"):
        cmd = command(c, "select * from many where id = @p0", System.Int32(1))
        cmd.Prepare()
        for _ in range(3):
            t.note(read(cmd))
        run(c, "alter table many add w int default 3")
        try:
            t.note(read(cmd))
        except npgsql.PostgresException as e:
            t.note(fields(e))
        cmd.Unprepare()
        t.note(read(cmd))
    with step("COPY by rows, text and raw"):
        run(c, "create table copied (a int, b text)")
        w = c.BeginBinaryImport("copy copied from stdin (format binary)")
        for i in range(2000):
            w.StartRow()
            w.Write[System.Int32](i)
            w.Write[System.String](f"é{i}")
        w.Complete()
        w.Dispose()
        r = c.BeginBinaryExport("copy (select * from copied where a < 3 order by a) to stdout (format binary)")
        while r.StartRow() != -1:
            t.note(r.Read[System.Int32](), r.Read[System.String]())
        r.Dispose()
        w = c.BeginTextImport("copy copied from stdin")
        w.Write("5000\tx\n5001\ty\n")
        w.Dispose()
        r = c.BeginTextExport("copy (select * from copied order by a) to stdout")
        t.note(digest(r.ReadToEnd()))
        r.Dispose()
    with step("COPY not completed"):
        w = c.BeginBinaryImport("copy copied from stdin (format binary)")
        w.StartRow()
        w.Write[System.Int32](1)
        w.Write[System.String]("x")
        w.Dispose()
        t.note(ask(c, "select count(*) from copied"))
    with step("transactions and savepoints"):
        for level in (IsolationLevel.ReadCommitted, IsolationLevel.RepeatableRead, IsolationLevel.Serializable):
            tx = c.BeginTransaction(level)
            run(c, "insert into many values (50, 'a')")
            tx.Save("s")
            try:
                run(c, "insert into many values (50, 'a')")
            except npgsql.PostgresException as e:
                t.note(fields(e))
            tx.Rollback("s")
            t.note(ask(c, "select count(*), current_setting('transaction_isolation') from many"))
            tx.Rollback()
    for text in ("selec 1", "select * from nowhere", "select 1/0", "select 'é' || nothing", "insert into many values (1, 'again')", "do $$ begin raise exception 'mine' using errcode = 'WX001', detail = 'D', hint = 'H'; end $$"):
        with step("error: " + text, npgsql.PostgresException):
            run(c, text)
    with step("command timeout"):
        d = connect()
        cmd = command(d, "select pg_sleep(60)")
        cmd.CommandTimeout = 1
        try:
            cmd.ExecuteNonQuery()
        except System.Exception as e:
            t.note(e.GetType().Name)
        d.Close()
    with step("LISTEN, NOTIFY and notices"):
        got = []
        c.Notification += lambda _, e: got.append(e.AdditionalInformation if hasattr(e, "AdditionalInformation") else e.Payload)
        c.Notice += lambda _, e: got.append(e.Notice.MessageText)
        run(c, "listen drive; notify drive, 'é'; do $$ begin raise notice 'hello'; end $$")
        run(c, "select 1")
        t.note(got)
    with step("large objects"):
        m = npgsql.NpgsqlLargeObjectManager(c)
        tx = c.BeginTransaction()
        oid = m.Create(0)
        s = m.OpenReadWrite(oid)
        s.Write(System.Array[System.Byte]([1, 2, 3, 4]), 0, 4)
        s.Seek(1, System.IO.SeekOrigin.Begin)
        t.note(s.ReadByte(), s.Length, s.Position)
        tx.Rollback()
    with step("many rows"):
        t.note(digest(repr(ask(c, "select i, i::text || 'é', i * 1.5 from generate_series(1, 3000) i"))))
    with step("a pooled connection is reset"):
        d = connect("Maximum Pool Size=1;Connection Idle Lifetime=60")
        run(d, "set work_mem = '9MB'; create temp table mine (a int); listen z")
        d.Close()
        d = connect("Maximum Pool Size=1;Connection Idle Lifetime=60")
        t.note(ask(d, "select current_setting('work_mem'), to_regclass('mine')::text, (select count(*) from pg_listening_channels())"))
        d.Close()
    with step("what the schema is"):
        for what in ("MetaDataCollections", "DataSourceInformation"):
            t.note(what, c.GetSchema(what).Rows.Count)
        t.note([str(r["column_name"]) for r in c.GetSchema("Columns", System.Array[System.String]([None, SCHEMA, "many"])).Rows])
    run(c, f"drop schema {SCHEMA} cascade")
    c.Close()
    t.end()


main()
