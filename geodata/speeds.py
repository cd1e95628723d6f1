"""How long traffic takes along each edge: speeds by road class and hour of the week, tables of times that the source
brings, and closures and slow-downs for a while."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from geodata.network import Floats, Ints, RoadClass, RoadNetwork

OFF_PEAK_KMH = (55.0, 36.0, 28.0, 20.0, 10.0)
"""By `RoadClass`. Assumed."""
PEAK_KMH = (31.0, 21.0, 18.0, 15.0, 8.0)
"""By `RoadClass`: expressway and arterial as measured in Changsha in 2020; the others assumed."""
NIGHT_FACTOR = 1.15
"""On the off-peak speed, from 22 to 6 o'clock. Assumed."""
PEAK_HOURS = (7, 8, 17, 18)
"""On working days. Assumed."""
NIGHT_HOURS = (22, 23, 0, 1, 2, 3, 4, 5)
HOURS_A_WEEK = 168
HOUR_S = 3600.0


class Speeds(Protocol):
    """What travel times rest on."""

    def edge_time_s(self, network: RoadNetwork, hour: int) -> Floats:
        """(m,) seconds of traffic along each edge in an hour of the week (hour 0: Monday 00:00–01:00 local time)."""

    def period_of_hour(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Hours of equal times share a period: (168,) the period of each hour, and one hour of each period."""

    @property
    def digest(self) -> str:
        """SHA-256 over all that decides the times."""


def weekly_kmh(
    off_peak_kmh: Sequence[float] = OFF_PEAK_KMH,
    peak_kmh: Sequence[float] = PEAK_KMH,
    night_factor: float = NIGHT_FACTOR,
) -> Floats:
    """(5, 168) km/h by `RoadClass` and hour of the week: peak in PEAK_HOURS of working days, off-peak elsewhere, times
    a factor in NIGHT_HOURS."""
    kmh = np.repeat(np.array(off_peak_kmh, float)[:, None], HOURS_A_WEEK, axis=1)
    kmh[:, is_peak()] = np.array(peak_kmh, float)[:, None]
    kmh[:, np.isin(np.arange(HOURS_A_WEEK) % 24, NIGHT_HOURS)] *= night_factor
    return kmh


def is_peak() -> NDArray[np.bool_]:
    """(168,) whether an hour of the week is one of PEAK_HOURS of a working day."""
    day, hour = np.divmod(np.arange(HOURS_A_WEEK), 24)
    return np.asarray(np.isin(hour, PEAK_HOURS) & (day < 5))


@dataclass(frozen=True, eq=False)
class SpeedProfile:
    """km/h by road class and hour of the week.

    Where a street's own off-peak speed is known, it is driven at that speed times the ratio of its class between
    the hour and off-peak.
    """

    kmh: Floats = field(default_factory=weekly_kmh)
    """(5, 168), rows in the order of `RoadClass`."""
    off_peak_kmh: tuple[float, ...] = OFF_PEAK_KMH
    """What a street's own speed is measured against, by `RoadClass`."""
    street_kmh: Floats | None = None
    """(s,) off-peak speeds of streets that overrule those of the network, NaN where there is none."""

    def __post_init__(self) -> None:
        if self.kmh.shape != (len(RoadClass), HOURS_A_WEEK):
            raise ValueError(f"speed table of shape {self.kmh.shape}, expected ({len(RoadClass)}, {HOURS_A_WEEK})")
        if not (self.kmh > 0).all():
            raise ValueError(f"speed of {self.kmh.min()} km/h, expected more than 0")
        if self.street_kmh is not None and (self.street_kmh <= 0).any():
            raise ValueError(f"speed of {np.nanmin(self.street_kmh)} km/h on a street, expected more than 0")

    def edge_time_s(self, network: RoadNetwork, hour: int) -> Floats:
        by_class = self.kmh[:, hour]
        known = network.street_speed_kmh
        if self.street_kmh is not None:
            known = np.where(np.isnan(self.street_kmh), known, self.street_kmh)
        own = known * (by_class / self.off_peak_kmh)[network.street_class]
        kmh = np.where(np.isnan(own), by_class[network.street_class], own)
        seconds: Floats = (network.street_length_m / (kmh / 3.6))[network.street]
        return seconds

    def period_of_hour(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        _, hour, period = np.unique(self.kmh, axis=1, return_index=True, return_inverse=True)
        return period.reshape(-1), hour

    @property
    def digest(self) -> str:
        sha = hashlib.sha256(self.kmh.tobytes())
        sha.update(repr(self.off_peak_kmh).encode())
        if self.street_kmh is not None:
            sha.update(self.street_kmh.tobytes())
        return sha.hexdigest()


@dataclass(frozen=True, eq=False)
class GivenTimes:
    """The tables of times that a network brings (`RoadNetwork.given_s`), each for its hours of the week."""

    table_of_hour: tuple[str, ...]
    """168 names of tables."""
    missing: SpeedProfile = field(default_factory=SpeedProfile)
    """For the edges that a table knows nothing of."""

    @classmethod
    def peak_and_off_peak(cls, peak: str, off_peak: str, missing: SpeedProfile | None = None) -> GivenTimes:
        """One table for the peak hours, another for all others."""
        return cls(tuple(np.where(is_peak(), peak, off_peak).tolist()), missing or SpeedProfile())

    def __post_init__(self) -> None:
        if len(self.table_of_hour) != HOURS_A_WEEK:
            raise ValueError(f"{len(self.table_of_hour)} names of tables, expected {HOURS_A_WEEK}")

    def edge_time_s(self, network: RoadNetwork, hour: int) -> Floats:
        name = self.table_of_hour[hour]
        if name not in network.given_names:
            raise ValueError(f"a table of times named {name!r}, expected one of {network.given_names}")
        given = network.given_s[network.given_names.index(name)]
        return np.where(np.isnan(given), self.missing.edge_time_s(network, hour), given)

    def period_of_hour(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        period_of, _ = self.missing.period_of_hour()
        pairs = np.array([f"{name} {period}" for name, period in zip(self.table_of_hour, period_of, strict=True)])
        _, hour, period = np.unique(pairs, return_index=True, return_inverse=True)
        return period.reshape(-1), hour

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr((self.table_of_hour, self.missing.digest)).encode()).hexdigest()


@dataclass(frozen=True, eq=False, kw_only=True)
class Slowdown:
    """Edges that are slow or closed for a while: a flood, a cordon, a bridge."""

    name: str
    edges: Ints
    from_s: float
    """Seconds since the start of the run."""
    until_s: float
    factor: float = 0.0
    """On the speed; 0: closed."""

    def __post_init__(self) -> None:
        if not (self.factor >= 0 and self.from_s < self.until_s):
            raise ValueError(f"{self.name}: a factor of {self.factor} from {self.from_s} to {self.until_s} s")


def edges_inside(network: RoadNetwork, area: shapely.Geometry) -> Ints:
    """Edges of the streets that a polygon touches, both directions."""
    streets = np.zeros(network.n_streets, bool)
    streets[network.tree.query(area, predicate="intersects")] = True
    return np.flatnonzero(streets[network.street]).astype(np.int32)
