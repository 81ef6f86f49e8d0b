"""What is told of the whole house, kept; customers found by the beginning of an address, a number or a name."""

from alembic import op

revision = "0022"
down_revision = "0021"

FOLDED = (
    "replace(replace(translate(lower(coalesce({}, '') || ' ' || coalesce({}, '')), "
    "'àâäáãåçéèêëíìîïñóòôöõøúùûüýÿ', 'aaaaaaceeeeiiiinoooooouuuuyy'), 'œ', 'oe'), 'æ', 'ae')"
)
NAMED = "merged_into IS NULL AND (last_name IS NOT NULL OR first_name IS NOT NULL)"
NEW = (
    """
    CREATE TABLE insights (
        name TEXT NOT NULL,
        figures JSONB NOT NULL,
        at TIMESTAMP WITH TIME ZONE NOT NULL,
        CONSTRAINT insights_pkey PRIMARY KEY (name)
    )
    """,
    "COMMENT ON TABLE insights IS 'What is told of the whole house, counted by a job and not by whoever looks'",
    "COMMENT ON COLUMN insights.figures IS 'see campaigns/insights'",
    "DROP INDEX customers_email_idx",
    "DROP INDEX customers_name_idx",
    "CREATE INDEX customers_family_name_idx ON customers "
    f"(({FOLDED.format('last_name', 'first_name')} COLLATE \"C\"), id) WHERE {NAMED}",
    "CREATE INDEX customers_given_name_idx ON customers "
    f"(({FOLDED.format('first_name', 'last_name')} COLLATE \"C\"), id) WHERE {NAMED}",
    "CREATE INDEX identities_value_idx ON identities (value COLLATE \"C\", customer_id) "
    "WHERE kind IN ('user_id', 'email', 'phone', 'card')",
)


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
