"""What the tests of the dispatch floor share: problems posed by hand in the small city, and the log's checker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import log_checker
import numpy as np
import pytest

from dispatch.incidents import Incidents, IncidentType
from dispatch.log import RunLog
from dispatch.policies.registry import POLICIES, DispatchPolicy
from dispatch.problem import Problem
from dispatch.standard import ResponseStandard
from dispatch.units import UnitSpec
from geodata.city import City
from geodata.positions import Position, Positions, locate
from geodata.routing import RoadTravel

MONDAY_6_30 = datetime(2026, 6, 1, 6, 30)


@dataclass(frozen=True, kw_only=True)
class Call:
    """One incident, as a test states it."""

    received_s: float
    at: Position
    priority: int = 3
    desk_s: float = 60.0
    on_scene_s: float = 600.0
    units_needed: int = 1


class Poser:
    """Poses problems in one city; they share its travel times."""

    # no dataclass: hypothesis would print the whole city with every example that fails
    def __init__(self, city: City) -> None:
        self.city, self.travel = city, RoadTravel(city.network, anchors=city.posts.positions)

    def __call__(
        self,
        calls: Sequence[Call],
        units: Sequence[UnitSpec],
        *,
        horizon_s: float = 7_200.0,
        start: datetime = MONDAY_6_30,
        policy: DispatchPolicy = POLICIES["nearest"],
    ) -> Problem:
        calls = sorted(calls, key=lambda call: call.received_s)
        positions = Positions(np.array([c.at.edge for c in calls], np.int32), np.array([c.at.offset_m for c in calls]))
        xy_m = locate(self.city.network, positions) if calls else np.empty((0, 2))
        place_class = self.city.sites.place_class(xy_m)
        standard = ResponseStandard()
        return Problem(
            city=self.city,
            incidents=Incidents(
                received_s=np.array([c.received_s for c in calls], float),
                type=np.full(len(calls), IncidentType.HELP, np.uint8),
                priority=np.array([c.priority for c in calls], np.uint8),
                cell=self.city.grid.locate(xy_m),
                place_class=place_class,
                positions=positions,
                xy_m=xy_m,
                desk_s=np.array([c.desk_s for c in calls], float),
                on_scene_s=np.array([c.on_scene_s for c in calls], float),
                units_needed=np.array([c.units_needed for c in calls], np.uint8),
                limit_s=standard.limit_s(place_class),
            ),
            units=tuple(units),
            standard=standard,
            policy=policy,
            travel=self.travel,
            start=start,
            horizon_s=horizon_s,
        )

    def post(self, number: int) -> Position:
        return self.city.posts.positions[number]

    def somewhere(self, edge: int, share: float) -> Position:
        return Position(edge, share * float(self.city.network.length_m[edge]))


@pytest.fixture(scope="session")
def pose(small_city: City) -> Poser:
    return Poser(small_city)


@pytest.fixture(scope="session")
def call() -> type[Call]:
    return Call


@pytest.fixture(scope="session")
def check_log() -> Callable[[RunLog, Problem], None]:
    """Raises AssertionError where a log is not a lawful record of its problem."""
    return log_checker.check_log


@pytest.fixture(scope="session")
def describe() -> Callable[[RunLog], dict[str, Any]]:
    """Which rare things a run holds."""
    return log_checker.describe
