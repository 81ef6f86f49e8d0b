"""Reports: what is proved, what is missing, whose each order is; as a page, as a table, on the command line."""

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from html import unescape

import orjson
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app import parts
from app.console import report_charts, sheets
from campaigns import crediting, figures, files, plans, reports, tables
from campaigns.definitions import campaign as definitions
from campaigns.evidence import winners
from campaigns.insights import house
from foundation.intervals import Interval
from tests.app import console_world
from tests.app.console_world import CAMPAIGN, Day, post
from tests.campaigns import journey
from tests.campaigns.evidence import people
from tests.campaigns.evidence.test_winners import HEARD, tone

DAY = timedelta(days=1)
NOW = datetime.now(UTC)
PAGE = f"/console/reports/{CAMPAIGN}"


@pytest.fixture
def day(installation: parts.Parts) -> Day:
    return console_world.live(installation)


def proved(installation: parts.Parts) -> plans.Plan:
    """A campaign with a holdout that proves it, and an experiment in which warm words are better."""
    then = NOW - 30 * DAY
    plan = journey.launch(installation.db, HEARD, [tone(automatic=False)], now=then, goal={"within": "5d"})
    with installation.db.begin() as conn:
        ids = people.made(conn, 3_600, at=then)
        people.enrolled(conn, plan, ids[:3_000], at=then)
        people.enrolled(conn, plan, ids[3_000:], at=then, arm="holdout")
        people.drawn(conn, plan, "tone", "warm", ids[:1_500], at=then)
        people.drawn(conn, plan, "tone", "dry", ids[1_500:3_000], at=then)
        people.bought(conn, ids[:700], at=then + DAY)
        people.bought(conn, ids[1_500:1_800], at=then + DAY, name="dry")
        people.bought(conn, ids[3_000:3_060], at=then + DAY, name="held")
    return plan


def test_the_page_says_what_is_missing_while_nothing_is_proved(ines: FlaskClient, day: Day) -> None:
    page = ines.get(PAGE).text
    assert "Nobody’s time is over yet" in page and "not conclusive yet" in page
    assert "189.00" in page and "1 by the last click" in page
    assert ines.get("/console/reports").status_code == 200


def test_the_page_says_what_is_proved_with_its_interval(ines: FlaskClient, installation: parts.Parts) -> None:
    proved(installation)
    page = ines.get("/console/reports/journey").text
    assert "It makes people buy: 23.3 points more than those left alone." in page
    assert "Established" in page and 'class="whisk c1"' in page and "at 95%" in page
    assert "“warm” is better" in page and "Give newcomers “warm”" in page
    assert "Left alone" in ines.get("/console/reports/journey", headers={"Accept-Language": "en"}).text


def test_newcomers_are_given_a_variant_and_drawn_again(ines: FlaskClient, installation: parts.Parts) -> None:
    plan = proved(installation)
    page = "/console/reports/journey"
    answer = post(ines, f"{page}/experiments/tone/winner", {"variant": "warm"})
    assert answer.status_code == 303
    assert "newcomers get “warm”, as ines@aubier.example decided" in ines.get(page).text
    assert post(ines, f"{page}/experiments/tone/winner", {"variant": "dry"}).status_code == 409
    assert post(ines, f"{page}/experiments/tone/undo").status_code == 303
    with installation.db.begin() as conn:
        assert winners.of_plan(conn, plan, now=NOW)[0].winner is None
    assert post(ines, f"{page}/experiments/none/winner", {"variant": "dry"}).status_code == 404


def test_a_report_is_about_the_time_and_the_version_asked_for(ines: FlaskClient, installation: parts.Parts) -> None:
    proved(installation)
    page = ines.get(f"/console/reports/journey?from={NOW:%Y-%m-%d}").text
    assert "Nobody’s time is over yet" in page
    assert "It makes people buy" in ines.get("/console/reports/journey?version=1&from=nonsense").text


def test_the_table_holds_the_same_figures_and_no_formula(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    with installation.db.begin() as conn:
        conn.execute(sa.text("UPDATE orders SET channel = 'store', store_id = '=cmd|calc'"))
    answer = ines.get(f"{PAGE}/report.csv")
    assert answer.mimetype == "text/csv" and answer.headers["Content-Disposition"].startswith("attachment")
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))
    found = {(row["section"], row["what"], row["part"]): row["value"] for row in rows}
    assert found["attributed", "net", "'=cmd|calc"] == "189.0"
    assert found["audience", "all", ""] == "2" and found["audience", "entered", ""] == "1"
    assert sum(int(row["value"]) for row in rows if row["section"] == "audience" and row["part"]) == 2


def test_each_chart_of_a_report_says_how_and_is_taken_away(ines: FlaskClient, installation: parts.Parts) -> None:
    proved(installation)
    page = ines.get("/console/reports/journey").text
    for part in ("everybody", "difference", "steps"):
        assert f'id="chart-{part}"' in page and f'data-png="chart-{part}"' in page
    for anchor in ("how", "how-everybody", "how-steps"):
        assert f'href="#{anchor}"' in page and f'id="{anchor}"' in page
    figures_end = page.split('class="figures rep-figs"')[1].split("</dl>")[1][:900]
    assert 'href="#how"' in figures_end and "report.csv" in figures_end


def test_all_campaigns_are_one_table_and_the_page_says_how(
    ines: FlaskClient, day: Day, installation: parts.Parts
) -> None:
    table = "/console/reports/campaigns.csv"
    page = ines.get("/console/reports").text
    assert "How this is computed" in page and f'href="{table}"' in page
    before = list(csv.DictReader(io.StringIO(ines.get(table).get_data(as_text=True).removeprefix("\ufeff"))))
    assert [(row["campaign"], row["came_in"]) for row in before] == [(CAMPAIGN, "")]
    figures.refresh(installation.db, now=NOW)
    answer = ines.get(table)
    assert answer.mimetype == "text/csv" and answer.headers["Content-Disposition"].startswith("attachment")
    (row,) = csv.DictReader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff")))
    assert (row["came_in"], row["attributed"], row["currency"]) == ("2", "189.0", "EUR")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", " =1", "\t=1"])
def test_a_cell_that_would_be_carried_out_is_text(text: str) -> None:
    assert sheets.safe(text) == f"'{text}"


def test_other_cells_are_left_as_they_are() -> None:
    assert [sheets.safe(cell) for cell in ("plain", "a-b", -12.5, 3, None)] == ["plain", "a-b", -12.5, 3, None]


def test_the_command_line_tells_the_same(web: Flask, ines: FlaskClient, installation: parts.Parts) -> None:
    proved(installation)
    command = web.test_cli_runner()
    found = orjson.loads(command.invoke(args=["campaign", "report", "journey", "--json"]).stdout)
    lines = {(one["section"], one["what"], one["part"]): one for one in found["report"]}
    assert lines["audience", "all", ""]["value"] == 3_600 == found["enrolled"]
    assert lines["lift", "bought", "difference"]["low"] > 0.1
    said = command.invoke(args=["campaign", "report", "journey"]).output
    assert "lift, bought difference" in said and "at 95 %" in said


def test_each_order_of_a_customer_says_whose_it_is(ines: FlaskClient, day: Day, installation: parts.Parts) -> None:
    page = ines.get(f"/console/customers/{day.camille}").text
    assert f"Credited to “{CAMPAIGN}”: the last click before the order" in page
    post(ines, "/console/preferences", {"locale": "fr"})
    assert f"Créditée à « {CAMPAIGN} »" in ines.get(f"/console/customers/{day.camille}").text.replace(
        "\u202f", " "
    ).replace("\xa0", " ")
    with installation.db.begin() as conn:
        conn.execute(sa.delete(tables.attributions))
        conn.execute(sa.text("DELETE FROM events WHERE name = 'Message Clicked'"))
        assert crediting.decisions(conn, ["W-1"], window=5 * DAY)["W-1"].credited is None
    post(ines, "/console/preferences", {"locale": "en"})
    assert "Credited to no message" in ines.get(f"/console/customers/{day.camille}").text


def test_a_ready_campaign_has_a_report_before_anybody_came(ines: FlaskClient, installation: parts.Parts) -> None:
    with installation.db.begin() as conn:
        files.apply(conn, files.read((files.READY / "basket-relaunch.json").read_bytes()), now=NOW)
    assert ines.get("/console/reports/basket-relaunch").status_code == 200
    assert ines.get("/console/reports/nothing").status_code == 404


# ------------------------------------------------------------------------------------------------- drawing
def test_marks_of_an_axis_are_round_and_hold_every_interval() -> None:
    axis = report_charts.axis(0.352, 0.421, start=110, end=528)
    assert [value for _, value in axis.ticks][:2] == [0.34, 0.36] and axis.ticks[-1][1] >= 0.421
    drawn = report_charts.panel(
        [("a", "", Interval(1, 2, 3), "c1"), ("b", "", Interval(2, 4, 9), "c2")], start=0, end=9
    )
    assert drawn and drawn.rows[0].low < drawn.rows[0].middle < drawn.rows[0].high < drawn.rows[1].high
    assert report_charts.panel([], start=0, end=1) is None


def test_days_are_stacked_and_many_of_them_become_weeks() -> None:
    first = date(2026, 1, 1)
    few = report_charts.days([(first, {"web": 100, "store": 50}), (first + 3 * DAY, {"web": 20})])
    assert few and len(few.bars) == 3 and few.bars[0].y > few.bars[1].y
    many = report_charts.days([(first + n * DAY, {"web": 10}) for n in range(100)])
    assert many and len(many.bars) == 15
    assert report_charts.days([]) is None


def test_all_campaigns_together_are_read_as_they_were_counted(ines: FlaskClient, installation: parts.Parts) -> None:
    assert "They are being counted" in ines.get("/console/reports").text
    proved(installation)
    house.refresh(installation.db, now=NOW)
    figures.refresh(installation.db, now=NOW)
    with installation.db.begin() as conn:
        known = house.read(conn)
        assert known is not None and known.everyone == reports.everywhere(conn, now=NOW)
    page = ines.get("/console/reports").text
    assert "+23.3 pts" in page and "counted at" in page


def test_the_ledger_is_shown_as_it_was_counted(ines: FlaskClient, installation: parts.Parts, day: Day) -> None:
    assert "They are being counted" in ines.get("/console/messages").text
    house.refresh(installation.db, now=NOW)
    with installation.db.begin() as conn:
        conn.execute(sa.text("UPDATE insights SET figures = jsonb_set(figures, '{sums,email,accepted}', '4321')"))
    assert "4,321" in ines.get("/console/messages").text, "the page counts nothing itself"


def test_a_large_campaign_is_shown_as_it_was_counted(ines: FlaskClient, installation: parts.Parts, day: Day) -> None:
    page = f"/console/campaigns/{CAMPAIGN}"
    figures.refresh(installation.db, now=NOW)
    assert "Counted at" not in ines.get(page).text, "a small one is counted now"
    with installation.db.begin() as conn:
        grown(conn)
    shown = ines.get(page).text
    assert "43,210" in shown and "Counted at" in shown
    report = ines.get(f"/console/reports/{CAMPAIGN}?version=1").text
    assert "The report is being worked out" in report
    (whole,) = re.findall(r'hx-get="([^"]+whole=1[^"]*)"', report)
    assert "version=1" in whole and "How it is worked out" in ines.get(unescape(whole)).text


def grown(conn: sa.Connection) -> None:
    """As if thousands had entered each campaign when it was counted last."""
    for name, number in (("revenue", 4_321_000), ("enrolled", 9_000)):
        place = f"{{glance,results,{name}}}"
        more = sa.text("UPDATE campaign_figures SET figures = jsonb_set(figures, :place, to_jsonb(:number))")
        conn.execute(more, {"place": place, "number": number})


def test_the_mailbox_is_read_at_once(ines: FlaskClient, installation: parts.Parts, day: Day) -> None:
    assert 'class="count">' in ines.get("/console/mailbox").text
    post(ines, "/console/mailbox/read", on="/console/mailbox")
    page = ines.get("/console/mailbox").text
    assert 'class="count">' not in page and "Mark all as read" not in page


def test_the_page_says_when_the_comparison_began_anew(ines: FlaskClient, installation: parts.Parts) -> None:
    plan = proved(installation)
    assert "began anew" not in ines.get("/console/reports/journey").text
    definition = definitions.dump(plan.definition) | {"holdout_percent": 25}
    with installation.db.begin() as conn:
        plans.update(conn, plan.name, definition=definition, now=NOW - DAY)
    page = ines.get("/console/reports/journey").text
    assert "The comparison began anew on" in page and "this campaign leaves another share alone" in page


def test_the_page_says_when_an_experiment_was_changed(ines: FlaskClient, installation: parts.Parts) -> None:
    plan = proved(installation)
    definition = definitions.dump(plan.definition)
    definition["steps"][0]["variants"][0]["name"] = "warmer"
    with installation.db.begin() as conn:
        plans.update(conn, plan.name, definition=definition, now=NOW)
    page = ines.get("/console/reports/journey").text
    assert "its evidence begins anew: 3,000 customers drawn before prove nothing of it" in page
