"""The first page: what needs attention before all else, and figures that a job counted and nobody who looks."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape

import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts
from app.console import time_charts
from campaigns import figures, membership, plans, tables
from campaigns.insights import due, house, kept
from foundation.intervals import Interval
from recommender.tables import training_runs
from shop import tables as shop_tables
from tests.app import console_world
from tests.app.console_world import CAMPAIGN, NOW
from tests.campaigns import test_membership

WRONG = ("does not get everything through", "The last model was not put in service", "had drifted")
WRONG_FRENCH = ("ne fait pas tout passer", "Le dernier modèle", "dérivé")


def _home(client: FlaskClient) -> str:
    return unescape(client.get("/console/").text)


def test_an_empty_shop_is_told_so(ines: FlaskClient) -> None:
    page = _home(ines)
    assert "it will stand here within minutes" in page
    assert "No message has been planned yet." in page
    assert "Nothing leaves by itself" in page


def test_what_is_grave_stands_first(ines: FlaskClient, installation: parts.Parts) -> None:
    console_world.live(installation)
    shut = {"provider": "smtp", "breaker": "open", "reason": "<b>refused</b>", "opened_at": NOW}
    with installation.db.begin() as conn:
        conn.execute(sa.insert(tables.provider_gates).values(shut))
        plans.pause(conn, CAMPAIGN, now=NOW)
    page = _home(ines)
    titles = ["smtp is not spoken to for now", "is paused", "event was refused"]
    assert [page.index(title) for title in titles] == sorted(page.index(title) for title in titles)
    assert "<b>refused</b>" not in ines.get("/console/").text


def test_what_went_wrong_by_itself_is_told_with_where_to_look(ines: FlaskClient, installation: parts.Parts) -> None:
    day = console_world.live(installation)
    test_membership.keep(installation.db, "buyers", test_membership.BOUGHT, now=NOW)
    with installation.db.begin() as conn:
        conn.execute(sa.update(tables.messages).values(state="failed"))
        conn.execute(sa.insert(training_runs).values(started_at=NOW, finished_at=NOW, state="refused", window={}))
        members = tables.segment_members
        conn.execute(sa.delete(members).where(members.c.customer_id == day.camille))
    assert membership.check(installation.db, now=NOW + timedelta(minutes=1)) == "1 checked, drift: buyers 1"
    figures.refresh(installation.db, now=NOW)
    for locale, titles in (("en", WRONG), ("fr", WRONG_FRENCH)):
        ines.set_cookie("locale", locale)
        page = _home(ines).replace("\xa0", " ").replace("\u202f", " ")
        assert not [title for title in titles if title not in page], locale
    for path in ("/console/messages?state=failed", "/console/model", "/console/segments/buyers"):
        assert f'href="{path}' in page


def test_a_provider_that_tells_less_is_told_of_everywhere(ines: FlaskClient, installation: parts.Parts) -> None:
    told = {"provider": "sendgrid", "tells": True, "taken": 200, "unfollowed": 120}
    with installation.db.begin() as conn:
        usual = told | {"taken_before": 1000, "unfollowed_before": 20}
        kept.keep(conn, "followed", {"providers": [usual]}, now=NOW)
    page = _home(ines)
    assert "sendgrid tells less than it used to" in page and "Of 120 messages of a week, 60.0%" in page
    assert "/console/messages?state=unfollowed" in page
    assert ines.get("/console/messages?state=unfollowed").status_code == 200
    assert "A provider tells less than it used to" in unescape(ines.get("/console/health").text)
    answer = ines.get("/health").json
    assert "reports" not in (answer or {})["checks"], "it is no reason to take the installation out of service"
    assert 'relance_messages_unfollowed{provider="sendgrid"} 120.0' in ines.get("/metrics").text
    ines.set_cookie("locale", "fr")
    assert "sendgrid nous renseigne moins qu’avant" in _home(ines)


def test_a_pool_that_runs_out_asks_for_codes(ines: FlaskClient, installation: parts.Parts) -> None:
    offer = {
        "name": "noel",
        "terms": {"name": "noel", "kind": "percentage", "value": 1000, "codes": "pool", "alert_below": 50},
        "created_at": NOW,
        "updated_at": NOW,
    }
    with installation.db.begin() as conn:
        known = {column.name for column in tables.offers.c}
        conn.execute(sa.insert(tables.offers).values({key: value for key, value in offer.items() if key in known}))
    page = _home(ines)
    assert "The pool of “noel” is empty" in page and 'href="/console/promotions/noel"' in page


def test_a_source_that_fell_silent_is_named(ines: FlaskClient, installation: parts.Parts) -> None:
    month, day, week = timedelta(days=30), timedelta(days=1), timedelta(days=7)
    with installation.db.begin() as conn:
        heard(conn, "Till <Lyon>", at=sales(before=NOW - day))
        heard(conn, "Closed till", at=sales(before=NOW - day - timedelta(hours=4)))
        heard(conn, "Busy till", at=[*sales(before=NOW - day), NOW - timedelta(hours=1)])
        heard(conn, "Sunday till", known=month, at=sales(before=NOW - day))
        heard(conn, "Weekday till", known=month, at=sales(before=NOW - week))
        heard(conn, "Seldom till", known=month, at=sales(before=NOW - week)[:6])
        heard(conn, "Two visits", known=month, at=visits(before=NOW - week))
    raw = ines.get("/console/").text
    assert "Till &lt;Lyon&gt;” is silent" in raw and "Till <Lyon>" not in raw
    assert re.findall(r"“([^”]+)” is silent", raw) == ["Till &lt;Lyon&gt;", "Weekday till"], "only when it should speak"


def sales(*, before: datetime) -> list[datetime]:
    """Fifteen, one every eleven minutes."""
    return [before - timedelta(minutes=11 * n) for n in range(1, 16)]


def visits(*, before: datetime) -> list[datetime]:
    """Two, of twenty pages each."""
    return [before - timedelta(hours=hours, seconds=20 * page) for hours in (1, 2) for page in range(20)]


def heard(conn: sa.Connection, name: str, *, at: list[datetime], known: timedelta = timedelta(days=2)) -> None:
    """A source that was heard at these moments, and five hours ago."""
    at = [*at, NOW - timedelta(hours=5)]
    sender = {"name": name, "channel": "store", "created_at": NOW - known, "last_event_at": max(at)}
    source = conn.scalar(sa.insert(shop_tables.sources).values(sender).returning(shop_tables.sources.c.id))
    rows = [{"minute": moment, "source_id": source, "name": "Product Viewed", "accepted": 1} for moment in at]
    conn.execute(sa.insert(shop_tables.event_counts), rows)


def test_figures_are_those_the_job_counted(ines: FlaskClient, installation: parts.Parts) -> None:
    console_world.live(installation)
    due.refresh(installation.db, now=NOW + timedelta(seconds=1))
    page = _home(ines)
    assert "The last click credits the campaigns with" in page and "not conclusive yet" in page
    assert "All day" in page and ">Relaunch<" in page
    with installation.db.begin() as conn:
        known = house.read(conn)
        assert known and known.total.accepted == 1 and known.orders == 1 and known.customers == 2


def test_a_second_look_within_minutes_counts_nothing(installation: parts.Parts) -> None:
    assert due.refresh(installation.db, now=NOW) == "house, channels, followed counted"
    assert due.refresh(installation.db, now=NOW + timedelta(minutes=1)) is None
    assert due.refresh(installation.db, now=NOW + timedelta(minutes=6)) == "house counted"


def test_what_holdouts_prove_is_drawn_with_its_interval(ines: FlaskClient, installation: parts.Parts) -> None:
    due.refresh(installation.db, now=NOW)
    with installation.db.begin() as conn:
        found = kept.read(conn, "house")
        assert found
        figures = found[0] | {
            "currency": "EUR",
            "attributed": 900_000,
            "orders": 90,
            "caused": [100_000, 300_000, 500_000],
            "told": 1,
            "sums": {"email": {"accepted": 10, "not_sent": 0, "failed": 0, "uncertain": 0, "waiting": 0}},
            "days": {
                "2026-11-19": {"attributed": 100_000, "caused": None},
                "2026-11-20": {"attributed": 500_000, "caused": [50_000, 200_000, 350_000]},
            },
        }
        kept.keep(conn, "house", figures, now=NOW)
    page = _home(ines)
    assert "from €1,000.00 to €5,000.00, at 95%" in page
    assert 'data-png="chart-earned"' in page and 'class="area c1"' in page
    csv = ines.get("/console/insights/earned.csv").text.splitlines()
    assert csv[1].startswith("2026-11-19,1000.0") and csv[2] == "2026-11-20,5000.0,2000.0,500.0,3500.0"


def test_widths_are_added_whatever_the_overlap() -> None:
    total = house.added([Interval(1, 2, 3), Interval(-4, 0, 4)])
    assert total == Interval(-3, 2, 7) and house.added([]) is None


def test_labels_at_the_ends_of_lines_never_cover_each_other() -> None:
    days = [datetime(2026, 11, day, tzinfo=UTC).date() for day in (1, 2, 3)]
    series = [time_charts.Series(name, "c1", [0, 1, value]) for name, value in (("one", 100), ("two", 99))]
    drawn = time_charts.draw(days, series)
    assert drawn and abs(drawn.lines[0].label - drawn.lines[1].label) >= 34
    assert time_charts.draw(days[:1], series) is None


def test_a_shop_assistant_is_led_to_the_counter(enter: Callable[[str], FlaskClient]) -> None:
    assert enter("store").get("/console/").headers["Location"] == "/console/store"
