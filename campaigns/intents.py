"""T4, the last-second check and the intent: promises to hand messages over, durable once the caller commits.

One statement for all that a sender hands over together. It looks once more at everything that may have changed since
each message was decided on, and a message whose check fails goes nowhere.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from campaigns import eligibility
from campaigns.moves import Claimed
from campaigns.rules import Policy
from campaigns.states import COUNTED, Reason
from foundation import database
from shop import arrays


@dataclass(frozen=True, slots=True)
class Asked:
    """One message about to be handed over, and what it was decided on: whose it is, and the cart and the moment from
    which an order speaks against it, if any does."""

    message: Claimed
    person: int
    cart_seen_at: datetime | None
    bought_since: datetime | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`attempt` if its intent is committed; else the reason against it. No verdict at all if its lease was lost, or if
    she turned out to be somebody known since it was decided on: once its lease is over it is decided on anew."""

    attempt: int | None
    reason: Reason | None


def commit(
    conn: sa.Connection,
    asked: Sequence[Asked],
    *,
    provider: str,
    probe: bool,
    policy: Policy,
    lease: timedelta,
    now: datetime,
) -> dict[UUID, Verdict]:
    """The promise for each of these, no two of them to one person, or what forbids it.

    One person's intents take turns with each other, so that no two senders exceed a cap together; and all wait for
    whoever is just pausing their campaign, so that none begins once that is answered.
    """
    _take_turns(conn, asked)
    given: dict[str, Any] = {
        "ids": arrays.uuids(one.message.id for one in asked),
        "tokens": arrays.numbers(one.message.lease_token for one in asked),
        "people": arrays.numbers(one.person for one in asked),
        "carts": arrays.times(one.cart_seen_at for one in asked),
        "moments": arrays.times(one.bought_since for one in asked),
        "provider": provider,
        "probe": probe,
        "cap": policy.cap_messages,
        "caps": arrays.texts(policy.channel_caps),
        "cap_numbers": arrays.numbers(policy.channel_caps.values()),
        "since": now - timedelta(days=policy.cap_days),
        "counted": arrays.texts(COUNTED),
        "capped": arrays.texts(eligibility.CAPPED),
        "lease": lease,
        "now": now,
    }
    rows = database.driver(conn).execute(_COMMIT, given).fetchall()
    return {
        message: Verdict(attempt, Reason(reason) if reason is not None else None) for message, attempt, reason in rows
    }


def stop(conn: sa.Connection, campaign_id: int) -> None:
    """Waits until no intent of this campaign is under way, and keeps new ones waiting until the caller commits."""
    conn.execute(sa.text("SELECT pg_advisory_xact_lock(7265, :campaign)"), {"campaign": campaign_id % 2**31})


def wait_for_people(conn: sa.Connection, customer_ids: Iterable[int]) -> None:
    """Waits until no intent for these people is under way, and keeps new ones waiting until the caller commits."""
    turns = {"people": arrays.numbers(sorted({one % 2**31 for one in customer_ids}))}
    database.driver(conn).execute(_PEOPLE, turns)


def _take_turns(conn: sa.Connection, asked: Sequence[Asked]) -> None:
    """Locks in one order everywhere, so that nobody waits in a circle."""
    turns = {"campaigns": arrays.numbers(sorted({one.message.campaign_id % 2**31 for one in asked}))}
    database.driver(conn).execute(_CAMPAIGNS, turns)
    wait_for_people(conn, (one.person for one in asked))


_CAMPAIGNS = "SELECT pg_advisory_xact_lock_shared(7265, n) FROM unnest(%(campaigns)s::int[]) AS n"
_PEOPLE = "SELECT pg_advisory_xact_lock(7264, n) FROM unnest(%(people)s::int[]) AS n"

_HERS = """
    FROM messages AS other
    WHERE other.customer_id = ANY(ARRAY(
            SELECT customers.id FROM customers
            WHERE customers.id = given.person OR customers.merged_into = given.person))
        AND other.id <> message.id AND other.state = ANY(%(counted)s::text[])
"""
"""Other messages that reached her, or may have, under whatever record they were written."""
_RECEIVED = f"""
    SELECT count(*) {_HERS}
        AND coalesce(other.submitted_at, '-infinity') > %(since)s
        AND other.purpose <> 'transactional' AND other.channel = ANY(%(capped)s::text[])
"""
_SAME = f"""
    SELECT {_HERS} AND (other.campaign_id, other.step, other.channel, other.entry_key)
        = (message.campaign_id, message.step, message.channel, message.entry_key)
"""
"""The ledger's keys know an address and a record; who got it at an address she has left, before two records became one,
is found here alone."""
_SAID = """
    SELECT FROM consents WHERE consents.customer_id = given.person AND consents.channel IN (message.channel, 'any')
        AND consents.purpose IN (message.purpose, split_part(message.purpose, '/', 1), 'any')
"""

_COMMIT = f"""
WITH given AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[], %(people)s::bigint[], %(carts)s::timestamptz[],
        %(moments)s::timestamptz[]) AS given (id, token, person, cart_seen_at, bought_since)
), caps AS (
    SELECT * FROM unnest(%(caps)s::text[], %(cap_numbers)s::int[]) AS caps (channel, most)
), checked AS (
    SELECT message.id, CASE
        WHEN EXISTS (SELECT FROM installation WHERE held_since IS NOT NULL) THEN '{Reason.SENDING_HELD}'
        WHEN message.expires_at <= %(now)s THEN '{Reason.TOO_LATE}'
        WHEN campaigns.state <> 'sending' THEN '{Reason.CAMPAIGN_PAUSED}'
        WHEN EXISTS ({_SAID} AND consents.state = 'denied' AND (consents.purpose <> message.purpose
            OR strpos(message.purpose, '/') = 0)) THEN '{Reason.UNSUBSCRIBED}'
        WHEN EXISTS ({_SAID} AND consents.state = 'denied') THEN '{Reason.TOPIC_LEFT}'
        WHEN EXISTS (SELECT FROM suppressions WHERE suppressions.channel = message.channel
            AND suppressions.address_hash = message.address_hash
            AND (suppressions.reason <> 'unsubscribed' OR message.purpose <> 'transactional'))
            THEN '{Reason.SUPPRESSED}'
        WHEN message.purpose <> 'transactional' AND message.channel <> 'onsite'
            AND NOT EXISTS ({_SAID} AND consents.state = 'granted')
            THEN '{Reason.NO_CONSENT}'
        WHEN carts.state = 'ordered' OR EXISTS (SELECT FROM orders WHERE orders.customer_id = given.person
            AND orders.ordered_at > given.bought_since AND orders.state <> 'cancelled') THEN '{Reason.BOUGHT}'
        WHEN enrolments.state = 'left' AND enrolments.reason IN ('converted', 'emptied') THEN '{Reason.LEFT_JOURNEY}'
        WHEN carts.state <> 'open' THEN '{Reason.CART_EMPTIED}'
        WHEN carts.touched_at > given.cart_seen_at THEN '{Reason.CART_CHANGED}'
        WHEN EXISTS ({_SAME}) THEN '{Reason.DUPLICATE_ADDRESS}'
        WHEN message.purpose <> 'transactional' AND message.channel = ANY(%(capped)s::text[])
            AND (({_RECEIVED}) >= %(cap)s OR ({_RECEIVED} AND other.channel = message.channel) >= caps.most)
            THEN '{Reason.CAP}'
        WHEN NOT %(probe)s AND EXISTS (SELECT FROM provider_gates WHERE provider_gates.provider = %(provider)s
            AND (provider_gates.breaker <> 'closed' OR provider_gates.blocked_until > %(now)s))
            THEN '{Reason.PROVIDER_DOWN}'
        END AS reason
    FROM given
        JOIN messages AS message ON message.id = given.id AND message.lease_token = given.token
            AND message.state || '' = 'claimed'
        JOIN customers AS person ON person.id = given.person AND person.merged_into IS NULL
        JOIN campaigns ON campaigns.id = message.campaign_id
        LEFT JOIN carts ON carts.id = message.cart_ref
        LEFT JOIN enrolments ON enrolments.id = message.enrolment_id
        LEFT JOIN caps ON caps.channel = message.channel
), meant AS (
    UPDATE messages SET state = 'submitting', attempt = messages.attempt + 1, submitted_at = %(now)s,
        lease_until = clock_timestamp() + %(lease)s::interval, provider = %(provider)s, reason = NULL, detail = NULL
    FROM given JOIN checked USING (id)
    WHERE messages.id = given.id AND checked.reason IS NULL AND messages.state || '' = 'claimed'
        AND messages.lease_token = given.token
    RETURNING messages.id, messages.attempt
), written AS (
    INSERT INTO attempts (message_id, n, started_at) SELECT id, attempt, %(now)s FROM meant
)
SELECT checked.id, meant.attempt, checked.reason FROM checked LEFT JOIN meant USING (id)
"""
"""What is asked of states and times is written as no index has it. While a broadcast goes, the planner still believes
that hardly anything was submitted, and would look through all of it for each message; and the index of leases is full
of what just left it. So messages are found by their ids, and people's by theirs."""
