"""The day of a last open served nothing: it is no longer kept, and who asked for it alone measures nobody's opens."""

from alembic import op

revision = "0032"
down_revision = "0031"

GONE = (
    """UPDATE policy SET "values" = jsonb_set("values", '{opens}', '"off"') WHERE "values" ->> 'opens' = 'hygiene'""",
    "DROP TABLE last_opens",
)


def upgrade() -> None:
    for statement in GONE:
        op.execute(statement)
