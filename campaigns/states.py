"""The states of a message, the moves allowed between them, and the words for why it stopped."""

from enum import StrEnum


class State(StrEnum):
    """Where a message stands. Before `submitting` nothing has left; from `uncertain` on, something may have."""

    PENDING = "pending"
    CLAIMED = "claimed"
    SUBMITTING = "submitting"
    ACCEPTED = "accepted"
    UNCERTAIN = "uncertain"
    UNCONFIRMED = "unconfirmed"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    DROPPED = "dropped"
    COMPLAINED = "complained"
    SKIPPED = "skipped"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Reason(StrEnum):
    """Why a message waits, or why it never left. Stable words, shown in the console as they are."""

    NO_ADDRESS = "no_address"
    BAD_ADDRESS = "bad_address"
    NO_CONSENT = "no_consent"
    UNSUBSCRIBED = "unsubscribed"
    SUPPRESSED = "suppressed"
    BOUGHT = "bought"
    CART_EMPTIED = "cart_emptied"
    CART_CHANGED = "cart_changed"
    CAP = "cap"
    QUIET_HOURS = "quiet_hours"
    CHANNEL_NOT_CONNECTED = "channel_not_connected"
    CAMPAIGN_PAUSED = "campaign_paused"
    CAMPAIGN_CANCELLED = "campaign_cancelled"
    DUPLICATE_ADDRESS = "duplicate_address"
    TOO_LATE = "too_late"
    CONTENT = "content"
    NO_CODE = "no_code"
    REFUSED = "refused"
    RETRIES_EXHAUSTED = "retries_exhausted"
    PROVIDER_BUSY = "provider_busy"
    PROVIDER_DOWN = "provider_down"
    PROVIDER_MISCONFIGURED = "provider_misconfigured"
    NO_ANSWER = "no_answer"
    WORKER_LOST = "worker_lost"
    HARD_BOUNCE = "hard_bounce"
    SOFT_BOUNCE = "soft_bounce"
    COMPLAINT = "complaint"


FACTS = (State.ACCEPTED, State.DELIVERED, State.DROPPED, State.BOUNCED, State.COMPLAINED)
"""What a provider can prove, weakest first. A later report never takes back a stronger one."""

MOVES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.CLAIMED, State.EXPIRED, State.CANCELLED}),
    State.CLAIMED: frozenset(
        {State.PENDING, State.SUBMITTING, State.SKIPPED, State.FAILED, State.EXPIRED, State.CANCELLED}
    ),
    # Once the intent is committed, only evidence leads anywhere but into doubt: never back by a time-out.
    State.SUBMITTING: frozenset({State.PENDING, State.FAILED, State.UNCERTAIN, *FACTS}),
    State.UNCERTAIN: frozenset({State.UNCONFIRMED, *FACTS}),
    State.UNCONFIRMED: frozenset(FACTS),
    **{fact: frozenset(FACTS[rank + 1 :]) for rank, fact in enumerate(FACTS)},
    **{end: frozenset() for end in (State.SKIPPED, State.FAILED, State.EXPIRED, State.CANCELLED)},
}

NOT_SENT = (State.SKIPPED, State.FAILED, State.EXPIRED, State.CANCELLED)
"""Ends in which the customer got nothing."""

SENT = FACTS
"""The provider took it."""

COUNTED = (State.SUBMITTING, State.UNCERTAIN, State.UNCONFIRMED, *FACTS)
"""States that use up a place under the frequency cap: the customer got it, or may have."""


def before(state: State) -> tuple[State, ...]:
    """Every state from which a message may move to `state`: the WHERE of each UPDATE."""
    return tuple(origin for origin, targets in MOVES.items() if state in targets)
