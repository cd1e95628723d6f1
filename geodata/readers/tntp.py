"""Networks in the TNTP text format of the Transportation Networks collection, with free-flow and congested times.

The format and the meaning of its columns: https://github.com/bstabler/TransportationNetworks, README. The congested
time of a link with a volume is that of the Bureau of Public Roads (1964): t = t0 (1 + b (volume / capacity)^power).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from geodata.crs import parse_crs
from geodata.defects import Defect, general
from geodata.errors import Fault, InputError
from geodata.network import Floats, RoadClass, Streets
from geodata.readers.arcs import CLASS_WITHOUT_ANY, Arcs, Notes, streets_of_arcs
from geodata.readers.coordinates import raise_first
from geodata.readers.noding import Index
from geodata.readers.packed import read_bytes
from geodata.readers.values import is_plausible
from geodata.readers.vector import text_encoding

METRES_PER_MILE = 1609.344
SECONDS_PER_MINUTE = 60.0
FREE_FLOW, CONGESTED = "free_flow", "congested"
_NET = ("init_node", "term_node", "capacity", "length", "free_flow_time", "b", "power", "speed", "toll", "link_type")
_NODES = ("node", "x", "y")
_FLOW = ("from", "to", "volume", "cost")
_META = re.compile(r"^\s*<([^>]+)>(.*)$")
_MEND = "Take the files of the collection as they are."


def read_tntp(
    net: Path,
    nodes: Path | None = None,
    flow: Path | None = None,
    *,
    crs: str | None,
    epsg: int | None = None,
    metres_per_length: float = METRES_PER_MILE,
    seconds_per_time: float = SECONDS_PER_MINUTE,
    class_of_type: Mapping[int, RoadClass] | None = None,
) -> tuple[Streets, list[Defect]]:
    """The streets of a network file `…_net.tntp`, its nodes and, where there are volumes, its flow file; `.gz` or not.
    Files that are not named are looked for beside the network as `…_node.tntp` and `…_flow.tntp`; there must be nodes.

    Times are given as "free_flow" and "congested". Driving speeds are those of the free-flow times. The format tells
    neither units nor CRS: miles and minutes are assumed, and told; `crs` has to be declared. Link types mean nothing in
    common: without `class_of_type` all streets are collectors. Centroid connectors, the links of nodes below FIRST
    THRU NODE, are kept as local streets, and told. Lengths and times are those of the file even where the places of
    nodes, which are often a sketch, lie farther apart.

    Raises:
        InputError: a missing or damaged file, no CRS, fewer links or nodes than the file says, or links between nodes
            that have no place.
    """
    source = str(net)
    table = _Text.read(net, _NET, "a TNTP network file")
    nodes = nodes or _beside(net, "node")
    if nodes is None:
        mend = "Name the file of nodes, or put it beside the network under that name."
        raise InputError(Fault(source, "", "no file of nodes beside it", _sibling(net, "node"), mend))
    flow = flow or _beside(net, "flow")
    if crs is None:
        mend = "Declare it, such as EPSG:26771 (Illinois East, feet) for Chicago."
        raise InputError(Fault(str(nodes), "CRS", "none: TNTP files tell no CRS", "the CRS of the nodes", mend))
    places = _Text.read(nodes, _NODES, "a TNTP node file")
    table.check_count("NUMBER OF LINKS")
    raise_first(_node_faults(places, int(table.meta.get("NUMBER OF NODES", -1))))
    known = pd.Index(places.column("node"))
    ends = np.column_stack([known.get_indexer(pd.Index(table.column(name))) for name in _NET[:2]])
    raise_first(
        Fault(source, table.place(i), f"a node that {nodes.name} does not list", "nodes with a place", _MEND)
        for i in np.flatnonzero((ends < 0).any(axis=1)).tolist()
    )

    notes = Notes()
    length_m = table.column("length") * metres_per_length
    free_s = table.column("free_flow_time") * seconds_per_time
    given = {FREE_FLOW: free_s}
    if flow is not None:
        volume = _volumes(table, _Text.read(flow, _FLOW, "a TNTP flow file"), notes)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            load = volume / table.column("capacity")
            given[CONGESTED] = free_s * (1 + table.column("b") * load ** table.column("power"))
    first_through = float(table.meta.get("FIRST THRU NODE", -1))
    connector = (np.column_stack([table.column(name) for name in _NET[:2]]) < first_through).any(axis=1)
    rows = np.flatnonzero(connector)
    kept = "kept as local streets, although nobody drives through a zone"
    notes.add_all("centroid connectors", kept, rows, [""] * len(rows))
    types = table.column("link_type")
    classes = np.array([(class_of_type or {}).get(int(t) if np.isfinite(t) else -1, -1) for t in types.tolist()])
    classes[(classes < 0) & ~connector] = CLASS_WITHOUT_ANY if class_of_type is None else RoadClass.LOCAL
    classes[connector] = RoadClass.LOCAL
    with np.errstate(divide="ignore", invalid="ignore"):
        kmh = length_m / free_s * 3.6
    arcs = Arcs(
        tail=ends[:, 0],
        head=ends[:, 1],
        length_m=length_m,
        label=[table.place(i) for i in range(len(table))],
        name=[""] * len(table),
        road_class=classes,
        speed_kmh=np.where([is_plausible(value) for value in kmh.tolist()], kmh, np.nan),
        given_s=given,
        schematic=True,
        notes=notes,
    )
    node_xy = np.column_stack([places.column(name) for name in _NODES[1:]])
    streets, defects = streets_of_arcs(arcs, node_xy, parse_crs(crs, source), source, epsg, directed=True)
    units = f"lengths taken in units of {metres_per_length:,g} m, times in units of {seconds_per_time:g} s"
    told = [general("units that the file does not tell", units, streets.epsg)]
    if class_of_type is None:
        done = f"all streets but connectors are taken as {CLASS_WITHOUT_ANY.name.lower()}"
        told.append(general("link types that the file does not explain", done, streets.epsg))
    return streets, told + defects


def _sibling(net: Path, kind: str) -> str:
    return re.sub("net", kind, net.name, flags=re.IGNORECASE)


def _beside(net: Path, kind: str) -> Path | None:
    """The file of a kind that belongs to a network, if there is one."""
    name = _sibling(net, kind)
    plain = name.removesuffix(".gz")
    found = (net.with_name(other) for other in (name, plain, f"{plain}.gz") if other != net.name)
    return next((path for path in found if path.is_file()), None)


def _node_faults(places: _Text, number: int) -> Iterable[Fault]:
    node = places.column("node")
    if 0 <= number != len(node):
        yield Fault(places.source, "", f"{len(node):,} nodes", f"the {number:,} that the network file tells", _MEND)
    again = pd.Series(node).duplicated().to_numpy()
    place = np.column_stack([places.column(name) for name in _NODES])
    for i in np.flatnonzero(again).tolist():
        yield Fault(places.source, places.place(i), f"the node {node[i]:g} again", "each node once", _MEND)
    for i in np.flatnonzero(~np.isfinite(place).all(axis=1)).tolist():
        yield Fault(places.source, places.place(i), "no place", "a node with x and y", _MEND)


def _volumes(table: _Text, flows: _Text, notes: Notes) -> Floats:
    """(m,) the volume on each link, NaN where the flow file has none; links between the same nodes in their order."""

    def keyed(text: _Text, names: tuple[str, str]) -> pd.DataFrame:
        ends = pd.DataFrame({"a": text.column(names[0]), "b": text.column(names[1])})
        return ends.assign(n=ends.groupby(["a", "b"]).cumcount())

    found = keyed(flows, ("from", "to")).assign(volume=flows.column("volume"))
    volume = keyed(table, ("init_node", "term_node")).merge(found, on=["a", "b", "n"], how="left")["volume"]
    values = volume.to_numpy(np.float64)
    negative = np.flatnonzero(values < 0)
    texts = [f"{v:g}" for v in values[negative]]
    notes.add_all("volumes below zero", "not used: the class decides there", negative, texts)
    return np.where(values < 0, np.nan, values)


@dataclass(frozen=True, slots=True)
class _Text:
    """The rows of a TNTP file as numbers, the line of each, and what stands above them."""

    source: str
    names: tuple[str, ...]
    meta: Mapping[str, float]
    values: Floats
    """(rows, names)"""
    lines: Index

    def __len__(self) -> int:
        return len(self.lines)

    @classmethod
    def read(cls, path: Path, names: tuple[str, ...], expected: str) -> _Text:
        source = str(path)
        content = read_bytes(path, expected)
        meta: dict[str, float] = {}
        rows: list[list[str]] = []
        lines: list[int] = []
        faults: list[Fault] = []
        for number, line in enumerate(content.decode(text_encoding(content), "replace").splitlines(), 1):
            if told := _META.match(line):
                meta[told[1].strip().upper()] = _float(told[2])
                continue
            cells = line.partition("~")[0].replace(";", " ").replace(":", " ").split()
            # the names of the columns stand above the rows, as a comment or not
            if not cells or (not rows and all(np.isnan(_float(cell)) for cell in cells)):
                continue
            if len(cells) < len(names):
                found = f"{len(cells)} values"
                faults.append(Fault(source, f"line {number}", found, f"{len(names)}: {', '.join(names)}", _MEND))
                continue
            rows.append(cells[: len(names)])
            lines.append(number)
        if not rows and not faults:
            faults.append(Fault(source, "", "no rows", expected, _MEND))
        values = pd.DataFrame(rows, columns=list(names), dtype=str).apply(pd.to_numeric, errors="coerce")
        table = cls(source, names, meta, values.to_numpy(np.float64), np.array(lines, np.int64))
        for i, j in np.argwhere(np.isnan(table.values)).tolist():
            if rows[i][j].lower() != "nan":
                faults.append(Fault(source, f"line {lines[i]}", f"{names[j]} {rows[i][j]!r}", "a number", _MEND))
        raise_first(faults)
        return table

    def column(self, name: str) -> Floats:
        return self.values[:, self.names.index(name)]

    def place(self, row: int) -> str:
        return f"line {self.lines[row]}"

    def check_count(self, key: str) -> None:
        """Refuse a file that was cut short.

        Raises:
            InputError: it tells another number of rows than it has.
        """
        told = self.meta.get(key, -1)
        if told >= 0 and told != len(self):
            found, expected = f"{len(self):,} rows", f"<{key}> {told:,.0f}"
            raise InputError(Fault(self.source, "", found, expected, "Copy the file anew: it may be cut short."))


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
