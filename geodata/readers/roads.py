"""Roads from anywhere: which reader reads which file, and downloads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import shapely

from geodata.defects import Defect
from geodata.errors import Fault, InputError
from geodata.network import Streets
from geodata.readers.download import read_bbox, read_place, read_polygon
from geodata.readers.graphml import read_graphml
from geodata.readers.jsonfile import JsonKind, json_kind
from geodata.readers.layers import MEET_M, LineColumns, read_lines
from geodata.readers.nodelink import read_node_link
from geodata.readers.osm import read_osm
from geodata.readers.osmnx_layers import is_osmnx_geopackage, read_osmnx_geopackage
from geodata.readers.overpass import read_overpass
from geodata.readers.tables import EdgeColumns, read_tables
from geodata.readers.tntp import read_tntp

Box = tuple[float, float, float, float]
Roads = Path | str | Box | shapely.Polygon | shapely.MultiPolygon
"""A file; the name of a place, a box of west, south, east and north, or polygons in degrees, to download."""
Answer = tuple[Streets, list[Defect]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadOptions:
    """What a file does not tell by itself."""

    columns: LineColumns = field(default_factory=LineColumns)
    """Of a layer or a table."""
    layer: str | None = None
    """Of a file with several."""
    crs: str | None = None
    """The CRS or datum of the coordinates; beats what the file says."""
    nodes: Path | None = None
    """The table of nodes beside one of edges, where it has no usual name."""
    node_crossings: bool = False
    """Lines of a layer that cross make a junction, unless they are on different levels."""
    meet_m: float = MEET_M
    """Ends of lines this near to another line meet it."""


Reader = Callable[[Path, RoadOptions, int | None], Answer]


def _in_wgs84(read: Callable[..., Answer]) -> Reader:
    """A reader of a format whose coordinates are in WGS-84, whatever anybody declares."""

    def reader(path: Path, options: RoadOptions, epsg: int | None) -> Answer:
        if options.crs is not None:
            mend = "Leave the CRS of the roads out: OpenStreetMap's is WGS-84."
            raise InputError(Fault(str(path), "CRS", options.crs, "no CRS for OpenStreetMap data", mend))
        return read(path, epsg=epsg)

    return reader


def _graphml(path: Path, options: RoadOptions, epsg: int | None) -> Answer:
    return read_graphml(path, epsg=epsg, crs=options.crs)


def _layer(path: Path, options: RoadOptions, epsg: int | None) -> Answer:
    if options.layer is None and is_osmnx_geopackage(path):
        return read_osmnx_geopackage(path, epsg=epsg, crs=options.crs)
    return read_lines(
        path,
        options.layer,
        options.columns,
        epsg=epsg,
        crs=options.crs,
        node_crossings=options.node_crossings,
        meet_m=options.meet_m,
    )


def _json(path: Path, options: RoadOptions, epsg: int | None) -> Answer:
    kind = json_kind(path)
    if kind is JsonKind.OVERPASS:
        return _in_wgs84(read_overpass)(path, options, epsg)
    if kind is JsonKind.NODE_LINK:
        return read_node_link(path, epsg=epsg, crs=options.crs)
    return _layer(path, options, epsg)


def _table(path: Path, options: RoadOptions, epsg: int | None) -> Answer:
    named = options.columns
    columns = EdgeColumns(
        road_class=named.road_class,
        speed_kmh=named.speed_kmh,
        limit_kmh=named.limit_kmh,
        one_way=named.one_way,
        name=named.name,
    )
    return read_tables(path, options.nodes, columns=columns, crs=options.crs, epsg=epsg)


def _tntp(path: Path, options: RoadOptions, epsg: int | None) -> Answer:
    return read_tntp(path, options.nodes, crs=options.crs, epsg=epsg)


READERS: Mapping[str, Reader] = (
    dict.fromkeys((".osm", ".osm.gz", ".osm.bz2", ".osm.pbf", ".pbf"), _in_wgs84(read_osm))
    | dict.fromkeys((".graphml", ".graphml.gz"), _graphml)
    | dict.fromkeys((".json", ".json.gz"), _json)
    | dict.fromkeys((".csv", ".csv.gz"), _table)
    | dict.fromkeys((".tntp", ".tntp.gz"), _tntp)
    | dict.fromkeys((".gpkg", ".shp", ".zip", ".geojson", ".fgb", ".parquet", ".geoparquet"), _layer)
    | dict.fromkeys((".gdb", ".gml", ".kml", ".tab", ".mif"), _layer)
)
"""By the end of the file's name."""


def read_roads(roads: Roads, options: RoadOptions | None = None, *, epsg: int | None = None) -> Answer:
    """The streets of a file, by the reader for its name, or of a place to download; and what was wrong with them.

    A text that names no file and has no file's ending is the name of a place.

    Raises:
        InputError: no reader knows the file's name, the reader refuses the file, or the download fails.
    """
    options = options or RoadOptions()
    if isinstance(roads, tuple):
        return read_bbox(roads, epsg=epsg)
    if isinstance(roads, shapely.Geometry):
        return read_polygon(roads, epsg=epsg)
    path = Path(roads)
    end = max((end for end in READERS if path.name.lower().endswith(end)), key=len, default=None)
    if end is not None:
        return READERS[end](path, options, epsg)
    if isinstance(roads, str) and not path.exists():
        return read_place(roads, epsg=epsg)
    found = f"a name that ends in {path.suffix!r}" if path.exists() else "no such file"
    raise InputError(Fault(str(roads), "", found, f"a file of {', '.join(READERS)}", "Convert it to GPKG."))
