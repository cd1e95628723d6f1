"""Rosters: shifts, meals, outages, and units on standby that are called up."""

from __future__ import annotations

from typing import ClassVar

import pytest
from played import LINE, Call, Town, car, play, steps, walk

from dispatch.policies.dispatching import nearest
from dispatch.policies.situation import DispatchPolicy
from dispatch.units import Meal, Span, UnitSpec

NEVER: tuple[Span, ...] = ()


class TestShifts:
    def test_a_unit_is_idle_at_home_from_the_beginning_of_its_shift_to_the_end(self) -> None:
        run = play([], [car("A", 0, duty=(Span(600, 1_800), Span(3_600, 5_000)))])
        assert run.did("A") == [("idle", 600, 1_800), ("idle", 3_600, 5_000)]

    def test_nobody_is_sent_before_or_after(self) -> None:
        calls = [Call(received_s=0, at=2, on_scene_s=10), Call(received_s=1_900, at=2)]
        run = play(calls, [car("A", 0, duty=(Span(600, 1_800), Span(3_600, 5_000)))])
        assert run.sent == [(0, "A", 600), (1, "A", 3_600)]

    def test_work_goes_on_past_the_end_and_no_new_work_comes(self) -> None:
        """Overtime: the unit is home 800 s after its shift."""
        calls = [Call(received_s=1_700, at=3), Call(received_s=1_900, at=3, priority=1)]
        run = play(calls, [car("A", 0, duty=(Span(0, 1_800),))])
        assert run.sent == [(0, "A", 1_700)]
        assert run.did("A")[-1] == ("returning", 2_630, 2_930)
        assert run.log.units["duty_s"].tolist() == [1_800]

    def test_whoever_is_on_the_way_home_when_the_shift_ends_drives_on_and_is_not_sent(self) -> None:
        calls = [Call(at=3, on_scene_s=100), Call(received_s=500, at=3)]
        run = play(calls, [car("A", 0, duty=(Span(0, 450),))])
        assert run.sent == [(0, "A", 0)]
        assert run.did("A", "returning", "idle") == [("returning", 430, 450), ("returning", 450, 730)]

    def test_a_crew_that_is_late_home_starts_the_next_shift_when_it_is_back(self) -> None:
        calls = [Call(received_s=1_700, at=3, on_scene_s=100), Call(received_s=2_000, at=3)]
        run = play(calls, [car("A", 0, duty=(Span(0, 1_800), Span(2_200, 6_000)))])
        # back at 2430
        assert run.sent == [(0, "A", 1_700), (1, "A", 2_430)]
        assert run.order(1, "A").edge == LINE.place(0).edge

    def test_one_that_comes_home_after_the_next_shift_has_ended_misses_it(self) -> None:
        calls = [Call(received_s=1_700, at=9, on_scene_s=10)]
        run = play(calls, [car("A", 0, duty=(Span(0, 1_800), Span(2_700, 3_000), Span(4_000, 5_000)))])
        assert run.did("A", "returning") == [("returning", 2_640, 3_540)]
        assert run.did("A", "idle")[1:] == [("idle", 4_000, 5_000)]

    def test_one_that_is_at_work_when_the_next_shift_begins_is_on_duty_at_once(self) -> None:
        calls = [Call(received_s=1_700, at=3), Call(received_s=2_000, at=3)]
        run = play(calls, [car("A", 0, duty=(Span(0, 1_800), Span(1_800, 6_000)))])
        assert run.sent == [(0, "A", 1_700), (1, "A", 2_630)]
        assert run.order(1, "A").edge == LINE.place(3).edge

    def test_the_shift_that_comes_serves_what_waits(self) -> None:
        team = [car("day", 0, duty=(Span(0, 1_800),)), car("night", 1, duty=(Span(1_800, 7_200),))]
        run = play([Call(at=0, on_scene_s=3_000), Call(received_s=100, at=2)], team)
        assert run.sent == [(0, "day", 0), (1, "night", 1_800)]

    def test_the_roster_is_told_in_the_log(self) -> None:
        units = [car("A", 0, duty=(Span(600, 9_000),), shift="甲班", beat=3), car("B", 2)]
        told = play([], units).log.units
        assert told["shift"].tolist() == ["甲班", ""]
        assert told["duty_s"].tolist() == [6_600, 7_200]
        assert told["post"].tolist() == [0, 2]
        assert told["beat"].tolist() == [3, -1]


class TestMeals:
    NOON = (Meal(1_000, 2_000, 600),)

    def test_a_meal_begins_with_its_window_if_the_unit_is_free(self) -> None:
        run = play([], [car("A", 0, meals=self.NOON)])
        assert run.did("A") == steps(("idle", 0), ("meal", 1_000), ("idle", 1_600))

    def test_and_otherwise_as_soon_as_it_is(self) -> None:
        """On the scene until 1130; the meal is had there."""
        run = play([Call(received_s=200, at=3)], [car("A", 0, meals=self.NOON)])
        assert run.did("A", "meal") == [("meal", 1_130, 1_730)]
        assert run.rows("A", "meal")[0].edge == LINE.place(3).edge
        assert run.did("A")[-2:] == steps(("returning", 1_730), ("idle", 2_030))

    def test_one_that_has_not_begun_by_the_end_of_the_window_is_lost(self) -> None:
        run = play([Call(received_s=200, at=3, on_scene_s=1_500)], [car("A", 0, meals=self.NOON)])
        assert run.did("A", "meal") == []

    def test_calls_wait_for_the_end_of_it(self) -> None:
        run = play([Call(received_s=1_100, at=3, priority=2)], [car("A", 0, meals=self.NOON)])
        assert run.sent == [(0, "A", 1_600)]

    def test_but_for_what_is_most_urgent(self) -> None:
        run = play([Call(received_s=1_100, at=3, priority=1)], [car("A", 0, meals=self.NOON)])
        assert run.sent == [(0, "A", 1_100)]
        # the rest is lost
        assert run.did("A", "meal") == [("meal", 1_000, 1_100)]

    def test_another_is_sent_to_it_if_nearer(self) -> None:
        units = [car("A", 0, meals=self.NOON), car("B", 4)]
        assert play([Call(received_s=1_100, at=3, priority=1)], units).sent == [(0, "B", 1_100)]
        assert play([Call(received_s=1_100, at=0, priority=1)], units).sent == [(0, "A", 1_100)]
        assert play([Call(received_s=1_100, at=0, priority=2)], units).sent == [(0, "B", 1_100)]

    def test_what_waits_comes_before_a_meal(self) -> None:
        calls = [Call(received_s=200, at=3), Call(received_s=300, at=3, on_scene_s=100)]
        run = play(calls, [car("A", 0, meals=self.NOON)])
        assert run.sent == [(0, "A", 200), (1, "A", 1_130)]
        assert run.did("A", "meal") == [("meal", 1_245, 1_845)]

    def test_on_the_way_back_it_is_had_where_the_unit_is(self) -> None:
        run = play([Call(received_s=20, at=3, on_scene_s=500)], [car("A", 0, meals=self.NOON)])
        # half way between two places
        assert run.did("A")[-4:] == steps(("returning", 850), ("meal", 1_000), ("returning", 1_600), ("idle", 1_750))
        assert run.rows("A", "meal")[0].offset_m == pytest.approx(1_500)

    def test_on_patrol_the_unit_goes_on_where_it_left_off(self) -> None:
        """Four steps there and back, 1600 s in all; at 1000 s it is on the way back."""
        run = play([], [car("A", 0, patrol=walk((4, 0.0)), meals=self.NOON)])
        assert run.did("A") == steps(("patrolling", 0), ("meal", 1_000), ("patrolling", 1_600))
        assert [row.phase_s for row in run.rows("A", "patrolling")] == [0, 1_000]

    def test_a_shift_that_begins_within_the_window_has_its_meal(self) -> None:
        run = play([], [car("A", 0, duty=(Span(1_500, 5_000),), meals=self.NOON)])
        assert run.did("A") == steps(("meal", 1_500), ("idle", 2_100), end_s=5_000)

    def test_the_end_of_the_shift_ends_it(self) -> None:
        run = play([], [car("A", 0, duty=(Span(0, 1_200),), meals=self.NOON)])
        assert run.did("A") == [("idle", 0, 1_000), ("meal", 1_000, 1_200)]

    def test_each_meal_is_had_once(self) -> None:
        meals = (Meal(1_000, 2_000, 600), Meal(4_000, 4_500, 300))
        run = play([Call(received_s=1_700, at=1, on_scene_s=10)], [car("A", 0, meals=meals)])
        assert run.did("A", "meal") == [("meal", 1_000, 1_600), ("meal", 4_000, 4_300)]


class TestOutages:
    OUT = (Span(1_000, 2_000),)

    def test_a_free_unit_takes_its_vehicle_home_and_nobody_sends_it(self) -> None:
        run = play(
            [Call(at=3, on_scene_s=570), Call(received_s=1_100, at=0, priority=1)], [car("A", 0, outages=self.OUT)]
        )
        assert run.did("A", "returning", "out_of_service")[:3] == [
            ("returning", 900, 1_000), ("returning", 1_000, 1_200), ("out_of_service", 1_200, 2_000),
        ]  # fmt: skip
        assert run.sent == [(0, "A", 0), (1, "A", 2_000)]

    def test_one_that_is_engaged_does_so_when_it_is_free(self) -> None:
        run = play([Call(received_s=600, at=3)], [car("A", 0, outages=self.OUT)])
        assert run.did("A")[-3:] == steps(("returning", 1_530), ("out_of_service", 1_830), ("idle", 2_000))

    def test_what_waits_is_not_served_by_it_then(self) -> None:
        run = play(
            [Call(received_s=600, at=3), Call(received_s=700, at=3, priority=1)], [car("A", 0, outages=self.OUT)]
        )
        assert run.sent == [(0, "A", 600), (1, "A", 2_000)]

    def test_one_that_is_engaged_all_the_time_notices_nothing(self) -> None:
        run = play([Call(received_s=600, at=3, on_scene_s=2_000)], [car("A", 0, outages=self.OUT)])
        assert run.did("A", "out_of_service") == []

    def test_one_that_is_still_under_way_home_when_it_ends_is_free_when_it_is_there(self) -> None:
        out = (Span(800, 900),)
        run = play([Call(at=3, on_scene_s=400), Call(received_s=850, at=3)], [car("A", 0, outages=out)])
        # home at 1030
        assert run.sent == [(0, "A", 0), (1, "A", 1_030)]
        assert run.did("A", "out_of_service") == []

    def test_over_the_end_of_the_shift(self) -> None:
        units = [car("A", 0, duty=(Span(0, 1_500), Span(1_700, 5_000)), outages=self.OUT)]
        assert play([], units).did("A") == [
            ("idle", 0, 1_000), ("out_of_service", 1_000, 1_500), ("out_of_service", 1_700, 2_000),
            ("idle", 2_000, 5_000),
        ]  # fmt: skip

    def test_before_the_shift_begins(self) -> None:
        run = play([Call(received_s=10)], [car("A", 0, duty=(Span(1_500, 5_000),), outages=self.OUT)])
        assert run.did("A", "out_of_service") == [("out_of_service", 1_500, 2_000)]
        assert run.sent == [(0, "A", 2_000)]

    def test_a_patrol_goes_on_where_it_left_off(self) -> None:
        """At 1000 s it was at place 3 on the way back from 4, and drives there again in half the time."""
        run = play([], [car("A", 0, patrol=walk((4, 0.0)), outages=self.OUT)])
        assert run.did("A") == steps(
            ("patrolling", 0), ("returning", 1_000), ("out_of_service", 1_300), ("returning", 2_000),
            ("patrolling", 2_300),
        )  # fmt: skip
        assert run.rows("A", "patrolling")[1].phase_s == 1_000

    def test_it_ends_a_meal(self) -> None:
        run = play([], [car("A", 0, meals=(Meal(800, 900, 600),), outages=self.OUT)])
        assert run.did("A") == steps(("idle", 0), ("meal", 800), ("out_of_service", 1_000), ("idle", 2_000))

    def test_a_meal_whose_window_opens_meanwhile_is_had_afterwards(self) -> None:
        run = play([], [car("A", 0, meals=(Meal(1_500, 2_500, 600),), outages=self.OUT)])
        assert run.did("A") == steps(("idle", 0), ("out_of_service", 1_000), ("meal", 2_000), ("idle", 2_600))


def nearest_but(unit: int) -> DispatchPolicy:
    """One unit is never sent."""
    return lambda at: nearest(at._replace(free=at.free[at.free != unit]))


class TestStandby:
    """Two units on duty, of which one is sent at 100 s, and R on standby."""

    def units(self, standby: Span, duty: tuple[Span, ...] = NEVER) -> list[UnitSpec]:
        return [car("A", 0), car("B", 9), car("R", 4, duty=duty, standby=(standby,))]

    CALLS = (Call(received_s=100, at=0, on_scene_s=5_000), Call(received_s=200, at=4, on_scene_s=100))
    RULE: ClassVar = {"call_up_below": 2, "call_up_s": 900.0}

    def test_a_unit_is_called_up_when_too_few_are_free_and_is_there_a_while_later(self) -> None:
        run = play(self.CALLS[:1], self.units(Span(0, 5_000)), **self.RULE)
        assert run.did("R") == [("idle", 1_000, 5_000)]
        assert run.rows("R", "idle")[0].post == 4

    def test_it_is_sent_as_any_other_until_its_standby_ends(self) -> None:
        calls = [*self.CALLS[:1], Call(received_s=1_200, at=4), Call(received_s=5_100, at=4)]
        run = play(calls, self.units(Span(0, 5_000)), **self.RULE)
        assert run.sent == [(0, "A", 100), (1, "R", 1_200), (2, "B", 5_100)]

    def test_nobody_is_called_up_while_enough_are_free(self) -> None:
        assert play(self.CALLS[:1], self.units(Span(0, 5_000)), call_up_below=1).did("R") == []
        assert play(self.CALLS[:1], self.units(Span(0, 5_000))).did("R") == []

    def test_nor_outside_of_the_standby_or_when_it_would_come_too_late(self) -> None:
        assert play(self.CALLS[:1], self.units(Span(101, 5_000)), **self.RULE).did("R") == []
        assert play(self.CALLS[:1], self.units(Span(0, 1_000)), **self.RULE).did("R") == []

    def test_each_standby_is_used_once(self) -> None:
        run = play(self.CALLS, self.units(Span(0, 5_000)), **self.RULE)
        assert run.did("R") == [("idle", 1_000, 5_000)]

    def test_one_after_the_other_in_roster_order(self) -> None:
        units = [*self.units(Span(0, 5_000)), car("S", 5, duty=NEVER, standby=(Span(0, 6_000),))]
        run = play(self.CALLS, units, **self.RULE)
        assert run.did("R") == [("idle", 1_000, 5_000)]
        assert run.did("S") == [("idle", 1_100, 6_000)]

    def test_the_end_of_a_shift_without_another_calls_one_up(self) -> None:
        leaves = [car("A", 0, duty=(Span(0, 2_000),)), car("B", 9), *self.units(Span(0, 5_000))[2:]]
        assert play([], leaves, **self.RULE).did("R") == [("idle", 2_900, 5_000)]
        relieved = [*leaves, car("C", 0, duty=(Span(2_000, 20_000),))]
        assert play([], relieved, **self.RULE).did("R") == []

    def test_so_does_an_outage(self) -> None:
        breaks = [car("A", 0, outages=(Span(1_000, 9_000),)), *self.units(Span(0, 5_000))[1:]]
        assert play([], breaks, **self.RULE).did("R") == [("idle", 1_900, 5_000)]

    def test_duty_that_follows_goes_on_as_if_nothing_had_been(self) -> None:
        """It was called up at 100 for standby until 3000, when its shift begins."""
        calls = [*self.CALLS[:1], Call(received_s=3_500, at=4)]
        run = play(calls, self.units(Span(0, 3_000), (Span(3_000, 6_000),)), **self.RULE)
        assert run.did("R", "idle")[:2] == [("idle", 1_000, 3_000), ("idle", 3_000, 3_500)]
        assert (1, "R", 3_500) in run.sent
        assert run.did("R")[-1][2] == 6_000

    def test_one_that_is_out_when_its_standby_turns_into_duty_goes_home_first(self) -> None:
        calls = [*self.CALLS[:1], Call(received_s=2_000, at=7, on_scene_s=550), Call(received_s=3_050, at=7)]
        run = play(calls, self.units(Span(0, 3_000), (Span(3_000, 6_000),)), **self.RULE, policy=nearest_but(1))
        # on the way back from 2880 on, home at 3180
        assert run.did("R", "returning")[:2] == [("returning", 2_880, 3_000), ("returning", 3_000, 3_180)]
        assert run.sent[2] == (2, "R", 3_180)

    def test_a_shift_within_the_standby_is_a_shift(self) -> None:
        """Standby until 5000, duty from 3000 to 6000."""
        calls = [*self.CALLS[:1], Call(received_s=5_500, at=4)]
        run = play(calls, self.units(Span(0, 5_000), (Span(3_000, 6_000),)), **self.RULE)
        assert (1, "R", 5_500) in run.sent

    def test_a_shift_that_begins_before_the_unit_has_come_is_its_shift(self) -> None:
        run = play(self.CALLS[:1], self.units(Span(0, 3_000), (Span(500, 6_000),)), **self.RULE)
        assert run.did("R") == [("idle", 500, 6_000)]


class TestWithoutAWayHome:
    """Block 2 – 3 is closed while A, whose post is at its far end, is out."""

    def test_a_unit_out_of_service_that_cannot_get_home_is_free_where_it_is(self, town: Town) -> None:
        calls = [Call(at=town.on(0, 1, 0.5), on_scene_s=600), Call(received_s=1_500, at=town.on(0, 1, 0.5))]
        units = [car("A", 1, outages=(Span(900, 1_200),))]
        run = town.play(calls, units, town.closed(2, 3, 500, 5_000))
        order = run.order(0, "A")
        assert (order.arrived_s, order.cleared_s) == (280, 880)
        assert run.did("A", "out_of_service") == []
        assert run.sent[1] == (1, "A", 1_500)

    def test_a_shift_that_begins_there_begins_there(self, town: Town) -> None:
        calls = [Call(at=town.on(0, 1, 0.5)), Call(received_s=1_000, at=town.on(0, 1, 0.5))]
        units = [car("A", 1, duty=(Span(0, 500), Span(2_000, 7_000)))]
        run = town.play(calls, units, town.closed(2, 3, 500, 5_000))
        assert run.sent == [(0, "A", 0), (1, "A", 2_000)]
        assert run.order(1, "A").arrived_s == 2_015
