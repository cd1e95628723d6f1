"""From lines to streets: where lines meet at a shared vertex a junction is made, and lines are cut there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from geodata.defects import Defect
from geodata.network import Bools, Floats, Streets

Index = NDArray[np.int64]
NEARLY_M = 5.0
"""A dead end this near to another street may have been meant to meet it. Assumed."""


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


def insert_vertices(xy: Floats, first: Index, line: Index, point: Floats) -> tuple[Floats, Index]:
    """Give each of the lines `line` (k,) a vertex at the point (k, 2), where along it that lies nearest."""
    line_of = np.repeat(np.arange(len(first) - 1), np.diff(first))
    along = np.asarray(shapely.line_locate_point(as_lines(xy, first)[line], shapely.points(point)))
    steps = np.hypot(*np.diff(xy, axis=0, prepend=xy[:1]).T)
    steps[first[:-1]] = 0
    total = np.cumsum(steps)
    all_line = np.concatenate([line_of, line])
    order = np.lexsort((np.concatenate([total - total[first[:-1]][line_of], along]), all_line))
    count = np.bincount(all_line, minlength=len(first) - 1)
    return np.concatenate([xy, point])[order], np.concatenate([[0], np.cumsum(count)])


def crossings(
    start: Index, end: Index, xy: Floats, first: Index, level: Floats, apart_m: float
) -> tuple[Index, Index, Floats]:
    """Where streets of one level (s,) cross away from their ends: the one, the other (c,) and the point (c, 2); what
    is within `apart_m` of a junction of both is none."""
    lines = as_lines(xy, first)
    one, other = shapely.STRtree(lines).query(lines)
    ahead = (one < other) & (level[one] == level[other])
    one, other = one[ahead], other[ahead]
    crossing = np.asarray(shapely.crosses(lines[one], lines[other]))
    one, other = one[crossing], other[crossing]
    points, pair = shapely.get_coordinates(shapely.intersection(lines[one], lines[other]), return_index=True)
    one, other = one[pair], other[pair]
    shared = np.zeros(len(points), bool)
    for junction, at in ((start, first[:-1]), (end, first[1:] - 1)):
        met = (junction[one] == start[other]) | (junction[one] == end[other])
        shared |= met & (np.hypot(*(points - xy[at[one]]).T) <= apart_m)
    return one[~shared], other[~shared], points[~shared]


AS_BRIDGES = "taken for bridges"
"""How it begins what was done about crossings that are still there."""


def crossing_defect(label: Sequence[str], crossed: tuple[Index, Index, Floats], done: str, epsg: int) -> Defect:
    """What `crossings` found among streets with these labels (s,)."""
    one, other, point = crossed
    return Defect(
        kind="crossings without a shared vertex",
        done=done,
        label=tuple(f"{label[a]} × {label[b]}" for a, b in zip(one.tolist(), other.tolist(), strict=True)),
        shapes=np.asarray(shapely.points(point), object),
        epsg=epsg,
        stays=done.startswith(AS_BRIDGES),
    )


def select_streets(streets: Streets, wanted: Bools) -> Streets:
    """Only the wanted (s,) streets, and the turns between them."""
    kept = np.flatnonzero(wanted)
    first, entries = take_runs(streets.shape_first, kept)
    row = np.cumsum(wanted) - 1
    turns = streets.turns[wanted[streets.turns[:, [0, 2]]].all(axis=1)]
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
        label=None if streets.label is None else [streets.label[i] for i in kept.tolist()],
        turns=np.column_stack([row[turns[:, 0]], turns[:, 1], row[turns[:, 2]], turns[:, 3]]),
        given_s={name: table[kept] for name, table in streets.given_s.items()},
    )


def near_misses(streets: Streets, within_m: float = NEARLY_M) -> Defect:
    """Dead ends that lie near a street which their own one does not meet."""
    ends = np.concatenate([streets.start, streets.end])
    _, junction, count = np.unique(ends, return_inverse=True, return_counts=True)
    at = np.concatenate([streets.shape_first[:-1], streets.shape_first[1:] - 1])
    dead = np.flatnonzero(count[junction] == 1)
    n = len(streets.start)
    points = shapely.points(streets.shape_xy_m[at[dead]])
    lines = as_lines(streets.shape_xy_m, streets.shape_first)
    case, street = shapely.STRtree(lines).query(points, predicate="dwithin", distance=within_m)
    own = dead[case] % n
    # the street that a short dead end leaves is near it by nature
    pairs = junction.reshape(2, n)
    met = (pairs[:, None, own] == pairs[None, :, street]).any(axis=(0, 1))
    case = np.unique(case[~met & (own != street)])
    told = streets.name if streets.label is None else streets.label
    return Defect(
        kind="dead ends that nearly meet another street",
        done=f"not joined, though within {within_m:g} m",
        label=tuple(told[i] for i in (dead[case] % n).tolist()),
        shapes=np.asarray(points, object)[case],
        epsg=streets.epsg,
        stays=True,
    )
