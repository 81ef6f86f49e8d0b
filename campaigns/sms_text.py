"""What a text message weighs: its alphabet, its parts and what they cost (3GPP TS 23.038, 23.040). Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The GSM 7-bit alphabet."""
EXTENDED = frozenset("\f^{}\\[~]|€")
"""Its letters that take two places."""

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u202f\u2007\u2009\u200a", " "),
        **dict.fromkeys("\u2018\u2019\u201a\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        **dict.fromkeys("\u200b\u2060\ufeff", ""),
        "\u2026": "...",
        "\u0153": "oe",
        "\u0152": "OE",
        "\t": " ",
        "\u00d7": "x",
        "\u2022": "-",
    }
)


class Alphabet(StrEnum):
    """How a message travels."""

    GSM = "gsm-7"
    UNICODE = "ucs-2"


ROOM = {Alphabet.GSM: (160, 153), Alphabet.UNICODE: (70, 67)}
"""Places in a message of one part, and in each part of a longer one, whose header takes the rest."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What a text takes. `forcing` are the letters for which it must travel in Unicode, at less than half the room."""

    alphabet: Alphabet
    places: int
    parts: int
    forcing: tuple[str, ...] = ()


def plain(text: str) -> str:
    """The text with typographers' spaces, quotes, dashes and ligatures written as a telephone has them.

    Accents stay: a shop may rather pay than write its customers' names without them.
    """
    return text.translate(_PLAIN).replace("\r\n", "\n").strip()


def weigh(text: str) -> Weight:
    """Counts as networks do: a letter of two places is never divided between two parts."""
    forcing = tuple(dict.fromkeys(letter for letter in text if letter not in BASIC and letter not in EXTENDED))
    alphabet = Alphabet.UNICODE if forcing else Alphabet.GSM
    sizes = [_size(letter, alphabet) for letter in text]
    alone, each = ROOM[alphabet]
    places = sum(sizes)
    return Weight(alphabet, places, 1 if places <= alone else sum(1 for _ in _parts(sizes, each)), forcing)


def expected(words: str, *, shop: str, closing: str) -> Weight:
    """What a marketer's words will weigh once a name, a link and the way to stop stand in them: about."""
    filled = _FIELD.sub("x" * FIELD, _TAG.sub("", words))
    said = plain(filled)
    if shop.lower() not in said.lower():
        said = f"{plain(shop)}: {said}"
    return weigh("\n".join((said, "x" * LINK, closing)))


FIELD, LINK = 12, 60
"""Letters a merge field and a signed link take, about."""
_FIELD, _TAG = re.compile(r"\{\{.*?\}\}", re.DOTALL), re.compile(r"\{%.*?%\}", re.DOTALL)


def _size(letter: str, alphabet: Alphabet) -> int:
    if alphabet is Alphabet.UNICODE:
        return 2 if ord(letter) > 0xFFFF else 1
    return 2 if letter in EXTENDED else 1


def _parts(sizes: list[int], room: int) -> Iterator[int]:
    """The places used in each part."""
    used = 0
    for size in sizes:
        if used + size > room:
            yield used
            used = 0
        used += size
    if used:
        yield used
