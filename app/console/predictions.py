"""What is expected of customers: on what basis, and how such predictions held when they could be checked."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, render_template

from app import filters, i18n, security
from app.console import charts, roles, words
from app.console.words import Word
from app.i18n import N_
from app.i18n import ngettext_later as ngettext
from app.parts import current_parts
from foundation import format
from recommender.predictions import expected
from recommender.predictions.expected import Expected, RunLine
from shop import consent

bp = Blueprint("predictions", __name__, url_prefix="/predictions")

NUMBERS = {
    "order_probability_30d": N_("An order within 30 days"),
    "next_order_at": N_("The day of the next order"),
    "churn_risk": N_("No order any more"),
    "expected_value_12m": N_("Worth over 12 months"),
}
FAVOURITES = {
    "favourite_category": N_("Category"),
    "favourite_channel": N_("Channel"),
    "favourite_weekday": N_("Day of the week"),
    "favourite_hour": N_("Hour"),
}
NEEDS = {
    "customers": ngettext("%(n)s customer who ordered", "%(n)s customers who ordered"),
    "returned": ngettext("%(n)s customer who came back another day", "%(n)s customers who came back another day"),
    "days": ngettext("%(n)s day since the first order", "%(n)s days since the first order"),
}
HOLDS, ROUGHLY = 0.05, 0.1
"""How far apart foretold and came may lie in a group, on average: shares in points, amounts in parts of what came."""

WIDTH, HEIGHT, EDGE = 400, 220, 32

Say = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Point:
    """One group on the chart: foretold across, came upwards."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Row:
    """One group in the table, as it is said."""

    customers: int
    foretold: str
    came: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One prediction held against what came, by its word. `line`: where every point would lie if it held to the
    letter."""

    key: str
    title: str
    verdict: Word
    sentence: str
    apart: str
    points: list[Point]
    line: tuple[Point, Point]
    most: str
    across: str
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class Favourite:
    """How often later orders were in the customer's favourite, beside naming the shop's for everyone."""

    title: str
    orders: int
    share: float
    same_for_all: float
    verdict: Word


@bp.get("")
@security.require_role(*roles.READ)
def index() -> str:
    """The sentence, each prediction beside what came, the favourites."""
    with current_parts().db.begin() as conn:
        run = expected.last_run(conn)
    found = run.calibration if run else {}
    return render_template(
        "console/predictions/index.html",
        run=run,
        title=title(run),
        lede=lede(run),
        needs=needs(run),
        panels=[_panel(name, found[name], run=run) for name in NUMBERS if run and name in found],
        favourites=[_favourite(name, found[name]) for name in FAVOURITES if name in found],
        size=(WIDTH, HEIGHT, EDGE),
    )


def title(run: RunLine | None) -> str:
    """How well predictions held, in one sentence."""
    if run is None or run.basis == "none":
        return i18n.gettext("Nothing can be foretold yet.")
    soon = run.calibration.get("order_probability_30d")
    if soon is None:
        return i18n.gettext("Predictions are made, but it is too early to say how they hold.")
    points = filters.number(soon["gap"] * 100, 1)
    return i18n.gettext("What was foretold came, give or take %(points)s points.", points=points)


def lede(run: RunLine | None) -> str:
    """What it rests on."""
    if run is None:
        return i18n.gettext("The first run is tonight; flask predict starts one now.")
    if run.basis == "none":
        return i18n.gettext("There are not enough orders yet. What is missing stands below.")
    said = i18n.ngettext("%(n)s customer has predictions.", "%(n)s customers have predictions.", run.customers)
    checked = run.calibration.get("churn_risk")
    if checked:
        said += " " + i18n.ngettext(
            "To check them, the last %(n)s day was set aside, foretold from the orders before, and compared.",
            "To check them, the last %(n)s days were set aside, foretold from the orders before, and compared.",
            checked["days"],
        )
    return said


def needs(run: RunLine | None) -> list[str]:
    """What a better basis still requires: `12 of 100 customers who came back`."""
    return [_need(need) for need in (run.missing if run else [])]


def _need(need: Mapping[str, Any]) -> str:
    one, many = NEEDS[need["what"]]
    needed = i18n.ngettext(one, many, need["need"])
    return i18n.gettext("%(have)s of %(needed)s", have=filters.number(need["have"]), needed=needed)


# ------------------------------------------------------------------------------------------- one prediction
def _panel(name: str, check: Mapping[str, Any], *, run: RunLine) -> Panel:
    dated, amounts = name == "next_order_at", name == "expected_value_12m"
    groups = check["groups"]
    across = [group["by" if dated else "foretold"] for group in groups]
    came = [group["came"] for group in groups]
    most = 1.0 if dated else max(*across, *came) or 1.0
    wide = charts.Scale(0, max(across) if dated else most, EDGE, WIDTH - EDGE)
    high = charts.Scale(0, most, HEIGHT - EDGE, EDGE)
    say = _sayer(amounts, run)
    level = (0.5, 0.5) if dated else (0.0, most)
    return Panel(
        key=name.replace("_", "-"),
        title=i18n.gettext(NUMBERS[name]),
        verdict=_verdict(check["gap"] / (check["came"] or 1) if amounts else check["gap"]),
        sentence=_sentence(name, check, say=say),
        apart=_apart(check, say=say, dated=dated, amounts=amounts),
        points=[Point(wide.at(x), high.at(y)) for x, y in zip(across, came, strict=True)],
        line=(Point(EDGE, high.at(level[0])), Point(WIDTH - EDGE, high.at(level[1]))),
        most=say(most),
        across=_days(max(across)) if dated else say(most),
        rows=[
            Row(group["customers"], _days(group["by"]) if dated else say(group["foretold"]), say(group["came"]))
            for group in groups
        ],
    )


def _sayer(amounts: bool, run: RunLine) -> Say:
    """How a figure of a prediction is written: an amount, or a share."""
    if amounts:
        return lambda value: filters.money(round(value), run.parameters.get("currency"))
    return filters.percent


def _days(days: float) -> str:
    return i18n.ngettext("%(n)s day", "%(n)s days", round(days))


def _verdict(gap: float) -> Word:
    if gap <= HOLDS:
        return Word(i18n.gettext("Holds"), "check", "ok")
    if gap <= ROUGHLY:
        return Word(i18n.gettext("Roughly holds"), "circle-alert", "warn")
    return Word(i18n.gettext("Does not hold"), "x", "bad")


def _sentence(name: str, check: Mapping[str, Any], *, say: Say) -> str:
    """What was foretold and what came, on average."""
    figures = {"foretold": say(check["foretold"]), "came": say(check["came"]), "days": check["days"]}
    return {
        "order_probability_30d": i18n.gettext(
            "%(foretold)s were expected to order within 30 days; %(came)s did.", **figures
        ),
        "next_order_at": i18n.gettext(
            "By the day foretold for each, %(came)s had ordered. It is meant to be too early as often as too late: "
            "50%% would be perfect.",
            **figures,
        ),
        "churn_risk": i18n.gettext(
            "%(foretold)s were expected not to order in the %(days)s days that followed; %(came)s did not. Today's "
            "predictions look 12 months ahead.",
            **figures,
        ),
        "expected_value_12m": i18n.gettext(
            "%(foretold)s was expected of a customer in the %(days)s days that followed; %(came)s came.", **figures
        ),
    }[name]


def _apart(check: Mapping[str, Any], *, say: Say, dated: bool, amounts: bool) -> str:
    """How far groups are off, and whether customers are told apart at all."""
    points = i18n.gettext("%(points)s points", points=filters.number(check["gap"] * 100, 1))
    gap = say(check["gap"]) if amounts else points
    off = i18n.gettext("Group by group, off by %(gap)s on average.", gap=gap)
    if dated:
        return off
    if check["skill"] <= 0:
        return off + " " + i18n.gettext("It tells customers apart no better than one figure for all.")
    explained = filters.percent(check["skill"], 0)
    return off + " " + i18n.gettext("Explains %(share)s of the differences among customers.", share=explained)


def _favourite(name: str, hits: Mapping[str, Any]) -> Favourite:
    chance = math.sqrt(hits["same_for_all"] * (1 - hits["same_for_all"]) / hits["orders"])
    better = hits["share"] > hits["same_for_all"] + 2 * chance
    verdict = (
        Word(i18n.gettext("Better than the same for all"), "check", "ok")
        if better
        else Word(i18n.gettext("No better than the same for all"), "minus", "warn")
    )
    return Favourite(i18n.gettext(FAVOURITES[name]), hits["orders"], hits["share"], hits["same_for_all"], verdict)


# --------------------------------------------------------------------------------------------- one customer
def likely(share: float) -> str:
    """A probability as said to people, who know that nothing is quite certain."""
    if share >= 0.995:
        return i18n.gettext("over %(share)s", share=filters.percent(0.99, 0))
    if share < 0.005:
        return i18n.gettext("under %(share)s", share=filters.percent(0.01, 0))
    return filters.percent(share, 0)


def favourites(one: Expected) -> list[tuple[str, str]]:
    """Where, what and when this customer likes to buy, as said to people."""
    said: list[tuple[str, str]] = []
    if one.favourite_category:
        said.append((i18n.gettext("Category"), one.favourite_category))
    if one.favourite_channel:
        said.append((i18n.gettext("Channel"), words.word(words.CHANNEL, one.favourite_channel).word))
    if one.favourite_weekday and one.favourite_hour is not None:
        monday_first = datetime(2024, 1, one.favourite_weekday, one.favourite_hour, tzinfo=UTC)
        day = format.date(monday_first, i18n.locale(), style="weekday", zone=UTC)
        hour = format.time(monday_first, i18n.locale(), zone=UTC)
        said.append((i18n.gettext("Usual moment"), i18n.gettext("%(day)s, around %(hour)s", day=day, hour=hour)))
    return said


def unexpected(conn: sa.Connection, customer_id: int) -> str:
    """Why nothing may be foretold of this customer."""
    said = consent.states(conn, [customer_id], channel="any", purpose="personalization")[customer_id]
    if said is consent.State.DENIED:
        return i18n.gettext("Refuses personal recommendations, so nothing is foretold.")
    return i18n.gettext("Not enough orders yet: predictions begin the night after the first one.")
