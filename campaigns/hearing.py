"""Signals of events are taken up: they bring customers in, begin waits anew, and wake those who wait for them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from campaigns import entering, given, latecomers, plans, tables
from campaigns.definitions import shapes
from campaigns.definitions.entries import EventEntry, Key, ProductAbandoned, Reentry, SegmentEntry
from campaigns.entering import Newcomer
from campaigns.plans import Followed, Plan
from foundation.database import Database
from shop.tables import customers, events, signals
from shop.vocabulary import Name

BATCH = 2_000
enrolments = tables.enrolments


def hear(db: Database, *, now: datetime, checkpoint: Callable[[str], None]) -> int:
    """Takes every signal up, a batch a transaction: what it brings about and its end are kept together."""
    entered = 0
    while True:
        with db.begin() as conn:
            taken = _take(conn)
            heard = [row for row in taken if row["customer_id"] and row["properties"] is not None]
            if not taken:
                return entered
            for plan in plans.running(conn, now=now):
                entered += _enter(conn, plan, heard, now=now)
            followed = plans.followed(conn)
            _begin_anew(conn, followed, heard, now=now)
            _wake(conn, followed, heard, now=now)
            checkpoint("hearing")


def _take(conn: sa.Connection) -> Sequence[sa.RowMapping]:
    """A batch of signals, gone from the table, with their events and who their customers are now."""
    first = sa.select(signals.c.id).order_by(signals.c.id).limit(BATCH).with_for_update(skip_locked=True)
    taken = (
        sa.delete(signals)
        .where(signals.c.id == sa.any_(sa.func.array(first.scalar_subquery())))
        .returning(signals.c.event_key, signals.c.customer_id, signals.c.name, signals.c.at)
        .cte("taken")
    )
    query = (
        sa.select(
            taken.c.event_key,
            taken.c.name,
            taken.c.at,
            sa.func.coalesce(customers.c.merged_into, customers.c.id).label("customer_id"),
            *(events.c[name] for name in ("channel", "product_id", "order_id", "cart_id", "store_id", "properties")),
        )
        .select_from(taken)
        .outerjoin(customers, customers.c.id == taken.c.customer_id)
        .outerjoin(events, events.c.key == taken.c.event_key)
    )
    return conn.execute(query).mappings().all()


def _enter(conn: sa.Connection, plan: Plan, heard: Sequence[sa.RowMapping], *, now: datetime) -> int:
    entry = plan.definition.entry
    if isinstance(entry, ProductAbandoned):
        looked = [row for row in heard if row["name"] == Name.PRODUCT_VIEWED and row["product_id"]]
        fresh = [row for row in looked if row["at"] > min(now - entering.LATE, latecomers.begun(plan))]
        entering.viewed(conn, plan, entry, [newcomer(row, "product") for row in fresh])
        return 0
    if not isinstance(entry, EventEntry | SegmentEntry):
        return 0
    entry = as_event(entry)
    fits = [row for row in heard if row["name"] == entry.event and _fits(row, entry.where)]
    found = [one for one in (newcomer(row, entry.key) for row in fits) if one.key]
    late = now - entering.LATE
    latecomers.heard_late(conn, plan, [one for one in found if one.happened_at <= late], now=now)
    return entering.newcomers(conn, plan, [one for one in found if one.happened_at > late], now=now)


def as_event(entry: EventEntry | SegmentEntry) -> EventEntry:
    """Coming into a segment and leaving it are events like any other."""
    if isinstance(entry, EventEntry):
        return entry
    test = shapes.Test(property="segment", value=entry.segment)
    return EventEntry(type="event", event=plans.SEGMENT_EVENTS[entry.type], where=(test,), key="event")


def _fits(row: sa.RowMapping, tests: Iterable[shapes.Test]) -> bool:
    told = _told(row)
    return all(shapes.holds(test, told) for test in tests)


def _told(row: sa.RowMapping) -> dict[str, Any]:
    """The event's properties, with what it is about under the names of the specification."""
    about = {name: row[name] for name in ("channel", "product_id", "order_id", "cart_id", "store_id") if row[name]}
    return {**(row["properties"] or {}), **about}


def newcomer(row: sa.RowMapping, key: str) -> Newcomer:
    """Who an event brings in. The key is empty if the event does not say what it should be keyed by: nobody enters."""
    about = {"none": f"{row['at']:%Y-%m-%dT%H:%M:%S.%f}", "event": str(row["event_key"])}
    found = about.get(key) or row[f"{key}_id"] or ""
    context = {"event": _told(row), **({"product_id": row["product_id"]} if row["product_id"] else {})}
    return Newcomer(row["customer_id"], found, row["at"], row["cart_id"] if key == "cart" else None, context)


def _begin_anew(
    conn: sa.Connection, followed: Sequence[Followed], heard: Sequence[sa.RowMapping], *, now: datetime
) -> None:
    """The entry event happened again: whoever is in her first wait waits from then, as the version she follows says."""
    for one in followed:
        entry = one.definition.entry
        if one.state != "sending" or not isinstance(entry, EventEntry) or not entry.reset:
            continue
        key = _shared(entry, one.definition.reentry)
        if key is None:
            continue
        last: dict[tuple[int, str], datetime] = {}
        for row in heard:
            if row["name"] == entry.event and _fits(row, entry.where):
                again = row["customer_id"], "" if key == "none" else newcomer(row, key).key
                last[again] = max(row["at"], last.get(again, row["at"]))
        if last:
            _restart(conn, one, key, last, now=now)


def _shared(entry: EventEntry, reentry: Reentry) -> Key | None:
    """What an event must share with an entry to be the same thing happening again; None where nothing happens twice,
    because each event is an entry of its own."""
    if entry.key != "event":
        return entry.key
    return None if reentry.rule == "each_key" else "none"


def _restart(
    conn: sa.Connection, one: Followed, key: Key, last: Mapping[tuple[int, str], datetime], *, now: datetime
) -> None:
    """Begins the first wait of these anew, each a customer and what it is about; one statement."""
    again = given.rows(
        "again",
        {
            "person": (sa.BigInteger(), [person for person, _ in last]),
            "about": (sa.Text(), [about for _, about in last]),
            "at": (given.Time, list(last.values())),
        },
    )
    hers = [
        sa.select(customers.c.id, again.c.about, again.c.at).join_from(again, customers, column == again.c.person)
        for column in (customers.c.id, customers.c.merged_into)
    ]
    held = sa.union_all(*hers).cte("held")
    # An entry that is made once for all is kept under another key: what it is about stands with it.
    same = [] if key == "none" else [enrolments.c.context[("event", f"{key}_id")].astext == held.c.about]
    conn.execute(
        sa.update(enrolments)
        .where(
            enrolments.c.campaign_id == one.campaign_id,
            enrolments.c.version == one.version,
            enrolments.c.customer_id == held.c.id,
            enrolments.c.state == "waiting",
            enrolments.c.step == one.flow.first,
            enrolments.c.step_since < held.c.at,
            *same,
        )
        .values(step_since=held.c.at, wake_at=now)
    )


def _wake(conn: sa.Connection, followed: Sequence[Followed], heard: Sequence[sa.RowMapping], *, now: datetime) -> None:
    """Whoever waits in a campaign that listens for these events has her turn now; it will look for itself."""
    people: dict[str, set[int]] = defaultdict(set)
    for row in heard:
        if row["customer_id"]:
            people[row["name"]].add(row["customer_id"])
    for one in followed:
        names = {name for name, _ in plans.awaited(one.definition)}
        called = sorted(set().union(*(people[name] for name in names & people.keys())))
        if not called:
            continue
        held = customers.alias("held")
        same = sa.select(held.c.id).where(
            (held.c.id == given.any_of(called)) | (held.c.merged_into == given.any_of(called))
        )
        conn.execute(
            sa.update(enrolments)
            .where(
                enrolments.c.campaign_id == one.campaign_id,
                enrolments.c.version == one.version,
                enrolments.c.state == "waiting",
                enrolments.c.wake_at > now,
                enrolments.c.customer_id.in_(same),
            )
            .values(wake_at=now)
        )
