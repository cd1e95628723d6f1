"""The measuring of kept times: for every node the few nearest of some fixed anchors (posts).

A search in the manner of Dijkstra from all anchors at once, in which a node is settled once for each of its nearest
anchors: who is not among the nearest of a node is not among those of a node behind it either.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geodata.compiled import compiled
from geodata.network import Floats, Ints
from geodata.pair import in_lines

LEAST_KEPT, MOST_KEPT = 12, 48
"""Anchors kept for each node."""
ENTRIES = 2_880_000
"""About so many in all: 24 for each of 120,000 nodes. When two units in five are busy, none of the 12 nearest posts has
one in a case out of thirty, and a search then takes a hundred times as long; of so many that is a case out of 450.
Measured."""
KEPT = np.dtype([("s", "f8"), ("m", "f4"), ("anchor", "i4")])
"""A kept anchor of a node: seconds and metres of the way between them, and its number. Metres in single precision are
true to a millimetre within 16 km. Four of these fill a line of the cache, and mostly the first few alone are read."""
SPOKE = np.dtype([("s", "f8"), ("m", "f8"), ("other", "i4"), ("anchor", "i4")])
"""A way from an anchor to the next node: seconds, metres, the node, and the anchor's number."""
WAITING = np.dtype([("s", "f8"), ("m", "f8"), ("node", "i4"), ("anchor", "i4"), ("next", "i4"), ("before", "i4")])
"""What waits: as `KEPT` has it for a node, the next of those that wait in the same bucket or that are free, and the
node from which the way comes."""
BUCKETS = 4096
"""A power of two: buckets are used again and again in a ring."""
BUCKET_S = 0.05
"""So much time shares a bucket. Measured."""
SEEN = 512
"""Bits that a node has for the anchors that are kept; a power of two. Where there are more anchors, some share a bit,
and the node's table has to be read."""


def n_kept(n_nodes: int, n_anchors: int) -> int:
    """How many anchors are kept for each node."""
    return min(max(LEAST_KEPT, min(ENTRIES // max(n_nodes, 1), MOST_KEPT)), n_anchors)


def keep_nearest(
    first: Ints, links: NDArray[np.void], length_m: Floats, seeds: NDArray[np.void], k: int
) -> NDArray[np.void]:
    """(n, k) of `KEPT`: the k nearest anchors of each node, nearest first; -1 and infinity where there are fewer.

    Args:
        first: (n + 1,) the links of node i are first[i]:first[i + 1].
        links: of `geodata.pair.LINK`.
        length_m: (q,) of each edge.
        seeds: of `SPOKE`; infinitely far ones are none.
        k: how many are kept.
    """
    n = len(first) - 1
    kept = in_lines(n * k, KEPT).reshape(n, k)
    kept["s"], kept["m"], kept["anchor"] = np.inf, np.inf, -1
    n_anchors = int(seeds["anchor"].max(initial=0)) + 1
    seeds = seeds[seeds["s"] < np.inf]
    longest_s = max(float(links["s"].max(initial=0.0)), float(seeds["s"].max(initial=0.0)))
    settled, seen = np.zeros(n, np.int32), np.zeros((n, SEEN >> 6), np.uint64)
    _keep(first, links, length_m, seeds, n_anchors, longest_s, kept, settled, seen)
    return kept


@compiled
def push(heap_s: Any, heap_entry: Any, size: int, key: float, entry: int) -> int:
    """Add an entry to a binary heap of the given size; its new size."""
    i = size
    while i > 0:
        above = (i - 1) >> 1
        if heap_s[above] <= key:
            break
        heap_s[i] = heap_s[above]
        heap_entry[i] = heap_entry[above]
        i = above
    heap_s[i] = key
    heap_entry[i] = entry
    return size + 1


@compiled
def pop(heap_s: Any, heap_entry: Any, size: int) -> int:
    """Take the least entry, which the caller has read at 0, off a heap; its new size."""
    size -= 1
    key = heap_s[size]
    entry = heap_entry[size]
    i = 0
    child = 1
    while child < size:
        if child + 1 < size and heap_s[child + 1] < heap_s[child]:
            child += 1
        if heap_s[child] >= key:
            break
        heap_s[i] = heap_s[child]
        heap_entry[i] = heap_entry[child]
        i = child
        child = 2 * i + 1
    heap_s[i] = key
    heap_entry[i] = entry
    return size


@compiled
def _keep(
    first: Any,
    links: Any,
    length_m: Any,
    seeds: Any,
    n_anchors: int,
    longest_s: float,
    kept: Any,
    settled: Any,
    seen: Any,
) -> None:
    """Fill `kept`. What comes soon waits in a heap, what comes later in buckets, so that the heap stays small.

    `longest_s` is that of links and seeds; `settled` (n,) counts what is kept of each node, `seen` (n, SEEN / 64) has a
    bit for each anchor that is, by the remainder of its number; both come in as zeros.
    """
    k = kept.shape[1]
    # whatever waits lies within the ring
    per_s = 1.0 / max(BUCKET_S, longest_s / (BUCKETS - 4))
    buckets = np.full(BUCKETS, -1, np.int64)
    room = max(1024, 2 * len(seeds))
    waiting = np.empty(room, WAITING)
    heap_s, heap_entry = np.empty(room), np.empty(room, np.int64)
    size = 0
    free = -1
    used = 0
    for i in range(len(seeds)):
        entry = waiting[i]
        entry["s"], entry["m"] = seeds[i]["s"], seeds[i]["m"]
        entry["node"], entry["anchor"], entry["before"] = seeds[i]["other"], seeds[i]["anchor"], -1
        into = int(entry["s"] * per_s) & (BUCKETS - 1)
        entry["next"] = buckets[into]
        buckets[into] = i
        used += 1
    n_waiting = used
    bucket = 0
    while n_waiting > 0:
        at = buckets[bucket & (BUCKETS - 1)]
        buckets[bucket & (BUCKETS - 1)] = -1
        while at >= 0:
            size = push(heap_s, heap_entry, size, waiting[at]["s"], at)
            at = waiting[at]["next"]
        while size > 0:
            at = heap_entry[0]
            size = pop(heap_s, heap_entry, size)
            reached, metres, node = waiting[at]["s"], waiting[at]["m"], waiting[at]["node"]
            who, before = waiting[at]["anchor"], waiting[at]["before"]
            waiting[at]["next"] = free
            free = at
            n_waiting -= 1
            j = settled[node]
            if j == k or _is_kept(kept, seen, node, j, who, n_anchors):
                continue
            entry = kept[node, j]
            entry["s"], entry["m"], entry["anchor"] = reached, metres, who
            settled[node] = j + 1
            seen[node, (who & (SEEN - 1)) >> 6] |= np.uint64(1) << np.uint64(who & 63)
            for i in range(first[node], first[node + 1]):
                other = links[i]["other"]
                if (
                    other == before
                    or settled[other] == k
                    or _is_kept(kept, seen, other, settled[other], who, n_anchors)
                ):
                    continue
                if free >= 0:
                    at = free
                    free = waiting[at]["next"]
                else:
                    if used == len(waiting):
                        waiting = np.append(waiting, waiting)
                        heap_s, heap_entry = np.append(heap_s, heap_s), np.append(heap_entry, heap_entry)
                    at = used
                    used += 1
                n_waiting += 1
                road = reached + links[i]["s"]
                entry = waiting[at]
                entry["s"], entry["m"] = road, metres + length_m[links[i]["edge"]]
                entry["node"], entry["anchor"], entry["before"] = other, who, node
                into = int(road * per_s)
                if into == bucket:
                    size = push(heap_s, heap_entry, size, road, at)
                else:
                    entry["next"] = buckets[into & (BUCKETS - 1)]
                    buckets[into & (BUCKETS - 1)] = at
        bucket += 1


@compiled
def _is_kept(kept: Any, seen: Any, node: int, n: int, who: int, n_anchors: int) -> bool:
    """Whether an anchor is among the first n of a node."""
    if not seen[node, (who & (SEEN - 1)) >> 6] & (np.uint64(1) << np.uint64(who & 63)):
        return False
    if n_anchors <= SEEN:
        return True
    found = False
    for j in range(n):
        found = found or kept[node, j]["anchor"] == who
    return found
