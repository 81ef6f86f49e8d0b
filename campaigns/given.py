"""Values handed to a query as rows of a table: one array a column, so that a statement's text never grows with them."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

Time = sa.DateTime(timezone=True)
Column = tuple["sa.types.TypeEngine[Any]", Sequence[Any]]


def rows(name: str, columns: Mapping[str, Column]) -> "sa.TableValuedAlias":
    """A table of this name with these columns, each of a type and a list of values; all lists are as long."""
    arrays = [sa.bindparam(None, list(values), postgresql.ARRAY(kind)) for kind, values in columns.values()]
    shape = [sa.column(column, kind) for column, (kind, _) in columns.items()]
    return sa.func.unnest(*arrays).table_valued(*shape, name=name).render_derived()


def any_of(values: Sequence[int]) -> "sa.ColumnElement[Any]":
    """For `column == any_of(ids)`."""
    return sa.any_(sa.bindparam(None, list(values), postgresql.ARRAY(sa.BigInteger)))
