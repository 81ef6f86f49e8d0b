"""Hashes of addresses are keyed with the installation's pepper: those that are kept are keyed where they stand."""

import hashlib
import hmac

import sqlalchemy as sa
from alembic import context, op

revision = "0026"
down_revision = "0025"

NEW = (
    """
    CREATE TABLE pepper_words (
        one_row BOOLEAN DEFAULT true NOT NULL,
        word BYTEA NOT NULL,
        CONSTRAINT pepper_words_pkey PRIMARY KEY (one_row),
        CONSTRAINT pepper_words_one_row_check CHECK (one_row)
    )
    """,
    "COMMENT ON TABLE pepper_words IS 'By what the pepper of the hashes beside it is recognised; one row'",
    "COMMENT ON COLUMN suppressions.address_hash IS 'of the normalised address, keyed; no address is kept'",
    "COMMENT ON COLUMN messages.address_hash IS 'of the normalised address, keyed, known once it is rendered'",
)
HASHED = ("suppressions", "messages", "soft_bounces", "sent_before")
KEYED = """
UPDATE {table} SET address_hash = sha256(CAST(:outer AS bytea) || sha256(CAST(:inner AS bytea) || address_hash))
WHERE address_hash IS NOT NULL
"""
"""HMAC-SHA256 (RFC 2104) of the hash that is there, so no address need be known."""


def upgrade() -> None:
    for statement in NEW:
        op.execute(statement)
    conn = op.get_bind()
    if not any(conn.scalar(sa.text(f"SELECT EXISTS (SELECT FROM {t} WHERE address_hash IS NOT NULL)")) for t in HASHED):
        return
    pepper = context.config.attributes.get("pepper")
    if not pepper:
        raise LookupError("hashes of addresses are keyed now: migrate with the pepper (flask migrate)")
    secret = pepper.encode()
    block = (secret if len(secret) <= 64 else hashlib.sha256(secret).digest()).ljust(64, b"\0")
    key = {"inner": bytes(byte ^ 0x36 for byte in block), "outer": bytes(byte ^ 0x5C for byte in block)}
    for table in HASHED:
        conn.execute(sa.text(KEYED.format(table=table)), key)
    word = hmac.digest(secret, b"relance pepper", "sha256")
    conn.execute(sa.text("INSERT INTO pepper_words (word) VALUES (:word)"), {"word": word})
