"""Road graphs given as nodes and edges with attributes, as osmnx names them."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyproj

from geodata.defects import Defect
from geodata.errors import Fault
from geodata.network import Floats, OneWay, Streets
from geodata.readers.arcs import LENGTH_NO_NUMBER, MEASURED, Arcs, Notes, streets_of_arcs
from geodata.readers.coordinates import raise_first
from geodata.readers.values import CLASS_OF_HIGHWAY, POSTED_LIMIT_SHARE, clean_text, is_plausible, parse_kmh

Attributes = Mapping[str, Any]
_SPEED_KEYS = ("maxspeed", "speed_kph", "speed_kmph")
ATTRIBUTES = frozenset(
    {"x", "y", "lon", "lat", "geometry", "highway", "length", "name", "oneway", "ref", "travel_time", *_SPEED_KEYS}
)
"""Of nodes and edges: what is read; a reader may throw the others away."""


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
            self._notes.add(LENGTH_NO_NUMBER, MEASURED, row, clean_text(length)[:20])
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
