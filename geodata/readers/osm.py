"""OpenStreetMap files by pyosmium, and places by name through osmnx."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import osmium

from geodata.crs import LONLAT, choose_epsg, project
from geodata.errors import Fault, InputError
from geodata.network import OneWay, Streets
from geodata.readers.noding import Index, cut_at_junctions
from geodata.readers.values import (
    CLASS_OF_HIGHWAY,
    ONE_WAY_WORDS,
    POSTED_LIMIT_SHARE,
    count_words,
    is_plausible,
    parse_kmh,
)

NO_DRIVING_SERVICE = frozenset({"parking_aisle", "drive-through", "drive_through"})
_MAY_PASS = frozenset({"yes", "designated", "official", "permissive"})
# the more specific key wins, as OSM's access rules say
_ACCESS_KEYS = ("motorcar", "motor_vehicle", "vehicle", "access")
_MEND = "Give an .osm, .osm.gz, .osm.bz2 or .osm.pbf file with roads; `osmium fileinfo` shows what a file holds."


@dataclass(slots=True)
class _Ways:
    """What the first pass collects, one entry a way; `odd` counts values that were not understood."""

    refs: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=lambda: [0])
    road_class: list[int] = field(default_factory=list)
    one_way: list[int] = field(default_factory=list)
    speed_kmh: list[float] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    odd: dict[str, Counter[str]] = field(default_factory=lambda: {"maxspeed": Counter(), "oneway": Counter()})
    closed_to_public: int = 0


def read_osm(path: Path, *, epsg: int | None = None) -> tuple[Streets, list[str]]:
    """The streets that a patrol car may drive on, and remarks on what was left out or not understood.

    Ways of the classes in `CLASS_OF_HIGHWAY`, parking aisles and drive-throughs apart. Ways closed to the public
    are left out unless open to emergencies. Junctions lie where ways share a node. Posted limits become driving
    speeds by `POSTED_LIMIT_SHARE`. The CRS fits the middle of the data unless `epsg` names one.

    Raises:
        InputError: no such file, no OSM data, or no drivable way in it.
    """
    source = str(path)
    if not path.is_file():
        raise InputError(Fault(source, "", "no such file", "an OpenStreetMap file", "Check the path."))
    try:
        ways = _read_ways(source)
        ids, lonlat = _read_nodes(source, np.unique(np.array(ways.refs, np.int64)))
    except RuntimeError as error:
        raise InputError(Fault(source, "", str(error), "OpenStreetMap data", _MEND)) from error
    refs, way_first = np.array(ways.refs, np.int64), np.array(ways.first, np.int64)
    vertex = np.searchsorted(ids, refs)
    located = vertex < len(ids)
    located[located] = ids[vertex[located]] == refs[located]
    way, line_first, vertex = _without_gaps(vertex, way_first, located)
    shape_first, entry, line = cut_at_junctions(vertex, line_first)
    if not len(line):
        found = "no drivable way" if not len(refs) else "ways without the nodes that they run through"
        raise InputError(Fault(source, "", found, "ways with highway=motorway … residential", _MEND))
    epsg = choose_epsg(lonlat, epsg, source)
    way, vertex = way[line], vertex[entry]
    streets = Streets(
        epsg=epsg,
        start=ids[vertex[shape_first[:-1]]],
        end=ids[vertex[shape_first[1:] - 1]],
        one_way=np.array(ways.one_way, np.int8)[way],
        road_class=np.array(ways.road_class, np.uint8)[way],
        speed_kmh=np.array(ways.speed_kmh)[way],
        name=[ways.name[i] for i in way],
        shape_first=shape_first,
        shape_xy_m=project(lonlat, LONLAT, epsg)[vertex],
    )
    return streets, _remarks(ways, located)


def _read_ways(source: str) -> _Ways:
    ways = _Ways()
    roads = osmium.FileProcessor(source, osmium.osm.WAY).with_filter(osmium.filter.KeyFilter("highway"))
    for item in roads:
        way = cast(osmium.osm.Way, item)
        tags = dict(way.tags)
        road_class = CLASS_OF_HIGHWAY.get(tags["highway"])
        if road_class is None or tags.get("area") == "yes" or tags.get("service") in NO_DRIVING_SERVICE:
            continue
        if not may_drive(tags):
            ways.closed_to_public += 1
            continue
        ways.refs.extend(node.ref for node in way.nodes)
        ways.first.append(len(ways.refs))
        ways.road_class.append(road_class)
        ways.one_way.append(one_way_of(tags, ways.odd["oneway"]))
        ways.speed_kmh.append(speed_of(tags, ways.odd["maxspeed"]))
        ways.name.append(tags.get("name") or tags.get("ref", ""))
    return ways


def _read_nodes(source: str, wanted: Index) -> tuple[Index, np.ndarray]:
    """Ids, sorted, and (n, 2) longitude and latitude of those wanted nodes that the file holds."""
    ids: list[int] = []
    lonlat: list[tuple[float, float]] = []
    nodes = osmium.FileProcessor(source, osmium.osm.NODE).with_filter(osmium.filter.IdFilter(wanted.tolist()))
    for item in nodes:
        node = cast(osmium.osm.Node, item)
        if node.location.valid():
            ids.append(node.id)
            lonlat.append((node.lon, node.lat))
    known, index = np.unique(np.array(ids, np.int64), return_index=True)
    return known, np.array(lonlat, float).reshape(-1, 2)[index]


def _without_gaps(vertex: Index, first: Index, located: np.ndarray) -> tuple[Index, Index, Index]:
    """Break ways where an extract cut a node off: the way of each line, where it begins, its vertices."""
    way = np.repeat(np.arange(len(first) - 1), np.diff(first))
    begins = np.ones(len(vertex), bool)
    begins[1:] = (way[1:] != way[:-1]) | ~located[:-1]
    line = np.cumsum(begins)[located]
    _, where = np.unique(line, return_index=True)
    return way[located][where], np.append(where, len(line)), vertex[located]


def may_drive(tags: Mapping[str, str]) -> bool:
    """Whether a patrol car on a call may use a way: open to cars, or to emergencies."""
    if tags.get("emergency") in _MAY_PASS:
        return True
    access = next((tags[key] for key in _ACCESS_KEYS if key in tags), "yes")
    return access not in ("no", "private")


def one_way_of(tags: Mapping[str, str], odd: Counter[str]) -> OneWay:
    """In which sense a way is driven; a roundabout and a motorway are one-way unless their tags say otherwise.
    Values that name no direction, such as "reversible", count as both and into `odd`."""
    value = tags.get("oneway", "").lower()
    if value in ONE_WAY_WORDS and value:
        return ONE_WAY_WORDS[value]
    if value:
        odd[value] += 1
        return OneWay.NO
    implied = tags.get("junction") in ("roundabout", "circular") or tags.get("highway") == "motorway"
    return OneWay.FORWARD if implied else OneWay.NO


def speed_of(tags: Mapping[str, str], odd: Counter[str]) -> float:
    """Driving speed in km/h from the posted limit, NaN without a plausible one; those go into `odd`."""
    text = tags.get("maxspeed")
    if text is None:
        return math.nan
    limit_kmh = parse_kmh(text)
    if not is_plausible(limit_kmh):
        odd[text] += 1
        return math.nan
    return limit_kmh * POSTED_LIMIT_SHARE


def _remarks(ways: _Ways, located: np.ndarray) -> list[str]:
    remarks = []
    if ways.closed_to_public:
        remarks.append(f"{ways.closed_to_public:,} ways closed to the public were left out")
    if lost := np.count_nonzero(~located):
        remarks.append(f"{lost:,} nodes of ways are not in the file: the ways end there")
    if odd := ways.odd["maxspeed"]:
        remarks.append(f"{odd.total():,} speed limits not used, the class decides: {count_words(odd)}")
    if odd := ways.odd["oneway"]:
        remarks.append(f"{odd.total():,} one-way marks not understood, taken as both ways: {count_words(odd)}")
    return remarks


def read_place(name: str, *, epsg: int | None = None) -> tuple[Streets, list[str]]:
    """The streets of a place by its name ("Yuelu District, Changsha"), downloaded from OpenStreetMap by osmnx.

    Raises:
        InputError: the place is unknown, it has no roads, or the download failed.
    """
    # osmnx takes seconds to import and is needed for downloads alone
    import osmnx  # noqa: PLC0415
    from requests.exceptions import RequestException  # noqa: PLC0415

    from geodata.readers.graphml import streets_of_graph  # noqa: PLC0415

    def refuse(found: str, mend: str) -> InputError:
        return InputError(Fault(name, "place", found, "a place that OpenStreetMap knows", mend))

    kept = osmnx.settings.use_cache
    # its cache is a folder wherever the command is run
    osmnx.settings.use_cache = False
    try:
        graph = osmnx.graph_from_place(name, network_type="drive_service", retain_all=True, truncate_by_edge=True)
    except (RequestException, OSError) as error:
        mend = "Connect to the network, or give a road file that was downloaded before."
        raise refuse(f"no answer from the OpenStreetMap servers ({type(error).__name__})", mend) from error
    except (ValueError, TypeError) as error:
        raise refuse(str(error), "Check the spelling, add the city and the country, or give a road file.") from error
    finally:
        osmnx.settings.use_cache = kept
    return streets_of_graph(graph.graph["crs"], graph.nodes(data=True), graph.edges(data=True), name, epsg)
