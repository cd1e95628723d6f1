"""The whole way on real roads: files, a saved city, a day's run, the pages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from dispatch.log import TABLES
from geodata.crs import LONLAT
from geodata.datum import Datum, from_wgs84
from geodata.errors import InputError
from geodata.network import build_network
from geodata.positions import Positions
from geodata.readers.places import read_areas
from geodata.readers.roads import RoadOptions, read_roads
from geodata.routing import RoadTravel
from geodata.speeds import GivenTimes
from geodata.timetable import times_to
from scenarios.cli import main

DATA = Path(__file__).parents[2] / "shared" / "data"
CHANGSHA = DATA / "changsha-osm2019" / "changsha_simplified_edges.gpkg"
DISTRICTS = DATA / "changsha-districts" / "changsha_districts_wgs84.geojson"
BALTIMORE = DATA / "small-osm" / "baltimore.osm.pbf"
RUN_FILES = {"scenario.toml", "summary.json", "map.html", "report.html", *(f"{name}.parquet" for name in TABLES)}


Patrol = Callable[..., str]


@pytest.fixture
def patrol(patrol: Callable[..., Any]) -> Patrol:
    """Types a command; gives what it prints. It must succeed."""

    def typed(*words: object) -> str:
        ended = patrol(*words)
        assert not ended.status, ended.err
        return ended.out

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


ROADS = {
    # file: what has to be said of it, junctions, streets, directed edges, km, forbidden turns, and what is told
    "changsha-osm2019/changsha_simplified_edges.gpkg": (
        *(RoadOptions(layer="edges"), 16_114, 23_756, 47_512, 5_705.5, 0),
        {"streets drawn twice", "crossings without a shared vertex", "dead ends that nearly meet another street"},
    ),
    "changsha-osm2019/changsha_core_small.graphml": (RoadOptions(), 2_820, 4_245, 8_490, 610.5, 0, set()),
    "changsha-osm2019/edges.csv.gz": (
        *(RoadOptions(), 64_701, 72_353, 144_706, 5_707.0, 0),
        {"islands", "streets without length", "lengths that are none"},
    ),
    "auckland/arcs.csv.gz": (RoadOptions(), 54_370, 56_689, 90_638, 2_029.5, 0, set()),
    "small-osm/stockholm_w_overpass.json.gz": (
        *(RoadOptions(), 1_536, 1_787, 2_499, 72.4, 0),
        {"one-way traps", "islands", "ways closed to the public"},
    ),
    "small-osm/stockholm_w_simplified.graphml": (
        *(RoadOptions(), 626, 908, 1_266, 77.3, 0),
        {"one-way traps", "islands"},
    ),
    "small-osm/baltimore.osm.pbf": (
        *(RoadOptions(), 4_779, 7_186, 11_952, 572.9, 3),
        {"one-way traps", "islands", "ways of kinds that are no streets", "pedestrian streets apart"},
    ),
    "small-osm/moscow.osm.gz": (
        *(RoadOptions(), 555, 742, 1_264, 72.3, 69),
        {"turn restrictions with members that are not in the file", "turn restrictions that cut roads off"},
    ),
    "small-osm/West-Oakland.osm.bz2": (
        *(RoadOptions(), 23, 28, 52, 5.7, 0),
        {"one-way roads cut off at the rim", "islands"},
    ),
    "hive/downtown_denver_network.json": (RoadOptions(), 308, 541, 541, 58.7, 0, set()),
    "hive/manhattan_network.json": (RoadOptions(), 4_197, 7_532, 7_534, 904.2, 0, {"speed limits not used"}),
    "chicago-tntp/ChicagoRegional_net.tntp.gz": (
        *(RoadOptions(crs="EPSG:26771"), 12_978, 20_627, 39_017, 23_055.9, 0),
        {"centroid connectors", "one-way traps"},
    ),
}


@pytest.mark.parametrize("file", ROADS)
def test_every_road_file_is_read_and_what_is_wrong_with_it_told(file: str) -> None:
    if not (DATA / file).exists():
        pytest.skip(f"{DATA / file} is not there")
    options, junctions, streets, edges, km, turns, told = ROADS[file]
    read, said = read_roads(DATA / file, options)
    network, dropped = build_network(read)
    assert (network.n_nodes, network.n_streets, network.n_open) == (junctions, streets, edges)
    assert network.street_length_m.sum() / 1000 == pytest.approx(km, abs=0.05)
    assert len(network.banned_turns) == turns
    assert told <= {defect.kind for defect in [*said, *dropped]}
    lost = sum(len(d) for d in dropped if d.kind != "turn restrictions that cut roads off")
    assert len(read.start) == network.n_streets + lost, "every street is kept or told"


needs_changsha = pytest.mark.skipif(not CHANGSHA.exists(), reason=f"{CHANGSHA} is not there")


@needs_changsha
def test_districts_that_are_declared_as_gcj_02_lie_where_the_converted_ones_do() -> None:
    raw, _ = read_areas(DISTRICTS.with_name("430100.json"), epsg=4547, crs="GCJ-02", repair=True)
    answer = gpd.read_file(DISTRICTS).to_crs(4547)
    apart_m = shapely.hausdorff_distance(raw.geometry.to_numpy(), answer.geometry.to_numpy())
    assert apart_m.max() < 0.01
    as_it_says, _ = read_areas(DISTRICTS.with_name("430100.json"), epsg=4547, repair=True)
    assert 600 < shapely.distance(as_it_says.geometry[0].centroid, answer.geometry[0].centroid) < 700


@needs_changsha
def test_an_invalid_district_is_refused_or_repaired() -> None:
    meishan = DISTRICTS.with_name("511400.json")
    with pytest.raises(InputError, match=r"an invalid ring: .*--repair"):
        read_areas(meishan, epsg=4544, crs="GCJ-02")
    areas, remarks = read_areas(meishan, epsg=4544, crs="GCJ-02", repair=True)
    assert areas.geometry.is_valid.all()
    assert any("repaired" in remark for remark in remarks)


@needs_changsha
def test_posts_in_the_wrong_datum_are_found_out(
    patrol: Patrol, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Junctions of the city as somebody would export them from a Chinese map."""
    network, _ = build_network(read_roads(DATA / "changsha-osm2019/changsha_core_small.graphml")[0])
    rows = np.random.default_rng(1).choice(network.n_nodes, 33, replace=False)
    here = gpd.GeoSeries(gpd.points_from_xy(*network.node_xy_m[rows].T), crs=network.epsg).to_crs(LONLAT)
    lonlat = from_wgs84(np.column_stack([here.x, here.y]), Datum.GCJ02)
    posts = tmp_path / "posts.csv"
    posts.write_text("id,lon,lat\n" + "".join(f"P{i},{lon},{lat}\n" for i, (lon, lat) in enumerate(lonlat)))
    roads = DATA / "changsha-osm2019/changsha_core_small.graphml"
    build = ("city", "build", roads, "--posts", posts, "--quiet")
    with pytest.raises(SystemExit):
        main([str(word) for word in (*build, "--out", tmp_path / "wrong")])
    assert "declare GCJ-02" in capsys.readouterr().err
    assert not (tmp_path / "wrong").exists()
    patrol(*build, "--places-crs", "GCJ-02", "--out", tmp_path / "right")
    assert "GCJ-02 fits" in " ".join(patrol("city", "check", tmp_path / "right").split())


def network_of(file: str, **options: str):
    if not (DATA / file).exists():
        pytest.skip(f"{DATA / file} is not there")
    return build_network(read_roads(DATA / file, RoadOptions(**options))[0])[0]


def test_the_rush_hour_of_chicago_is_slower_by_its_own_table() -> None:
    network = network_of("chicago-tntp/ChicagoRegional_net.tntp.gz", crs="EPSG:26771")
    travel = RoadTravel(network, GivenTimes.peak_and_off_peak("congested", "free_flow"))
    rng = np.random.default_rng(1)
    edge = rng.integers(0, network.n_open, 200).astype(np.int32)
    places = Positions(edge, rng.random(200) * network.length_m[edge])
    noon, rush = (times_to(travel, places, places[0], hour) for hour in (12, 18))
    assert (rush >= noon - 1e-6).all()
    assert 1.1 < np.median(rush[1:] / noon[1:]) < 3


def test_the_siren_of_auckland_is_faster_by_its_own_table() -> None:
    network = network_of("auckland/arcs.csv.gz")
    normal, siren = (RoadTravel(network, GivenTimes((name,) * 168)) for name in ("normal", "siren"))
    edge = np.random.default_rng(1).integers(0, network.n_open, 100).astype(np.int32)
    places = Positions(edge, np.zeros(100))
    assert (times_to(siren, places, places[0], 0) <= times_to(normal, places, places[0], 0) + 1e-6).all()


def test_a_motorcycle_that_ignores_one_ways_is_sooner_in_baltimore(patrol: Patrol, tmp_path: Path) -> None:
    if not BALTIMORE.exists():
        pytest.skip(f"{BALTIMORE} is not there")
    patrol("city", "build", BALTIMORE, "--cell-m", 500, "--make-posts", 12, "--out", tmp_path / "city", "--quiet")
    mean_s = {}
    for rules in ("obey_all", "motorcycle"):
        path = scenario(tmp_path, 300, 20)
        path.write_text(path.read_text("utf-8") + f'\nunits.driving = "{rules}"\n', "utf-8")
        patrol("run", path, "--out", tmp_path / rules, "--quiet")
        log = pd.read_parquet(tmp_path / rules / "incidents.parquet")
        assert log["arrived_s"].notna().all()
        mean_s[rules] = (log["arrived_s"] - log["rolling_s"]).mean()
    assert mean_s["motorcycle"] < 0.97 * mean_s["obey_all"]
