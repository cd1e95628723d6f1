"""Answers of the Overpass API, saved as JSON."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geodata.defects import Defect, general
from geodata.errors import Fault, InputError
from geodata.network import Streets
from geodata.readers.coordinates import raise_first
from geodata.readers.jsonfile import load_json
from geodata.readers.osm import Nodes, Way, streets_of_osm
from geodata.readers.restrictions import Relation, is_restriction

_EXPECTED = "an answer of the Overpass API as JSON"
_MEND = "Ask for it with [out:json], `out body; >; out skel qt;` or `out geom;`."
_E7 = 10_000_000
"""OSM keeps degrees to seven digits."""
_MOST_ID = 1 << 62


def read_overpass(path: Path, *, epsg: int | None = None) -> tuple[Streets, list[Defect]]:
    """The streets of an Overpass answer, `.json` or `.json.gz`, by the rules of `streets_of_osm`: its ways with the
    nodes listed (`out body; >; out skel;`) or with the coordinates inside (`out geom;`), and turn restrictions if they
    were asked for.

    Raises:
        InputError: no such file, no Overpass answer, one that the server broke off, elements without their id, nodes
            or coordinates, or what `streets_of_osm` refuses.
    """
    source = str(path)
    elements = _Elements(source)
    answer = load_json(path, _EXPECTED, elements.take)
    listed = answer.get("elements")
    if not isinstance(listed, list):
        keys = ", ".join(map(repr, list(answer)[:8])) or "no key"
        raise InputError(Fault(source, "", keys, "'elements' as a list", _MEND))
    refuse_broken_off(answer, source)
    for i, element in enumerate(listed):
        if element is not None and not (isinstance(element, dict) and element.get("type") in _WITHOUT_USE):
            elements.refuse(f"element {i + 1}", repr(element)[:60], "a node, way or relation with its id")
    raise_first(elements.faults)
    streets, defects = streets_of_osm(
        elements.ways(), elements.nodes(), iter(elements.restrictions.values()), source, epsg
    )
    if not elements.any_relation:
        kind = "answer without relations"
        done = "there are no turn restrictions; ask for rel(bw.w)[type=restriction] with the ways"
        defects.append(general(kind, done, streets.epsg))
    if remark := answer.get("remark"):
        defects.append(general("remark of the server", str(remark)[:200], streets.epsg))
    return streets, defects


_WITHOUT_USE = ("area", "count", "timeline")


def refuse_broken_off(answer: Mapping[str, Any], source: str) -> None:
    """Refuse an answer that lacks what the server had no time or memory for: it says so in a remark, with status 200.

    Raises:
        InputError: the remark tells of an error.
    """
    remark = answer.get("remark")
    if isinstance(remark, str) and "error" in remark.lower():
        mend = "Ask for a smaller area, or with a longer [timeout:…], and save the answer anew."
        raise InputError(Fault(source, "remark", repr(remark[:200]), "a whole answer", mend))


class _Elements:
    """Elements as they are read: of nodes their places, of ways and relations those that matter for roads."""

    def __init__(self, source: str) -> None:
        self.faults: list[Fault] = []
        self.restrictions: dict[int, Relation] = {}
        self.any_relation = False
        self._source = source
        self._ways: dict[int, Way] = {}
        self._ids: array[int] = array("q")
        self._lonlat: array[float] = array("d")

    def take(self, read: dict[str, Any]) -> dict[str, Any] | None:
        """Keep an element, and give back what is none: its tags and members, and the answer itself."""
        number = read.get("id")
        # a tag may be called id or type as well; its value is text
        if type(number) is not int:
            return read
        keep = {"node": self._node, "way": self._way, "relation": self._relation}.get(str(read.get("type")))
        if keep is None:
            return read
        if abs(number) >= _MOST_ID:
            self.refuse(str(read["type"]), f"id {number}", "a number of OpenStreetMap")
        else:
            keep(number, read)
        return None

    def ways(self) -> Iterator[Way]:
        return iter(self._ways.values())

    def nodes(self) -> Nodes:
        ids, index = np.unique(np.array(self._ids, np.int64), return_index=True)
        return ids, np.array(self._lonlat, float).reshape(-1, 2)[index]

    def refuse(self, place: str, found: str, expected: str) -> None:
        self.faults.append(Fault(self._source, place, found, expected, _MEND))

    def _place(self, number: int, lon: float, lat: float) -> None:
        self._ids.append(number)
        self._lonlat.extend((lon, lat))

    def _node(self, number: int, read: Mapping[str, Any]) -> None:
        lonlat = _lonlat(read)
        if lonlat is None:
            self.refuse(f"node {number}", f"lon={read.get('lon')!r}, lat={read.get('lat')!r}", "two numbers")
        else:
            self._place(number, *lonlat)

    def _way(self, number: int, read: Mapping[str, Any]) -> None:
        tags = _tags(read)
        if tags is None:
            self.refuse(f"way {number}", f"tags {read.get('tags')!r}"[:60], "texts by their keys")
        elif "highway" in tags:
            refs = self._refs(number, read)
            # one answer may list a way twice: with its tags, and among those around it
            self._ways.setdefault(number, (number, refs, tags))

    def _refs(self, number: int, read: Mapping[str, Any]) -> array[int]:
        """The ids of a way's nodes, made of the coordinates where these alone are given."""
        refs, places = read.get("nodes"), read.get("geometry")
        given = [] if places is None else [_lonlat(p) for p in places] if isinstance(places, list) else None
        own = refs if isinstance(refs, list) else [] if refs is None else None
        if own is None or given is None or not all(type(ref) is int and abs(ref) < _MOST_ID for ref in own):
            self.refuse(f"way {number}", f"nodes {refs!r}"[:60], "the ids of its nodes")
            return array("q")
        if given and own and len(given) != len(own):
            found = f"{len(own)} nodes and {len(given)} places"
            self.refuse(f"way {number}", found, "as many of the one as of the other")
            return array("q")
        if not given and not own:
            self.refuse(f"way {number}", "neither nodes nor geometry", "one of them")
        # what lies outside the box of `out geom(…)` is null; 0 is no node
        named = array("q", own or [0 if place is None else _id_of_place(*place) for place in given])
        for ref, place in zip(named, given, strict=False):
            if place is not None:
                self._place(ref, *place)
        return named

    def _relation(self, number: int, read: Mapping[str, Any]) -> None:
        self.any_relation = True
        tags, members = _tags(read), read.get("members")
        if tags is None or not is_restriction(tags):
            return
        kinds = {"node": "n", "way": "w", "relation": "r"}
        found: list[tuple[str, int, str]] = []
        for member in members if isinstance(members, list) else [None]:
            got = member if isinstance(member, dict) else {}
            kind, ref = kinds.get(str(got.get("type"))), got.get("ref")
            if kind is None or type(ref) is not int or abs(ref) >= _MOST_ID:
                self.refuse(f"relation {number}", f"member {member!r}"[:60], "its type, ref and role")
                return
            found.append((kind, ref, str(got.get("role", ""))))
        self.restrictions.setdefault(number, (number, tags, found))


def _tags(read: Mapping[str, Any]) -> Mapping[str, str] | None:
    tags = read.get("tags", {})
    return tags if isinstance(tags, dict) and all(isinstance(value, str) for value in tags.values()) else None


def _lonlat(read: Any) -> tuple[float, float] | None:
    if not isinstance(read, dict):
        return None
    try:
        place = tuple(float(read[key]) for key in ("lon", "lat") if type(read[key]) in (int, float))
    except (KeyError, OverflowError):
        return None
    return (place[0], place[1]) if len(place) == 2 and all(map(math.isfinite, place)) else None


def _id_of_place(lon: float, lat: float) -> int:
    """A number that no other place has, negative as those of new elements are; 0 beyond the earth."""
    if not (abs(lon) <= 180 and abs(lat) <= 90):
        return 0
    return -1 - (round((lon + 180) * _E7) * (180 * _E7 + 1) + round((lat + 90) * _E7))
