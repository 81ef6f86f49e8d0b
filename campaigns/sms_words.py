"""What people write back to a text message: whether it means stop, start again, or anything else. Pure.

The first word decides, however it is spelt: capitals, accents, dots between letters, quotes and digits around it do
not count, for nobody looks a word up before asking to be left alone.
"""

import re
import unicodedata
from enum import StrEnum


class Wish(StrEnum):
    """What was meant."""

    STOP = "stop"
    START = "start"
    OTHER = "other"


STOPS = frozenset(
    "stop stoppe stopper stoppez stopall stopsms stoppub arret arrete arreter arretez desabo desabonner desabonnement "
    "desinscrire desinscription desinscrit resilier resiliation unsubscribe unsub cancel end quit optout remove "
    "revoke baja parar basta cancela".split()
)
"""French operators require STOP; carriers elsewhere the English ones; the others are what people write."""
STARTS = frozenset("start unstop yes reprendre reabo reabonner oui".split())

_TWO_WORDS = re.compile(
    r"^(?:opt[\s-]*out|stop[\s-]*all|ne plus|plus de|no more|me desabonner|desabonnez moi|please stop)\b"
)
_SPELT = re.compile(r"^(?:[a-z][\s.\-_]+){3}[a-z]\b")


def wish(text: str) -> Wish:
    """What a reply asks for; `OTHER` when it is a question or chat, which is nobody's consent and nobody's refusal."""
    said = _folded(text)
    if _TWO_WORDS.match(said):
        return Wish.STOP
    spelt = _SPELT.match(said)
    first = re.sub(r"[^a-z]", "", spelt.group()) if spelt else _first(said)
    if first in STOPS:
        return Wish.STOP
    return Wish.START if first in STARTS else Wish.OTHER


def _first(said: str) -> str:
    words = re.findall(r"[a-z]+", said)
    return words[0] if words else ""


def _folded(text: str) -> str:
    """Small plain letters; what stands before the first of them is left out."""
    bare = unicodedata.normalize("NFKD", text[:500]).encode("ascii", "ignore").decode().lower()
    return re.sub(r"^[^a-z]+", "", bare).replace("0", "o")
