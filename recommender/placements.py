"""Where slates are shown and how each is made: as data with defaults, that the merchant may change. Pure."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from foundation.errors import Fault, Invalid

SHARES = 10_000
MOST = 100


class Mode(StrEnum):
    """Which products a slate begins with; the best of the others follow while places are left."""

    FOR_YOU = "for_you"  # what the model finds best
    SIMILAR = "similar"  # what is looked at by those who look at this
    TOGETHER = "together"  # what is bought in one basket with this
    DUE = "due"  # what she buys regularly, when it is time
    TRENDING = "trending"  # what many want these days
    WIN_BACK = "win_back"  # what she liked once, for one who stayed away


class Arm(StrEnum):
    """What an experiment shows a customer."""

    MODEL = "model"
    POPULARITY = "popularity"


@dataclass(frozen=True, slots=True)
class Placement:
    """How slates are made at one place.

    `discover` goes from 0 (only what she bought before) over 0.5 (as the model says) to 1 (only what she never bought).
    `diversity` goes from 0 (as ranked) to 1 (no second product of a category while there is another category).
    `rotation` counts the latest slates of this placement whose products wait. Products bought within `bought_days`
    are left out unless people buy them again and again; None shows them. `explore` is the share of places for new
    products. `per_category` and `per_brand` are the most of each, as long as there are others.
    """

    name: str
    mode: Mode
    n: int = 12
    channel: str = "web"
    discover: float = 0.5
    diversity: float = 0.0
    per_category: int | None = None
    per_brand: int | None = None
    rotation: int = 0
    bought_days: int | None = 14
    explore: float = 0.0
    public: bool = False


DEFAULTS: Mapping[str, Placement] = {
    placement.name: placement
    for placement in (
        Placement("home", Mode.FOR_YOU, explore=0.02, public=True),
        Placement("product", Mode.SIMILAR, n=8, public=True),
        Placement("together", Mode.TOGETHER, n=4, public=True),
        Placement("cart", Mode.TOGETHER, n=6, public=True),
        Placement("order", Mode.TOGETHER, n=6, discover=0.75, public=True),
        Placement("buy_again", Mode.DUE, discover=0.0, bought_days=None),
        Placement("trending", Mode.TRENDING, public=True),
        Placement("win_back", Mode.WIN_BACK, n=6, channel="email", rotation=2),
        Placement("email", Mode.FOR_YOU, n=6, channel="email", diversity=0.1, rotation=2, explore=0.02),
        Placement("push", Mode.FOR_YOU, n=1, channel="push", rotation=3),
        Placement("onsite", Mode.FOR_YOU, n=4, channel="onsite", explore=0.02, public=True),
        Placement("store", Mode.FOR_YOU, n=10, channel="store"),
    )
}
"""`store` is for staff at the till; `order` is the page that confirms an order."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """Model against popularity on one placement: `percent` of the customers are shown popularity."""

    id: int
    placement: str
    percent: int


def known(placements: Mapping[str, Placement], name: str) -> Placement:
    """The placement of this name; raises `Invalid` that names those there are."""
    if name not in placements:
        raise Invalid(Fault("/placement", f"is not known; there are: {', '.join(placements)}"))
    return placements[name]


def arm(experiment: Experiment | None, key: str | None) -> Arm | None:
    """What to show: the same for a customer as long as the experiment runs; None without experiment or customer.

    :param key: a stable name of the customer or visitor
    """
    if experiment is None or key is None:
        return None
    digest = hashlib.md5(f"placement:{experiment.id}:{key}".encode(), usedforsecurity=False).hexdigest()
    return Arm.POPULARITY if int(digest[:8], 16) % SHARES < experiment.percent * SHARES / 100 else Arm.MODEL


# ------------------------------------------------------------------------------------------------- as data
_SHARES = ("discover", "diversity", "explore")
_COUNTS: Mapping[str, tuple[int, int, bool]] = {
    "n": (1, MOST, False),
    "per_category": (1, MOST, True),
    "per_brand": (1, MOST, True),
    "rotation": (0, 20, False),
    "bought_days": (1, 3650, True),
}
"""From, to, and whether there may be none."""


def parse(name: str, value: object) -> Placement:
    """Reads what the merchant set of a placement; what is not given stays as it is by default.

    Raises `Invalid` with a fault at each place.
    """
    standard = known(DEFAULTS, name)
    if not isinstance(value, Mapping):
        raise Invalid(Fault("", "must be an object"))
    settable = (*_SHARES, *_COUNTS)
    faults = [Fault(f"/{key}", "is not known") for key in value if key not in settable]
    given: dict[str, Any] = {key: value[key] for key in settable if key in value}
    faults += [fault for key in given for fault in _faults(key, given[key])]
    if faults:
        raise Invalid(*faults)
    given |= {key: float(given[key]) for key in _SHARES if key in given}
    return replace(standard, **given)


def dump(placement: Placement) -> dict[str, Any]:
    """What may be set of it, as JSON; `parse(p.name, dump(p)) == p`."""
    every = asdict(placement)
    return {key: every[key] for key in (field.name for field in fields(Placement)) if key in (*_SHARES, *_COUNTS)}


def _faults(key: str, given: object) -> list[Fault]:
    if key in _SHARES:
        number = isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
        if not number or not 0 <= given <= 1:  # type: ignore[operator]
            return [Fault(f"/{key}", "must be a number from 0 to 1")]
        return []
    low, high, may_be_none = _COUNTS[key]
    if given is None and may_be_none:
        return []
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        return [Fault(f"/{key}", f"must be a whole number from {low} to {high}")]
    return []
