"""The console as its people see it: an installation at an address it knows, opened in Chromium in a language, a width
and a look."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from axe_playwright_python.base import AXE_SCRIPT
from babel import support
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

import app as front
from app import parts
from app.tables import sessions
from foundation.config import Config
from tests.app.console_world import EMAIL, PASSWORD
from tests.serving import Server

DESK, PHONE = 1440, 390
HEIGHTS = {DESK: 900, PHONE: 844}
"""Screens, by their width in pixels."""
FRENCH_PHONE, ENGLISH_DESK = ("fr", PHONE), ("en", DESK)

marks = [pytest.mark.browser]
"""What every file of browser tests is marked with."""
everyone = pytest.mark.parametrize(
    ("locale", "width"), [FRENCH_PHONE, ENGLISH_DESK], ids=["french-phone", "english-desk"]
)
"""A story told twice: in French on a telephone, in English at a desk."""
in_every_corner = pytest.mark.parametrize(
    ("locale", "width"),
    [FRENCH_PHONE, ENGLISH_DESK, ("fr", DESK), ("en", PHONE)],
    ids=["french-phone", "english-desk", "french-desk", "english-phone"],
)
"""A short story told in both languages on both screens."""


@contextmanager
def installed(config: Config, **changes: Any) -> Iterator[parts.Parts]:
    """An installation whose web server answers at the base URL of its settings."""
    server = Server()
    built = parts.build(replace(config, base_url=server.address, **changes))
    try:
        server.serve(front.create_app(built))
        yield built
    finally:
        server.close()
        built.close()


@dataclass
class Console:
    """Browser windows on one installation. Closing it fails when a page complained or fetched from elsewhere."""

    chromium: Browser
    installation: parts.Parts
    contexts: list[BrowserContext] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where it answers, without a slash at the end."""
        return self.installation.config.base_url

    def open(self, path: str = "/console/", *, email: str = EMAIL, heard: bool = True, **looks: Any) -> Page:
        """Somebody signs in, in a browser of her own, and stands on a page. What that browser complains of is not
        `heard` in a story that gives it reason to: a line cut, a session ended, a change refused."""
        page = self.window(heard=heard, **looks)
        page.goto(f"/console/sign-in?next={quote(path)}")
        sign_in(page, email=email)
        page.wait_for_url(lambda url: "/sign-in" not in url)
        return page

    def window(self, *, locale: str = "en", width: int = DESK, look: str = "light", heard: bool = True) -> Page:
        """A new browser that nobody signed in with."""
        context = self.chromium.new_context(
            base_url=self.address,
            viewport={"width": width, "height": HEIGHTS[width]},
            has_touch=width == PHONE,
            locale=locale,
            color_scheme=look,
            timezone_id="Europe/Paris",
        )
        context.set_default_timeout(60_000)
        self.contexts.append(context)
        if heard:
            context.on("request", lambda asked: self._fetched(asked.url))
            context.on("console", self._heard)
            context.on("weberror", lambda told: self.said.append(f"{told.page and told.page.url}: {told.error}"))
        return context.new_page()

    def end_sessions(self) -> None:
        """Everybody is signed out, as after a fortnight."""
        with self.installation.db.begin() as conn:
            conn.execute(sa.delete(sessions))

    def close(self) -> None:
        """Closes every window; what was complained of fails the test."""
        for context in self.contexts:
            context.close()
        assert self.said == []
        assert self.elsewhere == []

    def _heard(self, line: ConsoleMessage) -> None:
        ours = line.type in ("error", "warning") and not line.location["url"].startswith(SHOP)
        if ours and not EXPECTED.search(line.text):
            self.said.append(f"{line.page and line.page.url}: {line.text}")

    def _fetched(self, url: str) -> None:
        if not url.startswith((self.address, "data:", "blob:", "about:", SHOP)):
            self.elsewhere.append(url)


EXPECTED = re.compile(r"(status of|Status Error Code) (409|422)|htmx:(sendAbort|afterRequest)")
"""What a browser says of an answer that is no, which stands on the page, and of a question given up because somebody
left its page."""
SHOP = "https://aubier.example/"
"""Where the shop of the tests says its pages and product pictures are; nothing is there."""


def sign_in(page: Page, *, email: str = EMAIL) -> None:
    """Fills in the door's form and sends it."""
    page.fill("#email", email)
    page.fill("#password", PASSWORD)
    page.click(".door .btn-primary")


def slow(context: BrowserContext, milliseconds: int, *, pages: str = "**/console/**") -> None:
    """From now on every answer waits, as on a far telephone."""

    def late(route: Route) -> None:
        threading.Event().wait(milliseconds / 1000)
        route.continue_()

    context.route(pages, late)


def spoken(locale: str) -> Callable[[str], str]:
    """The console's words in a language, as its own catalogue has them: `say("Undo the merge")`."""
    if locale == "en":
        return lambda text: text
    with CATALOGUE.open("rb") as compiled:
        french = support.Translations(compiled)
    return lambda text: str(french.ugettext(text))


CATALOGUE = Path(front.__file__).parent / "translations" / "fr" / "LC_MESSAGES" / "messages.mo"
GRAVE = ("serious", "critical")


def grave(page: Page, *, rules: list[str] | None = None) -> list[str]:
    """What would shut somebody out of a page as it stands now: each fault of axe-core, and where."""
    page.wait_for_load_state("domcontentloaded")
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(AXE_SCRIPT)
    page.evaluate(STILL)
    options: dict[str, object] = {"resultTypes": ["violations"], "iframes": False}  # nothing runs in those of mails
    if rules:
        options["runOnly"] = rules
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
    return [
        f"{fault['id']}: {node['html'][:160]}" for fault in found if fault["impact"] in GRAVE for node in fault["nodes"]
    ]


STILL = """() => {
  for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish();
}"""
"""Colours that are on their way from one light to the other are those of neither."""


def too_wide(page: Page) -> int:
    """By how many pixels a page is wider than its screen, once it has its styles."""
    page.wait_for_load_state("domcontentloaded")
    width = page.viewport_size["width"] if page.viewport_size else 0
    return max(0, int(page.evaluate("document.documentElement.scrollWidth")) - width)


def beyond(page: Page) -> list[str]:
    """What stands beyond the right edge of the screen, for who looks for the cause."""
    return list(page.evaluate(BEYOND))


BEYOND = """() => [...document.querySelectorAll("main *")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".scroll-x"))
  .slice(0, 3).map((one) => one.outerHTML.slice(0, 120))"""
