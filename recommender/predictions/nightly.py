"""One run: learns from a sample of customers, holds itself against a later period, writes what is expected of all."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa

from foundation.database import Database
from recommender.predictions import calibration, forecast, histories, writing
from recommender.predictions.calibration import Check, Hits
from recommender.predictions.forecast import Basis, Forecast, Known, Outlook
from recommender.predictions.histories import FAVOURITES, Frame, Sample
from recommender.tables import prediction_runs

HELD_OUT = 3
"""The last of so many parts of the history is what predictions are held against, a year of it at most."""

Checks = dict[str, Check | Hits]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run came to. `customers` have predictions; `written` of them are new or different."""

    learned: Forecast
    customers: int
    written: int
    checks: Checks


def run(db: Database, *, zone: str, now: datetime) -> Run:
    """Predicts for everyone. `zone`: the shop's clock. Manages its own transactions: none is held while distributions
    are fitted."""
    began = time.monotonic()
    with db.begin() as conn:
        frame = histories.frame(conn, zone=zone, now=now)
        sample = histories.sample(conn, frame, until=frame.today)
    learned = forecast.learn(sample.known)
    checks = _checks(db, sample, frame=frame)
    if learned.basis is Basis.FITTED and not _worth_it(checks):
        learned = forecast.learn(sample.known, fitted=False)
    customers, written = writing.write(db, learned, frame=frame)
    with db.begin() as conn:
        conn.execute(
            sa.insert(prediction_runs).values(
                as_of=now,
                finished_at=now + timedelta(seconds=time.monotonic() - began),
                basis=learned.basis,
                missing=[asdict(need) for need in learned.missing],
                parameters=_parameters(learned, sample.known, frame=frame),
                calibration={name: asdict(found) for name, found in checks.items()},
                customers=customers,
                written=written,
            )
        )
    return Run(learned, customers, written, checks)


def told(done: Run) -> str:
    """The run in lines: each prediction beside what came, and last what was done."""
    lines = [f"{'prediction':<24}{'days':>6}{'foretold':>12}{'came':>12}{'gap':>10}{'skill':>8}"]
    for name, found in done.checks.items():
        if isinstance(found, Hits):
            lines.append(f"{name:<24}{found.days:>6}{'':>12}{found.share:>12.3f}{'':>10}{'':>8}")
            lines.append(f"{'  the same for all':<24}{'':>6}{'':>12}{found.same_for_all:>12.3f}")
        else:
            figures = f"{found.foretold:>12,.3f}{found.came:>12,.3f}{found.gap:>10,.3f}{found.skill:>8.2f}"
            lines.append(f"{name:<24}{found.days:>6}{figures}")
    basis = {
        Basis.FITTED: "fitted to the shop's customers",
        Basis.SHOP_RATES: "the shop's own rates, the same for all",
        Basis.NONE: "too little data to say anything",
    }[done.learned.basis]
    needs = "".join(f"; {need.what}: {need.have} of {need.need}" for need in done.learned.missing)
    return "\n".join([*lines, f"{done.customers:,} customers, {done.written:,} rows written: {basis}{needs}."])


# ------------------------------------------------------------------------------------- held against what came
def _checks(db: Database, sample: Sample, *, frame: Frame) -> Checks:
    """Learns again from the first part of the history, and holds what that foretells against the last."""
    ages = sample.known.histories.age
    held_out = min(forecast.YEAR, int(ages.max(initial=0)) // HELD_OUT)
    if held_out < forecast.SOON:
        return {}
    until = frame.today - timedelta(days=held_out)
    with db.begin() as conn:
        earlier = histories.sample(conn, frame, until=until)
        favourites = _favourites(conn, frame, until=until)
    learned = forecast.learn(earlier.known)
    if learned.basis is Basis.NONE:
        return favourites
    foretold = forecast.outlook(learned, earlier.known, horizon=held_out)
    return _numbers(foretold, earlier, days=held_out) | favourites


def _favourites(conn: sa.Connection, frame: Frame, *, until: date) -> Checks:
    found = {name: histories.hits(conn, frame, favourite=name, until=until) for name in FAVOURITES}
    return {name: hits for name, hits in found.items() if hits.orders}


def _numbers(foretold: Outlook, earlier: Sample, *, days: int) -> Checks:
    """Each number against what came; amounts among customers of the commonest currency alone."""
    later = earlier.later_days
    soon = ((later > 0) & (later <= forecast.SOON)).astype(float)
    dated = ~np.isnan(foretold.next_days)
    until_date = foretold.next_days[dated]
    in_time = ((later[dated] > 0) & (later[dated] <= until_date)).astype(float)
    codes = earlier.known.currencies
    of = codes == np.bincount(codes).argmax()
    found = {
        "order_probability_30d": calibration.check(foretold.soon, soon, by=foretold.soon, days=forecast.SOON),
        "next_order_at": calibration.check(np.full(len(until_date), 0.5), in_time, by=until_date, days=days),
        "churn_risk": calibration.check(foretold.churn, (later == 0).astype(float), by=foretold.churn, days=days),
        "expected_value_12m": calibration.check(
            foretold.value[of], earlier.later_net[of], by=foretold.value[of], days=days
        ),
    }
    return {name: check for name, check in found.items() if check is not None}


def _worth_it(checks: Checks) -> bool:
    """Whether telling customers apart did better than saying the same of everyone; unknown is no objection."""
    soon = checks.get("order_probability_30d")
    return not isinstance(soon, Check) or soon.skill > 0


def _parameters(learned: Forecast, known: Known, *, frame: Frame) -> dict[str, Any]:
    """Times in days, amounts in minor units and by currency; `currency` is the commonest."""
    names: Mapping[int, str | None] = dict(enumerate([None, *frame.currencies]))
    commonest = int(np.bincount(known.currencies).argmax()) if len(known.currencies) else 0
    return {
        "currency": names[commonest],
        "lifetime": asdict(learned.lifetime) if learned.lifetime else None,
        "rate": learned.rate,
        "spending": {names[code] or "": asdict(fitted) for code, fitted in learned.spending.items()},
        "averages": {names[code] or "": average for code, average in learned.averages.items()},
    }
