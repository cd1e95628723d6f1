"""Roads of a place, a box or a polygon, downloaded from OpenStreetMap by osmnx."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import requests
import shapely
from requests.exceptions import RequestException

from geodata.crs import in_range, parse_crs
from geodata.defects import Defect, general
from geodata.errors import Fault, InputError
from geodata.network import Streets
from geodata.readers.graphs import streets_of_graph
from geodata.readers.overpass import refuse_broken_off

_MEND_SERVER = (
    "Check the connection and try again later, ask for a smaller area, or give a road file that was downloaded before."
)
_MEND_PLACE = "Check the spelling, add the city and the country, or give a road file."
_MEND_AREA = "Check the coordinates: longitude before latitude."
_REMARK_BYTES = 4096
"""A remark stands at the end of an answer."""


def read_place(name: str, *, epsg: int | None = None) -> tuple[Streets, list[Defect]]:
    """The streets of a place by its name ("Yuelu District, Changsha").

    Raises:
        InputError: the place is unknown, it has no roads, or the servers do not answer as they should.
    """
    return _download(
        name,
        lambda osmnx, **how: osmnx.graph_from_place(name, **how),
        Fault(name, "place", "", "a place that OpenStreetMap knows", _MEND_PLACE),
        epsg,
    )


def read_bbox(bbox: tuple[float, float, float, float], *, epsg: int | None = None) -> tuple[Streets, list[Defect]]:
    """The streets in a box of west, south, east and north in degrees (WGS-84).

    Raises:
        InputError: no such box, no roads in it, or the servers do not answer as they should.
    """
    west, south, east, north = bbox
    source = f"box {west:g}, {south:g}, {east:g}, {north:g}"
    expected = "west, south, east and north in degrees, west below east and south below north"
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise InputError(Fault(source, "", "no box on the earth", expected, _MEND_AREA))
    return _download(
        source,
        lambda osmnx, **how: osmnx.graph_from_bbox(bbox, **how),
        Fault(source, "", "", "a box with roads", _MEND_AREA),
        epsg,
    )


def read_polygon(
    polygon: shapely.Polygon | shapely.MultiPolygon, *, epsg: int | None = None
) -> tuple[Streets, list[Defect]]:
    """The streets in a polygon or several, in degrees (WGS-84).

    Raises:
        InputError: no valid polygon in degrees, no roads in it, or the servers do not answer as they should.
    """
    source = "polygon"
    found = None
    if shapely.get_type_id(polygon) not in (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON):
        found = "no polygon"
    elif shapely.is_empty(polygon):
        found = "an empty polygon"
    elif not in_range(shapely.get_coordinates(polygon)).all():
        found = "coordinates that are no degrees"
    elif not shapely.is_valid(polygon):
        found = shapely.is_valid_reason(polygon)
    if found is not None:
        raise InputError(Fault(source, "", found, "a valid polygon in degrees", _MEND_AREA))
    return _download(
        source,
        lambda osmnx, **how: osmnx.graph_from_polygon(polygon, **how),
        Fault(source, "", "", "a polygon with roads", _MEND_AREA),
        epsg,
    )


def _download(source: str, ask: Callable[..., Any], nothing: Fault, epsg: int | None) -> tuple[Streets, list[Defect]]:
    """Ask osmnx for a graph; `nothing` is the fault where there is none, but for what was found."""
    # osmnx takes seconds to import and is needed for downloads alone
    import osmnx  # noqa: PLC0415

    with _settings(osmnx, source):
        try:
            graph = ask(osmnx, network_type="drive_service", retain_all=True, truncate_by_edge=True)
        except InputError:
            raise
        except (RequestException, OSError) as error:
            found = f"no answer from the OpenStreetMap servers ({_cause(error)})"
            raise InputError(Fault(source, "download", found, "roads", _MEND_SERVER)) from error
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            # what osmnx makes of an unknown place, of no roads, and of an answer without the keys that it expects
            raise InputError(replace(nothing, found=str(error).rstrip(".") or type(error).__name__)) from error
    crs = graph.graph["crs"]
    streets, defects = streets_of_graph(
        parse_crs(crs if isinstance(crs, str | int) else crs.to_wkt(), source),
        graph.nodes(data=True),
        graph.edges(data=True),
        source,
        epsg,
    )
    done = "every turn counts as allowed; an .osm.pbf or Overpass file brings the restrictions"
    return streets, [*defects, general("download without turn restrictions", done, streets.epsg)]


def _cause(error: Exception) -> str:
    return str(error) if isinstance(error, requests.HTTPError) else type(error).__name__


@contextlib.contextmanager
def _settings(osmnx: Any, source: str) -> Iterator[None]:
    """osmnx without its cache, which is a folder wherever the command is run, and without its endless patience with
    busy servers; afterwards as it was."""
    settings = osmnx.settings
    kept = settings.use_cache, settings.requests_kwargs
    # osmnx replaces it for the life of the process
    resolve = socket.getaddrinfo

    def check(response: requests.Response, *_: Any, **__: Any) -> None:
        if response.is_redirect or response.url.endswith("/status"):
            return
        if not response.ok:
            # of 429 and 504 osmnx says nothing: it waits 55 s and asks again, for ever
            raise requests.HTTPError(f"HTTP {response.status_code} {response.reason}")
        if response.content.lstrip()[:1] not in (b"{", b"["):
            raise requests.HTTPError("a page instead of data")
        if b'"remark"' in response.content[-_REMARK_BYTES:]:
            refuse_broken_off(response.json(), source)

    hooks = {**settings.requests_kwargs.get("hooks", {}), "response": check}
    settings.use_cache, settings.requests_kwargs = False, {**settings.requests_kwargs, "hooks": hooks}
    try:
        yield
    finally:
        settings.use_cache, settings.requests_kwargs = kept
        socket.getaddrinfo = resolve
