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

from dispatch.demand import Demand, draw_incidents
from dispatch.engine import simulate
from dispatch.log import TABLES, RunLog
from dispatch.policies.dispatching import POLICIES
from dispatch.problem import Problem
from dispatch.standard import ResponseStandard
from dispatch.units import DAY_S, UnitSpec
from geodata.city import City
from geodata.routing import RoadTravel

MONDAY_8 = datetime(2026, 6, 1, 8)

ELSEWHERE = """
import sys
from datetime import datetime
from pathlib import Path

from dispatch.demand import Demand, draw_incidents
from dispatch.engine import simulate
from dispatch.policies.dispatching import POLICIES
from dispatch.problem import Problem
from dispatch.standard import ResponseStandard
from dispatch.units import DAY_S, UnitSpec
from geodata.city import City
from geodata.routing import RoadTravel

city, standard, start = City.load(Path(sys.argv[1])), ResponseStandard(), datetime(2026, 6, 1, 8)
drawn = draw_incidents(city, Demand(incidents_per_day=150), standard, start=start, horizon_s=DAY_S, seed=135)
problem = Problem(
    city=city,
    incidents=drawn,
    units=tuple(UnitSpec(id=f"U{i}", post=i % 4) for i in range(5)),
    standard=standard,
    policy=POLICIES["nearest"],
    travel=RoadTravel(city.network, anchors=city.posts.positions),
    start=start,
    horizon_s=DAY_S,
)
simulate(problem).write(Path(sys.argv[2]))
print(problem.digest)
"""


def problem_of(city: City, *, seed: int = 135, n_units: int = 5, policy: str = "nearest") -> Problem:
    """A day of some 150 incidents for a few units at the four posts; in `ELSEWHERE` it is posed word for word."""
    standard = ResponseStandard()
    drawn = draw_incidents(city, Demand(incidents_per_day=150), standard, start=MONDAY_8, horizon_s=DAY_S, seed=seed)
    return Problem(
        city=city,
        incidents=drawn,
        units=tuple(UnitSpec(id=f"U{i}", post=i % 4) for i in range(n_units)),
        standard=standard,
        policy=POLICIES[policy],
        travel=RoadTravel(city.network, anchors=city.posts.positions),
        start=MONDAY_8,
        horizon_s=DAY_S,
    )


def hashes(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / f"{name}.parquet").read_bytes()).hexdigest() for name in TABLES}


def written(problem: Problem, folder: Path) -> dict[str, str]:
    folder.mkdir()
    simulate(problem).write(folder)
    return hashes(folder)


@pytest.fixture(scope="module")
def log(small_city: City) -> RunLog:
    return simulate(problem_of(small_city))


def test_the_tables_hold_the_documented_columns_in_their_order(log: RunLog) -> None:
    for name, columns in TABLES.items():
        assert list(getattr(log, name).columns) == list(columns)
        assert all(columns.values()), name


def test_the_names_that_others_build_on_are_kept() -> None:
    incidents = "incident_id type priority cell district place_class x_m y_m received_s ordered_s rolling_s arrived_s"
    assert list(TABLES["incidents"])[:15] == [*incidents.split(), "cleared_s", "first_unit", "limit_s"]
    assignments = "incident_id unit_id ordered_s rolling_s arrived_s cleared_s travel_m cancelled_s"
    assert list(TABLES["assignments"]) == assignments.split()
    assert list(TABLES["unit_states"]) == ["unit_id", "state", "start_s", "end_s", "incident_id"]


def test_a_log_is_read_as_it_was_written(log: RunLog, tmp_path: Path) -> None:
    log.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"{name}.parquet" for name in TABLES)
    again = RunLog.read(tmp_path)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(log, name))


def test_an_empty_log_is_read_as_it_was_written(small_city: City, tmp_path: Path) -> None:
    problem = problem_of(small_city)
    nothing = draw_incidents(
        small_city, Demand(incidents_per_day=0), problem.standard, start=MONDAY_8, horizon_s=DAY_S, seed=1
    )
    log = simulate(replace(problem, incidents=nothing))
    log.write(tmp_path)
    again = RunLog.read(tmp_path)
    assert len(again.incidents) == len(again.assignments) == 0
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(again, name), getattr(log, name))


def test_the_same_problem_gives_the_same_bytes_in_this_process_and_in_another(
    small_city: City, small_city_folder: Path, tmp_path: Path
) -> None:
    problem = problem_of(small_city)
    once = written(problem, tmp_path / "once")
    assert written(problem, tmp_path / "twice") == once
    assert written(problem_of(City.load(small_city_folder)), tmp_path / "loaded") == once
    other = tmp_path / "other"
    other.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, small_city_folder, other],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert hashes(other) == once
    assert done.stdout.strip() == problem.digest


def test_travel_times_used_by_another_run_before_change_nothing(small_city: City, tmp_path: Path) -> None:
    problem = problem_of(small_city)
    fresh = written(problem, tmp_path / "fresh")
    other = replace(problem_of(small_city, seed=7, policy="straight_line"), travel=problem.travel)
    simulate(other)
    assert written(problem, tmp_path / "after") == fresh


def test_another_seed_gives_other_bytes_and_another_digest(small_city: City, tmp_path: Path) -> None:
    one, other = problem_of(small_city), problem_of(small_city, seed=136)
    assert one.digest != other.digest
    told, others = written(one, tmp_path / "one"), written(other, tmp_path / "other")
    assert all(told[name] != others[name] for name in TABLES)


def test_the_digest_changes_with_whatever_decides_the_run(small_city: City) -> None:
    problem = problem_of(small_city)
    changed = [
        replace(problem, policy=POLICIES["straight_line"]),
        replace(problem, units=problem.units[:-1]),
        replace(problem, units=(replace(problem.units[0], turn_out_post_s=31.0), *problem.units[1:])),
        replace(problem, start=datetime(2026, 6, 2, 8)),
        replace(problem, horizon_s=DAY_S + 1),
    ]
    assert problem_of(small_city).digest == problem.digest
    assert len({problem.digest, *(other.digest for other in changed)}) == len(changed) + 1


GIVEN = ["type", "priority", "cell", "x_m", "y_m", "received_s", "desk_s", "units_needed", "limit_s"]


def test_other_units_and_policies_meet_the_same_incidents(small_city: City) -> None:
    log = simulate(problem_of(small_city, n_units=9))
    others = problem_of(small_city, n_units=8), problem_of(small_city, n_units=9, policy="straight_line")
    for met in map(simulate, others):
        pd.testing.assert_frame_equal(met.incidents[GIVEN], log.incidents[GIVEN])
        assert not met.assignments.equals(log.assignments)


def test_a_missing_table_is_named(log: RunLog, tmp_path: Path) -> None:
    log.write(tmp_path)
    (tmp_path / "assignments.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"assignments\.parquet"):
        RunLog.read(tmp_path)
