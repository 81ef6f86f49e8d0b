"""What the members of each segment get week by week, and what is planned for them, against the cap."""

from alembic import op

revision = "0033"
down_revision = "0032"

NEW = (
    "ALTER TABLE segment_pressure ADD COLUMN flowing BIGINT DEFAULT 0 NOT NULL",
    "COMMENT ON COLUMN segment_pressure.flowing IS 'of campaigns that run all the time'",
    """
    CREATE TABLE segment_weeks (
        segment_id BIGINT NOT NULL,
        week DATE NOT NULL,
        sent BIGINT DEFAULT '0' NOT NULL,
        reached BIGINT DEFAULT '0' NOT NULL,
        at_cap BIGINT DEFAULT '0' NOT NULL,
        planned BIGINT,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT segment_weeks_pkey PRIMARY KEY (segment_id, week),
        CONSTRAINT segment_weeks_segment_id_fkey FOREIGN KEY(segment_id) REFERENCES segments (id) ON DELETE CASCADE
    )
    """,
    """
    COMMENT ON TABLE segment_weeks IS
        'What the members of each segment got in a week, and what is planned for them, counted by a job'
    """,
    "COMMENT ON COLUMN segment_weeks.week IS 'its Monday, where the shop is'",
    "COMMENT ON COLUMN segment_weeks.sent IS 'messages its members got'",
    "COMMENT ON COLUMN segment_weeks.reached IS 'members who had at least one'",
    "COMMENT ON COLUMN segment_weeks.at_cap IS 'members who had all the cap allows'",
    "COMMENT ON COLUMN segment_weeks.planned IS 'messages still to come; empty for a week that is over'",
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
