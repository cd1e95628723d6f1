"""What is ordinary is dealt with in one compiled function, and nobody can tell from the log."""

from __future__ import annotations

import os
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import HealthCheck, event, given, settings
from log_checker import check_log
from problems import drawn, quiet, quiet_problems

from dispatch.engine.run import Run, simulate
from dispatch.log import TABLES
from dispatch.policies.dispatching import nearest
from dispatch.policies.situation import Order, Situation
from dispatch.problem import Problem

EXAMPLES = int(os.environ.get("PATROL_EXAMPLES", "200"))


def as_nearest(situation: Situation) -> list[Order]:
    """The same policy, which the engine does not know by this name."""
    return nearest(situation)


def step_by_step(problem: Problem) -> Problem:
    return replace(problem, policy=as_nearest)


def assert_same_log(problem: Problem) -> None:
    log, other = simulate(problem), simulate(step_by_step(problem))
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(log, table), getattr(other, table), check_exact=True, obj=table)
    check_log(log, problem)


def n_at_once(problem: Problem) -> int:
    """How many orders were given in the compiled function."""
    run = Run(problem)
    taken = []
    take = run.journal.take

    def counted(*written: object) -> None:
        taken.append(len(written[0]))
        take(*written)

    run.journal.take = counted
    run.lay_down(lambda _: None)
    run.clock.run(until=run.finished)
    return sum(taken)


@settings(
    max_examples=EXAMPLES,
    derandomize="PATROL_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(quiet_problems())
def test_the_log_is_the_same_as_step_by_step(problem: Problem) -> None:
    assert_same_log(problem)
    event("some at once" if n_at_once(problem) else "none at once")


@pytest.mark.parametrize("number", [1, 2, 4, 5, 7, 8])
def test_a_busy_run_with_patrols_and_luck_is_the_same(number: int) -> None:
    problem = quiet(drawn(number, journey_cv=0.3))
    assert_same_log(problem)
    assert n_at_once(problem) >= 5


def test_step_by_step_nothing_is_dealt_with_at_once() -> None:
    problem = quiet(drawn(1))
    assert n_at_once(problem) > 0
    assert n_at_once(step_by_step(problem)) == 0
