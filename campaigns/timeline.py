"""Everything that happened to one customer in one line of time: events, messages, codes, consents, merges, and the
campaigns that said nothing to her."""

import heapq
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from campaigns import experiments, promo_tables, tables
from campaigns.states import Reason
from shop.tables import consent_log, customers, events, merges, orders, products, sources, stores
from shop.vocabulary import Name

Select = sa.Select[Any]
Position = tuple[datetime, str, str]
"""Time, kind and ref of a moment."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One thing that happened. `kind` says what `facts` holds; time, kind and ref together are its place."""

    at: datetime
    kind: str
    ref: str
    facts: Mapping[str, Any]

    @property
    def place(self) -> Position:
        """Where it stands in the line; the next page comes before it."""
        return self.at, self.kind, self.ref


def page(
    conn: sa.Connection,
    customer_id: int,
    *,
    before: Position | None = None,
    kinds: Collection[str] = (),
    names: Collection[str] = (),
    limit: int = 50,
) -> list[Moment]:
    """What happened, newest first, of these kinds, of events those of these names alone. The same moment is ordered by
    kind and id, so no page repeats or leaves out."""
    found = [
        _some(conn, kind, _only(select(customer_id), kind, names), before=before, limit=limit)
        for kind, select in _KINDS.items()
        if not kinds or kind in kinds
    ]
    return list(islice(heapq.merge(*found, key=lambda moment: moment.place, reverse=True), limit))


def _only(select: Select, kind: str, names: Collection[str]) -> Select:
    return select.where(events.c.name.in_(names)) if names and kind == "event" else select


def _some(conn: sa.Connection, kind: str, select: Select, *, before: Position | None, limit: int) -> list[Moment]:
    rows = select.subquery()
    wanted = sa.select(rows).order_by(rows.c.at.desc(), rows.c.id.desc()).limit(limit)
    if before is not None:
        at, last_kind, last_id = before
        if kind == last_kind:
            wanted = wanted.where(sa.tuple_(rows.c.at, rows.c.id) < sa.tuple_(sa.literal(at), sa.literal(last_id)))
        else:
            wanted = wanted.where(rows.c.at <= at if kind < last_kind else rows.c.at < at)
    return [Moment(row["at"], kind, row["id"], dict(row)) for row in conn.execute(wanted).mappings()]


def _events(customer_id: int) -> Select:
    """The shop's events and the clicks of ours; a sent message stands in the line as itself."""
    return (
        sa.select(
            events.c.occurred_at.label("at"),
            _text(events.c.key),
            events.c.name,
            events.c.channel,
            events.c.product_id,
            products.c.title,
            events.c.order_id,
            orders.c.total,
            orders.c.currency,
            events.c.store_id,
            stores.c.name.label("store"),
            sources.c.name.label("source"),
            events.c.properties,
        )
        .outerjoin(products, products.c.product_id == events.c.product_id)
        .outerjoin(orders, orders.c.order_id == events.c.order_id)
        .outerjoin(stores, stores.c.store_id == events.c.store_id)
        .outerjoin(sources, sources.c.id == events.c.source_id)
        .where(events.c.customer_id == customer_id, events.c.name != Name.MESSAGE_SENT)
    )


def _enrolments(customer_id: int) -> Select:
    """Campaigns that say nothing to her: she is held out, or has no address. What the others say stands as messages."""
    held, campaigns, people = tables.enrolments, tables.campaigns, customers.alias("people")
    hers = sa.select(people.c.id).where((people.c.id == customer_id) | (people.c.merged_into == customer_id))
    return (
        sa.select(
            held.c.entered_at.label("at"),
            _text(held.c.id),
            campaigns.c.name.label("campaign"),
            held.c.arm,
            sa.case((held.c.reason == Reason.NO_ADDRESS, held.c.reason)).label("reason"),
            held.c.entry_key,
        )
        .join(campaigns, campaigns.c.id == held.c.campaign_id)
        .where(
            held.c.customer_id.in_(hers),
            (held.c.arm != experiments.TREATED) | (held.c.reason == Reason.NO_ADDRESS),
        )
    )


def _messages(customer_id: int) -> Select:
    messages, contents, campaigns = tables.messages, tables.message_contents, tables.campaigns
    promo_codes = tables.promo_codes
    return (
        sa.select(
            sa.func.coalesce(messages.c.submitted_at, messages.c.resolved_at, messages.c.queued_at).label("at"),
            _text(messages.c.id),
            campaigns.c.name.label("campaign"),
            messages.c.step,
            messages.c.channel,
            messages.c.state,
            messages.c.reason,
            messages.c.entry_key,
            messages.c.accepted_at,
            messages.c.opened_at,
            messages.c.first_clicked_at,
            messages.c.queued_at,
            messages.c.not_before,
            contents.c.subject,
            contents.c.promo_code,
            promo_codes.c.shown.label("code_shown"),
            tables.enrolments.c.arm,
        )
        .join(campaigns, campaigns.c.id == messages.c.campaign_id)
        .outerjoin(contents, contents.c.message_id == messages.c.id)
        .outerjoin(promo_codes, promo_codes.c.code == contents.c.promo_code)
        .outerjoin(tables.enrolments, tables.enrolments.c.id == messages.c.enrolment_id)
        .where(messages.c.customer_id == customer_id)
    )


def _codes(customer_id: int) -> Select:
    """Codes used, and not given back since; a code given is part of the message that carried it."""
    promo_codes, offers, uses = tables.promo_codes, tables.offers, promo_tables.promo_redemptions
    return (
        sa.select(
            uses.c.at,
            promo_codes.c.code.label("id"),
            promo_codes.c.shown.label("code_shown"),
            offers.c.name.label("offer"),
            uses.c.order_id,
            uses.c.channel,
            uses.c.discount,
            offers.c.currency,
        )
        .join(promo_codes, promo_codes.c.code == uses.c.code)
        .join(offers, offers.c.id == promo_codes.c.offer_id)
        .where(promo_codes.c.customer_id == customer_id, uses.c.undone_at.is_(None))
    )


def _consents(customer_id: int) -> Select:
    said = consent_log.c
    return sa.select(
        said.at, _text(said.id), said.channel, said.purpose, said.state, said.source, said.text, said.form
    ).where(said.customer_id == customer_id)


def _merges(customer_id: int) -> Select:
    return sa.select(
        merges.c.merged_at.label("at"),
        _text(merges.c.id),
        merges.c.winner_id,
        merges.c.loser_id,
        merges.c.evidence,
        merges.c.undone_at,
        merges.c.undone_by,
    ).where(sa.or_(merges.c.winner_id == customer_id, merges.c.loser_id == customer_id))


def _text(column: "sa.ColumnElement[Any]") -> "sa.Label[str]":
    return sa.cast(column, sa.Text).label("id")


_KINDS: dict[str, Callable[[int], Select]] = {
    "code": _codes,
    "consent": _consents,
    "enrolment": _enrolments,
    "event": _events,
    "merge": _merges,
    "message": _messages,
}
"""In alphabetical order, as moments of the same time are."""
