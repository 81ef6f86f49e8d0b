"""The customers of the demo's last weeks: what each does between two moments, told by the doors everybody uses."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from app.demo import baskets, habits, sales
from app.demo.habits import Cart, Doing
from app.demo.kept_back import CURRENCY, Bought
from campaigns import code_book, feedback, tables, visits
from campaigns.feedback import Kind, Report
from foundation.database import Database
from foundation.errors import Conflict
from shop import catalogue, customers, ingest, sources, vocabulary
from shop.catalogue import Product
from shop.tables import customers as customer_rows
from shop.vocabulary import Event, Name

CODES = ("code", "come-back")
"""Steps whose messages bring a code."""
ANSWERED = timedelta(minutes=2)
"""What was sent at a moment of the played past is accepted within so long; the next moment is hours later."""
REMINDED = timedelta(minutes=20)
"""From following a link to having paid."""
GIVEN_UP = timedelta(days=8)


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that left, the household it went to, and where its links lead."""

    id: UUID
    household: str
    step: str
    channel: str
    at: datetime
    links: Sequence[str]


@dataclass(slots=True)
class People:
    """All of them, and what they are still to do with messages, each at its moment."""

    kept: Sequence[Bought]
    carts: Mapping[str, Cart]
    looks: Sequence[tuple[datetime, Bought, str]]
    products: Mapping[str, Product]
    base_url: str
    coming: list[tuple[datetime, Letter, Doing]] = field(default_factory=list)
    clicked: dict[str, list[datetime]] = field(default_factory=dict)
    holders: set[str] = field(default_factory=set)
    received: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def of(
        cls, conn: sa.Connection, kept: Sequence[Bought], base_url: str, *, since: datetime, until: datetime
    ) -> "People":
        """Those who paid these baskets."""
        left = {cart.bought.order_id: cart for cart in habits.carts(kept, since=since, until=until)}
        looks = sorted(habits.looked_at(kept, since=since), key=lambda one: (one[0], one[1].order_id))
        products = catalogue.get_many(conn, {line.product_id for one in kept for line in one.lines})
        return cls(kept, left, looks, products, base_url)

    # ------------------------------------------------------------------------------------------- messages
    def receive(self, conn: sa.Connection, at: datetime) -> None:
        """Draws what each will do with the messages that left at this moment."""
        for letter in _letters(conn, at):
            key = (letter.household, letter.step)
            drawn = habits.reaction(*key, letter.channel, self.received[key])
            self.received[key] += 1
            if letter.step in CODES:
                self.holders.add(letter.household)
            if drawn.doing is not Doing.NOTHING:
                self.coming.append((at + drawn.after, letter, drawn.doing))

    def _react(self, conn: sa.Connection, at: datetime) -> None:
        now = sorted((one for one in self.coming if one[0] <= at), key=lambda one: (one[0], one[1].household))
        self.coming = [one for one in self.coming if one[0] > at]
        reports = []
        for when, letter, doing in now:
            match doing:
                case Doing.CLICK:
                    visits.followed(conn, letter.id, self._link(letter), machine=False, now=when)
                    self.clicked.setdefault(letter.household, []).append(when)
                case Doing.SCAN:
                    for n in range(min(len(letter.links), 4)):
                        visits.followed(conn, letter.id, n, machine=False, now=when)
                case Doing.LEAVE:
                    feedback.unsubscribed(conn, letter.id, now=when)
                case Doing.BOUNCE:
                    reports.append(_bounce(letter, when))
        if reports:
            feedback.reported(conn, "outbox", reports, now=at)

    def _link(self, letter: Letter) -> int:
        """The link she follows: to something she is about to buy if it is shown, else any."""
        soon = [one for one in self.kept if one.user_id == letter.household and one.at > letter.at]
        wanted = {line.product_id for one in soon for line in one.lines}
        shown = [n for n, link in enumerate(letter.links) if link.rpartition("/")[2] in wanted]
        drawn = habits.chance(letter.household, f"{letter.step}:link")
        return shown[int(drawn * len(shown))] if shown else int(drawn * len(letter.links))

    # --------------------------------------------------------------------------------------- between moments
    def live(self, db: Database, before: datetime, at: datetime) -> None:
        """What they do after `before` and until `at`: read, look around, leave baskets, order, review, return."""
        with db.begin() as conn:
            self._react(conn, at)
            paid = list(self._paid(before, at))
            by_code = [one for one in paid if self._tries_code(one[1])]
            ordered = [
                (bought.store_id, self._ordered(when, bought)) for when, bought in paid if (when, bought) not in by_code
            ]
            online = [*self._looked(before, at), *self._left(before, at), *self._after(before, at)]
            _tell(conn, [*online, *(said for store, said in ordered if store is None)], at_till=False, now=at)
            _tell(conn, [said for store, said in ordered if store is not None], at_till=True, now=at)
        for when, bought in by_code:
            self._pay_by_code(db, bought, now=when)

    def _looked(self, before: datetime, at: datetime) -> Iterator[dict[str, Any]]:
        for when, bought, channel in self.looks:
            if before < when <= at:
                for number, product in enumerate(self._shown(bought, most=2)):
                    said = baskets.properties(product, base_url=self.base_url) | {"channel": channel}
                    key = f"look-{bought.order_id}-{number}"
                    yield _track(Name.PRODUCT_VIEWED, bought, key=key, when=when, properties=said)

    def _left(self, before: datetime, at: datetime) -> Iterator[dict[str, Any]]:
        for cart in self.carts.values():
            if before < cart.left_at <= at:
                for number, product in enumerate(self._shown(cart.bought, most=habits.MOST_LEFT)):
                    seen_at = cart.left_at - timedelta(seconds=100 - 20 * number)
                    said, key = baskets.properties(product, base_url=self.base_url), f"{cart.cart_id}-{number}"
                    mine = cart.bought
                    yield _track(Name.PRODUCT_VIEWED, mine, key=f"{key}-seen", when=seen_at, properties=said)
                    added, added_at = said | {"cart_id": cart.cart_id}, seen_at + timedelta(seconds=15)
                    yield _track(Name.PRODUCT_ADDED, mine, key=key, when=added_at, properties=added)

    def _shown(self, bought: Bought, *, most: int) -> list[Product]:
        found = [self.products.get(line.product_id) for line in bought.lines]
        return [product for product in found if product is not None and product.active][:most]

    def _paid(self, before: datetime, at: datetime) -> Iterator[tuple[datetime, Bought]]:
        """Baskets paid in between. Who forgot hers pays it once a message brought her back."""
        for bought in self.kept:
            cart = self.carts.get(bought.order_id)
            if cart is None or not cart.forgotten:
                when: datetime | None = bought.at
            else:
                back = [
                    one for one in self.clicked.get(bought.user_id, ()) if cart.left_at < one < cart.left_at + GIVEN_UP
                ]
                when = max(bought.at, min(back) + REMINDED) if back else None
            if when is not None and before < when <= at:
                yield when, bought

    def _ordered(self, when: datetime, bought: Bought) -> dict[str, Any]:
        total = round(sum(line.price * line.quantity for line in bought.lines), 2)
        lines = [
            {"product_id": line.product_id, "quantity": line.quantity, "price": line.price, "name": known.title}
            if (known := self.products.get(line.product_id))
            else {"product_id": line.product_id, "quantity": line.quantity, "price": line.price}
            for line in bought.lines
        ]
        said = {"order_id": bought.order_id, "total": total, "currency": CURRENCY, "products": lines}
        said |= {"channel": bought.channel} | ({"store_id": bought.store_id} if bought.store_id else {})
        return _track(Name.ORDER_COMPLETED, bought, key=f"order-{bought.order_id}", when=when, properties=said)

    def _after(self, before: datetime, at: datetime) -> Iterator[dict[str, Any]]:
        """What follows a basket some days later: a review, a link passed on, something brought back."""
        for bought in self.kept:
            for what, name, days in habits.AFTERWARDS:
                when = bought.at + timedelta(days=days)
                if before < when <= at and habits.follows(bought, what):
                    line = bought.lines[0]
                    said: dict[str, Any] = {"product_id": line.product_id, "channel": "web"}
                    if name == Name.ORDER_REFUNDED:
                        said = {"order_id": bought.order_id, "refund": line.price * line.quantity, "currency": CURRENCY}
                    if name == Name.PRODUCT_REVIEWED:
                        said |= {"rating": 3 + int(3 * habits.chance(bought.order_id, "stars"))}
                    yield _track(name, bought, key=f"{what}-{bought.order_id}", when=when, properties=said)

    # ---------------------------------------------------------------------------------------------- codes
    def _tries_code(self, bought: Bought) -> bool:
        often = habits.USES_CODE if bought.order_id in self.carts else habits.TRIES_AGAIN
        return bought.user_id in self.holders and habits.chance(bought.order_id, "code") < often

    def _pay_by_code(self, db: Database, bought: Bought, *, now: datetime) -> None:
        """At the site's checkout or a shop's till, with her last code; without it if it is refused."""
        with db.begin() as conn:
            paid = self._with_code(conn, bought, now=now)
        try:
            with db.begin() as conn:
                sales.order(
                    conn,
                    paid,
                    order_id=bought.order_id,
                    user_id=bought.user_id,
                    store_id=bought.store_id,
                    base_url=self.base_url,
                    now=now,
                )
        except Conflict as refusal:
            with db.begin() as conn:
                sales.code_refused(
                    conn,
                    paid,
                    refusal,
                    order_id=bought.order_id,
                    user_id=bought.user_id,
                    store_id=bought.store_id,
                    now=now,
                )
                _tell(conn, [self._ordered(now, bought)], at_till=bought.store_id is not None, now=now)

    def _with_code(self, conn: sa.Connection, bought: Bought, *, now: datetime) -> baskets.Basket:
        who = customers.find(conn, user_id=bought.user_id)
        held = code_book.of_customer(conn, who) if who else []
        return baskets.load(
            conn,
            {line.product_id: line.quantity for line in bought.lines},
            now=now,
            code=next((row["code"] for row in held), None),
            customer=bought.user_id,
            store_id=bought.store_id,
            delivered=bought.store_id is None,
        )


def _letters(conn: sa.Connection, at: datetime) -> list[Letter]:
    found, contents = tables.messages.c, tables.message_contents.c
    query = (
        sa.select(
            found.id,
            customer_rows.c.user_id.label("household"),
            found.step,
            found.channel,
            found.accepted_at.label("at"),
            contents.links,
        )
        .select_from(tables.messages)
        .join(tables.message_contents, contents.message_id == found.id)
        .join(customer_rows, customer_rows.c.id == found.customer_id)
        .where(found.accepted_at.between(at, at + ANSWERED))
        .order_by(customer_rows.c.user_id, found.step)
    )
    return [Letter(**row) for row in conn.execute(query).mappings()]


def _bounce(letter: Letter, when: datetime) -> Report:
    unknown = habits.chance(letter.household, "unknown") < 0.5
    return Report(f"demo-{letter.id}", Kind.BOUNCED, when, letter.id, bad_address=unknown, detail="demo: 550")


def _track(name: str, bought: Bought, *, key: str, when: datetime, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "track",
        "event": str(name),
        "messageId": f"demo-{key}",
        "userId": bought.user_id,
        "timestamp": when.isoformat(),
        "properties": dict(properties),
    }


def _tell(conn: sa.Connection, said: Iterable[Mapping[str, Any]], *, at_till: bool, now: datetime) -> None:
    """By the door of the tracking API, in the order it happened: the site's word, or the tills'."""
    name, channel = (sales.TILL, "store") if at_till else (sales.SHOP, "web")
    sender = sources.source(conn, name, channel=channel, now=now, trusted=True)
    heard = [vocabulary.parse(one, source=sender, received_at=now) for one in said]
    events = sorted((one for one in heard if isinstance(one, Event)), key=lambda one: (one.occurred_at, one.message_id))
    ingest.ingest(conn, events, refused=[one for one in heard if not isinstance(one, Event)], now=now)
