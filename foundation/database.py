"""PostgreSQL as Relance uses it: one engine, one `metadata`, and the few verbs SQL needs everywhere."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import orjson
import psycopg
import sqlalchemy as sa
from alembic import command as alembic_command
from alembic.config import Config as AlembicConfig
from psycopg.types.json import set_json_dumps, set_json_loads
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import ConnectionPoolEntry

V = TypeVar("V")

metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)
"""Every table of every floor, so that erasure and the migrations see them all."""

PEPPER = "relance_pepper"
"""The option of a connection that holds the installation's pepper; read by `pepper`."""

Time = sa.DateTime(timezone=True)
Json = postgresql.JSONB


def _dumps(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)


set_json_dumps(_dumps)
set_json_loads(orjson.loads)


class Database:
    """The one door to PostgreSQL. Edges call `begin()`; what runs below them takes the connection.

    :param url: a SQLAlchemy URL, or a function that gives one. The function is called at first use, so that a
        command which touches no database starts none.
    :param pepper: the secret that hashes of addresses are made with; it travels with each connection
    """

    def __init__(self, url: str | Callable[[], str], *, pepper: str | None = None, pool_size: int = 10) -> None:
        self._url = url
        self._pepper = pepper
        self._pool_size = pool_size

    @cached_property
    def url(self) -> str:
        """Where the database is; joins the embedded server if that is it."""
        return self._url if isinstance(self._url, str) else self._url()

    @cached_property
    def engine(self) -> sa.Engine:
        """SQLAlchemy's engine, with its pool of connections."""
        return self._opened(pool_size=self._pool_size, max_overflow=10, pool_recycle=1800)

    def _opened(self, **pool: Any) -> sa.Engine:
        return sa.create_engine(
            self.url,
            hide_parameters=True,  # else whoever logs an error of the database logs addresses with it
            execution_options={PEPPER: self._pepper},
            json_serializer=lambda value: _dumps(value).decode(),
            json_deserializer=orjson.loads,
            **pool,
        )

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction: committed at the end of the block, rolled back if it raises."""
        with self.engine.begin() as conn:
            yield conn

    def alone(self) -> sa.Connection:
        """A session that nobody had before and nobody has after, with the settings and temporary tables it was given.
        Whoever takes it closes it."""
        return self._opened(poolclass=sa.NullPool).connect()

    def reader(self) -> sa.Connection:
        """A connection to keep, on which each statement stands for itself: nothing to commit. Whoever takes it closes
        it."""
        return self._reading.connect()

    @cached_property
    def _reading(self) -> sa.Engine:
        """A few connections of their own. What is asked a thousand times a second is planned once: for every array of
        another length PostgreSQL would plan anew, which takes longer than the query."""
        return sa.create_engine(
            self.url,
            hide_parameters=True,
            isolation_level="AUTOCOMMIT",
            pool_size=2,
            pool_recycle=1800,
            connect_args={"options": "-c plan_cache_mode=force_generic_plan"},
        )

    def migrate(self) -> None:
        """Brings the schema up to date. Safe to call from several processes at once: one waits for the other."""
        with self.engine.connect() as conn:
            conn.execute(sa.text("SELECT pg_advisory_lock(7263001)"))
            config = AlembicConfig()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            config.attributes["connection"] = conn
            config.attributes["pepper"] = self._pepper
            alembic_command.upgrade(config, "head")
            conn.execute(sa.text("SELECT pg_advisory_unlock(7263001)"))
            conn.commit()

    def dispose(self) -> None:
        """Closes every pooled connection, and those still in use as soon as they are given back."""
        for name in {"engine", "_reading"} & self.__dict__.keys():
            engine: sa.Engine = getattr(self, name)
            left = engine.pool
            engine.dispose()
            sa.event.listen(left, "checkin", _close)
            left.dispose()  # what was given back between the two


def _close(_: object, record: ConnectionPoolEntry) -> None:
    record.invalidate()


def driver(conn: sa.Connection) -> psycopg.Connection[Any]:
    """The psycopg connection underneath, for COPY and binary arrays; it shares the transaction."""
    return cast("psycopg.Connection[Any]", conn.connection.driver_connection)


def pepper(conn: sa.Connection) -> bytes:
    """The secret hashes of addresses are made with; raises `LookupError` if the database was opened without."""
    if secret := conn.get_execution_options().get(PEPPER):
        return cast("str", secret).encode()
    raise LookupError("this database was opened without a pepper")


def array(values: Iterable[str | int | None]) -> str:
    """Values as PostgreSQL writes an array of them. The driver, which checks each, takes four times as long."""
    return "{" + ",".join(map(_element, values)) + "}"


def _element(value: str | int | None) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'


def insert_once(conn: sa.Connection, table: sa.Table, values: Mapping[str, Any]) -> bool:
    """Inserts one row unless a unique key already holds it. True if this call wrote it."""
    statement = postgresql.insert(table).values(**values).on_conflict_do_nothing()
    # Without the option no count is kept of a row whose generated id is fetched.
    return conn.execute(statement, execution_options={"preserve_rowcount": True}).rowcount == 1


def upsert(conn: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]) -> None:
    """Inserts rows, replacing every given column of those whose `key` is already there."""
    if not rows:
        return
    statement = postgresql.insert(table)
    replaced = {name: statement.excluded[name] for name in rows[0] if name not in key}
    conn.execute(statement.on_conflict_do_update(index_elements=list(key), set_=replaced), list(rows))


def read(conn: sa.Connection, statement: sa.Executable, shape: type[V]) -> list[V]:
    """Runs a query and gives its rows as values of a dataclass whose fields are its columns' names."""
    if not is_dataclass(shape):
        raise TypeError(f"{shape} is not a dataclass")
    names = [field.name for field in fields(shape)]
    return [shape(**{name: row[name] for name in names}) for row in conn.execute(statement).mappings()]


def claim(
    conn: sa.Connection,
    table: sa.Table,
    *,
    due: sa.ColumnElement[bool],
    order_by: Iterable[sa.ColumnElement[Any]],
    values: Mapping[str, Any],
    limit: int,
) -> Sequence[sa.RowMapping]:
    """Takes up to `limit` due rows for this worker alone, writes `values` on them, and returns them.

    Rows locked by another worker are passed over. The inner query is wrapped in ARRAY(...) because PostgreSQL
    may otherwise run it once per outer row, which is five times slower and can claim more than `limit`.
    """
    ids = sa.select(table.c.id).where(due).order_by(*order_by).limit(limit).with_for_update(skip_locked=True)
    chosen = sa.func.array(ids.scalar_subquery())
    statement = sa.update(table).where(table.c.id == sa.any_(chosen)).values(**values).returning(*table.c)
    return conn.execute(statement).mappings().all()


def new_id() -> uuid.UUID:
    """A random identifier for rows whose id leaves the installation."""
    return uuid.uuid4()
