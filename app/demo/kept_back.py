"""Real baskets the demo's import leaves out: the last weeks of who buys seldom, which `past` tells as they were."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from app.demo.purchases import Numbers, Purchases

WEEKS = timedelta(weeks=5)
MOST_BASKETS = 3
"""Who bought more often in these weeks comes back whatever we say, and would prove nothing."""
LEFT_ALONE = 4
"""One household in so many is imported whole, seldom as it buys: fewer people are played faster."""
CURRENCY = "EUR"


@dataclass(frozen=True, slots=True)
class Line:
    """A product of a basket; `price` of one piece, in euros."""

    product_id: str
    quantity: int
    price: float


@dataclass(frozen=True, slots=True)
class Bought:
    """One real basket: where and when it was paid. `store_id` is None for what was ordered by web or app."""

    order_id: str
    household: int
    at: datetime
    channel: str
    store_id: str | None
    lines: tuple[Line, ...]

    @property
    def user_id(self) -> str:
        """The shop's id of the customer."""
        return f"hh-{self.household}"


def choose(now: datetime) -> list[Bought]:
    """The baskets of households that bought seldom in the last weeks, in the order they were paid."""
    bought = Purchases(now, lately=WEEKS)
    baskets, first = np.unique(bought.basket, return_index=True)
    households, counts = np.unique(bought.household[first], return_counts=True)
    seldom = households[(counts <= MOST_BASKETS) & (households % LEFT_ALONE != 0)]
    chosen = np.flatnonzero(np.isin(bought.household, seldom))
    by_basket: dict[int, list[int]] = {}
    for row in chosen.tolist():
        by_basket.setdefault(int(bought.basket[row]), []).append(row)
    return sorted((_one(bought, rows) for rows in by_basket.values()), key=lambda one: (one.at, one.order_id))


def baskets(kept: list[Bought]) -> Numbers:
    """Their numbers, as the import leaves them out."""
    return np.array([int(one.order_id) for one in kept], dtype=np.int64)


def _one(bought: Purchases, rows: list[int]) -> Bought:
    row = rows[0]
    channel = str(bought.channel[row])
    return Bought(
        order_id=str(bought.basket[row]),
        household=int(bought.household[row]),
        at=bought.time[row].astype(datetime).replace(tzinfo=UTC),
        channel=channel,
        store_id=str(bought.store[row]) if channel == "store" else None,
        lines=tuple(
            Line(str(bought.product[each]), int(bought.pieces[each]), float(bought.price[each])) for each in rows
        ),
    )
