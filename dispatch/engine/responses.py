"""Units and the incidents that they are with: ordered, rolling, on scene, with somebody in custody, free again."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, isnan
from typing import Any

from dispatch.engine.fleet import AWAY, FREE
from dispatch.engine.journal import (
    ARRIVED,
    BY_PREEMPTED,
    BY_RELIEVED,
    CALLED_OFF,
    CENTRE,
    CLEARED,
    HANDED,
    LEFT,
    ROLLING,
    WHY,
)
from dispatch.engine.state import State, Trip, way
from dispatch.incidents import Outcome
from dispatch.units import UnitState
from geodata.positions import Position
from geodata.travel import Drive

IDLE, TURN_OUT, TRAVELLING, ON_SCENE = (
    int(state) for state in (UnitState.IDLE, UnitState.TURN_OUT, UnitState.TRAVELLING, UnitState.ON_SCENE)
)


class Responses(State):
    """From the order to the moment a unit is free again."""

    def send(self, unit: int, incident: int, drive: Drive, role: int) -> None:
        now_s, fleet, journal = self.clock.now, self.fleet, self.journal
        travel, slowness = self.unit_roads[unit], self.slowness[unit]
        if self.patrols[unit] is not None and (phase_s := fleet.phase_s(unit, now_s)) >= 0:
            self.phase_s[unit] = phase_s
        origin, turn_out_s = fleet.place(unit)
        rolling_s = now_s + turn_out_s
        pace = slowness * self.luck(incident, unit)
        arrives_s = rolling_s + drive.time_s * pace
        expected_s = turn_out_s + drive.time_s * slowness
        self.available[unit] = AWAY
        self.engaged[unit], self.engaged_priority[unit] = incident, self.priority[incident]
        self.role[unit] = role
        self.arrived[unit] = False
        if self.stranded:
            self.stranded.discard(unit)
        self.doing[unit] = TRAVELLING
        self.free_s[unit] = now_s + expected_s + self.expected_on_scene_s[self.type[incident]]
        self.turn[unit] = turn = self.turn[unit] + 1
        if isnan(journal.ordered_s[incident]):
            journal.ordered_s[incident] = now_s
        self.row[unit] = journal.assign(incident, unit, now_s, rolling_s, drive.length_m, expected_s, origin)
        journal.state(unit, TURN_OUT, now_s, origin, incident)
        journal.state(unit, TRAVELLING, rolling_s, origin, incident, -1, pace)
        self.trips[unit] = Trip(
            origin, self.target(incident), rolling_s, arrives_s, now_s + expected_s, pace, travel,
            self.moment_at(travel, now_s),
        )  # fmt: skip
        team = self.team.get(incident)
        if team is None:
            self.team[incident] = [unit]
        elif unit not in team:
            team.append(unit)
        if self.busy is not None:
            self.busy.count(now_s, 0, 1)
        self.clock.at(arrives_s, self.arrive, (unit, turn))
        if self.standby:
            self.call_up()

    def arrive(self, event: Any) -> None:
        unit, turn = event.value
        if turn != self.turn[unit]:
            return
        now_s, journal, incident = self.clock.now, self.journal, self.engaged[unit]
        journal.assignments[self.row[unit] + ARRIVED] = now_s
        journal.state(unit, ON_SCENE, now_s, self.target(incident), incident)
        del self.trips[unit]
        self.arrived[unit] = True
        self.doing[unit] = ON_SCENE
        self.free_s[unit] = now_s + self.expected_on_scene_s[self.type[incident]]
        if isnan(journal.present_s[incident]):
            journal.present_s[incident] = now_s
        self.count_there(incident, 1)
        if self.acts_alone[unit] and incident not in self.service:
            self.begin_service(incident, unit)

    def begin_service(self, incident: int, unit: int) -> None:
        """The first who may act alone is there, or the first after all of these were taken away."""
        now_s, journal = self.clock.now, self.journal
        due_s = now_s + self.left_s.pop(incident, self.on_scene_s[incident])
        self.services = number = self.services + 1
        self.service[incident] = number, due_s
        self.clock.at(due_s, self.clear, (incident, number))
        if isnan(journal.arrived_s[incident]):
            journal.arrived_s[incident], journal.first_unit[incident] = now_s, unit
            journal.rolling_s[incident] = journal.assignments[self.row[unit] + ROLLING]
            backup, needed = self.backup[incident], self.needed[incident]
            if backup:
                self.backup_asked[incident] = backup
                journal.assembled_s[incident] = float("nan")
                self.ask_for(incident, self.roles_from(incident, needed, needed + backup))
                # some may be there in addition already
                self.count_there(incident, 0)
                self.serve()

    def count_there(self, incident: int, change: int) -> None:
        """Note when as many are there as were asked for."""
        wanted = self.needed[incident] + self.backup[incident]
        there = change
        if wanted > 1:
            there = self.there[incident] = self.there.get(incident, 0) + change
        if there >= self.needed[incident] + self.backup_asked[incident] and isnan(self.journal.assembled_s[incident]):
            self.journal.assembled_s[incident] = self.clock.now

    def clear(self, event: Any) -> None:
        """An incident is dealt with."""
        incident, number = event.value
        service = self.service.get(incident)
        if service is not None and service[0] == number:
            self.over(incident, Outcome.FALSE_ALARM if self.false_alarm[incident] else Outcome.CLEARED)

    # free again

    def dismiss(self, incident: int, units: list[int], why: int) -> None:
        escort = -1
        if self.custody_s[incident] and not self.false_alarm[incident]:
            assignments = self.journal.assignments
            there = (u for u in units if self.stacked[u] != incident and self.arrived[u] and self.acts_alone[u])
            escort = min(there, key=lambda u: assignments[self.row[u] + ARRIVED], default=-1)
        free = []
        for unit in units:
            if self.stacked[unit] == incident:
                self.stacked[unit] = -1
                continue
            if unit == escort:
                self.transport(unit, incident)
                continue
            if self.arrived[unit]:
                self.fleet.stand(unit, self.target(incident))
                self.release(unit)
            else:
                self.call_off(unit, why)
            free.append(unit)
        self.go_on(free)

    def call_off(self, unit: int, why: int) -> None:
        """Take a unit off its incident, on the way or on the scene; it is free where it is."""
        row, assignments = self.row[unit], self.journal.assignments
        assignments[row + CALLED_OFF], assignments[row + WHY] = self.clock.now, why
        self.fleet.stand(unit, self.whereabouts(unit))
        self.trips.pop(unit, None)
        self.release(unit)

    def release(self, unit: int) -> None:
        """A unit is free of its incident, where it stands; `go_on` says what it does next."""
        now_s = self.clock.now
        self.journal.assignments[self.row[unit] + CLEARED] = now_s
        self.engaged[unit], self.engaged_priority[unit], self.free_s[unit] = -1, 0, inf
        self.doing[unit] = IDLE
        self.turn[unit] += 1
        self.back_s[unit] = inf
        if self.busy is not None and self.on_duty[unit]:
            self.busy.count(now_s, 0, -1)
        if self.on_duty[unit] and self.out_until_s[unit] <= now_s:
            self.available[unit] = FREE

    def go_on(self, units: Iterable[int]) -> None:
        for unit in units:
            incident = self.stacked[unit]
            if incident < 0:
                continue
            if self.available[unit]:
                travel = self.unit_roads[unit]
                here, _ = self.fleet.place(unit)
                route = way(travel, here, self.target(incident), self.moment(travel))
                if route is not None:
                    self.stacked[unit] = -1
                    self.send(unit, incident, Drive(route.time_s, route.length_m), self.stacked_role[unit])
                    continue
            self.unstack(unit)
        self.serve()
        for unit in units:
            if self.engaged[unit] < 0 and self.back_s[unit] == inf:
                self.settle(unit)

    # taken away

    def take_from(self, unit: int, why: int) -> None:
        incident, role, was_there = self.engaged[unit], self.role[unit], self.arrived[unit]
        self.call_off(unit, why)
        team = self.team[incident]
        team.remove(unit)
        if was_there:
            self.count_there(incident, -1)
            left = (self.acts_alone[u] and self.arrived[u] for u in team if self.engaged[u] == incident)
            if self.acts_alone[unit] and not any(left):
                _, due_s = self.service.pop(incident)
                self.left_s[incident] = max(due_s - self.clock.now, 0.0)
        if role >= 0 and why != BY_RELIEVED:
            self.ask_for(incident, (role,))

    def preempt(self, unit: int, incident: int) -> None:
        former = self.priority[self.engaged[unit]]
        can_go = self.doing[unit] in (TRAVELLING, ON_SCENE) and self.on_duty[unit]
        if former <= self.priority[incident] or not can_go:
            raise ValueError(
                f"the policy sent unit {self.name(unit)}, which is engaged with an incident of priority {former}, "
                f"to one of priority {self.priority[incident]}"
            )
        self.unstack(unit)
        self.take_from(unit, BY_PREEMPTED)

    def stack(self, unit: int, incident: int, role: int) -> None:
        able = self.on_duty[unit] and self.engaged[unit] not in (-1, incident)
        if not able or self.stacked[unit] >= 0:
            raise ValueError(
                f"the policy lets a call wait for unit {self.name(unit)}, which is off duty, free, there already, or "
                f"waited for by another"
            )
        self.stacked[unit], self.stacked_role[unit] = incident, role
        self.team.setdefault(incident, []).append(unit)

    def unstack(self, unit: int) -> None:
        incident = self.stacked[unit]
        if incident >= 0:
            self.stacked[unit] = -1
            self.team[incident].remove(unit)
            if self.stacked_role[unit] >= 0:
                self.ask_for(incident, (self.stacked_role[unit],))

    # custody

    def transport(self, unit: int, incident: int) -> None:
        """Take somebody in custody to the nearest case-handling centre."""
        now_s, origin, travel = self.clock.now, self.target(incident), self.unit_calm[unit]
        hour, centres = self.moment(travel), self.problem.centres
        assert centres is not None
        ways = [(centre, route) for centre, goal in enumerate(centres) if (route := way(travel, origin, goal, hour))]
        if not ways:
            # every way is closed: the hand-over takes place where they are
            self.hand_over(unit, origin)
            return
        centre, route = min(ways, key=lambda found: (found[1].time_s, found[0]))
        goal, row, arrives_s = centres[centre], self.row[unit], now_s + route.time_s
        self.journal.assignments[row + CENTRE], self.journal.assignments[row + LEFT] = centre, now_s
        self.journal.state(unit, UnitState.TRANSPORTING, now_s, origin, incident, -1, 1.0)
        self.doing[unit] = UnitState.TRANSPORTING
        self.free_s[unit] = arrives_s + self.custody_s[incident]
        self.trips[unit] = Trip(origin, goal, now_s, arrives_s, arrives_s, 1.0, travel, hour, laid=True)
        self.fleet.drive(unit, route, travel.edge_time_s(hour), 1.0, now_s, goal)
        self.turn[unit] += 1
        self.clock.at(arrives_s, self.at_centre, (unit, self.turn[unit]))

    def at_centre(self, event: Any) -> None:
        unit, turn = event.value
        if turn == self.turn[unit]:
            goal = self.trips.pop(unit).target
            self.journal.assignments[self.row[unit] + HANDED] = self.clock.now
            self.hand_over(unit, goal)

    def hand_over(self, unit: int, where: Position) -> None:
        incident = self.engaged[unit]
        self.journal.state(unit, UnitState.HANDING_OVER, self.clock.now, where, incident)
        self.doing[unit] = UnitState.HANDING_OVER
        self.fleet.stand(unit, where)
        self.turn[unit] += 1
        self.clock.at(self.clock.now + self.custody_s[incident], self.handed_over, (unit, self.turn[unit]))

    def handed_over(self, event: Any) -> None:
        unit, turn = event.value
        if turn == self.turn[unit]:
            self.release(unit)
            self.go_on([unit])
