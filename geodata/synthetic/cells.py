"""The managed grid of the made city: cells bounded by streets and banks, in communities, subdistricts and districts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString
from shapely.geometry.base import BaseGeometry

from geodata.grid import Grid, Level
from geodata.network import Floats, RoadClass, RoadNetwork
from geodata.synthetic import plan as board
from geodata.synthetic.names import Names, numeral
from geodata.synthetic.plan import Plan
from geodata.synthetic.streams import EPSG, stream
from geodata.synthetic.streets import Quarter
from geodata.synthetic.warp import Warp

Longs = NDArray[np.int64]
RESIDENTS = 1_150_000
SAMPLE_M = 90.0
"""Between the points that residents are spread over."""
RESIDENTS_A_CELL, KM2_A_CELL = 2700.0, 6.5
SMALL_RESIDENTS, SMALL_M2 = 650.0, 500_000.0
"""A piece of land with fewer residents on less ground is no cell of its own."""
TINY_M2 = 60_000.0
CUT_ROOM = 0.3
"""Of one part's share: how far a cut may be from the wanted one."""
CELLS_A_COMMUNITY, COMMUNITIES_A_SUBDISTRICT = 3.6, 4.8
CITY_CODE = "990100"
DISTRICTS = (
    ("990101", "钟楼区", "Zhonglou District"),
    ("990102", "清泉区", "Qingquan District"),
    ("990103", "东湖区", "Donghu District"),
    ("990104", "云麓区", "Yunlu District"),
    ("990105", "星湾区", "Xingwan District"),
)
STRIP_CUT_M = 430.0
"""How often the banks between the avenue and the water are cut across."""


@dataclass(frozen=True, eq=False)
class Faces:
    """The pieces of land between streets, n of them, on the map."""

    shape: NDArray[np.object_]
    board_xy: Floats
    """(n, 2) a place inside each, on the drawing board."""
    area_m2: Floats
    residents: Floats
    district: Longs
    block: Longs
    """The block between main roads that each lies in; a bank has one block a piece."""
    border: dict[tuple[int, int], float]
    """Metres of border between two faces, the smaller number first."""


def make_grid(plan: Plan, warp: Warp, network: RoadNetwork, quarters: list[Quarter], seed: int) -> Grid:
    """Cells that fill the city's boundary without its river, and the areas above them."""
    faces = _faces(plan, warp, network, quarters, seed)
    cell = _merged(faces, _grouped(faces))
    return _table(faces, cell, seed)


def bend(shape: BaseGeometry, warp: Callable[[Floats], Floats]) -> BaseGeometry:
    """A shape from the drawing board on the map."""
    bent: BaseGeometry = shapely.transform(shapely.segmentize(shape, 45.0), warp)
    return bent


def _faces(plan: Plan, warp: Warp, network: RoadNetwork, quarters: list[Quarter], seed: int) -> Faces:
    river, boundary = bend(plan.river, warp), bend(plan.boundary, warp)
    rims = [boundary.boundary, *shapely.get_rings(river).tolist()]
    rows = np.arange(-12000.0, 12000.0, STRIP_CUT_M)
    across = [LineString([(board.EAST_BANK_M, y), (board.WEST_BANK_M, y)]) for y in rows]
    across += [
        LineString([(x, board.BROOK_Y_M - 480), (x, board.BROOK_Y_M + 480)])
        for x in np.arange(-900.0, 12500, STRIP_CUT_M)
    ]
    banks = plan.river.buffer(170)
    cuts = [line.intersection(banks) for line in across]
    lines = shapely.union_all([*network.lines, *rims, *(bend(cut, warp) for cut in cuts)])
    shape = shapely.get_parts(shapely.polygonize(shapely.get_parts(lines)))
    inner = shapely.point_on_surface(shape)
    shapely.prepare([river, boundary])
    land = shapely.contains(boundary, inner) & ~shapely.contains(river, inner)
    shape, inner = shape[land], inner[land]

    main = network.lines[network.street_class <= RoadClass.COLLECTOR]
    blocks = shapely.get_parts(shapely.polygonize(shapely.get_parts(shapely.union_all([*main, *rims]))))
    face, found = shapely.STRtree(blocks).query(inner, predicate="within")
    block = np.zeros(len(shape), np.int64)
    block[face] = found
    strip = 2 * shapely.area(blocks) / shapely.length(blocks) < 130
    alone = strip[block]
    block[alone] = len(blocks) + np.arange(alone.sum())

    at = warp.inverse(shapely.get_coordinates(inner))
    return Faces(
        shape=shape,
        board_xy=at,
        area_m2=shapely.area(shape),
        residents=_residents(shape, plan, warp, quarters, seed),
        district=_district(at, plan),
        block=block,
        border=_borders(shape),
    )


def _district(xy: Floats, plan: Plan) -> Longs:
    """Which district each of (n, 2) points on the board lies in; the island belongs to the east bank."""
    x, y = xy.T
    east = x > board.RIVER_X_M - 180
    brook = np.interp(x, *np.asarray(plan.shores[1].coords).T)
    centre = east & (y > -3350) & (y < brook) & (x < 3400)
    return np.select([centre, east & (y >= brook), east, y < 1700], [0, 1, 2, 3], 4).astype(np.int64)


def _residents(shape: NDArray[np.object_], plan: Plan, warp: Warp, quarters: list[Quarter], seed: int) -> Floats:
    """Residents of each face: the density of its quarter over sample points, scaled to the city's total."""
    west, south, east, north = plan.boundary.bounds
    grid = np.meshgrid(np.arange(west, east, SAMPLE_M), np.arange(south, north, SAMPLE_M))
    xy = np.stack([part.reshape(-1) for part in grid], axis=1)
    point, quarter = shapely.STRtree([q.shape for q in quarters]).query(shapely.points(xy), predicate="within")
    uneven = stream(seed, "residents").lognormal(0, 0.22, len(quarters))
    density = np.array([q.pattern.residents_km2 for q in quarters]) * uneven
    where, face = shapely.STRtree(shape).query(shapely.points(warp(xy[point])), predicate="within")
    count = np.bincount(face, density[quarter[where]], len(shape))
    scaled: Floats = count * RESIDENTS / count.sum()
    return scaled


def _borders(shape: NDArray[np.object_]) -> dict[tuple[int, int], float]:
    rings, of = shapely.get_rings(shape, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[1:] == ring[:-1]
    a, b, face = xy[:-1][same], xy[1:][same], of[ring[:-1][same]]
    turned = (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] > b[:, 1]))
    key = np.where(turned[:, None], np.c_[b, a], np.c_[a, b])
    order = np.lexsort(np.transpose(key)[::-1])
    twin = (key[order][1:] == key[order][:-1]).all(axis=1)
    first, second = face[order][:-1][twin], face[order][1:][twin]
    length = np.hypot(*(b - a)[order][:-1][twin].T)
    found: dict[tuple[int, int], float] = {}
    for i, j, metres in zip(first.tolist(), second.tolist(), length.tolist(), strict=True):
        if i != j:
            pair = (min(i, j), max(i, j))
            found[pair] = found.get(pair, 0.0) + metres
    return found


def bisect(xy: Floats, weight: Floats, parts: int) -> Longs:
    """Split points into compact parts of about equal weight: halves across the longer way, and those again.

    Near the wanted share, the cut goes where the points leave the widest gap: along a street, where there is one.
    """
    label = np.zeros(len(xy), np.int64)
    if parts < 2 or len(xy) < 2:
        return label
    axis = int(np.argmax(np.ptp(xy, axis=0)))
    order = np.lexsort((xy[:, 1 - axis], xy[:, axis]))
    less = parts // 2
    share = np.cumsum(weight[order])[:-1] / weight.sum()
    off = np.abs(share - less / parts)
    gap = np.where(off <= max(CUT_ROOM / parts, off.min()), np.diff(xy[order, axis]), -1.0)
    cut = int(np.argmax(gap)) + 1
    low, high = order[:cut], order[cut:]
    label[low] = bisect(xy[low], weight[low], less)
    label[high] = less + bisect(xy[high], weight[high], parts - less)
    return label


def _grouped(faces: Faces) -> Longs:
    """Each block between main roads in as many cells as its residents and its size ask for."""
    cell = np.empty(len(faces.shape), np.int64)
    n = 0
    of_block = faces.block * len(DISTRICTS) + faces.district
    order = np.argsort(of_block, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(of_block[order])) + 1):
        people, km2 = faces.residents[rows].sum(), faces.area_m2[rows].sum() / 1e6
        parts = max(1, round(people / RESIDENTS_A_CELL + km2 / KM2_A_CELL))
        weight = faces.residents[rows] + faces.area_m2[rows] / 1e6 * RESIDENTS_A_CELL / KM2_A_CELL + 1
        cell[rows] = n + bisect(faces.board_xy[rows], weight, parts)
        n += parts
    return cell


def _merged(faces: Faces, cell: Longs) -> Longs:
    """What falls apart becomes several cells; what is too small goes to the neighbour with the longest border."""
    parent = np.arange(len(cell))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    around: dict[int, dict[int, float]] = {}
    for i, j in faces.border:
        if cell[i] == cell[j]:
            parent[root(j)] = root(i)
    for (i, j), metres in faces.border.items():
        a, b = root(i), root(j)
        if a != b and faces.district[i] == faces.district[j]:
            for one, other in ((a, b), (b, a)):
                near = around.setdefault(one, {})
                near[other] = near.get(other, 0.0) + metres
    of = np.array([root(i) for i in range(len(cell))])
    people = np.bincount(of, faces.residents, len(cell))
    ground = np.bincount(of, faces.area_m2, len(cell))

    def small(i: int) -> bool:
        return bool((people[i] < SMALL_RESIDENTS and ground[i] < SMALL_M2) or ground[i] < TINY_M2)

    waiting = sorted((i for i in around if small(i)), key=lambda i: (ground[i], i))
    for i in waiting:
        if parent[i] != i or not small(i) or not around[i]:
            continue
        best = max(around[i], key=lambda j: (around[i][j], -j))
        for j, metres in around.pop(i).items():
            around[j].pop(i)
            if j != best:
                around[best][j] = around[best].get(j, 0.0) + metres
                around[j][best] = around[best][j]
        parent[i] = best
        people[best] += people[i]
        ground[best] += ground[i]
    _, joined = np.unique([root(i) for i in range(len(cell))], return_inverse=True)
    return joined.astype(np.int64)


def _table(faces: Faces, cell: Longs, seed: int) -> Grid:
    n = int(cell.max()) + 1
    order = np.argsort(cell, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(cell[order])) + 1)
    shape = np.array([shapely.coverage_union_all(faces.shape[rows]) for rows in groups], object)
    middle = [np.average(faces.board_xy[rows], axis=0, weights=faces.area_m2[rows]) for rows in groups]
    centre = np.array(middle)
    people = np.bincount(cell, faces.residents, n)
    ground_km2 = shapely.area(shape) / 1e6
    district = np.array([faces.district[rows[0]] for rows in groups])
    names = Names(seed, "areas")
    areas: list[tuple[str, str, str, str, str]] = [(CITY_CODE, "", Level.CITY, "云江市", "Yunjiang")]
    code, parent = np.empty(n, object), np.empty(n, object)
    name, name_en = np.empty(n, object), np.empty(n, object)
    for d, (district_code, chinese, english) in enumerate(DISTRICTS):
        areas.append((district_code, CITY_CODE, Level.DISTRICT, chinese, english))
        rows = np.flatnonzero(district == d)
        parts = max(1, round(len(rows) / CELLS_A_COMMUNITY / COMMUNITIES_A_SUBDISTRICT))
        for s, inside in enumerate(_parts(rows, centre, parts), start=1):
            rural = people[inside].sum() / ground_km2[inside].sum() < 1500
            subdistrict_code = f"{district_code}{s:03d}"
            stem, latin = names.stem(subdistrict_code)
            kind, kind_en = ("镇", "Town") if rural else ("街道", "Subdistrict")
            areas.append((subdistrict_code, district_code, Level.SUBDISTRICT, stem + kind, f"{latin} {kind_en}"))
            for c, grids in enumerate(_parts(inside, centre, max(1, round(len(inside) / CELLS_A_COMMUNITY))), start=1):
                village = people[grids].sum() / ground_km2[grids].sum() < 900
                community_code = f"{subdistrict_code}{c:03d}"
                stem, latin = names.stem(community_code)
                kind, kind_en = ("村", "Village") if village else ("社区", "Community")
                areas.append((community_code, subdistrict_code, Level.COMMUNITY, stem + kind, f"{latin} {kind_en}"))
                for g, row in enumerate(_from_north_west(grids, centre), start=1):
                    code[row], parent[row] = f"{community_code}{g:02d}", community_code
                    name[row], name_en[row] = f"{stem}{kind}第{numeral(g)}网格", f"{latin} {kind_en}, Grid {g}"
    by_code = np.argsort(code)
    cells = gpd.GeoDataFrame(
        {
            "code": code[by_code],
            "parent": parent[by_code],
            "name": name[by_code],
            "name_en": name_en[by_code],
            "residents": np.round(people[by_code]).astype(np.int64),
        },
        geometry=shape[by_code],
        crs=EPSG,
    )
    return Grid(cells, pd.DataFrame(areas, columns=["code", "parent", "level", "name", "name_en"]))


def _parts(rows: Longs, centre: Floats, parts: int) -> list[Longs]:
    label = bisect(centre[rows], np.ones(len(rows)), parts)
    groups = [rows[label == part] for part in range(parts) if (label == part).any()]
    return sorted(groups, key=lambda group: tuple(_corner(centre[group].mean(axis=0))))


def _from_north_west(rows: Longs, centre: Floats) -> list[int]:
    return sorted(rows.tolist(), key=lambda row: tuple(_corner(centre[row])))


def _corner(xy: Floats) -> tuple[float, float]:
    """Sorts places from the north-west to the south-east, in rows of 2 km."""
    return -(xy[1] // 2000), float(xy[0])
