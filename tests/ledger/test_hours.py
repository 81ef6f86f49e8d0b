"""When a customer may be disturbed, by the clocks and holidays of where she lives."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from campaigns import hours

PARIS, REUNION = ZoneInfo("Europe/Paris"), ZoneInfo("Indian/Reunion")


@pytest.mark.parametrize(
    ("year", "sunday"),
    [(1818, (3, 22)), (1961, (4, 2)), (2000, (4, 23)), (2026, (4, 5)), (2027, (3, 28)), (2038, (4, 25))],
)
def test_easter_falls_where_the_church_says(year: int, sunday: tuple[int, int]) -> None:
    assert hours.easter(year) == date(year, *sunday)


def test_france_has_eleven_holidays_and_each_department_overseas_one_of_its_own() -> None:
    assert hours.holidays(2027, "Europe/Paris") == {
        *(date(2027, 1, 1), date(2027, 3, 29), date(2027, 5, 1), date(2027, 5, 8), date(2027, 5, 6)),
        *(date(2027, 5, 17), date(2027, 7, 14), date(2027, 8, 15), date(2027, 11, 1), date(2027, 11, 11)),
        date(2027, 12, 25),
    }
    assert date(2026, 12, 20) in hours.holidays(2026, "Indian/Reunion")
    assert date(2026, 12, 26) in hours.holidays(2026, "Europe/Paris", east=True)


@pytest.mark.parametrize(
    ("now", "zone", "opens"),
    [
        ("2026-11-20T10:00", PARIS, "2026-11-20T10:00"),  # a Friday at 11
        ("2026-11-20T19:00", PARIS, "2026-11-21T07:00"),  # 20 h is too late: Saturday at 8
        ("2026-11-21T19:30", PARIS, "2026-11-23T07:00"),  # Saturday evening: not on Sunday
        ("2026-07-13T18:30", PARIS, "2026-07-15T06:00"),  # the 14th of July between
        ("2027-03-27T20:00", PARIS, "2027-03-30T06:00"),  # Sunday, summer time, Easter Monday
        ("2026-10-25T01:30", PARIS, "2026-10-26T07:00"),  # the hour that comes twice, on a Sunday
        ("2026-11-20T03:00", REUNION, "2026-11-20T04:00"),  # 7 h there
        ("2026-12-19T17:00", REUNION, "2026-12-21T04:00"),  # the 20th, a Sunday and a holiday there
    ],
)
def test_an_sms_waits_for_the_next_working_day(now: str, zone: ZoneInfo, opens: str) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert hours.shop_hours_at(at, zone) == datetime.fromisoformat(opens).replace(tzinfo=UTC)


def test_the_merchants_quiet_hours_and_the_trades_hold_together() -> None:
    at = datetime(2026, 11, 21, 18, 30, tzinfo=UTC)
    quiet = (time(19, 0), time(10, 0))
    assert hours.open_at(at, PARIS, quiet=quiet, trade=True) == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    assert hours.open_at(at, PARIS, quiet=quiet, trade=False) == datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def test_a_number_or_a_home_in_france_is_under_french_rules() -> None:
    assert hours.french("+33612345678", ZoneInfo("UTC")) and hours.french("+4915112345678", PARIS)
    assert not hours.french("+4915112345678", ZoneInfo("Europe/Berlin"))


def test_no_moment_of_two_years_is_opened_on_a_sunday_a_holiday_or_at_night() -> None:
    for zone in (PARIS, REUNION, ZoneInfo("America/Martinique")):
        for step in range(0, 2 * 365 * 24, 7):
            at = datetime.fromtimestamp(1_767_225_600 + step * 3_600, UTC)
            local = hours.shop_hours_at(at, zone).astimezone(zone)
            assert local.weekday() < 6 and local.date() not in hours.holidays(local.year, str(zone))
            assert time(8) <= local.time() < time(20)
