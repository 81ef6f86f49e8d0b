"""`/v1/customers`: one customer's record, timeline and consents; access to it all, and erasure."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import pydantic
import sqlalchemy as sa
from flask import Blueprint

from app import security
from app.api import endpoint
from app.api.carts import CartReply, cart_reply
from app.api.endpoint import Amount, Body, Page, Reply, Word, operation
from campaigns import segments, timeline
from foundation import database
from foundation.errors import Fault, Invalid, NotFound
from recommender.predictions import expected
from shop import carts, consent, customers, money, privacy, profiles, tables

bp = Blueprint("api_customers", __name__, url_prefix="/v1")
bp.before_request(security.require_key(security.Kind.SECRET))


class IdentityReply(Reply):
    """One handle of this customer."""

    kind: str
    value: str
    first_seen_at: datetime
    quarantined: bool


class ConsentReply(Reply):
    """What stands now for one channel and purpose."""

    channel: str
    purpose: str
    state: str


class LifecycleReply(Reply):
    """Since when, how lately, how much."""

    first_seen_at: datetime
    last_seen_at: datetime
    first_order_at: datetime | None
    last_order_at: datetime | None
    events: int
    product_views: int
    cart_adds: int


class OrdersReply(Reply):
    """What was bought, net of refunds."""

    count: int
    spent: Amount
    currency: str


class PredictionsReply(Reply):
    """What is expected of a customer. `order_probability_30d` and `churn_risk` (no order in twelve months) are 0 to 1;
    `next_order_at` is as likely too early as too late, null if more than a year away; hours and weekdays (1 is
    Monday) are on her own clock; favourites are null before the third order."""

    as_of: datetime
    next_order_at: datetime | None
    order_probability_30d: float
    churn_risk: float
    expected_value_12m: Amount
    currency: str
    favourite_category: str | None
    favourite_channel: str | None
    favourite_hour: int | None
    favourite_weekday: int | None


class SegmentReply(Reply):
    """A segment she is in, and since when."""

    name: str
    title: str
    since: datetime


class CustomerReply(Reply):
    """The whole record. `predictions` is null for who has not ordered yet or refuses personalization."""

    id: str | None
    email: str | None
    phone: str | None
    first_name: str | None
    last_name: str | None
    locale: str | None
    timezone: str | None
    birth_year: int | None
    traits: dict[str, Any]
    identities: list[IdentityReply]
    consents: list[ConsentReply]
    lifecycle: LifecycleReply | None
    orders: OrdersReply
    carts: list[CartReply]
    segments: list[SegmentReply]
    predictions: PredictionsReply | None
    created_at: datetime
    updated_at: datetime


class EntryReply(Reply):
    """One thing that happened; `facts` differ by kind."""

    at: datetime
    kind: str
    facts: dict[str, Any]


class TimelineReply(Reply):
    """A page, and the cursor of the next; null on the last."""

    entries: list[EntryReply]
    cursor: str | None


class Consent(Body):
    """A yes or a no, where it was said, and the words that were seen."""

    channel: Literal[consent.CHANNELS]  # type: ignore[valid-type]
    purpose: Literal[consent.PURPOSES]  # type: ignore[valid-type]
    state: Literal["granted", "denied"]
    source: Word
    text: Annotated[str, pydantic.Field(max_length=10_000), pydantic.AfterValidator(endpoint.no_nul)] | None = None
    form: Word | None = None


@bp.get("/customers/<customer>")
@operation("The whole record of a customer.", tag="customers")
def get_customer(conn: sa.Connection, customer: str) -> CustomerReply:
    """By the shop's own id."""
    customer_id = _find(conn, customer)
    found = customers.record(conn, customer_id)
    person, profile = found.customer, _profile(conn, customer_id)
    return CustomerReply(
        id=person.user_id,
        **{name: getattr(person, name) for name in _PERSONAL},
        identities=[
            IdentityReply(
                kind=one.kind,
                value=one.value,
                first_seen_at=one.first_seen_at,
                quarantined=one.quarantined_at is not None,
            )
            for one in found.identities
        ],
        consents=_consents(conn, customer_id),
        lifecycle=LifecycleReply.model_validate(profile, from_attributes=True) if profile else None,
        orders=OrdersReply(
            count=profile.orders if profile else 0,
            spent=money.decimal(profile.spent if profile else 0, None),
            currency=money.DEFAULT_CURRENCY,
        ),
        carts=[cart_reply(cart, person.user_id) for cart in carts.of_customer(conn, customer_id)],
        segments=[
            SegmentReply.model_validate(one, from_attributes=True) for one in segments.of_customer(conn, customer_id)
        ],
        predictions=_predictions(conn, customer_id),
    )


_PERSONAL = (
    "email",
    "phone",
    "first_name",
    "last_name",
    "locale",
    "timezone",
    "birth_year",
    "traits",
    "created_at",
    "updated_at",
)


def _find(conn: sa.Connection, user_id: str) -> int:
    found = customers.find(conn, user_id=user_id)
    if found is None:
        raise NotFound("No customer has this id.")
    return found


def _predictions(conn: sa.Connection, customer_id: int) -> PredictionsReply | None:
    found = expected.of_customers(conn, [customer_id]).get(customer_id)
    if found is None:
        return None
    facts = dataclasses.asdict(found)
    del facts["customer_id"]
    amount, currency = money.decimal(found.expected_value_12m, found.currency), found.currency or money.DEFAULT_CURRENCY
    return PredictionsReply(**facts | {"expected_value_12m": amount, "currency": currency})


def _profile(conn: sa.Connection, customer_id: int) -> profiles.Profile | None:
    held = sa.select(tables.profiles).where(tables.profiles.c.customer_id == customer_id)
    return next(iter(database.read(conn, held, profiles.Profile)), None)


def _consents(conn: sa.Connection, customer_id: int) -> list[ConsentReply]:
    return [
        ConsentReply(channel=channel, purpose=purpose, state=state)
        for (channel, purpose), state in sorted(consent.standing(conn, customer_id).items())
    ]


@bp.get("/customers/<customer>/timeline")
@operation(
    "Everything that happened: events, messages and campaigns that said nothing, each with why, codes, consents, "
    "merges; newest first.",
    tag="customers",
)
def get_timeline(conn: sa.Connection, customer: str, *, query: Page) -> TimelineReply:
    """By pages."""
    entries = timeline.page(conn, _find(conn, customer), before=_before(query.cursor), limit=query.limit)
    last = entries[-1] if len(entries) == query.limit else None
    return TimelineReply(
        entries=[EntryReply(at=entry.at, kind=entry.kind, facts=_facts(entry.facts)) for entry in entries],
        cursor=endpoint.cursor(*last.place) if last else None,
    )


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of it, amounts as decimal numbers."""
    known = {name: value for name, value in facts.items() if value is not None and name not in ("at", "id")}
    for name in known.keys() & {"total", "discount"}:
        known[name] = float(money.decimal(known[name], known.get("currency")))
    return known


def _before(cursor: str | None) -> timeline.Position | None:
    position = endpoint.position(cursor, 3)
    if position is None:
        return None
    at, kind, ref = (str(part) for part in position)
    try:
        return datetime.fromisoformat(at).astimezone(), kind.replace("\0", ""), ref.replace("\0", "")
    except (ValueError, OverflowError):
        raise Invalid(Fault("/cursor", "is not a cursor given by this list")) from None


@bp.put("/customers/<customer>/consents")
@operation("Adds a yes or a no; what was said before is kept.", tag="customers")
def put_consent(conn: sa.Connection, customer: str, *, body: Consent, now: datetime) -> list[ConsentReply]:
    """Answers what stands now."""
    customer_id = _find(conn, customer)
    consent.record(
        conn,
        customer_id=customer_id,
        channel=body.channel,
        purpose=body.purpose,
        state=body.state,
        at=now,
        source=body.source,
        text=body.text,
        form=body.form,
        proof={"key": security.current_key().source.name},
        now=now,
    )
    return _consents(conn, customer_id)


@bp.delete("/customers/<customer>")
@operation("Erases a customer and everything held on them; their address stays blocked, as a hash.", tag="customers")
def delete_customer(conn: sa.Connection, customer: str, *, now: datetime) -> None:
    """There is no way back."""
    privacy.erase(conn, _find(conn, customer), now=now)


@bp.get("/customers/<customer>/export")
@operation("Everything held on a customer, table by table.", tag="customers")
def export_customer(conn: sa.Connection, customer: str) -> dict[str, Any]:
    """For the customer's right of access."""
    return privacy.export(conn, _find(conn, customer))
