"""`make screenshots`: signs in to the demo installation and photographs every page by day and night, on a desk and on a
telephone, into `docs/screenshots/`.

python -m tests.screenshots      starts the demo under var/ (or where RELANCE_VAR says), and ends it afterwards
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.routing import Map

import app as front
from app import parts
from app.demo import account, past
from campaigns import files
from foundation.config import Config
from tests import browser, crawl

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "screenshots"
SIZES = {"desk": (1440, 900, 0.6), "phone": (390, 844, 0.8)}
"""Width and height of the screen, and how much smaller the picture is."""
LOOKS = ("light", "dark")
TALLEST = 1800
QUALITY = 52
MOST_BYTES = 11_000_000
RICHER = ((f"/{files.DEMO}", f"/{past.TRIAL}"), ("/message/cart_1", "/message/code"))
"""Of all campaigns the one that has run is photographed, rather than the one that was launched last."""
LEADS_ON = ("console.session.ask", "console.settings.index")
"""Views that lead to another page at once."""
MESSAGES = """## What customers get
Sheets of pictures by `python -m tests.message_pictures`, from the same layouts and templates as what is sent,
without an installation: every mail of every ready-made campaign for one customer, in French and English, on a
telephone (390 px) and a desk (700 px); some of them by night; and a notification, a text message and a WhatsApp
template as the console draws them, a pop-in and a banner as the shop's pages do. They were looked at when they were
last made. A picture wider than its screen stops the making. Chromium draws them: of other mail readers they say
nothing.

| | French | English |
|---|---|---|
| mails, telephone | ![fr](messages/mails-fr-390.jpg) | ![en](messages/mails-en-390.jpg) |
| mails, desk | ![fr](messages/mails-fr-700.jpg) | ![en](messages/mails-en-700.jpg) |
| mails, night | ![fr](messages/mails-fr-night.jpg) | ![en](messages/mails-en-night.jpg) |
| other channels | ![fr](messages/others-fr.jpg) | ![en](messages/others-en.jpg) |"""
SHOWN = {"home": "console.overview.index", "journey": "console.builder.show"}
"""Pages of the README, at full size."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: the view, the screen and the look."""

    endpoint: str
    size: str
    look: str

    @property
    def name(self) -> str:
        """Its file, beside the index."""
        return f"pages/{self.endpoint.removeprefix('console.').replace('.', '-')}-{self.size}-{self.look}.jpg"


def main() -> int:
    """Takes all of them; returns the exit code."""
    executable = browser.executable()
    if executable is None:
        print("No Chromium found: python -m tests.browser installs one.")
        return 1
    os.environ["RELANCE_DEMO"] = "1"
    shutil.rmtree(OUT / "pages", ignore_errors=True)
    (OUT / "pages").mkdir(parents=True)
    with _demo() as (address, config), sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        found = _photograph(chromium, address, config)
        chromium.close()
    _write_index(found)
    size = sum(path.stat().st_size for path in OUT.rglob("*") if path.is_file())
    print(f"{len(found)} pages, {size / 1e6:.1f} MB in {OUT.relative_to(ROOT)}")
    return 0 if size < MOST_BYTES else 1


@contextmanager
def _demo() -> Iterator[tuple[str, Config]]:
    """The demo as `make run` starts it, on its port."""
    config = Config.from_env()
    log = OUT / "pages" / "log.txt"
    with log.open("w") as out:
        running = subprocess.Popen([sys.executable, "-m", "app.running"], cwd=ROOT, stdout=out, stderr=out)
        try:
            while "Relance is ready" not in log.read_text():
                if running.poll() is not None:
                    raise RuntimeError(log.read_text())
                time.sleep(0.5)
            yield f"http://127.0.0.1:{config.port}", config
        finally:
            running.terminate()
            running.wait(60)
            log.unlink()


def _photograph(chromium: Browser, address: str, config: Config) -> dict[str, str]:
    """Every page of every kind, in both looks and on both screens; gives the address of each kind."""
    built = parts.build(config)
    views = front.create_app(built).url_map
    found: dict[str, str] = {}
    for look in LOOKS:
        for size, (width, height, scale) in SIZES.items():
            page = chromium.new_page(
                viewport={"width": width, "height": height},
                device_scale_factor=scale,
                color_scheme=look,
                locale="en" if look == "light" else "fr",
                timezone_id="Europe/Paris",
            )
            _sign_in(page, address, config)
            found = found or _met(page, address, views)
            for endpoint, path in found.items():
                _take(page, address + path, OUT / Shot(endpoint, size, look).name)
            page.close()
    _take_shown(chromium, address, config, found)
    built.close()
    return found


def _met(page: Page, address: str, views: Map) -> dict[str, str]:
    def get(path: str) -> str:
        answer = page.request.get(address + path)
        return answer.text() if "text/html" in answer.headers.get("content-type", "") else ""

    met = crawl.pages(get, views)
    return {endpoint: _richer(path) for endpoint, path in met.items() if endpoint not in LEADS_ON}


def _richer(path: str) -> str:
    for plain, rich in RICHER:
        path = path.replace(plain, rich)
    return path


def _sign_in(page: Page, address: str, config: Config) -> None:
    page.goto(f"{address}/console/sign-in")
    page.fill("#email", account.USER)
    page.fill("#password", account.password(config.var))
    page.click(".door .btn-primary")
    page.wait_for_url(f"{address}/console/")


def _take(page: Page, url: str, out: Path) -> None:
    page.goto(url)
    page.evaluate("document.fonts.ready")
    screen = page.viewport_size or {"width": 0, "height": 0}
    width = screen["width"]
    tall = min(TALLEST, page.evaluate("Math.max(document.documentElement.scrollHeight, innerHeight)"))
    clip = {"x": 0, "y": 0, "width": width, "height": tall}
    if page.locator("iframe").count():
        page.set_viewport_size({"width": width, "height": tall})  # a frame paints only what is in sight
        page.wait_for_timeout(700)
    page.screenshot(path=out, type="jpeg", quality=QUALITY, full_page=True, clip=clip, animations="disabled")
    page.set_viewport_size(screen)


def _take_shown(chromium: Browser, address: str, config: Config, found: dict[str, str]) -> None:
    page = chromium.new_page(viewport={"width": 1440, "height": 900})
    _sign_in(page, address, config)
    for name, endpoint in SHOWN.items():
        if endpoint in found:
            page.goto(address + found[endpoint])
            page.evaluate("document.fonts.ready")
            page.screenshot(path=OUT / f"{name}.jpg", type="jpeg", quality=80, animations="disabled")
    page.close()


def _write_index(found: dict[str, str]) -> None:
    lines = [
        "# Every page of the console",
        "Made by `make screenshots` from the demo shop: English by day, French by night, on a desk and on a telephone.",
    ]
    lines += ["", MESSAGES]
    for endpoint in found:
        name = endpoint.removeprefix("console.")
        lines += ["", f"## {name}", "| desk, day | desk, night | phone, day | phone, night |", "|---|---|---|---|"]
        shots = [Shot(endpoint, size, look).name for size in SIZES for look in LOOKS]
        lines.append("| " + " | ".join(f"![{name}]({shot})" for shot in shots) + " |")
    (OUT / "README.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
