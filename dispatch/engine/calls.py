"""Incidents that wait, and the policy that is asked for them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from math import isfinite, isnan
from typing import Any, overload

from dispatch.engine.fleet import AT_MEAL, FREE
from dispatch.engine.journal import BY_CLEARED, BY_WITHDRAWN
from dispatch.engine.state import State
from dispatch.incidents import Outcome
from dispatch.policies.situation import Call, Order, Situation

OPEN = int(Outcome.OPEN)


class Calls(State):
    """From the moment a desk is done with a call."""

    def call_ready(self, event: Any) -> None:
        """A desk is done with a call: units can be ordered."""
        number = event.value
        incident = self.order[number]
        number += 1
        if number < len(self.order):
            self.clock.at(self.ready_s[self.order[number]], self.call_ready, number)
        self.take_call(incident)

    def take_call(self, incident: int) -> None:
        if self.journal.outcome[incident] != OPEN:
            return
        if self.duplicate[incident]:
            self.over(incident, Outcome.DUPLICATE)
            return
        self.ask_for(incident, self.roles_from(incident, 0, self.needed[incident]))
        if isfinite(self.problem.max_hold_s):
            self.clock.at(self.clock.now + self.problem.max_hold_s, self.hold_no_longer, incident)
        self.serve()

    def withdraw(self, event: Any) -> None:
        """The caller takes back what nobody has come for yet."""
        incident = event.value
        if self.journal.outcome[incident] == OPEN and isnan(self.journal.present_s[incident]):
            self.over(incident, Outcome.WITHDRAWN)

    def hold_no_longer(self, event: Any) -> None:
        """A call that still waits comes before all others."""
        incident = event.value
        roles = self.roles.get(incident)
        if roles is not None:
            self.want_nothing(incident)
            self.ask_for(incident, roles)
            self.serve()

    def roles_from(self, incident: int, first: int, last: int) -> tuple[int, ...]:
        masks = self.problem.masks[self.plan[incident]]
        if last <= len(masks):
            return masks[first:last]
        return (masks + masks[-1:] * (last - len(masks)))[first:]

    def ask_for(self, incident: int, roles: tuple[int, ...]) -> None:
        asked = self.roles.get(incident)
        if asked is not None:
            self.roles[incident] = asked + roles
            return
        ready_s = self.ready_s[incident]
        overdue = self.clock.now >= ready_s + self.problem.max_hold_s
        self.roles[incident] = roles
        self.rank[incident] = rank = 0 if overdue else self.priority[incident]
        insort(self.waiting, (rank, ready_s, incident))

    def want_nothing(self, incident: int) -> None:
        if self.roles.pop(incident, None) is not None:
            entry = self.rank.pop(incident), self.ready_s[incident], incident
            del self.waiting[bisect_left(self.waiting, entry)]

    def call_of(self, incident: int) -> Call:
        # by place, as it is done for every incident: names would take a third longer
        rank = self.rank[incident]
        return Call(
            incident, self.target(incident), self.type[incident], self.priority[incident], self.place_class[incident],
            self.cell[incident], self.ready_s[incident], self.roles[incident], len(self.team.get(incident, ())),
            rank == 0, self.limit_s[incident],
        )  # fmt: skip

    def serve(self) -> None:
        """Offer what waits to the policy, in order, as long as it sends somebody."""
        waiting = self.waiting
        if not waiting:
            return
        problem, fleet, now_s, sent = self.problem, self.fleet, self.clock.now, False
        hour = self.moment(self.roads[0])
        for rank, _, incident in waiting[:]:
            level = AT_MEAL if self.any_meal and self.priority[incident] == 1 else FREE
            while incident in self.roles:
                free = fleet.look(now_s, level)
                if not len(free) and not self.sees_engaged:
                    break
                call = self.call_of(incident)
                calls = (call,) if len(waiting) == 1 else _Waiting(self)
                orders = problem.policy(
                    Situation(
                        now_s, hour, call, calls, free, self.view, self.roads, self.one_kind, self.where,
                        problem.beats, problem.cover, self.base,
                    )
                )  # fmt: skip
                if not orders:
                    break
                self.carry_out(orders, incident)
                sent = True
            if not (len(free) or self.sees_engaged) and (rank > 1 or not self.any_meal):
                # nobody is left for those behind, who are no more urgent
                break
        if sent and problem.move_up is not None:
            self.rearrange(-1)

    def carry_out(self, orders: list[Order], incident: int) -> None:
        """Do what a policy ordered, and strike out the roles that are filled."""
        filled: dict[int, list[int]] = {}
        for unit, drive, place, other, _, when_free in orders:
            goal = other if other >= 0 else incident
            roles = self.roles.get(goal)
            if roles is None:
                raise ValueError(f"the policy sent unit {self.name(unit)} to incident {goal}, which does not wait")
            role = roles[place] if place < len(roles) else -1
            if not (self.one_kind or role >> self.kind[unit] & 1):
                raise ValueError(f"the policy sent unit {self.name(unit)}, which cannot do what it is wanted for")
            if when_free:
                self.stack(unit, goal, role)
            else:
                if self.engaged[unit] >= 0:
                    self.preempt(unit, goal)
                elif not self.available[unit]:
                    raise ValueError(f"the policy sent unit {self.name(unit)}, which is not free")
                elif self.available[unit] == AT_MEAL and self.priority[goal] > 1:
                    raise ValueError(f"the policy sent unit {self.name(unit)}, which is at its meal, to what can wait")
                self.send(unit, goal, drive, role)
            filled.setdefault(goal, []).append(place)
        for goal, places in filled.items():
            roles = self.roles.get(goal, ())
            left = tuple(role for place, role in enumerate(roles) if place not in places)
            if left:
                self.roles[goal] = left
            else:
                self.want_nothing(goal)

    def over(self, incident: int, outcome: Outcome) -> None:
        """An incident is over: whoever is there is free, whoever is on the way is called off."""
        now_s, journal = self.clock.now, self.journal
        journal.outcome[incident], journal.cleared_s[incident] = outcome, now_s
        self.want_nothing(incident)
        self.service.pop(incident, None)
        self.there.pop(incident, None)
        self.left_s.pop(incident, None)
        self.open -= 1
        units = self.team.pop(incident, None)
        if units:
            self.dismiss(incident, units, BY_WITHDRAWN if outcome == Outcome.WITHDRAWN else BY_CLEARED)
        self.finish_if_over()


class _Waiting(Sequence[Call]):
    """The calls that wait, in order, made when they are looked at: most policies look at one."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def __len__(self) -> int:
        return len(self._calls.waiting)

    @overload
    def __getitem__(self, place: int) -> Call: ...

    @overload
    def __getitem__(self, place: slice) -> list[Call]: ...

    def __getitem__(self, place: int | slice) -> Call | list[Call]:
        found = self._calls.waiting[place]
        if isinstance(found, tuple):
            return self._calls.call_of(found[2])
        return [self._calls.call_of(incident) for _, _, incident in found]
