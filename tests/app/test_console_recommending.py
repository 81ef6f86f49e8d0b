"""The console's rules and placements: what each page says, and what each decision does."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient

from app import parts
from foundation.database import new_id
from recommender import merchandising, rules, shown, tables
from recommender.shown import Shown
from tests.app import console_world
from tests.app.console_world import EMAIL, PASSWORD, Day

PAGES = ("/console/rules", "/console/rules/new", "/console/placements", "/console/placements/home")
RULE = {
    "name": "Winter at Aubier",
    "action": "boost",
    "strength": "2,5",
    "brands": "Aubier\r\nAutre\r\n",
    "price_from": "10,50",
    "placements_home": "on",
    "channels_web": "on",
    "starts_at": "2026-11-01",
    "ends_at": "2026-12-24",
}


@pytest.fixture
def day(installation: parts.Parts) -> Day:
    return console_world.live(installation)


@pytest.fixture
def enter(client: FlaskClient, installation: parts.Parts) -> Callable[[str], FlaskClient]:
    """Signs in as someone of a role."""

    def sign_in(role: str) -> FlaskClient:
        console_world.make_user(installation, role=role)
        send(client, "/console/sign-in", on="/console/sign-in", email=EMAIL, password=PASSWORD)
        return client

    return sign_in


@pytest.fixture
def ines(enter: Callable[[str], FlaskClient]) -> FlaskClient:
    return enter("admin")


def send(client: FlaskClient, path: str, *, on: str = "/console/customers", **data: str) -> str:
    """Sends a form as its page would; gives the status and the page that answers."""
    found = re.search(r'name="csrf_token" value="(\w+)"', client.get(on).text)
    assert found
    answer = client.post(path, data={"csrf_token": found[1], **data})
    return f"{answer.status_code} {answer.text}"


def kept(installation: parts.Parts) -> list[merchandising.Kept]:
    with installation.db.begin() as conn:
        return merchandising.every_rule(conn)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("locale", ["en", "fr"])
def test_a_page_stands_before_and_after_anything_has_happened(
    ines: FlaskClient, installation: parts.Parts, path: str, locale: str
) -> None:
    ines.set_cookie("locale", locale)
    assert ines.get(path).status_code == 200
    console_world.live(installation)
    assert ines.get(path).status_code == 200


class TestRules:
    def test_are_added_as_the_form_says(self, ines: FlaskClient, installation: parts.Parts) -> None:
        ines.set_cookie("zone", "Europe/Paris")
        assert send(ines, "/console/rules/new", **RULE).startswith("303")
        (one,) = kept(installation)
        assert rules.dump(one.rule) == {
            "name": "Winter at Aubier",
            "action": "boost",
            "enabled": True,
            "strength": 2.5,
            "brands": ["Aubier", "Autre"],
            "price_from": 10.5,
            "placements": ["home"],
            "channels": ["web"],
            "starts_at": "2026-11-01T00:00:00+01:00",
            "ends_at": "2026-12-25T00:00:00+01:00",
        }

    def test_sent_twice_are_kept_once(self, ines: FlaskClient, installation: parts.Parts) -> None:
        for _ in range(2):
            assert send(ines, "/console/rules/new", **RULE).startswith("303")
        assert len(kept(installation)) == 1
        send(ines, "/console/rules/new", **(RULE | {"name": "Another"}))
        assert len(kept(installation)) == 2

    def test_are_read_back_into_the_form_and_into_a_sentence(
        self, ines: FlaskClient, installation: parts.Parts
    ) -> None:
        ines.set_cookie("zone", "Europe/Paris")
        send(ines, "/console/rules/new", **RULE)
        page = ines.get("/console/rules").text
        assert "Lifts Aubier, Autre, from €10.50 on, × 2.50" in page
        assert "Home page · Site · from 1 Nov 2026 · until 24 Dec 2026" in page
        assert f"{EMAIL} added “Winter at Aubier”" in page
        form = ines.get(f"/console/rules/{kept(installation)[0].id}").text
        assert 'value="2026-12-24"' in form and 'value="10.50"' in form and 'value="2.5"' in form

    @pytest.mark.parametrize(
        ("given", "field", "said"),
        [
            ({"strength": "much"}, "strength", "must be a number above 1, at most 100"),
            ({"name": ""}, "name", "must be a text of at most 100 characters"),
            ({"price_from": "-3"}, "price_from", "must be an amount such as 19.99"),
            ({"ends_at": "2026-10-01"}, "ends_at", "must be after the start"),
            ({"action": "pin", "position": "1"}, "products", "must name a product"),
            ({"action": "margin_floor", "margin": "200"}, "margin", "must be a number from 0 to below 1"),
        ],
    )
    def test_say_each_fault_beside_its_field(
        self, ines: FlaskClient, installation: parts.Parts, given: dict[str, str], field: str, said: str
    ) -> None:
        page = send(ines, "/console/rules/new", **(RULE | {"products": "", "margin": "", "position": ""} | given))
        assert page.startswith("422")
        fault = re.search(rf'id="{field}-fault">.*?<span>(.*?)</span>', page, re.DOTALL)
        assert fault and said in fault[1]
        assert kept(installation) == []

    def test_are_changed_switched_moved_and_removed(self, ines: FlaskClient, installation: parts.Parts) -> None:
        for name in ("one", "two"):
            send(ines, "/console/rules/new", **(RULE | {"name": name}))
        first, second = (one.id for one in kept(installation))
        send(ines, f"/console/rules/{second}/move", way="up")
        send(ines, f"/console/rules/{second}/move", way="up")
        send(ines, f"/console/rules/{first}/switch")
        send(ines, f"/console/rules/{second}", **(RULE | {"name": "three"}))
        assert [(one.id, one.rule.name, one.rule.enabled) for one in kept(installation)] == [
            (second, "three", True),
            (first, "one", False),
        ]
        send(ines, f"/console/rules/{second}/remove")
        assert [one.id for one in kept(installation)] == [first]
        page = ines.get("/console/rules").text
        for said in ("removed “three”", "changed “two”", "switched “one” off", "put the rules in another order"):
            assert said in page or said.replace("two", "three") in page

    def test_are_tried_on_someone_before_they_count(
        self, ines: FlaskClient, day: Day, installation: parts.Parts
    ) -> None:
        with installation.db.begin() as conn:
            titles = conn.scalars(sa.text("SELECT title FROM products WHERE active ORDER BY product_id")).all()
        nothing = {"name": "Nothing", "action": "exclude", "who": "Paul", "try_at": "home"}
        page = send(ines, "/console/rules/try", **nothing)
        assert page.startswith("200") and "Paul Delmas" in page
        assert "Nothing: every product is excluded." in page and any(title in page for title in titles)
        assert kept(installation) == []
        installation.recommender.flush()
        with installation.db.begin() as conn:
            assert conn.scalar(sa.select(sa.func.count()).where(tables.slates.c.placement == "home")) == 0

    def test_are_read_by_an_analyst_and_changed_by_none(
        self, enter: Callable[[str], FlaskClient], installation: parts.Parts
    ) -> None:
        analyst = enter("analyst")
        assert analyst.get("/console/rules").status_code == 200
        assert send(analyst, "/console/rules/new", **RULE).startswith("403")
        assert kept(installation) == []

    def test_that_are_not_there_are_said_not_to_be(self, ines: FlaskClient) -> None:
        assert ines.get("/console/rules/99").status_code == 404
        assert send(ines, "/console/rules/99/move", way="up").startswith("404")


class TestPlacements:
    def test_are_changed_by_their_sliders(self, ines: FlaskClient, installation: parts.Parts) -> None:
        given = {"discover": "80", "diversity": "10", "explore": "5", "n": "9", "per_brand": "2", "bought_days": ""}
        assert send(ines, "/console/placements/home", **given, rotation="1", per_category="").startswith("303")
        with installation.db.begin() as conn:
            home = merchandising.every_placement(conn)["home"]
        assert (home.discover, home.diversity, home.explore) == (0.8, 0.1, 0.05)
        assert (home.n, home.per_brand, home.per_category, home.bought_days, home.rotation) == (9, 2, None, None, 1)
        assert (
            'name="discover" type="range" min="0" max="100" step="5" value="80"'
            in ines.get("/console/placements/home").text
        )

    def test_say_each_fault_beside_its_field(self, ines: FlaskClient, installation: parts.Parts) -> None:
        page = send(ines, "/console/placements/home", discover="50", diversity="0", explore="0", n="0", rotation="")
        assert page.startswith("422") and 'id="n-fault"' in page and 'id="rotation-fault"' in page
        with installation.db.begin() as conn:
            assert merchandising.version(conn) == 0

    def test_that_are_unknown_are_not_found(self, ines: FlaskClient) -> None:
        assert ines.get("/console/placements/lobby").status_code == 404

    def test_show_what_they_earned(self, ines: FlaskClient, installation: parts.Parts) -> None:
        items = [{"product_id": name, "source": "als", "score": 1.0} for name in ("pan", "pot")]
        now = datetime.now(UTC)
        shown.write(installation.db, [Shown(new_id(), now, None, "home", 4, items) for _ in range(20)])
        earned = {"clicked": 5, "added": 2, "ordered": 1, "revenue": 4200}
        with installation.db.begin() as conn:
            conn.execute(sa.update(tables.slate_counts).where(tables.slate_counts.c.source == "").values(earned))
        for page in ("/console/placements", "/console/placements/home"):
            text = ines.get(page).text
            assert "25.0%" in text and "€42.00" in text and "11.2% to 46.9%" in text
        assert "In 30 days, slates led to €42.00 of purchases." in ines.get("/console/placements").text
        assert "Model 4" in ines.get("/console/placements").text

    def test_run_an_experiment_and_say_when_nothing_is_proved(
        self, ines: FlaskClient, installation: parts.Parts
    ) -> None:
        on = "/console/placements/home"
        assert send(ines, f"{on}/experiment", percent="80").startswith("422")
        assert send(ines, f"{on}/experiment", percent="20").startswith("303")
        assert send(ines, f"{on}/experiment", percent="20").startswith("409")
        assert "Nothing to compare yet" in ines.get(on).text
        few = {"customers": 40, "clickers": 8, "buyers": 4, "revenue": 4000, "revenue_squared": 800_000}
        self.found(installation, {"model": few, "popularity": few | {"buyers": 3}})
        assert "Not conclusive yet" in ines.get(on).text and "is not proved yet" in ines.get(on).text
        many = {name: 100 * value for name, value in few.items()}
        self.found(installation, {"model": many, "popularity": many | {"buyers": 200}})
        assert "the model makes 5.0 points more customers buy" in ines.get(on).text
        assert "The model sells more" in ines.get("/console/placements").text
        assert send(ines, f"{on}/experiment/end").startswith("303")
        assert send(ines, f"{on}/experiment/end").startswith("409")

    def found(self, installation: parts.Parts, results: dict[str, dict[str, int]]) -> None:
        with installation.db.begin() as conn:
            conn.execute(
                sa.update(tables.experiments).values(
                    results=results, started_at=tables.experiments.c.started_at - timedelta(days=3)
                )
            )
