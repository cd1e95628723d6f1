"""Kept times: for every node the few nearest of some fixed anchors (posts).

A unit that stands at its post is found by a look at the two ends of the incident's street; only units on the move still
need a search, and only where they might be nearer by the landmarks. Exact: where the kept anchors do not suffice, the
search of `geodata.search` decides.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from geodata.along import METRES, SECONDS, TAIL, TWIN, crow_s, direct_s, part_s
from geodata.compiled import compiled
from geodata.search import nearest_with_drives, offer


@compiled
def nearest_kept(
    near: Any,
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

    `near` (n, k) of `geodata.keeping.KEPT` holds the nearest anchors from which each node is reached; the rest is as
    `geodata.search.nearest` has it. Fills drive too: seconds and metres on the road, a row for each of the best.
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

    last = near.shape[1] - 1
    beyond = np.inf
    worst = best_cost[k - 1] if n_best == k else np.inf
    for side in range(2 if n_movers < n else 0):
        if side == 0:
            node = ends[target_edge, TAIL]
            rest_s = part_s(target_share, road[target_edge, SECONDS])
        else:
            if back < 0:
                break
            node = ends[back, TAIL]
            rest_s = part_s(1.0 - target_share, road[back, SECONDS])
        for j in range(last + 1):
            who = near[node, j]["anchor"]
            seconds = near[node, j]["s"] + rest_s
            # none that follows, kept or not, is among the best
            if who < 0 or least_delay + least_slowness * seconds > worst:
                break
            i = first_at[who]
            while i >= 0:
                row = rows[i]
                cost = delay_s[row] + slowness[row] * seconds
                if cost < np.inf:
                    n_best = offer(best, best_cost, n_best, row, cost)
                i = next_at[i]
            if n_best == k:
                worst = best_cost[k - 1]
        else:
            if last + 1 < n_anchors:
                beyond = min(beyond, near[node, last]["s"] + rest_s)
    if beyond < np.inf and least_delay + least_slowness * beyond <= worst:
        # an anchor that is not kept may be as near: who stands there takes its chance with those on the move
        n_best = 0
        for i in range(n):
            row = rows[i]
            if anchor[row] >= 0:
                seconds, _ = _measure(
                    near, ends, road,
                    anchor[row], edge[row], offset_m[row] / road[edge[row], METRES], target_edge, target_share,
                )  # fmt: skip
                cost = delay_s[row] + slowness[row] * seconds
                if cost < np.inf:
                    n_best = offer(best, best_cost, n_best, row, cost)
                else:
                    movers[n_movers] = row
                    n_movers += 1
        worst = best_cost[k - 1] if n_best == k else np.inf
    if worst < np.inf:
        # whoever cannot come in time as the crow flies drops out
        n_left = 0
        for i in range(n_movers):
            row = movers[i]
            seconds = crow_s(chord, least_s_per_m, edge[row], offset_m[row], target_edge, target_m)
            if delay_s[row] + slowness[row] * seconds <= worst:
                movers[n_left] = row
                n_left += 1
        n_movers = n_left
    searched = np.empty((n_movers, 2))
    if n_movers > 0:
        n_best = nearest_with_drives(
            first, links, ends, road, chord, least_s_per_m, marks, bucket_s, nodes, buckets, counter, path,
            target_edge, target_m, movers[:n_movers], edge, offset_m, delay_s, slowness, best, best_cost, n_best,
            worst + 1e-6, searched, np.empty((n_movers, 2)),
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
                near, ends, road,
                anchor[row], edge[row], offset_m[row] / road[edge[row], METRES], target_edge, target_share,
            )  # fmt: skip
    return n_best


@compiled
def _measure(
    near: Any,
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
    last = near.shape[1] - 1
    for side in range(2):
        into = target_edge if side == 0 else ends[target_edge, TWIN]
        if into < 0:
            break
        rest = target_share if side == 0 else 1.0 - target_share
        node = ends[into, TAIL]
        j = 0
        while j < last and near[node, j]["anchor"] != anchor:
            j += 1
        whole = near[node, j]["s"] + part_s(rest, road[into, SECONDS])
        if near[node, j]["anchor"] != anchor:
            # it is no nearer than the last of those kept
            beyond = min(beyond, whole)
        elif whole < seconds:
            seconds = whole
            metres = near[node, j]["m"] + rest * road[into, METRES]
    return (seconds, metres) if seconds <= beyond else (np.inf, np.inf)
