"""Units and the incidents that they are with: together, in turn, called off, and with somebody in custody."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import isnan

import pytest
from played import ANYBODY, ARMED, HELPER, LINE, Call, Town, car, line, order_of, play, steps

from dispatch.policies.dispatching import nearest, preempt, soonest_free
from dispatch.policies.relieving import nearer
from dispatch.policies.situation import BEYOND_FREE, DispatchPolicy, Order, Relief, Situation
from dispatch.units import KINDS, Role, Span
from geodata.driving import RULES
from geodata.travel import Drive

TWO_CARS = (car("A", 0), car("B", 9))
JOINED = partial(nearer, gain=0.3)


def sending(*units: int) -> DispatchPolicy:
    """For each role that is open the next of some units that is free."""

    def policy(at: Situation) -> list[Order]:
        free = [unit for unit in units if unit in at.free]
        return [order_of(at, unit, role=role) for role, unit in enumerate(free[: len(at.call.roles)])]

    return policy


def insisting(unit: int, *, when_free: bool = False) -> DispatchPolicy:
    """A unit for every call, whatever it is engaged with: called off, or waited for until it is free."""

    def policy(at: Situation) -> list[Order]:
        if unit in at.free:
            return [order_of(at, unit)]
        return [order_of(at, unit, when_free=when_free)] if at.units.incident[unit] >= 0 else []

    return asked_always(policy)


def asked_always(policy: DispatchPolicy) -> DispatchPolicy:
    """Also when nobody is free."""
    setattr(policy, BEYOND_FREE, True)
    return policy


STACKS = insisting(0, when_free=True)


class TestSeveralUnits:
    def test_the_first_stops_the_clock_and_all_together_are_assembled(self) -> None:
        run = play([Call(at=2, units_needed=2)], [car("A", 0), car("B", 5)])
        (incident,) = run.incidents
        assert (incident.arrived_s, incident.assembled_s, incident.cleared_s) == (230, 330, 830)
        assert incident.first_unit == "A"
        assert [run.order(0, unit).cleared_s for unit in "AB"] == [830, 830]

    def test_whoever_is_still_under_way_when_it_is_dealt_with_is_called_off(self) -> None:
        run = play([Call(at=0, units_needed=2, on_scene_s=100)], TWO_CARS)
        order = run.order(0, "B")
        assert (order.called_off, order.called_off_s, order.cleared_s) == ("cleared", 130, 130)
        assert isnan(order.arrived_s)
        assert isnan(run.incidents[0].assembled_s)
        # a step on its way it turns round
        assert run.did("B", "returning") == [("returning", 130, 230)]

    def test_whoever_has_not_even_set_off_never_rolls(self) -> None:
        units = [car("A", 0, turn_out_post_s=0.0), car("B", 0)]
        run = play([Call(units_needed=2, on_scene_s=20)], units)
        assert isnan(run.order(0, "B").rolling_s)
        assert run.order(0, "B").called_off_s == 20

    def test_roles_are_filled_by_kind_and_skill(self) -> None:
        """The armed unit is the only one that may be second, however far away."""
        units = [car("A", 0), car("B", 1), car("X", 9, kind=ARMED)]
        plan = (Role(), Role(skill="armed"))
        run = play([Call(at=0, units_needed=2, on_scene_s=2_000)], units, plans=(plan,))
        assert [unit for _, unit, _ in run.sent] == ["A", "X"]
        assert (run.incidents[0].arrived_s, run.order(0, "X").arrived_s) == (30, 930)

    def test_without_such_a_unit_the_incident_goes_on_waiting_for_it(self) -> None:
        later = car("X", 9, kind=ARMED, duty=(Span(300, 7_200),))
        plan = (Role(), Role(skill="armed"))
        run = play([Call(at=0, units_needed=2, on_scene_s=2_000)], [*TWO_CARS, later], plans=(plan,))
        assert run.sent == [(0, "A", 0), (0, "X", 300)]

    def test_the_last_role_of_a_plan_holds_for_all_beyond(self) -> None:
        units = [car("A", 0), *(car(f"X{i}", i, kind=ARMED) for i in (5, 6))]
        run = play([Call(at=0, units_needed=3)], units, plans=((Role(kinds=frozenset({"car"})), Role(skill="armed")),))
        assert [unit for _, unit, _ in run.sent] == ["A", "X5", "X6"]

    def test_kinds_by_name(self) -> None:
        plan = (Role(kinds=frozenset({"armed"})),)
        assert play([Call(at=0)], [car("A", 0), car("X", 9, kind=ARMED)], plans=(plan,)).sent == [(0, "X", 0)]

    def test_support_may_not_be_first(self) -> None:
        assert play([Call(at=3)], [car("H", 3, kind=HELPER), car("A", 0)]).sent == [(0, "A", 0)]

    def test_support_that_is_there_first_is_present_and_waits_for_whoever_may_act(self) -> None:
        run = play([Call(at=3, units_needed=2)], [car("H", 3, kind=HELPER), car("A", 0)], plans=((ANYBODY, Role()),))
        (incident,) = run.incidents
        assert (incident.present_s, incident.arrived_s, incident.assembled_s, incident.cleared_s) == (30, 330, 330, 930)
        assert incident.first_unit == "A"
        assert run.did("H", "on_scene") == [("on_scene", 30, 930)]


class TestBackup:
    def test_the_first_on_the_scene_asks_for_it(self) -> None:
        run = play([Call(at=3, backup=1, on_scene_s=1_000)], TWO_CARS)
        (incident,) = run.incidents
        assert run.sent == [(0, "A", 0), (0, "B", 330)]
        assert (incident.arrived_s, incident.assembled_s, incident.cleared_s) == (330, 960, 1_330)
        assert (incident.units_needed, incident.backup) == (1, 1)

    def test_it_has_the_next_roles_of_the_plan(self) -> None:
        units = [car("A", 0), car("B", 1), car("X", 2, kind=ARMED)]
        plan = (Role(kinds=frozenset({"car"})), Role(skill="armed"))
        assert play([Call(at=0, backup=1)], units, plans=(plan,)).sent == [(0, "A", 0), (0, "X", 30)]

    def test_where_nobody_comes_nobody_asks(self) -> None:
        run = play([Call(at=3, backup=1, withdrawn_s=100)], TWO_CARS)
        assert run.incidents[0].backup == 0
        assert run.sent == [(0, "A", 0)]

    def test_support_that_is_there_first_does_not_ask(self) -> None:
        units = [car("H", 3, kind=HELPER), car("A", 0), car("B", 9)]
        run = play([Call(at=3, units_needed=2, backup=1)], units, plans=((ANYBODY, Role()),))
        assert run.sent == [(0, "H", 0), (0, "A", 0), (0, "B", 330)]


class TestCustody:
    CALL = Call(at=3, custody_s=900)

    def test_the_unit_takes_them_to_the_nearest_centre_and_hands_them_over_there(self) -> None:
        """In no hurry: the line takes traffic twice as long."""
        run = play([self.CALL], [car("A", 0)], line(calm=2.0), centres=LINE.places([9, 5]))
        order = run.order(0, "A")
        assert (run.incidents[0].cleared_s, order.left_s, order.handed_s, order.cleared_s) == (930, 930, 1_330, 2_230)
        assert order.centre == 1
        assert run.did("A") == steps(
            ("turn_out", 0), ("travelling", 30), ("on_scene", 330), ("transporting", 930), ("handing_over", 1_330),
            ("returning", 2_230), ("idle", 3_230),
        )  # fmt: skip

    def test_all_that_time_it_is_not_to_be_sent(self) -> None:
        calls = [self.CALL, Call(received_s=1_000, at=5, priority=1)]
        run = play(calls, [car("A", 0)], centres=LINE.places([5]), policy=preempt)
        assert run.sent == [(0, "A", 0), (1, "A", 2_030)]
        # it goes on from the centre
        assert (run.order(1, "A").travel_m, run.order(1, "A").arrived_s) == (0, 2_045)

    def test_whoever_was_there_first_takes_them_and_the_others_are_free(self) -> None:
        """B was ordered first and A was there first."""
        call = Call(at=3, custody_s=900, units_needed=2)
        run = play([call], TWO_CARS, centres=LINE.places([5]), policy=sending(1, 0))
        assert [unit for _, unit, _ in run.sent] == ["B", "A"]
        assert run.incidents[0].first_unit == "A"
        assert [run.order(0, unit).cleared_s for unit in "AB"] == [2_030, 930]
        assert run.order(0, "B").centre is None

    def test_support_takes_nobody_into_custody(self) -> None:
        units = [car("H", 3, kind=HELPER), car("A", 0)]
        call = Call(at=3, custody_s=900, units_needed=2)
        run = play([call], units, centres=LINE.places([5]), plans=((ANYBODY, Role()),))
        assert [run.order(0, unit).cleared_s for unit in "AH"] == [2_030, 930]

    def test_where_no_way_leads_to_a_centre_they_are_handed_over_on_the_scene(self, town: Town) -> None:
        call = Call(at=town.on(0, 1, 0.5), custody_s=900)
        run = town.play([call], [car("A", 0)], town.closed(2, 3, 0, 7_200), centres=town.posts.take([1]))
        order = run.order(0, "A")
        assert (order.arrived_s, order.cleared_s, order.centre) == (80, 1_580, None)
        assert run.did("A", "handing_over") == [("handing_over", 680, 1_580)]


class TestPreemption:
    """One car, and a P1 that comes when it is engaged with a P4."""

    def test_on_the_way_the_unit_turns_to_the_more_urgent(self) -> None:
        calls = [Call(at=9, priority=4), Call(received_s=130, at=0, priority=1, on_scene_s=100)]
        run = play(calls, [car("A", 0)], policy=preempt)
        first, again = run.order(0, "A"), run.order(0, "A", 1)
        assert (first.called_off, first.called_off_s, first.cleared_s) == ("preempted", 130, 130)
        # a step on its way it turns round, and is mobile
        urgent = run.order(1, "A")
        assert (urgent.ordered_s, urgent.rolling_s, urgent.arrived_s, urgent.travel_m) == (130, 145, 245, 1_000)
        assert (again.ordered_s, again.arrived_s) == (345, 345 + 15 + 900)

    def test_the_incident_waits_with_its_old_time(self) -> None:
        """It is served before another P4 that came between."""
        calls = [
            Call(at=3, priority=4), Call(received_s=20, at=0, priority=4),
            Call(received_s=130, at=0, priority=1, on_scene_s=100),
        ]  # fmt: skip
        run = play(calls, [car("A", 0)], policy=preempt)
        assert [incident for incident, *_ in run.sent] == [0, 2, 0, 1]
        assert run.incidents[0].ordered_s == 0

    def test_on_the_scene_the_rest_of_the_work_is_done_later(self) -> None:
        calls = [Call(at=3, priority=4), Call(received_s=530, at=0, priority=1, on_scene_s=100)]
        run = play(calls, [car("A", 0)], policy=preempt)
        first, again = run.order(0, "A"), run.order(0, "A", 1)
        assert (first.arrived_s, first.called_off, first.cleared_s) == (330, "preempted", 530)
        assert run.order(1, "A").arrived_s == 530 + 15 + 300
        # 200 of the 600 s were done
        assert (again.ordered_s, again.arrived_s, again.cleared_s) == (945, 1_260, 1_660)
        (four, _) = run.incidents
        assert (four.arrived_s, four.cleared_s, four.outcome) == (330, 1_660, "cleared")

    def test_as_long_as_another_is_there_the_work_goes_on(self) -> None:
        calls = [Call(at=3, priority=4, units_needed=2), Call(received_s=700, at=0, priority=1)]
        run = play(calls, [car("A", 0), car("B", 6)], policy=preempt)
        assert run.order(0, "A").called_off == "preempted"
        assert run.incidents[0].cleared_s == 930
        assert run.order(0, "B").cleared_s == 930

    def test_support_alone_does_not_go_on_with_it(self) -> None:
        units = [car("H", 3, kind=HELPER), car("A", 0)]
        calls = [
            Call(at=3, priority=4, units_needed=2), Call(received_s=530, at=0, priority=1, plan=1, on_scene_s=100),
        ]  # fmt: skip
        run = play(calls, units, policy=preempt, plans=((ANYBODY, Role()), (Role(),)))
        assert run.did("H", "on_scene") == [("on_scene", 30, 1_660)]

    @pytest.mark.parametrize("received_s", [130, 1_200])
    def test_what_the_unit_was_wanted_for_is_wanted_again(self, received_s: float) -> None:
        """Under way or on the scene: an armed unit leaves a role that no other can fill."""
        units = [car("A", 2), car("X", 9, kind=ARMED), car("B", 3)]
        calls = [
            Call(at=2, priority=4, units_needed=2, on_scene_s=5_000),
            Call(received_s=received_s, at=9, priority=1, plan=1, on_scene_s=100),
        ]
        plans = ((Role(), Role(skill="armed")), (Role(skill="armed"),))
        run = play(calls, units, policy=preempt, plans=plans)
        assert [(i, u) for i, u, _ in run.sent] == [(0, "A"), (0, "X"), (1, "X"), (0, "X")]

    def test_one_that_went_in_addition_is_not_asked_for_again(self) -> None:
        """Two are sent where one was wanted; C would be free."""

        def echelon(at: Situation) -> list[Order]:
            if at.call.incident:
                return [order_of(at, 1)]
            if at.call.sent:
                return nearest(at)
            return [order_of(at, 0), order_of(at, 1, role=1)] if 0 in at.free else []

        calls = [Call(at=3, priority=4, on_scene_s=3_000), Call(received_s=1_000, at=9, priority=1, on_scene_s=10)]
        run = play(calls, [car("A", 0), car("B", 4), car("C", 8)], policy=asked_always(echelon))
        assert run.order(0, "B").called_off == "preempted"
        assert [unit for incident, unit, _ in run.sent if incident == 0] == ["A", "B"]

    @pytest.mark.parametrize("priority", [3, 4])
    def test_one_that_is_no_less_urgent_keeps_its_unit(self, priority: int) -> None:
        calls = [Call(at=3, priority=3), Call(received_s=100, at=0, priority=priority)]
        with pytest.raises(ValueError, match=f"engaged with an incident of priority 3, to one of priority {priority}"):
            play(calls, [car("A", 0)], policy=insisting(0))

    def test_nobody_is_called_off_with_somebody_in_custody(self) -> None:
        calls = [Call(at=3, priority=4, custody_s=900), Call(received_s=1_000, at=0, priority=1)]
        with pytest.raises(ValueError, match="sent unit A, which is engaged"):
            play(calls, [car("A", 0)], policy=insisting(0), centres=LINE.places([9]))


class TestStacking:
    """A call that waits for a unit goes to it as soon as it is free, though another comes between."""

    def test_the_unit_goes_straight_on(self) -> None:
        calls = [Call(at=3), Call(received_s=500, at=5)]
        run = play(calls, [car("A", 0)], policy=soonest_free)
        order = run.order(1, "A")
        # from the scene, mobile; it was ordered when it was free
        assert (order.ordered_s, order.rolling_s, order.arrived_s, order.travel_m) == (930, 945, 1_145, 2_000)
        assert run.did("A", "returning")[0][1] == 1_745

    def test_nobody_else_is_sent_meanwhile(self) -> None:
        """B comes on duty while the call waits for A."""
        late = car("B", 5, duty=(Span(600, 7_200),))
        run = play([Call(at=3), Call(received_s=500, at=5)], [car("A", 0), late], policy=STACKS)
        assert run.sent == [(0, "A", 0), (1, "A", 930)]

    def test_a_stacked_call_that_is_taken_back_is_gone(self) -> None:
        calls = [Call(at=3), Call(received_s=500, at=5, withdrawn_s=100)]
        run = play(calls, [car("A", 0)], policy=STACKS)
        assert run.sent == [(0, "A", 0)]
        assert run.incidents[1].outcome == "withdrawn"
        assert run.did("A", "returning") == [("returning", 930, 1_230)]

    def test_one_whose_unit_goes_off_duty_first_waits_for_any(self) -> None:
        units = [car("A", 0, duty=(Span(0, 800),)), car("B", 9, duty=(Span(700, 7_200),))]

        def policy(at: Situation) -> list[Order]:
            return STACKS(at) if at.now_s < 800 else sending(1)(at)

        run = play([Call(at=3), Call(received_s=500, at=5)], units, policy=asked_always(policy))
        assert run.sent == [(0, "A", 0), (1, "B", 800)]

    def test_one_whose_unit_is_out_of_service_first_waits_for_any(self) -> None:
        unit = car("A", 0, outages=(Span(600, 2_000),))
        run = play([Call(at=3), Call(received_s=500, at=5)], [unit], policy=STACKS)
        assert run.sent == [(0, "A", 0), (1, "A", 2_000)]

    def test_one_whose_unit_is_called_off_for_something_more_urgent_waits_for_any(self) -> None:
        calls = [Call(at=3, priority=4), Call(received_s=500, at=5, priority=4), Call(received_s=600, at=3, priority=1)]

        def policy(at: Situation) -> list[Order]:
            return insisting(0)(at) if at.call.priority == 1 else insisting(0, when_free=True)(at)

        run = play(calls, [car("A", 0)], policy=asked_always(policy))
        assert [incident for incident, *_ in run.sent] == [0, 2, 0, 1]

    def test_it_goes_on_from_the_centre_too(self) -> None:
        calls = [Call(at=3, custody_s=900), Call(received_s=1_200, at=6)]
        run = play(calls, [car("A", 0)], policy=STACKS, centres=LINE.places([5]))
        assert run.sent == [(0, "A", 0), (1, "A", 2_030)]
        assert run.order(1, "A").arrived_s == 2_145

    @pytest.mark.parametrize(
        ("calls", "policy"),
        [
            ([Call(at=3)], lambda at: [order_of(at, 0, when_free=True)]),
            ([Call(at=3, units_needed=2)], insisting(0, when_free=True)),
            ([Call(at=3), Call(received_s=9), Call(received_s=10)], STACKS),
        ],
        ids=["free", "there already", "waited for"],
    )
    def test_no_call_waits_for_one_that_is(self, calls: list[Call], policy: Callable[[Situation], list[Order]]) -> None:
        with pytest.raises(ValueError, match="lets a call wait for unit A, which is"):
            play(calls, [car("A", 0)], policy=policy)


class TestRelief:
    """A is under way to place 9; B, at 7, frees itself."""

    CALLS = (Call(at=7, on_scene_s=200), Call(received_s=10, at=9, on_scene_s=1_000))
    UNITS = (car("A", 0), car("B", 7))

    def test_whoever_is_free_and_much_nearer_takes_over(self) -> None:
        run = play(self.CALLS, self.UNITS, relief=JOINED)
        former, now = run.order(1, "A"), run.order(1, "B")
        assert (former.called_off, former.called_off_s) == ("relieved", 230)
        assert (now.ordered_s, now.arrived_s) == (230, 445)
        # the one relieved was 190 s on its way
        assert run.did("A", "returning") == [("returning", 230, 420)]
        assert run.incidents[1].first_unit == "B"

    def test_nobody_takes_over_for_a_small_gain(self) -> None:
        assert "B" not in [u for i, u, _ in play(self.CALLS, self.UNITS, relief=partial(nearer, gain=0.8)).sent if i]

    def test_without_a_relief_policy_nobody_does(self) -> None:
        assert play(self.CALLS, self.UNITS).order(1, "A").arrived_s == 940

    def test_whoever_takes_over_takes_over_the_role(self) -> None:
        """The call asks for somebody armed: B is not."""
        units = (car("A", 0, kind=ARMED), car("B", 7))
        calls = (self.CALLS[0], Call(received_s=10, at=9, plan=1))
        run = play(calls, units, relief=JOINED, plans=((Role(),), (Role(skill="armed"),)))
        assert run.order(1, "A").called_off is None

    def test_what_waits_comes_first(self) -> None:
        calls = (*self.CALLS, Call(received_s=100, at=7, on_scene_s=10))
        run = play(calls, self.UNITS, relief=JOINED)
        assert [incident for incident, unit, _ in run.sent if unit == "B"][:2] == [0, 2]

    def test_whoever_is_relieved_may_relieve_another(self) -> None:
        """B relieves A at the far end; A, two steps on its way, is nearer to the third call than C."""
        calls = (
            Call(at=8, on_scene_s=230), Call(received_s=10, at=9, on_scene_s=1_000), Call(received_s=11, at=1),
        )  # fmt: skip
        units = (car("A", 1), car("B", 8), car("C", 7))
        run = play(calls, units, relief=JOINED, policy=by_hand({0: 1, 1: 0, 2: 2}))
        assert run.order(1, "A").called_off_s == 260
        assert run.order(2, "C").called_off == "relieved"
        assert run.order(2, "A").ordered_s == 260

    def test_nobody_takes_back_at_once_what_he_was_relieved_of(self) -> None:
        """Though the policy wants it whatever the gain: two units would relieve each other for ever."""

        def relief(at: Relief) -> list[Order]:
            route = at.travel[0].route(at.units.positions[at.unit], LINE.place(9), 10)
            drive = Drive(route.time_s, route.length_m)
            return [Order(at.unit, drive, incident=j.incident, relieves=j.unit) for j in at.journeys[:1]]

        run = play(self.CALLS, self.UNITS, relief=relief)
        assert [(i, u) for i, u, _ in run.sent] == [(0, "B"), (1, "A"), (1, "B")]

    def test_nobody_relieves_one_that_is_not_under_way(self) -> None:
        def relief(at: Relief) -> list[Order]:
            return [Order(at.unit, Drive(200.0, 2_000.0), incident=1, relieves=1)]

        with pytest.raises(ValueError, match="relieves unit B, which is not on its way there"):
            play(self.CALLS, self.UNITS, relief=relief)


def by_hand(unit_of: dict[int, int]) -> DispatchPolicy:
    """Each incident gets the unit that a test names."""
    return lambda at: [order_of(at, unit) for unit in [unit_of[at.call.incident]] if unit in at.free]


def test_several_driving_rules_in_one_run() -> None:
    """A motorcycle, a car and a crew on foot, each by its own ways: only on foot and by motorcycle against a one-way
    street, and each at its own pace."""
    one_way = Town(one_way=(1, 2))
    travel = {name: one_way.travel(rules=RULES[name]) for name in ("obey_all", "motorcycle", "foot")}
    at = one_way.on(0, 1, 0.5)
    units = [car("car", 1), car("rider", 1, kind=KINDS["motorcycle"]), car("walker", 1, kind=KINDS["foot_patrol"])]
    run = play([Call(at=at, units_needed=3, on_scene_s=6_000)], units, travel)
    arrived_s = {unit.id: run.order(0, unit.id).arrived_s for unit in units}
    # 3 – 2 – 5 – 4 – 1 and half a block, at 36 km/h
    assert arrived_s["car"] == pytest.approx(30 + 450)
    # 3 – 2 – 1 against the traffic at half the speed, and half a block: with a siren
    assert arrived_s["rider"] == pytest.approx(30 + (100 + 200 + 50) / 1.3)
    assert arrived_s["walker"] == pytest.approx(30 + 2_500 / (4.5 / 3.6))
    # on the way back it obeys the rules as a car does
    assert run.order(0, "rider").travel_m == pytest.approx(2_500)
