"""Patrol units: where they stand by, when they are on duty, how fast they set off and drive."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

DAY_S = 86_400.0


class UnitState(IntEnum):
    """What a unit on duty is doing."""

    IDLE = 0
    TURN_OUT = 1
    TRAVELLING = 2
    ON_SCENE = 3
    RETURNING = 4

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A daily span of duty in seconds of the local day; one that ends before it starts runs past midnight, and one
    that ends where it starts lasts all day."""

    name: str
    start_s: float
    end_s: float

    def __post_init__(self) -> None:
        if not (0 <= self.start_s < DAY_S and 0 <= self.end_s <= DAY_S):
            raise ValueError(f"shift {self.name}: {self.start_s}–{self.end_s} s, expected within a day")

    @property
    def length_s(self) -> float:
        return (self.end_s - self.start_s) % DAY_S or DAY_S

    def spans(self, start_of_day_s: float, horizon_s: float) -> list[tuple[float, float]]:
        """Duty spans that touch 0..horizon, clipped to it, for a run that starts at a second of the local day."""
        day = -1
        found: list[tuple[float, float]] = []
        while (begin := day * DAY_S + self.start_s - start_of_day_s) < horizon_s:
            end = min(begin + self.length_s, horizon_s)
            # next to each other but for rounding
            if found and begin - found[-1][1] < 1e-6:
                found[-1] = (found[-1][0], end)
            elif end > 0:
                found.append((max(begin, 0.0), end))
            day += 1
        return found


ALL_DAY = Shift(name="all day", start_s=0, end_s=DAY_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSpec:
    """A unit as the roster knows it; one crew and its vehicle, at one post, in one shift."""

    id: str
    post: int
    """Row of its post in the city."""
    shift: Shift = ALL_DAY
    kind: str = "patrol_car"
    speed_factor: float = 1.3
    """On the road's speed when driving to an incident with siren. 1.3 assumed, range 1.0–1.6."""
    turn_out_post_s: float = 30.0
    """From the order to rolling when at the post. Assumed: 30 s, 75 s at a police station."""
    turn_out_mobile_s: float = 15.0
    """The same when on the way. Assumed."""

    def __post_init__(self) -> None:
        if self.speed_factor <= 0 or self.turn_out_post_s < 0 or self.turn_out_mobile_s < 0:
            raise ValueError(f"unit {self.id}: speed factor must be above 0 and turn-out not negative")
