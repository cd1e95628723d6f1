"""Patrol units: of which kind, where they stand by, when they are on duty, how fast they set off and drive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

from dispatch.patrol import Patrol


class UnitState(IntEnum):
    """What a unit on duty is doing."""

    IDLE = 0
    """At a post, free."""
    TURN_OUT = 1
    TRAVELLING = 2
    """To an incident."""
    ON_SCENE = 3
    RETURNING = 4
    """To its post or its patrol, free."""
    PATROLLING = 5
    """On its patrol, in motion or at a stop, free."""
    MOVING_UP = 6
    """To another post, free."""
    TRANSPORTING = 7
    """With somebody in custody, to a case-handling centre."""
    HANDING_OVER = 8
    """There."""
    MEAL = 9
    OUT_OF_SERVICE = 10
    """The vehicle is."""

    @property
    def label(self) -> str:
        return self.name.lower()


ENGAGED = (
    UnitState.TURN_OUT,
    UnitState.TRAVELLING,
    UnitState.ON_SCENE,
    UnitState.TRANSPORTING,
    UnitState.HANDING_OVER,
)
"""With an incident, from the order to the moment it is free."""


class Span(NamedTuple):
    """From one second of the run to another."""

    begin_s: float
    end_s: float


class Meal(NamedTuple):
    """A break that begins when the unit is free, within a window; one that has not begun by the end of it is lost."""

    earliest_s: float
    latest_s: float
    length_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitKind:
    """What units of a kind are and may do."""

    name: str
    crew: int = 3
    acts_alone: bool = True
    """At least one of the crew is sworn: it may be first, its arrival stops the clock. Others support."""
    echelon: int = 3
    """The tier of the echelon reading to which it belongs: 1, 3 or 5 minutes."""
    skills: frozenset[str] = frozenset()
    """Such as "armed" or "traffic"; incidents may ask for them."""
    driving: str = "obey_all"
    """Name of the driving rules on its way to an incident."""
    speed_factor: float = 1.3
    """On the road's speed when driving to an incident with siren. 1.3 assumed, range 1.0–1.6."""

    def __post_init__(self) -> None:
        if self.echelon not in (1, 3, 5):
            raise ValueError(f"kind {self.name}: echelon of {self.echelon} minutes, expected 1, 3 or 5")
        if not (self.speed_factor > 0 and self.crew >= 1):
            raise ValueError(f"kind {self.name}: speed factor must be above 0 and the crew at least 1")


PATROL_CAR = UnitKind(name="patrol_car")
KINDS: Mapping[str, UnitKind] = {
    kind.name: kind
    for kind in (
        PATROL_CAR,
        UnitKind(name="motorcycle", crew=2, echelon=1, driving="motorcycle"),
        UnitKind(name="foot_patrol", crew=2, echelon=1, driving="foot", speed_factor=1.0),
        UnitKind(name="platform_crew", crew=3, echelon=1),
        UnitKind(name="armed_patrol", crew=4, echelon=5, skills=frozenset({"armed"}), driving="emergency"),
        UnitKind(name="auxiliary_patrol", crew=3, acts_alone=False, echelon=1, speed_factor=1.0),
        UnitKind(name="grid_staff", crew=1, acts_alone=False, echelon=1, driving="foot", speed_factor=1.0),
        UnitKind(name="guards", crew=2, acts_alone=False, echelon=1, driving="foot", speed_factor=1.0),
    )
}
"""巡逻车, 铁骑, 步巡, 快警平台, 公安武警联勤, 辅警, 网格员, 保安. Who may act alone is published; crews, tiers, driving
rules and factors are assumed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What an incident wants of one unit; the default: whoever may act alone."""

    acts_alone: bool = True
    skill: str = ""
    kinds: frozenset[str] = frozenset()
    """Names; empty: any kind."""

    def filled_by(self, kind: UnitKind) -> bool:
        return (
            (kind.acts_alone or not self.acts_alone)
            and (not self.skill or self.skill in kind.skills)
            and (not self.kinds or kind.name in self.kinds)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSpec:
    """A unit as the roster knows it: one crew and its vehicle, with one home post."""

    id: str
    post: int
    """Row of its home post."""
    kind: UnitKind = PATROL_CAR
    duty: tuple[Span, ...] | None = None
    """When it works, in rising order and apart from each other; None: always."""
    standby: tuple[Span, ...] = ()
    """When it is not on duty but may be called up to its post."""
    meals: tuple[Meal, ...] = ()
    outages: tuple[Span, ...] = ()
    """When its vehicle is out of service."""
    shift: str = ""
    """Name of its shift or team, for the tables."""
    beat: int = -1
    """The beat that it is responsible for, -1: none."""
    patrol: Patrol | None = None
    """Its route when it is free; None: it stands by at its post."""
    turn_out_post_s: float = 30.0
    """From the order to rolling when at a post. Assumed: 30 s, 75 s at a police station."""
    turn_out_mobile_s: float = 15.0
    """The same when it is on the move. Assumed."""

    def __post_init__(self) -> None:
        if self.turn_out_post_s < 0 or self.turn_out_mobile_s < 0:
            raise ValueError(f"unit {self.id}: turn-out must not be negative")
        for name in ("duty", "standby", "outages"):
            spans = getattr(self, name) or ()
            if any(not s.begin_s < s.end_s for s in spans) or any(a.end_s > b.begin_s for a, b in pairwise(spans)):
                raise ValueError(f"unit {self.id}: {name} {spans}, expected spans in rising order, apart")
        if any(not meal.length_s > 0 or meal.earliest_s > meal.latest_s for meal in self.meals):
            raise ValueError(f"unit {self.id}: meals {self.meals}, expected a window and a length above 0")
