"""Travel times agree with networkx on random networks with one-way streets and positions on edges."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import hard_network, searched_times

from geodata.driving import RULES
from geodata.network import OneWay, RoadNetwork, Streets, build_network
from geodata.positions import Position, Positions
from geodata.reach import reach
from geodata.routing import PERIODS, RoadTravel
from geodata.speeds import GivenTimes, Slowdown
from geodata.timetable import times_between
from geodata.travel import NoWayError, Route

RUSH_HOUR = 18


def random_network(rng: np.random.Generator, n: int) -> RoadNetwork:
    """n junctions on a ring (so that all is connected) with random chords, some of them one-way, some doubled."""
    chords = rng.integers(0, n, (2 * n, 2))
    chords = chords[chords[:, 0] != chords[:, 1]]
    ring = np.stack([np.arange(n), (np.arange(n) + 1) % n], 1)
    ends = np.r_[ring, chords]
    xy = rng.uniform(0, 3_000, (n, 2))
    network, _ = build_network(
        Streets(
            epsg=4547,
            start=ends[:, 0],
            end=ends[:, 1],
            one_way=np.r_[
                rng.choice([OneWay.NO, OneWay.FORWARD], n),
                rng.choice([OneWay.NO, OneWay.FORWARD, OneWay.BACKWARD], len(chords)),
            ].astype(np.int8),
            road_class=rng.integers(0, 4, len(ends)).astype(np.uint8),
            speed_kmh=np.where(rng.random(len(ends)) < 0.3, 40.0, np.nan),
            name=[""] * len(ends),
            shape_first=np.arange(len(ends) + 1) * 2,
            shape_xy_m=xy[ends].reshape(-1, 2),
        )
    )
    return network


def random_positions(network: RoadNetwork, rng: np.random.Generator, n: int) -> Positions:
    edge = rng.integers(0, network.n_open, n).astype(np.int32)
    return Positions(edge, rng.random(n) * network.length_m[edge])


def reference_times(travel: RoadTravel, origins: Positions, target: Position, hour: int) -> list[float]:
    """The same by networkx: origins and target cut into the edges as nodes of their own."""
    network, time_s = travel.network, travel.period(hour).time_s
    marks: dict[int, list[tuple[float, str]]] = {}
    for name, place in [*((f"o{i}", p) for i, p in enumerate(origins)), ("t", target)]:
        share = place.offset_m / network.length_m[place.edge]
        marks.setdefault(place.edge, []).append((share, name))
        if (twin := int(network.twin[place.edge])) >= 0:
            marks.setdefault(twin, []).append((1 - share, name))
    graph = nx.MultiDiGraph()
    for edge in range(network.n_open):
        stops = [
            (0.0, int(network.tail[edge])),
            *sorted(marks.get(edge, []), key=lambda stop: stop[0]),
            (1.0, int(network.head[edge])),
        ]
        for (a, u), (b, v) in pairwise(stops):
            graph.add_edge(u, v, weight=max(b - a, 0.0) * time_s[edge])
    to_target = nx.single_source_dijkstra_path_length(graph.reverse(), "t")
    return [to_target[f"o{i}"] for i in range(len(origins))]


def check_route(network: RoadNetwork, route: Route, origin: Position, target: Position, time_s: np.ndarray) -> None:
    """A route begins and ends where it should, its edges join, and its sums are those of its edges."""
    assert (network.head[route.edges[:-1]] == network.tail[route.edges[1:]]).all()
    span = np.ones(len(route.edges))
    span[0] -= route.begin_share
    span[-1] -= 1 - route.end_share
    assert route.time_s == pytest.approx((span * time_s[route.edges]).sum(), abs=1e-6)
    assert route.length_m == pytest.approx((span * network.length_m[route.edges]).sum(), abs=1e-6)
    for place, edge, share in ((origin, route.edges[0], route.begin_share), (target, route.edges[-1], route.end_share)):
        along = place.offset_m / network.length_m[place.edge]
        assert edge in (place.edge, network.twin[place.edge])
        assert share == pytest.approx(along if edge == place.edge else 1 - along)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_times_to_an_incident_agree_with_networkx(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, int(rng.integers(3, 30)))
    travel = RoadTravel(network)
    origins, target = random_positions(network, rng, 8), random_positions(network, rng, 1)[0]
    hour = int(rng.integers(0, 168))
    expected = reference_times(travel, origins, target, hour)
    assert searched_times(travel, origins, target, hour) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_nearest_are_those_of_an_exhaustive_comparison(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, int(rng.integers(3, 60)))
    travel = RoadTravel(network)
    n = int(rng.integers(1, 12))
    units, target = random_positions(network, rng, n), random_positions(network, rng, 1)[0]
    delay_s, slowness = rng.choice([0.0, 15.0, 75.0], n), rng.choice([0.7, 1.0], n)
    rows = rng.permutation(n)[: rng.integers(1, n + 1)].astype(np.int32)
    k = int(rng.integers(1, 4))
    cost = delay_s + slowness * np.array(reference_times(travel, units, target, RUSH_HOUR))
    found, seconds = travel.nearest(target, rows, units, delay_s, slowness, RUSH_HOUR, k)
    assert seconds == pytest.approx(np.sort(cost[rows])[:k], abs=1e-6)
    assert cost[found] == pytest.approx(seconds, abs=1e-6)
    assert len(set(found.tolist())) == min(k, len(rows))


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_kept_times_change_no_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, int(rng.integers(3, 80)))
    posts = random_positions(network, rng, int(rng.integers(1, 15)))
    plain, keeping = RoadTravel(network), RoadTravel(network, anchors=posts)
    n = int(rng.integers(1, 25))
    anchor = np.where(rng.random(n) < 0.7, rng.integers(0, len(posts), n), -1).astype(np.int32)
    units, target = random_positions(network, rng, n), random_positions(network, rng, 1)[0]
    standing = anchor >= 0
    units.edge[standing], units.offset_m[standing] = posts.edge[anchor[standing]], posts.offset_m[anchor[standing]]
    delay_s, slowness = np.where(standing, 30.0, 15.0), rng.choice([0.7, 1.0], n)
    rows = np.sort(rng.permutation(n)[: rng.integers(1, n + 1)])
    k = int(rng.integers(1, 4))
    asked = target, rows, units, delay_s, slowness, RUSH_HOUR, k
    expected, expected_s = plain.nearest(*asked)
    found = keeping.nearest_drives(*asked, anchor=anchor)
    seconds = np.array([delay_s[row] + slowness[row] * drive.time_s for row, drive in found])
    assert seconds == pytest.approx(expected_s, abs=1e-9)
    surely = expected_s < expected_s[-1] - 1e-9
    assert {row for row, _ in found} >= set(expected[surely].tolist())
    for row, drive in found:
        route = plain.route(units[row], target, RUSH_HOUR)
        check_route(network, route, units[row], target, plain.period(RUSH_HOUR).time_s)
        assert drive.time_s == pytest.approx(route.time_s, abs=1e-6)
        assert drive.length_m == pytest.approx(route.length_m, abs=1e-3), "kept in single precision"


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_a_route_runs_along_joined_edges_and_takes_the_time_it_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, int(rng.integers(3, 30)))
    travel = RoadTravel(network)
    origin, target = random_positions(network, rng, 2)
    route = travel.route(origin, target, RUSH_HOUR)
    check_route(network, route, origin, target, travel.period(RUSH_HOUR).time_s)
    one = Positions(np.array([origin.edge]), np.array([origin.offset_m]))
    assert route.time_s == pytest.approx(reference_times(travel, one, target, RUSH_HOUR)[0], abs=1e-6)


def closed(edges: np.ndarray, from_s: float = 0.0, factor: float = 0.0) -> Slowdown:
    return Slowdown(name="flood", edges=edges.astype(np.int32), from_s=from_s, until_s=np.inf, factor=factor)


@pytest.mark.parametrize("made", [random_network, hard_network], ids=["all turns free", "with turn restrictions"])
def test_where_every_road_is_closed_nobody_comes(made: Callable[[np.random.Generator, int], RoadNetwork]) -> None:
    rng = np.random.default_rng(2)
    network = made(rng, 12)
    posts = random_positions(network, rng, 12)
    posts.offset_m[0] = 0
    travel = RoadTravel(network, anchors=posts, slowdowns=[closed(np.arange(network.n_edges))])
    moment = travel.moment(RUSH_HOUR, 0.0)
    rows, target = np.arange(1, 12), posts[0]
    asked = target, rows, posts, np.zeros(12), np.ones(12), moment
    assert len(travel.nearest(*asked)[0]) == 0
    assert travel.nearest_drives(*asked, anchor=np.arange(12, dtype=np.int32)) == []
    with pytest.raises(NoWayError):
        travel.route(posts[1], target, moment)
    assert (times_between(travel, posts, posts, moment) == np.where(np.eye(12), 0, np.inf)).all()
    assert (reach(travel, posts.take(rows), moment).at(posts.take(np.zeros(1, int))) == np.inf).all()


def test_a_street_that_takes_no_time_can_be_closed() -> None:
    rng = np.random.default_rng(3)
    network = random_network(rng, 9)
    network = replace(network, given_names=("free",), given_s=np.zeros((1, network.n_edges)))
    one = np.flatnonzero(network.street == network.street[0])
    travel = RoadTravel(network, GivenTimes(("free",) * 168), slowdowns=[closed(one)])
    time_s = travel.edge_time_s(travel.moment(0, 0.0))
    assert (time_s[one] == np.inf).all()
    assert (time_s[: network.n_open][~np.isin(np.arange(network.n_open), one)] == 0).all()


@pytest.mark.parametrize("seed", range(12))
def test_ways_of_a_day_are_found_within_a_limit_to_the_millisecond(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, 40)
    travel = RoadTravel(network, rules=RULES["foot"], slowdowns=[closed(np.arange(network.n_edges), factor=0.05)])
    moment = travel.moment(RUSH_HOUR, 0.0)
    units, target = random_positions(network, rng, 20), random_positions(network, rng, 1)[0]
    expected = times_between(travel, units, Positions(np.array([target.edge]), np.array([target.offset_m])), moment)
    assert expected.max() > 2**15
    for row, limit_s in enumerate(expected[:, 0] + 1e-4):
        found, _ = travel.nearest(target, np.array([row]), units, np.zeros(20), np.ones(20), moment, 1, limit_s)
        assert found.tolist() == [row]


def test_moments_that_are_long_past_are_let_go() -> None:
    rng = np.random.default_rng(5)
    network = random_network(rng, 9)
    travel = RoadTravel(network, slowdowns=[closed(np.arange(2), at_s, 0.5) for at_s in range(PERIODS)])
    first = weakref.ref(travel.period(travel.moment(RUSH_HOUR, 0.0)))
    before_s = travel.edge_time_s(travel.moment(RUSH_HOUR, 0.0)).tolist()
    for at_s in range(1, PERIODS):
        travel.period(travel.moment(RUSH_HOUR, at_s))
    gc.collect()
    assert first() is not None
    travel.period(travel.moment(RUSH_HOUR, -1.0))
    gc.collect()
    assert first() is None
    assert travel.edge_time_s(travel.moment(RUSH_HOUR, 0.0)).tolist() == before_s


def test_of_nobody_nobody_is_nearest() -> None:
    rng = np.random.default_rng(135)
    network = random_network(rng, 12)
    posts, target = random_positions(network, rng, 3), random_positions(network, rng, 1)[0]
    travel = RoadTravel(network, anchors=posts)
    nobody, none = np.empty(0, np.int64), Positions(np.empty(0, np.int32), np.empty(0))
    for k in (1, 3):
        for _ in range(200):
            rows, cost = travel.nearest(target, nobody, none, np.empty(0), np.empty(0), RUSH_HOUR, k)
            assert (len(rows), len(cost)) == (0, 0)
            for anchor in (None, np.empty(0, np.int32)):
                found = travel.nearest_drives(
                    target, nobody, none, np.empty(0), np.empty(0), RUSH_HOUR, k, anchor=anchor
                )
                assert found == []
