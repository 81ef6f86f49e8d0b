import pytest

from campaigns import wording
from campaigns.definitions.campaign import FIELDS

HOSTILE = [
    "{{ 'a'*10**9 }}",
    "{{ '%1000000000d'%1 }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ 'a'|center(1000000000) }}",
    "{{ 'a'|indent(1000000000) }}",
    "{% for a in range(100000) %}x{% endfor %}",
    "{{ 7**9999999 }}",
    "{{ customer.first_name.replace('a', 'b') }}",
    "{% set x = 1 %}",
    "{% macro m() %}{% endmacro %}",
    "{% include 'x' %}",
    "{{ customer.__class__ }}",
    "{{ customer['__class__'] }}",
    "{{ customer|attr('__class__') }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ customer[customer.first_name] }}",
    "{{ self }}",
    "{% for a in cart.lines %}{% for b in cart.lines %}{% for c in cart.lines %}{% endfor %}{% endfor %}{% endfor %}",
    "{{ customer.first_name",
    "{% if %}",
    "{{ nothing.here }}",
    "{{ customer.password }}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_a_merge_field_is_refused_before_it_is_rendered(text: str) -> None:
    assert wording.check(text, fields=FIELDS)


@pytest.mark.parametrize("text", HOSTILE)
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
