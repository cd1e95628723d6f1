"""The made city's road network: main roads, small streets, one-ways, names, and the bend from board to map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from shapely.geometry import LineString, Point, Polygon
from shapely.geometry.base import BaseGeometry

from geodata.network import OneWay, RoadClass, RoadNetwork, Streets, build_network
from geodata.synthetic import plan as board
from geodata.synthetic.blocks import (
    CAMPUS,
    DENSE,
    ESTATE,
    GRID,
    MIXED,
    OLD,
    RURAL,
    SUBURB,
    TOWN,
    WORKS,
    Drawn,
    Pattern,
    fill,
)
from geodata.synthetic.graph import Graph, Lines, chains, clean, largest_part, meet
from geodata.synthetic.names import Names
from geodata.synthetic.plan import Plan, Road
from geodata.synthetic.streams import EPSG, stream
from geodata.synthetic.warp import Warp

BEND_STEP_M = 45.0
SHAPE_TOLERANCE_M = 1.2


@dataclass(frozen=True, eq=False)
class Quarter:
    """A part of the board with one pattern of streets and one density of residents."""

    shape: Polygon
    face: Polygon
    pattern: Pattern


def quarters(plan: Plan, seed: int) -> list[Quarter]:
    """The land between the main roads, cut out of water, parks and the rooms of the expressways."""
    lines = [road.line for road in plan.roads if not road.ramp]
    lines += [plan.boundary.exterior, *plan.shores]
    blocks = shapely.get_parts(shapely.polygonize([shapely.union_all(lines, grid_size=0.01)]))
    room = shapely.union_all([road.line.buffer(58) for road in plan.roads if road.elevated])
    closed: list[BaseGeometry] = [park.buffer(board.RIM_M - 3) for park in plan.parks.values()]
    closed += [plan.water.buffer(36), plan.island.buffer(20), plan.airport.buffer(board.AIRPORT_RIM_M - 15), room]
    closed += [place.buffer(285) for place in plan.interchanges]
    no_go = shapely.union_all(closed)
    shapely.prepare(no_go)
    towns = [_town(x, y, radius, stream(seed, f"town {x:.0f}")) for x, y, radius in board.TOWNS]
    found: list[Quarter] = []
    ring = Polygon(plan.roads[0].line.coords)
    for block in blocks:
        if not block.representative_point().within(plan.boundary):
            continue
        land = block.difference(no_go)
        inside = block.representative_point().within(ring)
        for town in [] if inside else towns:
            if town.intersects(land):
                found += [Quarter(part, block, TOWN) for part in _parts(land.intersection(town))]
                land = land.difference(town)
        pattern = _pattern(block.centroid, inside)
        found += [Quarter(part, block, pattern) for part in _parts(land)]
    return found


def _town(x: float, y: float, radius: float, rng: np.random.Generator) -> Polygon:
    angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    reach = radius * rng.uniform(0.72, 1.1, 16)
    return Polygon(np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], axis=1))


def _parts(shape: BaseGeometry) -> list[Polygon]:
    """What is large and wide enough to be built on."""
    parts = [part for part in getattr(shape, "geoms", [shape]) if isinstance(part, Polygon)]
    return [part for part in parts if part.area > 15_000 and 2 * part.area > 30 * part.length]


def _pattern(place: Point, inside: bool) -> Pattern:
    if not inside:
        return SUBURB if any(place.within(zone) for zone in board.GROWTH) else RURAL
    zones = (
        (board.OLD_TOWN, OLD),
        (board.INDUSTRY, WORKS),
        (board.NEW_TOWN, GRID),
        (board.CAMPUS, CAMPUS),
        (board.CENTRE, DENSE if (place.x // 1400 + place.y // 1600) % 3 < 2 else MIXED),
    )
    return next((pattern for zone, pattern in zones if place.within(zone)), None) or (
        ESTATE if place.distance(Point(0, 0)) < 6300 and (place.x // 1300 + 2 * (place.y // 1500)) % 4 else SUBURB
    )


def _lines(roads: list[Road], thin: list[float]) -> Lines:
    xy, of = shapely.get_coordinates([road.line for road in roads], return_index=True)
    inner = of[1:] == of[:-1]
    of = of[:-1][inner]
    n = len(roads)
    new = np.r_[True, np.diff(of) != 0]
    last = np.roll(new, -1)
    elevated, ramp, down, up = np.array([(r.elevated, r.ramp, r.from_above, r.to_above) for r in roads]).T[:, of]
    return Lines(
        begin=xy[:-1][inner],
        end=xy[1:][inner],
        road=np.arange(n)[of],
        road_class=np.array([road.road_class for road in roads], np.uint8)[of],
        one_way=np.array([road.one_way for road in roads], np.int8)[of],
        begin_above=elevated | (down & new),
        end_above=elevated | (up & last),
        raised=elevated | ramp,
        thin=np.array(thin)[of],
    )


def small_streets(found: list[Quarter], plan: Plan, seed: int) -> tuple[list[Road], list[float]]:
    """The small streets of all quarters, and how many of each may be taken away."""
    roads: list[Road] = []
    thin: list[float] = []
    main = shapely.union_all([road.line for road in plan.roads if not road.elevated and not road.ramp]).buffer(4)
    shapely.prepare(main)
    for number, quarter in enumerate(found):
        rng = stream(seed, f"quarter {number}")
        drawn: list[Drawn] = list(fill(quarter.shape, quarter.face, quarter.pattern, rng))
        if quarter.pattern is not RURAL and quarter.shape.area > 60_000:
            edge = quarter.shape.exterior.difference(main)
            drawn += [
                (line.simplify(4), RoadClass.LOCAL)
                for line in getattr(shapely.line_merge(edge), "geoms", [edge])
                if line.length > 180
            ]
        for index, (line, road_class) in enumerate(drawn):
            through = road_class == RoadClass.LOCAL and line.length > 260 and rng.random() < quarter.pattern.one_way
            way = (OneWay.FORWARD if index % 2 else OneWay.BACKWARD) if through else OneWay.NO
            named = quarter.pattern is not RURAL and (line.length > 300 or road_class == RoadClass.COLLECTOR)
            key = f"block {number}/{index}" if road_class == RoadClass.LOCAL else f"through {number}/{index}"
            roads.append(Road(key if named else "", line, road_class, way))
            thin.append(quarter.pattern.thin if road_class == RoadClass.LOCAL else 0.0)
    return roads, thin


def make_network(plan: Plan, warp: Warp, seed: int) -> tuple[RoadNetwork, list[Quarter]]:
    """The road network on the map, and the quarters on the board."""
    found = quarters(plan, seed)
    small, thin = small_streets(found, plan, seed)
    roads = [*plan.roads, *small]
    graph = meet(_lines(roads, [0.0] * len(plan.roads) + thin))
    graph = largest_part(clean(graph, stream(seed, "clean")))
    network, _ = build_network(_streets(graph, roads, warp, seed))
    return network, found


def _streets(graph: Graph, roads: list[Road], warp: Warp, seed: int) -> Streets:
    strung = chains(graph)
    edge = np.array([chain[0] for chain in strung])
    ends = np.array([(chain[1], chain[-1]) for chain in strung])
    # a street's line runs as it was strung, its one-way sense as its first edge
    turned = graph.start[edge] != ends[:, 0]
    lines = np.array([LineString(graph.xy[chain[1:]]) for chain in strung], object)
    lines = shapely.transform(shapely.segmentize(lines, BEND_STEP_M), warp)
    lines = shapely.simplify(lines, SHAPE_TOLERANCE_M)
    names = Names(seed, "roads")
    label = [names.road(roads[i].key, roads[i].road_class) for i in graph.road[edge].tolist()]
    return Streets(
        epsg=EPSG,
        start=ends[:, 0],
        end=ends[:, 1],
        one_way=np.where(turned, -graph.one_way[edge], graph.one_way[edge]).astype(np.int8),
        road_class=graph.road_class[edge],
        speed_kmh=np.full(len(strung), np.nan),
        name=label,
        shape_first=np.r_[0, np.cumsum(shapely.get_num_coordinates(lines))],
        shape_xy_m=shapely.get_coordinates(lines),
    )
