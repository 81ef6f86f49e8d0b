"""Every page in a real browser, by day and night, in both languages, at a desk and on a telephone: it fits the screen,
its scripts complain of nothing, and axe-core finds nothing that would shut somebody out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from playwright.sync_api import Page

import app as front
from shop.tables import products
from tests import crawl
from tests.app import busy_shop
from tests.console import DESK, HEIGHTS, PHONE, Console, beyond, grave, marks, too_wide

pytestmark = marks
FEWEST = 67
"""Pages there are at least; fewer means that a link to some was lost."""
PARTS = 4
"""So that a slow machine has time for each."""
OTHER: dict[Any, Any] = {DESK: PHONE, PHONE: DESK, "light": "dark", "dark": "light"}


@dataclass(frozen=True)
class Walk:
    """One way of looking at pages."""

    page: Page
    locale: str
    look: str
    width: int

    def faults(self, path: str) -> list[str]:
        """What is wrong with a page as it opens, and by the other light on the other screen."""
        self._stand(self.look, self.width)
        answer = self.page.goto(path)
        found = [] if answer and answer.ok else ["is not answered"]
        spoken = self.page.locator("html").get_attribute("lang")
        found += [] if spoken == self.locale else [f"speaks {spoken}"]
        found += self._too_wide() + grave(self.page)
        self._stand(OTHER[self.look], OTHER[self.width])
        return found + self._too_wide() + grave(self.page, rules=["color-contrast"])

    def beside(self, path: str, other: str) -> list[str]:
        """What is wrong with a segment's page once another is compared with it."""
        self._stand(self.look, self.width)
        self.page.goto(path)
        self.page.select_option("select[name=with]", other)
        self.page.locator("#overlap svg").first.wait_for()
        return self._too_wide() + grave(self.page)

    def _stand(self, look: str, width: int) -> None:
        self.page.emulate_media(color_scheme=look)
        self.page.set_viewport_size({"width": width, "height": HEIGHTS[width]})

    def _too_wide(self) -> list[str]:
        more = too_wide(self.page)
        return [f"is {more} too wide on {self.page.viewport_size}: {beyond(self.page)}"] if more else []


@pytest.fixture(scope="module")
def day(kept_console: Console) -> busy_shop.Day:
    """What happened in the shop before anybody looks."""
    busy_shop.console_world.make_user(kept_console.installation)
    return busy_shop.opened(kept_console.installation)


@pytest.fixture(scope="module")
def paths(kept_console: Console, day: busy_shop.Day) -> list[str]:
    """An address of every kind of page: of the console, of links in messages, and of the demo shop."""
    with kept_console.installation.db.begin() as conn:
        conn.execute(sa.update(products).values(image_url=f"{kept_console.address}/demo/images/soup.png"))
    ines = busy_shop.signed_in(kept_console.installation)
    views = front.create_app(kept_console.installation).url_map

    def get(path: str) -> str:
        with ines.get(path, follow_redirects=True) as answer:
            assert answer.status_code < 400, f"{path}: {answer.status_code}"
            return answer.text if answer.mimetype == "text/html" else ""

    links = kept_console.installation.links
    public = [links.preferences(day.message_id), links.unsubscribe(day.message_id)]
    everywhere = "/console/campaigns/basket-everywhere/edit"
    saying = [everywhere, *(f"{everywhere}/message/{step}" for step in busy_shop.saying(kept_console.installation))]
    hers = f"/console/customers/{busy_shop.hostile(kept_console.installation)}"
    told = busy_shop.telling(kept_console.installation, day)
    found = [*crawl.pages(get, views).values(), hers, f"{hers}?tab=orders", *saying, *told]
    found += [addresses[0] for addresses in crawl.every(get, views, ["/demo/"]).values()]
    return found + [urlsplit(address).path for address in public]


@pytest.fixture(scope="module", params=[("fr", "light", PHONE), ("en", "dark", DESK)], ids=["fr", "en"])
def walk(request: pytest.FixtureRequest, kept_console: Console, paths: list[str]) -> Iterator[Walk]:
    """Somebody signed in, in a language, by a light and on a screen."""
    locale, look, width = request.param
    yield Walk(kept_console.open(locale=locale, look=look, width=width), locale, look, width)
    kept_console.close()


@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_fits_and_can_be_used_by_everyone(
    kept_console: Console, walk: Walk, paths: list[str], part: int
) -> None:
    faults = {path: found for path in paths[part::PARTS] if (found := walk.faults(path))}
    assert faults == {}
    assert kept_console.said == []
    assert len(paths) >= FEWEST, paths


def test_two_segments_beside_each_other_fit_and_can_be_used_by_everyone(kept_console: Console, walk: Walk) -> None:
    assert walk.beside("/console/segments/written", "lyon") == []
    assert kept_console.said == []


MAIL = ["image-alt", "color-contrast", "link-name", "html-has-lang", "document-title", "meta-viewport"]
"""What is asked of a mail: it is laid out in tables, which have no headings or landmarks."""


@pytest.mark.parametrize(("look", "width"), [("light", PHONE), ("dark", DESK)])
def test_pages_in_a_language_of_their_own_can_be_used_by_everyone(
    kept_console: Console, day: busy_shop.Day, look: str, width: int
) -> None:
    page = kept_console.window(look=look, width=width, heard=False)  # the shop's pictures are nowhere
    mail = page.request.get(urlsplit(kept_console.installation.links.view(day.message_id)).path).text()
    assert "Cocotte" in mail
    page.set_content(mail, wait_until="domcontentloaded")  # where it stands, nothing runs: axe would wait for ever
    assert too_wide(page) == 0 and grave(page, rules=MAIL) == []
    page.goto("/docs/api")
    assert page.locator("main section").count() > 5 and too_wide(page) == 0
    assert grave(page) == []


@pytest.mark.parametrize("locale", ["fr", "en"])
def test_the_door_can_be_used_by_everyone(kept_console: Console, paths: list[str], locale: str) -> None:
    page = kept_console.window(locale=locale, width=PHONE)
    page.goto("/console/sign-in")
    assert page.locator("#password").is_visible()
    assert too_wide(page) == 0 and grave(page) == []
