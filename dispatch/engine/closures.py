"""Roads that close while units are on them."""

from __future__ import annotations

from math import inf, isfinite, nan
from typing import Any

import numpy as np

from dispatch.engine.clock import Steps
from dispatch.engine.journal import BY_NO_WAY
from dispatch.engine.state import State, way
from dispatch.units import UnitState


class Closures(State):
    """Whoever finds the way closed takes another."""

    def changes(self) -> Steps:
        """When roads close or open, those whose way is cut find another, and what had no way is tried again."""
        for change_s in self.changes_s:
            yield self.clock.until(change_s)
            for unit in sorted(self.trips):
                if unit in self.trips:
                    self.replan(unit)
            self.serve()
            for unit in range(len(self.available)):
                if unit in self.stranded:
                    self.stranded.remove(unit)
                    self.settle(unit)
                elif self.engaged[unit] < 0 and self.clock.now < self.back_s[unit] < inf:
                    self.look_ahead(unit)

    def look_ahead(self, unit: int) -> None:
        """Let a free unit on its way drive to the end of its edge and find another way, if this is closed later on."""
        ahead, _, reached_s = self.fleet.ahead(unit, self.clock.now)
        travel = self.unit_calm[unit]
        if not np.isfinite(travel.edge_time_s(self.moment(travel))[ahead]).all():
            self.turn[unit] += 1
            self.clock.at(reached_s, self.turn_round, (unit, self.turn[unit]))

    def turn_round(self, event: Any) -> None:
        unit, turn = event.value
        if turn == self.turn[unit]:
            self.halt(unit)
            self.back_s[unit] = inf
            self.settle(unit)

    def replan(self, unit: int) -> None:
        """Find another way for an engaged unit whose way is closed ahead of it."""
        now_s = self.clock.now
        self.lay(unit, self.trips[unit])
        trip = self.trips[unit]
        ahead, corner, reached_s = self.fleet.ahead(unit, max(now_s, trip.rolling_s))
        edge_s = trip.travel.edge_time_s(self.moment(trip.travel))
        waits = now_s <= trip.rolling_s
        if np.isfinite(edge_s[ahead]).all() and not (waits and not isfinite(edge_s[corner.edge])):
            return
        where = self.whereabouts(unit)
        if waits:
            # who has not set off yet may take another way from the first edge on
            corner, reached_s = trip.origin, trip.rolling_s
        hour = self.moment_at(trip.travel, reached_s)
        route = way(trip.travel, corner, trip.target, hour)
        incident, from_m, from_s = self.engaged[unit], nan, nan
        if waits:
            # be it that it is still on its way to the corner where it leaves a way that was closed before
            from_m, from_s = trip.from_m, trip.from_s
        elif where.edge == corner.edge and now_s < reached_s:
            from_m, from_s = where.offset_m, now_s
        self.turn[unit] += 1
        if route is None:
            if self.arrived[unit]:
                self.trips.pop(unit)
                self.hand_over(unit, where)
            else:
                self.take_from(unit, BY_NO_WAY)
                self.go_on([unit])
            return
        arrives_s = reached_s + route.time_s * trip.pace
        state = UnitState.TRANSPORTING if self.arrived[unit] else UnitState.TRAVELLING
        self.journal.state(unit, state, reached_s, corner, incident, -1, trip.pace)
        self.fleet.drive(unit, route, trip.travel.edge_time_s(hour), trip.pace, reached_s, trip.target)
        self.trips[unit] = trip._replace(
            origin=corner, rolling_s=reached_s, arrives_s=arrives_s, hour=hour, laid=True,
            from_m=from_m, from_s=from_s,
        )  # fmt: skip
        self.clock.at(arrives_s, self.at_centre if self.arrived[unit] else self.arrive, (unit, self.turn[unit]))
