"""What is told of the whole house: channels compared, roads between them, who returns, how far customers come.

A job counts all of it; these pages read what it found, and each figure can be taken away as CSV.
"""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from typing import Any

from flask import Blueprint, Response, render_template

from app import i18n, security
from app.console import flow_charts, report_charts, roles, sheets, words
from app.i18n import N_
from app.parts import current_parts
from campaigns import policy, reports
from campaigns.insights import house, shopping
from shop import money

bp = Blueprint("insights", __name__, url_prefix="/insights")

STAGES = {
    "discover": (N_("Discover"), N_("saw a page, a list or a product, or looked for one")),
    "consider": (N_("Consider"), N_("put something in a basket or on a list, or began to pay")),
    "buy": (N_("Buy"), N_("ordered, on any channel")),
    "share": (N_("Share it"), N_("of those: wrote a review, answered a question, or passed a product on")),
}
TONES = {**report_charts.CHANNELS, "email": "c1", "push": "c6", "sms": "c2", "onsite": "c3", shopping.NOWHERE: "c0"}


@bp.get("/channels")
@security.require_role(*roles.READ)
def compared() -> str:
    """The channels of messages against each other, of the last ninety days."""
    with current_parts().db.begin() as conn:
        found = shopping.channels(conn)
        rules, currency = policy.load(conn), reports.currency(conn)
    lines, at = found or ([], None)
    return _page("channels", at, lines=lines, price=rules.price, currency=currency)


@bp.get("/paths")
@security.require_role(*roles.READ)
def paths() -> str:
    """From where to where customers went before they ordered."""
    with current_parts().db.begin() as conn:
        found = shopping.roads(conn)
    roads, at = found or ([], None)
    drawn = [flow_charts.Road(road.part, road.start, road.end, road.orders) for road in roads]
    places = {place for road in roads for place in (road.start, road.end)}
    flow = flow_charts.draw(drawn, names={place: _place(place) for place in places}, tones=TONES)
    return _page("paths", at, roads=roads, flow=flow, place=_place)


@bp.get("/retention")
@security.require_role(*roles.READ)
def retention() -> str:
    """Of the customers of each month, who ordered again in which later month."""
    with current_parts().db.begin() as conn:
        found = shopping.cohorts(conn)
    cohorts, at = found or ([], None)
    best = max((back / one.people for one in cohorts for back in one.returned), default=0.0)
    return _page("retention", at, cohorts=cohorts, span=shopping.span(cohorts), heat=lambda share: _heat(share, best))


@bp.get("/stages")
@security.require_role(*roles.READ)
def stages() -> str:
    """How many customers discover, consider, buy and share, and how many are lost between."""
    with current_parts().db.begin() as conn:
        found = shopping.stages(conn)
    lines, at = found or ([], None)
    steps = [(line, lines[n - 1].people if n else None) for n, line in enumerate(lines)]
    return _page("stages", at, steps=steps, said=STAGES, most=lines[0].people if lines else 0)


def _page(name: str, at: datetime | None, **found: Any) -> str:
    return render_template(f"console/insights/{name}.html", at=at, words=words, **found)


def _place(key: str) -> str:
    """A channel, or no visit at all."""
    return i18n.gettext("No earlier visit") if key == shopping.NOWHERE else words.word(words.CHANNEL, key).word


def _heat(share: float, best: float) -> int:
    """How dark a cell is, from 0 for nobody to 4 for the largest share there is."""
    return math.ceil(4 * share / best) if share else 0


# ---------------------------------------------------------------------------------------------------- as files
@bp.get("/<any(channels, paths, retention, stages, earned):name>.csv")
@security.require_role(*roles.READ)
def as_csv(name: str) -> Response:
    """The figures of a page, for a spreadsheet."""
    return sheets.attached(_ROWS[name](), f"{name}-{datetime.now(UTC):%Y-%m-%d}")


def _channel_rows() -> Iterable[sheets.Row]:
    with current_parts().db.begin() as conn:
        found, currency = shopping.channels(conn), reports.currency(conn)
    yield "channel", "planned", "accepted", "customers reached", "clicked", "bounced", "orders", "sales"
    for one in found[0] if found else ():
        counts = (one.planned, one.accepted, one.reached, one.clicked, one.bounced, one.orders)
        yield one.channel, *counts, _units(one.revenue, currency)


def _path_rows() -> Iterable[sheets.Row]:
    with current_parts().db.begin() as conn:
        found = shopping.roads(conn)
    yield "part", "from", "to", "orders"
    for road in found[0] if found else ():
        yield ("first to last visit", "last visit to order")[road.part], road.start, road.end, road.orders


def _retention_rows() -> Iterable[sheets.Row]:
    with current_parts().db.begin() as conn:
        found = shopping.cohorts(conn)
    cohorts = found[0] if found else []
    yield "month", "customers", *(f"month {n + 1}" for n in range(shopping.span(cohorts)))
    for cohort in cohorts:
        yield cohort.month.strftime("%Y-%m"), cohort.people, *cohort.returned


def _stage_rows() -> Iterable[sheets.Row]:
    with current_parts().db.begin() as conn:
        found = shopping.stages(conn)
    yield "stage", "channel", "customers"
    for stage in found[0] if found else ():
        yield stage.stage, "all", stage.people
        for channel, people in stage.channels.items():
            yield stage.stage, channel, people


def _earned_rows() -> Iterable[sheets.Row]:
    with current_parts().db.begin() as conn:
        found = house.read(conn)
    yield "day", "attributed", "caused", "caused, low", "caused, high"
    for day in found.days if found else ():
        caused = (day.caused.value, day.caused.low, day.caused.high) if day.caused else ()
        yield day.day.isoformat(), *(_units(amount, found.currency) for amount in (day.attributed, *caused) if found)


def _units(minor: float, currency: str | None) -> float:
    places = money.exponent(currency)
    return float(round(minor / 10**places, places))


_ROWS: dict[str, Callable[[], Iterable[sheets.Row]]] = {
    "channels": _channel_rows,
    "paths": _path_rows,
    "retention": _retention_rows,
    "stages": _stage_rows,
    "earned": _earned_rows,
}


@bp.context_processor
def _context() -> dict[str, Any]:
    return {"month": _month}


def _month(first: date) -> str:
    """A month with its year, as short as it goes."""
    return f"{first:%m}/{first.year}" if i18n.locale() == "fr" else f"{first:%b} {first.year}"
