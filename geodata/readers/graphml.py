"""Road graphs as osmnx writes them to GraphML."""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import shapely
from numpy.typing import NDArray

from geodata.crs import LONLAT, choose_epsg, parse_crs, project
from geodata.errors import Fault, InputError
from geodata.network import Floats, OneWay, RoadClass, Streets
from geodata.readers.noding import Index, as_lines
from geodata.readers.values import (
    CLASS_OF_HIGHWAY,
    POSTED_LIMIT_SHARE,
    clean_text,
    count_words,
    is_plausible,
    parse_kmh,
)

CLASS_WITHOUT_ANY = RoadClass.COLLECTOR
"""Of every street where the source knows no class at all. Assumed."""
SHORTEST_SHARE = 0.98
"""A length below this share of its own line is an error; map lengths differ from ground lengths by less. Assumed."""
_MEND = "Write the graph with osmnx.save_graphml."

Attributes = Mapping[str, Any]


def read_graphml(path: Path, *, epsg: int | None = None) -> tuple[Streets, list[str]]:
    """The streets of an osmnx graph. Opposite edges along one line are one two-way street, all others one-way.

    Posted limits (`maxspeed`, or `speed_kph` where it is missing) become driving speeds by `POSTED_LIMIT_SHARE`.

    Raises:
        InputError: no such file, no GraphML, no CRS, nodes without coordinates, or no edge that can be driven.
    """
    source = str(path)
    if not path.is_file():
        raise InputError(Fault(source, "", "no such file", "an osmnx GraphML file", "Check the path."))
    try:
        graph = _Graph.parse(path)
    except ElementTree.ParseError as error:
        raise InputError(Fault(source, "", f"no XML ({error})", "an osmnx GraphML file", _MEND)) from error
    if "crs" not in graph.attributes:
        raise InputError(Fault(source, "graph", "no `crs` entry", "the CRS of the nodes, such as EPSG:4326", _MEND))
    streets, remarks = streets_of_graph(
        graph.attributes["crs"], graph.nodes, graph.edges, source, epsg, directed=graph.directed
    )
    if not graph.directed:
        remarks.append("the graph is undirected: every street is taken as two-way")
    return streets, remarks


@dataclass(slots=True)
class _Graph:
    attributes: dict[str, str] = field(default_factory=dict)
    directed: bool = True
    nodes: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    edges: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @classmethod
    def parse(cls, path: Path) -> _Graph:
        """Stream the file; nothing but the values is kept."""
        graph = cls()
        names: dict[str, str] = {}
        values: dict[str, str] = {}
        for event, element in ElementTree.iterparse(path, events=("start", "end")):
            tag, get = element.tag.rpartition("}")[2], element.attrib
            if event == "start":
                if tag == "key":
                    names[get["id"]] = get.get("attr.name", get["id"])
                elif tag == "graph":
                    graph.directed = get.get("edgedefault") != "undirected"
                elif tag in ("node", "edge"):
                    graph.attributes |= values
                    values = {}
                continue
            if tag == "data":
                values[names.get(get["key"], get["key"])] = element.text or ""
            elif tag == "node":
                graph.nodes.append((get["id"], values))
                values = {}
            elif tag == "edge":
                graph.edges.append((get["source"], get["target"], values))
                values = {}
            element.clear()
        graph.attributes |= values
        return graph


def streets_of_graph(
    crs: Any,
    nodes: Iterable[tuple[Any, Attributes]],
    edges: Iterable[tuple[Any, Any, Attributes]],
    source: str,
    epsg: int | None = None,
    *,
    directed: bool = True,
) -> tuple[Streets, list[str]]:
    """Streets of an osmnx graph given as nodes (id, attributes) and edges (from, to, attributes), whose values may
    be the typed ones of osmnx or their texts."""
    number, node_xy = _coordinates(nodes, source)
    table = _EdgeTable()
    for u, v, attributes in edges:
        if u not in number or v not in number:
            raise InputError(
                Fault(source, f"edge {u} to {v}", "a node that is not listed", "nodes of the graph", _MEND)
            )
        table.add(number[u], number[v], attributes)
    if not table.tail:
        raise InputError(Fault(source, "", "no edge that a car may use", "a graph of drivable roads", _MEND))
    known_crs = parse_crs(crs if isinstance(crs, str | int) else crs.to_wkt(), source)
    lonlat = project(node_xy, known_crs, LONLAT)
    epsg = choose_epsg(lonlat, epsg, source)

    tail, head = np.array(table.tail), np.array(table.head)
    try:
        lines = _lines(table.geometry, node_xy[tail], node_xy[head])
    except shapely.errors.GEOSException as error:
        raise InputError(Fault(source, "edge geometry", str(error), "lines as WKT", _MEND)) from error
    xy, first = _oriented(lines, node_xy[tail], node_xy[head])
    xy = project(xy, known_crs, epsg)
    street, one_way = _merge_opposite(tail, head, xy, first)
    if not directed:
        one_way[:] = OneWay.NO
    taken_first = np.concatenate([[0], np.cumsum(np.diff(first)[street])])
    measured = shapely.length(as_lines(xy, first))
    given = np.array(table.length_m)
    wrong = given < SHORTEST_SHARE * measured
    length_m = np.where(np.isfinite(given) & ~wrong, given, measured)
    no_class = all(c < 0 for c in table.road_class)
    road_class = np.array(table.road_class)
    road_class[road_class < 0] = CLASS_WITHOUT_ANY if no_class else RoadClass.LOCAL
    streets = Streets(
        epsg=epsg,
        start=tail[street],
        end=head[street],
        one_way=one_way,
        road_class=road_class[street].astype(np.uint8),
        speed_kmh=np.array(table.speed_kmh)[street],
        name=[table.name[i] for i in street],
        shape_first=taken_first,
        shape_xy_m=np.concatenate([xy[first[i] : first[i + 1]] for i in street]),
        length_m=length_m[street],
    )
    return streets, table.remarks(no_class, int(wrong.sum()))


def _coordinates(nodes: Iterable[tuple[Any, Attributes]], source: str) -> tuple[dict[Any, int], Floats]:
    number: dict[Any, int] = {}
    xy: list[tuple[float, float]] = []
    for node, attributes in nodes:
        try:
            xy.append((float(attributes["x"]), float(attributes["y"])))
        except (KeyError, ValueError) as error:
            found = "no number as x and y"
            raise InputError(Fault(source, f"node {node}", found, "its coordinates", _MEND)) from error
        number[node] = len(number)
    return number, np.array(xy, float).reshape(-1, 2)


@dataclass(slots=True)
class _EdgeTable:
    tail: list[int] = field(default_factory=list)
    head: list[int] = field(default_factory=list)
    geometry: list[Any] = field(default_factory=list)
    length_m: list[float] = field(default_factory=list)
    road_class: list[int] = field(default_factory=list)
    speed_kmh: list[float] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    not_drivable: Counter[str] = field(default_factory=Counter)
    odd_speed: Counter[str] = field(default_factory=Counter)

    def add(self, tail: int, head: int, attributes: Attributes) -> None:
        highway = _values(attributes.get("highway"))
        classes = [CLASS_OF_HIGHWAY[word] for word in highway if word in CLASS_OF_HIGHWAY]
        if highway and not classes:
            self.not_drivable[highway[0]] += 1
            return
        self.tail.append(tail)
        self.head.append(head)
        self.geometry.append(attributes.get("geometry"))
        self.length_m.append(_number(attributes.get("length")))
        self.road_class.append(min(classes, default=-1))
        self.speed_kmh.append(self._speed_kmh(attributes))
        self.name.append(next(iter(_values(attributes.get("name")) or _values(attributes.get("ref"))), ""))

    def _speed_kmh(self, attributes: Attributes) -> float:
        posted = _values(attributes.get("maxspeed")) or _values(attributes.get("speed_kph"))
        limits = [kmh for kmh in map(parse_kmh, posted) if is_plausible(kmh)]
        if posted and not limits:
            self.odd_speed[posted[0]] += 1
        return sum(limits) / len(limits) * POSTED_LIMIT_SHARE if limits else math.nan

    def remarks(self, no_class: bool, wrong_lengths: int) -> list[str]:
        remarks = []
        if self.not_drivable:
            remarks.append(
                f"{self.not_drivable.total():,} edges not for cars left out: {count_words(self.not_drivable)}"
            )
        if no_class:
            remarks.append(f"no street has a class: all are taken as {CLASS_WITHOUT_ANY.name.lower()}")
        if self.odd_speed:
            remarks.append(
                f"{self.odd_speed.total():,} speed limits not used, the class decides: {count_words(self.odd_speed)}"
            )
        if wrong_lengths:
            remarks.append(f"{wrong_lengths:,} edges are shorter than their own line: measured on the line instead")
        return remarks


def _values(value: Any) -> list[str]:
    """One or several texts; osmnx joins the tags of merged ways in a list, in a file as the list's Python text."""
    if isinstance(value, str) and value.startswith("["):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return [value]
    several = value if isinstance(value, list | tuple | set) else [value]
    return [text for text in map(clean_text, several) if text]


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if number > 0 else math.nan


def _lines(geometry: list[Any], tail_xy: Floats, head_xy: Floats) -> NDArray[np.object_]:
    """(m,) each edge's own line, or the straight one between its nodes."""
    straight = np.asarray(shapely.linestrings(np.stack([tail_xy, head_xy], axis=1)), object)
    own = np.array([shapely.from_wkt(g) if isinstance(g, str) and g else g or None for g in geometry], object)
    return np.where(shapely.get_type_id(own) == shapely.GeometryType.LINESTRING, own, straight)


def _oriented(lines: NDArray[np.object_], tail_xy: Floats, head_xy: Floats) -> tuple[Floats, Index]:
    """The coordinates of all lines, each from its edge's tail to its head, and where each begins."""
    starts, ends = (shapely.get_coordinates(shapely.get_point(lines, i)) for i in (0, -1))

    def apart(a: Floats, b: Floats) -> Floats:
        return np.asarray(np.hypot(*(a - b).T))

    turned = apart(starts, tail_xy) + apart(ends, head_xy) > apart(starts, head_xy) + apart(ends, tail_xy)
    lines = np.where(turned, np.asarray(shapely.reverse(lines), object), lines)
    return shapely.get_coordinates(lines), np.concatenate([[0], np.cumsum(shapely.get_num_coordinates(lines))])


def _merge_opposite(tail: Index, head: Index, xy: Floats, first: Index) -> tuple[Index, NDArray[np.int8]]:
    """The edges to keep as streets, and their one-way marks. Edges along one line, to 0.1 m, are one street."""
    decimetres = np.round(xy * 10).astype(np.int64)
    streets: dict[tuple[int, int, bytes], list[int]] = {}
    for edge, (a, b) in enumerate(zip(tail.tolist(), head.tolist(), strict=True)):
        shape = decimetres[first[edge] : first[edge + 1]]
        forward, backward = shape.tobytes(), shape[::-1].tobytes()
        against = a > b or (a == b and forward > backward)
        low, high, line = (b, a, backward) if against else (a, b, forward)
        both = streets.setdefault((low, high, line), [-1, -1])
        if both[against] < 0:
            both[against] = edge
        if a == b and forward == backward:
            both[:] = [edge, edge]
    edges = np.array(list(streets.values()))
    two_way = (edges >= 0).all(axis=1)
    one_way = np.where(two_way, OneWay.NO, OneWay.FORWARD).astype(np.int8)
    return np.where(edges[:, 0] >= 0, edges[:, 0], edges[:, 1]), one_way
