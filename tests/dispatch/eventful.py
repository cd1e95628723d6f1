"""A busy day in the small city in which everything happens: several kinds of units, patrols, meals, shifts, outages,
desks, custody, second calls, withdrawals, closures, and journeys that take longer or shorter than expected."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np

from dispatch.incidents import Incidents, IncidentType
from dispatch.patrol import Patrol
from dispatch.policies.dispatching import preempt
from dispatch.policies.ground import Ground
from dispatch.policies.patrolling import Patroller, make_patrol
from dispatch.problem import Problem
from dispatch.standard import ResponseStandard
from dispatch.units import KINDS, Meal, Role, Span, UnitSpec
from geodata.city import City
from geodata.driving import RULES
from geodata.positions import Positions, locate
from geodata.routing import RoadTravel
from geodata.speeds import Slowdown

HOUR_S = 3600.0
START = datetime(2026, 6, 1, 6, 30)
HORIZON_S = 12 * HOUR_S


def eventful(city: City, *, n: int = 220, seed: int = 1, closures: bool = True, **changed: Any) -> Problem:
    """n incidents in twelve hours for fourteen units. `changed`: fields of the problem."""
    rng = np.random.default_rng(seed)
    network = city.network
    posts = city.posts.positions
    edge = rng.integers(0, network.n_open, n).astype(np.int32)
    positions = Positions(edge, rng.random(n) * network.length_m[edge])
    xy_m = locate(network, positions)
    place_class = city.sites.place_class(xy_m)
    priority = rng.choice([1, 2, 3, 4], n, p=[0.1, 0.3, 0.4, 0.2]).astype(np.uint8)
    duplicate_of = np.where(rng.random(n) < 0.05, np.arange(n) - 1, -1).astype(np.int32)
    armed = (priority == 1) & (rng.random(n) < 0.5)
    standard = ResponseStandard()
    incidents = Incidents(
        received_s=np.sort(rng.uniform(0, HORIZON_S, n)),
        type=rng.integers(0, len(IncidentType), n).astype(np.uint8),
        priority=priority,
        cell=city.grid.locate(xy_m),
        place_class=place_class,
        positions=positions,
        xy_m=xy_m,
        desk_s=rng.lognormal(4, 0.5, n),
        on_scene_s=rng.lognormal(6.4, 0.6, n),
        units_needed=np.where(armed, 2, 1).astype(np.uint8),
        limit_s=standard.limit_s(place_class),
        plan=armed.astype(np.uint8),
        backup=(rng.random(n) < 0.2).astype(np.uint8),
        duplicate_of=duplicate_of,
        false_alarm=rng.random(n) < 0.05,
        withdrawn_s=np.where(rng.random(n) < 0.1, rng.exponential(300, n), np.inf),
        custody_s=np.where(rng.random(n) < 0.1, 900.0, 0.0),
    )
    slowdowns = []
    for i in range(12 * closures):
        begin_s = HORIZON_S * (i + 0.5) / 12
        shut = rng.choice(network.n_edges, 60, replace=False).astype(np.int32)
        slowdowns.append(Slowdown(name=f"works {i}", edges=shut, from_s=begin_s, until_s=begin_s + 1500.0))
    travel = {
        name: RoadTravel(network, anchors=posts, rules=RULES[name], slowdowns=slowdowns)
        for name in ("obey_all", "motorcycle", "emergency", "foot")
    }
    told: Mapping[str, Any] = {
        "incidents": incidents,
        "units": units_of(city, travel["obey_all"].calm),
        "posts": posts,
        "travel": travel,
        "policy": partial(preempt),
        "standard": standard,
        "start": START,
        "horizon_s": HORIZON_S,
        "plans": ((Role(),), (Role(), Role(skill="armed"))),
        "desks": 2,
        "centres": posts.take(np.array([1])),
        "journey_cv": 0.3,
        "seed": seed,
        "call_up_below": 3,
        "grid": city.grid,
    }
    return Problem(**told | changed)


def units_of(city: City, travel: RoadTravel) -> tuple[UnitSpec, ...]:
    ground = Ground(city=city, travel=travel, hour=10)

    def patrol(unit: str, post: int) -> Patrol:
        who = Patroller(unit=unit, home=city.posts.positions[post], seed=5)
        return make_patrol("roaming", ground, who, {})

    early, late = (Span(0.0, 6 * HOUR_S),), (Span(5.9 * HOUR_S, 24 * HOUR_S),)
    meal = (Meal(2 * HOUR_S, 4 * HOUR_S, 1800.0),)
    out = (Span(1 * HOUR_S, 1.5 * HOUR_S), Span(7 * HOUR_S, 8 * HOUR_S))
    car: Callable[..., UnitSpec] = partial(UnitSpec, shift="early", duty=early)
    return (
        *(car(id=f"car-{i}", post=i % 4, meals=meal, outages=out if i == 1 else ()) for i in range(4)),
        *(car(id=f"night-{i}", post=i % 4, shift="late", duty=late) for i in range(3)),
        *(
            UnitSpec(
                id=f"patrol-{i}", post=i, patrol=patrol(f"patrol-{i}", i), meals=meal, outages=out if not i else ()
            )
            for i in range(2)
        ),
        UnitSpec(id="rider", post=3, kind=KINDS["motorcycle"], patrol=patrol("rider", 3), duty=early),
        UnitSpec(id="armed", post=2, kind=KINDS["armed_patrol"]),
        UnitSpec(id="walker", post=0, kind=KINDS["foot_patrol"], duty=early),
        UnitSpec(id="grid", post=1, kind=KINDS["grid_staff"]),
        UnitSpec(id="reserve", post=1, duty=(), standby=(Span(0.0, 9 * HOUR_S),)),
    )
