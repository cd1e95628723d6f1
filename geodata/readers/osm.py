"""OpenStreetMap: files by pyosmium, and the streets of ways, nodes and turn restrictions from wherever they come."""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import osmium
import shapely
from numpy.typing import NDArray

from geodata.crs import LONLAT, choose_epsg, in_range, project
from geodata.defects import Defect, general
from geodata.errors import Fault, InputError
from geodata.network import Bools, Floats, OneWay, RoadClass, Streets
from geodata.readers.noding import AS_BRIDGES, Index, crossing_defect, crossings, cut_at_junctions, near_misses
from geodata.readers.restrictions import Relation, is_restriction, turns_of_restrictions
from geodata.readers.values import (
    CLASS_OF_HIGHWAY,
    ONE_WAY_WORDS,
    POSTED_LIMIT_SHARE,
    count_words,
    is_plausible,
    parse_kmh,
    parse_level,
)

Way = tuple[int, Sequence[int] | Index, Mapping[str, str]]
"""Its id, the ids of its nodes, its tags."""
Nodes = tuple[Index, Floats]
"""(n,) ids, sorted, and (n, 2) longitude and latitude."""

NO_DRIVING_SERVICE = frozenset({"parking_aisle", "drive-through", "drive_through"})
_MAY_PASS = frozenset({"yes", "designated", "official", "permissive"})
# the more specific key wins, as OSM's access rules say
_CAR_KEYS = ("motorcar", "motor_vehicle", "vehicle", "access")
_FOOT_KEYS = ("foot", "access")
_ONE_WAY, _SPEED, _NAME = ("oneway", "junction"), ("maxspeed",), ("name", "ref")
_LEVEL = ("layer", "bridge", "tunnel")
_KEYS = frozenset(
    {"highway", "area", "service", "emergency", *_CAR_KEYS, *_FOOT_KEYS, *_ONE_WAY, *_SPEED, *_NAME, *_LEVEL}
)
_PER_DEGREE = 1e7
"""OSM's coordinates are whole numbers of 1e-7 degrees."""
_NOWHERE = 2**31 - 1
"""libosmium's coordinate of a node that it does not know."""
_MEND = "Give an .osm, .osm.gz, .osm.bz2 or .osm.pbf file with roads; `osmium fileinfo` shows what a file holds."
_MEND_FILE = "The file may be cut short or altered: copy it anew; `osmium fileinfo -e` reads it through."


def read_osm(path: Path, *, epsg: int | None = None) -> tuple[Streets, list[Defect]]:
    """The streets that units may drive on (see `streets_of_osm`), streamed from an OpenStreetMap file.

    Raises:
        InputError: no such file, no OSM data or a file cut short, or no drivable way in it.
    """
    source = str(path)
    if not path.is_file():
        raise InputError(Fault(source, "", "no such file", "an OpenStreetMap file", "Check the path."))
    try:
        ways, nodes, restrictions = _read(source)
    except (RuntimeError, ValueError, MemoryError, OSError, osmium.InvalidLocationError) as error:
        found = re.sub(r"<fd:\d+>: ", "", str(error)) or type(error).__name__
        raise InputError(Fault(source, "", found, "OpenStreetMap data", _MEND_FILE)) from error
    return streets_of_osm(ways, nodes, restrictions, source, epsg)


def _read(source: str) -> tuple[list[Way], Nodes, list[Relation]]:
    """The ways with a highway tag (of those that are no streets the tag alone), their nodes, and the restrictions."""
    known: list[tuple[int, int, Mapping[str, str]]] = []
    restrictions: list[Relation] = []
    table: array[int] = array("q")
    shared: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
    # the filter by ids would hold 4 MiB for every 2^25 ids in use, the table of places holds 16 bytes a node
    items = osmium.FileProcessor(source).with_locations("sparse_mem_array")
    wanted = osmium.filter.EntityFilter(osmium.osm.WAY | osmium.osm.RELATION)
    for item in items.with_filter(wanted).with_filter(osmium.filter.KeyFilter("highway", "type")):
        if isinstance(item, osmium.osm.Relation):
            if is_restriction(tags := dict(item.tags)):
                restrictions.append((item.id, tags, [(m.type, m.ref, m.role) for m in item.members]))
        elif isinstance(item, osmium.osm.Way) and "highway" in item.tags:
            pairs = tuple((tag.k, tag.v) for tag in item.tags if tag.k in _KEYS)
            # ways by the thousand have the same tags
            own = shared.setdefault(pairs, dict(pairs))
            if _no_street(own) is None:
                table.extend([number for n in item.nodes for number in (n.ref, n.x, n.y)])
            known.append((item.id, len(table) // 3, own))
    nodes = np.array(table, np.int64).reshape(-1, 3)
    ends = [0, *(end for _, end, _ in known)]
    ways: list[Way] = [(way, nodes[a:b, 0], tags) for a, (way, b, tags) in zip(ends[:-1], known, strict=True)]
    placed = nodes[:, 1] != _NOWHERE
    missing = np.setdiff1d(nodes[~placed, 0], nodes[placed, 0])
    nodes = np.concatenate([nodes[placed], _look_up(source, missing)])
    ids, first = np.unique(nodes[:, 0], return_index=True)
    return ways, (ids, nodes[first, 1:] / _PER_DEGREE), restrictions


def _look_up(source: str, missing: Index) -> Index:
    """(n, 3) ids and places of nodes that the table of places does not serve: those with negative ids, and those that
    come behind the ways in files that no tool has sorted."""
    items = osmium.FileProcessor(source, osmium.osm.NODE)
    if not len(missing) or (missing[0] >= 0 and items.header.get("sorting") == "Type_then_ID"):
        return np.empty((0, 3), np.int64)
    wanted = frozenset(missing.tolist())
    nodes = (item for item in items if isinstance(item, osmium.osm.Node) and item.id in wanted)
    places = [(node.id, node.location.x, node.location.y) for node in nodes if node.location.valid()]
    return np.array(places, np.int64).reshape(-1, 3)


def streets_of_osm(
    ways: Iterable[Way], nodes: Nodes, restrictions: Iterable[Relation], source: str, epsg: int | None
) -> tuple[Streets, list[Defect]]:
    """The streets that units may drive on, with their turn restrictions, and what was left out or not understood.

    Ways of the classes in `CLASS_OF_HIGHWAY`, parking aisles, drive-throughs and areas apart. Pedestrian streets are
    those with highway=pedestrian. Ways closed to the public are left out unless open to emergencies. Junctions lie
    where ways share a node. Posted limits become driving speeds by `POSTED_LIMIT_SHARE`. The CRS fits the middle of
    the data unless `epsg` names one.

    Args:
        ways: their ids, the ids of their nodes, and their tags.
        nodes: their ids, sorted, and longitude and latitude; a node at (0, 0) counts as missing.
        restrictions: relations (see `turns_of_restrictions`).
        source: what a message calls the data.
        epsg: the projected CRS to work in.

    Raises:
        InputError: no drivable way, or ways without nodes.
    """
    table = _Ways()
    for number_of_way, refs_of_way, tags in ways:
        table.add(number_of_way, refs_of_way, tags)
    first, fate = np.array(table.first, np.int64), np.array(table.fate)
    ids, xy, vertex, located, epsg = _locate(np.array(table.refs, np.int64), nodes, source, epsg)
    shapes = _shapes(xy, vertex, first, located)
    whole = np.ones(len(fate), bool)
    whole[np.repeat(np.arange(len(fate)), np.diff(first))[~located]] = False
    way, line_first, vertex = _without_gaps(vertex, first, located & np.repeat(fate == _KEPT, np.diff(first)))
    shape_first, entry, line = cut_at_junctions(vertex, line_first)
    if not len(line):
        raise _no_roads(source, "no drivable way")
    way, vertex = way[line], vertex[entry]
    number = np.array(table.number, np.int64)
    streets = Streets(
        epsg=epsg,
        start=ids[vertex[shape_first[:-1]]],
        end=ids[vertex[shape_first[1:] - 1]],
        one_way=np.array(table.one_way, np.int8)[way],
        road_class=np.array(table.road_class, np.uint8)[way],
        speed_kmh=np.array(table.speed_kmh)[way],
        name=[table.name[i] for i in way.tolist()],
        shape_first=shape_first,
        shape_xy_m=xy[vertex],
        label=(label := [f"way {i}" for i in number[way].tolist()]),
    )

    def place(node: int) -> shapely.Point | None:
        at = int(np.searchsorted(ids, node))
        return shapely.Point(xy[at]) if at < len(ids) and ids[at] == node else None

    unused = np.concatenate([np.array(table.no_street, np.int64), np.setdiff1d(number, number[way])])
    turns, unused_turns = turns_of_restrictions(restrictions, streets, number[way], unused, place)
    level = np.array(table.level)[way]
    crossed = crossings(streets.start, streets.end, streets.shape_xy_m, shape_first, level, 0.0)
    short = whole & (fate == _KEPT)
    short[way] = False
    defects = [
        *table.told(fate, short, ~whole & (fate == _KEPT), shapes, epsg),
        *unused_turns,
        crossing_defect(label, crossed, f"{AS_BRIDGES}, though neither bridge, tunnel nor layer is told", epsg),
        near_misses(streets),
    ]
    return replace(streets, turns=turns), [defect for defect in defects if len(defect)]


def _locate(refs: Index, nodes: Nodes, source: str, epsg: int | None) -> tuple[Index, Floats, Index, Bools, int]:
    """Ids (n,) and places (n, 2) of the nodes, the node of each reference (r,) and whether it is known, and the CRS."""
    good = in_range(nodes[1]) & (nodes[1] != 0).any(axis=1)
    ids, lonlat = nodes[0][good], nodes[1][good]
    vertex = np.searchsorted(ids, refs)
    located = vertex < len(ids)
    located[located] = ids[vertex[located]] == refs[located]
    if not located.any():
        raise _no_roads(source, "ways without the nodes that they run through" if len(refs) else "no drivable way")
    epsg = choose_epsg(lonlat, epsg, source)
    xy = project(lonlat, LONLAT, epsg)
    located[located] = np.isfinite(xy[vertex[located]]).all(axis=1)
    return ids, xy, vertex, located, epsg


def _no_roads(source: str, found: str) -> InputError:
    return InputError(Fault(source, "", found, "ways with highway=motorway … residential", _MEND))


_KEPT, _CLOSED, _AGAIN = range(3)
_LIMITS = "speed limits that cannot be used", "the class decides"
_DIRECTIONS = "one-way marks that are not understood", "taken as both ways"


@dataclass(slots=True)
class _Ways:
    """The ways of the classes that are driven, one entry a way, and what was not understood."""

    number: array[int] = field(default_factory=lambda: array("q"))
    refs: array[int] = field(default_factory=lambda: array("q"))
    first: array[int] = field(default_factory=lambda: array("q", [0]))
    fate: array[int] = field(default_factory=lambda: array("b"))
    road_class: array[int] = field(default_factory=lambda: array("b"))
    one_way: array[int] = field(default_factory=lambda: array("b"))
    speed_kmh: array[float] = field(default_factory=lambda: array("d"))
    level: array[float] = field(default_factory=lambda: array("d"))
    name: list[str] = field(default_factory=list)
    odd: dict[tuple[str, str], list[tuple[int, str]]] = field(default_factory=lambda: defaultdict(list))
    """Kind and what was done: rows and values."""
    no_street: array[int] = field(default_factory=lambda: array("q"))
    kinds_left_out: Counter[str] = field(default_factory=Counter)
    known: set[int] = field(default_factory=set)

    def add(self, number: int, refs: Sequence[int] | Index, tags: Mapping[str, str]) -> None:
        if (kind := _no_street(tags)) is not None:
            if kind:
                self.kinds_left_out[kind] += 1
                self.no_street.append(number)
            return
        row = len(self.number)
        odd: dict[tuple[str, str], str] = {}
        self.number.append(number)
        self.refs.extend(refs)
        self.first.append(len(self.refs))
        self.fate.append(_AGAIN if number in self.known else _KEPT if may_drive(tags) else _CLOSED)
        self.known.add(number)
        self.road_class.append(CLASS_OF_HIGHWAY[tags["highway"]])
        self.one_way.append(one_way_of(tags, odd))
        self.speed_kmh.append(speed_of(tags, odd))
        self.level.append(parse_level(*(tags.get(key, "") for key in _LEVEL))[0])
        self.name.append(tags.get("name") or tags.get("ref", ""))
        if self.fate[row] == _KEPT:
            for kind_of, value in odd.items():
                self.odd[kind_of].append((row, value))

    def told(
        self, fate: NDArray[np.int8], short: Bools, gone: Bools, shapes: NDArray[np.object_], epsg: int
    ) -> list[Defect]:
        """What was left out or not understood, some of it without cases; `short` ways and those with nodes `gone`."""

        def defect(kind: str, done: str, rows: Index) -> Defect:
            label = tuple(f"way {self.number[i]}" for i in rows.tolist())
            return Defect(kind=kind, done=done, label=label, shapes=shapes[rows], epsg=epsg)

        defects = [
            defect("ways closed to the public", "left out", np.flatnonzero(fate == _CLOSED)),
            defect("ways listed again", "left out: the first one stays", np.flatnonzero(fate == _AGAIN)),
            defect("ways without length", "left out", np.flatnonzero(short)),
            defect("ways with nodes that the file does not place", "cut there", np.flatnonzero(gone)),
        ]
        for (kind, done), cases in self.odd.items():
            counted = count_words(Counter(value for _, value in cases))
            defects.append(defect(kind, f"{done}: {counted}", np.array([row for row, _ in cases])))
        if self.kinds_left_out:
            counted = count_words(self.kinds_left_out, 10)
            defects.insert(0, general("ways of kinds that are no streets", f"left out: {counted}", epsg))
        return defects


def _no_street(tags: Mapping[str, str]) -> str | None:
    """What kind of way this is, if it is none to drive on, "" if no way for anybody; None for a street."""
    highway = tags.get("highway", "")
    if highway not in CLASS_OF_HIGHWAY:
        return highway
    if tags.get("area") == "yes":
        return f"{highway} area"
    service = tags.get("service", "")
    return service if service in NO_DRIVING_SERVICE else None


def _shapes(xy: Floats, vertex: Index, first: Index, located: Bools) -> NDArray[np.object_]:
    """A line for each way through those of its nodes that are known, None where these are fewer than two."""
    way = np.repeat(np.arange(len(first) - 1), np.diff(first))[located]
    count = np.bincount(way, minlength=len(first) - 1)
    several = count[way] >= 2
    shapes = np.full(len(first) - 1, None)
    if several.any():
        _, index = np.unique(way[several], return_inverse=True)
        shapes[count >= 2] = shapely.linestrings(xy[vertex[located][several]], indices=index)
    return shapes


def _without_gaps(vertex: Index, first: Index, located: Bools) -> tuple[Index, Index, Index]:
    """Break ways where an extract cut a node off: the way of each line, where it begins, its vertices."""
    way = np.repeat(np.arange(len(first) - 1), np.diff(first))
    begins = np.ones(len(vertex), bool)
    begins[1:] = (way[1:] != way[:-1]) | ~located[:-1]
    line = np.cumsum(begins)[located]
    _, where = np.unique(line, return_index=True)
    return way[located][where], np.append(where, len(line)), vertex[located]


def may_drive(tags: Mapping[str, str]) -> bool:
    """Whether a unit on a call may use a way: open to cars (a pedestrian street: to people on foot), or to
    emergencies."""
    if tags.get("emergency") in _MAY_PASS:
        return True
    keys = _FOOT_KEYS if CLASS_OF_HIGHWAY.get(tags.get("highway", "")) == RoadClass.PEDESTRIAN else _CAR_KEYS
    access = next((tags[key] for key in keys if key in tags), "yes")
    return access not in ("no", "private")


def one_way_of(tags: Mapping[str, str], odd: dict[tuple[str, str], str]) -> OneWay:
    """In which sense a way is driven; a roundabout and a motorway are one-way unless their tags say otherwise.
    Values that name no direction, such as "reversible", count as both and go into `odd`."""
    value = tags.get("oneway", "").lower()
    if value in ONE_WAY_WORDS and value:
        return ONE_WAY_WORDS[value]
    if value:
        odd[_DIRECTIONS] = value
        return OneWay.NO
    implied = tags.get("junction") in ("roundabout", "circular") or tags.get("highway") == "motorway"
    return OneWay.FORWARD if implied else OneWay.NO


def speed_of(tags: Mapping[str, str], odd: dict[tuple[str, str], str]) -> float:
    """Driving speed in km/h from the posted limit, NaN without a plausible one; those go into `odd`."""
    text = tags.get("maxspeed")
    if text is None:
        return math.nan
    limit_kmh = parse_kmh(text)
    if not is_plausible(limit_kmh):
        odd[_LIMITS] = text
        return math.nan
    return limit_kmh * POSTED_LIMIT_SHARE
