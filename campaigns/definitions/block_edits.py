"""Changes to an e-mail's blocks while it is written: put in, moved, copied, taken out, written.

A step here is JSON as it was typed. Languages that show the same kinds of blocks in the same order change their order
together, so that versions stay alike; their texts are each language's own. Every change gives a new step.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import orjson

from campaigns.definitions import blocks
from foundation.errors import Conflict

Json = dict[str, Any]

KINDS = ("header", "text", "image", "button", "question", "product", "basket", "products", "code", "reviews", "store")
SHARED = {
    "header": ("online",),
    "image": ("url", "link"),
    "button": ("link",),
    "products": ("first", "most"),
    "code": ("drawn",),
    "store": ("store",),
}
"""What a block says whatever the language."""
_USUAL = tuple(block.type for block in blocks.USUAL)


def able(step: Mapping[str, Any], about: str) -> frozenset[str]:
    """The kinds of blocks that have something to show in this message; `about` is what the entry is about, as
    `entries.keyed` says it."""
    asks = step.get("type") == "ask"
    shown = {
        "question": asks,
        "product": about == "product",
        "basket": about == "cart",
        "products": bool(step.get("products")),
        "code": bool(step.get("offer")),
        "reviews": bool(step.get("reviews")),
        "button": bool(step.get("link")) or about == "product" or about == "cart" and not asks,
    }
    return frozenset(kind for kind in KINDS if shown.get(kind, True))


def chosen(step: Mapping[str, Any], locale: str) -> bool:
    """Whether somebody chose the blocks of this version."""
    return bool(_version(step, locale).get("blocks"))


def shown(step: Mapping[str, Any], locale: str, *, about: str) -> list[Json]:
    """The blocks of a version in their order; where nobody chose any, those that go without saying and have something
    to show."""
    words = _version(step, locale)
    if words.get("blocks"):
        return deepcopy(list(words["blocks"]))
    said: Json = {"type": "text"}
    said |= {name: words[of] for name, of in (("heading", "heading"), ("body", "intro")) if words.get(of)}
    usual = [{"type": kind} for kind in _USUAL if kind in able(step, about)]
    return [{"type": "header"}, said, *usual]


def kinds(step: Mapping[str, Any], locale: str, *, about: str) -> list[str]:
    """The kinds of a version's blocks, in their order."""
    return [str(block.get("type")) for block in shown(step, locale, about=about)]


def mark(block: Mapping[str, Any]) -> str:
    """A short word for what a block says: by it a block is found again after others were moved."""
    return hashlib.sha256(orjson.dumps(dict(block), option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def locate(found: Sequence[Mapping[str, Any]], number: int, *, kind: str, was: str) -> int:
    """Where the block now stands that stood at `number`: the nearest that says the same, else what stands there if it
    is of its kind. Raises `Conflict` if it is gone."""
    same = [n for n, block in enumerate(found) if mark(block) == was]
    if same:
        return min(same, key=lambda n: abs(n - number))
    if 0 <= number < len(found) and found[number].get("type") == kind:
        return number
    raise Conflict("block_gone", "this block is not there any more")


# ------------------------------------------------------------------------------------------------- changes
def insert(step: Mapping[str, Any], locale: str, block: Mapping[str, Any], *, at: int, about: str) -> Json:
    """Puts a block before the one at `at`, in every language that looks alike."""
    changed = deepcopy(dict(step))
    for found in _together(changed, locale, about):
        found.insert(_within(at, len(found)), deepcopy(dict(block)))
    return changed


def move(step: Mapping[str, Any], locale: str, *, number: int, at: int, about: str) -> Json:
    """Takes a block to the place before the one at `at`, counted before it was taken away."""
    changed = deepcopy(dict(step))
    for found in _together(changed, locale, about):
        block = found.pop(_known(found, number))
        found.insert(_within(at - (at > number), len(found)), block)
    return changed


def copy(step: Mapping[str, Any], locale: str, *, number: int, at: int, about: str) -> Json:
    """Puts a copy of a block, with each language's own texts, before the one at `at`."""
    changed = deepcopy(dict(step))
    for found in _together(changed, locale, about):
        found.insert(_within(at, len(found)), deepcopy(found[_known(found, number)]))
    return changed


def remove(step: Mapping[str, Any], locale: str, *, number: int, about: str) -> Json:
    """Takes a block out; raises `Conflict` for the last one, for a mail shows something."""
    changed = deepcopy(dict(step))
    for found in _together(changed, locale, about):
        if len(found) == 1:
            raise Conflict("last_block", "a message keeps at least one block")
        del found[_known(found, number)]
    return changed


def write(step: Mapping[str, Any], locale: str, block: Mapping[str, Any], *, number: int, about: str) -> Json:
    """Puts another block in the place of one. What it says whatever the language is said in those that look alike,
    where they said the same before."""
    changed = deepcopy(dict(step))
    before = shown(step, locale, about=about)
    old = before[_known(before, number)]
    if block == old:
        return changed
    alike = list(_together(changed, locale, about))
    for found in alike:
        for name in SHARED.get(str(block["type"]), ()):
            if found[number].get(name) == old.get(name):
                found[number].pop(name, None)
                found[number] |= {name: block[name]} if name in block else {}
    changed["words"][locale]["blocks"][number] = deepcopy(dict(block))
    return changed


def follow(step: Mapping[str, Any], locale: str, *, other: str, about: str) -> Json:
    """Gives a language the blocks of another, in its order; texts it has already stay, kind by kind."""
    changed = deepcopy(dict(step))
    own = shown(changed, locale, about=about)
    taken: list[Json] = []
    for block in shown(changed, other, about=about):
        mine = next((one for one in own if one.get("type") == block.get("type")), None)
        if mine is not None:
            own.remove(mine)
        taken.append(mine or block)
    _materialise(changed, locale, about)
    changed["words"][locale]["blocks"] = taken
    return changed


def _together(step: Json, locale: str, about: str) -> Iterator[list[Json]]:
    """The blocks of this language, and of every other that shows the same kinds: lists to be changed."""
    order = kinds(step, locale, about=about)
    for other in list(step.get("words") or {locale: {}}):
        if other == locale or kinds(step, other, about=about) == order:
            yield _materialise(step, other, about)


def _materialise(step: Json, locale: str, about: str) -> list[Json]:
    """The blocks of a version, chosen from now on; its heading and first words then stand in them, and are kept beside
    only where other channels need them."""
    found = shown(step, locale, about=about)
    words = step.setdefault("words", {}).setdefault(locale, {})
    if not words.get("blocks") and step.get("channel", "email") != "best":
        words.pop("heading", None)
        words.pop("intro", None)
    words["blocks"] = found
    return found


def _version(step: Mapping[str, Any], locale: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (step.get("words") or {}).get(locale) or {}
    return found


def _within(at: int, most: int) -> int:
    return max(0, min(at, most))


def _known(found: Sequence[object], number: int) -> int:
    if not 0 <= number < len(found):
        raise Conflict("block_gone", "this block is not there any more")
    return number
