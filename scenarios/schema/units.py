"""Who is there: kinds of units, their shifts and rosters, and what they do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from dispatch.roster import REST
from dispatch.rotations import ROSTERS
from dispatch.units import KINDS
from geodata.driving import RULES
from scenarios.schema.parts import (
    Count,
    Day,
    Flag,
    Moment,
    Name,
    NotNegative,
    Part,
    Positive,
    Text,
    TimeOfDay,
    Whole,
    first_twice,
    one_of,
    refusal,
)
from scenarios.schema.patrol import PatrolPart

UNITS = 18
"""On duty in each shift, where neither a count nor groups are stated."""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DRIVING = ", ".join(RULES)
_rules = one_of(RULES, "Name driving rules that exist.")
_roster = one_of(ROSTERS, "Name a roster that exists, or state shifts of your own.")


class TurnOut(Part):
    """Seconds from the order to rolling."""

    post: NotNegative = Field(default=30.0, description="At a post. [A]")
    station: NotNegative = Field(default=75.0, description="At a police station 派出所. [A]")
    mobile: NotNegative = Field(default=15.0, description="On the move. [A]")


class MealPart(Part):
    """A break that a unit takes when it is free within a window; one that it cannot begin there is lost."""

    window: tuple[TimeOfDay, TimeOfDay] = Field(description='When it may begin, such as ["11:30", "13:00"].')
    minutes: Positive = Field(default=36.0, description="Its length; a P1 call interrupts it. [L]")


class ShiftPart(Part):
    """A daily span of duty; one that ends before it starts runs past midnight."""

    name: Name = Field(description="Such as day or night.")
    start: TimeOfDay = Field(description='Such as "08:00".')
    end: TimeOfDay = Field(description='Such as "20:00"; the same as the start: all day.')
    share: Annotated[Positive, Field(le=1)] = Field(
        default=1.0, description="Share of `count` that is on duty in this shift, rounded up."
    )
    weekdays: Annotated[tuple[Annotated[Text, one_of(DAYS, "Such as mon.")], ...], Field(min_length=1)] = Field(
        default=DAYS, description="On which it starts."
    )
    meal: MealPart | None = Field(default=None, description="A break of this shift, beside units.meals.")


DAY_AND_NIGHT = (
    ShiftPart(name="day", start=time(8), end=time(20)),
    ShiftPart(name="night", start=time(20), end=time(8)),
)


def _names_differ(shifts: tuple[ShiftPart, ...]) -> tuple[ShiftPart, ...]:
    if twice := first_twice(shift.name for shift in shifts):
        raise refusal(f'two shifts "{twice}"', "shifts with different names", "Rename one of them.")
    if any(shift.name == REST for shift in shifts):
        raise refusal(f'a shift "{REST}"', "another name, as that stands for days off", "Rename it.")
    return shifts


Shifts = Annotated[tuple[ShiftPart, ...], AfterValidator(_names_differ)]


def _either(shifts: tuple[ShiftPart, ...], info: ValidationInfo) -> None:
    """A roster has shifts of its own."""
    if shifts and info.data.get("roster") is not None:
        raise refusal("shifts beside a roster", "one of the two", "Remove `roster` or `shifts`.")


class Siren(Part):
    """Factors on `speed_factor` by road class: a siren helps more on a wide road."""

    expressway: Positive = Field(default=1.0, description="快速路 [A]")
    arterial: Positive = Field(default=1.0, description="主干路 [A]")
    collector: Positive = Field(default=1.0, description="次干路 [A]")
    local: Positive = Field(default=1.0, description="支路 [A]")
    pedestrian: Positive = Field(default=1.0, description="步行街 [A]")


class KindPart(Part):
    """A kind of unit, new or changed. What is left out stays as it is; of a new kind, as of a patrol car."""

    crew: Count | None = Field(default=None, description="Persons; 3 of a patrol car. [A]")
    acts_alone: Flag | None = Field(
        default=None, description="One of the crew is sworn: it may be first, and its arrival stops the clock."
    )
    echelon: Annotated[Whole, one_of((1, 3, 5), "The tiers are 1, 3 and 5 minutes.")] | None = Field(
        default=None, description="Its tier in the echelon reading: 1, 3 or 5 minutes; 3 of a patrol car. [A]"
    )
    skills: tuple[Name, ...] | None = Field(default=None, description='Such as ["armed"]; response plans ask for them.')
    driving: Annotated[Text, _rules] | None = Field(default=None, description=f"On the way to an incident: {DRIVING}.")
    speed_factor: Annotated[Positive, Field(le=3)] | None = Field(
        default=None, description="On the road's speed when driving with siren (1.0–1.6). [A]"
    )


class GroupPart(Part):
    """Units of one kind that work alike."""

    name: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_]+$")] = Field(
        description="Letters, digits and _: it stands in the ids of its units."
    )
    kind: Name = Field(default="patrol_car", description="As units.kind.")
    count: Count = Field(description="Units on duty in each shift.")
    posts: tuple[Name, ...] = Field(default=(), description="Ids of the posts where they stand by; left out: all.")
    roster: Annotated[Text, _roster] | None = Field(default=None, description="As units.roster, which it overrules.")
    shifts: Shifts = Field(
        default=(), description="As units.shifts, which they overrule.", json_schema_extra={"as": "units.shifts"}
    )
    patrol: PatrolPart | None = Field(
        default=None, description="As [patrol], which it overrules.", json_schema_extra={"as": "patrol"}
    )
    beat: Name | None = Field(
        default=None, description="Id of the post, or code of the area, whose beat is theirs; left out: where they are."
    )

    @field_validator("shifts")
    @classmethod
    def _own_or_roster(cls, shifts: tuple[ShiftPart, ...], info: ValidationInfo) -> tuple[ShiftPart, ...]:
        _either(shifts, info)
        return shifts


class OutagePart(Part):
    """A unit whose vehicle is out of service by plan."""

    unit: Name = Field(description="Its id, such as P01-D1.")
    start: Moment = Field(description="Local time.")
    end: Moment = Field(description="Local time.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.start < self.end:
            raise refusal(f"{self.start} to {self.end}", "an end after the start", "Correct one of the two.")
        return self


class BreakdownsPart(Part):
    """Vehicles that fail at random."""

    mtbf_h: Positive = Field(description="Mean hours from a repair to the next failure.")
    repair_h: Positive = Field(description="Mean hours of a repair.")
    repair_cv: NotNegative = Field(default=1.0, description="Its coefficient of variation. [A]")


class HolidayPart(Part):
    """Thirds: a third of the units works a whole day, a third stands by, a third rests. [P]"""

    first: Day = Field(description="Such as 2026-10-01.")
    last: Day = Field(description="The last day, such as 2026-10-07.")
    start: TimeOfDay = Field(default=time(8), description="When they change places. [A]")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last < self.first:
            raise refusal(f"{self.first} to {self.last}", "a last day not before the first", "Correct one of the two.")
        return self


_KINDS: Callable[[], dict[str, KindPart]] = dict


class UnitsPart(Part):
    """Who is there."""

    count: Count | None = Field(
        default=None, description=f"Units on duty in each shift; {UNITS} if no groups are stated either. [A]"
    )
    kind: Name = Field(default="patrol_car", description=f"Kind of unit: {', '.join(KINDS)}, or one of units.kinds.")
    groups: tuple[GroupPart, ...] = Field(default=(), description="In place of `count`, for several kinds of units.")
    kinds: dict[str, KindPart] = Field(
        default_factory=_KINDS, description="Kinds of units, changed or new, by name; what is left out stays."
    )
    speed_factor: Annotated[Positive, Field(le=3)] | None = Field(
        default=None, description="As units.kinds.NAME.speed_factor, for `kind`; 1.3 of a patrol car. [A]"
    )
    driving: Annotated[Text, _rules] | None = Field(
        default=None, description="As units.kinds.NAME.driving, for `kind`; obey_all of a patrol car. [A]"
    )
    siren: Siren = Siren()
    turn_out_s: TurnOut = TurnOut()
    roster: Annotated[Text, _roster] | None = Field(
        default=None,
        description=f"In place of shifts: {', '.join(ROSTERS)}. `count` units of a team are on duty in each shift.",
    )
    roster_from: Day | None = Field(
        default=None, description="A day on which the first team begins the roster's cycle; left out: 2024-01-01. [A]"
    )
    shifts: Shifts = Field(default=DAY_AND_NIGHT, description="Day 08–20 and night 20–08. [A]")
    stagger_min: NotNegative = Field(
        default=0.0, description="Each further unit of a shift starts and ends so many minutes later. [A]"
    )
    meals: tuple[MealPart, ...] = Field(default=(), description="Breaks, in every shift into which they fall.")
    outages: tuple[OutagePart, ...] = Field(default=(), description="Vehicles out of service by plan.")
    breakdowns: BreakdownsPart | None = Field(default=None, description="Vehicles that fail at random.")
    holidays: tuple[HolidayPart, ...] = Field(default=(), description="Days of duty, standby and rest by thirds.")
    call_up_below: Annotated[Whole, Field(ge=0)] = Field(
        default=0, description="When fewer units are free, one on standby is called up; 0: never. [A]"
    )
    call_up_min: NotNegative = Field(default=30.0, description="Minutes from that to its duty at its post. [A]")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        """A count where nothing says how many, and no shifts beside a roster that has its own."""
        if not isinstance(given, dict):
            return given
        filled = dict(given)
        if not filled.get("groups"):
            filled.setdefault("count", UNITS)
        if filled.get("roster") is not None:
            filled.setdefault("shifts", ())
        return filled

    @field_validator("groups")
    @classmethod
    def _count_or_groups(cls, groups: tuple[GroupPart, ...], info: ValidationInfo) -> tuple[GroupPart, ...]:
        if groups and info.data.get("count") is not None:
            raise refusal("groups beside a count", "one of the two", "Remove `count`, or make it a group.")
        if twice := first_twice(group.name for group in groups):
            raise refusal(f'two groups "{twice}"', "groups with different names", "Rename one of them.")
        return groups

    @field_validator("holidays")
    @classmethod
    def _apart(cls, holidays: tuple[HolidayPart, ...]) -> tuple[HolidayPart, ...]:
        # who works on the last day does so into the morning after it
        ordered = sorted(holidays, key=lambda holiday: holiday.first)
        for one, other in pairwise(ordered):
            if datetime.combine(other.first, other.start) < datetime.combine(one.last, one.start) + timedelta(days=1):
                found = f"{one.first} to {one.last} and {other.first} to {other.last}"
                raise refusal(found, "holidays that do not overlap", "Make them one.")
        return holidays

    @field_validator("roster_from")
    @classmethod
    def _of_a_roster(cls, day: Any, info: ValidationInfo) -> Any:
        rosters = [info.data.get("roster"), *(group.roster for group in info.data.get("groups", ()))]
        if day is not None and not any(rosters):
            raise refusal(f"{day} without a roster", "a roster that begins then", "State `roster`, or remove it.")
        return day

    @field_validator("shifts")
    @classmethod
    def _own_or_roster(cls, shifts: tuple[ShiftPart, ...], info: ValidationInfo) -> tuple[ShiftPart, ...]:
        _either(shifts, info)
        if not shifts and "roster" in info.data and info.data["roster"] is None:
            raise refusal("no shifts", "a list of 1 or more", "State a shift, or a `roster`.")
        return shifts

    @property
    def forces(self) -> tuple[GroupPart, ...]:
        """The groups; the simple form is one of no name."""
        if self.groups:
            return self.groups
        return (GroupPart.model_construct(**GROUP_DEFAULTS, kind=self.kind, count=self.count or UNITS),)


GROUP_DEFAULTS: dict[str, Any] = {
    "name": "",
    "posts": (),
    "roster": None,
    "shifts": (),
    "patrol": None,
    "beat": None,
}
"""Of the group that the simple form stands for; its name is empty, as no group's may be."""
