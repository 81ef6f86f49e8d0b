"""The recommender's tables: training runs, published models, and what was shown."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation.database import Json, Time, metadata

training_runs = sa.Table(
    "training_runs",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("finished_at", Time),
    sa.Column("state", sa.Text, nullable=False, comment="running published refused failed"),
    sa.Column("reason", sa.Text, comment="why it was or was not published, in a sentence"),
    sa.Column(
        "window",
        Json,
        nullable=False,
        server_default="{}",
        comment="first and last event, customers, products",
    ),
    sa.Column(
        "results",
        Json,
        nullable=False,
        server_default="[]",
        comment="one entry an algorithm, as `evaluate` prints",
    ),
    sa.Column("model_id", sa.BigInteger),
)

models = sa.Table(
    "models",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("run_id", sa.BigInteger, sa.ForeignKey("training_runs.id"), nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("manifest", Json, nullable=False, comment="algorithms, weights, window, seed, versions, metrics"),
    sa.Column("sha256", sa.LargeBinary, nullable=False),
    sa.Column("artefact", sa.LargeBinary, nullable=False, comment="plain numpy arrays; never pickle"),
)

live_model = sa.Table(
    "live_model",
    metadata,
    sa.Column("one_row", sa.Boolean, primary_key=True, server_default=sa.text("true")),
    sa.Column("model_id", sa.BigInteger, sa.ForeignKey("models.id"), nullable=False),
    sa.Column("since", Time, nullable=False),
    sa.CheckConstraint("one_row", name="one_row"),
    comment="The pointer: publishing and rolling back move it",
)

slates = sa.Table(
    "slates",
    metadata,
    sa.Column("id", postgresql.UUID, primary_key=True),
    sa.Column("shown_at", Time, nullable=False),
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE")),
    sa.Column("placement", sa.Text, nullable=False),
    sa.Column("model_id", sa.BigInteger),
    sa.Column("items", Json, nullable=False, comment="[{product_id, source, score}] in the order shown"),
    sa.Index("slates_customer_id_idx", "customer_id", postgresql_where=sa.text("customer_id IS NOT NULL")),
    sa.Index("slates_shown_at_idx", "shown_at", postgresql_using="brin"),
)
