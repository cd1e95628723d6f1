"""Free units: relief of others, another post, the way back, patrols."""

from __future__ import annotations

from math import inf

import numpy as np

from dispatch.engine.fleet import FREE
from dispatch.engine.journal import BY_RELIEVED
from dispatch.engine.state import State
from dispatch.policies.situation import Journey, Relief, Standing
from dispatch.units import UnitState
from geodata.positions import Position
from geodata.travel import NoWayError


class Standby(State):
    """From the moment a unit is free to the moment it is wanted again."""

    def settle(self, unit: int) -> None:
        """A free unit that nobody wants now: home, out of service, a meal, relief of another, another post, its own."""
        if not self.on_duty[unit]:
            self.go_home(unit)
        elif self.out[unit] or self.out_until_s[unit] > self.clock.now:
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
        relief, travel, now_s = self.problem.relief, self.unit_roads[unit], self.clock.now
        assert relief is not None
        self.relieved = {former for former in self.relieved if former[0] == now_s}
        journeys = [
            Journey(self.engaged[other], other, trip.target, self.role[other], trip.expected_s)
            for other, trip in self.trips.items()
            # two that would be there at the same second must not relieve each other for ever
            if not self.arrived[other] and (now_s, unit, self.engaged[other]) not in self.relieved
        ]
        orders = relief(Relief(now_s, self.moment(travel), unit, journeys, self.view, self.roads))
        for order in orders:
            other, role = order.relieves, self.role[order.relieves]
            if other not in self.trips or self.arrived[other] or self.engaged[other] != order.incident:
                raise ValueError(f"the policy relieves unit {self.name(other)}, which is not on its way there")
            if order.unit != unit:
                raise ValueError(f"the policy relieves by unit {self.name(order.unit)}, which is not the one free")
            self.relieved.add((now_s, other, order.incident))
            self.take_from(other, BY_RELIEVED)
            self.send(order.unit, order.incident, order.drive, role)
            self.go_on([other])
        return bool(orders)

    def stand_by(self, unit: int) -> None:
        """A free unit drives to where it stands by."""
        patrol = self.patrols[unit]
        if patrol is None:
            self.drive_to_post(unit, int(self.base[unit]), UnitState.RETURNING)
            return
        phase_s = self.phase_s[unit]
        if not patrol.again and phase_s >= patrol.length_s:
            self.drive_to_post(unit, self.home[unit], UnitState.RETURNING)
            return
        goal = self.fleet.on_patrol(unit, phase_s)
        back_s = self.drive(unit, goal, -1, UnitState.RETURNING)
        if back_s is not None:
            self.fleet.resume(unit, phase_s, back_s)
            self.note_patrol(unit, phase_s, back_s, goal)

    def note_patrol(self, unit: int, phase_s: float, at_s: float, where: Position) -> None:
        patrol = self.patrols[unit]
        assert patrol is not None
        self.journal.state(unit, UnitState.PATROLLING, at_s, where, -1, -1, phase_s)
        if not patrol.again:
            home = self.home[unit]
            ends_s = at_s + max(patrol.length_s - phase_s, 0.0)
            self.journal.state(unit, UnitState.IDLE, ends_s, self.posts[home], -1, home)

    def halt(self, unit: int) -> None:
        """A free unit stops where it is, and remembers how far it was in its patrol."""
        phase_s = self.fleet.halt(unit, self.clock.now)
        if phase_s >= 0:
            self.phase_s[unit] = phase_s

    def drive_to_post(self, unit: int, post: int, state: UnitState) -> None:
        """Let a free unit drive to a post and stand by there."""
        where = self.posts[post]
        back_s = self.drive(unit, where, post, state)
        if back_s is not None:
            self.journal.state(unit, UnitState.IDLE, back_s, where, -1, post)

    def drive(self, unit: int, goal: Position, post: int, state: UnitState) -> float | None:
        """Set a free unit in motion as traffic drives; when it is there. None where closures leave no way: it stays
        until they change."""
        now_s, fleet, travel = self.clock.now, self.fleet, self.unit_calm[unit]
        origin, _ = fleet.place(unit)
        hour = self.moment(travel)
        try:
            route = travel.route(origin, goal, hour)
        except NoWayError:
            fleet.stand(unit, origin)
            self.journal.state(unit, UnitState.IDLE, now_s, origin)
            self.back_s[unit] = inf
            self.stranded.add(unit)
            return None
        self.stranded.discard(unit)
        self.journal.state(unit, state, now_s, origin, -1, post, 1.0)
        self.doing[unit] = state
        self.back_s[unit] = back_s = fleet.drive(unit, route, travel.edge_time_s(hour), 1.0, now_s, goal, post)
        return back_s

    def rearrange(self, freed: int) -> None:
        problem, now_s = self.problem, self.clock.now
        assert problem.move_up is not None
        assert problem.cover is not None
        assert self.busy is not None
        idle = [
            unit
            for unit in self.fleet.look(now_s).tolist()
            if self.patrols[unit] is None and (unit == freed or now_s - self.moved_s[unit] >= problem.move_gap_s)
        ]
        if not idle:
            return
        heading = np.where(self.fleet.available == FREE, self.base, -1).astype(np.int32)
        if freed >= 0:
            heading[freed] = -1
        moves = problem.move_up(
            Standing(
                now_s=now_s,
                hour=self.moment(self.roads[0]),
                freed=freed,
                idle=np.array(idle, np.int64),
                heading=heading,
                home=np.array(self.home, np.int32),
                busy_share=self.busy.share(now_s),
                cover=problem.cover,
                units=self.view,
                posts=self.posts,
                travel=self.roads,
            )
        )
        for unit, post in moves:
            if unit not in idle:
                raise ValueError(f"the move-up policy moves unit {self.name(unit)}, which is not free to be moved")
            self.base[unit], self.moved_s[unit] = post, now_s
            self.turn[unit] += 1
            self.halt(unit)
            self.drive_to_post(unit, post, UnitState.RETURNING if post == self.home[unit] else UnitState.MOVING_UP)
