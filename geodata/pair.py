"""The fastest way from one position to another: a search from the target against the traffic, drawn towards the origin
by landmarks (A* with the triangle inequality: Goldberg and Harrelson 2005, "Computing the shortest path").

All that the search reads and writes of a port lies in 128 bytes, two neighbouring lines of the cache: a way across a
part of the city that nobody has searched of late costs mostly the waiting for memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geodata.along import HEAD, METRES, SECONDS, TAIL, TWIN, direct_s, lay_direct, part_s
from geodata.compiled import compiled, fetch_soon, most_above
from geodata.network import Floats, Ints

LINK = np.dtype([("s", "f8"), ("other", "i4"), ("edge", "i4")])
"""A link of a node: seconds, the node at the other end, and the edge that it is."""
PORT = np.dtype(
    {
        "names": ["s", "search", "via", "next", "before", "first", "last"],
        "formats": ["f8", "i4", "i4", "i4", "i4", "i4", "i4"],
        "offsets": [32, 40, 44, 48, 52, 56, 60],
        "itemsize": 128,
    }
)
"""What a search knows of a port: seconds, the number of the search that this is from, the link by which it was reached;
in its bucket the next port and the one before; its links. In front lie its times from and to the landmarks, 16 numbers
of uint16, and behind it as many of its links as have room."""
LANDMARKS = 8
"""No more than have room."""
INFINITE = 2**16 - 1
LONGEST = INFINITE // 2
"""Steps: where two times differ by more, one of them is infinite."""
LINES, FIRST_LINK, OWN_LINKS = 8, 4, 4
"""A port takes the room of so many links, of which its own begin there and are so many; ports with more have all
theirs behind the last port."""
FINITE_S = float(np.finfo(np.float64).max)
BUCKETS = 4096
"""A power of two: buckets are used again and again in a ring."""
NONE, NOT_WAITING = -1, -2
"""As a row of the ports, NONE is the last of them."""
AT_HEAD = -3
"""The first port in bucket b has AT_HEAD - b before it."""
BY_TAIL, BY_TWIN = -1, -2
"""In place of a link: the target's own edge begins here, or its twin does."""


def guided(first: Ints, links: NDArray[np.void], from_s: Floats, to_s: Floats) -> tuple[Any, ...]:
    """What the search reads and writes, as its `guide`.

    Args:
        first: (p + 1,) and links: (l,) of `LINK`, the edges that enter each port.
        from_s: (p, at most LANDMARKS) seconds from each landmark to each port, and to_s: from each port to each
            landmark; infinite where there is no way.

    Returns:
        (p + 1, 64) of uint16, (p + 1,) of `PORT` and (8 p + 8 + ...) of `LINK`: three views of the same memory, whose
        last port is none: what would be written to the neighbour of a port that has none goes there, without a look.
        Then the seconds of one step of the times from and to the landmarks, which are rounded down, and (1, 16) of
        uint16, room for those of a goal.
    """
    n, degree = len(first), np.append(np.diff(first), 0)
    has_more = degree > OWN_LINKS
    size = LINES * n + int(degree[has_more].sum())
    memory = np.zeros(size + LINES, LINK)
    begin = -memory.ctypes.data % PORT.itemsize // LINK.itemsize
    own = memory[begin : begin + size]
    table, ports = own[: LINES * n].view(np.uint16).reshape(n, -1), own[: LINES * n].view(PORT)

    longest_s = max((float(s.max(where=np.isfinite(s), initial=0.0)) for s in (from_s, to_s)), default=0.0)
    step_s = longest_s / (LONGEST - 1) or 1.0
    steps_from, steps_to = (np.minimum(s / step_s, INFINITE).astype(np.uint16) for s in (from_s, to_s))
    # from a goal a port is at least as far as its time from a landmark exceeds the goal's, and as the time of the goal
    # to one exceeds the port's: the latter is turned round, so that both are the same difference
    table[:-1, : from_s.shape[1]] = steps_from
    table[:-1, LANDMARKS : LANDMARKS + to_s.shape[1]] = INFINITE - steps_to

    # whoever has fewer links has some to itself, of no time, which change nothing: where all have as many, the
    # processor guesses right how often a loop goes round
    own[: LINES * n].reshape(n, LINES)[:, FIRST_LINK:]["other"] = np.arange(n)[:, None]
    ports["first"] = LINES * np.arange(n) + FIRST_LINK
    ports["first"][has_more] = LINES * n + np.cumsum(degree[has_more]) - degree[has_more]
    ports["last"] = ports["first"] + np.where(has_more, degree, OWN_LINKS)
    own[np.repeat(ports["first"] - first, degree) + np.arange(len(links))] = links
    return table, ports, own, step_s, np.zeros((1, 2 * LANDMARKS), np.uint16)


@compiled
def begin_search(buckets: Any, counter: Any) -> int:
    """Empty the buckets; the number of a new search."""
    for bucket in range(counter[1], min(counter[2], counter[1] + BUCKETS - 1) + 1):
        buckets[bucket & (BUCKETS - 1)] = NONE
    counter[0] += 1
    counter[1], counter[2] = np.int32(2**31 - 1), -1
    return int(counter[0])


@compiled
def _enter(ports: Any, buckets: Any, i: int, slot: int) -> None:
    """Put a port into a bucket."""
    after = buckets[slot]
    ports[i]["next"] = after
    ports[i]["before"] = AT_HEAD - slot
    ports[after]["before"] = i
    buckets[slot] = i


@compiled
def _leave(ports: Any, buckets: Any, i: int) -> None:
    """Take a port out of its bucket."""
    after, before = ports[i]["next"], ports[i]["before"]
    ports[after]["before"] = before
    if before >= 0:
        ports[before]["next"] = after
    else:
        buckets[AT_HEAD - before] = after
    ports[i]["before"] = NOT_WAITING


@compiled
def _ahead_s(guide: Any, port: int, goals: Any, goal: int) -> float:
    """A lower bound on the seconds from a goal to a port, a step less than the marks say, as they were rounded down."""
    steps = most_above(guide[0], port, goals, goal)
    return max(steps - 1, 0) * guide[3] if steps <= LONGEST else np.inf


@compiled
def bound_s(ends: Any, road: Any, guide: Any, target_edge: int, target_m: float, edge: int, offset_m: float) -> float:
    """A lower bound on the seconds on the road from one position to another."""
    back = ends[target_edge, TWIN]
    if edge == target_edge or edge == back or ends[edge, TWIN] == target_edge:
        return 0.0
    share, target_share = offset_m / road[edge, METRES], target_m / road[target_edge, METRES]
    least = np.inf
    for leave in range(2):
        out = edge if leave == 0 else ends[edge, TWIN]
        if out < 0:
            break
        goal = ends[out, HEAD]
        left_s = part_s(1.0 - share if leave == 0 else share, road[out, SECONDS])
        for enter in range(2):
            into = target_edge if enter == 0 else back
            if into < 0:
                break
            port = ends[into, TAIL]
            rest_s = part_s(target_share if enter == 0 else 1.0 - target_share, road[into, SECONDS])
            least = min(least, left_s + rest_s + _ahead_s(guide, port, guide[0], goal))
    return least


@compiled
def seek(
    ends: Any,
    road: Any,
    guide: Any,
    bucket_s: float,
    buckets: Any,
    counter: Any,
    target_edge: int,
    target_m: float,
    edge: int,
    offset_m: float,
    limit_s: float,
) -> tuple[float, int]:
    """The seconds of the fastest way from one position to another, and the edge by whose end it leaves, NONE where it
    stays in the street; infinity where it takes longer than `limit_s` or there is none. `lay` tells the way.

    `guide` is of `guided`, `bucket_s` and what works with it as `geodata.search.nearest` has them.
    """
    table, ports, links, _, goals = guide
    now = begin_search(buckets, counter)
    share, target_share = offset_m / road[edge, METRES], target_m / road[target_edge, METRES]
    best = direct_s(ends, road, edge, share, target_edge, target_share)
    twin = ends[edge, TWIN]
    goal, goal_s = ends[edge, HEAD], part_s(1.0 - share, road[edge, SECONDS])
    twin_goal, twin_s = goal, np.inf
    if twin >= 0:
        twin_goal, twin_s = ends[twin, HEAD], part_s(share, road[twin, SECONDS])
    for i in range(2 * LANDMARKS):
        goals[0, i] = max(table[goal, i], table[twin_goal, i])
    left_s = min(goal_s, twin_s)
    worst = min(best, limit_s, FINITE_S) - left_s
    per_s = 1.0 / bucket_s
    waiting = 0
    bucket, last = np.int64(2**31 - 1), np.int64(-1)
    for side in range(2):
        into = target_edge if side == 0 else ends[target_edge, TWIN]
        if into < 0:
            break
        i = ends[into, TAIL]
        seconds = part_s(target_share if side == 0 else 1.0 - target_share, road[into, SECONDS])
        key = seconds + _ahead_s(guide, i, goals, 0)
        port = ports[i]
        known = port["search"] == now
        if key > worst or (known and port["s"] <= seconds):
            continue
        if known:
            _leave(ports, buckets, i)
            waiting -= 1
        port["search"] = now
        port["s"] = seconds
        port["via"] = BY_TAIL if side == 0 else BY_TWIN
        at = np.int64(key * per_s)
        _enter(ports, buckets, i, at & (BUCKETS - 1))
        waiting += 1
        bucket, last = min(bucket, at), max(last, at)

    counter[1] = bucket
    while waiting > 0:
        slot = bucket & (BUCKETS - 1)
        i = buckets[slot]
        if i < 0:
            bucket += 1
            if bucket * bucket_s > worst:
                break
            continue
        port = ports[i]
        after = port["next"]
        buckets[slot] = after
        ports[after]["before"] = AT_HEAD - slot
        port["before"] = NOT_WAITING
        waiting -= 1
        reached = port["s"]
        if i == goal and reached + goal_s < best:
            best = reached + goal_s
            worst = min(worst, best - left_s)
        if i == twin_goal and reached + twin_s < best:
            best = reached + twin_s
            worst = min(worst, best - left_s)
        for j in range(port["first"], port["last"]):
            other = links[j]["other"]
            beyond = ports[other]
            seconds = reached + links[j]["s"]
            known = beyond["search"] == now
            if known and seconds >= beyond["s"]:
                continue
            key = seconds + _ahead_s(guide, other, goals, 0)
            if key <= worst:
                if known and beyond["before"] != NOT_WAITING:
                    _leave(ports, buckets, other)
                    waiting -= 1
                beyond["search"] = now
                beyond["s"] = seconds
                beyond["via"] = j
                # rounding must not put it into a bucket that is done with
                at = max(np.int64(key * per_s), bucket)
                _enter(ports, buckets, other, at & (BUCKETS - 1))
                waiting += 1
                last = max(last, at)
                for next_j in range(beyond["first"], beyond["last"]):
                    fetch_soon(ports, links[next_j]["other"])
    counter[2] = last

    if not best <= limit_s:
        return np.inf, NONE
    start = NONE
    seconds = direct_s(ends, road, edge, share, target_edge, target_share)
    if ports[goal]["search"] == now and ports[goal]["s"] + goal_s < seconds:
        seconds = ports[goal]["s"] + goal_s
        start = edge
    if ports[twin_goal]["search"] == now and ports[twin_goal]["s"] + twin_s < seconds:
        seconds = ports[twin_goal]["s"] + twin_s
        start = twin
    return seconds, start


@compiled
def lay(
    ends: Any,
    road: Any,
    guide: Any,
    path: Any,
    start: int,
    target_edge: int,
    target_m: float,
    edge: int,
    offset_m: float,
) -> tuple[int, float, float, float]:
    """The way that the last `seek` found, which leaves by the end of `start`: fills `path` with its edges.

    Returns their number, the share of the first where it begins, the share of the last where it ends, and metres.
    """
    _, ports, links, _, _ = guide
    share, target_share = offset_m / road[edge, METRES], target_m / road[target_edge, METRES]
    if start < 0:
        return lay_direct(ends, road, path, edge, share, target_edge, target_share)  # type: ignore[no-any-return]
    begin = share if start == edge else 1.0 - share
    path[0] = start
    metres = (1.0 - begin) * road[start, METRES]
    count = 1
    via = ports[ends[start, HEAD]]["via"]
    while via >= 0:
        e = links[via]["edge"]
        path[count] = e
        count += 1
        metres += road[e, METRES]
        # its own links lie beside a port, and need no look at the edge
        via = ports[via // LINES if via < LINES * len(ports) else ends[e, HEAD]]["via"]
    end = target_share
    path[count] = target_edge
    if via == BY_TWIN:
        end = 1.0 - target_share
        path[count] = ends[target_edge, TWIN]
    return count + 1, begin, end, metres + end * road[target_edge, METRES]


@compiled
def way(
    ends: Any, road: Any, guide: Any, bucket_s: float, buckets: Any, counter: Any, path: Any,
    target_edge: int, target_m: float, edge: int, offset_m: float,
) -> tuple[int, float, float, float, float]:  # fmt: skip
    """The fastest way from one position to another: fills `path`. Returns as `lay`, and seconds on the road; no edges
    where there is none."""
    seconds, start = seek(ends, road, guide, bucket_s, buckets, counter, target_edge, target_m, edge, offset_m, np.inf)
    if seconds == np.inf:
        return 0, 0.0, 0.0, 0.0, np.inf
    count, begin, end, metres = lay(ends, road, guide, path, start, target_edge, target_m, edge, offset_m)
    return count, begin, end, metres, seconds
