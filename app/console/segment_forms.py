"""The builder's form: what a rule looks like as fields, and what rule the fields ask for. No database, no page.

A field is named by the place of its rule in the tree and its own name: `r.of.0.value`. A rule may be turned into its
opposite where it stands (`r.of.0.not`), which is how people say "except".
"""

from collections.abc import Mapping
from copy import deepcopy
from decimal import Decimal, InvalidOperation
from typing import Any

from app.console import segment_fields
from app.console.segment_fields import Field

ROOT = "r"
GROUPS = ("all", "any")
EMPTY: dict[str, Any] = {"type": "all", "of": []}


# ---------------------------------------------------------------------------------------------- of a form
def read(form: Mapping[str, str]) -> dict[str, Any]:
    """The rule the fields ask for, as JSON; what is no number stays text, so that its fault is found with others."""
    return _read(form, ROOT) if f"{ROOT}.type" in form else deepcopy(EMPTY)


def _read(form: Mapping[str, str], place: str) -> dict[str, Any]:
    kind = form.get(f"{place}.type", "all")
    rule: dict[str, Any] = {"type": kind}
    if kind in GROUPS:
        rule["of"] = _inner(form, place)
    elif kind in segment_fields.BY_TYPE:
        for field in segment_fields.BY_TYPE[kind].fields:
            _put(rule, field, form.get(f"{place}.{field.name}", "").strip(), form.get(f"{place}.op", ""))
        if where := _tests(form, place):
            rule["where"] = where
    return {"type": "not", "rule": rule} if form.get(f"{place}.not") else rule


def _inner(form: Mapping[str, str], place: str) -> list[dict[str, Any]]:
    found, number = [], 0
    while f"{place}.of.{number}.type" in form:
        found.append(_read(form, f"{place}.of.{number}"))
        number += 1
    return found


def _tests(form: Mapping[str, str], place: str) -> list[dict[str, Any]]:
    found, number = [], 0
    while (name := form.get(f"{place}.where.{number}.property")) is not None:
        test: dict[str, Any] = {"property": name.strip(), "test": form.get(f"{place}.where.{number}.test", "is")}
        if test["test"] not in ("exists", "missing"):
            test["value"] = _number(form.get(f"{place}.where.{number}.value", "").strip())
        found.append(test)
        number += 1
    return found


def _put(rule: dict[str, Any], field: Field, text: str, op: str) -> None:
    """Sets one field; what is left empty is not said."""
    if field.name == "to" and op != "between":
        return
    if not text and not (field.name == "value" and op not in ("exists", "")):
        return
    value = _value(rule, field, text, op)
    if value == field.default:
        return
    *path, name = field.name.split(".")
    for step in path:
        rule = rule.setdefault(step, {})
    rule[name] = value


def _value(rule: Mapping[str, Any], field: Field, text: str, op: str) -> Any:
    if field.kind == "value":
        return _compared(rule, text, op)
    if field.kind == "list":
        return _listed(text)
    if field.kind == "numbers":
        return [_number(one) for one in _listed(text)]
    if field.kind == "money":
        return _cents(text)
    if field.kind == "number":
        return _number(text)
    return text == "true" if text in ("true", "false") and field.kind == "choice" else text


def _compared(rule: Mapping[str, Any], text: str, op: str) -> Any:
    if op == "one_of":
        return _listed(text)
    if op in ("contains", "starts") or (op == "is" and rule.get("type") == "trait"):
        return text
    return _cents(text) if segment_fields.is_money(rule) and op not in ("before", "after") else _number(text)


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _number(text: str) -> int | float | str:
    cleaned = text.replace("\u202f", "").replace("\xa0", "").replace(",", ".")
    for read_as in (int, float):
        try:
            return read_as(cleaned)
        except ValueError:
            continue
    return text


def _cents(text: str) -> int | str:
    cleaned = text.replace("\u202f", "").replace("\xa0", "").replace(" ", "").replace("€", "").replace(",", ".")
    try:
        return int((Decimal(cleaned) * 100).to_integral_value())
    except (InvalidOperation, ValueError, OverflowError):
        return text


# ----------------------------------------------------------------------------------------------- to a form
def shown(rule: Mapping[str, Any], field: Field) -> str:
    """What a field shows."""
    value: Any = rule
    for step in field.name.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    if value is None:
        value = field.default
    if value is None:
        return ""
    money = field.kind == "money" or (field.kind == "value" and segment_fields.is_money(rule))
    if money and isinstance(value, int) and not isinstance(value, bool):
        return f"{value // 100}.{value % 100:02}".removesuffix(".00")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def opened(rule: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """A rule and whether it is turned into its opposite."""
    turned = False
    inner: Any = rule
    while inner.get("type") == "not":
        inner, turned = inner["rule"], not turned
    return dict(inner), turned


# ------------------------------------------------------------------------------------------------ changes
def changed(rule: dict[str, Any], do: str, kind: str) -> dict[str, Any]:
    """The rule after a button: `add:PLACE`, `group:PLACE`, `remove:PLACE`, `test:PLACE`, `untest:PLACE`."""
    verb, _, place = do.partition(":")
    rule = deepcopy(rule)
    steps = place.split(".")[1:]
    if verb == "remove" and steps:
        group = _at(rule, steps[:-2])
        del group["of"][int(steps[-1])]
    elif verb == "add" and kind in segment_fields.BY_TYPE:
        _at(rule, steps)["of"].append({"type": kind, **deepcopy(dict(segment_fields.BY_TYPE[kind].start))})
    elif verb == "group":
        _at(rule, steps)["of"].append({"type": "any", "of": []})
    elif verb == "test":
        _at(rule, steps).setdefault("where", []).append({"property": "", "test": "is", "value": ""})
    elif verb == "untest":
        _at(rule, steps)["where"].pop()
    return rule


def _at(rule: dict[str, Any], steps: list[str]) -> dict[str, Any]:
    """The rule at a place; one that is turned is looked into."""
    here: Any = rule
    for step in steps:
        while isinstance(here, dict) and here.get("type") == "not":
            here = here["rule"]
        here = here[int(step)] if isinstance(here, list) else here[step]
    while here.get("type") == "not":
        here = here["rule"]
    found: dict[str, Any] = here
    return found
