"""What SQLAlchemy does over psycopg: it asks the catalog for everything that a
schema has (reflection), and maps objects."""

import datetime as dt
import decimal
import enum

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg

from transcript import Transcript

t = Transcript()
SCHEMA = "drive_sqlalchemy"


def fields(e):
    cause = getattr(e, "orig", None)
    return {"text": str(cause or e), "sqlstate": getattr(cause, "sqlstate", None)}


def step(name, fails=None):
    return t.step(name, fails, fields)


class Base(orm.DeclarativeBase):
    metadata = sa.MetaData(schema=SCHEMA)


class Mood(enum.Enum):
    sad = 1
    ok = 2


class Person(Base):
    __tablename__ = "person"
    __table_args__ = (
        sa.UniqueConstraint("name", "born", name="person_once"), sa.CheckConstraint("height > 0", name="tall"),
        sa.Index("person_lower", sa.text("lower(name)"), postgresql_where=sa.text("height > 1")), {"comment": "people, é"},
    )
    id: orm.Mapped[int] = orm.mapped_column(sa.Identity(always=True), primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(50), comment="who", index=True)
    born: orm.Mapped[dt.date | None]
    height: orm.Mapped[decimal.Decimal | None] = orm.mapped_column(sa.Numeric(5, 2), server_default="1.80")
    mood: orm.Mapped[Mood | None] = orm.mapped_column(sa.Enum(Mood, name="mood", schema=SCHEMA))
    tags: orm.Mapped[list[str] | None] = orm.mapped_column(pg.ARRAY(sa.Text))
    extra: orm.Mapped[dict | None] = orm.mapped_column(pg.JSONB)
    valid: orm.Mapped[object | None] = orm.mapped_column(pg.TSTZRANGE)
    double: orm.Mapped[decimal.Decimal | None] = orm.mapped_column(sa.Computed("height * 2"))
    pets: orm.Mapped[list["Pet"]] = orm.relationship(back_populates="owner", cascade="all, delete-orphan")


class Pet(Base):
    __tablename__ = "pet"
    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    owner_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey(Person.id, ondelete="CASCADE", onupdate="RESTRICT", deferrable=True, initially="DEFERRED"))
    kind: orm.Mapped[str]
    owner: orm.Mapped[Person] = orm.relationship(back_populates="pets")


def reflection(engine):
    insp = sa.inspect(engine)
    with step("names"):
        t.note(SCHEMA in insp.get_schema_names(), insp.get_table_names(SCHEMA), insp.get_view_names(SCHEMA), insp.get_materialized_view_names(SCHEMA), insp.get_sequence_names(SCHEMA), insp.default_schema_name)
    for table in ("person", "pet"):
        for what in ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints", "table_comment", "table_options"):
            with step(f"{what} of {table}"):
                t.note(repr(getattr(insp, "get_" + what)(table, SCHEMA)))
    with step("the rest"):
        t.note(repr(insp.get_view_definition("tall_people", SCHEMA)), repr(insp.get_enums(SCHEMA)), repr(insp.get_domains(SCHEMA)), insp.has_table("person", SCHEMA), insp.has_table("nobody", SCHEMA), insp.has_sequence("seq", SCHEMA))
        for what in ("columns", "pk_constraint", "foreign_keys", "indexes", "unique_constraints", "check_constraints"):
            t.note(repr(sorted(getattr(insp, "get_multi_" + what)(SCHEMA).items())))
    with step("a table read from the catalog"):
        m = sa.MetaData()
        m.reflect(engine, SCHEMA, views=True)
        t.note([str(sa.schema.CreateTable(x).compile(engine)) for x in m.sorted_tables])
    with step("PostgreSQL's own tables"):
        t.note(len(insp.get_columns("pg_class", "pg_catalog")), insp.get_pk_constraint("pg_class", "pg_catalog"), [c["name"] for c in insp.get_columns("tables", "information_schema")])
    with step("a table that is not there", sa.exc.NoSuchTableError):
        insp.get_columns("nobody", SCHEMA)


def objects(engine):
    with step("objects"):
        with orm.Session(engine) as s:
            ada = Person(name="Ada é", born=dt.date(1815, 12, 10), mood=Mood.ok, tags=["a", "b,c"], extra={"x": [1, None]}, pets=[Pet(kind="cat"), Pet(kind="dog")])
            s.add_all([ada, *[Person(name=f"p{i}", height=decimal.Decimal(i) / 10 + 1) for i in range(2500)]])
            s.commit()
            t.note(ada.id, ada.height, ada.double, [p.id for p in ada.pets])
        with orm.Session(engine) as s:
            got = s.scalars(sa.select(Person).options(orm.selectinload(Person.pets)).where(Person.extra["x"][0].as_integer() == 1)).one()
            t.note(got.name, got.mood.name, got.tags, got.extra, [p.kind for p in got.pets], got.double)
            t.note(s.execute(sa.select(sa.func.count(), sa.func.max(Person.height)).select_from(Person).outerjoin(Pet)).all())
            got.pets.pop()
            s.flush()
            t.note(s.scalar(sa.select(sa.func.count()).select_from(Pet)))
            s.rollback()
    with step("in bulk, and again"):
        with engine.begin() as c:
            ins = pg.insert(Pet).values([{"id": i, "owner_id": 1, "kind": "fish"} for i in (1, 2, 100)])
            t.note(c.execute(ins.on_conflict_do_update(index_elements=["id"], set_={"kind": ins.excluded.kind}).returning(Pet.id)).all())
            t.note(c.execute(sa.insert(Person).returning(Person.id, sort_by_parameter_order=True), [{"name": f"q{i}"} for i in range(1200)]).all()[-1])
            t.note(c.execute(sa.update(Person).where(Person.name.startswith("q")).values(height=2)).rowcount)
    with step("a stream"):
        with engine.connect() as c:
            rows = c.execution_options(stream_results=True, max_row_buffer=100).execute(sa.select(Person.id).order_by(Person.id))
            t.note(sum(n for (n,) in rows.yield_per(50)))
    with step("what the database refuses", sa.exc.IntegrityError):
        with engine.begin() as c:
            c.execute(sa.insert(Person).values(name="short", height=-1))
    with step("checked at the end of the transaction", sa.exc.IntegrityError):
        with engine.begin() as c:
            c.execute(sa.insert(Pet).values(id=999, owner_id=99999, kind="ghost"))
            t.note(c.execute(sa.select(sa.func.count()).select_from(Pet)).scalar())
    with step("savepoints and isolation"):
        for level in ("AUTOCOMMIT", "SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"):
            with engine.connect().execution_options(isolation_level=level) as c:
                t.note(level, c.execute(sa.text("show transaction_isolation")).scalar(), c.get_isolation_level())
        with engine.begin() as c:
            with c.begin_nested() as inner:
                c.execute(sa.delete(Pet))
                inner.rollback()
            t.note(c.execute(sa.select(sa.func.count()).select_from(Pet)).scalar())
    with step("in two phases"):
        with engine.connect() as c:
            tx = c.begin_twophase("drive-sa")
            c.execute(sa.insert(Person).values(name="two"))
            tx.prepare()
            tx.commit()
            t.note(c.recover_twophase())


def main():
    for driver in ("psycopg", "psycopg2"):
        with step("engine over " + driver):
            engine = sa.create_engine(f"postgresql+{driver}://", pool_size=2, pool_pre_ping=True)
            with engine.begin() as c:
                t.note(c.dialect.server_version_info, c.dialect.default_schema_name)
                c.execute(sa.text(f"drop schema if exists {SCHEMA} cascade"))
                c.execute(sa.text(f"create schema {SCHEMA}"))
        with step("create all"):
            Base.metadata.create_all(engine)
            with engine.begin() as c:
                c.execute(sa.text(f"create view {SCHEMA}.tall_people as select name, height from {SCHEMA}.person where height > 1.8"))
                c.execute(sa.text(f"create materialized view {SCHEMA}.kept as select count(*) from {SCHEMA}.person"))
                c.execute(sa.text(f"create sequence {SCHEMA}.seq start 7; create domain {SCHEMA}.positive as int not null default 1 check (value > 0)"))
        reflection(engine)
        objects(engine)
        with step("drop all"):
            with engine.begin() as c:
                c.execute(sa.text(f"drop schema {SCHEMA} cascade"))
        engine.dispose()
    t.end()


main()
