// What node-postgres says in its conversation: libpq's environment variables tell where.
import pg from "pg";
import Cursor from "pg-cursor";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";
import { pipeline } from "node:stream/promises";
import { Readable, Writable } from "node:stream";

const c = new pg.Client({ ssl: false });
await c.connect();
for (const text of ["select 1 as a, 'b', null", "select nosuch", "", "create temp table t (id int primary key, v text)", "select 1; select 2", "listen c", "notify c, 'payload'"]) {
  await c.query(text).catch(() => {});
}
await c.query("select $1::int + 1, $2::text", [1, "x"]);
await c.query("select $1::int", ["no"]).catch(() => {});
for (let i = 0; i < 3; i++) {
  await c.query({ name: "kept", text: "insert into t values ($1, $2) returning *", values: [i, "v"] });
}
await c.query({ name: "kept", text: "insert into t values ($1, $2) returning *", values: [1, "again"] }).catch(() => {});
await c.query({ text: "select id from t where id < $1", values: [9], rowMode: "array", binary: true });
await c.query("begin");
const cursor = c.query(new Cursor("select generate_series(1, $1::int)", [5]));
await cursor.read(2);
await cursor.close();
await c.query("select 1/0").catch(() => {});
await c.query("select $1::int", [1]).catch(() => {});
await c.query("rollback");
await pipeline(Readable.from(["20\tcopied\n"]), c.query(copyFrom("copy t from stdin")));
await pipeline(Readable.from(["x\ty\n"]), c.query(copyFrom("copy t from stdin"))).catch(() => {});
await pipeline(c.query(copyTo("copy t to stdout")), new Writable({ write: (_chunk, _encoding, done) => done() }));
await c.end();
