"""A report as a table for a spreadsheet."""

from collections.abc import Iterable, Iterator

from app.console.sheets import Row
from campaigns.evidence.verdicts import Arm, Lift
from campaigns.figures import Figures
from campaigns.reports import Report
from foundation.intervals import Interval
from shop import money

COLUMNS = ("section", "what", "part", "value", "low", "high")
EVERY = (
    *("campaign", "state", "counted_at", "came_in", "accepted", "clicked", "orders", "attributed", "currency"),
    *("difference", "low", "high"),
)


def table(report: Report, name: str) -> list[Row]:
    """The whole report, a figure a line: section, what, part, value, low, high."""
    return [("campaign", *COLUMNS), *((name, *row) for row in rows(report))]


def compared(campaigns: Iterable[tuple[str, str, Figures | None]]) -> list[Row]:
    """Each campaign by name, its state and what was counted of it, a line each; one not counted yet has empty cells.
    Money in units of its currency, the difference and its interval in points of the share of buyers."""
    lines: list[Row] = [EVERY]
    for name, state, found in campaigns:
        if found is None:
            lines.append((name, state, *[None] * (len(EVERY) - 2)))
            continue
        places = money.exponent(found.currency)
        sales = round(found.revenue / 10**places, places)
        caused = found.caused
        counted = (found.at.isoformat(), found.enrolled, found.sent, found.clicked, found.orders, sales, found.currency)
        lines.append((name, state, *counted, caused.difference, caused.low, caused.high))
    return lines


Line = tuple[str, str, str, float | None, float | None, float | None]


def rows(report: Report) -> Iterator[Line]:
    """The figures of the page, in its order; money in units of its currency."""
    yield from _audience(report)
    yield from _lift(report, report.lift)
    yield from _stages(report)
    for one in report.experiments:
        for variant, arm in one.arms.items():
            yield from _arm(report, f"experiment {one.step.id}", variant, arm)
    for place in report.earned.places:
        where = place.store or place.channel
        yield _line("attributed", "orders", where, place.orders)
        yield _line("attributed", "gross", where, _units(place.gross, report))
        yield _line("attributed", "returned", where, _units(place.returned, report))
        yield _line("attributed", "net", where, _units(place.net, report))
    for day in report.earned.days:
        for channel, net in day.net.items():
            yield _line("attributed by day", day.day.isoformat(), channel, _units(net, report))
    for reason, step, number in report.funnel.reasons:
        yield _line("not sent", reason, step, number)
    costs = report.costs
    yield _line("cost", "codes issued", "", costs.codes_issued)
    yield _line("cost", "codes used", "", costs.codes_used)
    yield _line("cost", "discounts", "", _units(costs.discounts, report))
    yield _line("cost", "messages", "", costs.messages)
    yield _line("cost", "sending", "", _units(costs.sending, report))


def _audience(report: Report) -> Iterator[Line]:
    audience = report.funnel.audience
    yield _line("audience", "all", "", audience.total)
    yield _line("audience", "entered", "", audience.entered)
    for part in ("reached", "under_way", "uncertain"):
        yield _line("audience", "entered", part, getattr(audience, part))
    for what, parts in (("entered", audience.silent), ("held out", audience.held_out), ("refused", audience.refused)):
        for reason, number in parts.items():
            yield _line("audience", what, reason or "no message due", number)


def _lift(report: Report, lift: Lift) -> Iterator[Line]:
    yield from _arm(report, "lift", "treated", lift.treated)
    yield from _arm(report, "lift", "held out", lift.held_out)
    for what, gap in (("bought", lift.bought), ("orders", lift.orders)):
        yield _line("lift", what, "difference", gap, gap=gap)
    for what, gap in (("sales", lift.sales), ("margin", lift.margin)):
        yield _line("lift", what, "difference", gap, gap=_interval(gap, report))
    yield _line("caused", "sales", "", report.caused, gap=_interval(report.caused, report))
    yield _line("caused", "margin less sending", "", report.gained, gap=_interval(report.gained, report))


def _arm(report: Report, section: str, part: str, arm: Arm) -> Iterator[Line]:
    yield _line(section, "people", part, arm.people)
    yield _line(section, "buyers", part, arm.buyers)
    yield _line(section, "clicked", part, round(arm.clicks.total))
    yield _line(section, "orders", part, round(arm.orders.total))
    yield _line(section, "sales", part, _units(arm.sales.total, report))
    yield _line(section, "margin", part, _units(arm.margin.total, report))


def _stages(report: Report) -> Iterator[Line]:
    for stage in report.funnel.stages:
        part = f"{stage.step} {stage.channel}"
        for what in ("planned", "accepted", "not_sent", "uncertain", "waiting", "clicked", "bought"):
            yield _line("step", what.replace("_", " "), part, getattr(stage, what))
    yield _line("step", "bought", "before any message", report.funnel.bought_before)
    yield _line("step", "bought", "all", report.funnel.bought)


def _line(section: str, what: str, part: str, value: object, *, gap: Interval | None = None) -> Line:
    if gap is not None:
        return section, what, part, gap.value, gap.low, gap.high
    return section, what, part, value if isinstance(value, int | float) else None, None, None


def _interval(gap: Interval | None, report: Report) -> Interval | None:
    return Interval(*(_units(part, report) for part in (gap.low, gap.value, gap.high))) if gap else None


def _units(minor: float, report: Report) -> float:
    places = money.exponent(report.earned.currency)
    return float(round(minor / 10**places, places))
