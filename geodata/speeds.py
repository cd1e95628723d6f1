"""Driving speeds by road class and hour of the week."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from geodata.network import Floats, RoadClass, RoadNetwork

OFF_PEAK_KMH = (55.0, 36.0, 28.0, 20.0)
"""By `RoadClass`. Assumed."""
PEAK_KMH = (31.0, 21.0, 18.0, 15.0)
"""By `RoadClass`: expressway and arterial as measured in Changsha in 2020; collector and local assumed."""
NIGHT_FACTOR = 1.15
"""On the off-peak speed, from 22 to 6 o'clock. Assumed."""
PEAK_HOURS = (7, 8, 17, 18)
"""On working days. Assumed."""
NIGHT_HOURS = (22, 23, 0, 1, 2, 3, 4, 5)
HOURS_A_WEEK = 168
HOUR_S = 3600.0


def weekly_kmh(
    off_peak_kmh: Sequence[float] = OFF_PEAK_KMH,
    peak_kmh: Sequence[float] = PEAK_KMH,
    night_factor: float = NIGHT_FACTOR,
) -> Floats:
    """(4, 168) km/h by `RoadClass` and hour of the week: peak in PEAK_HOURS of working days, off-peak elsewhere, times
    a factor in NIGHT_HOURS."""
    kmh = np.repeat(np.array(off_peak_kmh, float)[:, None], HOURS_A_WEEK, axis=1)
    day, hour = np.divmod(np.arange(HOURS_A_WEEK), 24)
    kmh[:, np.isin(hour, PEAK_HOURS) & (day < 5)] = np.array(peak_kmh, float)[:, None]
    kmh[:, np.isin(hour, NIGHT_HOURS)] *= night_factor
    return kmh


@dataclass(frozen=True, eq=False)
class SpeedProfile:
    """km/h by road class and hour of the week (hour 0: Monday 00:00–01:00 local time).

    Where a street's own off-peak speed is known, it is driven at that speed times the ratio of its class between
    the hour and off-peak.
    """

    kmh: Floats = field(default_factory=weekly_kmh)
    """(4, 168), rows in the order of `RoadClass`."""
    off_peak_kmh: tuple[float, ...] = OFF_PEAK_KMH
    """What a street's own speed is measured against, by `RoadClass`."""

    def __post_init__(self) -> None:
        if self.kmh.shape != (len(RoadClass), HOURS_A_WEEK):
            raise ValueError(f"speed table of shape {self.kmh.shape}, expected ({len(RoadClass)}, {HOURS_A_WEEK})")
        if not (self.kmh > 0).all():
            raise ValueError(f"speed of {self.kmh.min()} km/h, expected more than 0")

    def edge_time_s(self, network: RoadNetwork, hour: int) -> Floats:
        """(m,) seconds along each edge in an hour of the week, without siren."""
        by_class = self.kmh[:, hour]
        own = network.street_speed_kmh * (by_class / self.off_peak_kmh)[network.street_class]
        kmh = np.where(np.isnan(own), by_class[network.street_class], own)
        seconds: Floats = (network.street_length_m / (kmh / 3.6))[network.street]
        return seconds

    def period_of_hour(self) -> tuple[np.ndarray, np.ndarray]:
        """Hours of equal speeds share a period: (168,) the period of each hour, and one hour of each period."""
        _, hour, period = np.unique(self.kmh, axis=1, return_index=True, return_inverse=True)
        return period.reshape(-1), hour
