// What node-postgres can do, with its cursors, streams and pool.
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { once } from 'node:events';
import pg from 'pg';
import copy from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { ca, digest, end, fields, literals, note, step } from './transcript.mjs';

const schema = 'drive_pg';
const ssl = { ca, servername: 'localhost' };
const config = (more = {}) => ({ ssl, application_name: 'drive', options: `-c search_path=${schema},public`, ...more });

async function connect(more) {
  const c = new pg.Client(config(more));
  c.on('error', () => {}); // of a session that ends while nothing is asked
  await c.connect();
  return c;
}

const shown = (r) => (Array.isArray(r) ? r.map(shown) : { command: r.command, count: r.rowCount, rows: r.rows, fields: r.fields.map((f) => [f.name, f.dataTypeID < 16384 ? f.dataTypeID : 'own', f.format, f.dataTypeModifier]) });

async function connecting() {
  await step('the connection', async () => {
    const c = await connect();
    const { rows } = await c.query('select pg_backend_pid() as pid, current_user = session_user as u, current_setting($1) as app, current_database() = $2 as db', ['application_name', process.env.PGDATABASE]);
    note(rows[0].pid === c.processID, rows[0].u, rows[0].app, rows[0].db);
    await c.end();
  });
  for (const [name, more] of Object.entries({
    'an unknown setting': { options: '-c no_such_setting=1' }, 'a value that is none': { statement_timeout: 'soon' },
    'a database that is not there': { database: 'no_such_database' }, 'no CA': { ssl: { servername: 'localhost' } },
  })) {
    await step('connect with ' + name, () => connect(more), { fails: true });
  }
  await step('connect with settings of its own', async () => {
    const c = await connect({ statement_timeout: 12345, lock_timeout: 234, idle_in_transaction_session_timeout: 3456, fallback_application_name: 'f', client_encoding: 'UTF8' });
    note((await c.query("select current_setting('statement_timeout') s, current_setting('lock_timeout') l, current_setting('idle_in_transaction_session_timeout') i")).rows);
    await c.end();
  });
  await step('connect by direct TLS', async () => {
    const c = await connect({ sslnegotiation: 'direct', ssl: { ...ssl, ALPNProtocols: ['postgresql'] } });
    note((await c.query('select 1 as a')).rows);
    await c.end();
  });
}

async function types(c) {
  for (const [type, text] of literals) {
    await step(`type ${type}: ${text.slice(0, 30)}`, async () => {
      note(shown(await c.query(`select $1::text::${type} as v, null::${type} as n`, [text])));
      const raw = await c.query({ text: `select $1::text::${type}`, values: [text], binary: true, rowMode: 'array', types: { getTypeParser: () => (v) => v } }).catch(fields);
      note(raw.rows ?? raw);
    });
  }
  await step('values', async () => {
    for (const v of [true, 1, 1.5, -0, NaN, 2n ** 62n, 'it\'s \\ é', '', null, undefined, new Date(0), Buffer.from('ok'), [1, null], ['a', null, 'b"'], [[1, 2], [3, 4]], { a: [1] }, []]) {
      note((await c.query('select $1::text as v', [v])).rows);
    }
    note((await c.query('select $1::jsonb as a, $2::int[] as b, $3::bytea as c, $4::timestamptz as d, $5::text[] as e', [{ x: 1 }, [1, 2], Buffer.alloc(3), new Date(1e12), ['é', null]])).rows);
  });
  await step('a value that is none', () => c.query('select $1::int', ['x']), { fails: true });
  await step('types of the user\'s own', async () => {
    await c.query("create type mood as enum ('sad', 'ok'); create type pair as (a int, m mood)");
    note((await c.query("select 'sad'::mood as m, row(1, 'ok')::pair as p, array['ok']::mood[] as a, row(1, null)::text as r")).rows);
  });
}

async function statements(c) {
  await c.query('create table stat (id int primary key, v text)');
  await step('several statements', async () => {
    note(shown(await c.query("select 1 as a; insert into stat values (1, 'x'); ; select 2 as b, 3 as c; update stat set v = 'y' returning *")));
    note(shown(await c.query('')), shown(await c.query('-- nothing')), shown(await c.query(';')));
  });
  await step('several statements, one fails', () => c.query("insert into stat values (2, 'x'); select 1/0; insert into stat values (3, 'x')"), { fails: true });
  await step('and nothing of it stays', async () => note((await c.query('select * from stat')).rows));
  await step('several with values', () => c.query('select $1::int; select 2', [1]), { fails: true });
  await step('many queries at once', async () => {
    const all = await Promise.all(Array.from({ length: 500 }, (_, i) => c.query('select $1::int * 2 as d', [i])));
    note(all.reduce((n, r) => n + r.rows[0].d, 0));
    const mixed = await Promise.allSettled([c.query('select 1'), c.query('select 1/0'), c.query('selec'), c.query('select $1::int', [3]), c.query('select $1::int', ['x']), c.query('select 4')]);
    note(mixed.map((m) => m.value?.rows ?? fields(m.reason)));
  });
  await step('prepared', async () => {
    for (let i = 0; i < 5; i++) note((await c.query({ name: 'p', text: 'select $1::int + $2 as s', values: [i, 1] })).rows);
    note((await c.query('select name, statement, from_sql from pg_prepared_statements')).rows);
  });
  await step('the table changes below a prepared statement', async () => {
    await c.query({ name: 'star', text: 'select * from stat' });
    await c.query('alter table stat add w int default 5');
    await c.query({ name: 'star', text: 'select * from stat' });
  }, { fails: true });
  await step('rows as arrays', async () => note((await c.query({ text: 'select 1 as a, 2 as a', rowMode: 'array' })).rows));
  await step('many rows', async () => {
    const r = await c.query("select i, i::text || 'x' t, i * 1.5 n from generate_series(1, 20000) i");
    note(r.rowCount, digest(JSON.stringify(r.rows)));
  });
  await step('large values', async () => {
    const text = 'é'.repeat(500_000);
    const raw = Buffer.alloc(1 << 20, 7);
    const { rows } = await c.query('select $1::text as t, $2::bytea as b', [text, raw]);
    note(rows[0].t === text, rows[0].b.equals(raw));
  });
  await step('65535 values', async () => note((await c.query(`select cardinality(array[${Array.from({ length: 65535 }, (_, i) => '$' + (i + 1) + '::int').join()}])`, Array(65535).fill(1)).catch(fields))));
  for (const text of ['selec', 'select * from nowhere', 'select nothing', "insert into stat values (1, 'again')", 'insert into stat values (null)', "select 'é' || x", 'select pg_catalog.nofunc()', 'set nothing = 1', "do $$ begin raise exception 'mine' using errcode = 'WX001', detail = 'D', hint = 'H', column = 'c'; end $$"]) {
    await step('error: ' + text, () => c.query(text), { fails: true });
    await step('error, with values: ' + text, () => c.query({ text, values: [] , queryMode: 'extended' }), { fails: true });
  }
}

async function cursors(c) {
  await step('a cursor', async () => {
    const cursor = c.query(new Cursor('select i, i::text t from generate_series(1, $1::int) i', [250]));
    let n = 0;
    for (let rows; (rows = await cursor.read(100)).length > 0;) note(rows.length, (n += rows.length));
    await cursor.close();
  });
  await step('a cursor left early, and one beside it', async () => {
    const cursor = c.query(new Cursor('select * from generate_series(1, 100000) i'));
    note((await cursor.read(3)).length);
    await cursor.close();
    note((await c.query('select 1 as a')).rows);
  });
  await step('a cursor that fails half way', async () => {
    const cursor = c.query(new Cursor('select 1/(50-i) from generate_series(1, 100) i'));
    try {
      for (;;) note((await cursor.read(20)).length);
    } finally {
      await cursor.close().catch(() => {});
    }
  }, { fails: true });
  await step('a stream', async () => {
    let sum = 0;
    for await (const row of c.query(new QueryStream('select * from generate_series(1, $1::int) n', [5000], { batchSize: 77 }))) sum += row.n;
    note(sum);
  });
  await step('a stream left early', async () => {
    for await (const row of c.query(new QueryStream('select * from generate_series(1, 100000) n', [], { batchSize: 10 }))) if (row.n === 25) break;
    note((await c.query('select 2 as a')).rows);
  });
}

async function copies(c) {
  await c.query('create table copied (a int, b text)');
  await step('COPY in', async () => {
    const into = c.query(copy.from('copy copied from stdin'));
    await pipeline(Readable.from((function* () { for (let i = 0; i < 3000; i++) yield `${i}\tv${i}é\n`; })()), into);
    note(into.rowCount);
  });
  const out = async (text) => {
    const parts = [];
    const from = c.query(copy.to(text));
    await pipeline(from, new Writable({ write(chunk, _, done) { parts.push(chunk); done(); } }));
    return [from.rowCount, digest(Buffer.concat(parts))];
  };
  for (const form of ['text', 'csv', 'binary']) {
    await step('COPY out, ' + form, async () => note(await out(`copy (select * from copied order by a) to stdout (format ${form})`)));
  }
  await step('COPY in with a bad row', async () => {
    await pipeline(Readable.from(['1\tx\n', 'no\ty\n', '3\tz\n']), c.query(copy.from('copy copied from stdin')));
  }, { fails: true });
  await step('COPY in whose source fails', async () => {
    await pipeline(Readable.from((async function* () { yield '1\tx\n'; throw new Error('no more'); })()), c.query(copy.from('copy copied from stdin')));
  }, { fails: true });
  await step('COPY out that fails half way', () => out('copy (select 1/(2000-i) from generate_series(1, 4000) i) to stdout'), { fails: true });
  await step('COPY of a table that is not there', () => out('copy nowhere to stdout'), { fails: true });
  await step('and the connection goes on', async () => note((await c.query('select count(*) from copied')).rows));
}

async function unasked(c) {
  await step('LISTEN and NOTIFY', async () => {
    const other = await connect();
    await c.query('listen drive');
    const got = [];
    const all = new Promise((done) => c.on('notification', (m) => { got.push([m.channel, m.payload, m.processId === other.processID]); if (got.length === 52) done(); }));
    await other.query("notify drive, 'first'");
    await other.query('begin');
    for (let i = 0; i < 50; i++) await other.query('select pg_notify($1, $2)', ['drive', String(i)]);
    await other.query('commit');
    await other.query('notify drive');
    await all;
    note(got);
    await c.query('unlisten *');
    await other.end();
  });
  await step('notices', async () => {
    const got = [];
    const hear = (n) => got.push(fields(n));
    c.on('notice', hear);
    await c.query("do $$ begin raise notice 'n %', 1 using detail = 'D', hint = 'H'; raise warning 'w'; end $$; drop table if exists nowhere");
    c.off('notice', hear);
    note(got);
  });
}

async function transactions(c) {
  await c.query('create table tx (a int primary key check (a < 100))');
  await step('a failed transaction', async () => {
    await c.query('begin');
    for (const text of ['insert into tx values (1)', 'savepoint s', 'insert into tx values (1)', 'select 1', 'rollback to s', 'insert into tx values (2)', 'insert into tx values (100)', 'commit']) {
      note(await c.query(text).then((r) => [r.command, r.rowCount], (e) => fields(e)));
    }
    note((await c.query('select * from tx')).rows);
  });
  await step('isolation', async () => {
    for (const level of ['serializable', 'repeatable read', 'read committed', 'read uncommitted']) {
      await c.query(`begin isolation level ${level} read only`);
      note((await c.query('show transaction_isolation')).rows, await c.query('delete from tx').catch(fields));
      await c.query('rollback');
    }
  });
  await step('statement_timeout of the client', async () => {
    const slow = await connect({ statement_timeout: 100 });
    try {
      await slow.query('select pg_sleep(60)');
    } finally {
      note((await slow.query('select 1 as a')).rows);
      await slow.end();
    }
  }, { fails: true });
  await step('cancel', async () => {
    const other = await connect();
    const slow = c.query('select pg_sleep(63)');
    slow.catch(() => {});
    while ((await other.query("select pg_cancel_backend(pid) from pg_stat_activity where pid = $1 and state = 'active' and query like '%pg_sleep(63)%'", [c.processID])).rowCount === 0);
    await other.end();
    await slow;
  }, { fails: true });
  await step('a CancelRequest', async () => {
    const query = new pg.Query('select pg_sleep(64)');
    const ended = once(query, 'error');
    c.query(query);
    const other = await connect();
    while ((await other.query("select 1 from pg_stat_activity where pid = $1 and state = 'active' and query like '%pg_sleep(64)%'", [c.processID])).rowCount === 0);
    await other.end();
    const canceller = new pg.Client(config());
    canceller.on('error', () => {});
    canceller.cancel(c, query);
    throw (await ended)[0];
  }, { fails: true });
  await step('and the session goes on', async () => note((await c.query('select 1 as a')).rows));
  await step('query_timeout', async () => {
    const slow = await connect({ query_timeout: 100 });
    try {
      await slow.query('select pg_sleep(2)');
    } finally {
      slow.connection.stream.destroy();
    }
  }, { fails: true });
  await step('ended by another', async () => {
    const victim = await connect();
    const gone = once(victim, 'error').catch((e) => [e]);
    await c.query('select pg_terminate_backend($1, 20000)', [victim.processID]);
    note(fields((await gone)[0]));
  });
}

async function pools() {
  await step('a pool', async () => {
    const pool = new pg.Pool(config({ max: 4 }));
    const all = await Promise.all(Array.from({ length: 60 }, (_, i) => pool.query('select $1::int as n', [i])));
    note(all.reduce((n, r) => n + r.rows[0].n, 0), pool.totalCount <= 4, await pool.query('select 1/0').catch(fields), (await pool.query('select 5 as n')).rows);
    await pool.end();
  });
}

await connecting();
const c = await connect();
await c.query(`drop schema if exists ${schema} cascade; create schema ${schema}`);
for (const part of [types, statements, cursors, copies, unasked, transactions]) await part(c);
await pools();
await c.query(`drop schema ${schema} cascade`);
await c.end();
end();
