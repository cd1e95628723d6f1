"""Turn restrictions of OpenStreetMap: which turns they lead to, and which are not honoured and why."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import shapely

from geodata.defects import Defect
from geodata.network import Streets, build_network
from geodata.readers.noding import select_streets
from geodata.readers.osm import Way, read_osm, streets_of_osm
from geodata.readers.restrictions import Member

DATA = Path(__file__).parents[2] / "../shared/data/small-osm"
STEP_DEG = 0.001
NODES = {n: (112.9 + (n % 10) * STEP_DEG, 28.2 + (n // 10) * STEP_DEG) for n in range(1, 100)}
WEST, EAST, SOUTH, NORTH, VIA = 1, 2, 3, 4, 55
CROSS: list[Way] = [
    (WEST, [54, VIA], {"highway": "primary"}),
    (EAST, [VIA, 56], {"highway": "primary"}),
    (SOUTH, [45, VIA], {"highway": "residential"}),
    (NORTH, [VIA, 65], {"highway": "residential"}),
    (9, [54, 64, 65, 66, 56, 46, 45, 44, 54], {"highway": "residential"}),
]
"""A junction with an arm in each direction, and a ring around it."""
NO_LEFT: Mapping[str, str] = {"type": "restriction", "restriction": "no_left_turn"}
FROM_WEST_TO_NORTH: list[Member] = [("w", WEST, "from"), ("n", VIA, "via"), ("w", NORTH, "to")]


def read(
    tags: Mapping[str, str], members: Sequence[Member] = FROM_WEST_TO_NORTH, ways: Sequence[Way] = CROSS
) -> tuple[Streets, list[Defect]]:
    ids = np.array(sorted(NODES))
    lonlat = np.array([NODES[i] for i in ids.tolist()])
    return streets_of_osm(ways, (ids, lonlat), [(77, tags, members)], "made", None)


def turns(streets: Streets) -> list[tuple[str, int, str, int]]:
    """From which way, over which node, into which way, and whether only that."""
    label = streets.label
    assert label is not None
    return [(label[a], via, label[b], only) for a, via, b, only in streets.turns.tolist()]


def unhonoured(defects: list[Defect]) -> Defect:
    (defect,) = defects
    assert defect.label == ("relation 77",)
    return defect


def cars_only(**tags: str) -> dict[str, str]:
    return {"type": "restriction"} | {key.replace("__", ":"): value for key, value in tags.items()}


@pytest.mark.parametrize(
    ("value", "only"),
    [
        ("no_left_turn", 0),
        ("no_right_turn", 0),
        ("no_straight_on", 0),
        ("no_entry", 0),
        ("no_exit", 0),
        ("only_left_turn", 1),
        ("only_straight_on", 1),
    ],
)
def test_a_restriction_forbids_its_turn_or_all_others(value: str, only: int) -> None:
    streets, defects = read(cars_only(restriction=value))
    assert turns(streets) == [("way 1", VIA, "way 4", only)]
    assert defects == []


def test_a_forbidden_turn_is_kept_from_the_network() -> None:
    network, _ = build_network(read(NO_LEFT)[0])
    ((come, leave),) = network.banned_turns.tolist()
    assert network.head[come] == network.tail[leave]
    assert network.length_m[come] == pytest.approx(98.1, abs=0.5)
    assert network.length_m[leave] == pytest.approx(110.8, abs=0.5)


def test_a_way_drawn_towards_or_away_from_the_junction_is_found_alike() -> None:
    turned = [(number, list(refs)[::-1], tags) for number, refs, tags in CROSS]
    assert turns(read(NO_LEFT, ways=turned)[0]) == [("way 1", VIA, "way 4", 0)]


def test_turning_round_is_a_turn_into_the_street_one_comes_from() -> None:
    members = [("w", WEST, "from"), ("n", VIA, "via"), ("w", WEST, "to")]
    streets, _ = read(cars_only(restriction="no_u_turn"), members)
    (row,) = streets.turns.tolist()
    assert row[0] == row[2]
    network, _ = build_network(streets)
    ((come, leave),) = network.banned_turns.tolist()
    assert network.twin[come] == leave


def test_of_a_way_through_several_junctions_the_piece_at_this_one_is_meant() -> None:
    ways = [(WEST, [52, 53, 54, VIA], {"highway": "primary"}), *CROSS[1:], (8, [53, 63, 64], {"highway": "service"})]
    streets, defects = read(NO_LEFT, ways=ways)
    ((row, _, _, _),) = streets.turns.tolist()
    assert streets.end[row] == VIA
    assert defects == []


@pytest.mark.parametrize(
    ("tags", "only"),
    [
        (cars_only(restriction__motorcar="no_left_turn"), 0),
        (cars_only(restriction__motor_vehicle="only_left_turn", restriction="no_left_turn"), 1),
        (cars_only(restriction="no_left_turn", restriction__hgv="only_left_turn"), 0),
        (cars_only(restriction="no_left_turn") | {"except": "psv;emergency;bicycle"}, 0),
    ],
)
def test_what_holds_for_a_car_is_honoured(tags: Mapping[str, str], only: int) -> None:
    streets, defects = read(tags)
    assert turns(streets) == [("way 1", VIA, "way 4", only)]
    assert defects == []


@pytest.mark.parametrize(
    "tags",
    [
        cars_only(restriction__hgv="no_left_turn"),
        cars_only(restriction="no_left_turn") | {"type": "restriction:bus"},
        cars_only(restriction="no_left_turn") | {"except": "bicycle; motorcar"},
    ],
)
def test_what_holds_for_other_vehicles_is_counted(tags: Mapping[str, str]) -> None:
    streets, defects = read(tags)
    assert turns(streets) == []
    assert str(unhonoured(defects)) == "1 case of turn restrictions for other vehicles: not needed (relation 77)"


@pytest.mark.parametrize(
    ("tags", "kept"),
    [
        (cars_only(restriction__conditional="no_left_turn @ (Mo-Fr 07:00-09:00)"), 0),
        (cars_only(restriction="no_left_turn", restriction__conditional="only_left_turn @ (22:00-06:00)"), 1),
        (cars_only(restriction="no_left_turn", hour_on="07:00", hour_off="09:00"), 0),
    ],
)
def test_a_condition_is_not_honoured_and_counted_but_what_holds_always_is(tags: Mapping[str, str], kept: int) -> None:
    streets, defects = read(tags)
    assert len(streets.turns) == kept
    told = unhonoured(defects)
    assert told.kind == "conditional turn restrictions"
    assert shapely.get_type_id(told.shapes).tolist() == [0]


def test_several_ways_into_one_forbidden_exit() -> None:
    members = [("w", WEST, "from"), ("w", SOUTH, "from"), ("n", VIA, "via"), ("w", NORTH, "to")]
    streets, defects = read(cars_only(restriction="no_entry"), members)
    assert turns(streets) == [("way 1", VIA, "way 4", 0), ("way 3", VIA, "way 4", 0)]
    assert defects == []


def test_of_several_ways_one_that_is_missing_is_told_and_the_others_hold() -> None:
    members = [("w", WEST, "from"), ("w", 1234, "from"), ("n", VIA, "via"), ("w", NORTH, "to")]
    streets, defects = read(cars_only(restriction="no_entry"), members)
    assert turns(streets) == [("way 1", VIA, "way 4", 0)]
    assert unhonoured(defects).kind == "turn restrictions with members that are not in the file"


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ([("w", WEST, "from"), ("w", EAST, "via"), ("w", NORTH, "to")], "turn restrictions over several junctions"),
        ([("w", WEST, "from"), ("n", VIA, "via")], "turn restrictions with wrong members"),
        ([("w", WEST, "from"), ("w", NORTH, "to")], "turn restrictions with wrong members"),
        ([("w", WEST, ""), ("n", VIA, "via"), ("w", NORTH, "to")], "turn restrictions with wrong members"),
        ([("n", 54, "from"), ("n", VIA, "via"), ("w", NORTH, "to")], "turn restrictions with wrong members"),
        ([*FROM_WEST_TO_NORTH, ("n", 56, "via")], "turn restrictions with wrong members"),
        ([("w", 99, "from"), *FROM_WEST_TO_NORTH[1:]], "turn restrictions with members that are not in the file"),
        (
            [("w", WEST, "from"), ("n", 64, "via"), ("w", NORTH, "to")],
            "turn restrictions whose ways do not begin or end at their junction",
        ),
        ([], "turn restrictions with wrong members"),
    ],
)
def test_what_cannot_be_honoured_is_told(members: Sequence[Member], kind: str) -> None:
    streets, defects = read(NO_LEFT, members)
    assert turns(streets) == []
    assert unhonoured(defects).kind == kind


@pytest.mark.parametrize("value", ["", "no_right_turn_on_red", "give_way"])
def test_a_restriction_of_an_unknown_kind_is_told(value: str) -> None:
    told = unhonoured(read(cars_only(restriction=value))[1])
    assert str(told) == f"1 case of turn restrictions of an unknown kind: not honoured: {value!r} × 1 (relation 77)"


def test_a_mandatory_turn_into_several_streets_is_told() -> None:
    members = [*FROM_WEST_TO_NORTH, ("w", EAST, "to")]
    assert unhonoured(read(cars_only(restriction="only_straight_on"), members)[1]).kind.endswith("wrong members")


def test_a_way_that_runs_through_the_junction_is_unclear_unless_it_is_one_way() -> None:
    through = (WEST, [54, VIA, 56], {"highway": "primary"})
    streets, defects = read(NO_LEFT, ways=[through, *CROSS[2:]])
    assert turns(streets) == []
    assert unhonoured(defects).kind.startswith("turn restrictions whose ways do not")
    one_way = (WEST, [54, VIA, 56], {"highway": "primary", "oneway": "yes"})
    streets, defects = read(NO_LEFT, ways=[one_way, *CROSS[2:]])
    ((row, _, _, _),) = streets.turns.tolist()
    assert streets.end[row] == VIA
    assert defects == []


@pytest.mark.parametrize(
    "way",
    [
        (NORTH, [VIA, 65], {"highway": "residential", "oneway": "-1"}),
        (NORTH, [65, VIA], {"highway": "residential", "oneway": "yes"}),
    ],
)
def test_a_turn_into_a_one_way_street_needs_no_restriction(way: Way) -> None:
    streets, defects = read(NO_LEFT, ways=[*CROSS[:3], way, CROSS[4]])
    assert turns(streets) == []
    assert unhonoured(defects).kind == "turn restrictions on turns that one-way streets forbid already"


@pytest.mark.parametrize("tags", [{"highway": "footway"}, {"highway": "service", "access": "private"}])
def test_a_turn_into_a_way_that_was_left_out_needs_no_restriction(tags: Mapping[str, str]) -> None:
    streets, defects = read(NO_LEFT, ways=[*CROSS[:3], (NORTH, [VIA, 65], tags), CROSS[4]])
    assert turns(streets) == []
    kinds = {defect.kind for defect in defects if defect.label == ("relation 77",)}
    assert kinds == {"turn restrictions at ways that were left out"}


def test_a_turn_into_a_pedestrian_street_needs_no_restriction() -> None:
    streets, defects = read(NO_LEFT, ways=[*CROSS[:3], (NORTH, [VIA, 65], {"highway": "pedestrian"}), CROSS[4]])
    assert turns(streets) == []
    assert unhonoured(defects).kind == "turn restrictions at ways that were left out"


def test_other_relations_are_passed_over() -> None:
    streets, defects = read({"type": "route", "restriction": "no_left_turn"})
    assert turns(streets) == []
    assert defects == []


def test_the_same_restriction_told_twice_counts_once() -> None:
    ids = np.array(sorted(NODES))
    lonlat = np.array([NODES[i] for i in ids.tolist()])
    twice = [(n, NO_LEFT, FROM_WEST_TO_NORTH) for n in (1, 2)]
    assert len(streets_of_osm(CROSS, (ids, lonlat), twice, "made", None)[0].turns) == 1


def test_turns_follow_when_streets_are_selected() -> None:
    streets, _ = read(NO_LEFT)
    kept = np.arange(len(streets.start)) != 1
    assert turns(select_streets(streets, kept)) == turns(streets)
    without_from = np.arange(len(streets.start)) != streets.turns[0, 0]
    assert turns(select_streets(streets, without_from)) == []


def test_a_file_tells_its_restrictions(tmp_path: Path) -> None:
    lines = ['<osm version="0.6">']
    lines += [f'<node id="{n}" lon="{x:.7f}" lat="{y:.7f}"/>' for n, (x, y) in NODES.items()]
    for number, refs, tags in CROSS:
        nds = "".join(f'<nd ref="{ref}"/>' for ref in refs)
        lines.append(f'<way id="{number}">{nds}<tag k="highway" v="{tags["highway"]}"/></way>')
    members = "".join(
        f'<member type="{ {"w": "way", "n": "node"}[kind] }" ref="{ref}" role="{role}"/>'
        for kind, ref, role in FROM_WEST_TO_NORTH
    )
    told = "".join(f'<tag k="{key}" v="{value}"/>' for key, value in NO_LEFT.items())
    lines.append(f'<relation id="77">{members}{told}</relation></osm>')
    path = tmp_path / "made.osm"
    path.write_text("\n".join(lines))
    assert turns(read_osm(path)[0]) == [("way 1", VIA, "way 4", 0)]


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/small-osm is not there")
@pytest.mark.parametrize(("name", "in_file", "honoured"), [("baltimore.osm.pbf", 3, 3), ("moscow.osm.gz", 106, 76)])
def test_every_restriction_of_a_real_file_is_honoured_or_told(name: str, in_file: int, honoured: int) -> None:
    streets, defects = read_osm(DATA / name)
    told = {label for defect in defects for label in defect.label if label.startswith("relation")}
    assert len(streets.turns) == honoured
    assert len(told) == in_file - honoured
