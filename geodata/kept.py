"""Kept times: for every node the few nearest of some fixed anchors (posts), with the routes.

A unit that stands at its post is found by a look at the two ends of the incident's street; only units on the move still
need a search, and only where they might be nearer as the crow flies. Exact: where the kept anchors do not suffice, the
search of `geodata.search` decides.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from geodata.network import Floats, Ints
from geodata.search import HEAD, TAIL, TWIN, compiled, direct_s, lay_direct, nearest, offer, pop, push

KEPT = 6
"""Anchors kept for each node."""
BY_HEAD, BY_TAIL = -1, -2
"""Instead of a link: the anchor's own edge, or its twin."""


class Kept(NamedTuple):
    """The k nearest anchors of each node, nearest first; -1 and infinity where there are fewer."""

    anchor: Ints
    """(n, k)"""
    time_s: Floats
    """(n, k) on the road."""
    link: Ints
    """(n, k) the edge between this node and the next on the way, or BY_HEAD or BY_TAIL."""


@compiled
def keep(
    first: Any,
    other: Any,
    link_s: Any,
    edge_of_link: Any,
    seed_node: Any,
    seed_s: Any,
    seed_anchor: Any,
    seed_link: Any,
    k: int,
) -> tuple[Any, Any, Any]:
    """The k nearest anchors of every node, by one search from all of them in which a node is settled up to k times."""
    n = len(first) - 1
    anchor = np.full((n, k), -1, np.int32)
    time_s = np.full((n, k), np.inf)
    link = np.full((n, k), -1, np.int32)
    count = np.zeros(n, np.int8)
    room = k * len(other) + len(seed_node)
    heap_s = np.empty(room)
    heap_entry = np.empty(room, np.int32)
    # what a heap entry stands for: a node reached from an anchor by a link
    entry_node = np.empty(room, np.int32)
    entry_anchor = np.empty(room, np.int32)
    entry_link = np.empty(room, np.int32)
    entries = 0
    size = 0
    for i in range(len(seed_node)):
        entry_node[entries] = seed_node[i]
        entry_anchor[entries] = seed_anchor[i]
        entry_link[entries] = seed_link[i]
        size = push(heap_s, heap_entry, size, seed_s[i], entries)
        entries += 1
    while size > 0:
        reached = heap_s[0]
        entry = heap_entry[0]
        size = pop(heap_s, heap_entry, size)
        node = entry_node[entry]
        who = entry_anchor[entry]
        have = count[node]
        if have == k:
            continue
        known = False
        for j in range(have):
            known = known or anchor[node, j] == who
        if known:
            continue
        anchor[node, have] = who
        time_s[node, have] = reached
        link[node, have] = entry_link[entry]
        count[node] = have + 1
        for j in range(first[node], first[node + 1]):
            if count[other[j]] < k:
                entry_node[entries] = other[j]
                entry_anchor[entries] = who
                entry_link[entries] = edge_of_link[j]
                size = push(heap_s, heap_entry, size, reached + link_s[j], entries)
                entries += 1
    return anchor, time_s, link


@compiled
def _at_least_s(kept_anchor: Any, kept_s: Any, home_anchor: Any, home_s: Any, here: int, there: int) -> float:
    """A lower bound on the seconds from one node to another, by the triangle inequality over anchors kept for both."""
    bound = 0.0
    for i in range(kept_s.shape[1]):
        for j in range(kept_s.shape[1]):
            if kept_anchor[here, i] == kept_anchor[there, j] and kept_anchor[here, i] >= 0:
                bound = max(bound, kept_s[there, j] - kept_s[here, i])
            if home_anchor[here, i] == home_anchor[there, j] and home_anchor[here, i] >= 0:
                bound = max(bound, home_s[here, i] - home_s[there, j])
    # a hair less, so that rounding never makes it too high
    return bound * (1.0 - 1e-12) - 1e-9


@compiled
def nearest_kept(
    kept_anchor: Any,
    kept_s: Any,
    home_anchor: Any,
    home_s: Any,
    n_anchors: int,
    anchor: Any,
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
    limit: float,
) -> int:
    """As `geodata.search.nearest`, for candidates of which some stand at an anchor (`anchor` by row; -1: on the move).

    `kept_anchor` and `kept_s` are the nearest anchors from which each node is reached, `home_anchor` and `home_s` those
    that are reached from it; `fastest_s_per_m` is the least
    time in which any road covers a metre.
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
    target_share = target_m / length_m[target_edge]
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
            share = offset_m[row] / length_m[edge[row]]
            cost = delay_s[row] + slowness[row] * direct_s(ends, time_s, edge[row], share, target_edge, target_share)
            if cost <= limit and cost < np.inf:
                n_best = offer(best, best_cost, n_best, row, cost)

    last = kept_s.shape[1] - 1
    beyond = np.inf
    for side in range(2):
        if side == 0:
            node = ends[target_edge, TAIL]
            rest_s = target_share * time_s[target_edge]
        else:
            if back < 0:
                break
            node = ends[target_edge, HEAD]
            rest_s = (1.0 - target_share) * time_s[back]
        for j in range(last + 1):
            who = kept_anchor[node, j]
            if who < 0:
                break
            i = first_at[who]
            while i >= 0:
                row = rows[i]
                cost = delay_s[row] + slowness[row] * (kept_s[node, j] + rest_s)
                if cost <= limit:
                    n_best = offer(best, best_cost, n_best, row, cost)
                i = next_at[i]
        if last + 1 < n_anchors:
            beyond = min(beyond, kept_s[node, last] + rest_s)
    worst = best_cost[k - 1] if n_best == k else limit
    if n_movers < n and beyond < np.inf and least_delay + least_slowness * beyond <= worst:
        # an anchor that is not kept may be as near
        n_found = nearest(
            xy_m, fastest_s_per_m, first_in, in_tail, in_time_s, ends, time_s, length_m, stamp, mark, dist_s, heap_s,
            heap_node, target_edge, target_m, rows, edge, offset_m, delay_s, slowness, best, best_cost, 0, limit,
        )  # fmt: skip
        return int(n_found)

    near = 0
    for i in range(n_movers):
        row = movers[i]
        e = edge[row]
        road = 0.0 if e == target_edge or e == back else np.inf
        share = offset_m[row] / length_m[e]
        for leave in range(2):
            out = e if leave == 0 else ends[e, TWIN]
            if out < 0:
                continue
            here = ends[out, HEAD]
            left_s = (1.0 - share if leave == 0 else share) * time_s[out]
            for enter in range(2):
                into = target_edge if enter == 0 else back
                if into < 0:
                    continue
                there = ends[into, TAIL]
                ends_s = left_s + (target_share if enter == 0 else 1.0 - target_share) * time_s[into]
                gap_m = np.hypot(xy_m[here, 0] - xy_m[there, 0], xy_m[here, 1] - xy_m[there, 1])
                if delay_s[row] + slowness[row] * (ends_s + gap_m * fastest_s_per_m) <= worst:
                    road = min(road, ends_s + _at_least_s(kept_anchor, kept_s, home_anchor, home_s, here, there))
        if delay_s[row] + slowness[row] * road <= worst:
            movers[near] = row
            near += 1
    if near > 0:
        n_best = nearest(
            xy_m, fastest_s_per_m, first_in, in_tail, in_time_s, ends, time_s, length_m, stamp, mark, dist_s, heap_s,
            heap_node, target_edge, target_m, movers[:near], edge, offset_m, delay_s, slowness, best, best_cost, n_best, worst,
        )  # fmt: skip
    return n_best


@compiled
def trace_kept(
    kept_anchor: Any,
    kept_s: Any,
    kept_link: Any,
    outward: bool,
    ends: Any,
    time_s: Any,
    length_m: Any,
    path: Any,
    anchor: int,
    anchor_edge: int,
    anchor_m: float,
    edge: int,
    offset_m: float,
) -> tuple[int, float, float, float, float]:
    """The fastest route between an anchor and a position by the kept times: fills `path` with its edges.

    Outward: from the anchor to the position, by times kept in that sense; else from the position to the anchor. Returns
    as `geodata.search.trace`; no edges where the anchor is not among those kept for the position.
    """
    share = offset_m / length_m[edge]
    anchor_share = anchor_m / length_m[anchor_edge]
    if outward:
        road = direct_s(ends, time_s, anchor_edge, anchor_share, edge, share)
    else:
        road = direct_s(ends, time_s, edge, share, anchor_edge, anchor_share)
    twin = ends[edge, TWIN]
    start = -1
    # where the anchor is not among those kept, it is no nearer than the last of them
    beyond = np.inf
    last = kept_s.shape[1] - 1
    # outward the position is entered by the tail of an edge, homeward left by its head
    near, far = (TAIL, HEAD) if outward else (HEAD, TAIL)
    for side in range(2):
        if side == 0:
            e, node, rest_s = edge, ends[edge, near], (share if outward else 1.0 - share) * time_s[edge]
        else:
            if twin < 0:
                break
            e, node, rest_s = twin, ends[edge, far], (1.0 - share if outward else share) * time_s[twin]
        j = 0
        while j < last and kept_anchor[node, j] != anchor:
            j += 1
        if kept_anchor[node, j] != anchor:
            beyond = min(beyond, kept_s[node, last] + rest_s)
        elif kept_s[node, j] + rest_s < road:
            road = kept_s[node, j] + rest_s
            start = e
    if road > beyond or road == np.inf:
        return 0, 0.0, 0.0, 0.0, np.inf
    if start < 0:
        if outward:
            count, begin, end, metres = lay_direct(ends, length_m, path, anchor_edge, anchor_share, edge, share)
        else:
            count, begin, end, metres = lay_direct(ends, length_m, path, edge, share, anchor_edge, anchor_share)
        return count, begin, end, metres, road

    own = share if start == edge else 1.0 - share
    metres = (own if outward else 1.0 - own) * length_m[start]
    path[0] = start
    count = 1
    node = ends[start, near]
    while True:
        j = 0
        while kept_anchor[node, j] != anchor:
            j += 1
        e = kept_link[node, j]
        if e < 0:
            break
        path[count] = e
        count += 1
        metres += length_m[e]
        node = ends[e, near]
    at = anchor_share
    path[count] = anchor_edge
    if e == BY_TAIL:
        at = 1.0 - anchor_share
        path[count] = ends[anchor_edge, TWIN]
    count += 1
    metres += (1.0 - at if outward else at) * length_m[anchor_edge]
    if not outward:
        return count, own, at, metres, road
    for i in range(count // 2):
        path[i], path[count - 1 - i] = path[count - 1 - i], path[i]
    return count, at, own, metres, road
