"""The console in a real browser: every page, both languages, desk and phone, by keyboard and for screen readers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

import app as front
from app import parts
from tests import browser
from tests.app import console_world
from tests.app.console_world import CAMPAIGN, EMAIL, PASSWORD, Day

pytestmark = [
    pytest.mark.browser,
    # A file the server was still reading when the page was left is left to Python to close.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"),
]
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
GRAVE = ("serious", "critical")


@pytest.fixture
def day(installation: parts.Parts) -> Day:
    console_world.make_user(installation)
    return console_world.live(installation)


@pytest.fixture
def address(installation: parts.Parts) -> Iterator[str]:
    """The console on a port of its own."""
    server = make_server("127.0.0.1", 0, front.create_app(installation), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def chromium() -> Iterator[Browser]:
    path = browser.executable()
    if path is None:
        pytest.skip("no Chromium")
    with sync_playwright() as engine:
        launched = engine.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@contextmanager
def _signed_in(chromium: Browser, address: str, *, locale: str, size: str, look: str = "light") -> Iterator[Page]:
    """A page behind the door, and nothing written to its console, nothing fetched from elsewhere."""
    width, height = SIZES[size]
    context = chromium.new_context(
        viewport={"width": width, "height": height}, locale=locale, color_scheme=look, timezone_id="Europe/Paris"
    )
    context.set_default_timeout(15_000)
    page, said, elsewhere = context.new_page(), [], []
    page.on(
        "console", lambda line: said.append(f"{page.url}: {line.text}") if line.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    page.on("request", lambda asked: elsewhere.append(asked.url) if not _ours(asked.url, address) else None)
    page.goto(f"{address}/console/sign-in")
    page.fill("#email", EMAIL)
    page.fill("#password", PASSWORD)
    page.click(".door .btn-primary")
    page.wait_for_url(f"{address}/console/")
    yield page
    context.close()
    assert said == []
    assert elsewhere == []


def _ours(url: str, address: str) -> bool:
    """The console's own, or a product picture, which stands where the shop keeps it."""
    return url.startswith((address, "data:", "https://aubier.example/img/", "http://localhost/"))


def _addresses(day: Day) -> list[str]:
    return [
        "/console/",
        "/console/customers",
        f"/console/customers/{day.camille}",
        f"/console/customers/{day.paul}",
        "/console/campaigns",
        f"/console/campaigns/{CAMPAIGN}",
        f"/console/campaigns/{CAMPAIGN}/edit",
        f"/console/campaigns/{CAMPAIGN}/compare",
        f"/console/campaigns/{CAMPAIGN}/dry-run",
        "/console/campaigns/new",
        "/console/campaigns/calendar",
        "/console/messages",
        f"/console/messages/{day.message_id}",
        "/console/mailbox",
        f"/console/mailbox/{day.message_id}",
        f"/console/mailbox/{day.message_id}?view=headers",
        "/console/store",
        "/console/store?q=camille@example.org",
        "/console/insights/channels",
        "/console/insights/paths",
        "/console/insights/retention",
        "/console/insights/stages",
        "/console/reports",
        "/console/sources",
        f"/console/model/try?customer={day.camille}",
        "/console/rules",
        "/console/rules/new",
        "/console/placements",
        "/console/placements/home",
        "/console/promotions",
        "/console/audiences",
        "/console/webhooks",
        "/console/health",
        "/console/styleguide",
    ]


def _grave(page: Page) -> list[tuple[str, list[str]]]:
    """What would shut somebody out: each fault, and where."""
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found if one["impact"] in GRAVE]


def _pictures_elsewhere(page: Page) -> None:
    """The shop of these tests keeps its pictures nowhere, and its mails name an address where nothing answers."""
    for place in ("https://aubier.example/**", "http://localhost/**"):
        page.context.route(place, lambda route: route.fulfill(body="", content_type="image/png"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("locale", ["en", "fr"])
def test_every_page_stands_fits_and_can_be_used_by_everyone(
    chromium: Browser, address: str, day: Day, locale: str, size: str
) -> None:
    look = "dark" if locale == "fr" else "light"
    with _signed_in(chromium, address, locale=locale, size=size, look=look) as page:
        _pictures_elsewhere(page)
        for path in _addresses(day):
            page.goto(address + path)
            assert page.locator("html").get_attribute("lang") == locale
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= SIZES[size][0], f"{path} is {wide} wide"
            found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
            grave = [
                (fault["id"], [node["html"][:200] for node in fault["nodes"]])
                for fault in found
                if fault["impact"] in GRAVE
            ]
            assert grave == [], f"{path}: {grave}"


def test_the_door_can_be_used_by_everyone(chromium: Browser, address: str) -> None:
    page = chromium.new_page()
    page.goto(f"{address}/console/sign-in")
    assert _grave(page) == []


def test_customers_are_found_as_one_types(chromium: Browser, address: str, day: Day) -> None:
    with _signed_in(chromium, address, locale="en", size="desk") as page:
        _pictures_elsewhere(page)
        page.keyboard.press("Control+k")
        page.keyboard.type("Delmas")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="Paul Delmas").wait_for()
        page.fill("input[hx-get]", "laur")
        page.get_by_role("link", name="Camille Laurent").click()
        assert page.locator("h1").inner_text() == "Camille Laurent"


def test_a_decision_is_asked_before_it_is_taken(chromium: Browser, address: str, day: Day) -> None:
    with _signed_in(chromium, address, locale="en", size="desk") as page:
        _pictures_elsewhere(page)
        page.goto(f"{address}/console/campaigns/{CAMPAIGN}")
        page.get_by_role("button", name="Pause").click()
        assert "2 customers are on their way" in page.get_by_role("dialog").inner_text()
        page.keyboard.press("Escape")
        assert page.get_by_role("dialog").count() == 0
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Pause it").click()
        page.get_by_text("Paused. Nothing is on its way.").wait_for()


def test_new_mail_arrives_by_itself_and_is_read_beside_the_list(chromium: Browser, address: str, day: Day) -> None:
    with _signed_in(chromium, address, locale="en", size="desk") as page:
        _pictures_elsewhere(page)
        page.goto(f"{address}/console/mailbox")
        with page.expect_response("**/console/mailbox/list**"):
            page.wait_for_timeout(4500)
        page.locator(".mail-row").click()
        mail = page.frame_locator(".mail-frame")
        mail.get_by_text("Camille, your basket").or_(mail.get_by_text("Camille, votre panier")).first.wait_for()
        with page.context.expect_page() as opened:
            mail.locator("a[href*='/c/']").first.click()
        assert opened.value.url != page.url


def test_the_look_and_the_language_change_from_the_menu(chromium: Browser, address: str, day: Day) -> None:
    with _signed_in(chromium, address, locale="en", size="desk") as page:
        page.locator(".profile summary").click()
        page.get_by_role("button", name="Français").click()
        page.get_by_text("Bonjour Inès.").wait_for()
        page.locator(".profile summary").click()
        page.get_by_role("button", name="Sombre").click()
        page.locator("html[data-theme=dark]").wait_for()
