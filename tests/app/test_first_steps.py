"""The first ten minutes on the home page: read from the installation, until done or put away."""

from collections.abc import Callable
from datetime import UTC, datetime

import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts
from foundation.database import Database
from shop import tables
from tests.app import console_world

NOW = datetime.now(UTC)
CARD = 'id="first-run-title"'


def test_an_empty_installation_is_told_where_to_begin(ines: FlaskClient) -> None:
    page = ines.get("/console/").text
    assert CARD in page and "0 of 4 done" in page
    assert page.count('aria-current="step"') == 1 and "Make a key, and point" in page


def test_each_step_is_read_from_what_is_there(ines: FlaskClient, db: Database, make_key: Callable[..., str]) -> None:
    make_key("write", name="site")
    page = ines.get("/console/").text
    assert "0 of 4 done" in page and "There is a key; no event has come yet." in page
    with db.begin() as conn:
        conn.execute(sa.update(tables.sources).where(tables.sources.c.name == "site").values(last_event_at=NOW))
        conn.execute(sa.insert(tables.customers).values(user_id="ada", created_at=NOW, updated_at=NOW))
    page = ines.get("/console/").text
    assert "1 of 4 done" in page and "Still missing: products, orders." in page


def test_a_shop_at_work_has_only_the_training_left(ines: FlaskClient, installation: parts.Parts) -> None:
    console_world.live(installation)
    page = ines.get("/console/").text
    assert "3 of 4 done" in page and "A relaunch has been sent." in page


def test_put_away_it_stays_away(ines: FlaskClient) -> None:
    assert console_world.post(ines, "/console/first-steps/hide", on="/console/").status_code == 303
    assert CARD not in ines.get("/console/").text


def test_who_could_not_do_it_is_not_asked(enter: Callable[[str], FlaskClient]) -> None:
    assert CARD not in enter("analyst").get("/console/").text
