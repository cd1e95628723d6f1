"""Positions: points on road edges. Incidents, units, posts and sites have one; a node is never a position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geodata.network import Floats, Ints, RoadNetwork


class Position(NamedTuple):
    """A point `offset_m` metres from the tail of `edge`.

    On a two-way street it stands for the whole place, whichever edge names it: it can be left and reached in
    both directions.
    """

    edge: int
    offset_m: float


@dataclass(frozen=True, slots=True, eq=False)
class Positions:
    """n positions as two arrays."""

    edge: Ints
    """(n,)"""
    offset_m: Floats
    """(n,) from the edge's tail, within 0 and its length."""

    def __len__(self) -> int:
        return len(self.edge)

    def __getitem__(self, i: int) -> Position:
        return Position(int(self.edge[i]), float(self.offset_m[i]))

    def __iter__(self) -> Iterator[Position]:
        return (self[i] for i in range(len(self)))

    def take(self, rows: NDArray[np.integer]) -> Positions:
        return Positions(self.edge[rows], self.offset_m[rows])


def snap(network: RoadNetwork, xy_m: Floats) -> tuple[Positions, Floats]:
    """The nearest point on a street for each of (n, 2) points, and the distance in metres (n,).

    Of two streets equally near, the one with the smaller number is taken.
    """
    points = np.asarray(shapely.points(np.asarray(xy_m, float).reshape(-1, 2)))
    if not len(points):
        return Positions(np.empty(0, np.int32), np.empty(0)), np.empty(0)
    found = network.tree.query_nearest(points, all_matches=True)
    order = np.lexsort(found[::-1])
    _, first = np.unique(found[0][order], return_index=True)
    street = found[1][order][first]
    line = network.lines[street]
    distance_m = shapely.distance(points, line)
    share = shapely.line_locate_point(line, points, normalized=True)
    edge = network.edge_of_street[street]
    share = np.where(network.backward[edge], 1 - share, share)
    return Positions(edge, share * network.length_m[edge]), distance_m


def locate(network: RoadNetwork, positions: Positions) -> Floats:
    """(n, 2) coordinates of positions, in the network's CRS."""
    edge = positions.edge
    share = np.clip(positions.offset_m / network.length_m[edge], 0, 1)
    share = np.where(network.backward[edge], 1 - share, share)
    points = shapely.line_interpolate_point(network.lines[network.street[edge]], share, normalized=True)
    return shapely.get_coordinates(points)
