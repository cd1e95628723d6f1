"""OpenStreetMap files: what is read of them, and what is refused."""

import bz2
import contextlib
import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import osmium
import osmnx
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geodata.defects import Defect
from geodata.errors import InputError
from geodata.network import OneWay, Permission, RoadClass, Streets, build_network
from geodata.readers.noding import as_lines
from geodata.readers.osm import read_osm, streets_of_osm
from geodata.readers.values import CLASS_OF_HIGHWAY, POSTED_LIMIT_SHARE

DATA = Path(__file__).parents[2] / "../shared/data/small-osm"
STEP_DEG = 0.001
NODES = {
    10 * row + column: (112.9 + column * STEP_DEG, 28.2 + row * STEP_DEG) for row in range(5) for column in range(5)
}

Way = tuple[list[int], Mapping[str, str]]


def osm_text(ways: Iterable[Way], nodes: Mapping[int, tuple[float, float]] = NODES) -> str:
    lines = ['<osm version="0.6">']
    lines += [f'<node id="{i + 1}" lon="{x:.7f}" lat="{y:.7f}" version="1"/>' for i, (x, y) in nodes.items()]
    for number, (refs, tags) in enumerate(ways, 1):
        lines.append(f'<way id="{number}" version="1">')
        lines += [f'<nd ref="{ref + 1}"/>' for ref in refs]
        lines += [f"<tag k={quoteattr(k)} v={quoteattr(v)}/>" for k, v in tags.items()]
        lines.append("</way>")
    return "\n".join([*lines, "</osm>"])


def write(folder: Path, *ways: Way, nodes: Mapping[int, tuple[float, float]] = NODES) -> Path:
    path = folder / "made.osm"
    path.write_text(osm_text(ways, nodes), "utf-8")
    return path


def said(read: tuple[Streets, list[Defect]]) -> list[str]:
    return [str(defect) for defect in read[1]]


def read_one(folder: Path, **tags: str) -> Streets:
    return read_osm(write(folder, ([0, 1], {"highway": "residential"} | tags)))[0]


def lengths_m(streets: Streets) -> np.ndarray:
    return np.asarray(shapely.length(as_lines(streets.shape_xy_m, streets.shape_first)))


def test_ways_become_streets_between_the_nodes_that_they_share(tmp_path: Path) -> None:
    across = ([10, 11, 12, 13], {"highway": "primary", "name": "五一大道"})
    along = ([2, 12, 22], {"highway": "residential"})
    streets, defects = read_osm(write(tmp_path, across, along))
    assert sorted(zip(streets.start, streets.end, strict=True)) == [(3, 13), (11, 13), (13, 14), (13, 23)]
    assert streets.epsg == 4547
    assert sorted(streets.name) == ["", "", "五一大道", "五一大道"]
    assert sorted(np.diff(streets.shape_first)) == [2, 2, 2, 3]
    assert lengths_m(streets).sum() == pytest.approx(3 * 98.1 + 2 * 110.8, rel=0.002)
    assert defects == []
    assert sorted(streets.label or []) == ["way 1"] * 2 + ["way 2"] * 2


def test_ways_that_cross_without_a_common_node_do_not_meet_and_are_told(tmp_path: Path) -> None:
    read = read_osm(write(tmp_path, ([10, 12], {"highway": "trunk"}), ([1, 21], {"highway": "service"})))
    assert len(read[0].start) == 2
    assert said(read) == [
        "1 case of crossings without a shared vertex: "
        "taken for bridges, though neither bridge, tunnel nor layer is told (way 1 × way 2)"
    ]


@pytest.mark.parametrize("tags", [{"bridge": "yes"}, {"tunnel": "yes"}, {"layer": "-1"}])
def test_a_bridge_that_is_told_is_no_fault(tmp_path: Path, tags: Mapping[str, str]) -> None:
    over = {"highway": "trunk", **tags}
    assert said(read_osm(write(tmp_path, ([10, 12], over), ([1, 21], {"highway": "service"})))) == []


@pytest.mark.parametrize(
    ("highway", "road_class"),
    [
        ("motorway", RoadClass.EXPRESSWAY),
        ("trunk_link", RoadClass.EXPRESSWAY),
        ("primary", RoadClass.ARTERIAL),
        ("secondary_link", RoadClass.COLLECTOR),
        ("tertiary", RoadClass.COLLECTOR),
        ("living_street", RoadClass.LOCAL),
        ("service", RoadClass.LOCAL),
    ],
)
def test_the_class_follows_the_highway_tag(tmp_path: Path, highway: str, road_class: RoadClass) -> None:
    assert read_one(tmp_path, highway=highway).road_class.tolist() == [road_class]


@pytest.mark.parametrize(
    "tags",
    [
        {"highway": "footway"},
        {"highway": "cycleway"},
        {"highway": "path", "width": "4"},
        {"highway": "track"},
        {"highway": "construction"},
        {"highway": "pedestrian", "area": "yes"},
        {"highway": "service", "service": "parking_aisle"},
        {"highway": "service", "service": "drive-through"},
        {"highway": "residential", "access": "private"},
        {"highway": "residential", "access": "no"},
        {"highway": "residential", "motor_vehicle": "no"},
        {"waterway": "river"},
    ],
)
def test_what_a_patrol_car_may_not_drive_on_is_left_out(tmp_path: Path, tags: Mapping[str, str]) -> None:
    streets, _ = read_osm(write(tmp_path, ([0, 1], {"highway": "residential"}), ([10, 11], tags)))
    assert streets.start.tolist() == [1]


@pytest.mark.parametrize(
    "tags", [{"access": "no", "emergency": "yes"}, {"access": "no", "motor_vehicle": "yes"}, {"access": "destination"}]
)
def test_ways_open_to_emergencies_or_cars_are_kept(tmp_path: Path, tags: Mapping[str, str]) -> None:
    assert len(read_one(tmp_path, **tags).start) == 1


def test_closed_ways_are_told_with_their_number_and_their_line(tmp_path: Path) -> None:
    ways = [([0, 1], {"highway": "service"}), ([10, 11, 12], {"highway": "service", "access": "private"})]
    (defect,) = read_osm(write(tmp_path, *ways))[1]
    assert str(defect) == "1 case of ways closed to the public, 0.2 km: left out (way 2)"
    assert shapely.length(defect.shapes) == pytest.approx([2 * 98.1], rel=0.002)


def test_ways_of_kinds_that_are_no_streets_are_counted_by_kind(tmp_path: Path) -> None:
    tags = [{"highway": "footway"}, {"highway": "footway"}, {"highway": "service", "service": "parking_aisle"}]
    tags.append({"highway": "pedestrian", "area": "yes"})
    path = write(tmp_path, ([0, 1], {"highway": "service"}), *(([10, 11], each) for each in tags))
    assert said(read_osm(path)) == [
        "ways of kinds that are no streets: left out: 'footway' × 2, 'parking_aisle' × 1, 'pedestrian area' × 1"
    ]


def test_a_pedestrian_street_is_one_that_no_car_drives(tmp_path: Path) -> None:
    square = [([0, 1], {"highway": "primary"}), ([1, 11], {"highway": "primary"}), ([0, 11], {"highway": "pedestrian"})]
    streets, _ = read_osm(write(tmp_path, *square))
    assert streets.road_class.tolist() == [RoadClass.ARTERIAL, RoadClass.ARTERIAL, RoadClass.PEDESTRIAN]
    network, _ = build_network(streets)
    assert sorted(network.permission) == [Permission.OPEN] * 4 + [Permission.PEDESTRIAN] * 2


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        ({"motor_vehicle": "no"}, True),
        ({"access": "no", "foot": "yes"}, True),
        ({"access": "private"}, False),
        ({"foot": "no"}, False),
    ],
)
def test_a_pedestrian_street_is_kept_where_people_may_walk(tmp_path: Path, tags: Mapping[str, str], kept: bool) -> None:
    walk = {"highway": "pedestrian", **tags}
    streets, _ = read_osm(write(tmp_path, ([0, 1], {"highway": "primary"}), ([1, 11], walk)))
    assert len(streets.start) == 1 + kept


@pytest.mark.parametrize(
    ("tags", "one_way"),
    [
        ({}, OneWay.NO),
        ({"oneway": "yes"}, OneWay.FORWARD),
        ({"oneway": "1"}, OneWay.FORWARD),
        ({"oneway": "-1"}, OneWay.BACKWARD),
        ({"oneway": "no"}, OneWay.NO),
        ({"junction": "roundabout"}, OneWay.FORWARD),
        ({"junction": "roundabout", "oneway": "no"}, OneWay.NO),
        ({"highway": "motorway"}, OneWay.FORWARD),
        ({"highway": "motorway", "oneway": "no"}, OneWay.NO),
        ({"highway": "motorway_link"}, OneWay.NO),
    ],
)
def test_one_way_marks(tmp_path: Path, tags: dict[str, str], one_way: OneWay) -> None:
    assert read_one(tmp_path, **tags).one_way.tolist() == [one_way]


@pytest.mark.parametrize(
    ("posted", "kmh"),
    [("50", 50), ("50 km/h", 50), ("30 mph", 48.28), ("30mph", 48.28), ("7.5", 7.5)],
)
def test_a_posted_limit_becomes_a_driving_speed(tmp_path: Path, posted: str, kmh: float) -> None:
    assert read_one(tmp_path, maxspeed=posted).speed_kmh[0] == pytest.approx(POSTED_LIMIT_SHARE * kmh, rel=1e-3)


@pytest.mark.parametrize("posted", ["251", "1", "none", "walk", "CN:urban", "50;30", "-50"])
def test_a_limit_that_cannot_be_is_left_to_the_class_and_counted(tmp_path: Path, posted: str) -> None:
    path = write(tmp_path, ([0, 1], {"highway": "primary", "maxspeed": posted}))
    streets, defects = read_osm(path)
    assert np.isnan(streets.speed_kmh).all()
    assert said((streets, defects)) == [
        f"1 case of speed limits that cannot be used, 0.1 km: the class decides: {posted!r} × 1 (way 1)"
    ]


def test_a_direction_that_is_none_counts_as_both_and_is_told(tmp_path: Path) -> None:
    streets, defects = read_osm(write(tmp_path, ([0, 1], {"highway": "primary", "oneway": "reversible"})))
    assert streets.one_way.tolist() == [OneWay.NO]
    assert said((streets, defects)) == [
        "1 case of one-way marks that are not understood, 0.1 km: taken as both ways: 'reversible' × 1 (way 1)"
    ]


def test_the_reference_stands_in_for_a_missing_name(tmp_path: Path) -> None:
    assert list(read_one(tmp_path, ref="G4").name) == ["G4"]
    assert list(read_one(tmp_path, ref="G4", name="京港澳高速").name) == ["京港澳高速"]


def test_a_roundabout_is_cut_where_streets_enter_it(tmp_path: Path) -> None:
    ring = ([11, 12, 22, 21, 11], {"highway": "primary", "junction": "roundabout"})
    streets, _ = read_osm(write(tmp_path, ring, ([1, 11], {"highway": "primary"}), ([22, 32], {"highway": "primary"})))
    assert sorted(zip(streets.start, streets.end, strict=True)) == [(2, 12), (12, 23), (23, 12), (23, 33)]


def test_a_way_ends_where_its_node_was_cut_off(tmp_path: Path) -> None:
    nodes = {i: xy for i, xy in NODES.items() if i != 2}
    path = write(tmp_path, ([0, 1, 2, 3, 4], {"highway": "primary"}), nodes=nodes)
    streets, defects = read_osm(path)
    assert sorted(zip(streets.start, streets.end, strict=True)) == [(1, 2), (4, 5)]
    assert said((streets, defects)) == [
        "1 case of ways with nodes that the file does not place, 0.4 km: cut there (way 1)"
    ]


def test_a_node_at_null_island_counts_as_missing(tmp_path: Path) -> None:
    path = write(tmp_path, ([0, 1, 2, 3, 4], {"highway": "primary"}), nodes=dict(NODES) | {2: (0.0, 0.0)})
    streets, defects = read_osm(path)
    assert lengths_m(streets).sum() < 300
    assert [defect.kind for defect in defects] == ["ways with nodes that the file does not place"]


def test_nodes_that_were_never_uploaded_and_come_last_are_found(tmp_path: Path) -> None:
    text = osm_text([([-3, 11, 12], {"highway": "primary"})], {-3: (112.901, 28.2)} | NODES)
    lines = text.splitlines()
    path = tmp_path / "edited.osm"
    path.write_text(
        "\n".join(
            [lines[0], *[s for s in lines if "<node" not in s][1:-1], *[s for s in lines if "<node" in s], lines[-1]]
        )
    )
    streets, defects = read_osm(path)
    assert (streets.start.tolist(), streets.end.tolist(), defects) == ([-2], [13], [])


def test_a_way_listed_twice_counts_once(tmp_path: Path) -> None:
    path = write(tmp_path, ([0, 1], {"highway": "primary"}), ([0, 1, 2], {"highway": "primary"}))
    path.write_text(path.read_text("utf-8").replace('<way id="2"', '<way id="1"'), "utf-8")
    streets, defects = read_osm(path)
    assert streets.end.tolist() == [2]
    assert said((streets, defects)) == ["1 case of ways listed again, 0.2 km: left out: the first one stays (way 1)"]


def test_a_way_without_length_is_told(tmp_path: Path) -> None:
    path = write(
        tmp_path, ([0, 1], {"highway": "primary"}), ([3, 3], {"highway": "primary"}), ([4], {"highway": "road"})
    )
    assert said(read_osm(path)) == ["2 ways without length: left out (way 2, way 3)"]


def test_a_dead_end_beside_another_street_is_a_warning_with_its_place(tmp_path: Path) -> None:
    beside = dict(NODES) | {99: (112.9025, 28.20003)}
    ways = [([0, 1, 2, 3], {"highway": "primary"}), ([99, 12], {"highway": "service"})]
    streets, (defect,) = read_osm(write(tmp_path, *ways, nodes=beside))
    assert str(defect) == "1 case of dead ends that nearly meet another street: not joined, though within 5 m (way 2)"
    assert (streets.shape_xy_m == shapely.get_coordinates(defect.shapes)).all(axis=1).any()


def test_every_packing_gives_the_same_streets(tmp_path: Path) -> None:
    text = osm_text([([10, 11, 12], {"highway": "primary"}), ([1, 11], {"highway": "service", "oneway": "-1"})])
    (tmp_path / "a.osm").write_text(text, "utf-8")
    (tmp_path / "a.osm.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "a.osm.bz2").write_bytes(bz2.compress(text.encode()))
    with osmium.SimpleWriter(str(tmp_path / "a.osm.pbf")) as writer:
        for item in osmium.FileProcessor(str(tmp_path / "a.osm")):
            writer.add(item)
    expected = build_network(read_osm(tmp_path / "a.osm")[0])[0].digest
    for end in ("osm.gz", "osm.bz2", "osm.pbf"):
        assert build_network(read_osm(tmp_path / f"a.{end}")[0])[0].digest == expected


def drivable_length_by_osmnx_m(path: Path) -> float:
    """Of the ways that the reader keeps, by great circles."""
    graph = osmnx.graph_from_xml(path, simplify=False, retain_all=True, bidirectional=False)
    streets = {}
    for u, v, tags in graph.edges(data=True):
        kept = tags.get("highway") in CLASS_OF_HIGHWAY and tags.get("access") not in ("no", "private")
        if kept and tags.get("service") != "parking_aisle":
            streets[frozenset((u, v))] = tags["length"]
    return float(sum(streets.values()))


def test_the_length_agrees_with_osmnx(tmp_path: Path) -> None:
    ways = [([row * 10 + i for i in range(5)], {"highway": "primary"}) for row in range(5)]
    ways += [([i * 10 + column for i in range(5)], {"highway": "residential"}) for column in range(5)]
    ways.append(([0, 11, 22], {"highway": "footway"}))
    path = write(tmp_path, *ways)
    assert lengths_m(read_osm(path)[0]).sum() == pytest.approx(drivable_length_by_osmnx_m(path), rel=0.003)


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/small-osm is not there")
def test_the_length_of_west_oakland_agrees_with_osmnx() -> None:
    path = DATA / "West-Oakland.osm.bz2"
    assert lengths_m(read_osm(path)[0]).sum() == pytest.approx(drivable_length_by_osmnx_m(path), rel=0.003)


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/small-osm is not there")
@pytest.mark.parametrize(
    ("name", "epsg", "least_km"), [("baltimore.osm.pbf", 32618, 500), ("moscow.osm.gz", 32637, 70)]
)
def test_a_real_extract_makes_a_network(name: str, epsg: int, least_km: float) -> None:
    network, dropped = build_network(read_osm(DATA / name)[0])
    assert network.epsg == epsg
    assert network.street_length_m.sum() > least_km * 1000
    assert sum(part.metres for part in dropped) < 0.2 * network.street_length_m.sum()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.osm: found no such file.*Check the path"):
        read_osm(tmp_path / "none.osm")


def test_a_file_that_is_no_osm_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.osm"
    path.write_text("hello")
    with pytest.raises(
        InputError, match=r"bad\.osm: found XML parsing error.*expected OpenStreetMap data.*copy it anew"
    ):
        read_osm(path)


def test_a_file_without_roads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"made\.osm: found no drivable way; expected ways with highway="):
        read_osm(write(tmp_path, ([0, 1], {"highway": "footway"})))


def test_ways_without_nodes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found ways without the nodes"):
        read_osm(write(tmp_path, ([0, 1], {"highway": "primary"}), nodes={5: (112.9, 28.2)}))


BROKEN = r"expected OpenStreetMap data\. The file may be cut short or altered: copy it anew"


def packed(folder: Path, end: str) -> Path:
    """A small file in one of the packings."""
    text = osm_text([([row * 10 + i for i in range(5)], {"highway": "primary"}) for row in range(5)])
    path = folder / f"whole.{end}"
    plain = folder / "plain.osm"
    plain.write_text(text, "utf-8")
    if end == "osm.pbf":
        with osmium.SimpleWriter(str(path), overwrite=True) as writer:
            for item in osmium.FileProcessor(str(plain)):
                writer.add(item)
    else:
        content = text.encode()
        packings = {"osm": content, "osm.gz": gzip.compress(content), "osm.bz2": bz2.compress(content)}
        path.write_bytes(packings[end])
    return path


PACKINGS = ["osm", "osm.gz", "osm.bz2", "osm.pbf"]


@pytest.mark.parametrize("end", PACKINGS)
def test_a_file_cut_short_is_refused(tmp_path: Path, end: str) -> None:
    path = packed(tmp_path, end)
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 5])
    with pytest.raises(InputError, match=BROKEN):
        read_osm(path)


@pytest.mark.parametrize("end", PACKINGS)
def test_an_empty_file_is_refused(tmp_path: Path, end: str) -> None:
    path = tmp_path / f"empty.{end}"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"found .*; expected "):
        read_osm(path)


@pytest.mark.parametrize("end", PACKINGS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_altered_file_is_read_or_refused_and_nothing_else(tmp_path: Path, end: str, data: st.DataObject) -> None:
    content = bytearray(packed(tmp_path, end).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / f"altered.{end}"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        streets, _ = read_osm(path)
        assert np.isfinite(streets.shape_xy_m).all()


def test_an_entity_bomb_is_refused_before_it_unfolds(tmp_path: Path) -> None:
    layers = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, 12))
    way = '<way id="1"><nd ref="1"/><nd ref="2"/><tag k="highway" v="&e11;"/></way>'
    path = tmp_path / "bomb.osm"
    path.write_text(f'<!DOCTYPE osm [<!ENTITY e0 "aaaaaaaaaa">{layers}]><osm version="0.6">{way}</osm>')
    with pytest.raises(InputError, match=r"found XML entities are not supported"):
        read_osm(path)


@pytest.mark.parametrize("order", [1, -1])
def test_ways_and_nodes_from_elsewhere_give_the_same_streets(tmp_path: Path, order: int) -> None:
    ways = [([10, 11, 12], {"highway": "primary", "name": "A"}), ([1, 11], {"highway": "service", "oneway": "-1"})]
    ids = np.array(sorted(NODES)) + 1
    lonlat = np.array([NODES[i - 1] for i in ids.tolist()])
    given_ways = [(n, [ref + 1 for ref in refs], tags) for n, (refs, tags) in enumerate(ways, 1)]
    streets, defects = streets_of_osm(iter(given_ways[::order]), (ids, lonlat), [], "made", None)
    expected = build_network(read_osm(write(tmp_path, *ways))[0])[0]
    assert defects == []
    network = build_network(streets)[0]
    assert sorted(network.length_m) == pytest.approx(sorted(expected.length_m), abs=1e-6)
    assert network.one_way.sum() == expected.one_way.sum()
