"""A file of places on its way in: each column read, and all that is wrong with it gathered by row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geodata.crs import in_range
from geodata.errors import Fault, InputError
from geodata.network import Floats
from geodata.opening import EXAMPLE, mentions_holidays
from geodata.readers.values import clean_text
from geodata.readers.vector import POINTS, POLYGONS, find_column, open_layer, read_csv, to_lonlat, to_projected
from geodata.sites import PlaceClass

MOST_FAULTS = 20
MOST_COUNTED = 1e9
"""More residents or places than that are an error. Assumed."""
PLACE_CLASS_WORDS = {c.label: c for c in PlaceClass} | {
    "要害部位": PlaceClass.VITAL,
    "重点地区": PlaceClass.KEY,
    "其他": PlaceClass.GENERAL,
    "其他区域": PlaceClass.GENERAL,
}


@dataclass(slots=True)
class PlaceFile:
    """An opened file of places; collects what is wrong with it until `raise_faults`."""

    path: str
    table: gpd.GeoDataFrame
    row_word: str
    first_row: int
    faults: list[Fault]
    remarks: list[str]

    @classmethod
    def open(cls, path: Path, wanted: str, *, layer: str | None, crs: str | None) -> PlaceFile:
        if path.suffix.lower() != ".csv":
            return cls(str(path), open_layer(path, wanted, layer=layer, crs=crs), "feature", 1, [], [])
        if wanted == POLYGONS:
            mend = "Give a GPKG, Shapefile or GeoJSON with polygons."
            raise InputError(Fault(str(path), "", "a CSV, which holds points", "polygons", mend))
        return cls(str(path), read_csv(path, crs), "line", 2, [], [])

    def fault(self, row: int, label: str, found: str, expected: str, mend: str) -> None:
        place = f"{self.row_word} {row + self.first_row}" + (f" ({label})" if label else "")
        self.faults.append(Fault(self.path, place, found, expected, mend))

    def raise_faults(self) -> None:
        if not self.faults:
            return
        told, rest = self.faults[:MOST_FAULTS], len(self.faults) - MOST_FAULTS
        if rest > 0:
            told.append(Fault(self.path, "", f"{rest:,} more faults", "none", "Mend those above first."))
        raise InputError(*told)

    def column(self, named: str | None, usual: Sequence[str]) -> str | None:
        try:
            return find_column(self.table, named, usual, self.path)
        except InputError as error:
            self.faults.extend(error.faults)
            return None

    def texts(self, named: str | None, usual: Sequence[str], *, default: Sequence[str]) -> list[str]:
        """A column as text, the default where it is missing or empty."""
        column = self.column(named, usual)
        if column is None:
            return list(default)
        values = map(clean_text, self.table[column].tolist())
        return [value or instead for value, instead in zip(values, default, strict=True)]

    def codes(self, named: str | None, usual: Sequence[str], prefix: str) -> list[str]:
        """Ids as text, all different; numbered ones where the file has none."""
        column = self.column(named, usual)
        if column is None:
            if not self.faults:
                self.remarks.append(f"{self.path}: no column of codes; they are numbered {prefix}0001 and so on")
            return [f"{prefix}{i + 1:04d}" for i in range(len(self.table))]
        codes = [clean_text(value) for value in self.table[column].tolist()]
        seen: dict[str, int] = {}
        for i, code in enumerate(codes):
            if not code:
                self.fault(i, "", f"empty {column}", "a code of its own", "Fill it in.")
            elif code in seen:
                found = f"{column} {code!r} as in {self.row_word} {seen[code] + self.first_row}"
                self.fault(i, code, found, "a code of its own", "Rename or remove one of the two.")
            else:
                seen[code] = i
        return codes

    def counts(self, named: str | None, usual: Sequence[str], *, least: int, default: float) -> Floats:
        """Whole numbers, the default where one is missing."""
        column = self.column(named, usual)
        if column is None:
            return np.full(len(self.table), default)
        texts = [clean_text(value) for value in self.table[column].tolist()]
        numbers = pd.to_numeric(pd.Series(texts), errors="coerce").to_numpy(float)
        expected = f"a number of at least {least} and at most {MOST_COUNTED:,.0f}"
        for i, (text, number) in enumerate(zip(texts, numbers, strict=True)):
            if text and not least <= number <= MOST_COUNTED:
                self.fault(i, "", f"{column} = {text!r}", expected, "Correct the value.")
        return np.where(np.array(texts) == "", default, np.round(numbers))

    def opening_hours(self, named: str | None, usual: Sequence[str]) -> list[str]:
        """Texts that `geodata.opening` understands, "" where there is none."""
        texts = self.texts(named, usual, default=[""] * len(self.table))
        holidays = 0
        for i, text in enumerate(texts):
            try:
                holidays += mentions_holidays(text)
            except ValueError as error:
                mend = (
                    "Write days Mo to Su and times with a colon, rules with ; between them; leave it empty for always."
                )
                self.fault(i, "", f"opening hours of which {error}", EXAMPLE, mend)
        if holidays:
            self.remarks.append(
                f"{self.path}: holidays (PH, SH) in opening hours are passed over, a usual week has none: {holidays:,}"
            )
        return texts

    def near_roads(self, ids: Sequence[str], off_m: Floats, limit_m: float, hint: str) -> None:
        """Raise for each place farther than the limit from the roads; keep the hint of a wrong datum as a remark."""
        for i in np.flatnonzero(off_m > limit_m).tolist():
            mend = f"Move it to its road, or declare the CRS or datum that its coordinates are in. {hint}".strip()
            self.fault(i, ids[i], f"{off_m[i]:,.0f} m to the nearest road", f"at most {limit_m:,.0f} m", mend)
        self.raise_faults()
        if hint:
            self.remarks.append(hint)

    def place_classes(self, named: str | None, usual: Sequence[str]) -> list[str]:
        column = self.column(named, usual)
        if column is None:
            self.remarks.append(f"{self.path}: no place classes; every site is taken as a key area")
            return [PlaceClass.KEY.label] * len(self.table)
        texts = [clean_text(value) for value in self.table[column].tolist()]
        known = [PLACE_CLASS_WORDS.get(text.lower()) for text in texts]
        for i, found in enumerate(known):
            if found is None:
                expected = f"one of {', '.join(PLACE_CLASS_WORDS)}"
                self.fault(i, "", f"{column} = {texts[i]!r}", expected, "Correct the value.")
        return [PlaceClass.GENERAL.label if found is None else found.label for found in known]

    def check_shapes(self, allowed: Sequence[str], label: Sequence[str], *, repair: bool) -> list[str]:
        """Faults for shapes that cannot be used; with `repair`, invalid polygons are mended and a remark says so."""
        shapes = np.asarray(self.table.geometry.array, object)
        expected = " or ".join(f"a {kind.lower()}" for kind in allowed)
        type_ids = {POINTS: [0], POLYGONS: [3, 6]}
        fitting = np.isin(shapely.get_type_id(shapes), [i for kind in allowed for i in type_ids[kind]])
        empty = shapely.is_missing(shapes) | shapely.is_empty(shapes)
        mended = []
        for i in np.flatnonzero(~fitting | empty | ~shapely.is_valid(shapes)).tolist():
            if empty[i] or not fitting[i]:
                found = "no geometry" if empty[i] else f"a {shapes[i].geom_type}"
                self.fault(i, label[i], found, expected, "Remove the feature or give it its shape.")
            elif repair and (whole := _mend_polygon(shapes[i])):
                shapes[i] = whole
                mended.append(f"{self.row_word} {i + self.first_row} ({label[i]})")
            else:
                found = f"an invalid ring: {shapely.is_valid_reason(shapes[i])}"
                mend = "Run with --repair, or fix the ring (QGIS: Fix geometries)."
                self.fault(i, label[i], found, "a valid polygon", mend)
        self._check_range(label)
        self.table = self.table.set_geometry(gpd.GeoSeries(shapes, index=self.table.index, crs=self.table.crs))
        return [f"{self.path}: repaired {len(mended):,} invalid polygons: {', '.join(mended[:5])}"] if mended else []

    def _check_range(self, label: Sequence[str]) -> None:
        lonlat, row = to_lonlat(self.table)
        out = ~in_range(lonlat)
        for i, at in zip(*np.unique(row[out], return_index=True), strict=True):
            lon, lat = lonlat[out][at]
            mend = "Declare the CRS that the coordinates are in; longitude stands before latitude."
            found = f"longitude {lon:g}, latitude {lat:g}"
            self.fault(int(i), label[int(i)], found, "degrees within ±180 and ±90", mend)

    def projected(self, epsg: int, **columns: Sequence[str] | Floats | NDArray[np.int64] | str) -> gpd.GeoDataFrame:
        shapes = np.asarray(to_projected(self.table, epsg).geometry.array, object)
        for i in np.flatnonzero(~shapely.is_valid(shapes)).tolist():
            # a ring that all but touches itself crosses itself once its vertices are rounded to another CRS
            whole = _mend_polygon(shapes[i])
            if whole is None or not np.isclose(shapely.area(whole), shapely.area(shapes[i]), rtol=1e-6):
                found = f"a ring that is invalid in EPSG:{epsg}: {shapely.is_valid_reason(shapes[i])}"
                self.fault(i, "", found, "a valid polygon", "Fix the ring (QGIS: Fix geometries).")
            shapes[i] = whole
        self.raise_faults()
        return gpd.GeoDataFrame(columns, geometry=shapes, crs=epsg)


def _mend_polygon(shape: shapely.Geometry) -> shapely.Geometry | None:
    """The valid polygon or multipolygon of the same outline, None where nothing with an area is left."""
    parts: NDArray[np.object_] = np.asarray(shapely.get_parts(shapely.make_valid(shape, method="structure")), object)
    parts = parts[shapely.get_dimensions(parts) == 2]
    return shapely.union_all(parts) if len(parts) else None
