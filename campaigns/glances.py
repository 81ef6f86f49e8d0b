"""What a campaign's page says at a glance: of a small campaign counted while one looks, of a large one as a job last
counted it, so that no page waits for a million messages to be counted."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from campaigns import ledger, reports, tables
from campaigns.experiments import Lift
from campaigns.ledger import Sum
from campaigns.reports import Results

LARGE = 5_000
"""People or messages from which a campaign is not counted while somebody waits for its page."""


@dataclass(frozen=True, slots=True)
class Glance:
    """A campaign's results, its ledger added up, why messages did not leave, and how many are under way; `at` is when
    it was counted, None for just now."""

    results: Results
    total: Sum
    reasons: Sequence[tuple[str, int]]
    waiting: int
    at: datetime | None = None


def of(conn: sa.Connection, campaign_id: int, *, now: datetime) -> Glance:
    """What is kept of a campaign that was large when it was counted last; any other is counted now."""
    return _large(conn, campaign_id) or count(conn, campaign_id, now=now)


def large(conn: sa.Connection, campaign_id: int) -> bool:
    """Whether it was large when it was counted last."""
    return _large(conn, campaign_id) is not None


def _large(conn: sa.Connection, campaign_id: int) -> Glance | None:
    kept = tables.campaign_figures.c
    row = conn.execute(sa.select(kept.figures["glance"], kept.at).where(kept.campaign_id == campaign_id)).one_or_none()
    found = _read(*row) if row and row[0] else None
    return found if found and max(found.results.enrolled, found.results.planned) >= LARGE else None


def count(conn: sa.Connection, campaign_id: int, *, now: datetime) -> Glance:
    """Counted now, however long that takes."""
    return Glance(
        results=reports.campaign(conn, campaign_id, now=now),
        total=ledger.total(ledger.sums(conn, campaign_id=campaign_id)),
        reasons=ledger.reasons(conn, campaign_id=campaign_id),
        waiting=ledger.waiting(conn, campaign_id),
    )


def dump(glance: Glance) -> dict[str, Any]:
    """As it is kept among a campaign's figures."""
    return {name: value for name, value in asdict(glance).items() if name != "at"}


def _read(figures: dict[str, Any], at: datetime) -> Glance:
    results = figures["results"]
    return Glance(
        results=Results(**{**results, "lift": Lift(**results["lift"])}),
        total=Sum(**figures["total"]),
        reasons=[(reason, number) for reason, number in figures["reasons"]],
        waiting=figures["waiting"],
        at=at,
    )
