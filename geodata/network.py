"""The road network: junctions, streets between them, and the directed edges that traffic may take along a street."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from functools import cached_property

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geodata.defects import Defect
from geodata.snapping import Snapper
from geodata.turns import banned_pairs, keep_connected

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


RIM_M = 300.0
"""A road that ends so near to the hull of all roads was cut off there. Assumed."""


class RoadClass(IntEnum):
    """快速路, 主干路, 次干路, 支路: the classes that default speeds distinguish; and 步行街, where no car drives."""

    EXPRESSWAY = 0
    ARTERIAL = 1
    COLLECTOR = 2
    LOCAL = 3
    PEDESTRIAN = 4


class OneWay(IntEnum):
    """In which sense of its line a street may be driven."""

    BACKWARD = -1
    NO = 0
    FORWARD = 1


class Permission(IntEnum):
    """Who may drive an edge: everybody, or only those whose driving rules say so."""

    OPEN = 0
    AGAINST = 1
    """It runs against a one-way street."""
    PEDESTRIAN = 2
    """It runs along a pedestrian street."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RoadNetwork:
    """A road network in a projected CRS, strongly connected by its open edges; every array is read-only.

    A *street* is a piece of road between two junctions with one line as its shape; an *edge* is one direction along a
    street. Every street has both edges. Those that everybody may drive come first, sorted by their tail: the open
    edges are `0:n_open`, and positions name them alone. Made by `build_network`; shapes: n nodes, m edges, s streets,
    p shape points.
    """

    epsg: int
    node_xy_m: Floats
    """(n, 2) easting and northing."""
    tail: Ints
    """(m,) node where the edge begins."""
    head: Ints
    """(m,) node where it ends."""
    street: Ints
    """(m,) the street that it runs along."""
    backward: Bools
    """(m,) whether it runs against the street's line."""
    twin: Ints
    """(m,) the open edge in the other direction along the same street, -1 where there is none."""
    permission: NDArray[np.uint8]
    """(m,) values of `Permission`."""
    banned_turns: Ints
    """(t, 2) pairs of edges: from the first no turn into the second, which leaves where the first ends."""
    street_length_m: Floats
    """(s,) along the road; may differ from the shape's own length where the source gives lengths."""
    street_class: NDArray[np.uint8]
    """(s,) values of `RoadClass`."""
    street_speed_kmh: Floats
    """(s,) off-peak driving speed where the source knows it, NaN elsewhere (the class decides)."""
    given_names: tuple[str, ...]
    """Names of the k tables of times that the source brings, such as "free_flow" and "congested"."""
    given_s: Floats
    """(k, m) seconds along each edge by these tables, NaN where the source has none."""
    street_name: Ints
    """(s,) index into `names`."""
    names: tuple[str, ...]
    """Distinct street names; the first is the empty one."""
    shape_first: NDArray[np.int64]
    """(s + 1,) where each street's points begin in `shape_xy_m`."""
    shape_xy_m: Floats
    """(p, 2)"""

    @property
    def n_nodes(self) -> int:
        return len(self.node_xy_m)

    @property
    def n_edges(self) -> int:
        return len(self.tail)

    @cached_property
    def n_open(self) -> int:
        """The edges that everybody may drive come first."""
        return int(np.count_nonzero(self.permission == Permission.OPEN))

    @property
    def n_streets(self) -> int:
        return len(self.street_length_m)

    @cached_property
    def length_m(self) -> Floats:
        """(m,) length of each edge."""
        return self.street_length_m[self.street]

    @cached_property
    def road_class(self) -> NDArray[np.uint8]:
        """(m,) `RoadClass` of each edge."""
        return self.street_class[self.street]

    @cached_property
    def reverse(self) -> Ints:
        """(m,) the edge in the other direction along the same street, whoever may drive it."""
        other = np.empty(self.n_edges, np.int32)
        pairs = np.argsort(self.street, kind="stable").reshape(-1, 2)
        other[pairs] = pairs[:, ::-1]
        return other

    @cached_property
    def one_way(self) -> Bools:
        """(s,) whether a street is open in one direction only."""
        edge = self.edge_of_street
        return np.asarray((self.permission[edge] == Permission.OPEN) & (self.twin[edge] < 0))

    @cached_property
    def edge_of_street(self) -> Ints:
        """(s,) one edge along each street, an open one where there is one: the forward edge, or else the backward."""
        edge = np.empty(self.n_streets, np.int32)
        worst_first = np.lexsort((~self.backward, self.permission == Permission.OPEN))
        edge[self.street[worst_first]] = worst_first
        return edge

    @cached_property
    def lines(self) -> NDArray[np.object_]:
        """(s,) each street's shape as a shapely LineString."""
        index = np.repeat(np.arange(self.n_streets), np.diff(self.shape_first))
        return np.asarray(shapely.linestrings(self.shape_xy_m, indices=index), object)

    @cached_property
    def snapper(self) -> Snapper:
        """An index of the streets that cars may drive on, to find the nearest of them."""
        return Snapper(self.shape_first, self.shape_xy_m, self.street_class != RoadClass.PEDESTRIAN)

    @cached_property
    def tree(self) -> shapely.STRtree:
        """A spatial index of `lines`."""
        return shapely.STRtree(self.lines)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that the network holds."""
        sha = hashlib.sha256()
        for column in fields(self):
            value = getattr(self, column.name)
            sha.update(column.name.encode())
            sha.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
        return sha.hexdigest()

    def streets(self) -> gpd.GeoDataFrame:
        """One row a street, as a table for a notebook or for QGIS."""
        one_way = np.where(self.one_way, np.where(self.backward[self.edge_of_street], -1, 1), 0)
        return gpd.GeoDataFrame(
            {
                "name": np.array(self.names, object)[self.street_name],
                "road_class": [RoadClass(c).name.lower() for c in self.street_class],
                "speed_kmh": self.street_speed_kmh,
                "one_way": one_way,
                "length_m": self.street_length_m,
            },
            geometry=self.lines,
            crs=self.epsg,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Streets:
    """A reader's answer, before the network is made of it: one entry a street, in a projected CRS.

    `start` and `end` name the junctions by any integers; streets meet where these agree. A street's points run
    from its start to its end.
    """

    epsg: int
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    one_way: NDArray[np.int8]
    """Values of `OneWay`."""
    road_class: NDArray[np.uint8]
    speed_kmh: Floats
    """Off-peak driving speed, NaN where unknown."""
    name: Sequence[str]
    shape_first: NDArray[np.int64]
    shape_xy_m: Floats
    length_m: Floats | None = None
    """Along the road; None: measured on the shapes."""
    label: Sequence[str] | None = None
    """What a user finds each street by in the source, such as "way 1234"; None: its name."""
    turns: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 4), np.int64))
    """(t, 4) turn restrictions: from which street, over which junction, into which street, and 1 where only that turn
    is allowed, 0 where it is forbidden. Streets by row, junctions as in `start` and `end`."""
    given_s: Mapping[str, Floats] = field(default_factory=dict)
    """Tables of times: (s, 2) seconds from start to end and from end to start, NaN where unknown."""


def build_network(streets: Streets) -> tuple[RoadNetwork, list[Defect]]:
    """Make the network of the largest strongly connected part, and tell what was left out.

    Junctions are numbered along a Hilbert curve, so that a search outwards reads memory in order; streets and edges
    follow. The same streets give the same network, byte for byte.

    Raises:
        ValueError: no street of positive length, or none that can be driven there and back.
    """
    raw = _Raw(streets)
    raw.drop(~(np.isfinite(raw.length_m) & (raw.length_m > 0)), "streets without length", "left out")
    if not len(raw.kept):
        raise ValueError("no street of positive length")
    raw.drop(raw.duplicates(), "streets drawn twice", "the first one stays")
    raw.drop_unconnected()
    network, turns_dropped = _network(raw)
    return network, raw.defects + turns_dropped


class _Raw:
    """Streets on their way into a network: which of them are still kept, and what was wrong with the others."""

    def __init__(self, streets: Streets) -> None:
        self.streets = streets
        line_m = _shape_lengths(streets.shape_first, streets.shape_xy_m)
        self.length_m = line_m if streets.length_m is None else streets.length_m
        self.kept = np.arange(len(line_m))
        self.stands_for = np.arange(len(line_m))
        """The street in whose place another one stays."""
        self.defects: list[Defect] = []

    def drop(self, wrong: Bools, kind: str, done: str) -> None:
        """Leave out those of the kept streets that are wrong."""
        if wrong.any():
            rows = self.kept[wrong]
            self.defects.append(
                Defect(
                    kind=kind,
                    done=done,
                    label=self.labels(rows),
                    shapes=self.lines(rows),
                    epsg=self.streets.epsg,
                    length_m=float(np.nansum(self.length_m[rows])),
                )
            )
            self.kept = self.kept[~wrong]

    def labels(self, rows: NDArray[np.int64]) -> tuple[str, ...]:
        told = self.streets.label
        return tuple(self.streets.name[i] if told is None else told[i] for i in rows.tolist())

    def lines(self, rows: NDArray[np.int64]) -> NDArray[np.object_]:
        points, first = _take_shapes(self.streets.shape_first, rows)
        index = np.repeat(np.arange(len(rows)), np.diff(first))
        return np.asarray(shapely.linestrings(self.streets.shape_xy_m[points], indices=index), object)

    def duplicates(self) -> Bools:
        """Streets that lie on an earlier one between the same junctions and open no direction that it does not; a
        pedestrian street stands for none that cars drive on."""
        s, rows = self.streets, self.kept
        middle = shapely.get_coordinates(shapely.line_interpolate_point(self.lines(rows), 0.5, normalized=True))
        ends = np.sort(np.stack([s.start[rows], s.end[rows]], 1), axis=1)
        place = np.round(np.column_stack([self.length_m[rows], middle]) * 10).astype(np.int64)
        alike = np.column_stack([ends, place, s.road_class[rows] == RoadClass.PEDESTRIAN])
        _, group = np.unique(alike, axis=0, return_inverse=True)
        group = group.reshape(-1)
        several = np.flatnonzero(np.bincount(group)[group] > 1)
        again = np.zeros(len(rows), bool)
        open_already: dict[int, set[tuple[int, int]]] = {}
        for i in several.tolist():
            row = rows[i]
            a, b = int(s.start[row]), int(s.end[row])
            ways = {OneWay.FORWARD: {(a, b)}, OneWay.BACKWARD: {(b, a)}}.get(
                OneWay(int(s.one_way[row])), {(a, b), (b, a)}
            )
            known = open_already.setdefault(int(group[i]), set())
            again[i] = ways <= known
            known |= ways
        # a turn into or out of such a street is one of the street that stays
        first = rows[np.unique(group, return_index=True)[1]][group]
        self.stands_for[rows[again]] = first[again]
        return again

    def drop_unconnected(self) -> None:
        """Leave out what cannot be reached from the main part and left for it again."""
        s, rows = self.streets, self.kept
        junctions, ends = np.unique(np.stack([s.start[rows], s.end[rows]]), return_inverse=True)
        start, end = ends.reshape(2, -1)
        one_way, drivable = s.one_way[rows], s.road_class[rows] != RoadClass.PEDESTRIAN
        forward, back = drivable & (one_way != OneWay.BACKWARD), drivable & (one_way != OneWay.FORWARD)
        links = coo_array(
            (
                np.ones(forward.sum() + back.sum()),
                (np.r_[start[forward], end[back]], np.r_[end[forward], start[back]]),
            ),
            shape=(len(junctions),) * 2,
        )
        _, component = connected_components(links, directed=True, connection="strong")
        _, piece = connected_components(links, directed=False)
        own = (component[start] == component[end]) & drivable
        if not own.any():
            raise ValueError("no two junctions of the network can be reached from each other")
        main = np.argmax(np.bincount(component[start][own], self.length_m[rows][own]))
        inside = (component[start] == main) & (component[end] == main)
        attached = piece[start] == piece[np.flatnonzero(component == main)[0]]
        trap = ~inside & attached & drivable
        rim = trap.copy()
        rim[trap] = self._at_rim(self.kept[trap], start[trap], end[trap])
        self.drop(rim, "one-way roads cut off at the rim", "left out: they lead out of the data; read a wider extract")
        inside, drivable, start, end, trap = (column[~rim] for column in (inside, drivable, start, end, trap))
        self.drop(trap, "one-way traps", "left out: they can be entered or left, but not both")
        inside, drivable, start, end = (column[~trap] for column in (inside, drivable, start, end))
        self.drop(drivable & ~inside, "islands", "left out: not connected with the main network")
        walk, start, end = (column[inside | ~drivable] for column in (~drivable, start, end))
        _, piece = connected_components(
            coo_array((np.ones(len(start)), (start, end)), shape=(len(junctions),) * 2), directed=False
        )
        aside = walk & (piece[start] != np.bincount(piece[start[~walk]]).argmax())
        self.drop(aside, "pedestrian streets apart", "left out: not connected with the main network")

    def _at_rim(self, rows: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]) -> Bools:
        """Which of some streets hang together with one that ends within `RIM_M` of the hull of all."""
        s = self.streets
        hull = shapely.MultiPoint(s.shape_xy_m).convex_hull.boundary
        ends = shapely.points(s.shape_xy_m[np.stack([s.shape_first[rows], s.shape_first[rows + 1] - 1])])
        near = (shapely.distance(ends, hull) <= RIM_M).any(axis=0)
        _, piece = connected_components(
            coo_array(
                (np.ones(len(start)), (start, end)), shape=(max(start.max(initial=0), end.max(initial=0)) + 1,) * 2
            ),
            directed=False,
        )
        return np.isin(piece[start], piece[start[near]])


def _network(raw: _Raw) -> tuple[RoadNetwork, list[Defect]]:
    streets, kept = raw.streets, raw.kept
    start, end, one_way = streets.start[kept], streets.end[kept], streets.one_way[kept]
    # a junction lies where the first street that touches it begins or ends
    first, last = streets.shape_first[kept], streets.shape_first[kept + 1] - 1
    used, where = np.unique(np.r_[start, end], return_index=True)
    xy = streets.shape_xy_m[np.r_[first, last][where]]
    order = np.argsort(_hilbert(xy), kind="stable")
    rank = np.empty(len(used), np.int64)
    rank[order] = np.arange(len(order))
    start, end = rank[np.searchsorted(used, start)], rank[np.searchsorted(used, end)]
    node_xy = xy[order]

    by_place = np.lexsort((kept, end, start))
    kept, start, end, one_way = kept[by_place], start[by_place], end[by_place], one_way[by_place]
    street = np.arange(len(kept))
    tail, head = np.r_[start, end], np.r_[end, start]
    along, backward = np.r_[street, street], np.repeat([False, True], len(kept))
    against = np.r_[one_way == OneWay.BACKWARD, one_way == OneWay.FORWARD]
    permission = np.where(against, Permission.AGAINST, Permission.OPEN)
    pedestrian = streets.road_class[kept] == RoadClass.PEDESTRIAN
    permission[np.r_[pedestrian, pedestrian]] = Permission.PEDESTRIAN
    by_tail = np.lexsort((backward, along, tail, permission != Permission.OPEN))
    edge_at = np.empty((2, len(kept)), np.int32)
    edge_at[backward[by_tail].astype(int), along[by_tail]] = np.arange(len(by_tail))
    reverse = edge_at[1 - backward[by_tail].astype(int), along[by_tail]]
    tail, head, along, backward, permission = (a[by_tail] for a in (tail, head, along, backward, permission))

    points, shape_first = _take_shapes(streets.shape_first, kept)
    labels = np.array(streets.name, dtype=object)[kept]
    name_id, names = pd.factorize(np.r_[np.array([""], object), labels])
    given = np.full((len(streets.given_s), len(along)), np.nan)
    for row, table in zip(given, streets.given_s.values(), strict=True):
        row[:] = table[kept][along, backward.astype(int)]
    row_of = np.full(len(raw.length_m), -1)
    row_of[kept] = street
    node_of = dict(zip(used.tolist(), rank.tolist(), strict=True))
    turns = streets.turns.copy()
    turns[:, [0, 2]] = raw.stands_for[turns[:, [0, 2]]]
    turns = turns[(row_of[turns[:, [0, 2]]] >= 0).all(axis=1)]
    turns = np.column_stack(
        [row_of[turns[:, 0]], [node_of.get(via, -1) for via in turns[:, 1].tolist()], row_of[turns[:, 2]], turns[:, 3]]
    ).astype(np.int64)
    banned = banned_pairs(tail, head, along, permission != Permission.OPEN, turns)
    banned, lost = keep_connected(len(node_xy), tail, head, permission == Permission.OPEN, banned)
    network = RoadNetwork(
        epsg=streets.epsg,
        node_xy_m=node_xy,
        tail=tail.astype(np.int32),
        head=head.astype(np.int32),
        street=along.astype(np.int32),
        backward=backward,
        twin=np.where(permission[reverse] == Permission.OPEN, reverse, -1).astype(np.int32),
        permission=permission.astype(np.uint8),
        banned_turns=banned.astype(np.int32),
        street_length_m=raw.length_m[kept].astype(np.float64),
        street_class=streets.road_class[kept].astype(np.uint8),
        street_speed_kmh=streets.speed_kmh[kept].astype(np.float64),
        given_names=tuple(streets.given_s),
        given_s=given,
        street_name=name_id[1:].astype(np.int32),
        names=tuple(str(name) for name in names),
        shape_first=shape_first,
        shape_xy_m=streets.shape_xy_m[points].astype(np.float64),
    )
    for column in fields(network):
        value = getattr(network, column.name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    defects = []
    if len(lost):
        at = head[lost[:, 0]]
        defects.append(
            Defect(
                kind="turn restrictions that cut roads off",
                done="not kept: a road could not be reached or left",
                label=raw.labels(kept[along[lost[:, 0]]]),
                shapes=np.asarray(shapely.points(node_xy[at]), object),
                epsg=streets.epsg,
            )
        )
    return network, defects


def _shape_lengths(first: NDArray[np.int64], xy: Floats) -> Floats:
    steps = np.hypot(*np.diff(xy, axis=0, prepend=xy[:1]).T)
    along = np.cumsum(steps)
    length: Floats = along[first[1:] - 1] - along[first[:-1]]
    return length


def _take_shapes(first: NDArray[np.int64], kept: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the points of the kept shapes, in their new order, and where each begins."""
    count = first[kept + 1] - first[kept]
    new_first = np.r_[0, np.cumsum(count)]
    points = np.arange(new_first[-1]) + np.repeat(first[kept] - new_first[:-1], count)
    return points, new_first


def _hilbert(xy: Floats) -> NDArray[np.uint32]:
    """Each point's place along a Hilbert curve through their bounding box."""
    return np.asarray(gpd.GeoSeries(gpd.points_from_xy(*xy.T)).hilbert_distance())
