"""The style guide: every token as the stylesheet holds it, and every component as pages use it, by day and by night."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, render_template

from app import i18n, security
from app.console import charts, flow_charts, forms, roles, venn, words
from app.i18n import N_
from campaigns.ledger import Sum

bp = Blueprint("styleguide", __name__, url_prefix="/styleguide")

SHEET = Path(__file__).resolve().parents[1] / "static/css/tokens.css"
GROUPS = (
    (N_("Paper"), ("paper", "sheet", "line", "spine", "grid")),
    (N_("Ink and accent"), ("ink", "accent")),
    (N_("Meaning"), ("ok", "warn", "bad", "unsure")),
    (N_("Series"), tuple(f"c{n}" for n in (1, 2, 3, 4, 5, 6, 0))),
)
_COLOUR = re.compile(r"--([a-z0-9-]+):\s*light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
_SPACE = re.compile(r"--(s\d+): ([\d.]+)rem")

DAYS = 14
CLICKS = (30, 31, 29, 26, 31, 33, 31, 34, 38, 37, 39, 41, 41, 39)
PUSHED = (26, 25, 29, 29, 26, 27, 26, 26, 23, 20, 24, 27, 29, 27)
LOW, HIGH, TOP = 5, 5, 60


ROADS = (
    *((0, "store", "store", 60), (0, "store", "web", 14), (0, "web", "email", 12), (0, "web", "web", 18)),
    *((1, "store", "store", 55), (1, "store", "web", 5), (1, "web", "web", 20), (1, "web", "store", 12)),
    *((1, "email", "web", 8), (1, "email", "store", 4)),
)
PLACES = {"store": N_("Shop"), "web": N_("Site"), "email": N_("E-mail")}
STAGES = ((N_("Discover"), 2_400, 0), (N_("Consider"), 1_310, 2_400), (N_("Buy"), 820, 1_310))
VERDICTS = (
    (N_("Buyers"), 92, 140, 188, True, "+3.2 pts"),
    (N_("Orders"), 38, 84, 130, False, "+0.02"),
)


@dataclass(frozen=True, slots=True)
class Colour:
    """One colour token: its name, and what it is by day and by night."""

    name: str
    day: str
    night: str


@bp.get("")
@security.require_role(*roles.READ)
def show() -> str:
    """All of it on one page."""
    return render_template(
        "console/styleguide/show.html",
        groups=[(i18n.gettext(title), list(found)) for title, found in colours()],
        spaces=spaces(),
        states=words.MESSAGE,
        said=words.word,
        words=words,
        form=forms.Form(
            {"kept": i18n.gettext("Basket relaunch"), "late": "-3"},
            {"late": i18n.gettext("Give a number of hours from 1 to 720.")},
        ),
        curve=_curve(),
        example=_example(),
    )


@cache
def colours() -> tuple[tuple[str, tuple[Colour, ...]], ...]:
    """The colour tokens of the stylesheet in their groups."""
    found = [Colour(*match) for match in _COLOUR.findall(SHEET.read_text())]
    return tuple(
        (title, tuple(one for one in found if re.fullmatch(rf"({'|'.join(names)})(-[a-z0-9]+)?", one.name)))
        for title, names in GROUPS
    )


@cache
def spaces() -> tuple[tuple[str, int], ...]:
    """The steps of space, in pixels at the usual size of text."""
    return tuple((name, round(float(size) * 16)) for name, size in _SPACE.findall(SHEET.read_text()))


def _example() -> dict[str, Any]:
    """What the larger charts show."""
    roads = [flow_charts.Road(*road) for road in ROADS]
    names = {key: str(i18n.gettext(name)) for key, name in PLACES.items()}
    return {
        "ledger": Sum(accepted=569, not_sent=255, failed=0, uncertain=2, waiting=11),
        "verdicts": VERDICTS,
        "venn": venn.draw(410, 270, 90),
        "paths": flow_charts.draw(roads, names=names, tones={"store": "c3", "web": "c1", "email": "c2"}),
        "stages": STAGES,
    }


def _curve() -> dict[str, str]:
    """The lines of the example chart: a band, a line within it, and one to compare with."""
    across, up = charts.Scale(0, DAYS - 1, 38, 430), charts.Scale(0, TOP, 146, 10)

    def points(values: list[float]) -> list[str]:
        return [f"{across.at(n)},{up.at(value)}" for n, value in enumerate(values)]

    above, below = points([value + HIGH for value in CLICKS]), points([value - LOW for value in CLICKS])
    return {
        "band": " ".join([*above, *reversed(below)]),
        "line": " ".join(points([*CLICKS])),
        "other": " ".join(points([*PUSHED])),
    }
