"""Rules of segments said in sentences, and what a rule found of somebody, in the reader's language."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from markupsafe import Markup, escape

from app import filters, i18n
from app.console import segment_fields, segment_forms, words
from app.console.segment_fields import Field, Kind
from app.i18n import N_
from campaigns.definitions import conditions
from campaigns.definitions.conditions import Condition
from campaigns.segment_explain import Explained
from foundation import format

JOINED = {"all": N_("and"), "any": N_("or")}
GROUPS = {"all": N_("All of these rules"), "any": N_("At least one of these rules")}
_HOLE = re.compile(r"\{([a-z_.]+)\}")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence: words as they stand, or a field."""

    text: str
    field: Field | None = None


def parts(kind: Kind) -> list[Part]:
    """The sentence of a kind of rule in the reader's language, cut at its fields."""
    pieces = _HOLE.split(str(i18n.gettext(kind.sentence)))
    return [Part("", kind.field(piece)) if n % 2 else Part(piece) for n, piece in enumerate(pieces)]


def beside(kind: Kind) -> list[Field]:
    """The fields that the sentence does not name."""
    named = set(_HOLE.findall(kind.sentence))
    return [field for field in kind.fields if field.name not in named]


def sentence(rule: Mapping[str, Any]) -> Markup:
    """A rule as one reads it: what it holds against, in bold."""
    inner, turned = segment_forms.opened(rule)
    kind = segment_fields.BY_TYPE.get(inner["type"])
    if kind is None:
        text = _together(inner)
    else:
        text = Markup("").join(_pieces(inner, kind)).rstrip() + _rest(inner, kind)
    return Markup("{} {}").format(i18n.gettext("Except if:"), text) if turned else text


def _together(group: Mapping[str, Any]) -> Markup:
    """The rules of a group one after the other; a group within it stands in brackets."""
    said = [
        Markup("({})").format(sentence(one)) if one.get("type") in GROUPS and len(one["of"]) > 1 else sentence(one)
        for one in group["of"]
    ]
    return Markup(" {} ").format(i18n.gettext(JOINED[group["type"]])).join(said)


def _pieces(rule: Mapping[str, Any], kind: Kind) -> Iterator[Markup]:
    """The sentence of a rule. A comparison that holds its number says it there; what is not bounded in time says
    nothing of it."""
    held = _holding(rule, kind)
    told = [part for part in parts(kind) if not (held and part.field and part.field.name == "value")]
    for part, after in zip(told, [*told[1:], None], strict=True):
        if part.field and part.field.name == "op" and held:
            yield Markup("<b>{}</b>").format(held)
        elif part.field:
            found = spoken(rule, part.field)
            yield Markup("<b>{}</b>").format(found) if found and not _unbounded(rule, part) else Markup("")
        elif after and _unbounded(rule, after):
            yield escape(part.text.rstrip(" ,"))
        else:
            yield escape(part.text)


def _holding(rule: Mapping[str, Any], kind: Kind) -> str:
    """`more than 120 days ago`: the comparison with its number in its place; empty if it has none."""
    op = next((field for field in kind.fields if field.name == "op"), None)
    word = next((word for value, word in op.choices if value == segment_forms.shown(rule, op)), "") if op else ""
    said = str(i18n.gettext(word)) if word else ""
    value = next((field for field in kind.fields if field.name == "value"), None)
    return said.replace("…", spoken(rule, value)) if "…" in said and value else ""


def _unbounded(rule: Mapping[str, Any], part: Part) -> bool:
    return part.field is not None and part.field.name == "within" and segment_forms.shown(rule, part.field) == ""


def spoken(rule: Mapping[str, Any], field: Field) -> str:
    """A field's value in words."""
    text = segment_forms.shown(rule, field)
    for value, word in field.choices:
        if value == text:
            return _without_blank(str(i18n.gettext(word)), field)
    if field.kind == "event" and text in words.EVENT:
        return str(words.word(words.EVENT, text).word)
    if field.kind == "day" and (day := _day(text)):
        return format.date(day, i18n.locale(), style="medium")
    if field.name == "value" and rule.get("op") == "between":
        return str(i18n.gettext("%(low)s and %(high)s", low=text, high=rule.get("to", "")))
    if field.kind == "money" or (field.kind == "value" and segment_fields.is_money(rule) and text):
        return filters.money(round(float(text) * 100)) if re.fullmatch(r"[0-9]+([.][0-9]+)?", text) else text
    return text


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _without_blank(word: str, field: Field) -> str:
    """`more than … days ago`: the number stands beside it."""
    return word.replace(" …", "") if field.name == "op" else word


def _rest(rule: Mapping[str, Any], kind: Kind) -> Markup:
    """What stands under "More", where something does; and tests of properties."""
    said = [
        str(i18n.gettext("%(what)s: %(n)s", what=i18n.gettext(field.label), n=spoken(rule, field)))
        for field in beside(kind)
        if field.name != "to" and segment_forms.shown(rule, field) not in ("", str(field.default or ""))
    ]
    said += [
        f"{test['property']} {i18n.gettext(TESTS[test['test']])} {test.get('value', '')}"
        for test in rule.get("where", ())
    ]
    return Markup(" ({})").format(", ".join(said)) if said else Markup("")


TESTS = {
    "is": N_("is"),
    "is_not": N_("is not"),
    "one_of": N_("is one of"),
    "at_least": N_("at least"),
    "at_most": N_("at most"),
    "contains": N_("contains"),
    "exists": N_("is given"),
    "missing": N_("is missing"),
}


# -------------------------------------------------------------------------------------------------- why
@dataclass(frozen=True, slots=True)
class Reason:
    """One rule for one person: its sentence, what was found, whether it holds, and whether that decides anything."""

    sentence: Markup
    found: str
    holds: bool
    rules: tuple["Reason", ...]


def reasons(told: Explained) -> Reason:
    """The tree of an explanation, in sentences."""
    group = isinstance(told.condition, conditions.All | conditions.Any_)
    if isinstance(told.condition, conditions.Not):
        inner = reasons(told.rules[0])
        turned = Markup("{} {}").format(i18n.gettext("Except if:"), inner.sentence)
        return Reason(turned, inner.found, told.holds, inner.rules)
    said = escape(i18n.gettext(GROUPS[told.condition.type])) if group else sentence(conditions.dump(told.condition))
    return Reason(said, found(told.condition, told.value), told.holds, tuple(reasons(one) for one in told.rules))


def missing(told: Explained) -> Iterator[Explained]:
    """The rules on which it hangs that somebody is out: each that, if it held, would bring her nearer."""
    if told.holds:
        return
    if isinstance(told.condition, conditions.All | conditions.Any_):
        for one in told.rules:
            yield from missing(one)
    else:
        yield told


def found(condition: Condition, value: Any) -> str:
    """What a rule found of somebody, in words."""
    if conditions.children(condition):
        return ""
    if value is None:
        return str(i18n.gettext("nothing found"))
    if isinstance(value, datetime):
        return filters.moment(value)
    rule = conditions.dump(condition)
    if isinstance(condition, conditions.Consent):
        return spoken({"type": "consent", "state": value}, segment_fields.BY_TYPE["consent"].field("state"))
    if segment_fields.is_money(rule) or isinstance(condition, conditions.OpenCart):
        return filters.money(int(value))
    if isinstance(condition, conditions.Distance):
        return str(i18n.gettext("%(n)s km away", n=filters.number(float(value), 1)))
    if isinstance(value, bool | str):
        return str(i18n.gettext("found: %(value)s", value=value))
    number = float(value) if isinstance(value, Decimal | float) else int(value)
    return str(i18n.gettext("found: %(value)s", value=filters.number(number, 0 if number == int(number) else 2)))
