"""Times, the nearest units and ways agree with networkx on random networks with one-way and pedestrian streets, turn
restrictions, driving rules, slow and closed streets; and with scipy on the given times of a real city."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import hard_network, hard_travel, random_positions, reference_times
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from geodata.crs import project
from geodata.network import OneWay, RoadClass, RoadNetwork, Streets, build_network
from geodata.positions import Positions, locate
from geodata.routing import RoadTravel
from geodata.speeds import GivenTimes
from geodata.timetable import route_line, times_between, times_from, times_to
from geodata.travel import NoWayError

AUCKLAND = Path(__file__).parents[3] / "shared" / "data" / "auckland"
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=80)
@given(seeds)
def test_times_between_many_places_agree_with_networkx(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = hard_network(rng, int(rng.integers(4, 25)))
    travel, moment = hard_travel(rng, network)
    origins = random_positions(network, rng, int(rng.integers(1, 6)))
    targets = random_positions(network, rng, int(rng.integers(1, 6)))
    expected = reference_times(travel, moment, list(origins), list(targets))
    assert times_between(travel, origins, targets, moment) == pytest.approx(expected, abs=1e-6)
    assert times_from(travel, origins[0], targets, moment) == pytest.approx(expected[0], abs=1e-6)
    assert times_to(travel, origins, targets[0], moment) == pytest.approx(expected[:, 0], abs=1e-6)


@settings(max_examples=40)
@given(seeds)
def test_times_beyond_the_limit_are_infinite_and_the_others_unchanged(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = hard_network(rng, 30)
    travel, moment = hard_travel(rng, network)
    origins, targets = random_positions(network, rng, 4), random_positions(network, rng, 7)
    every = times_between(travel, origins, targets, moment)
    limit_s = float(np.median(every[np.isfinite(every)])) + 1e-6
    bounded = times_between(travel, origins, targets, moment, limit_s)
    assert bounded == pytest.approx(np.where(every <= limit_s, every, np.inf), abs=1e-9)


@settings(max_examples=80)
@given(seeds)
def test_the_k_nearest_units_are_those_of_networkx(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = hard_network(rng, int(rng.integers(4, 25)))
    travel, moment = hard_travel(rng, network)
    n, k = int(rng.integers(2, 9)), int(rng.integers(2, 6))
    units, target = random_positions(network, rng, n), random_positions(network, rng, 1)[0]
    delay_s, slowness = rng.choice([0.0, 15.0, 75.0], n), rng.choice([0.7, 1.0], n)
    eligible = np.sort(rng.permutation(n)[: rng.integers(1, n + 1)])
    cost = delay_s + slowness * reference_times(travel, moment, list(units), [target])[:, 0]
    found, seconds = travel.nearest(target, eligible, units, delay_s, slowness, moment, k)
    best = np.sort(cost[eligible])
    assert seconds == pytest.approx(best[np.isfinite(best)][:k], abs=1e-6)
    assert cost[found] == pytest.approx(seconds, abs=1e-6)
    assert set(found.tolist()) <= set(eligible.tolist())
    assert len(set(found.tolist())) == len(found)


@settings(max_examples=60)
@given(seeds)
def test_the_line_of_a_way_runs_from_its_origin_to_its_target_and_is_as_long_as_the_way(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = hard_network(rng, int(rng.integers(4, 25)))
    travel, moment = hard_travel(rng, network)
    places = random_positions(network, rng, 2)
    try:
        route = travel.route(places[0], places[1], moment)
    except NoWayError:
        assert times_between(travel, places, places, moment)[0, 1] == np.inf
        return
    line = route_line(network, route)
    assert line.length == pytest.approx(route.length_m, abs=1e-6)
    here, there = locate(network, places)
    assert np.hypot(*(np.array(line.coords[0]) - here)) < 1e-6
    assert np.hypot(*(np.array(line.coords[-1]) - there)) < 1e-6
    streets = shapely.union_all(network.lines[network.street[route.edges]])
    assert shapely.distance(shapely.points(line.coords), streets).max() < 1e-6
    assert route.time_s == pytest.approx(times_between(travel, places, places, moment)[0, 1], abs=1e-6)


def test_a_way_of_no_length_is_a_line_at_its_place() -> None:
    network = hard_network(np.random.default_rng(3), 10)
    place = Positions(np.array([0], np.int32), np.array([network.length_m[0] / 3]))
    line = route_line(network, RoadTravel(network).route(place[0], place[0], 10))
    assert line.length == 0
    assert np.array(line.coords)[0] == pytest.approx(locate(network, place)[0])


def auckland() -> tuple[RoadNetwork, np.ndarray, pd.DataFrame]:
    """The network with both tables of times, the given node at each of its nodes, and the arcs as they were given."""
    if not AUCKLAND.is_dir():
        pytest.skip(f"no data at {AUCKLAND}")
    nodes = pd.read_csv(AUCKLAND / "nodes.csv.gz").set_index("node")
    arcs = pd.read_csv(AUCKLAND / "arcs.csv.gz")
    xy = project(nodes[["lon", "lat"]].to_numpy(), 4326, 32760)
    row = pd.Series(np.arange(len(nodes)), index=nodes.index)
    u, v = row[arcs["u"]].to_numpy(), row[arcs["v"]].to_numpy()
    s = len(arcs)

    def table(column: str) -> np.ndarray:
        return np.stack([arcs[column].to_numpy(), np.full(s, np.nan)], axis=1)

    # every arc as a one-way street of its own, bent a little so that no two lie on one another
    middle = (xy[u] + xy[v]) / 2 + np.stack([np.zeros(s), 0.5 + np.arange(s) % 2], axis=1)
    network, dropped = build_network(
        Streets(
            epsg=32760,
            start=u,
            end=v,
            one_way=np.full(s, OneWay.FORWARD, np.int8),
            road_class=np.full(s, RoadClass.LOCAL, np.uint8),
            speed_kmh=np.full(s, np.nan),
            name=[""] * s,
            shape_first=np.arange(s + 1) * 3,
            shape_xy_m=np.stack([xy[u], middle, xy[v]], axis=1).reshape(-1, 2),
            length_m=arcs["length_m"].to_numpy(),
            given_s={"siren": table("t_siren_s"), "normal": table("t_normal_s")},
        )
    )
    assert not dropped
    place = {(float(x), float(y)): i for i, (x, y) in enumerate(xy)}
    given = np.array([place[x, y] for x, y in network.node_xy_m.tolist()])
    return network, given, arcs.assign(u=u, v=v)


def test_the_given_times_of_a_real_city_agree_with_scipy() -> None:
    network, given_node, arcs = auckland()
    rng = np.random.default_rng(135)
    n = network.n_nodes
    edge = rng.choice(network.n_open, 320, replace=False).astype(np.int32)
    share = rng.random(len(edge))
    places = Positions(edge, share * network.length_m[edge])
    origins, targets = places.take(np.arange(20)), places.take(np.arange(20, 320))
    begin, end = given_node[network.tail[edge]], given_node[network.head[edge]]
    for name, column in (("siren", "t_siren_s"), ("normal", "t_normal_s")):
        least = arcs.groupby(["u", "v"], as_index=False)[column].min()
        graph = coo_array((least[column], (least["u"], least["v"])), shape=(n, n)).tocsr()
        travel = RoadTravel(network, GivenTimes((name,) * 168))
        own_s = travel.edge_time_s(10)[edge]
        between = dijkstra(graph, indices=end[:20])[:, begin[20:]]
        expected = ((1 - share) * own_s)[:20, None] + between + (share * own_s)[20:]
        assert times_between(travel, origins, targets, 10) == pytest.approx(expected, abs=1e-6)
        assert times_to(travel, origins, targets[0], 10) == pytest.approx(expected[:, 0], abs=1e-6)
