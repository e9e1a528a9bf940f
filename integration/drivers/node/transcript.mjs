// What a driver saw, as JSON lines on standard output: see ../python/transcript.py.
import crypto from 'node:crypto';
import fs from 'node:fs';
import util from 'node:util';

let failed = false;
let notes;

/** note adds what was seen to the running step. */
export function note(...values) {
  notes.push(...values.map(plain));
}

/** step runs a step. With fails it must end with an error. */
export async function step(name, run, { fails = false } = {}) {
  notes = [];
  const line = { step: name };
  try {
    await run();
    if (fails) unexpected(line, 'it did not fail');
  } catch (e) {
    line.error = fields(e);
    if (!fails) unexpected(line, e.stack);
  }
  line.got = notes;
  fs.writeSync(1, JSON.stringify(line) + '\n');
}

function unexpected(line, what) {
  failed = true;
  line.unexpected = what;
}

/** fields are all that the server said in an error. */
export function fields(e) {
  const out = { type: e.name };
  for (const name of ['code', 'severity', 'severity_local', 'detail', 'hint', 'position', 'internalPosition', 'internalQuery', 'where',
    'schema', 'schema_name', 'table', 'table_name', 'column', 'column_name', 'dataType', 'constraint', 'constraint_name', 'file', 'line', 'routine']) {
    if (e[name] !== undefined) out[name] = plain(e[name]);
  }
  return { ...out, message: e.message };
}

/** plain makes JSON of a value such that different values and types stay different. */
export function plain(v) {
  if (v === undefined) return '<undefined>';
  if (typeof v === 'bigint') return `bigint ${v}`;
  if (typeof v === 'number' && (!Number.isFinite(v) || Object.is(v, -0))) return `number ${Object.is(v, -0) ? '-0' : v}`;
  if (v === null || typeof v !== 'object') return v;
  if (v instanceof Date) return `Date ${Number.isNaN(v.valueOf()) ? 'invalid' : v.toISOString()}`;
  if (ArrayBuffer.isView(v)) return v.length <= 256 ? `bytes ${Buffer.from(v).toString('hex')}` : `${v.length} bytes, ${digest(v)}`;
  if (Array.isArray(v)) return v.map(plain);
  if (v.constructor && v.constructor !== Object && Object.keys(v).length === 0) return util.inspect(v);
  return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, plain(x)]));
}

export function digest(v) {
  return crypto.createHash('sha256').update(v).digest('hex').slice(0, 16);
}

export function end() {
  process.exit(failed ? 1 : 0);
}

/** ca is what signed the certificate of the server. */
export const ca = fs.readFileSync(process.env.PGSSLROOTCERT, 'utf8');

// One literal of each builtin type.
export const literals = [
  ['bool', 't'], ['"char"', 'x'], ['name', 'weir'], ['text', 'Grüße, 世界 \u{1f600} \' " \\ \t'], ['text', ''], ['varchar(5)', 'abc'], ['bpchar(5)', 'abc'],
  ['int2', '-32768'], ['int4', '2147483647'], ['int8', '-9223372036854775808'], ['oid', '4294967295'], ['float4', '3.4028235e38'], ['float4', 'NaN'],
  ['float8', '1.7976931348623157e308'], ['float8', '-Infinity'], ['float8', '-0'], ['numeric', '9'.repeat(100) + '.' + '9'.repeat(100)], ['numeric', 'NaN'], ['numeric', '-Infinity'],
  ['money', '-12.34'], ['bytea', '\\x00ff10'], ['bytea', '\\x'], ['date', '2026-02-28'], ['date', 'infinity'], ['date', '0001-01-01 BC'], ['time', '23:59:59.999999'], ['timetz', '12:00:00+05:30'],
  ['timestamp', '2026-02-28 12:34:56.789012'], ['timestamp', '-infinity'], ['timestamptz', '2026-02-28 12:34:56.789012+00'], ['interval', '1 year 2 mons 3 days 04:05:06.789'],
  ['uuid', '00112233-4455-6677-8899-aabbccddeeff'], ['json', '{"a": [1, null]}'], ['jsonb', '{"b": {"c": 1.50}, "a": "x"}'], ['jsonpath', '$.a[*]'], ['xml', '<a>b</a>'],
  ['inet', '192.168.0.1/24'], ['cidr', '10.0.0.0/8'], ['macaddr', '08:00:2b:01:02:03'], ['bit(5)', '10101'], ['varbit', '1'], ['point', '(1.5,-2)'], ['line', '{1,2,3}'],
  ['lseg', '[(0,0),(1,1)]'], ['box', '(1,1),(0,0)'], ['path', '((0,0),(1,1),(2,0))'], ['polygon', '((0,0),(1,1),(2,0))'], ['circle', '<(1,2),3>'], ['tsvector', "'a':1 'cat':3,4A"], ['tsquery', "'fat' & 'rat'"],
  ['int4range', '[1,10)'], ['numrange', '(1.5,2.5]'], ['tstzrange', '[2026-01-01 00:00+00,)'], ['int4multirange', '{[1,3),[5,8)}'], ['int4[]', '{1,NULL,3}'], ['int4[]', '{{1,2},{3,4}}'], ['int8[]', '{1}'],
  ['text[]', '{"a,b","c\\"d",NULL,"null"}'], ['bool[]', '{t,f,NULL}'], ['numeric[]', '{1.5,NaN}'], ['timestamptz[]', '{"2026-01-01 00:00+00"}'], ['jsonb[]', '{"{\\"a\\": 1}"}'], ['bytea[]', '{"\\\\x00ff"}'], ['point[]', '{"(1,2)"}'],
  ['pg_lsn', '16/B374D848'], ['tid', '(0,1)'], ['xid8', '18446744073709551615'], ['regclass', 'pg_class'], ['regtype', 'integer'], ['int2vector', '1 2 3'],
];
