"""What the message editor's page is made of: a message of a draft, its blocks by language, and its faults in place."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import request

from app import filters, i18n
from app.console import block_fields, editor_words, journey_fields, journey_forms, journey_words
from app.console import customers as customer_pages
from app.console import promotions as promotion_pages
from app.parts import current_parts
from campaigns import drafts, notes, offers, phrases, policy, sms_text
from campaigns.definitions import block_edits, content, edits, entries, steps
from campaigns.drafts import Draft
from campaigns.plans import Plan
from campaigns.rules import Policy
from foundation.errors import Conflict, NotFound
from shop import catalogue, customers, stores

Json = dict[str, Any]
EMAIL = "email"
WORDS: Mapping[str, tuple[str, ...]] = {
    EMAIL: ("subject", "preheader"),
    "push": ("heading", "intro", "button"),
    "sms": ("intro",),
    "onsite": ("heading", "intro"),
    "whatsapp": (),
}
"""The texts of each channel that are typed beside its blocks."""
SHAPES = tuple(WORDS)


@dataclass(frozen=True, slots=True)
class Page:
    """Everything the editor shows of one message. `shape` is the channel it is drawn for; `selected` the number of the
    block whose fields are shown, none for the message itself."""

    plan: Plan
    draft: Draft
    step: Json
    about: str
    locale: str
    shape: str
    beside: bool
    selected: str
    customer: customers.Customer | None
    faults: Mapping[str, list[tuple[str, str]]]

    @property
    def tongues(self) -> tuple[str, ...]:
        """The languages drawn: the one chosen, or all side by side."""
        return content.LOCALES if self.beside else (self.locale,)

    @property
    def channel(self) -> str:
        """How the message is sent."""
        return str(self.step.get("channel", EMAIL))

    def blocks(self, locale: str) -> list[Json]:
        """The blocks of one language."""
        return block_edits.shown(self.step, locale, about=self.about)

    @property
    def block(self) -> Json | None:
        """The block whose fields are shown."""
        return self.blocks(self.locale)[int(self.selected)] if self.selected else None

    @property
    def able(self) -> frozenset[str]:
        """The kinds of blocks that have something to show."""
        return block_edits.able(self.step, self.about)

    @property
    def undoable(self) -> bool:
        """Whether the last edit is one of this message."""
        return self.draft.undoable and self.draft.step == self.step["id"]

    def asked(self, **more: Any) -> dict[str, Any]:
        """What an address of this page says, so that it comes back as it is."""
        own: dict[str, Any] = {"in": self.locale, "block": self.selected or None, "beside": 1 if self.beside else None}
        own |= {"customer": self.customer.id if self.customer else None}
        own |= {"as": self.shape if self.channel == "best" else None}
        return {"name": self.plan.name, "step": self.step["id"], **own, **more}


def page_of(conn: sa.Connection, plan: Plan, draft: Draft, step: str, *, selected: str) -> Page:
    """The page as its address asks for it; raises `NotFound` if no step of that name says anything."""
    asked = request.values
    found = message(draft.definition, step)
    locale = asked.get("in", "")
    locale = locale if locale in content.LOCALES else i18n.locale()
    about = entries.about(draft.definition["entry"])
    customer = asked.get("customer", type=int)
    number = len(block_edits.shown(found, locale, about=about))
    placed = journey_forms.by_step(draft.definition, drafts.faults(conn, plan, draft.definition)).get(step, [])
    return Page(
        plan=plan,
        draft=draft,
        step=found,
        about=about,
        locale=locale,
        shape=_shape(found, asked.get("as", "")),
        beside=bool(asked.get("beside")),
        selected=selected if selected.isdecimal() and int(selected) < number else "",
        customer=customers.get_many(conn, [customer]).get(customer) if customer else None,
        faults=_faults(placed, found, locale),
    )


def message(definition: Mapping[str, Any], step: str) -> Json:
    try:
        found = edits.find(definition, step).step
    except Conflict:
        raise NotFound("no such step") from None
    if found.get("type") != "ask" and (
        found.get("type") != "send" or found.get("channel", EMAIL) not in steps.SPEAKING
    ):
        raise NotFound("this step says nothing")
    return found


def _shape(step: Mapping[str, Any], asked: str) -> str:
    channel = str(step.get("channel", EMAIL))
    if channel != "best":
        return channel if channel in SHAPES else EMAIL
    return asked if asked in SHAPES else EMAIL


def _faults(placed: list[tuple[str, str]], step: Mapping[str, Any], locale: str) -> dict[str, list[tuple[str, str]]]:
    """Faults by the block of this language they are about; under "" those of the message, under "words" those of its
    texts. Before somebody chooses blocks, heading and first words stand in the second."""
    found: dict[str, list[tuple[str, str]]] = {"": [], "words": []}
    chosen = block_edits.chosen(step, locale)
    for place, said in placed:
        here, _, rest = place.removeprefix(f"words.{locale}.").partition(".")
        if not place.startswith("words."):
            found[""].append((place, said))
        elif place.startswith(f"words.{locale}.blocks."):
            number, _, name = rest.partition(".")
            found.setdefault(number, []).append((name.partition(".")[2] if "." in name else name, said))
        elif not chosen and here in ("heading", "intro"):
            found.setdefault("1", []).append(({"intro": "body"}.get(here, here), said))
        found["words"].append((place.removeprefix("words."), said))
    return found


def message_fields(step: Mapping[str, Any]) -> tuple[journey_fields.Field, ...]:
    """The fields of the message itself."""
    if step.get("type") == "ask":
        return journey_fields.BY_TYPE["ask"].fields
    return (*block_fields.MESSAGE, block_fields.EXPIRES)


def context(conn: sa.Connection, page: Page) -> dict[str, Any]:
    """Everything the templates of the editor show."""
    rules = policy.load(conn)
    return {
        "page": page,
        "forms": journey_forms,
        "fields": journey_fields,
        "kinds": block_fields,
        "told": journey_words,
        "said_here": editor_words,
        "mark": block_edits.mark,
        "texts": WORDS,
        "message_fields": message_fields(page.step),
        "phrases": phrases.of,
        "languages": {locale: filters.capital(i18n.gettext(word)) for locale, word in editor_words.LANGUAGE.items()},
        "locales": content.LOCALES,
        "merge_fields": content.usable(page.step["type"], page.about),
        "offers": [(offer.name, promotion_pages.promise(offer.terms)) for offer in offers.every(conn)],
        "segment_names": [],
        "stores": [(store.store_id, store.name or store.store_id) for store in stores.list_all(conn)],
        "examples": _examples(conn),
        "shop": rules.shop_name,
        "sender": rules.sender or current_parts().config.email_from,
        "weights": dict(_weights(page.step, rules)) if page.shape == "sms" else {},
        "person_name": customer_pages.name(page.customer) if page.customer else "",
        "now": datetime.now(UTC),
    }


def _examples(conn: sa.Connection) -> list[catalogue.Product]:
    """Products for sale that stand for what each customer will be shown."""
    found = [one for one in catalogue.search(conn, limit=20) if one.active and one.price]
    return sorted(found, key=lambda one: one.image_url is None)[:6]


def _weights(step: Mapping[str, Any], rules: Policy) -> Iterator[tuple[str, dict[str, Any]]]:
    """What the text message weighs and costs in each language, about."""
    said = {locale: str(words.get("intro", "")) for locale, words in (step.get("words") or {}).items()}
    for locale, weight in notes.expected({one: said[one] for one in said if one in content.LOCALES}, rules).items():
        room = sms_text.ROOM[weight.alphabet]
        cents = round(rules.price("sms", weight.parts))
        most = room[0] if weight.parts == 1 else room[1] * weight.parts
        yield locale, {"weight": weight, "most": most, "cents": cents, "closing": notes.stopping(rules, locale)}
