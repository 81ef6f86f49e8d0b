"""Occasions for tests of how e-mails look: a basket with a code, every block, both languages."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from campaigns import content, promotions, rules
from campaigns.definitions import shapes
from campaigns.definitions.offers import Offer
from campaigns.definitions.steps import Send
from recommender.slate import SlateItem
from shop import baskets
from shop.baskets import Cart, CartLine
from shop.catalogue import Product
from shop.events import Review
from shop.stores import Store
from tests.campaigns import world

NOW = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
MESSAGE = UUID(int=7)
SUBJECT = "{{ customer.first_name }}, votre panier vous attend, avec {{ code.offer }} de moins"
INTRO = (
    "Vous aviez choisi « {{ cart.first_title }} » {{ cart.left_on }}. Nous l'avons mise de côté, et le code plus bas "
    "vous fait gagner {{ code.saving }} jusqu'au {{ code.expires }}."
)
BLOCKS: list[dict[str, Any]] = [
    {"type": "header"},
    {"type": "image", "url": "/img/cocotte.png", "alt": "Une cocotte rouge sur une table", "link": "/p/cocotte"},
    {"type": "text", "heading": SUBJECT, "body": INTRO + "\n\nÀ très vite !"},
    {"type": "basket"},
    {"type": "button", "label": "Reprendre mon panier"},
    {"type": "code", "drawn": "square"},
    {"type": "products", "title": "Pour aller avec votre cocotte"},
    {"type": "reviews"},
    {"type": "store", "store": "nantes"},
]


def product(product_id: str, title: str, price: int, base_url: str) -> Product:
    values: dict[str, Any] = dict.fromkeys(Product.__slots__) | {
        "product_id": product_id,
        "title": title,
        "price": price,
        "currency": "EUR",
        "url": f"{base_url}/p/{product_id}",
        "image_url": f"{base_url}/img/{product_id}.png",
        "active": True,
    }
    return Product(**values)


def occasion(base_url: str = "https://aubier.example", *, blocks: bool = False, **changes: Any) -> content.Occasion:
    """Camille left a basket of three things; there is a code, and four products go with it."""
    titles = {"cocotte": ("Cocotte en fonte 24 cm", 18900), "torchon": ("Torchon en lin lavé, lot de 2", 3200)}
    titles |= {"sel": ("Fleur de sel de Guérande 125 g", 950), "moulin": ("Moulin à poivre en hêtre", 3800)}
    titles |= {"huile": ("Huile d'olive Aglandau", 2490), "theiere": ("Théière en grès 0,9 L", 6400)}
    titles |= {"bol": ("Bol en grès bleu", 1400)}
    catalogue = {key: product(key, title, price, base_url) for key, (title, price) in titles.items()}
    words = {"subject": SUBJECT, "heading": SUBJECT, "intro": INTRO, "button": "Reprendre mon panier"}
    step: dict[str, Any] = {"type": "send", "id": "s", "words": {"fr": words}, "products": 4, "offer": "TEN"}
    if blocks:
        step["words"] = {"fr": {"subject": SUBJECT, "blocks": BLOCKS}}
    values: dict[str, Any] = {
        "message_id": MESSAGE,
        "campaign": "cart-relaunch",
        "says": shapes.read(Send, step),
        "policy": rules.Policy(),
        "sender": world.SENDER,
        "address": "camille@example.org",
        "first_name": "Camille",
        "last_name": "Morel",
        "expected": None,
        "locale": "fr",
        "zone": ZoneInfo("Europe/Paris"),
        "cart": cart(),
        "subject": None,
        "reviews": [
            Review("cocotte", 5, "Elle ne quitte plus ma cuisinière."),
            Review("cocotte", 4, "Lourde, et belle."),
        ],
        "catalogue": catalogue,
        "slate_id": None,
        "items": [item(catalogue[key], why) for key, why in SLATE],
        "offer": offer(),
        "code": promotions.Code("AUBIER7K2MQX", "AUBIER-7K2M-QX", "AUBIER7K2MQX", NOW + timedelta(days=3)),
        "consented_at": datetime(2021, 3, 12, tzinfo=UTC),
        "count_opens": True,
        "now": NOW,
        "stores": {"nantes": STORE},
    }
    return content.Occasion(**values | changes)


SLATE = (
    ("moulin", "va avec la fleur de sel"),
    ("huile", "votre bouteille se termine ?"),
    ("theiere", "aimée à Nantes"),
    ("bol", "va avec la théière"),
)
STORE = Store(
    "nantes",
    "Nantes Crébillon",
    47.2136,
    -1.5621,
    "Europe/Paris",
    "14 rue Crébillon, 44000 Nantes",
    "Du mardi au samedi, 10 h – 19 h 30",
)


def item(known: Product, reason: str) -> SlateItem:
    return SlateItem(
        product_id=known.product_id,
        title=known.title,
        url=known.url,
        image_url=known.image_url,
        price=known.price,
        currency=known.currency,
        reason=reason,
        source="test",
        score=1.0,
        personal=False,
    )


def cart() -> Cart:
    lines = (CartLine("cocotte", 1, 18900), CartLine("torchon", 1, 3200), CartLine("sel", 2, 950))
    values: dict[str, Any] = dict.fromkeys(Cart.__slots__) | {
        "id": 1,
        "cart_id": "c",
        "customer_id": 1,
        "origin_id": 1,
        "state": baskets.State.OPEN,
        "lines": lines,
        "value": 24000,
        "currency": "EUR",
        "channel": "web",
        "created_at": NOW - timedelta(days=2),
        "touched_at": NOW - timedelta(days=2),
    }
    return Cart(**values)


def offer() -> Offer:
    return shapes.read(Offer, {"name": "TEN", "kind": "percentage", "value": 1000, "minimum": 5000, "prefix": "AUBIER"})
