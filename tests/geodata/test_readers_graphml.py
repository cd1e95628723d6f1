"""Graphs as osmnx writes them."""

import contextlib
import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import osmnx
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.errors import InputError
from geodata.network import OneWay, RoadClass, Streets, build_network
from geodata.readers.graphml import read_graphml
from geodata.readers.values import POSTED_LIMIT_SHARE

DATA = Path(__file__).parents[2] / "../shared/data"
PLACES = {1: (112.90, 28.20), 2: (112.91, 28.20), 3: (112.91, 28.21)}

Edge = tuple[int, int, Mapping[str, Any]]


def write(folder: Path, *edges: Edge, **attributes: Any) -> Path:
    graph = nx.MultiDiGraph(**({"crs": "epsg:4326", "simplified": True} | attributes))
    graph.add_nodes_from((node, {"x": x, "y": y, "street_count": 2}) for node, (x, y) in PLACES.items())
    for number, (u, v, tags) in enumerate(edges):
        graph.add_edge(u, v, **({"osmid": number, "highway": "primary", "oneway": False, "length": 1000.0} | tags))
    path = folder / "graph.graphml"
    osmnx.save_graphml(graph, path)
    return path


def by_ends(streets: Streets) -> dict[tuple[int, int], OneWay]:
    """Nodes are numbered from 0 in the order of the file."""
    ends = zip((streets.start + 1).tolist(), (streets.end + 1).tolist(), strict=True)
    return dict(zip(ends, [OneWay(mark) for mark in streets.one_way], strict=True))


BEND = shapely.LineString([PLACES[1], (112.905, 28.205), PLACES[2]])


def test_opposite_edges_along_one_line_are_one_two_way_street(tmp_path: Path) -> None:
    path = write(tmp_path, (1, 2, {"geometry": BEND}), (2, 1, {"geometry": BEND.reverse()}))
    streets, _ = read_graphml(path)
    assert by_ends(streets) == {(1, 2): OneWay.NO}
    assert streets.epsg == 4547
    assert np.diff(streets.shape_first).tolist() == [3]


def test_opposite_edges_without_a_line_of_their_own_are_one_straight_street(tmp_path: Path) -> None:
    assert by_ends(read_graphml(write(tmp_path, (2, 3, {}), (3, 2, {})))[0]) == {(2, 3): OneWay.NO}


def test_two_carriageways_between_the_same_nodes_stay_apart(tmp_path: Path) -> None:
    streets, _ = read_graphml(write(tmp_path, (1, 2, {"geometry": BEND}), (2, 1, {})))
    assert by_ends(streets) == {(1, 2): OneWay.FORWARD, (2, 1): OneWay.FORWARD}


def test_an_edge_without_an_opposite_one_is_one_way_from_tail_to_head(tmp_path: Path) -> None:
    streets, _ = read_graphml(write(tmp_path, (3, 1, {})))
    assert by_ends(streets) == {(3, 1): OneWay.FORWARD}
    north = streets.shape_xy_m[:, 1]
    assert north[0] > north[-1]


def test_a_loop_written_in_both_senses_is_one_two_way_street(tmp_path: Path) -> None:
    loop = shapely.LineString([PLACES[1], (112.905, 28.205), (112.9, 28.205), PLACES[1]])
    streets, _ = read_graphml(write(tmp_path, (1, 1, {"geometry": loop}), (1, 1, {"geometry": loop.reverse()})))
    assert by_ends(streets) == {(1, 1): OneWay.NO}


def test_the_length_of_the_file_counts_unless_it_is_shorter_than_the_line(tmp_path: Path) -> None:
    streets, defects = read_graphml(write(tmp_path, (1, 2, {"length": 1500.0}), (2, 3, {"length": 10.0})))
    assert streets.length_m is not None
    assert streets.length_m.tolist() == pytest.approx([1500, 1108], rel=0.001)
    assert list(map(str, defects)) == [
        "1 case of lengths shorter than the line, 1.1 km: measured on the line instead (edge 2-3 (10 m))"
    ]


def test_tags_of_merged_ways_are_read_as_lists(tmp_path: Path) -> None:
    tags = {"highway": ["residential", "secondary"], "maxspeed": ["40", "60"], "name": ["韶山路", "芙蓉路"]}
    streets, _ = read_graphml(write(tmp_path, (1, 2, tags)))
    assert streets.road_class.tolist() == [RoadClass.COLLECTOR]
    assert streets.speed_kmh.tolist() == pytest.approx([POSTED_LIMIT_SHARE * 50])
    assert list(streets.name) == ["韶山路"]


def test_the_speed_that_osmnx_adds_stands_in_for_a_missing_limit(tmp_path: Path) -> None:
    streets, _ = read_graphml(write(tmp_path, (1, 2, {"speed_kph": 40.0}), (2, 3, {"maxspeed": "30 mph"})))
    assert streets.speed_kmh.tolist() == pytest.approx([POSTED_LIMIT_SHARE * 40, POSTED_LIMIT_SHARE * 48.28], rel=1e-3)


def test_an_implausible_limit_is_counted(tmp_path: Path) -> None:
    streets, defects = read_graphml(write(tmp_path, (1, 2, {"maxspeed": "251"})))
    assert np.isnan(streets.speed_kmh).all()
    assert list(map(str, defects)) == [
        "1 case of speed limits not used, 1.0 km: the class decides (edge 1-2 (251 km/h))"
    ]


def test_edges_that_are_not_for_cars_are_left_out(tmp_path: Path) -> None:
    streets, defects = read_graphml(write(tmp_path, (1, 2, {}), (2, 3, {"highway": "footway"})))
    assert by_ends(streets) == {(1, 2): OneWay.FORWARD}
    assert list(map(str, defects)) == ["1 case of edges not for cars, 1.1 km: left out (edge 2-3 (footway))"]


def test_without_any_class_all_streets_are_collectors_and_it_is_told(tmp_path: Path) -> None:
    graph = nx.MultiDiGraph(crs="epsg:4326")
    graph.add_nodes_from((node, {"x": x, "y": y}) for node, (x, y) in PLACES.items())
    graph.add_edge(1, 2, length=1000.0)
    nx.write_graphml(graph, tmp_path / "bare.graphml")
    streets, defects = read_graphml(tmp_path / "bare.graphml")
    assert streets.road_class.tolist() == [RoadClass.COLLECTOR]
    assert list(map(str, defects)) == ["source without classes: all streets are taken as collector"]


def test_an_undirected_graph_is_two_way(tmp_path: Path) -> None:
    graph = nx.Graph(crs="epsg:4326")
    graph.add_nodes_from((node, {"x": x, "y": y}) for node, (x, y) in PLACES.items())
    graph.add_edge(1, 2, highway="primary", length=1000.0)
    nx.write_graphml(graph, tmp_path / "undirected.graphml")
    streets, defects = read_graphml(tmp_path / "undirected.graphml")
    assert by_ends(streets) == {(1, 2): OneWay.NO}
    assert list(map(str, defects)) == ["undirected graph: every street is taken as two-way"]


def test_a_projected_graph_is_read_in_its_own_crs(tmp_path: Path) -> None:
    expected = read_graphml(write(tmp_path, (1, 2, {"geometry": BEND})))[0]
    osmnx.save_graphml(osmnx.project_graph(osmnx.load_graphml(tmp_path / "graph.graphml")), tmp_path / "utm.graphml")
    streets = read_graphml(tmp_path / "utm.graphml")[0]
    assert streets.epsg == expected.epsg
    assert streets.shape_xy_m == pytest.approx(expected.shape_xy_m, abs=0.01)


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
@pytest.mark.parametrize(
    "name", ["small-osm/stockholm_w_simplified.graphml", "changsha-osm2019/changsha_core_small.graphml"]
)
def test_a_real_graph_keeps_every_edge_of_its_main_part(name: str) -> None:
    network, _ = build_network(read_graphml(DATA / name)[0])
    graph = osmnx.truncate.largest_component(osmnx.load_graphml(DATA / name), strongly=True)
    assert (network.n_nodes, network.n_open) == (len(graph), len(graph.edges))
    assert network.length_m[: network.n_open].sum() == pytest.approx(
        sum(length for *_, length in graph.edges(data="length")), rel=1e-6
    )


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.graphml: found no such file"):
        read_graphml(tmp_path / "none.graphml")


def test_what_is_no_xml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.graphml").write_text("{}")
    with pytest.raises(InputError, match=r"bad\.graphml: found no XML.*osmnx\.save_graphml"):
        read_graphml(tmp_path / "bad.graphml")


def test_a_graph_without_a_crs_is_refused(tmp_path: Path) -> None:
    graph = nx.MultiDiGraph()
    graph.add_node(1, x=112.9, y=28.2)
    nx.write_graphml(graph, tmp_path / "graph.graphml")
    with pytest.raises(InputError, match=r"graph: found no `crs` entry; expected the CRS of the nodes"):
        read_graphml(tmp_path / "graph.graphml")


def test_a_node_without_coordinates_is_refused(tmp_path: Path) -> None:
    graph = nx.MultiDiGraph(crs="epsg:4326")
    graph.add_edge(7, 8)
    nx.write_graphml(graph, tmp_path / "graph.graphml")
    with pytest.raises(InputError, match=r"node 7: found no number as x and y; expected its coordinates"):
        read_graphml(tmp_path / "graph.graphml")


def test_a_graph_without_roads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no edge that a car may use"):
        read_graphml(write(tmp_path, (1, 2, {"highway": "steps"})))


def test_an_edge_between_unknown_nodes_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, (1, 2, {}))
    path.write_text(path.read_text("utf-8").replace('target="2"', 'target="99"'), "utf-8")
    with pytest.raises(InputError, match="edge 1 to 99: found a node that is not listed"):
        read_graphml(path)


def test_a_broken_line_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, (1, 2, {"geometry": BEND}))
    path.write_text(path.read_text("utf-8").replace("LINESTRING (", "LINESTRING ["), "utf-8")
    with pytest.raises(InputError, match=r"geometry of edge 1-2: found .*expected a line as WKT"):
        read_graphml(path)


def test_a_line_that_lies_elsewhere_is_not_used(tmp_path: Path) -> None:
    elsewhere = shapely.affinity.translate(BEND, 0.01)
    streets, defects = read_graphml(write(tmp_path, (1, 2, {"geometry": elsewhere})))
    assert np.diff(streets.shape_first).tolist() == [2]
    assert list(map(str, defects)) == [
        "1 case of lines that do not run between their nodes, 1.0 km: taken as straight (edge 1-2 (982 m off))"
    ]


def test_opposite_edges_of_different_lengths_are_two_streets(tmp_path: Path) -> None:
    streets, _ = read_graphml(write(tmp_path, (1, 2, {"length": 1000.0}), (2, 1, {"length": 1200.0})))
    assert by_ends(streets) == {(1, 2): OneWay.FORWARD, (2, 1): OneWay.FORWARD}
    assert streets.length_m is not None
    assert sorted(streets.length_m) == [1000, 1200]


def test_an_edge_from_a_node_to_itself_needs_a_line(tmp_path: Path) -> None:
    streets, defects = read_graphml(write(tmp_path, (1, 2, {}), (2, 2, {"length": 300.0})))
    assert by_ends(streets) == {(1, 2): OneWay.FORWARD}
    assert list(map(str, defects)) == ["1 case of edges from a node to itself without a line: left out (edge 2-2)"]


@pytest.mark.parametrize("length", ["-3", "0", "nan", "inf", "1e999", "long"])
def test_a_length_that_is_none_is_measured_and_told(tmp_path: Path, length: str) -> None:
    streets, defects = read_graphml(write(tmp_path, (1, 2, {"length": length})))
    assert streets.length_m == pytest.approx([982], abs=1)
    assert [(d.label[0].partition(" (")[0], len(d)) for d in defects] == [("edge 1-2", 1)]
    assert "measured on the line instead" in str(defects[0])


def test_travel_times_come_as_given_times(tmp_path: Path) -> None:
    both = {"length": 1000.0}
    path = write(
        tmp_path,
        (1, 2, both | {"travel_time": 60.0}),
        (2, 1, both | {"travel_time": 90.0}),
        (2, 3, {"travel_time": 1.5}),
    )
    streets, defects = read_graphml(path)
    assert streets.given_s["travel_time"] == pytest.approx(np.array([[60, 90], [np.nan, np.nan]]), nan_ok=True)
    assert [str(defect) for defect in defects if "time" in defect.kind] == [
        "1 case of times 'travel_time' too short, 1.1 km: not used: the class decides there (edge 2-3 (2,660 km/h))"
    ]


def test_a_packed_graph_is_read_alike(tmp_path: Path) -> None:
    path = write(tmp_path, (1, 2, {"geometry": BEND}))
    packed = tmp_path / "packed.graphml.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert read_graphml(packed)[0].shape_xy_m == pytest.approx(read_graphml(path)[0].shape_xy_m)
    packed.write_bytes(packed.read_bytes()[:-200])
    with pytest.raises(InputError, match=r"packed\.graphml\.gz: found .*ended before.*Copy the file anew"):
        read_graphml(packed)


def test_entities_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, (1, 2, {}))
    laughs = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<!DOCTYPE g [<!ENTITY a0 "ha">{laughs}]>'
    text = path.read_text("utf-8")
    path.write_text(text.replace("<graphml", f"{bomb}<graphml", 1).replace("primary", "&a9;"), "utf-8")
    with pytest.raises(InputError, match=r"declaration of the entity 'a0'.*Remove the DOCTYPE"):
        read_graphml(path)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ('source="1" ', "", "<edge> without 'source'"),
        ('<node id="1">', "<node>", "<node> without 'id'"),
        ('<node id="2">', '<node id="1">', "two nodes of that number"),
        ("</graphml>", "", "no XML"),
        ("112.9<", "x<", "no number as x and y"),
        ("112.9<", "inf<", "no number as x and y"),
        ("112.9<", "1129<", "degrees within"),
        ("epsg:4326", "epsg:1", "CRS"),
    ],
)
def test_a_damaged_graph_is_refused(tmp_path: Path, old: str, new: str, found: str) -> None:
    path = write(tmp_path, (1, 2, {}))
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(InputError, match=found):
        read_graphml(path)


@settings(max_examples=200)
@given(data=st.data())
def test_a_mangled_graph_is_read_or_refused_but_never_breaks(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = write(tmp_path_factory.mktemp("mangled"), (1, 2, {"geometry": BEND, "maxspeed": ["30", "50"]}), (2, 3, {}))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        odd = [b"", b"9", b"<", b"/", b'"', b"-", b"nan", b"&a;", b"\xff", b"["]
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.sampled_from(odd))
    path.write_bytes(bytes(content))
    with contextlib.suppress(InputError):
        streets, _ = read_graphml(path)
        assert np.isfinite(streets.shape_xy_m).all()


def test_an_archive_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    text = write(tmp_path, (1, 2, {"name": "NAME"})).read_bytes()
    with gzip.open(tmp_path / "bomb.graphml.gz", "wb") as bomb:
        bomb.write(text.partition(b"NAME")[0])
        for _ in range(80):
            bomb.write(b" " * (1 << 20))
    with pytest.raises(InputError, match="more than 200 times its own size"):
        read_graphml(tmp_path / "bomb.graphml.gz")
