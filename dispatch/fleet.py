"""The units during a run: where each is, and what it is doing. Nothing ticks: a unit on its way back has a route with
times, and its position is worked out when somebody asks."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from dispatch.units import UnitSpec
from geodata.network import Floats
from geodata.positions import Position, Positions
from geodata.routing import Route, Rows
from geodata.search import compiled


class Fleet:
    """One entry a unit, in roster order. Lists where single units are asked after, arrays where all are looked at."""

    def __init__(self, units: tuple[UnitSpec, ...], posts: Positions, length_m: Floats) -> None:
        n = len(units)
        self._length_m = length_m
        self._home = np.array([unit.post for unit in units], np.int32)
        self._home_at = posts.take(self._home)
        self._home_turn_out_s = np.array([unit.turn_out_post_s for unit in units])
        self._mobile_turn_out_s = [unit.turn_out_mobile_s for unit in units]

        self.since_s = [0.0] * n
        """When a unit that is free became so."""
        self.back_s = [0.0] * n
        """When it reached or will reach its post after its last incident."""
        self.on_duty = [False] * n
        self.engaged = [False] * n
        """With an incident, from the order to clearing."""
        self.available = np.zeros(n, np.bool_)
        """On duty and not engaged."""
        self.post = self._home.copy()
        """The post at which it stands, -1 when it is away from it."""
        self.positions = Positions(self._home_at.edge.copy(), self._home_at.offset_m.copy())
        self.turn_out_s = self._home_turn_out_s.copy()
        """Expected if it is ordered now."""
        self.slowness = np.array([1 / unit.speed_factor for unit in units])
        """Seconds for a second at the roads' speed, with siren."""

        # the way back: its edges and when each ends, the one that it is on, the last; when it began, the share of the
        # first edge where it begins and of the last where it ends
        self._edges, self._end_s = np.zeros((n, 64), np.int32), np.zeros((n, 64))
        self._at, self._last = np.zeros(n, np.int32), np.full(n, -1, np.int32)
        self._span = np.zeros((n, 3))

    def start(self, unit: int, now_s: float) -> None:
        """A unit comes on duty at its post."""
        self.positions.edge[unit] = self._home_at.edge[unit]
        self.positions.offset_m[unit] = self._home_at.offset_m[unit]
        self.post[unit] = self._home[unit]
        self.since_s[unit] = self.back_s[unit] = now_s
        self.turn_out_s[unit] = self._home_turn_out_s[unit]

    def stop(self, unit: int, where: Position, now_s: float) -> None:
        """A unit is free where it is, away from its post."""
        self.positions.edge[unit], self.positions.offset_m[unit] = where
        self.post[unit] = -1
        self.engaged[unit] = False
        self.since_s[unit], self.back_s[unit] = now_s, inf
        self._last[unit] = -1
        self.turn_out_s[unit] = self._mobile_turn_out_s[unit]

    def send_back(self, unit: int, route: Route, time_s: Floats, now_s: float) -> None:
        """Let a unit drive to its post along a route, at the roads' speed (seconds by edge)."""
        lack = len(route.edges) - self._edges.shape[1]
        if lack > 0:
            wider = ((0, 0), (0, 2 * lack))
            self._edges, self._end_s = np.pad(self._edges, wider), np.pad(self._end_s, wider)
        self.back_s[unit] = _lay_back(
            unit,
            route.edges,
            route.begin_share,
            route.end_share,
            time_s,
            now_s,
            self._edges,
            self._end_s,
            self._at,
            self._last,
            self._span,
        )

    def look(self, now_s: float) -> Rows:
        """Bring the positions of all units on their way back up to now; rows of the units that may be sent."""
        rows = np.empty(len(self.available), np.int64)
        count = _look(
            now_s,
            self.available,
            self._edges,
            self._end_s,
            self._at,
            self._last,
            self._span,
            self._length_m,
            self.positions.edge,
            self.positions.offset_m,
            self._home,
            self._home_at.edge,
            self._home_at.offset_m,
            self.post,
            self.turn_out_s,
            self._home_turn_out_s,
            rows,
        )
        return rows[:count]

    def along(self, route: Route, slowness: float, time_s: Floats, gone_s: float) -> Position:
        """Where a unit is after so many seconds on a route driven with a slowness."""
        own_s = time_s[route.edges] * slowness
        begin, end = np.zeros(len(own_s)), np.ones(len(own_s))
        begin[0], end[-1] = route.begin_share, route.end_share
        until_s = np.cumsum(own_s * (end - begin))
        i = min(int(np.searchsorted(until_s, gone_s)), len(own_s) - 1)
        share = min(max(end[i] - (until_s[i] - gone_s) / own_s[i], begin[i]), end[i])
        edge = int(route.edges[i])
        return Position(edge, float(share * self._length_m[edge]))


@compiled
def _lay_back(
    unit: int,
    route: Any,
    begin_share: float,
    end_share: float,
    time_s: Any,
    now_s: float,
    edges: Any,
    end_s: Any,
    at: Any,
    last: Any,
    span: Any,
) -> float:
    """Write down a unit's way back; when it ends."""
    reached_s = now_s
    final = len(route) - 1
    for i in range(final + 1):
        share = 1.0
        if i == final:
            share = end_share
        if i == 0:
            share -= begin_share
        reached_s += share * time_s[route[i]]
        edges[unit, i] = route[i]
        end_s[unit, i] = reached_s
    at[unit] = 0
    last[unit] = final
    span[unit, 0] = now_s
    span[unit, 1] = begin_share
    span[unit, 2] = end_share
    return reached_s


@compiled
def _look(
    now_s: float,
    available: Any,
    edges: Any,
    end_s: Any,
    at: Any,
    last: Any,
    span: Any,
    length_m: Any,
    edge: Any,
    offset_m: Any,
    home: Any,
    home_edge: Any,
    home_offset_m: Any,
    post: Any,
    turn_out_s: Any,
    home_turn_out_s: Any,
    rows: Any,
) -> int:
    count = 0
    for unit in range(len(available)):
        if not available[unit]:
            continue
        rows[count] = unit
        count += 1
        final = last[unit]
        if post[unit] >= 0 or final < 0:
            # at its post, or free where it stands
            continue
        i = at[unit]
        while i <= final and end_s[unit, i] <= now_s:
            i += 1
        if i > final:
            edge[unit] = home_edge[unit]
            offset_m[unit] = home_offset_m[unit]
            post[unit] = home[unit]
            turn_out_s[unit] = home_turn_out_s[unit]
            continue
        at[unit] = i
        since_s = span[unit, 0] if i == 0 else end_s[unit, i - 1]
        begin = span[unit, 1] if i == 0 else 0.0
        end = span[unit, 2] if i == final else 1.0
        gone = (now_s - since_s) / (end_s[unit, i] - since_s)
        e = edges[unit, i]
        edge[unit] = e
        offset_m[unit] = (begin + gone * (end - begin)) * length_m[e]
    return count
