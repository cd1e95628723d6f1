"""Residents of the cells from a file: a table by code, a raster of population, or places with weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from geodata.errors import Fault, InputError, plain
from geodata.grid import Grid
from geodata.network import Floats
from geodata.readers.csvtable import CsvTable
from geodata.readers.placefile import PlaceFile
from geodata.readers.values import clean_text
from geodata.readers.vector import POINTS, POLYGONS, find_column, open_layer
from geodata.residents import RasterUnit, residents_from_raster, residents_from_table, residents_from_weights

_CODE = ("code", "cell_code", "grid_code", "area_code", "adcode", "编码", "代码", "网格编码", "行政区划代码")
_RESIDENTS = ("residents", "population", "pop", "人口", "常住人口")
MOST_PER_KM2 = 100_000
"""No city is as dense throughout. Assumed: the densest districts on earth have about that."""
_TABLES, _RASTERS = (".csv", ".csv.gz"), (".tif", ".tiff", ".vrt", ".asc", ".img", ".nc")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidentsFile:
    """Where the residents are told: a CSV of codes and numbers, a raster, or a layer of places such as buildings."""

    path: Path
    unit: RasterUnit = RasterUnit.COUNT
    """Of a raster's pixels."""
    weight: str | None = None
    """Column of a layer whose values spread the total, such as floors; None: by area, points alike."""
    crs: str | None = None
    """CRS or datum of a layer."""


def read_residents(file: ResidentsFile, grid: Grid, road_m: Floats, *, total: int | None) -> tuple[Floats, list[str]]:
    """(cells,) residents, NaN where nothing is known, and remarks. `road_m` (cells,) spreads what is known of an area
    alone; `total` is what the weights of places spread.

    Raises:
        InputError: the file cannot be used; weights without a total; more residents than there can be.
    """
    found, remarks = _read(file, grid, road_m, total)
    km2 = float(grid.cells.geometry.area.sum()) / 1e6
    if (density := float(np.nansum(found)) / km2) > MOST_PER_KM2:
        expected = f"at most {MOST_PER_KM2:,} on average"
        mend = "If the pixels hold a density, build with --raster-unit per_km2; or check the numbers."
        raise InputError(Fault(str(file.path), "", f"{density:,.0f} residents in a km²", expected, mend))
    return found, remarks


def _read(file: ResidentsFile, grid: Grid, road_m: Floats, total: int | None) -> tuple[Floats, list[str]]:
    name = file.path.name.lower()
    if name.endswith(_TABLES):
        table = CsvTable.read(file.path, "a CSV with codes and residents")
        code = table.required(None, _CODE, "the codes of cells or areas")
        number = table.required(None, _RESIDENTS, "the residents")
        values, odd = table.numbers(number)
        if len(odd):
            faults = [
                Fault(
                    table.source,
                    f"line {table.lines[i]}",
                    f"{number} = {table.data[number].iloc[i]!r}",
                    "a number",
                    "Correct it.",
                )
                for i in odd[:20].tolist()
            ]
            raise InputError(*faults)
        codes = [clean_text(value) for value in table.data[code].tolist()]
        return residents_from_table(grid, codes, values, road_m, table.source)
    if name.endswith(_RASTERS):
        return residents_from_raster(grid, file.path, file.unit)
    if total is None:
        expected = "their number in all, which the weights spread"
        raise InputError(Fault(str(file.path), "", "places, and no number of residents", expected, "Give --residents."))
    places = PlaceFile(str(file.path), open_layer(file.path, POLYGONS, crs=file.crs), "feature", 1, [], [])
    weight = _weights(places.table, file)
    remarks = places.check_shapes((POINTS, POLYGONS), [""] * len(places.table), repair=True)
    places.raise_faults()
    moved = places.projected(grid.cells.crs.to_epsg())
    if weight is None:
        area = moved.geometry.area.to_numpy(float)
        weight = area if (area > 0).all() else np.ones(len(moved))
    try:
        return residents_from_weights(grid, moved, weight, total).astype(float), remarks
    except ValueError as error:
        mend = "Check that both show one city, the CRS, and the column of weights."
        raise InputError(Fault(str(file.path), "", plain(error), "places with weight in the cells", mend)) from error


def _weights(places: gpd.GeoDataFrame, file: ResidentsFile) -> Floats | None:
    """(n,) the column of weights, None where none is named."""
    column = find_column(places, file.weight, (), str(file.path))
    if column is None:
        return None
    weight: Floats = pd.to_numeric(places[column], errors="coerce").to_numpy(float)
    for i in np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))[:1].tolist():
        found = f"{column} = {places[column].iloc[i]!r}"
        raise InputError(Fault(str(file.path), f"feature {i + 1}", found, "a number of at least 0", "Correct it."))
    return weight
