"""Beats (责任区): who is responsible for which cells, by a level of the grid's hierarchy or by the nearest post."""

from __future__ import annotations

import numpy as np
import shapely

from dispatch.policies.situation import Beats
from geodata.city import City
from geodata.errors import Fault, InputError
from geodata.grid import Grid
from geodata.network import Bools, Ints
from geodata.positions import locate, snap
from geodata.travel import Rows, TravelTimes

BY_POST = "post"
"""What a scenario writes in the place of a level for beats by the nearest post."""
HOUR = 10
"""Of the week, a Monday's forenoon off the peak, in which the nearest post is looked for. Assumed."""


def beats_by_level(grid: Grid, level: str) -> Beats:
    """A beat for each area of a level that has cells, in ascending order of the areas' codes; a cell outside all of
    them has none.

    Raises:
        InputError: the grid has no such level.
    """
    if level not in grid.levels:
        expected = f"one of {', '.join(grid.levels)}, or {BY_POST}"
        raise InputError(Fault("beats", "level", repr(level), expected, "Name a level of the grid's areas."))
    code = grid.ancestor_code(level).to_numpy(str)
    known, of_cell = np.unique(code[code != ""], return_inverse=True)
    beat = np.full(len(grid), -1, np.int32)
    beat[code != ""] = of_cell
    return Beats(of_cell=beat, neighbours=_touching(grid, beat, len(known)))


def beats_by_post(city: City, travel: TravelTimes, posts: Rows | None = None, hour: int = HOUR) -> Beats:
    """The beat of each cell is the row of the post from which the road to the cell's middle is the shortest in time;
    of posts equally near the one that comes first. A post may win no cell.

    Args:
        travel: its anchors are the city's posts.
        posts: rows of those that have a beat, such as those with units; None: all.
        hour: the moment for which the times hold.
    """
    anchors = city.posts.positions
    rows = np.arange(len(anchors), dtype=np.int64) if posts is None else np.unique(posts).astype(np.int64)
    if not len(rows):
        raise ValueError("no post, expected at least one")
    middles = shapely.get_coordinates(shapely.point_on_surface(city.grid.polygons))
    at_rest, alike = np.zeros(len(anchors)), np.ones(len(anchors))
    anchor = np.arange(len(anchors), dtype=np.int32)
    beat = np.full(len(city.grid), -1, np.int32)
    for cell, middle in enumerate(snap(city.network, middles)[0]):
        found = travel.nearest_drives(middle, rows, anchors, at_rest, alike, hour, 1, anchor)
        beat[cell] = found[0][0] if found else -1
    return Beats(of_cell=beat, neighbours=_touching(city.grid, beat, len(anchors)))


def beat_of_posts(city: City, beats: Beats) -> Ints:
    """(n_posts,) the beat in whose cells each post lies, -1: none."""
    cell = city.grid.locate(locate(city.network, city.posts.positions))
    return np.where(cell >= 0, beats.of_cell[cell], -1).astype(np.int32)


def make_beats(city: City, travel: TravelTimes, by: str, posts: Rows | None = None) -> tuple[Beats, Ints]:
    """The beats as a scenario names them, `BY_POST` or a level, and (n_posts,) the beat of the units of each post.

    Raises:
        InputError: the grid has no such level.
    """
    if by == BY_POST:
        return beats_by_post(city, travel, posts), np.arange(len(city.posts), dtype=np.int32)
    beats = beats_by_level(city.grid, by)
    return beats, beat_of_posts(city, beats)


def _touching(grid: Grid, beat: Ints, n_beats: int) -> Bools:
    """(n_beats, n_beats) whether cells of two beats share a border; no beat touches itself."""
    touch = np.zeros((n_beats, n_beats), bool)
    one, other = beat[grid.neighbours()].T
    apart = (one >= 0) & (other >= 0) & (one != other)
    touch[one[apart], other[apart]] = touch[other[apart], one[apart]] = True
    return touch
