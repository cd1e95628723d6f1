"""A folder of arrays and tables with a manifest that lists each file with its hash: what is cut short, altered,
missing or added is refused. No pickle, no times: the same content gives the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
from numpy.typing import NDArray

from geodata.errors import Fault, InputError

MANIFEST = "manifest.json"
PRODUCT = "patrol135"
LIBRARIES = ("geopandas", "numpy", "pandas", "pyarrow", "pyproj", "shapely")
"""Those that take part in what a file looks like."""
_AS_TEXT = (pa.large_string(), pa.null())
"""How Arrow sees columns of text in other versions of pandas, and those that are empty."""
AGAIN = "Build the city again with `patrol city build`."


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What such a folder holds."""

    manifest: Mapping[str, Any]
    """Anything that JSON can tell."""
    arrays: Mapping[str, NDArray[Any]]
    tables: Mapping[str, pd.DataFrame]
    """Those with geometry are GeoDataFrames."""


def write_bundle(folder: Path, bundle: Bundle, form: int) -> None:
    """Fill an empty folder; the manifest gets `format`, the versions of what wrote it, and the digest of the whole."""
    for name, array in bundle.arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    for name, table in bundle.tables.items():
        _write_table(table, folder / f"{name}.parquet")
    files = {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in sorted(folder.iterdir())}
    head = {"format": form, "digest": "", "written_by": {name: version(name) for name in (PRODUCT, *LIBRARIES)}}
    text = json.dumps(head | dict(bundle.manifest) | {"files": files}, ensure_ascii=False, indent=1, allow_nan=False)
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    (folder / MANIFEST).write_bytes(text.replace('"digest": ""', f'"digest": "{digest}"', 1).encode("utf-8"))


def read_bundle(folder: Path, readable: range) -> Bundle:
    """Everything in a folder, its arrays mapped from the files, once each file has been found whole.

    Raises:
        InputError: as `read_manifest`; or a file is missing, was altered or added.
    """
    manifest = read_manifest(folder, readable)
    listed: dict[str, dict[str, Any]] = manifest["files"]
    # names with a dot in front are the system's own
    found = {path.name for path in folder.iterdir() if not path.name.startswith(".")} - {MANIFEST}
    if added := sorted(found - listed.keys()):
        raise refusal(folder, added[0], "a file that the manifest does not list", "the files as they were saved")
    for name, wanted in listed.items():
        if Path(name).name != name or not (folder / name).is_file():
            raise refusal(folder, name, "no such file", "a file that the manifest lists")
        if (size := (folder / name).stat().st_size) != wanted["bytes"]:
            raise refusal(folder, name, f"{size:,} bytes", f"{wanted['bytes']:,} bytes, as were saved")
        if sha256(folder / name) != wanted["sha256"]:
            raise refusal(folder, name, "other content than was saved", f"SHA-256 {wanted['sha256'][:12]}…")
    paths = [folder / name for name in listed]
    with given_back():
        tables = {p.stem: _read_table(p) for p in paths if p.suffix == ".parquet"}
    arrays = {p.stem: np.load(p, mmap_mode="r", allow_pickle=False) for p in paths if p.suffix == ".npy"}
    return Bundle(manifest=manifest, arrays=arrays, tables=tables)


def read_manifest(folder: Path, readable: range) -> dict[str, Any]:
    """The manifest of a folder, once its own digest has been found right. Keys that nobody knows are left in it.

    Raises:
        InputError: there is none, it was altered, or its format is none of those that are readable.
    """
    path = folder / MANIFEST
    if not path.is_file():
        found = f"no {MANIFEST}" if folder.is_dir() else "no such folder"
        raise refusal(folder, "", found, "the folder of a saved city")
    try:
        text = path.read_bytes().decode("utf-8")
        manifest: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refusal(folder, MANIFEST, f"no JSON ({error})", "the manifest of a saved city") from error
    form = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(form, int):
        raise refusal(folder, MANIFEST, f"format {form!r}", "the manifest of a saved city")
    if form >= readable.stop:
        mend = f"Update {PRODUCT}: a newer one saved this city."
        raise refusal(folder, MANIFEST, f"format {form}", f"at most format {readable.stop - 1}", mend)
    if form < readable.start:
        raise refusal(folder, MANIFEST, f"format {form}", f"at least format {readable.start}")
    digest = manifest.get("digest")
    blank = text.replace(f'"digest": "{digest}"', '"digest": ""', 1)
    if hashlib.sha256(blank.encode("utf-8")).hexdigest() != digest:
        raise refusal(folder, MANIFEST, "other content than was saved", "a manifest that fits its digest")
    return manifest


def sha256(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def refusal(folder: Path, place: str, found: str, expected: str, mend: str = AGAIN) -> InputError:
    return InputError(Fault(str(folder), place, found, expected, mend))


@contextmanager
def given_back() -> Iterator[None]:
    """Arrow's own allocator keeps what it once used, three times the size of a grid's polygons; the system's gives it
    back."""
    usual, frugal = pa.default_memory_pool(), pa.system_memory_pool()
    pa.set_memory_pool(frugal)
    try:
        yield
    finally:
        frugal.release_unused()
        pa.set_memory_pool(usual)


def _write_table(table: pd.DataFrame, path: Path) -> None:
    """Plain Parquet, or GeoParquet 1.1 with its geometry as WKB. Nothing of how pandas holds the columns is told, so
    that a table which was read is written in the same bytes again."""
    about: dict[str, str] = {}
    columns: dict[str, Any] = {name: table[name] for name in table.columns}
    if isinstance(table, gpd.GeoDataFrame):
        name = table.geometry.name
        columns[name] = shapely.to_wkb(np.asarray(table.geometry.array, object))
        crs = None if table.crs is None else table.crs.to_json_dict()
        geometry: dict[str, Any] = {"encoding": "WKB", "geometry_types": [], "crs": crs}
        about["geo"] = json.dumps({"version": "1.1.0", "primary_column": name, "columns": {name: geometry}})
    arrays = {name: pa.array(column, from_pandas=True) for name, column in columns.items()}
    texts = {name: array.cast(pa.string()) for name, array in arrays.items() if array.type in _AS_TEXT}
    pq.write_table(pa.table(arrays | texts).replace_schema_metadata(about), path)


def _read_table(path: Path) -> pd.DataFrame:
    """A plain or a GeoParquet table with its geometry as WKB; faster than by geopandas, which reads the CRS of each
    file anew."""
    found = pq.read_table(path, use_threads=False)
    geo = (found.schema.metadata or {}).get(b"geo")
    if geo is None:
        plain: pd.DataFrame = found.to_pandas()
        return plain
    about = json.loads(geo)
    name: str = about["primary_column"]
    shapes = shapely.from_wkb(found.column(name).to_numpy())
    crs = _crs(json.dumps(about["columns"][name]["crs"]))
    rest = found.drop_columns([name]).to_pandas()
    table = rest.assign(**{name: gpd.GeoSeries(shapes, index=rest.index, crs=crs)})
    whole: pd.DataFrame = gpd.GeoDataFrame(table, geometry=name)[found.column_names]
    return whole


@lru_cache(maxsize=8)
def _crs(text: str) -> pyproj.CRS:
    return pyproj.CRS(json.loads(text))
