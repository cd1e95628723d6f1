"""Rosters: shifts, meals, outages, and units on standby that are called up."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

import numpy as np

from dispatch.engine.clock import Steps
from dispatch.engine.fleet import AT_MEAL, AWAY, FREE
from dispatch.engine.journal import OFF_DUTY
from dispatch.engine.state import State
from dispatch.units import Meal, Span, UnitSpec, UnitState


class Duties(State):
    """When units may be sent at all."""

    def begin_rosters(self) -> None:
        """One process for each unit and each thing that its roster holds."""
        process = self.clock.process
        for unit, spec in enumerate(self.problem.units):
            process(self.shifts(unit, spec))
            if spec.meals:
                process(self.meals(unit, spec.meals))
            if spec.outages:
                process(self.outages(unit, spec.outages))

    def shifts(self, unit: int, spec: UnitSpec) -> Steps:
        """Bring a unit on duty and take it off, shift after shift."""
        for span in spec.duty if spec.duty is not None else (Span(0.0, inf),):
            yield self.clock.until(span.begin_s)
            yield from self.duty(unit, span.end_s)

    def duty(self, unit: int, end_s: float) -> Steps:
        """From the beginning of a span of duty to its end."""
        clock = self.clock
        if self.on_duty[unit]:
            # the span before ends at this very second
            yield clock.until(clock.now)
        if self.engaged[unit] < 0:
            # a crew that is late home from its last shift starts the next when it is back
            while clock.now < self.back_s[unit] < inf:
                yield clock.until(min(self.back_s[unit], end_s))
                if clock.now >= end_s:
                    return
        self.on_duty[unit] = True
        if self.busy is not None:
            self.busy.count(clock.now, 1, int(self.engaged[unit] >= 0))
        self.phase_s[unit], self.base[unit] = 0.0, -1 if self.patrols[unit] else self.home[unit]
        if unit in self.stranded:
            if self.out_until_s[unit] <= clock.now:
                self.available[unit] = FREE
            self.go_on([unit])
        elif self.engaged[unit] < 0:
            self.begin(unit)
        if end_s == inf:
            return
        yield clock.until(end_s)
        self.on_duty[unit] = False
        if self.busy is not None:
            self.busy.count(clock.now, -1, -int(self.engaged[unit] >= 0))
        self.unstack(unit)
        if self.out[unit]:
            self.out[unit] = False
            home = self.home[unit]
            self.journal.state(unit, OFF_DUTY, max(clock.now, self.back_s[unit]), self.posts[home], -1, home)
        elif self.engaged[unit] < 0:
            self.halt(unit)
            self.available[unit] = AWAY
            self.turn[unit] += 1
            self.go_home(unit)
        self.look_for_standby()
        self.serve()

    def begin(self, unit: int) -> None:
        """A unit is ready at its home post."""
        now_s, home, patrol = self.clock.now, self.home[unit], self.patrols[unit]
        self.fleet.stand_at_post(unit, home)
        self.back_s[unit] = now_s
        self.turn[unit] += 1
        if self.out_until_s[unit] > now_s:
            self.go_out_of_service(unit)
            return
        self.available[unit] = FREE
        if patrol is None:
            self.journal.state(unit, UnitState.IDLE, now_s, self.posts[home], -1, home)
        else:
            self.fleet.patrol(unit, 0.0, now_s)
            self.note_patrol(unit, 0.0, now_s, self.posts[home])
        if not self.begun:
            # a shift begins for many units at once: what waits is to see them all
            self.clock.at(now_s, self.all_begun, None)
        self.begun.append(unit)

    def all_begun(self, event: Any) -> None:  # noqa: ARG002
        begun, self.begun = self.begun, []
        self.serve()
        for unit in begun:
            if self.meal[unit] is not None and self.available[unit] == FREE:
                self.halt(unit)
                self.have_meal(unit)

    def go_home(self, unit: int) -> None:
        home = self.home[unit]
        back_s = self.drive(unit, self.posts[home], home, UnitState.RETURNING)
        if back_s is not None:
            self.journal.state(unit, OFF_DUTY, back_s, self.posts[home], -1, home)

    # standby

    def look_for_standby(self) -> None:
        """Call up a unit if too few are free when all that happens at this second has happened: where one shift ends
        another begins."""
        if self.standby:
            self.clock.at(self.clock.now, lambda _: self.call_up(), None)

    def call_up(self) -> None:
        now_s = self.clock.now
        if np.count_nonzero(self.fleet.available == FREE) >= self.problem.call_up_below:
            return
        for unit, spans in self.standby.items():
            for span in spans:
                in_time = span.begin_s <= now_s and now_s + self.problem.call_up_s < span.end_s
                if in_time and (unit, span) not in self.called_up and not self.on_duty[unit] and self.engaged[unit] < 0:
                    self.called_up.add((unit, span))
                    self.clock.process(self.come(unit, span))
                    return

    def come(self, unit: int, span: Span) -> Steps:
        """A unit that was called up is at its post after a while, until its standby ends."""
        yield self.clock.until(self.clock.now + self.problem.call_up_s)
        if not self.on_duty[unit]:
            shifts = self.problem.units[unit].duty or ()
            begins_s = min((shift.begin_s for shift in shifts if shift.begin_s > self.clock.now), default=inf)
            yield from self.duty(unit, min(span.end_s, begins_s))

    # meals

    def meals(self, unit: int, meals: Iterable[Meal]) -> Steps:
        for meal in meals:
            yield self.clock.until(meal.earliest_s)
            self.meal[unit] = meal
            if self.available[unit] == FREE:
                self.halt(unit)
                self.have_meal(unit)
            yield self.clock.until(meal.latest_s)
            if self.meal[unit] is meal:
                self.meal[unit] = None

    def have_meal(self, unit: int) -> None:
        """A meal where the unit is; only what is most urgent interrupts it."""
        now_s, meal = self.clock.now, self.meal[unit]
        assert meal is not None
        self.meal[unit] = None
        self.stranded.discard(unit)
        self.available[unit] = AT_MEAL
        self.turn[unit] += 1
        self.back_s[unit] = inf
        self.doing[unit] = UnitState.MEAL
        where, _ = self.fleet.place(unit)
        self.journal.state(unit, UnitState.MEAL, now_s, where)
        self.clock.at(now_s + meal.length_s, self.meal_over, (unit, self.turn[unit]))

    def meal_over(self, event: Any) -> None:
        unit, turn = event.value
        if turn == self.turn[unit]:
            self.available[unit] = FREE
            self.doing[unit] = UnitState.IDLE
            self.go_on([unit])

    # outages

    def outages(self, unit: int, spans: Iterable[Span]) -> Steps:
        for span in spans:
            yield self.clock.until(span.begin_s)
            self.out_until_s[unit] = span.end_s
            if self.available[unit]:
                self.halt(unit)
                self.go_out_of_service(unit)

    def repaired(self, event: Any) -> None:
        """An outage is over, and the unit is at home or cut off from it."""
        unit, turn = event.value
        if turn == self.turn[unit] and self.out[unit]:
            self.back_in_service(unit)

    def back_in_service(self, unit: int) -> None:
        """A unit is free where its vehicle was out of service, or where closures left it no way home."""
        self.out[unit], self.available[unit], self.back_s[unit] = False, FREE, inf
        self.turn[unit] += 1
        if unit not in self.stranded:
            self.fleet.stand_at_post(unit, self.home[unit])
        self.go_on([unit])

    def go_out_of_service(self, unit: int) -> None:
        self.available[unit], self.out[unit] = AWAY, True
        self.turn[unit] += 1
        home = self.home[unit]
        if self.patrols[unit] is None:
            self.base[unit] = home
        back_s = self.drive(unit, self.posts[home], home, UnitState.RETURNING)
        if back_s is not None:
            self.journal.state(unit, UnitState.OUT_OF_SERVICE, back_s, self.posts[home], -1, home)
        over_s = max(self.out_until_s[unit], back_s or self.clock.now)
        self.clock.at(over_s, self.repaired, (unit, self.turn[unit]))
        self.look_for_standby()
