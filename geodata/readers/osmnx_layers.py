"""GeoPackages as osmnx writes them: a layer of nodes and a layer of edges that name theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pyogrio

from geodata.crs import parse_declared
from geodata.datum import Datum
from geodata.defects import Defect
from geodata.errors import Fault, InputError
from geodata.network import Streets
from geodata.readers.graphs import ATTRIBUTES, Attributes, streets_of_graph
from geodata.readers.values import clean_text
from geodata.readers.vector import LINES, POINTS, open_layer

_LAYERS = {"nodes": {"osmid"}, "edges": {"u", "v"}}
_MEND = "Write the graph with osmnx.save_graph_geopackage."


def is_osmnx_geopackage(path: Path) -> bool:
    """Whether a file that GDAL reads has the layers and columns that osmnx writes."""
    if path.suffix.lower() != ".gpkg" or not path.is_file():
        return False
    try:
        names = {str(name) for name, _ in pyogrio.list_layers(path)}
        return set(_LAYERS) <= names and all(
            columns <= set(pyogrio.read_info(path, layer=layer)["fields"]) for layer, columns in _LAYERS.items()
        )
    except RuntimeError:  # GDAL's: the reader that opens it tells
        return False


def read_osmnx_geopackage(
    path: Path, *, epsg: int | None = None, crs: str | None = None
) -> tuple[Streets, list[Defect]]:
    """The streets of a graph that `osmnx.save_graph_geopackage` wrote, directed or not; see `streets_of_graph`. `crs`
    declares the CRS of a file that does not tell it.

    Raises:
        InputError: the layers cannot be opened or lack the columns, or what `streets_of_graph` refuses.
    """
    source = str(path)
    if crs is not None and isinstance(parse_declared(crs, source), Datum):
        mend = "Leave the CRS out; osmnx graphs are in WGS-84."
        raise InputError(Fault(source, "CRS", crs, "the CRS of an osmnx graph", mend))
    nodes = open_layer(path, POINTS, layer="nodes", crs=crs)
    edges = open_layer(path, LINES, layer="edges", crs=crs)
    for layer, table in (("nodes", nodes), ("edges", edges)):
        if missing := sorted(_LAYERS[layer] - set(table.columns)):
            found = f"no column {', '.join(missing)}"
            raise InputError(Fault(source, f"layer {layer}", found, "the layers that osmnx writes", _MEND))
    # saved as undirected, each edge keeps the sense in which it is driven in these two
    ends = ("from", "to") if {"from", "to"} <= set(edges.columns) else ("u", "v")
    undirected = ends[0] == "from"
    return streets_of_graph(
        nodes.crs,
        _nodes(nodes),
        _edges(edges, ends),
        source,
        epsg,
        directed=False if undirected else None,
        marked="oneway" in edges.columns,
    )


def _nodes(nodes: gpd.GeoDataFrame) -> Iterator[tuple[str, Attributes]]:
    points = nodes.geometry
    for node, x, y in zip(nodes["osmid"].tolist(), points.x.tolist(), points.y.tolist(), strict=True):
        yield clean_text(node), {"x": x, "y": y}


def _edges(edges: gpd.GeoDataFrame, ends: tuple[str, str]) -> Iterator[tuple[str, str, Attributes]]:
    geometry = edges.geometry.to_numpy()
    used = [name for name in edges.columns if name in ATTRIBUTES and name != edges.geometry.name]
    columns: list[list[Any]] = [edges[name].tolist() for name in (*ends, *used)]
    for shape, u, v, *values in zip(np.asarray(geometry, object), *columns, strict=True):
        yield clean_text(u), clean_text(v), dict(zip(used, values, strict=True)) | {"geometry": shape}
