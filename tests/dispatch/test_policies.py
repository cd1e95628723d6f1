"""Whom a policy sends: by hand, against an exhaustive comparison in the course of a run, and without side effects."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest

from dispatch.demand import Demand, draw_incidents
from dispatch.engine import simulate
from dispatch.policies.dispatching import POLICIES, Order, Situation, nearest, straight_line
from dispatch.problem import Problem
from dispatch.standard import ResponseStandard
from dispatch.units import UnitSpec
from geodata.positions import Positions, locate
from geodata.routing import RoadTravel
from geodata.timetable import times_to

MONDAY_8 = 8


@pytest.fixture(scope="module")
def plain(pose) -> RoadTravel:
    """Travel times that keep none, to compare with."""
    return RoadTravel(pose.city.network)


def situation(pose, target, where, **changed) -> Situation:
    """Units on the way at some positions; turn-out 15 s and siren 1.3 unless changed."""
    n = len(where)
    told = {
        "hour": MONDAY_8,
        "target": target,
        "wanted": 1,
        "eligible": np.arange(n),
        "positions": Positions(np.array([p.edge for p in where], np.int32), np.array([p.offset_m for p in where])),
        "turn_out_s": np.full(n, 15.0),
        "post": np.full(n, -1, np.int32),
        "slowness": np.full(n, 1 / 1.3),
        "travel": pose.travel,
    }
    return Situation(**told | changed)


def costs(at: Situation, travel: RoadTravel) -> np.ndarray:
    """Expected seconds to the scene of every unit, whether it may be sent or not."""
    return at.turn_out_s + at.slowness * times_to(travel, at.positions, at.target, at.hour)


def test_every_decision_of_a_run_is_that_of_an_exhaustive_comparison(pose, plain) -> None:
    city, standard = pose.city, ResponseStandard()
    seen = {"decisions": 0, "with a unit on the way": 0, "won by a unit on the way": 0, "several": 0}

    def compared(at: Situation) -> list[Order]:
        orders = nearest(at)
        cost = costs(at, plain)
        best = np.sort(cost[at.eligible])[: at.wanted]
        assert cost[[order.unit for order in orders]] == pytest.approx(best, abs=1e-6)
        for order in orders:
            assert order.unit in at.eligible
            expected_s = at.turn_out_s[order.unit] + at.slowness[order.unit] * order.drive.time_s
            assert expected_s == pytest.approx(cost[order.unit], abs=1e-6)
        seen["decisions"] += 1
        seen["with a unit on the way"] += bool((at.post[at.eligible] < 0).any())
        seen["won by a unit on the way"] += bool(at.post[orders[0].unit] < 0)
        seen["several"] += at.wanted > 1
        return orders

    units = tuple(
        UnitSpec(id=f"U{i}", post=i % 4, speed_factor=(1.0, 1.3, 1.6)[i % 3], turn_out_post_s=(30.0, 75.0)[i % 2])
        for i in range(10)
    )
    incidents = draw_incidents(
        city, Demand(incidents_per_day=260), standard, start=pose([], units).start, horizon_s=2 * 86_400.0, seed=3
    )
    log = simulate(
        Problem(
            city=city,
            incidents=incidents,
            units=units,
            standard=standard,
            policy=compared,
            travel=pose.travel,
            start=pose([], units).start,
            horizon_s=2 * 86_400.0,
        )
    )
    assert seen["decisions"] >= len(log.incidents) > 300
    assert min(seen.values()) > 20


def test_the_nearest_by_road_and_turn_out_is_sent(pose, plain) -> None:
    where = [pose.somewhere(e, 0.3) for e in (10, 200, 500, 900, 1_300)]
    at = situation(pose, pose.somewhere(640, 0.4), where)
    order = np.argsort(costs(at, plain))
    assert [o.unit for o in nearest(at)] == order[:1].tolist()
    assert [o.unit for o in nearest(at._replace(wanted=3))] == order[:3].tolist()
    assert [o.unit for o in nearest(at._replace(wanted=9))] == order.tolist()
    # whoever takes long to turn out, or may not be sent, is passed over
    slow = np.where(np.arange(5) == order[0], 1_000.0, 15.0)
    assert [o.unit for o in nearest(at._replace(turn_out_s=slow))] == order[1:2].tolist()
    assert [o.unit for o in nearest(at._replace(eligible=np.sort(order[2:])))] == order[2:3].tolist()


def test_of_units_equally_near_the_first_of_the_roster_is_sent(pose) -> None:
    post = pose.post(1)
    at = situation(pose, pose.somewhere(640, 0.4), [post] * 4, post=np.full(4, 1, np.int32), wanted=2)
    assert [order.unit for order in nearest(at)] == [0, 1]
    on_the_way = at._replace(post=np.full(4, -1, np.int32))
    assert [order.unit for order in nearest(on_the_way)] == [0, 1]
    assert [order.unit for order in straight_line(at)] == [0, 1]


def test_the_straight_line_takes_no_heed_of_roads_and_turn_out(pose) -> None:
    where = [pose.somewhere(e, 0.3) for e in (10, 200, 500, 900, 1_300)]
    target = pose.somewhere(640, 0.4)
    at = situation(pose, target, where, turn_out_s=np.array([0.0, 900.0, 5.0, 900.0, 40.0]), wanted=2)
    network = pose.city.network
    goal = locate(network, Positions(np.array([target.edge]), np.array([target.offset_m])))
    order = np.argsort(np.hypot(*(locate(network, at.positions) - goal).T))
    assert [o.unit for o in straight_line(at)] == order[:2].tolist()
    some = np.sort(order[1:])
    assert [o.unit for o in straight_line(at._replace(eligible=some))] == order[1:3].tolist()


def test_a_one_way_street_makes_the_two_policies_differ(pose, plain) -> None:
    """In the topmost row a unit a little ahead cannot turn round; one behind is nearer by road."""
    network = pose.city.network
    one_way = np.flatnonzero((network.twin < 0) & (network.node_xy_m[network.tail, 0] > 401_000))
    edge = int(one_way[0])
    ahead, behind = pose.somewhere(edge, 0.9), pose.somewhere(edge, 0.1)
    at = situation(pose, pose.somewhere(edge, 0.6), [ahead, behind])
    assert [order.unit for order in straight_line(at)] == [0]
    assert [order.unit for order in nearest(at)] == [1]
    assert costs(at, plain)[0] > costs(at, plain)[1]


def test_a_policy_leaves_the_situation_as_it_was(pose) -> None:
    at = situation(pose, pose.somewhere(640, 0.4), [pose.somewhere(e, 0.3) for e in (10, 200, 500)], wanted=2)
    arrays = [at.eligible, at.positions.edge, at.positions.offset_m, at.turn_out_s, at.post, at.slowness]
    before = [array.copy() for array in arrays]
    for policy in POLICIES.values():
        once, again = policy(at), policy(at)
        assert once == again
        assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))


def test_the_policies_bear_the_names_that_scenarios_give() -> None:
    assert dict(POLICIES) == {"nearest": nearest, "straight_line": straight_line}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda at: [nearest(at)[0]] * 2, "2 units, expected at most 1"),
        (lambda at: [nearest(at)[0]._replace(unit=int(np.setdiff1d(range(2), at.eligible)[0]))], "off duty or engaged"),
    ],
)
def test_orders_that_cannot_be_given_stop_the_run(pose, wrong, told: str) -> None:
    def policy(at: Situation) -> list[Order]:
        return wrong(at) if len(at.eligible) == 1 else nearest(at)

    city, standard = pose.city, ResponseStandard()
    start = datetime(2026, 6, 1)
    demand = Demand(incidents_per_day=200, second_unit_share={})
    problem = Problem(
        city=city,
        incidents=draw_incidents(city, demand, standard, start=start, horizon_s=86_400, seed=1),
        units=tuple(UnitSpec(id=f"U{i}", post=i) for i in range(2)),
        standard=standard,
        policy=policy,
        travel=pose.travel,
        start=start,
        horizon_s=86_400,
    )
    with pytest.raises(ValueError, match=told):
        simulate(problem)
