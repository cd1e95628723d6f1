"""Times between many positions, and a way as a line."""

from __future__ import annotations

import numpy as np
import shapely

from geodata.lines import cut_points
from geodata.network import Floats, RoadNetwork
from geodata.positions import Position, Positions
from geodata.routing import RoadTravel
from geodata.spread import times_table
from geodata.travel import Route


def times_between(
    travel: RoadTravel, origins: Positions, targets: Positions, hour: int, limit_s: float = np.inf
) -> Floats:
    """(n, k) seconds at the roads' speed from each of n origins to each of k targets, infinite beyond the limit and
    where no way is open. One search for each position of the smaller side, which ends when it has settled the others.

    Args:
        travel: times on the roads.
        origins: where the ways begin.
        targets: where they end.
        hour: of the week, or a moment (`RoadTravel.moment`).
        limit_s: how far it is looked.
    """
    inward = len(targets) < len(origins)
    one, many = (targets, origins) if inward else (origins, targets)
    period, length_m = travel.period(hour), travel.network.length_m
    share = [np.clip(places.offset_m / length_m[places.edge], 0, 1) for places in (one, many)]
    table: Floats = times_table(
        *(period.inward if inward else period.outward),
        travel.drive.ends,
        period.road,
        one.edge,
        share[0],
        many.edge,
        share[1],
        inward,
        float(limit_s),
    )
    return table.T if inward else table


def times_from(travel: RoadTravel, origin: Position, targets: Positions, hour: int, limit_s: float = np.inf) -> Floats:
    """(k,) seconds from one position to each of k targets; see `times_between`."""
    times: Floats = times_between(travel, _alone(origin), targets, hour, limit_s)[0]
    return times


def times_to(travel: RoadTravel, origins: Positions, target: Position, hour: int, limit_s: float = np.inf) -> Floats:
    """(n,) seconds from each of n origins to one position; see `times_between`."""
    times: Floats = times_between(travel, origins, _alone(target), hour, limit_s)[:, 0]
    return times


def _alone(position: Position) -> Positions:
    return Positions(np.array([position.edge], np.int32), np.array([position.offset_m]))


def route_line(network: RoadNetwork, route: Route) -> shapely.LineString:
    """The way along the shapes of its streets, cut where it begins and ends."""
    edges = route.edges
    begin, end = np.zeros(len(edges)), np.ones(len(edges))
    begin[0], end[-1] = route.begin_share, route.end_share
    against = network.backward[edges]
    begin, end = np.where(against, 1 - begin, begin), np.where(against, 1 - end, end)
    # a whole street is turned by its shares; one of no length keeps a point
    xy, _ = cut_points(network, network.street[edges], begin, end)
    new = np.r_[True, (np.diff(xy, axis=0) != 0).any(axis=1)]
    xy = xy[new]
    return shapely.LineString(xy if len(xy) > 1 else np.repeat(xy, 2, axis=0))
