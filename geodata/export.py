"""A city as one GeoPackage for QGIS: each part a layer of one kind of shape, with its CRS."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray

from geodata.city import City
from geodata.errors import Fault, InputError
from geodata.network import RoadNetwork
from geodata.positions import locate, snap

MARK = {"WRITTEN_BY": "patrol135"}
"""Metadata by which a file of ours is known again."""
SHAPES = {"points": (0, 4), "lines": (1, 2, 5), "areas": (3, 6)}
"""GEOS type ids; a ring is a line."""
COLLECTION = 7
GDAL_TYPES = {"points": "Point", "lines": "LineString", "areas": "Polygon"}
TURN_ARM_M = 30.0
"""How far a forbidden turn is drawn into both streets, at most half of each."""

Layers = Mapping[str, gpd.GeoDataFrame]


def city_layers(city: City) -> dict[str, gpd.GeoDataFrame]:
    """The layers of a city by name; those that would be empty are left out."""
    network = city.network
    junctions = gpd.GeoDataFrame(
        {"junction": np.arange(network.n_nodes)}, geometry=shapely.points(network.node_xy_m), crs=network.epsg
    )
    streets = network.streets()
    streets.insert(0, "street", np.arange(len(streets)))
    layers = {
        "streets": streets,
        "junctions": junctions,
        "turn_restrictions": turn_lines(network),
        "cells": _cells(city),
        "areas": _areas(city),
        "posts": city.posts.table,
        "posts_on_road": _on_road(city.posts.table, locate(network, city.posts.positions)),
    }
    for name, table in (("sites", city.sites.table), ("backdrop", city.areas), ("defects", city.defects)):
        layers |= by_shape(name, table)
    sites = city.sites.table[shapely.get_dimensions(_shapes(city.sites.table)) == 0]
    if len(sites):
        positions, _ = snap(network, shapely.get_coordinates(_shapes(sites)))
        layers["sites_on_road"] = _on_road(sites, locate(network, positions))
    return {name: table for name, table in layers.items() if len(table)}


def turn_lines(network: RoadNetwork) -> gpd.GeoDataFrame:
    """Each forbidden turn as a line into the junction and out of it: columns `from_street`, `to_street` (rows of
    `RoadNetwork.streets`), `from_name`, `to_name`."""
    come, leave = network.banned_turns[:, 0], network.banned_turns[:, 1]
    names = np.array(network.names, object)[network.street_name]
    into, out = network.street[come], network.street[leave]
    shapes = [
        shapely.LineString([*_arm(network, int(a), ends=True), *_arm(network, int(b), ends=False)[1:]])
        for a, b in zip(come, leave, strict=True)
    ]
    columns = {"from_street": into, "to_street": out, "from_name": names[into], "to_name": names[out]}
    return gpd.GeoDataFrame(columns, geometry=shapes, crs=network.epsg)


def _arm(network: RoadNetwork, edge: int, *, ends: bool) -> list[tuple[float, float]]:
    """The last or the first metres of an edge, as it is driven."""
    line = network.lines[network.street[edge]]
    line = line.reverse() if network.backward[edge] else line
    arm_m = min(TURN_ARM_M, line.length / 2)
    far = line.interpolate(line.length - arm_m if ends else arm_m)
    junction = line.coords[-1] if ends else line.coords[0]
    return [far.coords[0], junction] if ends else [junction, far.coords[0]]


def _cells(city: City) -> gpd.GeoDataFrame:
    """The cells with the names of the areas above them, a column a level, and their road."""
    grid = city.grid
    above = {f"in_{level}": grid.ancestor(level).to_numpy(object) for level in grid.levels}
    share = city.pieces.main_road_share(city.network, len(grid))
    return _in_front(grid.cells, above | {"road_m": city.road_m_by_cell, "main_road_share": share})


def _areas(city: City) -> gpd.GeoDataFrame:
    """The areas of all levels, the widest first."""
    grid = city.grid
    outlines = [grid.outlines(level).assign(level=level) for level in grid.levels]
    table = pd.concat([part for part in outlines if len(part)], ignore_index=True) if outlines else grid.cells[:0]
    more = grid.areas.drop_duplicates("code").set_index("code")[["parent", "name_en"]]
    return gpd.GeoDataFrame(table.join(more, on="code")[["code", "level", "parent", "name", "name_en", "geometry"]])


def _on_road(table: gpd.GeoDataFrame, xy_m: NDArray[np.float64]) -> gpd.GeoDataFrame:
    off_m = np.hypot(*(shapely.get_coordinates(_shapes(table)) - xy_m).T)
    spots = gpd.GeoSeries(shapely.points(xy_m), index=table.index, crs=table.crs)
    return table[["id", "name", "geometry"]].set_geometry(spots).assign(off_road_m=off_m)


def _in_front(table: gpd.GeoDataFrame, columns: Mapping[str, NDArray[np.generic]]) -> gpd.GeoDataFrame:
    names = [name for name in table.columns if name != "geometry"]
    return table.assign(**columns)[[*names, *columns, "geometry"]]


def by_shape(name: str, table: gpd.GeoDataFrame) -> dict[str, gpd.GeoDataFrame]:
    """The rows of a table apart as `<name>_points`, `_lines` and `_areas`, since a layer holds one kind of shape; and
    those that lie nowhere as `<name>_nowhere`, without geometry."""
    while (collection := shapely.get_type_id(_shapes(table)) == COLLECTION).any():
        table = pd.concat([table[~collection], table[collection].explode()])
    shapes = _shapes(table)
    kind = np.where(shapely.is_empty(shapes), -1, shapely.get_type_id(shapes))
    parts = {f"{name}_{suffix}": table[np.isin(kind, ids)] for suffix, ids in SHAPES.items()}
    return {layer: part for layer, part in parts.items() if len(part)} | (
        {f"{name}_nowhere": table[kind < 0]} if (kind < 0).any() else {}
    )


def _shapes(table: gpd.GeoDataFrame) -> NDArray[np.object_]:
    return np.asarray(table.geometry.array, object)


def write_gpkg(layers: Layers, path: Path, *, force: bool = False) -> None:
    """Write the layers beside `path` and move the file into place.

    Raises:
        InputError: `path` does not end in .gpkg; or something stands there that this did not write, unless `force`
            (which replaces a file, never a folder).
    """
    check_target(path, force=force)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
        beside = Path(folder) / path.name
        for name, table in layers.items():
            _write_layer(beside, name, table)
        os.replace(beside, path)


def check_target(path: Path, *, force: bool) -> None:
    """Refuse a place where `write_gpkg` would not write, before the work is done.

    Raises:
        InputError: as `write_gpkg`.
    """
    if path.suffix.lower() != ".gpkg":
        raise InputError(Fault(str(path), "", f"{path.suffix or 'no suffix'}", "a name that ends in .gpkg", "Add it."))
    if path.is_dir():
        raise InputError(Fault(str(path), "", "a folder", "a new file", "Name a file."))
    if path.exists() and not force and not _is_ours(path):
        mend = "Name another file, or give --force to replace it."
        raise InputError(Fault(str(path), "", "a file that Patrol 135 did not write", "a new file", mend))


def _is_ours(path: Path) -> bool:
    """Asked of SQLite itself: GDAL leaves an .aux.xml beside a file that it has merely looked at."""
    ((key, value),) = MARK.items()
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as file:
        try:
            texts = file.execute("SELECT metadata FROM gpkg_metadata").fetchall()
        except sqlite3.DatabaseError:
            return False
    return any(f'key="{key}">{value}<' in str(text) for (text,) in texts)


def _write_layer(path: Path, name: str, table: gpd.GeoDataFrame) -> None:
    kind = next(_kinds(table), None)
    if kind is None:
        pyogrio.write_dataframe(
            pd.DataFrame(table.drop(columns="geometry")), path, layer=name, driver="GPKG", dataset_metadata=MARK
        )
        return
    shapes = _shapes(table)
    several = bool((shapely.get_type_id(shapes) > 3).any())
    pyogrio.write_dataframe(
        table,
        path,
        layer=name,
        driver="GPKG",
        geometry_type=("Multi" if several else "") + GDAL_TYPES[kind],
        promote_to_multi=several,
        dataset_metadata=MARK,
    )


def _kinds(table: gpd.GeoDataFrame) -> Iterator[str]:
    ids = shapely.get_type_id(_shapes(table))
    return (kind for kind, members in SHAPES.items() if np.isin(ids, members).any())
