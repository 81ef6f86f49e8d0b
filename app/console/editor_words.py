"""What the message editor says: a text with its fields as chips, and what speaks against a message."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app import filters, i18n
from app.console import block_fields
from app.i18n import N_
from app.i18n import ngettext_later as ngettext
from campaigns.mail_checks import Check

LANGUAGE = {"en": N_("English"), "fr": N_("French")}
_MARK = re.compile(r"(\{\{.*?\}\}|\{%.*?%\})", re.DOTALL)
_PATH = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")
_LOGIC = {
    "if": N_("if"),
    "elif": N_("else if"),
    "else": N_("else"),
    "endif": N_("end"),
    "for": N_("for each"),
    "endfor": N_("end"),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text: `text` as it stands, `field` that is filled in, or `logic` that decides."""

    kind: str
    text: str


def pieces(text: str) -> list[Piece]:
    """A text in pieces, its fields by the names they have on screen."""
    return [_piece(part) for part in _MARK.split(text) if part]


def _piece(part: str) -> Piece:
    if not _MARK.fullmatch(part):
        return Piece("text", part)
    inner = part[2:-2].strip(" -")
    named = _PATH.sub(lambda found: field(found[0]), inner)
    if part.startswith("{{"):
        return Piece("field", re.split(r"\s*\|", named)[0])
    word, _, rest = inner.partition(" ")
    said = i18n.gettext(_LOGIC[word]) if word in _LOGIC else word
    about = _PATH.search(rest)
    return Piece("logic", f"{said} {field(about[0])}" if about else str(said))


def field(name: str) -> str:
    """A merge field by the name it has on screen."""
    return str(i18n.gettext(block_fields.FIELDS[name])) if name in block_fields.FIELDS else name


# -------------------------------------------------------------------------------------------------- checks
SAID: Mapping[str, str | tuple[str, str]] = {
    "subject": ngettext("Subject of %(n)s letter", "Subject of %(n)s letters"),
    "subject_none": N_("It has no subject"),
    "subject_long": N_("The subject has %(n)s letters; telephones show %(most)s"),
    "subject_pretends": N_("The subject pretends to be an answer"),
    "preheader_none": N_("No preview text: mail readers show the first words"),
    "preheader_long": N_("The preview text has %(n)s letters; telephones show %(most)s"),
    "links": ngettext(
        "%(n)s link of yours, by https, to an allowed host", "%(n)s links of yours, by https, to allowed hosts"
    ),
    "links_own": N_("Every link leads where the shop’s own pages are"),
    "link_http": N_("%(url)s is not https"),
    "link_host": N_("%(host)s is not among the hosts links may lead to"),
    "alt_none": N_("A picture has no text in its place"),
    "alt_name": N_("“%(alt)s” does not say what is on the picture"),
    "fields": N_("Every field has a value, or words in its place"),
    "field_alone": N_("Who has no “%(field)s” would get nothing: say what stands in its place"),
    "wording": N_("No wording that spam filters know"),
    "spam": N_("“%(text)s” is what spam filters look for"),
    "block_empty": N_("“%(kind)s” will show nothing"),
    "block_lacking": N_("No block shows “%(kind)s”"),
    "languages": N_("%(locale)s has the same blocks"),
    "language_none": N_("%(locale)s is not written"),
    "language_lacks": N_("%(locale)s lacks the block “%(kind)s”"),
    "language_order": N_("%(locale)s has the blocks in another order"),
    "weight": N_("Weighs %(size)s kB; readers cut off what is beyond %(most)s kB"),
    "contrast": N_("Weakest contrast %(ratio)s to 1; 4.5 is asked"),
    "bare_pictures": ngettext("%(n)s picture comes out without a text", "%(n)s pictures come out without a text"),
    "pictures": ngettext("%(n)s picture, with a text for it", "%(n)s pictures, each with a text for it"),
    "unsubscribe": N_("One click unsubscribes, in the mail and in the reader"),
    "unsubscribe_none": N_("There is no way to unsubscribe"),
    "text_part": N_("A text version goes with it"),
    "text_none": N_("The text version is empty"),
    "unwritten": N_("It cannot be written for this customer: %(why)s"),
    "lacks_text": N_("The text is missing"),
    "note_long": N_("%(n)s letters; telephones show about %(most)s"),
}


def check(of: Check) -> str:
    """A line of the checks."""
    said = SAID[of.word]
    values = {name: _value(name, value) for name, value in of.values.items()}
    if isinstance(said, tuple):
        return str(i18n.ngettext(*said, of.values["n"]))
    return str(i18n.gettext(said, **values))


def _value(name: str, value: Any) -> str:
    if name == "locale":
        return str(i18n.gettext(LANGUAGE[value]))
    if name == "kind":
        return str(i18n.gettext(block_fields.BY_TYPE[value].title))
    if name == "field":
        return field(str(value))
    if isinstance(value, int | float):
        return str(filters.number(value, 0 if isinstance(value, int) else 1))
    text = str(value)
    return text if len(text) <= 90 else text[:89] + "…"
