"""动中备勤: a patrol as a timeline. A unit on patrol is where the timeline says, so that nothing ticks: its position is
worked out when somebody asks, in the middle of an edge if need be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodata.network import Floats, Ints
from geodata.positions import Position

PATROL_KMH = 20.0
"""Of a car. Assumed."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Patrol:
    """g stretches one after the other, each along a part of an edge or standing still; the first begins and the last
    ends where the patrol begins, which is its unit's post."""

    name: str
    edge: Ints
    """(g,) of the network."""
    from_share: Floats
    """(g,) of the edge's length, where each stretch begins."""
    to_share: Floats
    """(g,) where it ends; the same as `from_share` at a stop."""
    until_s: Floats
    """(g,) seconds since the patrol's beginning at which each stretch ends, rising."""
    again: bool = True
    """Whether it begins anew at its end; otherwise the unit stands by at its post when it is through, until its next
    shift."""

    def __post_init__(self) -> None:
        if not len(self.edge) or len({len(self.edge), len(self.from_share), len(self.to_share), len(self.until_s)}) > 1:
            raise ValueError(f"patrol {self.name}: expected arrays of one length above 0")
        if not (np.diff(self.until_s, prepend=0.0) >= 0).all() or not self.until_s[-1] > 0:
            raise ValueError(f"patrol {self.name}: expected stretches that take their time one after the other")

    @property
    def length_s(self) -> float:
        """Of one round."""
        return float(self.until_s[-1])

    def at(self, phase_s: float, length_m: Floats) -> Position:
        """Where a unit is that has patrolled for some seconds; `length_m` by edge."""
        if self.again:
            phase_s %= self.length_s
        i = min(int(np.searchsorted(self.until_s, phase_s, side="right")), len(self.edge) - 1)
        since_s = self.until_s[i - 1] if i else 0.0
        lasts_s = self.until_s[i] - since_s
        gone = min((phase_s - since_s) / lasts_s, 1.0) if lasts_s > 0 else 1.0
        edge = int(self.edge[i])
        share = self.from_share[i] + gone * (self.to_share[i] - self.from_share[i])
        return Position(edge, float(share * length_m[edge]))
