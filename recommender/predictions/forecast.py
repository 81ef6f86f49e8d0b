"""From histories to what is expected of each customer, by as much as the shop's data can bear. Pure.

With enough customers who came back, the distributions of `lifetime` and `spending` are fitted. With fewer, everybody
is given the shop's own rates. With fewer still nothing is said, and what is missing is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from recommender.predictions import lifetime, spending
from recommender.predictions.lifetime import Floats, Histories, Lifetime
from recommender.predictions.spending import Spending

Ints = NDArray[np.int64]

YEAR, SOON = 365, 30
"""Days for which value and churn, and the probability of an order, are foretold."""


class Basis(StrEnum):
    """What predictions are made of."""

    FITTED = "fitted"
    SHOP_RATES = "shop_rates"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Need:
    """Something a better basis requires, and how much of it there is."""

    what: str
    have: int
    need: int


FOR_FIT = {"returned": 100, "days": 90}
FOR_RATES = {"customers": 30, "days": 30}
FOR_SPENDING = 100
"""Customers of a currency who came back; with fewer, everyone of it spends the average."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of many customers, one place each: their histories; the number of their currency; days with an
    order in it, and what they spent on each of those on average, in minor units and net of returns."""

    histories: Histories
    currencies: Ints
    days: Floats
    mean: Floats


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was learned of the shop. `rate`: orders of a customer a day; `averages`: spent on a day with an order, by
    currency."""

    basis: Basis
    missing: tuple[Need, ...]
    lifetime: Lifetime | None
    rate: float
    spending: Mapping[int, Spending]
    averages: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is expected of many customers, one place each: days until the next order is as likely as not (NaN if not
    within the horizon), the probability of one soon, of none at all within the horizon, and the money until then."""

    next_days: Floats
    soon: Floats
    churn: Floats
    value: Floats


def learn(known: Known, *, fitted: bool = True) -> Forecast:
    """The best the data can bear; `fitted=False` asks for the shop's rates, whatever it could bear."""
    histories = known.histories
    people, returned = len(histories.age), int((histories.repeats > 0).sum())
    span = int(histories.age.max()) if people else 0
    have = {"customers": people, "returned": returned, "days": span}
    missing = _short(have, FOR_RATES) or _short(have, FOR_FIT)
    bearable = Basis.NONE if _short(have, FOR_RATES) else Basis.SHOP_RATES if missing else Basis.FITTED
    basis = Basis.SHOP_RATES if bearable is Basis.FITTED and not fitted else bearable
    in_full = basis is Basis.FITTED
    return Forecast(
        basis=basis,
        missing=missing,
        lifetime=lifetime.fit(histories) if in_full else None,
        rate=float(histories.repeats.sum() / max(histories.age.sum(), 1.0)),
        spending=_spending(known) if in_full else {},
        averages=_averages(known),
    )


def outlook(forecast: Forecast, known: Known, *, horizon: float = YEAR) -> Outlook:
    """What is expected of each customer. There must be a basis."""
    histories, spent = known.histories, _spent(forecast, known)
    if forecast.lifetime is None:
        people = np.ones(len(histories.age))
        days = np.log(2) / forecast.rate if forecast.rate > 0 else np.inf
        return Outlook(
            next_days=_within(people * days, horizon),
            soon=people * -np.expm1(-forecast.rate * SOON),
            churn=people * np.exp(-forecast.rate * horizon),
            value=forecast.rate * horizon * spent,
        )
    return Outlook(
        next_days=_within(forecast.lifetime.days_until(histories), horizon),
        soon=forecast.lifetime.will_order(histories, SOON),
        churn=1 - forecast.lifetime.will_order(histories, horizon),
        value=forecast.lifetime.expected_orders(histories, horizon) * spent,
    )


def _within(days: Floats, horizon: float) -> Floats:
    return np.where(days <= horizon, days, np.nan)


def _short(have: Mapping[str, int], needed: Mapping[str, int]) -> tuple[Need, ...]:
    return tuple(Need(what, have[what], least) for what, least in needed.items() if have[what] < least)


def _averages(known: Known) -> dict[int, float]:
    spent, days = known.mean * known.days, known.days
    return {
        int(code): float(spent[known.currencies == code].sum() / max(days[known.currencies == code].sum(), 1.0))
        for code in np.unique(known.currencies)
    }


def _spending(known: Known) -> dict[int, Spending]:
    """Fitted on who came back: of one amount nobody can tell how much amounts vary."""
    usable = (known.days >= 2) & (known.mean > 0)
    found = {}
    for code in np.unique(known.currencies[usable]):
        of = usable & (known.currencies == code)
        if of.sum() >= FOR_SPENDING:
            found[int(code)] = spending.fit(known.days[of], known.mean[of])
    return found


def _spent(forecast: Forecast, known: Known) -> Floats:
    """What each spends on a day she orders."""
    amounts = np.zeros(len(known.mean))
    for code in np.unique(known.currencies):
        of, fitted = known.currencies == code, forecast.spending.get(int(code))
        if fitted is None:
            amounts[of] = forecast.averages.get(int(code), 0.0)
        else:
            amounts[of] = fitted.expected(known.days[of], known.mean[of])
    return amounts
