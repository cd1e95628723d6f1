"""Ordinary incidents, dealt with in one compiled function.

Most incidents want one unit, whichever is there first; it deals with them and drives back. Where the policy is
`nearest` and only rosters, meals and outages can come between, these steps are taken here, one incident after the
other, up to the next event that asks for more: a call that wants several, one for which nobody is free, a unit whose
shift is over. That is left to the other parts. The steps are those of `calls`, `responses` and `standby` in the same
order, and the log is the same to the byte; that they are written twice makes a run several times as fast.
"""

from __future__ import annotations

from math import inf, nextafter

import numpy as np

from dispatch.engine import journal as rows
from dispatch.engine.dealing import (
    CALL,
    CALL_NUMBER,
    FREED,
    N_ASSIGNED,
    N_OPEN,
    N_STATES,
    NO_PATROL,
    NUMBER,
    ONE_ROUND,
    ROUNDS,
    STATES_EACH,
    UNTIL,
    WHICH,
    Asked,
    Crews,
    Found,
    Queue,
    Roads,
    Sheet,
    Table,
    deal,
)
from dispatch.engine.lookout import Room
from dispatch.engine.state import State
from dispatch.policies.dispatching import nearest
from geodata.compiled import hold
from geodata.routing import RoadTravel

ROOM = 1_024
"""So many assignments are written before the journal takes them."""


class Ordinary(State):
    """Keeps a queue of its own beside SimPy's; the events of both happen in one order."""

    def take_up_ordinary(self) -> None:
        """Deal with what is ordinary, if the problem allows it."""
        problem, travel = self.problem, self.roads[0]
        quiet = problem.relief is None and problem.move_up is None and not self.standby and not self.changes_s
        alike = self.one_kind and all(self.acts_alone)
        by_road = isinstance(travel, RoadTravel) and travel.anchors is not None
        if not (self.policy is nearest and quiet and alike and by_road):
            return
        self._asked, self._found, self._crews = self._incidents_asked(), self._incidents_found(), self._all_crews()
        n = len(problem.units)
        self._queue = Queue(np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64))
        self._room = Room.of_size(n)
        n_states = STATES_EACH * (ROOM + 1)
        self._sheet = Sheet(
            np.empty((ROOM, rows.ASSIGNMENT)),
            np.empty((n_states, rows.NUMBERS), np.int32),
            np.empty((n_states, rows.VALUES)),
        )
        self._ledger = np.zeros(8, np.int64)
        self._ledger[CALL_NUMBER] = self.clock.number()
        self._settles = not self.any_meal and not any(unit.outages for unit in problem.units)
        self._hour_held, self._moving_held, self._fastest_m_s = -1, self.fleet.moving, 0.0
        self._next_s = self.ready_s[self.order[0]] if len(self.order) else inf
        self.clock.beside = self.deal_until

    def _incidents_asked(self) -> Asked:
        incidents = self.problem.incidents
        return Asked(
            order=np.asarray(self.order),
            ready_s=np.asarray(self.ready_s),
            edge=incidents.positions.edge,
            offset_m=incidents.positions.offset_m,
            priority=incidents.priority,
            on_scene_s=incidents.on_scene_s,
            expected_s=np.array(self.expected_on_scene_s)[incidents.type],
            role=np.array([masks[0] for masks in self.problem.masks], np.int64)[incidents.plan],
            ordinary=(incidents.units_needed == 1)
            & (incidents.backup == 0)
            & (incidents.duplicate_of < 0)
            & (incidents.custody_s == 0)
            & ~np.isfinite(incidents.withdrawn_s),
            false_alarm=incidents.false_alarm,
        )

    def _incidents_found(self) -> Found:
        journal = self.journal
        return Found(
            ordered_s=np.frombuffer(journal.ordered_s),
            rolling_s=np.frombuffer(journal.rolling_s),
            arrived_s=np.frombuffer(journal.arrived_s),
            present_s=np.frombuffer(journal.present_s),
            assembled_s=np.frombuffer(journal.assembled_s),
            cleared_s=np.frombuffer(journal.cleared_s),
            outcome=np.frombuffer(journal.outcome, np.uint8),
            first_unit=np.frombuffer(journal.first_unit, np.int32),
        )

    def _all_crews(self) -> Crews:
        view = self.view
        patrol = [NO_PATROL if p is None else ROUNDS if p.again else ONE_ROUND for p in self.patrols]
        return Crews(
            available=self.fleet.available,
            doing=view.state,
            engaged=view.incident,
            engaged_priority=view.priority,
            free_s=view.free_s,
            role=np.asarray(self.role),
            arrived=np.asarray(self.arrived),
            turn=np.asarray(self.turn),
            row=np.asarray(self.row),
            back_s=np.asarray(self.back_s),
            on_duty=view.on_duty,
            out_until_s=np.asarray(self.out_until_s),
            stacked=view.next_incident,
            base=self.base,
            patrol=np.array(patrol, np.uint8),
            phase_s=np.asarray(self.phase_s),
            slowness=view.slowness,
        )

    def deal_until(self, until_s: float, until_number: int) -> bool:
        """Deal with what is ordinary before an event of SimPy's; whether something else may come before that now."""
        if self._next_s > until_s:
            return False
        self._take_up_hour(self.moment_at(self.roads[0], self._next_s))
        hour_ends_s = max(self._hour_ends_s, nextafter(self._next_s, inf))
        goes_on = hour_ends_s <= until_s
        if goes_on:
            until_s, until_number = hour_ends_s, -1
        clock, journal, ledger, sheet = self.clock, self.journal, self._ledger, self._sheet
        ledger[NUMBER], ledger[N_OPEN], ledger[N_ASSIGNED], ledger[N_STATES] = clock.number(), self.open, 0, 0
        now_s, why, self._next_s = deal(
            self._held, np.frombuffer(journal.assignments), until_s, until_number, self.problem.horizon_s,
            bool(self.waiting), self.any_meal, self._settles, self._fastest_m_s, *self.luck.drawn_by,
        )  # fmt: skip
        clock.number_from(int(ledger[NUMBER]))
        self.open, which, n = int(ledger[N_OPEN]), int(ledger[WHICH]), ledger[N_STATES]
        journal.take(sheet.assigned[: ledger[N_ASSIGNED]], sheet.state_numbers[:n], sheet.state_values[:n])
        if why == CALL:
            clock.advance(now_s)
            self.take_call(which)
        elif why == FREED:
            clock.advance(now_s)
            if which >= 0:
                self.go_on([which])
            self.finish_if_over()
        return goes_on or why != UNTIL

    def _take_up_hour(self, hour: int) -> None:
        """Have all at hand that belongs to an hour."""
        if self._hour_held == hour and self._moving_held is self.fleet.moving:
            return
        travel = self.roads[0]
        assert isinstance(travel, RoadTravel)
        assert travel.anchors is not None
        (near, graph), back = travel.for_nearest(hour), travel.calm.for_way(hour)
        posts, edge_s = travel.anchors, travel.calm.edge_time_s(hour)
        roads = Roads(near, graph, back, travel.calm.path, posts.edge, posts.offset_m, edge_s)
        self._hour_held, self._moving_held = hour, self.fleet.moving
        self._fastest_m_s = max(self._fastest_m_s, travel.calm.fastest_m_s(hour))
        about = self._crews, self._asked, self._found, self._queue, self._ledger, self._sheet, self._room
        self._held = hold(Table(roads, self.fleet.moving, *about))
