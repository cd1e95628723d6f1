"""Graphs of networkx, as objects and as node-link JSON."""

import contextlib
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.errors import InputError
from geodata.network import OneWay, Streets, build_network
from geodata.readers.nodelink import read_node_link, streets_of_networkx
from geodata.readers.values import POSTED_LIMIT_SHARE

DATA = Path(__file__).parents[2] / "../shared/data/hive"
PLACES = {1: (112.90, 28.20), 2: (112.91, 28.20), 3: (112.91, 28.21)}
BEND = shapely.LineString([PLACES[1], (112.905, 28.205), PLACES[2]])


def graph_of(*edges: tuple[int, int, Mapping[str, Any]], **attributes: Any) -> nx.MultiDiGraph:
    graph = nx.MultiDiGraph(**({"crs": "epsg:4326"} | attributes))
    graph.add_nodes_from((node, {"x": x, "y": y}) for node, (x, y) in PLACES.items())
    for u, v, tags in edges:
        graph.add_edge(u, v, **({"highway": "primary", "length": 1500.0} | tags))
    return graph


def write(folder: Path, graph: nx.Graph, edges: str = "links") -> Path:
    path = folder / "graph.json"
    path.write_text(json.dumps(nx.node_link_data(graph, edges=edges)), "utf-8")
    return path


def alike(one: Streets, other: Streets) -> bool:
    return (
        one.start.tolist() == other.start.tolist()
        and one.one_way.tolist() == other.one_way.tolist()
        and one.label == other.label
        and bool(np.allclose(one.shape_xy_m, other.shape_xy_m))
    )


@pytest.mark.parametrize("edges", ["links", "edges"])
def test_a_graph_and_its_file_give_the_same_streets(tmp_path: Path, edges: str) -> None:
    graph = graph_of((1, 2, {}), (2, 1, {}), (2, 3, {"name": "芙蓉路"}))
    path = write(tmp_path, graph, edges)
    packed = tmp_path / "graph.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    streets, defects = streets_of_networkx(graph)
    assert streets.label == ["edge 1-2", "edge 2-3"]
    assert streets.one_way.tolist() == [OneWay.NO, OneWay.FORWARD]
    assert list(streets.name) == ["", "芙蓉路"]
    assert defects == []
    assert alike(read_node_link(path)[0], streets)
    assert alike(read_node_link(packed)[0], streets)


@pytest.mark.parametrize("geometry", [BEND, BEND.wkt, shapely.geometry.mapping(BEND)], ids=["object", "WKT", "GeoJSON"])
def test_edges_may_have_lines_in_any_form(geometry: Any, tmp_path: Path) -> None:
    graph = graph_of((1, 2, {"geometry": geometry}))
    if isinstance(geometry, shapely.Geometry):
        streets, _ = streets_of_networkx(graph)
    else:
        streets, _ = read_node_link(write(tmp_path, graph))
    assert np.diff(streets.shape_first).tolist() == [3]


def test_an_undirected_graph_is_two_way(tmp_path: Path) -> None:
    graph = graph_of((1, 2, {}), (2, 3, {})).to_undirected()
    for streets, defects in (streets_of_networkx(graph), read_node_link(write(tmp_path, graph))):
        assert streets.one_way.tolist() == [OneWay.NO, OneWay.NO]
        assert [str(defect) for defect in defects] == ["undirected graph: every street is taken as two-way"]


def test_lon_and_lat_need_no_crs() -> None:
    graph = nx.DiGraph()
    graph.add_nodes_from((node, {"lon": x, "lat": y}) for node, (x, y) in PLACES.items())
    graph.add_edge(1, 2, highway="primary")
    assert streets_of_networkx(graph)[0].epsg == 4547


def test_nodes_may_be_called_by_tuples(tmp_path: Path) -> None:
    graph = nx.relabel_nodes(graph_of((1, 2, {})), {1: (0, 1), 2: (0, 2)})
    assert read_node_link(write(tmp_path, graph))[0].label == ["edge (0, 1)-(0, 2)"]


def test_an_absurd_speed_is_told_with_its_link(tmp_path: Path) -> None:
    graph = graph_of((1, 2, {"speed_kmph": 251.0}), (2, 3, {"speed_kmph": 40.0}))
    streets, defects = read_node_link(write(tmp_path, graph))
    assert streets.speed_kmh == pytest.approx([np.nan, 40 * POSTED_LIMIT_SHARE], nan_ok=True)
    assert [str(defect) for defect in defects] == [
        "1 case of speed limits not used, 1.0 km: the class decides (edge 1-2 (251 km/h))"
    ]


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/hive is not there")
@pytest.mark.parametrize(
    ("name", "nodes", "edges", "absurd"),
    [
        ("downtown_denver_network.json", 308, 541, []),
        ("manhattan_network.json", 4197, 7534, ["edge 42455963-42440565 (251 km/h)"]),
    ],
)
def test_a_real_network_is_kept_whole(name: str, nodes: int, edges: int, absurd: list[str]) -> None:
    streets, defects = read_node_link(DATA / name)
    network, lost = build_network(streets)
    assert (network.n_nodes, network.n_open, lost) == (nodes, edges, [])
    assert [label for defect in defects if "speed" in defect.kind for label in defect.label] == absurd
    times_s = sum(link["travel_time"] for link in json.loads((DATA / name).read_text())["links"])
    given_s = network.given_s[network.given_names.index("travel_time"), : network.n_open]
    assert np.nansum(given_s) == pytest.approx(times_s, abs=3 * len(absurd) + 0.1)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"nodes": None}, "'nodes' and 'links' or 'edges' as lists"),
        ({"links": {}}, "'nodes' and 'links' or 'edges' as lists"),
        ({"graph": {}}, "graph: found no `crs`"),
        ({"graph": {"crs": "moon"}}, "CRS: found 'moon'"),
        ({"graph": {"crs": ["epsg:4326"]}}, "CRS: found"),
        ({"nodes": [5]}, "node 1: found 5"),
        ({"nodes": [{"id": {}}]}, "node 1: found"),
        ({"nodes": [{"id": 1, "x": "a", "y": 2}]}, "node 1: found no number as x and y"),
        ({"nodes": [{"id": 1, "x": 1e308, "y": 2}]}, "edge 1 to 2: found a node that is not listed"),
        ({"links": [{"source": 1}]}, "link 1: found .*expected an object with 'source' and 'target'"),
        ({"links": [{"source": 1, "target": 9}]}, "edge 1 to 9: found a node that is not listed"),
        ({"links": []}, "no edge that a car may use"),
        ({"links": [{"source": 1, "target": 2, "geometry": {"type": "Line"}}]}, "link 1-2: found no geometry"),
        ({"links": [{"source": 1, "target": 2, "geometry": "LINESTRING (0 0)"}]}, "geometry of edge 1-2: found"),
        ({"links": [{"source": 1, "target": 2, "geometry": "LINESTRING (nan 0, 1 1)"}]}, "geometry of edge 1-2"),
        ({"links": [{"source": 1, "target": 2, "geometry": 17}]}, "geometry of edge 1-2: found '17'"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, change: dict[str, Any], found: str) -> None:
    data = nx.node_link_data(graph_of((1, 2, {})), edges="links") | change
    (tmp_path / "graph.json").write_text(json.dumps(data))
    with pytest.raises(InputError, match=found):
        read_node_link(tmp_path / "graph.json")


def test_what_is_no_graph_is_refused() -> None:
    with pytest.raises(InputError, match="found dict; expected a networkx graph"):
        streets_of_networkx({})


@settings(max_examples=200)
@given(data=st.data())
def test_a_mangled_file_is_read_or_refused_but_never_breaks(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    graph = graph_of((1, 2, {"geometry": BEND.wkt, "maxspeed": ["30", "50"], "travel_time": 9.5}), (2, 3, {}))
    text = bytearray(json.dumps(nx.node_link_data(graph, edges="links")).encode())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 4))] = data.draw(
            st.sampled_from([b"", b"9", b"null", b"-", b"[", b"{}"])
        )
    path = tmp_path_factory.mktemp("mangled") / "graph.json"
    path.write_bytes(bytes(text))
    with contextlib.suppress(InputError):
        streets, _ = read_node_link(path)
        assert np.isfinite(streets.shape_xy_m).all()
