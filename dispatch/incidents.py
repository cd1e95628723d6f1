"""Incidents: anonymous points in time and place, all drawn before a run."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geodata.positions import Positions

Floats = NDArray[np.float64]

_NONE: Any = None
_ABSENT = (
    ("plan", 0, np.uint8),
    ("backup", 0, np.uint8),
    ("duplicate_of", -1, np.int32),
    ("false_alarm", False, np.bool_),
    ("withdrawn_s", np.inf, np.float64),
    ("custody_s", 0.0, np.float64),
)
"""What a column that is left out holds for each incident."""


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


class Outcome(IntEnum):
    """How an incident ended; each ends in exactly one way."""

    CLEARED = 0
    """Dealt with."""
    FALSE_ALARM = 1
    """Units came and found nothing."""
    DUPLICATE = 2
    """The desk recognised another call about the same incident."""
    WITHDRAWN = 3
    """The caller took it back before anybody was there."""
    OPEN = 4
    """Not over at the end of the run."""

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Incidents:
    """n incidents as arrays of n, in the order in which they were received; seconds count from the run's start.

    Columns left out hold for no incident.
    """

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
    """That the call keeps a desk, from the moment it is answered to the moment a unit can be ordered."""
    on_scene_s: Floats
    """From the first arrival of a unit that may act alone to clearing."""
    units_needed: NDArray[np.uint8]
    """Asked for at once."""
    limit_s: Floats
    plan: NDArray[np.uint8] = field(default=_NONE)
    """Row of the problem's response plans, which tell the kinds of the units."""
    backup: NDArray[np.uint8] = field(default=_NONE)
    """Further units that the first one on the scene asks for."""
    duplicate_of: NDArray[np.int32] = field(default=_NONE)
    """The earlier incident that the call is about, -1: none."""
    false_alarm: NDArray[np.bool_] = field(default=_NONE)
    withdrawn_s: Floats = field(default=_NONE)
    """From the call to the moment the caller takes it back, infinite: never."""
    custody_s: Floats = field(default=_NONE)
    """That the hand-over at a case-handling centre takes, after the first unit has driven there; 0: none."""

    def __len__(self) -> int:
        return len(self.received_s)

    def __post_init__(self) -> None:
        n = len(self)
        for name, value, kind in _ABSENT:
            if getattr(self, name) is _NONE:
                object.__setattr__(self, name, np.full(n, value, kind))
        if {len(getattr(self, f.name)) for f in fields(self)} != {n}:
            raise ValueError("incidents: columns of different lengths")
        if n and np.any(np.diff(self.received_s) < 0):
            raise ValueError("incidents: not in the order in which they were received")
        for name in ("desk_s", "on_scene_s", "limit_s", "custody_s"):
            values = getattr(self, name)
            if not (np.isfinite(values) & (values >= 0)).all():
                raise ValueError(f"incidents: {name} holds {values.min()}, expected finite and not negative")
        if n and self.units_needed.min() < 1:
            raise ValueError("incidents: units_needed must be at least 1")
        if not (self.withdrawn_s >= 0).all():
            raise ValueError("incidents: withdrawn_s must not be negative")
        if (self.duplicate_of >= np.arange(n)).any():
            raise ValueError("incidents: a duplicate of a later incident")
