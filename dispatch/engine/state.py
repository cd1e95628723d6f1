"""What a run knows at a moment. Incidents and units are named by their rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from math import inf, nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.clock import Clock, Event
from dispatch.engine.desk import answered_s
from dispatch.engine.fleet import Fleet, single
from dispatch.engine.journal import Journal
from dispatch.engine.luck import JourneyLuck
from dispatch.incidents import IncidentType, Outcome
from dispatch.policies.situation import BEYOND_FREE, Units
from dispatch.problem import Problem
from dispatch.streams import key
from dispatch.units import Meal, Span, UnitState
from geodata.network import Floats
from geodata.positions import Position, Positions
from geodata.travel import Drive, NoWayError, Route, Rows, TravelTimes


class Trip(NamedTuple):
    """A unit's way to an incident, or with somebody in custody to a centre."""

    origin: Position
    target: Position
    rolling_s: float
    arrives_s: float
    expected_s: float
    """When the dispatcher expects it there."""
    pace: float
    """Its seconds for a second of the roads."""
    travel: TravelTimes
    hour: int
    """The moment with whose speeds it drives."""
    laid: bool = False
    """Whether its route has been worked out, as it is when somebody asks."""
    from_m: float = nan
    """Where on the edge of the origin it was when it found its way closed ..."""
    from_s: float = nan
    """... and when. It drives to the edge's end and on from there."""


class State(ABC):
    """The fields of a run, and what its parts ask of one another.

    A unit that is ordered elsewhere takes a new turn: events of its former turns mean nothing any more. Where single
    values are read and written again and again they stand in lists, or are seen through `single` views of the arrays
    that the policies see: both are several times as fast as an array.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.clock = Clock()
        self.finished: Event = self.clock.event()
        self.journal = Journal(problem)
        self.posts = list(problem.posts)
        self.hour_of_week = problem.hour_of_week
        self._hour, self._hour_begins_s, self._hour_ends_s = 0, inf, -inf
        self._take_up_incidents()
        self._take_up_units()
        self.policy = getattr(problem.policy, "func", problem.policy)
        """Without the options that it was given."""
        self.sees_engaged = bool(getattr(self.policy, BEYOND_FREE, False))
        self.changes_s = sorted({s for roads in self.roads for s in roads.changes_s})

    def _take_up_incidents(self) -> None:
        problem, incidents = self.problem, self.problem.incidents
        self.answered_s = answered_s(incidents.received_s, incidents.desk_s, problem.desks)
        ready_s = self.answered_s + incidents.desk_s
        self.order = single(np.argsort(ready_s, kind="stable"))
        self.ready_s = single(ready_s)
        self._target_edge, self._target_m = single(incidents.positions.edge), single(incidents.positions.offset_m)
        self.priority, self.type = single(incidents.priority), single(incidents.type)
        self.place_class, self.cell = single(incidents.place_class), single(incidents.cell)
        self.limit_s, self.on_scene_s = single(incidents.limit_s), single(incidents.on_scene_s)
        self.needed, self.plan = single(incidents.units_needed), single(incidents.plan)
        self.duplicate = single(incidents.duplicate_of >= 0)
        self.false_alarm, self.custody_s = single(incidents.false_alarm), single(incidents.custody_s)
        self.backup = single(np.where(incidents.false_alarm, 0, incidents.backup).astype(np.uint8))
        self.backup_asked = bytearray(len(incidents))
        self.open = len(incidents)
        """Incidents not yet over."""
        self.waiting: list[tuple[int, float, int]] = []
        """(rank, ready_s, incident) of those that want units, in the order in which they are served."""
        self.rank: dict[int, int] = {}
        """Of each incident that waits: its priority, or 0 when it is overdue."""
        self.roles: dict[int, tuple[int, ...]] = {}
        """What each of them still wants."""
        self.team: dict[int, list[int]] = {}
        """The units ordered to an incident and not yet free of it, those that go when they are free included."""
        self.there: dict[int, int] = {}
        """How many units have arrived, where an incident asks for several."""
        self.service: dict[int, tuple[int, float]] = {}
        """Of an incident that is being dealt with: the number of its clearing event, and when that is due."""
        self.left_s: dict[int, float] = {}
        """What is left to do where the units were taken away."""
        self.services = 0
        self.expected_on_scene_s = _mean_by_type(incidents.type, incidents.on_scene_s)

    def _take_up_units(self) -> None:
        problem, units, kinds = self.problem, self.problem.units, self.problem.kinds
        n = len(units)
        row_of_kind = {kind.name: row for row, kind in enumerate(kinds)}
        kind = np.array([row_of_kind[unit.kind.name] for unit in units], np.uint8)
        self.roads = [problem.travel[k.driving] for k in kinds]
        """Travel times by kind."""
        self.unit_roads = [self.roads[k] for k in kind.tolist()]
        self.unit_calm = [roads.calm for roads in self.unit_roads]
        self.fleet = Fleet(units, problem.posts, self.roads[0].length_m, problem.timelines)
        self.kind: list[int] = kind.tolist()
        self.slowness = [1 / unit.kind.speed_factor for unit in units]
        self.acts_alone = [unit.kind.acts_alone for unit in units]
        every = (1 << len(kinds)) - 1
        masks_alike = all(mask == every for plan in problem.masks for mask in plan)
        self.one_kind = masks_alike and all(roads is self.roads[0] for roads in self.roads)

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
        self.available = single(self.fleet.available)
        self.doing = single(self.view.state)
        self.on_duty = single(self.view.on_duty)
        self.engaged = single(self.view.incident)
        """The incident that each is with, from the order to the moment it is free; -1: none."""
        self.engaged_priority = single(self.view.priority)
        self.free_s = single(self.view.free_s)
        self.stacked = single(self.view.next_incident)
        """The incident that each goes to when it is free, -1: none ..."""
        self.stacked_role = [0] * n
        """... and what it is wanted for there."""
        self.role = single(np.full(n, -1))
        """What an engaged unit is wanted for: bits of kinds, -1 for one sent in addition."""
        self.arrived = single(np.zeros(n, np.bool_))
        """Whether an engaged unit has been on the scene."""
        self.turn = single(np.zeros(n, np.int64))
        self.row = single(np.zeros(n, np.int64))
        """The row of each one's last assignment."""
        self.trips: dict[int, Trip] = {}
        """Of the units under way to an incident or to a centre."""

        self.home = [unit.post for unit in units]
        self.patrols = [unit.patrol for unit in units]
        self.phase_s = single(np.zeros(n))
        """Where each takes up its patrol again."""
        self.base = np.array([-1 if unit.patrol else unit.post for unit in units], np.int32)
        """The post at which each stands by when it is free, -1: it patrols."""
        self.moved_s = [-inf] * n
        """When each was last moved to another post."""
        self.back_s = single(np.zeros(n))
        """When each is back where it stands by, or was; infinite while that is not known."""
        self.relieved: set[tuple[float, int, int]] = set()
        """The last second in which units were relieved, with each of them and its incident."""
        self.stranded: set[int] = set()
        """Those that closures leave no way to where they should stand by."""

        self.any_meal = any(unit.meals for unit in units)
        self.meal: list[Meal | None] = [None] * n
        """What each is due."""
        self.out = [False] * n
        """Out of service, or on the way home to be."""
        self.out_until_s = single(np.full(n, -inf))
        """Out of service until then, at once or as soon as it is free."""
        self.standby = {row: unit.standby for row, unit in enumerate(units) if unit.standby}
        self.called_up: set[tuple[int, Span]] = set()
        self.begun: list[int] = []
        """Units that have come on duty this very second."""
        self.luck = JourneyLuck(key(problem.seed, "journeys"), problem.journey_cv)
        self.busy = BusyShare() if problem.move_up is not None else None

    # what all parts use

    def target(self, incident: int) -> Position:
        """Where an incident is."""
        return Position(self._target_edge[incident], self._target_m[incident])

    def name(self, unit: int) -> str:
        return self.problem.units[unit].id

    def moment(self, travel: TravelTimes) -> int:
        """Now, as travel times name it."""
        return self.moment_at(travel, self.clock.now)

    def moment_at(self, travel: TravelTimes, at_s: float) -> int:
        if self.changes_s:
            return travel.moment(self.hour_of_week(at_s), at_s)
        if not self._hour_begins_s <= at_s < self._hour_ends_s:
            self._hour, self._hour_begins_s, self._hour_ends_s = self.hour_of_week.surely(at_s)
        return self._hour

    def where(self, rows: Rows) -> Positions:
        """Positions of any units now, entries by the rows asked for."""
        found = [self.whereabouts(unit) for unit in rows.tolist()]
        return Positions(np.array([p.edge for p in found], np.int32), np.array([p.offset_m for p in found]))

    def whereabouts(self, unit: int) -> Position:
        """Where a unit is now, whatever it does."""
        now_s, trip = self.clock.now, self.trips.get(unit)
        if trip is None:
            incident: int = self.engaged[unit]
            if incident >= 0 and self.doing[unit] == UnitState.ON_SCENE:
                return self.target(incident)
        elif now_s > trip.rolling_s:
            self.lay(unit, trip)
        elif trip.from_s != trip.from_s:
            return trip.origin
        else:
            gone = (now_s - trip.from_s) / (trip.rolling_s - trip.from_s)
            return Position(trip.origin.edge, trip.from_m + gone * (trip.origin.offset_m - trip.from_m))
        return self.fleet.whereabouts(unit, now_s)

    def lay(self, unit: int, trip: Trip) -> None:
        """Work out the route of a unit that is under way."""
        if not trip.laid:
            route = trip.travel.route(trip.origin, trip.target, trip.hour)
            self.trips[unit] = trip._replace(laid=True)
            edge_s = trip.travel.edge_time_s(trip.hour)
            self.fleet.drive(unit, route, edge_s, trip.pace, trip.rolling_s, trip.target)

    def finish_if_over(self) -> None:
        """End the run after the horizon when no incident is open."""
        if not self.open and self.clock.now >= self.problem.horizon_s:
            self.finish()

    def finish(self) -> None:
        if not self.finished.triggered:
            self.finished.succeed()

    # what the parts ask of one another

    @abstractmethod
    def take_call(self, incident: int) -> None:
        """Units can be ordered to an incident (calls)."""

    @abstractmethod
    def serve(self) -> None:
        """Offer what waits to the policy (calls)."""

    @abstractmethod
    def ask_for(self, incident: int, roles: tuple[int, ...]) -> None:
        """Let an incident wait for units (calls)."""

    @abstractmethod
    def roles_from(self, incident: int, first: int, last: int) -> tuple[int, ...]:
        """The roles of an incident's plan from one place to another (calls)."""

    @abstractmethod
    def over(self, incident: int, outcome: Outcome) -> None:
        """An incident is over (calls)."""

    @abstractmethod
    def send(self, unit: int, incident: int, drive: Drive, role: int) -> None:
        """Order a unit to an incident from where it is (responses)."""

    @abstractmethod
    def dismiss(self, incident: int, units: list[int], why: int) -> None:
        """Let the units of an incident go (responses)."""

    @abstractmethod
    def preempt(self, unit: int, incident: int) -> None:
        """Take a unit off its incident for a more urgent one (responses)."""

    @abstractmethod
    def stack(self, unit: int, incident: int, role: int) -> None:
        """Let an engaged unit go to an incident as soon as it is free (responses)."""

    @abstractmethod
    def unstack(self, unit: int) -> None:
        """The incident that waits for a unit waits for any again (responses)."""

    @abstractmethod
    def take_from(self, unit: int, why: int) -> None:
        """Call a unit off; its incident waits again unless another takes over (responses)."""

    @abstractmethod
    def hand_over(self, unit: int, where: Position) -> None:
        """A unit hands over whom it has in custody (responses)."""

    @abstractmethod
    def go_on(self, units: Iterable[int]) -> None:
        """What units that have just become free, where they stand, do next (responses)."""

    @abstractmethod
    def arrive(self, event: Any) -> None:
        """A unit is on the scene (responses)."""

    @abstractmethod
    def at_centre(self, event: Any) -> None:
        """A unit is at a case-handling centre (responses)."""

    @abstractmethod
    def halt(self, unit: int) -> None:
        """A free unit stops where it is (standby)."""

    @abstractmethod
    def settle(self, unit: int) -> None:
        """A free unit that nobody wants now (standby)."""

    @abstractmethod
    def drive(self, unit: int, goal: Position, post: int, state: UnitState) -> float | None:
        """Set a free unit in motion as traffic drives (standby)."""

    @abstractmethod
    def note_patrol(self, unit: int, phase_s: float, at_s: float, where: Position) -> None:
        """Write down that a unit takes up its patrol (standby)."""

    @abstractmethod
    def rearrange(self, freed: int) -> None:
        """Ask the move-up policy who should stand by where (standby)."""

    @abstractmethod
    def go_home(self, unit: int) -> None:
        """A unit whose duty is over drives to its home post (duties)."""

    @abstractmethod
    def go_out_of_service(self, unit: int) -> None:
        """A free unit takes its vehicle home and is out of service there (duties)."""

    @abstractmethod
    def have_meal(self, unit: int) -> None:
        """A meal where the unit is (duties)."""

    @abstractmethod
    def call_up(self) -> None:
        """Call up a unit on standby if too few are free (duties)."""


class BusyShare:
    """The share of the time on duty that units were engaged, over the run so far."""

    def __init__(self) -> None:
        self._on_duty = self._engaged = 0
        self._duty_s = self._engaged_s = self._until_s = 0.0

    def count(self, now_s: float, on_duty: int, engaged: int) -> None:
        """So many more units are on duty and engaged from now on."""
        self._duty_s += (now_s - self._until_s) * self._on_duty
        self._engaged_s += (now_s - self._until_s) * self._engaged
        self._until_s = now_s
        self._on_duty += on_duty
        self._engaged += engaged

    def share(self, now_s: float) -> float:
        self.count(now_s, 0, 0)
        return self._engaged_s / self._duty_s if self._duty_s else 0.0


def way(travel: TravelTimes, origin: Position, target: Position, hour: int) -> Route | None:
    """The fastest route, None where closures leave none."""
    try:
        return travel.route(origin, target, hour)
    except NoWayError:
        return None


def _mean_by_type(type_: NDArray[np.uint8], seconds: Floats) -> Sequence[float]:
    """What the dispatcher expects of each type: the mean of its incidents, of all where there is none."""
    every = float(seconds.mean()) if len(seconds) else 0.0
    return [float(seconds[type_ == t].mean()) if (type_ == t).any() else every for t in IncidentType]
