"""`pure` two circles whose areas, and the area they share, are as large as the numbers they stand for."""

import math
from dataclasses import dataclass

WIDE, HIGH, EDGE = 460, 220, 6


@dataclass(frozen=True, slots=True)
class Circle:
    """One of the two, in pixels."""

    x: float
    y: float
    r: float


@dataclass(frozen=True, slots=True)
class Venn:
    """Both circles, and where the number of each part stands."""

    left: Circle
    right: Circle
    only_left: float
    both: float
    only_right: float
    y: float


def draw(one: int, other: int, both: int) -> Venn | None:
    """The diagram of two sets of these sizes that share so many; None if one of them is empty."""
    if min(one, other) <= 0:
        return None
    both = min(both, one, other)
    first, second = math.sqrt(one / math.pi), math.sqrt(other / math.pi)
    apart = _distance(first, second, both)
    begin, end = min(-first, apart - second), max(first, apart + second)
    scale = min((WIDE - 2 * EDGE) / (end - begin), (HIGH - 2 * EDGE) / (2 * max(first, second)))
    start, y = (WIDE - (end - begin) * scale) / 2 - begin * scale, HIGH / 2
    left = Circle(round(start, 1), y, round(first * scale, 1))
    right = Circle(round(start + apart * scale, 1), y, round(second * scale, 1))
    inner = max(left.x - left.r, right.x - right.r), min(left.x + left.r, right.x + right.r)
    return Venn(
        left,
        right,
        only_left=round((left.x - left.r + max(inner[0], left.x - left.r)) / 2, 1),
        both=round(sum(inner) / 2, 1),
        only_right=round((min(inner[1], right.x + right.r) + right.x + right.r) / 2, 1),
        y=y,
    )


def _distance(first: float, second: float, area: float) -> float:
    """How far apart two circles of these radii share this area, found by halving."""
    if area <= 0:
        return (first + second) * 1.04
    low, high = abs(first - second), first + second
    for _ in range(60):
        middle = (low + high) / 2
        if shared(first, second, middle) > area:
            low = middle
        else:
            high = middle
    return low


def shared(first: float, second: float, apart: float) -> float:
    """The area two circles have in common."""
    if apart >= first + second:
        return 0.0
    if apart <= abs(first - second):
        return math.pi * min(first, second) ** 2
    one = (apart**2 + first**2 - second**2) / (2 * apart * first)
    other = (apart**2 + second**2 - first**2) / (2 * apart * second)
    root = (first + second - apart) * (apart + first - second) * (apart - first + second) * (apart + first + second)
    corner = math.sqrt(max(0.0, root))
    clamp = [max(-1.0, min(1.0, angle)) for angle in (one, other)]
    return first**2 * math.acos(clamp[0]) + second**2 * math.acos(clamp[1]) - corner / 2
