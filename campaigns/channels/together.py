"""Several calls to one provider at once, until one of them shows that no other should begin."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import TypeVar

from campaigns.channels.base import Mail, Note, Outcome, Receipt

T = TypeVar("T")
KEPT_BACK = "not begun: another message of the same moment showed that the provider takes none now"


def spread(
    hands: Executor,
    work: Callable[[T], Sequence[Receipt]],
    calls: Sequence[T],
    *,
    parcels: Callable[[T], Sequence[Mail | Note]],
    after: Sequence[Receipt] = (),
) -> list[Receipt]:
    """The receipts of all calls, in their order; `parcels` are those a call carries, `after` what the provider said of
    others of the same batch before.

    Whoever is silent, refuses us or asks for time is not called again: what was on its way is all that can be in
    doubt, and the worker is free as soon as that is over.
    """
    halted = threading.Event()
    if any(map(_halts, after)):
        halted.set()

    def one(call: T) -> Sequence[Receipt]:
        if halted.is_set():
            return [Receipt(parcel.message_id, Outcome.UNSENT, KEPT_BACK) for parcel in parcels(call)]
        receipts = work(call)
        if any(map(_halts, receipts)):
            halted.set()
        return receipts

    answered = map(one, calls) if len(calls) == 1 else hands.map(one, calls)
    return [receipt for receipts in answered for receipt in receipts]


def _halts(receipt: Receipt) -> bool:
    return receipt.busy or receipt.outcome in (Outcome.AMBIGUOUS, Outcome.MISCONFIGURED)
