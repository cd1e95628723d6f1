"""The compiled spread: least seconds over the roads from many places at once, and what follows from it along streets.

Plain arrays in and out; `geodata.reach` and `geodata.timetable` give them their meaning. The links of port i are
first[i]:first[i + 1], as `geodata.search.LINK` has them.

What waits in a search lies in two piles, near and far. The near one is worked off, last in first out, which stays in
one place of the memory; then the times a step further become near. A port that is found nearer meanwhile is worked off
once more; few are, and nothing is ever sorted.

Of the streets, `ports` has where the beginning and the end of each line are entered or left (-1: never), `street_s`
the seconds for the whole street away from its beginning and away from its end, at the roads' speed; `slowness` is the
factor on them.
`at_street`, `at_share` and `at_s` are places on streets whence time runs too, with their own seconds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from geodata.along import HEAD, SECONDS, TAIL, TWIN, direct_s, part_s
from geodata.compiled import compiled

IDLE, NEAR, FAR = 0, 1, 2
"""Where a port waits."""


@compiled
def _work_off(
    first: Any, links: Any, step_s: float, limit_s: float, port_s: Any, state: Any, pile: Any, n_far: int, goals: Any
) -> None:
    """Settle the ports that wait in the far row of `pile` (2, p) and all that follow within the limit, or until the
    goals are settled: those ports for which the array, which is emptied, says so, if it has any entry."""
    near, far = pile[0], pile[1]
    early = len(goals) > 0
    missing = goals.sum()
    until_s = 0.0
    while n_far > 0 and not (early and missing == 0):
        least_s = np.inf
        for i in range(n_far):
            least_s = min(least_s, port_s[far[i]])
        until_s = max(until_s, least_s) + step_s
        n_near, kept = 0, 0
        for i in range(n_far):
            port = far[i]
            if state[port] == FAR:
                if port_s[port] < until_s:
                    state[port] = NEAR
                    near[n_near] = port
                    n_near += 1
                else:
                    far[kept] = port
                    kept += 1
        n_far = kept
        while n_near > 0:
            n_near -= 1
            port = near[n_near]
            state[port] = IDLE
            if early and goals[port]:
                goals[port] = False
                missing -= 1
            reached = port_s[port]
            for j in range(first[port], first[port + 1]):
                to = links[j].other
                seconds = reached + links[j].s
                if seconds < port_s[to] and seconds <= limit_s:
                    port_s[to] = seconds
                    if seconds < until_s:
                        if state[to] != NEAR:
                            state[to] = NEAR
                            near[n_near] = to
                            n_near += 1
                    elif state[to] == IDLE:
                        state[to] = FAR
                        far[n_far] = to
                        n_far += 1


@compiled
def spread(first: Any, links: Any, step_s: float, seeds: Any, seed_s: Any, limit_s: float) -> Any:
    """(p,) least seconds from any seed to every port within the limit, infinity beyond."""
    n = len(first) - 1
    port_s = np.full(n, np.inf)
    state = np.zeros(n, np.uint8)
    pile = np.empty((2, n), np.int32)
    n_far = 0
    for i in range(len(seeds)):
        port = seeds[i]
        if seed_s[i] <= limit_s and seed_s[i] < port_s[port]:
            port_s[port] = seed_s[i]
            if state[port] == IDLE:
                state[port] = FAR
                pile[1, n_far] = port
                n_far += 1
    _work_off(first, links, step_s, limit_s, port_s, state, pile, n_far, np.empty(0, np.bool_))
    return port_s


@compiled
def _end_s(port_s: Any, port: int, slowness: float) -> float:
    return port_s[port] * slowness if port >= 0 else np.inf


@compiled
def pass_places(
    ports: Any, street_s: Any, port_s: Any, slowness: float, at_street: Any, at_share: Any, at_s: Any
) -> None:
    """Lower the seconds at places on the streets (sorted by street and share) that are passed sooner from elsewhere."""
    for i in range(len(at_street)):
        s = at_street[i]
        before_s, since = _end_s(port_s, ports[s, 0], slowness), 0.0
        if i > 0 and at_street[i - 1] == s:
            before_s, since = at_s[i - 1], at_share[i - 1]
        at_s[i] = min(at_s[i], before_s + part_s(at_share[i] - since, street_s[s, 0] * slowness))
    for i in range(len(at_street) - 1, -1, -1):
        s = at_street[i]
        after_s, until = _end_s(port_s, ports[s, 1], slowness), 1.0
        if i + 1 < len(at_street) and at_street[i + 1] == s:
            after_s, until = at_s[i + 1], at_share[i + 1]
        at_s[i] = min(at_s[i], after_s + part_s(until - at_share[i], street_s[s, 1] * slowness))


@compiled
def seconds_at(
    ports: Any,
    street_s: Any,
    port_s: Any,
    slowness: float,
    at_street: Any,
    at_share: Any,
    at_s: Any,
    street: Any,
    share: Any,
) -> Any:
    """(n,) seconds at points of streets."""
    seconds = np.empty(len(street))
    for i in range(len(street)):
        s = street[i]
        low, low_s = 0.0, _end_s(port_s, ports[s, 0], slowness)
        high, high_s = 1.0, _end_s(port_s, ports[s, 1], slowness)
        for j in range(np.searchsorted(at_street, s), len(at_street)):
            if at_street[j] != s:
                break
            if at_share[j] > share[i]:
                high, high_s = at_share[j], at_s[j]
                break
            low, low_s = at_share[j], at_s[j]
        rising = low_s + part_s(share[i] - low, street_s[s, 0] * slowness)
        seconds[i] = min(rising, high_s + part_s(high - share[i], street_s[s, 1] * slowness))
    return seconds


@compiled
def bands(
    ports: Any,
    street_s: Any,
    port_s: Any,
    slowness: float,
    at_street: Any,
    at_share: Any,
    at_s: Any,
    limits_s: Any,
) -> Any:
    """The stretches of street that are reached within each limit but not within the one before; limits rise.

    Returns street, share where a stretch begins, share where it ends, and limit, sorted by street and share.
    """
    n, n_marks, n_limits = len(ports), len(at_street), len(limits_s)
    # as many as there can be at the most; memory that is not written to is not taken
    room = 2 * n_limits * (n + n_marks)
    street = np.empty(room, np.int32)
    begin = np.empty(room)
    end = np.empty(room)
    limit = np.empty(room, np.int32)
    count = 0
    mark = 0
    for s in range(n):
        low, low_s = 0.0, _end_s(port_s, ports[s, 0], slowness)
        end_s = _end_s(port_s, ports[s, 1], slowness)
        rise, fall = street_s[s, 0] * slowness, street_s[s, 1] * slowness
        held = count
        more = True
        while more:
            more = mark < n_marks and at_street[mark] == s
            high, high_s = 1.0, end_s
            if more:
                high, high_s = at_share[mark], at_s[mark]
                mark += 1
            i = _first_limit(limits_s, low_s)
            k = _first_limit(limits_s, high_s)
            if min(i, k) < n_limits and high > low:
                # time runs inwards from both ends up to where the two meet
                whole_s = min(low_s + (high - low) * rise, high_s + (high - low) * fall)
                if i == k and whole_s <= limits_s[i]:
                    street[count], begin[count], end[count], limit[count] = s, low, high, i
                    count += 1
                else:
                    peak = high
                    if not (low_s <= limits_s[-1] and rise < np.inf):
                        peak = low
                    elif high_s <= limits_s[-1] and fall < np.inf and rise + fall > 0.0:
                        peak = (high_s - low_s + high * fall + low * rise) / (rise + fall)
                        peak = min(max(peak, low), high)
                    at = low
                    while i < n_limits and at < peak:
                        until = _rim(limits_s[i] - low_s, rise, low, peak)
                        if until > at:
                            street[count], begin[count], end[count], limit[count] = s, at, until, i
                            count += 1
                            at = until
                        i += 1
                    for i in range(n_limits - 1, k - 1, -1):
                        since = _rim(limits_s[i] - high_s, fall, high, peak)
                        until = _rim(limits_s[i - 1] - high_s, fall, high, peak) if i > k else high
                        if until > since:
                            street[count], begin[count], end[count], limit[count] = s, since, until, i
                            count += 1
            low, low_s = high, high_s
        if count > held + 1:
            # what follows within the same limit, beyond a meeting or a place, is one stretch
            last = held
            for i in range(held + 1, count):
                if limit[i] == limit[last] and begin[i] <= end[last]:
                    end[last] = end[i]
                else:
                    last += 1
                    begin[last], end[last], limit[last] = begin[i], end[i], limit[i]
            count = last + 1
    return street[:count], begin[:count], end[:count], limit[:count]


@compiled
def _first_limit(limits_s: Any, seconds: float) -> int:
    i = 0
    while i < len(limits_s) and seconds > limits_s[i]:
        i += 1
    return i


@compiled
def _rim(left_s: float, pace_s: float, begin: float, peak: float) -> float:
    """How far one comes from `begin` towards `peak` in the seconds left, at so many seconds for a whole street."""
    if left_s < 0.0 or pace_s == np.inf:
        return begin
    if pace_s * abs(peak - begin) <= left_s:
        return peak
    return begin + math.copysign(left_s / pace_s, peak - begin)


@compiled
def times_table(
    first: Any,
    links: Any,
    step_s: float,
    ends: Any,
    road: Any,
    edge: Any,
    share: Any,
    to_edge: Any,
    to_share: Any,
    inward: bool,
    limit_s: float,
) -> Any:
    """(n, k) seconds between n and k positions, infinity beyond the limit: from each of the first to each of the
    others, or, with the links against the traffic and `inward`, to each of the first. A search for each of the first
    ends where the others are all settled."""
    n, k, n_ports = len(edge), len(to_edge), len(first) - 1
    away, near = (TAIL, HEAD) if inward else (HEAD, TAIL)
    result = np.full((n, k), np.inf)
    wanted = np.zeros(n_ports, np.bool_)
    goal = np.full((k, 2), -1, np.int32)
    goal_s = np.full((k, 2), np.inf)
    for j in range(k):
        part = 1.0 - to_share[j] if inward else to_share[j]
        twin = ends[to_edge[j], TWIN]
        goal[j, 0], goal_s[j, 0] = ends[to_edge[j], near], part_s(part, road[to_edge[j], SECONDS])
        wanted[goal[j, 0]] = True
        if twin >= 0:
            goal[j, 1], goal_s[j, 1] = ends[twin, near], part_s(1.0 - part, road[twin, SECONDS])
            wanted[goal[j, 1]] = True
    port_s = np.empty(n_ports)
    state = np.empty(n_ports, np.uint8)
    pile = np.empty((2, n_ports), np.int32)
    for i in range(n):
        port_s[:] = np.inf
        state[:] = IDLE
        part = share[i] if inward else 1.0 - share[i]
        n_far = 0
        for side in range(2):
            along = edge[i] if side == 0 else ends[edge[i], TWIN]
            if along >= 0:
                port, seconds = ends[along, away], part_s(part if side == 0 else 1.0 - part, road[along, SECONDS])
                if seconds <= limit_s and seconds < port_s[port]:
                    port_s[port] = seconds
                    if state[port] == IDLE:
                        state[port] = FAR
                        pile[1, n_far] = port
                        n_far += 1
        _work_off(first, links, step_s, limit_s, port_s, state, pile, n_far, wanted.copy())
        for j in range(k):
            if inward:
                seconds = direct_s(ends, road, to_edge[j], to_share[j], edge[i], share[i])
            else:
                seconds = direct_s(ends, road, edge[i], share[i], to_edge[j], to_share[j])
            for side in range(2):
                if goal[j, side] >= 0:
                    seconds = min(seconds, port_s[goal[j, side]] + goal_s[j, side])
            if seconds <= limit_s:
                result[i, j] = seconds
    return result
