"""The states of a message, the moves allowed between them, and the words for why it stopped."""

from enum import StrEnum


class State(StrEnum):
    """Where a message stands. Before `submitting` nothing has left; from `uncertain` on, something may have.

    `held` waits for a decision, a person's or a canary's, where `pending` waits for its time.
    """

    PENDING = "pending"
    HELD = "held"
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
    TOPIC_LEFT = "topic_left"
    SUPPRESSED = "suppressed"
    SILENT = "silent"
    BOUGHT = "bought"
    CART_EMPTIED = "cart_emptied"
    CART_CHANGED = "cart_changed"
    CAP = "cap"
    OUTRANKED = "outranked"
    QUIET_HOURS = "quiet_hours"
    LEFT_JOURNEY = "left_journey"
    WARM_UP = "warm_up"
    HOST_RATE = "host_rate"
    OVERDUE = "overdue"
    SENDING_HELD = "sending_held"
    CANARY = "canary"
    SENT_BEFORE_RESTORE = "sent_before_restore"
    CHANNEL_NOT_CONNECTED = "channel_not_connected"
    CAMPAIGN_PAUSED = "campaign_paused"
    CAMPAIGN_CANCELLED = "campaign_cancelled"
    DUPLICATE_ADDRESS = "duplicate_address"
    TOO_LATE = "too_late"
    DROPPED_BY_OPERATOR = "dropped_by_operator"
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
    # A database restored from a backup may call pending what the send journal knows has left; and what waits to be
    # tried again may prove to have been taken the first time.
    State.PENDING: frozenset({State.CLAIMED, State.HELD, State.EXPIRED, State.CANCELLED, State.UNCERTAIN, *FACTS}),
    State.HELD: frozenset({State.PENDING, State.EXPIRED, State.CANCELLED, State.UNCERTAIN, *FACTS}),
    State.CLAIMED: frozenset(
        {
            *(State.PENDING, State.SUBMITTING, State.UNCERTAIN, *FACTS),
            *(State.SKIPPED, State.FAILED, State.EXPIRED, State.CANCELLED),
        }
    ),
    # Once the intent is committed, only evidence leads anywhere but into doubt: never back by a time-out.
    State.SUBMITTING: frozenset({State.PENDING, State.FAILED, State.UNCERTAIN, *FACTS}),
    # Back to waiting only where the provider recognises what it took, or has told of everything it took since.
    State.UNCERTAIN: frozenset({State.PENDING, State.FAILED, State.UNCONFIRMED, *FACTS}),
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
