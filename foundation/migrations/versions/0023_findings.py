"""What the doctor last found, for the list before a launch."""

from alembic import op

revision = "0023"
down_revision = "0022"

NEW = (
    """
    CREATE TABLE doctor_findings (
        subject TEXT NOT NULL,
        good BOOLEAN NOT NULL,
        detail TEXT NOT NULL,
        found_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT doctor_findings_pkey PRIMARY KEY (subject)
    )
    """,
    "COMMENT ON TABLE doctor_findings IS 'What was last found of the installation and its sending domain'",
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
