"""The engine: carries incidents from the call to clearing, and writes down all that happened.

Everything random was drawn before; the engine decides nothing (the policies do) and computes no statistics (the metrics
do). SimPy keeps the time. What happens to many incidents are callbacks of single events, as these cost a fraction of a
process; a unit's roster is a process. A unit that is ordered elsewhere takes a new turn, and events of its former turns
mean nothing any more.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Generator, Iterable, Sequence
from math import inf, isfinite, isnan, nan, ulp
from typing import Any, NamedTuple, overload

import numpy as np
import simpy

from dispatch import journal as log
from dispatch.desk import answered_s
from dispatch.fleet import AT_MEAL, AWAY, FREE, Fleet
from dispatch.incidents import IncidentType, Outcome
from dispatch.journal import Journal
from dispatch.log import RunLog
from dispatch.luck import JourneyLuck
from dispatch.policies.situation import (
    BEYOND_FREE,
    Call,
    Journey,
    Order,
    Relief,
    Situation,
    Standing,
    Units,
)
from dispatch.problem import Problem
from dispatch.streams import key
from dispatch.units import Meal, Span, UnitSpec, UnitState
from geodata.network import Floats
from geodata.positions import Position, Positions
from geodata.speeds import HOUR_S
from geodata.travel import Drive, NoWayError, Route, Rows, TravelTimes

FOLLOW_UP_S = 4 * HOUR_S
"""How long after the horizon incidents are still followed. Assumed."""
OPEN = int(Outcome.OPEN)
TURN_OUT, TRAVELLING, ON_SCENE = float(UnitState.TURN_OUT), float(UnitState.TRAVELLING), float(UnitState.ON_SCENE)

Steps = Generator[simpy.Event, Any, None]
Progress = Callable[[float], None]


def no_progress(share: float) -> None:
    """Tell nobody."""


def simulate(problem: Problem, progress: Progress = no_progress) -> RunLog:
    """Run a problem to its end.

    Args:
        problem: all that decides the run.
        progress: told the share of the run that is done, now and then.

    Raises:
        ValueError: a policy orders what cannot be done, such as a unit that is off duty.
    """
    run = _Run(problem, progress)
    run.env.run(until=run.finished)
    return run.log()


class _Trip(NamedTuple):
    """A unit's way to an incident, or with somebody in custody to a centre."""

    origin: Position
    target: Position
    rolling_s: float
    arrives_s: float
    expected_s: float
    """When the dispatcher expects it there."""
    pace: float
    travel: TravelTimes
    hour: int
    role: int
    laid: bool = False
    """Whether its route has been worked out, as it is when somebody asks."""
    from_m: float = nan
    """Where on the edge of the origin it was, when it found its way closed ..."""
    from_s: float = nan
    """... and when. It drives to the edge's end and on from there."""


class _Run:
    """The state of one run. Incidents and units are named by their rows."""

    def __init__(self, problem: Problem, progress: Progress) -> None:
        self.problem, self.progress = problem, progress
        self.env = simpy.Environment()
        self.finished = self.env.event()
        self.journal = Journal(problem)
        self._take_up_incidents()
        self._take_up_units()
        self._take_up_roads()
        self.sees_engaged = bool(getattr(getattr(problem.policy, "func", problem.policy), BEYOND_FREE, False))

        self.env.process(self.horizon())
        if self.order:
            self.at(self.ready_s[self.order[0]], self.call_ready, 0)
        for incident in np.flatnonzero(np.isfinite(problem.incidents.withdrawn_s)).tolist():
            when_s = problem.incidents.received_s[incident] + problem.incidents.withdrawn_s[incident]
            self.at(float(when_s), self.withdraw, incident)
        for unit, spec in enumerate(problem.units):
            self.env.process(self.duty(unit, spec))
            if spec.meals:
                self.env.process(self.meals(unit, spec.meals))
            if spec.outages:
                self.env.process(self.outages(unit, spec.outages))
        if len(self.changes_s):
            self.env.process(self.changes())

    def _take_up_incidents(self) -> None:
        problem, incidents = self.problem, self.problem.incidents
        n = len(incidents)
        self.answered_s = answered_s(incidents.received_s, incidents.desk_s, problem.desks)
        ready_s = self.answered_s + incidents.desk_s
        self.order = np.argsort(ready_s, kind="stable").tolist()
        # plain lists: single values are read and written, which lists do several times as fast as arrays
        self.ready_s = ready_s.tolist()
        self.target = list(incidents.positions)
        self.priority, self.type = incidents.priority.tolist(), incidents.type.tolist()
        self.on_scene_s = incidents.on_scene_s.tolist()
        self.place_class, self.cell = incidents.place_class.tolist(), incidents.cell.tolist()
        self.limit_s = incidents.limit_s.tolist()
        self.duplicate = (incidents.duplicate_of >= 0).tolist()
        self.needed, self.plan = incidents.units_needed.tolist(), incidents.plan.tolist()
        self.backup_asked = bytearray(n)
        self.open = n
        """Incidents not yet over."""
        self.waiting: list[tuple[int, float, int]] = []
        """(rank, ready_s, incident) of those that want units, in the order in which they are served."""
        self.rank: dict[int, int] = {}
        """Of each incident that waits: its priority, or 0 when it is overdue."""
        self.roles: dict[int, tuple[int, ...]] = {}
        """What each of them still wants."""
        self.team: dict[int, list[int]] = {}
        """The units ordered to an incident and not yet free of it, by incident."""
        self.there: dict[int, int] = {}
        """How many units have arrived at an incident, where it asks for several."""
        self.service: dict[int, tuple[int, float]] = {}
        """Of an incident that is being dealt with: the number of its clearing event, and when that is due."""
        self.left_s: dict[int, float] = {}
        """What is left to do where the units were taken away."""
        self.services = 0
        self.expected_on_scene_s = _mean_by_type(incidents.type, incidents.on_scene_s)
        self.roles_of_plan: dict[tuple[int, int, int], tuple[int, ...]] = {}

    def _take_up_units(self) -> None:
        problem, units = self.problem, self.problem.units
        n = len(units)
        kind_row = {kind.name: row for row, kind in enumerate(problem.kinds)}
        kind = np.array([kind_row[unit.kind.name] for unit in units], np.uint8)
        kinds = problem.kinds
        any_travel = problem.travel[kinds[0].driving]
        self.fleet = Fleet(units, problem.posts, any_travel.length_m)
        self.available = self.fleet.available
        self.slowness = [1 / unit.kind.speed_factor for unit in units]
        self.acts_alone = [unit.kind.acts_alone for unit in units]
        self.view = Units(
            positions=self.fleet.positions,
            turn_out_s=self.fleet.turn_out_s,
            post=self.fleet.post,
            slowness=np.array(self.slowness),
            kind=kind,
            acts_alone=np.array(self.acts_alone),
            echelon=np.array([unit.kind.echelon for unit in units], np.uint8),
            beat=np.array([unit.beat for unit in units], np.int32),
            state=np.zeros(n, np.uint8),
            on_duty=np.zeros(n, np.bool_),
            incident=np.full(n, -1, np.int32),
            priority=np.zeros(n, np.uint8),
            free_s=np.full(n, inf),
            next_incident=np.full(n, -1, np.int32),
        )
        self.roads = [problem.travel[k.driving] for k in kinds]
        self.unit_roads = [self.roads[k] for k in kind.tolist()]
        self.unit_calm = [roads.calm for roads in self.unit_roads]
        every = (1 << len(kinds)) - 1
        self.one_kind = all(r is self.roads[0] for r in self.roads) and all(
            mask == every for plan in problem.masks for mask in plan
        )
        self.home = [unit.post for unit in units]
        self.patrols = [unit.patrol for unit in units]
        self.base = np.array([unit.post if unit.patrol is None else -1 for unit in units], np.int32)
        """The post at which each stands by when it is free, -1: it patrols."""
        self.phase_s = [0.0] * n
        """Where each takes up its patrol again."""
        self.engaged = [-1] * n
        """The incident that each is with, from the order to the moment it is free; -1: none."""
        self.stacked = [-1] * n
        """The incident that each goes to when it is free, and what it is wanted for there."""
        self.stacked_role = [0] * n
        self.on_duty = [False] * n
        self.turn = [0] * n
        self.row = [0] * n
        """The row of each one's last assignment."""
        self.trips: dict[int, _Trip] = {}
        """Of the units under way to an incident or to a centre."""
        self.arrived = [False] * n
        """Whether an engaged unit has been on the scene."""
        self.back_s = [0.0] * n
        """When each is back at its post, or was."""
        self.meal: list[Meal | None] = [None] * n
        """What each is due."""
        self.out_until_s = [-inf] * n
        """Out of service until then, at once or when it is free."""
        self.moved_s = [-inf] * n
        self.out = [False] * n
        """Out of service, or on the way home to be."""
        self.stranded: set[int] = set()
        """Those that closures leave no way to where they should stand by."""
        self.any_meal = any(unit.meals for unit in units)
        self.standby = {row: unit.standby for row, unit in enumerate(units) if unit.standby}
        self.called_up: set[tuple[int, Span]] = set()
        self.duty_units = self.engaged_units = 0
        self.duty_integral_s = self.engaged_integral_s = self.counted_s = 0.0
        self.luck = JourneyLuck(key(problem.seed, "journeys"), problem.journey_cv)

    def _take_up_roads(self) -> None:
        self.changes_s = sorted({s for roads in self.roads for s in roads.changes_s})
        self.hour_of_week = self.problem.hour_of_week
        self._hour, self._hour_until_s = 0, -inf

    # time

    def at(self, when_s: float, do: Callable[[Any], None], value: Any) -> None:
        """Do something at a second, not an instant before."""
        event = simpy.Timeout(self.env, self._delay_s(when_s), value)
        event.callbacks.append(do)

    def until(self, when_s: float) -> simpy.Event:
        return simpy.Timeout(self.env, self._delay_s(when_s))

    def _delay_s(self, when_s: float) -> float:
        now_s = self.env.now
        delay_s = when_s - now_s
        if delay_s <= 0.0:
            return 0.0
        # the sum may be rounded to the digit below
        return delay_s if now_s + delay_s >= when_s else delay_s + ulp(when_s)

    def moment(self, travel: TravelTimes) -> int:
        """Now, as travel times name it."""
        return self.moment_at(travel, self.env.now)

    def moment_at(self, travel: TravelTimes, at_s: float) -> int:
        if self.changes_s:
            return travel.moment(self.hour_of_week(at_s), at_s)
        if not self._hour_until_s - HOUR_S <= at_s < self._hour_until_s:
            self._hour = self.hour_of_week(at_s)
            self._hour_until_s = at_s + HOUR_S - (self.hour_of_week.start_s + at_s) % HOUR_S
        return self._hour

    def horizon(self) -> Steps:
        """End the run at the horizon, or later when all is over, or when nothing more is followed."""
        yield self.until(self.problem.horizon_s)
        if self.open:
            yield self.env.timeout(FOLLOW_UP_S)
        self.finish()

    def finish(self) -> None:
        if not self.finished.triggered:
            self.finished.succeed()

    # calls

    def call_ready(self, event: Any) -> None:
        """A desk is done with a call: units can be ordered."""
        number = event.value
        incident = self.order[number]
        number += 1
        if number < len(self.order):
            self.at(self.ready_s[self.order[number]], self.call_ready, number)
        if number & 1023 == 0:
            self.progress(number / len(self.order))
        if self.journal.outcome[incident] != OPEN:
            return
        if self.duplicate[incident]:
            self.over(incident, Outcome.DUPLICATE)
            return
        self.ask_for(incident, self.roles_from(incident, 0, self.needed[incident]))
        if isfinite(self.problem.max_hold_s):
            self.at(self.env.now + self.problem.max_hold_s, self.hold_no_longer, incident)
        self.serve()

    def withdraw(self, event: Any) -> None:
        """The caller takes back what nobody has come for yet."""
        incident = event.value
        if self.journal.outcome[incident] == OPEN and isnan(self.journal.present_s[incident]):
            self.over(incident, Outcome.WITHDRAWN)

    def hold_no_longer(self, event: Any) -> None:
        incident = event.value
        if incident in self.roles:
            roles = self.roles[incident]
            self.want_nothing(incident)
            self.ask_for(incident, roles, overdue=True)
            self.serve()

    def roles_from(self, incident: int, first: int, last: int) -> tuple[int, ...]:
        """The roles of an incident's plan from one place to another, kept as there are few plans."""
        asked = self.plan[incident], first, last
        roles = self.roles_of_plan.get(asked)
        if roles is None:
            masks = self.problem.masks[asked[0]]
            roles = self.roles_of_plan[asked] = tuple(masks[min(i, len(masks) - 1)] for i in range(first, last))
        return roles

    def ask_for(self, incident: int, roles: tuple[int, ...], overdue: bool = False) -> None:
        """Let an incident wait for units, beside those that it waits for already."""
        waiting = self.roles.get(incident)
        if waiting is not None:
            self.roles[incident] = waiting + roles
            return
        rank = 0 if overdue else self.priority[incident]
        self.roles[incident], self.rank[incident] = roles, rank
        insort(self.waiting, (rank, self.ready_s[incident], incident))

    def want_nothing(self, incident: int) -> None:
        if self.roles.pop(incident, None) is not None:
            entry = self.rank.pop(incident), self.ready_s[incident], incident
            del self.waiting[bisect_left(self.waiting, entry)]

    def call_of(self, incident: int) -> Call:
        return Call(
            incident,
            self.target[incident],
            self.type[incident],
            self.priority[incident],
            self.place_class[incident],
            self.cell[incident],
            self.ready_s[incident],
            self.roles[incident],
            len(self.team.get(incident, ())),
            self.rank[incident] == 0,
            self.limit_s[incident],
        )

    def serve(self) -> None:
        """Offer what waits to the policy, in order, as long as it sends somebody."""
        waiting, fleet, policy, sent = self.waiting, self.fleet, self.problem.policy, False
        if not waiting:
            return
        now_s, roads = self.env.now, self.roads
        for _, _, incident in waiting[:]:
            while incident in self.roles:
                urgent = self.any_meal and self.priority[incident] == 1
                free = fleet.look(now_s, AT_MEAL if urgent else FREE)
                if not len(free) and not self.sees_engaged:
                    break
                call = self.call_of(incident)
                calls = (call,) if len(waiting) == 1 else _Calls(self)
                # by place, as it is done for every incident: names would take a third longer
                orders = policy(
                    Situation(
                        now_s, self.moment(roads[0]), call, calls, free, self.view, roads, self.one_kind, self.where,
                        self.problem.beats, self.problem.cover, self.base,
                    )
                )  # fmt: skip
                if not orders:
                    break
                self.carry_out(orders, incident)
                sent = True
            if not self.sees_engaged and not self.available.any():
                break
        if sent and self.problem.move_up is not None:
            self.rearrange(-1)

    def carry_out(self, orders: list[Order], incident: int) -> None:
        """Do what a policy ordered, and strike out the roles that are filled."""
        filled: dict[int, list[int]] = {}
        for order in orders:
            goal = order.incident if order.incident >= 0 else incident
            roles = self.roles.get(goal, ())
            role = roles[order.role] if order.role < len(roles) else -1
            if order.when_free:
                self.stack(order.unit, goal, role)
            else:
                if self.engaged[order.unit] >= 0:
                    self.preempt(order.unit, goal)
                elif not self.available[order.unit]:
                    raise ValueError(f"the policy sent unit {self.name(order.unit)}, which is off duty")
                self.send(order.unit, goal, order.drive, role)
            filled.setdefault(goal, []).append(order.role)
        for goal, places in filled.items():
            left = tuple(role for place, role in enumerate(self.roles.get(goal, ())) if place not in places)
            if left:
                self.roles[goal] = left
            else:
                self.want_nothing(goal)

    def over(self, incident: int, outcome: Outcome) -> None:
        """An incident is over: whoever is there is free, whoever is on the way is called off."""
        now_s, journal = self.env.now, self.journal
        journal.outcome[incident], journal.cleared_s[incident] = int(outcome), now_s
        self.want_nothing(incident)
        self.service.pop(incident, None)
        self.there.pop(incident, None)
        self.left_s.pop(incident, None)
        self.open -= 1
        if outcome in (Outcome.WITHDRAWN, Outcome.CLEARED, Outcome.FALSE_ALARM):
            why = log.BY_WITHDRAWN if outcome is Outcome.WITHDRAWN else log.BY_CLEARED
            self.dismiss(incident, self.team.pop(incident, []), why)
        if not self.open and now_s >= self.problem.horizon_s:
            self.finish()

    def dismiss(self, incident: int, units: list[int], why: int) -> None:
        """Let the units of an incident go."""
        custody_s = float(self.problem.incidents.custody_s[incident])
        free = []
        escort = -1
        if custody_s:
            there = (u for u in units if self.stacked[u] != incident and self.arrived[u] and self.acts_alone[u])
            escort = next(there, -1)
        for unit in units:
            if self.stacked[unit] == incident:
                self.stacked[unit] = self.view.next_incident[unit] = -1
            elif not self.arrived[unit]:
                self.call_off(unit, why)
                free.append(unit)
            elif unit == escort:
                self.transport(unit, incident, custody_s)
            else:
                self.fleet.stand(unit, self.target[incident])
                self.release(unit)
                free.append(unit)
        self.go_on(free)

    # units and their incidents

    def name(self, unit: int) -> str:
        return self.problem.units[unit].id

    def send(self, unit: int, incident: int, drive: Drive, role: int) -> None:
        """Order a unit to an incident from where it is."""
        now_s, fleet, journal, view = self.env.now, self.fleet, self.journal, self.view
        travel = self.unit_roads[unit]
        if self.patrols[unit] is not None:
            self.halt(unit)
        origin = fleet.positions[unit]
        slowness = self.slowness[unit]
        turn_out_s = float(fleet.turn_out_s[unit])
        rolling_s = now_s + turn_out_s
        pace = slowness * self.luck(incident, unit)
        arrives_s = rolling_s + drive.time_s * pace
        expected_s = turn_out_s + drive.time_s * slowness
        self.available[unit] = AWAY
        self.engaged[unit], self.arrived[unit] = incident, False
        view.incident[unit], view.priority[unit] = incident, self.priority[incident]
        view.state[unit] = UnitState.TRAVELLING
        view.free_s[unit] = now_s + expected_s + self.expected_on_scene_s[self.type[incident]]
        self.turn[unit] = turn = self.turn[unit] + 1
        if isnan(journal.ordered_s[incident]):
            journal.ordered_s[incident] = now_s
        self.row[unit] = journal.assign(incident, unit, now_s, rolling_s, drive.length_m, expected_s, origin)
        journal.state(unit, TURN_OUT, now_s, origin, incident)
        journal.state(unit, TRAVELLING, rolling_s, origin, incident, -1, pace)
        self.trips[unit] = _Trip(
            origin, self.target[incident], rolling_s, arrives_s, now_s + expected_s, pace, travel,
            self.moment_at(travel, now_s), role,
        )  # fmt: skip
        team = self.team.get(incident)
        if team is None:
            self.team[incident] = [unit]
        elif unit not in team:
            team.append(unit)
        self.count(0, 1)
        self.at(arrives_s, self.arrive, (unit, turn))
        if self.standby:
            self.call_up()

    def arrive(self, event: Any) -> None:
        """A unit is on the scene."""
        unit, turn = event.value
        if turn != self.turn[unit]:
            return
        now_s, journal, incident = self.env.now, self.journal, self.engaged[unit]
        row = self.row[unit]
        journal.assignments[row + log.ARRIVED] = now_s
        journal.state(unit, ON_SCENE, now_s, self.target[incident], incident)
        del self.trips[unit]
        self.arrived[unit] = True
        self.view.state[unit] = UnitState.ON_SCENE
        self.view.free_s[unit] = now_s + self.expected_on_scene_s[self.type[incident]]
        if isnan(journal.present_s[incident]):
            journal.present_s[incident] = now_s
        if self.acts_alone[unit] and incident not in self.service:
            self.begin_service(incident, unit)
        self.count_there(incident, 1)

    def begin_service(self, incident: int, unit: int) -> None:
        """The first who may act alone is there, or the first after all of these were taken away."""
        now_s, journal = self.env.now, self.journal
        lasts_s = self.left_s.pop(incident, self.on_scene_s[incident])
        self.services += 1
        self.service[incident] = self.services, now_s + lasts_s
        self.at(now_s + lasts_s, self.clear, (incident, self.services))
        if isnan(journal.arrived_s[incident]):
            journal.arrived_s[incident], journal.first_unit[incident] = now_s, unit
            journal.rolling_s[incident] = journal.assignments[self.row[unit] + log.ROLLING]
            backup = int(self.problem.incidents.backup[incident])
            if backup and not self.problem.incidents.false_alarm[incident]:
                self.backup_asked[incident] = backup
                needed = self.needed[incident]
                self.ask_for(incident, self.roles_from(incident, needed, needed + backup))
                self.serve()

    def count_there(self, incident: int, change: int) -> None:
        """Note when as many are there as were asked for."""
        wanted = self.needed[incident] + self.backup_asked[incident]
        there = change
        if wanted > 1 or incident in self.there:
            there = self.there[incident] = self.there.get(incident, 0) + change
        if there >= wanted and (isnan(self.journal.assembled_s[incident])):
            self.journal.assembled_s[incident] = self.env.now

    def clear(self, event: Any) -> None:
        """An incident is dealt with."""
        incident, number = event.value
        if self.service.get(incident, (0, 0.0))[0] == number:
            false_alarm = self.problem.incidents.false_alarm[incident]
            self.over(incident, Outcome.FALSE_ALARM if false_alarm else Outcome.CLEARED)

    def transport(self, unit: int, incident: int, custody_s: float) -> None:
        """Take somebody in custody to the nearest case-handling centre."""
        now_s, origin, travel = self.env.now, self.target[incident], self.unit_calm[unit]
        hour = self.moment(travel)
        centres = self.problem.centres
        assert centres is not None
        routes = [(centre, route) for centre, goal in enumerate(centres) if (route := _way(travel, origin, goal, hour))]
        if not routes:
            # every way is closed: the hand-over takes place where they are
            self.hand_over(unit, custody_s, origin)
            return
        centre, route = min(routes, key=lambda found: (found[1].time_s, found[0]))
        goal, row, arrives_s = centres[centre], self.row[unit], now_s + route.time_s
        self.journal.assignments[row + log.CENTRE] = centre
        self.journal.assignments[row + log.LEFT] = now_s
        self.journal.state(unit, UnitState.TRANSPORTING, now_s, origin, incident, -1, 1.0)
        self.view.state[unit] = UnitState.TRANSPORTING
        self.view.free_s[unit] = arrives_s + custody_s
        self.trips[unit] = _Trip(origin, goal, now_s, arrives_s, arrives_s, 1.0, travel, hour, 0, laid=True)
        self.fleet.drive(unit, route, travel.edge_time_s(hour), 1.0, now_s, goal)
        self.turn[unit] += 1
        self.at(arrives_s, self.at_centre, (unit, self.turn[unit], custody_s))

    def at_centre(self, event: Any) -> None:
        unit, turn, custody_s = event.value
        if turn == self.turn[unit]:
            goal = self.trips.pop(unit).target
            self.journal.assignments[self.row[unit] + log.HANDED] = self.env.now
            self.hand_over(unit, custody_s, goal)

    def hand_over(self, unit: int, custody_s: float, where: Position) -> None:
        self.journal.state(unit, UnitState.HANDING_OVER, self.env.now, where, self.engaged[unit])
        self.view.state[unit] = UnitState.HANDING_OVER
        self.fleet.stand(unit, where)
        self.turn[unit] += 1
        self.at(self.env.now + custody_s, self.handed_over, (unit, self.turn[unit]))

    def handed_over(self, event: Any) -> None:
        unit, turn = event.value
        if turn == self.turn[unit]:
            self.release(unit)
            self.go_on([unit])

    def call_off(self, unit: int, why: int) -> None:
        """Take a unit off its incident, on the way or on the scene; it is free where it is."""
        now_s, journal = self.env.now, self.journal
        row = self.row[unit]
        journal.assignments[row + log.CALLED_OFF] = now_s
        journal.assignments[row + log.WHY] = why
        self.fleet.stand(unit, self.whereabouts(unit))
        self.trips.pop(unit, None)
        self.release(unit)

    def release(self, unit: int) -> None:
        """A unit is free of its incident, where it stands; `go_on` says what it does next."""
        self.journal.assignments[self.row[unit] + log.CLEARED] = self.env.now
        self.engaged[unit] = -1
        view = self.view
        view.incident[unit], view.priority[unit], view.free_s[unit] = -1, 0, inf
        view.state[unit] = UnitState.IDLE
        self.turn[unit] += 1
        self.back_s[unit] = inf
        self.count(0, -1)
        if self.on_duty[unit] and self.out_until_s[unit] <= self.env.now:
            self.available[unit] = FREE

    def take_from(self, unit: int, why: int) -> None:
        """Call a unit off for something more urgent or because another is nearer, and let its incident wait again."""
        incident = self.engaged[unit]
        trip = self.trips.get(unit)
        role = trip.role if trip is not None else self.roles_from(incident, 0, 1)[0]
        was_there = self.arrived[unit]
        self.call_off(unit, why)
        self.team[incident].remove(unit)
        if was_there:
            self.count_there(incident, -1)
            left = [u for u in self.team[incident] if self.engaged[u] == incident and self.arrived[u]]
            if self.acts_alone[unit] and not any(self.acts_alone[u] for u in left):
                _, due_s = self.service.pop(incident)
                self.left_s[incident] = max(due_s - self.env.now, 0.0)
        if role >= 0 and why != log.BY_RELIEVED:
            self.ask_for(incident, (role,))

    def preempt(self, unit: int, incident: int) -> None:
        former = self.engaged[unit]
        state = self.view.state[unit]
        if self.priority[former] <= self.priority[incident] or state not in (UnitState.TRAVELLING, UnitState.ON_SCENE):
            raise ValueError(
                f"the policy sent unit {self.name(unit)}, which is engaged with an incident of priority "
                f"{self.priority[former]}, to one of priority {self.priority[incident]}"
            )
        self.unstack(unit)
        self.take_from(unit, log.BY_PREEMPTED)

    def stack(self, unit: int, incident: int, role: int) -> None:
        """Let an engaged unit go to an incident as soon as it is free."""
        if self.engaged[unit] < 0 or self.stacked[unit] >= 0:
            raise ValueError(f"the policy lets a call wait for unit {self.name(unit)}, which is free or waited for")
        self.stacked[unit] = self.view.next_incident[unit] = incident
        self.stacked_role[unit] = role
        self.team.setdefault(incident, []).append(unit)

    def unstack(self, unit: int) -> None:
        """The incident that waits for a unit waits for any again."""
        incident = self.stacked[unit]
        if incident >= 0:
            self.stacked[unit] = self.view.next_incident[unit] = -1
            self.team[incident].remove(unit)
            if self.stacked_role[unit] >= 0:
                self.ask_for(incident, (self.stacked_role[unit],))

    def go_on(self, units: Iterable[int]) -> None:
        """What units that have just become free, where they stand, do next."""
        for unit in units:
            incident = self.stacked[unit]
            if incident >= 0 and self.available[unit]:
                self.stacked[unit] = self.view.next_incident[unit] = -1
                travel = self.unit_roads[unit]
                here = self.fleet.positions[unit]
                route = _way(travel, here, self.target[incident], self.moment(travel))
                if route is not None:
                    self.send(unit, incident, Drive(route.time_s, route.length_m), self.stacked_role[unit])
                    continue
                self.team[incident].remove(unit)
                self.ask_for(incident, (self.stacked_role[unit],))
            elif incident >= 0:
                self.unstack(unit)
        self.serve()
        for unit in units:
            if self.engaged[unit] < 0:
                self.settle(unit)

    # units that are free

    def halt(self, unit: int) -> None:
        """A free unit stops where it is, and remembers how far it was in its patrol."""
        phase_s = self.fleet.halt(unit, self.env.now)
        if phase_s >= 0:
            self.phase_s[unit] = phase_s

    def settle(self, unit: int) -> None:
        """A free unit that nobody wants now: out of service, a meal, relief of another, another post, or its own."""
        now_s = self.env.now
        if not self.on_duty[unit]:
            self.go_home(unit)
        elif self.out_until_s[unit] > now_s:
            self.go_out_of_service(unit)
        elif self.meal[unit] is not None:
            self.have_meal(unit)
        elif not (self.problem.relief is not None and self.trips and self.relieve(unit)):
            if self.problem.move_up is not None and self.patrols[unit] is None:
                self.rearrange(unit)
                if self.back_s[unit] != inf:
                    return
            self.stand_by(unit)

    def relieve(self, unit: int) -> bool:
        """Let a free unit take over from one that is on its way, if the relief policy wants it."""
        relief, travel = self.problem.relief, self.unit_roads[unit]
        assert relief is not None
        journeys = [
            Journey(self.engaged[other], other, trip.target, trip.role, trip.expected_s)
            for other, trip in self.trips.items()
            if not self.arrived[other]
        ]
        orders = relief(Relief(self.env.now, self.moment(travel), unit, journeys, self.view, self.roads))
        for order in orders:
            other = order.relieves
            if self.engaged[other] != order.incident or self.arrived[other]:
                raise ValueError(f"the policy relieves unit {self.name(other)}, which is not on its way there")
            role = self.trips[other].role
            self.take_from(other, log.BY_RELIEVED)
            self.send(order.unit, order.incident, order.drive, role)
            self.go_on([other])
        return bool(orders)

    def stand_by(self, unit: int) -> None:
        """A free unit drives to where it stands by."""
        patrol = self.patrols[unit]
        if patrol is None or (not patrol.again and self.phase_s[unit] >= patrol.length_s):
            post = self.home[unit] if patrol is not None else int(self.base[unit])
            self.drive_to_post(unit, post, UnitState.RETURNING)
            return
        now_s, phase_s, length_m = self.env.now, self.phase_s[unit], self.unit_roads[unit].length_m
        goal = patrol.at(phase_s, length_m)
        back_s = self.drive(unit, goal, -1, UnitState.RETURNING)
        if back_s is None:
            return
        self.fleet.resume(unit, phase_s, back_s)
        self.back_s[unit] = back_s
        self.note_patrol(unit, phase_s, max(back_s, now_s), goal)

    def note_patrol(self, unit: int, phase_s: float, at_s: float, where: Position) -> None:
        patrol = self.patrols[unit]
        assert patrol is not None
        self.journal.state(unit, UnitState.PATROLLING, at_s, where, -1, -1, phase_s)
        if not patrol.again:
            home = self.home[unit]
            ends_s = at_s + max(patrol.length_s - phase_s, 0.0)
            self.journal.state(unit, UnitState.IDLE, ends_s, self.problem.posts[home], -1, home)

    def drive_to_post(self, unit: int, post: int, state: UnitState) -> None:
        """Let a free unit drive to a post and stand by there."""
        where = self.problem.posts[post]
        back_s = self.drive(unit, where, post, state)
        if back_s is not None:
            self.back_s[unit] = back_s
            self.journal.state(unit, UnitState.IDLE, back_s, where, -1, post)

    def drive(self, unit: int, goal: Position, post: int, state: UnitState) -> float | None:
        """Set a free unit in motion as traffic drives; when it is there. None where closures leave no way: it stays."""
        now_s, fleet, travel = self.env.now, self.fleet, self.unit_calm[unit]
        origin, hour = fleet.positions[unit], self.moment(travel)
        try:
            route = travel.route_home(origin, post, hour) if post >= 0 else travel.route(origin, goal, hour)
        except NoWayError:
            fleet.stand(unit, origin)
            self.journal.state(unit, UnitState.IDLE, now_s, origin)
            self.back_s[unit] = inf
            self.stranded.add(unit)
            return None
        self.stranded.discard(unit)
        self.journal.state(unit, state, now_s, origin, -1, post, 1.0)
        self.view.state[unit] = state
        return fleet.drive(unit, route, travel.edge_time_s(hour), 1.0, now_s, goal, post)

    def rearrange(self, freed: int) -> None:
        """Ask the move-up policy who should stand by where."""
        problem, now_s = self.problem, self.env.now
        assert problem.move_up is not None
        assert problem.cover is not None
        self.count(0, 0)
        free = self.fleet.look(now_s)
        idle = [
            unit
            for unit in free.tolist()
            if self.patrols[unit] is None and (unit == freed or now_s - self.moved_s[unit] >= problem.move_gap_s)
        ]
        if not idle:
            return
        heading = np.where(self.available == FREE, self.base, -1).astype(np.int32)
        if freed >= 0:
            heading[freed] = -1
        busy_share = self.engaged_integral_s / self.duty_integral_s if self.duty_integral_s else 0.0
        asked = now_s, self.moment(self.roads[0]), freed, np.array(idle, np.int64), heading, np.array(self.home)
        for unit, post in problem.move_up(Standing(*asked, busy_share, problem.cover, self.view, self.roads)):
            if not self.available[unit] == FREE or self.patrols[unit] is not None:
                raise ValueError(f"the move-up policy moves unit {self.name(unit)}, which is not free to be moved")
            self.base[unit], self.moved_s[unit] = post, now_s
            self.turn[unit] += 1
            self.halt(unit)
            self.drive_to_post(unit, post, UnitState.RETURNING if post == self.home[unit] else UnitState.MOVING_UP)

    def count(self, on_duty: int, engaged: int) -> None:
        """Keep the shares of units over time that move-up policies ask for."""
        now_s = self.env.now
        passed_s = now_s - self.counted_s
        if passed_s:
            self.duty_integral_s += passed_s * self.duty_units
            self.engaged_integral_s += passed_s * self.engaged_units
            self.counted_s = now_s
        self.duty_units += on_duty
        self.engaged_units += engaged

    # where engaged units are

    def where(self, rows: Rows) -> Positions:
        """Positions of any units now, entries by the rows asked for."""
        found = [self.whereabouts(unit) for unit in rows.tolist()]
        return Positions(np.array([p.edge for p in found], np.int32), np.array([p.offset_m for p in found]))

    def whereabouts(self, unit: int) -> Position:
        now_s, trip = self.env.now, self.trips.get(unit)
        if trip is None:
            if self.engaged[unit] >= 0 and self.view.state[unit] == UnitState.ON_SCENE:
                return self.target[self.engaged[unit]]
        elif now_s > trip.rolling_s:
            self.lay(unit, trip)
        elif isnan(trip.from_s):
            return trip.origin
        else:
            gone = (now_s - trip.from_s) / (trip.rolling_s - trip.from_s)
            return Position(trip.origin.edge, trip.from_m + gone * (trip.origin.offset_m - trip.from_m))
        return self.fleet.whereabouts(unit, now_s)

    def lay(self, unit: int, trip: _Trip) -> None:
        """Work out the route of a unit that is under way."""
        if not trip.laid:
            route = trip.travel.route(trip.origin, trip.target, trip.hour)
            self.trips[unit] = trip._replace(laid=True)
            edge_s = trip.travel.edge_time_s(trip.hour)
            self.fleet.drive(unit, route, edge_s, trip.pace, trip.rolling_s, trip.target)

    # rosters

    def duty(self, unit: int, spec: UnitSpec) -> Steps:
        """Bring a unit on duty and take it off, shift after shift."""
        for span in spec.duty if spec.duty is not None else (Span(0.0, inf),):
            yield self.until(span.begin_s)
            yield from self.serve_span(unit, span.end_s)

    def serve_span(self, unit: int, end_s: float) -> Steps:
        """From the beginning of a span of duty to its end."""
        if self.engaged[unit] < 0:
            # a crew that is late home from its last shift starts the next when it is back
            while self.env.now < self.back_s[unit] < min(end_s, inf):
                yield self.until(self.back_s[unit])
            if self.env.now >= end_s:
                return
        self.on_duty[unit] = self.view.on_duty[unit] = True
        self.count(1, 0)
        if unit in self.stranded:
            self.available[unit] = FREE
            self.settle(unit)
        elif self.engaged[unit] < 0:
            self.begin_duty(unit)
        if end_s == inf:
            return
        yield self.until(end_s)
        self.on_duty[unit] = self.view.on_duty[unit] = False
        self.count(-1, 0)
        self.unstack(unit)
        if self.out[unit]:
            self.out[unit] = False
            home = self.problem.posts[self.home[unit]]
            self.journal.state(unit, log.OFF_DUTY, max(self.env.now, self.back_s[unit]), home)
        elif self.engaged[unit] < 0:
            self.halt(unit)
            self.available[unit] = AWAY
            self.turn[unit] += 1
            self.go_home(unit)
        self.serve()

    def begin_duty(self, unit: int) -> None:
        """A unit is at its home post at the beginning of a shift."""
        now_s, home, patrol = self.env.now, self.home[unit], self.patrols[unit]
        where = self.problem.posts[home]
        self.phase_s[unit] = 0.0
        if patrol is None:
            self.base[unit] = home
        self.fleet.stand_at_post(unit, home)
        self.back_s[unit], self.out[unit] = now_s, False
        if self.out_until_s[unit] > now_s:
            self.go_out_of_service(unit)
            return
        self.available[unit] = FREE
        if patrol is None:
            self.journal.state(unit, UnitState.IDLE, now_s, where, -1, home)
        else:
            self.fleet.patrol(unit, 0.0, now_s)
            self.note_patrol(unit, 0.0, now_s, where)
        self.serve()

    def go_home(self, unit: int) -> None:
        """A unit whose duty is over drives to its home post."""
        self.meal[unit] = None
        goal = self.problem.posts[self.home[unit]]
        back_s = self.drive(unit, goal, self.home[unit], UnitState.RETURNING)
        if back_s is not None:
            self.back_s[unit] = back_s
            self.journal.state(unit, log.OFF_DUTY, back_s, goal, -1, self.home[unit])

    def call_up(self) -> None:
        """Call up a unit on standby when too few are free."""
        now_s = self.env.now
        if np.count_nonzero(self.available == FREE) >= self.problem.call_up_below:
            return
        for unit, spans in self.standby.items():
            for span in spans:
                in_time = span.begin_s <= now_s and now_s + self.problem.call_up_s < span.end_s
                if in_time and (unit, span) not in self.called_up and not self.on_duty[unit] and self.engaged[unit] < 0:
                    self.called_up.add((unit, span))
                    self.env.process(self.come(unit, span))
                    return

    def come(self, unit: int, span: Span) -> Steps:
        yield self.env.timeout(self.problem.call_up_s)
        yield from self.serve_span(unit, span.end_s)

    def meals(self, unit: int, meals: Iterable[Meal]) -> Steps:
        for meal in meals:
            yield self.until(meal.earliest_s)
            if self.on_duty[unit]:
                self.meal[unit] = meal
                if self.available[unit] == FREE:
                    self.halt(unit)
                    self.have_meal(unit)
            yield self.until(meal.latest_s)
            if self.meal[unit] is meal:
                self.meal[unit] = None

    def have_meal(self, unit: int) -> None:
        """A meal where the unit is; only what is most urgent interrupts it."""
        now_s, meal = self.env.now, self.meal[unit]
        assert meal is not None
        self.meal[unit] = None
        self.available[unit] = AT_MEAL
        self.turn[unit] += 1
        self.back_s[unit] = inf
        self.view.state[unit] = UnitState.MEAL
        self.journal.state(unit, UnitState.MEAL, now_s, self.fleet.positions[unit])
        self.at(now_s + meal.length_s, self.meal_over, (unit, self.turn[unit]))

    def meal_over(self, event: Any) -> None:
        unit, turn = event.value
        if turn == self.turn[unit]:
            self.available[unit] = FREE
            self.go_on([unit])

    def outages(self, unit: int, spans: Iterable[Span]) -> Steps:
        for span in spans:
            yield self.until(span.begin_s)
            self.out_until_s[unit] = span.end_s
            if self.available[unit]:
                self.halt(unit)
                self.go_out_of_service(unit)
            yield self.until(span.end_s)
            # it may still be on its way home
            while self.out[unit] and self.env.now < self.back_s[unit] < inf:
                yield self.until(self.back_s[unit])
            if self.out[unit]:
                self.begin_duty(unit)

    def go_out_of_service(self, unit: int) -> None:
        """A free unit takes its vehicle home and is out of service there."""
        self.available[unit], self.out[unit] = AWAY, True
        self.turn[unit] += 1
        self.meal[unit] = None
        where = self.problem.posts[self.home[unit]]
        back_s = self.drive(unit, where, self.home[unit], UnitState.RETURNING)
        if back_s is not None:
            self.back_s[unit] = back_s
            self.journal.state(unit, UnitState.OUT_OF_SERVICE, back_s, where, -1, self.home[unit])

    # closures

    def changes(self) -> Steps:
        """When roads close or open, those whose way is cut find another, and what had no way is tried again."""
        for change_s in self.changes_s:
            yield self.until(change_s)
            for unit in sorted(self.trips):
                self.replan(unit)
            for unit in range(len(self.available)):
                if unit in self.stranded:
                    self.stranded.remove(unit)
                    self.settle(unit)
                elif self.engaged[unit] < 0 and self.env.now < self.back_s[unit] < inf:
                    self.look_ahead(unit)
            self.serve()

    def look_ahead(self, unit: int) -> None:
        """Let a free unit on its way drive to the end of its edge and find another way, if this is closed later on."""
        ahead, _, reached_s = self.fleet.ahead(unit, self.env.now)
        travel = self.unit_calm[unit]
        if not np.isfinite(travel.edge_time_s(self.moment(travel))[ahead]).all():
            self.turn[unit] += 1
            self.at(reached_s, self.turn_round, (unit, self.turn[unit]))

    def turn_round(self, event: Any) -> None:
        unit, turn = event.value
        if turn == self.turn[unit]:
            self.halt(unit)
            self.settle(unit)

    def replan(self, unit: int) -> None:
        """Find another way for an engaged unit whose way is closed ahead of it."""
        now_s = self.env.now
        self.lay(unit, self.trips[unit])
        trip = self.trips[unit]
        # who has not set off yet may take another way from the first edge on
        ahead, corner, reached_s = self.fleet.ahead(unit, max(now_s, trip.rolling_s))
        edge_s = trip.travel.edge_time_s(self.moment(trip.travel))
        if np.isfinite(edge_s[ahead]).all() and (now_s > trip.rolling_s or isfinite(edge_s[corner.edge])):
            return
        where = self.whereabouts(unit)
        if now_s <= trip.rolling_s:
            corner, reached_s = trip.origin, trip.rolling_s
        hour = self.moment_at(trip.travel, reached_s)
        route = _way(trip.travel, corner, trip.target, hour)
        incident = self.engaged[unit]
        self.turn[unit] += 1
        if route is None:
            if self.arrived[unit]:
                self.trips.pop(unit)
                self.hand_over(unit, float(self.problem.incidents.custody_s[incident]), where)
            else:
                self.take_from(unit, log.BY_NO_WAY)
                self.go_on([unit])
            return
        arrives_s = reached_s + route.time_s * trip.pace
        state = UnitState.TRANSPORTING if self.arrived[unit] else UnitState.TRAVELLING
        self.journal.state(unit, state, reached_s, corner, incident, -1, trip.pace)
        self.fleet.drive(unit, route, trip.travel.edge_time_s(hour), trip.pace, reached_s, trip.target)
        in_motion = where.edge == corner.edge and now_s < reached_s
        self.trips[unit] = trip._replace(
            origin=corner, rolling_s=reached_s, arrives_s=arrives_s, hour=hour, laid=True,
            from_m=where.offset_m if in_motion else nan, from_s=now_s if in_motion else nan,
        )  # fmt: skip
        if self.arrived[unit]:
            custody_s = float(self.problem.incidents.custody_s[incident])
            self.at(arrives_s, self.at_centre, (unit, self.turn[unit], custody_s))
        else:
            self.at(arrives_s, self.arrive, (unit, self.turn[unit]))

    # what is left of it

    def log(self) -> RunLog:
        """The tables, when the run is over."""
        return self.journal.tables(self.answered_s, np.array(self.ready_s), self.backup_asked, self.env.now)


class _Calls(Sequence[Call]):
    """The calls that wait, in order, made when they are looked at: most policies look at one."""

    def __init__(self, run: _Run) -> None:
        self._run = run

    def __len__(self) -> int:
        return len(self._run.waiting)

    @overload
    def __getitem__(self, place: int) -> Call: ...

    @overload
    def __getitem__(self, place: slice) -> list[Call]: ...

    def __getitem__(self, place: int | slice) -> Call | list[Call]:
        found = self._run.waiting[place]
        if isinstance(found, tuple):
            return self._run.call_of(found[2])
        return [self._run.call_of(incident) for _, _, incident in found]


def _way(travel: TravelTimes, origin: Position, target: Position, hour: int) -> Route | None:
    try:
        return travel.route(origin, target, hour)
    except NoWayError:
        return None


def _mean_by_type(type_: Any, seconds: Floats) -> list[float]:
    """What the dispatcher expects of each type: the mean of its incidents, of all where there is none."""
    every = float(seconds.mean()) if len(seconds) else 0.0
    return [float(seconds[type_ == t].mean()) if (type_ == t).any() else every for t in IncidentType]
