"""Pieces of streets as lines, cut to the metre."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geodata.compiled import compiled
from geodata.network import Floats, Ints, RoadNetwork


def cut_lines(network: RoadNetwork, street: Ints, from_share: Floats, to_share: Floats) -> NDArray[np.object_]:
    """(n,) LineStrings along n pieces of streets; a piece runs against the street's line where `from_share` is the
    greater, and holds one point twice where both are one."""
    xy, first = cut_points(network, street, from_share, to_share)
    index = np.repeat(np.arange(len(street)), np.diff(first))
    return np.asarray(shapely.linestrings(xy, indices=index), object)


def cut_points(
    network: RoadNetwork, street: Ints, from_share: Floats, to_share: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """The vertices of `cut_lines`, and (n + 1,) where each piece's begin among them."""
    xy: Floats
    first: NDArray[np.int64]
    xy, first = _cut(
        np.asarray(network.shape_first),
        np.asarray(network.shape_xy_m),
        np.asarray(street),
        np.minimum(from_share, to_share),
        np.maximum(from_share, to_share),
        np.asarray(from_share > to_share),
    )
    return xy, first


@compiled
def _cut(first: Any, xy_m: Any, street: Any, low: Any, high: Any, turned: Any) -> Any:
    n = len(street)
    begin = np.zeros(n + 1, np.int64)
    room = 0
    for i in range(n):
        room += first[street[i] + 1] - first[street[i]] + 2
    points = np.empty((room, 2))
    count = 0
    for i in range(n):
        a, b = first[street[i]], first[street[i] + 1] - 1
        whole_m = 0.0
        for j in range(a, b):
            whole_m += np.hypot(xy_m[j + 1, 0] - xy_m[j, 0], xy_m[j + 1, 1] - xy_m[j, 1])
        low_m, high_m = low[i] * whole_m, high[i] * whole_m
        since_m = 0.0
        started = False
        for j in range(a, b):
            east, north = xy_m[j + 1, 0] - xy_m[j, 0], xy_m[j + 1, 1] - xy_m[j, 1]
            step_m = np.hypot(east, north)
            until_m = since_m + step_m
            final = j == b - 1
            if not started and (until_m > low_m or final):
                share = min(max((low_m - since_m) / step_m, 0.0), 1.0) if step_m > 0.0 else 0.0
                points[count, 0], points[count, 1] = xy_m[j, 0] + share * east, xy_m[j, 1] + share * north
                count += 1
                started = True
            if started:
                if until_m < high_m and not final:
                    points[count, 0], points[count, 1] = xy_m[j + 1, 0], xy_m[j + 1, 1]
                    count += 1
                else:
                    share = min(max((high_m - since_m) / step_m, 0.0), 1.0) if step_m > 0.0 else 1.0
                    points[count, 0], points[count, 1] = xy_m[j, 0] + share * east, xy_m[j, 1] + share * north
                    if share == 1.0:
                        # the junction itself, without rounding
                        points[count, 0], points[count, 1] = xy_m[j + 1, 0], xy_m[j + 1, 1]
                    count += 1
                    break
            since_m = until_m
        begin[i + 1] = count
        if turned[i]:
            one, other = begin[i], count - 1
            while one < other:
                for axis in range(2):
                    points[one, axis], points[other, axis] = points[other, axis], points[one, axis]
                one += 1
                other -= 1
    return points[:count], begin
