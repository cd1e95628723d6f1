"""Opening a vector layer that GDAL reads or a CSV with coordinates, and telling what is wrong with it."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError

from geodata.crs import LONLAT, parse_crs, project
from geodata.errors import Fault, InputError
from geodata.network import Floats

LINES, POLYGONS, POINTS = "Line", "Polygon", "Point"
_LON = ("lon", "lng", "longitude", "经度")
_LAT = ("lat", "latitude", "纬度")
_X = ("x", "x_m", "easting", "横坐标")
_Y = ("y", "y_m", "northing", "纵坐标")


def open_layer(path: Path, wanted: str, *, layer: str | None = None, crs: str | None = None) -> gpd.GeoDataFrame:
    """The table of a layer, its text decoded, with a CRS. `wanted` (`LINES`, `POLYGONS`, `POINTS`) chooses the layer
    where the file holds several and none is named; `crs` declares the CRS of a file that tells none.

    Raises:
        InputError: no such file or layer, not readable, several layers to choose from, no features, or no CRS.
    """
    source = str(path)

    def refuse(place: str, found: str, expected: str, mend: str) -> InputError:
        return InputError(Fault(source, place, found, expected, mend))

    if not path.exists():
        raise refuse("", "no such file", "a layer such as GPKG, Shapefile or GeoJSON", "Check the path.")
    try:
        kinds = {str(name): str(kind) for name, kind in pyogrio.list_layers(path)}
        layer = layer if layer in kinds else _choose_layer(kinds, wanted, layer, source)
        table = pyogrio.read_dataframe(path, layer=layer, encoding=_shapefile_encoding(path))
    except (DataSourceError, DataLayerError, shapely.errors.GEOSException) as error:
        mend = "Open it in QGIS and export it as GPKG."
        # what follows in GDAL's message is advice to programmers
        found = str(error).splitlines()[0].partition("; It might help")[0].rstrip(".")
        raise refuse(layer or "", found, "a layer that GDAL reads", mend) from error
    if not isinstance(table, gpd.GeoDataFrame):
        raise refuse(layer, "a table without geometry", f"a layer of {wanted.lower()}s", "Name another layer.")
    if not len(table):
        raise refuse(layer, "no features", "at least one", "Check which layer holds the data.")
    if crs is not None:
        return table.set_crs(parse_crs(crs, source), allow_override=True)
    if table.crs is None:
        mend = "Set it in QGIS (a Shapefile needs its .prj beside it), or declare it, such as EPSG:4326."
        raise refuse(layer, "no CRS", "a layer that tells its CRS", mend)
    return table


def _choose_layer(kinds: Mapping[str, str], wanted: str, named: str | None, source: str) -> str:
    if named is not None:
        fault = Fault(source, "layer", repr(named), _nearest(named, kinds), "Name a layer that the file holds.")
        raise InputError(fault)
    fitting = [name for name, kind in kinds.items() if wanted in kind] or [
        name for name, kind in kinds.items() if kind in ("Unknown", "GeometryCollection")
    ]
    if len(fitting) == 1:
        return fitting[0]
    if len(kinds) == 1:
        return next(iter(kinds))
    holds = ", ".join(f"{name} ({kind})" for name, kind in kinds.items()) or "no layer"
    raise InputError(Fault(source, "layer", holds, f"one layer of {wanted.lower()}s", "Name the layer to read."))


def _shapefile_encoding(path: Path) -> str | None:
    """Of a Shapefile that does not tell it: UTF-8 if its texts decode so, GB18030 if not."""
    if path.suffix.lower() != ".shp" or any(path.with_suffix(s).exists() for s in (".cpg", ".CPG")):
        return None
    texts = path.with_suffix(".dbf")
    if not texts.is_file():
        return None
    content = texts.read_bytes()
    return text_encoding(content[int.from_bytes(content[8:10], "little") :])


def text_encoding(content: bytes) -> str:
    """UTF-8 (with or without a mark at the start) if the bytes are that, GB18030 if not."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8-sig"


def read_csv(path: Path, crs: str | None = None) -> gpd.GeoDataFrame:
    """A CSV with a header and coordinates as points; every other value is text as it stands.

    Columns named lon and lat (or 经度, 纬度) are EPSG:4326 unless `crs` says otherwise; x and y need a `crs`.

    Raises:
        InputError: no such file, no rows, no coordinate columns, x and y without a CRS, or values that are no numbers.
    """
    source = str(path)
    if not path.is_file():
        raise InputError(Fault(source, "", "no such file", "a CSV with coordinates", "Check the path."))
    content = path.read_bytes()
    try:
        text = content.decode(text_encoding(content))
        table = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        mend = "Save it as CSV in UTF-8, one header line, one record a line."
        raise InputError(Fault(source, "", str(error).strip(), "a CSV file", mend)) from error
    x, y, known_crs = _coordinate_columns(table.columns, crs, source)
    xy = table[[x, y]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    faults = [
        Fault(source, f"line {i + 2}", f"{x}={table[x][i]!r}, {y}={table[y][i]!r}", "two numbers", "Mend the line.")
        for i in np.flatnonzero(~np.isfinite(xy).all(axis=1))
    ]
    if not len(table):
        faults = [Fault(source, "", "no rows", "at least one below the header", "Check the file.")]
    if faults:
        raise InputError(*faults)
    return gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(xy[:, 0], xy[:, 1]), crs=known_crs)


def _coordinate_columns(columns: Iterable[str], crs: str | None, source: str) -> tuple[str, str, pyproj.CRS]:
    named = {column.strip().lower(): column for column in columns}
    lon, lat, x, y = (next((named[n] for n in names if n in named), None) for names in (_LON, _LAT, _X, _Y))
    if lon and lat:
        return lon, lat, parse_crs(crs or LONLAT, source)
    if x and y and crs:
        return x, y, parse_crs(crs, source)
    if x and y:
        mend = "Declare the CRS of x and y, such as EPSG:4547, or name the columns lon and lat if they are degrees."
        raise InputError(Fault(source, f"columns {x}, {y}", "no CRS", "the CRS of the coordinates", mend))
    mend = "Name the coordinate columns lon and lat, or x and y."
    raise InputError(Fault(source, "header", ", ".join(named.values()), "columns lon and lat, or x and y", mend))


def find_column(table: pd.DataFrame, named: str | None, usual: Sequence[str], source: str) -> str | None:
    """The column that is named, or one with a usual name, or None.

    Raises:
        InputError: the named column is missing; the message names the nearest one.
    """
    columns = [str(column) for column in table.columns if column != table.geometry.name]
    if named is not None:
        if named in columns:
            return named
        raise InputError(
            Fault(source, "columns", f"no {named!r}", _nearest(named, columns), "Name a column of the file.")
        )
    by_lower = {column.lower(): column for column in reversed(columns)}
    return next((by_lower[name] for name in usual if name in by_lower), None)


def _nearest(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    listed = ", ".join(known[:12]) or "nothing"
    return f"{near[0]!r}, the nearest of: {listed}" if near else f"one of: {listed}"


def to_lonlat(table: gpd.GeoDataFrame) -> tuple[Floats, NDArray[np.int64]]:
    """Longitude and latitude of every vertex of a layer, and the row that it belongs to."""
    xy, row = shapely.get_coordinates(np.asarray(table.geometry.array, object), return_index=True)
    return project(xy, table.crs, LONLAT), row


def to_projected(table: gpd.GeoDataFrame, epsg: int) -> gpd.GeoDataFrame:
    """The table in a projected CRS, without Z."""
    shapes = shapely.force_2d(np.asarray(table.geometry.array, object))
    moved = shapely.transform(shapes, lambda xy: project(xy, table.crs, epsg))
    return table.set_geometry(gpd.GeoSeries(moved, index=table.index, crs=epsg))
