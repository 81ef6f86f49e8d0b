"""The counter's camera where the browser reads no bars itself, as in Safari and Firefox: a reader of ours does."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from campaigns import barcode
from tests import browser
from tests.app.console_world import NOW
from tests.campaigns import world
from tests.console import Console, everyone, marks

pytestmark = marks
CARD = "376004182291"
WIDTH, HEIGHT, MODULE = 640, 480, 2
WITHOUT = "delete window.BarcodeDetector"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose camera sees a card."""
    film = tmp_path_factory.mktemp("film") / "card.y4m"
    filmed(film, barcode.bars(CARD))
    asked = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with browser.launched(*asked, f"--use-file-for-fake-video-capture={film}") as started:
        yield started


def filmed(film: Path, bars: str) -> None:
    """Two frames of bars on a grey counter, as YUV4MPEG2."""
    drawn = b"".join((b"\x20" if bar == "1" else b"\xe0") * MODULE for bar in bars)
    left = (WIDTH - len(drawn)) // 2
    bare, line = b"\x80" * WIDTH, b"\x80" * left + drawn + b"\x80" * (WIDTH - left - len(drawn))
    light = bare * 160 + line * 160 + bare * 160
    frame = b"FRAME\n" + light + b"\x80" * (WIDTH * HEIGHT // 2)
    film.write_bytes(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F10:1 Ip A1:1 C420jpeg\n".encode() + frame * 2)


@everyone
def test_a_card_is_read_where_the_browser_cannot(console: Console, locale: str, width: int) -> None:
    with console.installation.db.begin() as conn:
        world.stock_shop(conn, now=NOW)
        world.make_customer(conn, "camille", at=NOW - timedelta(hours=2), first_name="Camille", card=CARD)
    page = console.open("/console/store", locale=locale, width=width)
    page.add_init_script(WITHOUT)
    page.reload()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert page.evaluate("() => 'BarcodeDetector' in window || 'ZXingWASM' in window") is False, "fetched when needed"
    page.locator("[data-scan]").click()
    expect(page.locator(".st-who h2")).to_have_text("Camille", timeout=20_000)
    expect(page.locator("#q")).to_have_value(CARD)
    assert [one for one in asked if one.endswith(".wasm")]
