"""When units work: shifts of a scenario's own and named rosters, with their meals, holidays and outages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, time
from string import ascii_uppercase
from typing import NamedTuple

from dispatch.roster import DAY_S, REST, Breakdowns, Holiday, OutOfService, Roster, Shift
from dispatch.rotations import ROSTERS
from dispatch.units import Meal
from geodata.speeds import HOUR_S
from scenarios.schema import GroupPart, MealPart, Scenario, ShiftPart
from scenarios.schema.units import DAYS, BreakdownsPart


class Team(NamedTuple):
    """Units of a group that work the same shifts."""

    row: int
    """In the group's roster."""
    mark: str
    """What stands for it in the ids of its units."""
    name: str
    share: float
    """Of the group's count."""
    shifts: tuple[Shift, ...]
    """That it works."""


def teams_of(scenario: Scenario, group: GroupPart) -> list[Team]:
    """The teams of a group's roster: one a shift, or those of a rotation, named A, B and so on."""
    roster = roster_of(scenario, group)
    if roster.rotation is None:
        share = {shift.name: shift.share for shift in _shift_parts(scenario, group)}
        marks = _marks([shift.name for shift in roster.shifts])
        return [
            Team(row, mark, shift.name, share.get(shift.name, 1.0), (shift,))
            for row, (mark, shift) in enumerate(zip(marks, roster.shifts, strict=True))
        ]
    worked = tuple(shift for shift in roster.shifts if shift.name in set(roster.rotation.cycle) - {REST})
    return [Team(row, ascii_uppercase[row], ascii_uppercase[row], 1.0, worked) for row in range(roster.n_teams)]


def roster_of(scenario: Scenario, group: GroupPart) -> Roster:
    """When the teams of a group work, eat and stand by."""
    part = scenario.units
    named = _roster_name(scenario, group)
    if named is not None:
        roster = ROSTERS[named]
    else:
        roster = Roster(name="shifts", shifts=tuple(_shift(shift) for shift in _shift_parts(scenario, group)))
    if roster.rotation is not None and part.roster_from is not None:
        roster = replace(roster, rotation=replace(roster.rotation, reference=part.roster_from))
    meals = [meal_of(meal) for meal in part.meals]
    return replace(
        roster,
        shifts=tuple(_with_meals(shift, meals) for shift in roster.shifts),
        stagger_s=part.stagger_min * 60,
        holidays=tuple(_holiday(h.first, h.last, h.start, meals) for h in part.holidays),
        out_of_service=tuple(OutOfService(o.unit, o.start, o.end) for o in part.outages),
        breakdowns=None if part.breakdowns is None else _breakdowns(part.breakdowns),
    )


def _roster_name(scenario: Scenario, group: GroupPart) -> str | None:
    return group.roster if group.roster or group.shifts else scenario.units.roster


def _shift_parts(scenario: Scenario, group: GroupPart) -> tuple[ShiftPart, ...]:
    if _roster_name(scenario, group) is not None:
        return ()
    return group.shifts or scenario.units.shifts


def _shift(part: ShiftPart) -> Shift:
    shift = plain_shift(part)
    return shift if part.meal is None else _with_meals(shift, [meal_of(part.meal)])


def plain_shift(part: ShiftPart) -> Shift:
    """Without its meal."""
    return Shift(
        name=part.name,
        start_s=_second(part.start),
        end_s=_second(part.end),
        weekdays=frozenset(DAYS.index(day) for day in part.weekdays),
    )


def meal_of(part: MealPart) -> Meal:
    """By the clock."""
    return Meal(_second(part.window[0]), _second(part.window[1]), part.minutes * 60)


def _with_meals(shift: Shift, meals: Sequence[Meal]) -> Shift:
    """The shift with those of the meals that fall into it."""
    return replace(shift, clock_meals=(*shift.clock_meals, *(meal for meal in meals if falls_into(meal, shift))))


def falls_into(meal: Meal, shift: Shift) -> bool:
    """Whether a meal by the clock can be had within a shift."""
    window_s = (meal.latest_s - meal.earliest_s) % DAY_S
    begins_s = (meal.earliest_s + day * DAY_S for day in (-1, 0, 1, 2))
    end_s = shift.start_s + shift.length_s
    return any(max(s, shift.start_s) <= min(s + window_s, end_s - meal.length_s) for s in begins_s)


def _breakdowns(part: BreakdownsPart) -> Breakdowns:
    return Breakdowns(
        mean_between_s=part.mtbf_h * HOUR_S, mean_repair_s=part.repair_h * HOUR_S, repair_cv=part.repair_cv
    )


def _holiday(first: date, last: date, start: time, meals: Sequence[Meal]) -> Holiday:
    shift = Shift(name="holiday", start_s=_second(start), end_s=_second(start))
    return Holiday(first=first, last=last, shift=_with_meals(shift, meals))


def _marks(names: Sequence[str]) -> list[str]:
    """What stands for a shift in a unit's id: its initial, or its name where two shifts share an initial."""
    initials = [name[0].upper() for name in names]
    return initials if len(set(initials)) == len(initials) else [f"{name}-" for name in names]


def _second(at: time) -> float:
    return at.hour * 3600.0 + at.minute * 60 + at.second + at.microsecond / 1e6
