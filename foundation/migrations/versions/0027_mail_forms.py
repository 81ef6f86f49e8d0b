"""What mails of one kind all say is kept once, and of each mail what it alone says."""

from alembic import op

revision = "0027"
down_revision = "0026"

NEW = (
    """
    CREATE TABLE mail_forms (
        digest BYTEA NOT NULL,
        packed BYTEA NOT NULL,
        used_at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT mail_forms_pkey PRIMARY KEY (digest)
    )
    """,
    "COMMENT ON TABLE mail_forms IS 'What mails of one kind all say, once; nothing in it is about anybody'",
    "COMMENT ON COLUMN mail_forms.packed IS 'see campaigns/channels/pieces.py'",
    "COMMENT ON COLUMN mail_forms.used_at IS 'the day it was last sent, by the clock of the database'",
    "ALTER TABLE message_contents ALTER COLUMN html DROP NOT NULL",
    "ALTER TABLE message_contents ALTER COLUMN text DROP NOT NULL",
    "ALTER TABLE message_contents ADD COLUMN form BYTEA",
    "ALTER TABLE message_contents ADD COLUMN own BYTEA",
    "COMMENT ON COLUMN message_contents.html IS 'of what is kept as a whole'",
    "COMMENT ON COLUMN message_contents.form IS 'else the digest of what all its like say'",
    "COMMENT ON COLUMN message_contents.own IS 'and what this one alone says, which stands in the form'",
    # Every row there is has its words whole, so none need be looked at.
    """
    ALTER TABLE message_contents ADD CONSTRAINT message_contents_whole_check
        CHECK (html IS NOT NULL AND text IS NOT NULL OR form IS NOT NULL AND own IS NOT NULL) NOT VALID
    """,
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
