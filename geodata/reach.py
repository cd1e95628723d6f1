"""What is reached within a time: exact to the metre, the last street cut where the time runs out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from shapely.ops import substring

from geodata import search
from geodata.network import Floats, Ints
from geodata.positions import Positions
from geodata.routing import RoadTravel, part_s


def reach(
    travel: RoadTravel,
    positions: Positions,
    hour: int,
    limit_s: float = np.inf,
    speed_factor: float = 1.0,
    delay_s: Floats | float = 0.0,
) -> Floats:
    """(p,) seconds from the position that is first at each port of `travel.drive`, whose first ports are the nodes of
    the network; infinity beyond the limit.

    Args:
        travel: times on the roads.
        positions: where units set off.
        hour: of the week.
        limit_s: how far it is looked.
        speed_factor: on the roads' speed.
        delay_s: before they set off, for all or for each position.
    """
    delay_s = np.broadcast_to(delay_s, len(positions))
    period, ends = travel.period(hour), travel.drive.ends
    share = positions.offset_m / travel.drive.length_m[positions.edge]
    back = ends[positions.edge, search.TWIN]
    two_way = back >= 0
    seeds = np.r_[ends[positions.edge, search.HEAD], ends[back[two_way], search.HEAD]]
    own_s, back_s = part_s(1 - share, period.time_s[positions.edge]), part_s(share, period.time_s[back])
    seed_s = np.r_[own_s, back_s[two_way]] / speed_factor + np.r_[delay_s, delay_s[two_way]]
    dist_s = np.empty(len(travel.drive.xy_m))
    room = len(ends) + len(seeds)
    first, other, time_s, _ = period.outward
    search.spread(
        first, other, time_s / speed_factor, np.empty(room), np.empty(room, np.int32), seeds, seed_s, limit_s, dist_s
    )
    return dist_s


class Stretches(NamedTuple):
    """Stretches of streets, in shares of the street's line; those of one street and limit do not overlap."""

    street: Ints
    from_share: Floats
    to_share: Floats
    limit: Ints
    """Which of the limits it is reached within."""

    def overlap(self, street: Ints, from_share: Floats, to_share: Floats, n_limits: int) -> Floats:
        """(n, n_limits) share of street that n given spans have in common with the stretches of each limit."""
        spans = pd.DataFrame({"street": street, "low": from_share, "high": to_share, "row": np.arange(len(street))})
        mine = pd.DataFrame({"street": self.street, "a": self.from_share, "b": self.to_share, "limit": self.limit})
        both = spans.merge(mine, on="street")
        common = np.minimum(both["high"], both["b"]) - np.maximum(both["low"], both["a"])
        cell = both["row"].to_numpy() * n_limits + both["limit"].to_numpy()
        total: Floats = np.bincount(cell, np.maximum(common, 0), minlength=len(street) * n_limits).astype(float)
        return total.reshape(len(street), n_limits)


def reach_stretches(
    travel: RoadTravel,
    positions: Positions,
    limits_s: Sequence[float],
    hour: int,
    speed_factor: float = 1.0,
    delay_s: Floats | float = 0.0,
) -> Stretches:
    """The stretches of street that are reached within each limit from any of the positions, exact to the metre: the
    last street is cut where the time runs out. Arguments as of `reach`."""
    n, ends = travel.network, travel.drive.ends
    time_s = travel.edge_time_s(hour) / speed_factor
    port_s = reach(travel, positions, hour, max(limits_s), speed_factor, delay_s)
    edges = np.empty((2, n.n_streets), np.int64)
    edges[n.backward.astype(int), n.street] = np.arange(n.n_edges)
    forward_s, backward_s = time_s[edges]
    begin_s, end_s = port_s[ends[edges, search.TAIL]]
    # a position parts its street in two, so that on each part time runs inwards from the ends alone
    share = positions.offset_m / n.length_m[positions.edge]
    at_street = n.street[positions.edge]
    at_share = np.where(n.backward[positions.edge], 1 - share, share)
    every = np.arange(n.n_streets)
    street = np.r_[every, every, at_street]
    where = np.r_[np.zeros(n.n_streets), np.ones(n.n_streets), at_share]
    when_s = np.r_[begin_s, end_s, np.broadcast_to(delay_s, len(positions))]
    order = np.lexsort((where, street))
    street, where, when_s = street[order], where[order], when_s[order]
    joined = street[1:] == street[:-1]
    # a position that sets off late may be passed sooner by others, from either side
    for a in np.flatnonzero(joined & np.isin(street[1:], at_street)):
        when_s[a + 1] = min(when_s[a + 1], when_s[a] + (where[a + 1] - where[a]) * forward_s[street[a]])
    for a in np.flatnonzero(joined & np.isin(street[1:], at_street))[::-1]:
        when_s[a] = min(when_s[a], when_s[a + 1] + (where[a + 1] - where[a]) * backward_s[street[a]])
    street, low, high = street[:-1][joined], where[:-1][joined], where[1:][joined]
    low_s, high_s = when_s[:-1][joined], when_s[1:][joined]
    found: list[Stretches] = []
    for number, limit_s in enumerate(limits_s):
        ahead = np.maximum(limit_s - low_s, 0) / forward_s[street]
        behind = np.maximum(limit_s - high_s, 0) / backward_s[street]
        until = np.minimum(low + ahead, high)
        since = np.maximum(high - behind, until)
        found += [
            Stretches(street, low, until, np.full(len(street), number)),
            Stretches(street, since, high, np.full(len(street), number)),
        ]
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    some = columns[2] > columns[1]
    return Stretches(*(column[some] for column in columns))


def reach_lines(
    travel: RoadTravel,
    positions: Positions,
    limits_s: Sequence[float],
    hour: int,
    speed_factor: float = 1.0,
    delay_s: Floats | float = 0.0,
) -> gpd.GeoDataFrame:
    """One row a limit, in rising order: `limit_s`, and as `geometry` the stretches reached within it but not
    within the one before. Arguments as of `reach`."""
    limits = sorted(limits_s)
    stretches = reach_stretches(travel, positions, limits, hour, speed_factor, delay_s)
    lines = travel.network.lines
    rows = []
    inside: dict[int, list[tuple[float, float]]] = {}
    for number in range(len(limits)):
        of_limit = stretches.limit == number
        now: dict[int, list[tuple[float, float]]] = {}
        for street, low, high in zip(
            stretches.street[of_limit], stretches.from_share[of_limit], stretches.to_share[of_limit], strict=True
        ):
            now.setdefault(int(street), []).append((float(low), float(high)))
        pieces: list[Any] = []
        for street, spans in now.items():
            for low, high in _minus(_merged(spans), _merged(inside.get(street, []))):
                whole = low <= 0 and high >= 1
                pieces.append(lines[street] if whole else substring(lines[street], low, high, normalized=True))
        rows.append(shapely.MultiLineString(pieces))
        inside = now
    return gpd.GeoDataFrame({"limit_s": limits}, geometry=rows, crs=travel.network.epsg)


def _merged(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for low, high in sorted(spans):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return merged


def _minus(spans: list[tuple[float, float]], holes: list[tuple[float, float]]) -> list[tuple[float, float]]:
    left = []
    for low, high in spans:
        at = low
        for hole_low, hole_high in holes:
            if hole_high <= at or hole_low >= high:
                continue
            if hole_low > at:
                left.append((at, hole_low))
            at = max(at, hole_high)
        if at < high:
            left.append((at, high))
    return left
