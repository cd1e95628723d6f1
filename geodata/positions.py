"""Positions: points on road edges. Incidents, units, posts and sites have one; a node is never a position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geodata.network import Floats, Ints, RoadNetwork
from geodata.snapping import points_along


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

    Of two streets equally near, the one with the smaller number is taken. Pedestrian streets are passed over.

    Raises:
        ValueError: a coordinate that is not a number, or is nowhere on Earth.
    """
    near = network.snapper.nearest(xy_m)
    edge = network.edge_of_street[near.street]
    share = np.where(network.backward[edge], 1 - near.share, near.share)
    return Positions(edge, share * network.length_m[edge]), near.distance_m


def locate(network: RoadNetwork, positions: Positions) -> Floats:
    """(n, 2) coordinates of positions, in the network's CRS."""
    edge = positions.edge
    share = np.clip(positions.offset_m / network.length_m[edge], 0, 1)
    share = np.where(network.backward[edge], 1 - share, share)
    return points_along(network.shape_first, network.shape_xy_m, network.street[edge], share)
