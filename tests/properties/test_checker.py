"""The checker of logs finds whatever is wrong: a lawful log with one value changed is lawful no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from log_checker import check_log, describe
from problems import drawn

from dispatch.engine import simulate
from dispatch.log import TABLES, RunLog
from dispatch.policies.registry import POLICIES
from dispatch.problem import Problem

PROBLEMS = {
    "nearest": dict(number=1, desks=1),
    "preempt": dict(number=4, policy=POLICIES["preempt"]),
    "closures": dict(number=6, journey_cv=0.2),
}


@pytest.fixture(scope="module")
def runs() -> list[tuple[Problem, RunLog]]:
    made = []
    for asked in PROBLEMS.values():
        rules = dict(asked)
        problem = drawn(rules.pop("number"), **rules)
        made.append((problem, simulate(problem)))
    return made


def test_the_runs_are_lawful_and_hold_what_is_rare(runs: list[tuple[Problem, RunLog]]) -> None:
    seen: set[str] = set()
    for problem, log in runs:
        check_log(log, problem)
        seen |= {what for what, happened in describe(log).items() if happened}
    assert seen >= {
        *("under way when called off", "waited", "waited for a desk", "several units", "assembled later", "custody"),
        *("called off: cleared", "called off: withdrawn", "called off: preempted"),
        *("outcome: cleared", "outcome: false_alarm", "outcome: withdrawn"),
        *("state: idle", "state: patrolling", "state: returning", "state: transporting", "state: handing_over"),
    }


def spoiled(column: pd.Series, row: int) -> pd.Series:
    """The same with another value in one row."""
    values = column.astype(object)
    old = values.iloc[row]
    new: Any = "something else"
    if pd.api.types.is_bool_dtype(column.dtype):
        new = not old
    elif pd.api.types.is_numeric_dtype(column.dtype):
        new = old + 1
    values.iloc[row] = new
    return values.astype(column.dtype)


@pytest.mark.parametrize(("table", "column"), [(table, column) for table in TABLES for column in TABLES[table]])
def test_a_value_that_is_wrong_is_found_out(runs: list[tuple[Problem, RunLog]], table: str, column: str) -> None:
    tried = 0
    for problem, log in runs:
        told = getattr(log, table)[column].notna()
        if column == "edge":
            # several edges meet at a junction: there another one names the same place
            told &= getattr(log, table)["offset_m"] > 1
        rows = np.flatnonzero(told)
        for row in rows[[0, len(rows) // 2]] if len(rows) else ():
            changed = getattr(log, table).assign(**{column: spoiled(getattr(log, table)[column], int(row))})
            tables = {name: getattr(log, name) for name in TABLES} | {table: changed}
            with pytest.raises((AssertionError, LookupError)):
                check_log(RunLog(**tables), problem)
            tried += 1
    assert tried or column == "duplicate_of"


@pytest.mark.parametrize("table", TABLES)
def test_a_row_that_lacks_is_found_out(runs: list[tuple[Problem, RunLog]], table: str) -> None:
    for problem, log in runs:
        rows = getattr(log, table)
        tables = {name: getattr(log, name) for name in TABLES} | {table: rows.drop(rows.index[len(rows) // 2])}
        with pytest.raises((AssertionError, LookupError)):
            check_log(RunLog(**tables), problem)


def test_a_log_of_another_problem_is_found_out(runs: list[tuple[Problem, RunLog]]) -> None:
    (problem, log), *_ = runs
    slower = tuple(replace(unit, turn_out_mobile_s=unit.turn_out_mobile_s + 1) for unit in problem.units)
    for other in (replace(problem, desks=2), replace(problem, units=slower), replace(problem, units=problem.units[1:])):
        with pytest.raises(AssertionError):
            check_log(log, other)
