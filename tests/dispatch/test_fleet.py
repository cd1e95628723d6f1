"""Where units are while nobody looks, on the streets of a city: as a policy sees them when it does."""

from __future__ import annotations

import numpy as np
import pytest
from played import Call, car, play

from dispatch.policies.dispatching import nearest
from dispatch.policies.situation import Order, Situation
from dispatch.units import PATROL_CAR
from geodata.city import City
from geodata.positions import Position
from geodata.routing import RoadTravel

AWAY_S = 5_000.0
"""A second at which the first incident is over."""


class Seen:
    """A policy that decides as `nearest` and remembers what it was shown."""

    def __init__(self) -> None:
        self.where: list[tuple[Position, int, float]] = []
        """Of unit 0: position, post, expected turn-out."""

    def __call__(self, at: Situation) -> list[Order]:
        units = at.units
        self.where.append((units.positions[0], int(units.post[0]), float(units.turn_out_s[0])))
        return nearest(at)

    __module__, __qualname__ = "tests", "Seen"


@pytest.fixture(scope="module")
def roads(small_city: City) -> RoadTravel:
    return RoadTravel(small_city.network, anchors=small_city.posts.positions)


def somewhere(roads: RoadTravel, edge: int, share: float) -> Position:
    return Position(edge, share * float(roads.network.length_m[edge]))


@pytest.fixture(scope="module")
def first(roads: RoadTravel) -> Call:
    """An incident far from the post, cleared at AWAY_S."""
    at = somewhere(roads, 1_200, 0.4)
    assert roads.anchors is not None
    drive_s = roads.route(roads.anchors[0], at, 10).time_s / PATROL_CAR.speed_factor
    return Call(at=at, on_scene_s=AWAY_S - 30 - drive_s)


def after(roads: RoadTravel, first: Call, seconds: float) -> tuple[Position, int, float]:
    """What the desk sees of the unit so many seconds after its first incident."""
    seen = Seen()
    second = Call(received_s=AWAY_S + seconds, at=somewhere(roads, 300, 0.5))
    play([first, second], [car("A", 0, kind=PATROL_CAR)], roads, policy=seen)
    assert roads.anchors is not None
    assert seen.where[0] == (roads.anchors[0], 0, 30.0)
    return seen.where[-1]


@pytest.mark.parametrize("share", [0.02, 0.25, 0.5, 0.9, 0.98])
def test_a_unit_on_its_way_back_is_where_its_route_has_brought_it(roads: RoadTravel, first: Call, share: float) -> None:
    assert roads.anchors is not None
    assert isinstance(first.at, Position)
    way_back_s = roads.calm.route(first.at, roads.anchors[0], 11).time_s
    where, post, turn_out_s = after(roads, first, share * way_back_s)
    assert (post, turn_out_s) == (-1, 15.0)
    # at the roads' own speed: the siren is for the way there
    assert roads.route(where, roads.anchors[0], 11).time_s == pytest.approx((1 - share) * way_back_s, abs=1e-6)
    assert roads.route(first.at, where, 11).time_s == pytest.approx(share * way_back_s, abs=1e-6)


def test_a_unit_that_is_back_stands_at_its_post_and_takes_its_full_turn_out(roads: RoadTravel, first: Call) -> None:
    assert roads.anchors is not None
    assert isinstance(first.at, Position)
    way_back_s = roads.calm.route(first.at, roads.anchors[0], 11).time_s
    assert after(roads, first, way_back_s + 1) == (roads.anchors[0], 0, 30.0)


def test_a_unit_with_work_waiting_goes_on_from_the_scene(roads: RoadTravel, first: Call) -> None:
    where, post, turn_out_s = after(roads, first, -600)
    assert (post, turn_out_s) == (-1, 15.0)
    assert where == pytest.approx(first.at)


def test_units_start_at_their_posts(roads: RoadTravel) -> None:
    shown: list[tuple[list[Position], list[int]]] = []

    def policy(at: Situation) -> list[Order]:
        shown.append((list(at.units.positions.take(np.arange(3))), at.units.post.tolist()))
        return nearest(at)

    assert roads.anchors is not None
    units = [car(f"U{i}", post) for i, post in enumerate((2, 0, 3))]
    play([Call(received_s=5, at=roads.anchors[1])], units, roads, policy=policy)
    assert shown[0] == ([roads.anchors[post] for post in (2, 0, 3)], [2, 0, 3])


def test_engaged_units_are_where_they_are_when_somebody_asks(roads: RoadTravel, first: Call) -> None:
    """At its post in the turn-out, under way by its route, at the scene."""
    found: list[Position] = []

    def policy(at: Situation) -> list[Order]:
        if at.call.incident == 0:
            return nearest(at)
        found.append(at.where(np.array([0]))[0])
        return []

    policy.beyond_free = True  # type: ignore[attr-defined]
    calls = [first, *(Call(received_s=s, at=first.at) for s in (10.0, 100.0, 2_000.0))]
    play(calls, [car("A", 0, kind=PATROL_CAR)], roads, policy=policy, horizon_s=2_100.0)
    assert roads.anchors is not None
    assert isinstance(first.at, Position)
    home, scene = roads.anchors[0], first.at
    # each call that waits asks again when the next comes
    turning_out, under_way, there = found[0], found[2], found[-1]
    assert turning_out == home
    assert there == scene
    assert roads.route(home, under_way, 10).time_s == pytest.approx(70 * PATROL_CAR.speed_factor, abs=1e-6)
