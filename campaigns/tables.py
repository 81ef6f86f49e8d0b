"""The campaigns' tables: plans, customers on their way, the message ledger, promo codes, and what was earned."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation.database import Json, Time, metadata


def _customer(*, primary_key: bool = False) -> "sa.Column[int]":
    return sa.Column(
        "customer_id",
        sa.BigInteger,
        sa.ForeignKey("customers.id", ondelete="CASCADE"),
        nullable=False,
        primary_key=primary_key,
    )


policy = sa.Table(
    "policy",
    metadata,
    sa.Column("one_row", sa.Boolean, primary_key=True, server_default=sa.text("true")),
    sa.Column("values", Json, nullable=False, comment="caps, quiet hours, sender, attribution window"),
    sa.Column("updated_at", Time, nullable=False),
    sa.Column("holdout_since", Time, comment="when the share left alone by all campaigns last changed"),
    sa.Column("silence_since", Time, comment="when the rule on silence, or the measuring of opens, last changed"),
    sa.CheckConstraint("one_row", name="one_row"),
    comment="What the merchant decided; one row",
)

# -------------------------------------------------------------------------------------------------- plans
offers = sa.Table(
    "offers",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("terms", Json, nullable=False, comment="see campaigns/definitions/offers.py"),
    sa.Column("currency", sa.Text, sa.Computed("terms ->> 'currency'", persisted=True)),
    sa.Column("revision", sa.Integer, nullable=False, server_default="1", comment="of the terms"),
    sa.Column("spent", sa.BigInteger, nullable=False, server_default="0", comment="kept while there is a budget"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
)

campaigns = sa.Table(
    "campaigns",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True, comment="a short word for files and commands"),
    sa.Column("state", sa.Text, nullable=False, comment="draft sending paused cancelled done"),
    sa.Column("version", sa.Integer, nullable=False, server_default="1", comment="the one newcomers follow"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
    sa.Column("launched_at", Time),
    sa.Column("pause_reason", sa.Text, comment="why it was paused by itself: bounces complaints failures canary"),
    sa.Column("pause_detail", Json, comment="the figures behind it"),
    sa.Column("canary_left", sa.Integer, comment="messages the canary may still begin; empty when there is none"),
    sa.Column("canary_since", Time, comment="when the last of its canary was handed over"),
)

campaign_versions = sa.Table(
    "campaign_versions",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("definition", Json, nullable=False, comment="see campaigns/definitions/"),
    sa.Column("created_at", Time, nullable=False),
    comment="What a campaign says, and said: whoever is under way goes on as it was when she entered",
)

campaign_runs = sa.Table(
    "campaign_runs",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("slot", sa.Text, primary_key=True, comment="the day and the time zone: each once"),
    sa.Column("due_at", Time, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="done, or missed when nobody was there in time"),
    sa.Column("enrolled", sa.Integer, nullable=False, server_default="0"),
    sa.Column("ran_at", Time, nullable=False),
    comment="The moments a timed campaign took in its audience",
)

enrolments = sa.Table(
    "enrolments",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    _customer(),
    sa.Column("entry_key", sa.Text, nullable=False, comment="the cart, the day: what makes two entries differ"),
    sa.Column("arm", sa.Text, nullable=False, comment="treated; holdout of the campaign; everywhere"),
    sa.Column("state", sa.Text, nullable=False, comment="waiting left"),
    sa.Column("step", sa.Text, nullable=False, comment="the id of the next step; empty when all are behind her"),
    sa.Column("step_since", Time, nullable=False, comment="waits count from here"),
    sa.Column("happened_at", Time, nullable=False, comment="when what she entered for happened; goals count from here"),
    sa.Column("entered_at", Time, nullable=False),
    sa.Column("wake_at", Time),
    sa.Column("left_at", Time),
    sa.Column("reason", sa.Text, comment="why it left: converted, ended, cancelled …"),
    sa.Column("cart_ref", sa.BigInteger, sa.ForeignKey("carts.id", ondelete="CASCADE"), comment="the cart it is about"),
    sa.Column("context", Json, nullable=False, server_default="{}", comment="the event's properties, the product"),
    sa.Column("choices", Json, nullable=False, server_default="{}", comment="variants drawn, by experiment"),
    sa.Column(
        "said", sa.Integer, nullable=False, server_default="0", comment="messages it brought about; the audit adds up"
    ),
    sa.UniqueConstraint("campaign_id", "customer_id", "entry_key"),
    sa.Index("enrolments_entry_key_idx", "campaign_id", "entry_key"),
    sa.Index("enrolments_due_idx", "campaign_id", "version", "wake_at", postgresql_where=sa.text("state = 'waiting'")),
    sa.Index("enrolments_customer_id_idx", "customer_id"),
)

arrivals = sa.Table(
    "arrivals",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    _customer(primary_key=True),
    sa.Column("entry_key", sa.Text, primary_key=True),
    sa.Column("times", sa.Integer, nullable=False, comment="how often it happened"),
    sa.Column("happened_at", Time, nullable=False, comment="the last time"),
    sa.Column("due_at", Time, nullable=False, comment="she enters then, unless it happens again"),
    sa.Index("arrivals_due_idx", "due_at"),
    sa.Index("arrivals_customer_id_idx", "customer_id"),
    comment="Customers who will enter if they stay quiet",
)

product_watch = sa.Table(
    "product_watch",
    metadata,
    sa.Column("product_id", sa.Text, primary_key=True),
    sa.Column("price", sa.BigInteger),
    sa.Column("currency", sa.Text),
    sa.Column("available", sa.Boolean, nullable=False),
    sa.Column("since", Time, nullable=False, comment="when it became available, or ceased to be"),
    comment="The shelf as it was last looked at",
)

product_prices = sa.Table(
    "product_prices",
    metadata,
    sa.Column("product_id", sa.Text, primary_key=True),
    sa.Column("at", Time, primary_key=True),
    sa.Column("price", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text),
    comment="Every price a product had, from when: the law asks for the lowest of 30 days",
)

webhook_calls = sa.Table(
    "webhook_calls",
    metadata,
    sa.Column("id", postgresql.UUID, primary_key=True, comment="the Idempotency-Key"),
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("enrolment_id", sa.BigInteger, sa.ForeignKey("enrolments.id", ondelete="CASCADE"), nullable=False),
    _customer(),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("body", Json, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="pending calling delivered refused dead cancelled"),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("replayed", sa.Integer, nullable=False, server_default="0", comment="attempts before the last replay"),
    sa.Column("not_before", Time, nullable=False),
    sa.Column("lease_until", Time),
    sa.Column("status", sa.Integer, comment="of the last answer"),
    sa.Column("detail", sa.Text),
    sa.Column("queued_at", Time, nullable=False),
    sa.Column("resolved_at", Time),
    sa.UniqueConstraint("enrolment_id", "step"),
    sa.Index("webhook_calls_due_idx", "not_before", postgresql_where=sa.text("state IN ('pending', 'calling')")),
    sa.Index("webhook_calls_customer_id_idx", "customer_id"),
    sa.Index("webhook_calls_campaign_id_idx", "campaign_id", "state"),
    sa.Index("webhook_calls_queued_at_idx", "queued_at", "id"),
    sa.Index("webhook_calls_dead_idx", "queued_at", "id", postgresql_where=sa.text("state = 'dead'")),
)

webhook_attempts = sa.Table(
    "webhook_attempts",
    metadata,
    sa.Column("call_id", postgresql.UUID, sa.ForeignKey("webhook_calls.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("at", Time, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("status", sa.Integer, comment="empty: no answer"),
    sa.Column("detail", sa.Text, nullable=False),
    comment="Each time another program was called, and what it said",
)

# ------------------------------------------------------------------------------------------------- ledger
messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", postgresql.UUID, primary_key=True, comment="opaque; travels to the provider and back"),
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("version", sa.Integer, nullable=False, comment="of the campaign: its words"),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("purpose", sa.Text, nullable=False, server_default="marketing", comment="or transactional"),
    sa.Column("priority", sa.Integer, nullable=False, server_default="50", comment="the higher goes first"),
    _customer(),
    sa.Column("entry_key", sa.Text, nullable=False),
    sa.Column("enrolment_id", sa.BigInteger, sa.ForeignKey("enrolments.id", ondelete="CASCADE")),
    sa.Column("cart_ref", sa.BigInteger, sa.ForeignKey("carts.id", ondelete="CASCADE"), comment="the cart it is about"),
    sa.Column("address_hash", sa.LargeBinary, comment="of the normalised address, keyed, known once it is rendered"),
    sa.Column("state", sa.Text, nullable=False, comment="see campaigns/states.py"),
    sa.Column("reason", sa.Text, comment="a stable word: why it was skipped, failed, held"),
    sa.Column("detail", sa.Text, comment="the provider's or the template's own words"),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("refusals", sa.Integer, nullable=False, server_default="0", comment="retryable refusals that count"),
    sa.Column(
        "resends", sa.Integer, nullable=False, server_default="0", comment="times it left doubt to be sent again"
    ),
    sa.Column("lease_token", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("lease_owner", sa.Text),
    sa.Column("lease_until", Time),
    sa.Column("queued_at", Time, nullable=False),
    sa.Column("not_before", Time, nullable=False),
    sa.Column("expires_at", Time, nullable=False),
    sa.Column("submitted_at", Time),
    sa.Column("accepted_at", Time),
    sa.Column("resolved_at", Time),
    sa.Column("resolved_by", sa.Text, comment="reply webhook log_pull operator deadline"),
    sa.Column("provider", sa.Text),
    sa.Column("provider_ref", sa.Text),
    sa.Column("payload_hash", sa.LargeBinary),
    sa.Column("first_clicked_at", Time),
    sa.Column("last_clicked_at", Time),
    sa.Column("opened_at", Time),
    sa.Column("settled_at", Time, comment="when its promo code and its event followed from where it ended"),
    sa.UniqueConstraint("campaign_id", "step", "channel", "customer_id", "entry_key"),
    # Two profiles, one mailbox: the same step of the same entry never goes twice to one address.
    sa.UniqueConstraint("campaign_id", "step", "channel", "address_hash", "entry_key"),
    sa.Index("messages_due_idx", "campaign_id", "channel", "not_before", postgresql_where=sa.text("state = 'pending'")),
    sa.Index("messages_held_idx", "campaign_id", "reason", postgresql_where=sa.text("state = 'held'")),
    sa.Index("messages_leased_idx", "lease_until", postgresql_where=sa.text("state IN ('claimed', 'submitting')")),
    sa.Index("messages_uncertain_idx", "submitted_at", postgresql_where=sa.text("state = 'uncertain'")),
    sa.Index(
        "messages_unsettled_idx",
        "resolved_at",
        postgresql_where=sa.text("settled_at IS NULL AND resolved_at IS NOT NULL"),
    ),
    sa.Index(
        "messages_submitted_at_idx", "campaign_id", "submitted_at", postgresql_where=sa.text("submitted_at IS NOT NULL")
    ),
    sa.Index(
        "messages_wrong_idx",
        "campaign_id",
        postgresql_where=sa.text("state IN ('bounced', 'complained', 'dropped', 'failed')"),
    ),
    sa.Index("messages_customer_id_idx", "customer_id", "queued_at"),
    sa.Index("messages_queued_at_idx", "queued_at"),
    sa.Index("messages_accepted_at_idx", "accepted_at", postgresql_where=sa.text("accepted_at IS NOT NULL")),
    sa.Index("messages_clicked_idx", "last_clicked_at", postgresql_where=sa.text("last_clicked_at IS NOT NULL")),
    comment="One thing for one customer by one channel",
)

message_contents = sa.Table(
    "message_contents",
    metadata,
    sa.Column("message_id", postgresql.UUID, sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("address", sa.Text, nullable=False),
    sa.Column("sender", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("html", sa.Text, comment="of what is kept as a whole"),
    sa.Column("text", sa.Text),
    sa.Column("form", sa.LargeBinary, comment="else the digest of what all its like say"),
    sa.Column("own", sa.LargeBinary, comment="and what this one alone says, which stands in the form"),
    sa.Column("headers", Json, nullable=False),
    sa.Column("links", Json, nullable=False, comment="addresses by number, looked up when a link is clicked"),
    sa.Column("promo_code", sa.Text),
    sa.Column("slate_id", postgresql.UUID),
    sa.Column("rendered_at", Time, nullable=False),
    sa.Index("message_contents_promo_code_idx", "promo_code", postgresql_where=sa.text("promo_code IS NOT NULL")),
    sa.CheckConstraint("html IS NOT NULL AND text IS NOT NULL OR form IS NOT NULL AND own IS NOT NULL", name="whole"),
    comment="What exactly is sent; frozen before the first attempt, the same for every later one",
)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("message_id", postgresql.UUID, sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("n", sa.Integer, primary_key=True),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("ended_at", Time),
    sa.Column("outcome", sa.Text, comment="see campaigns/channels/base.py"),
    sa.Column("detail", sa.Text),
    sa.Column("code", sa.Integer, comment="the provider's answer as a number, of HTTP or of SMTP"),
    sa.Column("request_id", sa.Text, comment="what the provider calls this attempt"),
)

provider_events = sa.Table(
    "provider_events",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("message_id", postgresql.UUID, info={"references": "messages.id"}),
    sa.Column("attempt", sa.Integer),
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("at", Time, nullable=False),
    sa.Column("received_at", Time, nullable=False),
    sa.Column("ref", sa.Text, comment="the provider's own name of the message"),
    sa.Column("raw", Json, nullable=False),
    sa.Index("provider_events_message_id_idx", "message_id"),
    sa.Index("provider_events_ref_idx", "ref", postgresql_where=sa.text("ref IS NOT NULL")),
)

provider_gates = sa.Table(
    "provider_gates",
    metadata,
    sa.Column("provider", sa.Text, primary_key=True),
    sa.Column("breaker", sa.Text, nullable=False, comment="closed open half"),
    sa.Column("reason", sa.Text),
    sa.Column("opened_at", Time),
    sa.Column("blocked_until", Time),
    sa.Column("ambiguous_in_a_row", sa.Integer, nullable=False, server_default="0"),
    sa.Column("openings_in_a_row", sa.Integer, nullable=False, server_default="0"),
    sa.Column("heard_until", Time, comment="the youngest hand-over it has reported on: it tells of what it takes"),
    comment="Whether a provider may be spoken to right now",
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("message_id", postgresql.UUID, sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("received_at", Time, nullable=False),
    sa.Column("opened_at", Time, comment="when someone first looked at it in the console's mailbox"),
    comment="What the outbox channel would have sent; shown as a mailbox",
)

survey_answers = sa.Table(
    "survey_answers",
    metadata,
    sa.Column("message_id", postgresql.UUID, sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True),
    _customer(),
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False, comment="nps satisfaction stars"),
    sa.Column("score", sa.Integer, nullable=False),
    sa.Column("comment", sa.Text),
    sa.Column("answered_at", Time, nullable=False),
    sa.Column("alert", sa.Boolean, nullable=False, comment="the score is as low as what the campaign worries about"),
    sa.Column("seen_at", Time, comment="when somebody dealt with the alert"),
    sa.Column("seen_by", sa.Text),
    sa.Index("survey_answers_alert_idx", "answered_at", postgresql_where=sa.text("alert AND seen_at IS NULL")),
    sa.Index("survey_answers_campaign_id_idx", "campaign_id", "step"),
    sa.Index("survey_answers_customer_id_idx", "customer_id"),
)

# -------------------------------------------------------------------------------- promo codes and earnings
IN_HANDS = "state IN ('reserved', 'issued', 'redeemed', 'expired')"
"""Codes somebody was given."""

promo_codes = sa.Table(
    "promo_codes",
    metadata,
    sa.Column("code", sa.Text, primary_key=True, comment="letters and digits only, without the dashes"),
    sa.Column("offer_id", sa.BigInteger, sa.ForeignKey("offers.id"), nullable=False),
    sa.Column("shown", sa.Text, nullable=False, comment="how people read it"),
    sa.Column("origin", sa.Text, nullable=False, server_default="made", comment="made imported shared"),
    sa.Column(
        "customer_id",
        sa.BigInteger,
        sa.ForeignKey("customers.id", ondelete="CASCADE"),
        comment="whose it is; empty for one in the pool, and for a shared one",
    ),
    sa.Column("state", sa.Text, nullable=False, comment="free reserved issued redeemed released expired shared"),
    sa.Column("message_id", postgresql.UUID, comment="the last that reserved it"),
    sa.Column("reserved_at", Time),
    sa.Column("issued_at", Time),
    sa.Column("expires_at", Time),
    sa.Column("redeemed_at", Time),
    sa.Column("not_after", Time, comment="of the pool: the shop takes it no longer than that"),
    sa.Column("releases", sa.Integer, nullable=False, server_default="0", comment="how often it went back unseen"),
    sa.Column("moved_at", Time, nullable=False, server_default=sa.func.now(), comment="when its state last changed"),
    sa.Index(
        "promo_codes_held_key",
        "offer_id",
        "customer_id",
        unique=True,
        postgresql_where=sa.text("state IN ('reserved', 'issued')"),
    ),
    sa.Index("promo_codes_free_idx", "offer_id", "code", postgresql_where=sa.text("state = 'free'")),
    sa.Index("promo_codes_message_id_idx", "message_id", postgresql_where=sa.text("state = 'reserved'")),
    sa.Index("promo_codes_offer_id_idx", "offer_id", "moved_at"),
    sa.Index("promo_codes_latest_idx", "offer_id", "moved_at", postgresql_where=sa.text(IN_HANDS)),
    sa.Index("promo_codes_customer_id_idx", "customer_id"),
    sa.Index("promo_codes_expires_at_idx", "expires_at"),
    sa.Index("promo_codes_issued_at_idx", "issued_at"),
    sa.Index("promo_codes_redeemed_at_idx", "redeemed_at", postgresql_where=sa.text("redeemed_at IS NOT NULL")),
)

attributions = sa.Table(
    "attributions",
    metadata,
    sa.Column("order_id", sa.Text, sa.ForeignKey("orders.order_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("message_id", postgresql.UUID, sa.ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("kind", sa.Text, nullable=False, server_default="click", comment="click code: what led to the order"),
    sa.Column("touched_at", Time, nullable=False),
    sa.Column("ordered_at", Time, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("currency", sa.Text),
    sa.Column("decided_at", Time, comment="when the credit came to stand as it does"),
    sa.Index("attributions_campaign_id_idx", "campaign_id", "ordered_at"),
    sa.Index("attributions_message_id_idx", "message_id"),
)

# ----------------------------------------------------------------------------------------------- segments
segments = sa.Table(
    "segments",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True, comment="a short word for files and other rules"),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("rule", Json, comment="see campaigns/definitions/conditions.py; empty for a list of names"),
    sa.Column("size", sa.BigInteger, comment="members; empty until it was filled once"),
    sa.Column("checked_at", Time, comment="until when the passing of time was seen to"),
    sa.Column("announced", sa.Boolean, nullable=False, server_default=sa.text("false"), comment="a campaign listens"),
    sa.Column("fault", sa.Text, comment="why it could not be brought up to date"),
    sa.Column("drift", Json, comment="what the last full check found: at, missing, surplus"),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("updated_at", Time, nullable=False),
)

segment_members = sa.Table(
    "segment_members",
    metadata,
    sa.Column("segment_id", sa.BigInteger, sa.ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("since", Time, nullable=False),
    sa.Index("segment_members_customer_id_idx", "customer_id"),
)

segment_moves = sa.Table(
    "segment_moves",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("segment_id", sa.BigInteger, sa.ForeignKey("segments.id", ondelete="CASCADE"), nullable=False),
    _customer(),
    sa.Column("entered", sa.Boolean, nullable=False, comment="else left"),
    sa.Column("at", Time, nullable=False),
    sa.Column("untold", sa.Boolean, nullable=False, comment="its event has still to be told"),
    sa.Column("crowd_id", sa.BigInteger, sa.ForeignKey("segment_crowds.id", ondelete="SET NULL"), comment="held in"),
    sa.Index("segment_moves_customer_id_idx", "customer_id", "segment_id"),
    sa.Index("segment_moves_segment_id_idx", "segment_id", "entered", "at"),
    sa.Index("segment_moves_crowd_id_idx", "crowd_id", postgresql_where=sa.text("crowd_id IS NOT NULL")),
    sa.Index("segment_moves_untold_idx", "id", postgresql_where=sa.text("untold")),
    sa.Index("segment_moves_at_idx", "at", postgresql_using="brin"),
    comment="Who entered and left which segment; those of its first filling are not kept",
)

segment_crowds = sa.Table(
    "segment_crowds",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("segment_id", sa.BigInteger, sa.ForeignKey("segments.id", ondelete="CASCADE"), nullable=False),
    sa.Column("at", Time, nullable=False, comment="of the first of them"),
    sa.Column("entered", sa.Boolean, nullable=False, comment="else left"),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="held told left"),
    sa.Column("decided_at", Time),
    sa.UniqueConstraint("segment_id", "at", "entered"),
    sa.Index("segment_crowds_held_idx", "id", postgresql_where=sa.text("state = 'held'")),
    comment="Very many who moved at once: campaigns are told once somebody said so",
)

segment_sizes = sa.Table(
    "segment_sizes",
    metadata,
    sa.Column("segment_id", sa.BigInteger, sa.ForeignKey("segments.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False, comment="the last of that day"),
)

fifths = sa.Table(
    "fifths",
    metadata,
    sa.Column("measure", sa.Text, primary_key=True, comment="recency frequency value"),
    sa.Column("bounds", postgresql.ARRAY(sa.Double), nullable=False, comment="the highest of each fifth but the last"),
    sa.Column("found_at", Time, nullable=False),
    comment="Where the fifths of customers who ordered begin and end; found anew every night",
)

# ----------------------------------------------------------------------------- campaigns while they are written
campaign_drafts = sa.Table(
    "campaign_drafts",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("based_on", sa.Integer, nullable=False, comment="the version it began from"),
    sa.Column("revision", sa.Integer, nullable=False, comment="one more at every change, undoing included"),
    sa.Column("shown", sa.Integer, nullable=False, comment="the edit it stands at; those behind can be redone"),
    sa.Column("edited_at", Time, nullable=False),
    sa.Column("edited_by", sa.Text, nullable=False),
    comment="What a campaign will say, while somebody writes it",
)

campaign_edits = sa.Table(
    "campaign_edits",
    metadata,
    sa.Column(
        "campaign_id",
        sa.BigInteger,
        sa.ForeignKey("campaign_drafts.campaign_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("definition", Json, nullable=False, comment="as it was typed; it may have faults"),
    sa.Column("what", sa.Text, nullable=False, comment="began inserted moved copied removed changed settings"),
    sa.Column("step", sa.Text, nullable=False, comment="the id of the step; empty for the campaign itself"),
    sa.Column("edited_at", Time, nullable=False),
    sa.Column("edited_by", sa.Text, nullable=False),
    comment="Every state of a draft, so that it can be undone and redone",
)

campaign_passages = sa.Table(
    "campaign_passages",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("step", sa.Text, primary_key=True, comment="empty: behind the last step"),
    sa.Column("way", sa.Text, primary_key=True, comment="the number of the branch taken, or why they left before it"),
    sa.Column("people", sa.BigInteger, nullable=False),
    comment="How many went past each step, counted as they do; those left alone do not count",
)

campaign_figures = sa.Table(
    "campaign_figures",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("figures", Json, nullable=False, comment="see campaigns/figures.py"),
    sa.Column("at", Time, nullable=False),
    sa.Column("rest", sa.Interval, comment="until it is counted again, if that takes long"),
    comment="What lists and journeys show of a campaign, counted by a job and not by whoever looks",
)

insights = sa.Table(
    "insights",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("figures", Json, nullable=False, comment="see campaigns/insights"),
    sa.Column("at", Time, nullable=False),
    comment="What is told of the whole house, counted by a job and not by whoever looks",
)

campaign_dry_runs = sa.Table(
    "campaign_dry_runs",
    metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("customer_id", sa.BigInteger, sa.ForeignKey("customers.id", ondelete="CASCADE"), index=True),
    sa.Column("definition", Json, nullable=False, comment="what was tried"),
    sa.Column("days", sa.Integer, nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="asked running done failed"),
    sa.Column("done", sa.Integer, nullable=False, server_default="0", comment="of those who would have come in"),
    sa.Column("of", sa.Integer, nullable=False, server_default="0"),
    sa.Column("outcome", Json, comment="see campaigns/dry_runs.py"),
    sa.Column(
        "forecast", sa.Boolean, nullable=False, server_default=sa.text("false"), comment="of codes, for an offer's page"
    ),
    sa.Column("asked_by", sa.Text, nullable=False),
    sa.Column("asked_at", Time, nullable=False),
    sa.Column("begun_at", Time),
    sa.Column("finished_at", Time),
    sa.Index("campaign_dry_runs_campaign_id_idx", "campaign_id", "asked_at"),
    sa.Index(
        "campaign_dry_runs_forecast_idx",
        "campaign_id",
        unique=True,
        postgresql_where=sa.text("forecast AND state IN ('asked', 'running')"),
    ),
    sa.Index("campaign_dry_runs_due_idx", "asked_at", postgresql_where=sa.text("state IN ('asked', 'running')")),
    comment="Campaigns replayed on the last days, by a job",
)

campaign_approvals = sa.Table(
    "campaign_approvals",
    metadata,
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), primary_key=True),
    sa.Column("fingerprint", sa.Text, primary_key=True, comment="of the definition that was looked at"),
    sa.Column("asked_by", sa.Text, nullable=False),
    sa.Column("asked_at", Time, nullable=False),
    sa.Column("approved_by", sa.Text),
    sa.Column("approved_at", Time),
    comment="A second person's yes to a campaign that reaches many; a change of it asks again",
)

campaign_tests = sa.Table(
    "campaign_tests",
    metadata,
    sa.Column("id", postgresql.UUID, primary_key=True),
    sa.Column("campaign_id", sa.BigInteger, sa.ForeignKey("campaigns.id"), nullable=False),
    sa.Column("step", sa.Text, nullable=False),
    sa.Column("sent_to", sa.Text, nullable=False, comment="the console user's own address"),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("html", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False, comment="see campaigns/channels/base.py"),
    sa.Column("sent_at", Time, nullable=False),
    sa.Index("campaign_tests_campaign_id_idx", "campaign_id", "sent_at"),
    comment="Messages people of the console sent to themselves before launching",
)
