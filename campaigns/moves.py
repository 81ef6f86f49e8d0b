"""The moves of messages, each one a compare-and-set UPDATE of a whole batch that a single worker can win.

Leases are counted by the clock of the database alone; what the merchant's world sees (due, too late) by `now`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from campaigns import frozen, tables
from campaigns.channels.base import Outcome, Receipt
from campaigns.states import NOT_SENT, SENT, Reason, State, before
from foundation import database
from shop import arrays

messages, attempts, gates = tables.messages, tables.attempts, tables.provider_gates

CONFIRMABLE = timedelta(hours=25)
"""Providers repeat their reports for 24 hours; after that an uncertain message stays unconfirmed."""
UNHEARD = timedelta(hours=72)
"""So long at most while none of their reports reaches us."""
MOST_REFUSALS = 8
HANDED = (State.SUBMITTING, State.UNCERTAIN, State.UNCONFIRMED)
"""Where a message can be when the answer to its hand-over comes."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message this worker holds, as long as its lease token stands. `reason` is why it waited before."""

    id: UUID
    campaign_id: int
    version: int
    step: str
    channel: str
    purpose: str
    customer_id: int
    entry_key: str
    cart_ref: int | None
    attempt: int
    lease_token: int
    expires_at: datetime
    queued_at: datetime
    reason: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a claimed message that does not go out now."""

    message: Claimed
    state: State
    reason: Reason
    detail: str | None = None
    not_before: datetime | None = None


def claim(
    conn: sa.Connection, *, channel: str, owner: str, lease: timedelta, limit: int, late: timedelta, now: datetime
) -> list[Claimed]:
    """T1: takes due messages of campaigns that are sending, in the order they are to go: what was asked for first,
    then by priority.

    What should have gone out more than `late` ago is left to somebody's decision. A campaign whose canary is out gives
    no more than that.
    """
    given = {"channel": channel, "owner": owner, "lease": lease, "limit": limit, "late": now - late, "now": now}
    return [Claimed(*row) for row in conn.execute(_CLAIM, given)]


_CLAIM = sa.text(
    """
WITH open AS (
    SELECT id, :limit AS places FROM campaigns WHERE state = 'sending' AND canary_left IS NULL
), canaries AS MATERIALIZED (
    SELECT id, canary_left AS places FROM campaigns WHERE state = 'sending' AND canary_left > 0
    FOR UPDATE SKIP LOCKED
), due AS MATERIALIZED (
    SELECT found.id, running.id AS campaign_id FROM (SELECT * FROM open UNION ALL SELECT * FROM canaries) AS running
    CROSS JOIN LATERAL (
        SELECT id, purpose, priority, not_before FROM messages
        WHERE messages.campaign_id = running.id AND channel = :channel AND state = 'pending' AND not_before <= :now
            AND expires_at > :now AND (not_before > :late OR purpose = 'transactional')
        ORDER BY not_before LIMIT least(:limit, running.places)
        FOR UPDATE SKIP LOCKED
    ) AS found
    ORDER BY found.purpose = 'transactional' DESC, found.priority DESC, found.not_before LIMIT :limit
), counted AS (
    UPDATE campaigns SET canary_left = canary_left - taken.n
    FROM (SELECT campaign_id, count(*)::int AS n FROM due GROUP BY campaign_id) AS taken
    WHERE campaigns.id = taken.campaign_id AND canary_left IS NOT NULL
), claimed AS (
    UPDATE messages SET state = 'claimed', lease_token = lease_token + 1, lease_owner = :owner,
        lease_until = clock_timestamp() + :lease
    WHERE id = ANY(ARRAY(SELECT id FROM due)) RETURNING *
)
SELECT COLUMNS FROM claimed ORDER BY purpose = 'transactional' DESC, priority DESC, not_before
""".replace("COLUMNS", ", ".join(Claimed.__slots__))
).bindparams(sa.bindparam("lease", type_=sa.Interval), sa.bindparam("limit", type_=sa.Integer))


def change(conn: sa.Connection, changes: Sequence[Change], *, now: datetime) -> None:
    """T2, and back to waiting: skipped, failed, expired, or pending until later. Lost leases change nothing."""
    if not changes:
        return
    given = {
        "ids": arrays.uuids(one.message.id for one in changes),
        "tokens": arrays.numbers(one.message.lease_token for one in changes),
        "states": arrays.texts(one.state for one in changes),
        "reasons": arrays.texts(one.reason for one in changes),
        "details": arrays.texts(clean(one.detail) if one.detail else None for one in changes),
        "moments": arrays.times(one.not_before for one in changes),
        "now": now,
    }
    database.driver(conn).execute(_CHANGE, given)


_CHANGE = """
UPDATE messages SET state = given.state, reason = given.reason, detail = given.detail, lease_until = NULL,
    not_before = coalesce(given.moment, not_before),
    resolved_at = CASE WHEN given.state <> 'pending' THEN %(now)s::timestamptz END,
    resolved_by = CASE WHEN given.state <> 'pending' THEN 'worker' END
FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[], %(states)s::text[], %(reasons)s::text[], %(details)s::text[],
    %(moments)s::timestamptz[]) AS given (id, token, state, reason, detail, moment)
WHERE messages.id = given.id AND messages.lease_token = given.token AND messages.state || '' = 'claimed'
"""
"""By id, as all that follows: the index of what is leased is full of what just left it, so the state is written as that
index has it not."""


def freeze(conn: sa.Connection, made: Mapping[UUID, tuple[Claimed, bytes, Mapping[str, Any]]]) -> set[UUID]:
    """Keeps what will be sent: of each message its address's hash and its content. Gives the ids of those kept: whose
    lease still stands, while no other profile of this mailbox has the same step."""
    if not made:
        return set()
    alone: dict[tuple[object, ...], UUID] = {}
    for key, (message, hashed, _) in made.items():
        alone.setdefault((message.campaign_id, message.step, message.channel, message.entry_key, hashed), key)
    chosen = [made[key] for key in alone.values()]
    contents = [content for _, _, content in chosen]
    given = {
        "ids": arrays.uuids(message.id for message, _, _ in chosen),
        "tokens": arrays.numbers(message.lease_token for message, _, _ in chosen),
        "hashes": [hashed for _, hashed, _ in chosen],
        "payloads": [content["payload_hash"] for content in contents],
        "headers": arrays.jsons(content["headers"] for content in contents),
        "links": arrays.jsons(content["links"] for content in contents),
        "slates": arrays.texts(str(slate) if (slate := content["slate_id"]) else None for content in contents),
        "moments": arrays.times(content["rendered_at"] for content in contents),
        **{name: arrays.texts(content[name] for content in contents) for name in _TEXTS},
        # What is long goes as it is: to escape and to read it as an array's text would take longer than to keep it.
        **frozen.columns([content["body"] for content in contents]),
    }
    frozen.keep(conn, frozen.shared(content["body"] for content in contents))
    turns = {"turns": arrays.numbers(sorted({int.from_bytes(hashed[:4]) >> 1 for _, hashed, _ in chosen}))}
    database.driver(conn).execute(_TURNS, turns)
    return {row[0] for row in database.driver(conn).execute(_FREEZE, given).fetchall()}


_TURNS = "SELECT pg_advisory_xact_lock(7270, n) FROM unnest(%(turns)s::int[]) AS n"
"""Two who freeze for one mailbox at the same moment take turns, in one order everywhere: the second sees the first."""

_TEXTS = ("address", "sender", "subject", "promo_code")
_FREEZE = """
WITH given AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(tokens)s::bigint[], %(hashes)b::bytea[], %(payloads)b::bytea[],
        %(address)s::text[], %(sender)s::text[], %(subject)s::text[], %(html)b::text[], %(text)b::text[],
        %(forms)b::bytea[], %(own)b::bytea[], %(headers)s::text[], %(links)s::text[], %(promo_code)s::text[],
        %(slates)s::text[], %(moments)s::timestamptz[])
        AS given (id, token, hash, payload, address, sender, subject, html, text, form, own, headers, links, promo_code,
            slate_id, rendered_at)
), kept AS (
    UPDATE messages SET address_hash = given.hash, payload_hash = given.payload FROM given
    WHERE messages.id = given.id AND messages.lease_token = given.token AND messages.state || '' = 'claimed'
        AND NOT EXISTS (
            SELECT FROM messages AS other
            WHERE (other.campaign_id, other.step, other.channel, other.entry_key, other.address_hash)
                = (messages.campaign_id, messages.step, messages.channel, messages.entry_key, given.hash)
                AND other.id <> messages.id OFFSET 0)
    RETURNING messages.id
)
INSERT INTO message_contents (message_id, address, sender, subject, html, text, form, own, headers, links, promo_code,
    slate_id, rendered_at)
SELECT given.id, address, sender, subject, html, text, form, own, headers::jsonb, links::jsonb, promo_code,
    slate_id::uuid, rendered_at
FROM given JOIN kept USING (id)
ON CONFLICT (message_id) DO UPDATE SET address = excluded.address, sender = excluded.sender,
    subject = excluded.subject, html = excluded.html, text = excluded.text, form = excluded.form, own = excluded.own,
    headers = excluded.headers, links = excluded.links, promo_code = excluded.promo_code, slate_id = excluded.slate_id,
    rendered_at = excluded.rendered_at
RETURNING message_id
"""


# ---------------------------------------------------------------------------------------------- the answer
def record(conn: sa.Connection, answers: Sequence[tuple[Receipt, int, datetime]], *, now: datetime) -> None:
    """T5, T6, T7, T9: what the provider said, `now`, of these attempts, and not before when each may be tried again.

    A report that came first is not taken back.
    """
    told = [(receipt, attempt, again, _answer(receipt)) for receipt, attempt, again in answers]
    given = {
        "ids": arrays.uuids(receipt.message_id for receipt, _, _, _ in told),
        "attempts": arrays.numbers(attempt for _, attempt, _, _ in told),
        "states": arrays.texts(state for _, _, _, (state, _) in told),
        "reasons": arrays.texts(reason for _, _, _, (_, reason) in told),
        "outcomes": arrays.texts(receipt.outcome for receipt, _, _, _ in told),
        "details": arrays.texts(clean(receipt.detail) for receipt, _, _, _ in told),
        "refs": arrays.texts(receipt.provider_ref for receipt, _, _, _ in told),
        "codes": arrays.numbers(receipt.code for receipt, _, _, _ in told),
        "requests": arrays.texts(clean(receipt.request_id or "") or None for receipt, _, _, _ in told),
        "moments": arrays.times(again for _, _, again, _ in told),
        "counts": arrays.numbers(
            int(receipt.outcome is Outcome.REFUSED_RETRY and not receipt.busy) for receipt, _, _, _ in told
        ),
        "from": arrays.texts(_from()),
        "now": now,
    }
    database.driver(conn).execute(_RECORD, given)


_RECORD = """
WITH given AS (
    SELECT * FROM unnest(%(ids)s::uuid[], %(attempts)s::int[], %(states)s::text[], %(reasons)s::text[],
        %(outcomes)s::text[], %(details)s::text[], %(refs)s::text[], %(moments)s::timestamptz[], %(counts)s::int[],
        %(codes)s::int[], %(requests)s::text[])
        AS given (id, attempt, state, reason, outcome, detail, ref, moment, counts, code, request_id)
), told AS (
    UPDATE attempts SET ended_at = %(now)s, outcome = given.outcome, detail = given.detail, code = given.code,
        request_id = given.request_id
    FROM given WHERE attempts.message_id = given.id AND attempts.n = given.attempt
)
UPDATE messages SET state = given.state, reason = given.reason, lease_until = NULL,
    detail = CASE WHEN given.state <> 'accepted' THEN given.detail END,
    refusals = refusals + given.counts,
    not_before = CASE WHEN given.state = 'pending' THEN given.moment ELSE not_before END,
    provider_ref = coalesce(given.ref, provider_ref),
    accepted_at = CASE WHEN given.state = 'accepted' THEN %(now)s ELSE accepted_at END,
    resolved_at = CASE WHEN given.state IN ('accepted', 'failed') THEN %(now)s ELSE resolved_at END,
    resolved_by = CASE WHEN given.state IN ('accepted', 'failed') THEN 'reply' ELSE resolved_by END,
    settled_at = CASE WHEN messages.state <> 'unconfirmed' THEN settled_at END
FROM given
WHERE messages.id = given.id AND messages.attempt = given.attempt
    AND messages.state || '>' || given.state = ANY(%(from)s::text[])
"""


def _from() -> list[str]:
    """Every move an answer may bring about."""
    targets = (State.ACCEPTED, State.FAILED, State.PENDING, State.UNCERTAIN)
    return [f"{origin}>{target}" for target in targets for origin in before(target) if origin in HANDED]


def _answer(receipt: Receipt) -> tuple[State, Reason | None]:
    match receipt.outcome:
        case Outcome.ACCEPTED:
            return State.ACCEPTED, None
        case Outcome.REFUSED_FINAL:
            return State.FAILED, Reason.REFUSED
        case Outcome.AMBIGUOUS:
            return State.UNCERTAIN, Reason.NO_ANSWER
        case Outcome.MISCONFIGURED:
            return State.PENDING, Reason.PROVIDER_MISCONFIGURED
        case Outcome.UNSENT:
            return State.PENDING, Reason.PROVIDER_DOWN
        case Outcome.REFUSED_RETRY:
            return State.PENDING, Reason.PROVIDER_BUSY


def clean(text: str) -> str:
    """Other people's words, as PostgreSQL can keep them."""
    return text.replace("\0", "").encode(errors="replace").decode()[:500]


# ------------------------------------------------------------------------------------------------ sweeping
def reopen(conn: sa.Connection) -> int:
    """T3: messages whose worker died before the intent wait again."""
    lost = (messages.c.state == State.CLAIMED) & (messages.c.lease_until < sa.func.clock_timestamp())
    return conn.execute(sa.update(messages).where(lost).values(state=State.PENDING, lease_until=None)).rowcount


def doubt(conn: sa.Connection) -> int:
    """T9: messages whose worker died after the intent may or may not have left."""
    lost = (messages.c.state == State.SUBMITTING) & (messages.c.lease_until < sa.func.clock_timestamp())
    values = {"state": State.UNCERTAIN, "reason": Reason.WORKER_LOST, "lease_until": None}
    return conn.execute(sa.update(messages).where(lost).values(values)).rowcount


def give_up(conn: sa.Connection, telling: Collection[str], *, now: datetime) -> int:
    """T11: nobody can confirm these any more; a late report still may.

    While a provider of those `telling` has reported on nothing handed over later, it may be we who do not hear.
    """
    later = (gates.c.provider == messages.c.provider) & (gates.c.heard_until > messages.c.submitted_at)
    heard = messages.c.provider.not_in(telling) | sa.exists().where(later)
    over = heard | (messages.c.submitted_at < now - UNHEARD)
    old = (messages.c.state == State.UNCERTAIN) & (messages.c.submitted_at < now - CONFIRMABLE) & over
    values = {"state": State.UNCONFIRMED, "resolved_at": now, "resolved_by": "deadline"}
    return conn.execute(sa.update(messages).where(old).values(values)).rowcount


def expire(conn: sa.Connection, *, now: datetime) -> int:
    """T12: too late to be welcome; or refused too often."""
    worn = messages.c.refusals >= MOST_REFUSALS
    over = messages.c.state.in_((State.PENDING, State.HELD)) & ((messages.c.expires_at <= now) | worn)
    values = {
        "state": State.EXPIRED,
        "detail": sa.func.coalesce(messages.c.reason, messages.c.detail),
        "reason": sa.case((worn, Reason.RETRIES_EXHAUSTED.value), else_=Reason.TOO_LATE.value),
        "resolved_at": now,
        "resolved_by": "deadline",
    }
    return conn.execute(sa.update(messages).where(over).values(values)).rowcount


def unsettled(conn: sa.Connection, *, limit: int) -> Sequence[sa.RowMapping]:
    """Messages that came to an end whose consequences are still to be drawn; locked for the caller."""
    ended = (messages.c.resolved_at.is_not(None)) & (messages.c.settled_at.is_(None))
    query = sa.select(*_ENDED).where(ended).order_by(messages.c.resolved_at).limit(limit)
    return conn.execute(query.with_for_update(skip_locked=True)).mappings().all()


_ENDED = [
    *(messages.c.id, messages.c.state, messages.c.resends, messages.c.accepted_at, messages.c.resolved_at),
    *(messages.c.customer_id, messages.c.campaign_id, messages.c.step, messages.c.channel),
]
"""What their consequences depend on."""


def settle(conn: sa.Connection, ids: Sequence[UUID], *, now: datetime) -> None:
    """Their consequences are drawn, in this same transaction."""
    chosen = messages.c.id == sa.any_(sa.bindparam("ids", list(ids), postgresql.ARRAY(postgresql.UUID)))
    conn.execute(sa.update(messages).where(chosen).values(settled_at=now))


def was_sent(state: str) -> bool:
    """Whether the customer was reached, as far as is known."""
    return state in SENT and state != State.DROPPED


def never_left(row: sa.RowMapping) -> bool:
    """Whether it is certain that the customer got nothing by this row of the ledger: what was once in doubt and came
    to nothing the second time may have reached her the first."""
    return row["state"] in NOT_SENT and not row["resends"] or row["state"] == State.DROPPED
