"""What an offer's codes will be needed for is replayed by the job of dry runs, one a campaign at a time."""

from alembic import op

revision = "0034"
down_revision = "0033"

NEW = (
    "ALTER TABLE campaign_dry_runs ADD COLUMN forecast BOOLEAN DEFAULT false NOT NULL",
    "COMMENT ON COLUMN campaign_dry_runs.forecast IS 'of codes, for an offer''s page'",
    """
    CREATE UNIQUE INDEX campaign_dry_runs_forecast_idx ON campaign_dry_runs (campaign_id)
        WHERE forecast AND state IN ('asked', 'running')
    """,
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
