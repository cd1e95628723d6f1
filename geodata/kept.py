"""Kept times: for every node the few nearest of some fixed anchors (posts), with the routes.

A unit that stands at its post is found by a look at the two ends of the incident's street; only units on the move still
need a search, and only where they might be nearer by the landmarks. Exact: where the kept anchors do not suffice, the
search of `geodata.search` decides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from geodata.compiled import compiled
from geodata.network import Floats, Ints
from geodata.search import (
    HEAD,
    METRES,
    SECONDS,
    TAIL,
    TWIN,
    crow_s,
    direct_s,
    lay_direct,
    nearest_with_drives,
    offer,
    part_s,
)

LEAST_KEPT, MOST_KEPT = 8, 24
"""Anchors kept for each node."""
KEPT_ENTRIES = 1_500_000
"""About so many in all: where the network is small, more are kept for each node. When two thirds of the units are away,
none of the eight nearest posts has one in a case out of twenty, and a search then takes fifty times as long."""
BY_HEAD, BY_TAIL = -1, -2
"""Instead of a link: the anchor's own edge, or its twin."""


class Kept(NamedTuple):
    """The k nearest anchors of each node, nearest first; -1 and infinity where there are fewer."""

    anchor: Ints
    """(n, k)"""
    time_s: Floats
    """(n, k) on the road."""
    length_m: Floats
    """(n, k) of the same way."""
    link: Ints
    """(n, k) the edge between this node and the next on the way, or BY_HEAD or BY_TAIL."""


def n_kept(n_nodes: int, n_anchors: int) -> int:
    """How many anchors are kept for each node."""
    return min(max(LEAST_KEPT, min(KEPT_ENTRIES // max(n_nodes, 1), MOST_KEPT)), n_anchors)


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
def keep(
    first: Any,
    links: Any,
    edge_m: Any,
    seed_node: Any,
    seed_s: Any,
    seed_m: Any,
    seed_anchor: Any,
    seed_link: Any,
    k: int,
) -> tuple[Any, Any, Any, Any]:
    """The k nearest anchors of every node, by one search from all of them in which a node is settled up to k times."""
    n = len(first) - 1
    anchor = np.full((n, k), -1, np.int32)
    time_s = np.full((n, k), np.inf)
    length_m = np.full((n, k), np.inf)
    link = np.full((n, k), -1, np.int32)
    heap_s = np.empty(1024)
    heap_label = np.empty(1024, np.int64)
    size = 0
    for i in range(len(seed_node)):
        if _note(anchor, time_s, length_m, link, seed_node[i], seed_anchor[i], seed_s[i], seed_m[i], seed_link[i]):
            if size == len(heap_s):
                heap_s, heap_label = np.append(heap_s, heap_s), np.append(heap_label, heap_label)
            size = push(heap_s, heap_label, size, seed_s[i], seed_node[i] * np.int64(2**31) + seed_anchor[i])
    while size > 0:
        reached = heap_s[0]
        node = heap_label[0] >> 31
        who = heap_label[0] & (2**31 - 1)
        size = pop(heap_s, heap_label, size)
        at = -1
        for j in range(k):
            if anchor[node, j] == who and time_s[node, j] == reached:
                at = j
        if at < 0:
            continue
        metres = length_m[node, at]
        for j in range(first[node], first[node + 1]):
            road = reached + links[j]["s"]
            other, e = links[j]["other"], links[j]["edge"]
            if _note(anchor, time_s, length_m, link, other, who, road, metres + edge_m[e], e):
                if size == len(heap_s):
                    heap_s, heap_label = np.append(heap_s, heap_s), np.append(heap_label, heap_label)
                size = push(heap_s, heap_label, size, road, other * np.int64(2**31) + who)
    return anchor, time_s, length_m, link


@compiled
def _note(
    anchor: Any, time_s: Any, length_m: Any, link: Any, node: int, who: int, road: float, metres: float, by: int
) -> bool:
    """Put an anchor among a node's nearest if it is one; whether that changed them."""
    k = time_s.shape[1]
    if time_s[node, k - 1] <= road:
        return False
    at = k - 1
    for j in range(k):
        if anchor[node, j] == who:
            if time_s[node, j] <= road:
                return False
            at = j
            break
    while at > 0 and time_s[node, at - 1] > road:
        anchor[node, at] = anchor[node, at - 1]
        time_s[node, at] = time_s[node, at - 1]
        length_m[node, at] = length_m[node, at - 1]
        link[node, at] = link[node, at - 1]
        at -= 1
    anchor[node, at] = who
    time_s[node, at] = road
    length_m[node, at] = metres
    link[node, at] = by
    return True


@compiled
def nearest_kept(
    who: Any,
    value: Any,
    n_anchors: int,
    anchor: Any,
    first: Any,
    links: Any,
    ends: Any,
    road: Any,
    chord: Any,
    least_s_per_m: float,
    marks: Any,
    bucket_s: float,
    nodes: Any,
    buckets: Any,
    counter: Any,
    path: Any,
    target_edge: int,
    target_m: float,
    rows: Any,
    edge: Any,
    offset_m: Any,
    delay_s: Any,
    slowness: Any,
    best: Any,
    best_cost: Any,
    drive: Any,
) -> int:
    """As `geodata.search.nearest`, for candidates of which some stand at an anchor (`anchor` by row; -1: on the move).

    `who` (n, k) holds the nearest anchors from which each node is reached, `value` (n, 2, k) their seconds and their
    metres; the rest is as `geodata.search.nearest` has it. Fills drive too: seconds and metres on the road, a row for
    each of the best.
    """
    n = len(rows)
    k = min(len(best), n)
    first_at = np.full(n_anchors, -1, np.int32)
    next_at = np.empty(n, np.int32)
    movers = np.empty(n, np.int64)
    n_movers = 0
    n_best = 0
    least_delay = np.inf
    least_slowness = np.inf
    target_share = target_m / road[target_edge, METRES]
    back = ends[target_edge, TWIN]
    for i in range(n):
        row = rows[i]
        if anchor[row] < 0:
            movers[n_movers] = row
            n_movers += 1
            continue
        next_at[i] = first_at[anchor[row]]
        first_at[anchor[row]] = i
        least_delay = min(least_delay, delay_s[row])
        least_slowness = min(least_slowness, slowness[row])
        if edge[row] == target_edge or edge[row] == back:
            share = offset_m[row] / road[edge[row], METRES]
            cost = delay_s[row] + slowness[row] * direct_s(ends, road, edge[row], share, target_edge, target_share)
            if cost < np.inf:
                n_best = offer(best, best_cost, n_best, row, cost)

    last = value.shape[2] - 1
    beyond = np.inf
    for side in range(2):
        if side == 0:
            node = ends[target_edge, TAIL]
            rest_s = part_s(target_share, road[target_edge, SECONDS])
        else:
            if back < 0:
                break
            node = ends[back, TAIL]
            rest_s = part_s(1.0 - target_share, road[back, SECONDS])
        for j in range(last + 1):
            if who[node, j] < 0:
                break
            i = first_at[who[node, j]]
            while i >= 0:
                row = rows[i]
                cost = delay_s[row] + slowness[row] * (value[node, 0, j] + rest_s)
                if cost < np.inf:
                    n_best = offer(best, best_cost, n_best, row, cost)
                i = next_at[i]
        if last + 1 < n_anchors:
            beyond = min(beyond, value[node, 0, last] + rest_s)
    worst = best_cost[k - 1] if n_best == k else np.inf
    if n_movers < n and beyond < np.inf and least_delay + least_slowness * beyond <= worst:
        # an anchor that is not kept may be as near: it takes its chance with those on the move
        movers[:] = rows
        n_movers = n
        n_best = 0
        worst = np.inf
    if worst < np.inf:
        # whoever cannot come in time as the crow flies drops out
        near = 0
        for i in range(n_movers):
            row = movers[i]
            seconds = crow_s(chord, least_s_per_m, edge[row], offset_m[row], target_edge, target_m)
            if delay_s[row] + slowness[row] * seconds <= worst:
                movers[near] = row
                near += 1
        n_movers = near
    searched = np.empty((n_movers, 2))
    if n_movers > 0:
        n_best = nearest_with_drives(
            first, links, ends, road, chord, least_s_per_m, marks, bucket_s, nodes, buckets, counter, path,
            target_edge, target_m, movers[:n_movers], edge, offset_m, delay_s, slowness, best, best_cost, n_best,
            worst + 1e-6, searched,
        )  # fmt: skip
    for i in range(n_best):
        row = best[i]
        at = 0
        while at < n_movers and movers[at] != row:
            at += 1
        if at < n_movers:
            drive[i] = searched[at]
        else:
            drive[i, 0], drive[i, 1] = _measure(
                who, value, ends, road,
                anchor[row], edge[row], offset_m[row] / road[edge[row], METRES], target_edge, target_share,
            )  # fmt: skip
    return n_best


@compiled
def _measure(
    who: Any,
    value: Any,
    ends: Any,
    road: Any,
    anchor: int,
    anchor_edge: int,
    anchor_share: float,
    target_edge: int,
    target_share: float,
) -> tuple[float, float]:
    """Seconds and metres on the road from an anchor to a position, infinity where the kept times do not tell."""
    seconds = direct_s(ends, road, anchor_edge, anchor_share, target_edge, target_share)
    if anchor_edge != target_edge:
        anchor_share = 1.0 - anchor_share
    metres = abs(target_share - anchor_share) * road[target_edge, METRES]
    beyond = np.inf
    last = value.shape[2] - 1
    for side in range(2):
        into = target_edge if side == 0 else ends[target_edge, TWIN]
        if into < 0:
            break
        rest = target_share if side == 0 else 1.0 - target_share
        node = ends[into, TAIL]
        j = 0
        while j < last and who[node, j] != anchor:
            j += 1
        if who[node, j] != anchor:
            # it is no nearer than the last of those kept
            beyond = min(beyond, value[node, 0, last] + part_s(rest, road[into, SECONDS]))
        elif value[node, 0, j] + part_s(rest, road[into, SECONDS]) < seconds:
            seconds = value[node, 0, j] + part_s(rest, road[into, SECONDS])
            metres = value[node, 1, j] + rest * road[into, METRES]
    return (seconds, metres) if seconds <= beyond else (np.inf, np.inf)


@compiled
def trace_home(
    home_step: Any,
    home_s: Any,
    home_m: Any,
    ends: Any,
    road: Any,
    path: Any,
    anchor: int,
    anchor_edge: int,
    anchor_m: float,
    edge: int,
    offset_m: float,
) -> tuple[int, float, float, float, float]:
    """The fastest route from a position to an anchor by the kept times: fills `path` with its edges.

    `home_step` (n, k, 3) holds the kept anchors, links and the nodes that these lead to side by side, as all are
    read at each step. Returns as `geodata.search.trace`; no edges where the kept times do not tell.
    """
    share = offset_m / road[edge, METRES]
    anchor_share = anchor_m / road[anchor_edge, METRES]
    seconds = direct_s(ends, road, edge, share, anchor_edge, anchor_share)
    metres = 0.0
    start = -1
    # where the anchor is not among those kept, it is no nearer than the last of them
    beyond = np.inf
    last = home_s.shape[1] - 1
    for side in range(2):
        out = edge if side == 0 else ends[edge, TWIN]
        if out < 0:
            break
        rest_s = part_s(1.0 - share if side == 0 else share, road[out, SECONDS])
        node = ends[out, HEAD]
        j = 0
        while j < last and home_step[node, j, 0] != anchor:
            j += 1
        if home_step[node, j, 0] != anchor:
            beyond = min(beyond, home_s[node, last] + rest_s)
        elif home_s[node, j] + rest_s < seconds:
            seconds = home_s[node, j] + rest_s
            metres = home_m[node, j] + (1.0 - share if side == 0 else share) * road[out, METRES]
            start = out
    if seconds > beyond or seconds == np.inf:
        return 0, 0.0, 0.0, 0.0, np.inf
    if start < 0:
        count, begin, end, metres = lay_direct(ends, road, path, edge, share, anchor_edge, anchor_share)
        return count, begin, end, metres, seconds

    begin = share if start == edge else 1.0 - share
    path[0] = start
    count = 1
    node = ends[start, HEAD]
    while True:
        j = 0
        while home_step[node, j, 0] != anchor:
            j += 1
        e = home_step[node, j, 1]
        if e < 0:
            break
        path[count] = e
        count += 1
        node = home_step[node, j, 2]
    end = anchor_share
    path[count] = anchor_edge
    if e == BY_TAIL:
        end = 1.0 - anchor_share
        path[count] = ends[anchor_edge, TWIN]
    return count + 1, begin, end, metres, seconds
