"""Runs posed by hand: calls and units as a test states them, on a line of places a hundred seconds apart or on a few
streets, so that every second can be reckoned. Each run is also read by the checker of logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
from log_checker import check_log, rows_of

from dispatch.engine import simulate
from dispatch.incidents import Incidents, IncidentType
from dispatch.log import RunLog
from dispatch.patrol import Patrol
from dispatch.policies.dispatching import nearest
from dispatch.policies.situation import Order, Situation
from dispatch.problem import Problem
from dispatch.standard import ResponseStandard
from dispatch.units import Role, UnitKind, UnitSpec
from geodata.driving import OBEY_ALL, DrivingRules
from geodata.matrix import MatrixTravel
from geodata.network import OneWay, RoadClass, RoadNetwork, Streets, build_network
from geodata.positions import Position, Positions
from geodata.routing import RoadTravel
from geodata.speeds import Slowdown
from geodata.travel import TravelTimes

MONDAY_10 = datetime(2026, 6, 1, 10)
"""No peak hour: roads are as fast as they say."""
INF = float("inf")
CAR = UnitKind(name="car", speed_factor=1.0)
ARMED = UnitKind(name="armed", speed_factor=1.0, skills=frozenset({"armed"}))
HELPER = UnitKind(name="helper", speed_factor=1.0, acts_alone=False)
ANYBODY = Role(acts_alone=False)

N_PLACES = 10
STEP_S = 100.0
"""Between neighbours on the line; as many metres are ten times that."""
_AWAY = np.abs(np.subtract.outer(np.arange(N_PLACES), np.arange(N_PLACES))).astype(float)
LINE = MatrixTravel(_AWAY * STEP_S, _AWAY * STEP_S * 10, anchors=range(N_PLACES))
"""Places 0 to 9; at each of them is a post of the same number."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One incident: at a place of the line, or anywhere; dealt with in ten minutes."""

    received_s: float = 0.0
    at: int | Position = 0
    priority: int = 3
    desk_s: float = 0.0
    on_scene_s: float = 600.0
    units_needed: int = 1
    plan: int = 0
    type: int = IncidentType.HELP
    cell: int = -1
    backup: int = 0
    duplicate_of: int = -1
    false_alarm: bool = False
    withdrawn_s: float = INF
    custody_s: float = 0.0


def place(at: int | Position) -> Position:
    return at if isinstance(at, Position) else LINE.place(at)


def line(times: float = 1.0, calm: float = 1.0) -> MatrixTravel:
    """The line at another speed, with the same posts."""
    step_s = _AWAY * STEP_S
    return MatrixTravel(step_s * times, _AWAY * STEP_S * 10, anchors=LINE.anchors, calm_times_s=step_s * calm)


def car(name: str, post: int, **told: Any) -> UnitSpec:
    """A unit that rolls 30 s after the order at its post, 15 s elsewhere."""
    return UnitSpec(**{"id": name, "post": post, "kind": CAR} | told)


def incidents_of(calls: Sequence[Call]) -> Incidents:
    def column(name: str, kind: Any) -> Any:
        return np.array([getattr(call, name) for call in calls], kind)

    n = len(calls)
    where = [place(call.at) for call in calls]
    kinds = {"received_s": float, "desk_s": float, "on_scene_s": float, "withdrawn_s": float, "custody_s": float}
    kinds |= {"cell": np.int32, "duplicate_of": np.int32, "false_alarm": np.bool_}
    told = {f.name: column(f.name, kinds.get(f.name, np.uint8)) for f in fields(Call) if f.name != "at"}
    return Incidents(
        **told,
        place_class=np.zeros(n, np.uint8),
        positions=Positions(np.array([p.edge for p in where], np.int32), np.array([p.offset_m for p in where])),
        xy_m=np.zeros((n, 2)),
        limit_s=np.full(n, 300.0),
    )


def posed(calls: Sequence[Call], units: Sequence[UnitSpec], travel: Any = LINE, **told: Any) -> Problem:
    """Two hours from Monday at ten. `travel`: of all units, or by driving rules; `told`: fields of the problem."""
    by_rules = travel if isinstance(travel, dict) else {"obey_all": travel}
    usual = {"policy": nearest, "standard": ResponseStandard(), "start": MONDAY_10, "horizon_s": 7_200.0}
    posts = next(iter(by_rules.values())).anchors
    return Problem(incidents=incidents_of(calls), units=tuple(units), posts=posts, travel=by_rules, **usual | told)


class Played:
    """A run that was lawful, and how to look at it."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.log: RunLog = simulate(problem)
        check_log(self.log, problem)

    @cached_property
    def incidents(self) -> list[SimpleNamespace]:
        return rows_of(self.log.incidents)

    @cached_property
    def orders(self) -> list[SimpleNamespace]:
        return rows_of(self.log.assignments)

    @property
    def sent(self) -> list[tuple[int, str, float]]:
        """Every order: incident, unit, second."""
        return [(o.incident_id, o.unit_id, o.ordered_s) for o in self.orders]

    def order(self, incident: int, unit: str, which: int = 0) -> SimpleNamespace:
        return [o for o in self.orders if (o.incident_id, o.unit_id) == (incident, unit)][which]

    def did(self, unit: str, *states: str) -> list[tuple[str, float, float]]:
        """What a unit did, from when to when (to the microsecond); all of it, or some states."""
        rows = [r for r in rows_of(self.log.unit_states) if r.unit_id == unit and (not states or r.state in states)]
        return [(r.state, round(r.start_s, 6), round(r.end_s, 6)) for r in rows]

    def rows(self, unit: str, state: str) -> list[SimpleNamespace]:
        return [r for r in rows_of(self.log.unit_states) if (r.unit_id, r.state) == (unit, state)]


def play(calls: Sequence[Call], units: Sequence[UnitSpec], travel: Any = LINE, **told: Any) -> Played:
    return Played(posed(calls, units, travel, **told))


def steps(*told: tuple[str, float], end_s: float = 7_200.0) -> list[tuple[str, float, float]]:
    """States one after the other, each from a second to where the next begins."""
    begins = [*told, ("", end_s)]
    return [(state, begin_s, after[1]) for (state, begin_s), after in pairwise(begins)]


def walk(*stops: tuple[int, float], again: bool = True, home: int = 0) -> Patrol:
    """A patrol along the line, from its post over stops of so many seconds each and back, twice as long on the way as
    in a hurry."""
    edge, begin, end, lasts_s = [], [], [], []
    here = home
    for there, stops_s in (*stops, (home, 0.0)):
        edge += [here * N_PLACES + there]
        begin, end = [*begin, 0.0], [*end, 1.0]
        lasts_s += [2 * STEP_S * abs(there - here)]
        if stops_s:
            edge, begin, end, lasts_s = [*edge, edge[-1]], [*begin, 1.0], [*end, 1.0], [*lasts_s, stops_s]
        here = there
    return Patrol(
        name="walk",
        edge=np.array(edge, np.int32),
        from_share=np.array(begin),
        to_share=np.array(end),
        until_s=np.cumsum(lasts_s),
        again=again,
    )


class Town:
    """A main street of three blocks, 0 – 1 – 2 – 3, and a way round the middle one, 1 – 4 – 5 – 2. Each block is 1 km
    and takes 100 s in either direction, but for a street that may be one-way; posts at the ends of the main street."""

    def __init__(self, one_way: tuple[int, int] | None = None) -> None:
        xy_m = np.array([(0, 0), (1, 0), (2, 0), (3, 0), (1, 1), (2, 1)]) * 1_000.0
        ends = np.array([(0, 1), (1, 2), (2, 3), (1, 4), (4, 5), (5, 2)])
        self.network: RoadNetwork = build_network(
            Streets(
                epsg=4547,
                start=ends[:, 0],
                end=ends[:, 1],
                one_way=np.where((ends == one_way).all(axis=1), OneWay.FORWARD, OneWay.NO).astype(np.int8),
                road_class=np.full(len(ends), RoadClass.ARTERIAL, np.uint8),
                speed_kmh=np.full(len(ends), 36.0),
                name=[""] * len(ends),
                shape_first=np.arange(len(ends) + 1) * 2,
                shape_xy_m=xy_m[ends].reshape(-1, 2),
            )
        )[0]
        self._node = [int(np.hypot(*(self.network.node_xy_m - at).T).argmin()) for at in xy_m]
        first, last = self.on(0, 1, 0.0), self.on(2, 3, 1.0)
        self.posts = Positions(np.array([first.edge, last.edge], np.int32), np.array([first.offset_m, last.offset_m]))

    def edge(self, a: int, b: int) -> int:
        tail, head = self.network.tail, self.network.head
        return int(np.flatnonzero((tail == self._node[a]) & (head == self._node[b]))[0])

    def on(self, a: int, b: int, share: float) -> Position:
        return Position(self.edge(a, b), share * 1_000.0)

    def closed(self, a: int, b: int, from_s: float, until_s: float, factor: float = 0.0) -> Slowdown:
        """A street, in both directions."""
        edges = np.array([self.edge(a, b), self.edge(b, a)], np.int32)
        return Slowdown(name=f"{a} – {b}", edges=edges, from_s=from_s, until_s=until_s, factor=factor)

    def travel(self, *slowdowns: Slowdown, rules: DrivingRules = OBEY_ALL) -> TravelTimes:
        return RoadTravel(self.network, anchors=self.posts, rules=rules, slowdowns=slowdowns)

    def play(self, calls: Sequence[Call], units: Sequence[UnitSpec], *slowdowns: Slowdown, **told: Any) -> Played:
        return play(calls, units, self.travel(*slowdowns), **told)


def order_of(at: Situation, unit: int, **told: Any) -> Order:
    """Send a unit, free or engaged, to the call that is asked for."""
    rows = np.zeros(1, np.int64)
    ((_, drive),) = at.travel[0].nearest_drives(
        at.call.target, rows, at.where(np.array([unit])), np.zeros(1), np.ones(1), at.hour, 1
    )
    return Order(unit, drive, **told)
