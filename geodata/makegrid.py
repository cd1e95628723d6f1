"""A grid and posts made by rule, for a city that has no files of its own for them."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import KDTree

from geodata.blocks import road_blocks
from geodata.grid import CELL_COLUMNS, RoadPieces
from geodata.network import Floats, RoadClass, RoadNetwork
from geodata.positions import locate, snap
from geodata.sites import POST_COLUMNS, Posts

SLIVER_SHARE = 0.1
"""A clipped cell below this share of a whole one joins its neighbour. Assumed."""
MOST_ROUNDS = 50
"""Of moving the posts; they hardly move after twenty."""
POST_CAPACITY = 2
"""Units that can stand by at a made post. Assumed."""

Polygons = NDArray[np.object_]


class CellKind(StrEnum):
    """Squares on a lattice of round coordinates, hexagons with the cell's length between opposite sides, or the
    blocks between main roads."""

    SQUARE = "square"
    HEX = "hex"
    BLOCKS = "blocks"


def make_grid(
    areas: gpd.GeoDataFrame,
    kind: CellKind,
    cell_m: float,
    *,
    network: RoadNetwork | None = None,
    least_class: RoadClass = RoadClass.ARTERIAL,
) -> gpd.GeoDataFrame:
    """Cells that fill the areas (columns `code`, `name`, `geometry`, projected CRS), each in exactly one of them.

    Columns `CELL_COLUMNS`, `residents` NaN. Codes are "<area>-<row>-<column>", rows counted from the north, columns
    from the west; blocks are "<area>-B<number>" in reading order. Where areas overlap, the first has the ground. A
    clipped cell, or a block, below `SLIVER_SHARE` of a square of `cell_m` (a hexagon so wide) joins the neighbour in
    its area with the longest common border; without a neighbour it stays. Blocks lie between the `network`'s roads of
    `least_class` and above; see `geodata.blocks`.

    Raises:
        ValueError: `cell_m` is not positive; blocks are asked for without a network.
    """
    if not cell_m > 0:
        raise ValueError(f"cell_m = {cell_m}, expected more than 0 m")
    shapes = without_overlaps(np.asarray(areas.geometry.array, object))
    if kind is CellKind.BLOCKS:
        if network is None:
            raise ValueError("no network, expected one whose main roads bound the blocks")
        blocks, of = road_blocks(shapes, network, SLIVER_SHARE * cell_m**2, least_class)
        number = np.arange(len(blocks)) - np.searchsorted(of, of) + 1
        return _cell_table(areas, of, [f"B{i:04d}" for i in number], blocks)
    bounds = np.array(areas.total_bounds)
    cells, row, column = LATTICES[kind](bounds, cell_m)
    whole_m2 = float(shapely.area(cells[0]))
    tree = shapely.STRtree(cells)
    owner: list[int] = []
    places: list[str] = []
    polygons: list[shapely.Geometry] = []
    for i, shape in enumerate(shapes):
        met = np.sort(tree.query(shape, predicate="intersects"))
        clipped = _clip(cells[met], shape)
        ground = shapely.area(clipped) > 0
        met, clipped = met[ground], clipped[ground]
        met, clipped = _join_slivers(met, clipped, SLIVER_SHARE * whole_m2)
        owner += [i] * len(met)
        places += [f"{r:03d}-{c:03d}" for r, c in zip(row[met], column[met], strict=True)]
        polygons += clipped.tolist()
    return _cell_table(areas, np.array(owner, np.int64), places, np.array(polygons, object))


def _cell_table(
    areas: gpd.GeoDataFrame, owner: NDArray[np.int64], places: list[str], polygons: Polygons
) -> gpd.GeoDataFrame:
    """The cells of the areas by their place in them."""
    parents, names = (areas[column].to_numpy(object)[owner] for column in ("code", "name"))
    codes = [f"{parent}-{place}" for parent, place in zip(parents, places, strict=True)]
    names = [f"{name} {place}" for name, place in zip(names, places, strict=True)]
    table = gpd.GeoDataFrame(
        {"code": codes, "parent": parents, "name": names, "name_en": codes, "residents": np.nan},
        geometry=polygons,
        crs=areas.crs,
    )
    return table[list(CELL_COLUMNS)]


def without_overlaps(shapes: Polygons) -> Polygons:
    """The same polygons, each without what an earlier one covers already."""
    shapes = shapes.copy()
    one, other = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    for later in np.unique(one[one > other]):
        earlier = shapes[other[(one == later) & (other < later)]]
        over = shapely.intersection(earlier, shapes[later])
        if (shapely.area(over) > 0).any():
            shapes[later] = _polygonal(shapely.difference(shapes[later], shapely.union_all(earlier)))
    return shapes


def _squares(bounds: Floats, cell_m: float) -> tuple[Polygons, NDArray[np.int64], NDArray[np.int64]]:
    west, south = np.floor(bounds[:2] / cell_m)
    east, north = np.ceil(bounds[2:] / cell_m)
    column, row = (a.ravel() for a in np.meshgrid(np.arange(east - west), np.arange(north - south)))
    left, top = (west + column) * cell_m, (north - row) * cell_m
    boxes = np.asarray(shapely.box(left, top - cell_m, left + cell_m, top), object)
    return boxes, row.astype(np.int64) + 1, column.astype(np.int64) + 1


def _hexagons(bounds: Floats, cell_m: float) -> tuple[Polygons, NDArray[np.int64], NDArray[np.int64]]:
    west, south, east, north = bounds
    side = cell_m / np.sqrt(3)
    column, row = (
        a.ravel()
        for a in np.meshgrid(np.arange((east - west) // cell_m + 3), np.arange((north - south) // (1.5 * side) + 3))
    )
    x, y = west + (column - 1 + row % 2 / 2) * cell_m, north - (row - 0.5) * 1.5 * side
    angle = np.deg2rad(30 + 60 * np.arange(6))
    ring = np.stack([x[:, None] + side * np.cos(angle), y[:, None] + side * np.sin(angle)], axis=2)
    # neighbours share their corners exactly
    hexagons = np.asarray(shapely.polygons(np.round(ring, 3)), object)
    return hexagons, row.astype(np.int64) + 1, column.astype(np.int64) + 1


LATTICES: dict[CellKind, Callable[[Floats, float], tuple[Polygons, NDArray[np.int64], NDArray[np.int64]]]] = {
    CellKind.SQUARE: _squares,
    CellKind.HEX: _hexagons,
}


def _clip(cells: Polygons, shape: shapely.Geometry) -> Polygons:
    shapely.prepare(shape)
    clipped = cells.copy()
    for i in np.flatnonzero(~shapely.covers(shape, cells)):
        clipped[i] = _polygonal(shapely.intersection(cells[i], shape))
    return clipped


def _polygonal(shape: shapely.Geometry) -> shapely.Geometry:
    """Without the lines and points that a clip leaves where borders touch."""
    parts = np.asarray(shapely.get_parts(shape), object)
    flat = parts[shapely.get_dimensions(parts) == 2]
    polygon: shapely.Geometry = flat[0] if len(flat) == 1 else shapely.multipolygons(flat)
    return polygon


def _join_slivers(met: NDArray[np.int64], cells: Polygons, least_m2: float) -> tuple[NDArray[np.int64], Polygons]:
    """Smallest first, so that slivers in a row may join one another and then a whole cell."""
    area_m2 = np.asarray(shapely.area(cells))
    grown, joined = cells.copy(), np.arange(len(cells))
    tree = shapely.STRtree(cells)
    for i in np.argsort(area_m2, kind="stable")[: np.count_nonzero(area_m2 < least_m2)]:
        if shapely.area(grown[i]) >= least_m2:
            continue
        near = np.unique(joined[tree.query(grown[i], predicate="intersects")])
        near = near[near != i]
        border_m = np.asarray(shapely.length(shapely.intersection(grown[near], grown[i])))
        if len(near) and border_m.max() > 0:
            target = near[np.argmax(border_m)]
            grown[target] = shapely.union(grown[target], grown[i])
            joined[joined == i] = target
    kept = np.unique(joined)
    return met[kept], grown[kept]


def spread_residents(total: int, weight: Floats) -> NDArray[np.int64]:
    """`total` residents over cells in proportion to (n,) weights, such as metres of road, as whole numbers that add
    up to it (largest remainders).

    Raises:
        ValueError: no weight is positive, or one is negative.
    """
    if not (weight >= 0).all() or not weight.sum() > 0:
        raise ValueError(f"weights from {weight.min()} to {weight.max()}, expected none below 0 and one above")
    share = total * (weight / weight.max()) / (weight / weight.max()).sum()
    count: NDArray[np.int64] = np.floor(share).astype(np.int64)
    # rounding may lift a share to the next whole number: what is then too much comes off the smallest remainders
    missing = total - int(count.sum())
    order = np.argsort(count - share, kind="stable") if missing >= 0 else np.argsort(share - count, kind="stable")
    order = order[weight[order] > 0]
    count[order[: abs(missing)]] += np.sign(missing)
    return count


def made_posts(network: RoadNetwork, pieces: RoadPieces, cell_weight: Floats, n: int, seed: int) -> Posts:
    """`n` standby points (屯警点) spread by weight: weighted k-means (Lloyd 1982) over the pieces of street.

    `cell_weight` (cells,), such as residents, is spread over each cell's road by length. Seeds are drawn in
    proportion to weight and squared distance (Arthur and Vassilvitskii 2007). Each centre is moved to the nearest
    road. The same seed gives the same posts.

    Raises:
        ValueError: fewer pieces of street with weight than posts.
    """
    length_m = pieces.to_m - pieces.from_m
    cell_m = np.bincount(pieces.cell, length_m, minlength=len(cell_weight))
    weight = length_m * (cell_weight / np.where(cell_m > 0, cell_m, 1))[pieces.cell]
    middle = np.clip((pieces.from_m + pieces.to_m) / 2 / network.street_length_m[pieces.street], 0, 1)
    xy = shapely.get_coordinates(shapely.line_interpolate_point(network.lines[pieces.street], middle, normalized=True))
    xy, weight = xy[weight > 0], weight[weight > 0]
    if not 0 < n <= len(np.unique(xy, axis=0)):
        raise ValueError(f"{n} posts asked for, expected 1 to {len(np.unique(xy, axis=0))}, a piece of street for each")
    positions, _ = snap(network, _weighted_means(xy, weight, n, np.random.default_rng(seed)))
    spot = locate(network, positions)
    order = np.lexsort((spot[:, 0], -spot[:, 1]))
    number = [f"{i + 1:0{max(3, len(str(n)))}d}" for i in range(n)]
    table = gpd.GeoDataFrame(
        {
            "id": [f"P{i}" for i in number],
            "name": [f"屯警点{i}" for i in number],
            "name_en": [f"Standby point {i}" for i in number],
            "kind": "standby",
            "capacity": POST_CAPACITY,
        },
        geometry=gpd.points_from_xy(*spot[order].T),
        crs=network.epsg,
    )
    return Posts(table[list(POST_COLUMNS)], positions.take(order.astype(np.int32)))


def _weighted_means(xy: Floats, weight: Floats, n: int, rng: np.random.Generator) -> Floats:
    """(n, 2) centres; none is left without a point."""
    chosen = [int(rng.choice(len(xy), p=weight / weight.sum()))]
    away2: Floats = ((xy - xy[chosen[0]]) ** 2).sum(axis=1)
    for _ in range(n - 1):
        pull = weight * away2
        chosen.append(int(rng.choice(len(xy), p=pull / pull.sum())))
        away2 = np.minimum(away2, ((xy - xy[chosen[-1]]) ** 2).sum(axis=1))
    centre: Floats = xy[chosen]
    for _ in range(MOST_ROUNDS):
        _, nearest = KDTree(centre).query(xy)
        mass = np.bincount(nearest, weight, minlength=n)
        moved: Floats = np.column_stack([np.bincount(nearest, weight * axis, minlength=n) for axis in xy.T])
        moved = np.where(mass[:, None] > 0, moved / np.where(mass > 0, mass, 1)[:, None], centre)
        if np.abs(moved - centre).max() < 1:
            break
        centre = moved
    return centre
