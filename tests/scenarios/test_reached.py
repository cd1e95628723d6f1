"""`patrol coverage` with closures, rules and layers; `patrol city calibrate`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geodata.city import City
from geodata.crs import LONLAT, project
from geodata.driving import RULES
from geodata.positions import Positions, locate
from geodata.routing import RoadTravel
from geodata.speeds import SpeedProfile, weekly_kmh
from geodata.timetable import times_between
from scenarios.cli import main
from scenarios.cli_reach import Driving
from scenarios.schema import SpeedsPart

Patrol = Callable[..., str]


@pytest.fixture
def patrol(patrol: Callable[..., Any]) -> Patrol:
    """Types a command; gives what it prints. It must succeed."""

    def typed(*words: object) -> str:
        ended = patrol(*words)
        assert not ended.status, ended.err
        return ended.out

    return typed


@pytest.fixture
def folder(small_city: City, tmp_path: Path) -> Path:
    small_city.save(tmp_path / "city")
    return tmp_path / "city"


def test_the_command_line_knows_all_driving_rules() -> None:
    assert list(get_args(Driving)) == list(RULES)


def shares(text: str, row: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.strip().startswith(row))
    return line.split()[2:]


def test_what_is_closed_is_not_reached(small_city: City, folder: Path, patrol: Patrol, tmp_path: Path) -> None:
    free = patrol("coverage", folder, "--quiet")
    west, south, east, north = (
        small_city.network.node_xy_m.min(0).tolist() + small_city.network.node_xy_m.max(0).tolist()
    )
    half = shapely.box(west - 50, south - 50, (west + east) / 2, north + 50)
    gpd.GeoDataFrame(geometry=[half], crs=small_city.network.epsg).to_file(tmp_path / "flood.gpkg")
    flooded = patrol("coverage", folder, "--closed", tmp_path / "flood.gpkg", "--quiet")
    assert "with closures" in flooded
    road = [float(shares(text, "5 min")[6]) for text in (free, flooded)]
    assert road[1] < 0.6 * road[0]


def test_layers_of_what_is_reached_open_in_a_gis(folder: Path, patrol: Patrol, tmp_path: Path) -> None:
    patrol("coverage", folder, "--minutes", 1, 3, "--gpkg", tmp_path / "reach.gpkg", "--quiet")
    roads, ground, cells = (gpd.read_file(tmp_path / "reach.gpkg", layer=name) for name in ("roads", "ground", "cells"))
    assert set(roads["limit_s"]) == {60, 180}
    assert (roads[["from_s", "to_s"]].max(axis=1) <= roads["limit_s"] + 1e-6).all()
    assert ground["limit_s"].tolist() == [60, 180]
    assert ground.geometry[1].area > ground.geometry[0].area > 0
    assert (cells["within_180_s"] >= cells["within_60_s"]).all()


def test_a_file_of_somebody_else_is_not_replaced(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.gpkg").write_text("mine")
    with pytest.raises(SystemExit) as end:
        main(["coverage", str(folder), "--gpkg", str(tmp_path / "mine.gpkg")])
    assert end.value.code == 2
    assert "a file that Patrol 135 did not write" in capsys.readouterr().err
    assert (tmp_path / "mine.gpkg").read_text() == "mine"


def journeys_file(city: City, path: Path, kmh: SpeedProfile, rng: np.random.Generator) -> Path:
    """A thousand journeys with the speeds of a profile, some of them by night and some in the peak."""
    network = city.network
    travel = RoadTravel(network, kmh)
    edge = rng.integers(0, network.n_open, 40).astype(np.int32)
    places = Positions(edge, rng.random(40) * network.length_m[edge])
    lonlat = project(locate(network, places), network.epsg, LONLAT)
    lines = ["origin_lon,origin_lat,dest_lon,dest_lat,start,seconds"]
    for hour in (3, 8, 12, 18):
        seconds = times_between(travel, places, places, hour)
        for i, j in rng.integers(0, 40, (250, 2)).tolist():
            ends = ",".join(f"{value:.7f}" for value in (*lonlat[i], *lonlat[j]))
            lines.append(f"{ends},2026-06-01T{hour:02d}:20:00,{seconds[i, j]:.1f}")
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_recorded_journeys_give_the_speeds_of_a_scenario(
    small_city: City, folder: Path, patrol: Patrol, tmp_path: Path
) -> None:
    known = sorted(set(small_city.network.street_class.tolist()))
    slower = SpeedProfile(weekly_kmh((40.0, 28.0, 22.0, 16.0, 10.0), (25.0, 15.0, 14.0, 11.0, 8.0), 1.2))
    slower = SpeedProfile(slower.kmh, (40.0, 28.0, 22.0, 16.0, 10.0))
    path = journeys_file(small_city, tmp_path / "journeys.csv", slower, np.random.default_rng(3))
    text = patrol("city", "calibrate", folder, path)
    assert "Errors" in text
    told = tomllib.loads(text[text.index("[speeds]") :])["speeds"]
    part = SpeedsPart.model_validate(told)
    names = ("expressway", "arterial", "collector", "local")
    for number, (off_peak, peak) in enumerate(zip((40.0, 28.0, 22.0, 16.0), (25.0, 15.0, 14.0, 11.0), strict=True)):
        if number in known:
            assert getattr(part.off_peak_kmh, names[number]) == pytest.approx(off_peak, rel=0.15)
            assert getattr(part.peak_kmh, names[number]) == pytest.approx(peak, rel=0.15)


def test_journeys_of_another_city_are_refused(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "journeys.csv"
    path.write_text(
        "origin_lon,origin_lat,dest_lon,dest_lat,start,seconds\n2.3,48.8,2.4,48.9,2026-06-01T08:00:00,600\n"
    )
    with pytest.raises(SystemExit) as end:
        main(["city", "calibrate", str(folder), str(path)])
    assert end.value.code == 2
    assert "journeys.csv" in capsys.readouterr().err
