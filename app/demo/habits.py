"""What the demo's customers did in the weeks before today, drawn the same for the same household each time. Pure.

The baskets are real. Invented is what leads to them: who looked at what before, who left a basket on the site a day or
two before she paid it, who reads which message, and that some of those who left a basket would not have come back
unless reminded. Those alone make the difference the campaigns' reports find.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from app.demo.kept_back import Bought
from campaigns import experiments
from shop.vocabulary import Name

FORGETFUL = 0.45
"""Of those who left a basket, the share that needs a reminder to come back."""
LEFT_BEFORE = (20.0, 66.0)
"""Hours from a basket left to the order it would become."""
LOOKED_FIRST = 0.4
MOST_LEFT = 5
USES_CODE, TRIES_AGAIN = 0.6, 0.04
"""The share that pays what she left with her code, and any other basket."""
BY_MACHINE = 0.03


def chance(who: object, what: str) -> float:
    """A number from 0 up to 1 that looks random and is always the same."""
    return experiments.share(f"demo:{what}:{who}", 0) / experiments.SHARES


@dataclass(frozen=True, slots=True)
class Cart:
    """A basket left on the site, and the order it may become. `forgotten`: it becomes none unless she is reminded."""

    cart_id: str
    left_at: datetime
    bought: Bought
    forgotten: bool


def carts(kept: Iterable[Bought], *, since: datetime, until: datetime) -> list[Cart]:
    """One basket a household at most, left between these moments."""
    found: dict[int, Cart] = {}
    for one in kept:
        least, most = LEFT_BEFORE
        left_at = one.at - timedelta(hours=least + (most - least) * chance(one.order_id, "left"))
        if since <= left_at < until and one.household not in found:
            forgotten = chance(one.order_id, "forgotten") < FORGETFUL
            found[one.household] = Cart(f"demo-{one.order_id}", left_at, one, forgotten)
    return sorted(found.values(), key=lambda cart: (cart.left_at, cart.cart_id))


def looked_at(kept: Iterable[Bought], *, since: datetime) -> Iterator[tuple[datetime, Bought, str]]:
    """Who looked at something on the site or in the app a while before she bought it: when, and by which channel."""
    for one in kept:
        if chance(one.order_id, "looked") < LOOKED_FIRST:
            at = one.at - timedelta(hours=2 + 70 * chance(one.order_id, "looked at"))
            if at >= since:
                yield at, one, "app" if chance(one.household, "app") < 0.25 else "web"


# ------------------------------------------------------------------------------------------------- messages
class Doing(StrEnum):
    """What becomes of a message once it arrived."""

    NOTHING = "nothing"
    CLICK = "click"
    SCAN = "scan"
    BOUNCE = "bounce"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Reaction:
    """What she does with a message, and how long after it left."""

    doing: Doing
    after: timedelta


CLICKED: Mapping[str, float] = {
    "reminder": 0.38,
    "code": 0.4,
    "taste": 0.26,
    "text": 0.32,
    "season": 0.13,
    "name": 0.2,
    "we-miss-you": 0.12,
    "come-back": 0.18,
}
"""The share of people who follow a link, by step."""
BOUNCED, LEFT = 0.012, 0.006


def reaction(household: str, step: str, channel: str, nth: int) -> Reaction:
    """What a household does with the message of a step; `nth` tells apart those she gets of it week after week."""
    key, drawn = f"{step}:{nth}", chance(household, f"{step}:{nth}")
    seen = timedelta(minutes=3 + 9 * 60 * chance(household, f"{key}:after") ** 3)
    if channel == "email" and chance(household, "mailbox") < BOUNCED:
        return Reaction(Doing.BOUNCE, timedelta(minutes=1))
    if channel == "email" and chance(household, f"{key}:machine") < BY_MACHINE:
        return Reaction(Doing.SCAN, timedelta(seconds=1))
    if drawn < CLICKED.get(step, 0):
        return Reaction(Doing.CLICK, seen)
    return Reaction(Doing.LEAVE if drawn > 1 - LEFT else Doing.NOTHING, seen)


# ----------------------------------------------------------------------------------------------- afterwards
AFTERWARDS = (
    ("review", Name.PRODUCT_REVIEWED, 4),
    ("share", Name.PRODUCT_SHARED, 2),
    ("return", Name.ORDER_REFUNDED, 3),
)
"""What may follow a basket, by which event, after how many days."""
SHARES = {"review": 0.05, "share": 0.02, "return": 0.02}


def follows(bought: Bought, what: str) -> bool:
    """Whether it does."""
    return chance(bought.order_id, what) < SHARES[what]
