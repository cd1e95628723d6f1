"""Opening a vector layer that GDAL or Arrow reads or a CSV with coordinates, and telling what is wrong with it."""

from __future__ import annotations

import codecs
import csv
import difflib
import io
import logging
import os
import re
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
import pyproj
import shapely
from numpy.typing import NDArray

from geodata.crs import LONLAT, parse_declared, project
from geodata.datum import Datum
from geodata.errors import Fault, InputError, plain
from geodata.network import Floats
from geodata.readers.coordinates import placed, raise_first

LINES, POLYGONS, POINTS = "Line", "Polygon", "Point"
_LON = ("lon", "lng", "longitude", "经度")
_LAT = ("lat", "latitude", "纬度")
_X = ("x", "x_m", "easting", "横坐标")
_Y = ("y", "y_m", "northing", "纵坐标")
_PARQUET = (".parquet", ".geoparquet")
_IN_ZIP = (".shp", ".gpkg", ".geojson", ".json", ".fgb", ".kml", ".gml", ".tab", ".mif")
_SHAPE_LENGTH = slice(24, 28)
"""Where the head of a .shp tells its own length, in 16-bit words, big-endian (ESRI Shapefile Technical Description)."""
_CHUNK = 1 << 20
_RAW = re.compile("Could not decode error message to UTF-8. Raw error: ")

log = logging.getLogger(__name__)


def open_layer(path: Path, wanted: str, *, layer: str | None = None, crs: str | None = None) -> gpd.GeoDataFrame:
    """The table of a layer, its text decoded, without Z, with a CRS: a file that GDAL reads, a ZIP archive of one, or
    GeoParquet. `wanted` (`LINES`, `POLYGONS`, `POINTS`) chooses the layer where the file holds several and none is
    named; `crs` declares the CRS or the datum, whatever the file says: coordinates in GCJ-02 or BD-09 are converted
    to WGS-84, for no file can tell that it holds those.

    Raises:
        InputError: no such file or layer, not readable or cut short, several layers to choose from, no features, no
            CRS, or coordinates that cannot be right (see `placed`).
    """
    source = str(path)
    declared = None if crs is None else parse_declared(crs, source)
    if not path.exists():
        raise _refusal(source, "", "no such file", "a layer such as GPKG, Shapefile or GeoJSON", "Check the path.")
    # what GDAL only warns of must not get lost, and must not end the run either
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        table, name = (
            _read_parquet(path, layer)
            if path.suffix.lower() in _PARQUET
            else _read_gdal(_inside_zip(path, layer), wanted, layer, source)
        )
    for warning in said:
        log.warning("%s: %s", source, warning.message)
    if not isinstance(table, gpd.GeoDataFrame):
        raise _refusal(source, name, "a table without geometry", f"a layer of {wanted.lower()}s", "Name another layer.")
    if not len(table):
        raise _refusal(source, name, "no features", "at least one", "Check which layer holds the data.")
    if declared is None and table.crs is None:
        mend = "Set it in QGIS (a Shapefile needs its .prj beside it), or declare it, such as EPSG:4326."
        raise _refusal(source, name, "no CRS", "a layer that tells its CRS", mend)
    return placed(table, table.crs if declared is None else declared, source, lambda i: f"feature {i + 1}")


def _refusal(source: str, place: str, found: str, expected: str, mend: str) -> InputError:
    return InputError(Fault(source, place, found, expected, mend))


def _read_gdal(opened: str, wanted: str, layer: str | None, source: str) -> tuple[pd.DataFrame, str]:
    """The table and the layer's name; `opened` is what GDAL is asked to open for the file `source`."""
    try:
        kinds = {str(name): str(kind) for name, kind in pyogrio.list_layers(opened)}
        layer = layer if layer in kinds else _choose_layer(kinds, wanted, layer, source)
        encoding = _check_shapefile(opened, source)
        return pyogrio.read_dataframe(opened, layer=layer, encoding=encoding), layer
    except shapely.errors.GEOSException as error:
        raise InputError(*_impossible_shapes(opened, layer or "", source, plain(error))) from error
    except (RuntimeError, UnboundLocalError, UnicodeDecodeError, OSError, zipfile.BadZipFile, zlib.error) as error:
        # GDAL's errors are the first; pyogrio 0.13 ends in the second where GDAL cannot write a damaged CRS out
        broken_crs = isinstance(error, UnboundLocalError)
        # what follows in GDAL's message is advice to programmers
        told = "a CRS that cannot be read" if broken_crs else plain(error)
        found = _RAW.sub("", told).partition("; It might help")[0].rstrip(".")
        mend = "The file may be cut short: copy it anew, or open it in QGIS and export it as GPKG."
        raise _refusal(source, layer or "", found, "a layer that GDAL reads", mend) from error


def _impossible_shapes(opened: str, layer: str, source: str, said: str) -> list[Fault]:
    """Which features hold no geometry at all in the sense of GEOS, such as a ring of two points."""
    mend = "Remove the feature or draw it anew."
    wkb = pyogrio.raw.read(opened, layer=layer or None, columns=[])[2]
    given = np.array([content is not None for content in wkb])
    shapes = shapely.from_wkb(wkb, on_invalid="ignore")
    faults = [
        Fault(source, f"feature {i + 1}", f"a shape that is none ({said.rstrip('.')})", "a whole shape", mend)
        for i in np.flatnonzero(shapely.is_missing(shapes) & given)
    ]
    return faults or [Fault(source, layer, said, "a whole shape in each feature", mend)]


def _read_parquet(path: Path, layer: str | None) -> tuple[pd.DataFrame, str]:
    source = str(path)
    if layer not in (None, path.stem):
        raise _refusal(source, "layer", repr(layer), "none: Parquet holds one table", "Leave the layer out.")
    try:
        return gpd.read_parquet(path), path.stem
    except (pa.ArrowException, ValueError, TypeError, KeyError, OSError, shapely.errors.GEOSException) as error:
        # what follows in Arrow's and GeoPandas' messages is advice to programmers
        found = re.split(r"(?<=[.;])\s", plain(error))[0].rstrip(".;")
        mend = "The file may be cut short, or is plain Parquet: export it anew as GeoParquet or GPKG."
        raise _refusal(source, "", found, "a GeoParquet file", mend) from error


def _inside_zip(path: Path, layer: str | None) -> str:
    """What GDAL opens: the file itself, or the one file of a ZIP archive that holds a layer; where there are several,
    the one of the layer's name."""
    if path.suffix.lower() != ".zip":
        return str(path)
    expected, mend = "a ZIP archive of one layer", "Pack the layer anew, or unpack it and name the file inside."
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise _refusal(str(path), "", f"no ZIP archive, or one cut short ({error})", expected, mend) from error
    layers = [name for name in names if name.lower().endswith(_IN_ZIP) and not name.startswith("__MACOSX/")]
    named = [name for name in layers if Path(name).stem == layer]
    if len(chosen := named or layers) != 1:
        found = ", ".join(layers[:6]) or f"no layer among {', '.join(names[:6]) or 'no files'}"
        raise _refusal(str(path), "layer", found, expected, "Name the layer to read, or unpack the archive.")
    return f"/vsizip/{{{path.resolve()}}}/{chosen[0]}"


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


def _check_shapefile(opened: str, source: str) -> str | None:
    """The encoding of a Shapefile that does not tell it: UTF-8 if its texts decode so, GB18030 if not. GDAL passes
    over a missing table and over shapes that were cut off, so they are found here."""
    if not opened.lower().endswith(".shp"):
        return None
    stem = opened[: -len(".shp")]
    with _Siblings(opened) as files:
        size, head = files.size(opened), files.head(opened, 100)
        told = 2 * int.from_bytes(head[_SHAPE_LENGTH], "big")
        if size < told:
            mend = "Copy it anew from where it came."
            raise _refusal(source, "", f"{size:,} bytes", f"the {told:,} bytes that its head tells", mend)
        table = files.find(stem, ".dbf")
        if table is None:
            mend = "Put the .dbf that belongs to it beside it."
            raise _refusal(source, "", "a Shapefile without its .dbf", "its table of attributes", mend)
        if files.find(stem, ".cpg"):
            return None
        with files.open(table) as content:
            content.read(int.from_bytes(content.read(10)[8:10], "little") - 10)
            return _stream_encoding(iter(lambda: content.read(_CHUNK), b""))


class _Siblings:
    """The files beside one, in a folder or in a ZIP archive."""

    def __init__(self, opened: str) -> None:
        inside = re.fullmatch(r"/vsizip/\{(.*)\}/(.*)", opened)
        self._archive = zipfile.ZipFile(inside[1]) if inside else None
        self._prefix = opened[: -len(inside[2])] if inside else ""
        folder = Path(opened).parent
        self._names = self._archive.namelist() if self._archive else [str(folder / f) for f in os.listdir(folder)]

    def __enter__(self) -> _Siblings:
        return self

    def __exit__(self, *_: object) -> None:
        if self._archive:
            self._archive.close()

    def find(self, stem: str, suffix: str) -> str | None:
        wanted = stem + suffix
        return next(
            (self._prefix + n for n in self._names if self._prefix + n in (wanted, stem + suffix.upper())), None
        )

    def size(self, name: str) -> int:
        if self._archive:
            return self._archive.getinfo(name.removeprefix(self._prefix)).file_size
        return os.path.getsize(name)

    def open(self, name: str) -> IO[bytes]:
        return self._archive.open(name.removeprefix(self._prefix)) if self._archive else open(name, "rb")

    def head(self, name: str, n_bytes: int) -> bytes:
        with self.open(name) as content:
            return content.read(n_bytes)


def text_encoding(content: bytes) -> str:
    """UTF-8 (with or without a mark at the start) if the bytes are that, GB18030 if not."""
    return _stream_encoding(iter((content,)))


def _stream_encoding(chunks: Iterator[bytes]) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks:
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "gb18030"
    return "utf-8-sig"


def read_csv(path: Path, crs: str | None = None) -> gpd.GeoDataFrame:
    """A CSV with a header and coordinates as points; every other value is text as it stands; blank lines do not count.

    Columns named lon and lat (or 经度, 纬度) are EPSG:4326 unless `crs` declares another CRS or a datum; x and y need a
    `crs`, and stand before lon and lat if it is in metres. GCJ-02 and BD-09 are converted to WGS-84.

    Raises:
        InputError: no such file, no text, rows of another length than the header, columns of one name, no rows, no
            coordinate columns or two pairs of them, x and y without a CRS, or coordinates that are no numbers or
            cannot be right (see `placed`).
    """
    source = str(path)
    if not path.is_file():
        raise InputError(Fault(source, "", "no such file", "a CSV with coordinates", "Check the path."))
    declared = None if crs is None else parse_declared(crs, source)
    lines, records = _records(_decoded(path), source)
    if not records:
        raise InputError(Fault(source, "", "an empty file", "a CSV file with a header", "Check the file."))
    header = [name.strip() or f"column {i + 1}" for i, name in enumerate(records[0])]
    lines, records = lines[1:], records[1:]
    twice = [name for name, n in Counter(header).items() if n > 1]
    faults = [Fault(source, "header", f"{n!r} twice", "columns of different names", "Rename one.") for n in twice]
    expected = f"{len(header)} as in the header"
    mend = "Mend the line; a value with a comma in it needs quotes."
    faults += [
        Fault(source, f"line {line}", f"{len(record)} values", expected, mend)
        for line, record in zip(lines, records, strict=True)
        if len(record) != len(header)
    ]
    raise_first(faults)
    x, y, known_crs = _coordinate_columns(header, declared, source)
    if not records:
        raise InputError(Fault(source, "", "no rows", "at least one below the header", "Check the file."))
    table = pd.DataFrame(dict(zip(header, zip(*records, strict=True), strict=True)), dtype=object)
    xy = table[[x, y]].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    raise_first(
        Fault(source, f"line {lines[i]}", f"{x}={table[x][i]!r}, {y}={table[y][i]!r}", "two numbers", mend)
        for i in np.flatnonzero(~np.isfinite(xy).all(axis=1)).tolist()
        for mend in [_number_mend(table[x][i], table[y][i])]
    )
    points = gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(xy[:, 0], xy[:, 1]))
    return placed(points, known_crs, source, lambda i: f"line {lines[i]}")


def _decoded(path: Path) -> str:
    """The text of a CSV file, its encoding found out."""
    source, content = str(path), path.read_bytes()
    mend = "Save it as CSV in UTF-8, one header line, one record a line."
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise _refusal(source, "", "UTF-16 text", "a CSV file in UTF-8 or GB18030", mend)
    if (at := content.find(b"\0")) >= 0:
        line = content.count(b"\n", 0, at) + 1
        raise _refusal(source, f"line {line}", "a NUL byte", "text: this is no CSV file, or a damaged one", mend)
    try:
        # GB18030 may have a mark at the start too, which its decoder leaves in
        return content.decode(text_encoding(content)).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"the byte 0x{content[error.start]:02x}, which is neither UTF-8 nor GB18030"
        raise _refusal(source, f"line {line}", found, "a CSV file in UTF-8 or GB18030", mend) from error


def _records(text: str, source: str) -> tuple[list[int], list[list[str]]]:
    """The records of a CSV that are not blank, and the line that each begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines, records, line = [], [], 1
    try:
        for record in reader:
            if record and (len(record) > 1 or record[0].strip()):
                lines.append(line)
                records.append(record)
            line = reader.line_num + 1
    except csv.Error as error:
        mend = "Look for a quote that is never closed, and save it as CSV in UTF-8, one record a line."
        raise _refusal(source, f"line {line}", str(error), "a CSV record", mend) from error
    return lines, records


def _number_mend(*values: str) -> str:
    if not all(value.strip() for value in values):
        return "Fill the coordinates in, or remove the line."
    if any(re.fullmatch(r"\s*[-+]?\d+([,，' ]\d+)+(\.\d*)?\s*", value) for value in values):
        return "Write a point before the decimals, and no thousands separators."
    if any(mark in value for value in values for mark in "°º度′'"):
        return "Write degrees as decimal numbers, such as 112.982."
    return "Mend the line."


def _coordinate_columns(
    columns: Sequence[str], declared: pyproj.CRS | Datum | None, source: str
) -> tuple[str, str, pyproj.CRS | Datum]:
    """The columns of x and y, and what they are in."""
    faults, found = [], []
    for names in (_LON, _LAT, _X, _Y):
        usual = [column for column in columns if column.lower() in names]
        found.append(usual[0] if usual else None)
        if len(usual) > 1:
            mend = "Rename the columns that are not to be used."
            faults.append(Fault(source, "header", " and ".join(usual), "one column of that coordinate", mend))
    lon, lat, x, y = found
    metres = isinstance(declared, pyproj.CRS) and declared.is_projected
    if lon and lat and not (metres and x and y):
        pair, known = (lon, lat), declared or pyproj.CRS(LONLAT)
        faults = [fault for fault in faults if lon in fault.found.split(" and ") or lat in fault.found.split(" and ")]
    elif x and y and declared:
        pair, known = (x, y), declared
        faults = [fault for fault in faults if x in fault.found.split(" and ") or y in fault.found.split(" and ")]
    elif x and y:
        mend = "Declare the CRS of x and y, such as EPSG:4547, or name the columns lon and lat if they are degrees."
        raise InputError(Fault(source, f"columns {x}, {y}", "no CRS", "the CRS of the coordinates", mend))
    else:
        mend = "Name the coordinate columns lon and lat, or x and y."
        if len(columns) == 1 and re.search(r"[;\t|]", columns[0]):
            mend = "Separate the values by commas."
        raise InputError(Fault(source, "header", ", ".join(columns), "columns lon and lat, or x and y", mend))
    raise_first(faults)
    return *pair, known


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
