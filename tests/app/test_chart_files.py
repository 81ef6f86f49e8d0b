"""Every chart of every page hands over what it is drawn from and the drawing, and says how it is computed."""

import csv
import html
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import parts
from recommender import merchandising
from tests import crawl
from tests.app import busy_shop, console_world, test_model_pages, test_predictions

PAGES = Path(__file__).parents[2] / "templates" / "console"
DRAWN = {"chart", "spark", "spanline", "fill-row"}
"""What a chart is made of; bars within the rows of other tables only underline a figure."""
NO_END = {"meta", "link", "input", "img", "br", "hr", "source"}
NAMED = re.compile(r'id="chart-([a-z-]+)"|drawn\.(?:lines|sankey|venn)\(.*?, "([a-z-]+)"')


@dataclass
class Element:
    """An element with what is in it."""

    tag: str
    attributes: dict[str, str]
    parent: "Element | None"
    children: "list[Element]" = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    def within(self) -> "list[Element]":
        """Itself and all in it."""
        return [self, *(found for child in self.children for found in child.within())]

    def around(self) -> "list[Element]":
        """Itself and all it is in, the nearest first."""
        return [self, *(self.parent.around() if self.parent else [])]


class Tree(HTMLParser):
    """A page as elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.root = self.here = Element("", {}, None)
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in NO_END:
            self.here = self.here.children[-1]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.here.children.append(Element(tag, {name: value or "" for name, value in attrs}, self.here))

    def handle_endtag(self, tag: str) -> None:
        opened = next((one for one in self.here.around() if one.tag == tag), None)
        if opened is not None and opened.parent is not None:
            self.here = opened.parent


def charts(page: str) -> dict[str, tuple[str, bool]]:
    """Each chart of a page by its id: where its figures are, and whether it is explained. Fails if one cannot be taken
    away as a picture."""
    whole = Tree(page).root.within()
    buttons = {one.attributes["data-png"]: one for one in whole if "data-png" in one.attributes}
    ids = {one.attributes["id"] for one in whole if "id" in one.attributes}
    for drawing in (one for one in whole if one.classes & DRAWN and one.tag in ("svg", "li")):
        owner = next((one.attributes["id"] for one in drawing.around() if _names(one)), "")
        assert owner in buttons, f"a drawing in #{owner or '…'} cannot be taken away as a picture"
    found = {}
    for owner, button in buttons.items():
        beside = [one for one in (button.parent or button).children if "download" in one.attributes]
        assert beside and owner in ids, f"{owner} has no table, or there is none of it"
        found[owner] = (beside[0].attributes["href"], _explained(button, ids))
    return found


def _names(one: Element) -> bool:
    return one.attributes.get("id", "").startswith("chart-")


def _explained(button: Element, ids: set[str]) -> bool:
    foot = next((one for one in button.around() if "chart-foot" in one.classes), None)
    if foot is not None:
        return any("how-text" in one.classes and one.children for one in foot.within())
    section = next(one for one in button.around() if one.tag == "section")
    targets = [
        one.attributes.get("href", "")[1:] for one in section.within() if one.tag == "a" and "how" in one.classes
    ]
    return any(target in ids for target in targets)


@pytest.fixture
def everything(ines: FlaskClient, web: Flask, installation: parts.Parts) -> dict[str, str]:
    """Every kind of page that draws something, by its path, in a shop where everything has happened."""
    day = busy_shop.opened(installation)
    test_predictions.run(installation.db)
    with installation.db.begin() as conn:
        run = test_model_pages.measured(conn)
        merchandising.start_experiment(conn, "home", percent=20, by="ines", now=console_world.NOW)
    told = busy_shop.telling(installation, day)
    found = [
        path
        for paths in crawl.every(lambda path: _asked(ines, path), web.url_map, crawl.START).values()
        for path in paths
    ]
    more = [f"/console/model/runs/{run}", "/console/segments/written/overlap?with=lyon", "/console/sources/rates"]
    return {path: _asked(ines, path) for path in (*found, *told, *more) if "styleguide" not in path}


def _asked(client: FlaskClient, path: str) -> str:
    with client.get(path, follow_redirects=True) as answer:
        return answer.text if answer.mimetype == "text/html" else ""


def test_every_chart_is_explained_and_taken_away_as_table_and_picture(
    everything: dict[str, str], ines: FlaskClient
) -> None:
    met: dict[str, str] = {}
    for path, page in everything.items():
        if path == "/console/sources/rates":  # a piece of the page of sources, whose chart has its foot
            continue
        for chart, (address, explained) in charts(page).items():
            assert explained, f"{chart} on {path} does not say how it is computed"
            met[chart.removeprefix("chart-")] = html.unescape(address)
    for chart, address in met.items():
        answer = ines.get(address)
        assert answer.status_code == 200 and answer.mimetype == "text/csv", (chart, address)
        rows = list(csv.reader(answer.text.removeprefix("\ufeff").splitlines()))
        assert len(rows) > 1 and len({len(row) for row in rows}) == 1, (chart, address, rows[:3])
    assert not _named() - set(met), "no page of the walk draws it"


def _named() -> set[str]:
    """The charts the templates name, those of the styleguide left out."""
    found = [
        one or other
        for path in PAGES.rglob("*.html")
        if path.parent.name != "styleguide"
        for one, other in NAMED.findall(path.read_text())
    ]
    assert len(found) > 15
    return set(found)


def test_a_drawing_that_nobody_can_take_away_is_found() -> None:
    with pytest.raises(AssertionError, match="cannot be taken away"):
        charts('<section><svg class="chart" viewBox="0 0 1 1"></svg></section>')
    drawing, button = '<svg class="chart" id="chart-a"></svg>', '<button data-png="chart-a">PNG</button>'
    bare = "<section>" + drawing + '<span class="downloads">{}' + button + "</span></section>"
    with pytest.raises(AssertionError, match="has no table"):
        charts(bare.format(""))
    assert charts(bare.format('<a href="/a.csv" download>CSV</a>')) == {"chart-a": ("/a.csv", False)}


def test_every_template_that_draws_hands_its_chart_over() -> None:
    for path in PAGES.rglob("*.html"):
        text = path.read_text()
        drawing = re.search(r'class="(?:chart|spark|spanline|fill-row)\b|drawn\.(?:lines|sankey|venn)\(', text)
        if not drawing or path.name in ("charts.html", "rates.html") or path.parent.name == "styleguide":
            continue  # the macros themselves, and a piece whose page has the foot
        assert re.search(r"(?:drawn|charts)\.(?:foot|downloads)\(", text), f"{path.relative_to(PAGES)} keeps its chart"


@pytest.mark.parametrize(
    "path",
    ["campaign/no.csv", "dry-run/no/1.csv", "segment/no.csv", "overlap/no/no.csv", "offer/no.csv", "model/9.csv"],
)
def test_of_what_there_is_not_there_is_no_table(ines: FlaskClient, path: str) -> None:
    assert ines.get(f"/console/charts/{path}").status_code == 404


@pytest.mark.parametrize("locale", ["en", "fr"])
@pytest.mark.parametrize(
    ("path", "chart"),
    [(f"/console/campaigns/{console_world.CAMPAIGN}", "steps"), ("/console/promotions/WELCOME-BACK", "life")],
)
def test_an_explanation_names_things_as_its_chart_does(
    ines: FlaskClient, installation: parts.Parts, path: str, chart: str, locale: str
) -> None:
    console_world.live(installation)
    ines.set_cookie("locale", locale)
    page = html.unescape(ines.get(path).text)
    rows = page.split(f'id="chart-{chart}"')[1]
    drawn, told = rows.split("</ol>")[0], rows.split('class="how-text">')[1].split("</div>")[0]
    labels = re.findall(r'class="fill-row"><span>(.*?)</span>', drawn)
    assert len(labels) > 4
    for label in labels:
        assert label.lower() in told.lower(), label
