"""Charts are taken away from the page they stand on: as a picture, and as a table."""

import base64
import csv
from pathlib import Path

import pytest
from playwright.sync_api import Page

from campaigns import figures, membership, pressure, segments
from campaigns.insights import due
from tests.app import console_world, test_reports
from tests.console import Console, everyone, marks

pytestmark = marks


@pytest.fixture
def page(console: Console, locale: str, width: int) -> Page:
    console_world.live(console.installation)
    test_reports.proved(console.installation)
    due.refresh(console.installation.db, now=console_world.NOW)
    figures.refresh(console.installation.db, now=console_world.NOW)
    with console.installation.db.begin() as conn:
        test_reports.grown(conn)  # so that its report comes after its page
    return console.open(locale=locale, width=width)


@everyone
@pytest.mark.parametrize(
    "path",
    [
        *("/console/reports/journey", "/console/campaigns/journey", "/console/campaigns/calendar"),
        *("/console/insights/channels", "/console/insights/stages"),
    ],
)
def test_a_chart_is_taken_away_as_picture_and_as_table(page: Page, path: str, tmp_path: Path) -> None:
    page.goto(path)
    with page.expect_download() as painted:
        page.locator("[data-png]").first.click()
    painted.value.save_as(tmp_path / "chart.png")
    picture = (tmp_path / "chart.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 1_000
    assert painted.value.suggested_filename.endswith(".png")
    with page.expect_download() as written:
        page.locator("a[download]", has_text="CSV").first.click()
    written.value.save_as(tmp_path / "chart.csv")
    rows = list(csv.reader((tmp_path / "chart.csv").read_text("utf-8-sig").splitlines()))
    assert len(rows) > 1 and len({len(row) for row in rows}) == 1


@everyone
@pytest.mark.parametrize("chart", ["everybody", "difference", "steps"])
def test_a_table_with_bars_is_taken_away_as_a_picture(page: Page, chart: str, tmp_path: Path) -> None:
    page.goto("/console/reports/journey?whole=1")
    drawings = page.locator(f"#chart-{chart} svg[viewBox]").all()
    assert all((drawing.bounding_box() or {"width": 0})["width"] > 100 for drawing in drawings), "none is squeezed"
    with page.expect_download() as painted:
        page.locator(f"[data-png=chart-{chart}]").click()
    painted.value.save_as(tmp_path / "chart.png")
    picture = (tmp_path / "chart.png").read_bytes()
    wide = int.from_bytes(picture[16:20], "big")
    assert picture.startswith(b"\x89PNG") and len(picture) > 3_000
    assert abs(wide - 2 * page.locator(f"#chart-{chart}").evaluate("e => e.getBoundingClientRect().width")) <= 2


def test_the_picture_of_a_table_has_the_shades_of_its_cells(console: Console, tmp_path: Path) -> None:
    console_world.live(console.installation)
    db, now = console.installation.db, console_world.NOW
    with db.begin() as conn:
        rule = {"type": "consent", "channel": "email"}
        segments.apply(conn, segments.parse({"name": "written", "title": "Written", "rule": rule}), now=now)
    membership.refresh(db, now=now)
    pressure.count(db, now=now)
    page = console.open("/console/campaigns/calendar")
    with page.expect_download() as painted:
        page.locator("[data-png=chart-pressure]").click()
    painted.value.save_as(tmp_path / "chart.png")
    picture = base64.b64encode((tmp_path / "chart.png").read_bytes()).decode()
    cells = page.locator("#chart-pressure td:is(.heat-1, .heat-2, .heat-3, .heat-4)")
    shown, drawn = cells.first.evaluate(SHADE, picture)
    assert shown == drawn


SHADE = """async (cell, picture) => {
  const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
  const drawing = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const brush = new OffscreenCanvas(drawing.width, drawing.height).getContext("2d", { willReadFrequently: true });
  const at = (x, y) => [...brush.getImageData(x, y, 1, 1).data];
  brush.fillStyle = getComputedStyle(cell).backgroundColor;
  brush.fillRect(0, 0, 1, 1);
  const shown = at(0, 0);
  brush.drawImage(drawing, 0, 0);
  const [box, around] = [cell, cell.closest("table")].map((one) => one.getBoundingClientRect());
  return [shown, at(2 * (box.left - around.left + 4), 2 * (box.top - around.top + 4))];
}"""
"""The colour of a cell near its corner, on the page and in a picture of its table."""
