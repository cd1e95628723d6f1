"""The compiled searches: Dijkstra's algorithm over a compressed graph, outwards from a point, with early stop.

Plain arrays in and out; `geodata.routing` gives them their meaning. A graph is (first, other, time_s): the links of
node i are first[i]:first[i + 1], other the node that a link leads to. For a search against the traffic the links of a
node are the edges that enter it. A node here is a port of `geodata.turns`: two edges of one street need not share it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numba
import numpy as np

from geodata.network import Floats, Ints


def compiled(function: Any) -> Any:
    return numba.njit(function, cache=True, nogil=True, error_model="numpy")


TAIL, HEAD, TWIN = 0, 1, 2
"""Columns of `ends`, which has a row an edge; -1 as twin: none that may be driven."""
STAMP, VIA, LINK_STAMP, FIRST_LINK, SETTLED = 0, 1, 2, 3, 4
"""Columns of `mark`, which has a row a node: the search that reached it last and by which link, the search in which
candidates leave by it and the first of them, the search that settled it last."""
FEW = 3
"""Up to so many candidates a search is drawn towards them; with more the drawing costs more than it saves. Measured."""


class Scratch(NamedTuple):
    """Working memory of the searches over one network; nothing is cleared: what counts bears the last stamp."""

    stamp: Ints
    """(1,) the last stamp given."""
    mark: Ints
    """(n, 5)"""
    dist_s: Floats
    """(n,)"""
    heap_s: Floats
    heap_node: Ints
    path: Ints

    @classmethod
    def of_size(cls, n_nodes: int, n_edges: int) -> Scratch:
        return cls(
            np.zeros(1, np.int32),
            np.zeros((n_nodes, 5), np.int32),
            np.empty(n_nodes),
            np.empty(n_edges + 4),
            np.empty(n_edges + 4, np.int32),
            np.empty(n_nodes + 2, np.int32),
        )


@compiled
def push(heap_s: Any, heap_node: Any, size: int, key: float, node: int) -> int:
    """Add a node to a binary heap of the given size; its new size."""
    i = size
    while i > 0:
        above = (i - 1) >> 1
        if heap_s[above] <= key:
            break
        heap_s[i] = heap_s[above]
        heap_node[i] = heap_node[above]
        i = above
    heap_s[i] = key
    heap_node[i] = node
    return size + 1


@compiled
def pop(heap_s: Any, heap_node: Any, size: int) -> int:
    """Take the least entry, which the caller has read at 0, off a heap; its new size."""
    size -= 1
    key = heap_s[size]
    node = heap_node[size]
    i = 0
    child = 1
    while child < size:
        if child + 1 < size and heap_s[child + 1] < heap_s[child]:
            child += 1
        if heap_s[child] >= key:
            break
        heap_s[i] = heap_s[child]
        heap_node[i] = heap_node[child]
        i = child
        child = 2 * i + 1
    heap_s[i] = key
    heap_node[i] = node
    return size


@compiled
def offer(best: Any, best_cost: Any, n_best: int, row: int, cost: float) -> int:
    """Put a row into the sorted list of the best, once; the list's new length. Ties break by row."""
    k = len(best)
    at = n_best
    for i in range(n_best):
        if best[i] == row:
            at = i
            break
    if at < n_best:
        if best_cost[at] <= cost:
            return n_best
    elif n_best < k:
        n_best += 1
    else:
        at = k - 1
        if best_cost[at] < cost or (best_cost[at] == cost and best[at] < row):
            return n_best
    while at > 0 and (best_cost[at - 1] > cost or (best_cost[at - 1] == cost and best[at - 1] > row)):
        best[at] = best[at - 1]
        best_cost[at] = best_cost[at - 1]
        at -= 1
    best[at] = row
    best_cost[at] = cost
    return n_best


@compiled
def part_s(share: float, edge_s: float) -> float:
    """Seconds along a share of an edge; none along no share, even of a closed edge, whose time is infinite."""
    return share * edge_s if share > 0.0 else 0.0


@compiled
def direct_s(ends: Any, time_s: Any, edge: int, share: float, target_edge: int, target_share: float) -> float:
    """Seconds along the street that two positions share; infinity where they share none, or it is one-way against."""
    back = ends[target_edge, TWIN]
    if edge == back:
        share = 1.0 - share
    elif edge != target_edge:
        return np.inf
    seconds = np.inf
    if share <= target_share:
        seconds = part_s(target_share - share, time_s[target_edge])
    elif back >= 0:
        seconds = part_s(share - target_share, time_s[back])
    return seconds


@compiled
def _ahead_s(xy_m: Any, fastest_s_per_m: float, goals: Any, n_goals: int, node: int) -> float:
    """The least seconds from the nearest goal to a node that any road could take; 0 without goals."""
    if n_goals == 0:
        return 0.0
    least = np.inf
    for i in range(n_goals):
        east = xy_m[goals[i], 0] - xy_m[node, 0]
        north = xy_m[goals[i], 1] - xy_m[node, 1]
        least = min(least, east * east + north * north)
    # a hair less, so that rounding never makes it too high
    return math.sqrt(least) * fastest_s_per_m * (1.0 - 1e-9)


@compiled
def nearest(
    xy_m: Any,
    fastest_s_per_m: float,
    first_in: Any,
    in_tail: Any,
    in_time_s: Any,
    ends: Any,
    time_s: Any,
    length_m: Any,
    stamp: Any,
    mark: Any,
    dist_s: Any,
    heap_s: Any,
    heap_node: Any,
    target_edge: int,
    target_m: float,
    rows: Any,
    edge: Any,
    offset_m: Any,
    delay_s: Any,
    slowness: Any,
    best: Any,
    best_cost: Any,
    n_best: int,
    limit: float,
) -> int:
    """The len(best) candidates of least delay_s + slowness * road time to the target, nearest first.

    Candidates are the given rows of edge, offset_m, delay_s and slowness, beside the n_best that `best` and `best_cost`
    already hold. Searches from the target against the traffic and stops when no unsettled node can yield a better one,
    or at a cost of `limit`; few candidates draw it towards them (A*). `fastest_s_per_m` is the least time in which any
    road covers a metre. Fills best (rows) and best_cost; returns how many they hold. `mark` then holds the routes.
    """
    n = len(rows)
    stamp[0] += 1
    now = stamp[0]
    next_link = np.empty(2 * n, np.int32)
    link_s = np.empty(2 * n)
    least_delay = np.inf
    least_slowness = np.inf
    target_share = target_m / length_m[target_edge]
    back = ends[target_edge, TWIN]
    k = min(len(best), n_best + n)
    goals = np.empty(2 * FEW, np.int32)
    n_goals = 0
    for i in range(n):
        row = rows[i]
        e = edge[row]
        share = offset_m[row] / length_m[e]
        least_delay = min(least_delay, delay_s[row])
        least_slowness = min(least_slowness, slowness[row])
        cost = delay_s[row] + slowness[row] * direct_s(ends, time_s, e, share, target_edge, target_share)
        if cost <= limit and cost < np.inf:
            n_best = offer(best, best_cost, n_best, row, cost)
        node = ends[e, HEAD]
        link_s[2 * i] = part_s(1.0 - share, time_s[e])
        next_link[2 * i] = mark[node, FIRST_LINK] if mark[node, LINK_STAMP] == now else -1
        mark[node, LINK_STAMP] = now
        mark[node, FIRST_LINK] = 2 * i
        if n <= FEW:
            goals[n_goals] = node
            n_goals += 1
        twin = ends[e, TWIN]
        if twin >= 0:
            node = ends[twin, HEAD]
            link_s[2 * i + 1] = part_s(share, time_s[twin])
            next_link[2 * i + 1] = mark[node, FIRST_LINK] if mark[node, LINK_STAMP] == now else -1
            mark[node, LINK_STAMP] = now
            mark[node, FIRST_LINK] = 2 * i + 1
            if n <= FEW:
                goals[n_goals] = node
                n_goals += 1

    size = 0
    node = ends[target_edge, TAIL]
    mark[node, STAMP] = now
    dist_s[node] = part_s(target_share, time_s[target_edge])
    mark[node, VIA] = -1
    size = push(heap_s, heap_node, size, dist_s[node] + _ahead_s(xy_m, fastest_s_per_m, goals, n_goals, node), node)
    if back >= 0:
        node = ends[back, TAIL]
        road = part_s(1.0 - target_share, time_s[back])
        if mark[node, STAMP] != now or road < dist_s[node]:
            mark[node, STAMP] = now
            dist_s[node] = road
            mark[node, VIA] = -2
            size = push(heap_s, heap_node, size, road + _ahead_s(xy_m, fastest_s_per_m, goals, n_goals, node), node)
    while size > 0:
        node = heap_node[0]
        worst = min(limit, best_cost[k - 1]) if n_best == k else limit
        if least_delay + least_slowness * heap_s[0] > worst or heap_s[0] == np.inf:
            break
        size = pop(heap_s, heap_node, size)
        if mark[node, SETTLED] == now:
            continue
        mark[node, SETTLED] = now
        reached = dist_s[node]
        if mark[node, LINK_STAMP] == now:
            link = mark[node, FIRST_LINK]
            while link >= 0:
                row = rows[link >> 1]
                cost = delay_s[row] + slowness[row] * (reached + link_s[link])
                if cost <= limit and cost < np.inf:
                    n_best = offer(best, best_cost, n_best, row, cost)
                link = next_link[link]
        for j in range(first_in[node], first_in[node + 1]):
            other = in_tail[j]
            road = reached + in_time_s[j]
            if mark[other, STAMP] != now or road < dist_s[other]:
                mark[other, STAMP] = now
                dist_s[other] = road
                mark[other, VIA] = j
                key = road + _ahead_s(xy_m, fastest_s_per_m, goals, n_goals, other)
                if least_delay + least_slowness * key <= worst:
                    size = push(heap_s, heap_node, size, key, other)
    return n_best


@compiled
def lay_direct(
    ends: Any, length_m: Any, path: Any, edge: int, share: float, target_edge: int, target_share: float
) -> tuple[int, float, float, float]:
    """A route along one street: fills `path`; its number of edges, begin and end share, and metres."""
    if edge != target_edge:
        share = 1.0 - share
    path[0] = target_edge
    if share > target_share:
        path[0] = ends[target_edge, TWIN]
        share, target_share = 1.0 - share, 1.0 - target_share
    return 1, share, target_share, (target_share - share) * length_m[target_edge]


@compiled
def trace(
    in_edge: Any,
    ends: Any,
    time_s: Any,
    length_m: Any,
    stamp: Any,
    mark: Any,
    dist_s: Any,
    path: Any,
    target_edge: int,
    target_m: float,
    edge: int,
    offset_m: float,
) -> tuple[int, float, float, float, float]:
    """The fastest route of a candidate that the last `nearest` found: fills `path` with its edges.

    Returns their number, the share of the first where it begins, the share of the last where it ends, metres and
    seconds on the road.
    """
    now = stamp[0]
    share = offset_m / length_m[edge]
    target_share = target_m / length_m[target_edge]
    road = direct_s(ends, time_s, edge, share, target_edge, target_share)
    start = -1
    node = ends[edge, HEAD]
    if mark[node, STAMP] == now and dist_s[node] + part_s(1.0 - share, time_s[edge]) < road:
        road = dist_s[node] + part_s(1.0 - share, time_s[edge])
        start = edge
    twin = ends[edge, TWIN]
    if twin >= 0:
        node = ends[twin, HEAD]
        if mark[node, STAMP] == now and dist_s[node] + part_s(share, time_s[twin]) < road:
            road = dist_s[node] + part_s(share, time_s[twin])
            start = twin
    if start < 0:
        count, begin, end, metres = lay_direct(ends, length_m, path, edge, share, target_edge, target_share)
        return count, begin, end, metres, road
    begin = share if start == edge else 1.0 - share
    path[0] = start
    metres = (1.0 - begin) * length_m[start]
    node = ends[start, HEAD]
    count = 1
    while mark[node, VIA] >= 0:
        e = in_edge[mark[node, VIA]]
        path[count] = e
        count += 1
        metres += length_m[e]
        node = ends[e, HEAD]
    end = target_share
    path[count] = target_edge
    if mark[node, VIA] == -2:
        end = 1.0 - target_share
        path[count] = ends[target_edge, TWIN]
    return count + 1, begin, end, metres + end * length_m[target_edge], road


@compiled
def spread(
    first: Any,
    other: Any,
    time_s: Any,
    heap_s: Any,
    heap_node: Any,
    seeds: Any,
    seed_s: Any,
    limit_s: float,
    dist_s: Any,
) -> None:
    """Least seconds from any seed to every node within the limit; the rest of `dist_s` keeps infinity."""
    dist_s[:] = np.inf
    size = 0
    for i in range(len(seeds)):
        if seed_s[i] <= limit_s and seed_s[i] < dist_s[seeds[i]]:
            dist_s[seeds[i]] = seed_s[i]
            if size == len(heap_s):
                raise ValueError("more seeds than the working memory holds")
            size = push(heap_s, heap_node, size, seed_s[i], seeds[i])
    while size > 0:
        reached = heap_s[0]
        node = heap_node[0]
        size = pop(heap_s, heap_node, size)
        if reached > dist_s[node]:
            continue
        for j in range(first[node], first[node + 1]):
            road = reached + time_s[j]
            if road <= limit_s and road < dist_s[other[j]]:
                dist_s[other[j]] = road
                size = push(heap_s, heap_node, size, road, other[j])
