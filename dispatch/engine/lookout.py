"""Who is nearest, without looking where everybody is.

A unit that was seen somewhere some seconds ago cannot have gone farther since than the fastest street allows. Most of
those on the move drop out by that alone; where the others are is worked out, the likeliest first.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np

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
from geodata.compiled import compiled
from geodata.kept import nearest_kept
from geodata.routing import CHORD, LEAST_S_PER_M
from geodata.search import nearest_with_drives

FIRST = 8
"""So many of those on the move are looked at first. Measured."""


@compiled
def nearest_free(
    now_s: float, level: int, available: Any, back_s: Any, moving: Any, slowness: Any, near: Any, graph: Any,
    target_edge: int, target_m: float, fastest_m_s: float, rows: Any, bound: Any, best: Any, cost: Any, drive: Any,
) -> int:  # fmt: skip
    """As `nearest_kept` with best of length 1, over the units that may be sent now (up to a value of `available`).

    Args:
        back_s: when each that drives is where it stands by.
        fastest_m_s: metres as the crow flies that no free unit exceeds in a second.
        rows, bound: working memory, an entry a unit.
    """
    numbers, values, again = moving[0], moving[1], moving[6]
    least_s_per_m = graph[LEAST_S_PER_M]
    x_m, y_m = _place_m(graph, target_edge, target_m)
    one, likeliest = np.empty(1, np.int64), np.empty(FIRST, np.int64)
    n_rows = n_first = 0
    for unit in range(len(available)):
        bound[unit] = inf
        if available[unit] == AWAY or available[unit] > level:
            continue
        mode = numbers[MODE, unit]
        if (mode == DRIVING and back_s[unit] <= now_s) or (mode == ON_PATROL and not again[unit]):
            # it may be at its post by now
            one[0] = unit
            _see(one, now_s, moving, graph)
        if numbers[POST, unit] >= 0:
            rows[n_rows] = unit
            n_rows += 1
            continue
        east_m, north_m = values[SEEN_X_M, unit] - x_m, values[SEEN_Y_M, unit] - y_m
        speed_m_s = values[PATROL_M_S, unit] if numbers[MODE, unit] == ON_PATROL else fastest_m_s
        least_m = np.sqrt(east_m * east_m + north_m * north_m) - (now_s - values[SEEN_S, unit]) * speed_m_s
        least_s = max(least_m * least_s_per_m - SLACK_S, 0.0) if least_m > 0.0 else 0.0
        least_s = values[TURN_OUT_S, unit] + slowness[unit] * least_s
        bound[unit] = least_s
        if n_first < FIRST:
            n_first += 1
        elif least_s >= bound[likeliest[FIRST - 1]]:
            continue
        at = n_first - 1
        while at > 0 and bound[likeliest[at - 1]] > least_s:
            likeliest[at] = likeliest[at - 1]
            at -= 1
        likeliest[at] = unit
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
            likeliest[:n_first], now_s, moving, slowness, graph, target_edge, target_m, inf, best, cost, 0, drive
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
            best,
            cost,
            n_best,
            drive,
        )
    return int(n_best)


@compiled
def _nearer(
    rows: Any, now_s: float, moving: Any, slowness: Any, graph: Any, target_edge: int, target_m: float, limit_s: float,
    best: Any, cost: Any, n_best: int, drive: Any,
) -> int:  # fmt: skip
    """As `nearest_with_drives`, over some units on the move, wherever they are by now."""
    numbers, values = moving[0], moving[1]
    _see(rows, now_s, moving, graph)
    drives = np.empty((len(rows), 2))
    n_best = nearest_with_drives(
        *graph, target_edge, target_m, rows, numbers[EDGE], values[OFFSET_M], values[TURN_OUT_S], slowness, best, cost,
        n_best, limit_s, drives,
    )  # fmt: skip
    for i in range(len(rows)):
        if n_best and rows[i] == best[0]:
            drive[0] = drives[i]
    return int(n_best)


@compiled
def _see(units: Any, now_s: float, moving: Any, graph: Any) -> None:
    """Work out where some units are."""
    numbers, values = moving[0], moving[1]
    advance(units, now_s, *moving)
    for unit in units:
        note_seen(unit, now_s, numbers, values, graph)


@compiled
def note_seen(unit: int, now_s: float, numbers: Any, values: Any, graph: Any) -> None:
    """Note where a unit is now."""
    x_m, y_m = _place_m(graph, numbers[EDGE, unit], values[OFFSET_M, unit])
    values[SEEN_X_M, unit], values[SEEN_Y_M, unit], values[SEEN_S, unit] = x_m, y_m, now_s


@compiled
def _place_m(graph: Any, edge: int, offset_m: float) -> tuple[float, float]:
    """Where a position is, as if its edge were straight."""
    chord = graph[CHORD]
    share = offset_m * chord[edge, PER_M]
    return (
        float(chord[edge, X] + share * chord[edge, ALONG_X]),
        float(chord[edge, Y] + share * chord[edge, ALONG_Y]),
    )
