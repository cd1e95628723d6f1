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
            metavar="[ROADS]", help="OSM file (.osm, .osm.pbf …), osmnx GraphML, or a line layer of any GIS."
        ),
    ] = None,
    place: Annotated[str | None, _file("Download the roads of this place instead of reading a file.", _ROADS)] = None,
    layer: Annotated[str | None, _file("Layer of the roads file.", _ROADS)] = None,
    class_column: Annotated[str | None, _file("Column with the road class.", _ROADS)] = None,
    speed_column: Annotated[str | None, _file("Column with the off-peak speed in km/h.", _ROADS)] = None,
    limit_column: Annotated[str | None, _file("Column with the posted limit in km/h.", _ROADS)] = None,
    oneway_column: Annotated[str | None, _file("Column that tells one-way streets.", _ROADS)] = None,
    name_column: Annotated[str | None, _file("Column with the street's name.", _ROADS)] = None,
    epsg: Annotated[int | None, _file("Projected CRS to work in; chosen by place if left out.", _ROADS)] = None,
    boundary: Annotated[Path | None, _file("Polygons of the districts.", _GRID)] = None,
    grid: Annotated[Path | None, _file("Polygons of the cells 网格; made if left out.", _GRID)] = None,
    cell_m: Annotated[float, typer.Option(min=50, help="Size of a made cell.", rich_help_panel=_GRID)] = 1000.0,
    cell_kind: Annotated[Literal["square", "hex"], _file("Shape of a made cell.", _GRID)] = "square",
    residents: Annotated[
        int | None, typer.Option(min=1, help="In all; spread over the cells.", rich_help_panel=_GRID)
    ] = None,
    sites: Annotated[Path | None, _file("Sites with a place class; a GIS layer or CSV.", _PLACES)] = None,
    posts: Annotated[Path | None, _file("Posts; a GIS layer or CSV.", _PLACES)] = None,
    make_posts: Annotated[
        int | None, typer.Option(min=1, help="Make so many posts instead.", rich_help_panel=_PLACES)
    ] = None,
    csv_crs: Annotated[
        str | None, _file("CRS or datum of the coordinates in CSV files, such as EPSG:4326.", _PLACES)
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the city.", show_default="as the roads")] = None,
    name_en: Annotated[str, typer.Option(help="Its English name.", show_default="the same")] = "",
    repair: Annotated[bool, typer.Option("--repair", help="Mend invalid polygons instead of refusing them.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the city.", show_default="cities/NAME")] = None,
    quiet: Quiet = False,
) -> None:
    """Build a city from files and save it in a folder that runs read fast."""
    from geodata.assemble import Columns, assemble_city
    from geodata.check import check_city, city_faults
    from geodata.readers.layers import LineColumns
    from scenarios.city_tables import check_tables
    from scenarios.console import console, remark, watch

    source = _source(roads, place)
    called = name or (place.split(",")[0] if place else Path(source).name.split(".")[0])
    folder = out or Path("cities") / (re.sub(r"[^\w-]+", "-", called).strip("-").lower() or "city")
    columns = Columns(
        roads=LineColumns(
            road_class=class_column,
            speed_kmh=speed_column,
            limit_kmh=limit_column,
            one_way=oneway_column,
            name=name_column,
        )
    )
    _check_city_folder(folder)
    with watch(quiet) as progress:
        progress("City", 0)
        city, remarks = assemble_city(
            source,
            name=called,
            name_en=name_en,
            boundary=boundary,
            grid=grid,
            cell_m=cell_m,
            cell_kind=cell_kind,
            sites=sites,
            posts=posts,
            n_posts=make_posts,
            residents=residents,
            columns=columns,
            road_layer=layer,
            csv_crs=csv_crs,
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


def _source(roads: Path | None, place: str | None) -> Path | str:
    if (roads is None) == (place is None):
        found = "neither" if roads is None else "both"
        raise InputError(Fault("roads", "", found, "a roads file or --place", "Name the roads in exactly one way."))
    if place is not None:
        return place
    assert roads is not None
    if not roads.exists():
        raise InputError(Fault(str(roads), "", "no such file", "a file with roads", "Check the path."))
    return roads


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
