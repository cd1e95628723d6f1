"""Incidents: anonymous points in time and place, all drawn before a run."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from geodata.positions import Positions

Floats = NDArray[np.float64]


class IncidentType(IntEnum):
    """刑事, 治安, 交通, 纠纷, 求助, 其他."""

    CRIME = 0
    PUBLIC_ORDER = 1
    TRAFFIC = 2
    DISPUTE = 3
    HELP = 4
    OTHER = 5

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Incidents:
    """n incidents as arrays of n, in the order in which they were received; seconds count from the run's start."""

    received_s: Floats
    type: NDArray[np.uint8]
    """Values of `IncidentType`."""
    priority: NDArray[np.uint8]
    """1 (life at risk) to 4."""
    cell: NDArray[np.int32]
    """Row of the grid's cell, -1 outside."""
    place_class: NDArray[np.uint8]
    """Values of `PlaceClass`."""
    positions: Positions
    xy_m: Floats
    """(n, 2) of the positions."""
    desk_s: Floats
    """From the call to the moment it can be ordered."""
    on_scene_s: Floats
    """From the first arrival to clearing."""
    units_needed: NDArray[np.uint8]
    limit_s: Floats

    def __len__(self) -> int:
        return len(self.received_s)

    def __post_init__(self) -> None:
        if {len(getattr(self, f.name)) for f in fields(self)} != {len(self)}:
            raise ValueError("incidents: columns of different lengths")
        if len(self) and np.any(np.diff(self.received_s) < 0):
            raise ValueError("incidents: not in the order in which they were received")
        for name in ("desk_s", "on_scene_s", "limit_s"):
            values = getattr(self, name)
            if not (np.isfinite(values) & (values >= 0)).all():
                raise ValueError(f"incidents: {name} holds {values.min()}, expected finite and not negative")
        if len(self) and self.units_needed.min() < 1:
            raise ValueError("incidents: units_needed must be at least 1")
