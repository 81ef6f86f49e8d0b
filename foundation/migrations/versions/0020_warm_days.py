"""How many mails a new sender gave to each group of mailbox hosts on each day."""

from alembic import op

revision = "0020"
down_revision = "0019"

NEW = (
    """
    CREATE TABLE warm_days (
        host_group TEXT NOT NULL,
        day DATE NOT NULL,
        ceiling INTEGER NOT NULL,
        sent INTEGER DEFAULT '0' NOT NULL,
        CONSTRAINT warm_days_pkey PRIMARY KEY (host_group, day)
    )
    """,
    "COMMENT ON TABLE warm_days IS 'How many mails a new sender may give to each group of mailbox hosts, and gave'",
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
