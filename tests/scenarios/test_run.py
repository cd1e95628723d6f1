"""A run folder: written whole, the same for the same seed, and readable again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from geodata.city import City
from geodata.errors import InputError
from scenarios import run as runs
from scenarios.load import dump, load_scenario
from scenarios.run import DATA_FILES, RUN_FILES, map_page, read_run, run_scenario
from scenarios.schema import Scenario


@pytest.fixture(scope="module")
def scenario(small_city_folder: Path) -> Scenario:
    return Scenario.model_validate(
        {
            "name": "small",
            "city": {"path": str(small_city_folder)},
            "run": {"days": 0.5},
            "demand": {"incidents_per_day": 150},
            "units": {"count": 6},
        }
    )


@pytest.fixture(scope="module")
def done(scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    run_scenario(scenario, folder)
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in DATA_FILES}


def test_a_run_folder_holds_the_named_files_and_nothing_else(done: Path) -> None:
    assert sorted(path.name for path in done.iterdir()) == sorted(RUN_FILES)
    assert [path.name for path in done.parent.iterdir()] == [done.name]


def test_the_summary_is_that_of_the_log(done: Path, scenario: Scenario) -> None:
    summary = json.loads((done / "summary.json").read_text("utf-8"))
    log = read_run(done).log
    assert summary["incidents"]["total"] == len(log.incidents) > 50
    assert summary["seed"] == scenario.run.seed
    assert 0 < summary["share_within"]["overall"]["ordered"] <= 1


def test_the_same_scenario_gives_the_same_bytes(done: Path, scenario: Scenario, tmp_path: Path) -> None:
    run_scenario(scenario, tmp_path / "second")
    assert digests(tmp_path / "second") == digests(done)


def test_another_seed_gives_another_run(done: Path, scenario: Scenario, tmp_path: Path) -> None:
    other = scenario.model_copy(update={"run": scenario.run.model_copy(update={"seed": 7})})
    run_scenario(other, tmp_path / "other")
    assert digests(tmp_path / "other")["incidents.parquet"] != digests(done)["incidents.parquet"]


def test_the_written_scenario_runs_again_from_anywhere(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_scenario(load_scenario(done / "scenario.toml"), Path("again"))
    assert digests(tmp_path / "again") == digests(done)


def test_a_run_replaces_an_older_one(done: Path, scenario: Scenario, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "summary.json").write_text("old", "utf-8")
    run_scenario(scenario, folder)
    assert digests(folder) == digests(done)


def test_a_folder_with_anything_else_in_it_is_left_alone(scenario: Scenario, tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("mine", "utf-8")
    with pytest.raises(InputError, match=r"holds thesis\.doc"):
        run_scenario(scenario, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]
    with pytest.raises(InputError, match="found a file"):
        run_scenario(scenario, tmp_path / "thesis.doc")


def test_a_run_that_fails_leaves_nothing(scenario: Scenario, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> str:
        raise RuntimeError("no page today")

    monkeypatch.setattr(runs, "render_report", fail)
    with pytest.raises(RuntimeError, match="no page today"):
        run_scenario(scenario, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_progress_tells_every_stage_to_its_end(scenario: Scenario, tmp_path: Path) -> None:
    told: dict[str, float] = {}
    run_scenario(scenario, tmp_path / "run", lambda stage, share: told.update({stage: share}))
    assert list(told) == ["City", "Incidents", "Simulation", "Reasons", "Map", "Report"]
    assert set(told.values()) == {1.0}


def test_a_run_is_read_with_its_city_and_drawn_again(done: Path, small_city: City) -> None:
    run = read_run(done)
    assert run.city.network.digest == small_city.network.digest
    assert map_page(run) == (done / "map.html").read_text("utf-8")


def test_a_run_whose_scenario_was_changed_is_not_read_as_its_result(done: Path, tmp_path: Path) -> None:
    for name in DATA_FILES:
        (tmp_path / name).write_bytes((done / name).read_bytes())
    changed = load_scenario(done / "scenario.toml")
    changed = changed.model_copy(update={"units": changed.units.model_copy(update={"count": 7})})
    (tmp_path / "scenario.toml").write_text(dump(changed), "utf-8")
    with pytest.raises(InputError, match="Run it again"):
        read_run(tmp_path)


def test_a_folder_that_is_no_run_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no scenario\.toml"):
        read_run(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        read_run(tmp_path / "none")
