"""Sums of a raster over polygons: exact shares of the pixels that a border cuts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyproj
import rasterio
from numpy.typing import NDArray
from pyproj.exceptions import CRSError
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window

from geodata.borders import ring_edges
from geodata.crs import check_on_earth, project
from geodata.errors import Fault, InputError, plain
from geodata.network import Floats

Longs = NDArray[np.int64]
MOST_PIXELS = 100_000_000
"""Of a raster that are read at once: a city of 100 km at 10 m. Assumed."""


def zonal_sums(value: Floats, edge: Floats, zone: Longs, n_zones: int) -> Floats:
    """(n_zones,) sum of a (rows, columns) raster over polygons, each pixel by the share of it inside.

    `edge` (m, 2, 2): begin and end of the polygons' edges as (column, row), rings of ground counter-clockwise with
    rows upwards and rings of holes the other way, or all turned round; `zone` (m,) the polygon of each. By Green's
    theorem the sum is the integral along the edges of what lies to the left in each row, which is linear within a
    pixel: an edge is cut at every line between pixels. What lies beyond the raster is 0.
    """
    rows, columns = value.shape
    left = np.concatenate([np.zeros((rows, 1)), np.cumsum(value, axis=1)], axis=1)
    begin, end, of = _cut_at_pixels(edge)
    middle = (begin + end) / 2
    rise = end[:, 1] - begin[:, 1]
    column = np.floor(middle[:, 0]).clip(0, columns).astype(np.int64)
    row = np.floor(middle[:, 1]).astype(np.int64)
    inside = (row >= 0) & (row < rows)
    column, row, rise, of, at = column[inside], row[inside], rise[inside], of[inside], middle[inside, 0]
    here = np.where(column < columns, value[row, np.minimum(column, columns - 1)], 0)
    part = rise * (left[row, column] + here * np.maximum(at - column, 0))
    total: Floats = np.bincount(zone[of], part, minlength=n_zones).astype(float)
    turned = _areas(edge, zone, n_zones).sum() < 0
    return -total if turned else total


def _areas(edge: Floats, zone: Longs, n_zones: int) -> Floats:
    """(n_zones,) pixels in each polygon, below 0 where its rings run clockwise."""
    (x0, y0), (x1, y1) = edge[:, 0].T, edge[:, 1].T
    return np.bincount(zone, (x0 + x1) * (y1 - y0) / 2, minlength=n_zones).astype(float)


def _cut_at_pixels(edge: Floats) -> tuple[Floats, Floats, Longs]:
    """Begin and end of the parts of edges that lie in one pixel each, and the edge of each part."""
    along, of = [np.zeros(len(edge))], [np.arange(len(edge))]
    for axis in (0, 1):
        begin, end = edge[:, 0, axis], edge[:, 1, axis]
        first = np.floor(np.minimum(begin, end)) + 1
        count = np.maximum(np.ceil(np.maximum(begin, end)) - first, 0).astype(np.int64)
        cut = np.repeat(np.arange(len(edge)), count)
        line = first[cut] + np.arange(len(cut)) - np.repeat(np.cumsum(count) - count, count)
        along.append((line - begin[cut]) / (end - begin)[cut])
        of.append(cut)
    share, index = np.concatenate(along), np.concatenate(of)
    order = np.lexsort((share, index))
    share, index = share[order], index[order]
    last = np.r_[index[1:] != index[:-1], True]
    until = np.where(last, 1.0, np.r_[share[1:], 1.0])
    start, step = edge[index, 0], edge[index, 1] - edge[index, 0]
    return start + share[:, None] * step, start + until[:, None] * step, index


def raster_sums(cells: gpd.GeoDataFrame, path: Path | str, *, per_km2: bool) -> tuple[Floats, Floats]:
    """(n,) sum of the first band of a raster over each polygon, and (n,) the share of its ground with a number.

    `per_km2`: pixels hold a density. The raster is any that GDAL reads, in any CRS, rotated or not; only the part
    around the polygons is read. Pixels without data or below 0 hold no number and count as 0. Corners are projected,
    edges between them stay straight.

    Raises:
        InputError: the raster cannot be read, tells no CRS, lies elsewhere or has too many pixels there.
    """
    source = str(path)
    with _opened(source) as raster:
        crs = _crs(raster, source)
        if raster.transform.is_degenerate or not np.isfinite(raster.transform).all():
            found = f"pixels of {raster.transform.a:g} × {raster.transform.e:g}"
            raise InputError(
                Fault(source, "", found, "pixels with a size", "Give it its corner and the size of a pixel.")
            )
        edge, zone = _pixel_edges(cells, raster, crs)
        ends = edge.reshape(-1, 2)
        low = np.maximum(np.floor(ends.min(axis=0)), 0)
        high = np.minimum(np.ceil(ends.max(axis=0)), [raster.width, raster.height])
        if not (high > low).all():
            mend = "Check that both show one city, and the raster's CRS."
            raise InputError(Fault(source, "", "no pixel where the cells are", "a raster that covers them", mend))
        if (pixels := (high - low).prod()) > MOST_PIXELS:
            mend = "Make its pixels larger, for example with gdalwarp -tr -r sum."
            raise InputError(Fault(source, "", f"{pixels:,.0f} pixels", f"at most {MOST_PIXELS:,}", mend))
        band = raster.read(1, window=Window(*low, *(high - low)), masked=True)
        known = ~np.ma.getmaskarray(band) & np.isfinite(band.data) & (band.data >= 0)
        value: Floats = np.where(known, band.data, 0).astype(float)
        if per_km2:
            value *= _pixel_km2(raster, crs, low, value.shape)
    held = zonal_sums(known.astype(float), edge - low, zone, len(cells))
    pixels_in = np.abs(_areas(edge, zone, len(cells)))
    share = np.divide(held, pixels_in, out=np.zeros(len(cells)), where=pixels_in > 0)
    return np.maximum(zonal_sums(value, edge - low, zone, len(cells)), 0), share.clip(0, 1)


@contextmanager
def _opened(source: str) -> Iterator[rasterio.DatasetReader]:
    try:
        # a raster without a place in the world is refused with words of our own
        with (
            warnings.catch_warnings(action="ignore", category=NotGeoreferencedWarning),
            rasterio.open(source) as raster,
        ):
            yield raster
    except (RasterioError, UnicodeDecodeError) as error:
        mend = "Check the file; a GeoTIFF is the usual kind."
        raise InputError(Fault(source, "", f"no readable raster ({plain(error)})", "a raster", mend)) from error


def _crs(raster: rasterio.DatasetReader, source: str) -> pyproj.CRS:
    mend = "Give it its CRS, for example with gdal_edit -a_srs."
    if raster.crs is None:
        raise InputError(Fault(source, "", "no CRS", "a raster that tells its CRS", mend))
    try:
        crs = pyproj.CRS.from_wkt(raster.crs.to_wkt())
    except CRSError as error:
        found = f"an unknown CRS ({plain(error)})"
        raise InputError(Fault(source, "", found, "one with a place on earth", mend)) from error
    check_on_earth(crs, source)
    return crs


def _pixel_edges(cells: gpd.GeoDataFrame, raster: rasterio.DatasetReader, crs: pyproj.CRS) -> tuple[Floats, Longs]:
    """(m, 2, 2) the edges of the cells as (column, row), and (m,) the cell of each."""
    begin, end, cell = ring_edges(cells.geometry.to_numpy(object))
    back = ~raster.transform

    def column_row(xy: Floats) -> Floats:
        x, y = project(xy, cells.crs, crs).T
        return np.column_stack([back.a * x + back.b * y + back.c, back.d * x + back.e * y + back.f])

    return np.stack([column_row(begin), column_row(end)], axis=1), cell


def _pixel_km2(raster: rasterio.DatasetReader, crs: pyproj.CRS, low: Floats, shape: tuple[int, ...]) -> Floats:
    """Ground of the pixels of a window, one for all, or one for each where pixels are measured in degrees."""
    way = raster.transform
    size = abs(way.a * way.e - way.b * way.d)
    if not crs.is_geographic:
        unit_m = crs.axis_info[0].unit_conversion_factor
        return np.array(size * unit_m**2 / 1e6)
    row, column = (np.arange(n) + 0.5 for n in shape)
    lat = np.radians(way.d * (column[None] + low[0]) + way.e * (row[:, None] + low[1]) + way.f)
    # metres of a radian along the meridian and the parallel of the ellipsoid
    ellipsoid = crs.get_geod()
    if ellipsoid is None:
        raise ValueError(f"{crs.name}: degrees without an ellipsoid")
    a, e2 = ellipsoid.a, ellipsoid.es
    bend = 1 - e2 * np.sin(lat) ** 2
    km2: Floats = size * np.radians(1) ** 2 * a**2 * (1 - e2) / bend**2 * np.cos(lat) / 1e6
    return km2
