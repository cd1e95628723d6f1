"""Turn restrictions and driving rules: what is driven, and that it agrees with a search from edge to edge."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reference import searched_times

from geodata.defects import Defect
from geodata.driving import RULES, DrivingRules
from geodata.network import OneWay, Permission, RoadClass, RoadNetwork, Streets, build_network
from geodata.positions import Position, Positions
from geodata.routing import RoadTravel

HOUR = 3
STEP_M = 100.0
FORBIDDEN, ONLY = 0, 1
Turn = tuple[int, int, int, int]
Street = tuple[int, int]


def streets_between(
    ends: Sequence[Street],
    xy_m: np.ndarray,
    turns: Sequence[Turn] = (),
    one_way: Sequence[int] | None = None,
    road_class: Sequence[int] | None = None,
) -> Streets:
    """Straight streets between junctions, named by their row."""
    rows = np.array(ends, np.int64)
    n = len(rows)
    return Streets(
        epsg=4547,
        start=rows[:, 0],
        end=rows[:, 1],
        one_way=np.array([OneWay.NO] * n if one_way is None else one_way, np.int8),
        road_class=np.array([RoadClass.LOCAL] * n if road_class is None else road_class, np.uint8),
        speed_kmh=np.full(n, 36.0),
        name=[str(i) for i in range(n)],
        shape_first=np.arange(n + 1) * 2,
        shape_xy_m=xy_m[rows].reshape(-1, 2),
        turns=np.array(turns, np.int64).reshape(-1, 4),
    )


def blocks(n: int) -> tuple[list[Street], np.ndarray]:
    """n × n junctions, numbered by row, and the streets between neighbours."""
    xy_m = np.array([(x, y) for y in range(n) for x in range(n)], float) * STEP_M
    across = [(n * y + x, n * y + x + 1) for y in range(n) for x in range(n - 1)]
    return across + [(n * y + x, n * y + x + n) for y in range(n - 1) for x in range(n)], xy_m


ENDS, XY_M = blocks(3)
CENTRE = 4


def row(a: int, b: int, ends: Sequence[Street] = ENDS) -> int:
    """The street between two junctions."""
    return next(i for i, pair in enumerate(ends) if set(pair) == {a, b})


def ban(a: int, via: int, b: int, kind: int = FORBIDDEN) -> Turn:
    return row(a, via), via, row(via, b), kind


def edge(network: RoadNetwork, a: int, b: int) -> int:
    """The edge from one junction of the blocks to another."""
    from_xy, to_xy = network.node_xy_m[network.tail], network.node_xy_m[network.head]
    (found,) = np.flatnonzero((from_xy == XY_M[a]).all(axis=1) & (to_xy == XY_M[b]).all(axis=1))
    return int(found)


def middle(network: RoadNetwork, a: int, b: int) -> Position:
    found = edge(network, a, b)
    return Position(found, float(network.length_m[found]) / 2)


def driven(
    network: RoadNetwork, from_street: Street, to_street: Street, rules: DrivingRules = RULES["obey_all"]
) -> str:
    """The junctions on the way from the middle of a street to that of another one."""
    travel = RoadTravel(network, rules=rules)
    route = travel.route(middle(network, *from_street), middle(network, *to_street), HOUR)
    place = [
        int(np.flatnonzero((network.node_xy_m[node] == XY_M).all(axis=1))[0]) for node in network.head[route.edges]
    ]
    return "-".join(str(node) for node in place[:-1])


def one_way_column(*forward: Street) -> list[int]:
    marks = [int(OneWay.NO)] * len(ENDS)
    for a, b in forward:
        marks[row(a, b)] = OneWay.FORWARD if ENDS[row(a, b)] == (a, b) else OneWay.BACKWARD
    return marks


def built(*turns: Turn, **columns: Sequence[int]) -> RoadNetwork:
    network, defects = build_network(streets_between(ENDS, XY_M, turns, **columns))
    assert defects == []
    return network


def test_a_forbidden_turn_is_driven_round() -> None:
    assert driven(built(), (3, 4), (4, 7)) == "4"
    slow_to_turn = DrivingRules(u_turn_s=60)
    around = driven(built(ban(3, CENTRE, 7)), (3, 4), (4, 7), slow_to_turn)
    assert around in ("4-5-8-7", "3-6-7")


def test_only_that_turn_is_forbidden_and_only_in_its_direction() -> None:
    network = built(ban(3, CENTRE, 7))
    assert driven(network, (3, 4), (4, 1)) == "4"
    assert driven(network, (3, 4), (4, 5)) == "4"
    assert driven(network, (1, 4), (4, 7)) == "4"
    assert driven(network, (7, 4), (4, 3)) == "4"


def test_where_one_turn_is_mandatory_all_others_are_forbidden() -> None:
    network = built(ban(3, CENTRE, 5, ONLY))
    come = edge(network, 3, 4)
    into = {int(network.head[leave]) for at, leave in network.banned_turns.tolist() if at == come}
    left = {int(network.head[edge(network, 4, other)]) for other in (1, 3, 7)}
    assert into == left
    assert set(network.banned_turns[:, 0].tolist()) == {come}
    assert driven(network, (3, 4), (4, 5)) == "4"
    assert driven(network, (3, 4), (4, 7), DrivingRules(u_turn_s=60)) in ("4-5-8-7", "3-6-7")
    assert driven(network, (5, 4), (4, 7)) == "4"


def test_turning_round_at_the_next_junction_is_a_way_unless_it_is_forbidden_too() -> None:
    # on a one-way street nobody turns round midway
    one_way = one_way_column((3, 4))
    no_turn = ban(3, CENTRE, 7)
    assert driven(built(no_turn, one_way=one_way), (3, 4), (4, 7)) in ("4-5-4", "4-1-4")
    neither = built(no_turn, ban(4, 5, 4), ban(4, 1, 4), one_way=one_way)
    assert driven(neither, (3, 4), (4, 7)) == "4-5-8-7"


def test_turning_round_takes_its_time() -> None:
    network = built(ban(3, CENTRE, 7), one_way=one_way_column((3, 4)))
    place = middle(network, 3, 4)
    one = Positions(np.array([place.edge], np.int32), np.array([place.offset_m]))
    target = middle(network, 4, 7)
    times = [
        searched_times(RoadTravel(network, rules=DrivingRules(u_turn_s=s)), one, target, HOUR)[0] for s in (0, 4, 60)
    ]
    block_s = RoadTravel(network).edge_time_s(HOUR)[place.edge]
    assert times == pytest.approx([3 * block_s, 3 * block_s + 4, 4 * block_s])


def test_a_restriction_needs_both_its_streets() -> None:
    streets = streets_between(ENDS, XY_M, [ban(3, CENTRE, 7)])
    streets.road_class[row(4, 7)] = RoadClass.PEDESTRIAN
    network, _ = build_network(streets)
    assert len(network.banned_turns) == 0


def test_a_mandatory_turn_that_a_one_way_street_forbids_is_none() -> None:
    one_way = [OneWay.NO] * len(ENDS)
    one_way[row(4, 5)] = OneWay.BACKWARD
    network = built(ban(3, CENTRE, 5, ONLY), one_way=one_way)
    assert len(network.banned_turns) == 0


def test_a_restriction_that_would_cut_a_road_off_is_given_up_and_told() -> None:
    ends = [*ENDS, (8, 9)]
    xy_m = np.vstack([XY_M, [300.0, 200.0]])
    lane = row(8, 9, ends)
    turns = [(row(7, 8), 8, lane, FORBIDDEN), (row(5, 8), 8, lane, FORBIDDEN), ban(3, CENTRE, 7)]
    network, defects = build_network(streets_between(ends, xy_m, turns))
    (told,) = defects
    assert told.kind == "turn restrictions that cut roads off"
    assert set(told.label) == {str(row(7, 8)), str(row(5, 8))}
    assert len(network.banned_turns) == 1
    assert network.n_streets == len(ends)


# rules


def test_who_ignores_turn_restrictions_drives_straight_through_them() -> None:
    network = built(ban(3, CENTRE, 7))
    assert driven(network, (3, 4), (4, 7), RULES["ignore_turns"]) == "4"


def test_against_a_one_way_street_a_share_of_the_speed_is_driven() -> None:
    network = built(one_way=one_way_column((4, 3)))
    ask = (0, 3), (4, 5)
    assert "3-4" not in driven(network, *ask)
    against = DrivingRules(contraflow=0.8)
    assert driven(network, *ask, against) == "3-4"
    route = RoadTravel(network, rules=against).route(middle(network, *ask[0]), middle(network, *ask[1]), HOUR)
    own = RoadTravel(network).edge_time_s(HOUR)[edge(network, 0, 1)]
    assert route.time_s == pytest.approx(own * (0.5 + 1 / 0.8 + 0.5))


def test_on_a_one_way_street_contraflow_may_turn_back() -> None:
    network = built(one_way=one_way_column((4, 3)))
    travel = RoadTravel(network, rules=DrivingRules(contraflow=0.5))
    at = edge(network, 4, 3)
    one = Positions(np.array([at], np.int32), np.array([60.0]))
    own = RoadTravel(network).edge_time_s(HOUR)[at]
    assert searched_times(travel, one, Position(at, 40.0), HOUR) == pytest.approx([0.2 * own / 0.5])


def test_pedestrian_streets_serve_those_who_may_use_them() -> None:
    classes = [int(RoadClass.LOCAL)] * len(ENDS)
    classes[row(4, 5)] = RoadClass.PEDESTRIAN
    network = built(road_class=classes)
    assert set(network.permission.tolist()) == {Permission.OPEN, Permission.PEDESTRIAN}
    assert "4-5" not in driven(network, (3, 4), (5, 8))
    assert "4-5" not in driven(network, (3, 4), (5, 8), RULES["emergency"])
    walk = DrivingRules(pedestrian_streets=True, siren=(1, 1, 1, 1, 10))
    assert driven(network, (3, 4), (5, 8), walk) == "4-5"


def test_a_pedestrian_street_on_the_line_of_a_road_does_not_replace_it() -> None:
    ends, classes = [ENDS[0], *ENDS], [RoadClass.PEDESTRIAN, *[RoadClass.LOCAL] * len(ENDS)]
    network, defects = build_network(streets_between(ends, XY_M, road_class=classes))
    assert defects == []
    assert np.count_nonzero(network.permission == Permission.OPEN) == 2 * len(ENDS)
    again = streets_between(
        [*ends, ENDS[0], ENDS[0]], XY_M, road_class=[*classes, RoadClass.PEDESTRIAN, RoadClass.LOCAL]
    )
    network, (twice,) = build_network(again)
    assert twice.label == (str(len(ends)), str(len(ends) + 1))
    assert network.n_streets == len(ends)


@pytest.mark.parametrize("name", list(RULES))
def test_no_named_rule_is_slower_than_the_one_that_obeys_but_who_walks(name: str) -> None:
    network = built(ban(3, CENTRE, 7), ban(1, CENTRE, 5, ONLY), one_way=one_way_column((6, 7), (8, 5)))
    places = Positions(np.arange(network.n_open, dtype=np.int32), np.full(network.n_open, 30.0))
    obeying, other = RoadTravel(network), RoadTravel(network, rules=RULES[name])
    for target in list(places)[::5]:
        times, asked = searched_times(obeying, places, target, HOUR), searched_times(other, places, target, HOUR)
        assert (asked >= times).all() if name == "foot" else (asked <= times + 1e-9).all()


def test_a_siren_shortens_by_class_and_the_top_speed_limits() -> None:
    network = built()
    road_s = RoadTravel(network).edge_time_s(HOUR)
    fast = DrivingRules(siren=(1, 1, 1, 1.6, 1))
    assert RoadTravel(network, rules=fast).edge_time_s(HOUR) == pytest.approx(road_s / 1.6)
    slow = replace(fast, max_kmh=18)
    assert RoadTravel(network, rules=slow).edge_time_s(HOUR) == pytest.approx(np.full(network.n_edges, STEP_M / 5))


def test_junctions_take_their_time_where_three_streets_meet() -> None:
    network = built()
    waits = RoadTravel(network, rules=DrivingRules(junction_s=7)).edge_time_s(HOUR) - RoadTravel(network).edge_time_s(
        HOUR
    )
    corner = np.isin(network.head, [network.tail[edge(network, a, b)] for a, b in ((0, 1), (2, 1), (6, 7), (8, 7))])
    assert waits == pytest.approx(np.where(corner, 0, 7))


@pytest.mark.parametrize(
    "wrong",
    [
        {"contraflow": 1.5},
        {"contraflow": -0.1},
        {"max_kmh": 0},
        {"u_turn_s": -1},
        {"junction_s": -1},
        {"siren": (1.0,) * 3},
        {"siren": (1.0, 1.0, 0.0, 1.0, 1.0)},
    ],
)
def test_impossible_rules_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        DrivingRules(**wrong)  # type: ignore[arg-type]


# agreement with a search from edge to edge


def random_streets(rng: np.random.Generator, n: int) -> Streets:
    """Junctions on a ring, chords, and restrictions at random; some chords for pedestrians, some streets one-way."""
    chords = rng.integers(0, n, (n, 2))
    chords = chords[chords[:, 0] != chords[:, 1]]
    ends = np.vstack([np.stack([np.arange(n), (np.arange(n) + 1) % n], 1), chords])
    turns = []
    for _ in range(int(rng.integers(1, 3 * n))):
        via = int(rng.integers(0, n))
        there = np.flatnonzero((ends == via).any(axis=1))
        turns.append((int(rng.choice(there)), via, int(rng.choice(there)), int(rng.random() < 0.2)))
    return streets_between(
        [(int(a), int(b)) for a, b in ends],
        rng.uniform(0, 2_000, (n, 2)),
        turns,
        np.r_[rng.choice([0, 0, 1], n), rng.choice([0, 0, 1, -1], len(chords))].tolist(),
        np.r_[rng.integers(0, 4, n), rng.integers(0, 5, len(chords))].tolist(),
    )


def pairs_of(streets: Streets, network: RoadNetwork) -> set[tuple[int, int]]:
    """Forbidden pairs of open edges, worked out one by one from the restrictions."""
    street_of = {name: i for i, name in enumerate(np.array(network.names)[network.street_name].tolist())}
    node_of: dict[int, int] = {}
    open_edges = range(network.n_open)
    for i, name in enumerate(streets.name):
        if name in street_of:
            a = next(
                e for e in range(network.n_edges) if network.street[e] == street_of[name] and not network.backward[e]
            )
            node_of[int(streets.start[i])], node_of[int(streets.end[i])] = int(network.tail[a]), int(network.head[a])

    def standing(row: int) -> int | None:
        """The street of a row, or of the first one between the same junctions: lines are straight, so it lies on it."""

        def drawn(i: int) -> tuple[set[int], bool]:
            return {streets.start[i], streets.end[i]}, streets.road_class[i] == RoadClass.PEDESTRIAN

        alike = next(i for i in range(row + 1) if drawn(i) == drawn(row))
        return street_of.get(str(row), street_of.get(str(alike)))

    pairs = set()
    for a, via, b, only in streets.turns.tolist():
        come_street, into_street = standing(a), standing(b)
        if come_street is None or into_street is None:
            continue
        node = node_of[via]
        for come in (e for e in open_edges if network.street[e] == come_street and network.head[e] == node):
            leaving = [e for e in open_edges if network.tail[e] == node]
            named = [e for e in leaving if network.street[e] == into_street]
            pairs |= {(come, e) for e in leaving if (e not in named if only and named else not only and e in named)}
    return pairs


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_restrictions_forbid_what_they_say_or_are_told_as_given_up(seed: int) -> None:
    rng = np.random.default_rng(seed)
    streets = random_streets(rng, int(rng.integers(3, 15)))
    network, defects = build_network(streets)
    kept = {(a, b) for a, b in network.banned_turns.tolist()}
    given_up = sum(len(d) for d in defects if d.kind == "turn restrictions that cut roads off")
    expected = pairs_of(streets, network)
    assert kept <= expected
    assert len(expected) == len(kept) + given_up


def edge_times(network: RoadNetwork, rules: DrivingRules) -> np.ndarray:
    """(m,) seconds by the rules, worked out edge by edge."""
    road_s = RoadTravel(network).speeds.edge_time_s(network, HOUR)
    arms = np.bincount(np.r_[network.tail, network.head], minlength=network.n_nodes) / 2
    seconds = np.empty(network.n_edges)
    for e in range(network.n_edges):
        permission = network.permission[e]
        pace = rules.siren[network.road_class[e]] * (rules.contraflow if permission == Permission.AGAINST else 1)
        if pace == 0 or (permission == Permission.PEDESTRIAN and not rules.pedestrian_streets):
            seconds[e] = np.inf
            continue
        seconds[e] = max(road_s[e] / pace, network.length_m[e] / (rules.max_kmh / 3.6))
        seconds[e] += rules.junction_s if arms[network.head[e]] >= 3 else 0
    return seconds


def reference_times(network: RoadNetwork, rules: DrivingRules, origins: Positions, target: Position) -> list[float]:
    """Seconds by networkx over a graph whose nodes are edges and whose arcs are allowed turns."""
    time_s = edge_times(network, rules)
    banned = {(a, b) for a, b in network.banned_turns.tolist()} if rules.turn_restrictions else set()
    usable = np.flatnonzero(np.isfinite(time_s)).tolist()

    def parts(place: Position) -> list[tuple[int, float]]:
        share = place.offset_m / network.length_m[place.edge]
        both = [(place.edge, share), (int(network.reverse[place.edge]), 1 - share)]
        return [(e, s) for e, s in both if np.isfinite(time_s[e])]

    def turn_s(come: int, leave: int) -> float:
        return rules.u_turn_s if network.reverse[come] == leave else 0.0

    graph = nx.DiGraph()
    ends = dict(parts(target))
    for come in usable:
        for leave in usable:
            if network.head[come] == network.tail[leave] and (come, leave) not in banned:
                graph.add_edge(come, leave, weight=turn_s(come, leave) + time_s[leave])
                if leave in ends:
                    best = graph.get_edge_data(come, "t", {"weight": np.inf})["weight"]
                    reach_s = turn_s(come, leave) + ends[leave] * time_s[leave]
                    graph.add_edge(come, "t", weight=min(best, reach_s))
    for i, origin in enumerate(origins):
        direct = np.inf
        for e, share in parts(origin):
            graph.add_edge(f"o{i}", e, weight=(1 - share) * time_s[e])
            if e in ends and ends[e] >= share:
                direct = min(direct, (ends[e] - share) * time_s[e])
        if np.isfinite(direct):
            graph.add_edge(f"o{i}", "t", weight=direct)
    to_target = nx.single_source_dijkstra_path_length(graph.reverse(), "t")
    return [to_target[f"o{i}"] for i in range(len(origins))]


ALL_RULES = st.builds(
    DrivingRules,
    turn_restrictions=st.booleans(),
    contraflow=st.sampled_from([0.0, 0.0, 0.5, 1.0]),
    pedestrian_streets=st.booleans(),
    siren=st.sampled_from([(1.0,) * 5, (1.1, 1.3, 1.3, 1.6, 0.5)]),
    max_kmh=st.sampled_from([np.inf, 30.0]),
    u_turn_s=st.sampled_from([0.0, 0.0, 10.0, 40.0]),
    junction_s=st.sampled_from([0.0, 5.0]),
)


def random_positions(network: RoadNetwork, rng: np.random.Generator, n: int) -> Positions:
    at = rng.integers(0, network.n_open, n).astype(np.int32)
    return Positions(at, rng.random(n) * network.length_m[at])


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), ALL_RULES)
# who may drive against a one-way street turns round on it, and takes the time for it
@example(4096, DrivingRules(contraflow=0.5, u_turn_s=10.0))
def test_times_agree_with_a_search_from_edge_to_edge(seed: int, rules: DrivingRules) -> None:
    rng = np.random.default_rng(seed)
    network, _ = build_network(random_streets(rng, int(rng.integers(3, 15))))
    travel = RoadTravel(network, rules=rules)
    origins, target = random_positions(network, rng, 6), random_positions(network, rng, 1)[0]
    expected = reference_times(network, rules, origins, target)
    assert searched_times(travel, origins, target, HOUR) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), ALL_RULES)
def test_no_route_takes_a_forbidden_turn_or_a_closed_edge(seed: int, rules: DrivingRules) -> None:
    rng = np.random.default_rng(seed)
    network, _ = build_network(random_streets(rng, int(rng.integers(3, 15))))
    travel = RoadTravel(network, rules=rules)
    origins, target = random_positions(network, rng, 4), random_positions(network, rng, 1)[0]
    time_s = edge_times(network, rules)
    banned = {(a, b) for a, b in network.banned_turns.tolist()} if rules.turn_restrictions else set()
    for origin, seconds in zip(origins, searched_times(travel, origins, target, HOUR).tolist(), strict=True):
        route = travel.route(origin, target, HOUR)
        assert banned.isdisjoint(pairwise(route.edges.tolist()))
        assert np.isfinite(time_s[route.edges]).all()
        assert (network.head[route.edges[:-1]] == network.tail[route.edges[1:]]).all()
        assert route.time_s == pytest.approx(seconds, abs=1e-6)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), ALL_RULES)
def test_kept_times_of_posts_agree_under_every_rule(seed: int, rules: DrivingRules) -> None:
    rng = np.random.default_rng(seed)
    network, _ = build_network(random_streets(rng, int(rng.integers(3, 15))))
    posts = random_positions(network, rng, 4)
    plain, keeping = RoadTravel(network, rules=rules), RoadTravel(network, anchors=posts, rules=rules)
    target = random_positions(network, rng, 1)[0]
    rows, none = np.arange(len(posts)), np.zeros(len(posts))
    found = keeping.nearest_drives(target, rows, posts, none, none + 1, HOUR, 4, anchor=rows.astype(np.int32))
    expected = searched_times(plain, posts, target, HOUR)
    assert [drive.time_s for _, drive in found] == pytest.approx(np.sort(expected), abs=1e-6)


def test_every_restriction_told_is_a_defect_with_a_place() -> None:
    rng = np.random.default_rng(3)
    told: list[Defect] = []
    while not told:
        _, defects = build_network(random_streets(rng, 8))
        told = [defect for defect in defects if defect.kind == "turn restrictions that cut roads off"]
    assert all(shape is not None for shape in told[0].shapes)
