"""How well the words of an HTML mail stand out from what is behind them, by its inline styles (WCAG 2.2). Pure."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

ENOUGH, ENOUGH_LARGE = 4.5, 3.0
"""Ratios asked of ordinary and of large letters."""
SMALLEST = 2.0
"""Pixels beneath which words are not meant to be read."""
LARGE, LARGE_BOLD = 24.0, 18.66
"""Pixels from which letters count as large."""

_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
_UNSEEN = frozenset(("head", "style", "script", "title"))
_STYLE = re.compile(r"([a-z-]+)\s*:\s*([^;]+)")
_HEX = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{6})\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Look:
    """How words look at one place."""

    tag: str
    ink: str = "#000000"
    paper: str = "#ffffff"
    size: float = 16.0
    bold: bool = False
    seen: bool = True


def weakest(html: str) -> tuple[float, str] | None:
    """How far the least readable words are from what is asked of letters of their size, as the ratio itself, with the
    words; None if there are none. Large letters are counted as if they were ordinary: 3 of them is 4.5."""
    reader = _Reader()
    reader.feed(html)
    return min(reader.found, default=None)


def ratio(ink: str, paper: str) -> float:
    """The contrast of two colours written as #rgb or #rrggbb: from 1 to 21."""
    low, high = sorted((_light(ink), _light(paper)))
    return (high + 0.05) / (low + 0.05)


def _light(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(letter * 2 for letter in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.looks = [Look("")]
        self.found: list[tuple[float, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.looks.append(_styled(tag, self.looks[-1], dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        for number in range(len(self.looks) - 1, 0, -1):
            if self.looks[number].tag == tag:
                del self.looks[number:]
                return

    def handle_data(self, data: str) -> None:
        look, words = self.looks[-1], data.strip()
        if words and look.seen and look.size >= SMALLEST:
            large = look.size >= LARGE or look.bold and look.size >= LARGE_BOLD
            scale = ENOUGH / ENOUGH_LARGE if large else 1.0
            self.found.append((round(ratio(look.ink, look.paper) * scale, 2), words[:60]))


def _styled(tag: str, within: Look, attributes: dict[str, str | None]) -> Look:
    style = {name: value.strip() for name, value in _STYLE.findall((attributes.get("style") or "").lower())}
    paper = _HEX.search(style.get("background-color") or style.get("background") or attributes.get("bgcolor") or "")
    ink = _HEX.search(style.get("color", ""))
    size = re.match(r"([\d.]+)px", style.get("font-size", ""))
    weight = style.get("font-weight", "bold" if tag in ("b", "strong", "th", "h1", "h2", "h3") else "")
    hidden = style.get("display") == "none"
    return Look(
        tag,
        ink[0] if ink else within.ink,
        paper[0] if paper else within.paper,
        float(size[1]) if size else within.size,
        weight in ("bold", "600", "700", "800", "900") if weight else within.bold,
        within.seen and not hidden and tag not in _UNSEEN,
    )
