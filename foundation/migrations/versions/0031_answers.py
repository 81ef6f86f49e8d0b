"""Attempts know the provider's answer as a number, and what the provider calls them."""

from alembic import op

revision = "0031"
down_revision = "0030"

NEW = (
    "ALTER TABLE attempts ADD COLUMN code INTEGER",
    "ALTER TABLE attempts ADD COLUMN request_id TEXT",
    "COMMENT ON COLUMN attempts.code IS 'the provider''s answer as a number, of HTTP or of SMTP'",
    "COMMENT ON COLUMN attempts.request_id IS 'what the provider calls this attempt'",
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
