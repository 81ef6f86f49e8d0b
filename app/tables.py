"""The tables of the doors: who may sign in, which programs may speak, and what was already answered."""

import sqlalchemy as sa

from foundation.database import Time, metadata

users = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    sa.Column("name", sa.Text),
    sa.Column("role", sa.Text, nullable=False, comment="admin marketer analyst store"),
    sa.Column("password_hash", sa.Text, nullable=False, comment="argon2id"),
    sa.Column("locale", sa.Text),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("disabled_at", Time),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("token_hash", sa.LargeBinary, primary_key=True),
    sa.Column("user_id", sa.BigInteger, sa.ForeignKey("users.id", ondelete="CASCADE"), index=True),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("seen_at", Time, nullable=False),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("source_id", sa.Integer, sa.ForeignKey("sources.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False, comment="write or secret"),
    sa.Column("prefix", sa.Text, nullable=False, comment="first characters, to recognise it by"),
    sa.Column("key_hash", sa.LargeBinary, nullable=False, unique=True, comment="SHA-256; the key itself is not kept"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("revoked_at", Time),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("key_id", sa.Integer, sa.ForeignKey("api_keys.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("idempotency_key", sa.Text, primary_key=True),
    sa.Column("request_hash", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("body", sa.Text, comment="as it was sent"),
    sa.Column("created_at", Time, nullable=False),
    comment="Answers of writes that carried an Idempotency-Key; kept 24 hours",
)

rate_limits = sa.Table(
    "rate_limits",
    metadata,
    sa.Column("bucket", sa.LargeBinary, primary_key=True, comment="SHA-256 of what is counted; no address is kept"),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("hits", sa.Integer, nullable=False),
    sa.Index("rate_limits_started_at_idx", "started_at"),
    comment="Tries counted over all processes, within a window that began at started_at",
)
