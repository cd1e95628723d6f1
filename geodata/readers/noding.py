"""From lines to streets: where lines meet at a shared vertex a junction is made, and lines are cut there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from geodata.network import Bools, Floats, Streets

Index = NDArray[np.int64]


def take_runs(first: Index, wanted: Index) -> tuple[Index, Index]:
    """Of runs that begin at `first` (r + 1,), take the `wanted` ones: where each begins now, and which of the old
    entries they hold."""
    count = np.diff(first)[wanted]
    new_first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    entries = np.arange(new_first[-1]) + np.repeat(first[wanted] - new_first[:-1], count)
    return new_first, entries


def as_lines(xy: Floats, first: Index) -> NDArray[np.object_]:
    """The runs of coordinates as shapely LineStrings."""
    return np.asarray(shapely.linestrings(xy, indices=np.repeat(np.arange(len(first) - 1), np.diff(first))), object)


def cut_at_junctions(vertex: Index, first: Index) -> tuple[Index, Index, Index]:
    """Cut lines wherever they meet one another or end.

    `vertex` (p,) names the vertices of all lines one after the other, equal numbers being the same place; line i has
    `first[i]:first[i + 1]`. Returns for the pieces (s of them) where each begins (s + 1,), which entries of `vertex`
    it runs through, and the line that it comes from (s,). What is shorter than one segment is left out.
    """
    line = np.repeat(np.arange(len(first) - 1), np.diff(first))
    new = np.ones(len(vertex), bool)
    new[1:] = (vertex[1:] != vertex[:-1]) | (line[1:] != line[:-1])
    entry = np.flatnonzero(new)
    long_enough = np.bincount(line[entry], minlength=len(first) - 1) >= 2
    entry = entry[long_enough[line[entry]]]
    if not len(entry):
        empty = np.empty(0, np.int64)
        return np.zeros(1, np.int64), empty, empty
    line = line[entry]
    starts = np.ones(len(entry), bool)
    starts[1:] = line[1:] != line[:-1]
    ends = np.ones(len(entry), bool)
    ends[:-1] = starts[1:]
    _, place = np.unique(vertex[entry], return_inverse=True)
    junction = np.bincount(place)[place] >= 2
    # an end of one line is a junction for every other line through it: it is counted there already
    cut = junction & ~starts & ~ends
    # a vertex at a cut is in both pieces: the end of one and the start of the next
    twice = np.repeat(np.arange(len(entry)), 1 + cut)
    second = np.zeros(len(twice), bool)
    second[1:] = twice[1:] == twice[:-1]
    begins = np.flatnonzero(second | starts[twice])
    return np.append(begins, len(twice)), entry[twice], line[twice[begins]]


def select_streets(streets: Streets, wanted: Bools) -> Streets:
    """Only the wanted (s,) streets."""
    kept = np.flatnonzero(wanted)
    first, entries = take_runs(streets.shape_first, kept)
    return replace(
        streets,
        start=streets.start[kept],
        end=streets.end[kept],
        one_way=streets.one_way[kept],
        road_class=streets.road_class[kept],
        speed_kmh=streets.speed_kmh[kept],
        name=[streets.name[i] for i in kept.tolist()],
        shape_first=first,
        shape_xy_m=streets.shape_xy_m[entries],
        length_m=None if streets.length_m is None else streets.length_m[kept],
    )
