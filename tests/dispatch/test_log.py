"""The log as files: documented columns, read as written, and the same problem giving the same bytes anywhere."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from eventful import eventful
from log_checker import check_log, describe
from played import car, play

from dispatch.engine import simulate
from dispatch.log import TABLES, RunLog
from dispatch.policies.registry import POLICIES
from dispatch.problem import Problem
from dispatch.units import UnitState
from geodata.city import City

ELSEWHERE = """
import sys
from pathlib import Path

from eventful import eventful

from dispatch.engine import simulate
from geodata.city import City

problem = eventful(City.load(Path(sys.argv[1])))
simulate(problem).write(Path(sys.argv[2]))
print(problem.digest)
"""


def hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / f"{name}.parquet").read_bytes()).hexdigest() for name in TABLES}


def written(problem: Problem, folder: Path) -> dict[str, str]:
    folder.mkdir()
    simulate(problem).write(folder)
    return hashes(folder)


@pytest.fixture(scope="module")
def problem(small_city: City) -> Problem:
    return eventful(small_city)


@pytest.fixture(scope="module")
def log(problem: Problem) -> RunLog:
    return simulate(problem)


def test_a_day_in_which_everything_happens_is_lawful(problem: Problem, log: RunLog) -> None:
    check_log(log, problem)
    seen = {what for what, holds in describe(log).items() if holds}
    assert seen >= {f"state: {s.label}" for s in UnitState if s is not UnitState.MOVING_UP}
    assert seen >= {f"outcome: {outcome}" for outcome in ("cleared", "false_alarm", "duplicate", "withdrawn")}
    assert seen >= {"called off: cleared", "called off: preempted", "custody", "several units", "waited for a desk"}


def test_the_tables_hold_the_documented_columns_in_their_order(log: RunLog) -> None:
    for name, columns in TABLES.items():
        assert list(getattr(log, name).columns) == list(columns)
        assert all(columns.values()), name


def test_rows_are_in_the_order_that_is_documented(log: RunLog, problem: Problem) -> None:
    assert log.incidents["incident_id"].tolist() == list(range(len(problem.incidents)))
    assert log.incidents["received_s"].is_monotonic_increasing
    assert log.assignments["ordered_s"].is_monotonic_increasing
    assert log.units["unit_id"].tolist() == [unit.id for unit in problem.units]
    number = log.unit_states["unit_id"].map({unit.id: i for i, unit in enumerate(problem.units)})
    assert pd.MultiIndex.from_arrays([number, log.unit_states["start_s"]]).is_monotonic_increasing


def test_what_never_happened_is_empty(log: RunLog) -> None:
    incidents, orders = log.incidents, log.assignments
    duplicate = incidents["outcome"] == "duplicate"
    assert incidents.loc[duplicate, ["ordered_s", "rolling_s", "arrived_s", "first_unit"]].isna().all(axis=None)
    assert (incidents["duplicate_of"].notna() == duplicate)[incidents["outcome"] != "withdrawn"].all()
    assert (orders["called_off"].isna() == orders["called_off_s"].isna()).all()
    assert (orders["centre"].isna() == orders["left_s"].isna()).all()
    idle = log.unit_states["state"].isin(["idle", "patrolling", "returning", "meal", "out_of_service"])
    assert (log.unit_states["incident_id"].isna() == idle).all()


def test_states_of_no_length_are_left_out(log: RunLog) -> None:
    assert (log.unit_states["start_s"] < log.unit_states["end_s"]).all()


def test_a_log_is_read_as_it_was_written(log: RunLog, tmp_path: Path) -> None:
    log.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.parquet" for name in TABLES)
    again = RunLog.read(tmp_path)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(log, name))


def test_an_empty_log_is_read_as_it_was_written(tmp_path: Path) -> None:
    log = play([], [car("A", 0)]).log
    log.write(tmp_path)
    again = RunLog.read(tmp_path)
    assert len(again.incidents) == len(again.assignments) == 0
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(log, name))


def test_a_missing_table_is_named(log: RunLog, tmp_path: Path) -> None:
    log.write(tmp_path)
    (tmp_path / "assignments.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"assignments\.parquet"):
        RunLog.read(tmp_path)


def test_the_same_problem_gives_the_same_bytes_in_this_process_and_in_another(
    problem: Problem, small_city_folder: Path, tmp_path: Path
) -> None:
    once = written(problem, tmp_path / "once")
    assert written(problem, tmp_path / "twice") == once
    assert written(eventful(City.load(small_city_folder)), tmp_path / "loaded") == once
    other = tmp_path / "other"
    other.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, small_city_folder, other],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parent,
    )
    assert hashes(other) == once
    assert done.stdout.strip() == problem.digest


def test_travel_times_used_by_another_run_before_change_nothing(problem: Problem, tmp_path: Path) -> None:
    fresh = written(problem, tmp_path / "fresh")
    simulate(replace(problem, policy=POLICIES["straight_line"], seed=7))
    assert written(problem, tmp_path / "after") == fresh


def test_another_seed_gives_other_bytes_and_another_digest(small_city: City, problem: Problem, tmp_path: Path) -> None:
    other = eventful(small_city, seed=2)
    assert problem.digest != other.digest
    told, others = written(problem, tmp_path / "one"), written(other, tmp_path / "other")
    drawn = set(TABLES) - {"units"}
    assert all(told[name] != others[name] for name in drawn)


def test_the_digest_changes_with_whatever_decides_the_run(small_city: City, problem: Problem) -> None:
    first, *rest = problem.units
    changed = [
        replace(problem, policy=POLICIES["straight_line"]),
        replace(problem, units=(first, *rest[:-1])),
        replace(problem, units=(replace(first, turn_out_post_s=31.0), *rest)),
        replace(problem, start=datetime(2026, 6, 2, 8)),
        replace(problem, horizon_s=problem.horizon_s + 1),
        replace(problem, desks=3),
        replace(problem, max_hold_s=900.0),
        replace(problem, journey_cv=0.2),
        replace(problem, seed=9),
    ]
    assert eventful(small_city).digest == problem.digest
    assert len({problem.digest, *(other.digest for other in changed)}) == len(changed) + 1


GIVEN = ["type", "priority", "cell", "x_m", "y_m", "received_s", "answered_s", "desk_s", "units_needed", "limit_s"]


def test_other_units_and_policies_meet_the_same_incidents(problem: Problem, log: RunLog) -> None:
    others = replace(problem, units=problem.units[:-3]), replace(problem, policy=POLICIES["straight_line"])
    for met in map(simulate, others):
        pd.testing.assert_frame_equal(met.incidents[GIVEN], log.incidents[GIVEN])
        assert not met.assignments.equals(log.assignments)
