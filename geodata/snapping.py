"""Nearest streets: a packed R-tree over the pieces of the street shapes, and points at a share along a street.

Plain arrays in and out; `geodata.positions` gives them their meaning. The shape of street i is the points
shape_first[i]:shape_first[i + 1] of shape_xy_m; a *segment* is the piece between two consecutive points and is named by
the first of them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geodata.compiled import compiled

FAN = 4
"""Segments in a leaf, and children of a node, of the tree. Measured: with 8 a search takes a quarter longer."""
FINE, COARSE = 1 << 16, 1 << 8
"""Cells along each side of the square that a Hilbert curve fills: to lay out segments, and to sort points, whose coarse
cells have numbers of 16 bits, which numpy sorts in linear time."""
FARTHEST_M = 1e8
"""Coordinates beyond this are nowhere on Earth in any projection: two and a half times around it."""


class Nearest(NamedTuple):
    """The nearest point on a street, for each of n points."""

    street: NDArray[np.int32]
    """(n,)"""
    share: NDArray[np.float64]
    """(n,) of the shape's own length, from its first point; within 0 and 1."""
    distance_m: NDArray[np.float64]
    """(n,)"""


class Snapper:
    """An index of street shapes that finds the nearest of them to any point, exactly.

    The segments are laid along a Hilbert curve; each four of them make a leaf with a bounding box, each four boxes a
    node of the next level, up to one root. It keeps 4 bytes a segment and 32 a box, and shares the shapes given.
    """

    __slots__ = ("_box_m", "_first", "_level", "_low_m", "_segment", "_side_m", "_xy_m")

    def __init__(
        self,
        shape_first: NDArray[np.int64],
        shape_xy_m: NDArray[np.float64],
        wanted: NDArray[np.bool_] | None = None,
    ) -> None:
        """Index the streets where `wanted` (s,) is true, or all of them.

        Raises:
            ValueError: a coordinate that is not a number, or beyond `FARTHEST_M`.
        """
        self._first = _plain(shape_first, np.int64)
        self._xy_m = _plain(shape_xy_m, np.float64)
        _check(self._xy_m, "shape point")
        begins = np.ones(len(self._xy_m), np.bool_)
        # from its last point no segment of a street goes on
        begins[self._first[1:] - 1] = False
        if wanted is not None:
            begins &= np.repeat(wanted, np.diff(self._first))
        segment = np.flatnonzero(begins).astype(np.int32)
        self._low_m, self._side_m = np.zeros(2), 1.0
        if len(segment):
            middle = self._xy_m[segment]
            middle += self._xy_m[segment + 1]
            middle /= 2
            self._low_m = middle.min(0)
            self._side_m = max(float((middle.max(0) - self._low_m).max()), 1.0)
            segment = segment[np.argsort(_hilbert(middle, self._low_m, self._side_m, FINE), kind="stable")]
        self._segment = segment
        self._box_m, self._level = _boxes(self._xy_m, segment)

    def nearest(self, xy_m: NDArray[np.float64]) -> Nearest:
        """The nearest point on a wanted street for each of (n, 2) points.

        Of streets equally near, the one with the smaller number is taken; of places equally near on one street, the
        first.

        Raises:
            ValueError: a coordinate that is not a number or beyond `FARTHEST_M`, or points but no wanted street.
        """
        xy_m = np.asarray(xy_m, np.float64).reshape(-1, 2)
        _check(xy_m, "point")
        n = len(xy_m)
        if n and not len(self._segment):
            raise ValueError(f"{n:,} points but no street that they may be put on")
        # neighbours one after another walk through the same boxes, which the processor then has at hand
        order = np.argsort(_hilbert(xy_m, self._low_m, self._side_m, COARSE).astype(np.uint16), kind="stable")
        points_m, segment, near_m = xy_m[order], np.empty(n, np.int32), np.empty(n)
        _search(self._xy_m, self._segment, self._box_m, self._level, points_m, segment, near_m)
        on = np.searchsorted(self._first, segment, side="right") - 1
        street, share, distance_m = np.empty(n, np.int32), np.empty(n), np.empty(n)
        street[order], distance_m[order] = on, near_m
        share[order] = _shares(self._first, self._xy_m, on, segment, points_m)
        return Nearest(street, share, distance_m)


def points_along(
    shape_first: NDArray[np.int64],
    shape_xy_m: NDArray[np.float64],
    street: NDArray[np.int32],
    share: NDArray[np.float64],
) -> NDArray[np.float64]:
    """(n, 2) points at shares, within 0 and 1, of the length of the shapes of streets, from their first points."""
    xy_m: NDArray[np.float64] = _along(_plain(shape_first, np.int64), _plain(shape_xy_m, np.float64), street, share)
    return xy_m


def _plain(array: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    """The same numbers, uncopied where possible, as a read-only array that is no memory map: compiled functions are
    made anew for each kind of array that they meet."""
    view = np.ascontiguousarray(array, dtype).view()
    view.flags.writeable = False
    return view


def _check(xy_m: NDArray[np.float64], what: str) -> None:
    # written so that not-a-number fails too
    if xy_m.size and not (xy_m.min() >= -FARTHEST_M and xy_m.max() <= FARTHEST_M):
        wrong = ~(np.abs(xy_m) <= FARTHEST_M).all(1)
        i = int(np.argmax(wrong))
        east, north = xy_m[i].tolist()
        raise ValueError(
            f"{what} {i}: ({east}, {north}), expected finite metres within ±{FARTHEST_M:,.0f}"
            f" ({int(wrong.sum()):,} such of {len(xy_m):,})"
        )


def _boxes(xy_m: NDArray[np.float64], segment: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Bounding boxes (west, south, east, north) level by level from the leaves to the root, and where each level
    begins."""
    levels: list[NDArray[np.float64]] = [_leaf_boxes(xy_m, segment)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        of_four = np.arange(0, len(below), FAN)
        low, high = np.minimum.reduceat(below[:, :2], of_four), np.maximum.reduceat(below[:, 2:], of_four)
        levels.append(np.hstack([low, high]))
    first = np.cumsum([0, *(len(level) for level in levels)], dtype=np.int64)
    return np.concatenate(levels), first


@compiled
def _leaf_boxes(xy_m: Any, segment: Any) -> Any:
    """West, south, east and north of each four segments."""
    box_m = np.empty(((len(segment) + FAN - 1) // FAN, 4))
    box_m[:, :2] = np.inf
    box_m[:, 2:] = -np.inf
    for j in range(len(segment)):
        leaf = j // FAN
        for i in range(segment[j], segment[j] + 2):
            for axis in range(2):
                box_m[leaf, axis] = min(box_m[leaf, axis], xy_m[i, axis])
                box_m[leaf, axis + 2] = max(box_m[leaf, axis + 2], xy_m[i, axis])
    return box_m


@compiled
def _hilbert(xy_m: Any, low_m: Any, side_m: float, cells: int) -> Any:
    """Each point's place along a Hilbert curve through cells by cells; points off the square count as on its rim."""
    place = np.empty(len(xy_m), np.uint32)
    per_m = (cells - 1) / side_m
    for i in range(len(xy_m)):
        x = int(min(max((xy_m[i, 0] - low_m[0]) * per_m, 0.0), cells - 1.0))
        y = int(min(max((xy_m[i, 1] - low_m[1]) * per_m, 0.0), cells - 1.0))
        along = 0
        half = cells >> 1
        while half > 0:
            right = 1 if x & half else 0
            upper = 1 if y & half else 0
            along += half * half * ((3 * right) ^ upper)
            # the lower quarters hold the curve turned about a diagonal
            if upper == 0:
                if right == 1:
                    x = cells - 1 - x
                    y = cells - 1 - y
                x, y = y, x
            half >>= 1
        place[i] = along
    return place


@compiled
def _search(xy_m: Any, segment: Any, box_m: Any, level: Any, points_m: Any, found: Any, distance_m: Any) -> None:
    """Fills the nearest segment of each point, the first of those equally near, and its distance.

    Depth first, the nearer box first; a box farther than the best segment yet is left out.
    """
    top = len(level) - 2
    size_of_stack = FAN * (top + 2)
    stack_node = np.empty(size_of_stack, np.int64)
    stack_level = np.empty(size_of_stack, np.int64)
    stack_sq = np.empty(size_of_stack)
    for p in range(len(points_m)):
        east = points_m[p, 0]
        north = points_m[p, 1]
        best_sq = np.inf
        best = -1
        stack_node[0] = 0
        stack_level[0] = top
        stack_sq[0] = 0.0
        size = 1
        while size > 0:
            size -= 1
            if stack_sq[size] > best_sq:
                continue
            node = stack_node[size]
            below = stack_level[size] - 1
            if below < 0:
                for j in range(FAN * node, min(FAN * node + FAN, len(segment))):
                    i = segment[j]
                    dx = east - xy_m[i, 0]
                    dy = north - xy_m[i, 1]
                    along_x = xy_m[i + 1, 0] - xy_m[i, 0]
                    along_y = xy_m[i + 1, 1] - xy_m[i, 1]
                    ahead = dx * along_x + dy * along_y
                    length_sq = along_x * along_x + along_y * along_y
                    if ahead <= 0.0:
                        sq = dx * dx + dy * dy
                    elif ahead >= length_sq:
                        # reckoned from the point itself, so that all streets of a junction are equally near
                        dx = east - xy_m[i + 1, 0]
                        dy = north - xy_m[i + 1, 1]
                        sq = dx * dx + dy * dy
                    else:
                        aside = dx * along_y - dy * along_x
                        sq = aside * aside / length_sq
                    if sq < best_sq or (sq == best_sq and i < best):
                        best_sq = sq
                        best = i
                continue
            base = level[below]
            bottom = size
            for child in range(FAN * node, min(FAN * node + FAN, level[below + 1] - base)):
                row = base + child
                dx = max(box_m[row, 0] - east, east - box_m[row, 2], 0.0)
                dy = max(box_m[row, 1] - north, north - box_m[row, 3], 0.0)
                sq = dx * dx + dy * dy
                if sq <= best_sq:
                    at = size
                    while at > bottom and stack_sq[at - 1] < sq:
                        stack_sq[at] = stack_sq[at - 1]
                        stack_node[at] = stack_node[at - 1]
                        stack_level[at] = stack_level[at - 1]
                        at -= 1
                    stack_sq[at] = sq
                    stack_node[at] = child
                    stack_level[at] = below
                    size += 1
        found[p] = best
        distance_m[p] = math.sqrt(best_sq)


@compiled
def _step_m(xy_m: Any, i: int) -> float:
    """Length of a segment."""
    east = xy_m[i + 1, 0] - xy_m[i, 0]
    north = xy_m[i + 1, 1] - xy_m[i, 1]
    return math.sqrt(east * east + north * north)


@compiled
def _shares(first: Any, xy_m: Any, street: Any, segment: Any, points_m: Any) -> Any:
    """Where on the street's shape the point of a segment lies that is nearest to a point; 0 on a shape of no length."""
    share = np.zeros(len(street))
    for p in range(len(street)):
        at = segment[p]
        length_m = 0.0
        before_m = 0.0
        for i in range(first[street[p]], first[street[p] + 1] - 1):
            step_m = _step_m(xy_m, i)
            if i < at:
                before_m += step_m
            elif i == at and step_m > 0.0:
                east = (points_m[p, 0] - xy_m[i, 0]) * (xy_m[i + 1, 0] - xy_m[i, 0])
                north = (points_m[p, 1] - xy_m[i, 1]) * (xy_m[i + 1, 1] - xy_m[i, 1])
                before_m += min(max((east + north) / step_m, 0.0), step_m)
            length_m += step_m
        if length_m > 0.0:
            share[p] = min(before_m / length_m, 1.0)
    return share


@compiled
def _along(first: Any, xy_m: Any, street: Any, share: Any) -> Any:
    """See `points_along`."""
    points_m = np.empty((len(street), 2))
    for p in range(len(street)):
        begin = first[street[p]]
        last = first[street[p] + 1] - 1
        left_m = 0.0
        for i in range(begin, last):
            left_m += _step_m(xy_m, i)
        left_m *= share[p]
        i = begin
        while i < last and left_m >= _step_m(xy_m, i):
            left_m -= _step_m(xy_m, i)
            i += 1
        points_m[p] = xy_m[i]
        if i < last:
            part = left_m / _step_m(xy_m, i)
            points_m[p, 0] += part * (xy_m[i + 1, 0] - xy_m[i, 0])
            points_m[p, 1] += part * (xy_m[i + 1, 1] - xy_m[i, 1])
    return points_m
