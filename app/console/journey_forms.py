"""The builder's drawer as a form: a step from its fields, its fields from a step, and each fault at its field."""

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from app import i18n
from app.console import forms, journey_fields, sentences
from app.console.journey_fields import Field
from campaigns.definitions import content, edits
from foundation.errors import Fault

Json = dict[str, Any]
KEPT = "="
"""A rule somebody wrote out, which the drawer leaves as it is."""
WORDS = ("subject", "preheader", "heading", "intro", "button")
HOLDERS = ("winner", "template")
"""Objects that need not be said once nothing stands in them."""


# ------------------------------------------------------------------------------------------- from a form
def read(of: Mapping[str, Any], fields: Iterable[Field], form: Mapping[str, str]) -> Json:
    """The step a form asks for: the one that stood, with what its fields hold in their places.

    What is no number stays text, so that its fault is found with the others; what is left empty is not said.
    """
    changed: Json = deepcopy(dict(of))
    for one in fields:
        if reader := _READERS.get(one.kind):
            reader(changed, one, form)
        elif one.name in form:
            _put(changed, one.name, _typed(one, form[one.name]))
    return {name: value for name, value in changed.items() if name not in HOLDERS or value != {}}


def _typed(one: Field, text: str) -> Any:
    cleaned = text.replace("\r\n", "\n").strip()
    if one.kind == "number":
        return forms.number(cleaned.replace(",", ".")) if cleaned else None
    if one.kind == "value":
        return _scalar(cleaned)
    if one.kind == "moment":
        return f"{cleaned}:00+00:00" if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d", cleaned) else cleaned or None
    return cleaned if cleaned or not one.optional and one.kind in ("text", "url", "event", "day") else None


def _scalar(text: str) -> Any:
    return {"true": True, "false": False}.get(text, forms.number(text) if text else "")


def _put(of: Json, name: str, value: Any) -> None:
    """Sets a field; None and what goes without saying take it away."""
    *way, last = name.split(".")
    holder = of
    for part in way:
        if not isinstance(holder.get(part), dict):
            holder[part] = {}
        holder = holder[part]
    if value is None or way != ["canary"] and value == journey_fields.default(of, name):
        holder.pop(last, None)
    else:
        holder[last] = value


def _duration(of: Json, one: Field, form: Mapping[str, str]) -> None:
    if (number := form.get(f"{one.name}.n")) is not None:
        text = number.strip()
        _put(of, one.name, f"{text}{form.get(f'{one.name}.unit', 'h')}" if text else None)


def _switch(of: Json, one: Field, form: Mapping[str, str]) -> None:
    if f"{one.name}.shown" in form:
        _put(of, one.name, one.name in form)


def _checks(of: Json, one: Field, form: Mapping[str, str]) -> None:
    if f"{one.name}.shown" in form:
        chosen = [value for value, _ in one.choices if f"{one.name}.{value}" in form]
        _put(of, one.name, chosen or None)


def _words(of: Json, one: Field, form: Mapping[str, str]) -> None:
    """A language in which nothing is written is left out; without any there are no words."""
    if f"{one.name}.shown" not in form:
        return
    said: Json = {}
    for locale in content.LOCALES:
        kept = dict((of.get(one.name) or {}).get(locale, {}))
        given = {name: form.get(f"{one.name}.{locale}.{name}", "").replace("\r\n", "\n").strip() for name in WORDS}
        kept = {name: value for name, value in kept.items() if name not in WORDS}
        kept |= {name: value for name, value in given.items() if value}
        if kept:
            said[locale] = {"intro": "", **kept}
    of[one.name] = said or None
    if not said:
        del of[one.name]


def _tests(of: Json, one: Field, form: Mapping[str, str]) -> None:
    found = tests(form, one.name)
    if f"{one.name}.shown" in form:
        _put(of, one.name, found or None)


def tests(form: Mapping[str, str], place: str) -> list[Json]:
    """The tests of properties under one place of a form."""
    found, number = [], 0
    while (name := form.get(f"{place}.{number}.property")) is not None:
        test: Json = {"property": name.strip(), "test": form.get(f"{place}.{number}.test", "is")}
        said = form.get(f"{place}.{number}.value", "").strip()
        if test["test"] == "one_of":
            test["value"] = [_scalar(one.strip()) for one in said.split(",") if one.strip()]
        elif test["test"] not in ("exists", "missing"):
            test["value"] = _scalar(said)
        found.append(test)
        number += 1
    return found


def _rule(of: Json, one: Field, form: Mapping[str, str]) -> None:
    chosen = form.get(one.name)
    if chosen is not None and chosen != KEPT:
        of[one.name] = _segment(chosen)
        if of[one.name] is None:
            del of[one.name]


def _segment(chosen: str) -> Json | None:
    """A segment, or with `!` before its name whoever is not in it."""
    name = chosen.removeprefix("!")
    inside = {"type": "segment", "name": name} if name else None
    return {"type": "not", "rule": inside} if inside and chosen.startswith("!") else inside


def segment_of(rule: Any) -> str:
    """What the choice of a segment says of a rule, as `_segment` reads it; "" for none, `KEPT` for any other rule."""
    if not isinstance(rule, Mapping) or rule.get("type") in ("all", "any") and not rule.get("of"):
        return ""
    if rule.get("type") == "segment":
        return str(rule.get("name", ""))
    inner = rule.get("rule")
    if rule.get("type") == "not" and isinstance(inner, Mapping) and inner.get("type") == "segment":
        return f"!{inner.get('name', '')}"
    return KEPT


def _lines(of: Json, one: Field, form: Mapping[str, str]) -> None:
    if one.name in form:
        _put(of, one.name, [line.strip() for line in form[one.name].splitlines() if line.strip()] or None)


def _ways(of: Json, one: Field, form: Mapping[str, str]) -> None:
    for number, branch in enumerate(of.get(one.name, ())):
        place = f"{one.name}.{number}"
        if f"{place}.name" not in form:
            continue
        branch["name"] = form[f"{place}.name"].strip()
        _rule(branch, Field("when", "rule", ""), {"when": form.get(f"{place}.when", KEPT)})
        branch["where"] = tests(form, f"{place}.where")
        if not branch["where"]:
            del branch["where"]


def _variants(of: Json, one: Field, form: Mapping[str, str]) -> None:
    for number, variant in enumerate(of.get(one.name, ())):
        place = f"{one.name}.{number}"
        if f"{place}.name" in form:
            variant["name"] = form[f"{place}.name"].strip()
            variant["weight"] = forms.number(form.get(f"{place}.weight", "1").strip() or "1")


def _exits(of: Json, one: Field, form: Mapping[str, str]) -> None:
    if f"{one.name}.shown" not in form:
        return
    watched = list(of.get(one.name, ()))
    for number, watch in enumerate(watched):
        place = f"{one.name}.{number}"
        if f"{place}.event" in form:
            kept = {**watch, "event": form[f"{place}.event"].strip(), "same": form.get(f"{place}.same", "none")}
            kept["where"] = tests(form, f"{place}.where")
            watched[number] = {name: value for name, value in kept.items() if value not in ("none", [])}
    _put(of, one.name, watched or None)


_READERS = {
    "duration": _duration,
    "switch": _switch,
    "checks": _checks,
    "words": _words,
    "tests": _tests,
    "lines": _lines,
    "rule": _rule,
    "ways": _ways,
    "variants": _variants,
    "exits": _exits,
}


def settled(of: Json) -> Json:
    """The campaign's own fields put right: a goal without an event is none, as are days without their rule and
    a canary without messages."""
    goal = of.get("goal")
    if goal is not None and "goal" in of and goal.get("event") == "":
        of["goal"] = None
    elif goal == {}:
        del of["goal"]
    if "messages" not in (of.get("canary") or {}):
        of.pop("canary", None)
    if of.get("reentry", {}).get("rule") != "after":
        of.get("reentry", {}).pop("days", None)
    if of.get("reentry") == {}:
        del of["reentry"]
    return of


# ---------------------------------------------------------------------------------------------- rows
def grown(of: Mapping[str, Any], do: str) -> Json:
    """The step after a button: `add:PLACE` puts a row at the end of a list, `remove:PLACE:NUMBER` takes one out."""
    changed: Json = deepcopy(dict(of))
    verb, _, rest = do.partition(":")
    place, _, number = rest.partition(":")
    holder, last = _holder(changed, place)
    rows = list(holder.get(last, ()))
    if verb == "add":
        rows.append(_row(last, rows))
    elif verb == "remove" and number.isdecimal() and int(number) < len(rows):
        del rows[int(number)]
    holder[last] = rows
    return changed


def _row(last: str, rows: list[Json]) -> Json:
    if last == "branches":
        return {"name": "", "when": {"type": "all", "of": []}}
    if last == "variants":
        taken = {str(row.get("name")) for row in rows}
        return {"name": next(letter for letter in "abcdefghijklm" if letter not in taken)}
    if last == "exit_on":
        return {"event": ""}
    return {"property": "", "test": "is", "value": ""}


def _holder(of: Json, place: str) -> tuple[Json, str]:
    *way, last = place.split(".")
    here: Any = of
    for part in way:
        here = here[int(part)] if isinstance(here, list) else here[part]
    return here, last


# ------------------------------------------------------------------------------------------- to a form
def shown(of: Mapping[str, Any], one: Field) -> Any:
    """What a field shows."""
    value = journey_fields.value(of, one.name)
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if one.kind == "moment":
        return str(value)[:16]
    return str(value).lower() if isinstance(value, bool) else value


def length(of: Mapping[str, Any], one: Field) -> tuple[str, str]:
    """A length of time as its number and its unit."""
    text = str(journey_fields.value(of, one.name) or "")
    return (text[:-1], text[-1]) if text[-1:] in ("m", "h", "d", "w") else (text, "h")


# ------------------------------------------------------------------------------------------------- faults
def by_step(definition: Mapping[str, Any], faults: Iterable[Fault]) -> dict[str, list[tuple[str, str]]]:
    """Faults by the id of their step, each with its field and a sentence; under "" those of the campaign, under
    "entry" those of the entry."""
    places = {found.pointer: found.step["id"] for found in edits.walk(deepcopy(dict(definition)))}
    found: dict[str, list[tuple[str, str]]] = {}
    for fault in faults:
        step, rest = _placed(fault.pointer, places)
        said = i18n.gettext("This value %(fault)s.", fault=sentences.said(fault.detail))
        found.setdefault(step, []).append((rest.strip("/").replace("/", "."), str(said)))
    return found


def _placed(pointer: str, places: Mapping[str, str]) -> tuple[str, str]:
    for place in _upwards(pointer):
        if place in places:
            return places[place], pointer[len(place) :]
    if pointer.startswith("/entry"):
        return "entry", pointer.removeprefix("/entry")
    return "", pointer


def _upwards(pointer: str) -> Iterator[str]:
    while pointer:
        yield pointer
        pointer = pointer.rpartition("/")[0]
