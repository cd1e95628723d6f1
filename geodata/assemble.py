"""From files to a city: roads, boundary, grid, sites and posts, each by its reader, made by rule where missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
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
from geodata.defects import Defect, defect_table, general
from geodata.errors import Fault, Faults, InputError
from geodata.grid import AREA_COLUMNS, Grid, Level, RoadPieces, cut_streets
from geodata.gridcheck import repair_grid
from geodata.hierarchy import areas_of_codes, build_hierarchy
from geodata.makegrid import CellKind, made_posts, make_grid, spread_residents
from geodata.network import Floats, RoadClass, RoadNetwork, Streets, build_network
from geodata.readers.jsonfile import JsonKind, json_kind
from geodata.readers.noding import as_lines, select_streets
from geodata.readers.places import (
    POST_SNAP_LIMIT_M,
    AreaColumns,
    CellColumns,
    PostColumns,
    SiteColumns,
    read_areas,
    read_cells,
    read_posts,
    read_sites,
)
from geodata.readers.population import ResidentsFile, read_residents
from geodata.readers.roads import RoadOptions, Roads, read_roads
from geodata.readers.vector import POLYGONS, open_layer
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
OSM_LICENCE = "© OpenStreetMap contributors, ODbL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which columns of the files of places hold what."""

    areas: AreaColumns = field(default_factory=AreaColumns)
    grid: CellColumns = field(default_factory=CellColumns)
    sites: SiteColumns = field(default_factory=SiteColumns)
    posts: PostColumns = field(default_factory=PostColumns)


def assemble_city(
    roads: Roads | None,
    *,
    name: str,
    name_en: str = "",
    road_options: RoadOptions | None = None,
    areas: Path | Mapping[str, Path] | None = None,
    grid: Path | None = None,
    code_lengths: Sequence[int] = (),
    cell_m: float = 1000.0,
    cell_kind: CellKind | str = CellKind.SQUARE,
    residents: int | None = None,
    residents_file: ResidentsFile | None = None,
    sites: Path | None = None,
    posts: Path | None = None,
    n_posts: int | None = None,
    post_limit_m: float = POST_SNAP_LIMIT_M,
    columns: Columns | None = None,
    grid_crs: str | None = None,
    places_crs: str | None = None,
    epsg: int | None = None,
    repair: bool = False,
    seed: int = 135,
) -> tuple[City, list[str]]:
    """A city from its files, and remarks on what was dropped, assumed and looks wrong.

    Args:
        roads: see `read_roads`; None: downloaded inside the areas.
        road_options: what the file does not tell.
        areas: polygons of the districts, or of several levels from the top downwards. Roads farther than
            `ROAD_MARGIN_M` outside are left out. Without any the hull of the roads is the one district.
        grid: polygons of the cells. Without it cells are made inside the areas, as far as there are roads.
        code_lengths: characters of a cell's code down to each level, such as 6, 9, 12: areas by code.
        cell_m: width of a made cell; of blocks, by which too small ones are merged.
        residents: in all. Without it, without a file and without a column, `RESIDENTS_PER_ROAD_KM` are assumed.
        residents_file: how many live where.
        n_posts: made where the residents are, if there are no `posts`.
        post_limit_m: a post farther from any street is refused.
        grid_crs: CRS or datum of the areas and the grid, places_crs: of sites and posts; they beat what files say.
        epsg: projected CRS to work in.
        repair: mend invalid and overlapping polygons, and slivers between cells, instead of refusing them.

    Raises:
        InputError: what cannot be used, every fault of a file at once.
    """
    columns, road_options = columns or Columns(), road_options or RoadOptions()
    levels: Mapping[str, Path] = {Level.DISTRICT.value: areas} if isinstance(areas, Path) else areas or {}
    _check_options(cell_m=cell_m, cell_kind=cell_kind, n_posts=n_posts, residents=residents)
    if roads is None:
        roads = _ground_of(levels, grid_crs)
    streets, defects = read_roads(roads, road_options, epsg=epsg)
    epsg = streets.epsg
    remarks: list[str] = []
    tables = []
    for level, path in levels.items():
        table, said = read_areas(path, columns.areas, epsg=epsg, crs=grid_crs, level=level, repair=repair)
        tables.append(table)
        remarks += said
    cells = None
    if grid is not None:
        cells, said = read_cells(grid, columns.grid, epsg=epsg, crs=grid_crs, repair=repair)
        if repair:
            cells, mended = repair_grid(cells)
            defects += [general("grid", f"repaired: {text}", epsg) for text in mended]
        remarks += said
    source, ground = _called(roads), [*levels.values(), grid]
    bounds_source = next((str(path) for path in ground if path is not None), "")
    network, found, said = _network(streets, [*tables, *([] if cells is None else [cells])], source, bounds_source)
    defects += found
    remarks = [*map(str, defects), *said, *remarks]

    hull = _hull(network)
    if not tables and cells is None:
        remarks.append("no boundary and no grid given: the hull of the roads is the one district")
        tables = [_one_area(name, name_en, hull, epsg)]
    if cells is None:
        cells, said = _made_cells(tables[-1], hull, CellKind(cell_kind), cell_m, network)
        remarks += said
    cells, area_table, said = _hierarchy(cells, tables, name, name_en, code_lengths)
    remarks += said
    made = Grid(cells, area_table)
    pieces = cut_streets(network, made)
    if not len(pieces.street):
        raise _no_roads(bounds_source, network.node_xy_m, _shapes(cells), epsg)
    road_m = pieces.length_by_cell(len(made))
    counted = cells["residents"].to_numpy(float)
    if residents_file is not None:
        counted, said = read_residents(residents_file, made, road_m, total=residents)
        remarks += said
    people, said = _residents(counted, residents, road_m)
    remarks += said

    found_sites, said = _sites(sites, columns.sites, network, crs=places_crs, repair=repair)
    remarks += said
    if posts is not None:
        found_posts, said = read_posts(posts, network, columns.posts, crs=places_crs, limit_m=post_limit_m)
    else:
        found_posts, said = _standby_points(n_posts, network, pieces, people, seed)
    remarks += said
    files: dict[str, tuple[Path | None, str | None]] = {level: (path, grid_crs) for level, path in levels.items()}
    files |= {"grid": (grid, grid_crs), "sites": (sites, places_crs), "posts": (posts, places_crs)}
    files |= {"residents": (None if residents_file is None else residents_file.path, None)}
    city = City(
        name=name,
        name_en=name_en or name,
        network=network,
        grid=Grid(cells.assign(residents=people), area_table),
        pieces=pieces,
        sites=found_sites,
        posts=found_posts,
        areas=gpd.GeoDataFrame({"kind": pd.Series([], dtype=object)}, geometry=[], crs=epsg),
        sources=(_road_source(roads, road_options.crs), *_sources(files)),
        defects=defect_table(defects, epsg),
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


def _called(roads: Roads) -> str:
    return str(roads) if isinstance(roads, str | Path) else "roads"


def _ground_of(levels: Mapping[str, Path], crs: str | None) -> shapely.Polygon | shapely.MultiPolygon:
    """The ground of the top areas in degrees, to download the roads there."""
    if not levels:
        mend = "Give a roads file, a place or a box, or the polygons inside which to download."
        raise InputError(Fault("roads", "", "neither roads nor areas", "the one or the other", mend))
    table = open_layer(next(iter(levels.values())), POLYGONS, crs=crs)
    ground: shapely.Polygon | shapely.MultiPolygon = table.to_crs(LONLAT).geometry.union_all()
    return ground


def _shapes(table: gpd.GeoDataFrame) -> NDArray[np.object_]:
    return np.asarray(table.geometry.array, object)


def _network(
    streets: Streets, bounds: list[gpd.GeoDataFrame], source: str, bounds_source: str
) -> tuple[RoadNetwork, list[Defect], list[str]]:
    """The network of the streets that lie within reach of the polygons in `bounds`, of all where there are none."""
    defects = []
    if bounds:
        lines = as_lines(streets.shape_xy_m, streets.shape_first)
        polygons = np.concatenate([_shapes(table) for table in bounds])
        reach = shapely.buffer(shapely.union_all(polygons), ROAD_MARGIN_M)
        shapely.prepare(reach)
        near = np.asarray(shapely.intersects(reach, lines))
        if not near.any():
            raise _no_roads(bounds_source, streets.shape_xy_m, polygons, streets.epsg)
        if not near.all():
            labels = streets.name if streets.label is None else streets.label
            defects.append(
                Defect(
                    kind="streets far outside",
                    done=f"left out: more than {ROAD_MARGIN_M / 1000:g} km outside the boundary",
                    label=tuple(labels[i] for i in np.flatnonzero(~near).tolist()),
                    shapes=lines[~near],
                    epsg=streets.epsg,
                )
            )
            streets = select_streets(streets, near)
    try:
        network, dropped = build_network(streets)
    except ValueError as error:
        mend = "Check that the file holds road centre lines."
        raise InputError(Fault(source, "", str(error), "streets", mend)) from error
    left_m = shapely.length(as_lines(streets.shape_xy_m, streets.shape_first)).sum()
    lost = 1 - network.street_length_m.sum() / left_m
    said = f"{lost:.0%} of the road length is not connected with the rest: "
    said += "check the one-way marks, and that lines meet at their ends"
    return network, defects + dropped, [said] if lost > MUCH_LOST else []


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
    areas: gpd.GeoDataFrame, hull: Geometry, kind: CellKind, cell_m: float, network: RoadNetwork
) -> tuple[gpd.GeoDataFrame, list[str]]:
    """Cells in the areas as far as the roads reach."""
    west, south, east, north = shapely.bounds(hull).tolist()
    if (most := (east - west) * (north - south) / cell_m**2) > MOST_MADE_CELLS:
        expected = f"at most {MOST_MADE_CELLS:,}"
        size = f"{(east - west) / 1000:,.0f} × {(north - south) / 1000:,.0f} km"
        found = f"{cell_m:g} m, some {most:,.0f} cells"
        mend = f"Make cells larger, give the boundary, or look for a misplaced road: all of them reach over {size}."
        raise InputError(Fault("city", "cell_m", found, expected, mend))
    whole = _shapes(areas)
    inside = np.asarray(shapely.intersection(whole, hull), object)
    some = np.asarray(shapely.area(inside) > 0)
    reached = areas[some].set_geometry(gpd.GeoSeries(inside[some], index=areas.index[some], crs=areas.crs))
    main = network.street_class <= RoadClass.ARTERIAL
    if kind is CellKind.BLOCKS and not main.any():
        mend = "Name the column with the road class, or make squares."
        raise InputError(Fault("city", "cell_kind", "no main road", "main roads, between which blocks lie", mend))
    cells = make_grid(reached, kind, cell_m, network=network)
    remarks = [f"made a grid of {len(cells):,} cells ({kind.value}, {cell_m:g} m)"]
    share = 1 - shapely.area(inside).sum() / shapely.area(whole).sum()
    if share > 0.01:
        remarks.append(f"{share:.0%} of the boundary's area lies beyond the roads and got no cells")
    return cells, remarks


def _hierarchy(
    cells: gpd.GeoDataFrame, tables: list[gpd.GeoDataFrame], name: str, name_en: str, code_lengths: Sequence[int]
) -> tuple[gpd.GeoDataFrame, pd.DataFrame, list[str]]:
    """Cells with an area above each, and all areas up to the city; areas that cells alone name are called by their
    codes. Cells in no area belong to the city itself."""
    levels = [str(table["level"].iloc[0]) for table in tables]
    lengths = tuple(code_lengths) or None
    _check_codes(cells["code"].tolist(), code_lengths)
    if lengths and not tables:
        levels = [level.value for level in (Level.DISTRICT, Level.SUBDISTRICT, Level.COMMUNITY)][: len(lengths)]
        if len(levels) < len(lengths):
            expected = f"at most {len(levels)} without files of the areas"
            raise InputError(Fault("grid", "code lengths", str(len(lengths)), expected, "Leave out the longest."))
        tables = [areas_of_codes(cells["code"].tolist(), lengths, levels)]
    elif not tables:
        named = [code for code in cells["parent"].unique() if code]
        rows = [(code, "", Level.DISTRICT.value, code, code) for code in named]
        tables, levels = [pd.DataFrame(rows, columns=list(AREA_COLUMNS))], [Level.DISTRICT.value]
    city = pd.DataFrame([(CITY_CODE, "", Level.CITY.value, name, name_en or name)], columns=list(AREA_COLUMNS))
    remarks: list[str] = []
    if any(len(table) for table in tables):
        cells, areas, remarks = build_hierarchy(cells, tables, levels=levels, lengths=lengths)
    else:
        areas = tables[0]
    known = areas["code"]
    lost = ~cells["parent"].isin(known).to_numpy(bool)
    cells = cells.assign(parent=np.where(lost, CITY_CODE, cells["parent"].to_numpy(object)))
    if lost.any() and len(areas):
        remarks.append(f"{np.count_nonzero(lost):,} cells lie in no area of the boundary")
    if Level.CITY.value in levels:
        city = city[:0] if not lost.any() else city
    top = ~areas["parent"].isin(known).to_numpy(bool)
    areas = areas.assign(parent=np.where(top & (len(city) > 0), CITY_CODE, areas["parent"].to_numpy(object)))
    if "geometry" in areas:
        whole = pd.concat([city.assign(geometry=None), pd.DataFrame(areas)], ignore_index=True)
        return cells, gpd.GeoDataFrame(whole, geometry="geometry", crs=cells.crs), remarks
    return cells, pd.concat([city, areas], ignore_index=True), remarks


def _check_codes(codes: Sequence[str], lengths: Sequence[int]) -> None:
    """Whether codes are cut where their lengths say: none is shorter, and all are as long as the first."""
    if not lengths:
        return
    faults = Faults("grid")
    if list(lengths) != sorted(set(lengths)):
        expected = "each longer than the one before"
        faults.add("code lengths", ", ".join(map(str, lengths)), expected, "Write them from the top level down.")
    sizes = Counter(map(len, codes))
    usual = max(sizes, key=lambda size: sizes[size])
    odd = [code for code in codes if len(code) != usual or len(code) < max(lengths)]
    if odd:
        zeros = "; leading zeros may have got lost" if len(odd[0]) in (usual - 1, max(lengths) - 1) else ""
        found = f"{len(odd):,} codes of another length, such as {odd[0]!r}{zeros}"
        expected = f"codes of one length, at least the {max(lengths)} characters of the last level"
        faults.add("codes", found, expected, "Keep codes as text, or mend the lengths.")
    faults.raise_any()


def _residents(counted: Floats, total: int | None, road_m: Floats) -> tuple[Floats, list[str]]:
    """Residents of each cell: as counted, else the total spread over the cells."""
    missing = np.isnan(counted)
    if not missing.all():
        remarks = [f"number of cells taken as empty for want of residents: {missing.sum():,}"] if missing.any() else []
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


def _sites(
    path: Path | None, columns: SiteColumns, network: RoadNetwork, *, crs: str | None, repair: bool
) -> tuple[Sites, list[str]]:
    if path is None:
        none = {column: pd.Series([], dtype=object) for column in SITE_COLUMNS if column != "geometry"}
        return Sites(gpd.GeoDataFrame(none, geometry=[], crs=network.epsg)), ["no sites given"]
    return read_sites(path, columns, epsg=network.epsg, crs=crs, repair=repair, network=network)


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


def _road_source(roads: Roads, declared: str | None) -> Source:
    if isinstance(roads, Path) or (isinstance(roads, str) and Path(roads).exists()):
        path = Path(roads)
        from_osm = path.name.lower().endswith((".osm", ".osm.gz", ".bz2", ".pbf", ".graphml", ".graphml.gz")) or (
            path.name.lower().endswith((".json", ".json.gz")) and json_kind(path) is JsonKind.OVERPASS
        )
        licence = OSM_LICENCE if from_osm else "licence not told in the file"
        return Source.of_file("roads", path, licence=licence, declared=declared or "")
    what = f"roads: {roads}" if isinstance(roads, str) else "roads: downloaded inside an area"
    return Source(what=what, licence=OSM_LICENCE)


def _sources(files: Mapping[str, tuple[Path | None, str | None]]) -> list[Source]:
    return [
        Source.of_file(what, path, declared=declared or "")
        for what, (path, declared) in files.items()
        if path is not None
    ]
