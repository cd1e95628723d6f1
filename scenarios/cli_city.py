"""`patrol city`: from files to a saved city, and a look at one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Annotated, Literal

import typer

from geodata.errors import Fault, InputError

city_app = typer.Typer(help="Build a city from files, or look at a saved one.", no_args_is_help=True)

_ROADS, _GRID, _PLACES = "Roads", "Grid and residents", "Sites and posts"
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no remarks.")]


CityName = Annotated[str, typer.Argument(metavar="CITY", help="Folder of a saved city, or demo.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that Patrol 135 did not write.")]


def _file(about: str, panel: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(help=about, rich_help_panel=panel)
    return option


@city_app.command()
def build(
    roads: Annotated[
        Path | None,
        typer.Argument(
            metavar="[ROADS]",
            help="OSM file (.osm, .osm.pbf …), Overpass JSON, osmnx GraphML or GPKG, a line layer of any GIS, "
            "a CSV of edges, TNTP.",
        ),
    ] = None,
    place: Annotated[str | None, _file("Download the roads of this place instead of reading a file.", _ROADS)] = None,
    bbox: Annotated[
        tuple[float, float, float, float] | None,
        _file("Download those in this box: west south east north, in degrees.", _ROADS),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Download those inside the boundary.", rich_help_panel=_ROADS)
    ] = False,
    layer: Annotated[str | None, _file("Layer of the roads file.", _ROADS)] = None,
    class_column: Annotated[str | None, _file("Column with the road class.", _ROADS)] = None,
    speed_column: Annotated[str | None, _file("Column with the off-peak speed in km/h.", _ROADS)] = None,
    limit_column: Annotated[str | None, _file("Column with the posted limit in km/h.", _ROADS)] = None,
    oneway_column: Annotated[str | None, _file("Column that tells one-way streets.", _ROADS)] = None,
    name_column: Annotated[str | None, _file("Column with the street's name.", _ROADS)] = None,
    level_column: Annotated[
        str | None, _file("Column with the level: lines of different levels pass over.", _ROADS)
    ] = None,
    bridge_column: Annotated[str | None, _file("Column that tells bridges.", _ROADS)] = None,
    tunnel_column: Annotated[str | None, _file("Column that tells tunnels.", _ROADS)] = None,
    node_crossings: Annotated[
        bool,
        typer.Option("--node-crossings", help="Lines that cross on one level make a junction.", rich_help_panel=_ROADS),
    ] = False,
    meet_m: Annotated[
        float, typer.Option(min=0, help="Ends of lines so near to a line meet it.", rich_help_panel=_ROADS)
    ] = 0.1,
    nodes: Annotated[Path | None, _file("Table of nodes beside a table of edges.", _ROADS)] = None,
    roads_crs: Annotated[str | None, _file("CRS or datum of the roads, such as EPSG:4547 or GCJ-02.", _ROADS)] = None,
    epsg: Annotated[int | None, _file("Projected CRS to work in; chosen by place if left out.", _ROADS)] = None,
    boundary: Annotated[Path | None, _file("Polygons of the districts.", _GRID)] = None,
    area: Annotated[
        list[str] | None,
        _file("Polygons of a level, as LEVEL=FILE; once for each level, from the top downwards.", _GRID),
    ] = None,
    grid: Annotated[Path | None, _file("Polygons of the cells 网格; made if left out.", _GRID)] = None,
    code_lengths: Annotated[
        str | None, _file("Characters of a cell's code down to each level, such as 6,9,12.", _GRID)
    ] = None,
    cell_m: Annotated[float, typer.Option(min=50, help="Size of a made cell.", rich_help_panel=_GRID)] = 1000.0,
    cell_kind: Annotated[
        Literal["square", "hex", "blocks"], _file("Shape of a made cell; blocks lie between main roads.", _GRID)
    ] = "square",
    grid_crs: Annotated[str | None, _file("CRS or datum of boundary and grid, such as GCJ-02.", _GRID)] = None,
    residents: Annotated[
        int | None, typer.Option(min=1, help="In all; spread over the cells.", rich_help_panel=_GRID)
    ] = None,
    residents_file: Annotated[
        Path | None,
        _file("CSV of codes and residents, a raster of population, or places that spread --residents.", _GRID),
    ] = None,
    raster_unit: Annotated[Literal["count", "per_km2"], _file("What a pixel of the raster holds.", _GRID)] = "count",
    weight_column: Annotated[str | None, _file("Column of the places' weights.", _GRID)] = None,
    sites: Annotated[Path | None, _file("Sites with a place class; a GIS layer or CSV.", _PLACES)] = None,
    posts: Annotated[Path | None, _file("Posts; a GIS layer or CSV.", _PLACES)] = None,
    make_posts: Annotated[
        int | None, typer.Option(min=1, help="Make so many posts instead.", rich_help_panel=_PLACES)
    ] = None,
    post_limit_m: Annotated[
        float, typer.Option(min=0, help="A post farther from any street is refused.", rich_help_panel=_PLACES)
    ] = 300.0,
    places_crs: Annotated[str | None, _file("CRS or datum of sites and posts, such as GCJ-02.", _PLACES)] = None,
    name: Annotated[str | None, typer.Option(help="Of the city.", show_default="as the roads")] = None,
    name_en: Annotated[str, typer.Option(help="Its English name.", show_default="the same")] = "",
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend invalid polygons, else refused, and overlapping ones, else kept.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the city.", show_default="cities/NAME")] = None,
    quiet: Quiet = False,
) -> None:
    """Build a city from files and save it in a folder that runs read fast."""
    source = _source(roads, place, bbox, download=download)
    areas, lengths = _areas(boundary, area), _lengths(code_lengths)
    _check_files(nodes, *areas.values(), grid, residents_file, sites, posts)

    from geodata.assemble import assemble_city
    from geodata.check import check_city, city_faults
    from geodata.readers.layers import LineColumns
    from geodata.readers.population import ResidentsFile
    from geodata.readers.roads import RoadOptions
    from geodata.residents import RasterUnit
    from scenarios.city_tables import check_tables
    from scenarios.console import console, remark, watch

    called = name or _usual_name(source, areas)
    folder = out or Path("cities") / (re.sub(r"[^\w-]+", "-", called).strip("-").lower() or "city")
    columns = LineColumns(
        road_class=class_column,
        speed_kmh=speed_column,
        limit_kmh=limit_column,
        one_way=oneway_column,
        name=name_column,
        level=level_column,
        bridge=bridge_column,
        tunnel=tunnel_column,
    )
    population = None
    if residents_file is not None:
        unit = RasterUnit(raster_unit)
        population = ResidentsFile(path=residents_file, unit=unit, weight=weight_column, crs=grid_crs)
    _check_city_folder(folder)
    with watch(quiet) as progress:
        progress("City", 0)
        city, remarks = assemble_city(
            source,
            name=called,
            name_en=name_en,
            road_options=RoadOptions(
                columns=columns,
                layer=layer,
                crs=roads_crs,
                nodes=nodes,
                node_crossings=node_crossings,
                meet_m=meet_m,
            ),
            areas=areas,
            grid=grid,
            code_lengths=lengths,
            cell_m=cell_m,
            cell_kind=cell_kind,
            residents=residents,
            residents_file=population,
            sites=sites,
            posts=posts,
            n_posts=make_posts,
            post_limit_m=post_limit_m,
            grid_crs=grid_crs,
            places_crs=places_crs,
            epsg=epsg,
            repair=repair,
        )
        progress("City", 1)
        progress("Saving", 0)
        city.save(folder)
        progress("Saving", 1)
    if not quiet:
        for text in remarks:
            remark(text)
    screen = console()
    for part in check_tables(city, check_city(city), city_faults(city)):
        screen.print(part)
    print(f"City  {folder}")


def _source(
    roads: Path | None, place: str | None, bbox: tuple[float, float, float, float] | None, *, download: bool
) -> Path | str | tuple[float, float, float, float] | None:
    """What `assemble_city` takes as roads."""
    given = {"a roads file": roads, "--place": place, "--bbox": bbox, "--download": download or None}
    named = [way for way, value in given.items() if value is not None]
    if len(named) != 1:
        found = " and ".join(named) or "none"
        raise InputError(Fault("roads", "", found, f"one of {', '.join(given)}", "Name the roads in exactly one way."))
    if roads is not None and not roads.exists():
        raise InputError(Fault(str(roads), "", "no such file", "a file with roads", "Check the path."))
    return roads or place or bbox


def _check_files(*files: Path | None) -> None:
    """All that are missing are told at once, before the roads take their time."""
    missing = dict.fromkeys(path for path in files if path is not None and not path.exists())
    if missing:
        raise InputError(
            *(Fault(str(path), "", "no such file", "a file to read", "Check the path.") for path in missing)
        )


def _areas(boundary: Path | None, levels: list[str] | None) -> dict[str, Path]:
    """Files of the areas by level, from the top downwards."""
    files = {"district": boundary} if boundary is not None else {}
    if levels and boundary is not None:
        raise InputError(Fault("areas", "", "--boundary and --area", "one of them", "Write --area district=FILE."))
    for text in levels or []:
        level, equals, path = text.partition("=")
        if not (level and equals and path) or level in files:
            expected = "LEVEL=FILE, each level once"
            raise InputError(Fault("--area", "", repr(text), expected, "Write --area subdistrict=streets.gpkg."))
        files[level] = Path(path)
    return files


def _lengths(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    numbers = text.split(",")
    if not all(number.strip().isdigit() and int(number) > 0 for number in numbers):
        raise InputError(Fault("--code-lengths", "", repr(text), "numbers with commas between", "Write 6,9,12."))
    return tuple(int(number) for number in numbers)


def _usual_name(source: object, areas: Mapping[str, Path]) -> str:
    """The city is called as its roads, a place by what stands before the comma."""
    if isinstance(source, str):
        return source.split(",")[0]
    path = source if isinstance(source, Path) else next(iter(areas.values()), Path("city"))
    return path.name.split(".")[0]


def _check_city_folder(folder: Path) -> None:
    """Only an older city may be replaced."""
    if (folder / "manifest.json").is_file():
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        found = "a folder that holds no city" if folder.is_dir() else "a file"
        mend = "Name another place with --out."
        raise InputError(Fault(str(folder), "", found, "a new or empty folder, or a saved city", mend))


@city_app.command()
def check(
    city: CityName,
    layer: Annotated[
        Path | None, typer.Option(metavar="FILE.gpkg", help="Write every case of every fault there, for QGIS.")
    ] = None,
    force: Force = False,
) -> None:
    """Whether a saved city is whole, what it holds, and what in it looks wrong."""
    from geodata.check import check_city, city_faults
    from geodata.defects import defect_table
    from geodata.export import by_shape, check_target, write_gpkg
    from scenarios.build import city_named
    from scenarios.city_tables import check_tables
    from scenarios.console import console

    if layer is not None:
        check_target(layer, force=force)
    found = city_named(city)
    faults = city_faults(found)
    screen = console()
    for part in check_tables(found, check_city(found), faults):
        screen.print(part)
    if layer is not None:
        layers = by_shape("faults", defect_table(faults, found.network.epsg))
        if layers:
            write_gpkg(layers, layer, force=force)
            _written(layer, layers)
        else:
            print(f"Nothing to draw: {layer} is not written.")


@city_app.command()
def info(city: CityName) -> None:
    """What a saved city is: digest, sources and licences, versions, extent and sizes."""
    from geodata.city import city_manifest
    from scenarios.build import city_named
    from scenarios.city_tables import info_tables
    from scenarios.console import console

    found, folder = city_named(city), Path(city)
    manifest = city_manifest(folder) if folder.is_dir() else None
    screen = console()
    for part in info_tables(found, manifest, folder):
        screen.print(part)


@city_app.command()
def export(
    city: CityName,
    gpkg: Annotated[Path, typer.Option(metavar="FILE.gpkg", help="GeoPackage to write.")],
    force: Force = False,
) -> None:
    """Write a city as one GeoPackage: streets, junctions, turns, cells, areas, sites, posts and defects as layers."""
    from geodata.export import check_target, city_layers, write_gpkg
    from scenarios.build import city_named

    check_target(gpkg, force=force)
    layers = city_layers(city_named(city))
    write_gpkg(layers, gpkg, force=force)
    _written(gpkg, layers)


def _written(path: Path, layers: Mapping[str, Sized]) -> None:
    print(path)
    for name, rows in layers.items():
        print(f"  {name:<18}{len(rows):>10,}")


@city_app.command("map")
def draw_city_map(
    city: CityName,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Page to write.", show_default="CITY-map.html")
    ] = None,
    tiles: Annotated[bool, typer.Option("--tiles", help="Over a street map from the internet.")] = False,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Draw a city and every fault of it as one page, that opens without a network."""
    from geodata.check import city_faults
    from scenarios.build import city_named
    from scenarios.citymap import check_page, render_city_map
    from scenarios.console import watch
    from scenarios.run import write_whole

    target = out or Path(f"{Path(city).resolve().name}-map.html")
    check_page(target, force=force)
    with watch(quiet) as progress:
        progress("City", 0)
        found = city_named(city)
        progress("City", 1)
        progress("Faults", 0)
        faults = city_faults(found)
        progress("Faults", 1)
        progress("Map", 0)
        text = render_city_map(found, faults, tiles=tiles)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, text)
        progress("Map", 1)
    print(target)
