"""Where in a JSON text each value stands, so that a fault can be shown at its line."""

import re
from collections.abc import Iterator, Sequence

from foundation.errors import Fault

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_NAMES = re.compile(r"\s*:")


def lines(text: str, faults: Sequence[Fault]) -> dict[int, list[Fault]]:
    """Faults by the line, from 1, of the value they name, else of the nearest one around it. A pointer `/@7` is a
    line already."""
    places = dict(places_of(text))
    found: dict[int, list[Fault]] = {}
    for fault in faults:
        if fault.pointer.startswith("/@"):
            found.setdefault(int(fault.pointer[2:]), []).append(Fault("", fault.detail))
            continue
        at = fault.pointer
        while at and at not in places:
            at = at.rpartition("/")[0]
        found.setdefault(places.get(at, 1), []).append(fault)
    return found


def places_of(text: str) -> Iterator[tuple[str, int]]:
    """The JSON pointer of every value of a well-formed text, with the line it begins on."""
    way: list[str | int] = []
    line, before = 1, 0
    opened: list[bool] = []
    for token in _TOKEN.finditer(text):
        said = token[0]
        line += text.count("\n", before, token.start())
        before = token.start()
        if said in "]}":
            opened.pop()
            way.pop()
        elif said == ",":
            if opened and not opened[-1]:
                way[-1] = int(way[-1]) + 1
        elif said != ":":
            if opened and opened[-1] and said.startswith('"') and _NAMES.match(text, token.end()):
                way[-1] = said[1:-1].replace("~", "~0").replace("/", "~1")
                continue
            yield "".join(f"/{part}" for part in way), line
            if said in "[{":
                opened.append(said == "{")
                way.append("" if said == "{" else 0)
