"""Driving rules: what a kind of unit may drive that traffic may not, how fast, and the graph that follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geodata.core import Core
from geodata.network import Bools, Floats, Ints, Permission, RoadClass, RoadNetwork
from geodata.turns import take_apart

FASTEST_M_PER_S = 50.0
"""No unit drives faster. Assumed; it tells how far a U-turn may be worth a detour."""
FORK = 3
"""Streets that meet at a junction where one may have to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivingRules:
    """What a unit does on its way to an incident; the defaults are those of ordinary traffic."""

    turn_restrictions: bool = True
    """It obeys them."""
    contraflow: float = 0.0
    """Against a one-way street it drives at this share of the street's speed; 0: never."""
    pedestrian_streets: bool = False
    """It may use them."""
    siren: tuple[float, ...] = (1.0,) * len(RoadClass)
    """Factor on the road's speed by `RoadClass`."""
    max_kmh: float = np.inf
    on_foot: bool = False
    """Rules for traffic never bind it."""
    u_turn_s: float = 0.0
    """Seconds that it takes to turn round at a junction with a turn restriction, or next to one: elsewhere no quickest
    way turns round."""
    junction_s: float = 0.0
    """Seconds that each junction of three or more streets takes, counted on the way towards it."""

    def __post_init__(self) -> None:
        if len(self.siren) != len(RoadClass) or not min(self.siren) > 0:
            raise ValueError(f"siren factors {self.siren}, expected {len(RoadClass)} numbers above 0")
        if not (0 <= self.contraflow <= 1 and self.max_kmh > 0 and self.u_turn_s >= 0 and self.junction_s >= 0):
            raise ValueError(f"{self}, expected a contraflow within 0 and 1, a speed above 0 and no negative time")

    @property
    def calm(self) -> DrivingRules:
        """The same without hurry: as traffic drives, where the unit may go at all."""
        if self.on_foot:
            return self
        return replace(self, turn_restrictions=True, contraflow=0.0, siren=OBEY_ALL.siren)

    def driven(self, network: RoadNetwork) -> Bools:
        """(m,) the edges that it may drive."""
        allowed = [True, self.contraflow > 0, self.pedestrian_streets]
        return np.array(allowed)[network.permission]

    def time_s(self, network: RoadNetwork, road_s: Floats) -> Floats:
        """(m,) its seconds along each edge, infinite where it may not drive, from those of traffic."""
        pace = np.array(self.siren, float)[network.road_class]
        pace[network.permission == Permission.AGAINST] *= self.contraflow or np.nan
        with np.errstate(divide="ignore"):
            seconds = np.maximum(road_s / pace, network.length_m / (self.max_kmh / 3.6))
        if self.junction_s:
            ends = np.concatenate([network.tail, network.head])
            forks = np.bincount(ends, minlength=network.n_nodes) >= 2 * FORK
            seconds = seconds + np.where(forks[network.head], self.junction_s, 0.0)
        return np.where(self.driven(network), seconds, np.inf)


OBEY_ALL = DrivingRules()
RULES: Mapping[str, DrivingRules] = {
    "obey_all": OBEY_ALL,
    "ignore_turns": DrivingRules(turn_restrictions=False),
    "emergency": DrivingRules(turn_restrictions=False, contraflow=0.5),
    "motorcycle": DrivingRules(turn_restrictions=False, contraflow=0.5, pedestrian_streets=True),
    "foot": DrivingRules(turn_restrictions=False, contraflow=1.0, pedestrian_streets=True, max_kmh=4.5, on_foot=True),
}
"""By name. The share of the speed against a one-way street is assumed; so is 4.5 km/h on foot."""


@dataclass(frozen=True, eq=False, kw_only=True)
class DriveGraph:
    """The graph that the searches run over: the network's edges, and behind them the connectors between the ports of
    restricted junctions, as edges without length. Shapes: p ports, m edges of the network, q edges in all."""

    xy_m: Floats
    """(p, 2)"""
    ends: Ints
    """(q, 3) the port where each edge begins, the one where it ends, and the edge back along the same street, -1 where
    there is none that may be driven."""
    length_m: Floats
    """(q,) 0 for connectors."""
    connector_s: Floats
    """(q - m,) seconds."""
    node: Ints
    """(p,) the network's node of each port."""
    driven: Bools
    """(m,) the edges that may be driven."""
    edges_of_street: Ints
    """(s, 2) the edges along each street's line and against it."""

    @cached_property
    def chord(self) -> NDArray[np.float32]:
        """(q, 8) x and y where each edge begins (from the middle of the city), those that lead straight to its end, and
        the share of it that a metre is (0 of connectors). Half a line of the cache, as it is read for many units."""
        xy_m = self.xy_m - self.xy_m.mean(axis=0)
        begin, end = xy_m[self.ends[:, 0]], xy_m[self.ends[:, 1]]
        with np.errstate(divide="ignore"):
            per_m = np.where(self.length_m > 0, 1 / self.length_m, 0.0)
        return np.column_stack([begin, end - begin, per_m, *[np.zeros(len(per_m))] * 3]).astype(np.float32)

    @cached_property
    def core(self) -> Core:
        open_edges = np.r_[self.driven, np.ones(len(self.connector_s), bool)]
        return Core.of(self.ends[open_edges, 0], self.ends[open_edges, 1], len(self.xy_m))

    @classmethod
    def of(cls, network: RoadNetwork, rules: DrivingRules) -> DriveGraph:
        driven = rules.driven(network)
        banned = network.banned_turns.astype(np.int64)
        if not rules.turn_restrictions:
            banned = banned[:0]
        slow = _u_turns(network, driven, banned, rules.u_turn_s)
        ports = take_apart(network.n_nodes, network.tail, network.head, driven, banned, slow, rules.u_turn_s)
        reverse = network.reverse
        order = near_each_other(network.node_xy_m[ports.node])
        port = np.empty(len(order), np.int64)
        port[order] = np.arange(len(order))
        ends = np.stack([port[ports.tail], port[ports.head], np.where(driven[reverse], reverse, -1)], axis=1)
        none = np.full((len(ports.connector), 1), -1)
        edges = np.empty((network.n_streets, 2), np.int32)
        edges[network.street, network.backward.astype(int)] = np.arange(network.n_edges)
        return cls(
            xy_m=network.node_xy_m[ports.node[order]],
            ends=np.concatenate([ends, np.hstack([port[ports.connector], none])]).astype(np.int32),
            length_m=np.concatenate([network.length_m, np.zeros(len(ports.connector))]),
            connector_s=ports.connector_s,
            node=ports.node[order].astype(np.int32),
            driven=driven,
            edges_of_street=edges,
        )

    def time_s(self, edge_s: Floats) -> Floats:
        """(q,) seconds along all edges, from those of the network's."""
        return np.concatenate([edge_s, self.connector_s])


def near_each_other(xy_m: Floats) -> NDArray[np.int64]:
    """The order of (n, 2) points along a Z-order curve (Morton 1966): a search goes from neighbour to neighbour, and
    finds what it needs of them in the same lines of memory."""
    if not len(xy_m):
        return np.empty(0, np.int64)
    low_m = xy_m.min(axis=0)
    side_m = max(float((xy_m.max(axis=0) - low_m).max()), 1.0)
    spread = ((xy_m - low_m) / side_m * (2**16 - 1)).astype(np.uint64)
    for shift, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        spread = (spread | (spread << np.uint64(shift))) & np.uint64(mask)
    return np.argsort(spread[:, 0] | (spread[:, 1] << np.uint64(1)), kind="stable")


def _u_turns(network: RoadNetwork, driven: Bools, banned: NDArray[np.int64], u_turn_s: float) -> NDArray[np.int64]:
    """(u, 2) pairs of edges between which one turns round: at the restricted junctions, at those a street away, and on
    along streets so short that turning round a junction later would save the time of the U-turn."""
    if not u_turn_s or not len(banned):
        return np.empty((0, 2), np.int64)
    tail, head = network.tail, network.head
    two_way = driven & driven[network.reverse]
    inside = np.zeros(network.n_nodes, bool)
    inside[head[banned[:, 0]]] = True
    inside[head[two_way & inside[tail]]] = True
    short = two_way & (2 * network.length_m < u_turn_s * FASTEST_M_PER_S)
    while True:
        more = short & inside[tail] & ~inside[head]
        if not more.any():
            break
        inside[head[more]] = True
    come = np.flatnonzero(two_way & inside[head])
    return np.stack([come, network.reverse[come]], axis=1).astype(np.int64)
