"""Ways of writing that spam filters and readers mistrust: words, capitals, exclamation marks, false answers. Pure.

The lists are short on purpose: what every shop must say (free, offer, code) is left alone. docs/deliverability.md says
where they come from.
"""

import re

TRAPS = {
    "en": (
        "100% free", "act now", "amazing offer", "bargain", "buy now", "cash bonus", "cheap", "click here",
        "congratulations", "dear friend", "do it today", "double your", "earn money", "extra income", "fast cash",
        "free gift", "free money", "guaranteed", "limited time only", "lowest price", "make money", "miracle",
        "money back", "no catch", "no obligation", "no strings attached", "once in a lifetime", "order now",
        "risk free", "risk-free", "special promotion", "this is not spam", "urgent", "you have been selected",
        "you won", "you’re a winner", "winner",
    ),
    "fr": (
        "100 % gratuit", "100% gratuit", "agissez maintenant", "à ne pas manquer", "argent facile", "cadeau gratuit",
        "cher ami", "cliquez ici", "dernière chance", "entièrement gratuit", "félicitations", "gagnez de l’argent",
        "garanti", "incroyable", "meilleur prix", "miracle", "offre exceptionnelle", "prix cassé", "prix imbattable",
        "profitez-en vite", "sans engagement", "sans risque", "urgent", "vous avez gagné",
        "vous avez été sélectionné",
    ),
}  # fmt: skip
LOUD = 3
"""Words in capitals, of four letters and more, that make a text a shout."""

_FIELD = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_ANSWER = re.compile(r"^\s*(re|fw|fwd|tr|rép)\s*:", re.IGNORECASE)


def found(text: str, *, locale: str) -> list[str]:
    """The traps of a language in a text, in their order there."""
    said = _folded(text)
    places = [(at, trap) for trap in TRAPS.get(locale, ()) if (at := _at(said, _folded(trap))) >= 0]
    return [trap for _, trap in sorted(places)]


def loud(text: str) -> str | None:
    """What is shouted: several words in capitals, or exclamation marks in a row; None if nothing is."""
    said = _FIELD.sub(" ", text)
    if marks := re.search(r"!\s?!+", said):
        return marks[0]
    words = [word for word in re.findall(r"[^\W\d_]{4,}", said) if word.isupper()]
    return " ".join(words[:LOUD]) if len(words) >= LOUD else None


def pretends(subject: str) -> bool:
    """Whether a subject pretends to be an answer or a message passed on."""
    return bool(_ANSWER.match(subject))


def _folded(text: str) -> str:
    plain = _FIELD.sub(" ", text).lower().replace("'", "’")
    return re.sub(r"[\s\u00a0\u202f]+", " ", plain)


def _at(said: str, trap: str) -> int:
    place = re.search(rf"(?<!\w){re.escape(trap)}(?!\w)", said)
    return place.start() if place else -1
