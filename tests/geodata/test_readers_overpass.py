"""Answers of the Overpass API in the forms in which they are saved."""

import contextlib
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.errors import InputError
from geodata.network import OneWay, RoadClass, Streets, build_network
from geodata.readers.graphml import read_graphml
from geodata.readers.jsonfile import JsonKind, json_kind
from geodata.readers.overpass import read_overpass

DATA = Path(__file__).parents[2] / "../shared/data/small-osm"
PLACES = {1: (112.90, 28.20), 2: (112.91, 28.20), 3: (112.91, 28.21), 4: (112.92, 28.20)}
WAYS: Mapping[int, tuple[list[int], Mapping[str, str]]] = {
    10: ([1, 2, 4], {"highway": "primary", "name": "五一大道", "maxspeed": "60"}),
    11: ([2, 3], {"highway": "residential", "oneway": "yes"}),
}
RESTRICTION = {
    "type": "relation",
    "id": 7,
    "tags": {"type": "restriction", "restriction": "no_left_turn"},
    "members": [
        {"type": "way", "ref": 10, "role": "from"},
        {"type": "node", "ref": 2, "role": "via"},
        {"type": "way", "ref": 11, "role": "to"},
    ],
}


def node(number: int, **more: Any) -> dict[str, Any]:
    lon, lat = PLACES[number]
    return {"type": "node", "id": number, "lon": lon, "lat": lat, **more}


def way(number: int, **more: Any) -> dict[str, Any]:
    refs, tags = WAYS[number]
    return {"type": "way", "id": number, "nodes": refs, "tags": dict(tags), **more}


def geometry(refs: list[int]) -> list[dict[str, float]]:
    return [{"lon": PLACES[ref][0], "lat": PLACES[ref][1]} for ref in refs]


BODY = [*map(way, WAYS), *map(node, PLACES)]
GEOM = [{**way(number), "geometry": geometry(WAYS[number][0])} for number in WAYS]
WITHOUT_IDS = [{k: v for k, v in element.items() if k != "nodes"} for element in GEOM]


def write(folder: Path, elements: list[Any], **more: Any) -> Path:
    path = folder / "answer.json"
    path.write_text(json.dumps({"version": 0.6, "elements": elements, **more}), "utf-8")
    return path


def streets_of(folder: Path, elements: list[Any]) -> Streets:
    return read_overpass(write(folder, elements))[0]


@pytest.mark.parametrize("elements", [BODY, BODY[::-1], GEOM, WITHOUT_IDS], ids=["body", "skel", "geom", "no ids"])
def test_every_form_of_an_answer_gives_the_same_streets(tmp_path: Path, elements: list[Any]) -> None:
    streets = streets_of(tmp_path, elements)
    order = np.lexsort((streets.shape_xy_m[streets.shape_first[:-1], 0], np.array(streets.label)))
    assert [(streets.label or [])[i] for i in order] == ["way 10", "way 10", "way 11"]
    assert streets.epsg == 4547
    assert streets.road_class[order].tolist() == [RoadClass.ARTERIAL] * 2 + [RoadClass.LOCAL]
    assert streets.one_way[order].tolist() == [OneWay.NO, OneWay.NO, OneWay.FORWARD]
    assert [streets.name[i] for i in order] == ["五一大道", "五一大道", ""]
    assert len(set(streets.start.tolist()) | set(streets.end.tolist())) == 4
    lengths = [np.hypot(*np.diff(streets.shape_xy_m[a : a + 2], axis=0)[0]) for a in streets.shape_first[:-1][order]]
    assert lengths == pytest.approx([982, 982, 1108], abs=1)


def test_turn_restrictions_are_read(tmp_path: Path) -> None:
    parted = [{**way(10), "nodes": [1, 2]}, {**way(10), "id": 12, "nodes": [2, 4]}, way(11), *map(node, PLACES)]
    streets, defects = read_overpass(write(tmp_path, [*parted, RESTRICTION]))
    assert [(int(row[1]), int(row[3])) for row in streets.turns] == [(2, 0)]
    assert not [defect for defect in defects if "relations" in defect.kind]


def test_an_answer_without_relations_is_told(tmp_path: Path) -> None:
    _, defects = read_overpass(write(tmp_path, BODY))
    assert [str(defect) for defect in defects] == [
        "answer without relations: there are no turn restrictions; ask for rel(bw.w)[type=restriction] with the ways"
    ]


def test_what_is_listed_twice_counts_once(tmp_path: Path) -> None:
    streets, _ = read_overpass(write(tmp_path, [*BODY, *BODY]))
    assert len(streets.start) == 3


def test_a_way_without_a_tag_of_its_own_is_no_road(tmp_path: Path) -> None:
    skeleton = {"type": "way", "id": 12, "nodes": [3, 4]}
    tricky = {"type": "node", "id": 5, "lon": 112.9, "lat": 28.2, "tags": {"id": "6", "type": "way"}}
    assert len(streets_of(tmp_path, [*BODY, skeleton, tricky]).start) == 3


def test_places_outside_the_box_of_the_query_end_the_way_there(tmp_path: Path) -> None:
    cut = [{**way(10), "geometry": [*geometry([1, 2]), None]}, GEOM[1]]
    streets, defects = read_overpass(write(tmp_path, cut))
    assert len(streets.start) == 2
    assert any("does not place" in str(defect) for defect in defects)


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/small-osm is not there")
def test_a_real_answer_agrees_with_the_graph_that_osmnx_made_of_it() -> None:
    network, _ = build_network(read_overpass(DATA / "stockholm_w_overpass.json.gz")[0])
    expected, _ = build_network(read_graphml(DATA / "stockholm_w_simplified.graphml")[0])
    # osmnx made a node of each dead end and crossing, cut private roads off, and loses the shape between
    near = [np.min(np.hypot(*(network.node_xy_m - place).T)) for place in expected.node_xy_m]
    assert np.mean(np.array(near) < 1) > 0.9
    assert network.street_length_m.sum() == pytest.approx(expected.street_length_m.sum(), rel=0.1)


def test_an_answer_that_was_broken_off_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, BODY, remark="runtime error: Query run out of memory using about 2048 MB of RAM.")
    with pytest.raises(InputError, match=r"answer\.json: remark: found .*out of memory.*expected a whole answer"):
        read_overpass(path)


@pytest.mark.parametrize(
    ("elements", "found"),
    [
        ([way(10)], "ways without the nodes"),
        ([], "no drivable way"),
        ([{**way(10), "nodes": "1,2"}], "way 10: found nodes '1,2'"),
        ([{**way(10), "nodes": [1, None]}], "way 10: found nodes"),
        ([{**way(10), "nodes": [1, 10**400]}], "way 10: found nodes"),
        ([{**way(10), "tags": "primary"}], "way 10: found tags 'primary'"),
        ([{**way(10), "tags": {"highway": 3}}], "way 10: found tags"),
        ([{**way(10), "geometry": geometry([1])}], "way 10: found 3 nodes and 1 places"),
        ([{"type": "way", "id": 9, "tags": {"highway": "primary"}}], "way 9: found neither nodes nor geometry"),
        ([{"type": "way", "tags": {"highway": "primary"}}], "element 1: found .*expected a node, way or relation"),
        ([*BODY, node(1, lat=None)], "node 1: found lon=112.9, lat=None; expected two numbers"),
        ([*BODY, node(1, lat="28")], "node 1: found lon=112.9, lat='28'"),
        ([*BODY, {**node(1), "id": 10**30}], "node: found id 10+; expected a number of OpenStreetMap"),
        ([*BODY, {**RESTRICTION, "members": None}], "relation 7: found member None"),
        ([*BODY, {**RESTRICTION, "members": [{"type": "way", "ref": "10"}]}], "relation 7: found member"),
        ([*BODY, 5], "element 7: found 5"),
    ],
)
def test_what_is_wrong_with_an_element_is_told(tmp_path: Path, elements: list[Any], found: str) -> None:
    with pytest.raises(InputError, match=found):
        read_overpass(write(tmp_path, elements))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "no JSON"),
        (b"<html>", "no JSON"),
        (b"[]", "a JSON list"),
        (b"{}", "no key; expected 'elements' as a list"),
        (b'{"elements": {}}', "'elements'; expected 'elements' as a list"),
        (b'{"elements": [{"type": "node", "id": 1, "lon": NaN, "lat": 1}]}', "NaN where a number"),
        (b'{"elements": [{"type": "node", "id": 1, "lon": 1e999, "lat": 1}]}', "lon=inf"),
        (b'{"elements": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"elements": [{"type": "node", "id": ' + b"9" * 5000 + b"}]}", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
    ],
)
def test_what_is_no_answer_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "answer.json").write_bytes(content)
    with pytest.raises(InputError, match=found):
        read_overpass(tmp_path / "answer.json")


def test_a_packed_answer_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(write(tmp_path, BODY).read_bytes())
    path = tmp_path / "answer.json.gz"
    path.write_bytes(whole)
    assert len(read_overpass(path)[0].start) == 3
    for content in (whole[:-30], whole[:12], b"plain", whole[:30] + b"\0" * 30 + whole[60:]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"answer\.json\.gz: found .*(Copy the file anew|Check the file)"):
            read_overpass(path)


@settings(max_examples=200)
@given(data=st.data())
def test_a_mangled_answer_is_read_or_refused_but_never_breaks(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = bytearray(json.dumps({"elements": [*BODY, *WITHOUT_IDS, RESTRICTION]}).encode())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 4))] = data.draw(
            st.sampled_from([b"", b"9", b"null", b"-", b'"', b"{}"])
        )
    path = tmp_path_factory.mktemp("mangled") / "answer.json"
    path.write_bytes(bytes(text))
    with contextlib.suppress(InputError):
        streets, _ = read_overpass(path)
        assert np.isfinite(streets.shape_xy_m).all()


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        ('{"version": 0.6, "osm3s": {"copyright": "x"}, "elements": [', JsonKind.OVERPASS),
        ('{"directed": true, "multigraph": true, "graph": {}, "nodes": [', JsonKind.NODE_LINK),
        ('{"type": "FeatureCollection", "features": [{"properties": {"nodes": 3}', JsonKind.LAYER),
        ('{"type": "Feature", "geometry": null', JsonKind.LAYER),
        ("not json", JsonKind.LAYER),
    ],
)
def test_a_json_file_tells_by_its_first_keys_what_it_holds(tmp_path: Path, start: str, kind: JsonKind) -> None:
    (tmp_path / "roads.json").write_text(start)
    assert json_kind(tmp_path / "roads.json") is kind
