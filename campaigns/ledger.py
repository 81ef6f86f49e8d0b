"""Reading the message ledger: pages of it, one message with all that is known of it, and the outbox as a mailbox."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from campaigns import frozen, layouts, tables, unfollowed
from campaigns.states import FACTS, State
from foundation import database
from foundation.errors import NotFound
from shop.tables import customers

messages, contents, campaigns = tables.messages, tables.message_contents, tables.campaigns

WAITING = (State.PENDING, State.HELD, State.CLAIMED, State.SUBMITTING)
UNSURE = (State.UNCERTAIN, State.UNCONFIRMED)
NOT_SENT = (State.SKIPPED, State.EXPIRED, State.CANCELLED)
UNFOLLOWED = "unfollowed"
"""Shown in place of a state: accepted, and nothing heard of it since."""
SHOWN = 200
"""Letters of a mail beside its subject in the mailbox."""


@dataclass(frozen=True, slots=True)
class Line:
    """One message as a list shows it."""

    id: UUID
    campaign: str
    step: str
    channel: str
    customer_id: int
    customer: str | None
    state: str
    reason: str | None
    queued_at: datetime
    not_before: datetime
    accepted_at: datetime | None
    opened_at: datetime | None
    first_clicked_at: datetime | None
    subject: str | None

    def shown(self, now: datetime) -> str:
        """Its state, told apart if nothing was heard of it since it was accepted."""
        return shown(asdict(self), now=now)


def shown(message: Mapping[str, Any], *, now: datetime) -> str:
    """The state of a message whose row this is, told apart if nothing was heard of it since it was accepted."""
    return UNFOLLOWED if unfollowed.is_so(message, now=now) else str(message["state"])


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time it was handed over, and what came of it."""

    n: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    detail: str | None
    code: int | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Content:
    """What exactly was sent, or would have been."""

    address: str
    sender: str
    subject: str
    html: str
    text: str
    headers: dict[str, str]
    links: Any
    promo_code: str | None
    code_shown: str | None
    rendered_at: datetime


@dataclass(frozen=True, slots=True)
class Message:
    """One message with everything that is known of it: the row, its content, attempts, reports, codes and orders."""

    line: Line
    row: Mapping[str, Any]
    content: Content | None
    attempts: list[Attempt]
    reports: Sequence[sa.RowMapping]
    enrolment: sa.RowMapping | None
    orders: Sequence[sa.RowMapping]


@dataclass(frozen=True, slots=True)
class Mail:
    """One line of the mailbox."""

    message_id: UUID
    received_at: datetime
    opened_at: datetime | None
    address: str
    sender: str
    subject: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Sum:
    """The ledger added up: every message planned stands in exactly one of the parts."""

    accepted: int = 0
    not_sent: int = 0
    failed: int = 0
    uncertain: int = 0
    waiting: int = 0

    @property
    def planned(self) -> int:
        """All of them."""
        return self.accepted + self.not_sent + self.failed + self.uncertain + self.waiting


def page(
    conn: sa.Connection,
    *,
    state: str | None = None,
    campaign: str | None = None,
    reason: str | None = None,
    customer_id: int | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
    unheard: datetime | None = None,
) -> list[Line]:
    """Messages, the youngest first; the next page comes `before` the last one's time and id.

    :param unheard: only those accepted of which, at this moment, nothing was heard for too long
    """
    wanted = _lines().order_by(messages.c.queued_at.desc(), messages.c.id.desc()).limit(limit)
    if unheard is not None:
        wanted = wanted.where(unfollowed.clause(unheard))
    for column, value in (
        (messages.c.state, state),
        (campaigns.c.name, campaign),
        (messages.c.reason, reason),
        (messages.c.customer_id, customer_id),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    if before is not None:
        wanted = wanted.where(sa.tuple_(messages.c.queued_at, messages.c.id) < sa.tuple_(*map(sa.literal, before)))
    return database.read(conn, wanted, Line)


def get(conn: sa.Connection, message_id: UUID) -> Message:
    """One message and all around it; raises `NotFound`."""
    lines = database.read(conn, _lines().where(messages.c.id == message_id), Line)
    if not lines:
        raise NotFound("no such message")
    row = conn.execute(sa.select(messages).where(messages.c.id == message_id)).mappings().one()
    attempts = sa.select(tables.attempts).where(tables.attempts.c.message_id == message_id)
    reports = sa.select(tables.provider_events).where(tables.provider_events.c.message_id == message_id)
    enrolment = sa.select(tables.enrolments).where(tables.enrolments.c.id == row["enrolment_id"])
    orders = sa.select(tables.attributions).where(tables.attributions.c.message_id == message_id)
    return Message(
        line=lines[0],
        row=dict(row),
        content=content(conn, message_id),
        attempts=database.read(conn, attempts.order_by(tables.attempts.c.n), Attempt),
        reports=conn.execute(reports.order_by(tables.provider_events.c.at)).mappings().all(),
        enrolment=conn.execute(enrolment).mappings().one_or_none(),
        orders=conn.execute(orders.order_by(tables.attributions.c.ordered_at)).mappings().all(),
    )


def content(conn: sa.Connection, message_id: UUID) -> Content | None:
    """What was rendered for this message; None while nothing was."""
    codes = tables.promo_codes
    wanted = (
        sa.select(contents, codes.c.shown.label("code_shown"))
        .outerjoin(codes, codes.c.code == contents.c.promo_code)
        .where(contents.c.message_id == message_id)
    )
    row = conn.execute(wanted).mappings().one_or_none()
    if row is None:
        return None
    body = frozen.bodies(conn, [row])[message_id]
    beside = {name: row[name] for name in Content.__slots__ if name not in ("html", "text")}
    return Content(**beside, html=body.html, text=body.text)


def mails(conn: sa.Connection, *, before: datetime | None = None, limit: int = 50) -> list[Mail]:
    """The outbox as a mailbox, the newest first."""
    outbox = tables.outbox
    wanted = (
        sa.select(
            outbox,
            contents.c.address,
            contents.c.sender,
            contents.c.subject,
            *frozen.WORDS,
        )
        .join(contents, contents.c.message_id == outbox.c.message_id)
        .order_by(outbox.c.received_at.desc(), outbox.c.message_id)
        .limit(limit)
    )
    if before is not None:
        wanted = wanted.where(outbox.c.received_at < before)
    return _mails(conn, wanted)


def _mails(conn: sa.Connection, wanted: "sa.Select[Any]") -> list[Mail]:
    rows = conn.execute(wanted).mappings().all()
    said = frozen.bodies(conn, rows)
    names = [name for name in Mail.__slots__ if name != "excerpt"]
    return [
        Mail(**{name: row[name] for name in names}, excerpt=layouts.preview(said[row["message_id"]])[:SHOWN])
        for row in rows
    ]


def open_mail(conn: sa.Connection, message_id: UUID, *, now: datetime) -> Mail:
    """One mail of the mailbox, from now on no longer new; raises `NotFound`."""
    outbox = tables.outbox
    conn.execute(
        sa.update(outbox).where(outbox.c.message_id == message_id, outbox.c.opened_at.is_(None)).values(opened_at=now)
    )
    wanted = (
        sa.select(outbox, contents.c.address, contents.c.sender, contents.c.subject, *frozen.WORDS)
        .join(contents, contents.c.message_id == outbox.c.message_id)
        .where(outbox.c.message_id == message_id)
    )
    found = _mails(conn, wanted)
    if not found:
        raise NotFound("no such mail")
    return found[0]


LATEST = 100
"""Mails of the mailbox that are looked through for new ones: a badge counts on every page, and must not take longer."""


def unread(conn: sa.Connection) -> int:
    """How many of the latest mails of the mailbox nobody has looked at."""
    outbox = tables.outbox.c
    newest = sa.select(outbox.opened_at).order_by(outbox.message_id.desc()).limit(LATEST).subquery()  # ids go by time
    wanted = sa.select(sa.func.count()).select_from(newest).where(newest.c.opened_at.is_(None))
    return conn.scalar(wanted) or 0


def open_all(conn: sa.Connection, *, now: datetime) -> None:
    """Nothing in the mailbox is new any more."""
    conn.execute(sa.update(tables.outbox).where(tables.outbox.c.opened_at.is_(None)).values(opened_at=now))


def sums(conn: sa.Connection, *, campaign_id: int | None = None) -> dict[str, Sum]:
    """The ledger added up by channel."""
    counted = sa.select(messages.c.channel, messages.c.state, sa.func.count().label("n"))
    if campaign_id is not None:
        counted = counted.where(messages.c.campaign_id == campaign_id)
    counts: dict[str, dict[str, int]] = {}
    for channel, state, number in conn.execute(counted.group_by(messages.c.channel, messages.c.state)):
        part = _PARTS[State(state)]
        found = counts.setdefault(channel, {})
        found[part] = found.get(part, 0) + number
    return {channel: Sum(**parts) for channel, parts in sorted(counts.items())}


def total(parts: Mapping[str, Sum]) -> Sum:
    """All channels together."""
    return Sum(*(sum(getattr(part, name) for part in parts.values()) for name in Sum.__slots__))


def waiting(conn: sa.Connection, campaign_id: int) -> int:
    """How many customers are on their way through a campaign: whom launching, pausing or cancelling concerns."""
    enrolments = tables.enrolments
    where = (enrolments.c.campaign_id == campaign_id) & (enrolments.c.state == "waiting")
    return conn.scalar(sa.select(sa.func.count()).select_from(enrolments).where(where)) or 0


def reasons(conn: sa.Connection, *, campaign_id: int | None = None) -> list[tuple[str, int]]:
    """Why messages were not sent or failed, the commonest first."""
    counted = (
        sa.select(messages.c.reason, sa.func.count())
        .where(messages.c.state.in_((*NOT_SENT, State.FAILED)))
        .group_by(messages.c.reason)
        .order_by(sa.func.count().desc())
    )
    if campaign_id is not None:
        counted = counted.where(messages.c.campaign_id == campaign_id)
    return [(reason or "", number) for reason, number in conn.execute(counted)]


@dataclass(frozen=True, slots=True)
class Gate:
    """A provider that is not spoken to for now, and why."""

    provider: str
    reason: str | None
    opened_at: datetime | None
    blocked_until: datetime | None


def shut_gates(conn: sa.Connection) -> list[Gate]:
    """Providers that failed or asked for silence: what is for them waits."""
    gates = tables.provider_gates
    return database.read(conn, sa.select(gates).where(gates.c.breaker != "closed").order_by(gates.c.provider), Gate)


_PARTS = {
    **dict.fromkeys(WAITING, "waiting"),
    **dict.fromkeys(UNSURE, "uncertain"),
    **dict.fromkeys(FACTS, "accepted"),
    **dict.fromkeys(NOT_SENT, "not_sent"),
    State.FAILED: "failed",
}


def _lines() -> "sa.Select[Any]":
    name = sa.func.nullif(sa.func.concat_ws(" ", customers.c.first_name, customers.c.last_name), "")
    return (
        sa.select(
            messages.c.id,
            campaigns.c.name.label("campaign"),
            messages.c.step,
            messages.c.channel,
            messages.c.customer_id,
            sa.func.coalesce(name, customers.c.email, customers.c.user_id).label("customer"),
            messages.c.state,
            messages.c.reason,
            messages.c.queued_at,
            messages.c.not_before,
            messages.c.accepted_at,
            messages.c.opened_at,
            messages.c.first_clicked_at,
            contents.c.subject,
        )
        .join(campaigns, campaigns.c.id == messages.c.campaign_id)
        .join(customers, customers.c.id == messages.c.customer_id)
        .outerjoin(contents, contents.c.message_id == messages.c.id)
    )
