"""The command line, as typed: what it prints, what it leaves, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely

from geodata.city import City
from scenarios.cli import spread
from scenarios.run import RUN_FILES

Patrol = Callable[..., Any]


@pytest.fixture
def scenario(tmp_path: Path, small_city_folder: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(
        f'name = "small"\ntitle = "Half a day"\ncity.path = "{small_city_folder.as_posix()}"\n'
        "run.days = 0.5\ndemand.incidents_per_day = 150\nunits.count = 6\n",
        "utf-8",
    )
    return path


def test_a_run_prints_the_answer_and_where_to_look(patrol: Patrol, scenario: Path, tmp_path: Path) -> None:
    ended = patrol("run", scenario)
    assert (ended.status, ended.err) == (0, "")
    folder = tmp_path / "out" / "small"
    assert sorted(path.name for path in folder.iterdir()) == sorted(RUN_FILES)
    assert str(Path("out/small/report.html")) in ended.out
    assert str(Path("out/small/map.html")) in ended.out
    overall = json.loads((folder / "summary.json").read_text("utf-8"))["share_within"]["overall"]
    (line,) = [line for line in ended.out.splitlines() if "All 全部" in line]
    for clock in ("received", "ordered", "rolling"):
        assert f"{100 * overall[clock]:.1f} %" in line
    for word in (
        "Half a day",
        "1 min vital",
        "By priority",
        "P1",
        "By district",
        "东区",
        "08–12",
        "Workload",
        "Why late",
    ):
        assert word in ended.out


def test_the_demo_runs_as_it_is(patrol: Patrol, tmp_path: Path) -> None:
    ended = patrol("demo")
    assert ended.status == 0
    assert "Yunjiang" in ended.out
    assert sorted(path.name for path in (tmp_path / "out" / "demo").iterdir()) == sorted(RUN_FILES)
    summary = json.loads((tmp_path / "out" / "demo" / "summary.json").read_text("utf-8"))
    assert summary["incidents"]["total"] > 1000
    assert summary["share_within"]["by_place_class"]["vital"]["ordered"] is not None


def test_a_seed_and_a_folder_can_be_stated(patrol: Patrol, scenario: Path, tmp_path: Path) -> None:
    assert patrol("run", scenario, "--seed", "7", "--out", "there", "--quiet").status == 0
    assert json.loads((tmp_path / "there" / "summary.json").read_text("utf-8"))["seed"] == 7
    assert "seed = 7" in (tmp_path / "there" / "scenario.toml").read_text("utf-8")


def test_progress_is_shown_in_a_terminal_alone_and_not_to_the_quiet(
    patrol: Patrol, scenario: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    shown = patrol("run", scenario)
    for stage in ("City", "Simulation", "Map", "Report"):
        assert stage in shown.err
    assert patrol("run", scenario, "--quiet").err == ""
    monkeypatch.setenv("TTY_COMPATIBLE", "0")
    assert patrol("run", scenario).err == ""


def test_a_run_without_incidents_says_so(patrol: Patrol, scenario: Path) -> None:
    scenario.write_text(scenario.read_text("utf-8").replace("days = 0.5", "days = 0.00001"), "utf-8")
    ended = patrol("run", scenario)
    assert ended.status == 0
    assert "No incident was drawn" in ended.out


def test_a_map_is_drawn_again(patrol: Patrol, scenario: Path, tmp_path: Path) -> None:
    patrol("run", scenario)
    page = tmp_path / "out" / "small" / "map.html"
    drawn = page.read_bytes()
    page.unlink()
    ended = patrol("map", "out/small")
    assert (ended.status, ended.out.strip()) == (0, str(Path("out/small/map.html")))
    assert page.read_bytes() == drawn
    assert sorted(path.name for path in page.parent.iterdir()) == sorted(RUN_FILES)


def test_staff_names_the_fewest_units_that_meet_the_target(patrol: Patrol, scenario: Path, tmp_path: Path) -> None:
    text = scenario.read_text("utf-8") + "standard = { target_share = 0.5, amber_share = 0.4 }\n"
    scenario.write_text(text, "utf-8")
    ended = patrol("staff", scenario, "--units", "2:12:10", "--replications", "3", "--workers", "1")
    assert ended.status == 0
    assert "The fewest units that surely meet 50 %: 12" in ended.out
    assert (tmp_path / "out" / "small-staff" / "staffing.csv").is_file()


def test_staff_says_plainly_when_none_is_enough(patrol: Patrol, scenario: Path) -> None:
    text = scenario.read_text("utf-8") + "standard.target_share = 1.0\n"
    scenario.write_text(text, "utf-8")
    ended = patrol("staff", scenario, "--units", "2", "--replications", "2", "--workers", "1")
    assert "None of these numbers of units surely meets 100 %" in ended.out


def test_coverage_takes_several_minutes(patrol: Patrol, small_city_folder: Path) -> None:
    ended = patrol("coverage", small_city_folder, "--minutes", "1", "3", "5.5", "--hour", "3")
    assert ended.status == 0
    assert [line.split()[0] for line in ended.out.splitlines() if " min " in line] == ["1", "3", "5.5"]
    before = patrol("coverage", "--minutes", "1", "3", "5.5", "--hour", "3", small_city_folder)
    assert before == ended


def test_values_of_one_option_are_spread_up_to_the_next_word() -> None:
    assert list(spread(["a", "--minutes", "1", "3", "b", "5"])) == ["a", "--minutes", "1", "--minutes", "3", "b", "5"]
    assert list(spread(["--hour", "1", "3"])) == ["--hour", "1", "3"]
    assert list(spread(["--minutes"])) == ["--minutes"]


def test_a_city_is_built_from_files_checked_and_run(
    patrol: Patrol, small_city: City, tmp_path: Path, scenario: Path
) -> None:
    small_city.network.streets().to_file(tmp_path / "roads.gpkg")
    small_city.grid.cells.to_file(tmp_path / "cells.gpkg")
    built = patrol(
        *("city", "build", "roads.gpkg", "--class-column", "road_class", "--oneway-column", "one_way"),
        *("--grid", "cells.gpkg", "--make-posts", "5", "--name", "小城 Two", "--out", "cities/two"),
    )
    assert built.status == 0
    assert "400 junctions, 760 streets" in built.out
    checked = patrol("city", "check", "cities/two")
    assert "5 with room for" in checked.out
    text = scenario.read_text("utf-8").splitlines()
    text[2] = 'city.path = "cities/two"'
    scenario.write_text("\n".join(text), "utf-8")
    assert patrol("run", scenario).status == 0


def test_a_city_never_replaces_another_folder(patrol: Patrol, small_city: City, tmp_path: Path) -> None:
    small_city.network.streets().to_file(tmp_path / "roads.gpkg")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.doc").touch()
    ended = patrol("city", "build", "roads.gpkg", "--out", "mine")
    assert ended.status == 2
    assert "holds no city" in ended.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.doc"]


def test_coverage_tells_what_it_does_not_count(patrol: Patrol, small_city: City, tmp_path: Path) -> None:
    network, posts = small_city.network, small_city.posts
    hours = ["Mo-Fr 08:00-20:00", *[""] * (len(posts) - 1)]
    shut = replace(posts, table=posts.table.assign(opening_hours=hours))
    replace(small_city, posts=shut).save(tmp_path / "city")
    x_m, y_m = network.node_xy_m.max(axis=0) + 9_000
    for name, area in {
        "far": shapely.Point(x_m, y_m).buffer(500),
        "all": shapely.Point(x_m, y_m).buffer(99_000),
    }.items():
        gpd.GeoDataFrame(geometry=[area], crs=network.epsg).to_file(tmp_path / f"{name}.gpkg")
    night = patrol("coverage", "city", "--hour", "3", "--closed", "far.gpkg").err
    assert "no road lies inside far.gpkg" in night
    assert f"1 of {len(posts)} posts are not open then" in night
    day = patrol("coverage", "city", "--hour", "9", "--closed", "all.gpkg").err
    assert f"{network.street_length_m.sum() / 1000:,.1f} km of road are closed by all.gpkg" in day
    assert "not open" not in day


def test_built_in_scenarios_are_listed_and_their_keys_explained(patrol: Patrol) -> None:
    listed = patrol("scenarios")
    assert {"demo", "demo_night", "demo_straight_line"} <= set(listed.out.split())
    keys = patrol("scenarios", "--keys").out
    assert "standard.limits_s.vital" in keys
    assert "[A]" in keys


WRONG = {
    "no such scenario": (("run", "dmo"), "Did you mean demo?"),
    "no such file": (("run", "x.toml"), "no such file"),
    "no city there": (("coverage", "nowhere"), "no such folder"),
    "no run there": (("map", "."), "no scenario.toml"),
    "no numbers of units": (("staff", "demo", "--units", "many"), "8:24:2"),
    "an impossible seed": (("run", "demo", "--seed", "-1"), "--seed"),
    "an unknown option": (("run", "demo", "--sed", "1"), "--sed"),
    "an unknown command": (("rnu", "demo"), "rnu"),
    "a time of zero": (("coverage", "demo", "--minutes", "0"), "above 0"),
    "an unknown day": (("coverage", "demo", "--day", "someday"), "someday"),
    "no roads": (("city", "build"), "a roads file, --place, --bbox, --download"),
    "two kinds of roads": (("city", "build", "a.gpkg", "--place", "Here"), "found a roads file and --place"),
    "missing roads": (("city", "build", "a.gpkg"), "no such file"),
    "a missing grid and posts": (
        ("city", "build", "roads.gpkg", "--grid", "cells.gpkg", "--posts", "posts.csv"),
        "posts.csv: found no such file",
    ),
    "roads of an unknown kind": (("city", "build", "roads.xyz"), "roads.xyz"),
    "no CRS": (("city", "build", "bare.gpkg"), "CRS"),
    "a post far off the roads": (("city", "build", "roads.gpkg", "--posts", "far.gpkg"), "far.gpkg"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_input_ends_with_status_2_and_one_clear_message(
    case: str, patrol: Patrol, small_city: City, tmp_path: Path
) -> None:
    arguments, message = WRONG[case]
    streets = small_city.network.streets()
    if "roads.gpkg" in arguments:
        streets.to_file(tmp_path / "roads.gpkg")
        far = gpd.GeoDataFrame({"id": ["P1"]}, geometry=[shapely.Point(400_000, 3_128_000)], crs=streets.crs)
        far.to_file(tmp_path / "far.gpkg")
    if "bare.gpkg" in arguments:
        with pytest.warns(UserWarning, match="crs"):
            streets.set_crs(None, allow_override=True).to_file(tmp_path / "bare.gpkg")
    (tmp_path / "roads.xyz").touch()
    before = sorted(tmp_path.rglob("*"))
    ended = patrol(*arguments)
    assert ended.status == 2
    assert message in ended.err
    assert ended.out == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_a_wrong_scenario_tells_all_its_faults(patrol: Patrol, tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text('name = "a"\n[city]\nsynthetic_seed = 1\n[units]\ncout = 3\n[run]\ndays = 0\n')
    ended = patrol("run", "wrong.toml")
    assert ended.status == 2
    assert len(ended.err.strip().splitlines()) == 2
    assert "error: wrong.toml: units.cout (line 5)" in ended.err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_is_told_without_a_traceback(patrol: Patrol, scenario: Path) -> None:
    ended = patrol("run", scenario, "--out", scenario / "below")
    assert ended.status == 2
    assert "small.toml" in ended.err


def test_the_command_is_installed_and_quick_to_answer() -> None:
    command = Path(sys.executable).with_name("patrol")
    told = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == f"patrol135 {version('patrol135')}"
    heavy = "import sys, scenarios.cli; print({'geopandas', 'numpy', 'pydantic'} & set(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "set()"


def test_help_names_every_command(patrol: Patrol) -> None:
    shown = patrol("--help").out
    for command in ("demo", "city", "run", "coverage", "map", "staff", "scenarios"):
        assert command in shown
    assert "--place" in patrol("city", "build", "--help").out
