"""The road network: junctions, streets between them, and the directed edges that traffic may take along a street."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from functools import cached_property

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]


class RoadClass(IntEnum):
    """The four classes that the default speeds distinguish (快速路, 主干路, 次干路, 支路)."""

    EXPRESSWAY = 0
    ARTERIAL = 1
    COLLECTOR = 2
    LOCAL = 3


class OneWay(IntEnum):
    """In which sense of its line a street may be driven."""

    BACKWARD = -1
    NO = 0
    FORWARD = 1


@dataclass(frozen=True, eq=False, kw_only=True)
class RoadNetwork:
    """A strongly connected road network in a projected CRS; every array is read-only.

    A *street* is a piece of road between two junctions with one line as its shape; an *edge* is one permitted
    direction along a street. Edges are sorted by their tail, so the edges that leave node `i` are
    `first_out[i]:first_out[i + 1]`. Made by `build_network`; shapes: n nodes, m edges, s streets, p shape points.
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
    """(m,) the edge in the other direction along the same street, -1 on a one-way street."""
    street_length_m: Floats
    """(s,) along the road; may differ from the shape's own length where the source gives lengths."""
    street_class: NDArray[np.uint8]
    """(s,) values of `RoadClass`."""
    street_speed_kmh: Floats
    """(s,) off-peak driving speed where the source knows it, NaN elsewhere (the class decides)."""
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
    def first_out(self) -> Ints:
        """(n + 1,) the edges leaving node i are first_out[i]:first_out[i + 1]."""
        return np.searchsorted(self.tail, np.arange(self.n_nodes + 1)).astype(np.int32)

    @cached_property
    def in_edge(self) -> Ints:
        """(m,) edges sorted by their head; those entering node i are in_edge[first_in[i]:first_in[i + 1]]."""
        return np.argsort(self.head, kind="stable").astype(np.int32)

    @cached_property
    def first_in(self) -> Ints:
        """(n + 1,) see `in_edge`."""
        return np.searchsorted(self.head[self.in_edge], np.arange(self.n_nodes + 1)).astype(np.int32)

    @cached_property
    def edge_of_street(self) -> Ints:
        """(s,) one edge along each street: the forward one where there is one."""
        edge = np.empty(self.n_streets, np.int32)
        order = np.argsort(~self.backward, kind="stable")
        edge[self.street[order]] = order
        return edge

    @cached_property
    def lines(self) -> NDArray[np.object_]:
        """(s,) each street's shape as a shapely LineString."""
        index = np.repeat(np.arange(self.n_streets), np.diff(self.shape_first))
        return np.asarray(shapely.linestrings(self.shape_xy_m, indices=index), object)

    @cached_property
    def tree(self) -> shapely.STRtree:
        """A spatial index of `lines`."""
        return shapely.STRtree(self.lines)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over everything that the network holds."""
        sha = hashlib.sha256()
        for field in fields(self):
            value = getattr(self, field.name)
            sha.update(field.name.encode())
            sha.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
        return sha.hexdigest()

    def streets(self) -> gpd.GeoDataFrame:
        """One row a street, as a table for a notebook or for QGIS."""
        one_way = np.where(np.bincount(self.street, minlength=self.n_streets) == 2, 0, 1)
        one_way[self.backward[self.edge_of_street]] = -1
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
class Dropped:
    """What `build_network` left out, and why."""

    reason: str
    streets: int
    length_m: float

    def __str__(self) -> str:
        return f"dropped {self.streets:,} streets, {self.length_m / 1000:,.1f} km: {self.reason}"


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


def build_network(streets: Streets) -> tuple[RoadNetwork, list[Dropped]]:
    """Make the network of the largest strongly connected part, and tell what was left out.

    Junctions are numbered along a Hilbert curve, so that a search outwards reads memory in order; streets and edges
    follow. The same streets give the same network, byte for byte.

    Raises:
        ValueError: no street of positive length, or none that can be driven there and back.
    """
    line_m = _shape_lengths(streets.shape_first, streets.shape_xy_m)
    length_m = line_m if streets.length_m is None else streets.length_m
    dropped: list[Dropped] = []

    def keep(wanted: Bools, reason: str, among: NDArray[np.int64]) -> NDArray[np.int64]:
        if not wanted.all():
            lost = among[~wanted]
            dropped.append(Dropped(reason=reason, streets=len(lost), length_m=float(np.nansum(length_m[lost]))))
        return among[wanted]

    kept = np.arange(len(length_m))
    kept = keep(np.isfinite(length_m) & (length_m > 0), "no length", kept)
    if not len(kept):
        raise ValueError("no street of positive length")

    junctions, ends = np.unique(np.stack([streets.start[kept], streets.end[kept]]), return_inverse=True)
    start, end = ends.reshape(2, -1)
    one_way = streets.one_way[kept]
    forward, back = one_way != OneWay.BACKWARD, one_way != OneWay.FORWARD
    links = coo_array(
        (
            np.ones(forward.sum() + back.sum()),
            (np.r_[start[forward], end[back]], np.r_[end[forward], start[back]]),
        ),
        shape=(len(junctions),) * 2,
    )
    _, component = connected_components(links, directed=True, connection="strong")
    own = component[start] == component[end]
    if not own.any():
        raise ValueError("no two junctions of the network can be reached from each other")
    main = np.argmax(np.bincount(component[start][own], length_m[kept][own]))
    inside = own & (component[start] == main)
    kept = keep(inside, "not strongly connected with the main network (islands, one-way traps)", kept)
    start, end, one_way = start[inside], end[inside], one_way[inside]

    # a junction lies where the first street that touches it begins or ends
    first, last = streets.shape_first[kept], streets.shape_first[kept + 1] - 1
    used, where = np.unique(np.r_[start, end], return_index=True)
    xy = streets.shape_xy_m[np.r_[first, last][where]]
    order = np.argsort(_hilbert(xy), kind="stable")
    rank = np.empty(len(junctions), np.int64)
    rank[used[order]] = np.arange(len(order))
    start, end, node_xy = rank[start], rank[end], xy[order]

    by_place = np.lexsort((kept, end, start))
    kept, start, end, one_way = kept[by_place], start[by_place], end[by_place], one_way[by_place]
    street = np.arange(len(kept))
    fwd, bwd = one_way != OneWay.BACKWARD, one_way != OneWay.FORWARD
    tail, head = np.r_[start[fwd], end[bwd]], np.r_[end[fwd], start[bwd]]
    along, backward = np.r_[street[fwd], street[bwd]], np.repeat([False, True], [fwd.sum(), bwd.sum()])
    by_tail = np.lexsort((backward, along, tail))
    edge_at = np.full((2, len(kept)), -1, np.int32)
    edge_at[backward[by_tail].astype(int), along[by_tail]] = np.arange(len(by_tail))

    points, shape_first = _take_shapes(streets.shape_first, kept)
    labels = np.array(streets.name, dtype=object)[kept]
    name_id, names = pd.factorize(np.r_[np.array([""], object), labels])
    network = RoadNetwork(
        epsg=streets.epsg,
        node_xy_m=node_xy,
        tail=tail[by_tail].astype(np.int32),
        head=head[by_tail].astype(np.int32),
        street=along[by_tail].astype(np.int32),
        backward=backward[by_tail],
        twin=edge_at[1 - backward[by_tail].astype(int), along[by_tail]],
        street_length_m=length_m[kept].astype(np.float64),
        street_class=streets.road_class[kept].astype(np.uint8),
        street_speed_kmh=streets.speed_kmh[kept].astype(np.float64),
        street_name=name_id[1:].astype(np.int32),
        names=tuple(str(name) for name in names),
        shape_first=shape_first,
        shape_xy_m=streets.shape_xy_m[points].astype(np.float64),
    )
    for field in fields(network):
        value = getattr(network, field.name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return network, dropped


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
