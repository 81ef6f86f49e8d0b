"""Where everything of a journey stands: sequences of steps, the ways of those that branch side by side, and the
spine between them, as wide as people are many. No style, no colour: coordinates for SVG, in units of a pixel."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from campaigns.definitions import edits
from campaigns.definitions.edits import Json
from campaigns.figures import Walked

CARD, GAP, NARROW = 600, 16, 280
"""The width of the journey, the gap between two ways, and the least width of a way."""
LEFT, WIDEST, THINNEST = 12, 34, 2
"""Where the spine begins, and how wide it may be."""
MOST_UNITS = 8
"""Ways side by side beyond which they stand beneath one another."""
ENDED = "ended"
"""They came to the end: no loss, but what the last box says."""
FORK, JOIN, EDGE, FILL, LINE = 52, 36, 56, 10, 18


@dataclass(frozen=True, slots=True)
class Loss:
    """Who leaves on an edge: why, how many, and the ribbon that leads them out."""

    reason: str
    people: int
    path: str


@dataclass(frozen=True, slots=True)
class Edge:
    """What is between two steps: where a step may be put in, the spine, and who leaves there."""

    at: str
    spine: str
    losses: tuple[Loss, ...] = ()
    height: int = EDGE


@dataclass(frozen=True, slots=True)
class Way:
    """One branch of a step: its number among them, its place, how wide it is, and what it holds."""

    number: int
    branch: str
    units: int
    people: int | None
    sequence: "Sequence_"


@dataclass(frozen=True, slots=True)
class Node:
    """A step where it stands, with the edge before it and its ways."""

    step: Json
    pointer: str
    parent: str
    before: Edge
    people: int | None
    standing: int
    narrow: bool
    ways: tuple[Way, ...] = ()
    units: int = 1
    fork: tuple[str, ...] = ()
    join: tuple[str, ...] = ()
    width: int = CARD


@dataclass(frozen=True, slots=True)
class Sequence_:
    """Steps one after the other, the edge behind the last, and whether anybody comes out at its end."""

    nodes: tuple[Node, ...]
    last: Edge | None
    units: int
    ends: bool
    people: int | None
    fill: str


@dataclass(frozen=True, slots=True)
class Journey:
    """The whole drawing. `stacked`: too many ways to stand side by side."""

    sequence: Sequence_
    units: int
    stacked: bool
    entered: int | None
    held_out: int


def lay(definition: Mapping[str, Any], walked: Walked | None) -> Journey:
    """The drawing of a journey, with numbers if it was ever walked."""
    known = walked if walked and walked.entered + walked.held_out else None
    units = _units(definition.get("steps", ()))
    width = max(CARD, units * (NARROW + GAP) - GAP)
    drawn = _Drawing(known, most=known.entered if known else 0)
    sequence = drawn.sequence(definition.get("steps", []), edits.Spot(), "/steps", width, tail=True)
    entered = known.entered if known else None
    return Journey(sequence, units, units > MOST_UNITS, entered, known.held_out if known else 0)


def _units(sequence: Sequence[Json]) -> int:
    """How many narrow ways stand side by side at most."""
    return max((_span(step) for step in sequence), default=1)


def _span(step: Json) -> int:
    return sum(_units(inner) for _, inner in edits.branches(step)) or 1


def _ended(sequence: Sequence[Json]) -> bool:
    """Whether nobody comes out at its end."""
    if not sequence:
        return False
    ways = edits.branches(sequence[-1])
    return sequence[-1].get("type") == "exit" or bool(ways) and all(_ended(inner) for _, inner in ways)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """What everything drawn shares: the numbers, and how many a full width stands for."""

    walked: Walked | None
    most: int

    def wide(self, people: int | None) -> float:
        """The width of the spine for so many; thin where nothing is known."""
        if people is None or not self.most:
            return 6
        return round(THINNEST + (WIDEST - THINNEST) * min(1.0, people / self.most), 1) if people else 0

    def sequence(
        self, steps: Sequence[Json], at: edits.Spot, pointer: str, width: int, *, tail: bool = False
    ) -> Sequence_:
        """Lays a sequence. `tail`: those behind its last step are behind everything."""
        nodes, spot = [], at
        for number, step in enumerate(steps):
            nodes.append(self._node(step, f"{pointer}/{number}", spot, width))
            spot = edits.Spot(after=step["id"])
        ended = _ended(steps)
        out = self._out(steps, tail)
        last = None if steps and steps[-1].get("type") == "exit" else self._edge(spot, out, "" if tail else None)
        people = self._arrived(steps[0]["id"]) if steps else None
        fill = "" if ended or tail else _spine(self.wide(out), FILL)
        return Sequence_(tuple(nodes), last, _units(steps), ended, people, fill)

    def _node(self, step: Json, pointer: str, at: edits.Spot, width: int) -> Node:
        people = self._arrived(step["id"])
        standing = self.walked.standing.get(step["id"], 0) if self.walked else 0
        ways = tuple(self._ways(step, pointer, width))
        span = _span(step)
        return Node(
            step=step,
            pointer=pointer,
            parent=at.parent,
            before=self._edge(at, people, step["id"]),
            people=people,
            standing=standing,
            narrow=width < CARD,
            ways=ways,
            units=span,
            fork=tuple(self._fork(ways, span, width, people)),
            join=tuple(self._join(ways, span, width)),
            width=width,
        )

    def _ways(self, step: Json, pointer: str, width: int) -> Iterator[Way]:
        span, taken = _span(step), self._taken(step["id"])
        for number, (branch, inner) in enumerate(edits.branches(step)):
            units = _units(inner)
            wide = _wide(units, span, width)
            people = taken.get(str(number), 0) if self.walked else None
            sequence = self.sequence(inner, edits.Spot(parent=step["id"], branch=branch), f"{pointer}/{branch}", wide)
            yield Way(number, branch, units, people, sequence)

    def _taken(self, step: str) -> Mapping[str, int]:
        return self.walked.passed.get(step, {}) if self.walked else {}

    def _arrived(self, step: str) -> int | None:
        return self.walked.arrived(step) if self.walked else None

    def _out(self, steps: Sequence[Json], tail: bool) -> int | None:
        """Who comes out behind the last step."""
        if self.walked is None:
            return None
        if tail:
            return self.walked.arrived("")
        return sum(self._taken(steps[-1]["id"]).values()) if steps else 0

    # ------------------------------------------------------------------------------------------- ribbons
    def _edge(self, at: edits.Spot, people: int | None, step: str | None) -> Edge:
        """The spine down to a step, and who leaves before it. `step` None: nobody can leave there."""
        wide = self.wide(people)
        left = self.walked.left.get(step, {}) if self.walked and step is not None else {}
        ranked = sorted((item for item in left.items() if item[0] != ENDED), key=lambda item: -item[1])
        height = max(EDGE, EDGE - LINE + LINE * len(ranked))
        losses, x = [], LEFT + wide
        for number, (reason, gone) in enumerate(ranked):
            thick = max(1.5, self.wide(gone))
            y = height / 2 + LINE * (number - (len(ranked) - 1) / 2)
            losses.append(Loss(reason, gone, _leaving(x, thick, y)))
            x += thick
        return Edge(str(at), _spine(wide, height), tuple(losses), height)

    def _fork(self, ways: Sequence[Way], span: int, width: int, people: int | None) -> Iterator[str]:
        """From the spine to the head of each way, side by side as they leave it."""
        source = float(LEFT)
        for x, way in _offsets(ways, span, width):
            wide = self.wide(way.people if way.people is not None else people)
            if x == 0:
                yield _spine(wide, FORK)
            elif wide:
                yield _across(source, x + LEFT, wide, FORK)
            source += wide if self.walked else 0

    def _join(self, ways: Sequence[Way], span: int, width: int) -> Iterator[str]:
        """From the end of each way back to the spine."""
        target = float(LEFT)
        for x, way in _offsets(ways, span, width):
            if way.sequence.ends:
                continue
            wide = self.wide(way.people)
            if x == 0:
                yield _spine(wide, JOIN)
            elif wide:
                yield _across(x + LEFT, target, wide, JOIN)
            target += wide if self.walked else 0


def _spine(wide: float, height: int) -> str:
    return f"M{LEFT} 0H{LEFT + wide}V{height}H{LEFT}z" if wide else ""


def _wide(units: int, span: int, width: int) -> int:
    column = (width - GAP * (span - 1)) / span
    return round(units * column + (units - 1) * GAP)


def _offsets(ways: Sequence[Way], span: int, width: int) -> Iterator[tuple[float, Way]]:
    x = 0.0
    for way in ways:
        yield x, way
        x += _wide(way.units, span, width) + GAP


def _leaving(x: float, thick: float, y: float) -> str:
    """A ribbon from the spine out to the words at its right."""
    low, reach = y + thick / 2, 94
    high, end = low - thick, round(x + thick, 1)
    out = f"M{x:g} 0C{x:g} {low:g} {x + 18:g} {low:g} {reach} {low:g}"
    return f"{out}V{high:g}C{end + 14:g} {high:g} {end:g} {high:g} {end:g} 0z"


def _across(start: float, end: float, wide: float, height: int) -> str:
    """A ribbon from one column to another, bent at both ends."""
    middle, bend = height / 2, 24 if abs(end - start) > 60 else 8
    sign = 1 if end > start else -1
    low, high = middle + wide / 2, middle - wide / 2
    first, second = (low, high) if sign > 0 else (high, low)
    a, b = start, start + wide
    c, d = end, end + wide
    if sign < 0:
        a, b, c, d = b, a, d, c
    return (
        f"M{a:g} 0C{a:g} {low:g} {a + sign * bend / 2:g} {low:g} {a + sign * bend:g} {low:g}"
        f"H{c - sign * bend:g}C{c:g} {low:g} {c:g} {low:g} {c:g} {height}"
        f"H{d:g}C{d:g} {high:g} {d:g} {high:g} {d - sign * bend:g} {high:g}"
        f"H{b + sign * bend:g}C{b:g} {high:g} {b:g} {high:g} {b:g} 0z"
    )
