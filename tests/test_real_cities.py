"""The whole way on real roads: files, a saved city, a day's run, the pages."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from dispatch.log import TABLES
from scenarios.cli import main

DATA = Path(__file__).parents[2] / "shared" / "data"
CHANGSHA = DATA / "changsha-osm2019" / "changsha_simplified_edges.gpkg"
DISTRICTS = DATA / "changsha-districts" / "changsha_districts_wgs84.geojson"
BALTIMORE = DATA / "small-osm" / "baltimore.osm.pbf"
RUN_FILES = {"scenario.toml", "summary.json", "map.html", "report.html", *(f"{name}.parquet" for name in TABLES)}


Patrol = Callable[..., str]


@pytest.fixture
def patrol(capsys: pytest.CaptureFixture[str]) -> Patrol:
    """Types a command; gives what it prints. It must succeed."""

    def typed(*words: object) -> str:
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        assert not end.value.code, printed.err
        return printed.out

    return typed


def scenario(folder: Path, incidents_per_day: int, units: int) -> Path:
    path = folder / "day.toml"
    path.write_text(
        f"""
        name = "day"
        title = "A day"
        city.path = "city"
        run = {{ start = 2026-06-01T00:00:00, days = 1.0, seed = 1 }}
        demand = {{ incidents_per_day = {incidents_per_day}, weight = "road_length" }}
        units.count = {units}
        """,
        "utf-8",
    )
    return path


def check_run(folder: Path, about: int) -> dict:
    """Every file is there, the incidents are about as many as asked for, and all were reached."""
    assert {path.name for path in folder.iterdir()} == RUN_FILES
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    total = summary["incidents"]["total"]
    assert abs(total - about) < 4 * about**0.5
    assert summary["incidents"]["reached"] == total == len(pd.read_parquet(folder / "incidents.parquet"))
    assert 0 < summary["share_within"]["overall"]["ordered"] < 1
    return summary


@pytest.mark.skipif(not CHANGSHA.exists(), reason=f"{CHANGSHA} is not there")
def test_a_day_of_changsha_with_3400_incidents_and_240_units(patrol: Patrol, tmp_path: Path) -> None:
    roads = ("--layer", "edges", "--boundary", DISTRICTS, "--cell-m", 1000, "--make-posts", 80)
    patrol("city", "build", CHANGSHA, *roads, "--name", "Changsha", "--out", tmp_path / "city", "--quiet")
    patrol("run", scenario(tmp_path, 3400, 240), "--out", tmp_path / "run", "--quiet")
    summary = check_run(tmp_path / "run", about=3400)
    assert {"岳麓区", "芙蓉区", "天心区", "开福区", "雨花区"} <= set(summary["share_within"]["by_district"])
    assert len(summary["utilisation"]["by_unit"]) == 480, "240 by day and 240 by night"


@pytest.mark.skipif(not BALTIMORE.exists(), reason=f"{BALTIMORE} is not there")
def test_a_day_of_baltimore_from_tagged_roads(patrol: Patrol, tmp_path: Path) -> None:
    built = ("--name", "Baltimore", "--cell-m", 500, "--make-posts", 12)
    patrol("city", "build", BALTIMORE, *built, "--out", tmp_path / "city", "--quiet")
    assert "expressway" in patrol("city", "check", tmp_path / "city")
    patrol("run", scenario(tmp_path, 300, 20), "--out", tmp_path / "run", "--quiet")
    check_run(tmp_path / "run", about=300)
    assert "5 min" in patrol("coverage", tmp_path / "city", "--minutes", 1, 3, 5)
