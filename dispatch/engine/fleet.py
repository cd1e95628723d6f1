"""Where the units are during a run. Nothing ticks: a unit that drives has a route with times, one on patrol a timeline,
and its position is worked out when somebody asks, in the middle of an edge if need be."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatch.patrol import Timelines
from dispatch.units import UnitSpec
from geodata.along import part_s
from geodata.compiled import lean
from geodata.network import Floats
from geodata.positions import Position, Positions
from geodata.travel import Route, Rows

# What is looked at for all units at once stands in the rows of two arrays: a compiled function is called the faster the
# fewer arrays it takes.
EDGE, POST, MODE, AT, LAST, GOAL_EDGE, GOAL_POST, ROUND, HOME = range(9)
"""Of a unit: its edge, the post at which it stands, how it moves, the place on its route, the last on it, where the
route leads (edge, post), the patrol that is taken up there, and its home post."""
(
    OFFSET_M, TURN_OUT_S, BEGAN_S, BEGIN_SHARE, END_SHARE, GOAL_M, POST_TURN_OUT_S, MOBILE_TURN_OUT_S, PHASE_S, SINCE_S,
    SEEN_X_M, SEEN_Y_M, SEEN_S, PATROL_M_S,
) = range(14)  # fmt: skip
"""And its offset, its turn-out now, when it set off, the shares of the first and the last edge of its way, where that
ends, its turn-out at a post and away from any, how far it is in its patrol and since when, where and when it was seen
last by `lookout`, and metres in a second where its patrol is fastest."""
STILL, DRIVING, ON_PATROL = range(3)
"""Values of MODE."""
AWAY, FREE, AT_MEAL = range(3)
"""Values of `Fleet.available`: not to be sent, to be sent at once, and only to what is most urgent."""


class Fleet:
    """One entry a unit, in roster order."""

    def __init__(self, units: Sequence[UnitSpec], posts: Positions, length_m: Floats, timelines: Timelines) -> None:
        n = len(units)
        self._posts = posts
        self._length_m = length_m
        home = np.array([unit.post for unit in units], np.int32)
        self._numbers = np.zeros((9, n), np.int32)
        self._values = np.zeros((14, n))
        self._numbers[POST] = self._numbers[GOAL_POST] = self._numbers[HOME] = home
        self._numbers[ROUND] = -1
        self._values[SEEN_S] = -inf
        self._numbers[EDGE] = self._numbers[GOAL_EDGE] = posts.edge[home]
        self._values[OFFSET_M] = self._values[GOAL_M] = posts.offset_m[home]
        self._values[TURN_OUT_S] = self._values[POST_TURN_OUT_S] = [unit.turn_out_post_s for unit in units]
        self._values[MOBILE_TURN_OUT_S] = [unit.turn_out_mobile_s for unit in units]
        # the edges of the ways that are driven, and when each ends
        self._edges, self._end_s = np.zeros((n, 64), np.int32), np.zeros((n, 64))
        self._values[PATROL_M_S] = timelines.fastest_m_s
        self._timelines = *timelines[:3], np.zeros(n, np.int64)
        """And where each was looked at last."""
        self.rows = np.empty(n, np.int64)
        self._gather()

        self.available = np.zeros(n, np.uint8)
        """AWAY, FREE or AT_MEAL."""
        self._edge, self._post, self._mode, self._round = (
            single(self._numbers[row]) for row in (EDGE, POST, MODE, ROUND)
        )
        self._offset_m, self._turn_out_s, self._mobile_turn_out_s, self._phase_s, self._since_s, self._seen_s = (
            single(self._values[row]) for row in (OFFSET_M, TURN_OUT_S, MOBILE_TURN_OUT_S, PHASE_S, SINCE_S, SEEN_S)
        )
        self.positions = Positions(self._numbers[EDGE], self._values[OFFSET_M])
        """As of the last look."""
        self.post = self._numbers[POST]
        """The post at which each stands, -1 when it is away from any."""
        self.turn_out_s = self._values[TURN_OUT_S]
        """Expected if it is ordered now."""

    def place(self, unit: int) -> tuple[Position, float]:
        """Where a unit was at the last look, and its turn-out in seconds."""
        return Position(self._edge[unit], self._offset_m[unit]), self._turn_out_s[unit]

    def stand(self, unit: int, where: Position) -> None:
        """A unit stays where it is, away from a post."""
        self._edge[unit], self._offset_m[unit] = where
        self._mode[unit] = STILL
        self._post[unit] = self._round[unit] = -1
        self._turn_out_s[unit] = self._mobile_turn_out_s[unit]
        self._seen_s[unit] = -inf

    def stand_at_post(self, unit: int, post: int) -> None:
        numbers, values = self._numbers, self._values
        numbers[EDGE, unit], values[OFFSET_M, unit] = self._posts.edge[post], self._posts.offset_m[post]
        numbers[MODE, unit], numbers[POST, unit], numbers[ROUND, unit] = STILL, post, -1
        values[TURN_OUT_S, unit], values[SEEN_S, unit] = values[POST_TURN_OUT_S, unit], -inf

    def patrol(self, unit: int, phase_s: float, now_s: float) -> None:
        """A unit takes up its patrol at a point of the timeline, where it is."""
        numbers, values = self._numbers, self._values
        numbers[MODE, unit], numbers[POST, unit], numbers[ROUND, unit] = ON_PATROL, -1, unit
        values[PHASE_S, unit], values[SINCE_S, unit], values[SEEN_S, unit] = phase_s, now_s, -inf
        values[TURN_OUT_S, unit] = values[MOBILE_TURN_OUT_S, unit]

    def drive(
        self, unit: int, route: Route, edge_s: Floats, pace: float, now_s: float, goal: Position, post: int = -1
    ) -> float:
        """Let a unit drive along a route, `edge_s` times its pace on each edge; when it is there.

        Seconds of the route that belong to no edge (turning round) pass before it sets off. At the end it stands at
        the post if one is given; what else it does there `resume` says.
        """
        lack = len(route.edges) - self._edges.shape[1]
        if lack > 0:
            wider = ((0, 0), (0, 2 * lack))
            self._edges, self._end_s = np.pad(self._edges, wider), np.pad(self._end_s, wider)
            self._gather()
        numbers, values = self._numbers, self._values
        numbers[GOAL_EDGE, unit], values[GOAL_M, unit] = goal
        values[SEEN_S, unit] = -inf
        numbers[GOAL_POST, unit], numbers[ROUND, unit] = post, -1
        end_s: float = lay(
            unit, route.edges, route.begin_share, route.end_share, route.time_s, edge_s, pace, now_s, numbers, values,
            self._edges, self._end_s,
        )  # fmt: skip
        return end_s

    def resume(self, unit: int, phase_s: float, at_s: float) -> None:
        """A unit that drives takes up its patrol where its route ends."""
        self._numbers[ROUND, unit] = unit
        self._values[PHASE_S, unit], self._values[SINCE_S, unit] = phase_s, at_s

    def look(self, now_s: float, level: int = FREE) -> Rows:
        """Bring the positions of all units that may be sent (up to a value of `available`) to now; their rows, until
        the next look."""
        count = look(now_s, level, self.available, *self.moving, self.rows)
        return self.rows[:count]

    def _gather(self) -> None:
        """Put together what tells how units move, as the compiled functions want it."""
        own = self._numbers, self._values, self._edges, self._end_s, self._length_m
        self.moving: tuple[Any, ...] = (*own, *self._timelines)

    def whereabouts(self, unit: int, now_s: float) -> Position:
        """Where one unit is, whatever it does."""
        advance(np.array([unit]), now_s, *self.moving)
        return Position(int(self._numbers[EDGE, unit]), float(self._values[OFFSET_M, unit]))

    def halt(self, unit: int, now_s: float) -> float:
        """A free unit stops where it is, at its post if it stands there; how far it is in its patrol, or will be when
        it takes it up again, -1 where it is on none."""
        where, phase_s = self.whereabouts(unit, now_s), self.phase_s(unit, now_s)
        if self._post[unit] >= 0:
            self.stand_at_post(unit, self._post[unit])
        else:
            self.stand(unit, where)
        return phase_s

    def phase_s(self, unit: int, now_s: float) -> float:
        """How far a unit is in its patrol, or will be when it takes it up again, -1 where it is on none."""
        if self._round[unit] < 0:
            return -1.0
        phase_s: float = self._phase_s[unit] + max(now_s - self._since_s[unit], 0.0)
        return phase_s

    def on_patrol(self, unit: int, phase_s: float) -> Position:
        """Where a unit is that has patrolled for some seconds, as `Patrol.at` has it."""
        edge, offset_m = on_patrol(unit, phase_s, *self._timelines)
        return Position(edge, offset_m)

    def ahead(self, unit: int, now_s: float) -> tuple[Rows, Position, float]:
        """The edges that a driving unit has yet to come to; the end of the one that it is on, and when it is there."""
        numbers = self._numbers
        last = int(numbers[LAST, unit])
        i = min(int(np.searchsorted(self._end_s[unit, : last + 1], now_s, side="right")), last)
        edge = int(self._edges[unit, i])
        return (
            self._edges[unit, i + 1 : last + 1].astype(np.int64),
            Position(edge, float(self._length_m[edge])),
            float(self._end_s[unit, i]),
        )


def single(values: NDArray[Any]) -> Any:
    """The same memory for single values, which are read and written through it several times as fast."""
    return memoryview(np.ascontiguousarray(values))  # type: ignore[arg-type]


@lean
def on_patrol(unit: int, phase_s: float, first: Any, again: Any, stretch: Any, cursor: Any) -> tuple[int, float]:
    low, high = first[unit], first[unit + 1]
    if again[unit]:
        phase_s = phase_s % stretch[high - 1, 2]
    # mostly it is asked for where the unit was seen last
    i = low + cursor[unit]
    if phase_s >= stretch[i, 2] or (i > low and phase_s < stretch[i - 1, 2]):
        i = low + min(np.searchsorted(stretch[low:high, 2], phase_s, side="right"), high - low - 1)
    since_s = stretch[i - 1, 2] if i > low else 0.0
    lasts_s = stretch[i, 2] - since_s
    gone = min((phase_s - since_s) / lasts_s, 1.0) if lasts_s > 0.0 else 1.0
    return int(stretch[i, 3]), stretch[i, 0] + gone * (stretch[i, 1] - stretch[i, 0])


@lean
def lay(
    unit: int, route: Any, begin_share: float, end_share: float, time_s: float, edge_s: Any, pace: float, now_s: float,
    numbers: Any, values: Any, edges: Any, end_s: Any,
) -> float:  # fmt: skip
    """Write down the way of a unit; when it ends."""
    final = len(route) - 1
    road_s = 0.0
    for i in range(final + 1):
        share = end_share if i == final else 1.0
        if i == 0:
            share -= begin_share
        road_s += part_s(share, edge_s[route[i]])
        edges[unit, i] = route[i]
        end_s[unit, i] = road_s
    # what belongs to no edge comes first
    began_s = now_s + max(time_s - road_s, 0.0) * pace
    for i in range(final + 1):
        end_s[unit, i] = began_s + end_s[unit, i] * pace
    numbers[MODE, unit] = DRIVING
    numbers[POST, unit] = -1
    numbers[AT, unit] = 0
    numbers[LAST, unit] = final
    values[BEGAN_S, unit] = began_s
    values[BEGIN_SHARE, unit] = begin_share
    values[END_SHARE, unit] = end_share
    values[TURN_OUT_S, unit] = values[MOBILE_TURN_OUT_S, unit]
    return float(end_s[unit, final])


@lean
def advance(
    units: Any, now_s: float, numbers: Any, values: Any, edges: Any, end_s: Any, length_m: Any,
    first: Any, again: Any, stretch: Any, cursor: Any,
) -> None:  # fmt: skip
    """Bring the positions of some units to now. All in one loop: a call for each would cost more than what it does."""
    for row in range(len(units)):
        unit = units[row]
        if numbers[MODE, unit] == DRIVING:
            final = numbers[LAST, unit]
            i = numbers[AT, unit]
            while i <= final and end_s[unit, i] <= now_s:
                i += 1
            if i > final:
                numbers[EDGE, unit], values[OFFSET_M, unit] = numbers[GOAL_EDGE, unit], values[GOAL_M, unit]
                if numbers[ROUND, unit] >= 0:
                    numbers[MODE, unit] = ON_PATROL
                else:
                    numbers[MODE, unit] = STILL
                    numbers[POST, unit] = numbers[GOAL_POST, unit]
                    if numbers[POST, unit] >= 0:
                        values[TURN_OUT_S, unit] = values[POST_TURN_OUT_S, unit]
            else:
                numbers[AT, unit] = i
                since_s = values[BEGAN_S, unit] if i == 0 else end_s[unit, i - 1]
                begin = values[BEGIN_SHARE, unit] if i == 0 else 0.0
                end = values[END_SHARE, unit] if i == final else 1.0
                gone = max(now_s - since_s, 0.0) / (end_s[unit, i] - since_s)
                e = edges[unit, i]
                numbers[EDGE, unit] = e
                values[OFFSET_M, unit] = (begin + gone * (end - begin)) * length_m[e]
        if numbers[MODE, unit] == ON_PATROL:
            low, high = first[unit], first[unit + 1]
            whole_s = stretch[high - 1, 2]
            phase_s = values[PHASE_S, unit] + now_s - values[SINCE_S, unit]
            if again[unit]:
                phase_s = phase_s % whole_s
            elif phase_s >= whole_s:
                numbers[MODE, unit] = STILL
                numbers[POST, unit] = numbers[HOME, unit]
                values[TURN_OUT_S, unit] = values[POST_TURN_OUT_S, unit]
                phase_s = whole_s
            i = cursor[unit] + low
            if i > low and stretch[i - 1, 2] > phase_s:
                i = low
            while i < high - 1 and stretch[i, 2] <= phase_s:
                i += 1
            cursor[unit] = i - low
            since_s = stretch[i - 1, 2] if i > low else 0.0
            lasts_s = stretch[i, 2] - since_s
            gone = min((phase_s - since_s) / lasts_s, 1.0) if lasts_s > 0.0 else 1.0
            numbers[EDGE, unit] = int(stretch[i, 3])
            values[OFFSET_M, unit] = stretch[i, 0] + gone * (stretch[i, 1] - stretch[i, 0])


@lean
def look(
    now_s: float, level: int, available: Any, numbers: Any, values: Any, edges: Any, end_s: Any, length_m: Any,
    first: Any, again: Any, stretch: Any, cursor: Any, rows: Any,
) -> int:  # fmt: skip
    count = 0
    for unit in range(len(available)):
        if available[unit] == AWAY or available[unit] > level:
            continue
        rows[count] = unit
        count += 1
    advance(rows[:count], now_s, numbers, values, edges, end_s, length_m, first, again, stretch, cursor)
    return count
