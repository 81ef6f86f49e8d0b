"""What every page of the demo shop is given: its words, its tracker's key, its departments, its product cards."""

import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from flask import Response, current_app

from app import parts
from app.demo import baskets, phrases, pictures, visits
from foundation import format
from recommender import serving
from shop import catalogue, stores
from shop.catalogue import Product
from shop.stores import Store

KEY_FILE = "demo.json"
REMEMBERED_SECONDS = 300
IN_MENU = ("Fruit and vegetables", "Bakery", "Grocery", "Butcher", "Fishmonger", "Delicatessen", "Cellar", "Flowers")
"""Departments a customer looks for first; the others follow by size."""

_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


@dataclass(frozen=True, slots=True)
class Department:
    """One department and the categories under it, each with how many products are for sale."""

    name: str
    slug: str
    picture: str
    count: int
    categories: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Card:
    """A product as it is shown among others, with the reason it is there and the slate it is on, if that is kept."""

    product: Product
    reason: str = ""
    slate_id: str = ""


@dataclass(frozen=True, slots=True)
class _Plan:
    """The shop's plan, which changes with a feed and not with a visit."""

    departments: tuple[Department, ...]
    stores: tuple[Store, ...]
    read_at: float


def harden(response: Response) -> Response:
    """The shop's own policy: nothing inline, nobody else's hosts."""
    if response.mimetype == "text/html":
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Cache-Control"] = "private, no-cache"
    return response


def context() -> dict[str, Any]:
    """What the templates may use."""
    locale = visits.locale()
    base_url = parts.current_parts().config.base_url
    plan = _plan()
    return {
        "t": partial(phrases.say, locale=locale),
        "locale": locale,
        "locales": phrases.LOCALES,
        "money": lambda minor: format.money(minor, baskets.CURRENCY, locale),
        "number": partial(format.number, locale=locale),
        "percent": lambda hundredths: format.percent(hundredths / 10_000, locale, digits=0),
        "visit": visits.current(),
        "agreed": visits.agreed(),
        "write_key": write_key(),
        "departments": plan.departments,
        "department": partial(phrases.department, locale=locale),
        "picture": baskets.picture,
        "tracked": lambda product, slate_id="": _tracked(product, base_url, slate_id),
        "cart_event": partial(baskets.event, base_url=base_url),
        "store": plan.stores[0] if plan.stores else None,
        "store_count": len(plan.stores),
        "free_from": re.sub(r"[.,]00", "", format.money(baskets.FREE_FROM, baskets.CURRENCY, locale)),
        "bag_count": sum(visits.current().lines.values()),
    }


def _tracked(product: Product, base_url: str, slate_id: str = "") -> dict[str, Any]:
    """A product as the tracker tells it, with the basket it would go into and the slate it was on."""
    said = baskets.properties(product, base_url=base_url)
    known = {"cart_id": visits.current().cart_id, "slate_id": slate_id}
    return said | {name: value for name, value in known.items() if value}


def write_key() -> str:
    """The tracker's key as `storefront.ensure` left it; empty before."""
    path = key_path(parts.current_parts().config.var)
    return str(json.loads(path.read_text())["write_key"]) if path.exists() else ""


def key_path(var: Path) -> Path:
    """Where the shop keeps its key."""
    return var / KEY_FILE


def departments() -> tuple[Department, ...]:
    """Every department with something for sale."""
    return _plan().departments


def store_id() -> str | None:
    """The shop around the corner."""
    plan = _plan()
    return plan.stores[0].store_id if plan.stores else None


def find_store(wanted: str | None) -> Store | None:
    """The store of this id, else the one around the corner."""
    known = {store.store_id: store for store in _plan().stores}
    return known.get(wanted or "") or next(iter(known.values()), None)


def _plan() -> _Plan:
    known = cast("_Plan | None", current_app.extensions.get("demo_plan"))
    if known is None or not known.departments or time.monotonic() - known.read_at > REMEMBERED_SECONDS:
        with parts.current_parts().db.begin() as conn:
            found = _departments(catalogue.categories(conn))
            known = _Plan(found, tuple(stores.list_all(conn)), time.monotonic())
        current_app.extensions["demo_plan"] = known
    return known


def _departments(counts: Mapping[str, int]) -> tuple[Department, ...]:
    grouped: dict[str, dict[str, int]] = {}
    for path, count in counts.items():
        name, _, rest = path.partition(" > ")
        under = grouped.setdefault(name, {})
        category = rest.partition(" > ")[0]
        under[category] = under.get(category, 0) + count
    found = (_department(name, under) for name, under in grouped.items())
    return tuple(sorted(found, key=lambda one: (_rank(one.name), -one.count)))


def _department(name: str, under: Mapping[str, int]) -> Department:
    categories = _by_size(under)
    first = categories[0][0] if categories else None
    picture = pictures.picture(None, name)
    if picture == pictures.DEFAULT:
        picture = pictures.picture(None, first)
    return Department(name, phrases.slug(name), picture, sum(under.values()), categories)


def _by_size(counts: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(((name, n) for name, n in counts.items() if name), key=lambda item: -item[1]))


def _rank(name: str) -> int:
    return IN_MENU.index(name) if name in IN_MENU else len(IN_MENU)


def slate(
    conn: sa.Connection,
    placement: str,
    *,
    now: datetime,
    n: int,
    customer_id: int | None = None,
    products: Sequence[str] = (),
    store: str | None = None,
) -> list[Card]:
    """What the shop shows by itself: for a visitor who was not asked yet, or on a till. Nothing is recorded."""
    request = _request(placement, n=n, customer_id=customer_id, products=tuple(products), store_id=store, record=False)
    found = parts.current_parts().recommender.recommend(conn, request, now=now)
    return cards(conn, ((item.product_id, item.reason) for item in found.items))


def buy_again(conn: sa.Connection, *, now: datetime, n: int) -> list[Card]:
    """What it is time for a customer who is signed in to buy again; the shop asks itself, a browser's key may not."""
    user_id = visits.current().user_id
    if not user_id or not visits.agreed():
        return []
    found = parts.current_parts().recommender.recommend(conn, _request("buy_again", n=n, user_id=user_id), now=now)
    bought = [(item.product_id, item.reason) for item in found.items if item.personal]
    return cards(conn, bought, slate_id=str(found.slate_id))


def _request(placement: str, *, n: int, **asked: Any) -> serving.Request:
    return serving.Request(placement, n=n, locale=visits.locale(), **asked)


def cards(conn: sa.Connection, wanted: Iterable[tuple[str, str]], *, slate_id: str = "") -> list[Card]:
    """Cards for these products and reasons, in their order, without those that are not for sale."""
    reasons = dict(wanted)
    known = catalogue.get_many(conn, reasons)
    return [Card(known[one], reason, slate_id) for one, reason in reasons.items() if one in known and known[one].active]
