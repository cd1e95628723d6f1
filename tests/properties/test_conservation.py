"""Whatever the problem, the log of its run is lawful: nothing is lost, nobody is in two places, nobody flies.

By default some hundred problems are drawn; PATROL_EXAMPLES=5000 asks for thousands.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from log_checker import check_log
from problems import problems

from dispatch.engine import simulate
from dispatch.metrics import littles_law
from dispatch.problem import Problem

EXAMPLES = int(os.environ.get("PATROL_EXAMPLES", "300"))


@settings(
    max_examples=EXAMPLES,
    # the same problems every time, unless one goes hunting for others
    derandomize="PATROL_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(problems())
def test_every_log_is_a_lawful_record_of_its_problem(problem: Problem) -> None:
    log = simulate(problem)
    check_log(log, problem)
    # Little's law in every run: L of the units engaged from one table, λ and W from another
    if len(log.unit_states):
        assert littles_law(log)["difference"].abs().max() < 1e-9
