"""When a store is open, as customers read it."""

from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.execute("ALTER TABLE stores ADD COLUMN hours TEXT")
    op.execute("COMMENT ON COLUMN stores.hours IS 'when it is open, as customers read it'")
