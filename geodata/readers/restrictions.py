"""Turn restrictions as OpenStreetMap relations tell them, and those that are not honoured, each with its reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from geodata.defects import Defect
from geodata.network import OneWay, RoadClass, Streets
from geodata.readers.noding import Index
from geodata.readers.values import count_words

Member = tuple[str, int, str]
"""Its type ("n", "w", "r"), its id and its role."""
Relation = tuple[int, Mapping[str, str], Sequence[Member]]
"""Its id, its tags, its members."""
Turn = tuple[int, int, int, int]
"""A row of `geodata.network.Streets.turns`."""
Reason = tuple[str, str]
"""Why a restriction leads to no turn: the kind of it, and what was done."""

FORBIDDEN = frozenset(f"no_{turn}" for turn in ("left_turn", "right_turn", "straight_on", "u_turn", "entry", "exit"))
MANDATORY = frozenset(f"only_{turn}" for turn in ("left_turn", "right_turn", "straight_on", "u_turn"))
_CAR = ("motorcar", "motor_vehicle", "vehicle")
# the more specific key wins, as OSM's access rules say
_KEYS = (*(f"restriction:{vehicle}" for vehicle in _CAR), "restriction")
_HOURS = ("day_on", "day_off", "hour_on", "hour_off")
_ROLES = ("from", "via", "to")

CONDITIONAL = "conditional turn restrictions", "not honoured: they hold at certain hours or for certain vehicles"
OTHERS = "turn restrictions for other vehicles", "not needed"
UNKNOWN = "turn restrictions of an unknown kind", "not honoured"
VIA_WAYS = "turn restrictions over several junctions", "not honoured: they lead over a way"
ROLES = "turn restrictions with wrong members", "not honoured: expected from, via and to, one of each"
MISSING = "turn restrictions with members that are not in the file", "not honoured"
LEFT_OUT = "turn restrictions at ways that were left out", "not needed"
APART = (
    "turn restrictions whose ways do not begin or end at their junction",
    "not honoured: several turns could be meant",
)
ONE_WAYS = "turn restrictions on turns that one-way streets forbid already", "not needed"


class _Unused(Exception):
    """Why a restriction leads to no turn."""

    def __init__(self, reason: Reason, value: str = "") -> None:
        self.reason, self.value = reason, value


def is_restriction(tags: Mapping[str, str]) -> bool:
    return tags.get("type", "").partition(":")[0] == "restriction"


def turns_of_restrictions(
    restrictions: Iterable[Relation],
    streets: Streets,
    way_of_street: Index,
    left_out: Index,
    place: Callable[[int], shapely.Point | None],
) -> tuple[Index, list[Defect]]:
    """Turns as `Streets.turns` has them, and the restrictions that lead to none.

    Honoured is what holds for a car at every hour and leads over one node; `except=psv` or `emergency` changes nothing
    for it. A forbidden turn may have several ways from or to (`no_entry`, `no_exit`).

    Args:
        restrictions: relations of the type restriction; others are passed over.
        streets: their junctions are named by OSM's node ids.
        way_of_street: (s,) the way that each street is a piece of.
        left_out: ids of ways that are known and lead to no street.
        place: where a node lies, in the CRS of the streets.
    """
    wanted = [relation for relation in restrictions if is_restriction(relation[1])]
    at = _Junctions.of(wanted, streets, way_of_street, left_out)
    turns: list[Turn] = []
    unused: dict[Reason, list[tuple[int, int | None]]] = defaultdict(list)
    odd: Counter[str] = Counter()
    for number, tags, members in wanted:
        via = next((ref for kind, ref, role in members if role == "via" and kind == "n"), None)
        if conditional := _conditional(tags):
            unused[CONDITIONAL].append((number, via))
        try:
            found, reason = at.turns(_value(tags, conditional), members)
        except _Unused as why:
            found, reason = [], why.reason
            if reason is UNKNOWN:
                odd[why.value] += 1
        turns += found
        if reason is not None and reason is not CONDITIONAL:
            unused[reason].append((number, via))
    defects = []
    for (kind, done), cases in unused.items():
        points = np.full(len(cases), None)
        points[:] = [None if via is None else place(via) for _, via in cases]
        label = tuple(f"relation {number}" for number, _ in cases)
        told = f"{done}: {count_words(odd)}" if (kind, done) == UNKNOWN else done
        stays = done.startswith("not honoured")
        defects.append(Defect(kind=kind, done=told, label=label, shapes=points, epsg=streets.epsg, stays=stays))
    return np.unique(np.array(turns, np.int64).reshape(-1, 4), axis=0), defects


def _conditional(tags: Mapping[str, str]) -> bool:
    """Whether some of it holds for a car under a condition."""
    return any(f"{key}:conditional" in tags for key in _KEYS) or any(key in tags for key in _HOURS)


def _value(tags: Mapping[str, str], conditional: bool) -> str:
    """What holds for a car at every hour, such as "no_left_turn"."""
    told = {key: value for key, value in tags.items() if key.partition(":")[0] == "restriction"}
    # an older way to write it: type=restriction:hgv, restriction=no_left_turn
    vehicle = tags["type"].partition(":")[2]
    if vehicle and "restriction" in told:
        told[f"restriction:{vehicle}"] = told.pop("restriction")
    value = next((told[key] for key in _KEYS if key in told), None)
    if any(key in tags for key in _HOURS) or (value is None and conditional):
        raise _Unused(CONDITIONAL)
    if (value is None and told) or not {part.strip() for part in tags.get("except", "").split(";")}.isdisjoint(_CAR):
        raise _Unused(OTHERS)
    if value not in FORBIDDEN | MANDATORY:
        raise _Unused(UNKNOWN, value or "")
    return value


@dataclass(frozen=True, slots=True)
class _Junctions:
    """The streets that restrictions may speak of, by their way."""

    rows: Mapping[int, list[int]]
    left_out: frozenset[int]
    start: Mapping[int, int]
    end: Mapping[int, int]
    one_way: Mapping[int, OneWay | None]
    """None: no car drives there."""

    @classmethod
    def of(cls, relations: list[Relation], streets: Streets, way_of_street: Index, left_out: Index) -> _Junctions:
        ways = np.unique(
            np.array([r for _, _, members in relations for kind, r, _ in members if kind == "w"], np.int64)
        )
        used = np.flatnonzero(np.isin(way_of_street, ways)).tolist()
        rows: dict[int, list[int]] = defaultdict(list)
        for row in used:
            rows[int(way_of_street[row])].append(row)
        walked = streets.road_class == RoadClass.PEDESTRIAN
        return cls(
            dict(rows),
            frozenset(left_out[np.isin(left_out, ways)].tolist()),
            {row: int(streets.start[row]) for row in used},
            {row: int(streets.end[row]) for row in used},
            {row: None if walked[row] else OneWay(int(streets.one_way[row])) for row in used},
        )

    def turns(self, value: str, members: Sequence[Member]) -> tuple[list[Turn], Reason | None]:
        """Rows of `Streets.turns`, and why one of the ways from or to leads to none."""
        only = value in MANDATORY
        by_role = {role: [(kind, ref) for kind, ref, own in members if own == role] for role in _ROLES}
        froms, vias, tos = (by_role[role] for role in _ROLES)
        if vias and all(kind == "w" for kind, _ in vias):
            raise _Unused(VIA_WAYS)
        several = len(froms) > 1 or len(tos) > 1
        told = froms and tos and [kind for kind, _ in vias] == ["n"] and all(kind == "w" for kind, _ in froms + tos)
        if not told or (several and only):
            raise _Unused(ROLES)
        via = vias[0][1]
        come, cannot_come = self._pieces([way for _, way in froms], via, OneWay.FORWARD)
        leave, cannot_leave = self._pieces([way for _, way in tos], via, OneWay.BACKWARD)
        return [(row, via, into, int(only)) for row in come for into in leave], cannot_come or cannot_leave

    def _pieces(self, ways: list[int], via: int, towards: OneWay) -> tuple[list[int], Reason | None]:
        rows, reason = [], None
        for way in ways:
            try:
                rows.append(self._piece(way, via, towards))
            except _Unused as why:
                reason = why.reason
        return rows, reason

    def _piece(self, way: int, via: int, towards: OneWay) -> int:
        """The street of a way that can be driven to its junction (`FORWARD`), or away from it."""
        if way not in self.rows:
            raise _Unused(LEFT_OUT if way in self.left_out else MISSING)
        ends, begins = (self.end, self.start) if towards is OneWay.FORWARD else (self.start, self.end)
        there = [row for row in self.rows[way] if via in (self.start[row], self.end[row])]
        if not there:
            raise _Unused(APART)
        if all(self.one_way[row] is None for row in there):
            raise _Unused(LEFT_OUT)
        driven = [
            row
            for row in there
            if (ends[row] == via and self.one_way[row] in (OneWay.NO, OneWay.FORWARD))
            or (begins[row] == via and self.one_way[row] in (OneWay.NO, OneWay.BACKWARD))
        ]
        if not driven:
            raise _Unused(ONE_WAYS)
        if len(driven) > 1:
            raise _Unused(APART)
        return driven[0]
