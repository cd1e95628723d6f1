"""Places: the cells of the managed grid, the areas above them, sites and posts, from layers or CSV."""

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
from geodata.grid import AREA_COLUMNS, CELL_COLUMNS, Level
from geodata.network import Floats, RoadNetwork
from geodata.positions import snap
from geodata.readers.values import clean_text
from geodata.readers.vector import POINTS, POLYGONS, find_column, open_layer, read_csv, to_lonlat, to_projected
from geodata.sites import POST_COLUMNS, SITE_COLUMNS, PlaceClass, Posts, Sites

POST_SNAP_LIMIT_M = 300.0
"""A post farther from any road is an error in the data. Assumed: the reach of one minute on an avenue at peak."""
DATUM_SHIFT_M = (200.0, 800.0)
"""Where points lie off the roads when GCJ-02 or BD-09 coordinates are taken for WGS 84."""
MOST_FAULTS = 20
PLACE_CLASS_WORDS = {c.label: c for c in PlaceClass} | {
    "要害部位": PlaceClass.VITAL,
    "重点地区": PlaceClass.KEY,
    "其他": PlaceClass.GENERAL,
    "其他区域": PlaceClass.GENERAL,
}

_CODE = ("code", "adcode", "cell_code", "grid_code", "area_code", "编码", "代码", "网格编码", "行政区划代码", "id")
_ID = ("id", "code", "编号", "编码")
_NAME = ("name", "名称", "网格名称", "区县名称")
_NAME_EN = ("name_en", "name:en", "英文名", "英文名称")
_KIND = ("kind", "type", "类型", "类别")
_PARENT = ("parent", "parent_code", "上级编码")
_RESIDENTS = ("residents", "population", "pop", "人口", "常住人口")
_PLACE_CLASS = ("place_class", "场所等级", "等级")
_CAPACITY = ("capacity", "容量")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellColumns:
    """Which columns of a grid layer hold what; None: one with a usual name, if there is one."""

    code: str | None = None
    parent: str | None = None
    name: str | None = None
    name_en: str | None = None
    residents: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaColumns:
    """The same for districts and other areas above the cells."""

    code: str | None = None
    name: str | None = None
    name_en: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteColumns:
    """The same for sites."""

    id: str | None = None
    name: str | None = None
    name_en: str | None = None
    kind: str | None = None
    place_class: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostColumns:
    """The same for posts."""

    id: str | None = None
    name: str | None = None
    name_en: str | None = None
    kind: str | None = None
    capacity: str | None = None


def read_areas(
    path: Path,
    columns: AreaColumns | None = None,
    *,
    epsg: int,
    layer: str | None = None,
    crs: str | None = None,
    level: Level = Level.DISTRICT,
    repair: bool = False,
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Areas of one level as polygons: columns `AREA_COLUMNS` and `geometry`, `parent` empty.

    Raises:
        InputError: the layer cannot be opened; a shape is no valid polygon (unless `repair`); codes that are empty
            or occur twice.
    """
    columns = columns or AreaColumns()
    source = _Source.open(path, POLYGONS, layer=layer, crs=crs)
    code = source.codes(columns.code, _CODE, "A")
    name = source.texts(columns.name, _NAME, default=code)
    name_en = source.texts(columns.name_en, _NAME_EN, default=name)
    remarks = source.check_shapes((POLYGONS,), name, repair=repair)
    source.raise_faults()
    table = source.projected(epsg, code=code, parent="", level=level.value, name=name, name_en=name_en)
    return table[[*AREA_COLUMNS, "geometry"]], remarks + source.remarks


def read_cells(
    path: Path,
    columns: CellColumns | None = None,
    *,
    epsg: int,
    layer: str | None = None,
    crs: str | None = None,
    repair: bool = False,
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """The cells of a grid: columns `CELL_COLUMNS`; `parent` empty and `residents` NaN where the file knows none.

    Raises:
        InputError: as `read_areas`; residents that are no count.
    """
    columns = columns or CellColumns()
    source = _Source.open(path, POLYGONS, layer=layer, crs=crs)
    code = source.codes(columns.code, _CODE, "C")
    name = source.texts(columns.name, _NAME, default=code)
    name_en = source.texts(columns.name_en, _NAME_EN, default=name)
    parent = source.texts(columns.parent, _PARENT, default=[""] * len(code))
    residents = source.counts(columns.residents, _RESIDENTS, least=0, default=np.nan)
    remarks = source.check_shapes((POLYGONS,), name, repair=repair)
    source.raise_faults()
    table = source.projected(epsg, code=code, parent=parent, name=name, name_en=name_en, residents=residents)
    return table[list(CELL_COLUMNS)], remarks + source.remarks


def read_sites(
    path: Path,
    columns: SiteColumns | None = None,
    *,
    epsg: int,
    layer: str | None = None,
    crs: str | None = None,
    repair: bool = False,
) -> tuple[Sites, list[str]]:
    """Sites as points or polygons. Without a column for it, every site is a key area; `PLACE_CLASS_WORDS` are known.

    Raises:
        InputError: the file cannot be opened; ids that are empty or occur twice; an unknown place class; a shape
            that is neither a point nor a valid polygon.
    """
    columns = columns or SiteColumns()
    source = _Source.open(path, POINTS, layer=layer, crs=crs)
    ids = source.codes(columns.id, _ID, "S")
    name = source.texts(columns.name, _NAME, default=ids)
    name_en = source.texts(columns.name_en, _NAME_EN, default=name)
    kind = source.texts(columns.kind, _KIND, default=["site"] * len(ids))
    place_class = source.place_classes(columns.place_class)
    remarks = source.check_shapes((POINTS, POLYGONS), ids, repair=repair)
    source.raise_faults()
    table = source.projected(epsg, id=ids, name=name, name_en=name_en, kind=kind, place_class=place_class)
    return Sites(table[list(SITE_COLUMNS)]), remarks + source.remarks


def read_posts(
    path: Path,
    network: RoadNetwork,
    columns: PostColumns | None = None,
    *,
    layer: str | None = None,
    crs: str | None = None,
    limit_m: float = POST_SNAP_LIMIT_M,
) -> tuple[Posts, list[str]]:
    """Posts, each with its position on the nearest road. Capacity is 1 where the file knows none.

    Raises:
        InputError: the file cannot be opened; ids that are empty or occur twice; a capacity below 1; a shape that is
            no point; a post farther than `limit_m` from any road.
    """
    columns = columns or PostColumns()
    source = _Source.open(path, POINTS, layer=layer, crs=crs)
    ids = source.codes(columns.id, _ID, "P")
    name = source.texts(columns.name, _NAME, default=ids)
    name_en = source.texts(columns.name_en, _NAME_EN, default=name)
    kind = source.texts(columns.kind, _KIND, default=["post"] * len(ids))
    capacity = source.counts(columns.capacity, _CAPACITY, least=1, default=1)
    remarks = source.check_shapes((POINTS,), ids, repair=False)
    source.raise_faults()
    table = source.projected(network.epsg, id=ids, name=name, name_en=name_en, kind=kind, capacity=capacity)
    table["capacity"] = table["capacity"].astype(np.int64)
    positions, off_m = snap(network, shapely.get_coordinates(np.asarray(table.geometry.array, object)))
    hint = datum_warning(off_m)
    for i in np.flatnonzero(off_m > limit_m):
        mend = f"Move the post to its road, or declare the CRS that its coordinates are in. {hint}".strip()
        source.fault(int(i), ids[i], f"{off_m[i]:,.0f} m to the nearest road", f"at most {limit_m:,.0f} m", mend)
    source.raise_faults()
    return Posts(table[list(POST_COLUMNS)], positions), remarks + source.remarks + ([hint] if hint else [])


def datum_warning(off_road_m: Floats) -> str:
    """A sentence where points lie off the roads as far as a wrong datum would put them, "" elsewhere."""
    middle_m = float(np.median(off_road_m)) if len(off_road_m) else 0.0
    if not DATUM_SHIFT_M[0] <= middle_m <= DATUM_SHIFT_M[1]:
        return ""
    return (
        f"Half of the {len(off_road_m):,} points lie {middle_m:,.0f} m or more off the roads: this is what GCJ-02 or "
        "BD-09 coordinates look like when they are taken for WGS 84; convert them first."
    )


@dataclass(slots=True)
class _Source:
    """An opened file of places; collects what is wrong with it until `raise_faults`."""

    path: str
    table: gpd.GeoDataFrame
    row_word: str
    first_row: int
    faults: list[Fault]
    remarks: list[str]

    @classmethod
    def open(cls, path: Path, wanted: str, *, layer: str | None, crs: str | None) -> _Source:
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
        for i, (text, number) in enumerate(zip(texts, numbers, strict=True)):
            if text and not (np.isfinite(number) and number >= least):
                self.fault(i, "", f"{column} = {text!r}", f"a number of at least {least}", "Correct the value.")
        return np.where(np.array(texts) == "", default, np.round(numbers))

    def place_classes(self, named: str | None) -> list[str]:
        column = self.column(named, _PLACE_CLASS)
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

    def projected(self, epsg: int, **columns: Sequence[str] | Floats | str) -> gpd.GeoDataFrame:
        moved = to_projected(self.table, epsg)
        return gpd.GeoDataFrame(columns, geometry=np.asarray(moved.geometry.array, object), crs=epsg)


def _mend_polygon(shape: shapely.Geometry) -> shapely.Geometry | None:
    """The valid polygon or multipolygon of the same outline, None where nothing with an area is left."""
    parts: NDArray[np.object_] = np.asarray(shapely.get_parts(shapely.make_valid(shape, method="structure")), object)
    parts = parts[shapely.get_dimensions(parts) == 2]
    return shapely.union_all(parts) if len(parts) else None
