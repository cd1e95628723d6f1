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

from geodata.compiled import compiled
from geodata.network import Ints

TAIL, HEAD, TWIN = 0, 1, 2
"""Columns of `ends`, which has a row an edge; -1 as twin: none that may be driven."""
SECONDS, METRES = 0, 1
"""Columns of `road`, which has a row an edge."""
LINK = np.dtype([("s", "f8"), ("other", "i4"), ("edge", "i4")])
"""A link of a node: seconds, the node at the other end, and the edge that it is."""
NODE = np.dtype(
    [("s", "f8"), ("search", "i4"), ("via", "i4"), ("leave", "i4"), ("next", "i4"), ("before", "i4"), ("bucket", "i4")]
)
"""What a search knows of a node: seconds, the number of the search that this is from, the edge by which it was reached,
the first of the candidates that leave by it; in its bucket the next node and the one before, and the bucket's number.
"""
NONE, NOT_WAITING = -1, -2
BY_TAIL, BY_TWIN = -1, -2
"""In place of an edge: the target's own edge begins here, or its twin does."""
BUCKETS = 4096
"""A power of two: buckets are used again and again in a ring."""
TRIES = 8
"""So many candidates are searched for one by one; if that does not settle it, one search for all will. Measured."""
X, Y, ALONG_X, ALONG_Y, PER_M = range(5)
"""Columns of `chord`, which has a row an edge: where it begins, what leads from there straight to its end, and the
share of it that a metre is."""
SLACK_S = 0.1
"""Times of landmarks are kept in single precision; bounds are lower by more than that can err within twelve days."""


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
def _begin(buckets: Any, counter: Any) -> int:
    """Empty the buckets; the number of a new search."""
    for bucket in range(counter[1], min(counter[2], counter[1] + BUCKETS - 1) + 1):
        buckets[bucket & (BUCKETS - 1)] = NONE
    counter[0] += 1
    counter[1], counter[2] = np.int32(2**31 - 1), -1
    return int(counter[0])


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
def direct_s(ends: Any, road: Any, edge: int, share: float, target_edge: int, target_share: float) -> float:
    """Seconds along the street that two positions share; infinity where they share none, or it is one-way against."""
    back = ends[target_edge, TWIN]
    # one of the two may be named by an edge that may not be driven, of which the other does not know
    if edge == back or ends[edge, TWIN] == target_edge:
        share = 1.0 - share
    elif edge != target_edge:
        return np.inf
    seconds = np.inf
    if share <= target_share:
        seconds = part_s(target_share - share, road[target_edge, SECONDS])
    elif back >= 0:
        seconds = part_s(share - target_share, road[back, SECONDS])
    return seconds


@compiled
def at_least_s(marks: Any, here: int, there: int) -> float:
    """A lower bound on the seconds from one node to another, by the triangle inequality over the landmarks.

    `marks` (n, 2 l) holds, for each node, the seconds from l landmarks to it and those from it to them.
    """
    least = 0.0
    n_marks = marks.shape[1] >> 1
    for i in range(n_marks):
        # comparisons with what is not a number, where both are unreachable, are false
        bound = marks[there, i] - marks[here, i]
        if bound > least:
            least = bound
        bound = marks[here, n_marks + i] - marks[there, n_marks + i]
        if bound > least:
            least = bound
    return max(least - SLACK_S, 0.0)


@compiled
def _ahead_s(marks: Any, goal: Any, node: int) -> float:
    """A lower bound on the seconds from any of the goals to a node; 0 without goals. `goal` (2 l,) holds the longest
    seconds from each landmark to a goal, and the shortest from a goal to it."""
    least = 0.0
    n_marks = len(goal) >> 1
    for i in range(n_marks):
        bound = marks[node, i] - goal[i]
        if bound > least:
            least = bound
        bound = goal[n_marks + i] - marks[node, n_marks + i]
        if bound > least:
            least = bound
    return max(least - SLACK_S, 0.0)


@compiled
def nearest(
    first: Any,
    links: Any,
    ends: Any,
    road: Any,
    marks: Any,
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
    one, or at a cost of `limit`; a single candidate draws it towards itself by the landmarks (A*), of which `marks` may
    have none. `bucket_s` is the width of the buckets, which together should hold twice the longest link: what is to
    wait for longer shares a bucket with what is nearer, and comes too early.
    Fills best (rows) and best_cost; returns how many they hold. `nodes` then holds the routes.
    """
    n = len(rows)
    now = _begin(buckets, counter)
    next_leaving = np.empty(2 * n, np.int32)
    leaving_s = np.empty(2 * n)
    least_delay = np.inf
    least_slowness = np.inf
    target_share = target_m / road[target_edge, METRES]
    back = ends[target_edge, TWIN]
    k = min(len(best), n_best + n)
    n_marks = marks.shape[1] >> 1 if n == 1 else 0
    goal = np.empty(2 * n_marks)
    goal[:n_marks] = 0.0
    goal[n_marks:] = np.inf
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
            for m in range(n_marks):
                goal[m] = max(goal[m], marks[node, m])
                goal[n_marks + m] = min(goal[n_marks + m], marks[node, n_marks + m])

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
        key = seconds + _ahead_s(marks, goal, node)
        if seconds < nodes[node]["s"] and key < np.inf:
            nodes[node]["s"] = seconds
            nodes[node]["via"] = BY_TAIL if side == 0 else BY_TWIN
            at = int(key * per_s)
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
            if nodes[other]["search"] != now or seconds < nodes[other]["s"]:
                key = seconds + _ahead_s(marks, goal, other)
                # an infinite key, from where no way leads to the only candidate, has no bucket
                if key < np.inf and least_delay + least_slowness * key <= worst:
                    _touch(nodes, other, now)
                    nodes[other]["s"] = seconds
                    nodes[other]["via"] = links[j]["edge"]
                    # rounding must not put it into a bucket that is done with
                    waiting += _wait(nodes, buckets, counter, other, max(int(key * per_s), bucket))
    return n_best


@compiled
def lay_direct(
    ends: Any, road: Any, path: Any, edge: int, share: float, target_edge: int, target_share: float
) -> tuple[int, float, float, float]:
    """A route along one street: fills `path`; its number of edges, begin and end share, and metres."""
    if edge != target_edge:
        share = 1.0 - share
    path[0] = target_edge
    if share > target_share:
        path[0] = ends[target_edge, TWIN]
        share, target_share = 1.0 - share, 1.0 - target_share
    return 1, share, target_share, (target_share - share) * road[target_edge, METRES]


@compiled
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


@compiled
def crow_s(chord: Any, least_s_per_m: float, edge: int, offset_m: float, target_edge: int, target_m: float) -> float:
    """A lower bound on the seconds on the road from one position to another: straight, as if each edge were its chord,
    at the least time that any edge takes for a metre of it."""
    share, target_share = offset_m * chord[edge, PER_M], target_m * chord[target_edge, PER_M]
    x_m = chord[edge, X] + share * chord[edge, ALONG_X] - chord[target_edge, X]
    y_m = chord[edge, Y] + share * chord[edge, ALONG_Y] - chord[target_edge, Y]
    x_m -= target_share * chord[target_edge, ALONG_X]
    y_m -= target_share * chord[target_edge, ALONG_Y]
    return float(max(np.sqrt(x_m * x_m + y_m * y_m) * least_s_per_m - SLACK_S, 0.0))


@compiled
def way(
    first: Any, links: Any, ends: Any, road: Any, marks: Any, bucket_s: float, nodes: Any, buckets: Any, counter: Any,
    path: Any, target_edge: int, target_m: float, edge: int, offset_m: float,
) -> tuple[int, float, float, float, float]:  # fmt: skip
    """The fastest route from one position to another: fills `path`. Returns as `trace`; no edges where none is."""
    at_edge, at_m = np.array([edge], np.int32), np.array([offset_m])
    row, none, one = np.zeros(1, np.int64), np.zeros(1), np.ones(1)
    found = nearest(
        first, links, ends, road, marks, bucket_s, nodes, buckets, counter, target_edge, target_m, row, at_edge, at_m,
        none, one, np.empty(1, np.int64), np.empty(1), 0, np.inf,
    )  # fmt: skip
    if found == 0:
        return 0, 0.0, 0.0, 0.0, np.inf
    return trace(ends, road, nodes, counter, path, target_edge, target_m, edge, offset_m)  # type: ignore[no-any-return]


@compiled
def nearest_with_drives(
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
    n_best: int,
    limit: float,
    drive: Any,
) -> int:
    """As `nearest`; `drive` (n, 2) receives seconds and metres on the road of those rows that are among the best.

    Candidates are searched for one by one, the nearest as the crow flies first, until no other can be better by the
    crow's flight or by the landmarks; after some tries what is left is searched for at once. A candidate that lies in
    the same street as the target is nearest of all.
    """
    n = len(rows)
    k = len(best)
    left = rows.copy()
    place = np.arange(n)
    n_left = n
    if marks.shape[1] > 0 and not (n > 1 and 2 * k > n):
        bound = np.empty(n)
        for i in range(n):
            row = rows[i]
            bound[i] = delay_s[row] + slowness[row] * crow_s(
                chord, least_s_per_m, edge[row], offset_m[row], target_edge, target_m
            )
        target_share = target_m / road[target_edge, METRES]
        tries = 0
        while n_left > 0 and tries < TRIES:
            at = 0
            for i in range(1, n_left):
                if bound[i] < bound[at]:
                    at = i
            worst = min(limit, best_cost[k - 1]) if n_best == k else limit
            if bound[at] > worst:
                return n_best
            row = left[at]
            i = place[at]
            n_left -= 1
            left[at], place[at], bound[at] = left[n_left], place[n_left], bound[n_left]
            seconds = bound_s(
                ends, road, marks, edge[row], offset_m[row] / road[edge[row], METRES], target_edge, target_share
            )
            if delay_s[row] + slowness[row] * seconds > worst:
                continue
            tries += 1
            n_best = nearest(
                first, links, ends, road, marks, bucket_s, nodes, buckets, counter, target_edge, target_m,
                rows[i : i + 1], edge, offset_m, delay_s, slowness, best, best_cost, n_best, limit,
            )  # fmt: skip
            if is_among(best, n_best, row):
                _, _, _, drive[i, 1], drive[i, 0] = trace(
                    ends, road, nodes, counter, path, target_edge, target_m, edge[row], offset_m[row]
                )
    if n_left > 0:
        n_best = nearest(
            first, links, ends, road, marks, bucket_s, nodes, buckets, counter, target_edge, target_m, left[:n_left],
            edge, offset_m, delay_s, slowness, best, best_cost, n_best, limit,
        )  # fmt: skip
        for i in range(n_left):
            row = left[i]
            if is_among(best, n_best, row):
                _, _, _, drive[place[i], 1], drive[place[i], 0] = trace(
                    ends, road, nodes, counter, path, target_edge, target_m, edge[row], offset_m[row]
                )
    return n_best


@compiled
def is_among(best: Any, n_best: int, row: int) -> bool:
    found = False
    for i in range(n_best):
        found = found or best[i] == row
    return found


@compiled
def bound_s(ends: Any, road: Any, marks: Any, edge: int, share: float, target_edge: int, target_share: float) -> float:
    """A lower bound on the seconds on the road from one position to another."""
    back = ends[target_edge, TWIN]
    if edge == target_edge or edge == back or ends[edge, TWIN] == target_edge:
        return 0.0
    least = np.inf
    for leave in range(2):
        out = edge if leave == 0 else ends[edge, TWIN]
        if out < 0:
            break
        left_s = part_s(1.0 - share if leave == 0 else share, road[out, SECONDS])
        for enter in range(2):
            into = target_edge if enter == 0 else back
            if into < 0:
                break
            rest_s = part_s(target_share if enter == 0 else 1.0 - target_share, road[into, SECONDS])
            least = min(least, left_s + rest_s + at_least_s(marks, ends[out, HEAD], ends[into, TAIL]))
    return least
