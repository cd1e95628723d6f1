"""From nodes and edges, wherever they were read, to streets; what graph readers have in common."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

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
from geodata.readers.noding import Index, take_runs
from geodata.readers.values import (
    CLASS_OF_HIGHWAY,
    PLAUSIBLE_KMH,
    POSTED_LIMIT_SHARE,
    clean_text,
    is_plausible,
    parse_kmh,
)

CLASS_WITHOUT_ANY = RoadClass.COLLECTOR
"""Of every street where the source knows no class at all. Assumed."""
SHORTEST_SHARE = 0.98
"""A length below this share of its own line is an error; map lengths differ from ground lengths by less. Assumed."""
LENGTH_ROUNDING_M = 0.5
"""Nor is a length rounded to the metre an error."""
SAME_LENGTH_M = 0.1
"""Opposite edges whose lengths differ by less are one street. Assumed."""
ENDS_OFF_M = 1.0
"""A line that begins or ends farther than this from its node is not that edge's line. Assumed."""
TIME_ROUNDING_S = 1.0
"""Times are rounded, to hundredths of a minute at worst: too short by less is no error. Assumed."""
OPPOSITE_SHARE = 0.1
"""Where this share of the edges has an opposite one, each edge is one direction; parallel streets of a file of streets
are far fewer. Assumed."""

Attributes = Mapping[str, Any]


class Notes:
    """What is wrong with edges, found before their lines are known: the rows of each kind, and a text for each."""

    def __init__(self) -> None:
        self._cases: dict[tuple[str, str], list[tuple[int, str]]] = {}

    def add(self, kind: str, done: str, row: int, text: str = "") -> None:
        self._cases.setdefault((kind, done), []).append((row, text))

    def add_all(self, kind: str, done: str, rows: Index, texts: Iterable[str]) -> None:
        if len(rows):
            self._cases.setdefault((kind, done), []).extend(zip(rows.tolist(), texts, strict=True))

    def defects(self, label: Sequence[str], lines: NDArray[np.object_], epsg: int) -> list[Defect]:
        return [
            Defect(
                kind=kind,
                done=done,
                label=tuple(f"{label[row]} ({text})" if text else label[row] for row, text in cases),
                shapes=lines[[row for row, _ in cases]],
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
    length_rounding_m: float = LENGTH_ROUNDING_M
    """By so much a length may be shorter than the line for the source's rounding alone."""
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
    arcs, lines = _with_lines(arcs, node_xy, crs, source, epsg)
    arcs = _usable_times(_usable_lengths(arcs, lines))
    told += arcs.notes.defects(arcs.label, lines, epsg)

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
    elif (without := kept[road_class[kept] < 0]).size:
        road_class[without] = RoadClass.LOCAL
        notes = Notes()
        notes.add_all("edges without a class", "taken as local", without, [""] * len(without))
        told += notes.defects(arcs.label, lines, epsg)

    if directed:
        one, other = _merge_opposite(arcs, lines, kept)
    else:
        one, other = kept, kept
    pair = np.column_stack([one, other])
    two_way = other >= 0
    marks = np.where(two_way, OneWay.NO, OneWay.FORWARD) if directed or arcs.one_way is None else arcs.one_way[one]
    back = np.where(two_way, other, one)
    driven = np.column_stack([marks != OneWay.BACKWARD, marks != OneWay.FORWARD])
    points, first = shapely.get_coordinates(lines), np.r_[0, np.cumsum(shapely.get_num_coordinates(lines))]
    shape_first, entries = take_runs(first, one)
    speeds = arcs.speed_kmh[np.column_stack([one, back])]
    known = np.isfinite(speeds)
    mean_kmh = np.where(known, speeds, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    streets = Streets(
        epsg=epsg,
        start=arcs.tail[one],
        end=arcs.head[one],
        one_way=marks.astype(np.int8),
        road_class=np.minimum(road_class[one], road_class[back]).astype(np.uint8),
        speed_kmh=np.where(known.any(axis=1), mean_kmh, np.nan),
        name=[arcs.name[i] or arcs.name[j] for i, j in zip(one.tolist(), back.tolist(), strict=True)],
        shape_first=shape_first,
        shape_xy_m=points[entries],
        length_m=arcs.length_m[one],
        label=[arcs.label[i] for i in one.tolist()],
        given_s={name: np.where(driven, given[pair], np.nan) for name, given in arcs.given_s.items()},
    )
    return streets, told


def _looks_directed(arcs: Arcs) -> bool:
    """Whether enough of the edges, of those that are not marked one-way, have an opposite one."""
    base = max(int(arcs.tail.max(initial=0)), int(arcs.head.max(initial=0))) + 1
    both = np.isin(arcs.tail * base + arcs.head, arcs.head * base + arcs.tail) & (arcs.tail != arcs.head)
    asked = both if arcs.one_way is None else both[arcs.one_way == OneWay.NO]
    return bool(asked.size and asked.mean() >= OPPOSITE_SHARE)


def _with_lines(
    arcs: Arcs, node_xy: Floats, crs: pyproj.CRS | int, source: str, epsg: int
) -> tuple[Arcs, NDArray[np.object_]]:
    """(m,) each edge's line from tail to head in `epsg`; the straight one where it has none or one that cannot be its
    own. Edges from a node to itself need a line."""
    xy = project(node_xy, crs, epsg)
    tail_xy, head_xy = xy[arcs.tail], xy[arcs.head]
    raise_first(
        Fault(source, arcs.label[i], "a node too far away from the others", "a node of one city", "Check its place.")
        for i in np.flatnonzero(~np.isfinite(np.column_stack([tail_xy, head_xy])).all(axis=1)).tolist()
    )
    lines = np.asarray(shapely.linestrings(np.stack([tail_xy, head_xy], axis=1)), object)
    drawn = np.zeros(len(lines), bool)
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
        near = np.minimum(there, back) <= ENDS_OFF_M
        off = [f"{gap:,.0f} m off" for gap in np.minimum(there, back)[~near]]
        arcs.notes.add_all("lines that do not run between their nodes", straight, rows[~near], off)
        lines[rows[near]] = moved[near]
        drawn[rows[near]] = True
    loop = (arcs.tail == arcs.head) & ~drawn & arcs.wanted
    arcs.notes.add_all(
        "edges from a node to itself without a line", "left out", np.flatnonzero(loop), [""] * loop.sum()
    )
    return replace(arcs, left_out=loop | ~arcs.wanted), lines


def _parsed(geometry: NDArray[np.object_], label: Sequence[str], source: str) -> NDArray[np.object_]:
    """(m,) geometry from geometry or WKT; None where there is none."""
    own = np.array([None if g is None or isinstance(g, str) else g for g in geometry], object)
    text = np.array([isinstance(g, str) and bool(g.strip()) for g in geometry], bool)
    if text.any():
        own[text] = shapely.from_wkt(geometry[text], on_invalid="ignore")
    bad = text & shapely.is_missing(own)
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


def _usable_lengths(arcs: Arcs, lines: NDArray[np.object_]) -> Arcs:
    """With the length of the line where the source gives none, or one that is shorter than the line."""
    measured, given = np.asarray(shapely.length(lines)), arcs.length_m
    unusable = np.isfinite(given) & ~(given > 0)
    with np.errstate(invalid="ignore"):
        short = ~unusable & (given < SHORTEST_SHARE * measured - arcs.length_rounding_m)
    endless = np.isinf(given)
    done = "measured on the line instead"
    for kind, wrong in (("lengths that are none", unusable | endless), ("lengths shorter than the line", short)):
        rows = np.flatnonzero(wrong & arcs.wanted)
        arcs.notes.add_all(kind, done, rows, [f"{metres:,.6g} m" for metres in given[rows]])
    good = np.isfinite(given) & ~unusable & ~short
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
        kmh = arcs.length_m[rows] / given[rows] * 3.6
        arcs.notes.add_all(f"times {name!r} too short", done, rows, [f"{v:,.0f} km/h" for v in kmh])
        rows = np.flatnonzero(~known & arcs.wanted)
        arcs.notes.add_all(f"edges without a time {name!r}", "the class decides there", rows, [""] * len(rows))
        usable[name] = np.where(known & ~none & ~fast, given, np.nan)
    return replace(arcs, given_s=usable)


def _merge_opposite(arcs: Arcs, lines: NDArray[np.object_], kept: Index) -> tuple[Index, Index]:
    """The edges to keep as streets, and for each the one in the other direction along the same line, -1 where there is
    none. A loop that runs back along itself is its own opposite."""
    tail, head = arcs.tail[kept], arcs.head[kept]
    against = tail > head
    line = np.full(len(kept), -1)
    there_and_back = np.zeros(len(kept), bool)
    shaped = np.flatnonzero(shapely.get_num_coordinates(lines[kept]) > 2)
    known: dict[bytes, int] = {}
    for i in shaped.tolist():
        # opposite edges have the same points to the last digit; 0.1 m where a file rounds them
        points = np.round(shapely.get_coordinates(lines[kept[i]]) * 10).astype(np.int64)
        forward, backward = points.tobytes(), points[::-1].tobytes()
        if tail[i] == head[i]:
            against[i], there_and_back[i] = forward > backward, forward == backward
        line[i] = known.setdefault(backward if against[i] else forward, len(known))
    _, group = np.unique(
        np.column_stack([np.minimum(tail, head), np.maximum(tail, head), line]), axis=0, return_inverse=True
    )
    table = pd.DataFrame({"group": group.reshape(-1), "length_m": arcs.length_m[kept], "row": np.arange(len(kept))})
    table = table.sort_values(["length_m", "row"], kind="stable")
    turned = against[table["row"].to_numpy()]
    met = pd.merge_asof(
        table[turned],
        table[~turned],
        on="length_m",
        by="group",
        direction="nearest",
        tolerance=SAME_LENGTH_M,  # type: ignore[arg-type]  # its stubs know no float
        suffixes=("", "_other"),
    )
    met = met.dropna(subset="row_other").drop_duplicates("row_other")
    opposite = np.full(len(kept), -1)
    a, b = met["row"].to_numpy(np.int64), met["row_other"].to_numpy(np.int64)
    opposite[a], opposite[b] = b, a
    opposite[there_and_back] = np.flatnonzero(there_and_back)
    stays = np.flatnonzero((opposite < 0) | (opposite >= np.arange(len(kept))))
    return kept[stays], np.where(opposite[stays] >= 0, kept[opposite[stays]], -1)


def streets_of_graph(
    crs: pyproj.CRS | int,
    nodes: Iterable[tuple[Any, Attributes]],
    edges: Iterable[tuple[Any, Any, Attributes]],
    source: str,
    epsg: int | None = None,
    *,
    directed: bool | None = True,
    marked: bool = False,
) -> tuple[Streets, list[Defect]]:
    """Streets of an osmnx graph given as nodes (id, attributes) and edges (from, to, attributes), whose values may be
    the typed ones of osmnx or their texts; `marked`: an edge whose `oneway` says no is driven in both directions.

    Posted limits (`maxspeed`, or `speed_kph` or `speed_kmph` where it is missing) become driving speeds by
    `POSTED_LIMIT_SHARE`; `travel_time` (s) is given as times of that name.

    Raises:
        InputError: nodes without coordinates, edges between unknown nodes, and as `streets_of_arcs`.
    """
    number, node_xy = _coordinates(nodes, source)
    table = _EdgeTable(source, number)
    for u, v, attributes in edges:
        table.add(u, v, attributes)
    raise_first(table.faults)
    return streets_of_arcs(table.arcs(marked), node_xy, crs, source, epsg, directed=directed)


def _coordinates(nodes: Iterable[tuple[Any, Attributes]], source: str) -> tuple[dict[Any, int], Floats]:
    number: dict[Any, int] = {}
    xy: list[tuple[float, float]] = []
    faults: list[Fault] = []
    mend = "Write the graph anew with osmnx."
    for node, attributes in nodes:
        pair = ("x", "y") if "x" in attributes or "lon" not in attributes else ("lon", "lat")
        x, y = (_number(attributes.get(key)) for key in pair)
        if not (math.isfinite(x) and math.isfinite(y)):
            faults.append(Fault(source, f"node {node}", "no number as x and y", "its coordinates", mend))
        if node in number:
            faults.append(Fault(source, f"node {node}", "two nodes of that number", "one", mend))
        number[node] = len(xy)
        xy.append((x, y))
    raise_first(faults)
    return number, np.array(xy, float).reshape(-1, 2)


class _EdgeTable:
    """Gathers the values of edges, one entry an edge."""

    def __init__(self, source: str, number: Mapping[Any, int]) -> None:
        self._source, self._number = source, number
        self.faults: list[Fault] = []
        self._tail: list[int] = []
        self._head: list[int] = []
        self._label: list[str] = []
        self._geometry: list[Any] = []
        self._length_m: list[float] = []
        self._road_class: list[int] = []
        self._speed_kmh: list[float] = []
        self._time_s: list[float] = []
        self._one_way: list[bool] = []
        self._name: list[str] = []
        self._left_out: list[bool] = []
        self._notes = Notes()

    def add(self, u: Any, v: Any, attributes: Attributes) -> None:
        tail, head, row = self._number.get(u), self._number.get(v), len(self._tail)
        if tail is None or head is None:
            mend = "Write the graph anew with osmnx."
            self.faults.append(
                Fault(self._source, f"edge {u} to {v}", "a node that is not listed", "nodes of the graph", mend)
            )
            return
        highway = _values(attributes.get("highway"))
        classes = [CLASS_OF_HIGHWAY[word] for word in highway if word in CLASS_OF_HIGHWAY]
        if highway and not classes:
            self._notes.add("edges not for cars", "left out", row, highway[0])
        self._left_out.append(bool(highway) and not classes)
        self._tail.append(tail)
        self._head.append(head)
        self._label.append(f"edge {u}-{v}")
        self._geometry.append(attributes.get("geometry"))
        length = attributes.get("length")
        self._length_m.append(_number(length))
        if clean_text(length) and math.isnan(self._length_m[-1]):
            self._notes.add("lengths that are no number", "measured on the line instead", row, clean_text(length)[:20])
        self._road_class.append(min(classes, default=-1))
        self._speed_kmh.append(self._speed(row, attributes))
        self._time_s.append(_number(attributes.get("travel_time")))
        self._one_way.append(any(word.lower() in ("true", "yes", "1") for word in _values(attributes.get("oneway"))))
        self._name.append(next(iter(_values(attributes.get("name")) or _values(attributes.get("ref"))), ""))

    def _speed(self, row: int, attributes: Attributes) -> float:
        told = next((values for key in _SPEED_KEYS if (values := _values(attributes.get(key)))), [])
        limits = [kmh for kmh in map(parse_kmh, told) if is_plausible(kmh)]
        if told and not limits:
            number = told[0].replace(".", "", 1).isdigit()
            text = f"{told[0]} km/h" if number else told[0]
            self._notes.add("speed limits not used", "the class decides", row, text)
        return sum(limits) / len(limits) * POSTED_LIMIT_SHARE if limits else math.nan

    def arcs(self, marked: bool) -> Arcs:
        times = np.array(self._time_s)
        geometry = np.empty(len(self._geometry), object)
        geometry[:] = self._geometry
        return Arcs(
            tail=np.array(self._tail, np.int64),
            head=np.array(self._head, np.int64),
            length_m=np.array(self._length_m),
            label=self._label,
            name=self._name,
            road_class=np.array(self._road_class, np.int64),
            speed_kmh=np.array(self._speed_kmh),
            geometry=geometry,
            one_way=np.where(self._one_way, OneWay.FORWARD, OneWay.NO).astype(np.int8) if marked else None,
            given_s={"travel_time": times} if np.isfinite(times).any() else {},
            left_out=np.array(self._left_out, bool),
            notes=self._notes,
        )


_SPEED_KEYS = ("maxspeed", "speed_kph", "speed_kmph")
ATTRIBUTES = frozenset(
    {"x", "y", "lon", "lat", "geometry", "highway", "length", "name", "oneway", "ref", "travel_time", *_SPEED_KEYS}
)
"""Of nodes and edges: what is read; a reader may throw the others away."""


def _values(value: Any) -> list[str]:
    """One or several texts; osmnx joins the tags of merged ways in a list, in a file as the list's Python text."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return [str(value)]
    several = value if isinstance(value, list | tuple | set) else [value]
    return [text for text in map(clean_text, several) if text]


def _number(value: Any) -> float:
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
