"""Pictures of products that do not come: a calm drawing stands in their place, and no address is run."""

from datetime import timedelta

import sqlalchemy as sa
from playwright.sync_api import Page, expect

from shop.tables import products
from tests.app.console_world import NOW
from tests.campaigns import world
from tests.console import Console, everyone, marks, too_wide

pytestmark = marks
BROKEN = (
    "/static/nowhere.png",
    "/static/css/tokens.css",
    "http://127.0.0.1:9/refused.png",
    "javascript:window.__ran=1",
    'x" onerror="window.__ran=1',
    "data:text/html,<script>window.__ran=1</script>",
)
"""Gone, no picture, nobody there, and three that would be more than a picture."""


def spoilt(conn: sa.Connection) -> None:
    """Every product has a picture that does not come, each for another reason."""
    for number, product_id in enumerate(conn.scalars(sa.select(products.c.product_id)).all()):
        one = products.c.product_id == product_id
        conn.execute(sa.update(products).where(one).values(image_url=BROKEN[number % len(BROKEN)]))


def calm(page: Page, *, fewest: int) -> None:
    """Every picture is one that is drawn, and none ran."""
    expect(page.locator("img.gone").nth(fewest - 1)).to_be_visible(timeout=20_000)
    page.wait_for_function(
        "() => [...document.images].every((one) => one.complete && one.naturalWidth)", timeout=20_000
    )
    assert page.evaluate("() => window.__ran") is None
    assert too_wide(page) == 0


@everyone
def test_pictures_that_do_not_come_are_stood_in_for(console: Console, locale: str, width: int) -> None:
    then = NOW - timedelta(hours=2)
    with console.installation.db.begin() as conn:
        world.stock_shop(conn, now=then)
        person = world.make_customer(conn, "camille", at=then, first_name="Camille")
        world.leave_cart(conn, "camille", at=then)
        spoilt(conn)
    page = console.open("/console/sources/catalogue", locale=locale, width=width, heard=False)
    calm(page, fewest=5)
    page.goto("/console/store?q=camille")
    calm(page, fewest=2)
    page.goto(f"/console/customers/{person}")
    calm(page, fewest=2)
