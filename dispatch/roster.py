"""Rosters: who works when, in seconds of a run."""

from __future__ import annotations

from dataclasses import dataclass

from dispatch.units import Span

DAY_S = 86_400.0


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

    def spans(self, start_of_day_s: float, horizon_s: float) -> list[Span]:
        """Duty spans that touch 0..horizon, clipped to it, for a run that starts at a second of the local day."""
        day = -1
        found: list[Span] = []
        while (begin := day * DAY_S + self.start_s - start_of_day_s) < horizon_s:
            end = min(begin + self.length_s, horizon_s)
            # next to each other but for rounding
            if found and begin - found[-1][1] < 1e-6:
                found[-1] = Span(found[-1][0], end)
            elif end > 0:
                found.append(Span(max(begin, 0.0), end))
            day += 1
        return found


ALL_DAY = Shift(name="all day", start_s=0, end_s=DAY_S)
