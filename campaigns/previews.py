"""What a given customer would get, rendered without keeping, counting or sending anything."""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from campaigns import acting, content, eligibility, notes, offers, policy, promotions, sending
from campaigns.content import Subject
from campaigns.definitions import campaign, entries, flow
from campaigns.definitions import content as spoken
from campaigns.definitions.offers import Offer
from campaigns.definitions.steps import Ask, Send
from campaigns.links import Links
from campaigns.plans import Plan
from foundation.errors import Conflict
from recommender import serving
from recommender.predictions import expected
from shop import baskets, carts, catalogue, customers, events, stores
from shop.baskets import Cart, CartLine

NOBODY = UUID(int=0)
"""The message a preview's links belong to: none, so they count nothing."""


@dataclass(frozen=True, slots=True)
class Preview:
    """One mail as it would be."""

    subject: str
    html: str
    text: str
    headers: Mapping[str, str]


def render(
    conn: sa.Connection,
    plan: Plan,
    customer_id: int | None,
    *,
    step: str | None = None,
    recommender: sending.Recommends,
    links: Links,
    sender: str,
    locale: str | None = None,
    now: datetime,
) -> Preview:
    """One message of a campaign, the first unless a step is named, for this customer with her last cart, else for a
    stranger with one made of what is for sale.

    The code shown is a dummy that no till accepts. Raises `wording.WordingError` if a merge field has no value.
    """
    told = _told(conn, plan, customer_id, step=step, recommender=recommender, sender=sender, locale=locale, now=now)
    row = content.render(told, links)
    return Preview(row["subject"], row["body"].html, row["body"].text, row["headers"])


def note(
    conn: sa.Connection,
    plan: Plan,
    customer_id: int | None,
    *,
    channel: str,
    step: str | None = None,
    recommender: sending.Recommends,
    links: Links,
    locale: str | None = None,
    now: datetime,
) -> dict[str, Any]:
    """The same of a notification, a text message or a note on the shop's pages: its row as `notes.render` makes it."""
    told = _told(conn, plan, customer_id, step=step, recommender=recommender, sender="", locale=locale, now=now)
    return notes.render(told, links, channel=channel)


@dataclass(frozen=True, slots=True)
class Shown:
    """One message by whatever channel it would go; `html` is None but of a mail."""

    step: str
    channel: str
    subject: str
    text: str
    html: str | None
    details: Mapping[str, Any]


def shown(
    conn: sa.Connection,
    plan: Plan,
    customer_id: int | None,
    *,
    step: str | None = None,
    recommender: sending.Recommends,
    links: Links,
    sender: str,
    locale: str | None = None,
    now: datetime,
) -> Shown:
    """The same, by the channel it would go to her by. Raises `Conflict` if no such step says anything."""
    says = _step(plan, step)
    channel = _channel(conn, plan, says, customer_id, now=now)
    by = sender if channel == "email" else ""
    told = _told(conn, plan, customer_id, step=says.id, recommender=recommender, sender=by, locale=locale, now=now)
    row = content.render(told, links) if channel == "email" else notes.render(told, links, channel=channel)
    html = row["body"].html if channel == "email" else None
    return Shown(says.id, channel, row["subject"], row["body"].text, html, row["headers"])


def _channel(conn: sa.Connection, plan: Plan, says: Send | Ask, customer_id: int | None, *, now: datetime) -> str:
    if says.channel != "best":
        return says.channel
    known = [customer_id] if customer_id else []
    best = acting.best_channels(conn, known, purpose=acting.purpose_of(plan.definition), now=now)
    return next(iter(best.values()), "email")


def alone(plan: Plan, definition: Mapping[str, Any], step: Mapping[str, Any], *, locale: str | None = None) -> Plan:
    """The plan with one message of its draft and nothing else, so that faults elsewhere do not hide it; in one language
    if `locale` names it. A subject not yet written is dots. Raises `Invalid` with the message's own faults."""
    said = deepcopy(dict(step))
    versions = said.get("words") or {}
    if locale in versions:
        said["words"] = {locale: versions[locale]}
    for words in (said.get("words") or {}).values():
        if not str(words.get("subject", "")).strip():
            words["subject"] = "…"
    entry = {name: value for name, value in definition["entry"].items() if name != "reset"}
    return replace(plan, definition=campaign.parse({"title": plan.name, "entry": entry, "steps": [said]}))


def _told(
    conn: sa.Connection,
    plan: Plan,
    customer_id: int | None,
    *,
    step: str | None,
    recommender: sending.Recommends,
    sender: str,
    locale: str | None,
    now: datetime,
) -> content.Occasion:
    says = _step(plan, step)
    person = customers.get_many(conn, [customer_id]).get(customer_id) if customer_id else None
    speaks = locale or (person.locale if person else None)
    shown = _shown(conn, plan, says, customer_id, now=now)
    slate = _slate(conn, says, shown.products, recommender, customer_id=customer_id, locale=speaks, now=now)
    occasion = _occasion(conn, plan, says, person=person, shown=shown, slate=slate, now=now)
    return replace(occasion, sender=occasion.sender or sender, locale=speaks)


def _occasion(
    conn: sa.Connection,
    plan: Plan,
    says: Send | Ask,
    *,
    person: customers.Customer | None,
    shown: "_Shown",
    slate: serving.Slate | None,
    now: datetime,
) -> content.Occasion:
    rules = policy.load(conn)
    return content.Occasion(
        message_id=NOBODY,
        campaign=plan.name,
        says=says,
        policy=rules,
        sender=rules.sender,
        address=(person.email if person else None) or "customer@shop.example",
        first_name=person.first_name if person else None,
        last_name=person.last_name if person else None,
        expected=expected.of_customers(conn, [person.id]).get(person.id) if person else None,
        locale=None,
        zone=eligibility.zone(person.timezone if person else None, rules.timezone),
        cart=shown.cart,
        subject=shown.subject,
        reviews=shown.reviews,
        catalogue=catalogue.get_many(conn, shown.products),
        slate_id=None,
        items=slate.items if slate else (),
        offer=shown.offer,
        code=promotions.dummy(shown.offer, now=now) if shown.offer else None,
        consented_at=None,
        count_opens=False,
        wanted=plan.definition.purpose == eligibility.TRANSACTIONAL,
        stores=_stores(conn, spoken.stores(says.words or {}), person),
        now=now,
    )


def _stores(conn: sa.Connection, named: Collection[str], person: customers.Customer | None) -> dict[str, stores.Store]:
    """Those that are named; for nobody in particular, any shop stands for her own."""
    found = stores.get_many(conn, named)
    if "" in named:
        own = stores.hers(conn, [person.id]) if person else {}
        hers = next(iter(own.values()), None) or next(iter(stores.list_all(conn)), None)
        found |= {"": hers} if hers else {}
    return found


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the message would be about, and carry."""

    cart: Cart | None
    subject: Subject | None
    products: list[str]
    offer: Offer | None
    reviews: list[events.Review]


def _shown(conn: sa.Connection, plan: Plan, says: Send | Ask, customer_id: int | None, *, now: datetime) -> _Shown:
    about = entries.keyed(plan.definition.entry)
    cart = _cart(conn, customer_id, now) if about == "cart" else None
    subject = _subject(conn, plan) if about == "product" else None
    products = [line.product_id for line in cart.lines] if cart else [subject.product_id] if subject else []
    kept = offers.find(conn, says.offer) if isinstance(says, Send) and says.offer else None
    offer = kept.terms if kept else None
    products += [offer.product] if offer and offer.product else []
    opinions = events.reviews(conn, products) if isinstance(says, Send) and says.reviews else {}
    return _Shown(cart, subject, products, offer, [one for said in opinions.values() for one in said])


def _step(plan: Plan, name: str | None) -> Send | Ask:
    steps = [step for _, step in flow.walk(plan.definition.steps) if isinstance(step, Send | Ask)]
    # A template has its words at the gateway: it is shown when it is asked for.
    saying = [step for step in steps if step.words or name and isinstance(step, Send) and step.template]
    found = next((step for step in saying if name in (None, step.id)), None)
    if found is None:
        raise Conflict("no_message", "no such step of this campaign says anything")
    return found


def _subject(conn: sa.Connection, plan: Plan) -> Subject:
    """A product for sale; after a price drop, as if it had just cost a quarter more."""
    examples = [product for product in catalogue.search(conn, limit=20) if product.active and product.price]
    if not examples:
        raise Conflict("no_products", "there is no product for sale to make an example of")
    dearer = (examples[0].price or 0) * 5 // 4
    dropped = isinstance(plan.definition.entry, entries.PriceDropped)
    return Subject(examples[0].product_id, *((dearer, dearer) if dropped else ()))


def _slate(
    conn: sa.Connection,
    says: Send | Ask,
    products: Sequence[str],
    recommender: sending.Recommends,
    *,
    customer_id: int | None,
    locale: str | None,
    now: datetime,
) -> serving.Slate | None:
    if not isinstance(says, Send) or not says.products:
        return None
    request = serving.Request(
        customer_id=customer_id,
        placement=says.placement,
        products=tuple(products),
        exclude=tuple(products),
        n=says.products,
        locale=spoken.spoken(says.words or {}, locale)[0],
        record=False,
    )
    return next(iter(recommender.recommend_many(conn, [request], now=now)), None)


def _cart(conn: sa.Connection, customer_id: int | None, now: datetime) -> Cart:
    """Her last cart that holds something, else an example."""
    mine = carts.of_customer(conn, customer_id) if customer_id else []
    held = next((cart for cart in mine if cart.lines), None)
    if held is not None:
        return held
    examples = [product for product in catalogue.search(conn, limit=20) if product.active and product.price][:2]
    if not examples:
        raise Conflict("no_products", "there is no product for sale to make an example of")
    lines = tuple(CartLine(product.product_id, 1, product.price) for product in examples)
    values: dict[str, Any] = dict.fromkeys(Cart.__slots__) | {
        "id": 0,
        "cart_id": "example",
        "customer_id": 0,
        "origin_id": 0,
        "state": baskets.State.OPEN,
        "lines": lines,
        "value": sum(line.price or 0 for line in lines),
        "currency": examples[0].currency,
        "channel": "web",
        "created_at": now - timedelta(hours=1),
        "touched_at": now - timedelta(hours=1),
    }
    return Cart(**values)
