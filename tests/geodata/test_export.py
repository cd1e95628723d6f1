"""A city as a GeoPackage: layers of one shape each, with a CRS, and no file of another is lost."""

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import pytest
import shapely

from geodata.city import City
from geodata.defects import Defect, defect_table
from geodata.errors import InputError
from geodata.export import by_shape, city_layers, turn_lines, write_gpkg
from geodata.positions import locate


@pytest.fixture(scope="module")
def rich_city(small_city: City) -> City:
    """With a forbidden turn, and defects of every shape."""
    network = small_city.network
    come = 0
    leave = int(np.flatnonzero((network.tail == network.head[0]) & (network.head != network.tail[0]))[0])
    shapes = np.array(
        [shapely.Point(0, 0), shapely.LineString([(0, 0), (9, 0)]), shapely.box(0, 0, 1, 1), None], object
    )
    mixed = Defect(kind="mixed", done="left out", label=("a", "b", "c", "d"), shapes=shapes, epsg=4547)
    turns = np.array([[come, leave]], np.int32)
    return replace(small_city, network=replace(network, banned_turns=turns), defects=defect_table([mixed], 4547))


def test_every_layer_has_one_kind_of_shape_and_a_crs(rich_city: City, tmp_path: Path) -> None:
    path = tmp_path / "city.gpkg"
    layers = city_layers(rich_city)
    write_gpkg(layers, path)
    kinds = dict(pyogrio.list_layers(path).tolist())
    assert kinds == {
        "streets": "LineString",
        "junctions": "Point",
        "turn_restrictions": "LineString",
        "cells": "Polygon",
        "areas": "Polygon",
        "posts": "Point",
        "posts_on_road": "Point",
        "sites_points": "Point",
        "sites_on_road": "Point",
        "backdrop_areas": "Polygon",
        "defects_points": "Point",
        "defects_lines": "LineString",
        "defects_areas": "Polygon",
        "defects_nowhere": None,
    }
    for name, kind in kinds.items():
        about = pyogrio.read_info(path, layer=name)
        assert about["features"] == len(layers[name])
        assert kind is None or about["crs"] == "EPSG:4547"


def test_streets_and_cells_carry_what_a_planner_needs(rich_city: City, tmp_path: Path) -> None:
    write_gpkg(city_layers(rich_city), tmp_path / "city.gpkg")
    streets = gpd.read_file(tmp_path / "city.gpkg", layer="streets")
    assert {"street", "name", "road_class", "speed_kmh", "one_way", "length_m"} <= set(streets.columns)
    assert streets["length_m"].sum() == pytest.approx(rich_city.network.street_length_m.sum())
    cells = gpd.read_file(tmp_path / "city.gpkg", layer="cells")
    assert cells["in_district"].tolist() == ["西区", "西区", "西区", "东区", "东区"] * 4
    assert cells["in_city"].unique().tolist() == ["小城"]
    assert cells["road_m"].to_numpy() == pytest.approx(rich_city.road_m_by_cell)
    areas = gpd.read_file(tmp_path / "city.gpkg", layer="areas")
    assert areas["code"].tolist() == ["C", "W", "E"]
    assert areas["parent"].tolist() == ["", "C", "C"]
    assert areas.area[0] == pytest.approx(areas.area[1:].sum())


def test_posts_on_the_road_stand_where_units_start(small_city: City) -> None:
    layer = city_layers(small_city)["posts_on_road"]
    on_road = shapely.get_coordinates(layer.geometry.to_numpy())
    assert on_road == pytest.approx(locate(small_city.network, small_city.posts.positions))
    assert layer["off_road_m"].to_numpy() == pytest.approx(layer.distance(small_city.posts.table.geometry).to_numpy())


def test_a_forbidden_turn_is_a_line_through_its_junction(rich_city: City) -> None:
    network = rich_city.network
    (turn,) = turn_lines(network).itertuples()
    come, leave = network.banned_turns[0]
    assert (turn.from_street, turn.to_street) == (network.street[come], network.street[leave])
    first, junction, last = map(np.array, turn.geometry.coords)
    assert junction == pytest.approx(network.node_xy_m[network.head[come]])
    for end, node in ((first, network.tail[come]), (last, network.head[leave])):
        assert np.hypot(*(end - junction)) == pytest.approx(30)
        assert np.hypot(*(end - network.node_xy_m[node])) < np.hypot(*(junction - network.node_xy_m[node]))


def test_a_collection_goes_to_the_layers_of_its_parts() -> None:
    both = shapely.GeometryCollection([shapely.Point(0, 0), shapely.GeometryCollection([shapely.box(0, 0, 1, 1)])])
    table = gpd.GeoDataFrame({"id": ["a", "b"]}, geometry=[both, shapely.Polygon()], crs=4547)
    parts = by_shape("x", table)
    assert {name: part["id"].tolist() for name, part in parts.items()} == {
        "x_points": ["a"],
        "x_areas": ["a"],
        "x_nowhere": ["b"],
    }


class TestTarget:
    def test_our_own_file_is_replaced_whole(self, small_city: City, tmp_path: Path) -> None:
        path = tmp_path / "a.gpkg"
        layers = city_layers(small_city)
        write_gpkg(layers, path)
        write_gpkg({"posts": layers["posts"]}, path)
        assert [p.name for p in tmp_path.iterdir()] == ["a.gpkg"]
        assert pyogrio.list_layers(path)[:, 0].tolist() == ["posts"]

    def test_a_file_of_somebody_else_is_kept_unless_forced(self, small_city: City, tmp_path: Path) -> None:
        path = tmp_path / "mine.gpkg"
        small_city.posts.table.to_file(path)
        before = path.read_bytes()
        with pytest.raises(InputError, match=r"mine\.gpkg: found a file that Patrol 135 did not write; .*--force"):
            write_gpkg(city_layers(small_city), path)
        assert path.read_bytes() == before
        write_gpkg(city_layers(small_city), path, force=True)
        assert "streets" in pyogrio.list_layers(path)[:, 0]

    def test_a_file_that_is_no_geopackage_is_kept(self, small_city: City, tmp_path: Path) -> None:
        path = tmp_path / "notes.gpkg"
        path.write_text("my notes")
        with pytest.raises(InputError, match="did not write"):
            write_gpkg(city_layers(small_city), path)
        assert path.read_text() == "my notes"

    def test_another_ending_and_a_folder_are_refused(self, small_city: City, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"expected a name that ends in \.gpkg"):
            write_gpkg(city_layers(small_city), tmp_path / "a.shp")
        (tmp_path / "b.gpkg").mkdir()
        with pytest.raises(InputError, match="found a folder"):
            write_gpkg(city_layers(small_city), tmp_path / "b.gpkg", force=True)

    def test_a_write_that_fails_leaves_the_old_file(self, small_city: City, tmp_path: Path) -> None:
        path = tmp_path / "a.gpkg"
        layers = city_layers(small_city)
        write_gpkg({"posts": layers["posts"]}, path)
        before = path.read_bytes()
        broken = layers["cells"].assign(bad=1j)
        with pytest.raises(NotImplementedError, match="complex128"):
            write_gpkg({"posts": layers["posts"], "cells": broken}, path)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["a.gpkg"]
