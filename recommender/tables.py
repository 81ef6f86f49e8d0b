"""The recommender's tables: training runs, models, what was shown and earned, and what the merchant decided of it."""

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
    sa.Column("sha256", sa.LargeBinary, nullable=False, comment="of all parts, end to end"),
    sa.Column("size", sa.BigInteger, nullable=False, comment="bytes of all parts"),
)

model_parts = sa.Table(
    "model_parts",
    metadata,
    sa.Column("model_id", sa.BigInteger, sa.ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("bytes", sa.LargeBinary, nullable=False, comment="plain arrays; never pickle"),
    comment="The artefact of a model, in order",
)

rankings = sa.Table(
    "rankings",
    metadata,
    sa.Column(
        "customer_id",
        sa.BigInteger,
        sa.ForeignKey("customers.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    sa.Column("model_id", sa.BigInteger, nullable=False, comment="whose product numbers these are"),
    sa.Column(
        "version", sa.BigInteger, nullable=False, comment="of her profile; whoever did anything since has another"
    ),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("products", sa.LargeBinary, nullable=False, comment="number, score and source of each, best first"),
    comment="What the live model ranks for each customer, made ahead; may be emptied at any time",
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
    sa.Column("arm", sa.Text, comment="model or popularity; empty without an experiment"),
    sa.Index(
        "slates_customer_id_idx",
        "customer_id",
        "placement",
        "shown_at",
        postgresql_where=sa.text("customer_id IS NOT NULL"),
    ),
    sa.Index("slates_arm_idx", "placement", "shown_at", postgresql_where=sa.text("arm IS NOT NULL")),
    sa.Index("slates_shown_at_idx", "shown_at", postgresql_using="brin"),
)

slate_clicks = sa.Table(
    "slate_clicks",
    metadata,
    sa.Column("slate_id", postgresql.UUID, primary_key=True),
    sa.Column("product_id", sa.Text, primary_key=True),
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE"), index=True),
    sa.Column("placement", sa.Text, nullable=False),
    sa.Column("model_id", sa.BigInteger),
    sa.Column("arm", sa.Text),
    sa.Column("source", sa.Text, nullable=False, comment="of the product clicked"),
    sa.Column("shown_at", Time, nullable=False, index=True),
    sa.Column("clicked_at", Time, nullable=False, comment="the first time"),
    sa.Column("added_at", Time, comment="when it was put into the basket from there"),
    sa.Column("order_id", sa.Text, comment="the first order of it within a week of the click"),
    sa.Column(
        "revenue", sa.BigInteger, nullable=False, server_default="0", comment="minor units: its lines in that order"
    ),
    comment="A product that a person clicked in a slate, and what it earned",
)

slate_counts = sa.Table(
    "slate_counts",
    metadata,
    sa.Column("day", sa.Date, primary_key=True, comment="UTC, of the showing"),
    sa.Column("placement", sa.Text, primary_key=True),
    sa.Column("model_id", sa.BigInteger, primary_key=True, comment="0 while none is published"),
    sa.Column("arm", sa.Text, primary_key=True, comment="empty without an experiment"),
    sa.Column("source", sa.Text, primary_key=True, comment="of products; empty for the slates themselves"),
    *(
        sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        for name in ("shown", "clicked", "added", "ordered")
    ),
    sa.Column("revenue", sa.BigInteger, nullable=False, server_default="0", comment="minor units"),
    comment="Kept as slates are shown and clicked, so that no page ever counts them",
)

slate_reading = sa.Table(
    "slate_reading",
    metadata,
    sa.Column("one_row", sa.Boolean, primary_key=True, server_default=sa.text("true")),
    sa.Column("read_until", Time, nullable=False),
    sa.CheckConstraint("one_row", name="one_row"),
    comment="Up to where events were searched for clicks",
)

# ------------------------------------------------------------------------------------ what the merchant decided
merchandising_rules = sa.Table(
    "merchandising_rules",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("place", sa.Integer, nullable=False, comment="rules are read in this order"),
    sa.Column("definition", Json, nullable=False, comment="see recommender/rules.py"),
)

placements = sa.Table(
    "placements",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("definition", Json, nullable=False, comment="see recommender/placements.py"),
    comment="Placements that differ from their defaults",
)

merchandising_changes = sa.Table(
    "merchandising_changes",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("at", Time, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False, comment="rule placement order experiment"),
    sa.Column("subject", sa.Text, nullable=False, comment="its id or name"),
    sa.Column("before", Json),
    sa.Column("after", Json),
    comment="Who changed what; rows are only ever added, so the last id is the version of it all",
)

experiments = sa.Table(
    "experiments",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("placement", sa.Text, nullable=False),
    sa.Column("percent", sa.SmallInteger, nullable=False, comment="of customers, shown popularity"),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("started_by", sa.Text, nullable=False),
    sa.Column("ended_at", Time),
    sa.Column(
        "results",
        Json,
        nullable=False,
        server_default="{}",
        comment="{arm: {customers, clickers, buyers, revenue, revenue_squared}}",
    ),
    sa.Column("counted_at", Time),
    sa.Index("experiments_running_key", "placement", unique=True, postgresql_where=sa.text("ended_at IS NULL")),
    comment="Model against popularity, on one placement",
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
