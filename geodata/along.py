"""Positions along edges, as the compiled searches see them: seconds and metres between two in one street, and the least
seconds between any two as the crow flies."""

from __future__ import annotations

from typing import Any

import numpy as np

from geodata.compiled import lean

TAIL, HEAD, TWIN = 0, 1, 2
"""Columns of `ends`, which has a row an edge; -1 as twin: none that may be driven."""
SECONDS, METRES = 0, 1
"""Columns of `road`, which has a row an edge."""
X, Y, ALONG_X, ALONG_Y, PER_M = range(5)
"""Columns of `chord`, which has a row an edge: where it begins, what leads from there straight to its end, and the
share of it that a metre is."""
SLACK_S = 0.1
"""Chords are kept in single precision; the bounds are lower by more than that can err."""


@lean
def part_s(share: float, edge_s: float) -> float:
    """Seconds along a share of an edge; none along no share, even of a closed edge, whose time is infinite."""
    return share * edge_s if share > 0.0 else 0.0


@lean
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


@lean
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


@lean
def crow_s(chord: Any, least_s_per_m: float, edge: int, offset_m: float, target_edge: int, target_m: float) -> float:
    """A lower bound on the seconds on the road from one position to another: straight, as if each edge were its chord,
    at the least time that any edge takes for a metre of it."""
    share, target_share = offset_m * chord[edge, PER_M], target_m * chord[target_edge, PER_M]
    x_m = chord[edge, X] + share * chord[edge, ALONG_X] - chord[target_edge, X]
    y_m = chord[edge, Y] + share * chord[edge, ALONG_Y] - chord[target_edge, Y]
    x_m -= target_share * chord[target_edge, ALONG_X]
    y_m -= target_share * chord[target_edge, ALONG_Y]
    return float(max(np.sqrt(x_m * x_m + y_m * y_m) * least_s_per_m - SLACK_S, 0.0))
