"""Who is nearest, without looking where everybody is.

A unit that was seen somewhere some seconds ago cannot have gone farther since than the fastest street allows. Most of
those on the move drop out by that alone; where the others are is worked out, the likeliest first.
"""

from __future__ import annotations

from math import inf
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dispatch.engine.fleet import (
    AWAY,
    DRIVING,
    EDGE,
    MODE,
    OFFSET_M,
    ON_PATROL,
    PATROL_M_S,
    POST,
    SEEN_S,
    SEEN_X_M,
    SEEN_Y_M,
    TURN_OUT_S,
    advance,
)
from geodata.along import ALONG_X, ALONG_Y, PER_M, SLACK_S, X, Y
from geodata.compiled import fetch_soon, lean
from geodata.kept import nearest_kept
from geodata.network import Floats
from geodata.routing import CHORD, LEAST_S_PER_M
from geodata.search import nearest_with_drives

FIRST = 8
"""So many of those on the move are looked at first. Measured."""


class Room(NamedTuple):
    """Working memory, for n units."""

    rows: NDArray[np.int64]
    bound: Floats
    """(n,)"""
    likeliest: NDArray[np.int64]
    """(FIRST,)"""
    drives: Floats
    tried: Floats
    """(n, 2)"""

    @classmethod
    def of_size(cls, n: int) -> Room:
        return cls(np.empty(n, np.int64), np.empty(n), np.empty(FIRST, np.int64), np.empty((n, 2)), np.empty((n, 2)))


@lean
def nearest_free(
    now_s: float, level: int, available: Any, back_s: Any, moving: Any, slowness: Any, near: Any, graph: Any,
    target_edge: int, target_m: float, fastest_m_s: float, room: Any, best: Any, cost: Any, drive: Any,
) -> int:  # fmt: skip
    """As `nearest_kept` with best of length 1, over the units that may be sent now (up to a value of `available`).

    Args:
        back_s: when each that drives is where it stands by.
        fastest_m_s: metres as the crow flies that no free unit exceeds in a second.
        room: a `Room`.
    """
    numbers, values, again = moving[0], moving[1], moving[6]
    rows, bound, likeliest = room.rows, room.bound, room.likeliest
    for unit in range(len(available)):
        mode = numbers[MODE, unit]
        may_stand = ((mode == DRIVING) & (back_s[unit] <= now_s)) | ((mode == ON_PATROL) & (not again[unit]))
        if may_stand & (available[unit] != AWAY) & (available[unit] <= level):
            # at its post, by now
            rows[0] = unit
            _see(rows[:1], now_s, moving, graph)
    n_rows = _bound(
        now_s, level, available, slowness, numbers, values, *_place_m(graph, target_edge, target_m),
        graph[LEAST_S_PER_M], fastest_m_s, rows, bound,
    )  # fmt: skip
    n_first = _pick(bound, likeliest)
    n_best = 0
    if n_rows > 0:
        # whoever is at a post tells how near the others would have to be
        n_best = nearest_kept(
            *near, numbers[POST], *graph, target_edge, target_m, rows[:n_rows], numbers[EDGE], values[OFFSET_M],
            values[TURN_OUT_S], slowness, best, cost, drive,
        )  # fmt: skip
    elif n_first > 0:
        for i in range(n_first):
            bound[likeliest[i]] = inf
        n_best = _nearer(
            likeliest[:n_first], now_s, moving, slowness, graph, target_edge, target_m, inf, room, best, cost, 0, drive
        )
    worst = cost[0] if n_best else inf
    n_rows = 0
    for unit in range(len(available)):
        if bound[unit] < inf and bound[unit] <= worst:
            rows[n_rows] = unit
            n_rows += 1
    if n_rows > 0:
        n_best = _nearer(
            rows[:n_rows],
            now_s,
            moving,
            slowness,
            graph,
            target_edge,
            target_m,
            worst + 1e-6,
            room,
            best,
            cost,
            n_best,
            drive,
        )
    return int(n_best)


@lean
def _bound(
    now_s: float, level: int, available: Any, slowness: Any, numbers: Any, values: Any, x_m: float, y_m: float,
    least_s_per_m: float, fastest_m_s: float, rows: Any, bound: Any,
) -> int:  # fmt: skip
    """Fill `bound` with the least seconds until each unit on the move that may be sent is there, infinity of others,
    and `rows` with those at posts; how many these are."""
    for unit in range(len(available)):
        east_m, north_m = values[SEEN_X_M, unit] - x_m, values[SEEN_Y_M, unit] - y_m
        speed_m_s = values[PATROL_M_S, unit] if numbers[MODE, unit] == ON_PATROL else fastest_m_s
        least_m = np.sqrt(east_m * east_m + north_m * north_m) - (now_s - values[SEEN_S, unit]) * speed_m_s
        # of one that was never seen it is no number
        least_s = least_m * least_s_per_m - SLACK_S if least_m > 0.0 else 0.0
        bound[unit] = values[TURN_OUT_S, unit] + slowness[unit] * max(least_s, 0.0)
    n_rows = 0
    for unit in range(len(available)):
        free = (available[unit] != AWAY) & (available[unit] <= level)
        at_post = numbers[POST, unit] >= 0
        rows[n_rows] = unit
        n_rows += free & at_post
        bound[unit] = bound[unit] if free & (not at_post) else inf
    return n_rows


@lean
def _pick(bound: Any, likeliest: Any) -> int:
    """Fill `likeliest` with the units of the least bounds, in order; how many they are."""
    n = 0
    worst = inf
    for unit in range(len(bound)):
        least_s = bound[unit]
        if least_s >= worst:
            continue
        if n < len(likeliest):
            n += 1
        at = n - 1
        while at > 0 and bound[likeliest[at - 1]] > least_s:
            likeliest[at] = likeliest[at - 1]
            at -= 1
        likeliest[at] = unit
        if n == len(likeliest):
            worst = bound[likeliest[n - 1]]
    return n


@lean
def _nearer(
    rows: Any, now_s: float, moving: Any, slowness: Any, graph: Any, target_edge: int, target_m: float, limit_s: float,
    room: Any, best: Any, cost: Any, n_best: int, drive: Any,
) -> int:  # fmt: skip
    """As `nearest_with_drives`, over some units on the move, wherever they are by now."""
    numbers, values = moving[0], moving[1]
    _see(rows, now_s, moving, graph)
    drives = room.drives
    n_best = nearest_with_drives(
        *graph, target_edge, target_m, rows, numbers[EDGE], values[OFFSET_M], values[TURN_OUT_S], slowness, best, cost,
        n_best, limit_s, drives, room.tried,
    )  # fmt: skip
    for i in range(len(rows)):
        if n_best and rows[i] == best[0]:
            drive[0, 0], drive[0, 1] = drives[i, 0], drives[i, 1]
    return int(n_best)


@lean
def _see(units: Any, now_s: float, moving: Any, graph: Any) -> None:
    """Work out where some units are."""
    numbers, values, first, stretch, cursor = moving[0], moving[1], moving[5], moving[7], moving[8]
    chord = graph[CHORD]
    for i in range(len(units)):
        fetch_soon(stretch, first[units[i]] + cursor[units[i]])
    advance(units, now_s, *moving)
    for i in range(len(units)):
        fetch_soon(chord, numbers[EDGE, units[i]])
    for i in range(len(units)):
        note_seen(units[i], now_s, numbers, values, graph)


@lean
def note_seen(unit: int, now_s: float, numbers: Any, values: Any, graph: Any) -> None:
    """Note where a unit is now."""
    x_m, y_m = _place_m(graph, numbers[EDGE, unit], values[OFFSET_M, unit])
    values[SEEN_X_M, unit], values[SEEN_Y_M, unit], values[SEEN_S, unit] = x_m, y_m, now_s


@lean
def _place_m(graph: Any, edge: int, offset_m: float) -> tuple[float, float]:
    """Where a position is, as if its edge were straight."""
    chord = graph[CHORD]
    share = offset_m * chord[edge, PER_M]
    return (
        float(chord[edge, X] + share * chord[edge, ALONG_X]),
        float(chord[edge, Y] + share * chord[edge, ALONG_Y]),
    )
