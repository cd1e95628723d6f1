"""The compiled searches: Dijkstra's algorithm over a compressed graph, outwards from a point, with early stop.

Plain arrays in and out; `geodata.routing` gives them their meaning. A graph is (first, other, time_s): the links of
node i are first[i]:first[i + 1], other the node that a link leads to. For a search against the traffic the links of a
node are the edges that enter it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from geodata.network import Floats, Ints

DIRECT, BY_HEAD, BY_TAIL = 0, 1, 2
"""How a route leaves its origin: along the target's own street, by its edge's head, or turned about by its tail."""


def _compiled(function: Any) -> Any:
    return numba.njit(function, cache=True, nogil=True, error_model="numpy")


class Scratch(NamedTuple):
    """Working memory of the searches over one network; nothing is cleared: what counts bears the last stamp."""

    stamp: NDArray[np.int32]
    """[0] is the last stamp given."""
    node_stamp: NDArray[np.int32]
    dist_s: Floats
    via: Ints
    """The link by which a node was reached."""
    heap_s: Floats
    heap_node: Ints
    link_stamp: NDArray[np.int32]
    first_link: Ints
    """The first of the candidates that leave by a node."""
    path: Ints

    @classmethod
    def of_size(cls, n_nodes: int, n_edges: int) -> Scratch:
        return cls(
            np.zeros(1, np.int32),
            np.zeros(n_nodes, np.int32),
            np.empty(n_nodes),
            np.empty(n_nodes, np.int32),
            np.empty(n_edges + 4),
            np.empty(n_edges + 4, np.int32),
            np.zeros(n_nodes, np.int32),
            np.empty(n_nodes, np.int32),
            np.empty(n_nodes + 2, np.int32),
        )


@_compiled
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


@_compiled
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


@_compiled
def _offer(best: Any, best_cost: Any, n_best: int, who: int, cost: float) -> int:
    """Put a candidate into the sorted list of the best, once; the list's new length. Ties break by number."""
    k = len(best)
    at = n_best
    for i in range(n_best):
        if best[i] == who:
            at = i
            break
    if at < n_best:
        if best_cost[at] <= cost:
            return n_best
    elif n_best < k:
        n_best += 1
    else:
        at = k - 1
        if best_cost[at] < cost or (best_cost[at] == cost and best[at] < who):
            return n_best
    while at > 0 and (best_cost[at - 1] > cost or (best_cost[at - 1] == cost and best[at - 1] > who)):
        best[at] = best[at - 1]
        best_cost[at] = best_cost[at - 1]
        at -= 1
    best[at] = who
    best_cost[at] = cost
    return n_best


@_compiled
def nearest(
    first_in: Any,
    in_tail: Any,
    in_time_s: Any,
    tail: Any,
    head: Any,
    twin: Any,
    time_s: Any,
    length_m: Any,
    stamp: Any,
    node_stamp: Any,
    dist_s: Any,
    via: Any,
    heap_s: Any,
    heap_node: Any,
    link_stamp: Any,
    first_link: Any,
    target_edge: int,
    target_m: float,
    rows: Any,
    edge: Any,
    offset_m: Any,
    delay_s: Any,
    slowness: Any,
    best: Any,
    best_cost: Any,
    limit: float,
) -> int:
    """The len(best) candidates of least delay_s + slowness * road time to the target, nearest first.

    Candidates are the given rows of edge, offset_m, delay_s and slowness. Searches from the target against the
    traffic and stops when no unsettled node can yield a better one, or at a cost of `limit`. Fills best (positions in
    `rows`) and best_cost; returns how many were found. `via` then holds the routes.
    """
    n = len(rows)
    stamp[0] += 1
    now = stamp[0]
    next_link = np.empty(2 * n, np.int32)
    link_s = np.empty(2 * n)
    n_best = 0
    least_delay = np.inf
    least_slowness = np.inf
    target_share = target_m / length_m[target_edge]
    back = twin[target_edge]
    for i in range(n):
        row = rows[i]
        e = edge[row]
        share = offset_m[row] / length_m[e]
        if delay_s[row] < least_delay:
            least_delay = delay_s[row]
        if slowness[row] < least_slowness:
            least_slowness = slowness[row]
        if e == target_edge or e == back:
            along = target_share - (share if e == target_edge else 1.0 - share)
            if along >= 0.0:
                road = along * time_s[target_edge]
                n_best = _offer(best, best_cost, n_best, i, delay_s[row] + slowness[row] * road)
            elif back >= 0:
                road = -along * time_s[back]
                n_best = _offer(best, best_cost, n_best, i, delay_s[row] + slowness[row] * road)
        node = head[e]
        link_s[2 * i] = (1.0 - share) * time_s[e]
        next_link[2 * i] = first_link[node] if link_stamp[node] == now else -1
        link_stamp[node] = now
        first_link[node] = 2 * i
        if twin[e] >= 0:
            node = tail[e]
            link_s[2 * i + 1] = share * time_s[twin[e]]
            next_link[2 * i + 1] = first_link[node] if link_stamp[node] == now else -1
            link_stamp[node] = now
            first_link[node] = 2 * i + 1

    size = 0
    node = tail[target_edge]
    node_stamp[node] = now
    dist_s[node] = target_share * time_s[target_edge]
    via[node] = -1
    size = push(heap_s, heap_node, size, dist_s[node], node)
    if back >= 0:
        node = head[target_edge]
        road = (1.0 - target_share) * time_s[back]
        if node_stamp[node] != now or road < dist_s[node]:
            node_stamp[node] = now
            dist_s[node] = road
            via[node] = -2
            size = push(heap_s, heap_node, size, road, node)
    k = min(len(best), n)
    while size > 0:
        reached = heap_s[0]
        node = heap_node[0]
        bound = least_delay + least_slowness * reached
        if bound > limit or (n_best == k and bound > best_cost[k - 1]):
            break
        size = pop(heap_s, heap_node, size)
        if reached > dist_s[node]:
            continue
        if link_stamp[node] == now:
            link = first_link[node]
            while link >= 0:
                row = rows[link >> 1]
                cost = delay_s[row] + slowness[row] * (reached + link_s[link])
                if cost <= limit:
                    n_best = _offer(best, best_cost, n_best, link >> 1, cost)
                link = next_link[link]
        for j in range(first_in[node], first_in[node + 1]):
            other = in_tail[j]
            road = reached + in_time_s[j]
            if node_stamp[other] != now or road < dist_s[other]:
                node_stamp[other] = now
                dist_s[other] = road
                via[other] = j
                size = push(heap_s, heap_node, size, road, other)
    return n_best


@_compiled
def trace(
    in_edge: Any,
    tail: Any,
    head: Any,
    twin: Any,
    time_s: Any,
    length_m: Any,
    stamp: Any,
    node_stamp: Any,
    dist_s: Any,
    via: Any,
    path: Any,
    target_edge: int,
    target_m: float,
    edge: int,
    offset_m: float,
) -> tuple[int, float, float, float, float]:
    """The fastest route of a candidate of the last `nearest`: fills `path` with its edges.

    Returns their number, the share of the first where it begins, the share of the last where it ends, seconds on the
    road and metres.
    """
    now = stamp[0]
    share = offset_m / length_m[edge]
    target_share = target_m / length_m[target_edge]
    back = twin[target_edge]
    road = np.inf
    way = DIRECT
    begin = share
    if edge == target_edge or edge == back:
        begin = share if edge == target_edge else 1.0 - share
        if begin <= target_share:
            road = (target_share - begin) * time_s[target_edge]
        elif back >= 0:
            road = (begin - target_share) * time_s[back]
    direct_begin = begin
    node = head[edge]
    if node_stamp[node] == now and dist_s[node] + (1.0 - share) * time_s[edge] < road:
        road = dist_s[node] + (1.0 - share) * time_s[edge]
        way = BY_HEAD
    if twin[edge] >= 0:
        node = tail[edge]
        if node_stamp[node] == now and dist_s[node] + share * time_s[twin[edge]] < road:
            road = dist_s[node] + share * time_s[twin[edge]]
            way = BY_TAIL
    if way == DIRECT:
        if direct_begin <= target_share:
            path[0] = target_edge
            return 1, direct_begin, target_share, road, (target_share - direct_begin) * length_m[target_edge]
        path[0] = back
        return 1, 1.0 - direct_begin, 1.0 - target_share, road, (direct_begin - target_share) * length_m[back]
    if way == BY_HEAD:
        path[0] = edge
        begin = share
        node = head[edge]
    else:
        path[0] = twin[edge]
        begin = 1.0 - share
        node = tail[edge]
    metres = (1.0 - begin) * length_m[edge]
    count = 1
    while via[node] >= 0:
        e = in_edge[via[node]]
        path[count] = e
        count += 1
        metres += length_m[e]
        node = head[e]
    if via[node] == -1:
        path[count] = target_edge
        end = target_share
    else:
        path[count] = back
        end = 1.0 - target_share
    return count + 1, begin, end, road, metres + end * length_m[target_edge]


@_compiled
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
