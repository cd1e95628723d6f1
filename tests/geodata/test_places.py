"""Grid polygons, districts, sites and posts from files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geodata.city import City
from geodata.crs import project
from geodata.datum import Datum, from_wgs84
from geodata.errors import InputError
from geodata.grid import AREA_COLUMNS, CELL_COLUMNS
from geodata.positions import locate
from geodata.readers.placefile import MOST_FAULTS
from geodata.readers.places import (
    AreaColumns,
    CellColumns,
    PostColumns,
    SiteColumns,
    datum_warning,
    read_areas,
    read_cells,
    read_posts,
    read_sites,
)
from geodata.sites import POST_COLUMNS, POST_DEFAULTS, SITE_COLUMNS, SITE_DEFAULTS

DISTRICTS = Path(__file__).parents[2] / "../shared/data/changsha-districts"
EPSG = 4547
CORNER_M = np.array([400_000.0, 3_120_000.0])
BOW_TIE = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])


def square(x: float, y: float, side: float = 100) -> shapely.Polygon:
    return moved(shapely.box(x, y, x + side, y + side))


def moved(shape: shapely.Geometry) -> shapely.Geometry:
    return shapely.transform(shape, lambda xy: xy + CORNER_M)


def write(folder: Path, shapes: Sequence[shapely.Geometry | None], **columns: Any) -> Path:
    path = folder / "places.gpkg"
    gpd.GeoDataFrame(columns, geometry=list(shapes), crs=EPSG).to_file(path)
    return path


def faults(refusal: pytest.ExceptionInfo[InputError]) -> list[str]:
    return [f"{fault.place}: {fault.found}" for fault in refusal.value.faults]


class TestCells:
    def test_columns_with_usual_names_are_found(self, tmp_path: Path) -> None:
        path = write(tmp_path, [square(0, 0)], 编码=["0430102001"], 名称=["八一桥"], parent=["0430102"], 人口=[540])
        cells, remarks = read_cells(path, epsg=EPSG)
        assert tuple(cells.columns) == CELL_COLUMNS
        row = cells.iloc[0]
        assert (row["code"], row["name"], row["parent"], row["residents"]) == ("0430102001", "八一桥", "0430102", 540)
        assert remarks == []

    def test_columns_may_be_named(self, tmp_path: Path) -> None:
        path = write(tmp_path, [square(0, 0)], wg=["007"], code=["other"], jd=["12"])
        cells, _ = read_cells(path, CellColumns(code="wg", parent="jd"), epsg=EPSG)
        assert cells[["code", "parent", "name"]].iloc[0].tolist() == ["007", "12", "007"]

    def test_codes_stored_as_numbers_become_text(self, tmp_path: Path) -> None:
        path = write(tmp_path, [square(0, 0), square(100, 0)], code=[430102.0, 430103.0])
        assert read_cells(path, epsg=EPSG)[0]["code"].tolist() == ["430102", "430103"]

    def test_unknown_residents_and_parents_are_left_open(self, tmp_path: Path) -> None:
        cells, _ = read_cells(write(tmp_path, [square(0, 0)], code=["1"]), epsg=EPSG)
        assert np.isnan(cells["residents"]).all()
        assert cells["parent"].tolist() == [""]

    def test_without_codes_cells_are_numbered_and_it_is_told(self, tmp_path: Path) -> None:
        cells, remarks = read_cells(write(tmp_path, [square(0, 0), square(100, 0)]), epsg=EPSG)
        assert cells["code"].tolist() == ["C0001", "C0002"]
        assert "no column of codes; they are numbered C0001 and so on" in remarks[0]

    def test_degrees_are_projected(self, tmp_path: Path) -> None:
        path = tmp_path / "cells.geojson"
        gpd.GeoDataFrame({"code": ["1"]}, geometry=[square(0, 0)], crs=EPSG).to_crs(4326).to_file(path)
        cells, _ = read_cells(path, epsg=EPSG)
        assert cells.crs == EPSG
        assert cells.area.tolist() == pytest.approx([1e4], rel=1e-3)

    def test_all_faults_are_told_at_once(self, tmp_path: Path) -> None:
        shapes = [square(0, 0), moved(BOW_TIE), shapely.Point(CORNER_M), None, square(0, 0)]
        codes, residents = ["1", "1", "", "4", "5"], ["10", "-3", "many", "", "5"]
        path = write(tmp_path, shapes, code=codes, name=["甲", "乙", "丙", "丁", "戊"], residents=residents)
        with pytest.raises(InputError) as refusal:
            read_cells(path, epsg=EPSG)
        assert faults(refusal) == [
            "feature 2 (1): code '1' as in feature 1",
            "feature 3: empty code",
            "feature 2: residents = '-3'",
            "feature 3: residents = 'many'",
            "feature 2 (乙): an invalid ring: Self-intersection[400050 3120050]",
            "feature 3 (丙): a Point",
            "feature 4 (丁): no geometry",
        ]

    def test_an_invalid_ring_names_its_mend(self, tmp_path: Path) -> None:
        path = write(tmp_path, [square(900, 0), moved(BOW_TIE)], code=["1", "2"], name=["甲", "岳麓区"])
        with pytest.raises(InputError, match=r"places\.gpkg: feature 2 \(岳麓区\): .*expected a valid.*with --repair"):
            read_cells(path, epsg=EPSG)

    def test_an_invalid_ring_is_repaired_on_request_and_it_is_told(self, tmp_path: Path) -> None:
        path = write(tmp_path, [square(900, 0), moved(BOW_TIE)], code=["1", "2"])
        cells, remarks = read_cells(path, epsg=EPSG, repair=True)
        assert cells.is_valid.all()
        assert cells.area.tolist() == pytest.approx([10_000, 5000])
        assert "repaired 1 invalid polygons: feature 2 (2)" in remarks[0]

    def test_what_cannot_be_repaired_is_refused_even_so(self, tmp_path: Path) -> None:
        flat = moved(shapely.Polygon([(0, 0), (100, 100), (50, 50)]))
        with pytest.raises(InputError, match="an invalid ring"):
            read_cells(write(tmp_path, [flat], code=["1"]), epsg=EPSG, repair=True)

    def test_a_grid_without_polygons_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path, [shapely.Point(CORNER_M)], code=["1"])
        with pytest.raises(InputError, match=r"feature 1 \(1\): found a Point; expected a polygon"):
            read_cells(path, epsg=EPSG)

    def test_an_empty_grid_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "cells.geojson"
        path.write_text('{"type": "FeatureCollection", "features": []}')
        with pytest.raises(InputError, match=r"cells\.geojson: cells: found no features"):
            read_cells(path, epsg=EPSG)

    def test_a_csv_is_no_grid(self, tmp_path: Path) -> None:
        path = tmp_path / "cells.csv"
        path.write_text("code,lon,lat\n1,112.9,28.2\n")
        with pytest.raises(InputError, match=r"found a CSV, which holds points; expected polygons"):
            read_cells(path, epsg=EPSG)

    def test_a_missing_column_names_the_nearest(self, tmp_path: Path) -> None:
        path = write(tmp_path, [square(0, 0)], code=["1"], people=[3])
        with pytest.raises(InputError, match=r"columns: found no 'peple'; expected 'people', the nearest of: code"):
            read_cells(path, CellColumns(residents="peple"), epsg=EPSG)

    def test_a_flood_of_faults_is_cut_short(self, tmp_path: Path) -> None:
        path = write(tmp_path, [square(0, 0)] * 60, code=[""] * 60)
        with pytest.raises(InputError, match="found 40 more faults") as refusal:
            read_cells(path, epsg=EPSG)
        assert len(refusal.value.faults) == MOST_FAULTS + 1


class TestAreas:
    def test_columns_may_be_named(self, tmp_path: Path) -> None:
        path = write(tmp_path, [square(0, 0)], qh=["0430102"], mc=["芙蓉区"])
        areas, _ = read_areas(path, AreaColumns(code="qh", name="mc"), epsg=EPSG)
        assert tuple(areas.columns) == (*AREA_COLUMNS, "geometry")
        assert areas.drop(columns="geometry").iloc[0].tolist() == ["0430102", "", "district", "芙蓉区", "芙蓉区"]

    @pytest.mark.skipif(not DISTRICTS.is_dir(), reason="../shared/data/changsha-districts is not there")
    def test_the_districts_of_changsha(self) -> None:
        areas, _ = read_areas(DISTRICTS / "changsha_districts_wgs84.geojson", epsg=EPSG)
        assert dict(zip(areas["code"], areas["name"], strict=True))["430104"] == "岳麓区"
        assert areas.area.sum() / 1e6 == pytest.approx(11_820, rel=0.01)

    @pytest.mark.skipif(not DISTRICTS.is_dir(), reason="../shared/data/changsha-districts is not there")
    def test_the_invalid_rings_of_meishan_are_refused_or_repaired(self) -> None:
        with pytest.raises(InputError, match=r"feature 2 \(彭山区\): found an invalid ring: Self-intersection\[103.9"):
            read_areas(DISTRICTS / "511400.json", epsg=4544)
        areas, remarks = read_areas(DISTRICTS / "511400.json", epsg=4544, repair=True)
        assert areas.is_valid.all()
        assert "repaired 3 invalid polygons" in remarks[0]

    def test_coordinates_out_of_range_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "areas.geojson"
        swapped = shapely.box(28.1, 112.9, 28.2, 113.0)
        gpd.GeoDataFrame({"code": ["1"], "name": ["甲"]}, geometry=[swapped], crs=4326).to_file(path)
        with pytest.raises(InputError, match=r"feature 1: found \(28.2, 112.9\): .*look swapped"):
            read_areas(path, epsg=EPSG)


class TestSites:
    @pytest.mark.parametrize(
        ("word", "label"),
        [
            ("vital", "vital"),
            ("KEY", "key"),
            ("general", "general"),
            ("要害部位", "vital"),
            ("重点地区", "key"),
            ("其他", "general"),
        ],
    )
    def test_place_classes_in_both_languages(self, tmp_path: Path, word: str, label: str) -> None:
        path = tmp_path / "sites.csv"
        path.write_text(f"id,place_class,lon,lat\n01,{word},112.98,28.19\n", "utf-8")
        sites, _ = read_sites(path, epsg=EPSG)
        assert sites.table["place_class"].tolist() == [label]

    def test_points_and_polygons_may_stand_together(self, tmp_path: Path) -> None:
        path = tmp_path / "sites.geojson"
        shapes = [shapely.Point(CORNER_M), square(0, 0)]
        table = {"id": ["a", "b"], "type": ["school", "airport"], "place_class": ["key", "vital"]}
        gpd.GeoDataFrame(table, geometry=shapes, crs=EPSG).to_crs(4326).to_file(path)
        sites, remarks = read_sites(path, epsg=EPSG)
        assert tuple(sites.table.columns) == (*SITE_COLUMNS[:-1], *SITE_DEFAULTS, "geometry")
        assert sites.table["kind"].tolist() == ["school", "airport"]
        assert sites.place_class(np.array([CORNER_M + 50])).tolist() == [2]
        assert remarks == []

    def test_without_classes_all_are_key_areas_and_it_is_told(self, tmp_path: Path) -> None:
        sites, remarks = read_sites(write(tmp_path, [shapely.Point(CORNER_M)], id=["1"]), epsg=EPSG)
        assert sites.table["place_class"].tolist() == ["key"]
        assert "every site is taken as a key area" in remarks[0]

    def test_an_unknown_class_is_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path, [shapely.Point(CORNER_M)], id=["1"], cls=["important"])
        with pytest.raises(
            InputError, match=r"feature 1: found cls = 'important'; expected one of general, key, vital"
        ):
            read_sites(path, SiteColumns(place_class="cls"), epsg=EPSG)

    def test_a_line_is_no_site(self, tmp_path: Path) -> None:
        path = write(tmp_path, [shapely.LineString([CORNER_M, CORNER_M + 9])], id=["1"], place_class=["key"])
        with pytest.raises(InputError, match=r"feature 1 \(1\): found a LineString; expected a point or a polygon"):
            read_sites(path, epsg=EPSG)


class TestPosts:
    def on_road(self, city: City, n: int) -> list[shapely.Point]:
        return shapely.points(np.add(city.network.node_xy_m[:n], (0, 10))).tolist()

    def test_a_post_stands_on_the_nearest_road(self, small_city: City, tmp_path: Path) -> None:
        path = write(tmp_path, self.on_road(small_city, 2), id=["01", "02"], capacity=[3, None], kind=["station", None])
        posts, remarks = read_posts(path, small_city.network)
        assert tuple(posts.table.columns) == (*POST_COLUMNS[:-1], *POST_DEFAULTS, "geometry")
        assert posts.table["id"].tolist() == ["01", "02"]
        assert posts.table["capacity"].tolist() == [3, 1]
        assert posts.table["kind"].tolist() == ["station", "post"]
        off = locate(small_city.network, posts.positions) - small_city.network.node_xy_m[:2]
        assert (np.hypot(*off.T) <= 20).all()
        assert remarks == []

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
    def test_a_csv_in_any_usual_encoding(self, small_city: City, tmp_path: Path, encoding: str) -> None:
        x, y = small_city.network.node_xy_m[0]
        path = tmp_path / "posts.csv"
        path.write_text(f"编号,名称,容量,x,y\n007,五一广场屯警点,2,{x},{y}\n", encoding)
        posts, _ = read_posts(path, small_city.network, crs="EPSG:4547")
        row = posts.table.iloc[0]
        assert (row["id"], row["name"], row["capacity"]) == ("007", "五一广场屯警点", 2)

    def test_a_csv_in_degrees_needs_no_crs(self, small_city: City, tmp_path: Path) -> None:
        spot = gpd.GeoSeries(self.on_road(small_city, 1), crs=EPSG).to_crs(4326)[0]
        path = tmp_path / "posts.csv"
        path.write_text(f"id,经度,纬度\nP1,{spot.x},{spot.y}\n", "utf-8")
        assert read_posts(path, small_city.network)[0].table["id"].tolist() == ["P1"]

    def test_x_and_y_without_a_crs_are_refused(self, small_city: City, tmp_path: Path) -> None:
        path = tmp_path / "posts.csv"
        path.write_text("id,X,Y\nP1,400000,3120000\n")
        with pytest.raises(InputError, match=r"columns X, Y: found no CRS; .*Declare the CRS of x and y"):
            read_posts(path, small_city.network)

    def test_a_csv_without_coordinates_is_refused(self, small_city: City, tmp_path: Path) -> None:
        path = tmp_path / "posts.csv"
        path.write_text("id,name\nP1,a\n")
        with pytest.raises(InputError, match=r"header: found id, name; expected columns lon and lat, or x and y"):
            read_posts(path, small_city.network)

    def test_a_csv_with_bad_numbers_names_every_line(self, small_city: City, tmp_path: Path) -> None:
        path = tmp_path / "posts.csv"
        path.write_text("id,lon,lat\nP1,112.9,28.2\nP2,,28.2\nP3,112.9,north\n")
        with pytest.raises(InputError) as refusal:
            read_posts(path, small_city.network)
        assert faults(refusal) == ["line 3: lon='', lat='28.2'", "line 4: lon='112.9', lat='north'"]

    def test_an_empty_csv_is_refused(self, small_city: City, tmp_path: Path) -> None:
        path = tmp_path / "posts.csv"
        path.write_text("id,lon,lat\n")
        with pytest.raises(InputError, match="found no rows"):
            read_posts(path, small_city.network)
        path.write_text("")
        with pytest.raises(InputError, match="expected a CSV file"):
            read_posts(path, small_city.network)

    def test_a_post_far_off_the_road_is_refused(self, small_city: City, tmp_path: Path) -> None:
        far = small_city.network.node_xy_m.min(axis=0) - (5000, 0)
        path = tmp_path / "posts.csv"
        near = small_city.network.node_xy_m[5]
        path.write_text(f"id,x,y\nP1,{near[0]},{near[1]}\nP2,{far[0]},{far[1]}\n")
        with pytest.raises(InputError) as refusal:
            read_posts(path, small_city.network, crs="EPSG:4547")
        (fault,) = refusal.value.faults
        assert fault.source.endswith("posts.csv")
        assert fault.place == "line 3 (P2)"
        assert fault.found.startswith("5,0")
        assert fault.found.endswith(" m to the nearest road")
        assert fault.expected == "at most 300 m"
        assert fault.mend.startswith("Move it to its road, or declare the CRS or datum")

    def test_points_shifted_as_by_a_wrong_datum_are_told(self, small_city: City, tmp_path: Path) -> None:
        west = small_city.network.node_xy_m[:, 0].min()
        xy = [(west - 500, y) for y in small_city.network.node_xy_m[:20, 1]]
        path = write(tmp_path, shapely.points(xy).tolist(), id=[str(i) for i in range(20)])
        with pytest.raises(InputError, match=r"Half of the 20 points lie 5.. m or more off .*GCJ-02 or BD-09"):
            read_posts(path, small_city.network)
        _, remarks = read_posts(path, small_city.network, limit_m=1000)
        assert "GCJ-02" in remarks[0]

    def test_a_capacity_below_one_is_refused(self, small_city: City, tmp_path: Path) -> None:
        path = write(tmp_path, self.on_road(small_city, 1), id=["1"], room=[0])
        with pytest.raises(InputError, match="found room = '0'; expected a number of at least 1"):
            read_posts(path, small_city.network, PostColumns(capacity="room"))

    def test_an_unknown_crs_is_refused(self, small_city: City, tmp_path: Path) -> None:
        path = tmp_path / "posts.csv"
        path.write_text("id,x,y\nP1,400000,3120000\n")
        with pytest.raises(InputError, match=r"CRS: found 'Changsha'; expected a CRS such as EPSG:4326"):
            read_posts(path, small_city.network, crs="Changsha")


@pytest.mark.parametrize(("off_m", "warned"), [(0, False), (150, False), (350, True), (660, True), (5000, False)])
def test_the_datum_warning_looks_at_the_middle_of_the_distances(off_m: float, warned: bool) -> None:
    assert bool(datum_warning(np.array([0.0, off_m, off_m, off_m, 9000]))) == warned


class TestOpeningHours:
    def test_a_closed_site_does_not_ask_for_its_class(self, tmp_path: Path) -> None:
        path = tmp_path / "sites.csv"
        path.write_text("id,place_class,开放时间,lon,lat\nS1,vital,Mo-Fr 08:00-20:00,112.98,28.19\n", "utf-8")
        sites, _ = read_sites(path, epsg=EPSG)
        spot = shapely.get_coordinates(sites.table.geometry[0])
        assert sites.place_class(spot).tolist() == [2]
        assert sites.place_class(spot, hour=12.5).tolist() == [2]
        assert sites.place_class(spot, hour=7.9).tolist() == [0]
        assert sites.place_class(np.repeat(spot, 3, axis=0), hour=[8, 20, 5 * 24 + 12]).tolist() == [2, 0, 0]
        assert sites.open_at(4 * 24 + 19.99).tolist() == [True]
        assert sites.open_at(7 * 24 + 12).tolist() == [True], "the hour after a week is that of the week before"

    def test_without_hours_a_place_is_always_open(self, small_city: City) -> None:
        assert small_city.sites.open_at(3).all()
        assert small_city.posts.open_at(3).all()

    def test_bad_hours_are_refused_by_row_with_the_mend(self, tmp_path: Path) -> None:
        path = tmp_path / "sites.csv"
        path.write_text("id,opening_hours,lon,lat\nS1,24/7,112.98,28.19\nS2,8-20,112.98,28.19\n")
        with pytest.raises(InputError) as refusal:
            read_sites(path, epsg=EPSG)
        (fault,) = refusal.value.faults
        assert fault.place == "line 3"
        assert "'8-20' is no span of time" in fault.found
        assert "Mo-Fr 08:00-20:00" in fault.expected
        assert "times with a colon" in fault.mend

    def test_holidays_are_passed_over_with_a_remark(self, tmp_path: Path) -> None:
        path = tmp_path / "sites.csv"
        path.write_text("id,opening_hours,lon,lat\nS1,24/7,112.98,28.19\nS2,Mo-Fr; PH off,112.98,28.19\n")
        _, remarks = read_sites(path, epsg=EPSG)
        assert any("are passed over, a usual week has none: 1" in remark for remark in remarks)


class TestDistances:
    def test_kinds_of_unit_and_the_distance_are_kept(self, small_city: City, tmp_path: Path) -> None:
        at = np.add(small_city.network.node_xy_m[:2], (0, 5))
        path = write(
            tmp_path,
            shapely.points(at).tolist(),
            id=["1", "2"],
            unit_kinds=["car；motorcycle", None],
            opening_hours=["08:00-20:00", None],
        )
        posts, _ = read_posts(path, small_city.network)
        assert posts.table["unit_kinds"].tolist() == ["car;motorcycle", ""]
        assert posts.takes("motorcycle").tolist() == [True, True]
        assert posts.takes("foot").tolist() == [False, True]
        assert posts.open_at(21).tolist() == [False, True]
        off_m = np.hypot(*(at - locate(small_city.network, posts.positions)).T)
        assert posts.table["off_road_m"].to_numpy() == pytest.approx(off_m)
        assert 0 < posts.table["off_road_m"].max() <= 5

    def test_sites_tell_their_distance_and_a_limit_refuses_them(self, small_city: City, tmp_path: Path) -> None:
        west, south = small_city.network.node_xy_m.min(axis=0) - 400
        shapes = [shapely.Point(west, south), shapely.box(west, south, west + 5000, south + 5000)]
        path = tmp_path / "sites.geojson"
        table = {"id": ["far", "wide"], "place_class": ["key", "key"]}
        gpd.GeoDataFrame(table, geometry=shapes, crs=EPSG).to_crs(4326).to_file(path)
        sites, _ = read_sites(path, epsg=EPSG, network=small_city.network)
        assert sites.table["off_road_m"][0] > 500
        assert sites.table["off_road_m"][1] == 0, "a polygon with a street in it lies on the road"
        with pytest.raises(
            InputError, match=r"feature 1 \(far\): found 5.. m to the nearest road; expected at most 300"
        ):
            read_sites(path, epsg=EPSG, network=small_city.network, limit_m=300)

    def test_points_of_another_datum_are_told_with_its_name(self, small_city: City, tmp_path: Path) -> None:
        lonlat = project(small_city.network.node_xy_m[::10], EPSG, 4326)
        shifted = from_wgs84(lonlat, Datum.GCJ02)
        path = tmp_path / "posts.csv"
        rows = [f"P{i},{lon:.7f},{lat:.7f}" for i, (lon, lat) in enumerate(shifted)]
        path.write_text("id,lon,lat\n" + "\n".join(rows) + "\n")
        _, remarks = read_posts(path, small_city.network, limit_m=2000)
        assert any("as GCJ-02 0 m: declare GCJ-02" in remark for remark in remarks)
        posts, remarks = read_posts(path, small_city.network, crs="GCJ-02")
        assert remarks == []
        assert posts.table["off_road_m"].max() < 0.1
