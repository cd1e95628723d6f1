"""Places: the cells of the managed grid, the areas above them, sites and posts, from layers or CSV."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geodata.crs import LONLAT, project
from geodata.datum import Datum, DatumFit, datum_fit, from_wgs84, parse_datum
from geodata.grid import AREA_COLUMNS, CELL_COLUMNS, Level
from geodata.network import Floats, RoadClass, RoadNetwork
from geodata.positions import snap
from geodata.readers.placefile import PlaceFile
from geodata.readers.vector import POINTS, POLYGONS
from geodata.sites import Posts, Sites, split_kinds

POST_SNAP_LIMIT_M = 300.0
"""A post farther from any road is an error in the data. Assumed: the reach of one minute on an avenue at peak."""
DATUM_SHIFT_M = (200.0, 800.0)
"""Where points lie off the roads when GCJ-02 or BD-09 coordinates are taken for WGS 84."""

_CODE = ("code", "adcode", "cell_code", "grid_code", "area_code", "编码", "代码", "网格编码", "行政区划代码", "id")
_ID = ("id", "code", "编号", "编码")
_NAME = ("name", "名称", "网格名称", "区县名称")
_NAME_EN = ("name_en", "name:en", "英文名", "英文名称")
_KIND = ("kind", "type", "类型", "类别")
_PARENT = ("parent", "parent_code", "上级编码")
_RESIDENTS = ("residents", "population", "pop", "人口", "常住人口")
_PLACE_CLASS = ("place_class", "场所等级", "等级")
_CAPACITY = ("capacity", "容量")
_UNIT_KINDS = ("unit_kinds", "警力类型", "警力种类")
_OPENING_HOURS = ("opening_hours", "开放时间", "营业时间", "值守时间")


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
    opening_hours: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PostColumns:
    """The same for posts."""

    id: str | None = None
    name: str | None = None
    name_en: str | None = None
    kind: str | None = None
    capacity: str | None = None
    unit_kinds: str | None = None
    opening_hours: str | None = None


def read_areas(
    path: Path,
    columns: AreaColumns | None = None,
    *,
    epsg: int,
    layer: str | None = None,
    crs: str | None = None,
    level: str = Level.DISTRICT,
    repair: bool = False,
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Areas of one level as polygons: columns `AREA_COLUMNS` and `geometry`, `parent` empty.

    Raises:
        InputError: the layer cannot be opened; a shape is no valid polygon (unless `repair`); codes that are empty
            or occur twice.
    """
    columns = columns or AreaColumns()
    source = PlaceFile.open(path, POLYGONS, layer=layer, crs=crs)
    code = source.codes(columns.code, _CODE, "A")
    name = source.texts(columns.name, _NAME, default=code)
    name_en = source.texts(columns.name_en, _NAME_EN, default=name)
    remarks = source.check_shapes((POLYGONS,), name, repair=repair)
    source.raise_faults()
    table = source.projected(epsg, code=code, parent="", level=str(level), name=name, name_en=name_en)
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
    source = PlaceFile.open(path, POLYGONS, layer=layer, crs=crs)
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
    network: RoadNetwork | None = None,
    limit_m: float = np.inf,
) -> tuple[Sites, list[str]]:
    """Sites as points or polygons. Without a column for it, every site is a key area; `PLACE_CLASS_WORDS` are known.

    With a `network` the distance of each to the nearest street is kept; a site may lie off the road, in a park or on a
    hill, so that there is no limit unless one is given.

    Raises:
        InputError: the file cannot be opened; ids that are empty or occur twice; an unknown place class; opening hours
            that are not understood; a shape that is neither a point nor a valid polygon; a site farther than `limit_m`
            from any street.
    """
    columns = columns or SiteColumns()
    source = PlaceFile.open(path, POINTS, layer=layer, crs=crs)
    ids = source.codes(columns.id, _ID, "S")
    name = source.texts(columns.name, _NAME, default=ids)
    name_en = source.texts(columns.name_en, _NAME_EN, default=name)
    kind = source.texts(columns.kind, _KIND, default=["site"] * len(ids))
    place_class = source.place_classes(columns.place_class, _PLACE_CLASS)
    hours = source.opening_hours(columns.opening_hours, _OPENING_HOURS)
    remarks = source.check_shapes((POINTS, POLYGONS), ids, repair=repair)
    source.raise_faults()
    table = source.projected(
        epsg, id=ids, name=name, name_en=name_en, kind=kind, place_class=place_class, opening_hours=hours
    )
    if network is not None:
        shapes = np.asarray(table.geometry.array, object)
        off_m = off_road_m(network, shapes)
        table.insert(table.shape[1] - 1, "off_road_m", off_m)
        source.near_roads(ids, off_m, limit_m, datum_hint(network, shapes, crs))
    return Sites(table), remarks + source.remarks


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
        InputError: the file cannot be opened; ids that are empty or occur twice; a capacity below 1; opening hours that
            are not understood; a shape that is no point; a post farther than `limit_m` from any road.
    """
    columns = columns or PostColumns()
    source = PlaceFile.open(path, POINTS, layer=layer, crs=crs)
    ids = source.codes(columns.id, _ID, "P")
    name = source.texts(columns.name, _NAME, default=ids)
    name_en = source.texts(columns.name_en, _NAME_EN, default=name)
    kind = source.texts(columns.kind, _KIND, default=["post"] * len(ids))
    capacity = source.counts(columns.capacity, _CAPACITY, least=1, default=1)
    kinds = source.texts(columns.unit_kinds, _UNIT_KINDS, default=[""] * len(ids))
    hours = source.opening_hours(columns.opening_hours, _OPENING_HOURS)
    remarks = source.check_shapes((POINTS,), ids, repair=False)
    source.raise_faults()
    table = source.projected(
        network.epsg,
        id=ids,
        name=name,
        name_en=name_en,
        kind=kind,
        capacity=capacity.astype(np.int64),
        unit_kinds=[";".join(split_kinds(text)) for text in kinds],
        opening_hours=hours,
    )
    shapes = np.asarray(table.geometry.array, object)
    positions, off_m = snap(network, shapely.get_coordinates(shapes))
    table.insert(table.shape[1] - 1, "off_road_m", off_m)
    source.near_roads(ids, off_m, limit_m, datum_hint(network, shapes, crs))
    return Posts(table, positions), remarks + source.remarks


def off_road_m(network: RoadNetwork, shapes: NDArray[np.object_]) -> Floats:
    """Metres from each point or polygon to the nearest street that cars may drive on."""
    metres = np.zeros(len(shapes))
    flat = shapely.get_dimensions(shapes) == 2
    if (~flat).any():
        metres[~flat] = snap(network, shapely.get_coordinates(shapes[~flat]))[1]
    if flat.any():
        driven = network.lines[network.street_class != RoadClass.PEDESTRIAN]
        shape, line = shapely.STRtree(driven).query_nearest(shapes[flat], all_matches=False)
        metres[np.flatnonzero(flat)[shape]] = shapely.distance(shapes[flat][shape], driven[line])
    return metres


def points_fit(
    network: RoadNetwork, shapes: NDArray[np.object_], declared: Datum = Datum.WGS84, *, points: str = "points"
) -> DatumFit:
    """Which datum the points among places of the network's CRS were in, by their distance to the roads.

    `declared` is what they were converted from.
    """
    xy_m = shapely.get_coordinates(shapes[shapely.get_dimensions(shapes) == 0])
    lonlat = from_wgs84(project(xy_m, network.epsg, LONLAT), declared)

    def off_m(wgs84: Floats) -> Floats:
        return snap(network, project(wgs84, LONLAT, network.epsg))[1]

    return datum_fit(lonlat, off_m, declared, points=points)


def datum_hint(network: RoadNetwork, shapes: NDArray[np.object_], declared: str | None = None) -> str:
    """A sentence where another datum than the declared one fits the points, or where their distance alone suggests it;
    "" elsewhere."""
    fit = points_fit(network, shapes, parse_datum(declared or "") or Datum.WGS84)
    if fit.wrong:
        return f"{fit.verdict[0].upper()}{fit.verdict[1:]}."
    points = shapes[shapely.get_dimensions(shapes) == 0]
    return datum_warning(snap(network, shapely.get_coordinates(points))[1])


def datum_warning(off_road_m: Floats) -> str:
    """A sentence where points lie off the roads as far as a wrong datum would put them, "" elsewhere."""
    middle_m = float(np.median(off_road_m)) if len(off_road_m) else 0.0
    if not DATUM_SHIFT_M[0] <= middle_m <= DATUM_SHIFT_M[1]:
        return ""
    return (
        f"Half of the {len(off_road_m):,} points lie {middle_m:,.0f} m or more off the roads: this is what GCJ-02 or "
        "BD-09 coordinates look like when they are taken for WGS 84; declare the datum."
    )
