"""The four datums of Chinese data, the ways between them, and which one fits a layer of points. Degrees throughout.

WGS-84 and CGCS2000 agree within a decimetre and count as one here. GCJ-02 (Amap, Tencent, most public-sector web maps)
is WGS-84 with a shift of 100 to 700 m laid over it; BD-09 (Baidu) turns and moves GCJ-02 by about another kilometre.
Neither has an EPSG code, neither can be told from the numbers alone: a datum is declared, and `datum_fit` measures
whether the declaration can be right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from geodata.compiled import compiled
from geodata.network import Floats


class Datum(Enum):
    WGS84 = "WGS-84"
    CGCS2000 = "CGCS2000"
    GCJ02 = "GCJ-02"
    BD09 = "BD-09"


_WORDS = {
    Datum.WGS84: "wgs84 wgs1984 gps epsg4326 4326 gps坐标 世界大地坐标系",
    Datum.CGCS2000: "cgcs2000 cgcs epsg4490 4490 国家2000 大地2000 2000国家大地坐标系 国家大地2000 国家大地坐标系2000",
    Datum.GCJ02: "gcj02 gcj2 gcj gcj02ll mars 火星 火星坐标 火星坐标系 国测局坐标 国测局坐标系 高德 amap 腾讯 tencent",
    Datum.BD09: "bd09 bd9 bd bd09ll baidu 百度 百度坐标 百度坐标系",
}
_BY_WORD = {word: datum for datum, words in _WORDS.items() for word in words.split()}
_IGNORED = re.compile(r"[\s\-_–—:：.()（）/]+")


def parse_datum(text: str | int) -> Datum | None:
    """The datum that a user names ("GCJ-02", "gcj02", "火星坐标", "bd09ll", "百度", "WGS84", "EPSG:4490"); None for any
    other text, which may still be a CRS."""
    return _BY_WORD.get(_IGNORED.sub("", str(text)).lower())


WEST, SOUTH, EAST, NORTH = 72.004, 0.8293, 137.8347, 55.8271
"""The customary rectangle outside which GCJ-02 is WGS-84. It holds neighbouring countries too: only a declaration tells
whether coordinates there are shifted."""
FADE_DEG = 0.1
"""Within so much of the rectangle's sides, inside it, the shift fades in. Assumed: a shift that starts at full size
tears the plane, so that no inverse exists at the sides. All of China lies deeper inside, by a degree and more."""

_MAJOR_M = 6378245.0
"""Semi-major axis of the Krassovsky 1940 ellipsoid, on which the shift of GCJ-02 is reckoned."""
_ECCENTRICITY2 = 0.00669342162296594323
_BD_WAVE = math.pi * 3000 / 180
_STEP_DEG = 1e-10
"""The last step of an inverse is smaller than this; it leaves an error below 0.15 of it, 2e-6 m."""
_MOST_STEPS = 40


@compiled
def _of_triple(sine: float) -> float:
    """sin 3a from sin a, as 3 sin a - 4 sin³ a; so also cos 3a from -cos a. It spares half of the sines."""
    return sine * (3 - 4 * sine * sine)


@compiled
def _gcj02_point(lon: float, lat: float) -> tuple[float, float]:
    inside = min(lon - WEST, EAST - lon, lat - SOUTH, NORTH - lat)
    if not inside > 0:
        return lon, lat
    x, y = lon - 105.0, lat - 35.0
    third_x, third_y = math.sin(math.pi * x / 3), math.sin(math.pi * y / 3)
    sin_x, sin_y = _of_triple(third_x), _of_triple(third_y)
    twice = 2 * sin_x * _of_triple(-math.cos(math.pi * x / 3))
    fast = 20 * twice + 20 * _of_triple(twice)
    root = math.sqrt(abs(x))
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root + fast * 2 / 3
    north += (20 * sin_y + 40 * third_y) * 2 / 3
    north += (160 * math.sin(math.pi * y / 12) + 320 * math.sin(math.pi * y / 30)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root + fast * 2 / 3
    east += (20 * sin_x + 40 * third_x) * 2 / 3
    east += (150 * math.sin(math.pi * x / 12) + 300 * math.sin(math.pi * x / 30)) * 2 / 3
    phi = math.radians(lat)
    w2 = 1 - _ECCENTRICITY2 * math.sin(phi) ** 2
    w = math.sqrt(w2)
    fade = min(inside / FADE_DEG, 1.0)
    lon += fade * math.degrees(east / (_MAJOR_M / w * math.cos(phi)))
    lat += fade * math.degrees(north / (_MAJOR_M * (1 - _ECCENTRICITY2) / (w2 * w)))
    return lon, lat


@compiled
def _bd09_point(lon: float, lat: float) -> tuple[float, float]:
    """From GCJ-02. Radius and angle change by a little: so the point is scaled and turned, without going to polar
    coordinates and back."""
    radius = math.sqrt(lon * lon + lat * lat)
    scale = 1 + 0.00002 * math.sin(lat * _BD_WAVE) / radius if radius > 0 else 1.0
    turn = 0.000003 * math.cos(lon * _BD_WAVE)
    c, s = scale * math.cos(turn), scale * math.sin(turn)
    return lon * c - lat * s + 0.0065, lon * s + lat * c + 0.006


@compiled
def _forward(lonlat: Any, bd09: bool) -> Any:
    out = np.empty_like(lonlat)
    for i in range(len(lonlat)):
        lon, lat = _gcj02_point(lonlat[i, 0], lonlat[i, 1])
        if bd09:
            lon, lat = _bd09_point(lon, lat)
        out[i, 0], out[i, 1] = lon, lat
    return out


@compiled
def _inverse(lonlat: Any, bd09: bool) -> Any:
    """By fixed point: what the way there misses the wanted point by is the next correction. Shifts change by at most
    0.15 of the distance (in the fading rim; elsewhere 0.03), so each step leaves that much of the error."""
    out = np.empty_like(lonlat)
    for i in range(len(lonlat)):
        wanted_lon, wanted_lat = lonlat[i, 0], lonlat[i, 1]
        if bd09:
            lon, lat = wanted_lon - 0.0065, wanted_lat - 0.006
            for _ in range(_MOST_STEPS):
                at_lon, at_lat = _bd09_point(lon, lat)
                lon, lat = lon + wanted_lon - at_lon, lat + wanted_lat - at_lat
                if abs(wanted_lon - at_lon) + abs(wanted_lat - at_lat) < _STEP_DEG:
                    break
            wanted_lon, wanted_lat = lon, lat
        lon, lat = wanted_lon, wanted_lat
        for _ in range(_MOST_STEPS):
            at_lon, at_lat = _gcj02_point(lon, lat)
            lon, lat = lon + wanted_lon - at_lon, lat + wanted_lat - at_lat
            if abs(wanted_lon - at_lon) + abs(wanted_lat - at_lat) < _STEP_DEG:
                break
        out[i, 0], out[i, 1] = lon, lat
    return out


def from_wgs84(lonlat: Floats, datum: Datum) -> Floats:
    """(n, 2) longitudes and latitudes taken from WGS-84 into a datum; NaN stays NaN.

    GCJ-02 has never been published officially. The series is the one known since 2013 ("Restrictions on geographic data
    in China", Wikipedia, section GCJ-02; it reproduces the shift of the web maps within a metre or so): metres of shift
    as a polynomial and sines of the position from 105° E, 35° N, turned into degrees on the Krassovsky 1940 ellipsoid.
    Outside the rectangle `WEST` to `NORTH` it is the identity, and fades in over `FADE_DEG` inside. BD-09: the same
    article, section BD-09; it is laid over GCJ-02 everywhere, also where that is WGS-84.
    """
    return _apply(_forward, lonlat, datum)


def to_wgs84(lonlat: Floats, datum: Datum) -> Floats:
    """(n, 2) longitudes and latitudes of a datum as WGS-84: `from_wgs84` undone to below 2e-6 m; NaN stays NaN."""
    return _apply(_inverse, lonlat, datum)


def _apply(way: Callable[[Any, bool], Any], lonlat: Floats, datum: Datum) -> Floats:
    lonlat = np.ascontiguousarray(lonlat, np.float64)
    if lonlat.ndim != 2 or lonlat.shape[1] != 2:
        raise ValueError(f"coordinates of shape {lonlat.shape}, expected (n, 2)")
    if datum not in (Datum.GCJ02, Datum.BD09):
        return lonlat.copy()
    return np.asarray(way(lonlat, datum is Datum.BD09), np.float64)


FIT_CANDIDATES = (Datum.WGS84, Datum.GCJ02, Datum.BD09)
FIT_LEAST_POINTS = 10
"""Fewer points decide nothing. Assumed."""
FIT_RATIO = 3.0
"""A datum fits clearly better than another if its median distance is so many times smaller. Assumed. In the street net
of Changsha, where a wrong datum still leaves the median point 30 to 60 m from some road, this and `FIT_SUSPECT_M` find
the right one for 33 points digitised within 10 m nearly always, within 40 m in half of all cases; no false alarm."""
FIT_SUSPECT_M = 10.0
"""A declared datum is under suspicion only if the median point lies farther off than this: less can be digitising.
Assumed."""
FIT_MOST_M = 200.0
"""A datum that leaves the median point farther off fits nothing. Assumed: GCJ-02 alone shifts by more."""


@dataclass(frozen=True, slots=True)
class DatumFit:
    """How far points lie from their reference if their numbers are read as each datum."""

    declared: Datum
    n: int
    median_m: Mapping[Datum, float]
    """By candidate; CGCS2000 counts as WGS-84. Empty if there is no point."""
    p90_m: Mapping[Datum, float]
    fits: Datum | None
    """The datum that fits clearly better than each of the others; None where the measurement decides nothing."""
    wrong: bool
    """Whether another datum than the declared one should be declared."""
    verdict: str
    """One sentence for the user."""


def datum_fit(
    lonlat: Floats,
    off_road_m: Callable[[Floats], Floats],
    declared: Datum = Datum.WGS84,
    *,
    points: str = "points",
    reference: str = "a road",
) -> DatumFit:
    """Which datum (n, 2) coordinates are in, by their distance to something of known datum.

    `lonlat` are the numbers as the file holds them (`from_wgs84` gives them back once they have been converted), and
    `off_road_m` measures (n,) metres from (n, 2) WGS-84 coordinates to the nearest road; infinity is allowed. `points`
    and `reference` are words for the verdict.

    The rule: at least `FIT_LEAST_POINTS` points; a datum *fits* if its median is at most `FIT_MOST_M` and each other
    median at least `FIT_RATIO` times as large; the declared one is *wrong* if another one fits and the declared median
    is above `FIT_SUSPECT_M`. All else is undecided: points that do not stand at roads, or roads so dense that one is
    always near.

    Polygons have no distance to roads, since their borders follow rivers and ridges as well. Their vertices can be
    measured against the borders of the same areas in a source of known datum: then `off_road_m` is the distance to
    those. Nothing else about a polygon layer tells its datum.

    Raises:
        ValueError: a distance is NaN or negative.
    """
    declared_as = Datum.WGS84 if declared is Datum.CGCS2000 else declared
    n = len(lonlat)
    off_m = {datum: np.asarray(off_road_m(to_wgs84(lonlat, datum)), float) for datum in FIT_CANDIDATES if n}
    if not all((distances >= 0).all() for distances in off_m.values()):
        raise ValueError("a distance that is NaN or negative, expected metres of at least 0")
    median = {datum: float(np.median(distances)) for datum, distances in off_m.items()}
    p90 = {datum: float(np.quantile(distances, 0.9, method="higher")) for datum, distances in off_m.items()}
    if n < FIT_LEAST_POINTS:
        verdict = f"undecided: {n} {points} are too few to tell the datum, at least {FIT_LEAST_POINTS} are needed"
        return DatumFit(declared, n, median, p90, None, False, verdict)
    best = min(FIT_CANDIDATES, key=lambda datum: (median[datum], datum is not declared_as))
    clear = median[best] <= FIT_MOST_M and all(
        median[best] * FIT_RATIO <= median[other] > 0 for other in FIT_CANDIDATES if other is not best
    )
    wrong = clear and best is not declared_as and median[declared_as] > FIT_SUSPECT_M
    fits = best if clear and (wrong or best is declared_as) else None
    medians = f"as {declared.value} the median of {n:,} {points} is {median[declared_as]:,.0f} m from {reference}"
    others = ", ".join(f"as {d.value} {median[d]:,.0f} m" for d in FIT_CANDIDATES if d is not declared_as)
    if wrong:
        verdict = f"{medians}, as {best.value} {median[best]:,.0f} m: declare {best.value}"
    elif fits:
        verdict = f"{medians}, {others}: {declared.value} fits"
    else:
        verdict = f"undecided: {medians}, {others}"
    return DatumFit(declared, n, median, p90, fits, wrong, verdict)
