"""What steps do when a customer passes them, in her turn's transaction: queue messages and calls, write traits, ask
for her in an audience."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import connections, eligibility, given, messages, own_events, reachable, tables
from campaigns.audiences import asking
from campaigns.definitions import shapes
from campaigns.definitions.campaign import Campaign
from campaigns.definitions.steps import Ask, Send, SetTrait, Webhook
from campaigns.messages import Wanted
from campaigns.own_events import Written
from campaigns.plans import Followed
from foundation import database
from shop import consent
from shop.tables import customers

Passed = Sequence[tuple[sa.RowMapping, Sequence[str]]]
"""Enrolments with the ids of the steps that act for them now."""

SPOKEN = ("email", "push", "sms", "onsite")
RESPONSE = timedelta(days=180)


def act(conn: sa.Connection, followed: Followed, passed: Passed, *, now: datetime) -> Counter[int]:
    """Everything these steps do. Nothing leaves here: what is to leave is a row somebody delivers later.

    Gives how many messages each enrolment brought about.
    """
    doing = [(row, followed.flow.nodes[name].step) for row, names in passed for name in names]
    moving = [(row, step) for row, step in doing if isinstance(step, Send) and step.audience]
    saying = [
        (row, step) for row, step in doing if isinstance(step, Ask) or isinstance(step, Send) and not step.audience
    ]
    undecided = {row["person"] for row, step in saying if step.channel == "best"}
    best = best_channels(conn, undecided, purpose=purpose_of(followed.definition), now=now)
    said = messages.queue(conn, [_wanted(followed, row, step, best, now=now) for row, step in saying], now=now)
    own_events.write(conn, [_written(row, step, now) for row, step in doing if isinstance(step, SetTrait)], now=now)
    _call(conn, followed, [(row, step) for row, step in doing if isinstance(step, Webhook)], now=now)
    _move(conn, moving, now=now)
    return said


def _wanted(followed: Followed, row: sa.RowMapping, step: Send | Ask, best: dict[int, str], *, now: datetime) -> Wanted:
    channel = best[row["person"]] if step.channel == "best" else step.channel
    return Wanted(
        campaign_id=followed.campaign_id,
        version=followed.version,
        step=step.id,
        channel=channel,
        purpose=purpose_of(followed.definition),
        priority=followed.definition.priority,
        customer_id=row["customer_id"],
        entry_key=row["entry_key"],
        enrolment_id=row["id"],
        cart_ref=row["cart_ref"],
        due_at=row["wake_at"] or now,
        expires_at=now + shapes.length(step.expires),
    )


def purpose_of(definition: Campaign) -> str:
    """As consent is asked for it: marketing about one topic, if it has one."""
    about = definition.topic if definition.purpose == "marketing" else None
    return f"{definition.purpose}/{about}" if about else definition.purpose


def best_channels(conn: sa.Connection, customer_ids: Collection[int], *, purpose: str, now: datetime) -> dict[int, str]:
    """The channel each of them agreed to, can be reached by and answers most; e-mail before push before SMS when
    nothing tells. Only what somebody carries is chosen. What she asked for by ordering needs no yes: a no is obeyed.

    Who is left with none is given e-mail: the ledger then says why she gets nothing.
    """
    if not customer_ids:
        return {}
    ids = sorted(customer_ids)
    carried = connections.connected(conn)
    usable = {channel: _open_to(conn, ids, channel, purpose=purpose) for channel in SPOKEN if channel in carried}
    answered = _answered(conn, ids, since=now - RESPONSE)
    best = {}
    for customer in ids:
        open_to = [channel for channel, people in usable.items() if customer in people]
        best[customer] = max(open_to, key=lambda channel: answered.get((customer, channel), 0), default="email")
    return best


def _open_to(conn: sa.Connection, ids: Sequence[int], channel: str, *, purpose: str) -> set[int]:
    """Who agreed to this channel and can be reached by it."""
    said = consent.states(conn, ids, channel=channel, purpose=purpose)
    enough = (consent.State.GRANTED, *([consent.State.UNKNOWN] if purpose == eligibility.TRANSACTIONAL else []))
    agreed = [customer for customer in ids if said[customer] in enough]
    return set(reachable.addresses(conn, agreed, channel)) if agreed else set()


def _answered(conn: sa.Connection, ids: Sequence[int], *, since: datetime) -> dict[tuple[int, str], int]:
    """How many messages of each channel she clicked."""
    ledger = tables.messages
    person = sa.func.coalesce(customers.c.merged_into, customers.c.id)
    query = (
        sa.select(person, ledger.c.channel, sa.func.count())
        .join(customers, customers.c.id == ledger.c.customer_id)
        .where(
            person == given.any_of(ids),
            ledger.c.last_clicked_at > since,
        )
        .group_by(person, ledger.c.channel)
    )
    return {(customer, channel): number for customer, channel, number in conn.execute(query)}


def _move(conn: sa.Connection, moving: Sequence[tuple[sa.RowMapping, Send]], *, now: datetime) -> None:
    """Asks for each of them in an audience, or out of it."""
    wishes: dict[tuple[str, bool], list[int]] = defaultdict(list)
    for row, step in moving:
        wishes[step.audience or "", step.channel == "audience_in"].append(row["person"])
    asking.ask(conn, wishes, now=now)


def _written(row: sa.RowMapping, step: SetTrait, now: datetime) -> Written:
    return Written(f"trait:{row['id']}:{step.id}", row["person"], now, {step.trait: step.value})


def _call(
    conn: sa.Connection, followed: Followed, calling: Sequence[tuple[sa.RowMapping, Webhook]], *, now: datetime
) -> None:
    """Queues calls of other programs, each once for an enrolment and step."""
    if not calling:
        return
    known = customers.c.id == given.any_of([row["person"] for row, _ in calling])
    found = conn.execute(sa.select(customers.c.id, customers.c.user_id).where(known))
    names = {customer: user for customer, user in found}
    rows = [
        {
            "id": database.new_id(),
            "campaign_id": followed.campaign_id,
            "enrolment_id": row["id"],
            "customer_id": row["customer_id"],
            "step": step.id,
            "url": step.url,
            "body": _body(followed, row, step, names.get(row["person"]), now=now),
            "state": "pending",
            "not_before": now,
            "queued_at": now,
        }
        for row, step in calling
    ]
    conn.execute(postgresql.insert(tables.webhook_calls).on_conflict_do_nothing(), rows)


def _body(
    followed: Followed, row: sa.RowMapping, step: Webhook, user_id: str | None, *, now: datetime
) -> dict[str, Any]:
    """What the other program is told: the shop's own id of her, never an address."""
    told = {**row["context"], **row["context"].get("event", {})}
    about = {name: told[name] for name in ("cart_id", "order_id", "product_id") if told.get(name)}
    return {
        "campaign": followed.name,
        "version": followed.version,
        "step": step.id,
        "customer": user_id,
        "entered_at": row["entered_at"].isoformat(),
        "at": now.isoformat(),
        "about": about,
        "note": step.note,
    }
