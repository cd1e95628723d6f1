"""Whom each policy sends: by hand, and against exhaustive comparisons in random situations."""

from __future__ import annotations

from functools import partial
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from situations import (
    MONDAY_8,
    after_s,
    make_call,
    make_situation,
    make_units,
    one_street,
    random_network,
    random_situation,
    sent,
    suited,
)

from dispatch.cover import Cover
from dispatch.policies.dispatching import (
    batch,
    beat_first,
    cover_aware,
    cover_loss,
    echelon,
    nearest,
    preempt,
    reserve,
    soonest_free,
    straight_line,
)
from dispatch.policies.registry import POLICIES
from dispatch.policies.situation import BEYOND_FREE, Beats, Order, Situation
from dispatch.units import UnitState
from geodata.positions import Position, Positions, locate
from geodata.routing import RoadTravel

SEEDS = st.integers(0, 2**32 - 1)
ON_SCENE, TRAVELLING = UnitState.ON_SCENE, UnitState.TRAVELLING


class Street:
    """Units on one straight two-way street, at so many seconds' drive from the call at its beginning."""

    def __init__(self) -> None:
        self.network = one_street()
        self.travel = RoadTravel(self.network)
        self.whole_s = float(self.travel.edge_time_s(MONDAY_8)[0])

    def at(self, away_s: float) -> Position:
        """From where it takes so long to drive to the beginning."""
        assert 0 <= away_s <= self.whole_s
        return Position(0, away_s / self.whole_s * float(self.network.length_m[0]))

    def situation(self, *away_s: float, call: dict[str, Any] | None = None, **units: Any) -> Situation:
        """Units that turn out in no time and drive at the roads' speed."""
        places = [self.at(s) for s in away_s]
        where = Positions(np.array([p.edge for p in places], np.int32), np.array([p.offset_m for p in places]))
        alike = {"turn_out_s": np.zeros(len(where)), "slowness": np.ones(len(where))}
        kinds = 1 + int(max(units.get("kind", [0])))
        return make_situation(
            make_call(self.at(0), **(call or {})), make_units(where, **alike | units), [self.travel] * kinds
        )


@pytest.fixture(scope="module")
def street() -> Street:
    return Street()


def role_by_role(situation: Situation, cost: dict[int, float], roles: tuple[int, ...]) -> list[float]:
    """What each role in turn pays for the cheapest of those left that will do; infinite where there is none."""
    left, paid = set(cost), []
    for role in roles:
        best = min((u for u in left if role >> int(situation.units.kind[u]) & 1), key=cost.__getitem__, default=None)
        left -= {best}
        paid.append(np.inf if best is None else cost[best])
    return paid


def check_paid(
    situation: Situation, cost: dict[int, float], orders: list[Order], roles: tuple[int, ...], within: float = 1e-6
) -> None:
    """Role by role the cheapest of those left, if that fills them all; otherwise as many as can be filled."""
    by_role = {order.role: cost[order.unit] for order in orders}
    paid = [by_role.get(role, np.inf) for role in range(len(roles))]
    kinds = situation.units.kind[list(cost)]
    will_do = csr_array(np.array([[mask >> int(kind) & 1 for kind in kinds] for mask in roles]).reshape(len(roles), -1))
    most = int((maximum_bipartite_matching(will_do, "column") >= 0).sum()) if len(cost) else 0
    greedy = role_by_role(situation, cost, roles)
    assert np.isfinite(paid).sum() == most
    if np.isfinite(greedy).all():
        assert paid == pytest.approx(greedy, abs=within)
    elif most:
        # whoever is sent first of all is sent, if to fill another role
        assert min(paid) == pytest.approx(min(greedy), abs=within)


def with_beats(situation: Situation) -> Situation:
    beats = Beats(of_cell=np.array([0, 1, 2, -1]), neighbours=np.eye(4, k=1, dtype=bool) | np.eye(4, k=-1, dtype=bool))
    return situation._replace(beats=beats)


def with_cover(situation: Situation, seed: int = 0) -> Situation:
    rng = np.random.default_rng(seed)
    weight = rng.random(12)
    cover = Cover(
        time_s=rng.uniform(0, 600, (4, 12)),
        limit_s=rng.choice([60.0, 180.0, 300.0], 12),
        weight=weight / weight.sum(),
        between_s=np.zeros((4, 4)),
    )
    heading = np.where(situation.units.incident < 0, rng.integers(-1, 4, len(situation.units.post)), -1)
    return situation._replace(cover=cover, heading=heading)


def complete(seed: int, **of: Any) -> Situation:
    """A random situation in which every policy finds what it needs."""
    return with_cover(with_beats(random_situation(seed, **of)), seed)


# all policies


@settings(max_examples=60)
@given(SEEDS, st.sampled_from(sorted(POLICIES)))
def test_every_order_can_be_carried_out_and_tells_the_drive(seed: int, name: str) -> None:
    situation = complete(seed, calls=3)
    orders = POLICIES[name](situation)
    assert len(set(sent(orders))) == len(orders)
    assert len({(order.incident, order.role) for order in orders}) == len(orders)
    for order in orders:
        call = situation.call if order.incident < 0 else situation.waiting[order.incident]
        if order.role < len(call.roles):
            assert call.roles[order.role] >> int(situation.units.kind[order.unit]) & 1
        else:
            assert name == "echelon"
        assert order.unit in situation.free or name in ("preempt", "soonest_free")
        assert order.when_free == (name == "soonest_free" and order.unit not in situation.free)
        drive_s = (after_s(situation, order.unit, call) - situation.units.turn_out_s[order.unit]) / (
            situation.units.slowness[order.unit]
        )
        assert order.drive.time_s == pytest.approx(drive_s, abs=1e-6)


@settings(max_examples=40)
@given(SEEDS, st.sampled_from(sorted(POLICIES)))
def test_a_policy_leaves_the_situation_as_it_was(seed: int, name: str) -> None:
    situation = complete(seed, calls=3)
    arrays = [a for a in (*situation.units, situation.free, situation.heading) if isinstance(a, np.ndarray)]
    arrays += [situation.units.positions.edge, situation.units.positions.offset_m]
    before = [array.copy() for array in arrays]
    assert POLICIES[name](situation) == POLICIES[name](situation)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))


@pytest.mark.parametrize("name", sorted(POLICIES))
@pytest.mark.parametrize("kinds", [1, 3])
def test_where_nobody_is_free_nobody_is_sent(name: str, kinds: int) -> None:
    situation = complete(5, kinds=kinds)._replace(free=np.empty(0, np.int64))
    n = len(situation.units.incident)
    broken_down = situation.units._replace(
        incident=np.full(n, -1), priority=np.zeros(n, np.uint8), state=np.full(n, UnitState.OUT_OF_SERVICE)
    )
    assert POLICIES[name](situation._replace(units=broken_down)) == []


def test_policies_that_order_engaged_units_are_asked_even_when_nobody_is_free() -> None:
    assert {name for name, policy in POLICIES.items() if getattr(policy, BEYOND_FREE, False)} == {
        "preempt",
        "soonest_free",
    }


# nearest, straight_line


@settings(max_examples=100)
@given(SEEDS)
def test_nearest_agrees_with_an_exhaustive_comparison_over_kinds_and_roles(seed: int) -> None:
    situation = random_situation(seed)
    cost = {unit: after_s(situation, unit) for unit in situation.free.tolist()}
    check_paid(situation, cost, nearest(situation), situation.call.roles, 1e-6)


@settings(max_examples=40)
@given(SEEDS)
def test_units_all_alike_are_chosen_as_those_of_several_kinds(seed: int) -> None:
    situation = random_situation(seed, kinds=1)
    assert situation.one_kind
    several = situation._replace(one_kind=False)
    assert sent(nearest(situation)) == sent(nearest(several))
    assert sent(batch(situation)) == sent(batch(several))


def test_turn_out_and_speed_count_beside_the_road(street: Street) -> None:
    assert sent(nearest(street.situation(50, 60, 70))) == [0]
    assert sent(nearest(street.situation(50, 60, 70, turn_out_s=[30.0, 0.0, 0.0]))) == [1]
    assert sent(nearest(street.situation(50, 60, 70, slowness=[1.0, 1.0, 0.5]))) == [2]


def test_of_units_equally_near_the_first_of_the_roster_is_sent(street: Street) -> None:
    for policy in (nearest, straight_line, batch):
        assert sent(policy(street.situation(60, 60, 60, call={"roles": (1, 1)}))) == [0, 1]
    # the same where they are of kinds that drive by rules of their own
    apart = street.situation(60, 60, 60, kind=[2, 1, 0], call={"roles": (7, 7)})
    own = apart._replace(travel=[RoadTravel(street.network) for _ in range(3)])
    assert sent(nearest(own)) == [0, 1]


def test_a_role_goes_to_a_kind_that_fills_it(street: Street) -> None:
    armed_first = street.situation(10, 20, 90, kind=[0, 0, 1], call={"roles": (0b10, 0b11, 0b11)})
    assert [(order.role, order.unit) for order in nearest(armed_first)] == [(0, 2), (1, 0), (2, 1)]
    # nobody is armed: the others go, the first role stays open
    nobody = street.situation(10, 20, kind=[0, 1], call={"roles": (0b100, 0b11)})
    assert [(order.role, order.unit) for order in nearest(nobody)] == [(1, 0)]


def test_the_only_armed_unit_is_kept_for_the_role_that_asks_for_one(street: Street) -> None:
    """It is nearest, and could be the first to be there; a car can be that too."""
    situation = street.situation(10, 20, kind=[1, 0], call={"roles": (0b11, 0b10)})
    assert [(order.role, order.unit) for order in nearest(situation)] == [(0, 1), (1, 0)]
    alone = street.situation(10, kind=[1], call={"roles": (0b11, 0b10)})
    assert [(order.role, order.unit) for order in nearest(alone)] == [(0, 0)]


@settings(max_examples=40)
@given(SEEDS)
def test_straight_line_looks_at_the_distance_alone(seed: int) -> None:
    situation = random_situation(seed)
    network = situation.travel[0].network
    edge, offset_m = situation.call.target
    goal = locate(network, Positions(np.array([edge]), np.array([offset_m])))
    away_m = np.hypot(*(locate(network, situation.units.positions) - goal).T)
    cost = dict(zip(range(len(away_m)), away_m.tolist(), strict=True))
    free = {unit: cost[unit] for unit in situation.free.tolist()}
    check_paid(situation, free, straight_line(situation), situation.call.roles)


def test_a_one_way_street_makes_road_and_straight_line_differ() -> None:
    """A unit a little ahead cannot turn round; one that is farther behind is nearer by road."""
    network = random_network(np.random.default_rng(1))
    edge = int(np.flatnonzero(network.twin < 0)[0])
    length_m = float(network.length_m[edge])
    where = Positions(np.array([edge, edge], np.int32), np.array([0.9, 0.1]) * length_m)
    situation = make_situation(make_call(Position(edge, 0.6 * length_m)), make_units(where), [RoadTravel(network)])
    assert sent(straight_line(situation)) == [0]
    assert sent(nearest(situation)) == [1]
    assert straight_line(situation)[0].drive.time_s > nearest(situation)[0].drive.time_s


def test_straight_line_needs_a_network_to_measure_on(street: Street) -> None:
    with pytest.raises(ValueError, match="straight_line needs a road network"):
        straight_line(street.situation(10)._replace(travel=[object()]))


# beat_first


def test_the_own_beat_comes_first_then_those_that_touch_it_then_all(street: Street) -> None:
    situation = with_beats(street.situation(10, 20, 30, 40, beat=[-1, 3, 1, 0], call={"cell": 0}))
    assert sent(beat_first(situation)) == [3]
    for gone, then in (([3], 2), ([3, 2], 0), ([3, 2, 0], 1)):
        assert sent(beat_first(situation._replace(free=np.setdiff1d(situation.free, gone)))) == [then]
    two = situation._replace(call=situation.call._replace(roles=(1, 1, 1)))
    assert sent(beat_first(two)) == [3, 2, 0]


def test_a_call_outside_all_beats_gets_the_soonest(street: Street) -> None:
    for cell in (-1, 3):
        assert sent(beat_first(with_beats(street.situation(10, 20, beat=[1, 0], call={"cell": cell})))) == [0]
    with pytest.raises(ValueError, match="beat_first needs beats"):
        beat_first(street.situation(10))


@settings(max_examples=40)
@given(SEEDS)
def test_within_a_beat_the_soonest_is_sent(seed: int) -> None:
    situation = with_beats(random_situation(seed))
    beats, own = situation.beats, int(situation.beats.of_cell[situation.call.cell])
    if situation.call.cell < 0 or own < 0:
        assert beat_first(situation) == nearest(situation)
        return
    cost = {}
    for unit in situation.free.tolist():
        beat = int(situation.units.beat[unit])
        rank = 0 if beat == own else 1 if beat >= 0 and beats.neighbours[own, beat] else 2
        cost[unit] = 1e6 * rank + after_s(situation, unit)
    check_paid(situation, cost, beat_first(situation), situation.call.roles, 1e-5)


# reserve


@pytest.mark.parametrize(("priority", "served_from"), [(1, 1), (2, 2), (3, 3), (4, 5)])
def test_a_call_waits_while_no_more_units_are_free_than_are_kept(
    street: Street, priority: int, served_from: int
) -> None:
    policy = partial(reserve, keep_p2=1, keep_p3=2, keep_p4=4)
    for free in range(1, 7):
        situation = street.situation(*range(10, 10 + free), call={"priority": priority})
        assert sent(policy(situation)) == ([0] if free >= served_from else [])
        overdue = situation._replace(call=situation.call._replace(overdue=True))
        assert sent(policy(overdue)) == [0]


def test_of_several_units_only_those_beyond_the_reserve_are_sent(street: Street) -> None:
    situation = street.situation(10, 20, 30, 40, call={"roles": (1, 1, 1)})
    assert sent(partial(reserve, keep_p3=2)(situation)) == [0, 1]


def test_who_may_not_act_alone_is_no_reserve(street: Street) -> None:
    helpers = {"acts_alone": [True, True, False, False], "kind": [0, 0, 1, 1]}
    situation = street.situation(10, 20, 30, 40, call={"roles": (0b1, 0b10)}, **helpers)
    assert sent(partial(reserve, keep_p3=2)(situation)) == []
    assert sent(partial(reserve, keep_p3=1)(situation)) == [0, 2]


# preempt, soonest_free


def engaged(state: UnitState, priority: int, **more: Any) -> dict[str, Any]:
    """Unit 0 is engaged, unit 1 free."""
    return {
        "incident": [77, -1],
        "priority": [priority, 0],
        "state": [state, UnitState.IDLE],
        "free_s": [1_100.0, np.inf],
    } | more


@pytest.mark.parametrize("state", [TRAVELLING, ON_SCENE, UnitState.TRANSPORTING])
def test_what_may_be_preempted_for_what(street: Street, state: UnitState) -> None:
    taken = {
        (wanted, given)
        for wanted in (1, 2, 3, 4)
        for given in (1, 2, 3, 4)
        if sent(preempt(street.situation(10, 140, call={"priority": wanted}, **engaged(state, given)))) == [0]
    }
    expected = {TRAVELLING: {1, 2}, ON_SCENE: {1}}.get(state, set())
    assert taken == {(wanted, given) for wanted in expected for given in (3, 4)}


def test_a_preemption_must_gain_enough(street: Street) -> None:
    busy = engaged(TRAVELLING, 3)
    situation = street.situation(10, 60, call={"priority": 1}, **busy)
    assert sent(partial(preempt, min_gain_s=49)(situation)) == [0]
    assert sent(partial(preempt, min_gain_s=51)(situation)) == [1]
    assert not any(order.when_free for order in preempt(situation))
    alone = situation._replace(free=np.empty(0, np.int64))
    assert sent(partial(preempt, min_gain_s=1e6)(alone)) == [0]


@pytest.mark.parametrize("policy", [preempt, soonest_free])
@pytest.mark.parametrize("spared", [{"next_incident": [5, -1]}, {"on_duty": [False, True]}])
def test_whoever_is_promised_or_past_the_end_of_duty_is_left_alone(street: Street, policy: Any, spared: Any) -> None:
    busy = engaged(ON_SCENE, 3, free_s=[1_000.0, np.inf])
    situation = street.situation(10, 140, call={"priority": 1}, **busy)
    assert sent(policy(situation)) == [0]
    assert sent(policy(street.situation(10, 140, call={"priority": 1}, **busy | spared))) == [1]


def test_a_unit_about_to_clear_goes_when_it_is_free(street: Street) -> None:
    """It needs 10 s to clear, counted as 20 s, and 10 s to drive."""
    soon = partial(soonest_free, least_s=20, min_gain_s=40)
    busy = engaged(ON_SCENE, 1, free_s=[1_010.0, np.inf])
    (order,) = soon(street.situation(10, 80, **busy))
    assert (order.unit, order.when_free) == (0, True)
    assert order.drive.time_s == pytest.approx(10)
    (order,) = soon(street.situation(10, 60, **busy))
    assert (order.unit, order.when_free) == (1, False)
    # one that should have cleared long ago is not expected at once
    late = engaged(ON_SCENE, 1, free_s=[0.0, np.inf])
    assert sent(soon(street.situation(10, 80, **late))) == [0]
    assert sent(partial(soon, least_s=60)(street.situation(10, 80, **late))) == [1]


def test_only_who_clears_soon_and_elsewhere_is_waited_for(street: Street) -> None:
    nobody_free = street.situation(10, **{k: v[:1] for k, v in engaged(ON_SCENE, 3, free_s=[1_250.0]).items()})
    assert sent(soonest_free(nobody_free)) == [0]
    assert sent(partial(soonest_free, within_s=200)(nobody_free)) == []
    own = nobody_free._replace(call=nobody_free.call._replace(incident=77))
    assert sent(soonest_free(own)) == []
    driving = nobody_free.units._replace(state=np.array([TRAVELLING]))
    assert sent(soonest_free(nobody_free._replace(units=driving))) == []


@settings(max_examples=60)
@given(SEEDS)
def test_free_and_engaged_units_compete_by_their_expected_arrival(seed: int) -> None:
    situation = random_situation(seed)
    units, call = situation.units, situation.call
    left_s = np.maximum(units.free_s - situation.now_s, 60)
    fit = units.on_duty & (units.next_incident < 0)
    stack = fit & (units.state == ON_SCENE) & (units.free_s - situation.now_s <= 300)
    lesser = fit & (units.priority > 2)
    pull = lesser & ((units.state == TRAVELLING) if call.priority == 2 else (call.priority == 1))
    for policy, may, wait_s in ((soonest_free, stack, left_s), (preempt, pull, np.zeros_like(left_s))):
        cost = {unit: after_s(situation, unit) for unit in situation.free.tolist()}
        cost |= {u: after_s(situation, u) + float(wait_s[u]) + 60.0 for u in np.flatnonzero(may).tolist()}
        check_paid(situation, cost, policy(situation), call.roles, 1e-6)


# batch


def queue(street: Street, units_s: list[float], *calls: tuple[float, int]) -> Situation:
    situation = street.situation(*units_s)
    waiting = [make_call(street.at(s), incident=i, priority=priority) for i, (s, priority) in enumerate(calls)]
    return situation._replace(call=waiting[0], waiting=waiting)


def test_two_calls_share_two_units_better_together_than_one_after_the_other(street: Street) -> None:
    """Nearest takes the unit between both for the first call, which leaves the far one to the second."""
    situation = queue(street, [50, 100], (80, 3), (0, 3))
    assert [(o.incident, o.unit) for o in batch(situation)] == [(0, 1), (1, 0)]
    # a second of the first call weighs as much as eight of the other
    urgent = queue(street, [55, 106], (80, 1), (79, 4))
    assert [(o.incident, o.unit) for o in batch(urgent)] == [(0, 0), (1, 1)]


def test_who_is_served_follows_the_queue_however_far_the_first_lies(street: Street) -> None:
    situation = queue(street, [0], (140, 4), (0, 4), (1, 4))
    assert [(o.incident, o.unit) for o in batch(situation)] == [(0, 0)]
    assert [(o.incident, o.unit) for o in partial(batch, calls=1)(situation)] == [(0, 0)]


@settings(max_examples=60)
@given(SEEDS)
def test_batch_agrees_with_the_best_of_all_permutations(seed: int) -> None:
    situation = random_situation(seed, calls=2)
    free = situation.free.tolist()[:5]
    situation = situation._replace(free=np.array(free, np.int64))
    weights = (8.0, 4.0, 2.0, 1.0)
    wants = [(call, role) for call in situation.waiting for role in range(len(call.roles))]
    cost = {(u, call.incident): after_s(situation, u, call) for u in free for call in situation.waiting}

    def value(units: tuple[int, ...]) -> tuple[tuple[int, ...], float]:
        """Which roles are served, the first first, and the weighted seconds; -1 leaves a role open."""
        total = sum(
            weights[call.priority - 1] * cost[u, call.incident]
            for u, (call, _) in zip(units, wants, strict=True)
            if u >= 0
        )
        return tuple(-(u >= 0) for u in units), total

    def lawful(units: tuple[int, ...]) -> bool:
        return all(u < 0 or u in suited(situation, call.roles[r]) for u, (call, r) in zip(units, wants, strict=True))

    best = min(value(u) for u in set(permutations([*free, *[-1] * len(wants)], len(wants))) if lawful(u))
    chosen = {(order.incident, order.role): order.unit for order in batch(situation)}
    served, total = value(tuple(chosen.get((call.incident, role), -1) for call, role in wants))
    assert served == best[0]
    assert total == pytest.approx(best[1], abs=1e-5)


# cover_aware


def covering(street: Street, *away_s: float, post: list[int], **call: Any) -> Situation:
    """Posts 0 and 1 reach a point of weight 0.1 and one of 0.9 of their own."""
    situation = street.situation(*away_s, call=call)
    cover = Cover(
        time_s=np.array([[0.0, 999.0], [999.0, 0.0]]),
        limit_s=np.full(2, 60.0),
        weight=np.array([0.1, 0.9]),
        between_s=np.zeros((2, 2)),
    )
    return situation._replace(cover=cover, heading=np.array(post, np.int32))


def test_the_unit_that_is_missed_least_is_sent(street: Street) -> None:
    aware = partial(cover_aware, busy=0.5, slack_s=30)
    assert sent(aware(covering(street, 10, 20, post=[1, 0]))) == [1]
    # too much later than the soonest, unless that is still within the limit
    assert sent(aware(covering(street, 10, 60, post=[1, 0]))) == [0]
    assert sent(aware(covering(street, 10, 60, post=[1, 0], limit_s=90.0))) == [1]
    # one of two at a post is missed less than the only one at the other
    assert sent(aware(covering(street, 10, 11, 12, 13, 14, 15, post=[0, 1, 1, 1, 1, 1]))) == [1]
    assert sent(aware(covering(street, 10, 11, 12, post=[1, 0, -1]))) == [2]


def test_life_at_risk_gets_the_soonest(street: Street) -> None:
    assert sent(cover_aware(covering(street, 10, 20, post=[1, 0], priority=1))) == [0]
    assert sent(partial(cover_aware, from_priority=1)(covering(street, 10, 20, post=[1, 0], priority=1))) == [1]


def test_a_second_unit_is_chosen_as_if_the_first_had_left(street: Street) -> None:
    """The second of the light post would be missed more than the first of the two at the heavy one."""
    situation = covering(street, 10, 11, 12, 13, post=[1, 1, 0, 0], roles=(1, 1, 1))
    assert sent(partial(cover_aware, busy=0.05)(situation)) == [2, 0, 3]


def test_who_is_on_the_way_counts_where_it_drives_to_if_that_is_told(street: Street) -> None:
    situation = covering(street, 10, 20, post=[1, 0])
    only_the_second_stands = situation.units._replace(post=np.array([-1, 0], np.int32))
    told = situation._replace(units=only_the_second_stands)
    assert sent(partial(cover_aware, busy=0.5)(told)) == [1]
    assert sent(partial(cover_aware, busy=0.5)(told._replace(heading=None))) == [0]


def test_who_may_not_act_alone_covers_nothing(street: Street) -> None:
    situation = covering(street, 10, 20, post=[1, 0])
    helper = situation.units._replace(acts_alone=np.array([False, True]))
    assert sent(partial(cover_aware, busy=0.5)(situation._replace(units=helper))) == [0]


def test_cover_must_be_told(street: Street) -> None:
    with pytest.raises(ValueError, match="cover_aware needs a table of cover"):
        cover_aware(street.situation(10))


def expected_cover(cover: Cover, posts: list[int], busy: float) -> float:
    """Point by point: covered unless all that reach it are busy."""
    total = 0.0
    for point in range(len(cover.weight)):
        n = sum(bool(cover.time_s[post, point] <= cover.limit_s[point]) for post in posts)
        total += float(cover.weight[point]) * (1 - busy**n)
    return total


@settings(max_examples=60)
@given(SEEDS)
def test_the_loss_is_the_difference_in_expected_coverage(seed: int) -> None:
    situation = with_cover(random_situation(seed), seed)
    cover, units = situation.cover, situation.units
    posts = {
        unit: int(situation.heading[unit])
        for unit in situation.free.tolist()
        if units.acts_alone[unit] and situation.heading[unit] >= 0
    }
    on_duty = units.on_duty & units.acts_alone
    busy = float((units.incident[on_duty] >= 0).mean()) if on_duty.any() else 0.0
    at_post = np.bincount(list(posts.values()), minlength=4).astype(np.int64)
    whole = expected_cover(cover, list(posts.values()), busy)
    loss = dict.fromkeys(situation.free.tolist(), 0.0)
    for unit, post in posts.items():
        rest = [other for name, other in posts.items() if name != unit]
        loss[unit] = whole - expected_cover(cover, rest, busy)
        assert cover_loss(cover, at_post, post, busy) == pytest.approx(loss[unit], abs=1e-12)

    cost = {unit: after_s(situation, unit) for unit in suited(situation, situation.call.roles[0])}
    orders = [order for order in cover_aware(situation) if order.role == 0]
    if not cost or situation.call.priority == 1:
        assert sent(orders) == [order.unit for order in nearest(situation) if order.role == 0]
        return
    latest_s = max(situation.call.limit_s, min(cost.values()) + 60)
    least = min(loss[unit] for unit in cost if cost[unit] <= latest_s)
    assert cost[orders[0].unit] <= latest_s + 1e-6
    assert loss[orders[0].unit] == pytest.approx(least, abs=1e-12)


# echelon


def plan_of(orders: list[Order]) -> list[tuple[int, int]]:
    return [(order.unit, order.role) for order in orders]


def test_each_tier_sends_its_soonest_and_those_beyond_the_roles_support(street: Street) -> None:
    tiers = {"echelon": [5, 3, 1, 3, 1]}
    level_1 = street.situation(10, 20, 30, 40, 50, call={"priority": 1, "roles": (1, 1)}, **tiers)
    assert plan_of(echelon(level_1)) == [(2, 0), (1, 1), (3, 2), (0, 3)]
    level_3 = street.situation(10, 20, 30, call={"priority": 3}, echelon=[5, 3, 1])
    assert plan_of(echelon(level_3)) == [(1, 0)]
    own = partial(echelon, plan={3: (5, 1)})
    assert plan_of(own(level_3)) == [(0, 0), (2, 1)]


def test_who_may_not_be_first_supports_and_the_role_goes_to_another(street: Street) -> None:
    grid_staff_first = street.situation(10, 20, kind=[1, 0], echelon=[1, 3], call={"priority": 2, "roles": (0b1,)})
    assert plan_of(echelon(grid_staff_first)) == [(0, 1), (1, 0)]


def test_roles_that_no_tier_fills_go_to_the_soonest_of_any(street: Street) -> None:
    only_armed = street.situation(10, 20, echelon=[5, 5], call={"priority": 3, "roles": (1, 1)})
    assert plan_of(echelon(only_armed)) == [(0, 0), (1, 1)]
    none_at_all = partial(echelon, plan={})
    assert plan_of(none_at_all(only_armed)) == [(0, 0), (1, 1)]
    # the tier's unit is not of the kind of the first role
    later = street.situation(10, 20, 30, kind=[0, 0, 1], echelon=[3, 3, 5], call={"roles": (0b10, 0b11)})
    assert plan_of(echelon(later)) == [(0, 1), (2, 0)]


def test_the_plan_is_carried_out_once(street: Street) -> None:
    call = {"priority": 1, "roles": (1,), "sent": 3}
    again = street.situation(10, 20, 30, echelon=[3, 1, 5], call=call)
    assert plan_of(echelon(again)) == [(0, 0)]


def test_names_of_calls_are_told_only_by_batch() -> None:
    for name, policy in POLICIES.items():
        orders = policy(complete(11, calls=2))
        assert all((order.incident >= 0) == (name == "batch") for order in orders)
