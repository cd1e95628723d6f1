"""The simulator agrees with queueing theory wherever that has an answer, and with Little's law on every run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import theory
from theory import BOUNDARIES, CASES, MMC, MONDAY, PUBLISHED, SERVICE_S, THREE_UNITS, TWO_UNITS, Row

from dispatch.demand import Demand, draw_incidents
from dispatch.engine import simulate
from dispatch.patrol import Patrol
from dispatch.planning.hypercube import hypercube, rectangular_city_travel
from dispatch.planning.queueing import erlang_b, erlang_c, mean_wait_s
from dispatch.policies.registry import POLICIES
from dispatch.problem import Problem
from dispatch.standard import ResponseStandard
from dispatch.units import PATROL_CAR, Span, UnitSpec
from geodata.city import City
from geodata.routing import RoadTravel

DAY_S = 86_400.0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_simulator_agrees_with_theory(case: Callable[[], list[Row]]) -> None:
    for row in case():
        assert row.agrees, row
        # an interval so wide that all lies in it shows nothing
        assert row.half_width < 0.32 * abs(row.theory), row


def test_the_expected_values_are_the_published_ones() -> None:
    for servers, load in MMC:
        wait = mean_wait_s(servers, load / SERVICE_S, SERVICE_S) / SERVICE_S
        found = erlang_b(servers, load), erlang_c(servers, load), wait
        assert np.allclose(found, PUBLISHED[servers, load], atol=1e-6)
    three = hypercube(THREE_UNITS["rates"], THREE_UNITS["preferences"], np.ones(3))
    assert np.allclose(three.workloads, THREE_UNITS["workloads"], atol=1e-4)
    assert three.all_busy == pytest.approx(THREE_UNITS["all busy"], abs=1e-5)
    assert three.inter_area_share([0, 0, 1, 2]) == pytest.approx(THREE_UNITS["inter-area"], abs=1e-4)
    two = hypercube([1.0], [[0, 1]], np.ones(2), queue=False)
    assert np.allclose([*two.workloads, two.all_busy], [*TWO_UNITS["workloads"], TWO_UNITS["all busy"]])
    for boundary, travel in BOUNDARIES.items():
        assert rectangular_city_travel(boundary) == pytest.approx(travel, abs=1e-6)


def test_the_best_border_of_the_rectangular_city_is_the_best_of_those_simulated() -> None:
    best = min(BOUNDARIES, key=lambda w: BOUNDARIES[w])
    means = {w: theory.city_travels_m(w).mean() for w in (0.0, 0.9, best)}
    assert min(means, key=lambda w: means[w]) == best


def some_weeks(city: City) -> Problem:
    """Twenty days of a small city with patrols, shifts, desks, luck on the way and calls that are withdrawn."""
    horizon_s, standard = 20 * DAY_S, ResponseStandard()
    posts = city.posts.positions
    travel = RoadTravel(city.network, anchors=posts)
    incidents = draw_incidents(
        city, Demand(incidents_per_day=120), standard, start=MONDAY, horizon_s=horizon_s, seed=135
    )
    early = tuple(Span(day * DAY_S, (day + 0.6) * DAY_S) for day in range(20))
    late = tuple(Span((day + 0.4) * DAY_S, (day + 1) * DAY_S) for day in range(20))
    n_posts = len(posts)
    return Problem(
        incidents=replace(incidents, withdrawn_s=np.where(np.arange(len(incidents)) % 9 == 0, 900.0, np.inf)),
        units=tuple(
            UnitSpec(
                id=f"U{i}",
                post=i % n_posts,
                duty=(None, early, late)[i % 3],
                patrol=around(travel, i % n_posts) if i % 2 else None,
            )
            for i in range(8)
        ),
        posts=posts,
        travel={PATROL_CAR.driving: travel},
        policy=POLICIES["nearest"],
        standard=standard,
        start=MONDAY,
        horizon_s=horizon_s,
        desks=1,
        journey_cv=0.2,
        grid=city.grid,
    )


def around(travel: RoadTravel, post: int) -> Patrol:
    """From one post to the next and back."""
    posts = travel.anchors
    assert posts is not None
    way, back = (
        travel.route(posts[a], posts[b], 3)
        for a, b in ((post, (post + 1) % len(posts)), ((post + 1) % len(posts), post))
    )
    edge = np.concatenate([way.edges, back.edges])
    begin, end = np.zeros(len(edge)), np.ones(len(edge))
    begin[0], end[len(way.edges) - 1] = way.begin_share, way.end_share
    begin[len(way.edges)], end[-1] = back.begin_share, back.end_share
    until_s = np.cumsum((end - begin) * 2 * travel.edge_time_s(3)[edge])
    return Patrol(name="to and fro", edge=edge, from_share=begin, to_share=end, until_s=until_s)


def test_littles_law_holds_in_a_run_with_all_that_happens_in_a_city(small_city: City) -> None:
    """L = λ W (Little 1961), for calls before a desk, calls before a unit and units with an incident: the number at
    random moments by one table, the time of each by another."""
    problem = some_weeks(small_city)
    log = simulate(problem)
    until_s = problem.horizon_s
    at_s = np.random.default_rng(1).uniform(0, until_s, 40_000)
    incidents, orders, states = log.incidents, log.assignments, log.unit_states

    def number(begin_s: pd.Series, end_s: pd.Series) -> np.ndarray:
        """How many of the spans hold each of the moments."""
        return np.searchsorted(np.sort(begin_s), at_s) - np.searchsorted(np.sort(end_s), at_s)

    def seconds(begin_s: pd.Series, end_s: pd.Series) -> float:
        return float((end_s.clip(upper=until_s) - begin_s.clip(upper=until_s)).sum() / until_s)

    served = incidents[incidents["ordered_s"].notna()]
    engaged = states[states["incident_id"].notna()]
    spans = {
        "before a desk": ((incidents["received_s"], incidents["answered_s"]),) * 2,
        "waiting for a unit": ((served["ready_s"], served["ordered_s"]),) * 2,
        "with an incident": ((engaged["start_s"], engaged["end_s"]), (orders["ordered_s"], orders["cleared_s"])),
    }
    for name, (of_table, of_other) in spans.items():
        sampled, theory_ = number(*of_table), seconds(*of_other)
        assert theory_ > 0.01, name
        assert abs(sampled.mean() - theory_) < 3.5 * sampled.std() / np.sqrt(len(at_s)) + 1e-3, name


def test_a_stream_of_journeys_has_the_mean_and_the_spread_that_it_was_given(small_city: City) -> None:
    """Driving times over what the dispatcher expected: mean 1, coefficient of variation 0.2."""
    log = simulate(some_weeks(small_city))
    driven = log.unit_states[log.unit_states["state"] == "travelling"]
    luck = driven["pace"].to_numpy() * PATROL_CAR.speed_factor
    n = len(luck)
    assert abs(luck.mean() - 1) < 3.5 * 0.2 / np.sqrt(n)
    assert abs(luck.std() - 0.2) < 3.5 * 0.2 / np.sqrt(n)
