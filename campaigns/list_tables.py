"""The table of files of customers that were handed in to become segments."""

import sqlalchemy as sa

from foundation.database import Time, metadata

list_imports = sa.Table(
    "list_imports",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, comment="of the segment it becomes"),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="running done failed"),
    sa.Column("found", sa.Integer, nullable=False, server_default="0", comment="customers on the list"),
    sa.Column("unknown", sa.Integer, nullable=False, server_default="0", comment="lines that named nobody"),
    sa.Column("detail", sa.Text, comment="why nothing of it could be read"),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("finished_at", Time),
    comment="Files of customers that were handed in, and what became of each",
)
