"""Each ready-made campaign, walked by customers who qualify, in both languages, and by one who does not."""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from campaigns import enrolments, files, messages, plans, tables
from campaigns.channels.base import Mail
from campaigns.sending import Sending
from foundation.database import Database
from recommender.tables import customer_predictions
from shop import catalogue, customers, stores
from tests.campaigns import journey, world
from tests.campaigns.carriers import Carrier

NOTHING, MINUTE, HOUR, DAY = timedelta(0), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ELSEWHERE = {
    "basket-everywhere": "tests/stories/test_every_channel.py",
    "cart-relaunch": "tests/campaigns/test_story.py",
    "double-opt-in": "tests/app/test_double_opt_in.py",
}
"""Walked by tests of their own."""
COCOTTE = "Cocotte en fonte 24 cm"
FRENCH, ENGLISH, OTHER = "french", "english", "other"

Does = Callable[[sa.Connection, str, datetime], None]


@dataclass(frozen=True)
class Walk:
    """A ready-made campaign's way: what who qualifies does at the launch, what the other does, what happens in the shop
    an hour later, and what is said: so long after the launch, by which step, with which words, first in French."""

    qualifies: Does
    fails: Does
    said: Sequence[tuple[timedelta, str, str, str]]
    later: Callable[[sa.Connection, datetime], None] = lambda conn, at: None


def _says(event: str, *, after: timedelta = NOTHING, **properties: object) -> Does:
    return lambda conn, user, launched: world.say(conn, user, event, at=launched + after, **properties)


def _is(**traits: object) -> Does:
    return lambda conn, user, launched: world.say(conn, user, "", at=launched, traits=traits)


def _buys(after: timedelta) -> Does:
    return lambda conn, user, at: world.order(conn, user, at=at + after, order_id=f"of-{user}")


def _both(*parts: Does) -> Does:
    def does(conn: sa.Connection, user: str, launched: datetime) -> None:
        for part in parts:
            part(conn, user, launched)

    return does


def _leaves_a_basket(conn: sa.Connection, user: str, launched: datetime) -> None:
    world.leave_cart(conn, user, at=launched)


def _is_expected(within: timedelta) -> Does:
    """What the nightly predictions would have written of her."""

    def does(conn: sa.Connection, user: str, launched: datetime) -> None:
        expected = {"order_probability_30d": 0.9, "churn_risk": 0.1, "expected_value_12m": 20_000, "currency": "EUR"}
        whose = {"customer_id": customers.find(conn, user_id=user), "as_of": launched}
        values = whose | {"next_order_at": launched + within} | expected
        conn.execute(sa.insert(customer_predictions).values(values))

    return does


def _sold_out(conn: sa.Connection, user: str, launched: datetime) -> None:
    _count(conn, 0, launched)


def _there_again(conn: sa.Connection, at: datetime) -> None:
    _count(conn, 3, at)


def _count(conn: sa.Connection, quantity: int, at: datetime) -> None:
    stores.put_stock(conn, [{"store_id": "web", "product_id": "cocotte", "quantity": quantity}], now=at)


def _costs(price: str) -> Callable[[sa.Connection, datetime], None]:
    row = {"product_id": "cocotte", "title": COCOTTE, "price": price, "currency": "EUR"}
    return lambda conn, at: _put(conn, row, at)


def _put(conn: sa.Connection, row: dict[str, str], at: datetime) -> None:
    (result,) = catalogue.put(conn, [row], now=at)
    assert result.ok


LOOKED = _says("Product Viewed", product_id="cocotte")
WALKS: Mapping[str, Walk] = {
    "back-in-stock": Walk(
        _both(_sold_out, LOOKED), _says("Product Viewed", product_id="sel"), later=_there_again,
        said=[(HOUR, "it-is-back", f"« {COCOTTE} » vous intéressait", f"You were interested in “{COCOTTE}”")],
    ),
    "basket-relaunch": Walk(
        _leaves_a_basket, _both(_leaves_a_basket, _buys(30 * MINUTE)),
        said=[
            (HOUR, "reminder", "Nous avons gardé votre panier.", "We have kept your basket."),
            (21 * HOUR, "reviews", "Elle ne quitte plus ma cuisinière.", "Elle ne quitte plus ma cuisinière."),
            (69 * HOUR, "code", "le code plus bas vous fait gagner 22,10 €", "code below saves you €22.10"),
        ],
    ),
    "birthday": Walk(
        _is(birthday="1990-11-22"), _is(birthday="1990-12-22"),
        said=[(22 * HOUR, "wishes", "Pour fêter cela, le code", "To celebrate, the code below")],
    ),
    "loyalty-tier": Walk(
        _is(loyalty_tier="gold"), _is(loyalty_tier="silver"),
        said=[(MINUTE, "gold", "Bienvenue parmi nos clients Or", "Welcome among our Gold customers")],
    ),
    "price-drop": Walk(
        LOOKED, _both(LOOKED, _buys(30 * MINUTE)), later=_costs("159.00"),
        said=[(HOUR, "cheaper", "Prix le plus bas des 30 derniers jours : 175,00 €",
               "Lowest price of the last 30 days: €175.00")],
    ),
    "product-page": Walk(
        LOOKED, _both(LOOKED, _says("Product Added", after=HOUR, product_id="cocotte", cart_id="c", price="189.00")),
        said=[(2 * HOUR, "look-again", f"Vous avez regardé « {COCOTTE} »", f"You looked at “{COCOTTE}”")],
    ),
    "replenishment": Walk(
        _is_expected(2 * DAY), _is_expected(9 * DAY),
        said=[(22 * HOUR + 30 * MINUTE, "time-to-restock", "D’après vos habitudes", "Going by your habits")],
    ),
    "review-request": Walk(
        _buys(NOTHING), _both(_buys(NOTHING), _says("Order Cancelled", after=DAY, order_id="of-other")),
        said=[(16 * DAY + 23 * HOUR, "stars", "Combien d’étoiles donneriez-vous", "How many stars would you give")],
    ),
    "welcome": Walk(
        _says("Signed Up"), LOOKED,
        said=[
            (MINUTE, "welcome", "Nous sommes heureux de vous compter", "We are glad to have you"),
            (3 * DAY + MINUTE, "first-order", "Le code plus bas est à vous", "The code below is yours"),
        ],
    ),
    "win-back": Walk(
        _buys(-130 * DAY), _buys(-30 * DAY),
        said=[
            (23 * HOUR, "we-miss-you", "Il y a du nouveau chez", "There is something new at"),
            (7 * DAY + 23 * HOUR, "come-back", "Le code plus bas est à vous", "The code below is yours"),
        ],
    ),
}  # fmt: skip


@dataclass
class Days:
    """The timetable run by hand, and what the carrier took at which moment."""

    db: Database
    sending: Sending
    carrier: Carrier
    heard: list[tuple[datetime, Mail]] = field(default_factory=list)

    def at(self, moment: datetime) -> None:
        """Whatever is due then; of one moment the mails in French come first."""
        journey.tick(self.db, moment)
        messages.deliver_due(self.db, self.sending, now=moment)
        taken = self.carrier.handed[len(self.heard) :]
        self.heard += [(moment, mail) for mail in sorted(taken, key=lambda mail: not mail.address.startswith(FRENCH))]


@pytest.fixture
def days(db: Database, carrier: Carrier, tmp_path: Path, now: datetime) -> Days:
    """A shop with a pot that has a review and was cheaper a fortnight ago, and its three customers."""
    before = now - 40 * DAY
    timetable = Days(db, world.sending(carrier, tmp_path), carrier)
    with db.begin() as conn:
        world.stock_shop(conn, now=before)
        for user, locale in ((FRENCH, "fr"), (ENGLISH, "en-GB"), (OTHER, "fr")):
            world.make_customer(conn, user, at=before, locale=locale)
        world.make_customer(conn, "reader", at=before, consents=False)
        said = {"product_id": "cocotte", "rating": 5, "review_body": "Elle ne quitte plus ma cuisinière."}
        world.say(conn, "reader", "Product Reviewed", at=before, **said)
    for moment, price in ((before, "189.00"), (now - 14 * DAY, "175.00"), (now - 7 * DAY, "189.00")):
        with db.begin() as conn:
            _costs(price)(conn, moment)
        enrolments.admit_for_products(db, now=moment)
    return timetable


def _launch(db: Database, name: str, *, now: datetime) -> None:
    """As a merchant starts from it, but for those it would hold out."""
    with db.begin() as conn:
        plan = files.start_from(conn, name, now=now)
        definition = files.dump(plan)["campaigns"][0] | {"holdout_percent": 0}
        plans.update(conn, name, definition={key: definition[key] for key in definition if key != "name"}, now=now)
        plans.launch(conn, name, now=now)


def test_every_ready_made_campaign_is_walked() -> None:
    assert {ready.name for ready in files.ready_made()} == WALKS.keys() | ELSEWHERE.keys()
    assert all((Path(__file__).parents[2] / path).exists() for path in ELSEWHERE.values())


@pytest.mark.parametrize("name", WALKS)
def test_who_qualifies_is_written_to_in_time_and_nobody_else(days: Days, name: str, now: datetime) -> None:
    walk = WALKS[name]
    _launch(days.db, name, now=now)
    days.at(now)
    with days.db.begin() as conn:
        for user, does in ((FRENCH, walk.qualifies), (ENGLISH, walk.qualifies), (OTHER, walk.fails)):
            does(conn, user, now)
    moments = {moment for after, *_ in walk.said for moment in (after - MINUTE, after)}
    for after in sorted({MINUTE, *moments, 28 * DAY} - {NOTHING}):
        if after == HOUR:
            with days.db.begin() as conn:
                walk.later(conn, now + after)
        days.at(now + after)
    heard = [(after, mail.address.partition("@")[0], mail.campaign) for after, mail in days.heard]
    assert heard == [(now + after, user, name) for after, *_ in walk.said for user in (FRENCH, ENGLISH)]
    for (_, mail), words in zip(days.heard, [words for _, _, *both in walk.said for words in both], strict=True):
        assert words in _plain(mail.text) and words in _plain(html.unescape(re.sub("<[^>]+>", "", mail.html)))
    assert _steps(days.db) == [(step, "accepted") for _, step, *_ in walk.said]


def _steps(db: Database) -> list[tuple[str, str]]:
    """The steps that spoke in their order, and what became of what they said."""
    said = tables.messages.c
    told = sa.select(said.step, said.state).group_by(said.step, said.state).order_by(sa.func.min(said.queued_at))
    with db.begin() as conn:
        return [(step, state) for step, state in conn.execute(told)]


def _plain(text: str) -> str:
    """With one plain space where there is any."""
    return " ".join(text.split())
