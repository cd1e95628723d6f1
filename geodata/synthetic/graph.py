"""From lines on the drawing board to a clean planar graph of junctions and streets."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
from scipy.spatial import KDTree

from geodata.network import Bools, Floats, OneWay, RoadClass

Longs = NDArray[np.int64]
DECK_M = 1e6
"""How far apart the two levels are held while junctions are matched: ground, and elevated roads with their ramps."""
MEETINGS = 6
"""At most so many times are roads cut again after their ends have moved."""
JOIN_M = 6.0
"""A road that ends so near to another one meets it."""
MERGE_M = 24.0
"""Junctions closer than this become one."""
STUB_M = 55.0
"""Shorter dead ends are taken away."""
WEDGE_DEG = 13.0
"""Streets do not leave a junction at a sharper angle to each other."""
SLIVER_M2, SLIVER_WIDTH_M = 2600.0, 36.0
"""A block smaller, or twice its area by its circumference narrower, is thrown together with its neighbour."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Lines:
    """n straight pieces of road."""

    begin: Floats
    """(n, 2)"""
    end: Floats
    """(n, 2)"""
    road: Longs
    """(n,) the road that each is part of."""
    road_class: NDArray[np.uint8]
    one_way: NDArray[np.int8]
    begin_above: Bools
    """(n,) whether it begins on an elevated road; with `end_above` it is one, without it a ramp."""
    end_above: Bools
    raised: Bools
    """Elevated roads and all of a ramp: no neighbour of the blocks below them."""
    thin: Floats
    """(n,) the share of its junction-to-junction streets that may be taken away at random."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Graph:
    """Junctions and the straight edges between them, undirected but for `one_way`."""

    xy: Floats
    """(k, 2)"""
    above: Bools
    """(k,) on an elevated road."""
    start: Longs
    end: Longs
    road: Longs
    road_class: NDArray[np.uint8]
    one_way: NDArray[np.int8]
    raised: Bools
    thin: Floats

    def __len__(self) -> int:
        return len(self.start)

    def take(self, rows: NDArray[np.int64] | Bools) -> Graph:
        names = ("start", "end", "road", "road_class", "one_way", "raised", "thin")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    @property
    def length_m(self) -> Floats:
        length: Floats = np.hypot(*(self.xy[self.end] - self.xy[self.start]).T)
        return length

    @property
    def degree(self) -> Longs:
        return np.bincount(np.r_[self.start, self.end], minlength=len(self.xy))


def meet(lines: Lines) -> Graph:
    """Cut the pieces where they cross and make one junction of each place where they meet.

    An elevated road and one on the ground cross without a junction.
    """
    return _tight(_meet_once(lines))


def _tight(graph: Graph) -> Graph:
    """What moved to its junction may cross a road that it did not reach before, and what lost the road that it
    ended at may end beside another: all is cut again until nothing changes."""
    names = ("road", "road_class", "one_way", "raised", "thin")
    for _ in range(MEETINGS):
        before = len(graph)
        graph = _meet_once(
            Lines(
                begin=graph.xy[graph.start],
                end=graph.xy[graph.end],
                begin_above=graph.above[graph.start],
                end_above=graph.above[graph.end],
                **{name: getattr(graph, name) for name in names},
            )
        )
        if len(graph) == before:
            break
    return graph


def _meet_once(lines: Lines) -> Graph:
    first, second, at_first, at_second = _crossings(lines)
    n = len(lines.road)
    piece = np.r_[np.arange(n), np.arange(n), first, second]
    share = np.r_[np.zeros(n), np.ones(n), at_first, at_second]
    order = np.lexsort((share, piece))
    piece, share = piece[order], share[order]
    xy = lines.begin[piece] + share[:, None] * (lines.end - lines.begin)[piece]
    begins, ends = lines.begin_above[piece], lines.end_above[piece]
    # a ramp is on the elevated road at its very end alone
    above = (begins & ends) | (begins & (share < 0.05)) | (ends & (share > 0.95))
    node, node_xy, node_above = _merge(xy, above, lines.road_class[piece] + 0.5 * lines.raised[piece])
    inner = piece[1:] == piece[:-1]
    of = piece[:-1][inner]
    return _once(
        Graph(
            xy=node_xy,
            above=node_above,
            start=node[:-1][inner],
            end=node[1:][inner],
            road=lines.road[of],
            road_class=lines.road_class[of],
            one_way=lines.one_way[of],
            raised=lines.raised[of],
            thin=lines.thin[of],
        )
    )


def _crossings(lines: Lines) -> tuple[Longs, Longs, Floats, Floats]:
    """Pairs of pieces that cross or touch, and where along each, as shares."""
    shape = np.asarray(shapely.linestrings(np.stack([lines.begin, lines.end], axis=1)), object)
    first, second = shapely.STRtree(shape).query(shape, predicate="dwithin", distance=JOIN_M)
    up, ramp = lines.begin_above & lines.end_above, lines.begin_above ^ lines.end_above
    wanted = (first < second) & ((up[first] == up[second]) | ramp[first] | ramp[second])
    first, second = first[wanted], second[wanted]
    a, b = lines.begin[first], lines.begin[second]
    u, v = lines.end[first] - a, lines.end[second] - b
    cross = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    square = np.abs(cross) > 0.02 * np.hypot(*u.T) * np.hypot(*v.T)
    first, second, a, b, u, v, cross = (array[square] for array in (first, second, a, b, u, v, cross))
    w = b - a
    at_first = (w[:, 0] * v[:, 1] - w[:, 1] * v[:, 0]) / cross
    at_second = (w[:, 0] * u[:, 1] - w[:, 1] * u[:, 0]) / cross
    at_first, at_second = np.clip(at_first, 0, 1), np.clip(at_second, 0, 1)
    apart_m = np.hypot(*(a + at_first[:, None] * u - b - at_second[:, None] * v).T)
    meet = apart_m < 2 * JOIN_M
    return first[meet], second[meet], at_first[meet], at_second[meet]


def _merge(xy: Floats, above: Bools, rank: Floats) -> tuple[Longs, Floats, Bools]:
    """Points closer than `MERGE_M` on one level become one node, which lies where the one of least rank has it."""
    placed = np.column_stack([np.round(xy, 2), above * DECK_M])
    point, index = np.unique(placed, axis=0, return_inverse=True)
    index = index.reshape(-1)
    least = np.full(len(point), np.inf)
    np.minimum.at(least, index, rank)
    pairs = KDTree(point).query_pairs(MERGE_M, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(point),) * 2)
    n, group = connected_components(links, directed=False)
    best = np.lexsort((point[:, 1], point[:, 0], least, group))
    chosen = point[best[np.searchsorted(group[best], np.arange(n))]]
    return group[index].astype(np.int64), chosen[:, :2], chosen[:, 2] > 0


def _once(graph: Graph) -> Graph:
    """Drop what merging made a point of, and of two edges between the same junctions keep the larger road."""
    low, high = np.minimum(graph.start, graph.end), np.maximum(graph.start, graph.end)
    order = np.lexsort((graph.road, graph.road_class, high, low))
    order = order[low[order] < high[order]]
    new = np.r_[True, (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)]
    return graph.take(np.sort(order[new]))


def clean(graph: Graph, rng: np.random.Generator) -> Graph:
    """Take away slivers, stubs and, at random, the share of small streets that each road allows."""
    for _ in range(4):
        graph = _without_slivers(_without_wedges(_without_stubs(graph)))
    graph = _thinned(_without_slivers(_tight(graph)), rng)
    for _ in range(3):
        graph = _without_stubs(graph)
    return graph


def _small(graph: Graph) -> Bools:
    return (graph.road_class >= RoadClass.COLLECTOR) & ~graph.raised


def _without_stubs(graph: Graph) -> Graph:
    for _ in range(3):
        degree = graph.degree
        dead_end = (degree[graph.start] == 1) | (degree[graph.end] == 1)
        stub = dead_end & (graph.length_m < STUB_M) & ~graph.raised
        if not stub.any():
            break
        graph = graph.take(~stub)
    return graph


def _without_slivers(graph: Graph) -> Graph:
    """One edge less around each block that is too small or too narrow: the smallest road's longest."""
    ground = np.flatnonzero(~graph.raised)
    side, area, around = faces(graph.take(ground))
    sliver = (area > 0) & ((area < SLIVER_M2) | (2 * area < SLIVER_WIDTH_M * around))
    edge = np.r_[ground, ground]
    removable = sliver[side] & _small(graph)[edge]
    face, edge = side[removable], edge[removable]
    order = np.lexsort((edge, -graph.length_m[edge], -graph.road_class[edge].astype(int), face))
    _, first = np.unique(face[order], return_index=True)
    kept = np.ones(len(graph), bool)
    kept[edge[order][first]] = False
    return graph.take(kept)


def _without_wedges(graph: Graph) -> Graph:
    """Where two streets leave a junction at a very sharp angle, the smaller one goes."""
    ground = np.flatnonzero(~graph.raised)
    edge = np.r_[ground, ground]
    tail, head = np.r_[graph.start[ground], graph.end[ground]], np.r_[graph.end[ground], graph.start[ground]]
    angle = _heading(graph.xy[head] - graph.xy[tail])
    order = np.lexsort((angle, tail))
    last = np.r_[tail[order][1:] != tail[order][:-1], True]
    first = np.flatnonzero(np.r_[True, last[:-1]])
    onward = np.arange(1, len(order) + 1)
    onward[last] = first
    turn = np.mod(angle[order][onward] - angle[order], 2 * np.pi)
    sharp = (turn < np.radians(WEDGE_DEG)) & (onward != np.arange(len(order)))
    pair = np.stack([edge[order][sharp], edge[order][onward][sharp]])
    # the larger class number is the smaller road; of two alike the longer one goes
    rank = graph.road_class[pair] + graph.length_m[pair] / 1e5
    lesser = np.where(rank[0] > rank[1], pair[0], pair[1])
    kept = np.ones(len(graph), bool)
    kept[lesser[_small(graph)[lesser]]] = False
    return graph.take(kept)


def _heading(step: Floats) -> Floats:
    heading: Floats = np.arctan2(step[:, 1], step[:, 0])
    return heading


def faces(graph: Graph) -> tuple[Longs, Floats, Floats]:
    """The block on the left of each edge, forward ones first, then backward ones (2m,); each block's area, negative
    for the outside, and circumference."""
    m = len(graph)
    tail, head = np.r_[graph.start, graph.end], np.r_[graph.end, graph.start]
    step = graph.xy[head] - graph.xy[tail]
    angle = _heading(step)
    by_tail = np.lexsort((angle, tail))
    first = np.searchsorted(tail[by_tail], np.arange(len(graph.xy) + 1))
    place = np.empty(2 * m, np.int64)
    place[by_tail] = np.arange(2 * m)
    twin = np.r_[np.arange(m, 2 * m), np.arange(m)]
    # with the block on the left, the next edge is the one clockwise of the way back
    back = place[twin]
    before = np.where(back > first[tail[twin]], back - 1, first[tail[twin] + 1] - 1)
    after = by_tail[before]
    turns = coo_array((np.ones(2 * m), (np.arange(2 * m), after)), shape=(2 * m,) * 2)
    n, face = connected_components(turns, directed=False)
    a, b = graph.xy[tail], graph.xy[head]
    area: Floats = np.bincount(face, (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2, n).astype(float)
    around: Floats = np.bincount(face, np.hypot(*step.T), n).astype(float)
    return face.astype(np.int64), area, around


def _thinned(graph: Graph, rng: np.random.Generator) -> Graph:
    """Take small streets away without cutting anything off: none of a spanning tree that prefers the large roads."""
    draw = rng.random((2, len(graph)))
    cost = 1 + draw[0] + 4.0 * (graph.thin > 0)
    n = len(graph.xy)
    tree = minimum_spanning_tree(coo_array((cost, (graph.start, graph.end)), shape=(n, n))).tocoo()
    in_tree = np.isin(graph.start * n + graph.end, tree.row.astype(np.int64) * n + tree.col)
    return graph.take(in_tree | (draw[1] >= graph.thin))


def largest_part(graph: Graph) -> Graph:
    """What hangs together, with the one-way streets that would be traps opened to both directions."""
    n = len(graph.xy)
    for _ in range(6):
        forward, back = graph.one_way != OneWay.BACKWARD, graph.one_way != OneWay.FORWARD
        tail, head = np.r_[graph.start[forward], graph.end[back]], np.r_[graph.end[forward], graph.start[back]]
        links = coo_array((np.ones(len(tail)), (tail, head)), shape=(n, n))
        _, strong = connected_components(links, directed=True, connection="strong")
        main = np.argmax(np.bincount(strong[graph.start]))
        trap = (graph.one_way != 0) & ((strong[graph.start] != main) | (strong[graph.end] != main))
        trap &= ~graph.raised
        if not trap.any():
            break
        graph = replace(graph, one_way=np.where(trap, 0, graph.one_way).astype(np.int8))
    _, part = connected_components(links, directed=False)
    return graph.take(part[graph.start] == np.argmax(np.bincount(part[graph.start])))


def chains(graph: Graph) -> list[Longs]:
    """The graph's edges strung into streets from junction to junction, as lists of nodes with the number of one of
    the edges in front. Edges are strung where two alike ones meet and nothing else does."""
    around: list[list[int]] = [[] for _ in range(len(graph.xy))]
    for edge, (a, b) in enumerate(zip(graph.start.tolist(), graph.end.tolist(), strict=True)):
        around[a].append(edge)
        around[b].append(edge)
    kind = np.stack([graph.road_class, graph.one_way != 0, graph.raised], axis=1)
    through = np.zeros(len(graph.xy), bool)
    for node, edges in enumerate(around):
        if len(edges) == 2:
            e, f = edges
            flows = (graph.end[e] == node) != (graph.end[f] == node)
            directed = graph.one_way[e] == 0 or (graph.one_way[e] == graph.one_way[f]) == flows
            through[node] = bool((kind[e] == kind[f]).all()) and directed
    starts, ends = graph.start.tolist(), graph.end.tolist()
    used = np.zeros(len(graph), bool)
    found: list[Longs] = []

    def follow(node: int, edge: int) -> None:
        nodes, first = [node], edge
        while True:
            used[edge] = True
            node = ends[edge] if starts[edge] == node else starts[edge]
            nodes.append(node)
            onward = [e for e in around[node] if not used[e]] if through[node] else []
            if not onward:
                break
            edge = onward[0]
        found.append(np.array([first, *nodes]))

    for node in np.flatnonzero(~through).tolist():
        for edge in around[node]:
            if not used[edge]:
                follow(node, edge)
    for edge in range(len(graph)):
        if not used[edge]:
            follow(starts[edge], edge)
    return found
