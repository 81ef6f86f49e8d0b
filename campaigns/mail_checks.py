"""What speaks against a message before anybody gets it: how it is written, and how it comes out. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from campaigns import contrast, layouts, spam_words, wording
from campaigns.definitions import block_edits, content
from campaigns.links import Reach

SUBJECT, PREHEADER = 60, 100
"""Letters of each that telephones show."""
LONG = {"push": {"heading": 50, "intro": 150}, "onsite": {"heading": 60, "intro": 300}}
"""Letters of notes that are shown whole."""
LINKED = {"image": ("url", "link"), "button": ("link",)}
SAID = {"text": ("heading", "body"), "button": ("label",), "products": ("title",)}
NO_ALT = re.compile(r"\.(png|jpe?g|gif|webp)$|^(image|img|photo|picture|banner|bannière)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Check:
    """One line. `word` names it, `state` is ok, todo, warn or bad; `values` fill its sentence; `block` is the number of
    the block it is about, `name` the field."""

    word: str
    state: str
    values: Mapping[str, Any] = field(default_factory=dict)
    block: int | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a message is written for: what its entry is about, the fields its words may use, and where its links may
    lead."""

    about: str
    fields: tuple[str, ...]
    reach: Reach


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail as it came out for one customer."""

    html: str
    text: str
    headers: Mapping[str, str]


def written(step: Mapping[str, Any], locale: str, of: Setting) -> list[Check]:
    """What can be said of one language's version without rendering it, in the order of a mail: subject, links,
    pictures, fields, wording, blocks, languages."""
    shown = block_edits.shown(step, locale, about=of.about)
    words = (step.get("words") or {}).get(locale) or {}
    return [
        *_envelope(words),
        *_links(shown, step, of),
        *_pictures(shown),
        *_fields(words, shown, of),
        *_wording(words, shown, locale),
        *_empty(shown, step, of),
        *_languages(step, locale, of),
    ]


def sent(mail: Sent) -> list[Check]:
    """What can be said of a mail as it came out: its weight, contrast, text part, and the ways to unsubscribe."""
    reader = _Links()
    reader.feed(mail.html)
    size = len(mail.html.encode())
    weight = {"size": -(-size // 1024), "most": layouts.CLIPPED // 1024}
    weak = contrast.weakest(mail.html)
    enough = weak is None or weak[0] >= contrast.ENOUGH
    bare = [source for source, alt in reader.pictures if alt is None]
    leaves = "List-Unsubscribe" in mail.headers and any("/u/" in link for link in reader.links)
    return [
        Check("weight", "ok" if size <= layouts.CLIPPED else "bad", weight),
        Check(
            "contrast", "ok" if enough else "bad", {"ratio": weak[0] if weak else 21.0, "text": weak[1] if weak else ""}
        ),
        Check("bare_pictures", "bad", {"n": len(bare)})
        if bare
        else Check("pictures", "ok", {"n": len(reader.pictures)}),
        Check("unsubscribe" if leaves else "unsubscribe_none", "ok" if leaves else "bad"),
        Check("text_part" if mail.text.strip() else "text_none", "ok" if mail.text.strip() else "bad"),
    ]


def noted(step: Mapping[str, Any], locale: str, of: Setting, *, channel: str) -> list[Check]:
    """What can be said of a notification, a text message or a note on the shop's pages."""
    words = (step.get("words") or {}).get(locale) or {}
    needed = content.NEEDED[channel]
    lacking = [Check("lacks_text", "bad", {}, name=name) for name in needed if not str(words.get(name, "")).strip()]
    long = [
        Check("note_long", "warn", {"n": n, "most": most}, name=name)
        for name, most in LONG.get(channel, {}).items()
        if (n := letters(str(words.get(name, "")))) > most
    ]
    said = [{"type": "text", "heading": words.get("heading"), "body": words.get("intro")}]
    others = [other for other in content.LOCALES if other != locale and not (step.get("words") or {}).get(other)]
    inside = [*_links([], step, of), *_fields({}, said, of), *_wording({}, said, locale)]
    return [
        *lacking,
        *long,
        *(replace(check, block=None, name={"body": "intro"}.get(check.name, check.name)) for check in inside),
        *(Check("language_none", "warn", {"locale": other}) for other in others if channel != "whatsapp"),
    ]


# ------------------------------------------------------------------------------------------------ envelope
def _envelope(words: Mapping[str, Any]) -> Iterator[Check]:
    subject, preheader = (str(words.get(name, "")).strip() for name in ("subject", "preheader"))
    if not subject:
        yield Check("subject_none", "bad", name="subject")
    elif spam_words.pretends(subject):
        yield Check("subject_pretends", "warn", name="subject")
    elif letters(subject) > SUBJECT:
        yield Check("subject_long", "warn", {"n": letters(subject), "most": SUBJECT}, name="subject")
    else:
        yield Check("subject", "ok", {"n": letters(subject)}, name="subject")
    if not preheader:
        yield Check("preheader_none", "todo", name="preheader")
    elif letters(preheader) > PREHEADER:
        yield Check("preheader_long", "warn", {"n": letters(preheader), "most": PREHEADER}, name="preheader")


def letters(text: str) -> int:
    """How long a text is about once its fields are filled in, each counted as eight letters, the first way taken where
    it says "if"."""
    one_way = re.sub(r"\{%-?\s*else\s*-?%\}.*?(?=\{%-?\s*endif)", "", text, flags=re.DOTALL)
    return len(re.sub(r"\{%.*?%\}", "", re.sub(r"\{\{.*?\}\}", "x" * 8, one_way)).strip())


# --------------------------------------------------------------------------------------- links and pictures
def _links(shown: list[dict[str, Any]], step: Mapping[str, Any], of: Setting) -> Iterator[Check]:
    """Addresses somebody typed: by https, and to hosts the merchant allows."""
    typed = [
        (str(block[name]), number, name)
        for number, block in enumerate(shown)
        for name in LINKED.get(str(block.get("type")), ())
        if block.get(name)
    ]
    typed += [(str(step["link"]), -1, "link")] if step.get("link") else []
    wrong = [check for one in typed if (check := _link(*one, of=of))]
    yield from wrong
    if not wrong:
        yield Check("links", "ok", {"n": len(typed)}) if typed else Check("links_own", "ok")


def _link(url: str, number: int, name: str, *, of: Setting) -> Check | None:
    block = number if number >= 0 else None
    if url.startswith("/"):
        return None
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in of.reach.ours:
        return Check("link_http", "bad", {"url": url}, block, name)
    if name == "link" and of.reach.leading(url) is None:
        return Check("link_host", "bad", {"host": parts.hostname or url}, block, name)
    return None


def _pictures(shown: list[dict[str, Any]]) -> Iterator[Check]:
    pictures = [(number, block) for number, block in enumerate(shown) if block.get("type") == "image"]
    lacking = [number for number, block in pictures if not str(block.get("alt", "")).strip()]
    named = [n for n, block in pictures if n not in lacking and NO_ALT.search(str(block["alt"]).strip())]
    yield from (Check("alt_none", "bad", {}, number, "alt") for number in lacking)
    yield from (Check("alt_name", "warn", {"alt": shown[number]["alt"]}, number, "alt") for number in named)


# -------------------------------------------------------------------------------------- fields and wording
def texts(words: Mapping[str, Any], shown: list[dict[str, Any]]) -> Iterator[tuple[int | None, str, str]]:
    """Every text of a version: the number of its block (None: of the envelope), its field, and what it says."""
    yield from ((None, name, str(words.get(name) or "")) for name in ("subject", "preheader"))
    for number, block in enumerate(shown):
        for name in SAID.get(str(block.get("type")), ()):
            yield number, name, str(block.get(name) or "")


def _fields(words: Mapping[str, Any], shown: list[dict[str, Any]], of: Setting) -> Iterator[Check]:
    """Fields of the customer that may be missing: who lacks one gets nothing, unless the text says what then."""
    risky = [name for name in of.fields if name.startswith("customer.")]
    holes = [
        Check("field_alone", "warn", {"field": field}, number, name)
        for number, name, text in texts(words, shown)
        for field in risky
        if field in text
        and not wording.check(text, fields=of.fields)
        and wording.hole(text, fields=of.fields, without=(field,))
    ]
    yield from holes
    if not holes:
        yield Check("fields", "ok")


def _wording(words: Mapping[str, Any], shown: list[dict[str, Any]], locale: str) -> Iterator[Check]:
    found = [
        Check("spam", "warn", {"text": trap}, number, name)
        for number, name, text in texts(words, shown)
        for trap in (*spam_words.found(text, locale=locale), *filter(None, [spam_words.loud(text)]))
    ]
    yield from found[:5]
    if not found:
        yield Check("wording", "ok")


# ------------------------------------------------------------------------------------ blocks and languages
def _empty(shown: list[dict[str, Any]], step: Mapping[str, Any], of: Setting) -> Iterator[Check]:
    """Blocks that will show nothing, and what the message promises without a block that shows it."""
    shows, present = block_edits.able(step, of.about), {str(block.get("type")) for block in shown}
    for number, block in enumerate(shown):
        kind = str(block.get("type"))
        led = kind == "button" and block.get("link")
        bare = kind == "text" and not any(str(block.get(name) or "").strip() for name in SAID["text"])
        if bare or kind not in shows and not led:
            yield Check("block_empty", "warn", {"kind": kind}, number)
    for kind in ("code", "products", "question"):
        if kind in shows and kind not in present:
            yield Check("block_lacking", "bad" if kind == "question" else "warn", {"kind": kind})


def _languages(step: Mapping[str, Any], locale: str, of: Setting) -> Iterator[Check]:
    """Versions side by side: languages not written, and blocks one has and the other lacks."""
    order = block_edits.kinds(step, locale, about=of.about)
    for other in content.LOCALES:
        if other == locale:
            continue
        if not (step.get("words") or {}).get(other):
            yield Check("language_none", "warn", {"locale": other})
            continue
        theirs = block_edits.kinds(step, other, about=of.about)
        lacking = next((kind for kind in order if order.count(kind) > theirs.count(kind)), None)
        if lacking:
            yield Check("language_lacks", "warn", {"locale": other, "kind": lacking})
        elif theirs != order:
            yield Check("language_order", "warn", {"locale": other})
        else:
            yield Check("languages", "ok", {"locale": other})


class _Links(HTMLParser):
    """The addresses a mail leads to, and its pictures with what stands for them."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.pictures: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        if tag == "img":
            self.pictures.append((given.get("src") or "", given.get("alt")))
