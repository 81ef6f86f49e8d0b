"""A message's words: merge fields, cart lines, promo code, product slot, links replaced; HTML and text, then frozen."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any
from uuid import UUID

from campaigns import barcode, foretold, layouts, links, mail_blocks, phrases, promotions, verdicts, wording
from campaigns.channels import mime, pieces
from campaigns.channels.pieces import Body, Fixed
from campaigns.definitions import blocks, steps
from campaigns.definitions import content as spoken
from campaigns.definitions.offers import Offer
from campaigns.definitions.steps import Ask, Send
from campaigns.links import Reach
from campaigns.phrases import Phrases
from campaigns.rules import Policy
from campaigns.verdicts import Basket, Goods, Line
from foundation import format
from recommender.predictions.expected import Expected
from recommender.slate import SlateItem
from shop.baskets import Cart, CartLine
from shop.catalogue import Product
from shop.events import Review
from shop.stores import Store

TITLE_LENGTH = 120

FOOTER = {"shown": True}
CONFIRM = "/confirm"
"""Where the button of a message leads that asks for a yes a second time."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The product a message is about; after a price drop, with what it cost and its lowest price of 30 days."""

    product_id: str
    previous_price: int | None = None
    lowest_price: int | None = None


@dataclass(frozen=True, slots=True)
class Occasion:
    """Everything one mail is made of."""

    message_id: UUID
    campaign: str
    says: Send | Ask
    policy: Policy
    sender: str
    address: str
    first_name: str | None
    last_name: str | None
    expected: Expected | None
    locale: str | None
    zone: tzinfo
    cart: Cart | None
    subject: Subject | None
    reviews: Sequence[Review]
    catalogue: Mapping[str, Product]
    slate_id: UUID | None
    items: Sequence[SlateItem]
    offer: Offer | None
    code: promotions.Code | None
    consented_at: datetime | None
    count_opens: bool
    now: datetime
    count_clicks: bool = True
    wanted: bool = False
    """She asked for it herself: no marketing, so no yes is its reason."""
    stores: Mapping[str, Store] = field(default_factory=dict)
    """Those its words name; under the empty name, her own."""


@dataclass(slots=True)
class Tracked:
    """The links of one mail: each http address gets a number, and the mail only ever shows the number.

    Not `individual`, they lead where they lead: whose clicks are not counted must not be told by her links.
    """

    links: links.Links
    message_id: UUID
    reach: Reach
    individual: bool = True
    addresses: dict[str, int] = field(default_factory=dict)

    def to(self, url: str | None) -> str | None:
        """The address that counts the click and leads there; None for none."""
        if url is None or not self.individual:
            return url
        return self.links.click(self.message_id, self.addresses.setdefault(url, len(self.addresses)))


def render(occasion: Occasion, signed: links.Links) -> dict[str, Any]:
    """The mail as `moves.freeze` keeps it, with the hash of all that is sent.

    Raises `wording.WordingError` naming the field if a merge field has no value: nothing goes out with a hole in it.
    """
    locale, words = spoken.spoken(occasion.says.words or {}, occasion.locale)
    fields = merge_fields(occasion, locale)

    def say(source: str, name: str = "blocks") -> str:
        if not wording.has_fields(source):
            return _fixed(source, locale)
        return format.typeset(filled(name, source, fields).strip(), locale)

    subject, intro = one_line(say(words.subject, "subject")), say(words.intro, "intro")
    tracked = tracking(occasion, signed)
    page = _page(occasion, tracked=tracked, locale=locale)
    body = _laid_out(occasion, words, page | {"subject": subject}, say=say, intro=intro, tracked=tracked)
    headers = mime.headers(
        occasion.message_id,
        sender=occasion.sender,
        campaign=occasion.campaign,
        list_name=occasion.policy.shop_name,
        unsubscribe=signed.unsubscribe(occasion.message_id),
        unsubscribe_by_mail=signed.unsubscribe_by_mail(occasion.message_id),
        at=occasion.now,
    )
    return {
        "address": occasion.address,
        "sender": occasion.sender,
        "subject": subject,
        "body": body,
        "headers": headers,
        "links": list(tracked.addresses),
        "promo_code": occasion.code.code if occasion.code else None,
        "slate_id": occasion.slate_id,
        "rendered_at": occasion.now,
        "payload_hash": pieces.fingerprint(occasion.address, occasion.sender, subject, body=body, headers=headers),
    }


def tracking(occasion: Occasion, signed: links.Links) -> Tracked:
    """The links of this mail, none of them yet."""
    reach = signed.reach(occasion.policy)
    return Tracked(signed, occasion.message_id, reach, individual=occasion.count_clicks)


def _laid_out(
    occasion: Occasion,
    words: spoken.Words,
    page: Mapping[str, Any],
    *,
    say: Callable[..., str],
    intro: str,
    tracked: Tracked,
) -> Body:
    """HTML and text: the blocks the marketer chose, else the usual ones, and always the footer."""
    chosen = words.blocks or blocks.usual(heading=words.heading, body=words.intro)
    signed, code = tracked.links, occasion.code
    sheet = mail_blocks.Sheet(
        page=page,
        say=say,
        lead=lambda url: tracked.to(tracked.reach.leading(url)),
        picture=lambda url: links.absolute(url, signed.base_url),
        draw=lambda drawn: (
            signed.code_image(code.scanned, kind="qr" if drawn == "square" else "code") if code else None
        ),
        stores=occasion.stores,
    )
    shown = mail_blocks.show(chosen, sheet)
    written = next((one["paragraphs"] for one in shown if one and one.get("paragraphs")), None)
    first = one_line(intro.split("\n\n")[0]) or (written[0] if written else page["subject"])
    preheader = one_line(say(words.preheader, "preheader")) or first
    layout = layouts.layout((*(block.type for block in chosen), "footer"))
    return layout.fill({**page, "preheader": preheader}, [*shown, FOOTER])


@lru_cache(maxsize=1_024)
def _fixed(source: str, locale: str) -> Fixed:
    """The merchant's words, of which no reader changes anything."""
    return Fixed(format.typeset(source.strip(), locale))


def one_line(text: str) -> str:
    """Plain spaces and line ends made one; the typographer's spaces stay. What is the same for all stays so."""
    line = re.sub(r"[ \t\r\n]+", " ", text).strip()
    return Fixed(line) if isinstance(text, Fixed) else line


def filled(name: str, source: str, fields: Mapping[str, object]) -> str:
    """A marketer's text with its fields in place; raises `wording.WordingError` naming the text and the field."""
    try:
        return wording.render(source, fields)
    except wording.WordingError as error:
        raise wording.WordingError(f"{name}: {error}") from error


# ------------------------------------------------------------------------------------------- merge fields
def merge_fields(occasion: Occasion, locale: str) -> dict[str, object]:
    """What a marketer's text may name, already written for the reader; what has no value is left out."""
    return {
        "customer": {
            **_given(first_name=occasion.first_name, last_name=occasion.last_name),
            "predictions": foretold.merge_fields(occasion.expected, locale=locale, zone=occasion.zone),
        },
        "cart": _of_cart(occasion, locale) if occasion.cart else {},
        "product": _of_product(occasion, locale),
        "code": _of_code(occasion, locale),
        "shop": {"name": occasion.policy.shop_name},
    }


def _of_cart(occasion: Occasion, locale: str) -> dict[str, object]:
    cart = occasion.cart
    if cart is None:
        return {}
    titles = [_title(occasion, line) for line in cart.lines[:50]]
    return _given(
        value=format.money(cart.value, cart.currency, locale),
        count=sum(line.quantity for line in cart.lines),
        first_title=titles[0] if titles else None,
        lines=[{"title": title} for title in titles],
        left_on=format.date(cart.touched_at, locale, style="weekday", zone=occasion.zone),
    )


def _of_product(occasion: Occasion, locale: str) -> dict[str, object]:
    subject, known = occasion.subject, _subject(occasion)
    if subject is None or known is None:
        return {}
    prices = {"price": known.price, "previous_price": subject.previous_price, "lowest_price": subject.lowest_price}
    written = {name: format.money(price, known.currency, locale) for name, price in prices.items() if price is not None}
    return _given(title=known.title[:TITLE_LENGTH], **written)


def _of_code(occasion: Occasion, locale: str) -> dict[str, object]:
    code, offer, saving = occasion.code, occasion.offer, _saving(occasion)
    if code is None or offer is None:
        return {}
    return _given(
        text=code.shown,
        offer=_worth(occasion, offer, locale, phrases.of(locale)),
        saving=format.money(saving, offer.currency, locale) if saving else None,
        expires=format.date(code.expires_at, locale, style="weekday_long", zone=occasion.zone),
    )


def _subject(occasion: Occasion) -> Product | None:
    """The product it is about, if the catalogue still knows it."""
    return occasion.catalogue.get(occasion.subject.product_id) if occasion.subject else None


def _given(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value not in (None, "")}


def _saving(occasion: Occasion) -> int:
    offer, cart = occasion.offer, occasion.cart
    if offer is None or cart is None or occasion.code is None or (cart.currency or "EUR") != offer.currency:
        return 0
    lines = tuple(Line(line.product_id, line.quantity, _price(occasion, line) or 0) for line in cart.lines)
    known = (occasion.catalogue.get(line.product_id) for line in cart.lines)
    goods = {product.product_id: Goods(product.category) for product in known if product}
    return verdicts.saving(offer, Basket(offer.currency, lines), goods)


def _worth(occasion: Occasion, offer: Offer, locale: str, say: Phrases) -> str:
    """What the code takes off or gives, in a few words."""
    if offer.kind == "percentage":
        return format.percent(offer.value / 10_000, locale, digits=0 if offer.value % 100 == 0 else 1)
    if offer.kind == "amount":
        return format.money(offer.value, offer.currency, locale)
    if offer.kind == "free_shipping":
        return say.free_shipping
    known = occasion.catalogue.get(offer.product or "")
    return (say.gift if offer.kind == "gift" else say.sample).format(
        title=(known.title if known else offer.product or "")[:TITLE_LENGTH]
    )


# ------------------------------------------------------------------------------------------------ layout
def _page(occasion: Occasion, *, tracked: Tracked, locale: str) -> dict[str, Any]:
    """What the layout shows. Its values are escaped by the layout; none of them is HTML."""
    say, signed, policy = phrases.of(locale), tracked.links, occasion.policy
    lines = occasion.cart.lines[:20] if occasion.cart else ()
    subject = about(occasion, tracked=tracked, locale=locale, say=say)
    return {
        "locale": Fixed(locale),
        "say": say,
        "colon": Fixed(format.typeset(" :", locale) if locale == "fr" else ":"),
        "shop": Fixed(policy.shop_name),
        "postal_address": Fixed(policy.postal_address),
        "lines": [_line(occasion, line, tracked=tracked, locale=locale, say=say) for line in lines],
        "totals": _totals(occasion, locale, say),
        "about": subject,
        "reviews": [_review(review, locale) for review in occasion.reviews[:3]],
        "question": _question(occasion, tracked) if isinstance(occasion.says, Ask) else None,
        "button": button(occasion, subject, tracked=tracked, locale=locale, say=say),
        "code": _code(occasion, signed, locale=locale, say=say),
        "products": [_product(item, tracked=tracked, locale=locale) for item in occasion.items],
        "products_title": Fixed(say.products if occasion.cart else say.products_alone),
        "why": _why(occasion, locale, say),
        "view": signed.view(occasion.message_id),
        "trap": signed.honeypot(occasion.message_id),
        "unsubscribe": signed.unsubscribe(occasion.message_id),
        "preferences": signed.preferences(occasion.message_id),
        "privacy": tracked.to(tracked.reach.leading(policy.privacy_url)),
        "pixel": signed.open(occasion.message_id) if occasion.count_opens else None,
    }


def _why(occasion: Occasion, locale: str, say: Phrases) -> str:
    """Why she gets this: what she agreed to and when, and the basket if it is about one."""
    if occasion.wanted:
        confirms = isinstance(occasion.says, Send) and occasion.says.link == CONFIRM
        return format.typeset(say.why_confirm if confirms else say.why_asked, locale)
    facts = {}
    if occasion.cart:
        facts["left"] = format.date(occasion.cart.touched_at, locale, style="long", zone=occasion.zone)
    if occasion.consented_at:
        facts["since"] = format.date(occasion.consented_at, locale, style="long", zone=occasion.zone)
    sentences = {
        (True, True): say.why_since,
        (True, False): say.why,
        (False, True): say.why_alone_since,
        (False, False): say.why_alone,
    }
    return format.typeset(sentences["left" in facts, "since" in facts].format(**facts), locale)


def button(
    occasion: Occasion, subject: Mapping[str, Any] | None, *, tracked: Tracked, locale: str, say: Phrases
) -> dict[str, str] | None:
    """Where the message leads: what the marketer chose, else back to the basket, else to the product."""
    label, signed = spoken.spoken(occasion.says.words or {}, locale)[1].button, tracked.links
    chosen = occasion.says.link if isinstance(occasion.says, Send) else None
    if chosen == CONFIRM:
        return {"url": signed.confirm(occasion.message_id), "label": Fixed(label or say.confirm)}
    if chosen:
        url = tracked.to(tracked.reach.leading(chosen))
        return {"url": url, "label": Fixed(label or say.visit)} if url else None
    if occasion.cart and not isinstance(occasion.says, Ask):
        code = occasion.code.code if occasion.code else None
        url = tracked.to(signed.restore(occasion.cart.id, code=code, message_id=occasion.message_id))
        return {"url": url or "", "label": Fixed(label or say.resume)}
    url = subject["url"] if subject else None
    return {"url": url, "label": Fixed(label or say.see_product)} if url else None


def _question(occasion: Occasion, tracked: Tracked) -> list[dict[str, Any]]:
    """The answers to choose from, each a link to the page where it is given."""
    kind = occasion.says.kind if isinstance(occasion.says, Ask) else "stars"
    return [
        {"score": Fixed(score), "url": tracked.to(tracked.links.survey(occasion.message_id, score=score))}
        for score in range(steps.LOWEST[kind], steps.HIGHEST[kind] + 1)
    ]


def about(occasion: Occasion, *, tracked: Tracked, locale: str, say: Phrases) -> dict[str, Any] | None:
    """The product it is about. Where a reduction is announced the lowest price of 30 days stands beside it."""
    known, subject = _subject(occasion), occasion.subject
    if known is None or subject is None:
        return None
    lowest = format.money(subject.lowest_price, known.currency, locale) if subject.lowest_price is not None else None
    return {
        "title": format.typeset(known.title[:TITLE_LENGTH], locale),
        "price": format.money(known.price, known.currency, locale) if known.price is not None else "",
        "lowest": format.typeset(say.lowest.format(price=lowest), locale) if lowest else None,
        "url": tracked.to(tracked.reach.leading(known.url)),
        "image": links.absolute(known.image_url, tracked.links.base_url),
    }


def _review(review: Review, locale: str) -> dict[str, str]:
    return {"stars": "★" * review.stars + "☆" * (5 - review.stars), "text": format.typeset(review.text, locale)}


def _line(occasion: Occasion, line: CartLine, *, tracked: Tracked, locale: str, say: Phrases) -> dict[str, Any]:
    """The catalogue's word is taken before the event's: anyone who holds the public key can send an event."""
    known = occasion.catalogue.get(line.product_id)
    price = _price(occasion, line)
    if known is not None:
        url = tracked.reach.leading(known.url)
        image = links.absolute(known.image_url, tracked.links.base_url)
    else:
        url, image = tracked.reach.trusted(line.url), tracked.reach.trusted(line.image_url)
    return {
        "title": format.typeset(_title(occasion, line), locale),
        "detail": say.quantity.format(n=format.number(line.quantity, locale)),
        "price": "" if price is None else format.money(price * line.quantity, _currency(occasion), locale),
        "url": tracked.to(url),
        "image": image,
    }


def _price(occasion: Occasion, line: CartLine) -> int | None:
    known = occasion.catalogue.get(line.product_id)
    return line.price if line.price is not None else known.price if known else None


def _currency(occasion: Occasion) -> str | None:
    return occasion.cart.currency if occasion.cart else None


def _title(occasion: Occasion, line: CartLine) -> str:
    known = occasion.catalogue.get(line.product_id)
    return (known.title if known else line.title or line.product_id)[:TITLE_LENGTH]


def _totals(occasion: Occasion, locale: str, say: Phrases) -> list[dict[str, str]]:
    cart, saving = occasion.cart, _saving(occasion)
    if cart is None:
        return []
    shipped = occasion.code is not None and occasion.offer is not None and occasion.offer.kind == "free_shipping"
    quiet = "font-size:14px;line-height:22px;color:#5d564b;font-weight:400"
    green = "font-size:14px;line-height:22px;color:#1f6b47;font-weight:400"
    strong = "font-size:17px;line-height:22px;color:#221f1a;font-weight:600"
    rows = [(say.to_pay_shipped if shipped else say.to_pay, cart.value - saving, "", strong)]
    if saving:
        rows = [(say.total, cart.value, "mq", quiet), (say.your_code, -saving, "mg", green), *rows]
    return [
        {
            "label": Fixed(label),
            "amount": format.money(amount, cart.currency, locale),
            "tone": Fixed(tone),
            "style": Fixed(style),
        }
        for label, amount, tone, style in rows
    ]


def _code(occasion: Occasion, signed: links.Links, *, locale: str, say: Phrases) -> dict[str, Any] | None:
    code, offer = occasion.code, occasion.offer
    if code is None or offer is None:
        return None
    worth = _worth(occasion, offer, locale, say)
    terms = say.terms_minimum if offer.minimum else say.terms
    written = terms.format(
        worth=f"{format.MINUS}{worth}" if offer.kind in ("percentage", "amount") else worth,
        minimum=format.money(offer.minimum, offer.currency, locale),
        until=format.date(code.expires_at, locale, style="long", zone=occasion.zone),
    )
    return {
        "text": code.shown,
        "image": signed.code_image(code.scanned),
        "width": str(barcode.width(code.scanned) * 3 // 2),
        "terms": format.typeset(" ".join((written, *_limits(offer, say))), locale),
    }


def _limits(offer: Offer, say: Phrases) -> Iterator[str]:
    """Where and on what alone the code holds."""
    if offer.categories:
        yield say.only_on.format(names=", ".join(path.rpartition(" > ")[2] for path in offer.categories))
    if offer.channels == ("store",) or offer.stores and not offer.channels:
        yield say.only_in_stores
    elif offer.channels and "store" not in offer.channels:
        yield say.only_online


def _product(item: SlateItem, *, tracked: Tracked, locale: str) -> dict[str, Any]:
    return {
        "title": format.typeset(item.title[:TITLE_LENGTH], locale),
        "reason": format.typeset(item.reason, locale),
        "price": "" if item.price is None else format.money(item.price, item.currency, locale),
        "url": tracked.to(tracked.reach.leading(item.url)),
        "image": links.absolute(item.image_url, tracked.links.base_url),
    }
