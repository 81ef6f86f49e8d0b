"""The calendar's pressure on segments: week by week, against the cap, from what a job has counted."""

from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts
from app.console import pressure_charts
from campaigns import membership, pressure, segments
from campaigns.pressure import Pressure, Week
from tests.app import console_world

WEEKS = [date(2026, 11, 2) + timedelta(weeks=n) for n in range(3)]


def _segment(sent: int, planned: int | None) -> Pressure:
    week = Week(WEEKS[0], sent, sent, 5, planned)
    return Pressure(1, "all", "All", 10, sent, sent, 5, datetime.now(UTC), {WEEKS[0]: week})


def test_a_bar_stands_for_messages_a_member_the_planned_on_the_sent() -> None:
    chart = pressure_charts.draw(_segment(10, 5), WEEKS, cap=2)
    assert chart and chart.cap is not None and len(chart.bars) == 1
    bar = chart.bars[0]
    assert bar.each == 1.5 and bar.at_cap == 0.5
    assert bar.sent_height == pytest.approx(2 * bar.planned_height, abs=0.2)
    assert bar.planned == pytest.approx(bar.sent - bar.planned_height, abs=0.1) and bar.planned > chart.cap


def test_a_cap_far_above_leaves_the_weeks_to_be_seen() -> None:
    near = pressure_charts.draw(_segment(10, None), WEEKS, cap=pressure_charts.FAR)
    far = pressure_charts.draw(_segment(10, None), WEEKS, cap=pressure_charts.FAR + 1)
    assert near and far and near.cap is not None and far.cap is None
    assert far.bars[0].sent_height > 3 * near.bars[0].sent_height


def test_nothing_is_drawn_of_nobody_or_of_what_was_not_counted() -> None:
    assert pressure_charts.draw(Pressure(1, "a", "A", 0, 0, 0, 0, datetime.now(UTC)), WEEKS, cap=3) is None
    assert pressure_charts.draw(_segment(1, 0), WEEKS, cap=0) is not None


@pytest.mark.parametrize(
    ("each", "cap", "shade"), [(None, 3, 0), (0, 3, 0), (0.1, 3, 1), (1.6, 3, 3), (3, 3, 4), (9, 3, 4), (1, 0, 1)]
)
def test_a_cell_is_the_darker_the_nearer_to_the_cap(each: float | None, cap: float, shade: int) -> None:
    assert pressure_charts.shade(each, cap) == shade


def test_a_segment_that_is_not_counted_yet_is_told_as_such(ines: FlaskClient, installation: parts.Parts) -> None:
    console_world.live(installation)
    now = datetime.now(UTC)
    with installation.db.begin() as conn:
        _keep(conn, "written", {"type": "consent", "channel": "email"}, now=now)
    membership.refresh(installation.db, now=now)
    pressure.count(installation.db, now=now)
    with installation.db.begin() as conn:
        _keep(conn, "newest", {"type": "consent", "channel": "email"}, now=now)
    told = ines.get("/console/campaigns/calendar/pressure?segment=newest").text
    assert "Its weeks are being counted" in told and 'id="chart-weeks"' not in told
    page = ines.get("/console/campaigns/calendar?segment=newest").text
    assert '<option value="newest" selected>' in page and 'id="chart-weeks"' not in page
    assert '<option value="written" selected>' in ines.get("/console/campaigns/calendar?segment=gone").text


def _keep(conn: sa.Connection, name: str, rule: dict[str, str], *, now: datetime) -> None:
    segments.apply(conn, segments.parse({"name": name, "title": name.title(), "rule": rule}), now=now)


def test_the_calendar_tells_each_segment_and_the_weeks_of_the_one_chosen(
    ines: FlaskClient, installation: parts.Parts
) -> None:
    console_world.live(installation)
    now = datetime.now(UTC)
    with installation.db.begin() as conn:
        _keep(conn, "written", {"type": "consent", "channel": "email"}, now=now)
        _keep(conn, "lyon", {"type": "trait", "name": "city", "op": "is", "value": "Lyon"}, now=now)
    assert "Counted every half hour" in ines.get("/console/campaigns/calendar").text
    membership.refresh(installation.db, now=now)
    pressure.count(installation.db, now=now)
    page = ines.get("/console/campaigns/calendar").text
    assert "this week" in page and 'id="chart-weeks"' in page and "the cap is 3 messages in 7 days" in page
    chosen = ines.get("/console/campaigns/calendar/pressure?segment=written").text
    assert "<h1" not in chosen and 'id="chart-weeks"' in chosen and 'aria-label="Written: ' in chosen
    assert '<option value="lyon" selected>' in ines.get("/console/campaigns/calendar?segment=lyon").text
    assert "Nobody is in this segment." in ines.get("/console/campaigns/calendar/pressure?segment=lyon").text
    assert ines.get("/console/campaigns/calendar/pressure?segment=no").status_code == 200
    rows = ines.get("/console/charts/pressure.csv").text.splitlines()
    assert rows[0].endswith("cap of a week") and any(row.startswith("written,1,") for row in rows)
