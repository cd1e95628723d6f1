"""From files to a city, and what the check says about it."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import osmnx
import pytest
import requests
import shapely

from geodata.assemble import (
    CITY_CODE,
    MADE_POSTS,
    RESIDENTS_PER_ROAD_KM,
    ROAD_MARGIN_M,
    Columns,
    assemble_city,
)
from geodata.check import check_city, city_faults
from geodata.city import City
from geodata.errors import InputError
from geodata.grid import Level
from geodata.network import RoadClass
from geodata.readers.layers import LineColumns
from geodata.readers.places import CellColumns
from geodata.readers.population import ResidentsFile
from geodata.readers.roads import RoadOptions

DATA = Path(__file__).parents[2] / "../shared/data"
EPSG = 4547
CORNER_M = np.array([400_000.0, 3_120_000.0])
BLOCK_M, BLOCKS = 250.0, 12
SIDE_M = BLOCK_M * BLOCKS


def shifted(shape: shapely.Geometry) -> shapely.Geometry:
    return shapely.transform(shape, lambda xy: xy + CORNER_M)


def write(folder: Path, file: str, shapes: Sequence[shapely.Geometry], **columns: Any) -> Path:
    path = folder / file
    gpd.GeoDataFrame(columns, geometry=[shifted(shape) for shape in shapes], crs=EPSG).to_file(path)
    return path


@pytest.fixture
def roads(tmp_path: Path) -> Path:
    """A square of 13 streets each way, 3 km long, that meet at shared vertices."""
    steps = np.arange(BLOCKS + 1) * BLOCK_M
    lines = [shapely.LineString([(x, y) for x in steps]) for y in steps]
    lines += [shapely.LineString([(x, y) for y in steps]) for x in steps]
    kinds = ["primary"] * (BLOCKS + 1) + ["residential"] * (BLOCKS + 1)
    return write(tmp_path, "roads.gpkg", lines, kind=kinds)


@pytest.fixture
def districts(tmp_path: Path) -> Path:
    west, east = shapely.box(0, 0, 1600, SIDE_M), shapely.box(1600, 0, SIDE_M, SIDE_M)
    return write(tmp_path, "districts.gpkg", [west, east], adcode=[430104, 430102], name=["岳麓区", "芙蓉区"])


def warnings(city: City) -> dict[str, str]:
    return {finding.topic: finding.value for finding in check_city(city) if finding.warning}


def test_roads_alone_make_a_city(roads: Path) -> None:
    city, remarks = assemble_city(roads, name="长沙", name_en="Changsha", cell_m=500)
    assert (city.name, city.name_en) == ("长沙", "Changsha")
    assert city.network.street_length_m.sum() == pytest.approx(26 * SIDE_M)
    assert city.road_m_by_cell.sum() == pytest.approx(26 * SIDE_M)
    assert city.grid.cells["residents"].sum() == RESIDENTS_PER_ROAD_KM * 78
    assert len(city.posts) == MADE_POSTS[0]
    assert len(city.sites) == 0
    assert city.grid.areas["level"].tolist() == [Level.CITY, Level.DISTRICT]
    assert remarks == [
        "no class column named: all streets are taken as collector",
        "no boundary and no grid given: the hull of the roads is the one district",
        f"made a grid of {len(city.grid)} cells (square, 500 m)",
        "residents unknown: 1,000 for a km of road assumed, 78,000 in all",
        "no sites given",
        "no posts given, one for 25 km of road assumed: 4 standby points made where the residents are",
    ]


def test_the_same_files_give_the_same_city(roads: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assemble_city(roads, name="长沙")[0].save(tmp_path / name)
    for path in sorted((tmp_path / "a").glob("*.npy")):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name
    loaded = City.load(tmp_path / "a")
    assert loaded.network.digest == assemble_city(roads, name="长沙")[0].network.digest
    assert warnings(loaded) == {"roads with a speed of their own": "0% of the length"}


def test_columns_of_the_roads_are_passed_on(roads: Path) -> None:
    city, _ = assemble_city(roads, name="长沙", road_options=RoadOptions(columns=LineColumns(road_class="kind")))
    assert set(city.network.street_class.tolist()) == {RoadClass.ARTERIAL, RoadClass.LOCAL}


def test_a_boundary_gives_districts_and_every_cell_has_one(roads: Path, districts: Path) -> None:
    city, _ = assemble_city(roads, name="长沙", areas=districts, cell_m=500, cell_kind="hex", residents=90_000)
    assert set(city.grid.ancestor(Level.DISTRICT)) == {"岳麓区", "芙蓉区"}
    assert set(city.grid.ancestor(Level.CITY)) == {"长沙"}
    assert city.grid.cells["residents"].sum() == 90_000
    assert city.grid.cells.area.sum() == pytest.approx(SIDE_M**2)


def test_roads_far_outside_the_boundary_are_dropped_and_told(roads: Path, tmp_path: Path) -> None:
    small = write(tmp_path, "small.gpkg", [shapely.box(-100, 0, 100, SIDE_M)], code=["1"])
    city, remarks = assemble_city(roads, name="长沙", areas=small)
    east = city.network.node_xy_m[:, 0].max() - CORNER_M[0]
    assert 100 + ROAD_MARGIN_M < east <= 100 + ROAD_MARGIN_M + BLOCK_M
    assert remarks[1] == (
        "87 streets far outside, 21.8 km: left out: more than 2 km outside the boundary "
        "(feature 1, feature 2, feature 3, feature 4, feature 5 …)"
    )


def test_a_made_grid_covers_the_boundary_as_far_as_there_are_roads(roads: Path, tmp_path: Path) -> None:
    wide = write(tmp_path, "wide.gpkg", [shapely.box(0, 0, 4 * SIDE_M, SIDE_M)], code=["1"])
    city, remarks = assemble_city(roads, name="长沙", areas=wide)
    assert city.grid.cells.area.sum() == pytest.approx(SIDE_M * (SIDE_M + 200), rel=0.01)
    assert "73% of the boundary's area lies beyond the roads and got no cells" in remarks


def quarters(folder: Path, **columns: Any) -> Path:
    half = SIDE_M / 2
    boxes = [shapely.box(x, y, x + half, y + half) for x in (0, half) for y in (0, half)]
    return write(folder, "cells.gpkg", boxes, code=["01", "02", "03", "04"], **columns)


def test_a_grid_of_ones_own_is_kept(roads: Path, tmp_path: Path) -> None:
    path = quarters(tmp_path, parent=["A", "A", "B", "B"], people=[10, 20, 30, None])
    columns = Columns(grid=CellColumns(residents="people"))
    city, remarks = assemble_city(roads, name="长沙", grid=path, columns=columns)
    assert city.grid.codes.tolist() == ["01", "02", "03", "04"]
    assert city.grid.cells["residents"].tolist() == [10, 20, 30, 0]
    assert city.grid.ancestor(Level.DISTRICT).tolist() == ["A", "A", "B", "B"]
    assert "number of cells taken as empty for want of residents: 1" in remarks


def test_a_total_scales_the_residents_of_the_grid(roads: Path, tmp_path: Path) -> None:
    path = quarters(tmp_path, population=[10, 20, 30, 40])
    city, remarks = assemble_city(roads, name="长沙", grid=path, residents=1000)
    assert city.grid.cells["residents"].tolist() == [100, 200, 300, 400]
    assert "residents scaled to 1,000 in all" in remarks


def test_cells_are_placed_in_the_districts_by_code_or_by_where_they_lie(
    roads: Path, districts: Path, tmp_path: Path
) -> None:
    path = quarters(tmp_path, parent=["430102", "", "?", "430102"])
    city, remarks = assemble_city(roads, name="长沙", areas=districts, grid=path)
    assert city.grid.cells["parent"].tolist() == ["430102", "430104", "430102", "430102"]
    assert "4 cells: 2 by column, 2 by ground" in remarks


def test_codes_that_do_not_fit_their_lengths_are_refused(roads: Path, tmp_path: Path) -> None:
    half = SIDE_M / 2
    boxes = [shapely.box(x, y, x + half, y + half) for x in (0, half) for y in (0, half)]
    right = ["430102001001", "430102001002", "430104002001", "430104002002"]
    whole = write(tmp_path, "whole.gpkg", boxes, code=right)
    city, _ = assemble_city(roads, name="长沙", grid=whole, code_lengths=(6, 9))
    assert city.grid.ancestor_code(Level.DISTRICT).tolist() == ["430102", "430102", "430104", "430104"]
    lost = write(tmp_path, "lost.gpkg", boxes, code=[code[1:] for code in right])
    for path, lengths in ((lost, (6, 9, 12)), (whole, (6, 20)), (whole, (9, 6))):
        with pytest.raises(InputError, match=r"grid: code"):
            assemble_city(roads, name="长沙", grid=path, code_lengths=lengths)


def test_more_residents_than_there_can_be_are_refused(roads: Path, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("code,residents\n01,4000000\n")
    people = ResidentsFile(path=tmp_path / "people.csv")
    with pytest.raises(InputError, match=r"people\.csv: found 444,444 residents in a km²; expected at most 100,000"):
        assemble_city(roads, name="长沙", grid=quarters(tmp_path), residents_file=people)


def test_what_repair_did_stays_with_the_city(roads: Path, tmp_path: Path) -> None:
    half = SIDE_M / 2
    boxes = [shapely.box(x, y, x + half + 50, y + half) for x in (0, half - 50) for y in (0, half)]
    path = write(tmp_path, "cells.gpkg", boxes, code=["01", "02", "03", "04"])
    city, _ = assemble_city(roads, name="长沙", grid=path, repair=True)
    assert any(fault.kind == "grid" and fault.done.startswith("repaired: ") for fault in city_faults(city))
    assert not any(fault.kind == "grid: overlap" for fault in city_faults(city))


def test_cells_outside_every_district_belong_to_the_city(roads: Path, tmp_path: Path) -> None:
    west = write(tmp_path, "west.gpkg", [shapely.box(0, 0, 1500, SIDE_M)], code=["W"])
    city, remarks = assemble_city(roads, name="长沙", areas=west, grid=quarters(tmp_path))
    assert city.grid.cells["parent"].tolist() == ["W", "W", CITY_CODE, CITY_CODE]
    assert "2 cells lie in no area of the boundary" in remarks


def test_sites_and_posts_come_from_their_files(roads: Path, tmp_path: Path) -> None:
    x, y = CORNER_M + BLOCK_M
    (tmp_path / "sites.csv").write_text(f"id,place_class,x,y\nS1,vital,{x},{y}\n")
    (tmp_path / "posts.csv").write_text(f"id,x,y\nP1,{x},{y + 20}\n")
    city, _ = assemble_city(
        roads, name="长沙", sites=tmp_path / "sites.csv", posts=tmp_path / "posts.csv", places_crs="EPSG:4547"
    )
    assert city.sites.table["place_class"].tolist() == ["vital"]
    assert city.posts.table["id"].tolist() == ["P1"]
    assert [str(source) for source in city.sources[1:]] == [
        "sites: sites.csv, EPSG:4547",
        "posts: posts.csv, EPSG:4547",
    ]


def test_sites_shifted_as_by_a_wrong_datum_are_told(roads: Path, tmp_path: Path) -> None:
    spots = [shapely.Point(-400, y) for y in (0, 500, 1000)]
    path = write(tmp_path, "sites.gpkg", spots, id=["1", "2", "3"], place_class=["key"] * 3)
    city, remarks = assemble_city(roads, name="长沙", sites=path)
    assert "GCJ-02" in remarks[-2]
    assert "undecided" in warnings(city)["datum of the sites"]
    assert any(str(fault).startswith("3 sites more than 300 m off the road") for fault in city_faults(city))


def test_the_number_of_made_posts_may_be_chosen(roads: Path) -> None:
    assert len(assemble_city(roads, name="长沙", n_posts=17)[0].posts) == 17
    with pytest.raises(
        InputError, match=r"posts: number: found 100000; expected 100000 posts asked for, expected 1 to"
    ):
        assemble_city(roads, name="长沙", n_posts=100_000)


def test_a_network_that_falls_apart_is_told(tmp_path: Path) -> None:
    lines = [shapely.LineString([(0, i * 100), (1000, i * 100)]) for i in range(10)]
    _, remarks = assemble_city(write(tmp_path, "apart.gpkg", lines), name="长沙")
    assert any("90% of the road length is not connected with the rest" in remark for remark in remarks)


def test_one_way_roads_that_lead_out_of_the_data_are_told_apart_from_traps(tmp_path: Path) -> None:
    """A block of two-way streets 4 km wide; a one-way road out of it in the east, and one that ends in its middle."""
    steps = np.arange(0, 4001, 1000)
    lines = [shapely.LineString([(x, y) for x in steps]) for y in steps]
    lines += [shapely.LineString([(x, y) for y in steps]) for x in steps]
    out, trap = shapely.LineString([(4000, 2000), (5000, 2000)]), shapely.LineString([(2000, 2000), (2500, 2500)])
    path = write(tmp_path, "roads.gpkg", [*lines, out, trap], oneway=["no"] * len(lines) + ["yes", "yes"])
    options = RoadOptions(columns=LineColumns(one_way="oneway"))
    _, remarks = assemble_city(path, name="长沙", road_options=options)
    assert (
        "1 case of one-way traps, 0.7 km: left out: they can be entered or left, but not both (feature 12)" in remarks
    )
    rim = (
        "1 case of one-way roads cut off at the rim, 1.0 km: left out: they lead out of the data; read a wider extract"
    )
    assert f"{rim} (feature 11)" in remarks


def test_an_osm_file_is_read_by_its_own_reader(tmp_path: Path) -> None:
    text = '<osm version="0.6"><node id="1" lon="112.9" lat="28.2"/><node id="2" lon="112.91" lat="28.2"/>'
    path = tmp_path / "a.osm"
    path.write_text(f'{text}<way id="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="primary"/></way></osm>')
    city, _ = assemble_city(str(path), name="长沙", n_posts=1)
    assert city.network.n_open == 2
    assert [str(source) for source in city.sources] == ["roads: a.osm, © OpenStreetMap contributors, ODbL"]


def test_a_text_that_names_no_file_is_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_args: object, **_options: object) -> None:
        raise requests.exceptions.ConnectionError("no route to host")

    monkeypatch.setattr(osmnx, "graph_from_place", no_network)
    with pytest.raises(InputError, match="Changsha, China: download: found no answer from the OpenStreetMap servers"):
        assemble_city("Changsha, China", name="长沙")


def test_a_file_of_an_unknown_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "roads.xlsx").write_text("")
    with pytest.raises(InputError, match=r"found a name that ends in '\.xlsx'; expected a file of \.osm, .*\.gpkg"):
        assemble_city(tmp_path / "roads.xlsx", name="长沙")
    with pytest.raises(InputError, match="found no such file"):
        assemble_city(tmp_path / "none", name="长沙")


def test_impossible_options_are_refused_all_at_once(roads: Path) -> None:
    with pytest.raises(InputError) as refusal:
        assemble_city(roads, name="长沙", cell_m=0, cell_kind="round", n_posts=0, residents=-5)
    told = [f"{fault.place} = {fault.found}, expected {fault.expected}" for fault in refusal.value.faults]
    assert told == [
        "cell_m = 0, expected more than 0 m",
        "cell_kind = 'round', expected square or hex or blocks",
        "n_posts = 0, expected at least 1",
        "residents = -5, expected at least 1",
    ]


def test_a_grid_too_fine_to_hold_is_refused(roads: Path) -> None:
    with pytest.raises(InputError, match=r"cell_m: found 1 m, some 11,\d+,\d+ cells; expected at most 200,000"):
        assemble_city(roads, name="长沙", cell_m=1)


def test_a_boundary_of_another_city_is_refused(roads: Path, tmp_path: Path) -> None:
    far = write(tmp_path, "far.gpkg", [shapely.box(90_000, 0, 91_000, 1000)], code=["1"])
    expected = r"far\.gpkg: found polygons around \(113\.9.*no road there; expected .*\(112\.9"
    with pytest.raises(InputError, match=expected):
        assemble_city(roads, name="长沙", areas=far)


def test_cells_beside_the_roads_are_refused(roads: Path, tmp_path: Path) -> None:
    beside = write(tmp_path, "cells.gpkg", [shapely.box(-900, 0, -100, 1000)], code=["1"])
    with pytest.raises(InputError, match=r"cells\.gpkg: found polygons around .* and no road there"):
        assemble_city(roads, name="长沙", grid=beside)


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
def test_changsha_is_built_from_its_files_in_good_time() -> None:
    start = time.perf_counter()
    city, _ = assemble_city(
        DATA / "changsha-osm2019/changsha_simplified_edges.gpkg",
        name="长沙",
        areas=DATA / "changsha-districts/changsha_districts_wgs84.geojson",
        n_posts=240,
        residents=7_000_000,
    )
    assert time.perf_counter() - start < 20
    assert city.network.n_nodes > 15_000
    assert len(city.posts) == 240
    assert city.grid.cells["code"].is_unique
    assert "岳麓区" in set(city.grid.ancestor(Level.DISTRICT))
    outside_m = city.network.street_length_m.sum() - city.road_m_by_cell.sum()
    assert 0 <= outside_m < 0.01 * city.network.street_length_m.sum()
    assert list(warnings(city)) == ["roads with a speed of their own"]


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
@pytest.mark.parametrize(
    ("name", "epsg"),
    [
        ("baltimore.osm.pbf", 32618),
        ("moscow.osm.gz", 32637),
        ("West-Oakland.osm.bz2", 32610),
        ("stockholm_w_simplified.graphml", 32634),
    ],
)
def test_small_extracts_make_cities(name: str, epsg: int) -> None:
    city, _ = assemble_city(DATA / "small-osm" / name, name=name, cell_m=400)
    assert city.network.epsg == epsg
    driven = city.network.street_class != RoadClass.PEDESTRIAN
    assert city.road_m_by_cell.sum() == pytest.approx(city.network.street_length_m[driven].sum(), rel=0.005)
    assert warnings(city) == {}
