"""Whether a message of a dry run would have left, and when: put to the same decision as a message of the ledger."""

from bisect import bisect_right, insort
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from campaigns import acting, eligibility, given, reachable, standing, tables
from campaigns.definitions import shapes
from campaigns.definitions.steps import Ask, Send
from campaigns.eligibility import Skip
from campaigns.rules import Policy
from campaigns.states import COUNTED
from shop import consent

MOST_HOLDS = 20
"""Times a message is looked at again before it is given up; caps and quiet hours need two or three."""

Sent = tuple[datetime, str]
"""When something reached her, and by which channel."""


@dataclass(frozen=True, slots=True)
class Left:
    """It would have left then, by this channel."""

    at: datetime
    channel: str


@dataclass(frozen=True, slots=True)
class Reach:
    """What decides on the messages to a batch of customers, as it is known today. `received` grows as they get more."""

    rules: Policy
    purpose: str
    zones: Mapping[int, str | None]
    best: Mapping[int, str]
    addresses: Mapping[str, Mapping[int, str]]
    agreed: Mapping[str, Mapping[int, consent.State]]
    topic_left: Mapping[str, Collection[int]]
    refused: Collection[tuple[str, int]]
    received: dict[int, list[Sent]] = field(default_factory=dict)


def reach(
    conn: sa.Connection, saying: Collection[Send | Ask], zones: Mapping[int, str | None], *, rules: Policy,
    purpose: str, since: datetime, now: datetime,
) -> Reach:  # fmt: skip
    """What is known of these customers, given with their time zones; the number of queries does not grow with them.

    :param since: from when on messages are told; those before count under the caps
    """
    ids, said = sorted(zones), {step.channel for step in saying}
    by_best = "best" in said
    best = acting.best_channels(conn, ids, purpose=purpose, now=now) if by_best else {}
    channels = (said | set(best.values())) - {"best"}
    addresses = {channel: reachable.addresses(conn, ids, channel) for channel in sorted(channels)}
    asked = [
        {"message_id": (channel, customer), "channel": channel, "customer": customer, "purpose": purpose}
        for channel, held in addresses.items()
        for customer in held
    ]
    return Reach(
        rules=rules,
        purpose=purpose,
        zones=zones,
        best=best,
        addresses=addresses,
        agreed={channel: consent.states(conn, ids, channel=channel, purpose=purpose) for channel in addresses},
        topic_left={channel: consent.left_topic(conn, ids, channel=channel, purpose=purpose) for channel in addresses},
        refused=standing.suppressed(conn, asked, addresses),
        received=_received(conn, ids, since=since - timedelta(days=rules.cap_days)),
    )


def _received(conn: sa.Connection, ids: Sequence[int], *, since: datetime) -> dict[int, list[Sent]]:
    """What each of them really got that counts under the caps, from any campaign."""
    ledger = tables.messages.c
    query = (
        sa.select(ledger.customer_id, ledger.submitted_at, ledger.channel)
        .where(
            ledger.customer_id == given.any_of(ids),
            ledger.submitted_at > since,
            ledger.state.in_(COUNTED),
            ledger.purpose != eligibility.TRANSACTIONAL,
            ledger.channel.in_(eligibility.CAPPED),
        )
        .order_by(ledger.submitted_at)
    )
    found: dict[int, list[Sent]] = {}
    for customer, at, channel in conn.execute(query):
        found.setdefault(customer, []).append((at, channel))
    return found


def say(known: Reach, step: Send | Ask, customer: int, *, at: datetime) -> Left | Skip:
    """Whether this message, due then, would have left; if so it counts for all that come after."""
    channel = known.best[customer] if step.channel == "best" else step.channel
    due, expires = at, at + shapes.length(step.expires)
    for _ in range(MOST_HOLDS):
        stands = _standing(known, customer, channel, at=due, expires_at=expires)
        decision = eligibility.decide(stands, policy=known.rules, now=due)
        if isinstance(decision, Skip):
            return decision
        if isinstance(decision, eligibility.Send):
            if channel in eligibility.CAPPED and not stands.wanted:
                insort(known.received.setdefault(customer, []), (due, channel))
            return Left(due, channel)
        due, held = decision.until, decision.reason
    return Skip(held)


def _standing(known: Reach, customer: int, channel: str, *, at: datetime, expires_at: datetime) -> eligibility.Standing:
    lasts = timedelta(days=known.rules.cap_days)
    sent = known.received.get(customer, [])
    # What the replay sent later counts as well: people are looked at one by one, and no day may end over its cap.
    lately = sent[bisect_right(sent, (at - lasts, "~")) :]
    here = [moment for moment, by in lately if by == channel]
    address = known.addresses[channel].get(customer)
    return eligibility.Standing(
        expires_at=expires_at,
        address=address,
        address_ok=bool(address),
        consent=known.agreed[channel][customer],
        suppressed=(channel, customer) in known.refused,
        bought=False,
        cart_state=None,
        cart_touched_at=None,
        quiet_for=timedelta(0),
        received_lately=len(lately),
        cap_frees_at=lately[0][0] + lasts if lately else None,
        timezone=known.zones[customer],
        channel=channel,
        purpose=known.purpose,
        in_channel=len(here),
        channel_frees_at=here[0] + lasts if here else None,
        left_topic=customer in known.topic_left[channel],
    )
