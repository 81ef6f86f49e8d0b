"""What is told of the whole house: channels, paths, who comes back, how far customers come; on pages and as files."""

from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts
from app.console import flow_charts
from campaigns.insights import shopping
from shop import ingest, sources, vocabulary
from tests.app import console_world

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PAGES = ("channels", "paths", "retention", "stages")


def _happened(installation: parts.Parts, told: list[tuple[str, str, str, int, str]]) -> None:
    """Events of customers: who, what, on which channel, how many days ago, and the number of an order."""
    with installation.db.begin() as conn:
        source = sources.source(conn, "site", channel="web", now=NOW)
        found = []
        for n, (who, name, channel, days, order) in enumerate(told):
            at = NOW - timedelta(days=days)
            properties = {"channel": channel} | ({"order_id": order, "total": 10, "currency": "EUR"} if order else {})
            sent = {"type": "track", "userId": who, "event": name, "properties": properties, "messageId": f"m{n}"}
            event = vocabulary.parse(sent | {"timestamp": at.isoformat()}, source=source, received_at=NOW)
            assert isinstance(event, vocabulary.Event)
            found.append(event)
        ingest.ingest(conn, found, now=NOW)


def test_each_customer_counts_once_at_the_furthest_she_came(installation: parts.Parts) -> None:
    told = [
        ("ada", "Product Viewed", "web", 5, ""),
        ("bob", "Product Viewed", "app", 5, ""),
        ("bob", "Product Added", "app", 4, ""),
        ("cia", "Order Completed", "store", 3, "O-1"),
        ("cia", "Product Reviewed", "web", 1, ""),
        ("dan", "Product Reviewed", "web", 1, ""),
        ("eve", "Product Viewed", "web", 200, ""),
    ]
    _happened(installation, told)
    shopping.refresh(installation.db, now=NOW)
    with installation.db.begin() as conn:
        found = shopping.stages(conn)
    assert found and [(one.stage, one.people) for one in found[0]] == [
        ("discover", 3),
        ("consider", 2),
        ("buy", 1),
        ("share", 1),
    ]
    assert found[0][0].channels == {"web": 1, "app": 1}


def test_roads_lead_from_the_first_visit_over_the_last_to_the_order(installation: parts.Parts) -> None:
    told = [
        ("ada", "Product Viewed", "web", 9, ""),
        ("ada", "Product Viewed", "app", 2, ""),
        ("ada", "Order Completed", "store", 1, "O-1"),
        ("bob", "Order Completed", "web", 1, "O-2"),
    ]
    _happened(installation, told)
    shopping.refresh(installation.db, now=NOW)
    with installation.db.begin() as conn:
        found = shopping.roads(conn)
    assert found
    assert {(one.part, one.start, one.end, one.orders) for one in found[0]} == {
        (0, "web", "app", 1),
        (1, "app", "store", 1),
        (0, "none", "none", 1),
        (1, "none", "web", 1),
    }


def test_a_cohort_is_the_month_of_the_first_order(installation: parts.Parts) -> None:
    told = [
        ("ada", "Order Completed", "web", 70, "O-1"),
        ("ada", "Order Completed", "web", 40, "O-2"),
        ("ada", "Order Completed", "web", 39, "O-3"),
        ("bob", "Order Completed", "web", 70, "O-4"),
        ("cia", "Order Completed", "web", 3, "O-5"),
    ]
    _happened(installation, told)
    shopping.refresh(installation.db, now=NOW)
    with installation.db.begin() as conn:
        found = shopping.cohorts(conn)
    assert found
    assert [(one.month.isoformat(), one.people, one.returned) for one in found[0]] == [
        ("2026-09-01", 2, (1, 0)),
        ("2026-11-01", 1, ()),
    ]


@pytest.mark.parametrize("page", PAGES)
def test_before_anything_was_counted_a_page_says_so(ines: FlaskClient, page: str) -> None:
    assert "Not counted yet" in ines.get(f"/console/insights/{page}").text


@pytest.mark.parametrize("page", PAGES)
def test_every_page_explains_itself_and_can_be_taken_away(
    ines: FlaskClient, installation: parts.Parts, page: str
) -> None:
    console_world.live(installation)
    shopping.refresh(installation.db, now=datetime.now(UTC))
    text = unescape(ines.get(f"/console/insights/{page}").text)
    assert "How this is computed" in text and f'data-png="chart-{page}"' in text
    csv = ines.get(f"/console/insights/{page}.csv")
    assert csv.status_code == 200 and csv.text.count("\n") > 1


def test_a_text_message_costs_its_price_for_each_of_its_parts(ines: FlaskClient, installation: parts.Parts) -> None:
    console_world.live(installation)
    with installation.db.begin() as conn:
        conn.execute(sa.text("UPDATE messages SET channel = 'sms', state = 'accepted'"))
        conn.execute(sa.text("UPDATE message_contents SET headers = CAST('{\"parts\": 2}' AS jsonb)"))
    shopping.refresh(installation.db, now=datetime.now(UTC))
    with installation.db.begin() as conn:
        found = shopping.channels(conn)
        kept = conn.scalar(sa.text("SELECT count(*) FROM message_contents")) or 0
    assert found is not None and kept
    (line,) = found[0]
    assert line.parts == line.accepted + kept
    assert f"€{0.05 * line.parts:.2f}" in unescape(ines.get("/console/insights/channels").text)


def test_a_channel_with_a_hostile_name_is_shown_and_never_carried_out(
    ines: FlaskClient, installation: parts.Parts
) -> None:
    road = {"roads": [{"part": part, "start": "=<b>x", "end": "=<b>x", "orders": 3} for part in (0, 1)]}
    with installation.db.begin() as conn:
        insert = sa.text("INSERT INTO insights (name, figures, at) VALUES ('roads', CAST(:figures AS jsonb), now())")
        conn.execute(insert, {"figures": str(road).replace("'", '"')})
    assert "<b>x" not in ines.get("/console/insights/paths").text
    assert "'=<b>x" in ines.get("/console/insights/paths.csv").text


def test_an_analyst_may_look_and_a_shop_assistant_not(enter: object, client: FlaskClient) -> None:
    assistant = enter("store")  # type: ignore[operator]
    assert {assistant.get(f"/console/insights/{page}").status_code for page in PAGES} == {403}


def test_ribbons_keep_within_their_places() -> None:
    roads = [
        flow_charts.Road(0, "a", "b", 60),
        flow_charts.Road(0, "c", "b", 40),
        flow_charts.Road(1, "b", "d", 100),
    ]
    drawn = flow_charts.draw(roads, names={}, tones={})
    assert drawn and flow_charts.draw([], names={}, tones={}) is None
    heights = {(node.column, node.name): node.height for node in drawn.nodes}
    assert heights[1, "b"] == pytest.approx(heights[0, "a"] + heights[0, "c"], abs=0.2)
    assert len(drawn.ribbons) == 3 and all(node.y + node.height <= drawn.height for node in drawn.nodes)
