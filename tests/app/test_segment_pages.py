"""What stands beside a rule: values from the shop's own data, the overlap with another segment, who uses it."""

import re
from html import unescape
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from app import parts
from app.console import segment_words, venn
from campaigns import membership, segments
from tests.app import console_world
from tests.app.console_world import NOW
from tests.campaigns import world

ROOT = "rule.of.0"


@pytest.fixture
def kept(installation: parts.Parts) -> parts.Parts:
    """Two segments that share one customer, and a third that names the first."""
    console_world.live(installation)
    with installation.db.begin() as conn:
        world.make_customer(conn, "zoe", at=NOW, city="Lyon <b>")
        world.make_customer(conn, "ann", at=NOW, city="Lille", first_name="Ann")
        for name, rule in (
            ("written", {"type": "consent", "channel": "email"}),
            ("lyon", {"type": "trait", "name": "city", "op": "starts", "value": "Lyon"}),
            ("both", {"type": "segment", "name": "lyon"}),
        ):
            value = {"name": name, "title": name.title(), "rule": {"type": "all", "of": [rule]}}
            segments.apply(conn, segments.parse(value), now=NOW)
    membership.refresh(installation.db, now=NOW)
    return installation


def _values(client: FlaskClient, of: str, typed: str, name: str = "") -> str:
    asked = {"of": of, "name": name, f"{ROOT}.value": typed}
    return client.get("/console/segments/-/values", query_string=asked).text


def test_values_come_from_the_shops_own_data(ines: FlaskClient, kept: parts.Parts) -> None:
    assert "Lille" in _values(ines, "trait", "li", "city") and "Lyon" not in _values(ines, "trait", "li", "city")
    assert "Lyon &lt;b&gt;" in _values(ines, "trait", "", "city")
    assert _values(ines, "trait", "", "email").strip() == "" == _values(ines, "nothing", "").strip()
    assert "cocotte" in _values(ines, "products", "sel-guerande, coc") and "sel-guerande, " in _values(
        ines, "products", "sel-guerande, coc"
    )
    page = ines.get("/console/segments/lyon").text
    assert '<option value="city">' in page and '<option value="Product Added">' in page


def test_the_overlap_of_two_segments_is_counted_when_asked(ines: FlaskClient, kept: parts.Parts) -> None:
    page = ines.get("/console/segments/lyon")
    assert 'hx-get="/console/segments/lyon/overlap"' in page.text
    found = unescape(ines.get("/console/segments/lyon/overlap?with=written").text)
    assert "0 in this segment alone, 1 in both, 2 in “Written” alone" in found
    assert "Choose another segment" in ines.get("/console/segments/lyon/overlap?with=nothing").text
    assert ines.get("/console/segments/nothing/overlap?with=lyon").status_code == 404


def test_who_uses_a_segment_is_a_link(ines: FlaskClient, kept: parts.Parts) -> None:
    assert 'href="/console/segments/both"' in ines.get("/console/segments/lyon").text
    assert "Nothing uses it yet." in ines.get("/console/segments/both").text


@pytest.mark.parametrize(("one", "other", "both"), [(100, 100, 50), (1000, 30, 30), (10, 10, 0), (500, 400, 1)])
def test_circles_share_the_area_they_should(one: int, other: int, both: int) -> None:
    drawn = venn.draw(one, other, both)
    assert drawn
    scale = drawn.left.r**2 * 3.14159 / one
    shared = venn.shared(drawn.left.r, drawn.right.r, drawn.right.x - drawn.left.x) / scale
    assert shared == pytest.approx(both, rel=0.05, abs=0.5)
    assert drawn.left.x - drawn.left.r >= 0 and drawn.right.x + drawn.right.r <= venn.WIDE
    assert venn.draw(0, other, 0) is None


def test_an_empty_shop_offers_nothing_and_does_not_fail(ines: FlaskClient, installation: parts.Parts) -> None:
    assert ines.get("/console/segments/-/new").status_code == 200
    for of in ("trait", "property", "categories", "brands", "products", "stores", "campaign", "offer"):
        assert "<option" not in _values(ines, of, "'; DROP TABLE customers; --")
    with installation.db.begin() as conn:
        assert conn.scalar(sa.text("SELECT count(*) FROM customers")) == 0


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            {"type": "orders", "measure": "last", "op": "over_days_ago", "value": 120},
            "Orders: the last more than 120 days ago",
        ),
        (
            {"type": "orders", "measure": "count", "op": "at_least", "value": 2, "within": "90d"},
            "Orders: number at least 2, in the last 90 days",
        ),
        (
            {
                "type": "all",
                "of": [
                    {"type": "segment", "name": "a"},
                    {"type": "any", "of": [{"type": "segment", "name": "b"}, {"type": "segment", "name": "c"}]},
                ],
            },
            "Is in segment a and (Is in segment b or Is in segment c)",
        ),
    ],
)
def test_a_rule_reads_as_one_sentence(web: Flask, rule: dict[str, Any], said: str) -> None:
    with web.test_request_context("/console/segments"):
        assert re.sub(r"<[^>]+>", "", segment_words.sentence(rule)) == said


def test_the_days_between_which_a_rule_looks_are_said_as_days(web: Flask) -> None:
    rule = {"type": "orders", "measure": "count", "op": "at_least", "value": 40}
    rule |= {"since": "2026-07-20", "until": "2026-10-18"}
    for locale, said in (
        ("en", "(From: 20 Jul 2026, Until: 18 Oct 2026)"),
        ("fr", "(De\u202f: 20 juil. 2026, Jusqu’au"),
    ):
        with web.test_request_context("/", headers={"Accept-Language": locale}):
            assert said in unescape(re.sub(r"<[^>]+>", "", segment_words.sentence(rule)))
