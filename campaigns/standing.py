"""Where each customer of a claimed batch stands: every fact that decides on a message or is written in it.

The number of queries does not grow with the batch.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email
from sqlalchemy.dialects import postgresql

from campaigns import eligibility, given, lately, ledger_tables, plans, reachable, rules, silence, tables, watching
from campaigns.content import Subject
from campaigns.definitions import content as words
from campaigns.definitions import shapes
from campaigns.definitions.entries import CartAbandoned, EventEntry
from campaigns.definitions.steps import Send
from campaigns.moves import Claimed
from campaigns.plans import Said
from campaigns.rules import Policy
from campaigns.states import Reason
from foundation import database
from shop import consent, orders
from shop.baskets import Cart, CartLine
from shop.events import Review
from shop.tables import carts, consents, customers
from shop.vocabulary import Name

messages = tables.messages


@dataclass(frozen=True, slots=True)
class Case:
    """One message with all that is known around it."""

    message: Claimed
    campaign: str
    said: Said
    customer_id: int
    first_name: str | None
    last_name: str | None
    locale: str | None
    cart: Cart | None
    subject: Subject | None
    consented_at: datetime | None
    count_opens: bool
    count_clicks: bool
    standing: eligibility.Standing
    bought_since: datetime | None

    @property
    def offer(self) -> str | None:
        """The offer its code is of, if it carries one."""
        return self.said.step.offer if isinstance(self.said.step, Send) else None

    @property
    def stores(self) -> frozenset[str]:
        """The stores it names."""
        return words.stores(self.said.step.words or {})

    @property
    def reviewed(self) -> bool:
        """Whether it shows what others say of its products."""
        return isinstance(self.said.step, Send) and self.said.step.reviews

    def among(self, reviews: Mapping[str, list[Review]]) -> list[Review]:
        """Those of its products, if it shows any."""
        return [review for product in self.about for review in reviews.get(product, ())] if self.reviewed else []

    @property
    def about(self) -> tuple[str, ...]:
        """The products it is about: those of the cart, else the one that brought her in."""
        if self.cart is not None:
            return tuple(line.product_id for line in self.cart.lines)
        return (self.subject.product_id,) if self.subject else ()


def load(conn: sa.Connection, batch: Sequence[Claimed], *, policy: Policy, now: datetime) -> list[Case]:
    """The cases of a batch, in its order. Messages whose customer was erased meanwhile are missing."""
    rows = {row["message_id"]: row for row in conn.execute(_around([message.id for message in batch])).mappings()}
    known = _known(conn, list(rows.values()), policy=policy, now=now)
    return [_case(message, rows[message.id], known, policy=policy) for message in batch if message.id in rows]


@dataclass(frozen=True, slots=True)
class _Known:
    """What is looked up for all customers of a batch together."""

    said: Mapping[tuple[int, int, str], Said]
    agreed: Mapping[tuple[str, str], Mapping[int, consent.State]]
    topic_left: Mapping[tuple[str, str], Collection[int]]
    opens: Mapping[int, consent.State]
    consented: Mapping[int, datetime]
    suppressed: Collection[UUID]
    bought: Collection[int]
    left: Collection[UUID]
    silent: Collection[int]
    received: Mapping[tuple[int, str], lately.Received]
    ahead: Mapping[UUID, lately.Ahead]
    addresses: Mapping[str, Mapping[int, str]]


def _known(conn: sa.Connection, rows: Sequence[sa.RowMapping], *, policy: Policy, now: datetime) -> _Known:
    ids = sorted({row["customer"] for row in rows})
    keys = {(row["campaign_id"], row["version"], row["step"]) for row in rows}
    said = plans.said(conn, keys)
    addresses = {channel: reachable.addresses(conn, ids, channel) for channel in {row["channel"] for row in rows}}
    ways = {(row["channel"], row["purpose"]) for row in rows}
    since = {row["customer"]: at for row in rows if (at := _bought_since(row, said)) is not None}
    return _Known(
        said=said,
        agreed={way: consent.states(conn, ids, channel=way[0], purpose=way[1]) for way in ways},
        topic_left={way: consent.left_topic(conn, ids, channel=way[0], purpose=way[1]) for way in ways},
        opens=consent.states(conn, ids, channel="email", purpose="analytics"),
        consented=_consented(conn, ids),
        suppressed=suppressed(conn, rows, addresses),
        bought=orders.bought_since(conn, since),
        left=_left(conn, rows, said),
        silent=silence.silent(conn, ids, rules=policy, now=now),
        received=lately.received(conn, ids, since=now - timedelta(days=policy.cap_days)),
        ahead=lately.ahead(conn, [row["message_id"] for row in rows], now=now),
        addresses=addresses,
    )


def _case(message: Claimed, row: sa.RowMapping, known: _Known, *, policy: Policy) -> Case:
    customer, said = row["customer"], known.said[message.campaign_id, message.version, message.step]
    return Case(
        message=message,
        campaign=row["name"],
        said=said,
        customer_id=customer,
        first_name=row["first_name"],
        last_name=row["last_name"],
        locale=row["locale"],
        cart=_cart(row),
        subject=_subject(row["context"] or {}),
        consented_at=known.consented.get(customer),
        count_opens=rules.counts_opens(policy, known.opens[customer]),
        count_clicks=rules.counts_clicks(policy, known.opens[customer]),
        standing=_standing(message, row, known, policy=policy),
        bought_since=_bought_since(row, known.said),
    )


def _standing(message: Claimed, row: sa.RowMapping, known: _Known, *, policy: Policy) -> eligibility.Standing:
    customer, entry = row["customer"], known.said[message.campaign_id, message.version, message.step].campaign.entry
    everywhere = known.received.get((customer, ""), lately.Received())
    here = known.received.get((customer, message.channel), lately.Received())
    address = known.addresses[message.channel].get(customer)
    ahead, lasts = known.ahead.get(message.id, lately.Ahead()), timedelta(days=policy.cap_days)
    return eligibility.Standing(
        expires_at=message.expires_at,
        address=address,
        address_ok=_sound(message.channel, address),
        consent=known.agreed[message.channel, message.purpose][customer],
        suppressed=message.id in known.suppressed,
        bought=customer in known.bought,
        cart_state=row["cart_state"],
        cart_touched_at=row["touched_at"],
        quiet_for=shapes.length(entry.delay) if isinstance(entry, CartAbandoned) else timedelta(0),
        received_lately=everywhere.number,
        cap_frees_at=everywhere.first + lasts if everywhere.first else None,
        timezone=row["timezone"],
        channel=message.channel,
        purpose=message.purpose,
        left=message.id in known.left,
        in_channel=here.number,
        channel_frees_at=here.first + lasts if here.first else None,
        ahead=ahead.everywhere,
        ahead_in_channel=ahead.here,
        rival=ahead.rival or (message.detail if message.reason == Reason.OUTRANKED else None),
        yielded=message.reason == Reason.OUTRANKED,
        silent=customer in known.silent and rules.counts_opens(policy, known.opens[customer]),
        left_topic=customer in known.topic_left[message.channel, message.purpose],
    )


def _bought_since(row: sa.RowMapping, said: Mapping[tuple[int, int, str], Said]) -> datetime | None:
    """The moment from which any order makes this message pointless: of a cart, since it was touched; of a journey
    that is to bring an order, since what it began with. Not of one that an order began."""
    if row["touched_at"] is not None:
        touched: datetime = row["touched_at"]
        return touched - timedelta(microseconds=1)
    campaign = said[row["campaign_id"], row["version"], row["step"]].campaign
    begun_by = campaign.entry.event if isinstance(campaign.entry, EventEntry) else ""
    watches = (*campaign.exit_on, *([campaign.goal] if campaign.goal else []))
    any_order = any(one.event == Name.ORDER_COMPLETED and not one.where and one.same == "none" for one in watches)
    happened: datetime | None = row["happened_at"]
    return happened if any_order and begun_by != Name.ORDER_COMPLETED else None


def _left(conn: sa.Connection, rows: Sequence[sa.RowMapping], said: Mapping[tuple[int, int, str], Said]) -> set[UUID]:
    """Those whose journey is over for a reason that also ends what it still wanted to say."""
    gone = {row["message_id"] for row in rows if _over(row)}
    by_campaign: dict[tuple[int, int], list[sa.RowMapping]] = {}
    for row in rows:
        if row["enrolment"] is not None:
            by_campaign.setdefault((row["campaign_id"], row["version"]), []).append(row)
    for inside in by_campaign.values():
        campaign = said[inside[0]["campaign_id"], inside[0]["version"], inside[0]["step"]].campaign
        asked = [{**row, "id": row["enrolment"], "person": row["customer"]} for row in inside]
        for watch in campaign.exit_on:
            happened = watching.happened(conn, watch, asked, since="happened_at")
            gone |= {row["message_id"] for row in inside if row["enrolment"] in happened}
    return gone


def _over(row: sa.RowMapping) -> bool:
    """She reached the goal, or her cart was emptied. An exit that is a step of its own ends nothing said before."""
    return row["left_reason"] in ("converted", "emptied")


def suppressed(
    conn: sa.Connection, rows: Sequence[Mapping[Any, Any]], addresses: Mapping[str, Mapping[int, str]]
) -> set[Any]:
    """Those whose address must not be used, by their `message_id`; an unsubscription is about marketing alone."""
    hashed = {
        row["message_id"]: (
            row["channel"],
            consent.address_hash(conn, row["channel"], reachable.named(row["channel"], address, row["customer"])),
        )
        for row in rows
        if (address := addresses[row["channel"]].get(row["customer"]))
    }
    if not hashed:
        return set()
    pairs = sorted(set(hashed.values()))
    asked = {"channels": [channel for channel, _ in pairs], "hashes": [digest for _, digest in pairs]}
    rows_of = database.driver(conn).execute(_SUPPRESSED, asked).fetchall()
    reasons = {(channel, bytes(digest)): reason for channel, digest, reason in rows_of}
    found = set()
    for row in rows:
        reason = reasons.get(hashed.get(row["message_id"], ("", b"")))
        if reason is not None and not (reason == "unsubscribed" and row["purpose"] == eligibility.TRANSACTIONAL):
            found.add(row["message_id"])
    return found


_SUPPRESSED = """
SELECT channel, address_hash, reason FROM suppressions
JOIN unnest(%(channels)b::text[], %(hashes)b::bytea[]) AS asked (channel, address_hash) USING (channel, address_hash)
"""


def told_before(conn: sa.Connection, batch: Sequence[Claimed]) -> set[UUID]:
    """Those the send journal knows to have left this step to this address, about what happened no later, before the
    database was restored."""
    known, enrolments = ledger_tables.sent_before, tables.enrolments
    if not batch:
        return set()
    query = (
        sa.select(messages.c.id)
        .join(
            known,
            (known.c.campaign_id == messages.c.campaign_id)
            & (known.c.step == messages.c.step)
            & (known.c.channel == messages.c.channel)
            & (known.c.address_hash == messages.c.address_hash),
        )
        .outerjoin(enrolments, enrolments.c.id == messages.c.enrolment_id)
        .where(
            messages.c.id == _any([message.id for message in batch]),
            sa.func.coalesce(enrolments.c.happened_at, messages.c.queued_at) <= known.c.at,
        )
    )
    return set(conn.scalars(query))


def _around(ids: Sequence[UUID]) -> sa.Select[Any]:
    held, person = customers.alias("held"), customers.alias("person")
    return (
        sa.select(
            messages.c.id.label("message_id"),
            messages.c.campaign_id,
            messages.c.version,
            messages.c.step,
            messages.c.channel,
            messages.c.purpose,
            tables.campaigns.c.name,
            tables.enrolments.c.context,
            tables.enrolments.c.happened_at,
            tables.enrolments.c.id.label("enrolment"),
            tables.enrolments.c.reason.label("left_reason"),
            person.c.id.label("customer"),
            person.c.first_name,
            person.c.last_name,
            person.c.locale,
            person.c.timezone,
            *(column.label("cart_state" if column.name == "state" else f"cart__{column.name}") for column in carts.c),
            carts.c.touched_at,
        )
        .join(tables.campaigns, tables.campaigns.c.id == messages.c.campaign_id)
        .join(held, held.c.id == messages.c.customer_id)
        .join(person, person.c.id == sa.func.coalesce(held.c.merged_into, held.c.id))
        .outerjoin(tables.enrolments, tables.enrolments.c.id == messages.c.enrolment_id)
        .outerjoin(carts, carts.c.id == messages.c.cart_ref)
        .where(messages.c.id == _any(ids))
    )


def _any(ids: Sequence[UUID]) -> "sa.ColumnElement[Any]":
    """One parameter, however many they are: a place for each would be compiled and planned anew for each batch."""
    return sa.any_(sa.bindparam(None, list(ids), postgresql.ARRAY(postgresql.UUID)))


def _subject(context: Mapping[str, Any]) -> Subject | None:
    """The product that brought her in, with the prices its reduction must be told with."""
    product = context.get("product_id")
    if not isinstance(product, str):
        return None
    return Subject(product, context.get("previous_price"), context.get("lowest_price"))


def _cart(row: sa.RowMapping) -> Cart | None:
    if row["cart_state"] is None:
        return None
    values = {name: row[f"cart__{name}"] for name in Cart.__slots__ if name not in ("state", "lines")}
    return Cart(**values, state=row["cart_state"], lines=tuple(CartLine(**line) for line in row["cart__lines"]))


def _consented(conn: sa.Connection, ids: Sequence[int]) -> dict[int, datetime]:
    granted = (
        sa.select(consents.c.customer_id, sa.func.max(consents.c.at))
        .where(
            consents.c.customer_id == given.any_of(ids),
            consents.c.channel.in_(("email", "any")),
            consents.c.purpose.in_(("marketing", "any")),
            consents.c.state == "granted",
        )
        .group_by(consents.c.customer_id)
    )
    return {customer: at for customer, at in conn.execute(granted)}


def _sound(channel: str, address: str | None) -> bool:
    """Whether a message could be addressed to it at all; nobody is asked whether it exists."""
    if not address or channel != "email":
        return bool(address)
    local, _, domain = address.rpartition("@")
    plain = len(local) <= 64 and len(address) <= 254 and _PLAIN.fullmatch(local)
    return _valid(f"a@{domain}" if plain else address)


_PLAIN = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*", re.ASCII)
"""What may stand before any @, if it is not too long: then all that is to be asked is about the domain."""


@lru_cache(maxsize=4_096)
def _valid(address: str) -> bool:
    try:
        return bool(validate_email(address, check_deliverability=False, test_environment=True, allow_smtputf8=False))
    except EmailNotValidError:
        return False
