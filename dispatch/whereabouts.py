"""Where every unit was at any second, rebuilt from the log and the problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.log import RunLog
from dispatch.patrol import Patrol
from dispatch.problem import Problem
from dispatch.units import ENGAGED, Span, UnitSpec, UnitState
from geodata.network import Bools, Floats, Ints
from geodata.positions import Position, Positions
from geodata.travel import NoWayError, Route, TravelTimes

Rows = NDArray[np.int64]
LEGS = 4096
"""So many ways are kept, as neighbouring incidents ask for the same ones."""
NOWHERE = -1
"""In place of a row of states: off duty."""
OFF_DUTY = -1
"""In place of a `UnitState`."""
MOVING = (UnitState.TRAVELLING, UnitState.RETURNING, UnitState.MOVING_UP, UnitState.TRANSPORTING)
READY = (UnitState.IDLE, UnitState.RETURNING, UnitState.PATROLLING, UnitState.MOVING_UP)
"""Free, as far as the state tells."""


class Leg(NamedTuple):
    """A way that is driven, with its times."""

    edges: Ints
    from_share: Floats
    """(e,) of each edge's length where the way begins on it,"""
    to_share: Floats
    """and where it ends on it."""
    until_s: Floats
    """(e,) seconds of the run at which each edge is left."""
    begin_s: float
    """When it moves: seconds that belong to no edge, of turning round, come first."""

    @classmethod
    def of(cls, route: Route, edge_s: Floats, pace: float, start_s: float) -> Leg:
        begin, end = np.zeros(len(route.edges)), np.ones(len(route.edges))
        begin[0], end[-1] = route.begin_share, route.end_share
        share = end - begin
        own_s = np.where(share > 0, share * np.where(share > 0, edge_s[route.edges], 0.0), 0.0)
        begin_s = start_s + max(route.time_s - float(own_s.sum()), 0.0) * pace
        return cls(route.edges, begin, end, begin_s + np.cumsum(own_s) * pace, begin_s)

    def at(self, at_s: float, length_m: Floats) -> Position:
        i = min(int(np.searchsorted(self.until_s, at_s, side="right")), len(self.edges) - 1)
        since_s = float(self.until_s[i - 1]) if i else self.begin_s
        lasts_s = float(self.until_s[i]) - since_s
        gone = min(max((at_s - since_s) / lasts_s, 0.0), 1.0) if lasts_s > 0 else 1.0
        share = self.from_share[i] + gone * (self.to_share[i] - self.from_share[i])
        edge = int(self.edges[i])
        return Position(edge, float(share * length_m[edge]))

    def driven_m(self, until_s: float, length_m: Floats) -> float:
        """Metres by a second of the run."""
        steps_m = (self.to_share - self.from_share) * length_m[self.edges]
        knots_s = np.r_[self.begin_s, self.until_s]
        return float(np.interp(until_s, knots_s, np.r_[0.0, np.cumsum(steps_m)]))


class Picture(NamedTuple):
    """All units of the roster at a second of the run; entries in roster order."""

    at_s: float
    row: Rows
    """In the log's `unit_states`, `NOWHERE` off duty."""
    state: NDArray[np.int8]
    """Values of `UnitState`, `OFF_DUTY` off duty."""
    positions: Positions
    """Off duty: the home post."""
    post: Ints
    """The post at which each stands, -1 for none; off duty: the home post."""
    available: Bools
    """Whether each is on duty and free, and not at a meal: whether it could be sent, if it is of the right kind."""
    turn_out_s: Floats
    """Expected, if it is ordered now."""


class Whereabouts:
    """Looks units up in a log. The routes are worked out again, as the engine did: by the rules of the unit's kind on
    the way to an incident, and as traffic drives otherwise."""

    def __init__(self, problem: Problem, log: RunLog) -> None:
        """Args:
        problem: that of which the log tells.
        log: it is not changed.
        """
        self.problem, self.log = problem, log
        self.number = {unit.id: row for row, unit in enumerate(problem.units)}
        """Row in the roster by id."""
        states = log.unit_states
        self.unit: Rows = np.asarray(states["unit_id"].map(self.number), np.int64)
        """(r,) roster row of each row of states; rows of a unit stand together, in the order of time."""
        by_label = {state.label: int(state) for state in UnitState}
        self.state = states["state"].map(by_label).to_numpy(np.int8)
        self.start_s, self.end_s = states["start_s"].to_numpy(float), states["end_s"].to_numpy(float)
        self.edge, self.offset_m = states["edge"].to_numpy(np.int32), states["offset_m"].to_numpy(float)
        self.post = states["post"].to_numpy(np.int32)
        self.pace, self.phase_s = states["pace"].to_numpy(float), states["phase_s"].to_numpy(float)
        self.incident = states["incident_id"].fillna(-1).to_numpy(np.int64)
        n = len(problem.units)
        self._home = np.array([unit.post for unit in problem.units], np.int32)
        self._turn_out_s = np.array([(unit.turn_out_mobile_s, unit.turn_out_post_s) for unit in problem.units])
        self._roads = [problem.travel[unit.kind.driving] for unit in problem.units]
        self.length_m = self._roads[0].length_m if n else np.empty(0)
        # a row is looked up by whole numbers, as sums of floats would be rounded
        self._starts_s = np.sort(self.start_s)
        self._key = self._keys(self.unit, self.start_s)
        self._order = np.argsort(self._key, kind="stable")
        self._key = self._key[self._order]
        self._units = np.arange(n, dtype=np.int64)
        self._timelines = _Timelines([unit.patrol for unit in problem.units], self.length_m)
        self.leg: Callable[[int], Leg] = lru_cache(LEGS)(self._leg)
        """The way of a row of states in motion."""

    def _keys(self, unit: Any, at_s: Floats | float) -> Rows:
        rank = np.searchsorted(self._starts_s, at_s, side="right")
        return np.asarray(unit * (len(self._starts_s) + 1) + rank, np.int64)

    def rows(self, at_s: float) -> Rows:
        """(n_units,) the row of states that holds at a second (from its start, before its end); `NOWHERE` off duty."""
        if not len(self._key):
            return np.full(len(self._units), NOWHERE)
        place = np.searchsorted(self._key, self._keys(self._units, at_s), side="right") - 1
        found = self._order[np.maximum(place, 0)]
        holds = (place >= 0) & (self.unit[found] == self._units) & (at_s < self.end_s[found])
        return np.where(holds, found, NOWHERE)

    def row(self, unit: int, at_s: float) -> int:
        return int(self.rows(at_s)[unit])

    def position(self, unit: int, at_s: float) -> Position | None:
        """Where a unit was; None off duty."""
        row = self.row(unit, at_s)
        return None if row == NOWHERE else self.position_in(row, at_s)

    def position_in(self, row: int, at_s: float) -> Position:
        """Where the unit of a row of states was at a second of it."""
        state = self.state[row]
        if state in MOVING:
            return self.leg(row).at(at_s, self.length_m)
        if state == UnitState.PATROLLING:
            patrol = self.problem.units[int(self.unit[row])].patrol
            if patrol is None:
                raise ValueError(f"unit_states, row {row}: on patrol, but the unit has none")
            return patrol.at(float(self.phase_s[row] + at_s - self.start_s[row]), self.length_m)
        return Position(int(self.edge[row]), float(self.offset_m[row]))

    def picture(self, at_s: float, *, engaged: bool = True) -> Picture:
        """All units at a second. `engaged`: also where units with an incident are, which costs a route for each that is
        on its way; otherwise they are told to be where their state began."""
        row = self.rows(at_s)
        on = row != NOWHERE
        own = row[on]
        home = self.problem.posts.take(self._home)
        state, post = np.full(len(row), OFF_DUTY, np.int8), self._home.copy()
        state[on], post[on] = self.state[own], self.post[own]
        edge, offset_m = home.edge.astype(np.int32), home.offset_m.astype(float)
        edge[on], offset_m[on] = self.edge[own], self.offset_m[own]
        patrolling = np.flatnonzero(state == UnitState.PATROLLING)
        if len(patrolling):
            own = row[patrolling]
            phase_s = self.phase_s[own] + at_s - self.start_s[own]
            edge[patrolling], offset_m[patrolling] = self._timelines.at(patrolling, phase_s)
        wanted = MOVING if engaged else (UnitState.RETURNING, UnitState.MOVING_UP)
        for unit in np.flatnonzero(np.isin(state, wanted)).tolist():
            edge[unit], offset_m[unit] = self.leg(int(row[unit])).at(at_s, self.length_m)
        post[(state != UnitState.IDLE) & on] = -1
        for unit in np.flatnonzero(state == UnitState.MEAL).tolist():
            post[unit] = self._post_of_meal(int(row[unit]))
        available = np.isin(state, READY)
        # who stands by at a post, patrols or moves up is on duty; who drives back, or is held up by closures, may be on
        # the way home
        for unit in np.flatnonzero((state == UnitState.RETURNING) | ((state == UnitState.IDLE) & (post < 0))).tolist():
            available[unit] = self._on_duty(self.problem.units[unit], int(row[unit]), at_s)
        turn_out_s = self._turn_out_s[self._units, (post >= 0).astype(np.int64)]
        return Picture(at_s, row, state, Positions(edge, offset_m), post, available, turn_out_s)

    def before(self, row: int) -> int:
        """The row of states that a unit's row follows without a break; `NOWHERE` where there is none."""
        follows = row > 0 and self.unit[row - 1] == self.unit[row] and self.end_s[row - 1] == self.start_s[row]
        return row - 1 if follows else NOWHERE

    def after(self, row: int) -> int:
        """The row that follows a unit's row without a break; `NOWHERE` where there is none."""
        ahead = row + 1
        return ahead if ahead < len(self.unit) and self.before(ahead) == row else NOWHERE

    def _on_duty(self, spec: UnitSpec, row: int, at_s: float) -> bool:
        """Whether a unit that is free by its state may be sent: not one that drives home after its duty, or because its
        vehicle is out of service."""
        if any(out.begin_s <= at_s < out.end_s for out in spec.outages):
            return False
        if spec.duty is None:
            return True
        since_s = self.start_s[row] if self.state[row] == UnitState.RETURNING else at_s
        spans: Iterable[Span] = (*spec.duty, *spec.standby)
        return any(span.begin_s <= since_s and at_s < span.end_s for span in spans)

    def _post_of_meal(self, row: int) -> int:
        """The post at which a unit eats, -1: elsewhere."""
        before = self.before(row)
        if before != NOWHERE and self.post[before] >= 0:
            post = int(self.post[before])
            if self.problem.posts[post] == Position(int(self.edge[row]), float(self.offset_m[row])):
                return post
        return -1

    def _leg(self, row: int) -> Leg:
        unit, state = int(self.unit[row]), UnitState(int(self.state[row]))
        start_s, origin = float(self.start_s[row]), Position(int(self.edge[row]), float(self.offset_m[row]))
        travel = self._roads[unit] if state is UnitState.TRAVELLING else self._roads[unit].calm
        if state is UnitState.TRAVELLING:
            route, moment = self._way_to_incident(row, travel, origin)
        else:
            moment = self._moment(travel, start_s)
            post = int(self.post[row])
            if state is UnitState.TRANSPORTING:
                route = travel.route(origin, self._centre(row), moment)
            elif post >= 0:
                route = travel.route(origin, self.problem.posts[post], moment)
            else:
                route = travel.route(origin, self._place_on_patrol(row), moment)
        return Leg.of(route, travel.edge_time_s(moment), float(self.pace[row]), start_s)

    def _moment(self, travel: TravelTimes, at_s: float) -> int:
        return travel.moment(self.problem.hour_of_week(at_s), at_s)

    def _way_to_incident(self, row: int, travel: TravelTimes, origin: Position) -> tuple[Route, int]:
        """The way as it was ordered, in the moment of the order; if it was closed before the unit set off, or on the
        way, the one that was found then."""
        target = self.problem.incidents.positions[int(self.incident[row])]
        start_s = float(self.start_s[row])
        now = self._moment(travel, start_s)
        before = self.before(row)
        if before != NOWHERE and self.state[before] == UnitState.TURN_OUT:
            ordered = self._moment(travel, float(self.start_s[before]))
            try:
                route = travel.route(origin, target, ordered)
            except NoWayError:
                return travel.route(origin, target, now), now
            closes = any(float(self.start_s[before]) < change_s <= start_s for change_s in travel.changes_s)
            if not closes or np.isfinite(travel.edge_time_s(now)[route.edges]).all():
                return route, ordered
        return travel.route(origin, target, now), now

    def _centre(self, row: int) -> Position:
        """The case-handling centre to which a unit transports somebody."""
        sent = self._transports.get((int(self.incident[row]), int(self.unit[row])), -1)
        if sent < 0 or self.problem.centres is None:
            raise ValueError(f"unit_states, row {row}: a transport that the assignments do not know")
        return self.problem.centres[sent]

    @cached_property
    def _transports(self) -> dict[tuple[int, int], int]:
        """The centre by incident and unit."""
        sent = self.log.assignments[self.log.assignments["centre"].notna()]
        units = sent["unit_id"].map(self.number)
        return {(int(i), int(u)): int(c) for i, u, c in zip(sent["incident_id"], units, sent["centre"], strict=True)}

    def _place_on_patrol(self, row: int) -> Position:
        """Where a unit that drives back to its patrol takes it up again: where it left it in this span of its duty, or
        at the beginning."""
        patrol = self.problem.units[int(self.unit[row])].patrol
        if patrol is None:
            raise ValueError(f"unit_states, row {row}: back to a patrol, but the unit has none")
        ahead, phase_s = self.after(row), 0.0
        if ahead != NOWHERE and self.state[ahead] == UnitState.PATROLLING:
            phase_s = float(self.phase_s[ahead])
        else:
            duty = self.problem.units[int(self.unit[row])].duty or ()
            began_s = max((span.begin_s for span in duty if span.begin_s <= self.start_s[row]), default=-np.inf)
            behind = self.before(row)
            while behind != NOWHERE and self.end_s[behind] > began_s:
                if self.state[behind] == UnitState.PATROLLING:
                    phase_s = float(self.phase_s[behind] + self.end_s[behind] - self.start_s[behind])
                    break
                behind = self.before(behind)
        return patrol.at(phase_s, self.length_m)


def driven(at: Whereabouts) -> pd.DataFrame:
    """Kilometres of each unit that were driven to incidents, back, to other posts and to case-handling centres; one
    column each of the states in motion but patrols (`patrol_km`). Index `unit_id`."""
    metres = np.zeros((len(at.problem.units), len(UnitState)))
    for row in np.flatnonzero(np.isin(at.state, MOVING)).tolist():
        metres[at.unit[row], at.state[row]] += at.leg(row).driven_m(float(at.end_s[row]), at.length_m)
    ids = pd.Index([unit.id for unit in at.problem.units], name="unit_id", dtype="str")
    return pd.DataFrame({state.label: metres[:, state] / 1000 for state in MOVING}, index=ids)


def engaged_with(at: Whereabouts, picture: Picture) -> Rows:
    """(n_units,) the incident that each unit is with, -1: none."""
    busy = np.isin(picture.state, ENGAGED)
    found = np.full(len(busy), -1)
    found[busy] = at.incident[picture.row[busy]]
    return found


class _Timelines:
    """The patrols of all units, one after the other, so that all are looked up at once."""

    def __init__(self, patrols: list[Patrol | None], length_m: Floats) -> None:
        own = [(unit, patrol) for unit, patrol in enumerate(patrols) if patrol is not None]
        self._length_m = length_m
        self._round_s = np.array([np.inf if p is None or not p.again else p.length_s for p in patrols])
        self._first = np.zeros(len(patrols), np.int64)
        self._first[[unit for unit, _ in own]] = np.cumsum([0, *(len(p.edge) for _, p in own)])[:-1]
        self._count = np.array([0 if p is None else len(p.edge) for p in patrols], np.int64)
        # seconds of different patrols must not meet
        self._apart_s = 2 * max((p.length_s for _, p in own), default=1.0)
        columns = ("edge", "from_share", "to_share", "until_s")
        self._edge, self._from_share, self._to_share, self._until_s = (
            np.concatenate([np.empty(0), *(getattr(p, name) for _, p in own)]) for name in columns
        )
        self._ends_s = np.concatenate([np.empty(0), *(unit * self._apart_s + p.until_s for unit, p in own)])

    def at(self, units: Rows, phase_s: Floats) -> tuple[Ints, Floats]:
        """Edges and offsets of units on patrol, as `Patrol.at`."""
        phase_s = np.fmod(phase_s, self._round_s[units])
        sought_s = units * self._apart_s + np.minimum(phase_s, 0.75 * self._apart_s)
        last = self._first[units] + self._count[units] - 1
        i = np.minimum(np.searchsorted(self._ends_s, sought_s, side="right"), last)
        since_s = np.where(i > self._first[units], self._until_s[i - 1], 0.0)
        lasts_s = self._until_s[i] - since_s
        some = np.where(lasts_s > 0, lasts_s, 1.0)
        gone = np.where(lasts_s > 0, np.clip((phase_s - since_s) / some, 0.0, 1.0), 1.0)
        share = self._from_share[i] + gone * (self._to_share[i] - self._from_share[i])
        edge = self._edge[i].astype(np.int32)
        return edge, share * self._length_m[edge]
