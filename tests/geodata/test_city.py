"""A saved city comes back as it was, and one that was altered is refused."""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import pytest
import shapely
from pandas.testing import assert_frame_equal

from geodata.bundle import Bundle
from geodata.city import FORMAT, City, Source, city_manifest
from geodata.defects import Defect, defect_table
from geodata.errors import InputError
from geodata.files import write_folder
from geodata.grid import Grid
from geodata.network import RoadNetwork


@pytest.fixture
def saved(small_city: City, tmp_path: Path) -> Path:
    small_city.save(tmp_path / "city")
    return tmp_path / "city"


def test_a_city_comes_back_as_it_was_saved(small_city: City, saved: Path) -> None:
    city = City.load(saved)
    for field in fields(RoadNetwork):
        was, now = getattr(small_city.network, field.name), getattr(city.network, field.name)
        assert np.array_equal(was, now, equal_nan=field.name == "street_speed_kmh")
    assert city.network.digest == small_city.network.digest
    for was, now in (
        (small_city.grid.cells, city.grid.cells),
        (small_city.grid.areas, city.grid.areas),
        (small_city.sites.table, city.sites.table),
        (small_city.posts.table, city.posts.table),
    ):
        assert_frame_equal(was, now, check_dtype=False)
    assert list(city.posts.positions) == list(small_city.posts.positions)
    assert (city.name, city.name_en, city.sources) == (small_city.name, small_city.name_en, small_city.sources)


def test_the_same_city_is_saved_in_the_same_bytes(small_city: City, saved: Path, tmp_path: Path) -> None:
    small_city.save(tmp_path / "again")
    for path in saved.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_saving_again_replaces_the_folder_whole(small_city: City, saved: Path) -> None:
    (saved / "stray.txt").write_text("left by hand")
    small_city.save(saved)
    assert not (saved / "stray.txt").exists()
    assert [path.name for path in saved.parent.iterdir()] == ["city"]


def test_a_write_that_fails_leaves_the_old_folder_and_nothing_else(saved: Path) -> None:
    before = sorted(path.name for path in saved.iterdir())

    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_folder(saved, fail)
    assert sorted(path.name for path in saved.iterdir()) == before
    assert [path.name for path in saved.parent.iterdir()] == ["city"]


@pytest.mark.parametrize(
    ("break_it", "place", "found"),
    [
        (lambda folder: (folder / "tail.npy").unlink(), "tail.npy", "no such file"),
        (lambda folder: (folder / "cells.parquet").write_bytes(b"PAR1"), "cells.parquet", "4 bytes"),
        (lambda folder: (folder / "stray.txt").write_text("x"), "stray.txt", "does not list"),
        (lambda folder: (folder / "manifest.json").unlink(), "", "no manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json", "no JSON"),
        (lambda folder: (folder / "manifest.json").write_text("[" * 100_000), "manifest.json", "no JSON"),
        (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json", "format None"),
        (lambda folder: (folder / "manifest.json").write_text('{"format": 1}'), "manifest.json", "format 1"),
        (lambda folder: (folder / "manifest.json").write_text('{"format": 2}'), "manifest.json", "other content"),
    ],
)
def test_a_city_that_was_cut_short_or_altered_is_refused(saved: Path, break_it, place: str, found: str) -> None:
    break_it(saved)
    with pytest.raises(InputError) as refusal:
        City.load(saved)
    fault = refusal.value.faults[0]
    assert fault.place == place
    assert found in fault.found
    assert "patrol city build" in fault.mend


def test_a_city_of_a_newer_version_asks_for_an_update(saved: Path) -> None:
    (saved / "manifest.json").write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(InputError, match=rf"found format {FORMAT + 1}; expected at most format {FORMAT}. Update"):
        City.load(saved)


def test_any_byte_that_is_altered_and_any_cut_is_found(saved: Path) -> None:
    """Every file of the folder, at places all over it."""
    City.load(saved)
    rng = np.random.default_rng(135)
    refused = 0
    for path in sorted(saved.iterdir()):
        whole = path.read_bytes()
        at = np.unique(np.r_[0, len(whole) - 1, rng.integers(0, len(whole), 6)])
        flipped = [whole[:i] + bytes([whole[i] ^ (1 << rng.integers(8))]) + whole[i + 1 :] for i in at.tolist()]
        cut = [whole[:i] for i in at.tolist()]
        for altered in [*flipped, *cut, whole + b" "]:
            path.write_bytes(altered)
            with pytest.raises(InputError) as refusal:
                City.load(saved)
            assert refusal.value.faults[0].place == path.name
            refused += 1
        path.write_bytes(whole)
    assert refused > 400
    City.load(saved)


def test_files_of_the_system_are_no_strangers(saved: Path) -> None:
    (saved / ".DS_Store").write_bytes(b"x")
    assert City.load(saved).name == "小城"


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        City.load(tmp_path / "nowhere")


def test_the_manifest_tells_what_the_city_is(small_city: City, saved: Path) -> None:
    manifest = city_manifest(saved)
    assert manifest["format"] == FORMAT
    assert manifest["written_by"]["patrol135"]
    assert manifest["written_by"]["pyarrow"]
    assert manifest["crs"]["epsg"] == small_city.network.epsg
    assert manifest["counts"]["streets"] == small_city.network.n_streets
    assert [source["what"] for source in manifest["sources"]] == ["made for the tests"]
    assert re.fullmatch("[0-9a-f]{64}", manifest["digest"])
    listed = {path.name for path in saved.iterdir()} - {"manifest.json"}
    assert manifest["files"].keys() == listed
    assert {Path(name).suffix for name in listed} == {".npy", ".parquet"}


def test_the_digest_is_the_same_in_another_process_and_another_for_another_city(
    small_city: City, saved: Path, tmp_path: Path
) -> None:
    again = "from geodata.city import City; from pathlib import Path; import sys\n"
    again += "City.load(Path(sys.argv[1])).save(Path(sys.argv[2]))"
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Shanghai"}
    subprocess.run([sys.executable, "-c", again, saved, tmp_path / "again"], check=True, env=environment)
    replace(small_city, name="another").save(tmp_path / "other")
    digest = city_manifest(saved)["digest"]
    assert city_manifest(tmp_path / "again")["digest"] == digest
    assert city_manifest(tmp_path / "other")["digest"] != digest


def test_sources_and_defects_come_back(small_city: City, tmp_path: Path) -> None:
    (tmp_path / "roads.osm").write_text("<osm/>")
    source = Source.of_file("roads", tmp_path / "roads.osm", licence="ODbL", declared="GCJ-02")
    shapes = np.array([shapely.LineString([(0, 0), (3, 4)]), None], object)
    traps = Defect(kind="traps", done="left out", label=("way 1", "way 2"), shapes=shapes, epsg=4547)
    city = replace(small_city, sources=(source,), defects=defect_table([traps], 4547))
    city.save(tmp_path / "city")
    loaded = City.load(tmp_path / "city")
    assert loaded.sources == (source,)
    assert str(source) == "roads: roads.osm, ODbL, GCJ-02"
    assert source.sha256 == hashlib.sha256(b"<osm/>").hexdigest()
    assert_frame_equal(city.defects, loaded.defects, check_dtype=False)
    assert loaded.defects.crs == 4547
    assert city_manifest(tmp_path / "city")["defects"] == {"traps": 2}


def test_areas_with_outlines_of_their_own_come_back(small_city: City, tmp_path: Path) -> None:
    areas = small_city.grid.areas
    shaped = gpd.GeoDataFrame(areas, geometry=[None, shapely.box(0, 0, 1, 1), None], crs=4547)
    replace(small_city, grid=Grid(small_city.grid.cells, shaped)).save(tmp_path / "city")
    loaded = City.load(tmp_path / "city").grid.areas
    assert loaded["geometry"].isna().tolist() == [True, False, True]
    assert loaded.geometry[1].equals(shapely.box(0, 0, 1, 1))


def test_arrays_are_mapped_not_read(saved: Path) -> None:
    assert isinstance(City.load(saved).network.shape_xy_m, np.memmap)


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter the manifest and give it the digest that it then has."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    change(manifest)
    text = json.dumps(manifest | {"digest": ""})
    digest = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(text.replace('"digest": ""', f'"digest": "{digest}"'), "utf-8")


class TestFormat2:
    """A folder as format 2 was first released, written by hand: every later version must read it."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        arrays = {
            "node_xy_m": [[400_000.0, 3_120_000.0], [400_100.0, 3_120_000.0]],
            "tail": np.array([0, 1], "i4"),
            "head": np.array([1, 0], "i4"),
            "street": np.array([0, 0], "i4"),
            "backward": [False, True],
            "twin": np.array([1, 0], "i4"),
            "permission": np.array([0, 0], "u1"),
            "banned_turns": np.empty((0, 2), "i4"),
            "street_length_m": [100.0],
            "street_class": np.array([3], "u1"),
            "street_speed_kmh": [np.nan],
            "given_s": [[7.5, 8.5]],
            "street_name": np.array([1], "i4"),
            "shape_first": np.array([0, 2], "i8"),
            "shape_xy_m": [[400_000.0, 3_120_000.0], [400_100.0, 3_120_000.0]],
            "piece_street": np.array([0], "i4"),
            "piece_cell": np.array([0], "i4"),
            "piece_from_m": [0.0],
            "piece_to_m": [100.0],
            "post_edge": np.array([0], "i4"),
            "post_offset_m": [50.0],
        }
        for name, array in arrays.items():
            np.save(tmp_path / f"{name}.npy", np.asarray(array))
        text = {"name": ["甲"], "name_en": ["A"]}
        cell = shapely.box(399_900, 3_119_900, 400_200, 3_120_100)
        point = shapely.Point(400_050, 3_120_010)
        shaped = {
            "cells": ({"code": ["011"], "parent": ["01"], **text, "residents": [5.0]}, cell),
            "sites": ({"id": ["S1"], **text, "kind": ["school"], "place_class": ["vital"]}, point),
            "posts": ({"id": ["P1"], **text, "kind": ["post"], "capacity": [2]}, point),
        }
        for name, (columns, shape) in shaped.items():
            crs = pyproj.CRS(4547).to_json_dict()
            geo = {"version": "1.0.0", "primary_column": "geometry"}
            geo["columns"] = {"geometry": {"encoding": "WKB", "geometry_types": [], "crs": crs}}
            table = pa.table(columns | {"geometry": [shapely.to_wkb(shape)]})
            pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), tmp_path / f"{name}.parquet")
        area = {"code": ["01"], "parent": [""], "level": ["district"], "name": ["区"], "name_en": ["D"]}
        pq.write_table(pa.table(area), tmp_path / "areas.parquet")
        pq.write_table(pa.table({"name": ["", "五一路"]}), tmp_path / "names.parquet")
        files = {
            path.name: {"bytes": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for path in sorted(tmp_path.iterdir())
        }
        manifest = {
            "format": 2,
            "digest": "",
            "written_by": {"patrol135": "0.2.0"},
            "name": "甲城",
            "name_en": "Jia",
            "crs": {"epsg": 4547, "name": "CGCS2000 / 3-degree Gauss-Kruger CM 114E"},
            "sources": [{"what": "roads", "file": "a.osm", "sha256": "00", "licence": "ODbL", "declared": ""}],
            "counts": {},
            "defects": {},
            "given_names": ["free_flow"],
            "files": files,
        }
        (tmp_path / "manifest.json").write_text(json.dumps(manifest))
        rewrite(tmp_path, lambda _: None)
        return tmp_path

    def test_it_is_read(self, folder: Path) -> None:
        city = City.load(folder)
        network = city.network
        assert (city.name, city.name_en, network.epsg, network.names) == ("甲城", "Jia", 4547, ("", "五一路"))
        assert (network.n_nodes, network.n_open, network.given_names) == (2, 2, ("free_flow",))
        assert network.given_s.tolist() == [[7.5, 8.5]]
        assert city.road_m_by_cell.tolist() == [100]
        assert city.grid.ancestor("district").tolist() == ["区"]
        assert city.grid.cells.crs == 4547
        assert city.posts.positions[0] == (0, 50.0)
        assert city.sites.place_class(np.array([[400_050.0, 3_120_010.0]])).tolist() == [2]
        assert [str(source) for source in city.sources] == ["roads: a.osm, ODbL"]

    def test_columns_and_tables_that_came_later_get_their_defaults(self, folder: Path) -> None:
        city = City.load(folder)
        assert city.sites.table["opening_hours"].tolist() == [""]
        assert city.posts.takes("car").tolist() == [True]
        assert city.posts.table["off_road_m"].isna().all()
        assert (len(city.defects), len(city.areas)) == (0, 0)
        city.save(folder / "again")
        assert City.load(folder / "again").name == "甲城"

    def test_what_it_does_not_know_is_passed_over(self, folder: Path) -> None:
        def add(manifest: dict[str, Any]) -> None:
            manifest["weather"] = "rain"
            manifest["sources"][0]["mood"] = "good"

        rewrite(folder, add)
        assert City.load(folder).sources[0].file == "a.osm"

    def test_a_later_version_takes_it_one_step_up(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def step(bundle: Bundle) -> Bundle:
            return replace(bundle, manifest={**bundle.manifest, "name": f"{bundle.manifest['name']} 3"})

        monkeypatch.setattr("geodata.city.FORMAT", 3)
        monkeypatch.setattr("geodata.city.UPGRADES", {2: step})
        assert City.load(folder).name == "甲城 3"

    def test_files_that_make_no_city_are_refused(self, folder: Path) -> None:
        rewrite(folder, lambda manifest: manifest.pop("crs"))
        with pytest.raises(InputError, match="no city in them"):
            City.load(folder)
