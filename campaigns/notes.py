"""The words of every channel but e-mail: notifications, text messages, WhatsApp templates, notes on the shop's pages.

Rendered and frozen as mails are, in the same row: what is not a mail's stands in `headers`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from campaigns import content, links, phrases, sms_text, wording
from campaigns.channels import pieces
from campaigns.channels.base import Note
from campaigns.content import Occasion, Tracked
from campaigns.definitions import content as spoken
from campaigns.definitions.steps import Ask, Send
from campaigns.rules import Policy
from foundation import format

TEXTS = ("sms", "whatsapp")
_SILENT: Mapping[spoken.Locale, spoken.Words] = {"en": spoken.Words(intro=""), "fr": spoken.Words(intro="")}
"""A template has its words at the gateway."""
MOST_PARTS = 6
"""Parts of a text message nobody would read to the end; more is a mistake in the words."""


def render(occasion: Occasion, signed: links.Links, *, channel: str) -> dict[str, Any]:
    """The note as `moves.freeze` keeps it, with the hash of all that is sent.

    Raises `wording.WordingError` naming the field if one has no value: nothing goes out with a hole in it.
    """
    if occasion.says.words is None:
        occasion = replace(occasion, says=occasion.says.model_copy(update={"words": _SILENT}))
    locale, words = spoken.spoken(occasion.says.words or _SILENT, occasion.locale)
    fields = content.merge_fields(occasion, locale)
    tracked = content.tracking(occasion, signed)
    texts = {
        name: content.filled(name, source, fields).strip()
        for name, source in (("heading", words.heading), ("intro", words.intro))
    }
    said = _text(occasion, texts, tracked, locale) if channel in TEXTS else _notice(occasion, texts, tracked, locale)
    if channel == "whatsapp":
        said["details"] |= _template(occasion, fields)
    parts = (occasion.address, said["title"], said["text"], orjson.dumps(said["details"]).decode())
    return {
        "address": occasion.address,
        "sender": occasion.policy.shop_name,
        "subject": said["title"],
        "body": pieces.whole("", said["text"]),
        "headers": said["details"],
        "links": list(tracked.addresses),
        "promo_code": occasion.code.code if occasion.code else None,
        "slate_id": occasion.slate_id,
        "rendered_at": occasion.now,
        "payload_hash": hashlib.sha256("\0".join(parts).encode()).digest(),
    }


def parcel(
    message_id: UUID, frozen: Mapping[str, Any], *, channel: str, attempt: int, expires_at: datetime, deadline: float
) -> Note:
    """A frozen note, to be handed over."""
    details: Mapping[str, Any] = frozen["headers"]
    return Note(
        message_id=message_id,
        attempt=attempt,
        channel=channel,
        addresses=tuple(frozen["address"].split("\n")),
        title=frozen["subject"],
        text=frozen["body"].text,
        expires_at=expires_at,
        deadline=deadline,
        url=details.get("url"),
        image=details.get("image"),
        actions=tuple((one["label"], one["url"]) for one in details.get("actions", ())),
        closing=details.get("closing", ""),
        template=details.get("template"),
        values=tuple(details.get("values", ())),
    )


# ---------------------------------------------------------------------------------------------- notifications
def _notice(occasion: Occasion, texts: Mapping[str, str], tracked: Tracked, locale: str) -> dict[str, Any]:
    """A title, a few words, where it leads, and the picture of what it is about."""
    button = _button(occasion, tracked, locale)
    title = format.typeset(content.one_line(texts["heading"]), locale)
    if not title:
        raise wording.WordingError("heading: a notification needs one")
    details = {
        "url": button["url"] if button else tracked.to(links.absolute("/", tracked.links.base_url)),
        "image": _image(occasion, tracked.links.base_url),
        "actions": [{"label": button["label"], "url": button["url"]}] if button else [],
    }
    return {"title": title, "text": format.typeset(content.one_line(texts["intro"]), locale), "details": details}


def _button(occasion: Occasion, tracked: Tracked, locale: str) -> dict[str, str] | None:
    say = phrases.of(locale)
    if isinstance(occasion.says, Ask):
        label = spoken.spoken(occasion.says.words, locale)[1].button or say.answer
        return {"url": tracked.to(tracked.links.survey(occasion.message_id)) or "", "label": label}
    about = content.about(occasion, tracked=tracked, locale=locale, say=say)
    return content.button(occasion, about, tracked=tracked, locale=locale, say=say)


def _image(occasion: Occasion, base_url: str) -> str | None:
    """The picture of the product it is about, else of the first thing in the basket."""
    ids = [occasion.subject.product_id] if occasion.subject else []
    ids += [line.product_id for line in occasion.cart.lines[:1]] if occasion.cart else []
    known = next((occasion.catalogue[one] for one in ids if one in occasion.catalogue), None)
    return links.absolute(known.image_url, base_url) if known else None


# ---------------------------------------------------------------------------------------------- text messages
_STOP = {"en": "STOP to {number}", "fr": "STOP au {number}"}
_REPLY = {"en": "Reply STOP to opt out", "fr": "STOP: repondez STOP"}


def stopping(policy: Policy, locale: str) -> str:
    """How to stop, as it stands beneath every text message."""
    return _STOP[locale].format(number=policy.sms_stop) if policy.sms_stop else _REPLY[locale]


def expected(intros: Mapping[str, str], policy: Policy) -> dict[str, sms_text.Weight]:
    """What a text message of these words weighs in each language, about."""
    return {
        locale: sms_text.expected(intro, shop=policy.shop_name, closing=stopping(policy, locale))
        for locale, intro in intros.items()
    }


def heaviest(intros: Mapping[str, str], policy: Policy) -> sms_text.Weight | None:
    """The same of the language that takes most; None without any."""
    return max(expected(intros, policy).values(), key=lambda weight: weight.parts, default=None)


def _text(occasion: Occasion, texts: Mapping[str, str], tracked: Tracked, locale: str) -> dict[str, Any]:
    """The words, who writes, where it leads, and how to stop; in letters a telephone has."""
    button = _button(occasion, tracked, locale)
    said = sms_text.plain(texts["intro"])
    shop = sms_text.plain(occasion.policy.shop_name)
    if shop.lower() not in said.lower():
        said = f"{shop}: {said}"  # the law asks for the sender in every message
    if button and button["url"]:
        said = f"{said}\n{button['url']}"
    if occasion.code and occasion.code.shown not in said:
        said = f"{said}\n{occasion.code.shown}"
    closing = stopping(occasion.policy, locale)
    weight = sms_text.weigh(f"{said}\n{closing}")
    if weight.parts > MOST_PARTS:
        raise wording.WordingError(f"intro: the text message has {weight.parts} parts, more than {MOST_PARTS}")
    details: dict[str, Any] = {"url": button["url"] if button else None, "closing": closing}
    details |= {"alphabet": weight.alphabet, "parts": weight.parts}
    return {"title": "", "text": said, "details": details}


def _template(occasion: Occasion, fields: Mapping[str, object]) -> dict[str, Any]:
    """The approved template and what fills its places, each a text of its own."""
    step = occasion.says
    wanted = step.template if isinstance(step, Send) else None
    if wanted is None:
        raise wording.WordingError("template: WhatsApp carries nothing but approved templates")
    values = [content.filled(f"template/values/{n}", value, fields) for n, value in enumerate(wanted.values)]
    return {"template": wanted.name, "values": [content.one_line(value) for value in values]}
