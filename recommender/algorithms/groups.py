"""Lists of the most wanted, a list a group, as kept by the algorithms that go by category, store or channel. Pure."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from recommender.algorithms import base
from recommender.algorithms.base import Arrays, Candidates, Flags, Floats, Ints


@dataclass(frozen=True, slots=True)
class Lists:
    """Group g wants `products[starts[g]:starts[g + 1]]`, with their shares of its most wanted one's."""

    starts: Ints
    products: NDArray[np.int32]
    shares: NDArray[np.float32]

    @classmethod
    def of(cls, groups: Ints, products: Ints, weights: Floats, *, span: int, kept: int) -> Self:
        """From weighed rows of group and product; a row of no group (-1) is left out.

        :param span: greater than every product
        """
        there = groups >= 0
        pairs, sums = base.summed(groups[there], products[there], weights[there], span=max(span, 1))
        count = int(groups.max(initial=-1)) + 1
        best = base.best(pairs // max(span, 1), np.arange(len(pairs)), sums, count=count, size=kept)
        most = np.repeat(
            best.scores[best.starts[:-1][np.diff(best.starts) > 0]], np.diff(best.starts)[np.diff(best.starts) > 0]
        )
        return cls(
            best.starts, (pairs[best.products] % max(span, 1)).astype(np.int32), (best.scores / most).astype(np.float32)
        )

    def candidates(
        self, rows: Ints, groups: Ints, weights: Floats, *, span: int, count: int, size: int, within: Flags | None
    ) -> Candidates:
        """What the weighed groups of each request want."""
        known = (groups >= 0) & (groups < len(self.starts) - 1)
        rows, groups, weights = rows[known], groups[known], weights[known]
        places, owner = base.runs(self.starts, groups)
        scores = weights[owner] * self.shares[places]
        products = self.products[places].astype(np.int64)
        return base.best_sums(rows[owner], products, scores, span=max(span, 1), count=count, size=size, within=within)

    def of_group(self, group: int) -> NDArray[np.int32]:
        """The products of one group, most wanted first; none of a group nothing is known of."""
        return (
            self.products[slice(*self.starts[group : group + 2])] if group < len(self.starts) - 1 else self.products[:0]
        )

    def arrays(self) -> Arrays:
        """The lists as plain arrays."""
        return {"starts": self.starts, "products": self.products, "shares": self.shares}

    @classmethod
    def load(cls, arrays: Arrays) -> Self:
        """The lists whose `arrays()` these are."""
        return cls(arrays["starts"], arrays["products"], arrays["shares"])
