"""Where polygons meet: the borders that two of them share, and the edges that have no counterpart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geodata.network import Floats, Ints

DRAWN_TWICE_M = 0.25
"""Borders of two cells no farther apart than this are the same border, drawn twice. Assumed."""


class Borders(NamedTuple):
    """Pairs of cells that share a border, and how much of it."""

    pairs: Ints
    """(k, 2) cells, the smaller number first; in ascending order."""
    length_m: Floats
    """(k,)"""


class Edges(NamedTuple):
    """The edges of polygons, sorted into those that two of them share, and those that stand alone."""

    borders: Borders
    """Of the edges that exactly two cells have, one on each side."""
    loose_xy: Floats
    """(l, 2, 2) begin and end of every other edge: the outer rim, and whatever does not match."""
    loose_cell: Ints
    """(l,) the cell that each belongs to."""

    def loose_lines(self) -> tuple[Ints, NDArray[np.object_]]:
        """The cells with loose edges, and these of each as lines that are as long as can be."""
        order = np.argsort(self.loose_cell, kind="stable")
        cells, first = np.unique(self.loose_cell[order], return_inverse=True)
        single = np.asarray(shapely.linestrings(self.loose_xy[order]), object)
        lines = shapely.line_merge(np.asarray(shapely.multilinestrings(single, indices=first), object))
        return cells, np.asarray(lines, object)


def ring_edges(polygons: NDArray[np.object_]) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """(e, 2) begin and (e, 2) end of the edges of polygons and multipolygons, with the ground on the left, and (e,)
    the polygon of each."""
    part, part_of = shapely.get_parts(shapely.orient_polygons(polygons), return_index=True)
    ring, ring_of = shapely.get_rings(part, return_index=True)
    xy, of = shapely.get_coordinates(ring, return_index=True)
    along = np.flatnonzero(of[1:] == of[:-1])
    return xy[along], xy[along + 1], part_of[ring_of[of[along]]].astype(np.int64)


def edges(polygons: NDArray[np.object_]) -> Edges:
    """Match the edges of valid polygons by their ends, which must agree exactly.

    How many polygons lie over a place changes only across loose edges: what is bounded by them alone is wholly
    covered, wholly covered more than once, or wholly free.
    """
    a, b, of = ring_edges(polygons)
    a, b, cell = a + 0.0, b + 0.0, of.astype(np.int32)  # + 0.0 makes 0.0 of -0.0, which is another pattern of bits
    turned = (a[:, 0] > b[:, 0]) | ((a[:, 0] == b[:, 0]) & (a[:, 1] > b[:, 1]))
    key: Floats = np.concatenate([a, b], axis=1)
    key[turned] = key[turned][:, [2, 3, 0, 1]]
    order = np.argsort(_hashed(key), kind="stable")
    key, turned, cell = key[order], turned[order], cell[order]
    begins = np.flatnonzero(np.r_[True, (key[1:] != key[:-1]).any(axis=1)]) if len(key) else np.empty(0, np.int64)
    twice = begins[np.diff(np.r_[begins, len(key)]) == 2]
    twice = twice[(turned[twice] != turned[twice + 1]) & (cell[twice] != cell[twice + 1])]
    loose = np.ones(len(key), bool)
    loose[twice] = loose[twice + 1] = False
    length_m = np.hypot(*(key[twice, 2:] - key[twice, :2]).T)
    pairs = np.c_[cell[twice], cell[twice + 1]]
    return Edges(_summed(pairs, length_m), key[loose].reshape(-1, 2, 2), cell[loose])


def shared_borders(polygons: NDArray[np.object_]) -> Borders:
    """The borders of polygons that touch; edges that do not match count where they run within `DRAWN_TWICE_M`."""
    found = edges(polygons)
    cells, lines = found.loose_lines()
    one, other = shapely.STRtree(lines).query(lines, predicate="dwithin", distance=DRAWN_TWICE_M)
    ahead = one < other
    one, other = one[ahead], other[ahead]
    beside = shapely.buffer(lines, DRAWN_TWICE_M, cap_style="flat")
    near_m = shapely.length(shapely.intersection(lines[one], beside[other]))
    pairs = np.concatenate([found.borders.pairs, np.c_[cells[one], cells[other]]])
    return _summed(pairs, np.r_[found.borders.length_m, near_m])


def _hashed(key: Floats) -> NDArray[np.uint64]:
    """(n,) equal for equal rows of (n, 4)."""
    bits = np.ascontiguousarray(key).view(np.uint64)
    mixed = np.zeros(len(bits), np.uint64)
    for column in bits.T:
        # multiply and fold, as in SplitMix64 (Steele et al. 2014)
        mixed = (mixed ^ column) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _summed(pairs: NDArray[np.integer], length_m: Floats) -> Borders:
    low, high = pairs.min(axis=1, initial=np.iinfo(np.int32).max), pairs.max(axis=1, initial=-1)
    some = length_m > 0
    code, place = np.unique((low[some].astype(np.int64) << 32) | high[some], return_inverse=True)
    total_m = np.bincount(place, length_m[some], minlength=len(code)).astype(float)
    return Borders(np.c_[code >> 32, code & 0xFFFFFFFF].astype(np.int32), total_m)
