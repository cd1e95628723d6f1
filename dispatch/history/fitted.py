"""A demand fitted from a history: rates by type, cell and hour of the week, times and mixes; and the draw of one run's
incidents from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatch.history.durations import Lognormals
from dispatch.history.record import N_PRIORITIES, Count, counts_of
from dispatch.history.saved import Kind, read_saved, write_saved
from dispatch.incidents import Floats, Incidents, IncidentType
from dispatch.standard import ResponseStandard
from dispatch.streams import stream
from geodata.city import City
from geodata.errors import Fault, InputError, plain
from geodata.positions import Positions, locate
from geodata.speeds import HOUR_S

WEEK_H = 168
BLOCK_H = 4
"""Hours before and after that the kernel of a cell's hours reaches. Assumed."""
_ROUNDING_M = 1e-3
TIMES = ("desk", "on_scene", "turn_out")
FITTED = Kind(name="demand", form=1, mend="Fit it again with `patrol history fit`.")


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedDemand:
    """What a history says of the demand of a city. T types, C cells of its grid, 168 hours from Monday 0:00."""

    cell_codes: NDArray[np.str_]
    """(C,)"""
    hourly: Floats
    """(T, 168) incidents an hour in the whole city."""
    cell_share: Floats
    """(T, C) of the incidents of a type, over all hours; each row adds up to 1."""
    shape: Floats
    """(T,) α of step 3."""
    observed_h: Floats
    """(168,) how often each hour of the week was observed."""
    seen: NDArray[np.int64]
    """(k, 4) type, cell, hour and number, where there was an incident with a place."""
    desk: Lognormals
    """By priority 0 (unknown) to 4."""
    on_scene: Lognormals
    """By type."""
    turn_out: Lognormals
    """By kind of unit."""
    unit_kinds: tuple[str, ...]
    priority_share: Floats
    """(T, 4)"""
    second_unit_share: Floats
    """(5,) by priority 0 to 4: asks for a second unit."""
    start: datetime
    end: datetime
    counts: tuple[Count, ...]
    """What could not be used."""

    def __post_init__(self) -> None:
        t, c = len(IncidentType), len(self.cell_codes)
        wanted = {
            "hourly": (t, WEEK_H),
            "cell_share": (t, c),
            "shape": (t,),
            "observed_h": (WEEK_H,),
            "priority_share": (t, N_PRIORITIES),
            "second_unit_share": (N_PRIORITIES + 1,),
        }
        for name, shape in wanted.items():
            values = getattr(self, name)
            if values.shape != shape or not (np.isfinite(values) & (values >= 0)).all():
                raise ValueError(f"demand: {name} of shape {values.shape}, expected {shape}, finite and not negative")
        if len(self.unit_kinds) != len(self.turn_out.n):
            raise ValueError("demand: turn-out times of other kinds of unit")

    @property
    def incidents_per_week(self) -> float:
        return float(self.hourly.sum())

    def shares(self, kind: int) -> Floats:
        """(C, 168) share of each cell in the incidents of a type, by hour of the week; each column adds up to 1."""
        of_type = self.seen[self.seen[:, 0] == kind]
        n = np.zeros((len(self.cell_codes), WEEK_H))
        n[of_type[:, 1], of_type[:, 2]] = of_type[:, 3]
        by_hour = self.hourly[kind] * self.observed_h
        placed = n.sum() / by_hour.sum() if by_hour.sum() else 0.0
        m = self.cell_share[kind][:, None] * blocks(by_hour * placed)
        alpha = self.shape[kind]
        rate = self.cell_share[kind][:, None] * (blocks(n) + alpha) / (m + alpha)
        return np.asarray(rate / rate.sum(axis=0))

    def rates(self, kind: int) -> Floats:
        """(C, 168) incidents of a type an hour, by cell and hour of the week."""
        return np.asarray(self.shares(kind) * self.hourly[kind])

    def save(self, folder: Path) -> None:
        """Write it as a folder of arrays and `demand.json`, whole or not at all.

        Raises:
            InputError: something else than an older demand stands there.
        """
        names = ("cell_codes", "hourly", "cell_share", "shape", "observed_h", "seen", "priority_share")
        arrays = {name: getattr(self, name) for name in (*names, "second_unit_share")}
        for name in TIMES:
            arrays |= {f"{name}_{part}": values for part, values in _parts(getattr(self, name)).items()}
        about = {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "unit_kinds": list(self.unit_kinds),
            "counts": [asdict(count) for count in self.counts],
        }
        write_saved(folder, FITTED, about, arrays=arrays)

    @classmethod
    def load(cls, folder: Path) -> FittedDemand:
        """
        Raises:
            InputError: the folder holds no demand, or a file of it is missing or was altered.
        """
        about, found, _ = read_saved(folder, FITTED)
        arrays: dict[str, Any] = dict(found)
        try:
            held: dict[str, Any] = {
                name: Lognormals(
                    **{part: arrays.pop(f"{name}_{part}") for part in ("n", "log_mean", "log_sd", "basis")}
                )
                for name in TIMES
            }
            return cls(
                **arrays,
                **held,
                unit_kinds=tuple(about["unit_kinds"]),
                start=datetime.fromisoformat(about["start"]),
                end=datetime.fromisoformat(about["end"]),
                counts=counts_of(about["counts"]),
            )
        except (LookupError, TypeError, ValueError) as error:
            raise FITTED.refusal(folder, FITTED.head, plain(error), "the files of a saved demand") from error


def draw_fitted(
    city: City,
    demand: FittedDemand,
    standard: ResponseStandard,
    *,
    start: datetime,
    horizon_s: float,
    seed: int,
    replication: int = 0,
) -> Incidents:
    """Draw one run's incidents from a fitted demand: a Poisson process by type, cell and hour of the week, each at a
    random point of a street of its cell.

    Raises:
        InputError: the demand was fitted on another grid, or a cell with a rate has no street.
    """
    _check_grid(city, demand)

    def draws(name: str) -> np.random.Generator:
        return stream(seed, replication, name)

    received_s, hour = _arrivals(demand.hourly.sum(axis=0), start, horizon_s, draws("arrivals"))
    n = len(received_s)
    type_ = _pick(draws("type"), demand.hourly.T[hour])
    priority = 1 + _pick(draws("priority"), demand.priority_share[type_])
    cell = _pick_cells(demand, type_, hour, draws("cell"))
    positions = points_in_cells(city, cell, draws("place"))
    xy_m = locate(city.network, positions)
    clock_h = start.weekday() * 24 + start.hour + (start.minute * 60 + start.second + received_s) / HOUR_S
    place_class = city.sites.place_class(xy_m, clock_h)
    second = draws("second unit").random(n) < demand.second_unit_share[priority]
    return Incidents(
        received_s=received_s,
        type=type_.astype(np.uint8),
        priority=priority.astype(np.uint8),
        cell=city.grid.locate(xy_m),
        place_class=place_class,
        positions=positions,
        xy_m=xy_m,
        desk_s=demand.desk.draw(draws("desk"), priority),
        on_scene_s=demand.on_scene.draw(draws("on scene"), type_),
        units_needed=(1 + second).astype(np.uint8),
        limit_s=standard.limit_s(place_class, priority.astype(np.uint8)),
    )


def points_in_cells(city: City, cell: NDArray[np.integer], rng: np.random.Generator) -> Positions:
    """A random point of the streets in each of (n,) cells, each metre equally likely; every cell has a street."""
    pieces, network = city.pieces, city.network
    order = np.argsort(pieces.cell, kind="stable")
    length_m = (pieces.to_m - pieces.from_m)[order]
    until_m = np.cumsum(length_m)
    first = np.searchsorted(pieces.cell[order], cell)
    last = np.searchsorted(pieces.cell[order], cell, side="right") - 1
    before_m = until_m[first] - length_m[first]
    at_m = before_m + rng.random(len(cell)) * (until_m[last] - before_m)
    piece = np.clip(np.searchsorted(until_m, at_m, side="right"), first, last)
    along_m = pieces.from_m[order][piece] + np.clip(at_m - (until_m - length_m)[piece], 0, length_m[piece])
    street = pieces.street[order][piece]
    edge = network.edge_of_street[street]
    return Positions(edge, np.where(network.backward[edge], network.street_length_m[street] - along_m, along_m))


def cells_of(city: City, positions: Positions) -> NDArray[np.int32]:
    """The cell whose piece of street each of n positions lies on, -1 outside of all cells: `points_in_cells` undone,
    also on streets along a border."""
    pieces, network = city.pieces, city.network
    street = network.street[positions.edge]
    backward = network.backward[positions.edge]
    along_m = np.where(backward, network.street_length_m[street] - positions.offset_m, positions.offset_m)
    order = np.lexsort((pieces.from_m, pieces.street))
    # one number for street and metres, in which pieces follow one another
    span_m = 1.0 + float(network.street_length_m.max())
    begin = pieces.street[order] * span_m + pieces.from_m[order]
    piece = order[np.clip(np.searchsorted(begin, street * span_m + along_m, side="right") - 1, 0, None)]
    inside = (pieces.street[piece] == street) & (along_m <= pieces.to_m[piece] + _ROUNDING_M)
    return np.where(inside, pieces.cell[piece], -1).astype(np.int32)


def _check_grid(city: City, demand: FittedDemand) -> None:
    source = f"city {city.name}"
    codes = city.grid.codes.astype(str)
    if len(codes) != len(demand.cell_codes) or (codes != demand.cell_codes).any():
        found = f"a grid of {len(codes):,} cells that is not the one of the demand ({len(demand.cell_codes):,} cells)"
        mend = "Fit the demand anew for this city with `patrol history fit`."
        raise InputError(Fault(source, "grid", found, "the grid that the demand was fitted on", mend))
    bare = (demand.cell_share.sum(axis=0) > 0) & ~(city.road_m_by_cell > 0)
    if bare.any():
        found = f"no street in cell {codes[bare][0]}, which has incidents"
        mend = "Fit the demand anew for this city with `patrol history fit`."
        raise InputError(Fault(source, "grid", found, "a street in each such cell", mend))


def blocks(values: Floats) -> Floats:
    """Sums over neighbouring hours with the weights of a triangle of `BLOCK_H` hours, cyclic in the last axis."""
    total = values.copy()
    for lag in range(1, BLOCK_H):
        total += (1 - lag / BLOCK_H) * (np.roll(values, lag, axis=-1) + np.roll(values, -lag, axis=-1))
    return total


def _arrivals(
    week: Floats, start: datetime, horizon_s: float, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """Times in order and their hours of the week, of a Poisson process with (168,) events an hour."""
    into_hour_s = start.minute * 60 + start.second + start.microsecond / 1e6
    edges_s = np.clip(
        np.arange(int(np.ceil((horizon_s + into_hour_s) / HOUR_S)) + 1) * HOUR_S - into_hour_s, 0, horizon_s
    )
    length_s = np.diff(edges_s)
    hour = (start.weekday() * 24 + start.hour + np.arange(len(length_s))) % WEEK_H
    n = rng.poisson(week[hour] * length_s / HOUR_S)
    of = np.repeat(np.arange(len(n)), n)
    at_s = edges_s[of] + rng.random(len(of)) * length_s[of]
    order = np.argsort(at_s, kind="stable")
    return at_s[order], hour[of][order]


def _pick(rng: np.random.Generator, weights: Floats) -> NDArray[np.int64]:
    """A column for each row of (n, k) weights, with their probability."""
    until = np.cumsum(weights, axis=1)
    at = rng.random(len(weights)) * until[:, -1]
    return np.asarray((until[:, :-1] <= at[:, None]).sum(axis=1), np.int64)


def _pick_cells(
    demand: FittedDemand, type_: NDArray[np.int64], hour: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """(n,) cells by the shares of each type and hour."""
    at = rng.random(len(type_))
    cell = np.zeros(len(type_), np.int64)
    for kind in np.unique(type_):
        until = np.cumsum(demand.shares(int(kind)), axis=0)
        for h in np.unique(hour[type_ == kind]):
            rows = np.flatnonzero((type_ == kind) & (hour == h))
            cell[rows] = np.searchsorted(until[:, h], at[rows] * until[-1, h], side="right")
    return cell


def _parts(times: Lognormals) -> Mapping[str, Any]:
    return {"n": times.n, "log_mean": times.log_mean, "log_sd": times.log_sd, "basis": times.basis}
