"""The engine: SimPy processes that carry incidents from the call to clearing, and a log of all that happened.

Everything random was drawn before; the engine decides nothing (the policy does) and computes no statistics (the metrics
do). One process feeds the incidents as the desk is done with them, one a unit keeps its roster, one an assignment
carries a unit from its order to clearing.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Sequence
from heapq import heappop, heappush
from math import isnan, nan
from typing import Any

import numpy as np
import pandas as pd
import simpy

from dispatch.fleet import Fleet
from dispatch.incidents import IncidentType
from dispatch.log import RunLog
from dispatch.policies.dispatching import Order, Situation
from dispatch.problem import Problem
from dispatch.units import DAY_S, UnitState
from geodata.grid import Level
from geodata.network import Floats
from geodata.positions import Position
from geodata.sites import PlaceClass
from geodata.speeds import HOUR_S

FOLLOW_UP_S = 4 * HOUR_S
"""How long after the horizon incidents are still followed. Assumed."""

# the values of an assignment, and of a span in which a unit was free, one after the other in flat arrays
ASSIGNMENT = 8
INCIDENT, UNIT, ORDERED, ROLLING, ARRIVED, CLEARED, TRAVEL, CANCELLED = range(ASSIGNMENT)
FREE = 4
FREE_UNIT, SINCE, BACK, UNTIL = range(FREE)

Steps = Generator[simpy.Event, Any, None]
Texts = pd.api.extensions.ExtensionArray
Progress = Callable[[float], None]


def no_progress(share: float) -> None:
    """Tell nobody."""


def simulate(problem: Problem, progress: Progress = no_progress) -> RunLog:
    """Run a problem to its end.

    Args:
        problem: all that decides the run.
        progress: told the share of the run that is done, now and then.

    Raises:
        ValueError: the policy sends a unit that is not free, or more than are wanted.
    """
    run = _Run(problem, progress)
    run.env.run(until=run.finished)
    return run.log()


class _Run:
    """The state of one run. Incidents and units are named by their rows."""

    def __init__(self, problem: Problem, progress: Progress) -> None:
        self.problem, self.progress = problem, progress
        self.env = simpy.Environment()
        self.finished = self.env.event()
        self.travel, self.back = problem.travel, problem.travel.calm
        self.fleet = Fleet(problem.units, problem.city.posts.positions, problem.city.network.length_m)
        self.hour_of_week = problem.hour_of_week

        incidents = problem.incidents
        n = len(incidents)
        # plain lists: single values are read and written, which lists do several times as fast as arrays
        self.target = list(incidents.positions)
        self.priority = incidents.priority.tolist()
        self.ready_s = (incidents.received_s + incidents.desk_s).tolist()
        self.on_scene_s = incidents.on_scene_s.tolist()
        self.wanted = incidents.units_needed.tolist()
        self.several = (incidents.units_needed > 1).tolist()
        self.ordered_s, self.rolling_s, self.arrived_s, self.cleared_s = ([nan] * n for _ in range(4))
        self.first_unit = [-1] * n
        self.waiting: list[tuple[int, float, int]] = []
        """A heap of (priority, ready_s, incident)."""
        self.en_route: dict[int, dict[int, simpy.Process]] = {}
        """By incident and unit, where an incident asks for several units, as only then one can be called off."""
        self.clearing: dict[int, simpy.Event] = {}
        """When an incident that units are at is dealt with: all of them are free at once."""
        self.open = n
        """Incidents not yet cleared."""

        self.assignments = array("d")
        self.free = array("d")

        self.env.process(self.desk())
        self.env.process(self.horizon())
        since_midnight_s = self.hour_of_week.start_s % DAY_S
        for unit, spec in enumerate(problem.units):
            self.env.process(self.roster(unit, spec.shift.spans(since_midnight_s, problem.horizon_s + FOLLOW_UP_S)))

    # processes

    def desk(self) -> Steps:
        """Hand on each incident when its call has been taken."""
        env = self.env
        order = np.argsort(self.ready_s, kind="stable").tolist()
        step = max(len(order) // 200, 1)
        for number, incident in enumerate(order):
            if number % step == 0:
                self.progress(number / len(order))
            yield env.timeout(max(self.ready_s[incident] - env.now, 0.0))
            heappush(self.waiting, (self.priority[incident], self.ready_s[incident], incident))
            self.serve()

    def horizon(self) -> Steps:
        """End the run at the horizon, or later when all is cleared, or when nothing more is followed."""
        yield self.env.timeout(self.problem.horizon_s)
        if self.open:
            yield self.env.timeout(FOLLOW_UP_S)
        self.finish()

    def roster(self, unit: int, spans: list[tuple[float, float]]) -> Steps:
        """Bring a unit on duty and take it off, shift after shift."""
        env, fleet = self.env, self.fleet
        for begin, end in spans:
            yield env.timeout(max(begin - env.now, 0.0))
            if not fleet.engaged[unit]:
                # a crew that is late home from its last shift starts the next when it is back
                yield env.timeout(max(fleet.back_s[unit] - env.now, 0.0))
                fleet.start(unit, env.now)
            fleet.on_duty[unit] = True
            fleet.available[unit] = not fleet.engaged[unit]
            self.serve()
            yield env.timeout(max(end - env.now, 0.0))
            fleet.on_duty[unit] = False
            if fleet.available[unit]:
                fleet.available[unit] = False
                self.note_free(unit, max(env.now, fleet.back_s[unit]))

    def respond(self, order: Order, incident: int) -> Steps:
        """Carry a unit from its order to clearing, or to the moment when it is called off."""
        env, fleet, (unit, drive) = self.env, self.fleet, order
        ordered_s, slowness, row = env.now, float(fleet.slowness[unit]), len(self.assignments)
        turn_out_s = float(fleet.turn_out_s[unit])
        rolling_s = ordered_s + turn_out_s
        self.assignments.extend((incident, unit, ordered_s, rolling_s, nan, nan, drive.length_m, nan))
        try:
            yield env.timeout(turn_out_s + drive.time_s * slowness)
        except simpy.Interrupt:
            self.assignments[row + CANCELLED] = self.assignments[row + CLEARED] = env.now
            where = origin = fleet.positions[unit]
            if env.now < rolling_s:
                self.assignments[row + ROLLING] = nan
            else:
                hour = self.hour_of_week(ordered_s)
                route = self.travel.route(origin, self.target[incident], hour)
                where = fleet.along(route, slowness, self.travel.period(hour).time_s, env.now - rolling_s)
        else:
            where = self.target[incident]
            self.assignments[row + ARRIVED] = arrived_s = env.now
            if incident in self.en_route:
                del self.en_route[incident][unit]
            first = self.first_unit[incident] < 0
            if first:
                self.first_unit[incident] = unit
                self.rolling_s[incident], self.arrived_s[incident] = rolling_s, arrived_s
                self.clearing[incident] = env.timeout(self.on_scene_s[incident])
            yield self.clearing[incident]
            self.assignments[row + CLEARED] = env.now
            if first:
                self.clear(incident)
        self.release(unit, where)

    # what happens to incidents

    def serve(self) -> None:
        """Send units to what waits, the most urgent and then the oldest first, as long as there are any."""
        fleet, now_s, policy = self.fleet, self.env.now, self.problem.policy
        hour = self.hour_of_week(now_s)
        while self.waiting:
            incident = self.waiting[0][2]
            if not isnan(self.cleared_s[incident]):
                heappop(self.waiting)
                continue
            eligible = fleet.look(now_s)
            if not len(eligible):
                return
            # by place, as it is done for every incident: names would take a third longer
            asked = hour, self.target[incident], self.wanted[incident], eligible
            orders = policy(
                Situation(*asked, fleet.positions, fleet.turn_out_s, fleet.post, fleet.slowness, self.travel)
            )
            if not orders:
                return
            if len(orders) > self.wanted[incident]:
                raise ValueError(f"the policy sent {len(orders)} units, expected at most {self.wanted[incident]}")
            for order in orders:
                self.send(order, incident)
            self.wanted[incident] -= len(orders)
            if not self.wanted[incident]:
                heappop(self.waiting)

    def send(self, order: Order, incident: int) -> None:
        fleet, unit, now_s = self.fleet, order.unit, self.env.now
        if not fleet.available[unit]:
            raise ValueError(f"the policy sent unit {self.problem.units[unit].id}, which is off duty or engaged")
        self.note_free(unit, now_s)
        fleet.available[unit] = False
        fleet.engaged[unit] = True
        if isnan(self.ordered_s[incident]):
            self.ordered_s[incident] = now_s
        process = self.env.process(self.respond(order, incident))
        if self.several[incident]:
            self.en_route.setdefault(incident, {})[unit] = process

    def clear(self, incident: int) -> None:
        """The incident is dealt with; whoever is still on the way is called off."""
        self.cleared_s[incident] = self.env.now
        del self.clearing[incident]
        for process in self.en_route.pop(incident, {}).values():
            process.interrupt()
        self.open -= 1
        if not self.open and self.env.now >= self.problem.horizon_s:
            self.finish()

    def finish(self) -> None:
        if not self.finished.triggered:
            self.finished.succeed()

    # what happens to units

    def release(self, unit: int, where: Position) -> None:
        """A unit is free: on to what waits, or back to its post."""
        fleet, now_s = self.fleet, self.env.now
        fleet.stop(unit, where, now_s)
        if fleet.on_duty[unit]:
            fleet.available[unit] = True
            if self.waiting:
                self.serve()
            if not fleet.available[unit]:
                return
        hour = self.hour_of_week(now_s)
        route = self.back.route_home(where, self.problem.units[unit].post, hour)
        fleet.send_back(unit, route, self.back.period(hour).time_s, now_s)
        if not fleet.on_duty[unit]:
            self.note_free(unit, fleet.back_s[unit])

    def note_free(self, unit: int, until_s: float) -> None:
        """Write down the span in which a unit was free: on its way back, then idle at its post."""
        self.free.extend((unit, self.fleet.since_s[unit], self.fleet.back_s[unit], until_s))

    # what is left of it

    def log(self) -> RunLog:
        """The tables, when the run is over."""
        for unit, on_duty in enumerate(self.fleet.on_duty):
            if on_duty and not self.fleet.engaged[unit]:
                self.note_free(unit, self.problem.horizon_s)
        rolling_s = np.frombuffer(self.assignments)[ROLLING::ASSIGNMENT]
        rolling_s[rolling_s > self.env.now] = nan
        unit_ids = _texts([unit.id for unit in self.problem.units])
        return RunLog(self._incidents(unit_ids), self._assignments(unit_ids), self._unit_states(unit_ids))

    def _incidents(self, unit_ids: Texts) -> pd.DataFrame:
        incidents, grid = self.problem.incidents, self.problem.city.grid
        districts = grid.ancestor(Level.DISTRICT).tolist()
        # the last text is taken by -1: no cell, no unit
        columns = {
            "incident_id": np.arange(len(incidents)),
            "type": _texts([t.label for t in IncidentType]).take(incidents.type),
            "priority": incidents.priority,
            "cell": _texts([*grid.codes, ""]).take(incidents.cell),
            "district": _texts([*districts, ""]).take(incidents.cell),
            "place_class": _texts([c.label for c in PlaceClass]).take(incidents.place_class),
            "x_m": incidents.xy_m[:, 0],
            "y_m": incidents.xy_m[:, 1],
            "received_s": incidents.received_s,
            "ordered_s": self.ordered_s,
            "rolling_s": self.rolling_s,
            "arrived_s": self.arrived_s,
            "cleared_s": self.cleared_s,
            "first_unit": _texts([*unit_ids, None]).take(np.array(self.first_unit, int)),
            "limit_s": incidents.limit_s,
            "desk_s": incidents.desk_s,
            "units_needed": incidents.units_needed,
        }
        return pd.DataFrame(columns)

    def _assignments(self, unit_ids: Texts) -> pd.DataFrame:
        rows = np.frombuffer(self.assignments).reshape(-1, ASSIGNMENT)
        return pd.DataFrame(
            {
                "incident_id": rows[:, INCIDENT].astype(np.int64),
                "unit_id": unit_ids.take(rows[:, UNIT].astype(int)),
                "ordered_s": rows[:, ORDERED],
                "rolling_s": rows[:, ROLLING],
                "arrived_s": rows[:, ARRIVED],
                "cleared_s": rows[:, CLEARED],
                "travel_m": rows[:, TRAVEL],
                "cancelled_s": rows[:, CANCELLED],
            }
        )

    def _unit_states(self, unit_ids: Texts) -> pd.DataFrame:
        sent = np.frombuffer(self.assignments).reshape(-1, ASSIGNMENT).T
        free = np.frombuffer(self.free).reshape(-1, FREE).T
        end_s = self.problem.horizon_s

        def spans(unit: Floats, state: UnitState, start_s: Floats, stop_s: Floats, incident: Any = -1.0) -> Floats:
            columns = (unit, float(state), start_s, np.fmin(stop_s, end_s), incident)
            return np.stack(np.broadcast_arrays(*columns), 1)

        # a step that did not come ends where the unit was called off, or goes on to the end
        called_off = sent[CANCELLED]
        rows = np.concatenate(
            [
                spans(free[FREE_UNIT], UnitState.RETURNING, free[SINCE], np.minimum(free[BACK], free[UNTIL])),
                spans(free[FREE_UNIT], UnitState.IDLE, np.maximum(free[BACK], free[SINCE]), free[UNTIL]),
                spans(
                    sent[UNIT], UnitState.TURN_OUT, sent[ORDERED], np.fmin(sent[ROLLING], called_off), sent[INCIDENT]
                ),
                spans(
                    sent[UNIT], UnitState.TRAVELLING, sent[ROLLING], np.fmin(sent[ARRIVED], called_off), sent[INCIDENT]
                ),
                spans(sent[UNIT], UnitState.ON_SCENE, sent[ARRIVED], sent[CLEARED], sent[INCIDENT]),
            ]
        )
        rows = rows[rows[:, 3] > rows[:, 2]]
        rows = rows[np.lexsort((rows[:, 2], rows[:, 0]))]
        incident = pd.array(rows[:, 4].astype(np.int64), dtype="Int64")
        incident[rows[:, 4] < 0] = pd.NA
        return pd.DataFrame(
            {
                "unit_id": unit_ids.take(rows[:, 0].astype(int)),
                "state": _texts([s.label for s in UnitState]).take(rows[:, 1].astype(int)),
                "start_s": rows[:, 2],
                "end_s": rows[:, 3],
                "incident_id": incident,
            }
        )


def _texts(values: Sequence[str | None]) -> Texts:
    return pd.array(np.array(values, object), dtype="str")
