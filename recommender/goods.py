"""What the shop says of its products, as arrays by product number: what rules and slates are made with. Pure."""

from dataclasses import dataclass

import numpy as np

from recommender.algorithms.base import DAY, Flags, Floats, Ints

NEW_DAYS = 30
"""A product is new for so long after it came into the catalogue."""


@dataclass(frozen=True, slots=True)
class Goods:
    """The catalogue in numbers: those of the model first, then the products it does not know.

    `categories` and `brands` are places in their names, -1 for none. `prices` are in minor units, -1 if unknown.
    `margins` are shares of the price, NaN if unknown. `created` is in microseconds since 1970.
    """

    product_ids: tuple[str, ...]
    for_sale: Flags
    categories: Ints
    category_names: tuple[str, ...]
    brands: Ints
    brand_names: tuple[str, ...]
    prices: Ints
    margins: Floats
    created: Ints

    def __len__(self) -> int:
        return len(self.product_ids)

    def within(self, category: str) -> Flags:
        """The products of a category path or below it."""
        below = f"{category} >"
        named = [name == category or name.startswith(below) for name in self.category_names]
        return np.append(np.array(named, bool), False)[self.categories]

    def branded(self, brand: str) -> Flags:
        """The products of a brand."""
        return np.append(np.array([name == brand for name in self.brand_names], bool), False)[self.brands]

    def fresh(self, moment: int) -> Ints:
        """The products for sale that are new, by number.

        :param moment: in microseconds since 1970
        """
        return np.flatnonzero(self.for_sale & (self.created > moment - NEW_DAYS * DAY))


def margins(prices: Ints, *, costs: Floats, told: Floats) -> Floats:
    """Margins as shares of the price.

    :param prices: in minor units, -1 if unknown
    :param costs: what a piece costs the shop, in minor units, NaN if unknown: the attribute `cost`
    :param told: the attribute `margin`, a share from 0 to 1, NaN if unknown; it counts where it is given
    """
    known = np.where(prices > 0, prices, np.nan).astype(np.float64)
    return np.where(np.isnan(told), (known - costs) / known, told)
