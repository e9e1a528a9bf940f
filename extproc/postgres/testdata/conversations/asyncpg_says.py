"""What asyncpg says in its conversation: libpq's environment variables tell where."""

import asyncio
import contextlib
import io

import asyncpg


async def main():
    c = await asyncpg.connect()
    for text in ("select 1 as a, 'b', null", "create temp table t (id int primary key, v text)", "select 1; select 1/0", "listen c"):
        with contextlib.suppress(asyncpg.PostgresError):
            await c.execute(text)
    for text, *values in (("select nosuch",), ("select 1/0",), ("select $1::int + 1, $2::text", 1, "x"), ("select $1::int + 1, $2::text", 2, None), ("select '\0'",)):
        with contextlib.suppress(asyncpg.PostgresError):
            await c.fetch(text, *values)
    await c.execute("create type pg_temp.mood as enum ('sad', 'ok'); create type pg_temp.pair as (a int, m pg_temp.mood[])")
    await c.fetchval("select row(1, array['ok'])::pg_temp.pair")
    await c.executemany("insert into t values ($1, $2)", [(i, f"v{i}") for i in range(5)])
    with contextlib.suppress(asyncpg.UniqueViolationError):
        await c.executemany("insert into t values ($1, $2)", [(10, "gone"), (1, "again")])
    async with c.transaction():
        async for _ in c.cursor("select id from t order by id", prefetch=2):
            pass
    await c.copy_records_to_table("t", records=[(20, "copied")])
    with contextlib.suppress(asyncpg.PostgresError):
        await c.copy_to_table("t", source=io.BytesIO(b"x\ty\n"))
    await c.copy_from_query("select * from t where id < $1", 3, output=io.BytesIO())
    await c.reset()
    await c.close()


asyncio.run(main())
