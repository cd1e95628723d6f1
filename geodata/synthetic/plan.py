"""The plan on the drawing board: water, parks, the main roads and what each quarter is like.

Everything is straight and square here; `geodata.synthetic.warp` bends it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

from geodata.network import OneWay, RoadClass
from geodata.synthetic.streams import stream
from geodata.synthetic.warp import STILL

RIVER_X_M = -1500.0
RIVER_HALF_M = 260.0
BROOK_HALF_M = 48.0
BROOK_Y_M = 2330.0
EAST_BANK_M, WEST_BANK_M = -1120.0, -1880.0
"""The avenues along the river."""
RIM_M, AIRPORT_RIM_M = 45.0, 250.0
"""Between a park, or the airport, and the road around it."""
OLD_TOWN = box(EAST_BANK_M, -1700, 2000, 1550)
CENTRE = box(EAST_BANK_M, -4900, 4850, 4700)
NEW_TOWN = box(-5800, 1700, WEST_BANK_M, 4900)
CAMPUS = box(-3200, -3350, WEST_BANK_M, 0)
INDUSTRY = box(4850, -8000, 8000, -3350)
GROWTH = (box(6500, -1700, 9000, 1600), box(-9000, -1500, -7000, 1800), box(400, 6800, 3600, 8200))
"""Where the city has grown over its ring."""
BRIDGES_Y_M = (-3350.0, 0.0, 3150.0)
EAST_ROWS_Y_M = (-6300.0, -4900.0, -3350.0, -1700.0, 0.0, 1550.0, 3150.0, 4700.0, 6100.0)
WEST_ROWS_Y_M = (-6300.0, -4800.0, -3350.0, 0.0, 1700.0, 3150.0, 4900.0, 6200.0)
EAST_COLUMNS_X_M = (600.0, 2000.0, 3400.0, 4850.0, 6250.0)
WEST_COLUMNS_X_M = (-3200.0, -4500.0, -5800.0)
TO_THE_BOUNDARY = ("row -6300", "row 0", "row 3150", "row 6100", "column 600", "column -4500", "column 4850")
TOWNS = (
    (-9900.0, -2400.0, 950.0),
    (9500.0, -1500.0, 950.0),
    (2300.0, 9500.0, 900.0),
    (-6900.0, 8200.0, 750.0),
    (-2700.0, -9400.0, 1000.0),
    (8000.0, 3450.0, 620.0),
    (7400.0, -7600.0, 800.0),
)
"""Centre and radius of the small towns outside the ring."""
AIRPORT = STILL
AIRPORT_HALF_M = (1200.0, 450.0)
AIRPORT_TURN_DEG = 28.0
AIRPORT_GATE = (8450.0, 4150.0)
"""Where the expressway becomes the terminal's own road."""


@dataclass(frozen=True, eq=False)
class Road:
    """A line on the drawing board. `key` is shared by the parts of one road, which has one name."""

    key: str
    line: LineString
    road_class: RoadClass
    one_way: OneWay = OneWay.NO
    elevated: bool = False
    """Passes over what it crosses; only ramps and other elevated roads join it."""
    from_above: bool = False
    """A ramp that begins at an elevated road and ends on the ground."""
    to_above: bool = False

    @property
    def ramp(self) -> bool:
        return self.from_above or self.to_above


@dataclass(frozen=True, eq=False)
class Plan:
    boundary: Polygon
    river: BaseGeometry
    """With the brook that flows into it, without the island."""
    lake: Polygon
    island: Polygon
    parks: dict[str, BaseGeometry]
    airport: Polygon
    """The room that it takes; the map shows it straight."""
    roads: tuple[Road, ...]
    interchanges: tuple[Point, ...]
    shores: tuple[LineString, ...]
    """Centre lines of the river and the brook: borders of districts and cells."""

    @property
    def water(self) -> BaseGeometry:
        return self.river.union(self.lake)


def draw_plan(seed: int) -> Plan:
    """The plan of the made city for a seed."""
    rng = stream(seed, "plan")
    outline = _round((0, 0), (12200, 11700), rng, wobble=0.05, power=2.3)
    river, island, shores = _waters(rng)
    lake = _round((5600, -2520), (430, 560), rng, wobble=0.16)
    parks = _parks(rng, river.union(island), lake)
    airport = airfield(AIRPORT, -AIRPORT_HALF_M[0], -AIRPORT_HALF_M[1], *AIRPORT_HALF_M)
    boundary = _with_room(outline, airport)
    ring = _ring(rng)
    inland = [park for name, park in parks.items() if not name.startswith("bank")]
    roads, interchanges = _roads(rng, ring, boundary, river, inland, airport)
    return Plan(boundary, river, lake, island, parks, airport, roads, interchanges, shores)


def _with_room(outline: Polygon, airport: Polygon) -> Polygon:
    """The boundary, bulging smoothly around the airport where it would cut into it."""
    wide = outline.union(airport.buffer(2 * AIRPORT_RIM_M)).buffer(900).buffer(-900)
    return Polygon(shapely.get_coordinates(shapely.get_exterior_ring(wide)))


def airfield(centre: Sequence[float], west: float, south: float, east: float, north: float) -> Polygon:
    """A rectangle of the airport, by its distances from the centre before the airport was turned."""
    level = box(centre[0] + west, centre[1] + south, centre[0] + east, centre[1] + north)
    return shapely.affinity.rotate(level, AIRPORT_TURN_DEG, origin=(centre[0], centre[1]))


def _round(
    centre: Sequence[float],
    half: Sequence[float],
    rng: np.random.Generator,
    wobble: float,
    power: float = 2.0,
    points: int = 120,
) -> Polygon:
    """A rounded, slightly irregular outline."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    radius = (np.abs(np.cos(angle) / half[0]) ** power + np.abs(np.sin(angle) / half[1]) ** power) ** (-1 / power)
    for k in range(2, 6):
        radius = radius * (1 + wobble / (k - 1) * np.sin(k * angle + rng.uniform(0, 2 * np.pi)))
    return Polygon(np.asarray(centre) + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))


def _waters(rng: np.random.Generator) -> tuple[BaseGeometry, Polygon, tuple[LineString, ...]]:
    y = np.arange(-15000.0, 15001.0, 100.0)
    bulge = 75 * np.exp(-(((y - 150) / 1300) ** 2))
    sides = []
    for side in (-1, 1):
        width = RIVER_HALF_M + bulge
        for wave in (3100.0, 1700.0, 900.0):
            width = width + 0.007 * wave * np.sin(2 * np.pi * y / wave + rng.uniform(0, 2 * np.pi))
        sides.append(np.stack([RIVER_X_M + side * width, y], axis=1))
    x = np.arange(RIVER_X_M, 15001.0, 50.0)
    bed = BROOK_Y_M + 330 * np.sin((x + 1500) / 900 + rng.uniform(-0.4, 0.4)) * np.clip((x + 1500) / 1500, 0, 1)
    brook = LineString(np.stack([x, bed], axis=1))
    half = np.linspace(BROOK_HALF_M * 1.25, BROOK_HALF_M * 0.6, len(x))
    banks = np.r_[np.stack([x, bed + half], axis=1), np.stack([x, bed - half], axis=1)[::-1]]
    along = np.linspace(-980, 1300, 60)
    lens = 105 * np.sin(np.pi * (along + 980) / 2280) ** 0.6
    island = Polygon(
        np.r_[np.stack([RIVER_X_M + lens, along], axis=1), np.stack([RIVER_X_M - lens, along], axis=1)[::-1]]
    )
    river = Polygon(np.r_[sides[0], sides[1][::-1]]).union(Polygon(banks)).difference(island)
    return river, island, (LineString([(RIVER_X_M, -15000), (RIVER_X_M, 15000)]), brook)


def _parks(rng: np.random.Generator, river: BaseGeometry, lake: Polygon) -> dict[str, BaseGeometry]:
    parks: dict[str, BaseGeometry] = {
        "hill": _round((-4500, -1640), (1050, 1330), rng, wobble=0.10),
        "lake": lake.buffer(170).simplify(2),
        "people": box(700, 260, 1180, 760),
        "martyrs": _round((2750, 880), (330, 400), rng, wobble=0.08, power=3),
        "south": _round((1270, -2560), (360, 300), rng, wobble=0.08, power=3),
        "north": _round((4080, 3900), (360, 300), rng, wobble=0.1, power=3),
        "new town": box(-4180, 2180, -3560, 2720),
        "west": _round((-5150, 5500), (330, 330), rng, wobble=0.1),
        "forest west": _round((-9700, 3900), (1250, 1900), rng, wobble=0.14),
        "forest south": _round((4600, -9300), (1350, 900), rng, wobble=0.14),
        "forest east": _round((10400, 800), (800, 1050), rng, wobble=0.14),
        "forest north": _round((-2900, 9700), (700, 1000), rng, wobble=0.14),
    }
    for name, low, high in (("bank south", -6200, -130), ("bank north", 110, 2120)):
        parks[name] = box(RIVER_X_M, low, EAST_BANK_M - 25, high).difference(river.buffer(12))
    parks["bank west"] = box(WEST_BANK_M + 25, -3200, RIVER_X_M, 4800).difference(river.buffer(12))
    return parks


def _ring(rng: np.random.Generator) -> LineString:
    outline = _round((-300, 0), (7400, 7150), rng, wobble=0.012, power=2.9, points=360)
    return LineString(outline.exterior.coords)


def _roads(
    rng: np.random.Generator,
    ring: LineString,
    boundary: Polygon,
    river: BaseGeometry,
    parks: list[BaseGeometry],
    airport: Polygon,
) -> tuple[tuple[Road, ...], tuple[Point, ...]]:
    loop = _round((0, 0), (9700, 9300), rng, wobble=0.03, power=2.5, points=240)
    surface = list(_main_roads(rng, ring, loop, boundary))
    kept: list[Road] = []
    # roads reach a little over a rim road, so that they surely meet it
    fence = airport.buffer(AIRPORT_RIM_M - 10)
    no_go = shapely.union_all([*(park.buffer(RIM_M - 10) for park in parks), fence])
    for road in surface:
        outside = road.line.intersection(boundary).difference(no_go)
        kept += [Road(road.key, part, road.road_class) for part in _lines(outside) if part.length > 250]
    kept += [
        Road(f"around {i}", ring, RoadClass.COLLECTOR)
        for i, park in enumerate(parks)
        for ring in _lines(park.buffer(RIM_M).simplify(2).boundary)
    ]
    perimeter = airport.buffer(AIRPORT_RIM_M).simplify(6).boundary
    kept += [Road("airport perimeter", line, RoadClass.COLLECTOR) for line in _lines(perimeter)]
    express = list(_expressways(ring, boundary))
    ramps, interchanges = _interchanges(express, kept, river)
    terminal = LineString([AIRPORT_GATE, (8800, 4330), (9150, 4520), (9080, 4665), (8720, 4480), AIRPORT_GATE])
    ramps.append(Road("airport road", terminal, RoadClass.ARTERIAL, from_above=True, to_above=True))
    ramps.append(Road("airport link", LineString([(8800, 4330), (8760, 3800), (8700, 3100)]), RoadClass.COLLECTOR))
    return (*express, *kept, *ramps), interchanges


def _main_roads(rng: np.random.Generator, ring: LineString, loop: Polygon, boundary: Polygon) -> Iterator[Road]:
    inside = Polygon(ring.coords).buffer(500)

    def spread(key: str, line: LineString) -> Iterator[Road]:
        """An arterial within the ring, a country road from there to the outer loop, or a trunk to the boundary."""
        if key in TO_THE_BOUNDARY:
            yield from (Road(key, part, RoadClass.ARTERIAL) for part in _lines(line.intersection(boundary)))
            return
        for part in _lines(line.intersection(inside)):
            yield Road(key, part, RoadClass.ARTERIAL)
        for part in _lines(line.difference(inside).intersection(loop.buffer(5))):
            yield Road(key, part, RoadClass.COLLECTOR)

    def bent(value: float) -> float:
        return value + float(rng.uniform(-60, 60))

    far = 14000.0
    for y in EAST_ROWS_Y_M:
        if y in BRIDGES_Y_M:
            yield from spread(f"row {y:.0f}", LineString([(-far, y), (far, y)]))
        else:
            line = LineString([(EAST_BANK_M, y), (2000, y), (6250, bent(y)), (far, bent(y))])
            yield from spread(f"row {y:.0f}", line)
    for y in set(WEST_ROWS_Y_M) - set(BRIDGES_Y_M):
        yield from spread(f"west row {y:.0f}", LineString([(WEST_BANK_M, y), (-3200, y), (-5800, bent(y)), (-far, y)]))
    for x in (*EAST_COLUMNS_X_M, *WEST_COLUMNS_X_M):
        yield from spread(f"column {x:.0f}", LineString([(x, -far), (x, 0), (bent(x), 4800), (bent(x), far)]))
    for key, x in (("east bank", EAST_BANK_M), ("west bank", WEST_BANK_M)):
        yield from spread(key, LineString([(x, -far), (x, far)]))
    yield Road("south-east avenue", LineString([(2000, -1700), (4200, -4000), (9200, -9000)]), RoadClass.ARTERIAL)
    yield Road("north-west avenue", LineString([(-3200, 1700), (-7300, 6300), (-9500, 9000)]), RoadClass.ARTERIAL)
    # the country road ends at the river's avenues and is an arterial where it crosses the brook
    river = box(WEST_BANK_M + 10, -far, EAST_BANK_M - 10, far)
    brook = box(0, BROOK_Y_M - 600, far, BROOK_Y_M + 600)
    around = LineString(loop.exterior.coords).difference(river)
    yield from (Road("outer loop", part, RoadClass.ARTERIAL) for part in _lines(around.intersection(brook)))
    yield from (Road("outer loop", part, RoadClass.COLLECTOR) for part in _lines(around.difference(brook)))
    yield Road("island", LineString([(RIVER_X_M, -820), (RIVER_X_M, 1120)]), RoadClass.LOCAL)


def _expressways(ring: LineString, boundary: Polygon) -> Iterator[Road]:
    def from_ring(x: float, y: float) -> tuple[float, float]:
        nearest = min(ring.coords, key=lambda c: (c[0] - x) ** 2 + (c[1] - y) ** 2)
        return float(nearest[0]), float(nearest[1])

    def smooth(*points: tuple[float, float]) -> LineString:
        """A quadratic curve through the middle point's pull."""
        (a, b, c), t = np.array(points), np.linspace(0, 1, 40)[:, None]
        return LineString((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)

    yield Road("ring", ring, RoadClass.EXPRESSWAY, elevated=True)
    links = {
        "airport expressway": smooth(from_ring(6600, 4200), (7600, 4000), AIRPORT_GATE),
        "west expressway": smooth(from_ring(-7700, 900), (-9500, 1000), (-14000, -400)),
        "south expressway": smooth(from_ring(1400, -7150), (1500, -9000), (2300, -14000)),
        "north expressway": smooth(from_ring(1300, 7150), (1000, 9500), (-600, 14000)),
        "east expressway": smooth(from_ring(7100, -900), (8600, -500), (14000, -3600)),
    }
    for key, line in links.items():
        for part in _lines(line.intersection(boundary)):
            yield Road(key, part, RoadClass.EXPRESSWAY, elevated=True)


def _interchanges(
    express: list[Road], surface: list[Road], river: BaseGeometry
) -> tuple[list[Road], tuple[Point, ...]]:
    """Four one-way ramps wherever an arterial passes under an expressway, with room to the next such place."""
    joints = [Point(road.line.coords[0]) for road in express[1:]]
    built: list[Point] = []
    ramps: list[Road] = []
    for over in express:
        for under in surface:
            if under.road_class != RoadClass.ARTERIAL:
                continue
            for place in _points(over.line.intersection(under.line)):
                near = [*built, *joints]
                if any(place.distance(other) < 650 for other in near) or place.distance(river) < 330:
                    continue
                new = _ramps(over, under, place)
                if new:
                    ramps += new
                    built.append(place)
    return ramps, tuple(built)


def _ramps(over: Road, under: Road, place: Point) -> list[Road]:
    on, below = over.line.project(place), under.line.project(place)
    if not (270 < on < over.line.length - 270 and 130 < below < under.line.length - 130):
        return []
    way = np.array([over.line.interpolate(on + s).coords[0] for s in (-250, 250)])
    cross = np.array([under.line.interpolate(below + s).coords[0] for s in (-105, 105)])
    ahead, side = way[1] - way[0], cross[1] - cross[0]
    right, left = (0, 1) if ahead[0] * side[1] - ahead[1] * side[0] > 0 else (1, 0)
    here = np.array(place.coords[0])
    made = []
    # traffic keeps to the right: it leaves before the crossing and joins behind it
    for first, last, down in (
        (way[0], cross[right], True),
        (cross[right], way[1], False),
        (way[1], cross[left], True),
        (cross[left], way[0], False),
    ):
        t = np.linspace(0, 1, 9)[:, None]
        pull = here + 0.32 * (first - here) + 0.32 * (last - here)
        curve = (1 - t) ** 2 * first + 2 * t * (1 - t) * pull + t**2 * last
        line = LineString(curve)
        made.append(Road("", line, RoadClass.COLLECTOR, OneWay.FORWARD, from_above=down, to_above=not down))
    return made


def _lines(shape: BaseGeometry) -> list[LineString]:
    return [part for part in getattr(shape, "geoms", [shape]) if isinstance(part, LineString) and not part.is_empty]


def _points(shape: BaseGeometry) -> list[Point]:
    return [part for part in getattr(shape, "geoms", [shape]) if isinstance(part, Point) and not part.is_empty]
