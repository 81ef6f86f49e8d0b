"""Guards find what went wrong without counting what went well; counts of large campaigns rest."""

from alembic import op

revision = "0024"
down_revision = "0023"

NEW = (
    """
    CREATE INDEX messages_submitted_at_idx ON messages (campaign_id, submitted_at) WHERE submitted_at IS NOT NULL
    """,
    """
    CREATE INDEX messages_wrong_idx ON messages (campaign_id)
    WHERE state IN ('bounced', 'complained', 'dropped', 'failed')
    """,
    "ALTER TABLE campaign_sums ADD COLUMN rest INTERVAL",
    "COMMENT ON COLUMN campaign_sums.rest IS 'until it is added up again, if that takes long'",
    "ALTER TABLE campaign_figures ADD COLUMN rest INTERVAL",
    "COMMENT ON COLUMN campaign_figures.rest IS 'until it is counted again, if that takes long'",
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
