"""Situations as a dispatcher might see them, for the tests of policies: by hand, or at random over random roads."""

from __future__ import annotations

from typing import Any

import numpy as np

from dispatch.policies.situation import Call, Order, Situation, Units
from dispatch.units import UnitState
from geodata.driving import OBEY_ALL, RULES
from geodata.network import Floats, OneWay, RoadNetwork, Streets, build_network
from geodata.positions import Position, Positions
from geodata.routing import RoadTravel
from geodata.travel import Rows

MONDAY_8 = 8


def random_network(rng: np.random.Generator, n: int = 30) -> RoadNetwork:
    """n junctions on a two-way ring (so that all is connected) with random chords, some of them one-way."""
    chords = rng.integers(0, n, (n, 2))
    chords = chords[chords[:, 0] != chords[:, 1]]
    ends = np.r_[np.stack([np.arange(n), (np.arange(n) + 1) % n], 1), chords]
    one_way = np.r_[np.full(n, OneWay.NO), rng.choice([OneWay.NO, OneWay.FORWARD], len(chords))]
    road_class = rng.integers(0, 4, len(ends))
    return _network(rng.uniform(0, 3_000, (n, 2)), ends, one_way, road_class)


def one_street() -> RoadNetwork:
    """3 km both ways, and nothing else."""
    return _network(np.array([[0.0, 0.0], [3_000.0, 0.0]]), np.array([[0, 1]]), np.array([OneWay.NO]), np.zeros(1))


def _network(xy_m: Floats, ends: Rows, one_way: Rows, road_class: Rows) -> RoadNetwork:
    network, _ = build_network(
        Streets(
            epsg=4547,
            start=ends[:, 0],
            end=ends[:, 1],
            one_way=one_way.astype(np.int8),
            road_class=road_class.astype(np.uint8),
            speed_kmh=np.full(len(ends), np.nan),
            name=[""] * len(ends),
            shape_first=np.arange(len(ends) + 1) * 2,
            shape_xy_m=xy_m[ends].reshape(-1, 2),
        )
    )
    return network


def random_positions(network: RoadNetwork, rng: np.random.Generator, n: int) -> Positions:
    edge = rng.integers(0, network.n_open, n).astype(np.int32)
    return Positions(edge, rng.random(n) * network.length_m[edge])


def make_units(where: Positions, **changed: Any) -> Units:
    """Free patrol cars of echelon 3 on the move; turn-out 15 s and a speed factor of 1.3 unless changed."""
    n = len(where)
    told: dict[str, Any] = {
        "positions": where,
        "turn_out_s": np.full(n, 15.0),
        "post": np.full(n, -1, np.int32),
        "slowness": np.full(n, 1 / 1.3),
        "kind": np.zeros(n, np.uint8),
        "acts_alone": np.ones(n, bool),
        "echelon": np.full(n, 3, np.uint8),
        "beat": np.full(n, -1, np.int32),
        "state": np.full(n, UnitState.RETURNING, np.uint8),
        "on_duty": np.ones(n, bool),
        "incident": np.full(n, -1, np.int32),
        "priority": np.zeros(n, np.uint8),
        "free_s": np.full(n, np.inf),
        "next_incident": np.full(n, -1, np.int32),
    }
    assert not changed.keys() - told.keys()
    return Units(**told | {name: np.asarray(value) for name, value in changed.items()})


def make_call(target: Position, **changed: Any) -> Call:
    """A P3 that wants one unit of kind 0."""
    told: dict[str, Any] = {
        "incident": 0,
        "target": target,
        "type": 0,
        "priority": 3,
        "place_class": 0,
        "cell": -1,
        "ready_s": 0.0,
        "roles": (1,),
        "sent": 0,
        "overdue": False,
    }
    return Call(**told | changed)


def make_situation(call: Call, units: Units, travel: list[Any], **changed: Any) -> Situation:
    """Who is on duty and engaged with nothing is free; units are of one kind unless there are several travel times."""
    told: dict[str, Any] = {
        "now_s": 1_000.0,
        "hour": MONDAY_8,
        "call": call,
        "waiting": [call],
        "free": np.flatnonzero((units.incident < 0) & units.on_duty),
        "units": units,
        "travel": travel,
        "one_kind": len(travel) == 1,
        "where": units.positions.take,
        "beats": None,
        "cover": None,
    }
    return Situation(**told | changed)


def random_situation(seed: int, *, kinds: int = 3, calls: int = 1) -> Situation:
    """Units of several kinds, two of which share their driving rules; some stand at posts, some are engaged; the calls
    have one to three roles each."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, int(rng.integers(5, 40)))
    posts = random_positions(network, rng, 4)
    cars, armed = (RoadTravel(network, anchors=posts, rules=rules) for rules in (OBEY_ALL, RULES["emergency"]))
    travel = [cars, cars, armed][:kinds]
    n = int(rng.integers(1, 9))
    where = random_positions(network, rng, n)
    post = np.where(rng.random(n) < 0.5, rng.integers(0, 4, n), -1).astype(np.int32)
    at_post = post >= 0
    where.edge[at_post], where.offset_m[at_post] = posts.edge[post[at_post]], posts.offset_m[post[at_post]]
    engaged = rng.random(n) < 0.4
    units = make_units(
        where,
        turn_out_s=rng.choice([0.0, 15.0, 75.0], n),
        post=np.where(engaged, -1, post).astype(np.int32),
        slowness=rng.choice([0.7, 1.0], n),
        kind=rng.integers(0, kinds, n).astype(np.uint8),
        acts_alone=rng.random(n) < 0.8,
        echelon=rng.choice([1, 3, 5], n).astype(np.uint8),
        beat=rng.integers(-1, 4, n).astype(np.int32),
        state=np.where(engaged, rng.choice([UnitState.TRAVELLING, UnitState.ON_SCENE], n), UnitState.IDLE),
        on_duty=rng.random(n) < 0.9,
        incident=np.where(engaged, 100 + np.arange(n), -1),
        priority=np.where(engaged, rng.integers(1, 5, n), 0),
        free_s=np.where(engaged, rng.uniform(900, 1_500, n), np.inf),
        next_incident=np.where(engaged & (rng.random(n) < 0.2), 50, -1),
    )
    waiting = [
        make_call(
            target,
            incident=i,
            priority=int(rng.integers(1, 5)),
            roles=tuple(rng.integers(1, 2**kinds, rng.integers(1, 4)).tolist()),
            cell=int(rng.integers(-1, 4)),
            limit_s=float(rng.choice([60.0, 180.0, 300.0])),
        )
        for i, target in enumerate(random_positions(network, rng, calls))
    ]
    return make_situation(waiting[0], units, travel, waiting=waiting)


def after_s(situation: Situation, unit: int, call: Call | None = None) -> float:
    """Expected seconds until a unit that sets off now is at a call, by a route of its own."""
    units, call = situation.units, call or situation.call
    where = situation.where(np.array([unit]))[0] if units.incident[unit] >= 0 else units.positions[unit]
    route = situation.travel[units.kind[unit]].route(where, call.target, situation.hour)
    return float(units.turn_out_s[unit] + units.slowness[unit] * route.time_s)


def suited(situation: Situation, role: int) -> list[int]:
    """The free units whose kind is among those of a role."""
    return [unit for unit in situation.free.tolist() if role >> int(situation.units.kind[unit]) & 1]


def sent(orders: list[Order]) -> list[int]:
    return [order.unit for order in orders]
