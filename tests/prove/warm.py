"""What is compiled before workers are forked: each would have to do it again after every death of another."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from campaigns import layouts
from campaigns.definitions import blocks


def layouts_of(definition: Mapping[str, Any]) -> None:
    """The layouts of a campaign's messages."""
    for words in _words(definition["steps"]):
        chosen = [block["type"] for block in words.get("blocks") or ()]
        layouts.layout((*(chosen or [block.type for block in blocks.usual(heading="h", body="b")]), "footer"))


def _words(held: object) -> Iterator[Mapping[str, Any]]:
    """The words of every message, wherever it stands in the tree of steps, once for each language."""
    if isinstance(held, Mapping):
        yield from (held.get("words") or {}).values()
        for inner in held.values():
            yield from _words(inner)
    elif isinstance(held, Sequence) and not isinstance(held, str):
        for inner in held:
            yield from _words(inner)
