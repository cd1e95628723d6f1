"""What the command line says of a run."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from dispatch.engine import simulate
from dispatch.metrics import share_within, summarise
from dispatch.standard import Clock
from geodata.city import City
from scenarios.build import build_problem
from scenarios.console import run_tables
from scenarios.run import Run
from scenarios.schema import Scenario


def said(run: Run) -> str:
    screen = Console(file=StringIO(), width=200)
    for part in run_tables(run):
        screen.print(part)
    return " ".join(screen.file.getvalue().split())


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "none could have been prevented: no free unit that was not sent was expected there within the limit."),
        (1, "1 could have been prevented: a free unit that was not sent was expected there within the limit."),
    ],
)
def test_how_many_could_have_been_prevented_does_not_contradict_itself(shown: Any, number: int, words: str) -> None:
    summary = dict(shown.summary) | {"preventable": number}
    run = Run(scenario=shown.scenario, city=shown.city, log=shown.log, summary=summary)
    assert f"Of the late by the headline clock, {words}" in said(run)


def test_the_title_of_the_echelon_reading_says_what_its_rows_measure(small_city: City) -> None:
    """A car that came after 3 minutes, the limit of its tier, is in time by the limit of the last one."""
    scenario = Scenario.model_validate(
        {
            "name": "tiers",
            "city": {"synthetic_seed": 1},
            "run": {"days": 0.5},
            "standard": {"name": "echelon"},
            "demand": {"incidents_per_day": 60},
            "units": {"count": 3},
        }
    )
    problem = build_problem(scenario, small_city)
    log = simulate(problem)
    summary = summarise(log, problem.standard, start=problem.start, seed=1, digest=problem.digest)
    told = said(Run(scenario=scenario, city=small_city, log=log, summary=summary))
    title = "reached within 5 min everywhere, the limit of the last tier, by any unit that may act alone"
    assert title in told
    assert told.index(title) < told.index("Share of incidents that each tier reached within its own limit")
    within = (log.incidents["arrived_s"] - log.incidents["received_s"] <= 300).mean()
    assert within == pytest.approx(share_within(log, None, Clock.RECEIVED)["share"].iloc[0])
    assert f"All 全部 {len(log.incidents)} {100 * within:.1f} %" in told
