"""The merchant's rules in sentences, and between a rule and its form."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta, tzinfo
from typing import Any

from app import filters, i18n
from app.console import forms, words
from app.console.forms import Form
from app.i18n import N_
from recommender import rules
from recommender.rules import Action, Rule
from shop import money

NUMBERS = ("strength", "position", "most", "margin")
LISTS = ("categories", "brands", "products")
SENTENCES: Mapping[Action, str] = {
    Action.PIN: N_("Puts %(what)s at place %(n)s"),
    Action.BOOST: N_("Lifts %(what)s, × %(n)s"),
    Action.BURY: N_("Lowers %(what)s, × %(n)s"),
    Action.EXCLUDE: N_("Never shows %(what)s"),
    Action.CAP_BRAND: N_("At most %(n)s of a brand, of %(what)s"),
    Action.CAP_CATEGORY: N_("At most %(n)s of a category, of %(what)s"),
    Action.PRICE_BAND: N_("Of %(what)s, only those %(n)s"),
    Action.MARGIN_FLOOR: N_("Of %(what)s, none that earns less than %(n)s"),
    Action.AGAIN: N_("%(what)s: %(n)s"),
}


def sentence(rule: Rule) -> str:
    """What the rule does, as one would say it."""
    said = i18n.gettext(SENTENCES[rule.action], what=_what(rule), n=_how_much(rule))
    return filters.capital(said)


def where(rule: Rule) -> str:
    """Where and when it holds; empty if always and everywhere."""
    parts = [i18n.gettext(words.PLACEMENT[name]) for name in rule.placements]
    parts += [i18n.gettext(words.CHANNEL[name].word) if name in words.CHANNEL else name for name in rule.channels]
    if rule.starts_at:
        parts.append(i18n.gettext("from %(day)s", day=filters.day(rule.starts_at, "medium")))
    if rule.ends_at:
        last = rule.ends_at - timedelta(microseconds=1)
        parts.append(i18n.gettext("until %(day)s", day=filters.day(last, "medium")))
    return " · ".join(parts)


def _what(rule: Rule) -> str:
    parts = [*rule.categories[:3], *rule.brands[:3], *rule.products[:3]]
    more = len(rule.categories) + len(rule.brands) + len(rule.products) - len(parts)
    if more:
        parts.append(i18n.ngettext("%(n)s other", "%(n)s others", more))
    if rule.action is not Action.PRICE_BAND and (band := _band(rule)):
        parts.append(band)
    return ", ".join(str(part) for part in parts) if parts else i18n.gettext("all products")


def _band(rule: Rule) -> str:
    low, high = (filters.money(amount) if amount is not None else "" for amount in (rule.price_from, rule.price_to))
    if low and high:
        return i18n.gettext("from %(low)s to %(high)s", low=low, high=high)
    if low:
        return i18n.gettext("from %(low)s on", low=low)
    return i18n.gettext("up to %(high)s", high=high) if high else ""


def _how_much(rule: Rule) -> str:
    if rule.action is Action.AGAIN:
        again = i18n.gettext("may be shown soon after a purchase")
        return again if rule.again else i18n.gettext("not shown soon after a purchase")
    if rule.action is Action.PRICE_BAND:
        return _band(rule)
    if rule.action is Action.MARGIN_FLOOR:
        return filters.percent(rule.margin, 0)
    amount = rule.position or rule.most or rule.strength or 0.0
    return filters.number(amount, 0 if float(amount).is_integer() else 2)


# ----------------------------------------------------------------------------------------------------- forms
def form_of(rule: Rule) -> Form:
    """The form of a rule as it stands."""
    values = {"name": rule.name, "action": str(rule.action), "again": "yes" if rule.again else "no"}
    values |= {name: "\n".join(getattr(rule, name)) for name in LISTS}
    for name in NUMBERS:
        given = getattr(rule, name)
        values[name] = "" if given is None else f"{given * 100 if name == 'margin' else given:g}"
    for name in ("price_from", "price_to"):
        amount = getattr(rule, name)
        values[name] = "" if amount is None else str(money.decimal(amount, None))
    values["starts_at"] = _first_day(rule.starts_at)
    values["ends_at"] = _first_day(rule.ends_at and rule.ends_at - timedelta(microseconds=1))
    for name in ("placements", "channels"):
        values |= {f"{name}_{one}": "on" for one in getattr(rule, name)}
    return Form(values)


def blank() -> Form:
    """The form of a rule to be."""
    return Form({"action": str(Action.BOOST), "strength": "2", "again": "yes"})


def definition_of(values: Mapping[str, str], *, enabled: bool, zone: tzinfo) -> dict[str, Any]:
    """The definition a form asks for; only what its action uses is read of the numbers."""
    action = values.get("action", "")
    given: dict[str, Any] = {"name": values.get("name", ""), "action": action, "enabled": enabled}
    given |= {name: _lines(values.get(name, "")) for name in LISTS}
    given["placements"] = [name for name in words.PLACEMENT if values.get(f"placements_{name}")]
    given["channels"] = [name for name in rules.SHOWN_ON if values.get(f"channels_{name}")]
    given |= {name: values.get(name, "").replace(",", ".").strip() for name in ("price_from", "price_to")}
    given["starts_at"] = _border(values.get("starts_at", ""), zone=zone)
    given["ends_at"] = _border(values.get("ends_at", ""), zone=zone, days=1)
    for name in _used(action):
        given[name] = _value(name, values.get(name, ""))
    return given


def _used(action: str) -> tuple[str, ...]:
    return rules.WANTED[Action(action)] if action in list(Action) else ()


def _value(name: str, text: str) -> object:
    if name == "again":
        return text != "no"
    if name == "products":
        return _lines(text)
    number = forms.number(text.replace(",", ".").removeprefix("×"))
    return round(number / 100, 6) if name == "margin" and not isinstance(number, str) else number


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.replace("\r", "\n").split("\n") if line.strip()]


def _first_day(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(i18n.zone()).date().isoformat()


def _border(text: str, *, zone: tzinfo, days: int = 0) -> str:
    """The beginning of a day on the reader's clock, or of the day after; what is no day is given on to be refused."""
    try:
        day = datetime.combine(datetime.fromisoformat(text.strip()).date(), time(), tzinfo=zone)
    except ValueError:
        return text.strip()
    return (day + timedelta(days=days)).isoformat()
