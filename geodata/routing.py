"""Travel times over the road network: the nearest units, routes, and what is reached within a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely.ops import substring

from geodata import search
from geodata.kept import BY_HEAD, BY_TAIL, KEPT, Kept, keep, nearest_kept, trace_home
from geodata.network import Floats, Ints, RoadNetwork
from geodata.positions import Position, Positions
from geodata.speeds import HOUR_S, HOURS_A_WEEK, SpeedProfile

Rows = NDArray[np.int64]


class Drive(NamedTuple):
    """How long a way is."""

    time_s: float
    """At the roads' speed, without siren."""
    length_m: float


class Route(NamedTuple):
    """The way from one position to another."""

    edges: Ints
    begin_share: float
    """Share of the first edge where it begins."""
    end_share: float
    """Share of the last edge where it ends."""
    time_s: float
    """At the roads' speed, without siren."""
    length_m: float


class Period:
    """Hours of equal speeds, ready for the searches."""

    def __init__(self, time_s: Floats, graph: tuple[Any, ...]) -> None:
        self.time_s = time_s
        """(m,) by edge."""
        self.graph = graph
        """The first arguments of the searches."""
        self.near: tuple[Any, ...] = ()
        """The first arguments of `nearest_kept`, and of `trace_home`: empty without anchors."""
        self.home: tuple[Any, ...] = ()


class RoadTravel:
    """Travel times on a network under a speed profile.

    A journey is timed with the speeds of the hour of the week in which it begins. Not for several threads at once: the
    searches share their working memory.
    """

    def __init__(
        self, network: RoadNetwork, speeds: SpeedProfile | None = None, anchors: Positions | None = None
    ) -> None:
        """Args:
        network: the roads.
        speeds: by default the assumed ones.
        anchors: fixed places (posts) for which times are kept, so that who stands there is found without a search.
        """
        self.network = network
        self.speeds = speeds or SpeedProfile()
        self.anchors = anchors
        self._anchor_at = [] if anchors is None else list(anchors)
        period_of_hour, self._hour_of_period = self.speeds.period_of_hour()
        self._period_of_hour = period_of_hour.tolist()
        self._periods: dict[int, Period] = {}
        self._scratch = search.Scratch.of_size(network.n_nodes, network.n_edges)
        # plain copies: numba compiles for arrays in memory, and would again for mapped ones
        self._first_in, self._in_edge = np.array(network.first_in), np.array(network.in_edge)
        self._in_tail = network.tail[self._in_edge]
        self._ends = np.stack([network.tail, network.head, network.twin], 1)
        self._length_m = np.array(network.length_m)
        self._xy_m = np.array(network.node_xy_m)

    def period(self, hour: int) -> Period:
        """Edge times in an hour of the week; hours of equal speeds share one."""
        number = self._period_of_hour[hour]
        period = self._periods.get(number)
        if period is None:
            period = self._periods[number] = self._prepare(int(self._hour_of_period[number]))
        return period

    def _prepare(self, hour: int) -> Period:
        n, s = self.network, self._scratch
        time_s = self.speeds.edge_time_s(n, hour)
        gap_m = np.hypot(*(n.node_xy_m[n.head] - n.node_xy_m[n.tail]).T)
        fastest_s_per_m = 1 / float((gap_m / time_s).max())
        links = self._first_in, self._in_tail, time_s[self._in_edge]
        scratch = s.stamp, s.mark, s.dist_s, s.heap_s, s.heap_node
        period = Period(time_s, (self._xy_m, fastest_s_per_m, *links, self._ends, time_s, self._length_m, *scratch))
        if self.anchors is not None:
            out, home = (self._keep(time_s, self.anchors, outward) for outward in (True, False))
            values = np.stack([out.time_s, out.length_m, home.time_s], axis=1)
            period.near = np.stack([out.anchor, home.anchor], axis=1), values, len(self.anchors)
            steps = np.stack([home.anchor, home.link, self._ends[home.link, search.HEAD]], axis=2)
            period.home = steps, home.time_s, home.length_m, self._ends, time_s, self._length_m, s.path
        return period

    def _keep(self, time_s: Floats, anchors: Positions, outward: bool) -> Kept:
        n = self.network
        edge, twin = anchors.edge, n.twin[anchors.edge]
        share, two_way = anchors.offset_m / self._length_m[edge], twin >= 0
        own_share = 1 - share if outward else share
        own_s, twin_s = own_share * time_s[edge], (1 - own_share) * time_s[twin]
        numbers = np.arange(len(anchors), dtype=np.int32)
        own_node, twin_node = (n.head[edge], n.tail[edge]) if outward else (n.tail[edge], n.head[edge])
        if outward:
            graph = n.first_out, self._ends[:, search.HEAD].copy(), time_s, np.arange(n.n_edges, dtype=np.int32)
        else:
            graph = self._first_in, self._in_tail, time_s[self._in_edge], self._in_edge
        return Kept(
            *keep(
                *graph,
                self._length_m,
                np.r_[own_node, twin_node[two_way]],
                np.r_[own_s, twin_s[two_way]],
                np.r_[own_share * self._length_m[edge], (1 - own_share[two_way]) * self._length_m[edge[two_way]]],
                np.r_[numbers, numbers[two_way]],
                np.repeat(np.array([BY_HEAD, BY_TAIL], np.int32), [len(numbers), int(two_way.sum())]),
                min(KEPT, len(anchors)),
            )
        )

    def nearest(
        self,
        target: Position,
        rows: Rows,
        positions: Positions,
        delay_s: Floats,
        slowness: Floats,
        hour: int,
        k: int = 1,
        limit_s: float = np.inf,
    ) -> tuple[Rows, Floats]:
        """The k candidates that reach a position soonest, and when.

        Args:
            target: where they are wanted.
            rows: the candidates, as rows of the arrays that follow.
            positions: where each is.
            delay_s: seconds before each sets off.
            slowness: each one's seconds for a second at the roads' speed (1 / speed factor).
            hour: of the week.
            k: how many are wanted.
            limit_s: later ones are left out.

        Returns:
            Rows, soonest first (ties: the smaller row), and seconds; fewer than k where there are fewer.
        """
        best, cost = np.empty(k, np.int64), np.empty(k)
        found = search.nearest(
            *self.period(hour).graph,
            target.edge,
            target.offset_m,
            np.asarray(rows, np.int64),
            positions.edge,
            positions.offset_m,
            delay_s,
            slowness,
            best,
            cost,
            0,
            float(limit_s),
        )
        return best[:found], cost[:found]

    def nearest_drives(
        self,
        target: Position,
        rows: Rows,
        positions: Positions,
        delay_s: Floats,
        slowness: Floats,
        hour: int,
        k: int = 1,
        anchor: Ints | None = None,
    ) -> list[tuple[int, Drive]]:
        """The rows of `nearest`, each with its drive to the target.

        Args:
            anchor: the anchor at which each candidate stands, -1 for one that stands at none. The answer is the same
                without, only later. The other arguments are those of `nearest`.
        """
        if anchor is None or self.anchors is None:
            found, _ = self.nearest(target, rows, positions, delay_s, slowness, hour, k)
            routes = [self._trace(positions[row], target, hour) for row in found]
            return [(int(row), Drive(r.time_s, r.length_m)) for row, r in zip(found, routes, strict=True)]
        best, cost, drive = np.empty(k, np.int64), np.empty(k), np.empty((k, 2))
        period = self.period(hour)
        n_found = nearest_kept(
            *period.near,
            anchor,
            *period.graph,
            target.edge,
            target.offset_m,
            rows,
            positions.edge,
            positions.offset_m,
            delay_s,
            slowness,
            best,
            cost,
            np.inf,
            self._in_edge,
            self._scratch.path,
            drive,
        )
        return [(int(best[i]), Drive(float(drive[i, 0]), float(drive[i, 1]))) for i in range(n_found)]

    def _trace(self, origin: Position, target: Position, hour: int) -> Route:
        """The route of a candidate that the last search found, for the same target and hour."""
        s = self._scratch
        count, begin, end, metres, road_s = search.trace(
            self._in_edge,
            self._ends,
            self.period(hour).time_s,
            self._length_m,
            s.stamp,
            s.mark,
            s.dist_s,
            s.path,
            target.edge,
            target.offset_m,
            origin.edge,
            origin.offset_m,
        )
        return Route(s.path[:count].copy(), begin, end, road_s, metres)

    def route(self, origin: Position, target: Position, hour: int) -> Route:
        """The fastest route between two positions."""
        one = Positions(np.array([origin.edge], np.int32), np.array([origin.offset_m]))
        self.nearest(target, np.zeros(1, np.int64), one, np.zeros(1), np.ones(1), hour)
        return self._trace(origin, target, hour)

    def route_home(self, origin: Position, anchor: int, hour: int) -> Route:
        """The fastest route from a position to an anchor."""
        if self.anchors is None:
            raise ValueError("no anchors were given to drive home to")
        post = self._anchor_at[anchor]
        count, begin, end, metres, road_s = trace_home(
            *self.period(hour).home,
            anchor,
            post.edge,
            post.offset_m,
            origin.edge,
            origin.offset_m,
        )
        if not count:
            return self.route(origin, post, hour)
        return Route(self._scratch.path[:count].copy(), begin, end, road_s, metres)

    def times(self, origins: Positions, target: Position, hour: int) -> Floats:
        """(n,) seconds at the roads' speed from each of n origins to one position."""
        n = len(origins)
        rows, seconds = self.nearest(target, np.arange(n), origins, np.zeros(n), np.ones(n), hour, n)
        result = np.full(n, np.inf)
        result[rows] = seconds
        return result

    def reach(
        self,
        positions: Positions,
        hour: int,
        limit_s: float = np.inf,
        speed_factor: float = 1.0,
        delay_s: Floats | float = 0.0,
    ) -> Floats:
        """(n_nodes,) seconds from the position that is first at each node; infinity beyond the limit.

        Args:
            positions: where units set off.
            hour: of the week.
            limit_s: how far it is looked.
            speed_factor: on the roads' speed.
            delay_s: before they set off, for all or for each position.
        """
        delay_s = np.broadcast_to(delay_s, len(positions))
        n, time_s = self.network, self.period(hour).time_s / speed_factor
        share = positions.offset_m / self._length_m[positions.edge]
        back = n.twin[positions.edge]
        two_way = back >= 0
        seeds = np.r_[n.head[positions.edge], n.tail[positions.edge][two_way]]
        seed_s = np.r_[(1 - share) * time_s[positions.edge], share[two_way] * time_s[back[two_way]]]
        seed_s += np.r_[delay_s, delay_s[two_way]]
        dist_s = np.empty(n.n_nodes)
        room = n.n_edges + len(seeds)
        search.spread(
            n.first_out,
            self._ends[:, search.HEAD].copy(),
            time_s,
            np.empty(room),
            np.empty(room, np.int32),
            seeds,
            seed_s,
            limit_s,
            dist_s,
        )
        return dist_s

    def reach_stretches(
        self,
        positions: Positions,
        limits_s: Sequence[float],
        hour: int,
        speed_factor: float = 1.0,
        delay_s: Floats | float = 0.0,
    ) -> Stretches:
        """The stretches of street that are reached within each limit from any of the positions, exact to the metre: the
        last street is cut where the time runs out. Arguments as of `reach`."""
        n, time_s = self.network, self.period(hour).time_s / speed_factor
        node_s = self.reach(positions, hour, max(limits_s), speed_factor, delay_s)
        forward_s, backward_s = np.full(n.n_streets, np.inf), np.full(n.n_streets, np.inf)
        forward_s[n.street[~n.backward]] = time_s[~n.backward]
        backward_s[n.street[n.backward]] = time_s[n.backward]
        first = n.edge_of_street
        begin = np.where(n.backward[first], n.head[first], n.tail[first])
        end = np.where(n.backward[first], n.tail[first], n.head[first])
        # a position parts its street in two, so that on each part time runs inwards from the ends alone
        share = positions.offset_m / self._length_m[positions.edge]
        at_street = n.street[positions.edge]
        at_share = np.where(n.backward[positions.edge], 1 - share, share)
        every = np.arange(n.n_streets)
        street = np.r_[every, every, at_street]
        where = np.r_[np.zeros(n.n_streets), np.ones(n.n_streets), at_share]
        when_s = np.r_[node_s[begin], node_s[end], np.broadcast_to(delay_s, len(positions))]
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
        self,
        positions: Positions,
        limits_s: Sequence[float],
        hour: int,
        speed_factor: float = 1.0,
        delay_s: Floats | float = 0.0,
    ) -> gpd.GeoDataFrame:
        """One row a limit, in rising order: `limit_s`, and as `geometry` the stretches reached within it but not
        within the one before. Arguments as of `reach`."""
        limits = sorted(limits_s)
        stretches = self.reach_stretches(positions, limits, hour, speed_factor, delay_s)
        lines = self.network.lines
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
        return gpd.GeoDataFrame({"limit_s": limits}, geometry=rows, crs=self.network.epsg)


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


@dataclass(frozen=True)
class HourOfWeek:
    """Turns seconds of a run into hours of the week."""

    start_s: float
    """Seconds since Monday 00:00 at which the run begins."""

    def __call__(self, at_s: float) -> int:
        return int((self.start_s + at_s) // HOUR_S) % HOURS_A_WEEK


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
