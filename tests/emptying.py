"""An installation made empty again, as quickly as can be: most tests fill a few tables of more than a hundred."""

from functools import cache

import sqlalchemy as sa

from foundation.database import metadata

LARGE = 1024 * 1024
"""Bytes from which a table is truncated, which costs new files for it and for each of its indexes."""


def empty(conn: sa.Connection) -> None:
    """Every table without a row, every identity at its beginning."""
    names = [table.name for table in metadata.sorted_tables]
    large = conn.scalars(_LARGE, {"names": names, "most": LARGE}).all()
    if large:
        conn.execute(sa.text(f"TRUNCATE {', '.join(large)} CASCADE"))
    conn.execute(sa.text("SET LOCAL session_replication_role = replica"))
    conn.execute(sa.text("; ".join(f"DELETE FROM {name}" for name in names)))
    conn.execute(_begin_anew())


_LARGE = sa.text("""
SELECT relname FROM pg_class
WHERE relname = ANY(:names) AND relkind = 'r' AND pg_relation_size(oid) > :most
""")


@cache
def _begin_anew() -> sa.TextClause:
    found = [(table.name, column.name) for table in metadata.sorted_tables for column in table.c if column.identity]
    sequences = (f"setval(pg_get_serial_sequence('{table}', '{column}'), 1, false)" for table, column in found)
    return sa.text(f"SELECT {', '.join(sequences)}")
