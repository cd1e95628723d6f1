"""Road networks as two tables, one of nodes and one of edges."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyproj
import shapely
from numpy.typing import NDArray

from geodata.bundle import given_back
from geodata.crs import LONLAT, parse_declared, project
from geodata.datum import Datum
from geodata.defects import Defect, general
from geodata.errors import Fault, InputError
from geodata.network import Floats, OneWay, Streets
from geodata.readers.arcs import CLASS_UNKNOWN, LENGTH_NO_NUMBER, MEASURED, Arcs, LineLabels, Notes, streets_of_arcs
from geodata.readers.coordinates import placed, raise_first
from geodata.readers.csvtable import CsvTable
from geodata.readers.noding import Index
from geodata.readers.values import CLASS_WORDS, ONE_WAY_WORDS, POSTED_LIMIT_SHARE, is_plausible, parse_kmh

METRES = {"m": 1.0, "km": 1000.0, "mi": 1609.344, "ft": 0.3048}
SECONDS = {"s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0}
"""Units as column names end in them."""
_ID = ("id", "node", "node_id", "nodeid", "osmid", "编号")
_LON, _LAT = ("lon", "lng", "longitude", "经度"), ("lat", "latitude", "纬度")
_X, _Y = ("x", "x_m", "easting", "横坐标"), ("y", "y_m", "northing", "纵坐标")
_START = ("u", "from", "source", "from_node", "start", "start_node", "init_node", "tail", "起点")
_END = ("v", "to", "target", "to_node", "end", "end_node", "term_node", "head", "终点")
_LENGTH = ("length_m", "length", "len_m", "length_km", "length_mi", "length_ft", "distance", "distance_m", "长度")
_CLASS = ("road_class", "class", "highway", "fclass", "道路等级")
_SPEED, _LIMIT = ("speed_kmh",), ("maxspeed", "limit_kmh", "speed_limit", "限速")
_ONE_WAY, _NAME = ("oneway", "one_way", "单向"), ("name", "street", "street_name", "名称", "路名")
_TIME = re.compile(
    r"(?:t|time)_(?P<mode>\w+)_(?:s|sec|min|h)|(?P<kind>\w+)_time(?:_(?:s|sec|min|h))?|time(?:_(?:s|sec|min|h))?"
)
_POINTS_AT_ONCE = 50_000
_WHOLE = "0|[1-9][0-9]{0,17}"
_EDGE_WORDS = re.compile("edges|arcs|links", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeColumns:
    """Which columns of the node table hold what; None: one with a usual name, such as id, lon and lat, or x and y."""

    id: str | None = None
    x: str | None = None
    y: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeColumns:
    """Which columns of the edge table hold what; None: one with a usual name, such as u, v and length_m, if there is
    one. What the name of a column of lengths or times ends in is its unit: `_m`, `_km`, `_mi`, `_ft`; `_s`, `_min`,
    `_h`; metres and seconds are assumed where it has no such end."""

    start: str | None = None
    end: str | None = None
    length: str | None = None
    road_class: str | None = None
    """Words as in `CLASS_WORDS`."""
    speed_kmh: str | None = None
    """Driving speeds."""
    limit_kmh: str | None = None
    """Posted limits; they become driving speeds by `POSTED_LIMIT_SHARE`."""
    one_way: str | None = None
    """Values as in `ONE_WAY_WORDS`, for tables where one row is a whole street."""
    name: str | None = None
    times: Mapping[str, str] | None = None
    """Columns of times by the names that they shall have; None: those called such as `t_siren_s`, `free_flow_time`."""


def read_tables(
    edges: Path,
    nodes: Path | None = None,
    *,
    columns: EdgeColumns | None = None,
    node_columns: NodeColumns | None = None,
    directed: bool | None = None,
    crs: str | None = None,
    epsg: int | None = None,
) -> tuple[Streets, list[Defect]]:
    """The streets of a table of nodes and one of edges, CSV as `.csv` or `.csv.gz`, in UTF-8 or GB18030. Streets are
    straight from node to node.

    `nodes` lies beside the edges under the same name with "nodes" in it where none is named. `directed`: each row is
    one direction; opposite rows of one length are one two-way street, with the times of both. Not: each is a whole
    street. None: as the rows look, which is told. lon and lat are EPSG:4326 unless `crs` declares another CRS or a
    datum; x and y need a `crs`.

    Raises:
        InputError: a missing file or column, no CRS, rows of the wrong length, nodes without a place or with one id at
            two places, or no edge between nodes.
    """
    columns, node_columns = columns or EdgeColumns(), node_columns or NodeColumns()
    nodes = nodes or _beside(edges)
    with given_back():
        return _read(edges, nodes, columns, node_columns, directed, crs, epsg)


def _read(
    edges: Path,
    nodes: Path,
    columns: EdgeColumns,
    node_columns: NodeColumns,
    directed: bool | None,
    crs: str | None,
    epsg: int | None,
) -> tuple[Streets, list[Defect]]:
    ids, node_xy, known_crs, twice = _read_nodes(nodes, node_columns, crs)
    table = CsvTable.read(edges, "a CSV of edges")
    start, end = (
        table.required(named, usual, what)
        for named, usual, what in (
            (columns.start, _START, "the node where an edge begins"),
            (columns.end, _END, "the node where it ends"),
        )
    )
    ends = np.column_stack([ids.find(_names(table.texts(column))) for column in (start, end)])
    del ids
    between = np.asarray((ends >= 0).all(axis=1))
    if not between.any():
        found = f"nodes such as {table.texts(start).iloc[0]!r}, none of them in {nodes}"
        mend = "Check that both files belong together."
        raise InputError(Fault(str(edges), f"columns {start}, {end}", found, "the ids of nodes", mend))
    told = _Values(table.rows(between), columns)
    arcs = told.arcs(ends[between])
    left_out, ends, assumed = table.rows(~between), ends[~between], told.assumed
    # the texts take more memory than the streets made of them
    del table, told
    streets, defects = streets_of_arcs(arcs, node_xy, known_crs, str(edges), epsg, directed=directed)
    unknown = _unknown_ends(left_out, (start, end), ends, node_xy, known_crs, streets.epsg)
    listed = Defect(
        kind="nodes listed again",
        done="the first one stays",
        label=tuple(f"line {line}" for line in twice),
        shapes=np.full(len(twice), None),
        epsg=streets.epsg,
    )
    general_ones = [general(kind, done, streets.epsg) for kind, done in assumed]
    return streets, [defect for defect in (*general_ones, listed, unknown, *defects) if len(defect)]


def _beside(edges: Path) -> Path:
    """The table of nodes that belongs to one of edges."""
    name = _EDGE_WORDS.sub("nodes", edges.name) if _EDGE_WORDS.search(edges.name) else f"nodes{''.join(edges.suffixes)}"
    plain = name[:-3] if name.endswith(".gz") else name
    candidates = [edges.with_name(name), edges.with_name(plain), edges.with_name(f"{plain}.gz")]
    for path in candidates:
        if path.is_file() and path != edges:
            return path
    mend = "Name the file of nodes, or put it beside the edges under that name."
    raise InputError(Fault(str(edges), "", "no table of nodes beside it", f"a file {plain}", mend))


def _names(texts: pd.Series[str]) -> pd.Series[str]:
    """Ids as text; 17.0 is what a spreadsheet makes of 17."""
    return texts.str.strip().str.replace(r"\.0+$", "", regex=True)


@dataclass(frozen=True, slots=True)
class _Ids:
    """Ids of nodes, to be found by their texts; whole numbers, as most ids are, take a fraction of the memory."""

    keys: pd.Index[Any]
    """int64 or text"""

    @classmethod
    def of(cls, texts: pd.Series[str]) -> _Ids:
        return cls(pd.Index(_whole(texts)) if texts.str.fullmatch(_WHOLE).all() else pd.Index(texts))

    def find(self, texts: pd.Series[str]) -> Index:
        """The row of each, -1 where there is none."""
        if self.keys.dtype != np.int64:
            return np.asarray(self.keys.get_indexer(pd.Index(texts)), np.int64)
        whole = texts.str.fullmatch(_WHOLE).to_numpy(bool)
        wanted = np.full(len(texts), -1)
        wanted[whole] = _whole(texts[whole])
        known = self.keys.to_numpy()
        order = np.argsort(known)
        row = order[np.searchsorted(known, wanted, sorter=order).clip(max=len(known) - 1)]
        return np.where(known[row] == wanted, row, -1)


def _whole(texts: pd.Series[str]) -> Index:
    return np.asarray(pa.chunked_array(pa.array(texts)).cast(pa.int64()).to_numpy(), np.int64)


def _read_nodes(path: Path, columns: NodeColumns, crs: str | None) -> tuple[_Ids, Floats, pyproj.CRS, list[int]]:
    """Ids, (n, 2) coordinates and their CRS, and the lines of nodes that were listed before at the same place."""
    source = str(path)
    declared = None if crs is None else parse_declared(crs, source)
    table = CsvTable.read(path, "a CSV of nodes")
    lonlat = [table.find(columns.x, _LON), table.find(columns.y, _LAT)]
    xy = [table.find(columns.x, _X), table.find(columns.y, _Y)]
    metres = isinstance(declared, pyproj.CRS) and declared.is_projected
    pair = xy if None in lonlat or (metres and None not in xy) else lonlat
    if None in pair:
        found = ", ".join(table.names)
        raise InputError(Fault(source, "header", found, "columns lon and lat, or x and y", "Name the columns."))
    if declared is None and pair == xy:
        mend = "Declare the CRS of x and y, such as EPSG:4547, or name the columns lon and lat if they are degrees."
        raise InputError(Fault(source, f"columns {pair[0]}, {pair[1]}", "no CRS", "the CRS of the coordinates", mend))
    ids = _names(table.texts(table.required(columns.id, _ID, "the id of a node")))
    numbers = np.column_stack([table.numbers(str(column))[0] for column in pair])
    # points that are not finite are empty to shapely, and would pass
    raise_first(
        Fault(
            source,
            f"line {table.lines[i]}",
            " and ".join(repr(table.texts(str(c)).iloc[i]) for c in pair),
            "two numbers",
            "Fill the coordinates in.",
        )
        for i in np.flatnonzero(~np.isfinite(numbers).all(axis=1)).tolist()
    )
    place, found_crs = _placed(numbers, declared or pyproj.CRS(LONLAT), table)
    again = np.asarray(_Ids.of(ids).keys.duplicated())
    first = _Ids.of(ids[~again])
    before = first.find(ids[again])
    apart = (place[~again][before] != place[again]).any(axis=1)
    mend = "Give each node an id of its own."
    raise_first(
        Fault(source, f"line {table.lines[i]}", f"the id {ids.iloc[i]!r} again, at another place", "one place", mend)
        for i in np.flatnonzero(again)[apart].tolist()
    )
    return first, place[~again], found_crs, table.lines[again].tolist()


def _placed(xy: Floats, declared: pyproj.CRS | Datum, table: CsvTable) -> tuple[Floats, pyproj.CRS]:
    """Coordinates that were checked, out of their datum, and their CRS."""
    done = []
    for start in range(0, len(xy), _POINTS_AT_ONCE):
        part = gpd.GeoDataFrame(geometry=gpd.points_from_xy(*xy[start : start + _POINTS_AT_ONCE].T))
        lines = table.lines[start : start + _POINTS_AT_ONCE]
        part = placed(part, declared, table.source, lambda i, lines=lines: f"line {lines[i]}")  # type: ignore[misc]
        done.append(shapely.get_coordinates(np.asarray(part.geometry.array, object)))
    return np.concatenate(done), part.crs


def _unknown_ends(
    table: CsvTable, names: tuple[str, str], ends: Index, node_xy: Floats, crs: pyproj.CRS, epsg: int
) -> Defect:
    """Edges of which an end is no node, each where its other end is."""
    texts = [table.texts(name).to_numpy() for name in names]
    shapes = np.full(len(ends), None)
    known = ends.max(axis=1)
    at = known >= 0
    if at.any():
        shapes[at] = shapely.points(project(node_xy[known[at]], crs, epsg))
    missing = np.where(ends[:, 0] < 0, *texts)
    return Defect(
        kind="edges to nodes that are not listed",
        done="left out",
        label=tuple(f"line {line} (node {node!r})" for line, node in zip(table.lines.tolist(), missing, strict=True)),
        shapes=shapes,
        epsg=epsg,
    )


class _Values:
    """What the columns of an edge table say, and what had to be assumed of them."""

    def __init__(self, table: CsvTable, columns: EdgeColumns) -> None:
        self._table, self._columns = table, columns
        self._notes = Notes()
        self.assumed: list[tuple[str, str]] = []

    def arcs(self, ends: Index) -> Arcs:
        table, columns = self._table, self._columns
        return Arcs(
            tail=ends[:, 0],
            head=ends[:, 1],
            length_m=self._lengths(table.find(columns.length, _LENGTH)),
            label=LineLabels(table.lines),
            name=self._names(table.find(columns.name, _NAME)),
            road_class=self._words(
                table.find(columns.road_class, _CLASS), CLASS_WORDS, -1, (CLASS_UNKNOWN, "taken as local")
            ),
            speed_kmh=self._speeds(),
            one_way=self._one_way(table.find(columns.one_way, _ONE_WAY)),
            given_s=self._times(),
            notes=self._notes,
        )

    def _names(self, column: str | None) -> list[str]:
        if column is None:
            return [""] * len(self._table)
        once: dict[str, str] = {}
        return [once.setdefault(name, name) for name in self._table.texts(column).str.strip().tolist()]

    def _numbers(self, column: str, units: Mapping[str, float], kind: str, done: str, unit: str) -> Floats:
        """Values in SI units, NaN where there is none; what is no number is noted."""
        values, odd = self._table.numbers(column)
        texts = self._table.texts(column)
        self._notes.add_all(kind, done, odd, [text[:20] for text in texts.iloc[odd]])
        end = column.lower().rpartition("_")[2]
        if end not in units or end == column.lower():
            self.assumed.append((f"column {column!r} that names no unit", f"taken in {unit}"))
        return values * units.get(end, 1.0)

    def _lengths(self, column: str | None) -> Floats:
        if column is None:
            return np.full(len(self._table), np.nan)
        return self._numbers(column, METRES, LENGTH_NO_NUMBER, MEASURED, "metres")

    def _times(self) -> dict[str, Floats]:
        chosen = self._columns.times
        if chosen is None:
            usual = {name: _TIME.fullmatch(name.lower()) for name in self._table.names}
            chosen = {match["mode"] or match["kind"] or "time": name for name, match in usual.items() if match}
        done = "not used: the class decides there"
        return {
            mode: self._numbers(
                self._table.required(column, (), "times"),
                SECONDS,
                f"times {mode!r} that are no number",
                done,
                "seconds",
            )
            for mode, column in chosen.items()
        }

    def _words(
        self, column: str | None, known: Mapping[str, int], default: int, note: tuple[str, str]
    ) -> NDArray[np.int64]:
        texts = self._table.texts(column).str.strip()
        value = {text: known.get(text.lower(), default) for text in texts.unique()}
        odd = np.flatnonzero(
            texts.map({text: bool(text) and text.lower() not in known for text in value}).to_numpy(bool)
        )
        self._notes.add_all(*note, odd, texts.iloc[odd])
        return texts.map(value).to_numpy(np.int64)

    def _one_way(self, column: str | None) -> NDArray[np.int8] | None:
        if column is None:
            return None
        note = "one-way marks that are not understood", "taken as both ways"
        return self._words(column, ONE_WAY_WORDS, OneWay.NO, note).astype(np.int8)

    def _speeds(self) -> Floats:
        table, columns = self._table, self._columns
        own, posted = (
            self._kmh(table.find(named, usual))
            for named, usual in ((columns.speed_kmh, _SPEED), (columns.limit_kmh, _LIMIT))
        )
        return np.where(np.isnan(own), posted * POSTED_LIMIT_SHARE, own)

    def _kmh(self, column: str | None) -> Floats:
        if column is None:
            return np.full(len(self._table), np.nan)
        texts = self._table.texts(column).str.strip()
        kmh = {text: value if is_plausible(value := parse_kmh(text)) else np.nan for text in texts.unique()}
        odd = np.flatnonzero(texts.map({text: bool(text) and np.isnan(kmh[text]) for text in kmh}).to_numpy(bool))
        self._notes.add_all("speeds not used", "the class decides", odd, [f"{text} km/h" for text in texts.iloc[odd]])
        return texts.map(kmh).to_numpy(np.float64)
