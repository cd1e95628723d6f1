"""What is reached within a time as polygons: land between roads that are reached, and a strip along each of them.

A hull of the reached roads would leap over rivers and fill what is not reached. Here the ground is cut into triangles
between points of all roads that lie close, and a triangle counts as far as its corners are reached: the polygon ends at
the roads beyond, leaves holes around what is not reached, and never joins two banks of which one is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.spatial import Delaunay

from geodata.network import Floats, Ints, RoadNetwork
from geodata.reach import Reach
from geodata.snapping import points_along

STEP_M = 50.0
"""Roads are seen at points no further apart. Assumed."""
STRIP_M = 50.0
"""How far from a reached road the ground beside it counts where no other road is reached. Assumed."""
BLOCK_M = 400.0
"""Ground between reached roads counts where they lie no further apart. Assumed."""


class _Mesh(NamedTuple):
    """Points of the roads and the triangles between them."""

    xy_m: Floats
    """(p, 2)"""
    street: Ints
    """(q,) a street at the points; the q rows are sorted by point, for a junction has several."""
    share: Floats
    """(q,) of that street."""
    first: NDArray[np.int64]
    """(p,) the first of the rows of each point."""
    corners: Ints
    """(t, 3)"""


@lru_cache(maxsize=1)
def _mesh(network: RoadNetwork) -> _Mesh:
    """Kept for the network that was asked about last."""
    count = np.maximum(np.ceil(network.street_length_m / STEP_M).astype(np.int64), 1) + 1
    street = np.repeat(np.arange(network.n_streets, dtype=np.int32), count)
    place = np.arange(len(street)) - np.repeat(np.cumsum(count) - count, count)
    share = place / np.repeat(count - 1, count)
    # to the millimetre, so that streets end in one point where they meet
    xy = np.round(points_along(network.shape_first, network.shape_xy_m, street, share), 3)
    order = np.lexsort((xy[:, 1], xy[:, 0]))
    xy, street, share = xy[order], street[order], share[order]
    first = np.flatnonzero(np.r_[True, (np.diff(xy, axis=0) != 0).any(axis=1)])
    xy = xy[first]
    corners = Delaunay(xy - xy.mean(axis=0)).simplices
    return _Mesh(xy, street, share, first, corners.astype(np.int32))


def reach_polygons(found: Reach, limits_s: Sequence[float]) -> gpd.GeoDataFrame:
    """One row a limit: `limit_s`, and as `geometry` all ground that is reached within it, holes left open.

    Between roads that are reached ground counts up to `BLOCK_M` apart; towards others it ends where the time does on a
    road, and elsewhere after `STRIP_M`.

    Args:
        found: what is reached, looked for up to the last limit at least.
        limits_s: in rising order.
    """
    if max(limits_s) > found.limit_s:
        raise ValueError(f"a limit of {max(limits_s):g} s, beyond the {found.limit_s:g} s that were looked at")
    mesh = _mesh(found.network)
    point_s = np.minimum.reduceat(found.beyond(mesh.street, mesh.share), mesh.first)
    shapes = [_within(mesh, point_s, limit_s) for limit_s in limits_s]
    return gpd.GeoDataFrame({"limit_s": list(limits_s)}, geometry=shapes, crs=found.network.epsg)


def _within(mesh: _Mesh, point_s: Floats, limit_s: float) -> shapely.Geometry:
    reached = point_s <= limit_s
    corners = mesh.corners[reached[mesh.corners].any(axis=1)]
    a, b = corners, np.roll(corners, -1, axis=1)
    side_m = np.hypot(*np.moveaxis(mesh.xy_m[b] - mesh.xy_m[a], -1, 0))
    wide = (side_m > BLOCK_M).any(axis=1)
    pieces = _cut_triangles(mesh, point_s, reached, corners[~wide], limit_s)
    ground = _union(pieces)
    # beside wide open ground a reached road has a strip instead
    one, other = a[wide].ravel(), b[wide].ravel()
    along = (side_m[wide].ravel() <= STEP_M * 1.001) & reached[one] & reached[other]
    edges = np.unique(np.sort(np.stack([one[along], other[along]], 1), axis=1), axis=0)
    strips = shapely.buffer(shapely.linestrings(mesh.xy_m[edges]), STRIP_M, quad_segs=4)
    return shapely.union(ground, shapely.union_all(strips)) if len(strips) else ground


def _union(pieces: NDArray[np.object_]) -> shapely.Geometry:
    if not len(pieces):
        return shapely.Polygon()
    try:
        return shapely.coverage_union_all(pieces)
    except shapely.GEOSException:
        # triangles that rounding has turned over do not quite match; slower, but the same to the millimetre
        return shapely.union_all(pieces, grid_size=0.001)


def _cut_triangles(
    mesh: _Mesh, point_s: Floats, reached: NDArray[np.bool_], corners: Ints, limit_s: float
) -> NDArray[np.object_]:
    """The part of each triangle that is reached: all, a corner, or all but a corner."""
    inside = reached[corners]
    number = inside.sum(axis=1)
    whole = shapely.polygons(mesh.xy_m[corners[number == 3]])
    parts = [whole]
    for wanted, odd in ((1, True), (2, False)):
        rows = number == wanted
        # turned so that the odd corner stands first
        turn = (np.argmax(inside[rows] == odd, axis=1)[:, None] + np.arange(3)) % 3
        tip, left, right = np.take_along_axis(corners[rows], turn, axis=1).T
        if odd:
            shape = [mesh.xy_m[tip], _rim(mesh, point_s, tip, left, limit_s), _rim(mesh, point_s, tip, right, limit_s)]
        else:
            rims = _rim(mesh, point_s, right, tip, limit_s), _rim(mesh, point_s, left, tip, limit_s)
            shape = [mesh.xy_m[left], mesh.xy_m[right], *rims]
        parts.append(shapely.polygons(np.stack(shape, axis=1)))
    # flat ones stay: without them their neighbours would not match
    return np.concatenate(parts)


def _rim(mesh: _Mesh, point_s: Floats, inside: Ints, outside: Ints, limit_s: float) -> Floats:
    """(n, 2) where the time runs out between points of which one is reached: where it does along a road, and not
    further than a strip's width from the one that is."""
    way = mesh.xy_m[outside] - mesh.xy_m[inside]
    share = (limit_s - point_s[inside]) / (point_s[outside] - point_s[inside])
    share = np.where(np.isfinite(point_s[outside]), share, 1.0)
    share = np.minimum(share, np.minimum(STRIP_M / np.hypot(*way.T), 0.5 + 0.5 * (share < 1)))
    rim: Floats = mesh.xy_m[inside] + share[:, None] * way
    return rim
