"""Coordinates as a file gives them: what is wrong with them, and their way out of a declared datum."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import geopandas as gpd
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geodata.crs import LONLAT, check_on_earth, in_china, in_range, project
from geodata.datum import Datum, to_wgs84
from geodata.errors import Fault, InputError
from geodata.network import Bools, Floats

MOST_FAULTS = 20
"""So many are told one by one."""
_SWAP_DEGREES = ("{}: longitude and latitude look swapped", "longitude before latitude", "Swap the two.")
_SWAP_METRES = (
    "{}: easting and northing look swapped",
    "x = easting and y = northing",
    "Swap the two: survey tables often write X for the northing and Y for the easting.",
)


def raise_first(faults: Iterable[Fault]) -> None:
    """One InputError for the first `MOST_FAULTS` and the number of the rest; nothing if there are none."""
    told = list(faults)
    rest = len(told) - MOST_FAULTS
    if rest > 0:
        told[MOST_FAULTS:] = [Fault(told[0].source, "", f"{rest:,} more faults", "none", "Mend those above first.")]
    if told:
        raise InputError(*told)


def placed(
    table: gpd.GeoDataFrame, declared: pyproj.CRS | Datum, source: str, place: Callable[[int], str]
) -> gpd.GeoDataFrame:
    """The table with its coordinates checked, without Z, in the declared CRS; in WGS-84 (`LONLAT`) where a datum is
    declared. `place` names a row for a message.

    Raises:
        InputError: by row: coordinates that are not finite, at (0, 0), that look swapped, or that are no degrees
            although a datum was declared; degrees declared as metres; a CRS that is neither geographic nor projected.
    """
    if not (isinstance(declared, Datum) or declared.is_geographic or declared.is_projected):
        mend = "Declare the CRS that the coordinates are in, such as EPSG:4547."
        raise InputError(
            Fault(source, "CRS", f"{declared.name} ({declared.type_name})", "one tied to the ground", mend)
        )
    if not isinstance(declared, Datum):
        check_on_earth(declared, source)
    shapes = np.asarray(table.geometry.array, object)
    if shapely.has_z(shapes).any():
        shapes = shapely.force_2d(shapes)
    xy, row = shapely.get_coordinates(shapes, return_index=True)
    one_point = (shapely.get_type_id(shapes) == 0)[row]
    raise_first(_faults(xy, row, one_point, declared, source, place))
    if isinstance(declared, Datum):
        shapes = shapely.transform(shapes, partial(to_wgs84, datum=declared))
        declared = pyproj.CRS(LONLAT)
    return table.set_geometry(gpd.GeoSeries(shapes, index=table.index, crs=declared))


def _faults(
    xy: Floats,
    row: NDArray[np.int64],
    one_point: Bools,
    declared: pyproj.CRS | Datum,
    source: str,
    place: Callable[[int], str],
) -> list[Fault]:
    """For each row the first of its vertices that has a fault, in the order of the file."""
    label = declared.value if isinstance(declared, Datum) else declared.name
    if isinstance(declared, Datum) or declared.is_geographic:
        in_degrees = True
        swapped, swap = _swapped_degrees(xy), _SWAP_DEGREES
    else:
        if len(xy) and (in_range(xy) & in_china(xy)).all():
            found = f"({xy[0, 0]:.10g}, {xy[0, 1]:.10g}), which looks like degrees, declared as {label}"
            return [Fault(source, "all coordinates", found, "metres", "Declare the datum of the degrees.")]
        in_degrees = False
        swapped, swap = _swapped_metres(xy, row, declared), _SWAP_METRES
    none = np.zeros(len(xy), bool)
    kinds = [
        (~np.isfinite(xy).all(axis=1), "{}", "finite numbers", "Fill the coordinates in, or remove it."),
        (
            (xy == 0).all(axis=1) & (in_degrees | one_point),
            "{}",
            "a place",
            "(0, 0) is no place here: fill the true one in.",
        ),
        (swapped, *swap),
        (
            ~in_range(xy) if isinstance(declared, Datum) else none,
            f"{{}} declared as {label}",
            "a longitude and a latitude in degrees",
            f"{label} is never projected: declare the projected CRS instead, such as EPSG:4547.",
        ),
    ]
    by_row: dict[int, Fault] = {}
    for wrong, found, expected, mend in kinds:
        rows, first = np.unique(row[wrong], return_index=True)
        for i, (x, y) in zip(rows.tolist(), xy[wrong][first].tolist(), strict=True):
            text = found.format(f"({x:.10g}, {y:.10g})")
            by_row.setdefault(i, Fault(source, place(i), text, expected, mend))
    return [by_row[i] for i in sorted(by_row)]


def _swapped_degrees(xy: Floats) -> Bools:
    """A latitude beyond ±90 that would do as a longitude, or a place that is in China only the other way round."""
    other = xy[:, ::-1]
    return np.where(in_range(xy), in_china(other) & ~in_china(xy), in_range(other))


def _swapped_metres(xy: Floats, row: NDArray[np.int64], crs: pyproj.CRS) -> Bools:
    """The same for metres, by the first vertex of each row."""
    swapped = np.zeros(len(xy), bool)
    _, first = np.unique(row, return_index=True)
    here = xy[first]
    swapped[first] = in_china(project(here[:, ::-1], crs, LONLAT)) & ~in_china(project(here, crs, LONLAT))
    return swapped
