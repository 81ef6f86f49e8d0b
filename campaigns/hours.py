"""When a customer may be disturbed: the merchant's quiet hours and, for SMS in France, those of trade and law. Pure.

Every hour is that of the place where she lives. In France marketing by SMS keeps to working days from 8 to 20 h:
providers refuse it from 22 to 8 h, on Sundays and on public holidays (Code du travail, L3133-1), and the trade stops
at 20 h. The holidays are computed, so they need no table that somebody would have to renew.
"""

from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache

OPENS, CLOSES = time(8, 0), time(20, 0)
SUNDAY = 6
LONGEST = 20
"""Days looked ahead: no run of Sundays, holidays and quiet hours is longer."""

OF_FRANCE = ((1, 1), (5, 1), (5, 8), (7, 14), (8, 15), (11, 1), (11, 11), (12, 25))
ABOLITION = {
    "Indian/Mayotte": (4, 27),
    "America/Martinique": (5, 22),
    "America/Guadeloupe": (5, 27),
    "America/Cayenne": (6, 10),
    "Indian/Reunion": (12, 20),
}
"""The day on which slavery ended, a holiday of each of these departments (loi n° 83-550)."""

FRENCH = ("Europe/Paris", *ABOLITION, "America/Marigot", "America/St_Barthelemy", "America/Miquelon")
FRENCH_NUMBERS = ("+33", "+262", "+590", "+594", "+596", "+508")


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar (Meeus, Jones and Butcher; first in Nature, 20 April 1876)."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


@lru_cache(maxsize=64)
def holidays(year: int, zone: str, *, east: bool = False) -> frozenset[date]:
    """The public holidays of a French time zone. `east`: with those of Alsace and Moselle."""
    sunday = easter(year)
    found = {date(year, month, day) for month, day in OF_FRANCE}
    found |= {sunday + timedelta(days=days) for days in (1, 39, 50)}
    if zone in ABOLITION:
        found.add(date(year, *ABOLITION[zone]))
    if east:
        found |= {sunday - timedelta(days=2), date(year, 12, 26)}
    return frozenset(found)


def awake_at(now: datetime, where: tzinfo, *, start: time | None, end: time | None) -> datetime:
    """The first moment from `now` on that is not in the quiet hours of that place; they may span midnight."""
    if start is None or end is None or start == end:
        return now
    local = now.astimezone(where)
    clock = local.time().replace(tzinfo=None)
    silent = start <= clock < end if start < end else clock >= start or clock < end
    if not silent:
        return now
    day = local.date() + timedelta(days=1 if start > end and clock >= start else 0)
    return datetime.combine(day, end, tzinfo=where).astimezone(now.tzinfo)


def french(address: str, where: tzinfo) -> bool:
    """Whether a phone is under French rules: by its number, or by where its owner lives."""
    return address.startswith(FRENCH_NUMBERS) or str(where) in FRENCH


def shop_hours_at(now: datetime, where: tzinfo, *, east: bool = False) -> datetime:
    """The first moment from `now` on at which an SMS of marketing may be delivered in France."""
    day = now.astimezone(where).date()
    for _ in range(LONGEST):
        closes = datetime.combine(day, CLOSES, tzinfo=where).astimezone(now.tzinfo)
        if day.weekday() != SUNDAY and day not in holidays(day.year, str(where), east=east) and now < closes:
            return max(now, datetime.combine(day, OPENS, tzinfo=where).astimezone(now.tzinfo))
        day += timedelta(days=1)
    return datetime.combine(day, OPENS, tzinfo=where).astimezone(now.tzinfo)


def open_at(
    now: datetime, where: tzinfo, *, quiet: tuple[time | None, time | None], trade: bool, east: bool = False
) -> datetime:
    """The first moment at which she may be disturbed. `trade`: the hours of SMS in France hold as well."""
    at = now
    for _ in range(LONGEST):
        later = awake_at(at, where, start=quiet[0], end=quiet[1])
        if trade:
            later = shop_hours_at(later, where, east=east)
        if later == at:
            return at
        at = later
    return at
