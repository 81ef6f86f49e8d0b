"""Reading what is expected of customers, and what the last run found about itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from foundation import database
from recommender.tables import customer_predictions, prediction_runs
from shop import consent


@dataclass(frozen=True, slots=True)
class Expected:
    """What is expected of one customer. Shares are 0 to 1, amounts minor units net of returns; hours are 0 to 23 and
    weekdays 1 (Monday) to 7, on her own clock. A favourite is None until she ordered often enough to have one."""

    customer_id: int
    as_of: datetime
    next_order_at: datetime | None
    order_probability_30d: float
    churn_risk: float
    expected_value_12m: int
    currency: str | None
    favourite_category: str | None
    favourite_channel: str | None
    favourite_hour: int | None
    favourite_weekday: int | None


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run as it was recorded: on what basis it foretold, what a better one needs (`{what, have, need}`), and each
    prediction held against what came."""

    as_of: datetime
    finished_at: datetime
    basis: str
    missing: list[dict[str, Any]]
    parameters: dict[str, Any]
    calibration: dict[str, dict[str, Any]]
    customers: int
    written: int


def of_customers(conn: sa.Connection, customer_ids: Sequence[int]) -> dict[int, Expected]:
    """What is expected of each of these; who never ordered is left out, and who has refused personalization since."""
    ids = sa.bindparam("ids", list(customer_ids), postgresql.ARRAY(sa.BigInteger))
    wanted = sa.select(customer_predictions).where(customer_predictions.c.customer_id == sa.any_(ids))
    found = {row.customer_id: row for row in database.read(conn, wanted, Expected)}
    said = consent.states(conn, list(found), channel="any", purpose="personalization")
    return {customer: row for customer, row in found.items() if said[customer] is not consent.State.DENIED}


def last_run(conn: sa.Connection) -> RunLine | None:
    """The last run; None before the first."""
    latest = sa.select(prediction_runs).order_by(prediction_runs.c.id.desc()).limit(1)
    return next(iter(database.read(conn, latest, RunLine)), None)
