"""How many units are enough: the same answer on any number of workers, resumed where it was stopped."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dispatch.engine import simulate
from dispatch.log import RunLog
from dispatch.problem import Problem
from geodata.city import City
from geodata.errors import InputError
from scenarios.schema import Scenario
from scenarios.study import STUDY_COLUMNS, StaffStudy, interval, parse_units, staff_study


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.model_validate(
        {
            "name": "small",
            "city": {"synthetic_seed": 1},
            "run": {"days": 0.3},
            "demand": {"incidents_per_day": 300},
            "standard": {"limits_s": {"vital": 300, "key": 300}, "target_share": 0.8, "amber_share": 0.7},
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def study(scenario: Scenario, small_city: City, folder: Path) -> StaffStudy:
    return staff_study(scenario, small_city, [3, 6, 16], replications=4, workers=1, folder=folder)


def test_the_table_has_a_documented_row_for_each_number_of_units(study: StaffStudy, folder: Path) -> None:
    table = study.table
    assert list(table.columns) == list(STUDY_COLUMNS)
    assert table["units"].tolist() == [3, 6, 16]
    assert ((table["share_low"] <= table["share"]) & (table["share"] <= table["share_high"])).all()
    pd.testing.assert_frame_equal(pd.read_csv(folder / "staffing.csv"), table, check_dtype=False)


def test_more_units_reach_more_and_are_less_busy(study: StaffStudy) -> None:
    assert study.table["share"].is_monotonic_increasing
    assert study.table["utilisation"].is_monotonic_decreasing
    assert study.table["verdict"].tolist()[::2] == ["misses", "meets"]
    assert study.fewest in (6, 16)


def test_the_gain_is_paired_on_the_same_incidents(study: StaffStudy, folder: Path) -> None:
    runs = pd.DataFrame([json.loads(path.read_text("utf-8")) for path in (folder / "runs").iterdir()])
    incidents = runs.pivot_table(index="replication", columns="units", values="incidents")
    assert (incidents.nunique(axis=1) == 1).all()
    assert incidents[3].nunique() > 1
    share = runs.pivot_table(index="replication", columns="units", values="share")
    row = study.table.iloc[1]
    assert (row["gain"], row["gain_low"], row["gain_high"]) == pytest.approx(
        interval((share[6] - share[3]).to_numpy(), within=(-1, 1))
    )


def test_the_number_of_workers_changes_nothing(
    study: StaffStudy, scenario: Scenario, small_city: City, tmp_path: Path, folder: Path
) -> None:
    other = staff_study(scenario, small_city, [16, 6, 3], replications=4, workers=2, folder=tmp_path)
    pd.testing.assert_frame_equal(other.table, study.table, check_exact=True)
    written = [{path.name: path.read_bytes() for path in (at / "runs").iterdir()} for at in (folder, tmp_path)]
    assert written[0] == written[1]


def test_a_stopped_study_goes_on_where_it_stopped(
    study: StaffStudy,
    scenario: Scenario,
    small_city: City,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert study.resumed == 0
    (tmp_path / "runs").mkdir()
    for path in sorted((folder / "runs").iterdir())[3:]:
        (tmp_path / "runs" / path.name).write_bytes(path.read_bytes())
    simulated: list[int] = []

    def counted(problem: Problem) -> RunLog:
        simulated.append(len(problem.units))
        return simulate(problem)

    monkeypatch.setattr("scenarios.study.simulate", counted)
    again = staff_study(scenario, small_city, [3, 6, 16], replications=4, workers=1, folder=tmp_path)
    assert (len(simulated), again.resumed) == (3, 9)
    pd.testing.assert_frame_equal(again.table, study.table, check_exact=True)


def test_figures_of_another_problem_or_version_are_not_taken_over(
    study: StaffStudy, scenario: Scenario, small_city: City, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "runs").mkdir()
    for path in (folder / "runs").iterdir():
        older = json.loads(path.read_text("utf-8")) | {"version": "0.0.1", "share": 0.0}
        (tmp_path / "runs" / path.name).write_text(json.dumps(older), "utf-8")
    again = staff_study(scenario, small_city, [3, 6, 16], replications=4, workers=1, folder=tmp_path)
    assert again.resumed == 0
    pd.testing.assert_frame_equal(again.table, study.table, check_exact=True)


def a_study(*rows: tuple[int, str]) -> StaffStudy:
    table = pd.DataFrame(rows, columns=["units", "verdict"])
    return StaffStudy(table=table, target_share=0.9, resumed=0)


def test_the_fewest_is_the_smallest_number_whose_whole_interval_is_at_the_target() -> None:
    found = a_study((8, "misses"), (10, "undecided"), (12, "meets"), (14, "undecided"), (16, "meets"))
    assert (found.fewest, found.undecided) == (12, [10])


def test_where_none_meets_the_target_there_is_no_fewest() -> None:
    found = a_study((8, "misses"), (10, "undecided"))
    assert (found.fewest, found.undecided) == (None, [10])


def test_an_interval_holds_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(135)
    held = [low <= 0.5 <= high for _, low, high in (interval(rng.normal(0.5, 0.05, 5)) for _ in range(2000))]
    assert abs(np.mean(held) - 0.95) < 3.5 * math.sqrt(0.95 * 0.05 / 2000)


def test_an_interval_stays_within_the_possible_and_says_when_nothing_is_known() -> None:
    assert interval(np.array([0.9, 1.0]))[2] == 1.0
    assert interval(np.array([0.5, np.nan])) == (0.5, 0.0, 1.0)
    assert math.isnan(interval(np.array([np.nan, np.nan]))[0])


@pytest.mark.parametrize(
    ("text", "levels"),
    [("8:24:8", [8, 16, 24]), ("8:11:2", [8, 10]), ("8:10", [8, 9, 10]), ("12", [12]), ("9,12", [9, 12])],
)
def test_numbers_of_units_as_typed(text: str, levels: list[int]) -> None:
    assert parse_units(text) == levels


@pytest.mark.parametrize("text", ["", "a", "8:24:0", "24:8:2", "8:24:2:1", "8;9"])
def test_other_texts_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(InputError, match="8:24:2"):
        parse_units(text)


def test_an_interval_needs_two_replications_and_a_unit(scenario: Scenario, small_city: City, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 or more"):
        staff_study(scenario, small_city, [3], replications=1, folder=tmp_path)
    with pytest.raises(InputError, match="0 units"):
        staff_study(scenario, small_city, [0, 3], folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_groups_and_patrols_are_studied_on_any_number_of_workers(
    scenario: Scenario, small_city: City, tmp_path: Path
) -> None:
    given = scenario.model_dump(exclude={"units", "patrol"}, exclude_none=True)
    groups = [{"name": "car", "count": 2}, {"name": "moto", "kind": "motorcycle", "count": 2}]
    asked = Scenario.model_validate(given | {"units": {"groups": groups}, "patrol": {"form": "roaming", "share": 0.5}})
    tables = [
        staff_study(asked, small_city, [4, 8], replications=2, workers=workers, folder=tmp_path / str(workers)).table
        for workers in (1, 2)
    ]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert tables[0]["share"].is_monotonic_increasing


def test_a_wrong_option_is_told_before_any_run(scenario: Scenario, small_city: City, tmp_path: Path) -> None:
    given = scenario.model_dump(exclude={"dispatch"}, exclude_none=True)
    asked = Scenario.model_validate(given | {"dispatch": {"policy": "preempt", "options": {"gain": 1}}})
    with pytest.raises(InputError, match=r"dispatch\.options\.gain"):
        staff_study(asked, small_city, [4], replications=2, workers=2, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
