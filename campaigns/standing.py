"""Where each customer of a claimed batch stands: every fact that decides on a message or is written in it.

The number of queries does not grow with the batch.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email

from campaigns import eligibility, plans, rules, tables
from campaigns.content import Subject
from campaigns.definitions import content as words
from campaigns.definitions import shapes
from campaigns.definitions.entries import CartAbandoned
from campaigns.definitions.steps import Send
from campaigns.moves import Claimed
from campaigns.plans import Said
from campaigns.rules import Policy
from campaigns.states import COUNTED
from shop import consent, orders
from shop.baskets import Cart, CartLine
from shop.events import Review
from shop.tables import carts, consents, customers

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
    marketing: Mapping[int, consent.State]
    opens: Mapping[int, consent.State]
    consented: Mapping[int, datetime]
    suppressed: Collection[int]
    bought: Collection[int]
    received: Mapping[int, tuple[int, datetime | None]]


def _known(conn: sa.Connection, rows: Sequence[sa.RowMapping], *, policy: Policy, now: datetime) -> _Known:
    ids = sorted({row["customer"] for row in rows})
    hashes = {row["customer"]: consent.address_hash("email", row["email"]) for row in rows if row["email"]}
    blocked = consent.suppressed(conn, "email", hashes.values())
    keys = {(row["campaign_id"], row["version"], row["step"]) for row in rows}
    return _Known(
        said=plans.said(conn, keys),
        marketing=consent.states(conn, ids, channel="email"),
        opens=consent.states(conn, ids, channel="email", purpose="analytics"),
        consented=_consented(conn, ids),
        suppressed={customer for customer, hashed in hashes.items() if hashed in blocked},
        bought=orders.bought_since(conn, {row["customer"]: row["touched_at"] for row in rows if row["touched_at"]}),
        received=_received(conn, [row["held"] for row in rows], since=now - timedelta(days=policy.cap_days)),
    )


def _case(message: Claimed, row: sa.RowMapping, known: _Known, *, policy: Policy) -> Case:
    customer, said = row["customer"], known.said[message.campaign_id, message.version, message.step]
    entry = said.campaign.entry
    count, oldest = known.received.get(message.customer_id, (0, None))
    standing = eligibility.Standing(
        expires_at=message.expires_at,
        address=row["email"],
        address_ok=_sound(row["email"]),
        consent=known.marketing[customer],
        suppressed=customer in known.suppressed,
        bought=customer in known.bought,
        cart_state=row["cart_state"],
        cart_touched_at=row["touched_at"],
        quiet_for=shapes.length(entry.delay) if isinstance(entry, CartAbandoned) else timedelta(0),
        received_lately=count,
        cap_frees_at=oldest + timedelta(days=policy.cap_days) if oldest else None,
        timezone=row["timezone"],
    )
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
        standing=standing,
    )


def _around(ids: Sequence[UUID]) -> sa.Select[Any]:
    held, person = customers.alias("held"), customers.alias("person")
    return (
        sa.select(
            messages.c.id.label("message_id"),
            messages.c.campaign_id,
            messages.c.version,
            messages.c.step,
            tables.campaigns.c.name,
            tables.enrolments.c.context,
            held.c.id.label("held"),
            person.c.id.label("customer"),
            person.c.email,
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
        .where(messages.c.id.in_(ids))
    )


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


def _received(conn: sa.Connection, ids: Sequence[int], *, since: datetime) -> dict[int, tuple[int, datetime | None]]:
    """How many messages each customer got, or may have got, since then, and when the first of them left."""
    counted = (
        sa.select(messages.c.customer_id, sa.func.count(), sa.func.min(messages.c.submitted_at))
        .where(messages.c.customer_id.in_(ids), messages.c.state.in_(COUNTED), messages.c.submitted_at > since)
        .group_by(messages.c.customer_id)
    )
    return {customer: (number, first) for customer, number, first in conn.execute(counted)}


def _consented(conn: sa.Connection, ids: Sequence[int]) -> dict[int, datetime]:
    granted = (
        sa.select(consents.c.customer_id, sa.func.max(consents.c.at))
        .where(
            consents.c.customer_id.in_(ids),
            consents.c.channel.in_(("email", "any")),
            consents.c.purpose.in_(("marketing", "any")),
            consents.c.state == "granted",
        )
        .group_by(consents.c.customer_id)
    )
    return {customer: at for customer, at in conn.execute(granted)}


def _sound(address: str | None) -> bool:
    """Whether a mail could be addressed to it at all; nobody is asked whether it exists."""
    try:
        return bool(address) and bool(
            validate_email(address or "", check_deliverability=False, test_environment=True, allow_smtputf8=False)
        )
    except EmailNotValidError:
        return False
