"""Everything that happened to one customer, newest first: events, messages with why, codes, consents, merges."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns.tables import campaigns, messages, offers, promo_codes
from foundation import database
from shop.tables import consent_log, events, merges

Text = sa.Text()


class Kind(StrEnum):
    """What an entry is about."""

    EVENT = "event"
    MESSAGE = "message"
    CODE = "code"
    CONSENT = "consent"
    MERGE = "merge"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `ref` names it among its kind; `facts` differ by kind."""

    at: datetime
    kind: str
    ref: str
    facts: dict[str, Any]


Position = tuple[datetime, str, str]
"""Where a page ended: `at`, `kind` and `ref` of its last entry."""

Branch = sa.Select[tuple[datetime, str, str, dict[str, Any]]]


def page(conn: sa.Connection, customer_id: int, *, before: Position | None = None, limit: int = 50) -> list[Entry]:
    """The newest entries, or those before a position."""
    branches = [_cut(branch, before, limit) for branch in _branches(customer_id)]
    together = sa.union_all(*branches).subquery()
    newest = [together.c[name].desc() for name in ("at", "kind", "ref")]
    return database.read(conn, sa.select(together).order_by(*newest).limit(limit), Entry)


def _cut(branch: Branch, before: Position | None, limit: int) -> Any:
    """Each source is read by its own index, and no further than one page."""
    of = branch.subquery()
    wanted = sa.select(of)
    if before is not None:
        at, kind, ref = before
        last = sa.tuple_(sa.literal(at, database.Time), sa.literal(kind, Text), sa.literal(ref, Text))
        wanted = wanted.where(of.c.at <= at, sa.tuple_(of.c.at, of.c.kind, of.c.ref) < last)
    newest = [of.c[name].desc() for name in ("at", "kind", "ref")]
    return sa.select(wanted.order_by(*newest).limit(limit).subquery())


def _branches(customer_id: int) -> Iterator[Branch]:
    for make in (_events, _messages, _codes, _consents, _merges):
        yield make(customer_id)


def _branch(kind: Kind, at: "sa.ColumnElement[datetime]", ref: "sa.ColumnElement[Any]", **facts: Any) -> Branch:
    pairs = [part for name, column in facts.items() for part in (sa.literal(name, Text), column)]
    return sa.select(
        at.label("at"),
        sa.literal(str(kind), Text).label("kind"),
        sa.cast(ref, Text).label("ref"),
        sa.type_coerce(sa.func.jsonb_strip_nulls(sa.func.jsonb_build_object(*pairs)), postgresql.JSONB).label("facts"),
    )


def _events(customer_id: int) -> Branch:
    names = ("name", "channel", "product_id", "order_id", "cart_id", "store_id", "properties")
    facts = {name: events.c[name] for name in names}
    return _branch(Kind.EVENT, events.c.occurred_at, events.c.key, **facts).where(events.c.customer_id == customer_id)


def _messages(customer_id: int) -> Branch:
    names = ("step", "channel", "state", "reason", "not_before", "accepted_at", "first_clicked_at", "opened_at")
    facts = {name: messages.c[name] for name in names}
    return (
        _branch(Kind.MESSAGE, messages.c.queued_at, messages.c.id, campaign=campaigns.c.name, **facts)
        .join_from(messages, campaigns, campaigns.c.id == messages.c.campaign_id)
        .where(messages.c.customer_id == customer_id)
    )


def _codes(customer_id: int) -> Branch:
    names = ("code", "state", "message_id", "issued_at", "expires_at", "redeemed_at", "order_id", "channel")
    facts = {name: promo_codes.c[name] for name in names}
    return (
        _branch(Kind.CODE, promo_codes.c.reserved_at, promo_codes.c.code, offer=offers.c.name, **facts)
        .join_from(promo_codes, offers, offers.c.id == promo_codes.c.offer_id)
        .where(promo_codes.c.customer_id == customer_id)
    )


def _consents(customer_id: int) -> Branch:
    facts = {name: consent_log.c[name] for name in ("channel", "purpose", "state", "source", "text", "form")}
    return _branch(Kind.CONSENT, consent_log.c.at, consent_log.c.id, **facts).where(
        consent_log.c.customer_id == customer_id
    )


def _merges(customer_id: int) -> Branch:
    facts = {name: merges.c[name] for name in ("winner_id", "loser_id", "evidence", "undone_at", "undone_by")}
    return _branch(Kind.MERGE, merges.c.merged_at, merges.c.id, **facts).where(
        (merges.c.winner_id == customer_id) | (merges.c.loser_id == customer_id)
    )
