"""The fastest way from one position to another: a search over the core of the roads, from the target against the
traffic, drawn towards the origin by landmarks (A* with the triangle inequality: Goldberg and Harrelson 2005, "Computing
the shortest path"; over a core: see `geodata.core`).

All that the search reads and writes of a port of the core lies together: a way across a part of the city that nobody
has searched of late costs mostly the waiting for memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geodata.along import HEAD, METRES, SECONDS, TAIL, TWIN, direct_s, lay_direct, part_s
from geodata.compiled import fetch_soon, lean, most_above
from geodata.network import Floats, Ints

GATES = 4
"""Of a pocket, at most."""
LINK = np.dtype([("s", "f8"), ("other", "i4"), ("edge", "i4")])
"""A link of a port: seconds, the port at the other end, and the edge that it is, or the leg."""
LEG = np.dtype([("m", "f8"), ("port", "i4"), ("first", "i4"), ("last", "i4")])
"""A way from gate to gate: metres, the port of the core where it ends, and its edges, up to but not with the last."""
PORT = np.dtype(
    {
        "names": ["s", "search", "via", "next", "before", "first", "degree", "goal"],
        "formats": ["f8", "i4", "i4", "i4", "i4", "i4", "i2", "i2"],
        "offsets": [32, 40, 44, 48, 52, 56, 60, 62],
        "itemsize": 192,
    }
)
"""What a search knows of a port of the core: seconds, the number of the search that this is from, the link by which it
was reached; in its bucket the next port and the one before; its links; and which goal it is, from 1 on. In front lie
its marks, and behind it as many of its links as have room."""
LANDMARKS = 8
"""No more than have room."""
INFINITE = 2**16 - 1
LONGEST = INFINITE // 2
"""Steps: where two times differ by more, one of them is infinite."""
LINES, FIRST_LINK, OWN_LINKS = 12, 4, 8
"""A port takes the room of so many links, of which its own begin there and are at most so many; ports with more have
all theirs behind the last port."""
LINE = 64
"""Bytes of a line of the cache."""
LINKS_A_LINE = LINE // LINK.itemsize
FINITE_S = float(np.finfo(np.float64).max)
BUCKETS = 4096
"""A power of two: buckets are used again and again in a ring."""
NONE, NOT_WAITING = -1, -2
"""As a row of the ports, NONE is the last of them."""
AT_HEAD = -3
"""The first port in bucket b has AT_HEAD - b before it."""
SAME_POCKET = -2
"""In place of an edge: the way may stay in a pocket, of which the core knows nothing."""


class Guide(NamedTuple):
    """What leads a search through the core; p ports, c of them in the core."""

    marks: NDArray[np.uint16]
    """(p, 2 LANDMARKS) times from and to the landmarks, in steps: the latter turned round, so that what a port's marks
    have more than those of an origin is how far it is from there."""
    step_s: float
    """Of the marks, which are rounded down."""
    aim: NDArray[np.uint16]
    """(1, 2 LANDMARKS) room for the marks of an origin."""
    ports: NDArray[np.void]
    """(c + 1,) of `PORT`; the last is none: what would be written to the neighbour of a port that has none goes there,
    without a look. Its links are those of the target, 2 GATES at most."""
    own_marks: NDArray[np.uint16]
    """(c + 1, ...) the same memory, as marks."""
    links: NDArray[np.void]
    """Of `LINK`, the same memory and more."""
    legs: NDArray[np.void]
    """Of `LEG`, what is told of each link once it is driven."""
    edges: Ints
    """Of all legs."""
    port_of: Ints
    """(c,) the ports of the core."""
    pocket: Ints
    """(p,) NONE in the core."""
    outward: NDArray[np.void]
    """(p, GATES) of `LINK`: ways to gates ..."""
    inward: NDArray[np.void]
    """... and from them, as `geodata.core` measures them."""
    outward_m: NDArray[np.float32]
    inward_m: NDArray[np.float32]
    """(p, GATES) their metres, true to a millimetre within 16 km."""
    goal_s: Floats
    """(2 GATES,) room for the seconds from an origin to its gates."""
    trail: Ints
    """(c,) room for the legs of a way."""


def in_lines(n: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """(n,) zeros that begin with a line of the cache: what is half a line or a line long lies in one."""
    memory = np.zeros(n * dtype.itemsize + LINE, np.uint8)
    begin = -memory.ctypes.data % LINE
    return memory[begin : begin + n * dtype.itemsize].view(dtype)


def laid_out(first: Ints, links: NDArray[np.void], marks: NDArray[np.uint16]) -> tuple[Any, Any, Any]:
    """Put what a search needs of each port beside each other: `ports`, `own_marks` and `links` of `Guide`.

    Args:
        first: (c + 1,) and links: (l,) of `LINK`, those that enter each port; its own begin at first[i].
        marks: (c, 2 LANDMARKS)
    """
    n, degree = len(first), np.append(np.diff(first), 0)
    has_more = degree > OWN_LINKS
    own = in_lines(LINES * n + int(degree[has_more].sum()), LINK)
    ports = own[: LINES * n].view(PORT)
    own_marks = own[: LINES * n].view(np.uint16).reshape(n, -1)
    own_marks[:-1, : 2 * LANDMARKS] = marks
    ports["first"] = LINES * np.arange(n) + FIRST_LINK
    ports["first"][has_more] = LINES * n + np.cumsum(degree[has_more]) - degree[has_more]
    ports["degree"] = degree
    own[np.repeat(ports["first"][:-1] - first[:-1], degree[:-1]) + np.arange(len(links))] = links
    return ports, own_marks, own


def marked(from_s: Floats, to_s: Floats) -> tuple[NDArray[np.uint16], float]:
    """`marks` and `step_s` of `Guide`.

    Args:
        from_s: (p, at most LANDMARKS) seconds from each landmark to each port, and to_s: from each port to each
            landmark; infinite where there is no way.
    """
    longest_s = max((float(s.max(where=np.isfinite(s), initial=0.0)) for s in (from_s, to_s)), default=0.0)
    step_s = longest_s / (LONGEST - 1) or 1.0
    steps_from, steps_to = (np.minimum(s / step_s, INFINITE).astype(np.uint16) for s in (from_s, to_s))
    # a port is at least as far from an origin as its time from a landmark exceeds the origin's, and as the time of the
    # origin to one exceeds the port's: the latter is turned round, so that both are the same difference
    marks = in_lines(2 * LANDMARKS * len(from_s), np.dtype(np.uint16)).reshape(-1, 2 * LANDMARKS)
    marks[:, : from_s.shape[1]] = steps_from
    marks[:, LANDMARKS : LANDMARKS + to_s.shape[1]] = INFINITE - steps_to
    return marks, step_s


@lean
def begin_search(buckets: Any, counter: Any) -> int:
    """Empty the buckets; the number of a new search."""
    for bucket in range(counter[1], min(counter[2], counter[1] + BUCKETS - 1) + 1):
        buckets[bucket & (BUCKETS - 1)] = NONE
    counter[0] += 1
    counter[1], counter[2] = np.int32(2**31 - 1), -1
    return int(counter[0])


@lean
def _enter(ports: Any, buckets: Any, i: int, slot: int) -> None:
    """Put a port into a bucket."""
    after = buckets[slot]
    ports[i]["next"] = after
    ports[i]["before"] = AT_HEAD - slot
    ports[after]["before"] = i
    buckets[slot] = i


@lean
def _leave(ports: Any, buckets: Any, i: int) -> None:
    """Take a port out of its bucket."""
    after, before = ports[i]["next"], ports[i]["before"]
    ports[after]["before"] = before
    if before >= 0:
        ports[before]["next"] = after
    else:
        buckets[AT_HEAD - before] = after
    ports[i]["before"] = NOT_WAITING


@lean
def _take_aim(ends: Any, road: Any, guide: Any, edge: int, share: float) -> None:
    """Note the marks of an origin, by the ends of its edge less the seconds to there: of both ends the greater, with
    which a port is less far. No farther than LONGEST from a landmark that it can reach."""
    marks, aim, twin = guide.marks, guide.aim, ends[edge, TWIN]
    one = other = ends[edge, HEAD]
    to_one = to_other = _steps(part_s(1.0 - share, road[edge, SECONDS]) / guide.step_s)
    if twin >= 0:
        other, to_other = ends[twin, HEAD], _steps(part_s(share, road[twin, SECONDS]) / guide.step_s)
    for i in range(LANDMARKS):
        mark, other_mark = np.int64(marks[one, i]), np.int64(marks[other, i])
        known = (mark < INFINITE) & (other_mark < INFINITE)
        aim[0, i] = max(mark - to_one, other_mark - to_other, 0) if known else INFINITE
    for i in range(LANDMARKS, 2 * LANDMARKS):
        mark, other_mark = np.int64(marks[one, i]), np.int64(marks[other, i])
        least = INFINITE - LONGEST if (mark > 0) | (other_mark > 0) else 0
        aim[0, i] = max(mark - to_one, other_mark - to_other, least)


@lean
def _steps(steps: float) -> int:
    return int(min(steps, float(INFINITE)))


@lean
def _ahead_s(marks: Any, port: int, aim: Any, step_s: float) -> float:
    """A lower bound on the seconds from the origin that was aimed at to a port, a step less than the marks say, as they
    were rounded down."""
    steps = most_above(marks, port, aim, 0)
    return max(steps - 1, 0) * step_s if steps <= LONGEST else np.inf


@lean
def bound_s(ends: Any, road: Any, guide: Any, target_edge: int, target_m: float, edge: int, offset_m: float) -> float:
    """A lower bound on the seconds on the road from one position to another."""
    back = ends[target_edge, TWIN]
    if edge == target_edge or edge == back or ends[edge, TWIN] == target_edge:
        return 0.0
    _take_aim(ends, road, guide, edge, offset_m / road[edge, METRES])
    share = target_m / road[target_edge, METRES]
    least = part_s(share, road[target_edge, SECONDS]) + _ahead_s(
        guide.marks, ends[target_edge, TAIL], guide.aim, guide.step_s
    )
    if back >= 0:
        rest_s = part_s(1.0 - share, road[back, SECONDS])
        least = min(least, rest_s + _ahead_s(guide.marks, ends[back, TAIL], guide.aim, guide.step_s))
    return float(least)


@lean
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
) -> tuple[float, int, int]:
    """The seconds of the fastest way from one position to another, the edge by whose end it leaves, NONE where it stays
    in the street, and the gate by which it comes to the core; infinity where it takes longer than `limit_s` or there is
    none. `lay` tells the way.

    Where the way may stay in a pocket, the edge is SAME_POCKET: this search cannot tell.
    `bucket_s` and what works with it are as `geodata.search.nearest` has them.
    """
    ports, own_marks, links, pockets = guide.ports, guide.own_marks, guide.links, guide.pocket
    aim, step_s, goal_s, outward, inward = guide.aim, guide.step_s, guide.goal_s, guide.outward, guide.inward
    # what is needed next from all over the memory
    for side in range(2):
        out, into = (edge, target_edge) if side == 0 else (ends[edge, TWIN], ends[target_edge, TWIN])
        if out >= 0:
            fetch_soon(road, out)
            fetch_soon(outward, ends[out, HEAD])
            fetch_soon(guide.marks, ends[out, HEAD])
            fetch_soon(pockets, ends[out, HEAD])
        if into >= 0:
            fetch_soon(road, into)
            fetch_soon(inward, ends[into, TAIL])
            fetch_soon(pockets, ends[into, TAIL])
    now = begin_search(buckets, counter)
    share, target_share = offset_m / road[edge, METRES], target_m / road[target_edge, METRES]
    best = direct_s(ends, road, edge, share, target_edge, target_share)
    worst = min(best, limit_s, FINITE_S)
    _take_aim(ends, road, guide, edge, share)

    n_goals = 0
    pocket = other_pocket = NONE
    for side in range(2):
        out = edge if side == 0 else ends[edge, TWIN]
        if out < 0:
            break
        port, left_s = ends[out, HEAD], part_s(1.0 - share if side == 0 else share, road[out, SECONDS])
        pocket, other_pocket = pockets[port], pocket
        for k in range(GATES):
            way_out = outward[port, k]
            i = way_out["other"]
            if i < 0:
                break
            seconds = left_s + way_out["s"]
            goal = ports[i]
            if goal["search"] == now:
                goal_s[goal["goal"] - 1] = min(goal_s[goal["goal"] - 1], seconds)
            else:
                goal_s[n_goals] = seconds
                n_goals += 1
                goal["search"], goal["goal"], goal["s"], goal["before"] = now, n_goals, np.inf, NOT_WAITING

    # the target counts as a port whose links are the ways from its gates
    first_j = j_end = ports[NONE]["first"]
    for side in range(2):
        into = target_edge if side == 0 else ends[target_edge, TWIN]
        if into < 0:
            break
        port = ends[into, TAIL]
        rest_s = part_s(target_share if side == 0 else 1.0 - target_share, road[into, SECONDS])
        if pockets[port] >= 0 and (pockets[port] == pocket or pockets[port] == other_pocket):
            return np.inf, SAME_POCKET, NONE
        for k in range(GATES):
            way_in = inward[port, k]
            if way_in["other"] < 0:
                break
            fetch_soon(ports, way_in["other"])
            link = links[j_end]
            link["s"], link["other"], link["edge"] = rest_s + way_in["s"], way_in["other"], side * GATES + k
            j_end += 1

    per_s = 1.0 / bucket_s
    waiting = 0
    reached = 0.0
    bucket, least, last = np.int64(0), np.int64(2**31 - 1), np.int64(-1)
    while True:
        for j in range(first_j, j_end):
            i = links[j]["other"]
            seconds = reached + links[j]["s"]
            port = ports[i]
            known = port["search"] == now
            if known and seconds >= port["s"]:
                continue
            key = seconds + _ahead_s(own_marks, i, aim, step_s)
            if not key <= worst:
                continue
            if not known:
                port["search"], port["goal"] = now, 0
            elif port["before"] != NOT_WAITING:
                _leave(ports, buckets, i)
                waiting -= 1
            port["s"], port["via"] = seconds, j
            goal = port["goal"]
            if goal > 0:
                best = min(best, seconds + goal_s[goal - 1])
                worst = min(worst, best)
            # rounding must not put it into a bucket that is done with
            at = max(np.int64(key * per_s), bucket)
            _enter(ports, buckets, i, at & (BUCKETS - 1))
            waiting += 1
            least, last = min(least, at), max(last, at)
            fetch_soon(links, port["first"])
            fetch_soon(links, port["first"] + LINKS_A_LINE)
        if waiting == 0:
            break
        bucket = max(bucket, least)
        while buckets[bucket & (BUCKETS - 1)] < 0:
            bucket += 1
        if bucket * bucket_s > worst:
            break
        i = buckets[bucket & (BUCKETS - 1)]
        _leave(ports, buckets, i)
        waiting -= 1
        reached, first_j = ports[i]["s"], ports[i]["first"]
        j_end = first_j + ports[i]["degree"]
    counter[1], counter[2] = least, last

    if not best <= limit_s:
        return np.inf, NONE, NONE
    seconds = direct_s(ends, road, edge, share, target_edge, target_share)
    start = gate = NONE
    for side in range(2):
        out = edge if side == 0 else ends[edge, TWIN]
        if out < 0:
            break
        port, left_s = ends[out, HEAD], part_s(1.0 - share if side == 0 else share, road[out, SECONDS])
        for k in range(GATES):
            i = outward[port, k]["other"]
            if i < 0:
                break
            whole = ports[i]["s"] + (left_s + outward[port, k]["s"])
            if ports[i]["search"] == now and whole < seconds:
                seconds, start, gate = whole, out, i
    return seconds, start, gate


@lean
def way_m(
    ends: Any, road: Any, guide: Any, start: int, gate: int, target_edge: int, target_m: float, edge: int,
    offset_m: float,
) -> float:  # fmt: skip
    """Metres of the way that the last `seek` found, which leaves by the end of `start` and by a gate."""
    share, target_share = offset_m / road[edge, METRES], target_m / road[target_edge, METRES]
    if start < 0:
        if edge != target_edge:
            share = 1.0 - share
        return float(abs(target_share - share) * road[target_edge, METRES])
    port = ends[start, HEAD]
    metres = (1.0 - share if start == edge else share) * road[start, METRES]
    metres += guide.outward_m[port, _gate_at(guide.outward, port, gate)]
    from_target = guide.ports[NONE]["first"]
    via = guide.ports[gate]["via"]
    while not from_target <= via < from_target + 2 * GATES:
        leg = guide.legs[guide.links[via]["edge"]]
        metres += leg["m"]
        via = guide.ports[leg["port"]]["via"]
    side, k = divmod(guide.links[via]["edge"], GATES)
    into = target_edge if side == 0 else ends[target_edge, TWIN]
    metres += guide.inward_m[ends[into, TAIL], k]
    return float(metres + (target_share if side == 0 else 1.0 - target_share) * road[into, METRES])


@lean
def lay(
    ends: Any, road: Any, guide: Any, path: Any, start: int, gate: int, target_edge: int, target_m: float, edge: int,
    offset_m: float,
) -> tuple[int, float, float]:  # fmt: skip
    """The way that the last `seek` found, which leaves by the end of `start` and by a gate: fills `path` with edges.

    Returns their number, the share of the first where it begins and the share of the last where it ends.
    """
    share, target_share = offset_m / road[edge, METRES], target_m / road[target_edge, METRES]
    if start < 0:
        count, begin, end, _ = lay_direct(ends, road, path, edge, share, target_edge, target_share)
        return count, begin, end
    path[0] = start
    count = 1
    port = ends[start, HEAD]
    while port != guide.port_of[gate]:
        path[count] = guide.outward[port, _gate_at(guide.outward, port, gate)]["edge"]
        port = ends[path[count], HEAD]
        count += 1
    legs, links, ports, edges = guide.legs, guide.links, guide.ports, guide.edges
    from_target = ports[NONE]["first"]
    via = ports[gate]["via"]
    trail, n = guide.trail, 0
    while not from_target <= via < from_target + 2 * GATES:
        leg = links[via]["edge"]
        fetch_soon(legs, leg)
        trail[n] = leg
        n += 1
        gate = via // LINES if via < from_target - FIRST_LINK else legs[leg]["port"]
        via = ports[gate]["via"]
    for i in range(n):
        fetch_soon(edges, legs[trail[i]]["first"])
    for i in range(n):
        leg = legs[trail[i]]
        for j in range(leg["first"], leg["last"]):
            path[count] = edges[j]
            count += 1
    side = guide.links[via]["edge"] // GATES
    into = target_edge if side == 0 else ends[target_edge, TWIN]
    port, last = ends[into, TAIL], count
    while port != guide.port_of[gate]:
        path[last] = guide.inward[port, _gate_at(guide.inward, port, gate)]["edge"]
        port = ends[path[last], TAIL]
        last += 1
    # these were found from the target
    for i in range((last - count) // 2):
        path[count + i], path[last - 1 - i] = path[last - 1 - i], path[count + i]
    path[last] = into
    return last + 1, share if start == edge else 1.0 - share, target_share if side == 0 else 1.0 - target_share


@lean
def _gate_at(gates: Any, port: int, gate: int) -> int:
    k = 0
    while gates[port, k]["other"] != gate:
        k += 1
    return k
