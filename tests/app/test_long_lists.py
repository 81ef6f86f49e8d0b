"""Names of two hundred characters without a place to break, in every list there is: none makes its page wider."""

import pytest
import sqlalchemy as sa

import app as front
from tests import crawl
from tests.app import busy_shop
from tests.console import DESK, HEIGHTS, PHONE, Console, beyond, marks, too_wide

pytestmark = marks
LONG = "Wohnungseinrichtung" * 11
assert len(LONG) > 200
FEWEST = 50
"""Pages there are at least; fewer means that a link to some was lost."""


LENGTHENED = {
    "api_keys": "prefix = 'rk_' || left(:long, 12)",
    "audiences": "title = :long",
    "campaign_versions": "definition = jsonb_set(definition, '{title}', to_jsonb(cast(:long as text)))",
    "change_log": "by = :long",
    "customers": "first_name = :long, last_name = :long",
    "file_imports": "file = :long || '.csv', by = :long",
    "merchandising_rules": "definition = jsonb_set(definition, '{name}', to_jsonb(cast(:long as text)))",
    "offers": "name = left(:long, 60) WHERE name = 'ten'",
    "onsite_blocks": "definition = jsonb_set(definition, '{title}', to_jsonb(cast(:long as text)))",
    "products": "title = :long, brand = :long, category = :long",
    "segments": "title = :long",
    "sources": "name = left(id || :long, 60)",
    "stores": "name = :long",
    "users": "name = :long",
}
"""Where names are kept, and how each is made as long as it may be."""


@pytest.fixture(scope="module")
def paths(kept_console: Console) -> list[str]:
    """An address of every kind of page of the console, once names are long."""
    busy_shop.console_world.make_user(kept_console.installation)
    day = busy_shop.opened(kept_console.installation)
    told = busy_shop.telling(kept_console.installation, day)
    ines = busy_shop.signed_in(kept_console.installation)
    views = front.create_app(kept_console.installation).url_map

    def get(path: str) -> str:
        with ines.get(path, follow_redirects=True) as answer:
            return answer.text if answer.mimetype == "text/html" else ""

    with kept_console.installation.db.begin() as conn:
        for table, change in LENGTHENED.items():
            assert conn.execute(sa.text(f"UPDATE {table} SET {change}"), {"long": LONG}).rowcount, table
    return [*crawl.pages(get, views).values(), *told]


def test_no_name_makes_a_list_wider_than_its_page(kept_console: Console, paths: list[str]) -> None:
    page = kept_console.open()
    wide = {}
    for path in paths:
        page.goto(path)
        for width in (PHONE, DESK):
            page.set_viewport_size({"width": width, "height": HEIGHTS[width]})
            if more := too_wide(page):
                wide[path, width] = (more, beyond(page))
    assert wide == {}
    assert len(paths) >= FEWEST, paths
    kept_console.close()
