"""Roads from any line layer that GDAL or Arrow reads: GPKG, Shapefile, GeoJSON, FlatGeobuf, GeoParquet and others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from geodata.crs import choose_epsg
from geodata.defects import Defect, general
from geodata.errors import Fault, InputError
from geodata.network import Bools, Floats, OneWay, RoadClass, Streets
from geodata.readers.graphml import CLASS_WITHOUT_ANY
from geodata.readers.noding import (
    AS_BRIDGES,
    Index,
    as_lines,
    crossing_defect,
    crossings,
    cut_at_junctions,
    insert_vertices,
    near_misses,
)
from geodata.readers.values import (
    CLASS_WORDS,
    ONE_WAY_WORDS,
    POSTED_LIMIT_SHARE,
    clean_text,
    count_words,
    is_plausible,
    parse_kmh,
    parse_level,
)
from geodata.readers.vector import LINES, find_column, open_layer, to_lonlat, to_projected

MEET_M = 0.1
"""An end of a line this near to another line meets it. Assumed: drawing tools snap to the millimetre."""
_SAME_M = 0.001
"""The same point written twice, rounded differently on its way through a projection."""

_AS_BRIDGES = f"{AS_BRIDGES}: if they are junctions, build again with --node-crossings"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineColumns:
    """Which columns of a road layer hold what; None: it is not known."""

    road_class: str | None = None
    """Values as in `CLASS_WORDS`."""
    speed_kmh: str | None = None
    """Off-peak driving speed."""
    limit_kmh: str | None = None
    """Posted limit; becomes a driving speed by `POSTED_LIMIT_SHARE` where `speed_kmh` has none."""
    one_way: str | None = None
    """Values as in `ONE_WAY_WORDS`, in the sense in which the line is drawn."""
    name: str | None = None
    level: str | None = None
    """A number: lines of different levels pass over one another."""
    bridge: str | None = None
    """Level 1 where it holds anything but "no" and the like, and no level is told."""
    tunnel: str | None = None
    """Level -1, likewise."""


def read_lines(
    path: Path,
    layer: str | None = None,
    columns: LineColumns | None = None,
    *,
    epsg: int | None = None,
    crs: str | None = None,
    node_crossings: bool = False,
    meet_m: float = MEET_M,
) -> tuple[Streets, list[Defect]]:
    """The streets of a line layer, and what was left out, joined or not understood.

    Lines are cut where an end of another one meets them (within `meet_m`) and where they share a vertex. Lines of one
    level that cross without either are taken for a bridge, or become junctions with `node_crossings`. A class that is
    not understood counts as local; without any class all streets are collectors. `crs` declares the CRS of a file
    that tells none.

    Raises:
        InputError: the layer cannot be opened (see `open_layer`), a named column is missing, it holds no lines, or
            `meet_m` is no distance.
    """
    source, columns = str(path), columns or LineColumns()
    if not 0 <= meet_m < np.inf:
        mend = f"Give metres, such as {MEET_M:g}."
        raise InputError(Fault(source, "meet_m", f"{meet_m:g}", "a distance of 0 m or more", mend))
    table = open_layer(path, LINES, layer=layer, crs=crs)
    used = _Values.of(table, columns, source)
    shapes = np.asarray(table.geometry.array, object)
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    lines = ~empty & np.isin(shapely.get_type_id(shapes), (1, 2, 5))
    if not lines.any():
        kinds = count_words(Counter(table.geometry[~empty].geom_type)) or "only empty geometry"
        raise InputError(Fault(source, layer or "", kinds, "lines", "Name the layer that holds the road centre lines."))
    epsg = choose_epsg(to_lonlat(table[lines])[0], epsg, source)
    shapes = np.asarray(to_projected(table, epsg).geometry.array, object)
    xy, row = shapely.get_coordinates(shapes, return_index=True)
    far = np.zeros(len(table), bool)
    far[row[~np.isfinite(xy).all(axis=1)]] = True
    shapes[far] = None
    lines &= ~far

    def told(kind: str, done: str, wrong: Bools) -> Defect:
        row = np.flatnonzero(wrong)
        shown = shapes[row]
        shown[shapely.is_empty(shown)] = None
        return Defect(kind=kind, done=done, label=_features(row), shapes=shown, epsg=epsg)

    pieces, joined = _cut(shapes[lines], np.flatnonzero(lines), meet_m)
    if not len(pieces.feature):
        raise InputError(Fault(source, layer or "", "lines without length", "road centre lines", "Check the layer."))
    cut_short = lines.copy()
    cut_short[pieces.feature] = False
    level = used.level[pieces.feature]
    crossed = crossings(*pieces.ends, pieces.xy, pieces.first, level, max(meet_m, _SAME_M))
    done = "made junctions" if node_crossings else _AS_BRIDGES
    crossing = crossing_defect(_features(pieces.feature), crossed, done, epsg)
    if node_crossings and len(crossing):
        one, other, point = crossed
        pieces = pieces.noded(np.concatenate([one, other]), np.concatenate([point, point]))
    self_crossing = np.zeros(len(table), bool)
    self_crossing[pieces.feature[~shapely.is_simple(as_lines(pieces.xy, pieces.first))]] = True
    feature = pieces.feature
    start, end = pieces.ends
    streets = Streets(
        epsg=epsg,
        start=start,
        end=end,
        one_way=used.one_way[feature],
        road_class=used.road_class[feature],
        speed_kmh=used.speed_kmh[feature],
        name=used.name[feature].tolist(),
        shape_first=pieces.first,
        shape_xy_m=pieces.xy,
        label=_features(feature),
    )
    defects = [
        told("features without geometry", "left out", empty),
        told("features too far away to be drawn on one map with the others", "left out", far),
        told("features that are no lines", "left out", ~lines & ~empty & ~far),
        told("lines without length", "left out", cut_short),
        *(told(kind, done, lines & wrong) for kind, done, wrong in used.odd),
        Defect(
            kind=f"ends of lines within {meet_m:g} m of another line",
            done="joined",
            label=_features(joined.feature),
            shapes=np.asarray(shapely.points(joined.point), object),
            epsg=epsg,
        ),
        crossing,
        replace(told("lines that cross themselves", AS_BRIDGES, self_crossing), stays=True),
        near_misses(streets),
    ]
    if used.without_class:
        defects.insert(0, general("no class column named", f"all streets are taken as {used.without_class}", epsg))
    return streets, [defect for defect in defects if len(defect)]


def _features(row: Index) -> tuple[str, ...]:
    return tuple(f"feature {i + 1}" for i in row.tolist())


class _Joined(NamedTuple):
    """Ends that were joined to a line that they did not meet exactly: the feature (j,) and the place (j, 2)."""

    feature: Index
    point: Floats


class _Pieces(NamedTuple):
    """Lines cut at junctions, s of them with p points."""

    vertex: Index
    """(p,) a number for each point, equal ones being one place."""
    first: Index
    """(s + 1,)"""
    xy: Floats
    """(p, 2)"""
    feature: Index
    """(s,) the row of the table that each comes from."""

    @property
    def ends(self) -> tuple[Index, Index]:
        """(s,) vertices where each begins and ends."""
        return self.vertex[self.first[:-1]], self.vertex[self.first[1:] - 1]

    @classmethod
    def of(cls, vertex: Index, xy: Floats, first: Index, feature: Index) -> _Pieces:
        piece_first, entry, line = cut_at_junctions(vertex, first)
        return cls(vertex[entry], piece_first, xy[entry], feature[line])

    def noded(self, piece: Index, point: Floats) -> _Pieces:
        """With a junction at each point (k, 2) of a piece (k,)."""
        xy, first = insert_vertices(self.xy, self.first, piece, point)
        place, example = _places(xy)
        return _Pieces.of(place, xy[example][place], first, self.feature)


def _cut(shapes: NDArray[np.object_], feature: Index, meet_m: float) -> tuple[_Pieces, _Joined]:
    """Lines cut where they meet; `feature` names the rows of the shapes."""
    parts, row = shapely.get_parts(shapes, return_index=True)
    feature = feature[row]
    xy = shapely.get_coordinates(parts)
    first = np.concatenate([[0], np.cumsum(shapely.get_num_coordinates(parts))])
    xy, first, end, point = _insert_ends(xy, first, meet_m)
    vertex, moved, leader = _name_vertices(xy, first, meet_m)
    line_of = np.repeat(np.arange(len(first) - 1), np.diff(first))
    near = pd.DataFrame({"vertex": vertex[moved], "line": line_of[moved]}).drop_duplicates()
    several = near["vertex"].duplicated()
    joined = _Joined(
        np.concatenate([feature[end], feature[near.loc[several, "line"]]]),
        np.concatenate([point, xy[leader][near.loc[several, "vertex"]]]),
    )
    return _Pieces.of(vertex, xy[leader][vertex], first, feature), joined


def _places(xy: Floats) -> tuple[Index, Index]:
    """A number for each point, one number for one place, and a point that lies there for each number."""
    _, example, place = np.unique(
        np.round(xy / _SAME_M).astype(np.int64), axis=0, return_index=True, return_inverse=True
    )
    return place.reshape(-1).astype(np.int64), example


def _name_vertices(xy: Floats, first: Index, meet_m: float) -> tuple[Index, Bools, Index]:
    """A number for each vertex, one number for one place, ends being one with what is within `meet_m`; which vertices
    are one with others that lie apart; and for each number the vertex that tells its place."""
    place, example = _places(xy)
    spot = xy[example]
    ends = np.unique(place[np.concatenate([first[:-1], first[1:] - 1])])
    pairs = KDTree(spot[ends]).sparse_distance_matrix(KDTree(spot), meet_m, output_type="coo_matrix")
    joined = coo_array((np.ones(pairs.nnz), (ends[pairs.row], pairs.col)), shape=(len(spot),) * 2)
    _, group = connected_components(joined, directed=False)
    _, leader, count = np.unique(group, return_index=True, return_counts=True)
    vertex = group[place].astype(np.int64)
    return vertex, (count > 1)[vertex], example[leader]


def _insert_ends(xy: Floats, first: Index, meet_m: float) -> tuple[Floats, Index, Index, Floats]:
    """Where a line ends on another one between two of its vertices, that one gets a vertex. Also the lines (j,) that
    end beside another one rather than on it, and where (j, 2)."""
    line_of = np.repeat(np.arange(len(first) - 1), np.diff(first))
    lines = as_lines(xy, first)
    ends = np.unique(np.concatenate([first[:-1], first[1:] - 1]))
    points = shapely.points(xy[ends])
    end, line = shapely.STRtree(lines).query(points, predicate="dwithin", distance=meet_m)
    apart = line_of[ends[end]] != line
    end, line = end[apart], line[apart]
    vertices = np.asarray(shapely.multipoints(xy, indices=line_of), object)
    at_vertex = np.asarray(shapely.distance(points[end], vertices[line])) <= meet_m
    end, line = end[~at_vertex], line[~at_vertex]
    beside = end[np.asarray(shapely.distance(points[end], lines[line])) > _SAME_M]
    at = ends[end]
    return *insert_vertices(xy, first, line, xy[at]), line_of[ends[beside]], xy[ends[beside]]


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of the mapped columns, one a feature, and what was not understood."""

    road_class: NDArray[np.uint8]
    one_way: NDArray[np.int8]
    speed_kmh: Floats
    level: Floats
    name: NDArray[np.object_]
    without_class: str
    """What all streets are taken as where no column tells their class; else ""."""
    odd: list[tuple[str, str, Bools]]
    """The kind of fault, what was done, and which features have it."""

    @classmethod
    def of(cls, table: gpd.GeoDataFrame, columns: LineColumns, source: str) -> _Values:
        faults: list[Fault] = []

        def texts(named: str | None) -> list[str]:
            try:
                column = find_column(table, named, (), source)
            except InputError as error:
                faults.extend(error.faults)
                return [""] * len(table)
            return [""] * len(table) if column is None else _texts(table[column])

        classes, speeds, limits = texts(columns.road_class), texts(columns.speed_kmh), texts(columns.limit_kmh)
        directions, names = texts(columns.one_way), texts(columns.name)
        levels, bridges, tunnels = texts(columns.level), texts(columns.bridge), texts(columns.tunnel)
        if faults:
            raise InputError(*faults)
        odd: list[tuple[str, str, Bools]] = []

        def note(kind: str, done: str, values: list[str], wrong: Bools) -> None:
            if wrong.any():
                odd.append((kind, f"{done}: {count_words(Counter(np.array(values, object)[wrong]))}", wrong))

        road_class = np.array([CLASS_WORDS.get(text.lower(), -1) for text in classes])
        unknown = road_class < 0
        default = CLASS_WITHOUT_ANY if unknown.all() else RoadClass.LOCAL
        as_default = f"taken as {default.name.lower()}"
        if columns.road_class is not None:
            empty = unknown & (np.array(classes, object) == "")
            note("streets whose class is missing", as_default, classes, empty)
            note("streets whose class is not understood", as_default, classes, unknown & ~empty)
        turned = np.array([text.lower() not in ONE_WAY_WORDS for text in directions])
        note("one-way marks that are not understood", "taken as both ways", directions, turned)
        own, posted = _numbers(speeds), _numbers(limits) * POSTED_LIMIT_SHARE
        for values, kmh in ((speeds, own), (limits, posted)):
            note("speeds that cannot be used", "the class decides", values, np.isnan(kmh) & (np.array(values) != ""))
        parsed = [parse_level(*told) for told in zip(levels, bridges, tunnels, strict=True)]
        note("levels that are no numbers", "taken as level 0", levels, np.array([not good for _, good in parsed]))
        return cls(
            np.where(unknown, default, road_class).astype(np.uint8),
            np.array([ONE_WAY_WORDS.get(text.lower(), OneWay.NO) for text in directions], np.int8),
            np.where(np.isnan(own), posted, own),
            np.array([level for level, _ in parsed], float),
            np.array(names, object),
            default.name.lower() if columns.road_class is None else "",
            odd,
        )


def _texts(column: pd.Series[Any]) -> list[str]:
    return [clean_text(value) for value in column.tolist()]


def _numbers(texts: list[str]) -> Floats:
    """km/h, NaN where a text is empty or not plausible."""
    kmh = np.array([parse_kmh(text) for text in texts])
    return np.where([is_plausible(value) for value in kmh.tolist()], kmh, np.nan)
