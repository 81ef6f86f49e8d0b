"""The policy knows since when silence has counted as it does."""

from alembic import op

revision = "0032"
down_revision = "0031"

NEW = (
    "ALTER TABLE policy ADD COLUMN silence_since TIMESTAMP WITH TIME ZONE",
    "COMMENT ON COLUMN policy.silence_since IS "
    "'when the rule on silence, or the measuring of opens, last changed'",
    "COMMENT ON TABLE last_opens IS "
    "'The day of her last open and nothing else, kept and read for the hygiene of lists alone'",
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
