// What postgres.js can do: it pipelines by itself, and describes each statement once.
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import postgres from 'postgres';
import { ca, digest, end, fields, literals, note, step } from './transcript.mjs';

const schema = 'drive_postgresjs';
const open = (more = {}) => postgres({
  ssl: { ca, servername: 'localhost' }, max: 3, onnotice: () => {}, connection: { application_name: 'drive', search_path: `${schema},public` }, ...more,
});
const shown = (r) => ({ rows: [...r], command: r.command, count: r.count, columns: r.columns?.map((c) => [c.name, c.type < 16384 ? c.type : 'own']) });

const first = open({ connection: {} });
await first.unsafe(`drop schema if exists ${schema} cascade; create schema ${schema}`);
await first.end();
const sql = open();

await step('the connection', async () => {
  note(shown(await sql`select current_setting('application_name') as app, current_user = session_user as u`), sql.parameters.server_version, sql.parameters.TimeZone);
});
for (const [name, more] of Object.entries({ 'an unknown setting': { connection: { no_such_setting: 1 } }, 'a database that is not there': { database: 'no_such_database' } })) {
  await step('connect with ' + name, async () => {
    const bad = open(more);
    try { await bad`select 1`; } finally { await bad.end({ timeout: 1 }); }
  }, { fails: true });
}
for (const [type, text] of literals) {
  await step(`type ${type}: ${text.slice(0, 30)}`, async () => note(shown(await sql`select ${text}::text::${sql.unsafe(type)} as v, null::${sql.unsafe(type)} as n`)));
}
await step('values', async () => {
  note(shown(await sql`select ${1}::int a, ${'é'} b, ${sql.json({ a: 1 })} c, ${sql.array([1, 2])}::int[] d, ${new Date(0)}::timestamptz e, ${null}::text f, ${Buffer.from([1, 255])} g, ${true}::bool h, ${1234567890123456789n}::numeric i`));
  note(shown(await sql`select * from ${sql([[1, 'a'], [2, 'b']])} as v (x, y)`.catch((e) => ({ ...fields(e), length: 0, [Symbol.iterator]: [][Symbol.iterator] }))));
});
await step('tables', async () => {
  await sql`create table t (id int primary key, v text, tags text[])`;
  note(shown(await sql`insert into t ${sql(Array.from({ length: 500 }, (_, i) => ({ id: i, v: 'v' + i, tags: ['a', 'b'] })))} returning id`).count);
  note(shown(await sql`update t set ${sql({ v: 'new' }, 'v')} where id in ${sql([1, 2, 3])} returning *`), shown(await sql`delete from t where id > ${400}`));
});
await step('described', async () => {
  const d = await sql`select id, v from t where id = ${1} and v = ${'x'}`.describe();
  note(d.types, d.columns.map((c) => [c.name, c.type]), d.string);
});
await step('many at once', async () => {
  const all = await Promise.all(Array.from({ length: 600 }, (_, i) => sql`select ${i}::int as n`));
  note(all.reduce((n, [r]) => n + r.n, 0));
  const mixed = await Promise.allSettled([sql`select 1 as n`, sql`select 1/0`, sql`select * from nowhere`, sql`select ${'x'}::text as v`]);
  note(mixed.map((m) => (m.value ? [...m.value] : fields(m.reason))));
});
await step('several statements', async () => note((await sql.unsafe('select 1 as a; select 2 as b; select 3 as c where false').simple()).map(shown)));
await step('a cursor', async () => {
  for await (const rows of sql`select * from generate_series(1, 1000) n`.cursor(300)) note(rows.length, rows[0].n);
  await sql`select * from generate_series(1, 1000) n`.cursor(10, ([row]) => (row.n > 50 ? sql.CLOSE : undefined));
});
await step('row by row', async () => {
  let n = 0;
  await sql`select * from generate_series(1, 3000) n`.forEach((row) => { n += row.n; });
  note(n);
});
await step('raw and values', async () => note(await sql`select 1 as a, 'é' as b`.values(), (await sql`select 1 as a, null as b`.raw()).map((r) => [...r])));
await step('transactions', async () => {
  note(await sql.begin('isolation level serializable', async (tx) => {
    await tx`insert into t values (1000, 'x', null)`;
    await tx.savepoint(async (sp) => { await sp`insert into t values (1000, 'again', null)`; }).catch((e) => note(fields(e)));
    return [...await tx`select count(*)::int as n, current_setting('transaction_isolation') as i from t`];
  }));
  note(await sql.begin(async (tx) => { await tx`delete from t`; throw new Error('undone'); }).catch((e) => e.message), [...await sql`select count(*)::int as n from t`]);
});
await step('in two phases', async () => {
  await sql.begin(async (tx) => { await tx`insert into t values (2000, 'p', null)`; await tx.prepare('drive-js'); });
  await sql.unsafe("rollback prepared 'drive-js'");
  note([...await sql`select count(*)::int as n from t where id = 2000`]);
});
await step('LISTEN and NOTIFY', async () => {
  const got = [];
  let done;
  const all = new Promise((d) => { done = d; });
  const { unlisten } = await sql.listen('drive', (payload) => { got.push(payload); if (got.length === 3) done(); });
  await sql.notify('drive', 'one');
  await sql.notify('drive', 'é');
  await sql`select pg_notify('drive', ${'three'})`;
  await all;
  await unlisten();
  note(got);
});
await step('COPY', async () => {
  await pipeline(Readable.from(Array.from({ length: 1000 }, (_, i) => `${i + 5000}\tc\t{x}\n`)), await sql`copy t from stdin`.writable());
  const parts = [];
  await pipeline(await sql`copy (select * from t order by id) to stdout`.readable(), new Writable({ write(chunk, _, d) { parts.push(chunk); d(); } }));
  note(digest(Buffer.concat(parts)));
});
await step('cancel', async () => {
  const q = sql`select pg_sleep(66)`;
  const ended = q.execute();
  ended.catch(() => {});
  while ((await sql`select 1 from pg_stat_activity where state = 'active' and query like '%pg_sleep(66)%' and pid <> pg_backend_pid()`).length === 0);
  q.cancel();
  await ended;
}, { fails: true });
await step('reserved', async () => {
  const one = await sql.reserve();
  await one`create temp table mine (a int)`;
  await one`insert into mine values (1), (2)`;
  note([...await one`select sum(a)::int as s from mine`]);
  one.release();
});
await step('the table changes', async () => {
  const one = open({ max: 1 });
  note([...await one`select * from t where id = ${1}`]);
  await sql`alter table t add w int default 3`;
  note(await one`select * from t where id = ${1}`.then((r) => [...r], fields), await one`select * from t where id = ${1}`.then((r) => [...r], fields));
  await one.end();
});
await step('without preparing', async () => {
  const one = open({ prepare: false, max: 1 });
  for (let i = 0; i < 3; i++) note([...await one`select ${i}::int as n, ${'é'} as v`]);
  await one.end();
});
await sql.unsafe(`drop schema ${schema} cascade`);
await sql.end({ timeout: 5 });
end();
