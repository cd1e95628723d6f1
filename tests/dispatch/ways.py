"""Quickest ways worked out anew for the checks of a run: by networkx over a graph of edges, or from a plain matrix."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import networkx as nx
import numpy as np

from geodata.matrix import MatrixTravel
from geodata.routing import RoadTravel
from geodata.travel import TravelTimes

SAME_M = 1e-3
"""Places nearer to each other are one."""
METRE_S = 1e-6
"""What a metre costs to tell ways apart that are equally quick."""


class Place(NamedTuple):
    edge: int
    offset_m: float


class Ways(Protocol):
    def seconds(self, origin: Place, target: Place, moment: int) -> float:
        """At the roads' speed, infinite where there is no way."""

    def metres(self, origin: Place, target: Place, moment: int) -> tuple[float, float]:
        """The shortest and the longest of the quickest ways."""

    def same(self, a: Place, b: Place) -> bool:
        """Whether two positions are one place, within a millimetre."""

    prefix_is_quickest: bool
    """A part of a quickest way is the quickest way to where it ends; not so where turns are banned, as one may come to
    the place in the wrong direction sooner."""


def ways_of(travel: TravelTimes) -> Ways:
    return MatrixWays(travel) if isinstance(travel, MatrixTravel) else RoadWays(travel)


class RoadWays:
    """Over a graph whose nodes are the edges of the network, and whose arcs are the allowed turns."""

    def __init__(self, travel: RoadTravel) -> None:
        assert travel.rules.u_turn_s == 0, "turning round at restricted junctions is not worked out here"
        self.travel, network = travel, travel.network
        self.tail, self.head, self.reverse = (
            column.tolist() for column in (network.tail, network.head, network.reverse)
        )
        self.length_m = network.length_m.tolist()
        self.leaving, self.arriving = (
            {node: [e for e, _ in edges] for node, edges in itertools.groupby(ordered, key=lambda pair: pair[1])}
            for ordered in (sorted(enumerate(ends), key=lambda pair: pair[1]) for ends in (self.tail, self.head))
        )
        self.driven = travel.rules.driven(network)
        self.banned = set(map(tuple, network.banned_turns.tolist())) if travel.rules.turn_restrictions else set()
        self.prefix_is_quickest = not self.banned
        self._graphs: dict[tuple[bytes, float], tuple[nx.DiGraph, list[float]]] = {}
        self._trees: dict[tuple[bytes, float, int], dict[int, float]] = {}

    def graph(self, moment: int, metre_s: float) -> tuple[tuple[bytes, float], nx.DiGraph, list[float]]:
        """The graph of a moment, and the cost of each edge: its seconds, and a little for each metre."""
        time_s = self.travel.edge_time_s(moment)
        key = time_s.tobytes(), metre_s
        if key not in self._graphs:
            cost = [max(s + metre_s * m, 0.0) for s, m in zip(time_s.tolist(), self.length_m, strict=False)]
            graph = nx.DiGraph()
            open_edges = np.flatnonzero(np.isfinite(time_s) & self.driven).tolist()
            graph.add_nodes_from(open_edges)
            for edge in open_edges:
                graph.add_weighted_edges_from((edge, after, cost[after]) for after in self.turns(edge, graph))
            self._graphs[key] = graph, cost
        return key, *self._graphs[key]

    def turns(self, edge: int, graph: nx.DiGraph) -> list[int]:
        """The edges of a graph into which one may turn at the end of an edge."""
        return [e for e in self.leaving[self.head[edge]] if e in graph and (edge, e) not in self.banned]

    def entries(self, place: Place) -> list[tuple[int, float]]:
        """The edges that name a place, and the share of each that lies before it."""
        share = min(max(place.offset_m / self.length_m[place.edge], 0.0), 1.0)
        both = [(int(place.edge), share), (self.reverse[place.edge], 1 - share)]
        return [(edge, s) for edge, s in both if self.driven[edge]]

    def cost(self, origin: Place, target: Place, moment: int, metre_s: float) -> float:
        """The least over all directions of the first and of the last edge."""
        key, graph, cost = self.graph(moment, metre_s)

        def part(share: float, edge: int) -> float:
            return share * cost[edge] if share > 0 else 0.0

        def tree(first: int) -> dict[int, float]:
            """Costs to the end of each edge from the end of the first."""
            if (*key, first) not in self._trees:
                self._trees[*key, first] = nx.single_source_dijkstra_path_length(graph, first)
            return self._trees[*key, first]

        best = math.inf
        for (first, begin), (last, end) in itertools.product(self.entries(origin), self.entries(target)):
            if first == last and begin <= end:
                best = min(best, part(end - begin, first))
            out = part(1 - begin, first)
            if math.isinf(out):
                continue
            # of a closed edge of which nothing is left to drive one comes into those that follow
            starts = [(first, 0.0)] if first in graph else [(e, cost[e]) for e in self.turns(first, graph)]
            for start, before in starts:
                reached = tree(start)
                for before_last in self.arriving[self.tail[last]]:
                    if before_last in reached and (before_last, last) not in self.banned:
                        best = min(best, out + before + reached[before_last] + part(end, last))
            if first not in graph and self.head[first] == self.tail[last] and (first, last) not in self.banned:
                best = min(best, out + part(end, last))
        return best

    def seconds(self, origin: Place, target: Place, moment: int) -> float:
        return self.cost(origin, target, moment, 0.0)

    def metres(self, origin: Place, target: Place, moment: int) -> tuple[float, float]:
        # where a metre costs a little, the shortest of the quickest ways is the best; where it earns, the longest
        least_s = self.seconds(origin, target, moment)
        shortest, longest = (self.cost(origin, target, moment, sign * METRE_S) for sign in (1, -1))
        return (shortest - least_s) / METRE_S, (least_s - longest) / METRE_S

    def along(self, origin: Place, target: Place, moment: int, road_s: float) -> Place:
        """Where somebody is after some seconds of the quickest way at the roads' speed."""
        _, graph, time_s = self.graph(moment, 0.0)
        least_s, stretches = math.inf, list[tuple[int, float, float]]()
        for (first, begin), (last, end) in itertools.product(self.entries(origin), self.entries(target)):
            found = []
            if first == last and begin <= end:
                found.append([(first, begin, end)])
            elif first in graph and last in graph:
                # into the last edge from its beginning, which must not be the first one again
                befores = [e for e in self.arriving[self.tail[last]] if (e, last) not in self.banned and e in graph]
                reached = nx.single_source_dijkstra(graph, first, weight="weight")[1] if befores else {}
                for before in befores:
                    if before in reached:
                        whole = [(e, 0.0, 1.0) for e in reached[before][1:]]
                        found.append([(first, begin, 1.0), *whole, (last, 0.0, end)])
            for way in found:
                seconds = sum((b - a) * time_s[e] for e, a, b in way)
                if seconds < least_s:
                    least_s, stretches = seconds, way
        left_s = road_s
        for edge, begin, end in stretches:
            lasts_s = (end - begin) * time_s[edge]
            if left_s <= lasts_s:
                return Place(edge, (begin + left_s / time_s[edge]) * self.length_m[edge])
            left_s -= lasts_s
        edge, _, end = stretches[-1]
        return Place(edge, end * self.length_m[edge])

    def same(self, a: Place, b: Place) -> bool:
        def points(place: Place) -> set[tuple[str, int]]:
            """The junctions at which a place lies."""
            length = self.length_m[place.edge]
            at = {("node", self.tail[place.edge])} if place.offset_m <= SAME_M else set()
            return at | ({("node", self.head[place.edge])} if place.offset_m >= length - SAME_M else set())

        if a.edge == b.edge and abs(a.offset_m - b.offset_m) <= SAME_M:
            return True
        if a.edge == self.reverse[b.edge] and abs(self.length_m[b.edge] - b.offset_m - a.offset_m) <= SAME_M:
            return True
        return bool(points(a) & points(b))


class MatrixWays:
    """From place to place as the matrix says; under way on to the end or back to the beginning."""

    prefix_is_quickest = False
    """Not where the way back and over the beginning is quicker than the rest."""

    def __init__(self, travel: MatrixTravel) -> None:
        self.travel, self.n = travel, travel.n_places
        self.length_m = travel.length_m

    def ends(self, place: Place, time_s: np.ndarray, *, leaving: bool) -> list[tuple[int, float, float]]:
        """The places next to a position, with seconds and metres to or from them."""
        i, j = divmod(int(place.edge), self.n)
        share = place.offset_m / self.length_m[place.edge]
        if i == j or share <= 0:
            return [(i, 0.0, 0.0)]
        if share >= 1:
            return [(j, 0.0, 0.0)]
        there, back = place.edge, j * self.n + i
        on, against = (there, back) if leaving else (back, there)
        return [
            (j, (1 - share) * time_s[on], (1 - share) * self.length_m[on]),
            (i, share * time_s[against], share * self.length_m[against]),
        ]

    def candidates(self, origin: Place, target: Place, moment: int) -> Iterator[tuple[float, float]]:
        time_s, n = self.travel.edge_time_s(moment), self.n
        outs, ins = (
            self.ends(origin, time_s, leaving=True),
            self.ends(target, time_s, leaving=False),
        )
        under_way = len(outs) + len(ins) > 2
        for (a, out_s, out_m), (b, in_s, in_m) in itertools.product(outs, ins):
            if a == b and under_way:
                yield out_s + in_s, out_m + in_m
            else:
                edge = a * n + b
                moves = a != b or time_s[edge] > 0
                yield out_s + time_s[edge] + in_s, out_m + (self.length_m[edge] if moves else 0.0) + in_m
        if len(outs) == len(ins) == 2 and {a for a, *_ in outs} == {b for b, *_ in ins}:
            edge, begin = origin.edge, origin.offset_m / self.length_m[origin.edge]
            end = target.offset_m / self.length_m[target.edge]
            if target.edge != edge:
                end = 1 - end
            if end < begin:
                edge = (edge % n) * n + edge // n
            yield abs(end - begin) * time_s[edge], abs(end - begin) * self.length_m[edge]

    def seconds(self, origin: Place, target: Place, moment: int) -> float:
        return float(min(s for s, _ in self.candidates(origin, target, moment)))

    def metres(self, origin: Place, target: Place, moment: int) -> tuple[float, float]:
        least = self.seconds(origin, target, moment)
        found = [float(m) for s, m in self.candidates(origin, target, moment) if s <= least + 1e-6]
        return min(found), max(found)

    def same(self, a: Place, b: Place) -> bool:
        if (a.edge % self.n) * self.n + a.edge // self.n == b.edge != a.edge:
            # named against each other: the same share of the way, as their metres may differ
            b = Place(a.edge, (1 - b.offset_m / self.length_m[b.edge]) * self.length_m[a.edge])
        if a.edge == b.edge and abs(a.offset_m - b.offset_m) <= SAME_M:
            return True
        return bool(self.places(a) & self.places(b))

    def places(self, place: Place) -> set[int]:
        i, j = divmod(int(place.edge), self.n)
        if i == j:
            return {i}
        at = {i} if place.offset_m <= SAME_M else set()
        return at | ({j} if place.offset_m >= self.length_m[place.edge] - SAME_M else set())
