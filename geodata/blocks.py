"""Cells bounded by roads: the blocks between main roads inside a boundary."""

from __future__ import annotations

import heapq

import numpy as np
import shapely
from numpy.typing import NDArray

from geodata.borders import edges
from geodata.network import Floats, RoadClass, RoadNetwork

Polygons = NDArray[np.object_]
Longs = NDArray[np.int64]
NARROW_M = 40.0
"""A block of less mean width lies between two carriageways or along a bank, and is no cell. Assumed."""


def road_blocks(
    shapes: Polygons, network: RoadNetwork, least_m2: float, least_class: RoadClass = RoadClass.ARTERIAL
) -> tuple[Polygons, Longs]:
    """The blocks between roads of a class or above inside polygons that do not overlap, and the polygon of each.

    They fill the polygons without gap or overlap, in reading order within each: rows from the north, from the west.
    A block smaller than `least_m2` or narrower than `NARROW_M` on average (strips between carriageways) joins the
    neighbour in its polygon with the longest common border, the smallest first; without a neighbour it stays.
    """
    roads = network.lines[network.street_class <= least_class]
    near = shapely.STRtree(shapes).query(roads, predicate="intersects")[0]
    noded = shapely.union_all([*roads[np.unique(near)], *shapely.get_parts(shapely.boundary(shapes))])
    faces = np.asarray(shapely.get_parts(shapely.polygonize(shapely.get_parts(noded))), object)
    inner = shapely.point_on_surface(faces)
    face, shape = shapely.STRtree(shapes).query(inner, predicate="within")
    faces, of = faces[face], shape.astype(np.int64)
    joined = _join_small(faces, of, least_m2)
    blocks, start = np.unique(joined, return_index=True)
    merged = np.array([shapely.coverage_union_all(faces[joined == block]) for block in blocks], object)
    return _in_reading_order(merged, of[start])


def _join_small(faces: Polygons, of: Longs, least_m2: float) -> Longs:
    """(faces,) the face that each belongs to in the end, itself or another."""
    around: list[dict[int, float]] = [{} for _ in faces]
    borders = edges(faces).borders
    for (one, other), metres in zip(borders.pairs.tolist(), borders.length_m.tolist(), strict=True):
        if of[one] == of[other]:
            around[one][other] = around[other][one] = metres
    area_m2, round_m = shapely.area(faces).tolist(), shapely.length(faces).tolist()
    joined = np.arange(len(faces))

    def is_small(i: int) -> bool:
        return bool(area_m2[i] < least_m2 or 2 * area_m2[i] / round_m[i] < NARROW_M)

    waiting = [(area_m2[i], i) for i in range(len(faces)) if is_small(i)]
    heapq.heapify(waiting)
    while waiting:
        area, i = heapq.heappop(waiting)
        if joined[i] != i or area != area_m2[i] or not is_small(i) or not around[i]:
            continue
        best = max(around[i], key=lambda j: (around[i][j], -j))
        area_m2[best] += area
        round_m[best] += round_m[i] - 2 * around[i][best]
        for j, metres in around[i].items():
            del around[j][i]
            if j != best:
                around[best][j] = around[j][best] = around[best].get(j, 0.0) + metres
        joined[joined == i] = best
        if is_small(best):
            heapq.heappush(waiting, (area_m2[best], best))
    return joined


def _in_reading_order(blocks: Polygons, of: Longs) -> tuple[Polygons, Longs]:
    """By polygon, then in rows as high as the usual block, from the north-west."""
    middle: Floats = shapely.get_coordinates(shapely.point_on_surface(blocks))
    row_m = np.sqrt(np.median(shapely.area(blocks)))
    row = np.floor(-middle[:, 1] / row_m)
    order = np.lexsort((middle[:, 0], row, of))
    return blocks[order], of[order]
