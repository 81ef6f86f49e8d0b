from datetime import UTC, datetime

import pytest

from campaigns import foretold, wording
from campaigns.definitions.content import FIELDS
from recommender.predictions.expected import Expected
from tests.campaigns import hostile

NO_FIELDS = [
    "{{ customer.first_name.replace('a', 'b') }}",
    "{% set x = 1 %}",
    "{{ customer['__class__'] }}",
    "{{ customer[customer.first_name] }}",
    "{% for a in cart.lines %}{% for b in cart.lines %}{% for c in cart.lines %}{% endfor %}{% endfor %}{% endfor %}",
    "{{ customer.first_name",
    "{% if %}",
    "{{ nothing.here }}",
    "{{ customer.password }}",
    "{{ customer.predictions.secret }}",
    "{{ customer.predictions.value.there }}",
]
HOSTILE = [*NO_FIELDS, *hostile.corpus("/nowhere/witness")]


def test_what_is_not_a_merge_field_is_refused_before_it_is_rendered() -> None:
    assert [text for text in HOSTILE if not wording.check(text, fields=FIELDS)] == []


@pytest.mark.parametrize("text", NO_FIELDS)
def test_what_got_into_the_database_another_way_still_does_no_harm(text: str) -> None:
    with pytest.raises(wording.WordingError):
        wording.render(text, {"customer": {"first_name": "a"}, "cart": {}})


def test_fields_conditions_and_loops_are_filled_in() -> None:
    text = (
        "{% if customer.first_name %}{{ customer.first_name|upper }}{% else %}Bonjour{% endif %}:"
        "{% for line in cart.lines %} {{ line.title }}{% endfor %} {{ customer.last_name|default('?') }}"
    )
    assert wording.check(text, fields=FIELDS) == []
    values = {"customer": {"first_name": "Zoé"}, "cart": {"lines": [{"title": "sel"}, {"title": "huile"}]}}
    assert wording.render(text, values) == "ZOÉ: sel huile ?"
    assert wording.render(text, {"customer": {}, "cart": {"lines": []}}) == "Bonjour: ?"


def test_a_missing_field_is_named_and_nothing_is_rendered() -> None:
    with pytest.raises(wording.WordingError, match="first_name is missing"):
        wording.render("Bonjour {{ customer.first_name }}", {"customer": {}})


def test_what_is_expected_of_a_customer_can_be_written_and_asked_about() -> None:
    text = (
        "{% if customer.predictions.category %}Your {{ customer.predictions.category }}"
        "{% if customer.predictions.churn_risk > 0.5 %} miss you{% endif %}, {{ customer.predictions.weekday }}"
        "{% else %}Hello{% endif %}"
    )
    assert wording.check(text, fields=FIELDS) == []
    one = Expected(
        customer_id=1,
        as_of=datetime(2026, 11, 21, tzinfo=UTC),
        next_order_at=None,
        order_probability_30d=0.2,
        churn_risk=0.6,
        expected_value_12m=120_000,
        currency="EUR",
        favourite_category="Kitchen > Pots",
        favourite_channel="store",
        favourite_hour=18,
        favourite_weekday=6,
    )
    for expected, said in ((one, "Your Pots miss you, samedi"), (None, "Hello")):
        fields = foretold.merge_fields(expected, locale="fr", zone=UTC)
        assert wording.render(text, {"customer": {"predictions": fields}}) == said
    fields = foretold.merge_fields(one, locale="en", zone=UTC)
    assert fields["value"] == "€1,200.00"
    assert "next_order" not in fields
