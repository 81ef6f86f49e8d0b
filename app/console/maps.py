"""`pure` a small map without a map: where somebody lives and the shops around, true to scale, drawn by ourselves.

Nothing is asked of any other host, so nobody else learns where a customer lives.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDE, HIGH, EDGE = 376, 220, 26
NEAREST = 6
"""Shops shown besides those she bought in."""
KM_A_DEGREE = 111.2
STEPS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True, slots=True)
class Spot:
    """A shop, and how many of her last orders were placed there."""

    name: str
    latitude: float
    longitude: float
    orders: int = 0


@dataclass(frozen=True, slots=True)
class Mark:
    """A place on the map, in pixels; `left` if its name stands at its left."""

    name: str
    x: float
    y: float
    orders: int
    km: float | None
    left: bool
    named: bool


@dataclass(frozen=True, slots=True)
class Map:
    """Home (None if unknown), shops, the nearest of them, and a bar as long as so many kilometres."""

    home: tuple[float, float] | None
    marks: Sequence[Mark]
    nearest: Mark | None
    bar: float
    km: float


def home(traits: Mapping[str, Any]) -> tuple[float, float] | None:
    """Where somebody lives, as the traits `latitude` and `longitude` say, alone or within `address`."""
    address = traits.get("address")
    for told in (traits, address if isinstance(address, dict) else {}):
        latitude, longitude = _degrees(told.get("latitude"), 90), _degrees(told.get("longitude"), 180)
        if latitude is not None and longitude is not None:
            return latitude, longitude
    return None


def _degrees(told: object, most: float) -> float | None:
    if isinstance(told, int | float) and not isinstance(told, bool) and abs(told) <= most:
        return float(told)
    return None


def draw(lives: tuple[float, float] | None, shops: Sequence[Spot]) -> Map | None:
    """The map of the shops she bought in and those nearest to her; None if there is nothing to relate."""
    apart = {spot: distance(lives, (spot.latitude, spot.longitude)) if lives else None for spot in shops}
    near = sorted((spot for spot in shops if lives), key=lambda spot: apart[spot] or 0.0)[:NEAREST]
    shown = list(dict.fromkeys([*(spot for spot in shops if spot.orders), *near]))
    places = [(spot.latitude, spot.longitude) for spot in shown] + ([lives] if lives else [])
    if len(places) < 2:
        return None
    at, scale = _projection(places)
    best = near[0] if near else None
    marks = []
    for spot in shown:
        x, y = at((spot.latitude, spot.longitude))
        named = spot.orders > 0 or spot is best
        marks.append(Mark(spot.name, x, y, spot.orders, apart[spot], x > WIDE * 0.6, named))
    km = max([step for step in STEPS if step * scale <= WIDE / 3] or STEPS[:1])
    nearest = next((mark for spot, mark in zip(shown, marks, strict=True) if spot is best), None)
    return Map(at(lives) if lives else None, marks, nearest, round(km * scale, 1), km)


def distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Kilometres of the great circle between two places in degrees."""
    (a, b), (c, d) = (map(math.radians, place) for place in (one, other))
    bow = math.sin((c - a) / 2) ** 2 + math.cos(a) * math.cos(c) * math.sin((d - b) / 2) ** 2
    return 12_742 * math.asin(min(1.0, math.sqrt(bow)))


def _projection(places: Sequence[tuple[float, float]]) -> tuple[Any, float]:
    """Degrees to pixels, the same scale both ways, and how many pixels a kilometre is."""
    north, south = max(lat for lat, _ in places), min(lat for lat, _ in places)
    west, east = min(lon for _, lon in places), max(lon for _, lon in places)
    shrink = max(0.05, math.cos(math.radians((north + south) / 2)))
    high, wide = (north - south) * KM_A_DEGREE, (east - west) * KM_A_DEGREE * shrink
    scale = min((WIDE - 2 * EDGE) / max(wide, 0.5), (HIGH - 2 * EDGE) / max(high, 0.5))
    left, top = (WIDE - wide * scale) / 2, (HIGH - high * scale) / 2

    def at(place: tuple[float, float]) -> tuple[float, float]:
        x = left + (place[1] - west) * KM_A_DEGREE * shrink * scale
        return round(x, 1), round(top + (north - place[0]) * KM_A_DEGREE * scale, 1)

    return at, scale
