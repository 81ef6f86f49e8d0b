"""Which arm of a campaign a customer falls in, and which variant of an experiment, by a stable hash. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from campaigns.definitions.steps import Experiment

HOLDOUT = "holdout"
EVERYWHERE = "everywhere"
"""Held out of all marketing, not of one campaign. For each campaign these are controls as well."""
EVERYONE = "everyone"
"""The salt of that share: it does not depend on any campaign."""
TREATED = "treated"
SHARES = 10_000


def share(salt: str, customer_id: int) -> int:
    """The customer's place from 0 to 9,999, the same for ever; `enrolments` computes it in SQL as well."""
    digest = hashlib.md5(f"{salt}:{customer_id}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:8], 16) % SHARES


def assign(salt: str, customer_id: int, *, holdout_percent: float, everywhere_percent: float = 0) -> str:
    """The arm: `everywhere` for that share of all customers, `holdout` for that share of this campaign's, `treated` for
    the others."""
    if share(EVERYONE, customer_id) < everywhere_percent * SHARES / 100:
        return EVERYWHERE
    return HOLDOUT if share(salt, customer_id) < holdout_percent * SHARES / 100 else TREATED


def draw(salt: str, customer_id: int, *, weights: Mapping[str, int]) -> str:
    """One of the names, each as likely as its weight; the same customer always draws the same."""
    point, heap = share(salt, customer_id) * sum(weights.values()), 0
    for name, weight in weights.items():
        heap += weight * SHARES
        if point < heap:
            return name
    raise ValueError("there is nothing to draw from")


def design(step: Experiment) -> str:
    """What an experiment says, in one word: whoever changes a variant begins another experiment."""
    said = step.model_dump_json(exclude={"winner"})
    return hashlib.md5(said.encode(), usedforsecurity=False).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Lift:
    """Buyers among those treated less buyers among those held out, as shares of customers whose window is over.

    The 95 % interval holds however often one looks; the difference is None while it cannot be said.
    """

    treated: int
    treated_buyers: int
    held_out: int
    held_out_buyers: int
    difference: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def conclusive(self) -> bool:
        """True if the interval leaves zero out."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)
