"""Every nearest-unit decision of a run is the one that brute force makes: positions of all free units rebuilt from the
log alone, and all their ways worked out by networkx."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import pytest
from log_checker import check_log, grouped, rows_of, tell_journeys
from problems import drawn
from unit_checks import MOVING, World, on_patrol, place
from ways import Place

from dispatch.engine import simulate
from dispatch.policies.dispatching import nearest
from dispatch.policies.registry import RELIEFS
from dispatch.policies.situation import Order, Situation
from dispatch.units import UnitSpec


class Decision(NamedTuple):
    now_s: float
    incident: int
    wanted: int
    free: list[int]
    told: list[Place]
    """Where the engine says that these are."""
    turn_out_s: list[float]
    sent: list[int]


class Watcher:
    """The policy `nearest`, and what it saw."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def __call__(self, situation: Situation) -> list[Order]:
        orders, free, units = nearest(situation), situation.free.tolist(), situation.units
        self.decisions.append(
            Decision(
                situation.now_s,
                situation.call.incident,
                len(situation.call.roles),
                free,
                [Place(*units.positions[row]) for row in free],
                [float(units.turn_out_s[row]) for row in free],
                [order.unit for order in orders],
            )
        )
        return orders


def where(unit: UnitSpec, rows: list[Any], at_s: float, world: World) -> tuple[str, Place]:
    """What a unit is doing at a second, and where, by the log's states alone."""
    # an order begins a new state at this very second: what counts is the one before
    before = [i for i, row in enumerate(rows) if row.start_s < at_s <= row.end_s]
    i = before[-1] if before else next(i for i, row in enumerate(rows) if row.start_s == at_s)
    row = rows[i]
    gone_s = at_s - row.start_s
    if row.state == "patrolling":
        assert unit.patrol is not None
        return row.state, on_patrol(unit.patrol, row.phase_s + gone_s, world.length_m)
    if row.state not in MOVING:
        return row.state, place(row)
    calm = row.state != "travelling"
    ways = world.ways(unit, calm=calm)
    moment = max(world.moments(unit, row.start_s if calm else row.timed_s, calm=calm))
    if row.incident_id is not None:
        goal = world.targets[row.incident_id]
    elif row.post >= 0:
        goal = world.posts[row.post]
    else:
        # back to its patrol, which it takes up where it left it
        last = [r for r in rows[:i] if r.state == "patrolling"][-1]
        assert unit.patrol is not None
        goal = on_patrol(unit.patrol, last.phase_s + last.end_s - last.start_s, world.length_m)
    return row.state, ways.along(place(row), goal, moment, gone_s / row.pace)


@pytest.mark.parametrize("seed", range(12))
def test_every_decision_of_a_run_is_the_one_of_brute_force(seed: int) -> None:
    watcher = Watcher()
    problem = drawn(
        seed,
        policy=watcher,
        relief=RELIEFS["nearer"] if seed % 2 else None,
        move_up="dmexclp" if seed % 4 > 1 else None,
        journey_cv=0.2 if seed % 5 == 0 else 0.0,
    )
    log = simulate(problem)
    check_log(log, problem)
    world, rows = World(problem), rows_of(log.unit_states)
    tell_journeys(rows, rows_of(log.assignments), rows_of(log.incidents), problem)
    states = grouped(rows, "unit_id")
    compared, doing = 0, Counter[str]()
    for decision in watcher.decisions:
        target, cost = world.targets[decision.incident], {}
        for row, told, turn_out_s in zip(decision.free, decision.told, decision.turn_out_s, strict=True):
            unit = problem.units[row]
            ways = world.ways(unit, calm=False)
            state, here = where(unit, states[unit.id], decision.now_s, world)
            assert ways.same(here, told), f"{unit.id} {state} at {decision.now_s}: {told} instead of {here}"
            seconds = min(ways.seconds(here, target, m) for m in world.moments(unit, decision.now_s))
            cost[row] = turn_out_s + seconds / unit.kind.speed_factor
            doing[state] += 1
        reach = sorted(s for s in cost.values() if s < math.inf)
        expected = reach[: decision.wanted]
        assert len(decision.sent) == len(expected)
        assert np.allclose([cost[row] for row in decision.sent], expected, rtol=0, atol=1e-6)
        compared += len(cost)
    assert compared > 40
    assert sum(doing[state] for state in (*MOVING, "patrolling")) > 10
