"""Streets that close while units are about, in a town of which every block takes 100 s. The straight way from post to
post, 0 – 1 – 2 – 3, takes 300 s; round the middle block, by 1 – 4 – 5 – 2, 500 s."""

from __future__ import annotations

from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from played import Call, Played, Town, car, steps

from dispatch.patrol import Patrol
from dispatch.policies.dispatching import preempt
from dispatch.units import Meal, Span
from geodata.speeds import Slowdown

A = car("A", 0)


@pytest.fixture
def there(town: Town) -> Call:
    """An incident in the middle of the last block; 250 s from post 0."""
    return Call(at=town.on(2, 3, 0.5))


class TestOnTheWay:
    def test_before_the_order_another_way_is_taken(self, town: Town, there: Call) -> None:
        order = town.play([there], [A], town.closed(1, 2, 0, 5_000)).order(0, "A")
        assert (order.arrived_s, order.expected_s, order.travel_m) == (480, 480, 4_500)

    def test_before_it_rolls_too(self, town: Town, there: Call) -> None:
        """Closed at 20, in the turn-out. The order still tells the way as it was then."""
        order = town.play([there], [A], town.closed(1, 2, 20, 5_000)).order(0, "A")
        assert (order.arrived_s, order.expected_s, order.travel_m) == (480, 280, 2_500)

    def test_a_block_that_closes_ahead_is_driven_round(self, town: Town, there: Call) -> None:
        """At 100 it is 300 m short of the corner, and turns off there."""
        run = town.play([there], [A], town.closed(1, 2, 100, 5_000))
        assert run.order(0, "A").arrived_s == pytest.approx(480)
        assert run.did("A", "travelling") == [("travelling", 30, 130), ("travelling", 130, 480)]
        corner = run.rows("A", "travelling")[1]
        assert (corner.edge, corner.offset_m) == (town.edge(0, 1), pytest.approx(1_000))

    def test_a_block_that_closes_with_the_unit_in_it_is_driven_to_its_end(self, town: Town, there: Call) -> None:
        order = town.play([there], [A], town.closed(1, 2, 180, 5_000)).order(0, "A")
        assert order.arrived_s == 280

    def test_a_block_that_closes_behind_it_is_no_matter(self, town: Town, there: Call) -> None:
        order = town.play([there], [A], town.closed(0, 1, 180, 5_000)).order(0, "A")
        assert order.arrived_s == 280

    def test_what_is_closed_only_against_it_is_no_matter(self, town: Town, there: Call) -> None:
        closed = town.closed(1, 2, 100, 5_000)
        run = town.play([there], [A], replace(closed, edges=closed.edges[1:]))
        assert run.order(0, "A").arrived_s == 280

    def test_two_closures_one_after_the_other(self, town: Town, there: Call) -> None:
        """At 100 the middle block closes, and at 140, a tenth of a block on the way round it, that too: the unit turns
        back right there."""
        run = town.play([there], [A], town.closed(1, 2, 100, 5_000), town.closed(4, 5, 140, 5_000))
        order = run.order(0, "A")
        assert (order.called_off, order.called_off_s) == ("no_way", 140)
        back = run.rows("A", "returning")[0]
        assert (back.start_s, back.end_s) == (140, pytest.approx(250))

    def test_of_closures_of_the_same_street_the_second_changes_nothing(self, town: Town, there: Call) -> None:
        one, two = town.closed(1, 2, 100, 5_000), town.closed(1, 2, 110, 5_000)
        run = town.play([there], [A], one, two)
        assert run.order(0, "A").arrived_s == pytest.approx(480)

    def test_one_taken_off_it_while_it_drives_to_the_corner_is_where_it_is(self, town: Town) -> None:
        """A P1 in its back at 115, between two closures: 850 m from its post."""
        calls = [
            Call(at=town.on(2, 3, 0.5), priority=4),
            Call(received_s=115, at=town.on(0, 1, 0.25), priority=1),
        ]
        run = town.play(calls, [A], town.closed(1, 2, 100, 5_000), town.closed(4, 5, 105, 106), policy=preempt)
        assert run.order(1, "A").offset_m == pytest.approx(850)
        assert run.order(1, "A").arrived_s == pytest.approx(115 + 15 + 60)

    def test_slow_downs_are_no_closures(self, town: Town, there: Call) -> None:
        """Who is under way keeps to the times of his order; who sets off later reckons with them."""
        slow = town.closed(1, 2, 100, 5_000, factor=0.5)
        assert town.play([there], [A], slow).order(0, "A").arrived_s == 280
        later = town.play([Call(received_s=200, at=there.at)], [A], slow).order(0, "A")
        assert (later.arrived_s, later.travel_m) == (200 + 30 + 350, 2_500)
        very = town.closed(1, 2, 100, 5_000, factor=0.1)
        assert town.play([Call(received_s=200, at=there.at)], [A], very).order(0, "A").travel_m == 4_500


class TestNoWayAtAll:
    def test_the_incident_waits_until_it_is_open_again(self, town: Town, there: Call) -> None:
        run = town.play([there], [A], town.closed(2, 3, 0, 2_000))
        assert run.sent == [(0, "A", 2_000)]

    def test_whoever_is_under_way_is_called_off_and_sent_again_then(self, town: Town, there: Call) -> None:
        """At 180 it is half way along the middle block."""
        run = town.play([there], [A], town.closed(2, 3, 180, 2_000))
        first = run.order(0, "A")
        assert (first.called_off, first.called_off_s) == ("no_way", 180)
        assert isnan(first.arrived_s)
        assert run.sent == [(0, "A", 0), (0, "A", 2_000)]
        assert run.did("A", "returning")[0] == ("returning", 180, 330)

    def test_another_is_sent_for_whom_there_is_one(self, town: Town, there: Call) -> None:
        """At 110 A is cut off, still in the first block; B has come on duty beyond."""
        units = [A, car("B", 1, duty=(Span(100, 7_000),))]
        run = town.play([there], units, *(town.closed(1, corner, 110, 5_000) for corner in (2, 4)))
        assert run.sent == [(0, "A", 0), (0, "B", 110)]

    def test_a_unit_that_cannot_get_home_stays_until_it_can(self, town: Town, there: Call) -> None:
        run = town.play([there], [A], town.closed(0, 1, 500, 2_000))
        assert run.did("A")[-3:] == steps(("idle", 880), ("returning", 2_000), ("idle", 2_250))
        assert run.rows("A", "idle")[0].post == -1

    def test_and_is_sent_from_there_meanwhile(self, town: Town, there: Call) -> None:
        calls = [there, Call(received_s=1_800, at=there.at, on_scene_s=1_000)]
        run = town.play(calls, [A], town.closed(0, 1, 500, 2_000))
        assert (run.order(1, "A").ordered_s, run.order(1, "A").arrived_s) == (1_800, 1_815)
        # when the street opens it is engaged, and stays
        assert run.order(1, "A").cleared_s == 2_815
        assert run.did("A")[-2:] == steps(("returning", 2_815), ("idle", 3_065))

    def test_a_meal_there_is_not_cut_short_when_it_opens(self, town: Town, there: Call) -> None:
        unit = car("A", 0, meals=(Meal(1_500, 1_600, 900),))
        run = town.play([there], [unit], town.closed(0, 1, 500, 2_000))
        assert run.did("A", "meal") == [("meal", 1_500, 2_400)]

    def test_going_off_duty_it_goes_home_when_it_can(self, town: Town, there: Call) -> None:
        run = town.play([there], [car("A", 0, duty=(Span(0, 1_000),))], town.closed(0, 1, 500, 2_000))
        assert run.did("A")[-1] == ("returning", 2_000, 2_250)


class TestFree:
    def test_on_its_way_back_it_turns_off_too(self, town: Town, there: Call) -> None:
        """Free at 880, in the last block until 930; the middle one closes at 900."""
        run = town.play([there], [A], town.closed(1, 2, 900, 5_000))
        assert run.did("A")[-3:] == steps(("returning", 880), ("returning", 930), ("idle", 1_330))

    def test_with_the_block_that_it_is_in_closed_it_drives_on(self, town: Town, there: Call) -> None:
        run = town.play([there], [A], town.closed(1, 2, 980, 5_000))
        assert run.did("A")[-2:] == steps(("returning", 880), ("idle", 1_130))

    def test_with_no_way_left_it_stops_at_the_corner(self, town: Town, there: Call) -> None:
        run = town.play([there], [A], town.closed(0, 1, 900, 2_000))
        # it drives to the end of its block, and waits there
        assert run.did("A")[-4:] == steps(("returning", 880), ("idle", 930), ("returning", 2_000), ("idle", 2_200))

    def test_sent_before_it_is_at_the_corner_it_does_not_turn_there(self, town: Town, there: Call) -> None:
        calls = [there, Call(received_s=910, at=town.on(2, 3, 0.9))]
        run = town.play(calls, [A], town.closed(1, 2, 900, 5_000))
        assert run.order(1, "A").ordered_s == 910
        assert run.did("A", "travelling")[-1][1] == 925

    def test_off_duty_it_gets_home_by_another_way(self, town: Town, there: Call) -> None:
        run = town.play([there], [car("A", 0, duty=(Span(0, 500),))], town.closed(1, 2, 900, 5_000))
        assert run.did("A")[-1] == ("returning", 930, 1_330)

    def test_so_does_one_whose_vehicle_is_to_be_out_of_service(self, town: Town, there: Call) -> None:
        """Though the outage is over before it is at the corner; its meal it has at home."""
        unit = car("A", 0, outages=(Span(850, 890),), meals=(Meal(895, 2_000, 600),))
        run = town.play([there], [unit], town.closed(1, 2, 900, 5_000))
        assert run.did("A")[-4:] == steps(("returning", 880), ("returning", 930), ("meal", 1_330), ("idle", 1_930))


class TestInCustody:
    def call(self, town: Town) -> Call:
        """In the first block, 50 s from post 0; the centre is at the other end."""
        return Call(at=town.on(0, 1, 0.5), custody_s=900)

    def played(self, town: Town, *closed: Slowdown) -> Played:
        return town.play([self.call(town)], [A], *closed, centres=town.posts.take([1]))

    def test_the_way_to_the_centre_leads_round_what_closes(self, town: Town) -> None:
        """There from 80 to 680; at 700 the middle block closes ahead."""
        order = self.played(town, town.closed(1, 2, 700, 5_000)).order(0, "A")
        assert (order.left_s, order.handed_s, order.cleared_s) == (680, pytest.approx(1_130), pytest.approx(2_030))

    def test_with_no_way_left_it_is_handed_over_where_the_unit_is(self, town: Town) -> None:
        run = self.played(town, town.closed(2, 3, 780, 5_000))
        order = run.order(0, "A")
        assert (order.left_s, order.cleared_s) == (680, 1_680)
        assert isnan(order.handed_s)
        (row,) = run.rows("A", "handing_over")
        assert (row.start_s, row.edge, row.offset_m) == (780, town.edge(1, 2), pytest.approx(500))


def test_patrols_keep_to_their_timeline(town: Town) -> None:
    """Closures do not touch them: a patrol drives where it is told to."""
    beat = [town.edge(0, 1), town.edge(1, 2), town.edge(2, 1), town.edge(1, 0)]
    patrol = Patrol(
        name="beat", edge=np.array(beat, np.int32), from_share=np.zeros(4), to_share=np.ones(4),
        until_s=np.array([200.0, 400.0, 600.0, 800.0]),
    )  # fmt: skip
    run = town.play([], [car("A", 0, patrol=patrol)], town.closed(1, 2, 100, 5_000))
    assert run.did("A") == [("patrolling", 0, 7_200)]


def test_all_is_dealt_with_when_all_is_open_again(town: Town) -> None:
    """Every 97 s another street closes for a quarter of an hour, in turn."""
    streets = [(0, 1), (1, 2), (2, 3), (1, 4), (4, 5), (5, 2)]
    calls = [
        Call(received_s=70.0 * i, at=town.on(*streets[i % 6], 0.3), on_scene_s=60, priority=1 + i % 4)
        for i in range(60)
    ]
    closures = [town.closed(*streets[5 * i % 6], 37.0 + 97 * i, 937.0 + 97 * i) for i in range(40)]
    units = [car("A", 0, meals=(Meal(0, 5_000, 600),)), car("B", 1, outages=(Span(300, 900),)), car("C", 1)]
    run = town.play(calls, units, *closures, policy=preempt, journey_cv=0.3)
    assert {i.outcome for i in run.incidents} == {"cleared"}
    assert "no_way" in {o.called_off for o in run.orders}
