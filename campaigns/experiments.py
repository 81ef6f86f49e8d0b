"""Which arm of a campaign a customer falls in, by a stable hash; and what the holdout says was caused."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from foundation import intervals

HOLDOUT = "holdout"
TREATED = "treated"
SHARES = 10_000


def share(salt: str, customer_id: int) -> int:
    """The customer's place from 0 to 9,999, the same for ever; `enrolments` computes it in SQL as well."""
    digest = hashlib.md5(f"{salt}:{customer_id}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) % SHARES


def assign(salt: str, customer_id: int, *, holdout_percent: float) -> str:
    """The arm: `holdout` for that share of customers, `treated` for the others."""
    return HOLDOUT if share(salt, customer_id) < holdout_percent * SHARES / 100 else TREATED


def draw(salt: str, customer_id: int, *, weights: Mapping[str, int]) -> str:
    """One of the names, each as likely as its weight; the same customer always draws the same."""
    point, heap = share(salt, customer_id) * sum(weights.values()), 0
    for name, weight in weights.items():
        heap += weight * SHARES
        if point < heap:
            return name
    raise ValueError("there is nothing to draw from")


@dataclass(frozen=True, slots=True)
class Lift:
    """Orders per enrolled customer, treated minus held out, with its 95 % interval; None while it cannot be said."""

    treated: int
    treated_buyers: int
    held_out: int
    held_out_buyers: int
    difference: float | None
    low: float | None
    high: float | None

    @property
    def conclusive(self) -> bool:
        """True if the interval leaves zero out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def lift(*, treated: int, treated_buyers: int, held_out: int, held_out_buyers: int) -> Lift:
    """Newcombe's interval for the difference of two shares: sound for small groups, where Wald's is not."""
    gap = intervals.shares_apart(intervals.share(treated_buyers, treated), intervals.share(held_out_buyers, held_out))
    figures = (gap.value, gap.low, gap.high) if gap else (None, None, None)
    return Lift(treated, treated_buyers, held_out, held_out_buyers, *figures)
