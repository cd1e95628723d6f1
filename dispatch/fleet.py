"""The units during a run: where each is, and what it is doing. Nothing ticks: a unit on its way back has a route with
times, and its position is worked out when somebody asks."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from dispatch.units import UnitSpec, UnitState
from geodata.network import Floats
from geodata.positions import Position, Positions
from geodata.routing import Route, Rows

_RETURNING = int(UnitState.RETURNING)


class Fleet:
    """One entry a unit in every array, in roster order."""

    def __init__(self, units: tuple[UnitSpec, ...], posts: Positions, length_m: Floats) -> None:
        n = len(units)
        self._length_m = length_m
        self._home = np.array([unit.post for unit in units], np.int32)
        self._home_at = posts.take(self._home)
        self._post_turn_out_s = np.array([unit.turn_out_post_s for unit in units])
        self._mobile_turn_out_s = np.array([unit.turn_out_mobile_s for unit in units])
        self.positions = Positions(self._home_at.edge.copy(), self._home_at.offset_m.copy())
        self.post = self._home.copy()
        """The post at which each stands, -1 for one that is away from it."""
        self.slowness = np.array([1 / unit.speed_factor for unit in units])
        self.turn_out_s = self._post_turn_out_s.copy()
        self.on_duty = np.zeros(n, np.bool_)
        self.engaged = np.zeros(n, np.bool_)
        """With an incident, from the order to clearing."""
        self.available = np.zeros(n, np.bool_)
        """On duty and not engaged."""
        self.state = np.zeros(n, np.uint8)
        """A `UnitState` each; one that is back at its post may still read RETURNING: see `back_s`."""
        self.since_s = np.zeros(n)
        """Up to when its states are written down."""
        self.incident = np.full(n, -1)
        self.back_s = np.zeros(n)
        """When it reached or will reach its post after the last incident."""
        self._edges = np.zeros((n, 64), np.int32)
        self._end_s = np.zeros((n, 64))
        self._at, self._last = np.zeros(n, np.int32), np.zeros(n, np.int32)
        self._span = np.zeros((n, 3))
        """Of the way back: when it began, the share of its first edge where it begins, of its last where it ends."""

    def start(self, unit: int, now_s: float) -> None:
        """A unit comes on duty at its post."""
        self._place(unit, self._home_at[unit])
        self.post[unit] = self._home[unit]
        self.state[unit], self.since_s[unit] = UnitState.IDLE, now_s
        self.turn_out_s[unit] = self._post_turn_out_s[unit]

    def stop(self, unit: int, where: Position) -> None:
        """A unit is free where it is, away from its post."""
        self._place(unit, where)
        self.post[unit] = -1
        self.engaged[unit] = False
        self.turn_out_s[unit] = self._mobile_turn_out_s[unit]

    def _place(self, unit: int, where: Position) -> None:
        self.positions.edge[unit], self.positions.offset_m[unit] = where

    def send_back(self, unit: int, route: Route, time_s: Floats, now_s: float) -> None:
        """Let a unit drive to its post along a route, at the roads' speed (seconds by edge)."""
        count = len(route.edges)
        if count > self._edges.shape[1]:
            wider = ((0, 0), (0, count))
            self._edges, self._end_s = np.pad(self._edges, wider), np.pad(self._end_s, wider)
        end_s = self._end_s[unit, :count]
        end_s[:] = time_s[route.edges]
        end_s[-1] *= route.end_share
        end_s[0] -= route.begin_share * time_s[route.edges[0]]
        np.cumsum(end_s, out=end_s)
        end_s += now_s
        self._edges[unit, :count] = route.edges
        self._at[unit], self._last[unit] = 0, count - 1
        self._span[unit] = now_s, route.begin_share, route.end_share
        self.back_s[unit] = end_s[-1]

    def look(self, now_s: float) -> Rows:
        """Bring the positions of all returning units up to now; rows of the units that may be sent."""
        count: int
        rows = np.empty(len(self.state), np.int64)
        count = _look(
            now_s,
            self.available,
            self.state,
            self.back_s,
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
            self._post_turn_out_s,
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _look(
    now_s: float,
    available: Any,
    state: Any,
    back_s: Any,
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
    post_turn_out_s: Any,
    rows: Any,
) -> int:
    count = 0
    for unit in range(len(state)):
        if not available[unit]:
            continue
        rows[count] = unit
        count += 1
        if state[unit] != _RETURNING:
            continue
        if now_s >= back_s[unit]:
            edge[unit] = home_edge[unit]
            offset_m[unit] = home_offset_m[unit]
            post[unit] = home[unit]
            turn_out_s[unit] = post_turn_out_s[unit]
            continue
        i = at[unit]
        while end_s[unit, i] <= now_s:
            i += 1
        at[unit] = i
        since_s = span[unit, 0] if i == 0 else end_s[unit, i - 1]
        begin = span[unit, 1] if i == 0 else 0.0
        end = span[unit, 2] if i == last[unit] else 1.0
        gone = (now_s - since_s) / (end_s[unit, i] - since_s)
        e = edges[unit, i]
        edge[unit] = e
        offset_m[unit] = (begin + gone * (end - begin)) * length_m[e]
    return count
