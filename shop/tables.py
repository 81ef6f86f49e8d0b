"""The tables of the shop's mirror: who, what, where, and everything that happened.

Money is integer minor units (cents) with its currency beside it. Times are UTC. Ids the shop gave are text and never
parsed. Tables whose rows move when two customers are merged keep `origin_id`, the customer they were first written
for, so that a merge can be undone.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation.database import Json, Time, metadata

CHANNELS = ("web", "app", "store", "marketplace", "call_center")
"""Source channels: where something happened."""


def _customer(*, nullable: bool = False, primary_key: bool = False) -> "sa.Column[int]":
    return sa.Column(
        "customer_id",
        sa.BigInteger,
        sa.ForeignKey("customers.id", ondelete="CASCADE"),
        nullable=nullable,
        primary_key=primary_key,
    )


def _origin() -> "sa.Column[int]":
    return sa.Column("origin_id", sa.BigInteger, nullable=False, comment="the customer it was written for at first")


sources = sa.Table(
    "sources",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("channel", sa.Text, nullable=False, comment="source channel of events that name none"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("last_event_at", Time),
    comment="Who sends us events: a site, an app, a till, a file, Relance itself",
)

# ---------------------------------------------------------------------------------------------------- who
_ACCENTS, _PLAIN = "àâäáãåçéèêëíìîïñóòôöõøúùûüýÿ", "aaaaaaceeeeiiiinoooooouuuuyy"
_BOTH = "lower(coalesce({}, '') || ' ' || coalesce({}, ''))"
_NAME = f"replace(replace(translate({_BOTH}, '{{}}', '{{}}'), 'œ', 'oe'), 'æ', 'ae')"
BY_FAMILY_NAME = f'({_NAME.format("last_name", "first_name", _ACCENTS, _PLAIN)} COLLATE "C")'
"""`leroy paul`, without capitals and accents: what a search by name walks along."""
BY_GIVEN_NAME = f'({_NAME.format("first_name", "last_name", _ACCENTS, _PLAIN)} COLLATE "C")'
NAMED = "merged_into IS NULL AND (last_name IS NOT NULL OR first_name IS NOT NULL)"

customers = sa.Table(
    "customers",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("merged_into", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE")),
    sa.Column("user_id", sa.Text, comment="the shop's own id; empty while anonymous"),
    sa.Column("email", sa.Text),
    sa.Column("phone", sa.Text, comment="E.164"),
    sa.Column("first_name", sa.Text),
    sa.Column("last_name", sa.Text),
    sa.Column("locale", sa.Text),
    sa.Column("timezone", sa.Text, comment="IANA name"),
    sa.Column("birth_year", sa.SmallInteger),
    sa.Column("traits", Json, nullable=False, server_default="{}", comment="whatever else the shop told us"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.Index("customers_user_id_key", "user_id", unique=True, postgresql_where=sa.text("user_id IS NOT NULL")),
    sa.Index("customers_family_name_idx", sa.text(BY_FAMILY_NAME), "id", postgresql_where=sa.text(NAMED)),
    sa.Index("customers_given_name_idx", sa.text(BY_GIVEN_NAME), "id", postgresql_where=sa.text(NAMED)),
    sa.Index("customers_merged_into_idx", "merged_into", postgresql_where=sa.text("merged_into IS NOT NULL")),
)

identities = sa.Table(
    "identities",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True, comment="user_id anonymous_id email phone card device"),
    sa.Column("value", sa.Text, primary_key=True, comment="normalised"),
    _customer(),
    _origin(),
    sa.Column("first_seen_at", Time, nullable=False),
    sa.Column("quarantined_at", Time, comment="claimed by too many people to say who is meant"),
    sa.Index("identities_customer_id_idx", "customer_id"),
    sa.Index(
        "identities_value_idx",
        sa.text('value COLLATE "C"'),
        "customer_id",
        postgresql_where=sa.text("kind IN ('user_id', 'email', 'phone', 'card')"),
    ),
    comment="One handle of one customer",
)

identity_claims = sa.Table(
    "identity_claims",
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, primary_key=True),
    _customer(primary_key=True),
    sa.Column("claimed_at", Time, nullable=False),
    comment="A known customer who gave a handle that another known customer already holds",
)

merges = sa.Table(
    "merges",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column(
        "winner_id",
        sa.BigInteger,
        sa.ForeignKey("customers.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column(
        "loser_id",
        sa.BigInteger,
        sa.ForeignKey("customers.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    sa.Column("evidence", Json, nullable=False, comment="kind and value that tied them, event, source"),
    sa.Column("merged_at", Time, nullable=False),
    sa.Column("undone_at", Time),
    sa.Column("undone_by", sa.Text),
)

consent_log = sa.Table(
    "consent_log",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    _customer(),
    _origin(),
    sa.Column("channel", sa.Text, nullable=False, comment="email push sms onsite ads, or any"),
    sa.Column("purpose", sa.Text, nullable=False, comment="marketing analytics personalization, or any"),
    sa.Column("state", sa.Text, nullable=False, comment="granted or denied"),
    sa.Column("at", Time, nullable=False),
    sa.Column("source", sa.Text, nullable=False, comment="where it was said"),
    sa.Column("text", sa.Text, comment="the words the customer saw"),
    sa.Column("form", sa.Text, comment="the form or page, and its version"),
    sa.Column("proof", Json, nullable=False, server_default="{}"),
    sa.Column("recorded_at", Time, nullable=False),
    sa.UniqueConstraint("origin_id", "channel", "purpose", "state", "at", "source"),
    sa.Index("consent_log_customer_id_idx", "customer_id"),
    comment="Every yes and no with its proof; rows are only ever added",
)

consents = sa.Table(
    "consents",
    metadata,
    _customer(primary_key=True),
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column("purpose", sa.Text, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("at", Time, nullable=False),
    comment="What the log says now",
)

suppressions = sa.Table(
    "suppressions",
    metadata,
    sa.Column("channel", sa.Text, primary_key=True),
    sa.Column(
        "address_hash",
        sa.LargeBinary,
        primary_key=True,
        comment="of the normalised address, keyed; no address is kept",
    ),
    sa.Column("reason", sa.Text, nullable=False, comment="hard_bounce complaint unsubscribed erased manual"),
    sa.Column("since", Time, nullable=False),
    sa.Column("kept", sa.Boolean, nullable=False, server_default=sa.text("false"), comment="outside the database too"),
    sa.Index("suppressions_unkept_idx", "channel", "address_hash", postgresql_where=sa.text("NOT kept")),
    comment="An address we must not use, whatever anyone consents",
)

pepper_words = sa.Table(
    "pepper_words",
    metadata,
    sa.Column("one_row", sa.Boolean, primary_key=True, server_default=sa.text("true")),
    sa.Column("word", sa.LargeBinary, nullable=False),
    sa.CheckConstraint("one_row", name="one_row"),
    comment="By what the pepper of the hashes beside it is recognised; one row",
)

profiles = sa.Table(
    "profiles",
    metadata,
    _customer(primary_key=True),
    sa.Column("first_seen_at", Time, nullable=False),
    sa.Column("last_seen_at", Time, nullable=False),
    sa.Column("events", sa.Integer, nullable=False, server_default="0"),
    sa.Column("product_views", sa.Integer, nullable=False, server_default="0"),
    sa.Column("cart_adds", sa.Integer, nullable=False, server_default="0"),
    sa.Column("orders", sa.Integer, nullable=False, server_default="0"),
    sa.Column("spent", sa.BigInteger, nullable=False, server_default="0", comment="minor units, net of refunds"),
    sa.Column("first_order_at", Time),
    sa.Column("last_order_at", Time),
    *(sa.Column(f"{channel}_last_at", Time) for channel in CHANNELS),
    comment="What events have taught us; every column is a sum, a minimum or a maximum, so order never matters",
)

# --------------------------------------------------------------------------------------------------- what
products = sa.Table(
    "products",
    metadata,
    sa.Column("product_id", sa.Text, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("category", sa.Text, comment="a path: Kitchen > Pots"),
    sa.Column("brand", sa.Text),
    sa.Column("price", sa.BigInteger, comment="minor units"),
    sa.Column("currency", sa.Text),
    sa.Column("url", sa.Text),
    sa.Column("image_url", sa.Text),
    sa.Column("active", sa.Boolean, nullable=False, server_default=sa.text("true")),
    sa.Column("attributes", Json, nullable=False, server_default="{}"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
)

stores = sa.Table(
    "stores",
    metadata,
    sa.Column("store_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("latitude", sa.Float),
    sa.Column("longitude", sa.Float),
    sa.Column("timezone", sa.Text),
    sa.Column("address", sa.Text),
    sa.Column("hours", sa.Text, comment="when it is open, as customers read it"),
    sa.Column("updated_at", Time, nullable=False),
)

stock = sa.Table(
    "stock",
    metadata,
    sa.Column("product_id", sa.Text, primary_key=True),
    sa.Column("store_id", sa.Text, primary_key=True),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.Index("stock_store_id_idx", "store_id"),
    comment="A product without any row here is taken to be in stock",
)

# ------------------------------------------------------------------------------------------ what happened
events = sa.Table(
    "events",
    metadata,
    sa.Column("key", postgresql.UUID, primary_key=True, comment="from source and messageId: a repeat is nothing"),
    _customer(nullable=True),
    sa.Column("origin_id", sa.BigInteger, comment="the customer it was written for at first"),
    sa.Column("name", sa.Text, nullable=False, comment="as the e-commerce specification names it, or as sent"),
    sa.Column("occurred_at", Time, nullable=False),
    sa.Column("received_at", Time, nullable=False),
    sa.Column("source_id", sa.Integer, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("product_id", sa.Text),
    sa.Column("order_id", sa.Text),
    sa.Column("cart_id", sa.Text),
    sa.Column("store_id", sa.Text),
    sa.Column("message_id", sa.Text, comment="the sender's messageId"),
    sa.Column("properties", Json, nullable=False),
    sa.Column("context", Json, nullable=False),
    sa.Index("events_customer_id_occurred_at_idx", "customer_id", "occurred_at"),
    sa.Index("events_name_occurred_at_idx", "name", "occurred_at", postgresql_include=["customer_id"]),
    sa.Index("events_received_at_idx", "received_at", postgresql_using="brin"),
    sa.Index("events_reviewed_idx", "product_id", "occurred_at", postgresql_where=sa.text("name = 'Product Reviewed'")),
)

signals = sa.Table(
    "signals",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("event_key", postgresql.UUID, nullable=False),
    _customer(),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Index("signals_customer_id_idx", "customer_id"),
    comment="Events somebody waits for, until they are taken: deleted by whoever acts on them",
)

listened_events = sa.Table(
    "listened_events",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    comment="The names of events that leave a signal",
)

inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("received_at", Time, nullable=False),
    sa.Column("events", sa.Integer, nullable=False, comment="how many it holds, refused ones among them"),
    sa.Column("parcels", sa.LargeBinary, nullable=False, comment="JSON: what each request brought"),
    comment="Answered for and durable, not yet taken into the tables above; one row for all who sent at a moment",
)

changes = sa.Table(
    "changes",
    metadata,
    sa.Column("customer_id", sa.BigInteger, info={"references": "customers.id"}, comment="empty: anybody may have"),
    sa.Column("what", sa.Text, nullable=False, comment="an event's name, else one of shop/changes.py"),
    comment="Customers of whom something new is known, until segments were brought up to date; said more than once",
)

event_counts = sa.Table(
    "event_counts",
    metadata,
    sa.Column("minute", Time, primary_key=True),
    sa.Column("source_id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("accepted", sa.Integer, nullable=False, server_default="0"),
    sa.Column("repeated", sa.Integer, nullable=False, server_default="0"),
    sa.Column("refused", sa.Integer, nullable=False, server_default="0"),
    comment="Kept while events come in, so that no page ever counts them",
)

refused_events = sa.Table(
    "refused_events",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("source_id", sa.Integer, nullable=False),
    sa.Column("received_at", Time, nullable=False),
    sa.Column("reason", sa.Text, nullable=False, comment="a stable word"),
    sa.Column("faults", Json, nullable=False, comment="pointer and detail of each fault"),
    sa.Column("payload", sa.Text, nullable=False, comment="as sent, cut at 4,000 characters"),
    sa.Index("refused_events_received_at_idx", "received_at"),
)

carts = sa.Table(
    "carts",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("cart_id", sa.Text, nullable=False, unique=True, comment="the shop's id, else one made here"),
    _customer(),
    _origin(),
    sa.Column("state", sa.Text, nullable=False, comment="open ordered emptied"),
    sa.Column("lines", Json, nullable=False, comment="[{product_id, quantity, price, title, url, image_url}]"),
    sa.Column("value", sa.BigInteger, nullable=False, comment="minor units"),
    sa.Column("currency", sa.Text),
    sa.Column("channel", sa.Text, nullable=False, comment="where it was last touched"),
    sa.Column("coupon", sa.Text),
    sa.Column("url", sa.Text, comment="the page where the shop shows this cart"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("touched_at", Time, nullable=False, comment="when the customer last did something with it"),
    sa.Column("order_id", sa.Text),
    sa.Column("closed_at", Time),
    sa.Index("carts_customer_id_idx", "customer_id", "touched_at"),
    sa.Index("carts_open_idx", "touched_at", postgresql_where=sa.text("state = 'open'")),
)

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("order_id", sa.Text, primary_key=True),
    _customer(),
    _origin(),
    sa.Column("ordered_at", Time, nullable=False),
    sa.Column("received_at", Time, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="completed cancelled refunded"),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("store_id", sa.Text),
    sa.Column("total", sa.BigInteger, nullable=False, comment="minor units, what was paid"),
    sa.Column("discount", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("refunded", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("currency", sa.Text),
    sa.Column("coupon", sa.Text),
    sa.Column("cart_id", sa.Text),
    sa.Index("orders_customer_id_idx", "customer_id", "ordered_at"),
    sa.Index("orders_received_at_idx", "received_at"),
    sa.Index("orders_ordered_at_idx", "ordered_at"),
    sa.Index("orders_undone_idx", "customer_id", postgresql_where=sa.text("state <> 'completed'")),
)

order_lines = sa.Table(
    "order_lines",
    metadata,
    sa.Column("order_id", sa.Text, sa.ForeignKey("orders.order_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("line", sa.Integer, primary_key=True),
    sa.Column("customer_id", sa.BigInteger, nullable=False, comment="the order's, kept here for reading in one step"),
    sa.Column("ordered_at", Time, nullable=False),
    sa.Column("product_id", sa.Text, nullable=False),
    sa.Column("quantity", sa.Integer, nullable=False),
    sa.Column("price", sa.BigInteger, comment="minor units, of one piece"),
    sa.Index("order_lines_customer_id_idx", "customer_id", "ordered_at"),
)
