from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from foundation import format

N, H = "\u202f", "\u00a0"


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "shown"),
    [
        (123450, "EUR", "fr", f"1{N}234,50{N}€"),
        (123450, "EUR", "en", "€1,234.50"),
        (-3900, "EUR", "fr", f"−39,00{N}€"),
        (-3900, "EUR", "en", "−€39.00"),
        (1500, "JPY", "en", "JP¥1,500"),
        (0, None, "fr", f"0,00{N}€"),
    ],
)
def test_money_is_written_as_its_language_wants(minor: int, currency: str | None, locale: str, shown: str) -> None:
    assert format.money(minor, currency, locale) == shown


def test_numbers_and_shares_are_grouped_and_pointed_by_language() -> None:
    assert format.number(12480, "fr") == f"12{N}480"
    assert format.number(-12480.5, "en", digits=1) == "−12,480.5"
    assert format.percent(0.987, "fr") == f"98,7{N}%"
    assert format.percent(0.1, "en", digits=0) == "10%"


def test_days_and_hours_are_those_of_the_zone_asked() -> None:
    late = datetime(2026, 11, 20, 23, 37, tzinfo=UTC)
    paris = ZoneInfo("Europe/Paris")
    assert format.date(late, "fr", zone=paris) == "21 nov."
    assert format.date(late, "fr", style="full", zone=paris) == "samedi 21 novembre 2026"
    assert format.date(date(2026, 12, 1), "fr", style="long") == "1er décembre 2026"
    assert format.moment(late, "fr", zone=paris) == f"21 nov., 0{H}h{H}37"
    assert format.moment(late, "en") == "20 Nov, 23:37"


def test_a_french_sentence_gets_its_thin_spaces_and_apostrophes() -> None:
    assert format.typeset("Votre bouteille se termine ? L'huile à 10 % : « oui »", "fr") == (
        f"Votre bouteille se termine{N}? L’huile à 10{N}%{N}: «{N}oui{N}»"
    )
    assert format.typeset("24 cm en 2 h", "fr") == f"24{H}cm en 2{H}h"
    assert format.typeset("Isn't it ?", "en") == "Isn't it ?"
