"""Coordinate reference systems: which projected one fits a place, and the way into it. Axes are always x = easting."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyproj
import shapely
from pyproj.exceptions import CRSError, ProjError

from geodata.datum import Datum, parse_datum
from geodata.errors import Fault, InputError, plain
from geodata.network import Bools, Floats

LONLAT = 4326
CGCS2000_LONLAT = 4490
MAX_SCALE_ERROR = 0.01
"""A metre of a usable projected CRS is a metre on the ground within this share. Assumed."""

# Coarse outline of China (longitude, latitude), islands and coast included; it only chooses between two transverse
# Mercator families of like accuracy and finds swapped coordinates, so a few kilometres at a border do not matter.
# fmt: off
_CHINA = shapely.Polygon([
    (73.5, 39.5), (80.2, 45.0), (82.5, 47.2), (85.5, 48.4), (87.8, 49.2), (91.0, 46.0), (95.4, 44.2), (98.0, 42.7),
    (105.0, 41.6), (111.2, 43.5), (116.0, 46.3), (119.8, 47.2), (116.0, 49.4), (120.0, 53.5), (125.5, 53.2),
    (130.8, 48.9), (135.3, 48.8), (131.2, 44.9), (130.4, 42.5), (126.9, 41.6), (124.1, 39.8), (123.0, 35.0),
    (123.5, 30.0), (122.3, 24.5), (120.8, 21.6), (117.0, 21.5), (111.5, 17.8), (108.2, 18.5), (108.0, 21.5),
    (105.3, 23.2), (101.7, 21.1), (99.0, 22.0), (97.5, 24.0), (98.6, 27.5), (92.0, 27.7), (88.8, 27.3),
    (82.0, 30.2), (78.5, 32.4), (78.0, 35.4), (74.5, 37.2),
])
# fmt: on
shapely.prepare(_CHINA)


def projected_epsg(lon: float, lat: float) -> int:
    """EPSG code of the projected CRS for a place given in degrees.

    In China the 3-degree CGCS2000 Gauss-Krüger zone by central meridian (4534 for 75° E to 4554 for 135° E, so 4547
    for Changsha and Huizhou and 4544 for Meishan); elsewhere the WGS 84 UTM zone.
    """
    if not (-180 <= lon <= 180 and -90 <= lat <= 90):
        raise ValueError(f"longitude {lon}, latitude {lat}: expected degrees within ±180 and ±90")
    if shapely.contains_xy(_CHINA, lon, lat):
        return 4534 + min(max(round(lon / 3) - 25, 0), 20)
    zone = min(int((lon + 180) // 6) + 1, 60)
    return (32600 if lat >= 0 else 32700) + zone


@lru_cache(maxsize=32)
def _transformer(source: str, target: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(source, target, always_xy=True)


def project(xy: Floats, source: pyproj.CRS | str | int, target: pyproj.CRS | str | int) -> Floats:
    """(n, 2) coordinates taken from one CRS to another, x before y in both; what cannot be projected is infinite."""
    x, y = _transformer(pyproj.CRS(source).to_wkt(), pyproj.CRS(target).to_wkt()).transform(xy[:, 0], xy[:, 1])
    return np.column_stack([x, y])


def check_on_earth(crs: pyproj.CRS, source: str) -> None:
    """
    Raises:
        InputError: no way leads from the CRS to longitude and latitude on the earth.
    """
    try:
        _transformer(crs.to_wkt(), pyproj.CRS(LONLAT).to_wkt())
    except (CRSError, ProjError) as error:
        found = f"{crs.name}, from which no way leads to longitude and latitude ({plain(error)})"
        mend = "Declare the CRS that the coordinates are in, such as EPSG:4547."
        raise InputError(Fault(source, "CRS", found, "one with a place on earth", mend)) from error


def parse_crs(text: str | int, source: str) -> pyproj.CRS:
    """The CRS that a user names, as an EPSG code or any other text that PROJ reads."""
    try:
        return pyproj.CRS(text)
    except CRSError as error:
        expected = f"a CRS such as EPSG:4326, or {', '.join(datum.value for datum in Datum)}"
        raise InputError(Fault(source, "CRS", repr(text), expected, "Name the CRS by its EPSG code.")) from error


def parse_declared(text: str | int, source: str) -> pyproj.CRS | Datum:
    """What a user declares coordinates to be in: a CRS, or GCJ-02 or BD-09, which no CRS stands for: such coordinates
    are converted as they are read.

    Raises:
        InputError: neither a datum nor a CRS.
    """
    datum = parse_datum(text)
    if datum is Datum.WGS84 or datum is Datum.CGCS2000:
        return pyproj.CRS(LONLAT if datum is Datum.WGS84 else CGCS2000_LONLAT)
    return datum or parse_crs(text, source)


def in_china(lonlat: Floats) -> Bools:
    """(n,) whether each of (n, 2) pairs in degrees lies inside a coarse outline of China."""
    with np.errstate(invalid="ignore"):  # what is not finite lies outside
        return np.asarray(shapely.contains_xy(_CHINA, lonlat[:, 0], lonlat[:, 1]))


def in_range(lonlat: Floats) -> Bools:
    """(n,) whether each of (n, 2) pairs is a longitude and a latitude in degrees."""
    return np.asarray((np.abs(lonlat) <= (180, 90)).all(axis=1))


def choose_epsg(lonlat: Floats, epsg: int | None, source: str) -> int:
    """The projected CRS for (n, 2) points in degrees: the given one once it has been checked, or the one that fits
    their middle.

    Raises:
        InputError: points out of range; `epsg` is unknown, is not in metres, or is no use at that place.
    """
    good = in_range(lonlat)
    if not good.all():
        bad = lonlat[~good][0]
        fault = Fault(
            source,
            f"{np.count_nonzero(~good):,} of {len(good):,} points",
            f"({bad[0]:g}, {bad[1]:g}) as longitude and latitude",
            "degrees within ±180 and ±90",
            "Declare the CRS that the coordinates are really in, and longitude before latitude.",
        )
        raise InputError(fault)
    lon, lat = (float(v) for v in np.median(lonlat, axis=0))
    if epsg is None:
        return projected_epsg(lon, lat)
    crs = parse_crs(f"EPSG:{epsg}", source)
    fault = Fault(
        source,
        f"EPSG:{epsg}",
        crs.name,
        f"a projected CRS in true metres near ({lon:.3f}, {lat:.3f})",
        f"Leave the CRS out, or give EPSG:{projected_epsg(lon, lat)}.",
    )
    if not crs.is_projected or any(axis.unit_name != "metre" for axis in crs.axis_info):
        raise InputError(fault)
    try:
        factors = pyproj.Proj(crs).get_factors(lon, lat, errcheck=True)
    except ProjError as error:
        raise InputError(fault) from error
    scales = np.array([factors.meridional_scale, factors.parallel_scale])
    if not (np.abs(scales - 1) <= MAX_SCALE_ERROR).all():
        raise InputError(fault)
    return epsg
