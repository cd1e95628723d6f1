"""The units during a run: where each is, and what it is doing. Nothing ticks: a unit on its way back has a route with
times, and its position is worked out when somebody asks."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

from dispatch.units import UnitSpec
from geodata.compiled import compiled
from geodata.network import Floats
from geodata.positions import Position, Positions
from geodata.routing import Route, Rows
from geodata.search import part_s

# What is looked at for all units at once stands in the rows of two arrays: a compiled function is called the faster the
# fewer arrays it takes. Of the way back these hold the number of the edge that a unit is on and of the last, when it
# began, the share of the first edge where it begins and of the last where it ends.
EDGE, POST, HOME, HOME_EDGE, AT, LAST = range(6)
OFFSET_M, TURN_OUT_S, HOME_OFFSET_M, HOME_TURN_OUT_S, BEGAN_S, BEGIN_SHARE, END_SHARE = range(7)


class Fleet:
    """One entry a unit, in roster order. Lists where single units are asked after, arrays where all are looked at."""

    def __init__(self, units: tuple[UnitSpec, ...], posts: Positions, length_m: Floats) -> None:
        n = len(units)
        home = np.array([unit.post for unit in units], np.int32)
        at_home = posts.take(home)
        at_post_s = np.array([unit.turn_out_post_s for unit in units])
        none = np.zeros(n)
        self._length_m = length_m
        self._numbers = np.stack([at_home.edge, home, home, at_home.edge, none, none - 1]).astype(np.int32)
        self._values = np.stack([at_home.offset_m, at_post_s, at_home.offset_m, at_post_s, none, none, none])
        # the edges of the way back, and when each ends
        self._edges, self._end_s = np.zeros((n, 64), np.int32), np.zeros((n, 64))
        self._mobile_turn_out_s = [unit.turn_out_mobile_s for unit in units]

        self.positions = Positions(self._numbers[EDGE], self._values[OFFSET_M])
        self.post = self._numbers[POST]
        """The post at which it stands, -1 when it is away from it."""
        self.turn_out_s = self._values[TURN_OUT_S]
        """Expected if it is ordered now."""
        self.slowness = np.array([1 / unit.speed_factor for unit in units])
        """Seconds for a second at the roads' speed, with siren."""
        self.available = np.zeros(n, np.bool_)
        """On duty and not engaged."""
        self.on_duty = [False] * n
        self.engaged = [False] * n
        """With an incident, from the order to clearing."""
        self.since_s = [0.0] * n
        """When a unit that is free became so."""
        self.back_s = [0.0] * n
        """When it reached or will reach its post after its last incident."""

    def start(self, unit: int, now_s: float) -> None:
        """A unit comes on duty at its post."""
        numbers, values = self._numbers, self._values
        numbers[EDGE, unit], numbers[POST, unit] = numbers[HOME_EDGE, unit], numbers[HOME, unit]
        values[OFFSET_M, unit], values[TURN_OUT_S, unit] = values[HOME_OFFSET_M, unit], values[HOME_TURN_OUT_S, unit]
        self.since_s[unit] = self.back_s[unit] = now_s

    def stop(self, unit: int, where: Position, now_s: float) -> None:
        """A unit is free where it is, away from its post."""
        self.positions.edge[unit], self.positions.offset_m[unit] = where
        self.post[unit] = self._numbers[LAST, unit] = -1
        self.turn_out_s[unit] = self._mobile_turn_out_s[unit]
        self.engaged[unit] = False
        self.since_s[unit], self.back_s[unit] = now_s, inf

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
            self._numbers,
            self._values,
            self._edges,
            self._end_s,
        )

    def look(self, now_s: float) -> Rows:
        """Bring the positions of all units on their way back up to now; rows of the units that may be sent."""
        rows = np.empty(len(self.available), np.int64)
        count = _look(
            now_s, self.available, self._numbers, self._values, self._edges, self._end_s, self._length_m, rows
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
    numbers: Any,
    values: Any,
    edges: Any,
    end_s: Any,
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
        reached_s += part_s(share, time_s[route[i]])
        edges[unit, i] = route[i]
        end_s[unit, i] = reached_s
    numbers[AT, unit] = 0
    numbers[LAST, unit] = final
    values[BEGAN_S, unit] = now_s
    values[BEGIN_SHARE, unit] = begin_share
    values[END_SHARE, unit] = end_share
    return reached_s


@compiled
def _look(
    now_s: float, available: Any, numbers: Any, values: Any, edges: Any, end_s: Any, length_m: Any, rows: Any
) -> int:
    count = 0
    for unit in range(len(available)):
        if not available[unit]:
            continue
        rows[count] = unit
        count += 1
        final = numbers[LAST, unit]
        if numbers[POST, unit] >= 0 or final < 0:
            # at its post, or free where it stands
            continue
        i = numbers[AT, unit]
        while i <= final and end_s[unit, i] <= now_s:
            i += 1
        if i > final:
            numbers[EDGE, unit] = numbers[HOME_EDGE, unit]
            numbers[POST, unit] = numbers[HOME, unit]
            values[OFFSET_M, unit] = values[HOME_OFFSET_M, unit]
            values[TURN_OUT_S, unit] = values[HOME_TURN_OUT_S, unit]
            continue
        numbers[AT, unit] = i
        since_s = values[BEGAN_S, unit] if i == 0 else end_s[unit, i - 1]
        begin = values[BEGIN_SHARE, unit] if i == 0 else 0.0
        end = values[END_SHARE, unit] if i == final else 1.0
        gone = (now_s - since_s) / (end_s[unit, i] - since_s)
        e = edges[unit, i]
        numbers[EDGE, unit] = e
        values[OFFSET_M, unit] = (begin + gone * (end - begin)) * length_m[e]
    return count
