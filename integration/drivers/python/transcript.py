"""What a driver saw, as JSON lines on standard output.

A script runs the same steps against PostgreSQL and against the gateway, and what
it prints must be the same. So a line holds nothing that differs between two runs
against one server: no process ids, no times.
"""

import contextlib
import datetime
import decimal
import hashlib
import json
import sys
import traceback


class Transcript:
    def __init__(self):
        self.failed = False
        self.step_notes = None

    def note(self, *values):
        """Adds what was seen to the running step."""
        self.step_notes.extend(plain(v) for v in values)

    @contextlib.contextmanager
    def step(self, name, fails=None, fields=None):
        """Runs a step. fails is the exception that it must end with, fields gives what of it is noted.

        Any other exception makes the whole script fail, whatever the other run said.
        """
        self.step_notes = []
        line = {"step": name}
        try:
            yield
            if fails is not None:
                self.failed = True
                line["unexpected"] = "it did not fail"
        except Exception as e:  # noqa: BLE001 a driver may raise anything
            line["error"] = {"type": type(e).__name__, **(plain(fields(e)) if fields else {"text": str(e)})}
            if fails is None or not isinstance(e, fails):
                self.failed = True
                line["unexpected"] = traceback.format_exc(limit=-4)
        line["got"], self.step_notes = self.step_notes, None
        print(json.dumps(line), flush=True)

    def end(self):
        sys.exit(1 if self.failed else 0)


def plain(v):
    """Makes JSON of a value such that different values and types stay different."""
    if v is None or isinstance(v, (bool, str)):
        return v
    if isinstance(v, int):
        return v if abs(v) < 2**53 else f"int {v}"
    if isinstance(v, float):
        return f"float {v!r}"
    if isinstance(v, decimal.Decimal):
        return f"decimal {v}"
    if isinstance(v, (bytes, bytearray, memoryview)):
        raw = bytes(v)
        return f"bytes {raw.hex()}" if len(raw) <= 256 else f"{len(raw)} bytes, {digest(raw)}"
    if isinstance(v, (datetime.date, datetime.time, datetime.timedelta)):
        return f"{type(v).__name__} {v}"
    if isinstance(v, dict):
        return {str(k): plain(x) for k, x in v.items()}
    if isinstance(v, (list, tuple, set, frozenset)) and not hasattr(v, "_fields"):
        return [plain(x) for x in (sorted(v, key=repr) if isinstance(v, (set, frozenset)) else v)]
    if hasattr(v, "points"):  # asyncpg's Path and Polygon show only where they are in memory
        return [type(v).__name__, getattr(v, "is_closed", None), plain(list(v.points))]
    if type(v).__name__ == "Record":  # asyncpg's Record, which may have a name twice
        return [[k, plain(x)] for k, x in zip(v.keys(), v.values())]
    return f"{type(v).__name__} {v!r}"


def digest(raw):
    return hashlib.sha256(raw if isinstance(raw, bytes) else raw.encode()).hexdigest()[:16]


# One literal of each builtin type and its extremes: (type, text).
LITERALS = [
    ("bool", "t"), ("bool", "f"), ('"char"', "x"), ("name", "weir"), ("text", "Grüße, 世界 \U0001f600 ' \" \\ \t"), ("text", ""),
    ("varchar(5)", "abc"), ("bpchar(5)", "abc"), ("char(3)", "x"),
    ("int2", "-32768"), ("int2", "32767"), ("int4", "-2147483648"), ("int4", "2147483647"),
    ("int8", "-9223372036854775808"), ("int8", "9223372036854775807"), ("oid", "4294967295"),
    ("float4", "3.4028235e38"), ("float4", "1e-45"), ("float4", "NaN"), ("float8", "1.7976931348623157e308"), ("float8", "-Infinity"),
    ("float8", "5e-324"), ("float8", "-0"), ("float8", "NaN"),
    ("numeric", "0"), ("numeric", "-0.000000000000000000001"), ("numeric", "NaN"), ("numeric", "Infinity"), ("numeric", "-Infinity"),
    ("numeric", "9" * 200 + "." + "9" * 100), ("numeric(10,2)", "12345678.90"), ("money", "-12.34"),
    ("bytea", "\\x00ff10"), ("bytea", "\\x"),
    ("date", "2026-02-28"), ("date", "0001-01-01"), ("date", "9999-12-31"), ("time", "23:59:59.999999"), ("timetz", "12:00:00+05:30"),
    ("timestamp", "2026-02-28 12:34:56.789012"), ("timestamptz", "2026-02-28 12:34:56.789012+00"), ("timestamptz", "1900-01-01 00:00:00+00"),
    ("interval", "1 year 2 mons 3 days 04:05:06.789"), ("interval", "-1 day"),
    ("uuid", "00112233-4455-6677-8899-aabbccddeeff"),
    ("json", '{"a": [1, null, "x"],  "a": 2}'), ("jsonb", '{"b": {"c": 1.50}, "a": [1, null, "x"]}'), ("jsonb", "null"), ("jsonpath", "$.a[*]"),
    ("xml", "<a>b</a>"), ("inet", "192.168.0.1/24"), ("inet", "::1"), ("cidr", "10.0.0.0/8"), ("macaddr", "08:00:2b:01:02:03"),
    ("macaddr8", "08:00:2b:01:02:03:04:05"), ("bit(5)", "10101"), ("varbit", "1"), ("varbit", ""),
    ("point", "(1.5,-2)"), ("line", "{1,2,3}"), ("lseg", "[(0,0),(1,1)]"), ("box", "(1,1),(0,0)"), ("path", "((0,0),(1,1),(2,0))"),
    ("polygon", "((0,0),(1,1),(2,0))"), ("circle", "<(1,2),3>"),
    ("tsvector", "'a':1 'cat':3,4A"), ("tsquery", "'fat' & ( 'rat' | !'cat' )"),
    ("int4range", "[1,10)"), ("int4range", "empty"), ("int8range", "(,)"), ("numrange", "(1.5,2.5]"), ("daterange", "[2026-01-01,2026-02-01)"),
    ("tsrange", "[2026-01-01 00:00,)"), ("tstzrange", "[2026-01-01 00:00+00,2026-01-02 00:00+00]"), ("int4multirange", "{[1,3),[5,8)}"),
    ("nummultirange", "{}"), ("datemultirange", "{[2026-01-01,2026-02-01)}"),
    ("int4[]", "{1,NULL,3}"), ("int4[]", "{}"), ("int4[][]", "{{1,2},{3,4}}"), ("int4[]", "[5:6]={7,8}"), ("text[]", '{"a,b","c\\"d",NULL,"null"}'),
    ("numeric[]", "{1.5,NaN}"), ("uuid[]", "{00112233-4455-6677-8899-aabbccddeeff}"), ("jsonb[]", '{"{\\"a\\": 1}"}'), ("bytea[]", '{"\\\\x00ff"}'),
    ("timestamptz[]", '{"2026-01-01 00:00+00"}'), ("int4range[]", '{"[1,3)","empty"}'), ("pg_lsn", "16/B374D848"), ("tid", "(0,1)"),
    ("xid", "4294967295"), ("xid8", "18446744073709551615"), ("cid", "1"), ("txid_snapshot", "10:20:10,14,15"), ("pg_snapshot", "10:20:10,14,15"),
    ("regclass", "pg_catalog.pg_class"), ("regtype", "integer"), ("regproc", "now"), ("regrole", "pg_monitor"), ("regnamespace", "pg_catalog"),
    ("int2vector", "1 2 3"), ("oidvector", "1 2 3"), ("refcursor", "c"),
]
