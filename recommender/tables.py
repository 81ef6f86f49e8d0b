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
    sa.Column("state", sa.Text, nullable=False, comment="asked running published refused failed"),
    sa.Column("asked_by", sa.Text, comment="who asked for it in the console; empty for the nightly run"),
    sa.Column("progress", Json, nullable=False, server_default="{}", comment="{step, done, of} while it runs"),
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
    sa.Column(
        "report",
        Json,
        nullable=False,
        server_default="{}",
        comment="what was compared with what, with intervals; groups of customers; what each source contributed",
    ),
    sa.Column("model_id", sa.BigInteger),
    sa.Index("training_runs_asked_key", "state", unique=True, postgresql_where=sa.text("state = 'asked'")),
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

model_moves = sa.Table(
    "model_moves",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("at", Time, nullable=False),
    sa.Column("model_id", sa.BigInteger, nullable=False),
    sa.Column("before_id", sa.BigInteger, comment="the model that was live until then"),
    sa.Column("why", sa.Text, nullable=False, comment="published or chosen"),
    sa.Column("by", sa.Text, nullable=False, comment="the run, or the person"),
    comment="Every move of the pointer; rows are only ever added",
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

customer_predictions = sa.Table(
    "customer_predictions",
    metadata,
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("as_of", Time, nullable=False, comment="when these values were last found different"),
    sa.Column("next_order_at", Time, comment="as likely before as after; empty if that is more than a year away"),
    sa.Column("order_probability_30d", sa.Double, nullable=False, comment="0 to 1: at least one order in 30 days"),
    sa.Column("churn_risk", sa.Double, nullable=False, comment="0 to 1: no order at all in the next 12 months"),
    sa.Column("expected_value_12m", sa.BigInteger, nullable=False, comment="minor units, net of returns"),
    sa.Column("currency", sa.Text),
    sa.Column("favourite_category", sa.Text, comment="as the catalogue writes it: Kitchen > Pots"),
    sa.Column("favourite_channel", sa.Text, comment="a source channel"),
    sa.Column("favourite_hour", sa.SmallInteger, comment="0 to 23, on the customer's clock"),
    sa.Column("favourite_weekday", sa.SmallInteger, comment="1 Monday to 7 Sunday, on the customer's clock"),
    comment="One row a customer who has ordered and does not refuse personalization; none means nothing is predicted",
)

prediction_runs = sa.Table(
    "prediction_runs",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("as_of", Time, nullable=False, comment="what was known until then was used"),
    sa.Column("finished_at", Time, nullable=False),
    sa.Column("basis", sa.Text, nullable=False, comment="fitted, shop_rates or none"),
    sa.Column("missing", Json, nullable=False, server_default="[]", comment="what a better basis still needs"),
    sa.Column("parameters", Json, nullable=False, comment="of the fitted distributions, times in days"),
    sa.Column("calibration", Json, nullable=False, comment="said beforehand against what came, by prediction"),
    sa.Column("customers", sa.BigInteger, nullable=False, comment="who have predictions"),
    sa.Column("written", sa.BigInteger, nullable=False, comment="rows that were new or different"),
)
