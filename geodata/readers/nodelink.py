"""networkx graphs, as objects and as node-link JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networkx as nx
import shapely

from geodata.crs import LONLAT, parse_crs
from geodata.defects import Defect, general
from geodata.errors import Fault, InputError
from geodata.network import Streets
from geodata.readers.coordinates import raise_first
from geodata.readers.graphs import ATTRIBUTES, Attributes, streets_of_graph
from geodata.readers.jsonfile import load_json

_EXPECTED = "node-link JSON of networkx"
_MEND = "Write the graph with networkx.node_link_data."
_IDS = frozenset({"id", "source", "target", "crs"})


def read_node_link(path: Path, *, epsg: int | None = None, crs: str | None = None) -> tuple[Streets, list[Defect]]:
    """The streets of a graph that `networkx.node_link_data` wrote, `.json` or `.json.gz`; see `streets_of_graph`. The
    graph tells its CRS, unless its nodes have `lon` and `lat`, or `crs` declares it.

    Raises:
        InputError: no such file, no such JSON, no CRS, or what `streets_of_graph` refuses.
    """
    source = str(path)
    graph = load_json(path, _EXPECTED, _slim)
    links = graph.get("links", graph.get("edges"))
    about = graph.get("graph", {})
    if not isinstance(links, list) or not isinstance(graph.get("nodes"), list) or not isinstance(about, dict):
        keys = ", ".join(map(repr, list(graph)[:8])) or "no key"
        raise InputError(Fault(source, "", keys, "'nodes' and 'links' or 'edges' as lists", _MEND))
    nodes = list(_nodes(graph["nodes"], source))
    return _streets(
        crs or about.get("crs"),
        nodes,
        _links(links, source),
        source,
        epsg,
        directed=graph.get("directed", True) is not False,
    )


def streets_of_networkx(
    graph: Any, *, source: str = "graph", epsg: int | None = None, crs: str | None = None
) -> tuple[Streets, list[Defect]]:
    """The streets of a networkx graph as osmnx makes it: nodes with `x` and `y`, edges with `highway`, `length` and so
    on; see `streets_of_graph`. An undirected graph is two-way.

    Raises:
        InputError: no graph, no CRS, or what `streets_of_graph` refuses.
    """
    if not isinstance(graph, nx.Graph):
        raise InputError(Fault(source, "", type(graph).__name__, "a networkx graph", "Give the graph itself."))
    told = crs or graph.graph.get("crs")
    return _streets(told, graph.nodes(data=True), graph.edges(data=True), source, epsg, directed=graph.is_directed())


def _streets(
    crs: Any, nodes: Any, edges: Any, source: str, epsg: int | None, *, directed: bool
) -> tuple[Streets, list[Defect]]:
    if crs is None and all("lon" in values and "x" not in values for _, values in nodes):
        crs = LONLAT
    if crs is None:
        mend = "Set graph.graph['crs'], or declare it."
        raise InputError(Fault(source, "graph", "no `crs`", "the CRS of the nodes, such as EPSG:4326", mend))
    known = parse_crs(crs if isinstance(crs, str | int) else getattr(crs, "to_wkt", crs.__repr__)(), source)
    streets, defects = streets_of_graph(known, nodes, edges, source, epsg, directed=directed)
    if not directed:
        defects.append(general("undirected graph", "every street is taken as two-way", streets.epsg))
    return streets, defects


def _slim(read: dict[str, Any]) -> dict[str, Any]:
    """Nodes and edges without the values that nobody reads."""
    if "id" in read or "source" in read:
        return {key: value for key, value in read.items() if key in _IDS or key in ATTRIBUTES}
    return read


def _nodes(nodes: list[Any], source: str) -> Iterator[tuple[Any, Attributes]]:
    raise_first(
        Fault(source, f"node {i + 1}", repr(node)[:60], "an object with 'id', 'x' and 'y'", _MEND)
        for i, node in enumerate(nodes)
        if not isinstance(node, dict) or _hashable(node.get("id")) is None
    )
    return ((_hashable(node["id"]), node) for node in nodes)


def _links(links: list[Any], source: str) -> Iterator[tuple[Any, Any, Attributes]]:
    raise_first(
        Fault(source, f"link {i + 1}", repr(link)[:60], "an object with 'source' and 'target'", _MEND)
        for i, link in enumerate(links)
        if not isinstance(link, dict) or None in (_hashable(link.get("source")), _hashable(link.get("target")))
    )
    for link in links:
        geometry = link.get("geometry")
        if isinstance(geometry, dict):
            link["geometry"] = _line(geometry, f"link {link['source']}-{link['target']}", source)
        yield _hashable(link["source"]), _hashable(link["target"]), link


def _hashable(name: Any) -> Any:
    """A node's name; networkx writes tuples as lists."""
    if isinstance(name, list):
        return tuple(_hashable(part) for part in name)
    return name if isinstance(name, str | int | float) else None


def _line(geometry: dict[str, Any], label: str, source: str) -> shapely.Geometry:
    try:
        line: shapely.Geometry = shapely.geometry.shape(geometry)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, shapely.errors.ShapelyError) as error:
        found = f"no geometry ({error})"
        raise InputError(Fault(source, label, found, "a GeoJSON LineString, or WKT", _MEND)) from error
    return line
