"""From files to a city: roads, boundary, grid, sites and posts, each by its reader, made by rule where missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely import Geometry

from geodata.city import City, Source
from geodata.crs import LONLAT, project
from geodata.errors import Fault, Faults, InputError
from geodata.grid import AREA_COLUMNS, Grid, Level, RoadPieces, cut_streets
from geodata.makegrid import CellKind, made_posts, make_grid, spread_residents
from geodata.network import Floats, RoadNetwork, Streets, build_network
from geodata.positions import snap
from geodata.readers.download import read_place
from geodata.readers.graphml import read_graphml
from geodata.readers.layers import LineColumns, read_lines
from geodata.readers.noding import as_lines, select_streets
from geodata.readers.osm import read_osm
from geodata.readers.places import (
    AreaColumns,
    CellColumns,
    PostColumns,
    SiteColumns,
    datum_warning,
    read_areas,
    read_cells,
    read_posts,
    read_sites,
)
from geodata.sites import SITE_COLUMNS, Posts, Sites

ROAD_MARGIN_M = 2000.0
"""Roads this far outside the boundary are kept: units drive around. Assumed."""
HULL_MARGIN_M = 200.0
"""Around the roads, where they alone tell how far the city reaches. Assumed."""
RESIDENTS_PER_ROAD_KM = 1000
"""Where nobody tells the number of residents. Assumed."""
ROAD_KM_PER_POST = 25
MADE_POSTS = (4, 240)
"""Posts made where none are given: one for so many kilometres of road, within these bounds. Assumed."""
MUCH_LOST = 0.5
"""A network that loses more of its length than this is told apart. Assumed."""
MOST_MADE_CELLS = 200_000
"""Ten times the grids of a city such as Changsha. Assumed."""
CITY_CODE = "city"
OSM_LICENCE = "© OpenStreetMap contributors, ODbL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of the files hold what."""

    roads: LineColumns = field(default_factory=LineColumns)
    boundary: AreaColumns = field(default_factory=AreaColumns)
    grid: CellColumns = field(default_factory=CellColumns)
    sites: SiteColumns = field(default_factory=SiteColumns)
    posts: PostColumns = field(default_factory=PostColumns)


RoadReader = Callable[[Path, LineColumns, str | None, int | None], tuple[Streets, list[str]]]


def _osm(path: Path, _columns: LineColumns, _layer: str | None, epsg: int | None) -> tuple[Streets, list[str]]:
    return read_osm(path, epsg=epsg)


def _graphml(path: Path, _columns: LineColumns, _layer: str | None, epsg: int | None) -> tuple[Streets, list[str]]:
    return read_graphml(path, epsg=epsg)


def _layer(path: Path, columns: LineColumns, layer: str | None, epsg: int | None) -> tuple[Streets, list[str]]:
    return read_lines(path, layer, columns, epsg=epsg)


ROAD_READERS: Mapping[str, RoadReader] = (
    dict.fromkeys((".osm", ".osm.gz", ".osm.bz2", ".osm.pbf", ".pbf"), _osm)
    | {".graphml": _graphml}
    | dict.fromkeys((".gpkg", ".shp", ".geojson", ".json", ".fgb", ".gdb", ".gml", ".kml", ".tab", ".mif"), _layer)
)
"""By the end of the file's name."""


def assemble_city(
    roads: Path | str,
    *,
    name: str,
    name_en: str = "",
    boundary: Path | None = None,
    grid: Path | None = None,
    cell_m: float = 1000.0,
    cell_kind: CellKind | str = CellKind.SQUARE,
    sites: Path | None = None,
    posts: Path | None = None,
    n_posts: int | None = None,
    residents: int | None = None,
    columns: Columns | None = None,
    road_layer: str | None = None,
    csv_crs: str | None = None,
    epsg: int | None = None,
    repair: bool = False,
    seed: int = 135,
) -> tuple[City, list[str]]:
    """A city from its files, and remarks on what was dropped, assumed and looks wrong.

    `roads` is a file, or the name of a place to download where it is a text that names no file. `boundary` holds
    districts; roads farther than `ROAD_MARGIN_M` outside are left out. Without a `grid` one is made of `cell_m`
    cells inside the boundary, as far as there are roads; without a boundary the hull of the roads is the one
    district. Without `posts`, `n_posts` are made where the residents are. `residents` is the total; without it and
    without a column for it, `RESIDENTS_PER_ROAD_KM` are assumed. `csv_crs` is the CRS of the coordinates in CSV
    files; `epsg` the projected CRS to work in.

    Raises:
        InputError: what cannot be used, every fault of a file at once.
    """
    columns = columns or Columns()
    _check_options(cell_m=cell_m, cell_kind=cell_kind, n_posts=n_posts, residents=residents)
    streets, remarks = read_roads(roads, columns.roads, layer=road_layer, epsg=epsg)
    epsg = streets.epsg
    areas = cells = None
    if boundary is not None:
        areas, said = read_areas(boundary, columns.boundary, epsg=epsg, repair=repair)
        remarks += said
    if grid is not None:
        cells, said = read_cells(grid, columns.grid, epsg=epsg, repair=repair)
        remarks += said
    network, said = _network(streets, [t for t in (areas, cells) if t is not None], str(roads), str(boundary or grid))
    remarks += said

    hull = _hull(network)
    if areas is None and cells is None:
        remarks.append("no boundary and no grid given: the hull of the roads is the one district")
        areas = _one_area(name, name_en, hull, epsg)
    if cells is None and areas is not None:
        cells, said = _made_cells(areas, hull, CellKind(cell_kind), cell_m)
    else:
        cells, said = _placed_cells(cells, areas)
    remarks += said
    made = Grid(cells, _area_table(cells, areas, name, name_en))
    pieces = cut_streets(network, made)
    if not len(pieces.street):
        raise _no_roads(str(grid or boundary), network.node_xy_m, _shapes(cells), epsg)
    road_m = pieces.length_by_cell(len(made))
    people, said = _residents(cells["residents"].to_numpy(float), residents, road_m)
    remarks += said

    found_sites, said = _sites(sites, columns.sites, network, csv_crs=csv_crs, repair=repair)
    remarks += said
    if posts is not None:
        found_posts, said = read_posts(posts, network, columns.posts, crs=_crs_of(posts, csv_crs))
    else:
        found_posts, said = _standby_points(n_posts, network, pieces, people, seed)
    remarks += said
    city = City(
        name=name,
        name_en=name_en or name,
        network=network,
        grid=Grid(cells.assign(residents=people), made.areas),
        pieces=pieces,
        sites=found_sites,
        posts=found_posts,
        areas=gpd.GeoDataFrame({"kind": pd.Series([], dtype=object)}, geometry=[], crs=epsg),
        sources=_sources(roads, csv_crs=csv_crs, boundary=boundary, grid=grid, sites=sites, posts=posts),
    )
    return city, remarks


def _check_options(*, cell_m: float, cell_kind: str, n_posts: int | None, residents: int | None) -> None:
    faults = Faults("city")
    if not cell_m > 0:
        faults.add("cell_m", f"{cell_m:g}", "more than 0 m", "Give the width of a cell in metres, such as 1000.")
    if cell_kind not in list(CellKind):
        faults.add("cell_kind", repr(str(cell_kind)), " or ".join(CellKind), "Name one of them.")
    for option, number in (("n_posts", n_posts), ("residents", residents)):
        if number is not None and number < 1:
            faults.add(option, str(number), "at least 1", "Leave it out to have it assumed.")
    faults.raise_any()


def read_roads(
    roads: Path | str, columns: LineColumns, *, layer: str | None = None, epsg: int | None = None
) -> tuple[Streets, list[str]]:
    """Read a road file by the reader for its name, or download a place.

    Raises:
        InputError: no reader knows the file's name, or the reader refuses the file.
    """
    path = Path(roads)
    end = max((end for end in ROAD_READERS if path.name.lower().endswith(end)), key=len, default=None)
    if end is not None:
        return ROAD_READERS[end](path, columns, layer, epsg)
    if isinstance(roads, str) and not path.exists():
        return read_place(roads, epsg=epsg)
    found = f"a name that ends in {path.suffix!r}" if path.exists() else "no such file"
    raise InputError(Fault(str(roads), "", found, f"a file of {', '.join(ROAD_READERS)}", "Convert it to GPKG."))


def _shapes(table: gpd.GeoDataFrame) -> NDArray[np.object_]:
    return np.asarray(table.geometry.array, object)


def _network(
    streets: Streets, bounds: list[gpd.GeoDataFrame], source: str, bounds_source: str
) -> tuple[RoadNetwork, list[str]]:
    """The network of the streets that lie within reach of the polygons in `bounds`, of all where there are none."""
    remarks = []
    lines = as_lines(streets.shape_xy_m, streets.shape_first)
    length_m = shapely.length(lines)
    if bounds:
        polygons = np.concatenate([_shapes(table) for table in bounds])
        reach = shapely.buffer(shapely.union_all(polygons), ROAD_MARGIN_M)
        shapely.prepare(reach)
        near = np.asarray(shapely.intersects(reach, lines))
        if not near.any():
            raise _no_roads(bounds_source, streets.shape_xy_m, polygons, streets.epsg)
        if not near.all():
            lost_km = length_m[~near].sum() / 1000
            remarks.append(
                f"dropped {np.count_nonzero(~near):,} streets, {lost_km:,.1f} km: "
                f"more than {ROAD_MARGIN_M / 1000:g} km outside the boundary"
            )
            streets, length_m = select_streets(streets, near), length_m[near]
    try:
        network, dropped = build_network(streets)
    except ValueError as error:
        mend = "Check that the file holds road centre lines."
        raise InputError(Fault(source, "", str(error), "streets", mend)) from error
    remarks += [str(part) for part in dropped]
    lost = 1 - network.street_length_m.sum() / length_m.sum()
    if lost > MUCH_LOST:
        remarks.append(
            f"{lost:.0%} of the road length is not connected with the rest: "
            "check the one-way marks, and that lines meet at their ends"
        )
    return network, remarks


def _no_roads(source: str, road_xy: Floats, polygons: NDArray[np.object_], epsg: int) -> InputError:
    def middle(xy: Floats) -> str:
        lon, lat = project(np.median(xy, axis=0, keepdims=True), epsg, LONLAT)[0]
        return f"({lon:.3f}, {lat:.3f})"

    found = f"polygons around {middle(shapely.get_coordinates(polygons))} and no road there"
    mend = "Check that both files show one city, and the CRS of each."
    return InputError(Fault(source, "", found, f"polygons that hold the roads around {middle(road_xy)}", mend))


def _hull(network: RoadNetwork) -> Geometry:
    hull: Geometry = shapely.MultiPoint(network.node_xy_m).convex_hull.buffer(HULL_MARGIN_M)
    return hull


def _one_area(name: str, name_en: str, hull: Geometry, epsg: int) -> gpd.GeoDataFrame:
    row = {"code": "1", "parent": "", "level": Level.DISTRICT.value, "name": name, "name_en": name_en or name}
    return gpd.GeoDataFrame([row], geometry=[hull], crs=epsg)


def _made_cells(
    areas: gpd.GeoDataFrame, hull: Geometry, kind: CellKind, cell_m: float
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Cells in the areas as far as the roads reach."""
    west, south, east, north = shapely.bounds(hull).tolist()
    if (most := (east - west) * (north - south) / cell_m**2) > MOST_MADE_CELLS:
        expected = f"at most {MOST_MADE_CELLS:,}"
        raise InputError(
            Fault("city", "cell_m", f"{cell_m:g} m, some {most:,.0f} cells", expected, "Make cells larger.")
        )
    whole = _shapes(areas)
    inside = np.asarray(shapely.intersection(whole, hull), object)
    some = np.asarray(shapely.area(inside) > 0)
    reached = areas[some].set_geometry(gpd.GeoSeries(inside[some], index=areas.index[some], crs=areas.crs))
    cells = make_grid(reached, kind, cell_m)
    remarks = [f"made a grid of {len(cells):,} cells ({kind.value}, {cell_m:g} m)"]
    share = 1 - shapely.area(inside).sum() / shapely.area(whole).sum()
    if share > 0.01:
        remarks.append(f"{share:.0%} of the boundary's area lies beyond the roads and got no cells")
    return cells, remarks


def _placed_cells(cells: gpd.GeoDataFrame, areas: gpd.GeoDataFrame | None) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Cells with an area above each: by the code that they name, or else by where they lie."""
    parent = cells["parent"].to_numpy(object)
    if areas is None:
        return cells.assign(parent=np.where(parent == "", CITY_CODE, parent)), []
    unknown = ~np.isin(parent.astype(str), areas["code"].to_numpy(str))
    spots = shapely.point_on_surface(_shapes(cells)[unknown])
    row, area = shapely.STRtree(_shapes(areas)).query(spots, predicate="intersects")
    inside = np.full(len(spots), CITY_CODE, object)
    # backwards, so that of two areas that overlap the first one stays
    inside[row[::-1]] = areas["code"].to_numpy(object)[area[::-1]]
    placed = parent.copy()
    placed[unknown] = inside
    remarks = (
        [f"{len(spots):,} cells name no area of the boundary and are placed by where they lie"] if len(spots) else []
    )
    if outside := np.count_nonzero(inside == CITY_CODE):
        remarks.append(f"{outside:,} cells lie in no area of the boundary")
    return cells.assign(parent=placed), remarks


def _area_table(cells: gpd.GeoDataFrame, areas: gpd.GeoDataFrame | None, name: str, name_en: str) -> pd.DataFrame:
    """The city and its districts; those that cells alone name are called by their codes."""
    city = (CITY_CODE, "", Level.CITY.value, name, name_en or name)
    if areas is None:
        codes = [code for code in cells["parent"].unique() if code != CITY_CODE]
        rows = [(code, CITY_CODE, Level.DISTRICT.value, code, code) for code in codes]
    else:
        rows = list(areas.assign(parent=CITY_CODE)[list(AREA_COLUMNS)].itertuples(index=False, name=None))
    return pd.DataFrame([city, *rows], columns=list(AREA_COLUMNS))


def _residents(counted: Floats, total: int | None, road_m: Floats) -> tuple[Floats, list[str]]:
    """Residents of each cell: as counted, else the total spread over the cells."""
    missing = np.isnan(counted)
    if not missing.all():
        remarks = [f"{missing.sum():,} cells without a number of residents are taken as empty"] if missing.any() else []
        counted = np.where(missing, 0, counted)
        if total is None or not counted.sum() > 0:
            return counted, remarks
        return spread_residents(total, counted).astype(float), [*remarks, f"residents scaled to {total:,} in all"]
    if total is not None:
        said = f"{total:,} residents spread over the cells by length of road"
    else:
        total = round(RESIDENTS_PER_ROAD_KM * road_m.sum() / 1000)
        said = f"residents unknown: {RESIDENTS_PER_ROAD_KM:,} for a km of road assumed, {total:,} in all"
    return spread_residents(total, road_m).astype(float), [said]


def _crs_of(path: Path, csv_crs: str | None) -> str | None:
    return csv_crs if path.suffix.lower() == ".csv" else None


def _sites(
    path: Path | None, columns: SiteColumns, network: RoadNetwork, *, csv_crs: str | None, repair: bool
) -> tuple[Sites, list[str]]:
    if path is None:
        none = {column: pd.Series([], dtype=object) for column in SITE_COLUMNS if column != "geometry"}
        return Sites(gpd.GeoDataFrame(none, geometry=[], crs=network.epsg)), ["no sites given"]
    sites, remarks = read_sites(path, columns, epsg=network.epsg, crs=_crs_of(path, csv_crs), repair=repair)
    shapes = _shapes(sites.table)
    _, off_m = snap(network, shapely.get_coordinates(shapes[shapely.get_dimensions(shapes) == 0]))
    hint = datum_warning(off_m)
    return sites, remarks + ([hint] if hint else [])


def _standby_points(
    n: int | None, network: RoadNetwork, pieces: RoadPieces, people: Floats, seed: int
) -> tuple[Posts, list[str]]:
    said = "no posts given"
    if n is None:
        length_km = (pieces.to_m - pieces.from_m).sum() / 1000
        n = min(int(np.clip(round(length_km / ROAD_KM_PER_POST), *MADE_POSTS)), len(np.unique(pieces.street)))
        said += f", one for {ROAD_KM_PER_POST} km of road assumed"
    try:
        posts = made_posts(network, pieces, people, n, seed)
    except ValueError as error:
        raise InputError(Fault("posts", "number", str(n), str(error), "Ask for fewer, or give a file.")) from error
    return posts, [f"{said}: {n:,} standby points made where the residents are"]


def _sources(roads: Path | str, *, csv_crs: str | None, **others: Path | None) -> tuple[Source, ...]:
    path = Path(roads)
    from_osm = path.name.lower().endswith((".osm", ".gz", ".bz2", ".pbf", ".graphml")) or not path.exists()
    licence = OSM_LICENCE if from_osm else "licence not told in the file"
    first = (
        Source.of_file("roads", path, licence=licence)
        if path.exists()
        else Source(what="roads", file=str(roads), licence=licence)
    )
    return first, *(
        Source.of_file(what, path, declared=_crs_of(path, csv_crs) or "") for what, path in others.items() if path
    )
