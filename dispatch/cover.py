"""What each post covers: the table on which policies and plans reckon expected coverage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.standard import ResponseStandard
from geodata.city import City
from geodata.errors import Fault, InputError
from geodata.network import Bools, Floats, Ints
from geodata.positions import Positions, locate
from geodata.routing import RoadTravel
from geodata.speeds import HOURS_A_WEEK
from geodata.timetable import times_between

ROAD_PER_POINT_M = 5_000.0
"""Metres of road for which one point of demand stands. Assumed."""


class ReachSets(NamedTuple):
    """The demand, that which the same posts reach within its limit taken together; without what no post reaches.

    Coverage asks only who reaches a point, so that sums over these sets are exact, and there are far fewer of them than
    points.
    """

    first: Ints
    """(n_sets + 1,) the posts of set i are post[first[i]:first[i + 1]]."""
    post: Ints
    weight: Floats
    """(n_sets,) share of the demand."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Cover:
    """Demand points against posts."""

    time_s: Floats
    """(n_posts, n_points) seconds from the order to the arrival of a unit from each post, turn-out included."""
    limit_s: Floats
    """(n_points,) within which each point is to be reached."""
    weight: Floats
    """(n_points,) share of the demand, summing to 1."""
    between_s: Floats
    """(n_posts, n_posts) seconds from post to post as traffic drives."""

    def __post_init__(self) -> None:
        posts, points = self.time_s.shape
        if not (self.limit_s.shape == self.weight.shape == (points,) and self.between_s.shape == (posts, posts)):
            raise ValueError("cover: arrays that do not fit one another")

    @property
    def n_posts(self) -> int:
        return len(self.time_s)

    @property
    def within(self) -> Bools:
        """(n_posts, n_points) whether a post reaches a point within its limit."""
        return np.asarray(self.time_s <= self.limit_s)

    @cached_property
    def sets(self) -> ReachSets:
        """What is reached, by who reaches it."""
        within = self.within.T
        some = within.any(axis=1) & (self.weight > 0)
        packed, number = np.unique(np.packbits(within[some], axis=1), axis=0, return_inverse=True)
        posts_of = np.unpackbits(packed, axis=1, count=self.n_posts)
        first = np.r_[0, np.cumsum(posts_of.sum(axis=1, dtype=np.int64))]
        weight = np.bincount(number.reshape(-1), self.weight[some], minlength=len(packed)).astype(float)
        return ReachSets(first.astype(np.int32), np.nonzero(posts_of)[1].astype(np.int32), weight)


def make_cover(
    city: City,
    travel: RoadTravel,
    standard: ResponseStandard,
    *,
    hour: int,
    weight: Floats,
    priority_share: Mapping[int, float] | None = None,
    turn_out_s: Floats | float = 30.0,
    speed_factor: float = 1.3,
    road_per_point_m: float = ROAD_PER_POINT_M,
) -> Cover:
    """The cover of a city's posts at an hour, as a unit with siren drives from them.

    Demand lies on the roads as incidents are drawn: in each cell evenly along its metres of road. A cell without road
    has none.

    Args:
        city: its posts are where units stand by, its sites ask for their place class when they are open.
        travel: over the city's network, under the rules of the units.
        standard: tells the limits, by place class and priority.
        hour: of the week, or a moment (`RoadTravel.moment`).
        weight: (n_cells,) demand of each cell, not negative; scaled to sum to 1.
        priority_share: of the demand by priority, the same everywhere; then each point is there once for each. Needed
            for a standard by severity.
        turn_out_s: from the order to rolling, for all posts or for each.
        speed_factor: on the roads' speed.
        road_per_point_m: a cell has a point for each so many metres of road, at least one.

    Raises:
        InputError: no cell with a road has any demand.
    """
    points, share = demand_points(city, weight, road_per_point_m)
    posts = city.posts.positions
    place_class = city.sites.place_class(locate(city.network, points), float(hour % HOURS_A_WEEK))
    late_s = np.broadcast_to(np.asarray(turn_out_s, float), len(posts))
    time_s = late_s[:, None] + times_between(travel, posts, points, hour) / speed_factor
    if priority_share is None:
        limit_s = standard.limit_s(place_class)
    else:
        priorities = {priority: part for priority, part in priority_share.items() if part > 0}
        limit_s = np.concatenate([standard.limit_s(place_class, np.full(len(points), p, np.uint8)) for p in priorities])
        parts = np.array(list(priorities.values()))
        share, time_s = np.kron(parts / parts.sum(), share), np.tile(time_s, len(parts))
    return Cover(time_s=time_s, limit_s=limit_s, weight=share, between_s=times_between(travel.calm, posts, posts, hour))


def demand_points(city: City, weight: Floats, road_per_point_m: float) -> tuple[Positions, Floats]:
    """Points along the roads of the cells with demand, by cell and evenly spaced along its pieces of road in their
    order, and the share of the demand of each, which sum to 1. Arguments and errors as of `make_cover`."""
    network, pieces, road_m = city.network, city.pieces, city.road_m_by_cell
    weight = np.asarray(weight, float)
    if weight.shape != road_m.shape or not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError(f"demand of {weight.shape} cells, expected {road_m.shape}, finite and not negative")
    cells = np.flatnonzero((weight > 0) & (road_m > 0))
    if not len(cells):
        raise InputError(
            Fault(
                f"city {city.name}",
                "grid",
                "no cell with a street that has demand",
                "at least one, as coverage is weighted by demand",
                "Give the cells demand, or a grid that meets the roads.",
            )
        )
    count = np.maximum(np.rint(road_m[cells] / road_per_point_m), 1).astype(np.int64)
    # the roads of all cells laid end to end, cell after cell
    order = np.argsort(pieces.cell, kind="stable")
    end_m = np.cumsum((pieces.to_m - pieces.from_m)[order])
    cell_end_m = np.cumsum(road_m)
    number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    into_cell = (number + 0.5) / np.repeat(count, count)
    at_m = np.repeat(cell_end_m[cells] - road_m[cells], count) + into_cell * np.repeat(road_m[cells], count)
    row = np.searchsorted(end_m, at_m, side="right")
    piece = order[np.minimum(row, len(order) - 1)]
    street = pieces.street[piece]
    along_m: NDArray[np.float64] = pieces.to_m[piece] - (end_m[np.minimum(row, len(order) - 1)] - at_m)
    along_m = np.clip(along_m, pieces.from_m[piece], pieces.to_m[piece])
    edge = network.edge_of_street[street]
    offset_m = np.where(network.backward[edge], network.street_length_m[street] - along_m, along_m)
    share = np.repeat(weight[cells] / count, count)
    return Positions(edge, offset_m), share / share.sum()
