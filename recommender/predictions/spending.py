"""What a customer spends on a day she orders: the gamma-gamma distribution, fitted to all and asked for each.

Her own amounts vary around a mean of hers, and the means vary among customers; the fewer her orders, the more is
borrowed from the others. Source: Fader, Hardie and Lee, "RFM and CLV", Journal of Marketing Research 42(4), 2005.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

from recommender.predictions.lifetime import CLOSE, Floats

BOUNDS = ((-9.0, 9.0), (0.05, 9.0), (-9.0, 9.0))
"""Of each parameter's logarithm, with the mean amount as unit. A `q` of at most 1 would have no mean."""


@dataclass(frozen=True, slots=True)
class Spending:
    """The three parameters: amounts are gamma of shape `p`, their rates gamma of shape `q` and rate `gamma`, which is
    in the unit of the amounts."""

    p: float
    q: float
    gamma: float

    def expected(self, times: Floats, mean: Floats) -> Floats:
        """What each will spend on a day with an order, having spent `mean` on each of so many."""
        return self.p * (self.gamma + times * mean) / (self.p * times + self.q - 1)


def fit(times: Floats, mean: Floats) -> Spending:
    """The parameters under which these means are likeliest; all must be positive, of at least one order day."""
    unit = float(mean.mean())
    scaled = mean / unit

    def cost(logs: Floats) -> tuple[float, Floats]:
        given = Spending(*np.exp(logs).tolist())
        value, gradient = _value_and_gradient(given, times, scaled)
        return -value / len(times), -gradient * np.exp(logs) / len(times)

    found = minimize(cost, np.array([0.5, 1.0, 0.5]), jac=True, method="L-BFGS-B", bounds=BOUNDS,
                     options=CLOSE)  # fmt: skip
    p, q, gamma = np.exp(found.x).tolist()
    return Spending(p, q, gamma * unit)


def _value_and_gradient(given: Spending, times: Floats, mean: Floats) -> tuple[float, Floats]:
    """The log likelihood and its slope along p, q and gamma."""
    p, q, gamma = given.p, given.q, given.gamma
    spent, shape = gamma + times * mean, p * times
    value = (
        gammaln(shape + q) - gammaln(shape) - gammaln(q) + q * np.log(gamma)
        + (shape - 1) * np.log(mean) + shape * np.log(times) - (shape + q) * np.log(spent)
    ).sum()  # fmt: skip
    both = digamma(shape + q)
    return float(value), np.array([
        (times * (both - digamma(shape) + np.log(mean) + np.log(times) - np.log(spent))).sum(),
        (both - digamma(q) + np.log(gamma) - np.log(spent)).sum(),
        (q / gamma - (shape + q) / spent).sum(),
    ])  # fmt: skip
