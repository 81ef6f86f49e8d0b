"""The ready-made mails as Chromium paints them, on a telephone and a desk, by day and by night, beside small pictures
of how they were when somebody looked at them.

RELANCE_LOOK_AGAIN=1 python -m pytest -n0 tests/campaigns/test_mail_pictures.py      renews those, after a look at them
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser

from tests import message_pictures, serving, small_pictures
from tests.small_pictures import Difference, Picture

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (390, 700)
Look = Literal["light", "dark"]
LOOKS: tuple[Look, ...] = ("light", "dark")
READY = "() => document.fonts.ready"
MEAN, WORST = 2.2, 24.0
"""Shades of 255. Measured, beside what is kept: another screen 0.7 and 9.5, other smoothing of letters 1.6 and 11.5;
a picture missing 0.4 and 37, another colour 3.3 and 104."""
FONTS = """<style>
@font-face { font-family: Plain; src: url(/static/fonts/inter-latin.woff2); font-weight: 100 900; }
@font-face { font-family: Serif; src: url(/static/fonts/newsreader-latin.woff2); font-weight: 100 900; }
* { font-family: Plain !important; }
[style*="Georgia"], [style*="Georgia"] * { font-family: Serif !important; }
</style></head>"""
"""Letters of our own: which ones a machine has is no matter of the mails."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with serving.served(message_pictures.bare_shop()) as address:
        yield address


@pytest.fixture(scope="module")
def mails(base: str) -> dict[str, str]:
    """Every mail in French, by its campaign and number."""
    found = dict[str, str]()
    for mail in message_pictures.mails(base, "fr"):
        number = sum(name.rpartition("-")[0] == mail.campaign for name in found) + 1
        found[f"{mail.campaign}-{number}"] = mail.html.replace("</head>", FONTS, 1)
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_every_mail_is_painted_as_it_was_when_it_was_looked_at(
    chromium: Browser, base: str, mails: dict[str, str], width: int
) -> None:
    found: dict[Look, dict[str, Picture]] = {look: {} for look in LOOKS}
    with message_pictures.easel(chromium, base, width) as show:
        for name, html in mails.items():
            page = show(html)
            page.evaluate(READY)
            for look in LOOKS:
                page.emulate_media(color_scheme=look)
                found[look][name] = small_pictures.small(page)
    for look in LOOKS:
        golden = GOLDEN / f"mails-{width}-{look}.png"
        if "RELANCE_LOOK_AGAIN" in os.environ:
            small_pictures.keep(golden, found[look])
        before = small_pictures.kept(golden)
        assert list(found[look]) == list(before)
        apart = {name: small_pictures.differ(before[name], picture) for name, picture in found[look].items()}
        assert {name: one for name, one in apart.items() if noticed(one)} == {}, look


def noticed(difference: Difference) -> bool:
    return difference.mean > MEAN or difference.worst > WORST


MAIL = "basket-relaunch-1"


def beside_golden(
    chromium: Browser, base: str, mails: dict[str, str], *, change: str = "", scale: int = 1
) -> Difference:
    """How one mail looks on a telephone by day once `change`, a script, has been at it."""
    with message_pictures.easel(chromium, base, 390, scale=scale) as show:
        page = show(mails[MAIL])
        page.evaluate(READY)
        page.evaluate(change or "null")
        found = small_pictures.small(page, scale=scale)
    return small_pictures.differ(small_pictures.kept(GOLDEN / "mails-390-light.png")[MAIL], found)


@pytest.mark.parametrize(
    "change",
    [
        "document.querySelectorAll('.mbtn, .mbtn *').forEach((one) => { one.style.backgroundColor = '#3b6ea5'; })",
        "document.querySelector('.mbtn').remove()",
        "(([first, second]) => second.after(first))(document.querySelectorAll('.msheet'))",
        "document.querySelector('.mbtn').style.transform = 'translateX(-24px)'",
        "document.querySelectorAll('img')[1].style.visibility = 'hidden'",
    ],
    ids=["another colour", "a block gone", "two blocks changed over", "a button moved aside", "a picture missing"],
)
def test_what_is_changed_is_noticed(chromium: Browser, base: str, mails: dict[str, str], change: str) -> None:
    difference = beside_golden(chromium, base, mails, change=change)
    assert noticed(difference), difference


SMOOTHED = "document.documentElement.style.textRendering = 'geometricPrecision'"


@pytest.mark.parametrize(("scale", "change"), [(1, ""), (2, ""), (1, SMOOTHED)], ids=["run", "screen", "smoothing"])
def test_another_run_screen_or_smoothing_is_not(
    chromium: Browser, base: str, mails: dict[str, str], scale: int, change: str
) -> None:
    difference = beside_golden(chromium, base, mails, scale=scale, change=change)
    assert not noticed(difference), difference


def test_the_pictures_kept_are_small() -> None:
    assert sum(path.stat().st_size for path in GOLDEN.glob("mails-*.png")) < 400_000
