"""The problem: everything that decides a run, checked and frozen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property

import numpy as np

from dispatch.incidents import Incidents
from dispatch.policies.dispatching import DispatchPolicy
from dispatch.standard import ResponseStandard
from dispatch.units import UnitSpec
from geodata.city import City
from geodata.positions import Positions
from geodata.routing import HourOfWeek, RoadTravel
from geodata.speeds import HOUR_S


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """A city, its incidents, its units and its rules. The same problem gives the same log, byte for byte."""

    city: City
    incidents: Incidents
    units: tuple[UnitSpec, ...]
    standard: ResponseStandard
    policy: DispatchPolicy
    travel: RoadTravel
    """Over the city's network, its anchors the city's posts."""
    start: datetime
    """Local time at which second 0 falls."""
    horizon_s: float
    """No incident is received later; those received before are followed to their end."""

    def __post_init__(self) -> None:
        if not self.horizon_s > 0:
            raise ValueError(f"horizon of {self.horizon_s} s, expected more than 0")
        if not self.units:
            raise ValueError("no unit; expected at least one")
        ids = [unit.id for unit in self.units]
        if len(set(ids)) < len(ids):
            raise ValueError("two units of one id")
        posts = len(self.city.posts)
        if not all(0 <= unit.post < posts for unit in self.units):
            raise ValueError(f"a unit at a post that the city lacks; it has {posts}")
        if self.travel.network is not self.city.network or self.travel.anchors is not self.city.posts.positions:
            raise ValueError("travel times of another network or other posts, expected those of the city")
        received_s = self.incidents.received_s
        if len(received_s) and not 0 <= received_s[0] <= received_s[-1] <= self.horizon_s:
            raise ValueError(f"incidents from {received_s[0]} to {received_s[-1]} s, expected within the horizon")

    @property
    def hour_of_week(self) -> HourOfWeek:
        """Of a second of the run."""
        midnight = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        return HourOfWeek(self.start.weekday() * 24 * HOUR_S + (self.start - midnight).total_seconds())

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all of it."""
        sha = hashlib.sha256(self.travel.digest.encode())

        def add(value: object) -> None:
            if isinstance(value, np.ndarray):
                sha.update(value.tobytes())
            elif isinstance(value, Positions):
                add(value.edge)
                add(value.offset_m)
            else:
                sha.update(repr(value).encode())

        for field in fields(Incidents):
            add(getattr(self.incidents, field.name))
        add(self.city.posts.positions)
        add(self.city.grid.codes.tolist())
        add((self.units, sorted(self.standard.limits_s.items())))
        add((f"{self.policy.__module__}.{self.policy.__qualname__}", self.start.isoformat(), self.horizon_s))
        return sha.hexdigest()
