"""Texts are tried in a process of their own: what hangs or swells is killed, and the next text is served."""

import time

import pytest

from campaigns import cell, wording

HOSTILE = [
    "{{ 'a'*10**9 }}",
    "{{ '%1000000000d'%1 }}",
    "{{ '{:>1000000000}'.format(1) }}",
    "{{ 'a'|center(1000000000) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'|indent(1000000000) }}",
    "{% set ns = namespace(x='a') %}{% for i in range(40) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}",
    "{{ 7**9999999 }}",
    "{{ 'a'.replace('a', 'a'*100000) }}",
    "{{ 'a'|wordwrap(1) }}",
    "{{ ''.__class__.__mro__ }}",
    "{{ x|attr('__class__') }}",
    "{{ x['__class__'] }}",
    "{{ x['__' ~ 'class__'] }}",
    "{{ '{0.__class__}'.format_map(x) }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ lipsum() }}",
    "{{ self }}",
    "{% import 'x' as y %}",
    "{% include '/etc/passwd' %}",
    "{% macro m() %}{% endmacro %}{{ m() }}",
    "{% for a in b recursive %}{{ loop(a) }}{% endfor %}",
    "{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}",
    "{{ " + "not " * 2400 + "x }}",
    "{% if a %}" * 900,
    "{% if a %}" * 400 + "{% endif %}" * 400,
    "{{ a" + ".b" * 4000 + " }}",
    "{{ a" + "[0]" * 3000 + " }}",
    "{{ " + "a and " * 1600 + "a }}",
]


@pytest.mark.parametrize("source", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_hostile_is_never_rendered_and_ends_in_time(source: str) -> None:
    wording.render("warm {{ x }}", {"x": "y"})
    begun = time.monotonic()
    with pytest.raises(wording.WordingError):
        wording.render(source, {"x": {}, "a": None})
    assert time.monotonic() - begun < 2.5


def trial(text: str) -> str | None:
    """A trial that never ends, or takes all there is."""
    if text == "swell":
        return str(len(bytearray(2**31)))
    if text == "hang":
        while True:
            pass
    return "is odd" if text == "odd" else None


def test_what_hangs_or_swells_is_killed_and_the_next_is_served() -> None:
    made = cell.Cell("tests.campaigns.test_cell", seconds=0.5, memory=1024 * 1024 * 1024)
    try:
        assert made.tried("fine") is None
        assert made.tried("hang") == "takes longer than 0.5 s to fill in"
        assert made.tried("odd") == "is odd"
        assert made.tried("swell") == "needs more memory than 1024 MB"
        assert made.tried("fine") is None
    finally:
        made.close()
