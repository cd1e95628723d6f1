"""Road layers that GDAL reads."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geodata.defects import Defect
from geodata.errors import InputError
from geodata.network import OneWay, RoadClass, Streets, build_network
from geodata.readers.layers import LineColumns, _cut, read_lines
from geodata.readers.noding import as_lines, crossings
from geodata.readers.values import POSTED_LIMIT_SHARE

DATA = Path(__file__).parents[2] / "../shared/data/changsha-osm2019"
EPSG = 4547
CORNER_M = np.array([400_000.0, 3_120_000.0])


def line(*points: Sequence[float]) -> shapely.LineString:
    """Points in metres from a corner near Changsha."""
    return shapely.LineString([(*(CORNER_M + point[:2]), *point[2:]) for point in points])


def write(folder: Path, shapes: Sequence[shapely.Geometry | None], name: str = "roads.gpkg", **columns: Any) -> Path:
    path = folder / name
    gpd.GeoDataFrame(columns, geometry=list(shapes), crs=EPSG).to_file(path)
    return path


def pieces_m(streets: Streets) -> list[float]:
    return sorted(np.round(shapely.length(as_lines(streets.shape_xy_m, streets.shape_first)), 1).tolist())


def junctions(streets: Streets) -> int:
    return len(np.unique([streets.start, streets.end]))


def the(defects: list[Defect], kind: str) -> Defect:
    """The one defect of a kind."""
    (found,) = [defect for defect in defects if defect.kind == kind]
    return found


def places_m(defect: Defect) -> list[tuple[float, ...]]:
    """Where its cases are, in metres from the corner."""
    return [tuple(xy) for xy in np.round(shapely.get_coordinates(defect.shapes) - CORNER_M, 2).tolist()]


ROAD = line((0, 0), (1000, 0))
WITHOUT_CLASS = "no class column named: all streets are taken as collector"


def test_lines_meet_at_their_ends(tmp_path: Path) -> None:
    streets, _ = read_lines(write(tmp_path, [ROAD, line((1000, 0), (1000, 500)), line((1000, 0), (2000, 0))]))
    assert pieces_m(streets) == [500, 1000, 1000]
    assert junctions(streets) == 4
    assert streets.epsg == EPSG


def test_an_end_on_a_vertex_of_another_line_cuts_it_there(tmp_path: Path) -> None:
    streets, _ = read_lines(write(tmp_path, [line((0, 0), (400, 0), (1000, 0)), line((400, 0), (400, 300))]))
    assert pieces_m(streets) == [300, 400, 600]
    assert junctions(streets) == 4


@pytest.mark.parametrize("gap_m", [0.0, 0.05])
def test_an_end_on_another_line_between_its_vertices_cuts_it_there(tmp_path: Path, gap_m: float) -> None:
    streets, _ = read_lines(write(tmp_path, [ROAD, line((400, gap_m), (400, 300)), line((700, -gap_m), (700, -90))]))
    assert pieces_m(streets) == pytest.approx([90, 300, 300, 300, 400], abs=0.1)
    assert junctions(streets) == 6


def test_an_end_that_stops_short_does_not_meet(tmp_path: Path) -> None:
    streets, _ = read_lines(write(tmp_path, [ROAD, line((400, 0.5), (400, 300))]))
    assert junctions(streets) == 4


@pytest.mark.parametrize("gap_m", [0.0, 0.04])
def test_ends_meet_within_a_decimetre(tmp_path: Path, gap_m: float) -> None:
    streets, _ = read_lines(write(tmp_path, [ROAD, line((1000 + gap_m, gap_m), (2000, 0))]))
    assert junctions(streets) == 3
    ends = streets.shape_xy_m[[1, 2]]
    assert ends[0].tolist() == ends[1].tolist()


def test_lines_meet_at_a_shared_vertex(tmp_path: Path) -> None:
    crossing = [line((0, 0), (500, 0), (1000, 0)), line((500, -500), (500, 0), (500, 500))]
    streets, defects = read_lines(write(tmp_path, crossing))
    assert pieces_m(streets) == [500, 500, 500, 500]
    assert junctions(streets) == 5
    assert streets.label == ("feature 1", "feature 1", "feature 2", "feature 2")
    assert [str(defect) for defect in defects] == [WITHOUT_CLASS]


CROSS = [ROAD, line((500, -500), (500, 500))]


def test_a_crossing_without_a_shared_vertex_is_a_bridge_and_is_told_with_its_place(tmp_path: Path) -> None:
    streets, defects = read_lines(write(tmp_path, CROSS))
    assert pieces_m(streets) == [1000, 1000]
    crossing = the(defects, "crossings without a shared vertex")
    assert crossing.label == ("feature 1 × feature 2",)
    assert places_m(crossing) == [(500, 0)]
    assert crossing.done == "taken for bridges: if they are junctions, build again with --node-crossings"


def test_crossings_become_junctions_on_request(tmp_path: Path) -> None:
    twice = line((200, -100), (200, 100), (700, 100), (700, -100))
    streets, defects = read_lines(write(tmp_path, [ROAD, twice]), node_crossings=True)
    assert pieces_m(streets) == [100, 100, 200, 300, 500, 700]
    assert junctions(streets) == 6
    crossing = the(defects, "crossings without a shared vertex")
    assert sorted(places_m(crossing)) == [(200, 0), (700, 0)]
    assert crossing.done == "made junctions"
    assert build_network(streets)[0].n_streets == 6


def test_streets_that_share_an_end_may_cross_elsewhere(tmp_path: Path) -> None:
    back = line((0, 0), (0, 100), (500, 100), (500, -100))
    streets, defects = read_lines(write(tmp_path, [ROAD, back]), node_crossings=True)
    assert places_m(the(defects, "crossings without a shared vertex")) == [(500, 0)]
    assert junctions(streets) == 4


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        (LineColumns(level="z"), {"z": [0, 1]}),
        (LineColumns(level="z"), {"z": ["-1", None]}),
        (LineColumns(bridge="b"), {"b": ["yes", "no"]}),
        (LineColumns(bridge="b"), {"b": [None, "viaduct"]}),
        (LineColumns(tunnel="t"), {"t": [True, False]}),
        (LineColumns(bridge="b", tunnel="t"), {"b": ["yes", None], "t": [None, "yes"]}),
    ],
)
def test_lines_of_different_levels_pass_over_one_another(
    tmp_path: Path, columns: LineColumns, values: dict[str, list[Any]]
) -> None:
    streets, defects = read_lines(write(tmp_path, CROSS, "roads.gpkg", **values), columns=columns, node_crossings=True)
    assert pieces_m(streets) == [1000, 1000]
    assert [str(defect) for defect in defects] == [WITHOUT_CLASS]


@pytest.mark.parametrize(
    ("columns", "values"),
    [
        (LineColumns(level="z"), {"z": [1, 1]}),
        (LineColumns(level="z", bridge="b"), {"z": [0, 0], "b": ["yes", "no"]}),
        (LineColumns(bridge="b"), {"b": ["yes", "viaduct"]}),
    ],
)
def test_lines_of_one_level_meet(tmp_path: Path, columns: LineColumns, values: dict[str, list[Any]]) -> None:
    streets, _ = read_lines(write(tmp_path, CROSS, "roads.gpkg", **values), columns=columns, node_crossings=True)
    assert pieces_m(streets) == [500, 500, 500, 500]


def test_a_level_that_is_no_number_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, CROSS, z=["upper", "0"])
    _, defects = read_lines(path, columns=LineColumns(level="z"))
    level = the(defects, "levels that are no numbers")
    assert str(level) == "1 case of levels that are no numbers, 1.0 km: taken as level 0: 'upper' × 1 (feature 1)"


def test_ends_meet_within_the_tolerance_and_are_counted(tmp_path: Path) -> None:
    gaps = [ROAD, line((1000.6, 0.8), (2000, 0)), line((400, 1.5), (400, 300)), line((700, 3), (700, 300))]
    streets, defects = read_lines(write(tmp_path, gaps), meet_m=2)
    assert junctions(streets) == 7
    joined = the(defects, "ends of lines within 2 m of another line")
    assert len(joined) == 2
    assert joined.label[0] == "feature 3"
    assert joined.done == "joined"
    stub = the(defects, "dead ends that nearly meet another street")
    assert stub.label == ("feature 4",)
    assert places_m(stub) == [(700, 3)]


def test_an_end_that_overshoots_within_the_tolerance_makes_no_second_junction(tmp_path: Path) -> None:
    path = write(tmp_path, [ROAD, line((400, -0.05), (400, 300))])
    streets, defects = read_lines(path, node_crossings=True)
    assert junctions(streets) == 4
    assert [defect.kind for defect in defects][1:] == ["ends of lines within 0.1 m of another line"]


def test_exact_drawing_is_no_fault(tmp_path: Path) -> None:
    shapes = [ROAD, line((1000, 0), (1000, 500)), line((400, 0), (400, 300)), line((400, 300), (1000, 500))]
    _, defects = read_lines(write(tmp_path, shapes))
    assert [str(defect) for defect in defects] == [WITHOUT_CLASS]


@pytest.mark.parametrize("meet_m", [-1.0, np.nan, np.inf])
def test_a_tolerance_that_is_no_distance_is_refused(tmp_path: Path, meet_m: float) -> None:
    with pytest.raises(InputError, match=r"meet_m: found .*; expected a distance of 0 m or more"):
        read_lines(write(tmp_path, [ROAD]), meet_m=meet_m)


def test_a_short_side_street_nearly_meets_nothing(tmp_path: Path) -> None:
    _, defects = read_lines(write(tmp_path, [ROAD, line((400, 0), (400, 4))]))
    assert [str(defect) for defect in defects] == [WITHOUT_CLASS]


def test_a_line_that_crosses_itself_is_told(tmp_path: Path) -> None:
    loop = line((0, 0), (100, 0), (100, 100), (50, 100), (50, -100))
    _, defects = read_lines(write(tmp_path, [loop]))
    assert the(defects, "lines that cross themselves").label == ("feature 1",)


def test_lines_without_length_and_lines_drawn_twice_are_told_by_their_features(tmp_path: Path) -> None:
    path = write(tmp_path, [ROAD, line((5, 5), (5, 5)), ROAD, line((0, 0), (0, 9))])
    streets, defects = read_lines(path)
    assert the(defects, "lines without length").label == ("feature 2",)
    _, dropped = build_network(streets)
    assert [(defect.kind, defect.label) for defect in dropped] == [("streets drawn twice", ("feature 3",))]


def test_geoparquet_is_read_like_any_layer(tmp_path: Path) -> None:
    path = tmp_path / "roads.parquet"
    table = gpd.GeoDataFrame({"kind": ["primary"] * 2}, geometry=[ROAD, line((1000, 0), (1000, 500))], crs=EPSG)
    table.to_parquet(path)
    streets, defects = read_lines(path, columns=LineColumns(road_class="kind"))
    assert pieces_m(streets) == [500, 1000]
    assert defects == []


@settings(max_examples=60)
@given(st.lists(st.tuples(*[st.integers(0, 40)] * 4), min_size=1, max_size=12))
def test_noded_streets_cross_at_junctions_only(ends: list[tuple[int, int, int, int]]) -> None:
    lines = [line((10 * a, 10 * b), (10 * c, 10 * d)) for a, b, c, d in ends if (a, b) != (c, d)]
    assume(lines)
    pieces, _ = _cut(np.array(lines, object), np.arange(len(lines)), 0.1)
    flat = np.zeros(len(pieces.feature))
    one, other, point = crossings(*pieces.ends, pieces.xy, pieces.first, flat, 0.1)
    noded = pieces.noded(np.r_[one, other], np.r_[point, point]) if len(point) else pieces
    flat = np.zeros(len(noded.feature))
    left, right, rest = crossings(*noded.ends, noded.xy, noded.first, flat, 0.1)
    assert list(zip(left, right, rest.tolist(), strict=True)) == []
    drawn = shapely.length(shapely.union_all(lines))
    kept = shapely.length(shapely.union_all(as_lines(noded.xy, noded.first)))
    assert kept == pytest.approx(drawn, rel=1e-3, abs=1)


def test_a_finely_drawn_line_is_not_cut_into_its_vertices(tmp_path: Path) -> None:
    fine = line(*((x, 0) for x in np.arange(0, 100.01, 0.04)))
    streets, _ = read_lines(write(tmp_path, [fine, line((100, 0), (200, 0))]))
    assert len(streets.start) == 2


@pytest.mark.parametrize("name", ["roads.gpkg", "roads.shp", "roads.geojson", "roads.fgb"])
def test_every_format_gives_the_same_streets(tmp_path: Path, name: str) -> None:
    shapes = [ROAD, line((1000, 0), (1000, 500))]
    path = write(tmp_path, shapes, name, kind=["主干路", "支路"], label=["五一大道", "太平街"])
    streets, _ = read_lines(path, columns=LineColumns(road_class="kind", name="label"))
    assert pieces_m(streets) == pytest.approx([500, 1000], abs=0.1)
    by_name = dict(zip(streets.name, streets.road_class.tolist(), strict=True))
    assert by_name == {"五一大道": RoadClass.ARTERIAL, "太平街": RoadClass.LOCAL}


def test_degrees_are_projected_to_the_zone_of_the_place(tmp_path: Path) -> None:
    path = tmp_path / "roads.geojson"
    gpd.GeoDataFrame(geometry=[ROAD], crs=EPSG).to_crs(4326).to_file(path)
    streets, _ = read_lines(path)
    assert streets.epsg == EPSG
    assert streets.shape_xy_m == pytest.approx(np.add(CORNER_M, [[0, 0], [1000, 0]]), abs=0.02)
    assert read_lines(path, epsg=4546)[0].epsg == 4546


def test_a_multi_line_is_parted_and_its_height_dropped(tmp_path: Path) -> None:
    both = shapely.MultiLineString([line((0, 0, 30), (1000, 0, 35)), line((1000, 0, 35), (1000, 500, 90))])
    streets, _ = read_lines(write(tmp_path, [both]))
    assert pieces_m(streets) == [500, 1000]
    assert streets.shape_xy_m.shape[1] == 2


def test_features_without_geometry_are_counted(tmp_path: Path) -> None:
    streets, defects = read_lines(write(tmp_path, [ROAD, None, shapely.LineString()]))
    assert len(streets.start) == 1
    assert str(defects[1]) == "2 features without geometry: left out (feature 2, feature 3)"


def test_a_feature_on_the_other_side_of_the_world_is_told(tmp_path: Path) -> None:
    path = tmp_path / "roads.geojson"
    far = shapely.LineString([(112.9, 28.2), (24.0, 0.5)])
    here = gpd.GeoSeries([ROAD], crs=EPSG).to_crs(4326)
    gpd.GeoDataFrame(geometry=[*here, far, *here], crs=4326).to_file(path)
    streets, defects = read_lines(path)
    assert np.isfinite(streets.shape_xy_m).all()
    told = the(defects, "features too far away to be drawn on one map with the others")
    assert told.label == ("feature 2",)
    assert len(streets.start) == 2


def test_features_that_are_no_lines_are_told_with_their_shape(tmp_path: Path) -> None:
    path = write(tmp_path, [ROAD, shapely.Point(CORNER_M), ROAD.buffer(1)], "roads.geojson")
    streets, defects = read_lines(path)
    assert len(streets.start) == 1
    other = the(defects, "features that are no lines")
    assert other.label == ("feature 2", "feature 3")
    assert [shape.geom_type for shape in other.shapes] == ["Point", "Polygon"]


@pytest.mark.parametrize(
    ("value", "road_class"),
    [
        ("motorway", RoadClass.EXPRESSWAY),
        ("Trunk", RoadClass.EXPRESSWAY),
        ("primary_link", RoadClass.ARTERIAL),
        ("tertiary", RoadClass.COLLECTOR),
        ("COLLECTOR", RoadClass.COLLECTOR),
        ("快速路", RoadClass.EXPRESSWAY),
        ("主干路", RoadClass.ARTERIAL),
        ("次干路", RoadClass.COLLECTOR),
        ("支路", RoadClass.LOCAL),
        (0, RoadClass.EXPRESSWAY),
        (3, RoadClass.LOCAL),
        (1.0, RoadClass.ARTERIAL),
    ],
)
def test_classes_as_others_write_them(tmp_path: Path, value: object, road_class: RoadClass) -> None:
    path = write(tmp_path, [ROAD], kind=[value])
    assert read_lines(path, columns=LineColumns(road_class="kind"))[0].road_class.tolist() == [road_class]


def test_an_unknown_class_is_local_and_counted(tmp_path: Path) -> None:
    path = write(tmp_path, [ROAD, line((0, 9), (9, 9)), line((0, 99), (9, 99))], kind=["primary", "goat", "goat"])
    streets, defects = read_lines(path, columns=LineColumns(road_class="kind"))
    assert streets.road_class.tolist() == [RoadClass.ARTERIAL, RoadClass.LOCAL, RoadClass.LOCAL]
    unknown = the(defects, "streets whose class is not understood")
    assert unknown.done == "taken as local: 'goat' × 2"
    assert unknown.label == ("feature 2", "feature 3")


def test_a_missing_class_is_told_apart(tmp_path: Path) -> None:
    path = write(tmp_path, [ROAD, line((0, 9), (9, 9))], kind=["primary", None])
    _, defects = read_lines(path, columns=LineColumns(road_class="kind"))
    assert the(defects, "streets whose class is missing").label == ("feature 2",)


@pytest.mark.parametrize(
    ("values", "mark"),
    [
        (["yes", "true", "1", "F", "FT", "是"], OneWay.FORWARD),
        (["-1", "T", "TF", "reverse"], OneWay.BACKWARD),
        (["no", "false", "0", "B", "", "双向"], OneWay.NO),
        ([True], OneWay.FORWARD),
        ([False], OneWay.NO),
        ([-1], OneWay.BACKWARD),
        ([1.0], OneWay.FORWARD),
    ],
)
def test_one_way_marks_as_others_write_them(tmp_path: Path, values: list[object], mark: OneWay) -> None:
    shapes = [line((0, 10 * i), (100, 10 * i)) for i in range(len(values))]
    streets, defects = read_lines(write(tmp_path, shapes, ow=values), columns=LineColumns(one_way="ow"))
    assert streets.one_way.tolist() == [mark] * len(values)
    assert [str(defect) for defect in defects] == [WITHOUT_CLASS]


def test_a_one_way_mark_that_is_not_understood_counts_as_both_and_is_told(tmp_path: Path) -> None:
    streets, defects = read_lines(write(tmp_path, [ROAD], ow=["maybe"]), columns=LineColumns(one_way="ow"))
    assert streets.one_way.tolist() == [OneWay.NO]
    mark = the(defects, "one-way marks that are not understood")
    assert (mark.done, mark.label) == ("taken as both ways: 'maybe' × 1", ("feature 1",))


def test_both_pieces_of_a_cut_line_keep_its_values(tmp_path: Path) -> None:
    path = write(tmp_path, [ROAD, line((400, 0), (400, 300))], kind=["primary", "service"], ow=["yes", "no"])
    streets, _ = read_lines(path, columns=LineColumns(road_class="kind", one_way="ow"))
    ahead = streets.one_way == OneWay.FORWARD
    assert ahead.sum() == 2
    assert streets.road_class[ahead].tolist() == [RoadClass.ARTERIAL] * 2
    one, other = np.flatnonzero(ahead)
    assert streets.end[one] == streets.start[other]


def test_a_speed_is_driven_and_a_limit_is_shaded(tmp_path: Path) -> None:
    shapes = [line((0, 10 * i), (100, 10 * i)) for i in range(4)]
    path = write(tmp_path, shapes, speed=[30.0, np.nan, np.nan, 251.0], limit=["60", "60", None, None])
    streets, defects = read_lines(path, columns=LineColumns(speed_kmh="speed", limit_kmh="limit"))
    assert streets.speed_kmh.tolist() == pytest.approx([30, 60 * POSTED_LIMIT_SHARE, np.nan, np.nan], nan_ok=True)
    absurd = the(defects, "speeds that cannot be used")
    assert (absurd.done, absurd.label) == ("the class decides: '251' × 1", ("feature 4",))
    assert absurd.metres == pytest.approx(100)


def test_a_shapefile_in_gbk_that_does_not_say_so_is_read(tmp_path: Path) -> None:
    path = tmp_path / "roads.shp"
    table = gpd.GeoDataFrame({"kind": ["次干路"], "label": ["劳动西路"]}, geometry=[ROAD], crs=EPSG)
    table.to_file(path, encoding="GBK")
    path.with_suffix(".cpg").unlink()
    streets, _ = read_lines(path, columns=LineColumns(road_class="kind", name="label"))
    assert streets.road_class.tolist() == [RoadClass.COLLECTOR]
    assert list(streets.name) == ["劳动西路"]


def test_the_one_line_layer_among_others_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, [ROAD])
    gpd.GeoDataFrame(geometry=[shapely.Point(CORNER_M)], crs=EPSG).to_file(path, layer="nodes")
    assert len(read_lines(path)[0].start) == 1


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/changsha-osm2019 is not there")
def test_changsha_without_any_attribute_makes_a_connected_network() -> None:
    streets, defects = read_lines(DATA / "changsha_simplified_edges.gpkg", "edges")
    network, dropped = build_network(streets)
    assert network.epsg == 4547
    assert network.street_length_m.sum() == pytest.approx(5_731_700, rel=0.01)
    assert sum(part.metres for part in dropped) < 0.01 * network.street_length_m.sum()
    assert str(defects[0]) == WITHOUT_CLASS
    crossed = the(defects, "crossings without a shared vertex")
    assert 2_000 < len(crossed) < 3_000
    assert shapely.get_type_id(crossed.shapes).tolist() == [0] * len(crossed)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.gpkg: found no such file.*Check the path"):
        read_lines(tmp_path / "none.gpkg")


def test_a_file_that_gdal_does_not_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.gpkg").write_text("hello")
    with pytest.raises(InputError, match=r"bad\.gpkg: .*expected a layer that GDAL reads"):
        read_lines(tmp_path / "bad.gpkg")


def test_a_layer_without_a_crs_is_refused_unless_it_is_declared(tmp_path: Path) -> None:
    path = tmp_path / "roads.shp"
    gpd.GeoDataFrame(geometry=[ROAD], crs=EPSG).to_file(path)
    path.with_suffix(".prj").unlink()
    with pytest.raises(InputError, match=r"roads\.shp: roads: found no CRS; expected a layer that tells.*\.prj"):
        read_lines(path)
    assert read_lines(path, crs="EPSG:4547")[0].epsg == EPSG


def test_a_missing_layer_is_refused_and_the_nearest_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"layer: found 'road'; expected 'roads', the nearest of: roads"):
        read_lines(write(tmp_path, [ROAD]), "road")


def test_several_line_layers_ask_for_a_choice(tmp_path: Path) -> None:
    path = write(tmp_path, [ROAD])
    gpd.GeoDataFrame(geometry=[ROAD], crs=EPSG).to_file(path, layer="rails")
    with pytest.raises(
        InputError, match=r"found roads \(LineString\), rails \(LineString\); expected one layer of line"
    ):
        read_lines(path)


def test_missing_columns_are_refused_all_at_once_and_the_nearest_named(tmp_path: Path) -> None:
    path = write(tmp_path, [ROAD], road_class=["primary"], speed=[30])
    with pytest.raises(InputError) as refusal:
        read_lines(path, columns=LineColumns(road_class="roadclass", speed_kmh="speeds", one_way="xyz"))
    told = [f"found {fault.found}; expected {fault.expected}" for fault in refusal.value.faults]
    assert told == [
        "found no 'roadclass'; expected 'road_class', the nearest of: road_class, speed",
        "found no 'speeds'; expected 'speed', the nearest of: road_class, speed",
        "found no 'xyz'; expected one of: road_class, speed",
    ]


def test_a_layer_that_holds_no_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"found 'Point' × 1; expected lines"):
        read_lines(write(tmp_path, [shapely.Point(CORNER_M)]))


def test_an_empty_layer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roads.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    with pytest.raises(InputError, match=r"found no features; expected at least one"):
        read_lines(path)


def test_metres_declared_as_degrees_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "roads.geojson"
    gpd.GeoDataFrame(geometry=[ROAD], crs=4326).to_file(path)
    with pytest.raises(InputError, match=r"2 of 2 points: found \(400000, 3.12e\+06\) as longitude and latitude"):
        read_lines(path)
