"""The tables of the doors: who may sign in, which programs may speak, what was changed, and what was answered."""

import sqlalchemy as sa

from foundation.database import Json, Time, metadata

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
    sa.Column("signed_in_at", Time),
    sa.Column("second_factor", sa.LargeBinary, comment="the secret of her codes, sealed"),
    sa.Column("second_factor_since", Time, comment="empty while she has not shown that she can make codes"),
    sa.Column("second_factor_step", sa.BigInteger, comment="of the last code used: none counts twice"),
)

recovery_codes = sa.Table(
    "recovery_codes",
    metadata,
    sa.Column("user_id", sa.BigInteger, sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("code_hash", sa.LargeBinary, primary_key=True),
    sa.Column("used_at", Time),
    comment="For who lost the telephone that makes the codes; each once",
)

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("token_hash", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column(
        "user_id",
        sa.BigInteger,
        sa.ForeignKey("users.id", ondelete="CASCADE"),
        comment="who chooses a new password; empty for somebody new",
    ),
    sa.Column("invited_by", sa.Text, nullable=False),
    sa.Column("invited_at", Time, nullable=False),
    comment="Links that let somebody choose a password; gone once used",
)

console_settings = sa.Table(
    "console_settings",
    metadata,
    sa.Column("one_row", sa.Boolean, primary_key=True, server_default=sa.text("true")),
    sa.Column("second_factor", sa.Text, nullable=False, server_default="optional", comment="optional admins everyone"),
    sa.Column("first_steps_hidden_at", Time),
    sa.CheckConstraint("one_row", name="one_row"),
    comment="What administrators decided of the console itself; one row",
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("token_hash", sa.LargeBinary, primary_key=True),
    sa.Column("user_id", sa.BigInteger, sa.ForeignKey("users.id", ondelete="CASCADE"), index=True),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("seen_at", Time, nullable=False),
    sa.Column("number", sa.BigInteger, sa.Identity(), nullable=False, unique=True),
    sa.Column("agent", sa.Text, nullable=False, server_default="", comment="what the browser calls itself"),
    sa.Column(
        "pending",
        sa.Boolean,
        nullable=False,
        server_default=sa.text("false"),
        comment="the password was right, the second factor is still asked for",
    ),
)

change_log = sa.Table(
    "change_log",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("at", Time, nullable=False),
    sa.Column("user_id", sa.BigInteger, sa.ForeignKey("users.id", ondelete="SET NULL")),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("act", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False, server_default=""),
    sa.Column("detail", Json, nullable=False, server_default="{}"),
    sa.Index("change_log_user_id_idx", "user_id", "id"),
    sa.Index("change_log_at_idx", "at"),
    comment="Who changed what in the console; rows are only ever added",
)

file_imports = sa.Table(
    "file_imports",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("stored", sa.Text, nullable=False, comment="its name under var/imports"),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("columns", Json, nullable=False, comment="of the file, each with some of what stands in it"),
    sa.Column("mapping", Json, nullable=False, server_default="{}", comment="what each column of the file is"),
    sa.Column("state", sa.Text, nullable=False, comment="mapping running tried done failed"),
    sa.Column("dry", sa.Boolean, nullable=False, server_default=sa.text("true")),
    sa.Column("share", sa.Float, nullable=False, server_default="0"),
    sa.Column("accepted", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("repeated", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("refused", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("detail", sa.Text),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("moved_at", Time, nullable=False),
    sa.Index("file_imports_started_at_idx", "started_at"),
    comment="Files handed in by the console, tried or taken in, and their reports",
)

backups = sa.Table(
    "backups",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("made_at", Time, nullable=False),
    sa.Index("backups_made_at_idx", "made_at"),
    comment="Backups made by flask backup",
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
