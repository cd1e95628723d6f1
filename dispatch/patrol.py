"""动中备勤: a patrol as a timeline. A unit on patrol is where the timeline says, so that nothing ticks: its position is
worked out when somebody asks, in the middle of an edge if need be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geodata.network import Bools, Floats, Ints
from geodata.positions import Position

PATROL_KMH = 20.0
"""Of a car. Assumed."""


class Visits(NamedTuple):
    """Where a patrol is to be seen: an entry each time that it comes to an edge, in order."""

    edge: Ints
    """(v,)"""
    begin_s: Floats
    """(v,) when it comes there."""
    end_s: Floats
    """(v,) when it leaves."""


class Presence(NamedTuple):
    """How often places are visited in a span of time."""

    visits: Ints
    """(n,) those that overlap or touch are one."""
    longest_gap_s: Floats
    """(n,) the longest time without anybody, the whole span where nobody comes."""


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

    def driven_m(self, length_m: Floats) -> float:
        """Metres of one round; `length_m` by edge."""
        return float(np.abs(self.to_share - self.from_share) @ length_m[self.edge])

    def fastest_m_s(self, length_m: Floats) -> float:
        """Metres in a second where it is fastest; `length_m` by edge."""
        metres, lasts_s = (
            np.abs(self.to_share - self.from_share) * length_m[self.edge],
            np.diff(self.until_s, prepend=0.0),
        )
        moves = metres > 0
        if (lasts_s[moves] == 0).any():
            return np.inf
        return float((metres[moves] / lasts_s[moves]).max(initial=0.0))

    def km_per_hour(self, length_m: Floats) -> float:
        """Kilometres that are driven in an hour of patrol, stops included; `length_m` by edge."""
        return self.driven_m(length_m) / self.length_s * 3.6

    def visits(self, from_s: float, to_s: float) -> Visits:
        """The edges that it is on between two phases, in the seconds of the phase; the first begins no sooner and the
        last ends no later. After a patrol that does not begin anew nothing is visited."""
        first, rounds = 0, 1
        if self.again:
            first = int(from_s // self.length_s)
            rounds = max(int(np.ceil(to_s / self.length_s)) - first, 1)
        start_s = np.arange(first, first + rounds)[:, None] * self.length_s
        end_s = (start_s + self.until_s).reshape(-1)
        begin_s = (start_s + np.r_[0.0, self.until_s[:-1]]).reshape(-1)
        seen = np.flatnonzero(np.maximum(begin_s, from_s) < np.minimum(end_s, to_s))
        row = seen % len(self.edge)
        edge, from_share, to_share = self.edge[row], self.from_share[row], self.to_share[row]
        comes = (edge[1:] != edge[:-1]) | (from_share[1:] != to_share[:-1])
        begins = np.flatnonzero(np.r_[True, comes][: len(seen)])
        ends = np.r_[begins[1:], len(seen)][: len(begins)] - 1
        return Visits(edge[begins], np.maximum(begin_s[seen[begins]], from_s), np.minimum(end_s[seen[ends]], to_s))


def presence(place: Ints, begin_s: Floats, end_s: Floats, n: int, from_s: float, to_s: float) -> Presence:
    """Visits and longest gap of each of n places between two seconds.

    Args:
        place: (v,) the place of each visit, such as the street of its edge; of one patrol or of many, in any order.
        begin_s: (v,)
        end_s: (v,)
    """
    order = np.lexsort((begin_s, place))
    place = place[order]
    begin_s, end_s = np.clip(begin_s[order], from_s, to_s), np.clip(end_s[order], from_s, to_s)
    first = np.r_[True, place[1:] != place[:-1]][: len(place)]
    last = np.r_[first[1:], True][: len(place)]
    latest_s = pd.Series(end_s).groupby(place).cummax().to_numpy()
    before_s = np.where(first, from_s, np.roll(latest_s, 1))
    gap_s = np.zeros(n)
    np.maximum.at(gap_s, place, begin_s - before_s)
    np.maximum.at(gap_s, place[last], to_s - latest_s[last])
    gap_s[np.bincount(place, minlength=n) == 0] = to_s - from_s
    apart = first | (begin_s > before_s)
    return Presence(np.bincount(place[apart], minlength=n).astype(np.int32), gap_s)


class Timelines(NamedTuple):
    """Patrols one after the other, as the engine's compiled functions want them."""

    first: NDArray[np.int64]
    """(n + 1,) the stretches of patrol i are first[i]:first[i + 1]; a unit without patrol has none."""
    again: Bools
    """(n,)"""
    stretch: Floats
    """(g, 4) metres along its edge where each stretch begins and ends, when it ends, and the edge, side by side as they
    are read."""
    fastest_m_s: Floats
    """(n,)"""


def timelines(patrols: Sequence[Patrol | None], length_m: Floats) -> Timelines:
    """The patrols of n units; `length_m` by edge."""

    def columns(patrol: Patrol) -> Floats:
        metres = length_m[patrol.edge]
        return np.column_stack([patrol.from_share * metres, patrol.to_share * metres, patrol.until_s, patrol.edge])

    size = [0 if patrol is None else len(patrol.edge) for patrol in patrols]
    return Timelines(
        first=np.r_[0, np.cumsum(size)].astype(np.int64),
        again=np.array([patrol is not None and patrol.again for patrol in patrols], np.bool_),
        stretch=np.concatenate([np.empty((0, 4)), *(columns(patrol) for patrol in patrols if patrol is not None)]),
        fastest_m_s=np.array([0.0 if patrol is None else patrol.fastest_m_s(length_m) for patrol in patrols]),
    )
