"""The distributions against what was published of them, and on shops of every kind."""

import numpy as np
import pytest
from scipy.special import hyp2f1

from recommender.predictions import calibration, forecast, lifetime, spending
from recommender.predictions.forecast import Basis, Known
from recommender.predictions.lifetime import Floats, Histories, Lifetime
from recommender.predictions.spending import Spending
from recommender.predictions.writing import two_digits

PUBLISHED = Lifetime(r=0.243, alpha=4.414, a=0.793, b=2.426)
"""Of 2,357 customers of CDNOW, in weeks: Fader, Hardie and Lee 2005, table 2."""

SPENT = Spending(p=6.25, q=3.74, gamma=15.44)
"""Of the 946 among them who came back: Fader and Hardie 2013, "The gamma-gamma model of monetary value"."""


def simulated(given: Lifetime, *, people: int, days: float, seed: int = 1) -> Histories:
    """Customers who behave as the distribution says, first seen over half the time."""
    random = np.random.default_rng(seed)
    rates = random.gamma(given.r, 1 / given.alpha, people)
    leaving = random.beta(given.a, given.b, people)
    age = random.uniform(days / 2, days, people)
    repeats, recency, here = np.zeros(people), np.zeros(people), np.ones(people, bool)
    at = np.zeros(people)
    while here.any():
        at = at + random.exponential(1 / np.maximum(rates, 1e-12))
        here &= at <= age
        repeats[here] += 1
        recency[here] = at[here]
        here &= random.random(people) > leaving
    return Histories(repeats, recency, age)


def one(repeats: float, recency: float, age: float) -> Histories:
    return Histories(np.array([repeats]), np.array([recency]), np.array([age]))


def closed_form(given: Lifetime, of: Histories, days: float) -> Floats:
    """Expected orders by Gauss's function, as the paper writes it."""
    r, alpha, a, b = given.r, given.alpha, given.a, given.b
    x, age = of.repeats, of.age
    gauss = hyp2f1(r + x, b + x, a + b + x - 1, days / (alpha + age + days))
    whole = (a + b + x - 1) / (a - 1) * (1 - ((alpha + age) / (alpha + age + days)) ** (r + x) * gauss)
    return np.asarray(whole * given.alive(of))


def test_the_customer_of_the_published_example_is_expected_to_order_1_226_times() -> None:
    assert PUBLISHED.expected_orders(one(2, 30.43, 38.86), 39)[0] == pytest.approx(1.226, abs=5e-4)


def test_the_sum_agrees_with_the_closed_form() -> None:
    of = simulated(PUBLISHED, people=2_000, days=78)
    for days in (1.0, 39.0, 500.0):
        assert PUBLISHED.expected_orders(of, days) == pytest.approx(closed_form(PUBLISHED, of, days), rel=1e-7)


def test_the_published_parameters_are_found_again_in_customers_who_behave_so() -> None:
    found = lifetime.fit(simulated(PUBLISHED, people=200_000, days=78))
    assert (found.r, found.alpha, found.a, found.b) == pytest.approx((0.243, 4.414, 0.793, 2.426), rel=0.06)


def test_no_neighbouring_parameters_are_likelier_than_the_fitted() -> None:
    of = simulated(PUBLISHED, people=5_000, days=78)
    found = lifetime.fit(of)
    best = lifetime.log_likelihood(found, of)
    for name in ("r", "alpha", "a", "b"):
        for factor in (0.98, 1.02):
            values = {each: getattr(found, each) for each in ("r", "alpha", "a", "b")}
            assert lifetime.log_likelihood(Lifetime(**(values | {name: values[name] * factor})), of) < best


def test_a_unit_of_time_changes_nothing_but_itself() -> None:
    weeks = simulated(PUBLISHED, people=5_000, days=78)
    days = Histories(weeks.repeats, weeks.recency * 7, weeks.age * 7)
    in_weeks, in_days = lifetime.fit(weeks), lifetime.fit(days)
    assert in_days.alpha == pytest.approx(in_weeks.alpha * 7, rel=1e-3)
    assert in_days.expected_orders(days, 70) == pytest.approx(in_weeks.expected_orders(weeks, 10), rel=1e-3)


@pytest.mark.parametrize("repeats", [0, 1, 300, 100_000])
def test_customers_of_one_order_or_a_hundred_thousand_get_numbers(repeats: int) -> None:
    of = one(repeats, 364.0 if repeats else 0.0, 365.0)
    assert 0 <= PUBLISHED.alive(of)[0] <= 1
    assert 0 <= PUBLISHED.will_order(of, 30)[0] <= 1
    assert np.isfinite(PUBLISHED.expected_orders(of, 365)[0])


def test_who_ordered_today_for_the_first_time_gets_numbers() -> None:
    assert 0 < PUBLISHED.will_order(one(0, 0, 0), 30)[0] < 1


@pytest.mark.parametrize(
    "of",
    [
        Histories(np.full(200, 5.0), np.full(200, 300.0), np.full(200, 365.0)),
        Histories(np.full(200, 1.0), np.full(200, 1.0), np.full(200, 365.0)),
        Histories(np.r_[np.zeros(199), 1.0], np.r_[np.zeros(199), 1.0], np.full(200, 365.0)),
        Histories(np.full(200, 364.0), np.full(200, 364.0), np.full(200, 364.0)),
    ],
    ids=["all alike", "gone after one", "one came back", "every day"],
)
def test_shops_whose_likelihood_has_no_maximum_still_get_numbers(of: Histories) -> None:
    found = lifetime.fit(of)
    assert np.isfinite([found.r, found.alpha, found.a, found.b]).all()
    assert np.isfinite(found.expected_orders(of, 365)).all()
    assert ((found.will_order(of, 30) >= 0) & (found.will_order(of, 30) <= 1)).all()


def test_the_day_half_will_have_ordered_is_the_day_the_probability_is_a_half() -> None:
    of = one(9, 80, 82)
    (days,) = PUBLISHED.days_until(of)
    assert PUBLISHED.will_order(of, float(days))[0] == pytest.approx(0.5)
    assert np.isnan(PUBLISHED.days_until(one(9, 20, 400))).all()


def test_spending_is_found_again_and_what_one_order_says_is_half_believed() -> None:
    random = np.random.default_rng(2)
    times = random.integers(1, 12, 100_000).astype(float)
    rates = random.gamma(SPENT.q, 1 / SPENT.gamma, len(times))
    found = spending.fit(times, random.gamma(SPENT.p * times, 1 / (times * rates)))
    assert (found.p, found.q, found.gamma) == pytest.approx((6.25, 3.74, 15.44), rel=0.08)
    usual = SPENT.expected(np.zeros(1), np.zeros(1))[0]
    assert usual == pytest.approx(6.25 * 15.44 / 2.74)
    once, often = SPENT.expected(np.array([1.0, 20.0]), np.array([100.0, 100.0]))
    assert usual < once < often < 100


def known(of: Histories, *, mean: float = 5000.0, currency: int = 1) -> Known:
    people = len(of.age)
    return Known(of, np.full(people, currency), of.repeats + 1, np.full(people, mean))


def test_too_few_customers_get_the_shops_rates_and_fewer_get_nothing() -> None:
    of = simulated(Lifetime(1.0, 20.0, 1.0, 5.0), people=60, days=200)
    learned = forecast.learn(known(of))
    assert learned.basis is Basis.SHOP_RATES
    assert [need.what for need in learned.missing] == ["returned"]
    said = forecast.outlook(learned, known(of))
    assert len(set(said.soon.tolist())) == 1
    assert said.soon[0] == pytest.approx(1 - np.exp(-30 * of.repeats.sum() / of.age.sum()))
    few = forecast.learn(known(Histories(of.repeats[:9], of.recency[:9], of.age[:9])))
    assert few.basis is Basis.NONE
    assert [(need.what, need.have, need.need) for need in few.missing] == [("customers", 9, 30)]


def test_a_shop_without_orders_gets_nothing() -> None:
    none = np.zeros(0)
    assert forecast.learn(known(Histories(none, none, none))).basis is Basis.NONE


def test_each_currency_has_its_own_amounts() -> None:
    of = simulated(Lifetime(1.0, 20.0, 1.0, 5.0), people=4_000, days=400)
    random = np.random.default_rng(5)
    amounts = random.gamma(4, 1000, 4_000) * np.where(np.arange(4_000) % 2, 1, 100)
    mixed = Known(of, np.arange(4_000) % 2 + 1, of.repeats + 1, amounts)
    learned = forecast.learn(mixed)
    assert set(learned.spending) == {1, 2}
    said = forecast.outlook(learned, mixed).value
    assert said[0::2].sum() == pytest.approx(said[1::2].sum() * 100, rel=0.2)


def test_what_was_foretold_well_has_no_gap_and_what_was_said_of_everyone_has_no_skill() -> None:
    random = np.random.default_rng(4)
    chances = random.beta(0.5, 0.5, 20_000)
    came = (random.random(20_000) < chances).astype(float)
    good = calibration.check(chances, came, by=chances, days=30)
    same = calibration.check(np.full(20_000, came.mean()), came, by=chances, days=30)
    boast = calibration.check(np.sqrt(chances), came, by=chances, days=30)
    assert good and same and boast
    assert good.gap < 0.01 and good.skill > 0.4 and len(good.groups) == 10
    assert same.skill == pytest.approx(0)
    assert boast.gap > 0.1 and boast.skill < good.skill
    assert calibration.check(chances[:99], came[:99], by=chances[:99], days=30) is None


def test_amounts_are_told_to_two_digits() -> None:
    assert two_digits(np.array([0.0, 7.4, 99.6, 123.0, 98_765.0])).tolist() == [0, 7, 100, 120, 99_000]
