"""What the demo shop's own pages show: one of each form, kept once and the marketer's from then on."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from campaigns import onsite

BLOCKS: dict[str, dict[str, Any]] = {
    "click-and-collect": {
        "title": "Collect in two hours, on the basket",
        "form": "banner",
        "position": "bottom",
        "words": {
            "en": {"heading": "Collect in 2 hours", "text": "Order before 6 pm, your basket waits at the shop."},
            "fr": {
                "heading": "Retrait en 2 heures",
                "text": "Commandez avant 18 h, votre panier vous attend en magasin.",
            },
        },
        "pages": ["/demo/basket"],
        "moment": {"after_seconds": 2},
    },
    "tell-me": {
        "title": "Leave to notify, at the third page",
        "form": "popin",
        "words": {
            "en": {
                "heading": "Shall we tell you?",
                "text": "When what you like comes back or costs less: a short word on this device, rarely more than "
                "once a week. You can stop it at any time.",
                "button": "Yes, tell me",
            },
            "fr": {
                "heading": "On vous prévient ?",
                "text": "Quand ce que vous aimez revient ou baisse de prix : un mot bref sur cet appareil, rarement "
                "plus d'une fois par semaine. Vous pouvez arrêter quand vous voulez.",
                "button": "Oui, prévenez-moi",
            },
        },
        "action": "notify",
        "pages": ["/demo/product/*", "/demo/department/*"],
        "moment": {"page_views": 3, "after_seconds": 4},
        "cap": {"times": 2, "days": 30, "closed_days": 90},
    },
    "market-picks": {
        "title": "Picked this morning, under each product",
        "form": "slot",
        "slot": "product",
        "words": {
            "en": {"heading": "Picked this morning", "text": "What our buyers would put in your basket today."},
            "fr": {"heading": "Choisis ce matin", "text": "Ce que nos acheteurs mettraient dans votre panier."},
        },
        "products": 4,
        "placement": "home",
        "pages": ["/demo/product/*"],
        "cap": {"times": 100, "days": 1},
    },
}


def ensure(conn: sa.Connection, *, now: datetime) -> None:
    """Makes those there are not yet, and shows them."""
    there = {kept.name for kept in onsite.every(conn)}
    for name, definition in BLOCKS.items():
        if name not in there:
            onsite.put(conn, name, definition, now=now)
            onsite.move(conn, name, "live", now=now)
