"""Whom to send? Every policy meets the same incidents; its difference to the nearest unit is told with its doubt."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from geodata.city import City
from geodata.errors import InputError
from scenarios.compare import COMPARE_COLUMNS, VARIANTS, compare_study, judge
from scenarios.console import compare_tables, console
from scenarios.schema import Scenario
from scenarios.study import interval

REPLICATIONS = 3


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.model_validate(
        {
            "name": "small",
            "city": {"synthetic_seed": 1},
            "run": {"days": 0.3},
            "demand": {"incidents_per_day": 300},
            "units": {"count": 8},
            "dispatch": {"policy": "reserve", "options": {"keep_p3": 5, "keep_p4": 7}, "max_hold_min": 30},
            "standard": {"limits_s": {"vital": 300, "key": 300}},
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("comparison")


@pytest.fixture(scope="module")
def table(scenario: Scenario, small_city: City, folder: Path) -> pd.DataFrame:
    return compare_study(scenario, small_city, replications=REPLICATIONS, workers=1, folder=folder)


@pytest.fixture(scope="module")
def runs(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    assert len(table)
    return pd.DataFrame([json.loads(path.read_text("utf-8")) for path in (folder / "runs").iterdir()])


def test_every_policy_has_a_documented_row(table: pd.DataFrame, folder: Path) -> None:
    assert list(table.columns) == list(COMPARE_COLUMNS)
    assert table["policy"].tolist() == list(VARIANTS)
    assert (table["replications"] == REPLICATIONS).all()
    written = pd.read_csv(folder / "policies.csv", keep_default_na=False, na_values=[""])
    pd.testing.assert_frame_equal(written.fillna({"verdict": ""}), table, check_dtype=False)


def test_all_policies_meet_the_same_incidents(runs: pd.DataFrame) -> None:
    assert (runs.groupby("replication")["incidents"].nunique() == 1).all()
    assert runs["incidents"].nunique() > 1, "each replication draws its own"


def test_the_gain_is_taken_run_by_run_on_the_headline_clock_and_from_the_call(
    table: pd.DataFrame, runs: pd.DataFrame
) -> None:
    for column, gain in (("share", "gain"), ("share_received", "gain_received")):
        share = runs.pivot_table(index="replication", columns="policy", values=column)
        for row in table.set_index("policy").drop("nearest").to_dict("index").items():
            name, told = row
            expected = interval((share[name] - share["nearest"]).to_numpy(), within=(-1, 1))
            assert (told[gain], told[f"{gain}_low"], told[f"{gain}_high"]) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("gain", "from_call", "verdict"),
    [
        ((0.02, 0.01, 0.03), (0.02, 0.01, 0.03), "better"),
        ((0.02, 0.01, 0.03), (0.0, -0.01, 0.01), "better"),
        ((0.06, 0.03, 0.09), (-0.14, -0.16, -0.12), "better, but worse from the call"),
        ((0.0, -0.01, 0.01), (-0.14, -0.16, -0.12), "worse from the call"),
        ((0.0, -0.01, 0.01), (0.0, -0.01, 0.01), "no detectable difference"),
    ],
)
def test_what_is_better_on_one_clock_and_worse_on_the_other_is_told(
    gain: tuple[float, float, float], from_call: tuple[float, float, float], verdict: str
) -> None:
    assert judge("reserve", gain, from_call, 5) == verdict


def test_the_wait_for_a_unit_is_shown_beside_the_clock_that_does_not_see_it(table: pd.DataFrame) -> None:
    waits = table.set_index("policy")["queue_s"]
    assert waits["reserve"] > waits["nearest"] + 600


def test_a_scenarios_options_hold_for_the_policy_that_it_names(scenario: Scenario) -> None:
    assert VARIANTS["reserve"].of(scenario).dispatch.options == {"keep_p3": 5, "keep_p4": 7}
    assert VARIANTS["batch"].of(scenario).dispatch.options == {}
    assert VARIANTS["batch"].of(scenario).dispatch.max_hold_min == 30, "the rest of the scenario stays"


def test_a_comparison_that_was_stopped_goes_on_and_workers_change_nothing(
    table: pd.DataFrame, scenario: Scenario, small_city: City, folder: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()}
    next(iter(before)).unlink()
    again = compare_study(scenario, small_city, replications=REPLICATIONS, workers=2, folder=folder)
    pd.testing.assert_frame_equal(again, table)
    after = {path: path.stat().st_mtime_ns for path in (folder / "runs").iterdir()}
    assert sum(before[path] != after[path] for path in before) == 1


def test_an_unknown_policy_is_refused_with_those_that_exist(
    scenario: Scenario, small_city: City, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"nearst.*expected some of nearest, straight_line.*of one.s own"):
        compare_study(scenario, small_city, ["nearst"], replications=1, workers=1, folder=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_run_is_told_to_be_no_evidence(scenario: Scenario, small_city: City, tmp_path: Path) -> None:
    table = compare_study(scenario, small_city, ["straight_line"], replications=1, workers=1, folder=tmp_path)
    assert table["verdict"].tolist() == ["", "one draw: a difference may be luck"]
    screen = console()
    with screen.capture() as shown:
        for part in compare_tables(table, scenario):
            screen.print(part)
    assert "straight_line" in shown.get()
    assert "may be luck" in shown.get()
