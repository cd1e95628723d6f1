"""Residents of the cells: from a table, from a raster of population, or spread by the weights of buildings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geodata.errors import Fault, InputError
from geodata.grid import Grid
from geodata.makegrid import spread_residents
from geodata.network import Floats
from geodata.raster import raster_sums
from geodata.readers.coordinates import raise_first

MOST_NAMED = 5
WELL_KNOWN = 0.99
"""A cell of which less is known than this is told. Assumed."""


class RasterUnit(StrEnum):
    """What a pixel holds."""

    COUNT = "count"
    """People in it."""
    PER_KM2 = "per_km2"
    """People in a square kilometre there."""


def whole_residents(number: Floats, total: int | None = None) -> NDArray[np.int64]:
    """(n,) numbers with fractions as whole ones that add up to `total`, by default to their own sum, rounded.

    Raises:
        ValueError: none is positive, or one is negative.
    """
    return spread_residents(round(float(number.sum())) if total is None else total, number)


def residents_from_table(
    grid: Grid, codes: Sequence[str], number: Floats, weight: Floats, source: str
) -> tuple[Floats, list[str]]:
    """(cells,) residents by code, NaN where the table tells nothing, and remarks on codes missing and unknown.

    A code may be an area's: what its cells do not have by themselves is spread over those of them that the table
    leaves out, by `weight` (cells,), such as metres of road; the lowest areas first.

    Raises:
        InputError: a code that occurs twice or that no cell and no area has where none has; a number below 0 or none.
    """
    _check_numbers(codes, number, source)
    given = dict(zip(codes, number.tolist(), strict=True))
    found: Floats = np.array([given.get(code, np.nan) for code in grid.codes], float)
    remarks = []
    for level in reversed(grid.levels):
        area = grid.ancestor_code(level).to_numpy(object)
        for code in dict.fromkeys(area[area != ""]):
            if code in given:
                remarks += _spread_rest(found, area == code, given[code], weight, code)
    known = {*grid.codes, *grid.areas["code"]}
    unknown = [code for code in given if code not in known]
    if unknown and len(unknown) == len(given):
        mend = "Check that both hold the same codes, as text, with their leading zeros."
        raise InputError(Fault(source, "", f"codes such as {unknown[0]!r}", f"codes such as {grid.codes[0]!r}", mend))
    if unknown:
        remarks.append(f"{source}: {_counted(unknown)} no cell or area has: left out")
    missing = grid.codes[np.isnan(found)].tolist()
    if missing:
        remarks.append(f"{source}: {_counted(missing)} of cells it does not tell of")
    return found, remarks


def _check_numbers(codes: Sequence[str], number: Floats, source: str) -> None:
    several = [(code, n) for code, n in Counter(codes).items() if n > 1]
    faults = [Fault(source, f"code {code}", f"{n} rows", "one", "Remove or add up the others.") for code, n in several]
    mend = "Correct the value."
    faults += [
        Fault(source, f"code {codes[i]}", f"{number[i]:g} residents", "a number of at least 0", mend)
        for i in np.flatnonzero(~(np.isfinite(number) & (number >= 0))).tolist()
    ]
    raise_first(faults)


def _spread_rest(found: Floats, within: NDArray[np.bool_], total: float, weight: Floats, code: str) -> list[str]:
    """What an area has beyond its cells' own numbers goes to the cells without one, in place."""
    rest = total - float(np.nansum(found[within]))
    open_cells = within & np.isnan(found)
    if not open_cells.any():
        return [f"area {code}: its cells add up to {total - rest:,.0f}, not {total:,.0f}"] if abs(rest) >= 1 else []
    if rest < 0:
        found[open_cells] = 0
        return [f"area {code}: some of its cells add up to more than its {total:,.0f}; the others are taken as empty"]
    share = weight[open_cells] if weight[open_cells].sum() > 0 else np.ones(np.count_nonzero(open_cells))
    found[open_cells] = rest * share / share.sum()
    return []


def _counted(codes: Sequence[str]) -> str:
    named = ", ".join(codes[:MOST_NAMED]) + (" …" if len(codes) > MOST_NAMED else "")
    return f"{len(codes):,} code{'s' * (len(codes) != 1)} ({named})"


def residents_from_weights(grid: Grid, places: gpd.GeoDataFrame, weight: Floats, total: int) -> NDArray[np.int64]:
    """(cells,) a total spread by the weights (n,) of places, such as floors of buildings or beds: a point counts in
    its cell, a polygon in each by its share of the ground.

    Raises:
        ValueError: no place with weight lies in a cell, or a weight is negative.
    """
    shapes = np.asarray(places.geometry.array, object)
    flat = shapely.get_dimensions(shapes) == 2
    spot = grid.locate(shapely.get_coordinates(shapely.point_on_surface(shapes[~flat])))
    held = np.bincount(spot[spot >= 0], weight[~flat][spot >= 0], minlength=len(grid)).astype(float)
    place, cell = grid.tree.query(shapes[flat], predicate="intersects")
    ground, area_m2 = shapes[flat][place], shapely.area(shapes[flat])[place]
    common_m2 = np.asarray(shapely.area(shapely.intersection(ground, grid.polygons[cell])))
    share = np.divide(common_m2, area_m2, out=np.zeros(len(place)), where=area_m2 > 0)
    held += np.bincount(cell, weight[flat][place] * share, minlength=len(grid))
    return spread_residents(total, held)


def residents_from_raster(grid: Grid, path: Path | str, unit: RasterUnit) -> tuple[Floats, list[str]]:
    """(cells,) residents by a raster of population, and remarks on ground without a number, which counts as empty.

    A pixel on a border counts in each cell by its share of the ground; see `geodata.raster`.

    Raises:
        InputError: the raster cannot be used.
    """
    found, share = raster_sums(grid.cells, path, per_km2=unit is RasterUnit.PER_KM2)
    remarks = [f"{path}: {found.sum():,.0f} residents in the cells"]
    bare = grid.codes[share < WELL_KNOWN].tolist()
    if bare:
        remarks.append(f"{path}: {_counted(bare)} of cells with ground where it holds no number; counted as empty")
    return found, remarks
