"""Random networks with all that makes routing hard, and the times on them by networkx over a graph of edges."""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx
import numpy as np

from geodata.driving import RULES
from geodata.network import OneWay, RoadClass, RoadNetwork, Streets, build_network
from geodata.positions import Position, Positions
from geodata.routing import RoadTravel
from geodata.speeds import Slowdown


def hard_network(rng: np.random.Generator, n: int, chords_each: float = 2.0) -> RoadNetwork:
    """n junctions on a ring (so that all is connected) with random chords, so many for each junction: some one-way,
    some doubled, some for pedestrians, and with turn restrictions; streets bend in their middle."""
    chords = rng.integers(0, n, (int(chords_each * n), 2))
    chords = chords[chords[:, 0] != chords[:, 1]]
    ring = np.stack([np.arange(n), (np.arange(n) + 1) % n], 1)
    ends = np.r_[ring, chords]
    s = len(ends)
    xy = rng.uniform(0, 3_000, (n, 2))
    middle = xy[ends].mean(axis=1) + rng.uniform(-200, 200, (s, 2))
    shapes = np.stack([xy[ends[:, 0]], middle, xy[ends[:, 1]]], axis=1)
    from_street = rng.integers(0, s, n)
    via = ends[from_street, rng.integers(0, 2, n)]
    into = np.array([rng.choice(np.flatnonzero((ends == node).any(axis=1))) for node in via])
    road_class = rng.integers(0, 4, s)
    road_class[n:] = np.where(rng.random(s - n) < 0.1, RoadClass.PEDESTRIAN, road_class[n:])
    one_way = [rng.choice([OneWay.NO, OneWay.FORWARD], n), rng.choice(list(OneWay), s - n)]
    network, _ = build_network(
        Streets(
            epsg=4547,
            start=ends[:, 0],
            end=ends[:, 1],
            one_way=np.concatenate(one_way).astype(np.int8),
            road_class=road_class.astype(np.uint8),
            speed_kmh=np.where(rng.random(s) < 0.3, 40.0, np.nan),
            name=[""] * s,
            shape_first=np.arange(s + 1) * 3,
            shape_xy_m=shapes.reshape(-1, 2),
            turns=np.stack([from_street, via, into, rng.random(n) < 0.2], axis=1).astype(np.int64),
        )
    )
    return network


def hard_travel(rng: np.random.Generator, network: RoadNetwork) -> tuple[RoadTravel, int]:
    """Travel under one of the driving rules with a few streets closed and a few slow, and a moment of it."""
    rules = RULES[str(rng.choice(list(RULES)))]

    def some() -> np.ndarray:
        return np.flatnonzero(rng.random(network.n_edges) < 0.1).astype(np.int32)

    slowdowns = (
        Slowdown(name="closed", edges=some(), from_s=100.0, until_s=900.0),
        Slowdown(name="slow", edges=some(), from_s=0.0, until_s=500.0, factor=0.4),
    )
    travel = RoadTravel(network, rules=rules, slowdowns=slowdowns)
    return travel, travel.moment(int(rng.integers(0, 168)), float(rng.choice([50.0, 300.0, 700.0, 1_000.0])))


def random_positions(network: RoadNetwork, rng: np.random.Generator, n: int) -> Positions:
    """Some of them at the very ends of their edges, some at one place."""
    edge = rng.integers(0, network.n_open, n).astype(np.int32)
    share = np.where(rng.random(n) < 0.2, rng.integers(0, 2, n), rng.random(n))
    if n > 1 and rng.random() < 0.3:
        edge[0] = edge[1]
    return Positions(edge, share * network.length_m[edge])


def reference_times(
    travel: RoadTravel, hour: int, origins: Sequence[Position], targets: Sequence[Position]
) -> np.ndarray:
    """(n, k) seconds, over a graph whose nodes are the ends of edges and whose arcs are the allowed turns."""
    network, time_s = travel.network, travel.edge_time_s(hour)
    driven = travel.rules.driven(network)
    banned = set(map(tuple, network.banned_turns.tolist())) if travel.rules.turn_restrictions else set()
    follow = {
        e: [
            int(f)
            for f in np.flatnonzero((network.tail == network.head[e]) & np.isfinite(time_s))
            if (e, int(f)) not in banned
        ]
        for e in range(network.n_edges)
    }
    graph = nx.DiGraph()
    graph.add_nodes_from(range(network.n_edges))
    for e, others in follow.items():
        graph.add_weighted_edges_from((e, f, time_s[f]) for f in others)

    def ways(place: Position) -> list[tuple[int, float]]:
        share = min(place.offset_m / network.length_m[place.edge], 1.0)
        back = int(network.reverse[place.edge])
        return [(place.edge, share), *([(back, 1 - share)] if driven[back] else [])]

    def part(share: float, edge: int) -> float:
        return share * time_s[edge] if share > 0 else 0.0

    table = np.full((len(origins), len(targets)), np.inf)
    for i, origin in enumerate(origins):
        reached: dict[int, float] = {}
        for edge, share in ways(origin):
            seconds = part(1 - share, edge)
            if np.isfinite(seconds):
                for at, more in nx.single_source_dijkstra_path_length(graph, edge).items():
                    reached[at] = min(reached.get(at, np.inf), seconds + more)
        for j, target in enumerate(targets):
            for edge, share in ways(target):
                found = [
                    s for e, s in reached.items() if network.head[e] == network.tail[edge] and (e, edge) not in banned
                ]
                along = [part(share - begin, edge) for e, begin in ways(origin) if e == edge and begin <= share]
                table[i, j] = min([table[i, j], *along, *(s + part(share, edge) for s in found)])
    return table


def searched_times(travel: RoadTravel, origins: Positions, target: Position, hour: int) -> np.ndarray:
    """(n,) seconds to one target by the search that finds the nearest, asked for all of them; infinite for none."""
    n = len(origins)
    rows, seconds = travel.nearest(target, np.arange(n), origins, np.zeros(n), np.ones(n), hour, n)
    times = np.full(n, np.inf)
    times[rows] = seconds
    return times
