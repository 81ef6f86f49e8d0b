"""`pure` the geometry of a Sankey diagram: places in columns, as high as the number that passes them, and ribbons."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

COLUMNS = (0, 475, 950)
HIGH = 320
GAP = 14
LEAST = 3


@dataclass(frozen=True, slots=True)
class Road:
    """So many went from a place of column `part` to a place of the next."""

    part: int
    start: str
    end: str
    number: int


@dataclass(frozen=True, slots=True)
class Node:
    """A place: a rectangle of a column, its label beside it."""

    column: int
    name: str
    number: int
    x: float
    y: float
    height: float
    label: float
    tone: str


@dataclass(frozen=True, slots=True)
class Ribbon:
    """A road, as a closed SVG path."""

    start: str
    end: str
    number: int
    path: str
    tone: str


@dataclass(frozen=True, slots=True)
class Flow:
    """The whole diagram."""

    nodes: Sequence[Node]
    ribbons: Sequence[Ribbon]
    height: float


def draw(roads: Sequence[Road], *, names: Mapping[str, str], tones: Mapping[str, str]) -> Flow | None:
    """Places and ribbons of these roads, the largest at the top; None of none."""
    total = sum(road.number for road in roads if road.part == 0)
    if not total:
        return None
    columns = [_sums(roads, column) for column in range(3)]
    most = max(len(column) for column in columns)
    unit = (HIGH - GAP * (most - 1)) / total
    nodes = {
        (column, key): node
        for column, sums in enumerate(columns)
        for key, node in _stacked(column, sums, unit, names=names, tones=tones)
    }
    height = max(node.y + node.height for node in nodes.values()) + 4
    return Flow(list(nodes.values()), list(_ribbons(roads, nodes, unit)), round(height, 1))


def _sums(roads: Sequence[Road], column: int) -> dict[str, int]:
    sums: dict[str, int] = {}
    for road in roads:
        key = road.start if road.part == column else road.end if (road.part, column) == (1, 2) else None
        if key is not None:
            sums[key] = sums.get(key, 0) + road.number
    return dict(sorted(sums.items(), key=lambda one: (-one[1], one[0])))


def _stacked(
    column: int, sums: Mapping[str, int], unit: float, *, names: Mapping[str, str], tones: Mapping[str, str]
) -> Iterable[tuple[str, Node]]:
    y = 2.0
    for key, number in sums.items():
        height = max(LEAST, number * unit)
        middle = round(y + height / 2 + 4, 1)
        yield (
            key,
            Node(column, names.get(key, key), number, COLUMNS[column], round(y, 1), round(height, 1), middle,
                 tones.get(key, "c5")),
        )  # fmt: skip
        y += height + max(GAP, 18 - height)


def _ribbons(roads: Sequence[Road], nodes: Mapping[tuple[int, str], Node], unit: float) -> Iterable[Ribbon]:
    """Each begins where the one before it ended, on both sides, so that none crosses within a place."""
    left: dict[tuple[int, str], float] = {}
    right: dict[tuple[int, str], float] = {}
    order = {place: n for n, place in enumerate(nodes)}
    for road in sorted(roads, key=lambda one: (order[one.part, one.start], order[one.part + 1, one.end])):
        start, end = nodes[road.part, road.start], nodes[road.part + 1, road.end]
        wide = max(0.8, road.number * unit)
        top = left.get((road.part, road.start), start.y)
        foot = right.get((road.part + 1, road.end), end.y)
        left[road.part, road.start], right[road.part + 1, road.end] = top + wide, foot + wide
        yield Ribbon(
            start.name, end.name, road.number, _path(start.x + 10, top, to_x=end.x, to_y=foot, wide=wide), start.tone
        )


def _path(x: float, y: float, *, to_x: float, to_y: float, wide: float) -> str:
    half = (x + to_x) / 2
    return (
        f"M{x:.1f} {y:.1f}C{half:.1f} {y:.1f} {half:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}"
        f"V{to_y + wide:.1f}C{half:.1f} {to_y + wide:.1f} {half:.1f} {y + wide:.1f} {x:.1f} {y + wide:.1f}Z"
    )
