"""Roads from any line layer that GDAL reads: GPKG, Shapefile, GeoJSON, FlatGeobuf and others."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from geodata.crs import choose_epsg
from geodata.errors import Fault, InputError
from geodata.network import Floats, OneWay, RoadClass, Streets
from geodata.readers.graphml import CLASS_WITHOUT_ANY
from geodata.readers.noding import Index, as_lines, cut_at_junctions
from geodata.readers.values import (
    CLASS_WORDS,
    ONE_WAY_WORDS,
    POSTED_LIMIT_SHARE,
    clean_text,
    count_words,
    is_plausible,
    parse_kmh,
)
from geodata.readers.vector import LINES, find_column, open_layer, to_lonlat, to_projected

MEET_M = 0.1
"""An end of a line this near to another line meets it. Assumed: drawing tools snap to the millimetre."""


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


def read_lines(
    path: Path,
    layer: str | None = None,
    columns: LineColumns | None = None,
    *,
    epsg: int | None = None,
    crs: str | None = None,
) -> tuple[Streets, list[str]]:
    """The streets of a line layer, and remarks on what was left out or not understood.

    Lines are cut where an end of another one meets them (within `MEET_M`) and where they share a vertex; lines that
    cross without either are taken for a bridge. A class that is not understood counts as local; without any class
    all streets are collectors. `crs` declares the CRS of a file that tells none.

    Raises:
        InputError: the layer cannot be opened (see `open_layer`), a named column is missing, or it holds no lines.
    """
    source, columns = str(path), columns or LineColumns()
    table = open_layer(path, LINES, layer=layer, crs=crs)
    used = _Values.of(table, columns, source)
    shapes = np.asarray(table.geometry.array, object)
    empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
    lines = ~empty & np.isin(shapely.get_type_id(shapes), (1, 2, 5))
    if not lines.all() and not lines.any():
        kinds = count_words(Counter(table.geometry[~empty].geom_type)) or "only empty geometry"
        raise InputError(Fault(source, layer or "", kinds, "lines", "Name the layer that holds the road centre lines."))
    remarks = []
    if empty.any():
        remarks.append(f"{empty.sum():,} features without geometry were left out")
    if other := (~lines & ~empty).sum():
        remarks.append(f"{other:,} features that are no lines were left out")
    table = table[lines]
    epsg = choose_epsg(to_lonlat(table)[0], epsg, source)
    shapes = np.asarray(to_projected(table, epsg).geometry.array, object)
    parts, feature = shapely.get_parts(shapes, return_index=True)
    feature = np.flatnonzero(lines)[feature]
    xy = shapely.get_coordinates(parts)
    first = np.concatenate([[0], np.cumsum(shapely.get_num_coordinates(parts))])
    vertex, xy, first = _name_vertices(xy, first)
    shape_first, entry, line = cut_at_junctions(vertex, first)
    if not len(line):
        raise InputError(Fault(source, layer or "", "lines without length", "road centre lines", "Check the layer."))
    vertex, feature = vertex[entry], feature[line]
    streets = Streets(
        epsg=epsg,
        start=vertex[shape_first[:-1]],
        end=vertex[shape_first[1:] - 1],
        one_way=used.one_way[feature],
        road_class=used.road_class[feature],
        speed_kmh=used.speed_kmh[feature],
        name=used.name[feature].tolist(),
        shape_first=shape_first,
        shape_xy_m=xy[entry],
    )
    return streets, remarks + used.remarks + _crossing_remark(streets)


def _name_vertices(xy: Floats, first: Index) -> tuple[Index, Floats, Index]:
    """A number for each vertex, one number for one place; ends that lie on another line give it a vertex there."""
    xy, first = _insert_ends(xy, first)
    # a millimetre: the same point written twice, rounded differently on its way through a projection
    _, place = np.unique(np.round(xy, 3), axis=0, return_inverse=True)
    _, example = np.unique(place, return_index=True)
    spot = xy[example]
    ends = np.unique(place[np.concatenate([first[:-1], first[1:] - 1])])
    near = KDTree(spot).query_ball_point(spot[ends], MEET_M)
    many = np.flatnonzero([len(found) > 1 for found in near])
    left = np.repeat(ends[many], [len(near[i]) for i in many])
    right = np.concatenate([near[i] for i in many]) if len(many) else left
    joined = coo_array((np.ones(len(left)), (left, right)), shape=(len(spot),) * 2)
    _, group = connected_components(joined, directed=False)
    _, leader = np.unique(group, return_index=True)
    vertex = group[place].astype(np.int64)
    return vertex, spot[leader][vertex], first


def _insert_ends(xy: Floats, first: Index) -> tuple[Floats, Index]:
    """Where a line ends on another one between two of its vertices, that one gets a vertex."""
    line_of = np.repeat(np.arange(len(first) - 1), np.diff(first))
    lines = as_lines(xy, first)
    ends = np.unique(np.concatenate([first[:-1], first[1:] - 1]))
    points = shapely.points(xy[ends])
    end, line = shapely.STRtree(lines).query(points, predicate="dwithin", distance=MEET_M)
    apart = line_of[ends[end]] != line
    end, line = end[apart], line[apart]
    along = np.asarray(shapely.line_locate_point(lines[line], points[end]))
    vertices = np.asarray(shapely.multipoints(xy, indices=line_of), object)
    at_vertex = np.asarray(shapely.distance(points[end], vertices[line])) <= MEET_M
    line, along, point = line[~at_vertex], along[~at_vertex], xy[ends[end[~at_vertex]]]
    steps = np.hypot(*np.diff(xy, axis=0, prepend=xy[:1]).T)
    steps[first[:-1]] = 0
    total = np.cumsum(steps)
    all_line = np.concatenate([line_of, line])
    all_along = np.concatenate([total - total[first[:-1]][line_of], along])
    order = np.lexsort((all_along, all_line))
    count = np.bincount(all_line, minlength=len(first) - 1)
    return np.concatenate([xy, point])[order], np.concatenate([[0], np.cumsum(count)])


def _crossing_remark(streets: Streets) -> list[str]:
    lines = as_lines(streets.shape_xy_m, streets.shape_first)
    one, other = shapely.STRtree(lines).query(lines)
    ends = np.stack([streets.start, streets.end])
    # streets that meet at an end hardly ever cross as well, and are most of the pairs
    apart = (one < other) & (ends[:, None, one] != ends[None, :, other]).all(axis=(0, 1))
    crossings = np.count_nonzero(shapely.crosses(lines[one[apart]], lines[other[apart]]))
    if not crossings:
        return []
    return [
        f"{crossings:,} crossings without a shared vertex are taken for bridges; "
        "if they are junctions, split the lines there first (QGIS: Split with lines)"
    ]


@dataclass(frozen=True, slots=True)
class _Values:
    """The values of the mapped columns, one a feature, and what was not understood."""

    road_class: NDArray[np.uint8]
    one_way: NDArray[np.int8]
    speed_kmh: Floats
    name: NDArray[np.object_]
    remarks: list[str]

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
        if faults:
            raise InputError(*faults)
        remarks: list[str] = []
        road_class = [CLASS_WORDS.get(text.lower(), -1) for text in classes]
        unknown = Counter(text for text, cls in zip(classes, road_class, strict=True) if cls < 0)
        known = any(cls >= 0 for cls in road_class)
        default = RoadClass.LOCAL if known else CLASS_WITHOUT_ANY
        if columns.road_class is None:
            remarks.append(f"no class column named: all streets are taken as {default.name.lower()}")
        elif unknown:
            counted = count_words(unknown)
            remarks.append(f"{unknown.total():,} classes not understood, taken as {default.name.lower()}: {counted}")
        odd = Counter(text for text in directions if text.lower() not in ONE_WAY_WORDS)
        if odd:
            remarks.append(f"{odd.total():,} one-way marks not understood, taken as both ways: {count_words(odd)}")
        odd_speed: Counter[str] = Counter()
        own, posted = _speeds(speeds, odd_speed), _speeds(limits, odd_speed) * POSTED_LIMIT_SHARE
        if odd_speed:
            counted = count_words(odd_speed)
            remarks.append(f"{odd_speed.total():,} speeds not used, the class decides: {counted}")
        return cls(
            np.array([default if cls < 0 else cls for cls in road_class], np.uint8),
            np.array([ONE_WAY_WORDS.get(text.lower(), OneWay.NO) for text in directions], np.int8),
            np.where(np.isnan(own), posted, own),
            np.array(names, object),
            remarks,
        )


def _texts(column: pd.Series[Any]) -> list[str]:
    return [clean_text(value) for value in column.tolist()]


def _speeds(texts: list[str], odd: Counter[str]) -> Floats:
    """km/h, NaN where a text is empty or not plausible; the latter are counted."""
    kmh = np.array([parse_kmh(text) for text in texts])
    plausible = np.array([is_plausible(value) for value in kmh], bool)
    odd.update(text for text, good in zip(texts, plausible, strict=True) if text and not good)
    return np.where(plausible, kmh, np.nan)
