"""A history: recorded incidents and the units that went to them, and their replay as the incidents of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.demand import ON_SCENE_MEAN_S, PRIORITY_SHARE, SECOND_UNIT_SHARE, Demand
from dispatch.history.durations import LEAST_TIMES, Lognormals, usable
from dispatch.history.saved import Kind, read_saved, write_saved
from dispatch.incidents import Floats, Incidents, IncidentType
from dispatch.standard import ResponseStandard
from dispatch.streams import stream
from geodata.city import City, Source
from geodata.crs import project
from geodata.errors import Fault, InputError, plain
from geodata.positions import Positions, locate, snap
from geodata.speeds import HOUR_S

CALL_TIMES = ("received", "answered")
ASSIGNMENT_TIMES = ("ordered", "accepted", "rolling", "arrived", "cleared", "feedback")
TIMES = (*CALL_TIMES, *ASSIGNMENT_TIMES)
"""Call 报警, answer 接警, order 派警, sign-off by the unit 签收, wheels rolling 出动, arrival 到达, end 处置完毕 and
feedback 反馈, in the order in which they should come."""
CALL_COLUMNS = (*CALL_TIMES, "number", "type", "first_type", "priority", "status", "jurisdiction", "x_m", "y_m")
"""`type`: the final one where it is recorded, else the first. All times are local, without an offset."""
ASSIGNMENT_COLUMNS = ("call", "unit", "unit_kind", *ASSIGNMENT_TIMES)
"""`call`: row of the call."""
UNKNOWN = 255
"""A type or a status that is missing or not understood; a priority is 0 then."""
N_PRIORITIES = 4
FARTHEST_M = 1_000.0
"""An incident farther from any street has no place in the city. Assumed: grids of the countryside are larger."""
HISTORY = Kind(name="history", form=1, mend="Import the export again with `patrol history import`.")


class Status(IntEnum):
    """What the record says of a call in the end."""

    HANDLED = 0
    FALSE_ALARM = 1
    WITHDRAWN = 2
    DUPLICATE = 3
    INVALID = 4
    """Nuisance calls and questions, that no unit is sent to."""


NO_TRIP = (Status.DUPLICATE, Status.INVALID)
"""Calls that ask for no unit of their own: neither replayed nor part of a demand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One kind of thing that was found in records, how often, and what was done about it."""

    kind: str
    rows: int
    of: int
    """Rows that could have had it."""
    done: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        share = f" ({100 * self.rows / self.of:.1f} %)" if self.of else ""
        examples = f" [{', '.join(self.examples)}]" if self.examples else ""
        return f"{self.rows:,} of {self.of:,}{share} {self.kind}: {self.done}{examples}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Replay:
    """Recorded incidents as those of a run."""

    incidents: Incidents
    row: NDArray[np.int64]
    """(n,) of each in the history."""
    counts: tuple[Count, ...]
    """What was left out, and what was drawn because it was not recorded."""


@dataclass(frozen=True, eq=False, kw_only=True)
class History:
    """Recorded incidents, in the order received, and the assignments of units to them."""

    calls: pd.DataFrame
    """Columns `CALL_COLUMNS`; NaN coordinates: no place."""
    assignments: pd.DataFrame
    """Columns `ASSIGNMENT_COLUMNS`."""
    epsg: int
    """CRS of x_m and y_m."""
    sources: tuple[Source, ...]
    columns: Mapping[str, str]
    """What was read, by the name of its column in the files."""
    counts: tuple[Count, ...]
    """What was found wrong in the files."""

    def __post_init__(self) -> None:
        calls, sent = self.calls, self.assignments
        for table, wanted in ((calls, CALL_COLUMNS), (sent, ASSIGNMENT_COLUMNS)):
            if tuple(table.columns) != wanted:
                raise ValueError(f"history: columns {list(table.columns)}, expected {list(wanted)}")
        received = calls["received"]
        if received.isna().any() or not received.is_monotonic_increasing:
            raise ValueError("history: calls without a received time, or not in its order")
        if not calls["type"].isin([*IncidentType, UNKNOWN]).all() or not calls["priority"].le(N_PRIORITIES).all():
            raise ValueError("history: unknown values of type or priority")
        if not calls["status"].isin([*Status, UNKNOWN]).all():
            raise ValueError("history: unknown values of status")
        if not sent["call"].between(0, len(calls) - 1).all():
            raise ValueError("history: an assignment to no call")

    def __len__(self) -> int:
        return len(self.calls)

    @property
    def start(self) -> datetime:
        """Midnight before the first call."""
        return _python(self.calls["received"].iloc[0].floor("D"))

    @property
    def end(self) -> datetime:
        """Midnight after the last call."""
        return _python(self.calls["received"].iloc[-1].floor("D")) + timedelta(days=1)

    @cached_property
    def type(self) -> NDArray[np.int64]:
        """(n,) the type of each, `OTHER` where it is unknown."""
        found = self.calls["type"].to_numpy(np.int64)
        return np.where(found == UNKNOWN, int(IncidentType.OTHER), found)

    @cached_property
    def asks_for_a_unit(self) -> NDArray[np.bool_]:
        """(n,) False for duplicates and calls that no unit is sent to."""
        return ~self.calls["status"].isin(NO_TRIP).to_numpy(bool)

    @cached_property
    def desk_s(self) -> Floats:
        """(n,) from the answer, or the call where the answer is not recorded after it, to the first order; NaN where
        one of them is missing, or where the time is not `usable`."""
        received = self.calls["received"].to_numpy()
        answered = self.calls["answered"].to_numpy()
        with np.errstate(invalid="ignore"):
            begin = np.where(answered >= received, answered, received)
        return _usable_s(begin, self._of_incident("ordered", np.fmin))

    @cached_property
    def on_scene_s(self) -> Floats:
        """(n,) from the first arrival to the last end, or feedback where no end is recorded; NaN as in `desk_s`."""
        ended = self._of_incident("cleared", np.fmax)
        ended = np.where(np.isnat(ended), self._of_incident("feedback", np.fmax), ended)
        return _usable_s(self._of_incident("arrived", np.fmin), ended)

    @cached_property
    def turn_out_s(self) -> Floats:
        """(assignments,) from the order to rolling; NaN as in `desk_s`."""
        return _usable_s(self.assignments["ordered"].to_numpy(), self.assignments["rolling"].to_numpy())

    @cached_property
    def n_units(self) -> NDArray[np.int64]:
        """(n,) different units that were sent to each, 0 where none is named."""
        named = self.assignments.loc[self.assignments["unit"] != "", ["call", "unit"]].drop_duplicates()
        return np.bincount(named["call"], minlength=len(self)).astype(np.int64)

    @cached_property
    def desk_times(self) -> Lognormals:
        """Desk times by priority 0 (unknown) to 4."""
        n = N_PRIORITIES + 1
        group = self.calls["priority"].to_numpy(np.int64)
        return Lognormals.fit(self.desk_s, group, [Demand.desk_mean_s] * n, Demand.desk_cv)

    @cached_property
    def on_scene_times(self) -> Lognormals:
        """On-scene times by type."""
        return Lognormals.fit(
            self.on_scene_s, self.type, [ON_SCENE_MEAN_S[t] for t in IncidentType], Demand.on_scene_cv
        )

    @cached_property
    def priority_counts(self) -> NDArray[np.int64]:
        """(types, 4) incidents by type and priority, of those that ask for a unit and have a priority."""
        priority = self.calls["priority"].to_numpy(np.int64)
        some = self.asks_for_a_unit & (priority > 0)
        at = self.type[some] * N_PRIORITIES + priority[some] - 1
        counts = np.bincount(at, minlength=len(IncidentType) * N_PRIORITIES)
        return counts.reshape(-1, N_PRIORITIES).astype(np.int64)

    @cached_property
    def priority_share(self) -> Floats:
        """(types, 4): shares of the priorities within each type; those of all types where a type has fewer than
        `LEAST_TIMES`, and the assumed ones where all together have fewer."""
        counts = self.priority_counts.astype(float)
        pooled = counts.sum(axis=0)
        if pooled.sum() < LEAST_TIMES:
            assumed = np.array([PRIORITY_SHARE[p + 1] for p in range(N_PRIORITIES)])
            return np.tile(assumed / assumed.sum(), (len(counts), 1))
        own = counts.sum(axis=1, keepdims=True)
        return np.asarray(np.where(own >= LEAST_TIMES, counts / np.maximum(own, 1), pooled / pooled.sum()))

    @cached_property
    def second_unit_counts(self) -> NDArray[np.int64]:
        """(2, 5) incidents by priority 0 to 4 that one unit, and that several were sent to."""
        priority = self.calls["priority"].to_numpy(np.int64)
        return np.array(
            [np.bincount(priority[chosen], minlength=5) for chosen in (self.n_units == 1, self.n_units > 1)], np.int64
        )

    @cached_property
    def second_unit_share(self) -> Floats:
        """(5,) share of the incidents of a priority, 0 to 4, that several units were sent to; the assumed one where
        fewer than `LEAST_TIMES` tell."""
        one, several = self.second_unit_counts
        assumed = np.array([0.0, *(SECOND_UNIT_SHARE[p + 1] for p in range(N_PRIORITIES))])
        total = one + several
        return np.where(total >= LEAST_TIMES, several / np.maximum(total, 1), assumed)

    def between(self, start: datetime, end: datetime) -> History:
        """What was received from `start` until `end`, local times."""
        received = self.calls["received"].to_numpy()
        moments = np.array([start, end], "datetime64[ms]")
        first, last = np.searchsorted(received, moments).tolist()
        call = self.assignments["call"]
        sent = self.assignments[(call >= first) & (call < last)]
        return replace(
            self,
            calls=self.calls.iloc[first:last].reset_index(drop=True),
            assignments=sent.assign(call=sent["call"] - first).reset_index(drop=True),
        )

    def placed(self, city: City) -> tuple[NDArray[np.int64], Positions, int]:
        """Rows of the incidents with a place in a city, their positions on its streets, and the number of those that
        lie farther than `FARTHEST_M` from any."""
        xy = self.calls[["x_m", "y_m"]].to_numpy(float)
        row = np.flatnonzero(np.isfinite(xy).all(axis=1))
        xy_m = xy[row] if self.epsg == city.network.epsg else project(xy[row], self.epsg, city.network.epsg)
        on_earth = np.isfinite(xy_m).all(axis=1)
        positions, off_m = snap(city.network, xy_m[on_earth])
        near = np.flatnonzero(off_m <= FARTHEST_M)
        return row[on_earth][near], positions.take(near), len(row) - len(near)

    def replay(
        self,
        city: City,
        standard: ResponseStandard,
        *,
        start: datetime | None = None,
        horizon_s: float | None = None,
        seed: int = 0,
    ) -> Replay:
        """The incidents received within `horizon_s` of `start` (the whole history if left out), as those of a run.

        Calls without a place and those in `NO_TRIP` are left out. Desk and on-scene times that are not recorded, or not
        `usable`, are drawn from the lognormals of their priority and type, missing priorities from the mix of their
        type, missing units from the share of their priority: each from a stream of its own. Nothing is imputed in the
        history itself. As many units are needed as were sent. The recorded desk time includes any wait for a free unit.

        Raises:
            InputError: no incident of the history can be replayed.
        """
        begin = start or self.start
        if begin.tzinfo is not None:
            raise ValueError(f"start {begin}: expected local time without an offset")
        length_s = (self.end - begin).total_seconds() if horizon_s is None else horizon_s
        at_s = _seconds(np.datetime64(begin, "ms"), self.calls["received"].to_numpy())
        wanted = (at_s >= 0) & (at_s < length_s)
        row, positions, _ = self.placed(city)
        chosen = (wanted & self.asks_for_a_unit)[row]
        row, positions = row[chosen], positions.take(np.flatnonzero(chosen))
        n, n_asked = len(row), int((wanted & self.asks_for_a_unit).sum())
        if not n:
            period = f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}"
            found = f"none from {begin:%Y-%m-%d %H:%M} over {length_s / 86_400:g} days with a place in {city.name}"
            mend = f"The history runs from {period}: choose a start in it, and the city that it was imported for."
            raise InputError(Fault("history", "incidents", found, "at least one to replay", mend))

        def draws(name: str) -> np.random.Generator:
            return stream(seed, 0, f"replay {name}")

        type_ = self.type[row]
        recorded = self.calls["priority"].to_numpy(np.int64)[row]
        drawn = 1 + (draws("priority").random(n)[:, None] >= np.cumsum(self.priority_share[type_], axis=1)[:, :-1]).sum(
            axis=1
        )
        priority = np.where(recorded > 0, recorded, drawn)
        desk_s = np.where(np.isnan(self.desk_s[row]), self.desk_times.draw(draws("desk"), priority), self.desk_s[row])
        on_scene_s = np.where(
            np.isnan(self.on_scene_s[row]), self.on_scene_times.draw(draws("on scene"), type_), self.on_scene_s[row]
        )
        sent = self.n_units[row]
        second = draws("second unit").random(n) < self.second_unit_share[priority]
        xy_m = locate(city.network, positions)
        received_s = at_s[row]
        hour = begin.weekday() * 24 + begin.hour + (begin.minute * 60 + begin.second + received_s) / HOUR_S
        place_class = city.sites.place_class(xy_m, hour)
        incidents = Incidents(
            received_s=received_s,
            type=type_.astype(np.uint8),
            priority=priority.astype(np.uint8),
            cell=city.grid.locate(xy_m),
            place_class=place_class,
            positions=positions,
            xy_m=xy_m,
            desk_s=desk_s,
            on_scene_s=on_scene_s,
            units_needed=np.where(sent > 0, np.minimum(sent, 255), 1 + second).astype(np.uint8),
            limit_s=standard.limit_s(place_class, priority.astype(np.uint8)),
        )
        counts = self._told(row, int(wanted.sum()), n_asked)
        return Replay(incidents=incidents, row=row, counts=counts)

    def _told(self, row: NDArray[np.int64], n_wanted: int, n_asked: int) -> tuple[Count, ...]:
        """What was left out of a replay of some rows, and what is drawn in it."""
        n = len(row)
        calls = self.calls.take(row)
        left_out, by_priority = "left out", "drawn from the lognormal of the priority"
        found = (
            ("calls that ask for no unit (duplicate or invalid)", n_wanted - n_asked, n_wanted, left_out),
            ("incidents without a place in the city", n_asked - n, n_asked, left_out),
            ("types not recorded", (calls["type"] == UNKNOWN).sum(), n, "replayed as other"),
            ("priorities not recorded", (calls["priority"] == 0).sum(), n, "drawn by type"),
            ("desk times not recorded, or not usable", np.isnan(self.desk_s[row]).sum(), n, by_priority),
            (
                "on-scene times not recorded, or not usable",
                np.isnan(self.on_scene_s[row]).sum(),
                n,
                "drawn from the lognormal of the type",
            ),
            ("units not recorded", (self.n_units[row] == 0).sum(), n, "drawn by priority"),
        )
        return tuple(Count(kind=kind, rows=int(rows), of=of, done=done) for kind, rows, of, done in found if rows)

    def save(self, folder: Path) -> None:
        """Write it as a folder of `calls.parquet`, `assignments.parquet` and `history.json`, whole or not at all.

        Raises:
            InputError: something else than an older history stands there.
        """
        about = {
            "epsg": self.epsg,
            "columns": dict(self.columns),
            "sources": [asdict(source) for source in self.sources],
            "counts": [asdict(count) for count in self.counts],
        }
        write_saved(folder, HISTORY, about, tables={"calls": self.calls, "assignments": self.assignments})

    @classmethod
    def load(cls, folder: Path) -> History:
        """
        Raises:
            InputError: the folder holds no history, or a file of it is missing or was altered.
        """
        about, _, tables = read_saved(folder, HISTORY)
        try:
            return cls(
                calls=tables["calls"],
                assignments=tables["assignments"],
                epsg=int(about["epsg"]),
                sources=tuple(Source(**source) for source in about["sources"]),
                columns=about["columns"],
                counts=counts_of(about["counts"]),
            )
        except (LookupError, TypeError, ValueError) as error:
            raise HISTORY.refusal(folder, HISTORY.head, plain(error), "the files of a saved history") from error

    def _of_incident(self, time: str, gather: np.ufunc) -> NDArray[np.datetime64]:
        """(n,) the earliest or latest of a time over the assignments of each incident; NaT where none is recorded."""
        found = np.full(len(self), np.datetime64("NaT"), "datetime64[ms]")
        gather.at(found, self.assignments["call"].to_numpy(), self.assignments[time].to_numpy("datetime64[ms]"))
        return found


def counts_of(saved: Any) -> tuple[Count, ...]:
    """Counts as JSON holds them."""
    return tuple(Count(**{**count, "examples": tuple(count["examples"])}) for count in saved)


def _python(at: Any) -> datetime:
    moment: datetime = at.to_pydatetime()
    return moment


def _seconds(begin: Any, end: Any) -> Floats:
    """Seconds between times, NaN where one is missing."""
    span = (end - begin).astype("timedelta64[ms]")
    return np.where(np.isnat(span), np.nan, span.astype(np.int64) / 1000)


def _usable_s(begin: Any, end: Any) -> Floats:
    seconds = _seconds(begin, end)
    return np.where(usable(seconds), seconds, np.nan)
