"""From edges between nodes, wherever they were read, to streets: what readers of graphs and tables have in common."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import overload

import numpy as np
import pandas as pd
import pyproj
import shapely
from numpy.typing import NDArray

from geodata.crs import LONLAT, choose_epsg, project
from geodata.defects import Defect, general
from geodata.errors import Fault, InputError
from geodata.network import Bools, Floats, OneWay, RoadClass, Streets
from geodata.readers.coordinates import raise_first
from geodata.readers.noding import Index, as_lines, take_runs
from geodata.readers.values import (
    PLAUSIBLE_KMH,
)

CLASS_WITHOUT_ANY = RoadClass.COLLECTOR
"""Of every street where the source knows no class at all. Assumed."""
SHORTEST_SHARE = 0.98
"""A length below this share of its own line is an error; map lengths differ from ground lengths by less. Assumed."""
LENGTH_NO_NUMBER = "lengths that are no number"
CLASS_UNKNOWN = "classes that are not understood"
MEASURED = "measured on the line instead"
FEW = 20
"""Of fewer edges the median tells nothing. Assumed."""
LONGEST_SHARE = 1.6
"""Lengths that are mostly this many times as long as the lines look like those of another unit. Assumed."""
LONGEST_M = 1e6
"""No street is longer. Assumed."""
LENGTH_ROUNDING_M = 0.5
"""Nor is a length rounded to the metre an error."""
SAME_LENGTH_M = 0.1
"""Opposite edges whose lengths differ by less are one street. Assumed."""
ENDS_OFF_M = 1.0
"""A line that begins or ends farther than this from its node is not that edge's line. Assumed."""
_MET_AT_ONCE = 100_000
"""Edges among which opposite ones are looked for; it bounds the memory."""
TIME_ROUNDING_S = 1.0
"""Times are rounded, to hundredths of a minute at worst: too short by less is no error. Assumed."""
OPPOSITE_SHARE = 0.1
"""Where this share of the edges has an opposite one, each edge is one direction; parallel streets of a file of streets
are far fewer. Assumed."""


@dataclass(frozen=True, slots=True)
class Shapes:
    """The lines of edges as coordinates; a shapely line for each of a million would take more memory than the file."""

    xy: Floats
    """(p, 2)"""
    first: Index
    """(m + 1,) where each line begins."""

    def lines(self, rows: Index) -> NDArray[np.object_]:
        """Those of some edges, for showing."""
        first, entries = take_runs(self.first, rows)
        return as_lines(self.xy[entries], first) if len(rows) else np.empty(0, object)

    @property
    def length_m(self) -> Floats:
        """(m,)"""
        steps = np.hypot(*np.diff(self.xy, axis=0, append=self.xy[-1:]).T)
        steps[self.first[1:] - 1] = 0
        return np.asarray(np.add.reduceat(steps, self.first[:-1]) if len(self.first) > 1 else steps)


@dataclass(frozen=True, slots=True, eq=False)
class LineLabels(Sequence[str]):
    """What the edges of a table are called by, "line 17", each written when it is asked for."""

    line: Index

    def __len__(self) -> int:
        return len(self.line)

    @overload
    def __getitem__(self, row: int) -> str: ...

    @overload
    def __getitem__(self, row: slice) -> LineLabels: ...

    def __getitem__(self, row: int | slice) -> str | LineLabels:
        return LineLabels(self.line[row]) if isinstance(row, slice) else f"line {self.line[row]}"

    def take(self, rows: Index) -> LineLabels:
        return LineLabels(self.line[rows])


class Notes:
    """What is wrong with edges, found before their lines are known: the rows of each kind, and a text for each."""

    def __init__(self) -> None:
        self._cases: dict[tuple[str, str], list[tuple[int, str]]] = {}

    def add(self, kind: str, done: str, row: int, text: str = "") -> None:
        self._cases.setdefault((kind, done), []).append((row, text))

    def add_all(self, kind: str, done: str, rows: Index, texts: Iterable[str]) -> None:
        if len(rows):
            self._cases.setdefault((kind, done), []).extend(zip(rows.tolist(), texts, strict=True))

    def rows(self, kind: str) -> Index:
        """The rows of one kind."""
        return np.array([row for (k, _), cases in self._cases.items() if k == kind for row, _ in cases], np.int64)

    def defects(self, label: Sequence[str], shapes: Shapes, epsg: int) -> list[Defect]:
        return [
            Defect(
                kind=kind,
                done=done,
                label=tuple(f"{label[row]} ({text})" if text else label[row] for row, text in cases),
                shapes=shapes.lines(np.array([row for row, _ in cases], np.int64)),
                epsg=epsg,
            )
            for (kind, done), cases in self._cases.items()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arcs:
    """The edges of a source, m of them."""

    tail: Index
    """(m,) row of the node where each begins."""
    head: Index
    length_m: Floats
    """NaN where the source gives none."""
    label: Sequence[str]
    name: Sequence[str]
    road_class: NDArray[np.int64]
    """Values of `RoadClass`, -1 where unknown."""
    speed_kmh: Floats
    """Off-peak driving speed, NaN where unknown."""
    geometry: NDArray[np.object_] | None = None
    """A line or its WKT; None: straight from node to node."""
    one_way: NDArray[np.int8] | None = None
    """Values of `OneWay`, for a source where one edge is a whole street."""
    given_s: Mapping[str, Floats] = field(default_factory=dict)
    """(m,) seconds along each edge, NaN where unknown."""
    left_out: Bools | None = None
    """Edges that are none of the streets, for a reason that `notes` tells."""
    schematic: bool = False
    """The nodes of a traffic model lie about where they should: lengths count although they are shorter than lines."""
    notes: Notes = field(default_factory=Notes)

    @property
    def wanted(self) -> Bools:
        """(m,)"""
        return np.ones(len(self.tail), bool) if self.left_out is None else ~self.left_out


def streets_of_arcs(
    arcs: Arcs, node_xy: Floats, crs: pyproj.CRS | int, source: str, epsg: int | None, *, directed: bool | None
) -> tuple[Streets, list[Defect]]:
    """Streets of edges between nodes (n, 2).

    In a `directed` source each edge is one direction: opposite ones along one line and of one length are one two-way
    street, all others one-way. Otherwise each is a street, driven as its mark says; None: as the edges look, which is
    told. Lengths, lines and times that cannot be right are not used, and told.

    Raises:
        InputError: coordinates out of range, lines that are none, or no edge that can be driven.
    """
    lonlat = project(node_xy, crs, LONLAT)
    epsg = choose_epsg(lonlat, epsg, source)
    told: list[Defect] = []
    if directed is None:
        directed = _looks_directed(arcs)
        done = "each edge is taken for one direction" if directed else "each edge is taken for a whole street"
        told.append(general("source that does not say whether its edges are directed", done, epsg))
    if directed and arcs.one_way is not None:
        alone = np.flatnonzero((arcs.one_way == OneWay.NO) & ~_has_opposite(arcs) & (arcs.tail != arcs.head))
        done = "taken as one-way: each edge is one direction"
        arcs.notes.add_all("edges marked as two-way without an opposite one", done, alone, [""] * len(alone))
    arcs, shapes = _with_shapes(arcs, node_xy, crs, source, epsg)
    measured = shapes.length_m
    told += _doubtful_lengths(arcs, measured, epsg)
    arcs = _usable_times(_usable_lengths(arcs, measured))
    told += arcs.notes.defects(arcs.label, shapes, epsg)

    kept = np.flatnonzero(arcs.wanted)
    if not len(kept):
        mend = "Check that the file holds drivable roads."
        raise InputError(Fault(source, "", "no edge that a car may use", "a graph of drivable roads", mend))
    road_class = arcs.road_class.copy()
    if (road_class[kept] < 0).all():
        road_class[:] = CLASS_WITHOUT_ANY
        told.append(
            general("source without classes", f"all streets are taken as {CLASS_WITHOUT_ANY.name.lower()}", epsg)
        )
    elif (road_class[kept] < 0).any():
        notes, without = Notes(), np.setdiff1d(kept[road_class[kept] < 0], arcs.notes.rows(CLASS_UNKNOWN))
        notes.add_all("edges without a class", "taken as local", without, [""] * len(without))
        told += notes.defects(arcs.label, shapes, epsg)
        road_class[road_class < 0] = RoadClass.LOCAL

    if directed:
        one, other = _merge_opposite(arcs, shapes, kept)
    else:
        one, other = kept, kept
    pair = np.column_stack([one, other])
    two_way = other >= 0
    marks = np.where(two_way, OneWay.NO, OneWay.FORWARD) if directed or arcs.one_way is None else arcs.one_way[one]
    back = np.where(two_way, other, one)
    driven = np.column_stack([marks != OneWay.BACKWARD, marks != OneWay.FORWARD])
    shape_first, entries = take_runs(shapes.first, one)
    speeds = arcs.speed_kmh[np.column_stack([one, back])]
    known = np.isfinite(speeds)
    mean_kmh = np.where(known, speeds, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    label = arcs.label
    streets = Streets(
        epsg=epsg,
        start=arcs.tail[one],
        end=arcs.head[one],
        one_way=marks.astype(np.int8),
        road_class=np.minimum(road_class[one], road_class[back]).astype(np.uint8),
        speed_kmh=np.where(known.any(axis=1), mean_kmh, np.nan),
        name=[arcs.name[i] or arcs.name[j] for i, j in zip(one.tolist(), back.tolist(), strict=True)],
        shape_first=shape_first,
        shape_xy_m=shapes.xy[entries],
        length_m=arcs.length_m[one],
        label=label.take(one) if isinstance(label, LineLabels) else [label[i] for i in one.tolist()],
        given_s={name: np.where(driven, given[pair], np.nan) for name, given in arcs.given_s.items()},
    )
    return streets, told


def _has_opposite(arcs: Arcs) -> Bools:
    """(m,) whether another edge joins the same two nodes the other way round."""
    base = max(int(arcs.tail.max(initial=0)), int(arcs.head.max(initial=0))) + 1
    there, back = arcs.tail * base + arcs.head, arcs.head * base + arcs.tail
    back.sort()
    at = np.searchsorted(back, there).clip(max=len(back) - 1)
    return np.asarray((back[at] == there) & (arcs.tail != arcs.head))


def _looks_directed(arcs: Arcs) -> bool:
    """Whether enough of the edges, of those that are not marked one-way, have an opposite one."""
    both = _has_opposite(arcs)
    asked = both if arcs.one_way is None else both[arcs.one_way == OneWay.NO]
    return bool(asked.size and asked.mean() >= OPPOSITE_SHARE)


def _with_shapes(arcs: Arcs, node_xy: Floats, crs: pyproj.CRS | int, source: str, epsg: int) -> tuple[Arcs, Shapes]:
    """(m,) each edge's line from tail to head in `epsg`; the straight one where it has none or one that cannot be its
    own. Edges from a node to itself need a line."""
    xy = project(node_xy, crs, epsg)
    tail_xy, head_xy = xy[arcs.tail], xy[arcs.head]
    raise_first(
        Fault(source, arcs.label[i], "a node too far away from the others", "a node of one city", "Check its place.")
        for i in np.flatnonzero(~np.isfinite(np.column_stack([tail_xy, head_xy])).all(axis=1)).tolist()
    )
    straight_xy = np.stack([tail_xy, head_xy], axis=1).reshape(-1, 2)
    drawn = np.zeros(len(arcs.tail), bool)
    shapes = Shapes(straight_xy, np.arange(0, len(straight_xy) + 1, 2))
    if arcs.geometry is not None:
        own = _parsed(arcs.geometry, arcs.label, source)
        given = ~shapely.is_missing(own)
        line = given & (shapely.get_type_id(own) == shapely.GeometryType.LINESTRING) & ~shapely.is_empty(own)
        straight = "taken as straight"
        arcs.notes.add_all(
            "shapes that are no line", straight, odd := np.flatnonzero(given & ~line), [g.geom_type for g in own[odd]]
        )
        rows = np.flatnonzero(line)
        moved = shapely.transform(shapely.force_2d(own[rows]), lambda points: project(points, crs, epsg))
        starts, ends = (shapely.get_coordinates(shapely.get_point(moved, i)) for i in (0, -1))
        there = np.maximum(_apart(starts, tail_xy[rows]), _apart(ends, head_xy[rows]))
        back = np.maximum(_apart(starts, head_xy[rows]), _apart(ends, tail_xy[rows]))
        moved = np.where(there > back, np.asarray(shapely.reverse(moved), object), moved)
        possible = np.isfinite(np.asarray(shapely.length(moved)))
        arcs.notes.add_all("lines over impossible places", straight, rows[~possible], [""] * int((~possible).sum()))
        near = np.minimum(there, back) <= ENDS_OFF_M
        off = [f"{gap:,.0f} m off" for gap in np.minimum(there, back)[possible & ~near]]
        arcs.notes.add_all("lines that do not run between their nodes", straight, rows[possible & ~near], off)
        good = possible & near
        drawn[rows[good]] = True
        count = np.full(len(drawn), 2)
        count[rows[good]] = shapely.get_num_coordinates(moved[good])
        first = np.r_[0, np.cumsum(count)]
        xy_m = np.empty((first[-1], 2))
        xy_m[take_runs(first, np.flatnonzero(~drawn))[1]] = straight_xy[np.repeat(~drawn, 2)]
        xy_m[take_runs(first, rows[good])[1]] = shapely.get_coordinates(moved[good])
        shapes = Shapes(xy_m, first)
    loop = (arcs.tail == arcs.head) & ~drawn & arcs.wanted
    arcs.notes.add_all(
        "edges from a node to itself without a line", "left out", np.flatnonzero(loop), [""] * loop.sum()
    )
    return replace(arcs, left_out=loop | ~arcs.wanted), shapes


def _parsed(geometry: NDArray[np.object_], label: Sequence[str], source: str) -> NDArray[np.object_]:
    """(m,) geometry from geometry or WKT; None where there is none."""
    own = np.array([g if isinstance(g, shapely.Geometry) else None for g in geometry], object)
    text = np.array([isinstance(g, str) and bool(g.strip()) for g in geometry], bool)
    other = np.array([not (g is None or isinstance(g, str | shapely.Geometry)) for g in geometry], bool)
    if text.any():
        with np.errstate(all="ignore"):
            own[text] = shapely.from_wkt(geometry[text], on_invalid="ignore")
    bad = other | (text & shapely.is_missing(own))
    numbers, row = shapely.get_coordinates(own, return_index=True)
    bad[row[~np.isfinite(numbers).all(axis=1)]] = True
    mend = "Write the graph anew with osmnx.save_graphml."
    raise_first(
        Fault(source, f"geometry of {label[i]}", repr(str(geometry[i])[:60]), "a line as WKT", mend)
        for i in np.flatnonzero(bad).tolist()
    )
    return own


def _apart(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.hypot(*(a - b).T))


def _doubtful_lengths(arcs: Arcs, measured_m: Floats, epsg: int) -> list[Defect]:
    """What is to be said of all lengths at once."""
    given, measured = arcs.length_m[arcs.wanted], measured_m[arcs.wanted]
    if np.isnan(given).all() and not len(arcs.notes.rows(LENGTH_NO_NUMBER)):
        return [general("source without lengths", "measured on the lines", epsg)]
    known = np.isfinite(given) & (measured > 0)
    times = float(np.median(given[known] / measured[known])) if known.any() else 1.0
    if times < 1 / LONGEST_SHARE and np.count_nonzero(known) >= FEW:
        kind = f"lengths that are mostly {times:.2g} of the lines between the nodes"
        done = "check the CRS of the nodes (feet taken for metres?) and the unit of the lengths"
        return [replace(general(kind, done, epsg), stays=True)]
    if times < LONGEST_SHARE:
        return []
    kind = f"lengths that are mostly {times:.2g} times as long as the lines"
    return [general(kind, "used as they are; check the unit that they are in", epsg)]


def _usable_lengths(arcs: Arcs, measured: Floats) -> Arcs:
    """With the length of the line where the source gives none, or one that is shorter than the line."""
    given = arcs.length_m
    unusable = np.isfinite(given) & ~(given > 0)
    with np.errstate(invalid="ignore"):
        short = ~unusable & (given < SHORTEST_SHARE * measured - LENGTH_ROUNDING_M)
    endless = given > LONGEST_M
    missing = np.flatnonzero(np.isnan(given) & arcs.wanted)
    if len(missing) < np.count_nonzero(arcs.wanted):
        missing = np.setdiff1d(missing, arcs.notes.rows(LENGTH_NO_NUMBER))
        arcs.notes.add_all("edges without a length", MEASURED, missing, [""] * len(missing))
    shorter = "used: the nodes lie about where they should" if arcs.schematic else MEASURED
    for kind, done, wrong in (
        ("lengths that are none", MEASURED, unusable | endless),
        ("lengths shorter than the line", shorter, short),
    ):
        rows = np.flatnonzero(wrong & arcs.wanted)
        arcs.notes.add_all(kind, done, rows, [f"{metres:,.6g} m" for metres in given[rows]])
    good = np.isfinite(given) & ~unusable & ~endless & (~short | arcs.schematic)
    return replace(arcs, length_m=np.where(good, given, measured))


def _usable_times(arcs: Arcs) -> Arcs:
    """Without times that are none or faster than anybody drives; some missing ones are told."""
    usable = {}
    done = "not used: the class decides there"
    for name, given in arcs.given_s.items():
        known = ~np.isnan(given)
        none = known & ~((given > 0) & np.isfinite(given))
        fast = known & ~none & (given < arcs.length_m / (PLAUSIBLE_KMH[1] / 3.6) - TIME_ROUNDING_S)
        rows = np.flatnonzero(none & arcs.wanted)
        arcs.notes.add_all(f"times {name!r} that are none", done, rows, [f"{s:g} s" for s in given[rows]])
        rows = np.flatnonzero(fast & arcs.wanted)
        with np.errstate(over="ignore"):
            kmh = arcs.length_m[rows] / given[rows] * 3.6
        arcs.notes.add_all(f"times {name!r} too short", done, rows, [f"{v:,.0f} km/h" for v in kmh])
        rows = np.flatnonzero(~known & arcs.wanted)
        arcs.notes.add_all(f"edges without a time {name!r}", "the class decides there", rows, [""] * len(rows))
        usable[name] = np.where(known & ~none & ~fast, given, np.nan)
    return replace(arcs, given_s=usable)


def _merge_opposite(arcs: Arcs, shapes: Shapes, kept: Index) -> tuple[Index, Index]:
    """The edges to keep as streets, and for each the one in the other direction along the same line, -1 where there is
    none. A loop that runs back along itself is its own opposite."""
    tail, head = arcs.tail[kept], arcs.head[kept]
    against = tail > head
    line = np.full(len(kept), -1)
    there_and_back = np.zeros(len(kept), bool)
    shaped = np.flatnonzero(np.diff(shapes.first)[kept] > 2)
    known: dict[bytes, int] = {}
    # opposite edges have the same points to the last digit; 0.1 m where a file rounds them
    decimetres = np.round(shapes.xy * 10).astype(np.int64) if len(shaped) else np.empty((0, 2), np.int64)
    for i in shaped.tolist():
        points = decimetres[shapes.first[kept[i]] : shapes.first[kept[i] + 1]]
        forward, backward = points.tobytes(), points[::-1].tobytes()
        if tail[i] == head[i]:
            against[i], there_and_back[i] = forward > backward, forward == backward
        line[i] = known.setdefault(backward if against[i] else forward, len(known))
    pair = np.minimum(tail, head) * (int(np.maximum(tail, head).max(initial=0)) + 1) + np.maximum(tail, head)
    if known:
        pair = np.unique(pair, return_inverse=True)[1] * (len(known) + 1) + line + 1
    opposite = np.full(len(kept), -1)
    parts = len(kept) // _MET_AT_ONCE + 1
    for part in range(parts):
        rows = np.flatnonzero(pair % parts == part)
        table = pd.DataFrame({"pair": pair[rows], "length_m": arcs.length_m[kept[rows]], "row": rows})
        table = table.sort_values(["length_m", "row"], kind="stable")
        turned = against[table["row"].to_numpy()]
        met = pd.merge_asof(
            table[turned],
            table[~turned],
            on="length_m",
            by="pair",
            direction="nearest",
            tolerance=SAME_LENGTH_M,  # type: ignore[arg-type]  # its stubs know no float
            suffixes=("", "_other"),
        )
        met = met.dropna(subset="row_other").drop_duplicates("row_other")
        a, b = met["row"].to_numpy(np.int64), met["row_other"].to_numpy(np.int64)
        opposite[a], opposite[b] = b, a
    opposite[there_and_back] = np.flatnonzero(there_and_back)
    stays = np.flatnonzero((opposite < 0) | (opposite >= np.arange(len(kept))))
    return kept[stays], np.where(opposite[stays] >= 0, kept[opposite[stays]], -1)
