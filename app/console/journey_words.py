"""A journey said in sentences, each made of words and of values that can be changed in place.

Everything is read from JSON as it was typed, so that what has faults can be said as well.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from markupsafe import Markup

from app import filters, i18n
from app.console import editor_words, journey_fields, segment_words, words
from app.i18n import N_
from app.i18n import ngettext_later as ngettext
from campaigns.states import SENT
from foundation import format

_HOLE = re.compile(r"\{([a-z_.]+)\}")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a sentence: words as they stand, or the value of a field."""

    text: str
    field: str = ""


ENTRY = {
    "cart_abandoned": N_("When a customer leaves a basket for {delay} and buys nowhere"),
    "event": N_("When it happens: {event}"),
    "segment_entered": N_("When a customer comes into the segment {segment}"),
    "segment_left": N_("When a customer leaves the segment {segment}"),
    "product_abandoned": N_("When a customer looks at a product and leaves it for {delay}"),
    "back_in_stock": N_("When a product a customer was interested in is back in stock"),
    "price_dropped": N_("When the price of a product a customer was interested in drops by {percent} or more"),
    "date": N_("{days_before} the date in {trait}, at {at}"),
}
EVERY = {
    "once": N_("Once, on {on} at {at}, everybody in “{audience}”"),
    "day": N_("Every day from {on} at {at}, everybody in “{audience}”"),
    "week": N_("Every week from {on} at {at}, everybody in “{audience}”"),
    "month": N_("Every month from {on} at {at}, everybody in “{audience}”"),
}
STEP = {
    "wait": N_("Wait {duration}"),
    "wait_until": N_("Wait until {at}, {weekdays}, by {zone}"),
    "wait_for": N_("Wait for {event}, at most {timeout}"),
    "split": N_("Go different ways: {branches}"),
    "experiment": N_("Draw by chance: {variants}"),
    "ask": N_("Ask {kind}, by {channel}: {words}"),
    "set_trait": N_("Write {value} into the trait {trait}"),
    "webhook": N_("Tell {url}"),
    "exit": N_("The journey ends here"),
}
SEND = {
    "email": N_("Send the e-mail {words}"),
    "push": N_("Send the push {words}"),
    "sms": N_("Send the SMS {words}"),
    "onsite": N_("Show on the site {words}"),
    "best": N_("Send by {channel}: {words}"),
    "audience_in": N_("Add to the audience {audience}"),
    "audience_out": N_("Remove from the audience {audience}"),
}
OTHER_SEND = N_("Send by {channel}: {words}")
ICON = {
    "email": "mail",
    "push": "bell",
    "sms": "message-square",
    "whatsapp": "message-square",
    "onsite": "panel-top",
    "best": "send",
    "audience_in": "target",
    "audience_out": "target",
}
KIND = {
    "nps": N_("whether they would recommend the shop"),
    "satisfaction": N_("how satisfied they are"),
    "stars": N_("for stars"),
}
UNITS = {
    "m": ngettext("%(n)s minute", "%(n)s minutes"),
    "h": ngettext("%(n)s hour", "%(n)s hours"),
    "d": ngettext("%(n)s day", "%(n)s days"),
    "w": ngettext("%(n)s week", "%(n)s weeks"),
}


# ------------------------------------------------------------------------------------------------ sentences
def entry(of: Mapping[str, Any]) -> list[Piece]:
    """How customers come in."""
    kind = str(of.get("type"))
    template = EVERY.get(str(journey_fields.value(of, "every")), EVERY["once"]) if kind == "schedule" else ENTRY[kind]
    return pieces(template, of)


def step(of: Mapping[str, Any]) -> tuple[str, list[Piece]]:
    """A step as an icon and a sentence."""
    kind = journey_fields.BY_TYPE[str(of["type"])]
    if kind.type != "send":
        return kind.icon, pieces(STEP[kind.type], of)
    channel = str(journey_fields.value(of, "channel"))
    said = pieces(SEND.get(channel, OTHER_SEND), of)
    if journey_fields.value(of, "products"):
        said += pieces(N_(", with {products}"), of)
    if of.get("offer"):
        said += pieces(N_(", and a code of {offer}"), of)
    return ICON.get(channel, "send"), said


def more(of: Mapping[str, Any]) -> str:
    """What is worth saying beneath the sentence."""
    match of.get("type"):
        case "send" | "ask" if of.get("channel") not in ("audience_in", "audience_out"):
            return tell(N_("Too late after %(time)s"), time=lasting(journey_fields.value(of, "expires")))
        case "split":
            rules = [segment_words.sentence(one["when"]) for one in of.get("branches", ()) if _ruled(one)]
            return "; ".join(re.sub(r"<[^>]+>", "", str(rule)) for rule in rules)
        case "experiment":
            return tell(N_("The same customer always goes the same way"))
        case "wait_for":
            return _tests(of.get("where", ()))
    return ""


def _ruled(branch: Mapping[str, Any]) -> bool:
    rule = branch.get("when") or {}
    return bool(rule) and (rule.get("type") not in ("all", "any") or bool(rule.get("of")))


def _tests(tests: Sequence[Mapping[str, Any]]) -> str:
    said = dict(journey_fields.TESTS)
    return ", ".join(
        " ".join(
            (
                str(test.get("property", "")),
                tell(said.get(test.get("test", "is"), "is")),
                str(test.get("value") or ""),
            )
        )
        for test in tests
    )


def ways(of: Mapping[str, Any]) -> list[str]:
    """What each branch of a step is for, in the order of `edits.branches`."""
    match of.get("type"):
        case "wait_for":
            return [tell(N_("If it comes")), tell(N_("If it does not"))]
        case "split":
            named = [one.get("name") or tell(N_("Unnamed")) for one in of.get("branches", ())]
            return [*named, tell(N_("Everybody else"))]
        case "experiment":
            return _shares(of.get("variants", ()))
    return []


def _shares(variants: Sequence[Mapping[str, Any]]) -> list[str]:
    weights = [one.get("weight", 1) if isinstance(one.get("weight", 1), int) else 0 for one in variants]
    total = sum(weights) or 1
    return [
        f"{one.get('name') or '…'} {filters.percent(weight / total, 0)}"
        for one, weight in zip(variants, weights, strict=True)
    ]


def settings(of: Mapping[str, Any]) -> str:
    """Beneath the entry: how often one person may come in."""
    match journey_fields.value(of, "reentry.rule"):
        case "after":
            days = journey_fields.value(of, "reentry.days")
            if isinstance(days, int):
                return tell_many(*ngettext("At most once in %(n)s day", "At most once in %(n)s days"), days)
            return tell(N_("Again after some days"))
        case "each_key":
            return tell(N_("Once for each basket, order, product or day"))
    return tell(N_("Once for ever"))


def ending(of: Mapping[str, Any]) -> str:
    """When it is over before its end."""
    goal = of.get("goal", {})
    said = []
    if goal is not None:
        event = _event(journey_fields.value(of, "goal.event"))
        said.append(tell(N_("They leave it as soon as it happens: %(event)s"), event=event))
    for watch in of.get("exit_on", ()):
        said.append(tell(N_("They leave it too when it happens: %(event)s"), event=_event(watch.get("event", ""))))
    return ". ".join(said)


def tell(message: str, **values: Any) -> str:
    """A message in the reader's language as plain text, to be set among other words."""
    return Markup(i18n.gettext(message, **values)).unescape()  # noqa: S704 - `gettext` gives markup


def tell_many(one: str, many: str, n: int) -> str:
    """The same for so many things."""
    return Markup(i18n.ngettext(one, many, n)).unescape()  # noqa: S704 - `ngettext` gives markup


def plain(said: Sequence[Piece]) -> str:
    """A sentence as text."""
    return "".join(piece.text for piece in said)


def pieces(template: str, of: Mapping[str, Any]) -> list[Piece]:
    """The sentence in the reader's language, its holes filled."""
    parts = _HOLE.split(tell(template))
    found = [Piece(spoken(of, part), part) if number % 2 else Piece(part) for number, part in enumerate(parts)]
    return [piece for piece in found if piece.text or piece.field]


# --------------------------------------------------------------------------------------------------- values
def spoken(of: Mapping[str, Any], name: str) -> str:
    """A field's value in words; what is not chosen yet says so."""
    said = _spoken(of, name, journey_fields.value(of, name))
    return format.typeset(said, i18n.locale()) if said else tell(N_("to choose"))


def _spoken(of: Mapping[str, Any], name: str, value: Any) -> str:
    if name in _SAYING:
        return str(_SAYING[name](of, value))
    return "" if value is None else str(value)


def lasting(duration: Any) -> str:
    """A length of time in words; what is none, as it was typed."""
    text = str(duration or "")
    found = re.fullmatch(r"([0-9]{1,6})([mhdw])", text)
    return tell_many(*UNITS[found[2]], int(found[1])) if found else text


def channel(name: str) -> str:
    """A channel of a step in words."""
    own = {
        "best": tell(N_("the channel each answers best")),
        "audience_in": tell(N_("adding to an audience")),
        "audience_out": tell(N_("removing from an audience")),
    }
    return own.get(name) or str(words.word(words.CHANNEL, name).word)


def message(versions: Any) -> str:
    """What a message is called by: its subject, heading or first words in the reader's language, fields in brackets."""
    if not isinstance(versions, Mapping) or not versions:
        return ""
    said = versions.get(i18n.locale()) or next(iter(versions.values()))
    text = next((said[name] for name in ("subject", "heading", "intro") if said.get(name)), "") if said else ""
    return _short(bare(text))


def bare(text: str) -> str:
    """A template as one reads it aloud: conditions gone, the last alternative kept, fields by their names on screen."""
    text = re.sub(
        r"\{%-?\s*if[^%]*%\}((?!\{%).)*?\{%-?\s*else\s*-?%\}(.*?)\{%-?\s*endif\s*-?%\}", r"\2", text, flags=re.S
    )
    text = re.sub(r"\{%-?\s*if[^%]*%\}.*?\{%-?\s*endif\s*-?%\}", "", text, flags=re.S)
    text = re.sub(r"\{\{\s*([\w.]+)[^}]*\}\}", lambda found: f"[{editor_words.field(found[1])}]", text)
    return re.sub(r"\s+", " ", text).strip()


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def _event(name: str) -> str:
    return str(words.word(words.EVENT, name).word) if name else ""


def _days(_: Mapping[str, Any], value: Any) -> str:
    if not isinstance(value, int) or value == 0:
        return tell(N_("On the day of"))
    if value > 0:
        return tell_many(*ngettext("%(n)s day before", "%(n)s days before"), value)
    return tell_many(*ngettext("%(n)s day after", "%(n)s days after"), -value)


def _weekdays(_: Mapping[str, Any], value: Any) -> str:
    named = dict(journey_fields.WEEKDAYS)
    chosen = [tell(named[day]) for day in value or () if day in named]
    return ", ".join(chosen) if chosen else tell(N_("any day"))


def audience(value: Any) -> str:
    """Whom a rule means, in one sentence; the name of an audience as it stands."""
    if not isinstance(value, Mapping):
        return str(value or "")
    if value.get("type") in ("all", "any") and not value.get("of"):
        return ""
    return _short(re.sub(r"<[^>]+>", "", str(segment_words.sentence(value))), 90)


def _day(_: Mapping[str, Any], value: Any) -> str:
    try:
        return format.date(date.fromisoformat(str(value)), i18n.locale(), style="medium")
    except ValueError:
        return str(value or "")


def _hour(value: Any) -> str:
    try:
        at = datetime.combine(date(2000, 1, 1), time.fromisoformat(str(value)), UTC)
        return format.time(at, i18n.locale(), zone=UTC)
    except ValueError:
        return str(value or "")


def _percent(value: Any) -> str:
    try:
        return filters.percent(value / 100, 1 if value % 1 else 0)
    except (TypeError, ArithmeticError, ValueError):
        return str(value)


def _choice(choices: journey_fields.Choices) -> Any:
    named = dict(choices)
    return lambda _, value: tell(named[value]) if value in named else str(value or "")


def _products(_: Mapping[str, Any], value: Any) -> str:
    if not isinstance(value, int):
        return str(value or "")
    return tell_many(*ngettext("%(n)s recommended product", "%(n)s recommended products"), value)


_SAYING: Mapping[str, Any] = {
    **{
        name: lambda _, value: lasting(value)
        for name in ("duration", "delay", "timeout", "within", "interest", "expires")
    },
    "event": lambda _, value: _event(str(value or "")),
    "words": lambda _, value: tell(N_("“%(title)s”"), title=said) if (said := message(value)) else "",
    "channel": lambda _, value: channel(str(value or "")),
    "kind": lambda _, value: tell(KIND[value]) if value in KIND else "",
    "zone": _choice(journey_fields.ZONES),
    "weekdays": _weekdays,
    "days_before": _days,
    "branches": lambda of, _: ", ".join(ways(of)),
    "variants": lambda of, _: ", ".join(ways(of)),
    "audience": lambda _, value: audience(value),
    "products": _products,
    "percent": lambda _, value: _percent(value),
    "on": _day,
    "at": lambda _, value: _hour(value),
}


# ------------------------------------------------------------------------------------------------- numbers
LOSS = {
    "converted": ngettext("reached the goal", "reached the goal"),
    "emptied": ngettext("emptied the basket", "emptied their baskets"),
    "exited": ngettext("left because of an event", "left because of an event"),
    "cancelled": ngettext("left with the campaign", "left with the campaign"),
}
STANDS = {
    "wait": ngettext("%(n)s waits", "%(n)s wait"),
    "wait_until": ngettext("%(n)s waits", "%(n)s wait"),
    "wait_for": ngettext("%(n)s waits", "%(n)s wait"),
    "split": ngettext("sorted", "sorted"),
    "experiment": ngettext("drawn", "drawn"),
}


def loss(reason: str, people: int) -> str:
    """Why so many left on an edge, without the number."""
    return tell_many(*LOSS[reason], people) if reason in LOSS else str(words.reason(reason))


def counted(of: Mapping[str, Any], people: int, standing: int, sent: Mapping[str, int]) -> tuple[int, str]:
    """The number that matters at a step, and what it counts."""
    if of["type"] in ("send", "ask"):
        taken = sum(sent.get(state, 0) for state in SENT)
        return taken, tell_many(*ngettext("accepted of %(n)s", "accepted of %(n)s"), people)
    if of["type"] in STANDS:
        stands = standing if of["type"].startswith("wait") else people
        return people, tell_many(*STANDS[of["type"]], stands)
    return people, tell_many(*ngettext("went past", "went past"), people)
