"""The small streets inside a block between main roads, in the pattern of its quarter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon

from geodata.network import Floats, RoadClass

REACH_M = 2.0
"""Small streets are drawn this far over what they end at, so that they surely meet it."""
Drawn = tuple[LineString, RoadClass]


@dataclass(frozen=True, slots=True)
class Pattern:
    """How a quarter is laid out."""

    name: str
    spacing_m: tuple[float, float]
    jitter: float
    """Of the spacing, for each street's place."""
    lean_deg: float
    """How far from square a dividing street may run."""
    thin: float
    """Share of the streets that is taken away."""
    residents_km2: float
    lattice: bool
    """A lattice of through streets, or blocks divided again and again."""
    one_way: float
    """Share of the small through streets that are one-way."""


OLD = Pattern("old town", (78, 118), 0.20, 7, 0.10, 15500, False, 0.34)
DENSE = Pattern("dense", (112, 148), 0.12, 3, 0.15, 12500, True, 0.20)
MIXED = Pattern("mixed", (120, 175), 0.20, 6, 0.13, 10500, False, 0.06)
GRID = Pattern("new town", (128, 168), 0.03, 0, 0.06, 8800, True, 0.14)
ESTATE = Pattern("estates", (140, 205), 0.22, 9, 0.16, 7800, False, 0.02)
SUBURB = Pattern("suburb", (195, 290), 0.24, 11, 0.16, 4600, False, 0.0)
CAMPUS = Pattern("campus", (210, 270), 0.25, 14, 0.20, 6000, False, 0.0)
WORKS = Pattern("industry", (250, 380), 0.08, 0, 0.22, 1100, True, 0.0)
TOWN = Pattern("town", (125, 170), 0.18, 8, 0.14, 4300, False, 0.0)
RURAL = Pattern("country", (620, 800), 0.28, 16, 0.12, 260, False, 0.0)


def fill(region: Polygon, face: Polygon, pattern: Pattern, rng: np.random.Generator) -> Iterator[Drawn]:
    """Small streets within `region`; `face` is the whole block between main roads, whose middle lines are through
    roads that the next block goes on with."""
    size = min(pattern.spacing_m) ** 2
    if region.area > 1.5 * size:
        yield from (_lattice if pattern.lattice else _divided)(region, face, pattern, rng)


def _middles(face: Polygon, pattern: Pattern) -> Iterator[tuple[int, float]]:
    """Axis and place of a block's through roads."""
    west, south, east, north = face.bounds
    if face.area > 0.72 * (east - west) * (north - south) and pattern is not RURAL:
        if east - west > 5.5 * pattern.spacing_m[0]:
            yield 0, (west + east) / 2
        if north - south > 5.5 * pattern.spacing_m[0]:
            yield 1, (south + north) / 2


def _straight(axis: int, place: float, bounds: tuple[float, float, float, float]) -> LineString:
    west, south, east, north = bounds
    return LineString([(place, south - 9), (place, north + 9)] if axis == 0 else [(west - 9, place), (east + 9, place)])


def _lattice(part: Polygon, face: Polygon, pattern: Pattern, rng: np.random.Generator) -> Iterator[Drawn]:
    middles = dict(_middles(face, pattern))
    long_first = bool(rng.random() < 0.5)
    for axis in (0, 1):
        low, high = face.bounds[axis], face.bounds[axis + 2]
        spacing = pattern.spacing_m[axis if long_first else 1 - axis]
        stops = [low, middles[axis], high] if axis in middles else [low, high]
        for a, b in pairwise(stops):
            n = max(1, round((b - a) / spacing))
            step = (b - a) / n
            places = a + step * (np.arange(1, n) + rng.uniform(-pattern.jitter, pattern.jitter, n - 1))
            for place in places.tolist():
                yield from _clipped(_straight(axis, place, face.bounds), part, RoadClass.LOCAL)
        if axis in middles:
            yield from _clipped(_straight(axis, middles[axis], face.bounds), part, RoadClass.COLLECTOR)


def _clipped(line: LineString, frame: Polygon, road_class: RoadClass) -> Iterator[Drawn]:
    """The parts of a straight line within a frame, a little longer than that."""
    inside = shapely.intersection(line, frame)
    for piece in getattr(inside, "geoms", [inside]):
        if isinstance(piece, LineString) and piece.length > 70:
            ends = np.asarray(piece.coords)[[0, -1]]
            over = REACH_M * (ends[1] - ends[0]) / piece.length
            yield LineString([ends[0] - over, ends[1] + over]), road_class


def _divided(part: Polygon, face: Polygon, pattern: Pattern, rng: np.random.Generator) -> Iterator[Drawn]:
    pieces = [part]
    for axis, place in _middles(face, pattern):
        line = _straight(axis, place, face.bounds)
        yield from _clipped(line, part, RoadClass.COLLECTOR)
        pieces = [half for piece in pieces for half in _halves(piece, line)]
    target = pattern.spacing_m[0] * pattern.spacing_m[1]
    while pieces:
        piece = pieces.pop()
        if piece.area < target * rng.uniform(1.25, 2.0):
            continue
        line = _divider(piece, pattern, rng)
        halves = _halves(piece, line)
        # a small remnant ends the dividing of a small block; a large one, bent about its middle, goes on
        if len(halves) < 2 or (min(half.area for half in halves) < 0.3 * target and piece.area < 4 * target):
            continue
        yield from _clipped(line, piece, RoadClass.LOCAL)
        pieces += halves


def _halves(piece: Polygon, line: LineString) -> list[Polygon]:
    """What lies on each side of a straight line that is longer than the piece."""
    a, b = np.asarray(line.coords)[[0, -1]]
    ahead = b - a
    aside = np.array([-ahead[1], ahead[0]])
    sides = shapely.polygons(
        [[a - ahead, b + ahead, b + ahead + way * 3 * aside, a - ahead + way * 3 * aside] for way in (1, -1)]
    )
    halves = shapely.get_parts(shapely.intersection(piece, sides))
    return [half for half in halves if isinstance(half, Polygon)]


def _divider(piece: Polygon, pattern: Pattern, rng: np.random.Generator) -> LineString:
    """Across the longer way of a block, near its middle, nearly square to it."""
    corners = _box_corners(piece)
    sides = corners[1:3] - corners[:2]
    lengths = np.hypot(*sides.T)
    longer = int(lengths[1] > lengths[0])
    ahead = sides[longer] / lengths[longer]
    shift = float(rng.uniform(-1, 1)) * pattern.jitter * lengths[longer] * 0.5
    middle = corners[:4].mean(axis=0) + shift * ahead
    angle = np.radians(90 + float(rng.uniform(-1, 1)) * pattern.lean_deg)
    across = np.array(
        [np.cos(angle) * ahead[0] - np.sin(angle) * ahead[1], np.sin(angle) * ahead[0] + np.cos(angle) * ahead[1]]
    )
    reach = lengths.sum()
    return LineString([middle - reach * across, middle + reach * across])


def _box_corners(piece: Polygon) -> Floats:
    return np.asarray(shapely.get_coordinates(shapely.oriented_envelope(piece)), float)
