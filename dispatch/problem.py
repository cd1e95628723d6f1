"""The problem: everything that decides a run, checked and frozen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import Any

import numpy as np

from dispatch.cover import Cover
from dispatch.incidents import Incidents
from dispatch.patrol import Timelines, timelines
from dispatch.policies.situation import Beats, DispatchPolicy, MoveUpPolicy, ReliefPolicy
from dispatch.standard import ResponseStandard
from dispatch.units import Role, UnitKind, UnitSpec
from geodata.grid import Grid
from geodata.positions import Positions
from geodata.routing import HourOfWeek
from geodata.speeds import HOUR_S
from geodata.travel import TravelTimes

ANYBODY_SWORN = (Role(),)
"""A response plan: for each unit that is asked for the first role, and for those beyond the last the last."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """Incidents, units and rules. The same problem gives the same log, byte for byte."""

    incidents: Incidents
    units: tuple[UnitSpec, ...]
    posts: Positions
    """Where units stand by."""
    travel: Mapping[str, TravelTimes]
    """By driving rules (`UnitKind.driving`); the anchors of each are the posts."""
    policy: DispatchPolicy
    standard: ResponseStandard
    start: datetime
    """Local time at which second 0 falls."""
    horizon_s: float
    """No incident is received later; those received before are followed to their end."""
    plans: tuple[tuple[Role, ...], ...] = (ANYBODY_SWORN,)
    """What `Incidents.plan` names: the roles of the units of an incident, in order; the last holds for all beyond."""
    relief: ReliefPolicy | None = None
    """Who takes over on the way when a nearer unit frees itself; None: nobody."""
    move_up: MoveUpPolicy | None = None
    """Who stands by where; None: all at home."""
    desks: int = 0
    """Dispatcher desks that take calls; 0: as many as are wanted."""
    max_hold_s: float = np.inf
    """A call that has waited longer comes before all others, and nothing holds it back."""
    centres: Positions | None = None
    """Case-handling centres, where custody ends."""
    journey_cv: float = 0.0
    """Coefficient of variation of journeys around what the dispatcher expects."""
    seed: int = 0
    """Of the luck of journeys."""
    move_gap_s: float = 600.0
    """A unit that was moved to another post is left there so long. Assumed."""
    call_up_below: int = 0
    """When fewer units than this are free, a unit on standby is called up; 0: never."""
    call_up_s: float = 1_800.0
    """From that to its duty at its post. Assumed."""
    beats: Beats | None = None
    cover: Cover | None = None
    grid: Grid | None = None
    """Names the cells and districts of the incidents in the log."""

    def __post_init__(self) -> None:
        if not self.horizon_s > 0:
            raise ValueError(f"horizon of {self.horizon_s} s, expected more than 0")
        if not self.units:
            raise ValueError("no unit; expected at least one")
        ids = [unit.id for unit in self.units]
        if len(set(ids)) < len(ids):
            raise ValueError("two units of one id")
        posts = len(self.posts)
        if not all(0 <= unit.post < posts for unit in self.units):
            raise ValueError(f"a unit at a post that the city lacks; it has {posts}")
        if lacking := {kind.driving for kind in self.kinds} - set(self.travel):
            raise ValueError(f"no travel times for the driving rules {sorted(lacking)}; got {sorted(self.travel)}")
        if any(travel.anchors is not self.posts for travel in self.travel.values()):
            raise ValueError("travel times with other anchors than the posts")
        received_s = self.incidents.received_s
        if len(received_s) and not 0 <= received_s[0] <= received_s[-1] <= self.horizon_s:
            raise ValueError(f"incidents from {received_s[0]} to {received_s[-1]} s, expected within the horizon")
        if len(received_s) and self.incidents.plan.max() >= len(self.plans):
            raise ValueError(f"an incident of plan {self.incidents.plan.max()}, expected one of {len(self.plans)}")
        if len(self.kinds) > MAX_KINDS:
            raise ValueError(f"{len(self.kinds)} kinds of units, expected at most {MAX_KINDS}")
        if min(self.desks, self.journey_cv, self.move_gap_s, self.call_up_below, self.call_up_s) < 0:
            raise ValueError("desks, journey_cv, move_gap_s, call_up_below and call_up_s must not be negative")
        if not self.max_hold_s >= 0:
            raise ValueError(f"max_hold_s of {self.max_hold_s} s, expected 0 or more")
        if self.move_up is not None and self.cover is None:
            raise ValueError("a move-up policy, but no cover to judge by")
        if self.incidents.custody_s.any() and not (self.centres is not None and len(self.centres)):
            raise ValueError("incidents with custody, but no case-handling centre")

    @cached_property
    def kinds(self) -> tuple[UnitKind, ...]:
        """Those of its units, by first appearance; two of one name must be equal."""
        by_name = {unit.kind.name: unit.kind for unit in self.units}
        if any(by_name[unit.kind.name] != unit.kind for unit in self.units):
            raise ValueError("two kinds of units of one name")
        return tuple(by_name.values())

    @cached_property
    def masks(self) -> tuple[tuple[int, ...], ...]:
        """The plans, each role as the bits of the kinds that fill it."""
        return tuple(
            tuple(sum(1 << i for i, kind in enumerate(self.kinds) if role.filled_by(kind)) for role in plan)
            for plan in self.plans
        )

    @cached_property
    def timelines(self) -> Timelines:
        """The patrols of its units."""
        length_m = self.travel[self.units[0].kind.driving].length_m
        return timelines([unit.patrol for unit in self.units], length_m)

    @property
    def hour_of_week(self) -> HourOfWeek:
        """Of a second of the run."""
        midnight = self.start.replace(hour=0, minute=0, second=0, microsecond=0)
        return HourOfWeek(self.start.weekday() * 24 * HOUR_S + (self.start - midnight).total_seconds())

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all of it."""
        sha = hashlib.sha256()
        for part in fields(self):
            sha.update(part.name.encode())
            _add(sha, getattr(self, part.name))
        return sha.hexdigest()


MAX_KINDS = 32
"""Roles are the bits of a whole number."""


def _add(sha: Any, value: object) -> None:
    """Feed a value, whatever it is made of, to a hash."""
    if isinstance(value, np.ndarray):
        sha.update(value.tobytes() if value.dtype != object else repr(value.tolist()).encode())
    elif isinstance(value, Grid):
        sha.update(repr(value.codes.tolist()).encode())
    elif isinstance(value, partial):
        _add(sha, (value.func, value.args, sorted(value.keywords.items())))
    elif callable(value):
        sha.update(f"{value.__module__}.{getattr(value, '__qualname__', type(value).__qualname__)}".encode())
    elif is_dataclass(value):
        for part in fields(value):
            _add(sha, getattr(value, part.name))
    elif isinstance(value, Mapping):
        _add(sha, sorted(value.items()))
    elif isinstance(value, tuple | list):
        sha.update(f"{len(value)}".encode())
        for item in value:
            _add(sha, item)
    elif isinstance(value, frozenset):
        _add(sha, sorted(value))
    elif isinstance(digest := getattr(value, "digest", None), str):
        sha.update(digest.encode())
    else:
        sha.update(repr(value).encode())
