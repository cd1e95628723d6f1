"""动中备勤: the forms of patrol. A form yields stops, and `make_patrol` makes a timeline of them before the run.

The same ground, unit and seed give the same timeline, and no unit's draws change another's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dispatch.demand import CellWeight
from dispatch.patrol import Patrol
from dispatch.policies.ground import Ground, Place, Stop, places_in, timeline
from dispatch.policies.situation import Options
from dispatch.streams import stream
from geodata.city import City
from geodata.errors import Fault, Faults, InputError
from geodata.network import Bools, Floats, Ints
from geodata.positions import Position, Positions, locate

SHIFT_S = 12 * 3600.0
"""How long a patrol without an end goes on before it repeats. Assumed."""
HOT_SPOTS = 6
"""So many stops fill two hours. Assumed."""
HOT_SPOT_MINUTES = (10.0, 16.0)
"""Koper (1995): after a stay so long a place stays quiet the longest."""
HOT_SPOT_EVERY_MINUTES = 120.0
CHECK_MINUTES = 10.0
"""Assumed."""
BATCH = 64
"""Roaming draws so many places at once."""

Weight = str | Mapping[str, float] | ArrayLike
"""Risk by cell: a `CellWeight`, a number by code (0 for the others), or (n_cells,) numbers."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Patroller:
    """For whom a patrol is made."""

    unit: str
    """Its id."""
    home: Position
    """Of its post."""
    cells: Bools | None = None
    """(n_cells,) those of its beat; None: the whole city."""
    shift_s: float = SHIFT_S
    """How long it is on duty at a stretch."""
    seed: int = 0
    replication: int = 0

    def draws(self, purpose: str) -> np.random.Generator:
        return stream(self.seed, self.replication, f"patrol {purpose} {self.unit}")


def route(ground: Ground, who: Patroller, *, waypoints: Sequence[Place], stay_minutes: float = 0.0) -> Iterator[Stop]:
    """A fixed round by waypoints in order, with the same stay at each."""
    return (Stop(at, stay_minutes * 60) for at in places_in(ground.city, waypoints, f"route of {who.unit}"))


def roaming(
    ground: Ground,
    who: Patroller,
    *,
    weight: Weight = CellWeight.RESIDENTS,
    within_m: float = np.inf,
    stay_minutes: float = 0.0,
) -> Iterator[Stop]:
    """Points of streets without end, each in a cell of the beat drawn by its weight; no street whose middle is farther
    than `within_m` from the post as the crow flies."""
    risk = _risk(ground, who, weight, within_m)
    rng = who.draws("roaming")
    while True:
        for at in ground.draw(risk, BATCH, rng):
            yield Stop(at, stay_minutes * 60)


def hot_spots(
    ground: Ground,
    who: Patroller,
    *,
    places: Sequence[Place] | None = None,
    n: int = HOT_SPOTS,
    weight: Weight = CellWeight.RESIDENTS,
    within_m: float = np.inf,
    stay_minutes: tuple[float, float] = HOT_SPOT_MINUTES,
    every_minutes: float = HOT_SPOT_EVERY_MINUTES,
) -> Iterator[Stop]:
    """Stays at the riskiest places, round after round by the shortest tour, so that the gaps between visits are alike.
    A round that takes less than `every_minutes` ends with the rest of them at the post.

    Args:
        places: where; None: the middle of the longest piece of street in each of the `n` cells of the beat with the
            greatest weight, or in all where it has fewer.
        within_m: as for `roaming`.
        stay_minutes: a stay is drawn evenly between the two.
    """
    low, high = stay_minutes
    if not 0 < low <= high or n < 1:
        raise ValueError(f"{n} places and stays of {low} to {high} minutes, expected some, and stays above 0")
    if places is None:
        spots = list(ground.middles.take(_riskiest(ground, _risk(ground, who, weight, within_m), n)))
    else:
        spots = places_in(ground.city, places, f"hot spots of {who.unit}")
    spots = [spots[i] for i in _tour(ground, who.home, spots)]
    drive_s = sum(ground.leg(a, b).total_s for a, b in pairwise([who.home, *spots, who.home]))
    rng = who.draws("hot spots")
    while True:
        stays_s = rng.uniform(low * 60, high * 60, len(spots))
        yield from map(Stop, spots, stays_s.tolist())
        rest_s = every_minutes * 60 - drive_s - float(stays_s.sum())
        if rest_s > 0:
            yield Stop(who.home, rest_s)


def guard(ground: Ground, who: Patroller, *, site: Place) -> Iterator[Stop]:
    """To a site, and there until the duty ends."""
    return (Stop(at, np.inf) for at in places_in(ground.city, [site], f"guard {who.unit}"))


def checks(
    ground: Ground, who: Patroller, *, sites: Sequence[Place], minutes: float | Sequence[float] = CHECK_MINUTES
) -> Iterator[Stop]:
    """夏夜巡查: every site of a list once, by the shortest tour that is found, with its minutes at each, or the same
    at all."""
    spots = places_in(ground.city, sites, f"checks of {who.unit}")
    each = [minutes] * len(spots) if isinstance(minutes, int | float) else list(minutes)
    if len(each) != len(spots) or not all(number > 0 for number in each):
        found = f"{len(each)} numbers of minutes ({each})"
        expected = f"one above 0 for each of the {len(spots)} sites, or one for all"
        raise InputError(Fault(f"checks of {who.unit}", "minutes", found, expected, "Say how long each check takes."))
    return (Stop(spots[i], each[i] * 60.0) for i in _tour(ground, who.home, spots))


class Form(NamedTuple):
    """A form of patrol."""

    stops: Callable[..., Iterable[Stop]]
    """Takes a `Ground`, a `Patroller` and its own options by name."""
    again: bool
    """As in `Patrol`."""
    endless: bool
    """It fills the shift, whatever its length."""


FORMS: Mapping[str, Form] = {
    "route": Form(route, again=True, endless=False),
    "roaming": Form(roaming, again=True, endless=True),
    "hot_spots": Form(hot_spots, again=True, endless=True),
    "guard": Form(guard, again=False, endless=True),
    "checks": Form(checks, again=False, endless=False),
}
"""By the name that a scenario gives."""


def make_patrol(form: str, ground: Ground, who: Patroller, options: Options | None = None) -> Patrol:
    """The timeline of one unit.

    Raises:
        InputError: a place that the city lacks or that lies far from its streets, no street to patrol, no such weight.
        NoWayError: closures leave no way.
        ValueError: the patrol takes no time; options out of bounds.
    """
    chosen = FORMS[form]
    until_s = who.shift_s if chosen.endless else np.inf
    stops = chosen.stops(ground, who, **(options or {}))
    return timeline(f"{form} {who.unit}", who.home, stops, ground, until_s=until_s, again=chosen.again)


def _weights(city: City, weight: Weight, source: str) -> Floats:
    """(n_cells,) numbers, none of them negative."""
    expected = f"one of {', '.join(CellWeight)}, numbers by the codes of cells, or one for each of {len(city.grid)}"
    faults = Faults(source)
    by_cell = np.zeros(len(city.grid))
    if isinstance(weight, str):
        if weight == CellWeight.RESIDENTS:
            by_cell = city.grid.cells["residents"].to_numpy(float)
        elif weight == CellWeight.ROAD_LENGTH:
            by_cell = city.road_m_by_cell
        else:
            faults.add("weight", repr(weight), expected, "Name one of them.")
    elif isinstance(weight, Mapping):
        row = {str(code): i for i, code in enumerate(city.grid.codes)}
        for code, value in weight.items():
            if code in row:
                by_cell[row[code]] = value
            else:
                faults.add("weight", f"cell {code}", expected, "Take codes of the grid's cells.")
    else:
        by_cell = np.asarray(weight, float)
    if by_cell.shape != (len(city.grid),) or not (np.isfinite(by_cell) & (by_cell >= 0)).all():
        faults.add("weight", f"{by_cell.size} numbers {by_cell}", expected, "Give finite numbers of 0 or more.")
    faults.raise_any()
    return by_cell


def _risk(ground: Ground, who: Patroller, weight: Weight, within_m: float) -> Floats:
    """(p,) by piece of street: its share of its cell's weight, none outside the beat or too far from the post."""
    pieces, road_m = ground.city.pieces, ground.city.road_m_by_cell
    by_cell = _weights(ground.city, weight, f"patrol of {who.unit}")
    if who.cells is not None:
        by_cell = np.where(who.cells, by_cell, 0.0)
    by_metre = by_cell / np.where(road_m > 0, road_m, 1.0)
    risk: Floats = by_metre[pieces.cell] * (pieces.to_m - pieces.from_m)
    if within_m < np.inf:
        home = Positions(np.array([who.home.edge]), np.array([who.home.offset_m]))
        away_m = np.hypot(*(ground.middles_xy_m - locate(ground.city.network, home)).T)
        risk = np.where(away_m <= within_m, risk, 0.0)
    if not (risk > 0).any():
        where = "its beat" if who.cells is not None else "the city"
        where += f" within {within_m:g} m of its post" if within_m < np.inf else ""
        mend = "Give it another beat, a longer way or another weight."
        raise InputError(Fault(f"patrol of {who.unit}", where, "no street of any weight", "at least one", mend))
    return risk


def _riskiest(ground: Ground, risk: Floats, n: int) -> Ints:
    """The longest piece of street in each of the n cells of the greatest risk, the riskiest first."""
    pieces = ground.city.pieces
    by_cell = np.bincount(pieces.cell, risk, minlength=len(ground.city.grid))
    cells = np.argsort(-by_cell, kind="stable")[:n]
    order = np.argsort(-risk, kind="stable")
    cell, first = np.unique(pieces.cell[order], return_index=True)
    longest = np.full(len(by_cell), -1)
    longest[cell] = order[first]
    return longest[cells[by_cell[cells] > 0]].astype(np.int32)


def _tour(ground: Ground, home: Position, spots: Sequence[Position]) -> list[int]:
    """Places by row, in the order of a short tour from home and back."""
    edge, offset_m = zip(home, *spots, strict=True)
    way_s = ground.way_s(Positions(np.array(edge, np.int32), np.array(offset_m, float)))
    return [i - 1 for i in short_tour(way_s)[1:]]


def short_tour(way_s: Floats) -> list[int]:
    """A short round from row 0 of (n, n) seconds through all others: to the nearest that is left each time, then turned
    round between two of them as long as it gains (2-opt, Croes 1958, the best gain first; ways differ by direction)."""
    n = len(way_s)
    left = np.ones(n, bool)
    tour = [0]
    for _ in range(n - 1):
        left[tour[-1]] = False
        tour.append(int(np.argmin(np.where(left, way_s[tour[-1]], np.inf))))
    order = np.array(tour)
    i, j = np.triu_indices(n - 1, k=1)
    i, j = i + 1, j + 1
    while n > 2:
        after = np.r_[order[1:], 0]
        forth_s = np.r_[0.0, np.cumsum(way_s[order[:-1], order[1:]])]
        back_s = np.r_[0.0, np.cumsum(way_s[order[1:], order[:-1]])]
        gain_s = way_s[order[i - 1], order[i]] + way_s[order[j], after[j]] + forth_s[j] - forth_s[i]
        gain_s -= way_s[order[i - 1], order[j]] + way_s[order[i], after[j]] + back_s[j] - back_s[i]
        best = int(np.argmax(gain_s))
        if gain_s[best] <= 1e-6:
            break
        order[i[best] : j[best] + 1] = order[i[best] : j[best] + 1][::-1].copy()
    return [int(i) for i in order]
