"""Rosters: who works, eats and stands by when, and when vehicles are out of service; in seconds of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.demand import lognormal
from dispatch.incidents import Floats
from dispatch.streams import stream
from dispatch.units import Meal, Span
from geodata.speeds import HOUR_S

DAY_S = 86_400.0
REST = "rest"
"""休, in a rotation."""
MEAL_S = 36 * 60.0
"""Length of a meal break, from the literature."""
_SAME_S = 1e-6
"""Moments nearer to each other are one but for rounding."""
_EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A span of duty in seconds of the local day; one that ends before it starts runs past midnight, and one that ends
    where it starts lasts all day."""

    name: str
    start_s: float
    """From 24 h on: early on the following day, as with a night from 0 to 8 that belongs to the evening before."""
    end_s: float
    weekdays: frozenset[int] = _EVERY_DAY
    """On which it starts, Monday 0."""
    meals: tuple[Meal, ...] = ()
    """Their windows since the start of the shift; a usual length is `MEAL_S`."""
    clock_meals: tuple[Meal, ...] = ()
    """The same with windows in seconds of the local day; one that ends before it begins runs past midnight. What lies
    outside of the shift is cut off, and nobody eats where nothing is left."""

    def __post_init__(self) -> None:
        if not (0 <= self.start_s < 2 * DAY_S and 0 <= self.end_s <= DAY_S):
            raise ValueError(f"shift {self.name}: {self.start_s}–{self.end_s} s, expected within a day")
        if not self.weekdays or not self.weekdays <= _EVERY_DAY:
            raise ValueError(f"shift {self.name}: weekdays {sorted(self.weekdays)}, expected some of 0 to 6")
        for meal in self.meals:
            if not (0 <= meal.earliest_s <= meal.latest_s <= self.length_s - meal.length_s and meal.length_s > 0):
                raise ValueError(f"shift {self.name}: {meal}, expected one that fits into {self.length_s} s")
        for meal in self.clock_meals:
            within_day = 0 <= meal.earliest_s < DAY_S and 0 <= meal.latest_s <= DAY_S and meal.length_s > 0
            whole = Span(self.start_s, self.start_s + self.length_s)
            if not within_day or not list(_clock_meal(meal, whole, [whole])):
                raise ValueError(f"shift {self.name}: {meal} by the clock, expected one that falls into the shift")

    @property
    def length_s(self) -> float:
        return (self.end_s - self.start_s) % DAY_S or DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """A cycle of days that all teams go through, each as many days ahead as its offset."""

    cycle: tuple[str, ...]
    """The name of a shift or `REST` for each day."""
    offsets: tuple[int, ...]
    """One a team, in days."""
    reference: date = date(2024, 1, 1)
    """A day on which a team of offset 0 begins the cycle; a Monday."""

    def __post_init__(self) -> None:
        if not self.cycle or not self.offsets:
            raise ValueError("rotation: expected a cycle of at least one day and at least one team")


@dataclass(frozen=True, slots=True, kw_only=True)
class Holiday:
    """Thirds: a third of the units works, a third rests and a third stands by, and all change places each day. A unit
    rests on the day after its duty (assumed) and stands by on the next."""

    first: date
    last: date
    shift: Shift = field(default_factory=lambda: Shift(name="holiday", start_s=8 * HOUR_S, end_s=8 * HOUR_S))
    """Of those who work or stand by, in place of all others from its start on the first day to its start on the day
    after the last. From 8 to 8 o'clock: assumed."""

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"holiday from {self.first} to {self.last}, expected an end after its beginning")
        if self.shift.weekdays != _EVERY_DAY:
            raise ValueError(f"holiday from {self.first}: shift {self.shift.name}, expected one of every weekday")

    @property
    def span(self) -> Span:
        """In seconds since the midnight of the first day of the calendar."""
        begin, end = self.first.toordinal(), self.last.toordinal() + 1
        return Span(begin * DAY_S + self.shift.start_s, end * DAY_S + self.shift.start_s)


class OutOfService(NamedTuple):
    """The vehicle of a unit is, by plan."""

    unit_id: str
    begin: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdowns:
    """Vehicles fail at random: each works for an exponential time, on duty or not, and is repaired for a lognormal one.
    All work when the run begins."""

    mean_between_s: float
    """From a repair to the next failure."""
    mean_repair_s: float
    repair_cv: float = 1.0
    """Coefficient of variation. Assumed."""

    def __post_init__(self) -> None:
        means_s = self.mean_between_s, self.mean_repair_s
        if not (all(0 < s < math.inf for s in means_s) and 0 <= self.repair_cv < math.inf):
            raise ValueError(f"{self}, expected times above 0 and a variation of at least 0")

    def spans(self, unit_id: str, horizon_s: float, *, seed: int, replication: int) -> Iterator[Span]:
        """Those of one unit that begin within a run, from two streams of its own: a longer run, other repairs or
        another unit change nothing in the failures."""
        failures, repairs = (stream(seed, replication, f"{what} of {unit_id}") for what in ("failures", "repairs"))
        at_s = failures.exponential(self.mean_between_s)
        while at_s < horizon_s:
            back_s = at_s + float(lognormal(repairs, 1, self.mean_repair_s, self.repair_cv)[0])
            yield Span(at_s, back_s)
            at_s = back_s + failures.exponential(self.mean_between_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """What a planner states for all teams."""

    name: str
    shifts: tuple[Shift, ...]
    rotation: Rotation | None = None
    """Who works which shift on which day; None: team i always shift i."""
    stagger_s: float = 0.0
    """Unit i of a team starts i times as much later, and ends as much later."""
    holidays: tuple[Holiday, ...] = ()
    out_of_service: tuple[OutOfService, ...] = ()
    breakdowns: Breakdowns | None = None
    on_duty: int = 0
    """So many teams must be on duty at each moment but on holidays, or the roster is refused; 0: no matter."""

    def __post_init__(self) -> None:
        names = [shift.name for shift in self.shifts]
        if not names or len(set(names)) < len(names) or REST in names:
            raise ValueError(f'roster {self.name}: shifts {names}, expected different names, none of them "{REST}"')
        if self.rotation and (unknown := set(self.rotation.cycle) - {*names, REST}):
            raise ValueError(f"roster {self.name}: {sorted(unknown)} in the cycle, expected some of {[*names, REST]}")
        if not (math.isfinite(self.stagger_s) and self.stagger_s >= 0) or self.on_duty < 0:
            raise ValueError(f"roster {self.name}: stagger_s and on_duty must not be negative")
        off = sorted(holiday.span for holiday in self.holidays)
        if any(a.end_s > b.begin_s for a, b in pairwise(off)):
            raise ValueError(f"roster {self.name}: two holidays at once")
        if wrong := [o for o in self.out_of_service if o.begin.tzinfo or o.end.tzinfo or not o.begin < o.end]:
            raise ValueError(f"roster {self.name}: {wrong[0]}, expected local times without an offset, in order")
        self._check_cycle()

    @property
    def n_teams(self) -> int:
        return len(self.rotation.offsets) if self.rotation else len(self.shifts)

    def shift_on(self, team: int, day: int) -> Shift | None:
        """That a team begins on a day (as `date.toordinal` has it); None: it rests. Holidays set aside."""
        if self.rotation is None:
            shift = self.shifts[team]
        else:
            cycle, ahead = self.rotation.cycle, self.rotation.offsets[team]
            name = cycle[(day - self.rotation.reference.toordinal() + ahead) % len(cycle)]
            if name == REST:
                return None
            shift = next(shift for shift in self.shifts if shift.name == name)
        return shift if (day + 6) % 7 in shift.weekdays else None

    def _check_cycle(self) -> None:
        """Over all days until they repeat themselves: no team in two shifts at once, and enough teams on duty."""
        first = self.rotation.reference.toordinal() if self.rotation else 1
        days = len(self.rotation.cycle) if self.rotation else 1
        if any(shift.weekdays != _EVERY_DAY for shift in self.shifts):
            days = math.lcm(days, 7)
        by_team = [sorted(span for span, _ in _worked(self, team, first, days)) for team in range(self.n_teams)]
        for team, spans in enumerate(by_team):
            if two := next((b for a, b in pairwise(spans) if b.begin_s < a.end_s - _SAME_S), None):
                raise ValueError(f"roster {self.name}: team {team} in two shifts at once{_when(two.begin_s)}")
        if self.on_duty:
            at_s, teams = _steps(by_team, days * DAY_S)
            if (few := np.flatnonzero(teams < self.on_duty)).size:
                found = f"{teams[few[0]]} teams on duty{_when(at_s[few[0]])}"
                raise ValueError(f"roster {self.name}: {found}, expected {self.on_duty} at each moment")


class Duties(NamedTuple):
    """Of one unit, in the fields of a `UnitSpec`."""

    duty: tuple[Span, ...]
    standby: tuple[Span, ...]
    meals: tuple[Meal, ...]
    outages: tuple[Span, ...]


def duties(
    roster: Roster,
    *,
    unit_id: str,
    team: int,
    number: int = 0,
    start: datetime,
    horizon_s: float,
    seed: int = 0,
    replication: int = 0,
) -> Duties:
    """When a unit works, stands by, eats and is out of service within a run: in rising order, apart from each other,
    and cut off at both ends of the run. Shifts that adjoin one another are one span of duty.

    Args:
        number: of the unit in its team, from 0: its stagger, and with its team its third of the holidays.
        start: local time of second 0.
        seed, replication: of its breakdowns.
    """
    if not 0 <= team < roster.n_teams or number < 0:
        raise ValueError(f"roster {roster.name}: unit {number} of team {team}, expected one of {roster.n_teams} teams")
    if start.tzinfo is not None or not (math.isfinite(horizon_s) and horizon_s > 0):
        raise ValueError(f"roster {roster.name}: expected a start without an offset and an end after it")
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    since_s = (start - midnight).total_seconds()
    first, days = start.toordinal(), math.ceil((since_s + horizon_s) / DAY_S)
    # seconds since the first day's midnight, as all of the calendar is even there
    off = [_moved(holiday.span, -first * DAY_S) for holiday in roster.holidays]
    duty: list[Span] = []
    standby: list[Span] = []
    meals: list[Meal] = []
    for whole, shift in _worked(roster, team, first, days, number * roster.stagger_s):
        pieces = _without(whole, off)
        duty += pieces
        meals += _meals(shift, whole, pieces)
    for holiday in roster.holidays:
        for day in range(max(holiday.first.toordinal(), first - 3), min(holiday.last.toordinal(), first + days) + 1):
            begin_s = (day - first) * DAY_S + holiday.shift.start_s
            whole = Span(begin_s, begin_s + holiday.shift.length_s)
            third = (team + number + day) % 3
            if third == 0:
                duty.append(whole)
                meals += _meals(holiday.shift, whole, [whole])
            elif third == 2:
                standby.append(whole)
    outages = [
        Span(*((moment - midnight).total_seconds() for moment in (plan.begin, plan.end)))
        for plan in roster.out_of_service
        if plan.unit_id == unit_id
    ]
    if roster.breakdowns:
        broken = roster.breakdowns.spans(unit_id, horizon_s, seed=seed, replication=replication)
        outages += [_moved(span, since_s) for span in broken]
    return Duties(
        duty=_within(duty, since_s, horizon_s),
        standby=_within(standby, since_s, horizon_s),
        meals=tuple(
            Meal(max(meal.earliest_s - since_s, 0.0), min(meal.latest_s - since_s, horizon_s), meal.length_s)
            for meal in sorted(meals)
            if meal.latest_s >= since_s and meal.earliest_s < since_s + horizon_s
        ),
        outages=_within(outages, since_s, horizon_s),
    )


def teams_on_duty(roster: Roster, start: datetime, horizon_s: float) -> tuple[Floats, NDArray[np.int64]]:
    """Seconds of a run from which on as many teams (the first unit of each) are on duty; the first is 0."""
    every = range(roster.n_teams)
    sound = replace(roster, out_of_service=(), breakdowns=None)
    return _steps(
        [duties(sound, unit_id="", team=team, start=start, horizon_s=horizon_s).duty for team in every], horizon_s
    )


def relief_factor(hours_a_day: float = 8.0, worked_h_a_year: float = 1_849.0) -> float:
    """Officers that a post wants so that one is always there: the hours that it is held in a year of 365 days over
    those that an officer works, without leave, sickness and training.

    The shift relief factor of the staffing literature (Wilson and Weiss 2012). An officer's 1,849 hours are from the
    literature too: 2,920 / 1,849 = 1.58 for a post of 8 hours a day, 4.7 for one that is always held.
    """
    if not (0 < hours_a_day <= 24 and 0 < worked_h_a_year <= 8_760):
        raise ValueError(f"{hours_a_day} h a day, {worked_h_a_year} h a year: expected more than 0, not more than all")
    return 365 * hours_a_day / worked_h_a_year


def _worked(roster: Roster, team: int, first: int, days: int, later_s: float = 0.0) -> Iterator[tuple[Span, Shift]]:
    """Shifts of a team that may touch a number of days, with their spans in seconds since the first day's midnight;
    holidays set aside."""
    # a shift begins up to two days after its midnight, and lasts up to one
    for day in range(first - 3 - math.ceil(later_s / DAY_S), first + days):
        if shift := roster.shift_on(team, day):
            begin_s = (day - first) * DAY_S + shift.start_s + later_s
            yield Span(begin_s, begin_s + shift.length_s), shift


def _meals(shift: Shift, whole: Span, pieces: Sequence[Span]) -> Iterator[Meal]:
    """Of one shift, of which only some pieces are worked."""
    for meal in shift.meals:
        begin_s = whole.begin_s + meal.earliest_s
        yield from _fitted([begin_s], meal.latest_s - meal.earliest_s, meal.length_s, pieces)
    for meal in shift.clock_meals:
        yield from _clock_meal(meal, whole, pieces)


def _clock_meal(meal: Meal, whole: Span, pieces: Sequence[Span]) -> Iterator[Meal]:
    """In a shift that counts its seconds from any midnight."""
    begin_s = whole.begin_s + (meal.earliest_s - whole.begin_s) % DAY_S
    yield from _fitted([begin_s - DAY_S, begin_s], (meal.latest_s - meal.earliest_s) % DAY_S, meal.length_s, pieces)


def _fitted(begins_s: Sequence[float], window_s: float, length_s: float, pieces: Sequence[Span]) -> Iterator[Meal]:
    """One meal in the first piece in which a window leaves time for it, or none."""
    for begin_s, piece in product(begins_s, pieces):
        earliest_s, latest_s = max(begin_s, piece.begin_s), min(begin_s + window_s, piece.end_s - length_s)
        if earliest_s <= latest_s + _SAME_S:
            yield Meal(earliest_s, max(earliest_s, latest_s), length_s)
            return


def _moved(span: Span, by_s: float) -> Span:
    return Span(span.begin_s + by_s, span.end_s + by_s)


def _without(span: Span, off: Iterable[Span]) -> list[Span]:
    """What is left of a span."""
    left = [span]
    for gone in off:
        left = [
            piece
            for a in left
            for piece in (Span(a.begin_s, min(a.end_s, gone.begin_s)), Span(max(a.begin_s, gone.end_s), a.end_s))
            if piece.begin_s < piece.end_s
        ]
    return left


def _within(spans: Iterable[Span], since_s: float, horizon_s: float) -> tuple[Span, ...]:
    """The union of spans within a run that starts at `since_s`, in its seconds."""
    found: list[Span] = []
    for span in sorted(spans):
        begin_s, end_s = max(span.begin_s - since_s, 0.0), min(span.end_s - since_s, horizon_s)
        if end_s - begin_s < _SAME_S:
            continue
        if found and begin_s - found[-1].end_s < _SAME_S:
            found[-1] = Span(found[-1].begin_s, max(found[-1].end_s, end_s))
        else:
            found.append(Span(begin_s, end_s))
    return tuple(found)


def _steps(by_team: Sequence[Iterable[Span]], horizon_s: float) -> tuple[Floats, NDArray[np.int64]]:
    """How many teams have a span from which second on, up to a horizon; without steps that last but for rounding."""
    spans = [span for team in by_team for span in _within(team, 0.0, horizon_s)]
    begins_s, ends_s = np.sort(np.array(spans).reshape(-1, 2), axis=0).T
    at_s = np.unique(np.r_[0.0, begins_s, ends_s])
    at_s = at_s[at_s < horizon_s]
    at_s = at_s[np.diff(at_s, append=horizon_s) > _SAME_S]
    middle_s = at_s + np.diff(at_s, append=horizon_s) / 2
    teams = np.searchsorted(begins_s, middle_s) - np.searchsorted(ends_s, middle_s)
    changed = np.diff(teams, prepend=-1) != 0
    return at_s[changed], teams[changed]


def _when(second: float) -> str:
    day, second = divmod(second, DAY_S)
    return f" from {second // HOUR_S:02.0f}:{second % HOUR_S // 60:02.0f} on day {day:.0f} of the cycle"
