"""The core of the roads: pockets have few gates, and what is told between gates is true."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import hard_network, hard_travel

from geodata import core
from geodata.core import POCKET_PORTS, Core
from geodata.network import Ints
from geodata.pair import GATES, NONE
from geodata.routing import Period
from geodata.synthetic.lattice import made_network


def check(parted: Core, tail: Ints, head: Ints) -> None:
    """Every port is of the core or of one pocket, and a pocket is joined, small, and has few gates."""
    number, port_of, pocket = parted
    assert ((number >= 0) == (pocket == NONE)).all()
    assert number[port_of].tolist() == list(range(len(port_of)))
    graph = nx.Graph(zip(tail.tolist(), head.tolist(), strict=True))
    graph.add_nodes_from(range(len(number)))
    inside = graph.subgraph(np.flatnonzero(pocket >= 0).tolist())
    pockets = list(nx.connected_components(inside))
    for ports in pockets:
        assert len({int(pocket[port]) for port in ports}) == 1
        assert len(ports) <= POCKET_PORTS
        assert len({other for port in ports for other in graph[port] if pocket[other] == NONE}) <= GATES
    assert len({int(pocket[next(iter(ports))]) for ports in pockets}) == len(pockets)


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_pockets_have_few_gates(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 200))
    tail, head = rng.integers(0, n, (2, int(n * rng.choice([0.5, 1.0, 1.5, 3.0]))))
    check(Core.of(tail, head, n), tail, head)


def test_a_port_with_very_many_neighbours_stays_in_the_core() -> None:
    rays = np.arange(1, 200)
    tail, head = np.r_[np.zeros(199, int), rays], np.r_[rays, np.roll(rays, 1)]
    parted = Core.of(tail, head, 200)
    assert parted.pocket[0] == NONE
    check(parted, tail, head)


def test_a_long_road_falls_into_pockets() -> None:
    tail = np.arange(999)
    parted = Core.of(tail, tail + 1, 1_000)
    check(parted, tail, tail + 1)
    assert 1_000 / (POCKET_PORTS + 1) - 1 <= len(parted.port_of) <= 100


def test_the_core_of_a_city_is_a_fifth_of_its_ports() -> None:
    network = made_network(135, 5_000)
    parted = Core.of(network.tail, network.head, network.n_nodes)
    check(parted, network.tail, network.head)
    assert len(parted.port_of) < network.n_nodes / 4


def within_pockets(period: Period, parted: Core) -> nx.MultiDiGraph:
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(range(len(parted.number)))
    first, links, _ = period.outward
    for port in range(len(first) - 1):
        for link in links[first[port] : first[port + 1]]:
            graph.add_edge(port, int(link["other"]), s=float(link["s"]))
    return graph


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1))
def test_ways_to_gates_and_from_them_are_the_fastest_within_the_pocket(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = hard_network(rng, int(rng.integers(3, 60)), float(rng.choice([0.0, 0.3, 0.6])))
    travel, hour = hard_travel(rng, network)
    period, parted = travel.period(hour), travel.drive.core
    period.set_guide()
    guide = period.graph[6]
    graph = within_pockets(period, parted)
    for port in np.flatnonzero(parted.pocket >= 0).tolist():
        ports = np.flatnonzero(parted.pocket == parted.pocket[port]).tolist()
        for gates, seen in ((guide.outward, graph), (guide.inward, graph.reverse(copy=False))):
            expected: dict[int, float] = {}
            for gate in {other for inside in ports for other in seen[inside] if parted.number[other] >= 0}:
                about = seen.subgraph([*ports, gate])
                seconds = nx.single_source_dijkstra_path_length(about, port, weight="s")
                if gate in seconds:
                    expected[int(parted.number[gate])] = seconds[gate]
            told = {int(gate["other"]): float(gate["s"]) for gate in gates[port] if gate["other"] >= 0}
            assert told == pytest.approx(expected, abs=1e-9)


def test_no_way_between_gates_is_told_that_two_others_outrun() -> None:
    begin = np.array([0, 2, 3, 3], np.int32)
    # to 0 from 1 and from 2, to 1 from 2
    other, arc_s = np.array([1, 2, 2], np.int32), np.array([5.0, 9.0, 3.0])
    assert core._needed(begin, arc_s, other).tolist() == [True, False, True]
    assert core._needed(begin, np.array([5.0, 8.0, 3.0]), other).tolist() == [True, True, True]
