"""How money, numbers, shares and times are shown in templates: in the reader's language and on the reader's clock."""

from datetime import UTC, date, datetime
from typing import Any

from flask import Flask

from app import i18n
from foundation import format


def register(app: Flask) -> None:
    """Gives every template these filters."""
    app.jinja_env.filters.update(
        money=money,
        number=number,
        percent=percent,
        day=day,
        clock=clock,
        moment=moment,
        ago=ago,
        capital=capital,
        typeset=typeset,
        short_money=short_money,
        day_name=day_name,
    )


def money(minor: int | None, currency: str | None = None) -> str:
    """Minor units as an amount: `123450` → `1 234,50 €`."""
    return format.money(minor or 0, currency, i18n.locale())


def short_money(minor: float, currency: str | None = None) -> str:
    """Minor units where there is little room: whole units, thousands as `k`."""
    return format.short_money(round(minor), currency, i18n.locale())


def day_name(value: date) -> str:
    """A day of the calendar, which is the same on every clock."""
    return format.date(value, i18n.locale())


def number(value: float | None, digits: int = 0) -> str:
    """`12480` → `12 480`; nothing known is a dash."""
    return "–" if value is None else format.number(value, i18n.locale(), digits=digits)


def percent(share: float | None, digits: int = 1) -> str:
    """`0.987` → `98,7 %`; nothing known is a dash."""
    return "–" if share is None else format.percent(share, i18n.locale(), digits=digits)


def day(value: datetime | None, style: str = "short") -> str:
    """The day of a moment, on the reader's clock."""
    return "" if value is None else format.date(value, i18n.locale(), style=style, zone=i18n.zone())


def capital(text: str) -> str:
    """The text beginning with a capital; the rest stays as it is."""
    return text[:1].upper() + text[1:]


def clock(value: datetime | None, seconds: bool = False) -> str:
    """The hour of a moment; with seconds as a log writes it."""
    if value is None:
        return ""
    if seconds:
        return f"{value.astimezone(i18n.zone()):%H:%M:%S}"
    return format.time(value, i18n.locale(), zone=i18n.zone())


def moment(value: datetime | None) -> str:
    """Day and hour; of another year, the day alone with its year."""
    if value is None:
        return ""
    if value.astimezone(i18n.zone()).year != datetime.now(i18n.zone()).year:
        return format.date(value, i18n.locale(), style="medium", zone=i18n.zone())
    return format.moment(value, i18n.locale(), zone=i18n.zone())


def ago(value: datetime, now: datetime | None = None) -> str:
    """How long since, in the unit a person would use: `il y a 4 s`, `3 h ago`."""
    seconds = max(0, int(((now or datetime.now(UTC)) - value).total_seconds()))
    if seconds < 60:
        return i18n.gettext("%(n)s s ago", n=seconds)
    if seconds < 3600:
        return i18n.gettext("%(n)s min ago", n=seconds // 60)
    if seconds < 86400:
        return i18n.gettext("%(n)s h ago", n=seconds // 3600)
    return i18n.ngettext("%(n)s day ago", "%(n)s days ago", seconds // 86400)


def typeset(text: Any) -> str:
    """A text from elsewhere (a reason, a provider's words) with the spaces its language wants."""
    return format.typeset(str(text), i18n.locale())
