"""GeoPackages as osmnx writes them."""

from pathlib import Path

import geopandas as gpd
import networkx as nx
import numpy as np
import osmnx
import pyogrio
import pytest
import shapely

from geodata.errors import InputError
from geodata.network import OneWay, Streets, build_network
from geodata.readers.graphml import read_graphml
from geodata.readers.nodelink import streets_of_networkx
from geodata.readers.osmnx_layers import is_osmnx_geopackage, read_osmnx_geopackage

DATA = Path(__file__).parents[2] / "../shared/data"
PLACES = {1: (112.90, 28.20), 2: (112.91, 28.20), 3: (112.91, 28.21)}
BEND = shapely.LineString([PLACES[1], (112.905, 28.205), PLACES[2]])


def graph() -> nx.MultiDiGraph:
    """A two-way street with a bend, and a one-way street from 3 to 2."""
    made = nx.MultiDiGraph(crs="epsg:4326", simplified=True)
    made.add_nodes_from((node, {"x": x, "y": y, "street_count": 2}) for node, (x, y) in PLACES.items())
    both = {"osmid": 10, "highway": ["primary", "secondary"], "oneway": False, "length": 1500.0, "name": "五一大道"}
    made.add_edge(1, 2, **both, reversed=False, geometry=BEND)
    made.add_edge(2, 1, **both, reversed=True, geometry=BEND.reverse())
    made.add_edge(3, 2, osmid=11, highway="residential", oneway=True, reversed=False, length=1108.0, maxspeed="40")
    return made


def by_ends(streets: Streets) -> dict[tuple[str, str], tuple[OneWay, str, float]]:
    assert streets.length_m is not None
    assert streets.label is not None
    values = zip(streets.label, streets.one_way.tolist(), streets.name, streets.length_m.tolist(), strict=True)
    return {tuple(sorted(label.removeprefix("edge ").split("-"))): (OneWay(w), n, m) for label, w, n, m in values}  # type: ignore[misc]


@pytest.mark.parametrize("directed", [True, False])
def test_a_saved_graph_gives_the_streets_of_the_graph(tmp_path: Path, directed: bool) -> None:
    path = tmp_path / "graph.gpkg"
    osmnx.save_graph_geopackage(graph(), path, directed=directed)
    assert is_osmnx_geopackage(path)
    streets, _ = read_osmnx_geopackage(path)
    expected, _ = streets_of_networkx(graph())
    assert by_ends(streets) == by_ends(expected)
    one_way = streets.one_way.tolist().index(OneWay.FORWARD)
    north = streets.shape_xy_m[streets.shape_first[one_way] : streets.shape_first[one_way + 1], 1]
    assert north[0] > north[-1]
    assert sorted(np.diff(streets.shape_first)) == [2, 3]
    assert sorted(streets.road_class) == sorted(expected.road_class)
    assert np.nanmax(streets.speed_kmh) == pytest.approx(np.nanmax(expected.speed_kmh))


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
@pytest.mark.parametrize("directed", [True, False])
def test_a_real_graph_saved_in_both_ways_is_one_network(tmp_path: Path, directed: bool) -> None:
    source = DATA / "small-osm/stockholm_w_simplified.graphml"
    osmnx.save_graph_geopackage(osmnx.load_graphml(source), tmp_path / "graph.gpkg", directed=directed)
    network, _ = build_network(read_osmnx_geopackage(tmp_path / "graph.gpkg")[0])
    expected, _ = build_network(read_graphml(source)[0])
    assert (network.n_nodes, network.n_open) == (expected.n_nodes, expected.n_open)
    assert network.street_length_m.sum() == pytest.approx(expected.street_length_m.sum(), rel=1e-6)


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
def test_a_real_file_of_whole_streets_is_two_way_and_told() -> None:
    streets, defects = read_osmnx_geopackage(DATA / "changsha-osm2019/changsha_simplified_edges.gpkg")
    assert len(streets.start) == 23_101
    assert not streets.one_way.any()
    assert [str(defect) for defect in defects] == [
        "source that does not say whether its edges are directed: each edge is taken for a whole street",
        "source without classes: all streets are taken as collector",
    ]


def test_other_files_are_not_taken_for_one(tmp_path: Path) -> None:
    lines = gpd.GeoDataFrame({"u": [1]}, geometry=[BEND], crs=4326)
    lines.to_file(tmp_path / "roads.gpkg", layer="edges")
    (tmp_path / "bad.gpkg").write_bytes(b"no database")
    assert not any(map(is_osmnx_geopackage, (tmp_path / "roads.gpkg", tmp_path / "bad.gpkg", tmp_path / "none.gpkg")))


def test_a_file_without_the_layers_or_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "graph.gpkg"
    osmnx.save_graph_geopackage(graph(), path)
    edges = pyogrio.read_dataframe(path, layer="edges")
    edges.drop(columns=["v"]).to_file(path, layer="edges")
    with pytest.raises(InputError, match="layer edges: found no column v"):
        read_osmnx_geopackage(path)
    edges.to_file(tmp_path / "half.gpkg", layer="edges")
    with pytest.raises(InputError, match="layer: found 'nodes'"):
        read_osmnx_geopackage(tmp_path / "half.gpkg")


def test_edges_between_unknown_nodes_and_files_cut_short_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "graph.gpkg"
    osmnx.save_graph_geopackage(graph(), path, directed=True)
    edges = pyogrio.read_dataframe(path, layer="edges")
    edges.assign(v=[9] * len(edges)).to_file(path, layer="edges")
    with pytest.raises(InputError, match="edge 1 to 9: found a node that is not listed"):
        read_osmnx_geopackage(path)
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"graph\.gpkg"):
        read_osmnx_geopackage(path)
    with pytest.raises(InputError, match="found no such file"):
        read_osmnx_geopackage(tmp_path / "none.gpkg")
