"""Opening layers and CSV files: declared datums, and one clear refusal for each bad file."""

import logging
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geodata.datum import Datum, from_wgs84
from geodata.errors import InputError
from geodata.readers.vector import LINES, POINTS, POLYGONS, open_layer, read_csv

LON, LAT = 112.98, 28.19
HERE = np.array([[LON, LAT]])
SQUARE = shapely.box(LON, LAT, LON + 0.01, LAT + 0.01)
DATA = Path(__file__).parents[2] / "../shared/data"


def points(n: int = 20) -> gpd.GeoDataFrame:
    lon = np.linspace(LON, LON + 0.1, n)
    table = {"编号": [f"0{i}" for i in range(n)], "名称": ["岳麓区"] * n}
    return gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(lon, np.full(n, LAT)), crs=4326)


def geojson(folder: Path, *geometries: str) -> Path:
    features = ",".join(f'{{"type":"Feature","properties":{{"a":1}},"geometry":{shape}}}' for shape in geometries)
    path = folder / "layer.geojson"
    path.write_text(f'{{"type":"FeatureCollection","features":[{features}]}}')
    return path


def point(*at: float | str) -> str:
    return f'{{"type":"Point","coordinates":[{",".join(map(str, at))}]}}'


def outcome(read: Callable[[], gpd.GeoDataFrame]) -> gpd.GeoDataFrame | InputError:
    try:
        return read()
    except InputError as error:
        return error


def refusal(read: Callable[[], object]) -> str:
    with pytest.raises(InputError) as refused:
        read()
    return str(refused.value)


class TestDeclaredDatum:
    @pytest.mark.parametrize(("word", "datum"), [("GCJ-02", Datum.GCJ02), ("百度", Datum.BD09)])
    @pytest.mark.parametrize("suffix", ["geojson", "gpkg", "parquet"])
    def test_it_beats_what_the_file_says_and_the_layer_comes_in_wgs84(
        self, tmp_path: Path, word: str, datum: Datum, suffix: str
    ) -> None:
        shape = shapely.MultiPolygon([SQUARE])
        stored = shapely.transform(shape, lambda xy: from_wgs84(xy, datum))
        path = tmp_path / f"areas.{suffix}"
        table = gpd.GeoDataFrame(geometry=[stored], crs=4326)
        table.to_parquet(path) if suffix == "parquet" else table.to_file(path)
        read = open_layer(path, POLYGONS, crs=word)
        assert read.crs.to_epsg() == 4326
        assert shapely.equals_exact(read.geometry[0], shape, tolerance=1e-9)

    def test_every_kind_of_shape_is_converted(self, tmp_path: Path) -> None:
        shapes = [
            shapely.Point(LON, LAT),
            shapely.MultiPoint([(LON, LAT), (LON + 0.1, LAT)]),
            shapely.LineString([(LON, LAT), (LON, LAT + 0.1)]),
            shapely.MultiLineString([[(LON, LAT), (LON, LAT + 0.1)]]),
            SQUARE,
            shapely.GeometryCollection([shapely.GeometryCollection([SQUARE, shapely.Point(LON, LAT)])]),
        ]
        stored = shapely.transform(np.array(shapes, object), lambda xy: from_wgs84(xy, Datum.GCJ02))
        path = tmp_path / "mixed.gpkg"
        gpd.GeoDataFrame(geometry=stored, crs=4326).to_file(path)
        read = np.asarray(open_layer(path, POINTS, crs="gcj02").geometry.array, object)
        assert shapely.equals_exact(read, np.array(shapes, object), tolerance=1e-9).all()

    def test_csv_too(self, tmp_path: Path) -> None:
        (lon, lat), path = from_wgs84(HERE, Datum.BD09)[0], tmp_path / "posts.csv"
        path.write_text(f"编号,经度,纬度\n001,{lon!r},{lat!r}\n".replace("np.float64(", "").replace(")", ""))
        read = read_csv(path, crs="BD-09")
        assert read.crs.to_epsg() == 4326
        assert read["编号"].tolist() == ["001"]
        assert shapely.get_coordinates(read.geometry[0]) == pytest.approx(HERE, abs=1e-9)

    @pytest.mark.parametrize(("word", "epsg"), [("WGS84", 4326), ("CGCS2000", 4490), ("EPSG:4547", 4547)])
    def test_a_datum_that_is_a_crs_leaves_the_numbers(self, tmp_path: Path, word: str, epsg: int) -> None:
        path = tmp_path / "p.csv"
        x, y = (400_000, 3_120_000) if epsg == 4547 else (LON, LAT)
        path.write_text(f"x,y\n{x},{y}\n")
        read = read_csv(path, crs=word)
        assert read.crs.to_epsg() == epsg
        assert (read.geometry[0].x, read.geometry[0].y) == (x, y)

    def test_metres_declared_as_gcj02_are_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "p.csv"
        path.write_text("x,y\n400000,3120000\n")
        assert refusal(lambda: read_csv(path, crs="GCJ-02")).endswith(
            "line 2: found (400000, 3120000) declared as GCJ-02; expected a longitude and a latitude in degrees. "
            "GCJ-02 is never projected: declare the projected CRS instead, such as EPSG:4547."
        )
        layer = tmp_path / "p.gpkg"
        points().to_crs(4547).to_file(layer)
        assert "feature 1: found (" in refusal(lambda: open_layer(layer, POINTS, crs="GCJ-02"))

    def test_no_datum_and_no_crs_names_what_there_is(self, tmp_path: Path) -> None:
        path = tmp_path / "p.csv"
        path.write_text("lon,lat\n112.9,28.2\n")
        assert "EPSG:4326, or WGS-84, CGCS2000, GCJ-02, BD-09" in refusal(lambda: read_csv(path, crs="GCJ-03"))

    @pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data")
    def test_the_districts_of_changsha(self) -> None:
        folder = DATA / "changsha-districts"
        read = open_layer(folder / "430100.json", POLYGONS, crs="GCJ-02")
        known = open_layer(folder / "changsha_districts_wgs84.geojson", POLYGONS)
        assert shapely.equals_exact(np.asarray(read.geometry), np.asarray(known.geometry), tolerance=1e-9).all()


class TestCsv:
    def read(self, folder: Path, content: str | bytes, crs: str | None = None) -> gpd.GeoDataFrame:
        path = folder / "posts.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_csv(path, crs=crs)

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_usual_files_are_read(self, tmp_path: Path, encoding: str, newline: str) -> None:
        lines = ["编号, 经度 ,纬度,备注", "001,112.9,28.2,岳麓", "", '002," 1.13e2 ",28.1,"甲,乙"', ""]
        read = self.read(tmp_path, newline.join(lines).encode(encoding))
        assert read["编号"].tolist() == ["001", "002"]
        assert read["备注"].tolist() == ["岳麓", "甲,乙"]
        assert shapely.get_coordinates(np.asarray(read.geometry)).tolist() == [[112.9, 28.2], [113.0, 28.1]]

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("", "found an empty file; expected a CSV file with a header"),
            ("\n \n", "found an empty file"),
            ("id,lon,lat\n", "found no rows; expected at least one"),
            ("id,lon,lat\n1,112.9\n", "line 2: found 2 values; expected 3 as in the header"),
            ("id,lon,lat\n\n1,112.9,28.2\n2,112.9,28.2,5\n", "line 4: found 4 values; expected 3"),
            ('id,lon,lat\n"a\nb",112.9,28.2\n2,x,28.2\n', "line 4: found lon='x', lat='28.2'; expected two numbers"),
            ("id,lon,lat\n1,,28.2\n", "Fill the coordinates in, or remove the line."),
            ("id,lon,lat\n1,nan,28.2\n", "line 2: found lon='nan', lat='28.2'; expected two numbers"),
            ("id,lon,lat\n1,112.9,-inf\n", "line 2: found lon='112.9', lat='-inf'"),
            ("id,lon,lat\n1,1e999,28\n", "line 2: found lon='1e999'"),
            ('id,lon,lat\n1,"112,9",28.2\n', "Write a point before the decimals, and no thousands separators."),
            ("id,lon,lat\n1,112°54′,28.2\n", "Write degrees as decimal numbers"),
            ("id,lon,lat\n1,28.2,112.9\n", "line 2: found (28.2, 112.9): longitude and latitude look swapped"),
            ("id,lon,lat\n1,39.47,75.99\n", "longitude and latitude look swapped"),
            ("id,lon,lat\n1,112.9,28.2\n2,0,0.0\n", "line 3: found (0, 0); expected a place"),
            ("id,lon,lat,lat\n1,112.9,28.2,1\n", "header: found 'lat' twice; expected columns of different names"),
            ("id,lon,经度,lat\n1,112.9,28.2,1\n", "header: found lon and 经度; expected one column"),
            ("id;lon;lat\n1;112.9;28.2\n", "Separate the values by commas."),
            ("id,lon,lat\n1,112.9,28\0.2\n", "line 2: found a NUL byte"),
            ("id,lon,lat\n1,112.9,28.2\n".encode("utf-16"), "found UTF-16 text"),
            (b"id,lon,lat\n1,112.9,28.2\n\xff\xff,1,1\n", "line 3: found the byte 0xff, which is neither UTF-8 nor GB"),
            ('id,lon,lat\n1,112.9,28.2\n"2,112.9,28.2\n3,1,1\n', "line 3: found unexpected end of data"),
            ("id,lon,lat\n1,112.9," + "2" * 200_000, "line 2: found field larger than field limit (131072)"),
            ("id,east,north\n1,112.9,28.2\n", "expected columns lon and lat, or x and y"),
            ("id,x,y\n1,112.9,28.2\n", "columns x, y: found no CRS"),
        ],
    )
    def test_a_bad_file_is_refused_by_line_and_with_a_mend(
        self, tmp_path: Path, content: str | bytes, said: str
    ) -> None:
        assert said in refusal(lambda: self.read(tmp_path, content))

    def test_no_file(self, tmp_path: Path) -> None:
        assert "no such file" in refusal(lambda: read_csv(tmp_path / "posts.csv"))

    def test_northing_written_as_x_is_found(self, tmp_path: Path) -> None:
        content = "x,y\n3120000,400000\n"
        assert "line 2: found (3120000, 400000): easting and northing look swapped" in refusal(
            lambda: self.read(tmp_path, content, "EPSG:4547")
        )

    def test_degrees_declared_as_metres_are_found(self, tmp_path: Path) -> None:
        said = refusal(lambda: self.read(tmp_path, "x,y\n112.9,28.2\n", "EPSG:4547"))
        assert "found (112.9, 28.2), which looks like degrees, declared as CGCS2000 / 3-degree" in said

    def test_a_crs_in_metres_is_that_of_x_and_y(self, tmp_path: Path) -> None:
        read = self.read(tmp_path, "lon,lat,x,y\n112.9,28.2,400000,3120000\n", "EPSG:4547")
        assert read.geometry[0].x == 400_000

    def test_all_faults_are_told_up_to_twenty(self, tmp_path: Path) -> None:
        with pytest.raises(InputError) as refused:
            self.read(tmp_path, "lon,lat\n" + "a,b\n" * 1_025)
        assert len(refused.value.faults) == 21
        assert "found 1,005 more faults" in str(refused.value)

    @settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(content=st.binary(max_size=80), seeded=st.booleans())
    def test_whatever_the_bytes_there_are_points_or_a_refusal(
        self, tmp_path: Path, content: bytes, seeded: bool
    ) -> None:
        read = outcome(lambda: self.read(tmp_path, b"lon,lat\n112.9,28.2\n" * seeded + content))
        assert isinstance(read, InputError) or np.isfinite(shapely.get_coordinates(np.asarray(read.geometry))).all()


class TestLayers:
    def test_without_z_nothing_else_is_lost(self, tmp_path: Path) -> None:
        read = open_layer(geojson(tmp_path, point(LON, LAT, 44.5), point(LON, LAT)), POINTS)
        assert read["a"].tolist() == [1, 1]
        assert not read.geometry.has_z.any()
        assert shapely.get_coordinates(np.asarray(read.geometry)).tolist() == [[LON, LAT]] * 2

    @pytest.mark.parametrize(
        ("geometries", "said"),
        [
            ([point(LON, LAT), point("NaN", LAT)], "feature 2: found (nan, 28.19); expected finite numbers"),
            ([point(LON, LAT), point(0, 0)], "feature 2: found (0, 0); expected a place"),
            ([point(LAT, LON)], "feature 1: found (28.19, 112.98): longitude and latitude look swapped"),
            (['{"type":"LineString","coordinates":[[112,28],[0,0]]}'], "feature 1: found (0, 0)"),
            ([point(LON, LAT), '{"type":"Polygon","coordinates":[[[112,28],[113,28]]]}'], "feature 2: found a shape"),
            (['{"type":"LineString","coordinates":[[112,28]]}'], "feature 1: found a shape that is none"),
            ([point("1e999", LAT)], "found Failed to read GeoJSON data; At line 1"),
            (["[" * 2_000 + "]" * 2_000], "Too many nested objects"),
            ([], "no features"),
        ],
    )
    def test_impossible_coordinates_are_refused_by_feature(
        self, tmp_path: Path, geometries: Sequence[str], said: str
    ) -> None:
        assert said in refusal(lambda: open_layer(geojson(tmp_path, *geometries), POINTS))

    def test_what_gdal_only_warns_of_is_logged(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        path = geojson(tmp_path, point(LON, LAT), '{"type":"Blob","coordinates":[1,2]}')
        with caplog.at_level(logging.WARNING):
            read = open_layer(path, POINTS)
        assert read.geometry.isna().tolist() == [False, True]
        assert "Unsupported geometry type" in caplog.text

    @pytest.mark.parametrize("suffix", ["gpkg", "geojson", "fgb", "parquet", "shp", "shp.zip"])
    @pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
    def test_a_file_cut_short_is_refused(self, tmp_path: Path, suffix: str, share: float) -> None:
        path = tmp_path / f"posts.{suffix}"
        points().to_parquet(path) if suffix == "parquet" else points().to_file(path)
        assert len(open_layer(path, POINTS)) == 20
        content = path.read_bytes()
        path.write_bytes(content[: int(share * len(content))])
        said = refusal(lambda: open_layer(path, POINTS))
        assert said.startswith(str(path))
        assert "\n" not in said

    def test_a_shapefile_without_its_table_is_refused(self, tmp_path: Path) -> None:
        points().to_file(tmp_path / "posts.shp")
        (tmp_path / "posts.dbf").unlink()
        assert "found a Shapefile without its .dbf" in refusal(lambda: open_layer(tmp_path / "posts.shp", POINTS))

    @pytest.mark.parametrize("suffix", [".zip", ".shp.zip"])
    @pytest.mark.parametrize("folder", ["", "长沙/"])
    @pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
    @pytest.mark.parametrize("told", [True, False])
    def test_a_shapefile_in_a_zip_archive(
        self, tmp_path: Path, suffix: str, folder: str, encoding: str, told: bool
    ) -> None:
        points().to_file(tmp_path / "posts.shp", encoding=encoding)
        path = tmp_path / f"上传{suffix}"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("__MACOSX/posts.shp", b"")
            for file in tmp_path.glob("posts.*"):
                if told or file.suffix != ".cpg":
                    archive.write(file, folder + file.name)
        read = open_layer(path, POINTS, crs="CGCS2000")
        assert read.iloc[0].to_dict() | {"geometry": None} == {"编号": "00", "名称": "岳麓区", "geometry": None}
        assert len(read) == 20

    def test_of_several_layers_in_a_zip_archive_one_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "both.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "")
            for name, n in (("a", 3), ("b", 4)):
                points(n).to_file(tmp_path / f"{name}.geojson")
                archive.write(tmp_path / f"{name}.geojson", f"{name}.geojson")
        assert len(open_layer(path, POINTS, layer="b")) == 4
        assert "layer: found a.geojson, b.geojson; expected a ZIP archive of one" in refusal(
            lambda: open_layer(path, POINTS)
        )

    def test_a_zip_archive_without_layers_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "")
        assert "found no layer among readme.txt" in refusal(lambda: open_layer(path, POINTS))

    def test_an_archive_of_an_unknown_kind_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.geojson", "")
        content = path.read_bytes()
        entry = content.index(b"PK\1\2")
        path.write_bytes(content[: entry + 6] + b"\xf2" + content[entry + 7 :])
        assert "zip file version 24.2" in refusal(lambda: open_layer(path, POINTS))

    def test_a_crs_that_is_tied_to_no_ground_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "p.parquet"
        local = 'ENGCRS["site grid",EDATUM[""],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'
        points().set_crs(local, allow_override=True).to_parquet(path)
        assert "CRS: found site grid (Engineering CRS); expected one tied to the ground" in refusal(
            lambda: open_layer(path, POINTS)
        )
        assert len(open_layer(path, POINTS, crs="WGS84")) == 20

    def test_plain_parquet_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "p.parquet"
        points().drop(columns="geometry").to_parquet(path)
        assert "found Missing geo metadata in Parquet/Feather file; " in refusal(lambda: open_layer(path, POINTS))

    def test_parquet_has_no_layers(self, tmp_path: Path) -> None:
        path = tmp_path / "p.parquet"
        points().to_parquet(path)
        assert "layer: found 'roads'; expected none" in refusal(lambda: open_layer(path, LINES, layer="roads"))

    @pytest.mark.parametrize("suffix", ["gpkg", "geojson", "fgb", "parquet", "shp", "shp.zip"])
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_a_file_with_changed_bytes_is_read_or_refused(
        self, tmp_path: Path, suffix: str, data: st.DataObject
    ) -> None:
        good, path = tmp_path / "good", tmp_path / f"posts.{suffix}"
        if not good.exists():
            good.mkdir()
            write = points().to_parquet if suffix == "parquet" else points().to_file
            write(good / path.name)
        for file in good.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        content = bytearray(path.read_bytes())
        for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
            content[at] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        read = outcome(lambda: open_layer(path, POINTS))
        assert isinstance(read, InputError) or len(read) > 0

    def test_geojson_is_wgs84_unless_declared(self, tmp_path: Path) -> None:
        path = geojson(tmp_path, point(LON, LAT))
        assert open_layer(path, POINTS).crs.to_epsg() == 4326
        assert open_layer(path, POINTS, crs="EPSG:4490").crs.to_epsg() == 4490


def test_a_mark_at_the_start_of_a_gb18030_file_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "posts.csv"
    path.write_bytes("\ufeffid,名称,lon,lat\nP00,五一广场,112.97,28.19\n".encode("gb18030"))
    assert read_csv(path)[["id", "名称"]].to_numpy().tolist() == [["P00", "五一广场"]]
