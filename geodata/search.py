"""The compiled searches: Dijkstra's algorithm over a compressed graph, outwards from a point, with early stop.

Plain arrays in and out; `geodata.routing` gives them their meaning. A node here is a port of `geodata.turns`: two edges
of one street need not share it. The links of node i are first[i]:first[i + 1]; for a search against the traffic they
are the edges that enter it.

What is open waits in buckets of some seconds each instead of a heap: a bucket is worked through until it is empty, and
a node that is found nearer meanwhile comes in once more. That costs a few nodes twice and no ordering at all.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geodata.along import HEAD, METRES, SECONDS, TAIL, TWIN, crow_s, direct_s, lay_direct, part_s
from geodata.compiled import compiled, fetch_soon, lean
from geodata.network import Ints
from geodata.pair import BUCKETS, NONE, NOT_WAITING, SAME_POCKET, begin_search, bound_s, lay, seek, way_m

NODE = np.dtype(
    [("s", "f8"), ("search", "i4"), ("via", "i4"), ("leave", "i4"), ("next", "i4"), ("before", "i4"), ("bucket", "i4")]
)
"""What a search for many knows of a node: seconds, the number of the search that this is from, the edge by which it was
reached, the first of the candidates that leave by it; in its bucket the next node and the one before, and the bucket's
number."""
BY_TAIL, BY_TWIN = -1, -2
"""In place of an edge: the target's own begins here, or its twin does."""
BOUND, KNOWN = 0, 1
"""Columns of what is known of candidates: the least cost, infinite once it was searched for, and by what ..."""
BY_CROW, BY_LANDMARKS, BY_SEARCH = 0.0, 1.0, 2.0
"""... that is known."""
TRIES = 8
"""So many candidates are searched for one by one; if that does not settle it, one search for all will. Measured."""
ROUNDING_S = 1e-6
"""More than the sums of a way's seconds differ by the order in which they are added."""


class Scratch(NamedTuple):
    """Working memory of the searches over one network; nothing is cleared but the buckets: what counts bears the
    number of the last search."""

    nodes: NDArray[np.void]
    """(n,) of `NODE`"""
    buckets: Ints
    """(BUCKETS,) the first node that waits in each, -1 in an empty one."""
    counter: Ints
    """(3,) the number of the last search, and the first and the last of the buckets that it used."""
    path: Ints

    @classmethod
    def of_size(cls, n_nodes: int) -> Scratch:
        buckets, counter = np.full(BUCKETS, NONE, np.int32), np.array([0, 0, -1], np.int32)
        return cls(np.zeros(n_nodes, NODE), buckets, counter, np.empty(n_nodes + 2, np.int32))


@compiled
def _touch(nodes: Any, i: int, now: int) -> None:
    """Make sure that a node knows nothing of older searches."""
    node = nodes[i]
    if node["search"] != now:
        node["search"] = now
        node["s"] = np.inf
        node["leave"] = NONE
        node["before"] = NOT_WAITING


@compiled
def _wait(nodes: Any, buckets: Any, counter: Any, i: int, bucket: int) -> int:
    """Put a node into a bucket, out of the one where it waits; by how many more nodes wait now."""
    node = nodes[i]
    more = 1
    if node["before"] != NOT_WAITING:
        if node["bucket"] == bucket:
            return 0
        _leave(nodes, buckets, i)
        more = 0
    counter[1], counter[2] = min(counter[1], bucket), max(counter[2], bucket)
    slot = bucket & (BUCKETS - 1)
    after = buckets[slot]
    node["next"] = after
    node["before"] = NONE
    node["bucket"] = bucket
    if after >= 0:
        nodes[after]["before"] = i
    buckets[slot] = i
    return more


@compiled
def _leave(nodes: Any, buckets: Any, i: int) -> None:
    """Take a node out of its bucket."""
    node = nodes[i]
    after, before = node["next"], node["before"]
    if after >= 0:
        nodes[after]["before"] = before
    if before >= 0:
        nodes[before]["next"] = after
    else:
        buckets[node["bucket"] & (BUCKETS - 1)] = after
    node["before"] = NOT_WAITING


@lean
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
def nearest(
    first: Any,
    links: Any,
    ends: Any,
    road: Any,
    bucket_s: float,
    nodes: Any,
    buckets: Any,
    counter: Any,
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
    already hold. Searches from the target against the traffic and stops when no node that waits can yield a better
    one, or at a cost of `limit`. `bucket_s` is the width of the buckets, which together should hold twice the longest
    link: what is to wait for longer shares a bucket with what is nearer, and comes too early.
    Fills best (rows) and best_cost; returns how many they hold. `nodes` then holds the routes.
    """
    n = len(rows)
    now = begin_search(buckets, counter)
    next_leaving = np.empty(2 * n, np.int32)
    leaving_s = np.empty(2 * n)
    least_delay = np.inf
    least_slowness = np.inf
    target_share = target_m / road[target_edge, METRES]
    back = ends[target_edge, TWIN]
    k = min(len(best), n_best + n)
    for i in range(n):
        row = rows[i]
        share = offset_m[row] / road[edge[row], METRES]
        least_delay = min(least_delay, delay_s[row])
        least_slowness = min(least_slowness, slowness[row])
        cost = delay_s[row] + slowness[row] * direct_s(ends, road, edge[row], share, target_edge, target_share)
        if cost <= limit and cost < np.inf:
            n_best = offer(best, best_cost, n_best, row, cost)
        for side in range(2):
            out = edge[row] if side == 0 else ends[edge[row], TWIN]
            if out < 0:
                break
            number = 2 * i + side
            node = ends[out, HEAD]
            _touch(nodes, node, now)
            leaving_s[number] = part_s(1.0 - share if side == 0 else share, road[out, SECONDS])
            next_leaving[number] = nodes[node]["leave"]
            nodes[node]["leave"] = number

    waiting = 0
    bucket = 0
    per_s = 1.0 / bucket_s
    for side in range(2):
        into = target_edge if side == 0 else back
        if into < 0:
            break
        node = ends[into, TAIL]
        seconds = part_s(target_share if side == 0 else 1.0 - target_share, road[into, SECONDS])
        _touch(nodes, node, now)
        if seconds < nodes[node]["s"]:
            nodes[node]["s"] = seconds
            nodes[node]["via"] = BY_TAIL if side == 0 else BY_TWIN
            at = int(seconds * per_s)
            bucket = at if waiting == 0 else min(at, bucket)
            waiting += _wait(nodes, buckets, counter, node, at)
    worst = min(limit, best_cost[k - 1]) if n_best == k else limit
    while waiting > 0:
        i = buckets[bucket & (BUCKETS - 1)]
        if i < 0:
            bucket += 1
            if least_delay + least_slowness * (bucket * bucket_s) > worst:
                break
            continue
        _leave(nodes, buckets, i)
        waiting -= 1
        reached = nodes[i]["s"]
        number = nodes[i]["leave"]
        if number >= 0:
            while number >= 0:
                row = rows[number >> 1]
                cost = delay_s[row] + slowness[row] * (reached + leaving_s[number])
                if cost <= limit and cost < np.inf:
                    n_best = offer(best, best_cost, n_best, row, cost)
                number = next_leaving[number]
            worst = min(limit, best_cost[k - 1]) if n_best == k else limit
        for j in range(first[i], first[i + 1]):
            other = links[j]["other"]
            seconds = reached + links[j]["s"]
            known = nodes[other]["search"] == now
            if not (known and seconds >= nodes[other]["s"]) and least_delay + least_slowness * seconds <= worst:
                _touch(nodes, other, now)
                nodes[other]["s"] = seconds
                nodes[other]["via"] = links[j]["edge"]
                # rounding must not put it into a bucket that is done with
                waiting += _wait(nodes, buckets, counter, other, max(int(seconds * per_s), bucket))
    return n_best


@lean
def trace(
    ends: Any,
    road: Any,
    nodes: Any,
    counter: Any,
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
    share = offset_m / road[edge, METRES]
    target_share = target_m / road[target_edge, METRES]
    seconds = direct_s(ends, road, edge, share, target_edge, target_share)
    start = NONE
    for side in range(2):
        out = edge if side == 0 else ends[edge, TWIN]
        if out < 0:
            break
        node = nodes[ends[out, HEAD]]
        whole = node["s"] + part_s(1.0 - share if side == 0 else share, road[out, SECONDS])
        if node["search"] == counter[0] and whole < seconds:
            seconds = whole
            start = out
    if start < 0:
        count, begin, end, metres = lay_direct(ends, road, path, edge, share, target_edge, target_share)
        return count, begin, end, metres, seconds
    begin = share if start == edge else 1.0 - share
    path[0] = start
    metres = (1.0 - begin) * road[start, METRES]
    at = ends[start, HEAD]
    count = 1
    while nodes[at]["via"] >= 0:
        e = nodes[at]["via"]
        path[count] = e
        count += 1
        metres += road[e, METRES]
        at = ends[e, HEAD]
    end = target_share
    path[count] = target_edge
    if nodes[at]["via"] == BY_TWIN:
        end = 1.0 - target_share
        path[count] = ends[target_edge, TWIN]
    return count + 1, begin, end, metres + end * road[target_edge, METRES], seconds


@lean
def nearest_with_drives(
    first: Any,
    links: Any,
    ends: Any,
    road: Any,
    chord: Any,
    least_s_per_m: float,
    guide: Any,
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
    n_best: int,
    limit: float,
    drive: Any,
    tried: Any,
) -> int:
    """As `nearest`; `drive` (n, 2) receives seconds and metres on the road of those rows that are among the best.
    `tried` (n, 2) is working memory; both may have more rows.

    Candidates are searched for one by one, the nearest first: as the crow flies, but whoever is nearest by that is
    bounded by the landmarks before it is searched for (ever tighter bounds: Seidl and Kriegel 1998, "Optimal multi-step
    k-nearest neighbor search"; `guide` is a `geodata.pair.Guide`). After some tries all that is left is searched for
    at once. A candidate that lies in the same street as the target is nearest of all.
    """
    n = len(rows)
    k = len(best)
    if n == 0:
        return n_best
    tries = TRIES if n > 1 and 2 * k > n else 0
    for i in range(n):
        fetch_soon(chord, edge[rows[i]])
        fetch_soon(ends, edge[rows[i]])
        fetch_soon(road, edge[rows[i]])
    for i in range(n):
        row = rows[i]
        seconds = crow_s(chord, least_s_per_m, edge[row], offset_m[row], target_edge, target_m)
        tried[i, BOUND], tried[i, KNOWN] = delay_s[row] + slowness[row] * seconds, BY_CROW
        fetch_soon(guide.marks, ends[edge[row], TAIL])
        fetch_soon(guide.marks, ends[edge[row], HEAD])
    while True:
        at = 0
        for i in range(1, n):
            if tried[i, BOUND] < tried[at, BOUND]:
                at = i
        worst = min(limit, best_cost[k - 1]) if n_best == k else limit
        if tried[at, BOUND] > worst or tried[at, BOUND] == np.inf:
            return n_best
        if tries == TRIES:
            break
        row = rows[at]
        if tried[at, KNOWN] == BY_CROW:
            seconds = bound_s(ends, road, guide, target_edge, target_m, edge[row], offset_m[row])
            cost = delay_s[row] + slowness[row] * seconds
            tried[at, BOUND], tried[at, KNOWN] = max(tried[at, BOUND], cost), BY_LANDMARKS
            continue
        tries += 1
        tried[at, BOUND], tried[at, KNOWN] = np.inf, BY_SEARCH
        limit_s = (worst - delay_s[row]) / slowness[row] + ROUNDING_S
        seconds, metres = _drive(
            first, links, ends, road, guide, bucket_s, nodes, buckets, counter, path, target_edge, target_m, edge[row],
            offset_m[row], limit_s,
        )  # fmt: skip
        cost = delay_s[row] + slowness[row] * seconds
        if cost <= limit and cost < np.inf:
            n_best = offer(best, best_cost, n_best, row, cost)
            if is_among(best, n_best, row):
                drive[at, 0], drive[at, 1] = seconds, metres
    return int(
        _search_all(
            first, links, ends, road, guide, bucket_s, nodes, buckets, counter, path, target_edge, target_m, rows, edge,
            offset_m, delay_s, slowness, best, best_cost, n_best, limit, drive, tried, worst,
        )
    )  # fmt: skip


@compiled
def _search_all(
    first: Any, links: Any, ends: Any, road: Any, guide: Any, bucket_s: float, nodes: Any, buckets: Any, counter: Any,
    path: Any, target_edge: int, target_m: float, rows: Any, edge: Any, offset_m: Any, delay_s: Any, slowness: Any,
    best: Any, best_cost: Any, n_best: int, limit: float, drive: Any, tried: Any, worst: float,
) -> int:  # fmt: skip
    """The rest of `nearest_with_drives`, by one search for all whose bounds are no worse.

    Sums in another order differ in the last digit, which must not decide between units at one place, nor tell by which
    search somebody was found. So those searched for before are so once more, and the drives are those of `_drive`.
    """
    wanted = (tried[: len(rows), BOUND] <= worst) | (tried[: len(rows), KNOWN] == BY_SEARCH)
    left = rows[wanted]
    n_others = 0
    for i in range(n_best):
        if not is_among(left, len(left), best[i]):
            best[n_others], best_cost[n_others] = best[i], best_cost[i]
            n_others += 1
    n_best = nearest(
        first, links, ends, road, bucket_s, nodes, buckets, counter, target_edge, target_m, left,
        edge, offset_m, delay_s, slowness, best, best_cost, n_others, limit,
    )  # fmt: skip
    for i in range(len(rows)):
        for j in range(n_best):
            row = best[j]
            if wanted[i] and rows[i] == row:
                drive[i] = _drive(
                    first, links, ends, road, guide, bucket_s, nodes, buckets, counter, path, target_edge, target_m,
                    edge[row], offset_m[row], np.inf,
                )  # fmt: skip
                best_cost[j] = delay_s[row] + slowness[row] * drive[i, 0]
    return int(n_best)


@lean
def is_among(best: Any, n_best: int, row: int) -> bool:
    found = False
    for i in range(n_best):
        found = found or best[i] == row
    return found


@lean
def _drive(
    first: Any, links: Any, ends: Any, road: Any, guide: Any, bucket_s: float, nodes: Any, buckets: Any, counter: Any,
    path: Any, target_edge: int, target_m: float, edge: int, offset_m: float, limit_s: float,
) -> tuple[float, float]:  # fmt: skip
    """Seconds and metres of the fastest way from one position to another; infinite beyond the limit."""
    seconds, start, gate = seek(
        ends, road, guide, bucket_s, buckets, counter, target_edge, target_m, edge, offset_m, limit_s
    )
    if start == SAME_POCKET:
        _, _, _, metres, seconds = _way_about(
            first, links, ends, road, bucket_s, nodes, buckets, counter, path, target_edge, target_m, edge, offset_m,
            limit_s,
        )  # fmt: skip
        return seconds, metres
    if seconds == np.inf:
        return seconds, np.inf
    return seconds, way_m(ends, road, guide, start, gate, target_edge, target_m, edge, offset_m)


@lean
def way(
    first: Any, links: Any, ends: Any, road: Any, _chord: Any, _least_s_per_m: float, guide: Any, bucket_s: float,
    nodes: Any, buckets: Any, counter: Any, path: Any, target_edge: int, target_m: float, edge: int, offset_m: float,
) -> tuple[int, float, float, float]:  # fmt: skip
    """The fastest way from one position to another: fills `path` with its edges.

    Returns their number, 0 where there is none, the share of the first where it begins, the share of the last where it
    ends, and seconds on the road.
    """
    seconds, start, gate = seek(
        ends, road, guide, bucket_s, buckets, counter, target_edge, target_m, edge, offset_m, np.inf
    )
    if start == SAME_POCKET:
        count, begin, end, _, seconds = _way_about(
            first, links, ends, road, bucket_s, nodes, buckets, counter, path, target_edge, target_m, edge, offset_m,
            np.inf,
        )  # fmt: skip
        return count, begin, end, seconds
    if seconds == np.inf:
        return 0, 0.0, 0.0, np.inf
    count, begin, end = lay(ends, road, guide, path, start, gate, target_edge, target_m, edge, offset_m)
    return count, begin, end, seconds


@compiled
def _way_about(
    first: Any, links: Any, ends: Any, road: Any, bucket_s: float, nodes: Any, buckets: Any, counter: Any, path: Any,
    target_edge: int, target_m: float, edge: int, offset_m: float, limit_s: float,
) -> tuple[int, float, float, float, float]:  # fmt: skip
    """The fastest way to somewhere about, where the core does not help: by `nearest`, as `trace`."""
    one, best = np.zeros(1, np.int64), np.empty(1, np.int64)
    here, here_m, none, same = np.full(1, edge, np.int32), np.full(1, offset_m), np.zeros(1), np.ones(1)
    found = nearest(
        first, links, ends, road, bucket_s, nodes, buckets, counter, target_edge, target_m, one, here, here_m, none,
        same, best, np.empty(1), 0, limit_s,
    )  # fmt: skip
    if not found:
        return 0, 0.0, 0.0, 0.0, np.inf
    return trace(  # type: ignore[no-any-return]
        ends, road, nodes, counter, path, target_edge, target_m, edge, offset_m
    )
