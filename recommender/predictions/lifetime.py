"""How often customers order and whether they have left: the BG/NBD distribution, fitted to all and asked for each.

While a customer is with the shop she orders at a rate of her own; after any order but her first she may leave for good,
with a probability of her own. Rates are gamma distributed among customers, probabilities beta distributed. Source:
Fader, Hardie and Lee, "Counting Your Customers the Easy Way", Marketing Science 24(2), 2005. Times are in days.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

Floats = NDArray[np.float64]

NODES = 24
"""Of the sum that stands for an integral over the probability of leaving; more change the eighth digit."""

CLOSE = {"ftol": 1e-13, "gtol": 1e-8, "maxiter": 500}
"""When the search for the likeliest parameters ends."""

BOUNDS = (-9.0, 9.0)
"""Of each parameter's logarithm, with the mean age as unit of time: where customers never leave, or all alike, the
likelihood has no maximum short of infinity."""


@dataclass(frozen=True, slots=True)
class Histories:
    """What is known of many customers, one place each: days with an order after the first such day, days from the
    first to the last, days from the first until now."""

    repeats: Floats
    recency: Floats
    age: Floats


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The four parameters: rates are gamma of shape `r` and rate `alpha` (days), probabilities beta of `a` and `b`."""

    r: float
    alpha: float
    a: float
    b: float

    def alive(self, of: Histories) -> Floats:
        """How likely each is still with the shop. One who ordered on one day alone had no occasion to leave."""
        staying, leaving = _terms(self, of)
        return np.exp(staying - np.logaddexp(staying, leaving))

    def will_order(self, of: Histories, days: float) -> Floats:
        """How likely each orders at least once within so many days."""
        return self.alive(of) * -np.expm1(-(self.r + of.repeats) * np.log1p(days / (self.alpha + of.age)))

    def days_until(self, of: Histories, *, likely: float = 0.5) -> Floats:
        """Within how many days each orders with this probability; NaN where that never comes."""
        alive = self.alive(of)
        reached = np.where(alive > likely, likely / np.maximum(alive, likely), np.nan)
        with np.errstate(divide="ignore", over="ignore"):
            return (self.alpha + of.age) * np.expm1(-np.log1p(-reached) / (self.r + of.repeats))

    def expected_orders(self, of: Histories, days: float) -> Floats:
        """How many days with an order each is expected to have within so many days.

        With the probability of leaving p given, and the customer still here, it is (1 - (1 + p t / (alpha + T)) ^
        -(r + x)) / p; p is beta of a and b + x. A sum of positive terms, which the closed form with Gauss's
        hypergeometric function is not: that loses every digit for customers of many orders."""
        counts, places = np.unique(of.repeats, return_inverse=True)
        nodes, weights = _beta_nodes(self.a, self.b + counts)
        horizon, times = days / (self.alpha + of.age), self.r + of.repeats
        expected = np.zeros(len(of.repeats))
        for node in range(NODES):
            leaving = np.maximum(nodes[places, node], 1e-12)
            expected += weights[places, node] * -np.expm1(-times * np.log1p(leaving * horizon)) / leaving
        return self.alive(of) * expected


def log_likelihood(given: Lifetime, of: Histories) -> float:
    """Of all these histories together, by terms that neither overflow nor cancel."""
    value, _ = _value_and_gradient(given, of)
    return value


def fit(of: Histories) -> Lifetime:
    """The parameters under which these histories are likeliest. At least one customer must have ordered twice."""
    unit = max(float(of.age.mean()), 1.0)
    scaled = Histories(of.repeats, of.recency / unit, of.age / unit)

    def cost(logs: Floats) -> tuple[float, Floats]:
        given = Lifetime(*np.exp(logs).tolist())
        value, gradient = _value_and_gradient(given, scaled)
        return -value / len(of.repeats), -gradient * np.exp(logs) / len(of.repeats)

    found = minimize(cost, np.zeros(4), jac=True, method="L-BFGS-B", bounds=[BOUNDS] * 4, options=CLOSE)
    r, alpha, a, b = np.exp(found.x).tolist()
    return Lifetime(r, alpha * unit, a, b)


def _terms(given: Lifetime, of: Histories) -> tuple[Floats, Floats]:
    """Logarithms of the two ways a history can have come about, but for what they share: she is still here, or she
    left after her last order. Who never ordered again cannot have left."""
    times = given.r + of.repeats
    again = of.repeats > 0
    left = np.log(given.a) - np.log(np.where(again, given.b + of.repeats - 1, 1.0))
    staying = -times * np.log(given.alpha + of.age)
    leaving = np.where(again, left - times * np.log(given.alpha + of.recency), -np.inf)
    return staying, leaving


def _value_and_gradient(given: Lifetime, of: Histories) -> tuple[float, Floats]:
    """The log likelihood and its slope along r, alpha, a and b."""
    r, alpha, a, b = given.r, given.alpha, given.a, given.b
    counts, frequency = np.unique(of.repeats, return_counts=True)
    staying, leaving = _terms(given, of)
    either = np.logaddexp(staying, leaving)
    left = np.exp(leaving - either)
    shared = (
        (gammaln(r + counts) - gammaln(r) + r * np.log(alpha))
        + (gammaln(a + b) + gammaln(b + counts))
        - (gammaln(b) + gammaln(a + b + counts))
    )
    value = float(shared @ frequency + either.sum())
    seen = (1 - left) / (alpha + of.age) + left / (alpha + of.recency)
    logs = (1 - left) * np.log(alpha + of.age) + left * np.log(alpha + of.recency)
    whole = digamma(a + b) - digamma(a + b + counts)
    people = len(of.repeats)
    before = left / np.where(of.repeats > 0, b + of.repeats - 1, 1.0)
    return value, np.array([
        (digamma(r + counts) - digamma(r)) @ frequency + people * np.log(alpha) - logs.sum(),
        people * r / alpha - ((r + of.repeats) * seen).sum(),
        whole @ frequency + left.sum() / a,
        (whole + digamma(b + counts) - digamma(b)) @ frequency - before.sum(),
    ])  # fmt: skip


def _beta_nodes(a: float, b: Floats) -> tuple[Floats, Floats]:
    """Points and weights that sum smooth functions of a beta variable, a row for each `b`: Gauss and Jacobi's, by the
    eigenvectors of Golub and Welsch, which need no factor that could overflow."""
    n = np.arange(NODES, dtype=float)
    low, high = a - 1.0, b[:, None] - 1.0
    total = 2 * n + low + high
    with np.errstate(divide="ignore", invalid="ignore"):
        middle = (low**2 - high**2) / (total * (total + 2))
        side = 4 * n * (n + low) * (n + high) * (n + low + high) / (total**2 * (total + 1) * (total - 1))
    middle[:, 0] = ((low - high) / (low + high + 2))[:, 0]
    side[:, 1] = (4 * (1 + low) * (1 + high) / ((2 + low + high) ** 2 * (3 + low + high)))[:, 0]
    matrix = np.zeros((len(b), NODES, NODES))
    matrix[:, np.arange(NODES), np.arange(NODES)] = middle
    matrix[:, np.arange(1, NODES), np.arange(NODES - 1)] = np.sqrt(side[:, 1:])
    points, vectors = np.linalg.eigh(matrix)
    return (points + 1) / 2, vectors[:, 0, :] ** 2
