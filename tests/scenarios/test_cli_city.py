"""`patrol city info`, `export` and `check`, as typed."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely

from geodata.city import City, Source, city_manifest
from geodata.defects import Defect, defect_table
from geodata.grid import Grid
from geodata.sites import Sites

Patrol = Callable[..., Any]


@pytest.fixture
def patrol(patrol: Patrol) -> Patrol:
    """Type a `city` command in a folder of its own."""
    return partial(patrol, "city")


@pytest.fixture
def faulty(small_city: City, tmp_path: Path) -> Path:
    """A saved city with faults of places, of the grid and of its sources."""
    cells = small_city.grid.cells.copy()
    cells.loc[0, "geometry"] = cells.geometry[0].union(cells.geometry[1])
    cells.loc[2, "parent"] = "nowhere"
    sites = small_city.sites.table.assign(opening_hours=["off", *[""] * 8])
    lines = np.array([shapely.LineString([(400_000, 3_120_000), (400_000 + d, 3_120_000)]) for d in (300, 500)], object)
    traps = Defect(kind="one-way traps", done="left out", label=("way 1", "way 2"), shapes=lines, epsg=4547)
    nothing = Defect(kind="no class", done="taken as local", label=("",), shapes=np.array([None]), epsg=4547)
    city = replace(
        small_city,
        grid=Grid(cells, small_city.grid.areas),
        sites=Sites(sites),
        defects=defect_table([traps, nothing], 4547),
        sources=(Source(what="roads", file="a.osm", sha256="ab" * 32, licence="ODbL"),),
    )
    city.save(tmp_path / "faulty")
    return tmp_path / "faulty"


def row(text: str, begin: str) -> str:
    lines = [" ".join(line.split()) for line in text.splitlines()]
    (found,) = [line for line in lines if line.startswith(begin)]
    return found


def test_info_tells_what_a_saved_city_is(patrol: Patrol, faulty: Path) -> None:
    ended = patrol("info", "faulty")
    assert (ended.status, ended.err) == (0, "")
    manifest = city_manifest(faulty)
    assert row(ended.out, "name") == "name 小城 Small City"
    assert row(ended.out, "digest") == f"digest {manifest['digest']}"
    assert row(ended.out, "format").startswith("format 2, written by patrol135 ")
    assert row(ended.out, "CRS") == "CRS EPSG:4547 CGCS2000 / 3-degree Gauss-Kruger CM 114E"
    assert row(ended.out, "bounds").startswith("bounds longitude 112.98")
    assert row(ended.out, "streets").startswith("streets 760, 11")
    assert row(ended.out, "tables of times") == "tables of times none"
    assert row(ended.out, "residents") == "residents 10,000"
    assert row(ended.out, "areas") == "areas 3: 1 city, 2 district"
    assert row(ended.out, "sites") == "sites 9: 3 vital, 3 key, 3 general"
    assert row(ended.out, "posts") == "posts 4: 2 station, 1 platform, 1 room"
    assert row(ended.out, "source defects") == "source defects 3: 2 one-way traps, 1 no class"
    assert row(ended.out, "source roads") == "source roads: a.osm, ODbL"
    assert row(ended.out, "SHA-256") == f"SHA-256 {'ab' * 32}"
    size = sum(path.stat().st_size for path in faulty.iterdir())
    assert f"{size / 1e6:,.1f} MB in {len(list(faulty.iterdir()))} files" in row(ended.out, "folder")


def test_info_refuses_a_city_that_was_altered(patrol: Patrol, faulty: Path) -> None:
    with (faulty / "tail.npy").open("ab") as file:
        file.write(b"x")
    ended = patrol("info", "faulty")
    assert ended.status == 2
    assert "tail.npy: found 6," in ended.err or "tail.npy: found 12," in ended.err
    assert "patrol city build" in ended.err


def test_a_check_lists_each_kind_the_worst_first(patrol: Patrol, faulty: Path) -> None:
    ended = patrol("check", faulty)
    assert (ended.status, ended.err) == (0, "")
    begins = ["Still in it", "sites that never open", "grid: overlap", "grid: orphan"]
    begins += ["Wrong in the sources, dealt with", "one-way traps", "no class"]
    at = [ended.out.index(begin) for begin in begins]
    assert at == sorted(at)
    assert row(ended.out, "sites that never open") == "sites that never open 1 mend their opening hours S1"
    assert row(ended.out, "one-way traps") == "one-way traps 2 0.80 km left out way 1, way 2"
    assert "ha" in row(ended.out, "grid: overlap")
    assert row(ended.out, "grid: orphan").endswith("G02")
    assert "3 kinds of fault still in it" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 110


def test_a_sound_city_is_called_sound(patrol: Patrol, small_city_folder: Path) -> None:
    ended = patrol("check", small_city_folder, "--layer", "f.gpkg")
    assert "Still in it" not in ended.out
    assert "Nothing to draw: f.gpkg is not written." in ended.out
    assert not Path("f.gpkg").exists()


def test_the_layers_hold_every_case_that_the_text_counts(patrol: Patrol, faulty: Path) -> None:
    ended = patrol("check", faulty, "--layer", "faults.gpkg")
    assert ended.status == 0
    tables = {name: gpd.read_file("faults.gpkg", layer=name) for name in pyogrio.list_layers("faults.gpkg")[:, 0]}
    assert {name: table["kind"].tolist() for name, table in tables.items()} == {
        "faults_points": ["sites that never open"],
        "faults_lines": ["one-way traps", "one-way traps"],
        "faults_areas": ["grid: overlap", "grid: orphan"],
        "faults_nowhere": ["no class"],
    }
    assert tables["faults_lines"]["label"].tolist() == ["way 1", "way 2"]
    assert tables["faults_lines"]["length_m"].tolist() == [300, 500]
    assert tables["faults_areas"].crs == 4547
    for name, table in tables.items():
        assert row(ended.out, name) == f"{name} {len(table)}"


def test_an_export_tells_its_layers_and_keeps_the_files_of_others(patrol: Patrol, small_city_folder: Path) -> None:
    ended = patrol("export", small_city_folder, "--gpkg", "out/city.gpkg")
    assert ended.status == 0
    assert row(ended.out, "streets") == "streets 760"
    assert "cells" in pyogrio.list_layers("out/city.gpkg")[:, 0]
    assert patrol("export", small_city_folder, "--gpkg", "out/city.gpkg").status == 0
    Path("mine.gpkg").write_text("mine")
    ended = patrol("export", small_city_folder, "--gpkg", "mine.gpkg")
    assert ended.status == 2
    assert "did not write" in ended.err
    assert Path("mine.gpkg").read_text() == "mine"
    assert patrol("export", small_city_folder, "--gpkg", "mine.gpkg", "--force").status == 0
    assert "streets" in pyogrio.list_layers("mine.gpkg")[:, 0]


@pytest.mark.parametrize("command", ["info", "check"])
def test_the_demo_city_can_be_looked_at_without_a_folder(patrol: Patrol, command: str) -> None:
    ended = patrol(command, "demo")
    assert ended.status == 0
    assert "云江市 Yunjiang (demo)" in ended.out
    assert "digest" not in ended.out


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("info", "nowhere"), "no such folder"),
        (("export", "nowhere", "--gpkg", "a.gpkg"), "no such folder"),
        (("check", "nowhere"), "no such folder"),
        (("export", "demo", "--gpkg", "a.shp"), "a name that ends in .gpkg"),
        (("check", "demo", "--layer", "a.geojson"), "a name that ends in .gpkg"),
    ],
)
def test_wrong_words_are_told_without_a_traceback(patrol: Patrol, arguments: tuple[str, ...], found: str) -> None:
    ended = patrol(*arguments)
    assert ended.status == 2
    assert found in ended.err
