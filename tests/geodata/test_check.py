"""What a check of a city tells: sizes, faults with their cases, and the datum that its points were in."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from geodata.check import Finding, check_city, city_faults
from geodata.city import City, Source
from geodata.crs import LONLAT, project
from geodata.datum import Datum, from_wgs84, to_wgs84
from geodata.defects import Defect, defect_table
from geodata.grid import Grid
from geodata.network import RoadClass, build_network
from geodata.positions import Positions, locate, snap
from geodata.readers.graphml import read_graphml
from geodata.sites import Posts, Sites


def said(city: City) -> dict[str, str]:
    return {finding.topic: finding.value for finding in check_city(city)}


def told(city: City) -> dict[str, Defect]:
    return {fault.kind: fault for fault in city_faults(city)}


def with_sites(city: City, rows: Sequence[int], **columns: list[object]) -> City:
    """The city with some of its sites, one row for each of `rows`, and altered columns."""
    table = city.sites.table.iloc[list(rows)].reset_index(drop=True)
    return replace(city, sites=Sites(table.assign(**columns)))


def test_sizes_of_roads_grid_posts_and_sites(small_city: City) -> None:
    found = said(small_city)
    assert found["roads"].startswith("400 junctions, 760 streets, 1,501 directed edges, ")
    assert [f"roads, {cls.name.lower()}" in found for cls in RoadClass] == [True] * 4 + [False]
    assert found["one-way roads"] == "2% of the length"
    assert found["grid"] == "20 cells, 10,000 residents, 2 districts"
    assert found["cells without a road"] == "none"
    assert found["posts"] == "4 with room for 7 units"
    assert found["sites"] == "3 vital, 3 key, 3 general"
    assert found["posts off the road"].startswith("median ")


def test_a_finding_reads_as_one_line() -> None:
    assert str(Finding(topic="posts", value="none", warning="A run needs one.")) == "posts: none — A run needs one."


def test_a_sound_city_has_no_fault(small_city: City) -> None:
    assert city_faults(small_city) == []


def test_no_posts_and_no_sites_are_told(small_city: City) -> None:
    none = Posts(small_city.posts.table[:0], Positions(np.empty(0, np.int32), np.empty(0)))
    bare = replace(small_city, posts=none, sites=Sites(small_city.sites.table[:0]))
    warned = {finding.topic: finding.warning for finding in check_city(bare)}
    assert warned["posts"] == "A run needs at least one."
    assert said(bare)["sites"] == "none"
    assert city_faults(bare) == []


def test_faults_of_the_grid_name_the_cells_and_show_the_ground(small_city: City) -> None:
    cells = small_city.grid.cells.copy()
    codes = cells["code"].tolist()
    cells.loc[0, "geometry"] = cells.geometry[0].union(cells.geometry[1])
    cells.loc[2, "parent"] = "nowhere"
    found = told(replace(small_city, grid=Grid(cells, small_city.grid.areas)))
    overlap = found["grid: overlap"]
    assert overlap.label == (f"{codes[0]}/{codes[1]}",)
    assert overlap.shapes[0].area == pytest.approx(cells.geometry[1].area)
    assert overlap.stays
    assert found["grid: orphan"].label == (codes[2],)
    assert found["grid: orphan"].shapes[0] == cells.geometry[2], "shown by its own ground"


def test_places_with_one_id_or_at_one_spot(small_city: City) -> None:
    city = with_sites(small_city, [0, 1, 0, 2, 0], id=["a", "b", "c", "b", "d"])
    found = told(city)
    assert found["sites with the id of another"].label == ("b",)
    assert found["sites at one spot"].label == ("c at a", "d at a")
    assert (found["sites at one spot"].shapes == city.sites.table.geometry.to_numpy()[[2, 4]]).all()


def test_places_far_from_the_roads_and_outside_the_grid(small_city: City) -> None:
    west, south = small_city.network.node_xy_m.min(axis=0) - 3000
    shapes = gpd.GeoSeries([shapely.Point(west, south), *small_city.sites.table.geometry[1:3]], crs=4547)
    city = with_sites(small_city, [0, 1, 2])
    city = replace(city, sites=Sites(city.sites.table.set_geometry(shapes)))
    found = told(city)
    assert found["sites outside the grid"].label == ("S1",)
    (far,) = found["sites more than 300 m off the road"].label
    assert far.startswith("S1 (4,2")


def test_a_polygon_that_reaches_into_the_grid_is_not_outside(small_city: City) -> None:
    x, y = small_city.grid.cells.total_bounds[:2]
    shape = gpd.GeoSeries([shapely.box(x - 900, y - 900, x + 50, y + 50)], crs=4547)
    city = with_sites(small_city, [0])
    assert city_faults(replace(city, sites=Sites(city.sites.table.set_geometry(shape)))) == []


def test_sites_that_never_open(small_city: City) -> None:
    city = with_sites(small_city, [0, 1], opening_hours=["off", "We off"])
    assert told(city)["sites that never open"].label == ("S1",)


def test_what_is_still_there_comes_before_what_was_dealt_with_and_that_by_its_length(small_city: City) -> None:
    def streets(kind: str, length_m: float) -> Defect:
        line = np.array([shapely.LineString([(0, 0), (length_m, 0)])], object)
        return Defect(kind=kind, done="left out", label=("way 1",), shapes=line, epsg=4547)

    defects = defect_table([streets("short", 10), streets("long", 900)], 4547)
    city = replace(with_sites(small_city, [0, 1], opening_hours=["off", ""]), defects=defects)
    assert [fault.kind for fault in city_faults(city)] == ["sites that never open", "long", "short"]
    assert [fault.done for fault in city_faults(city)][1:] == ["left out", "left out"]


class TestDatum:
    """Posts at the roads of the small city, read rightly and wrongly."""

    def posts(self, city: City, lonlat: np.ndarray) -> City:
        xy = project(lonlat, LONLAT, city.network.epsg)
        positions, _ = snap(city.network, xy)
        ids = [f"P{i}" for i in range(len(xy))]
        columns = {"id": ids, "name": ids, "name_en": ids, "kind": "post", "capacity": 1}
        table = gpd.GeoDataFrame(pd.DataFrame(columns), geometry=shapely.points(xy), crs=city.network.epsg)
        return replace(city, posts=Posts(table, positions))

    def lonlat(self, city: City) -> np.ndarray:
        rng = np.random.default_rng(5)
        edge = rng.choice(city.network.n_open, 33, replace=False).astype(np.int32)
        spots = locate(city.network, Positions(edge, np.full(33, 20.0)))
        return project(spots + rng.normal(0, 3, (33, 2)), city.network.epsg, LONLAT)

    def test_posts_on_the_roads_fit(self, small_city: City) -> None:
        city = self.posts(small_city, self.lonlat(small_city))
        assert said(city)["datum of the posts"].endswith("WGS-84 fits")

    def test_gcj02_taken_for_wgs84_is_named_with_both_distances(self, small_city: City) -> None:
        city = self.posts(small_city, from_wgs84(self.lonlat(small_city), Datum.GCJ02))
        (finding,) = [finding for finding in check_city(city) if finding.topic == "datum of the posts"]
        assert finding.value.startswith("as WGS-84 the median of 33 posts is ")
        assert finding.value.endswith(" m: declare GCJ-02")
        assert "Build the city again with that datum declared" in finding.warning

    def test_a_declared_datum_is_tested_on_the_numbers_of_the_file(self, small_city: City) -> None:
        """WGS-84 that was declared to be GCJ-02, and so moved away."""
        city = self.posts(small_city, to_wgs84(self.lonlat(small_city), Datum.GCJ02))
        city = replace(city, sources=(Source(what="posts", file="posts.csv", declared="GCJ-02"),))
        value = said(city)["datum of the posts"]
        assert value.startswith("as GCJ-02 the median of 33 posts is ")
        assert value.endswith(" m: declare WGS-84")


CHANGSHA = Path(__file__).parents[2] / "../shared/data/changsha-osm2019/changsha_core_small.graphml"


@pytest.mark.skipif(not CHANGSHA.is_file(), reason="../shared/data/changsha-osm2019 is not there")
def test_points_of_changsha_in_gcj02_are_found_out(small_city: City) -> None:
    network, _ = build_network(read_graphml(CHANGSHA)[0])
    city = replace(small_city, network=network)
    test = TestDatum()
    shifted = test.posts(city, from_wgs84(test.lonlat(city), Datum.GCJ02))
    assert said(shifted)["datum of the posts"].endswith("declare GCJ-02")
