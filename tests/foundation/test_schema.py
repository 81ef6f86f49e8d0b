"""The schema that migrations make is the one the tables say, to the last column and index."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import app
import campaigns
import recommender
import shop
from foundation.database import metadata


def _differences(conn: sa.Connection) -> Iterator[tuple[Any, ...]]:
    """What would have to change; comments are left out, for they are read where the tables are written."""
    context = MigrationContext.configure(conn, opts={"compare_type": True})
    for found in compare_metadata(context, metadata):
        for one in found if isinstance(found, list) else [found]:
            if one[0] != "modify_comment":
                yield one


@pytest.mark.filterwarnings("ignore:Can't validate argument 'dialect_options'")  # of what is read from PostgreSQL
def test_the_migrated_schema_is_that_of_the_tables(conn: sa.Connection) -> None:
    for floor in (shop, recommender, campaigns, app):
        for module in pkgutil.walk_packages(floor.__path__, f"{floor.__name__}."):
            if module.name.endswith("tables"):
                import_module(module.name)
    assert len(metadata.tables) > 80
    changed = list(_differences(conn))
    made = {one[1].name for one in changed if one[0] == "add_index"}
    gone = {one[1].name for one in changed if one[0] == "remove_index"}
    others = [one for one in changed if one[0] not in ("add_index", "remove_index")]
    # An index by another order of letters is told apart from itself: of those, the name says that it is there.
    assert others == [] and made == gone and len(made) <= 3, changed
    conn.execute(sa.text("ALTER TABLE latecomers ADD COLUMN surplus int"))
    assert [one[0] for one in _differences(conn) if not one[0].endswith("_index")] == ["remove_column"]
