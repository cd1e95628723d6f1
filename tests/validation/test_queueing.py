"""The engine against queueing theory: without travel it is a queue M/M/c.

Published values of the delay probability (Erlang C) and of the mean wait times the service rate, by number of servers
and offered load. Intervals come from the means of batches of one long run.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from dispatch.demand import Demand, draw_incidents
from dispatch.engine import simulate
from dispatch.incidents import Incidents
from dispatch.log import RunLog
from dispatch.metrics import utilisation
from dispatch.policies.registry import POLICIES
from dispatch.problem import Problem
from dispatch.standard import ResponseStandard
from dispatch.units import DAY_S, UnitSpec
from geodata.city import City
from geodata.positions import Positions, locate
from geodata.routing import RoadTravel

MONDAY = datetime(2026, 6, 1)
SERVICE_S = 60.0
BATCHES = 30


def at_one_post(
    city: City, servers: int, received_s: np.ndarray, on_scene_s: np.ndarray, priority: np.ndarray | None = None
) -> RunLog:
    """Units and incidents all at one post, nobody takes time to set off or to get there."""
    n, post, standard = len(received_s), city.posts.positions[0], ResponseStandard()
    positions = Positions(np.full(n, post.edge, np.int32), np.full(n, post.offset_m))
    place_class = np.zeros(n, np.uint8)
    incidents = Incidents(
        received_s=received_s,
        type=np.zeros(n, np.uint8),
        priority=np.full(n, 3, np.uint8) if priority is None else priority,
        cell=np.zeros(n, np.int32),
        place_class=place_class,
        positions=positions,
        xy_m=np.repeat(locate(city.network, positions.take(np.arange(1))), n, axis=0),
        desk_s=np.zeros(n),
        on_scene_s=on_scene_s,
        units_needed=np.ones(n, np.uint8),
        limit_s=standard.limit_s(place_class),
    )
    units = [UnitSpec(id=f"U{i}", post=0, turn_out_post_s=0, turn_out_mobile_s=0) for i in range(servers)]
    return simulate(
        Problem(
            city=city,
            incidents=incidents,
            units=tuple(units),
            standard=standard,
            policy=POLICIES["nearest"],
            travel=RoadTravel(city.network, anchors=city.posts.positions),
            start=MONDAY,
            horizon_s=float(received_s[-1]) + 1.0,
        )
    )


def poisson_s(rng: np.random.Generator, n: int, load: float) -> np.ndarray:
    return np.cumsum(rng.exponential(SERVICE_S / load, n))


def batch_means(values: np.ndarray) -> tuple[float, float]:
    """Mean and its standard error, after the first batch, in which the queue fills."""
    means = np.array([batch.mean() for batch in np.array_split(values, BATCHES + 1)[1:]])
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(BATCHES))


def wait_s(log: RunLog) -> np.ndarray:
    waited = (log.incidents["ordered_s"] - log.incidents["received_s"]).to_numpy()
    assert waited.min() > -1e-6
    # a clock that is set forward by differences is off by its last digit
    return np.where(waited < 1e-6, 0.0, waited)


@pytest.mark.parametrize(
    ("servers", "load", "delayed", "wait"),
    [
        (1, 0.5, 0.500000, 1.000000),
        (2, 1.5, 0.642857, 1.285714),
        (3, 1.5, 0.236842, 0.157895),
        (5, 3.0, 0.236152, 0.118076),
        (10, 8.0, 0.409180, 0.204590),
    ],
)
def test_waits_agree_with_erlang_c(small_city: City, servers: int, load: float, delayed: float, wait: float) -> None:
    rng = np.random.default_rng([servers, 135])
    n = 24_000
    log = at_one_post(small_city, servers, poisson_s(rng, n, load), rng.exponential(SERVICE_S, n))
    waited = wait_s(log)
    for found, (mean, error) in (
        (delayed, batch_means((waited > 0).astype(float))),
        (wait, batch_means(waited / SERVICE_S)),
    ):
        assert error < 0.08 * found
        assert abs(mean - found) < 3.5 * error
    # an exponential service is cleared with a rate, whoever waits
    busy = utilisation(log)["busy_s"].sum() / log.unit_states["end_s"].max()
    assert abs(busy - load) < 3.5 * load * np.sqrt(2 / n)
    assert len(log.assignments) == n


def test_waits_of_a_single_unit_agree_with_pollaczek_and_khinchine(small_city: City) -> None:
    """M/D/1 waits half as long as M/M/1 (Pollaczek 1930): load / (2 (1 - load)) services."""
    rng = np.random.default_rng(135)
    n, load = 24_000, 0.6
    log = at_one_post(small_city, 1, poisson_s(rng, n, load), np.full(n, SERVICE_S))
    mean, error = batch_means(wait_s(log) / SERVICE_S)
    assert error < 0.05 * mean
    assert abs(mean - load / (2 * (1 - load))) < 3.5 * error


def test_the_urgent_wait_as_in_a_queue_with_two_classes(small_city: City) -> None:
    """M/M/1 with two classes, nobody interrupted (Cobham 1954): with a the load of the urgent and b that of all,
    b / (1 - a) and b / ((1 - a)(1 - b)) services."""
    rng = np.random.default_rng(7)
    n, load, urgent_share = 30_000, 0.7, 0.3
    priority = np.where(rng.random(n) < urgent_share, 1, 3).astype(np.uint8)
    log = at_one_post(small_city, 1, poisson_s(rng, n, load), rng.exponential(SERVICE_S, n), priority)
    waited, urgent = wait_s(log) / SERVICE_S, priority == 1
    ahead = 1 - load * urgent_share
    for mine, expected in ((urgent, load / ahead), (~urgent, load / (ahead * (1 - load)))):
        mean, error = batch_means(waited[mine])
        assert error < 0.1 * expected
        assert abs(mean - expected) < 3.5 * error


def test_littles_law_holds_between_the_tables_of_a_run_with_travel(small_city: City) -> None:
    """L = λ W (Little 1961), for incidents in the queue and for units at work, each side from another table."""
    standard, days = ResponseStandard(), 20
    log = simulate(
        Problem(
            city=small_city,
            incidents=draw_incidents(
                small_city,
                Demand(incidents_per_day=130),
                standard,
                start=MONDAY,
                horizon_s=days * DAY_S,
                seed=135,
            ),
            units=tuple(UnitSpec(id=f"U{i}", post=i % 4) for i in range(6)),
            standard=standard,
            policy=POLICIES["nearest"],
            travel=RoadTravel(small_city.network, anchors=small_city.posts.positions),
            start=MONDAY,
            horizon_s=days * DAY_S,
        )
    )
    at_s = np.random.default_rng(1).uniform(0, days * DAY_S, 40_000)

    def present(begin_s: np.ndarray, end_s: np.ndarray) -> np.ndarray:
        """How many of the spans hold each of the moments."""
        return np.searchsorted(np.sort(begin_s), at_s) - np.searchsorted(np.sort(end_s), at_s)

    states = log.unit_states[log.unit_states["state"].isin(["turn_out", "travelling", "on_scene"])]
    at_work = present(states["start_s"].to_numpy(), states["end_s"].to_numpy())
    sent = log.assignments
    engaged_s = (sent["cleared_s"] - sent["ordered_s"]).to_numpy()
    # what is not cleared by the horizon lies outside of the states
    edge = engaged_s.max() * 6 / (days * DAY_S)
    assert abs(at_work.mean() - engaged_s.sum() / (days * DAY_S)) < 3.5 * at_work.std() / np.sqrt(len(at_s)) + edge

    incidents = log.incidents
    ready_s = (incidents["received_s"] + incidents["desk_s"]).to_numpy()
    waiting = present(ready_s, incidents["ordered_s"].to_numpy())
    waited_s = incidents["ordered_s"].to_numpy() - ready_s
    assert waited_s.sum() / (days * DAY_S) > 0.05
    assert abs(waiting.mean() - waited_s.sum() / (days * DAY_S)) < 3.5 * waiting.std() / np.sqrt(len(at_s)) + edge
