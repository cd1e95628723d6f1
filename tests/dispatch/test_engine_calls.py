"""Calls: from the moment that they are received to the moment that somebody is sent, or nobody."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import isnan

import pytest
from played import HELPER, LINE, Call, Played, Town, car, order_of, play, posed, steps

from dispatch.engine import FOLLOW_UP_S, simulate
from dispatch.policies.dispatching import batch, nearest, preempt, reserve
from dispatch.policies.situation import DispatchPolicy, Order, Situation
from dispatch.units import Span, UnitSpec

TWO_CARS = (car("A", 0), car("B", 9))


def test_an_incident_takes_the_desk_the_turn_out_the_way_and_the_work() -> None:
    run = play([Call(received_s=100, at=3, desk_s=60)], [car("A", 0)])
    (incident,) = run.incidents
    assert (incident.received_s, incident.answered_s, incident.ready_s, incident.ordered_s) == (100, 100, 160, 160)
    assert (incident.rolling_s, incident.arrived_s, incident.cleared_s) == (190, 490, 1_090)
    assert (incident.present_s, incident.assembled_s, incident.outcome) == (490, 490, "cleared")
    assert incident.first_unit == "A"
    order = run.order(0, "A")
    assert (order.ordered_s, order.rolling_s, order.arrived_s, order.cleared_s) == (160, 190, 490, 1_090)
    assert (order.travel_m, order.expected_s) == (3_000, 330)
    assert run.did("A") == steps(
        ("idle", 0), ("turn_out", 160), ("travelling", 190), ("on_scene", 490), ("returning", 1_090), ("idle", 1_390)
    )


def test_a_run_without_incidents_has_idle_units_alone() -> None:
    run = play([], [car("A", 0), car("B", 1, duty=(Span(1_800, 5_400),))])
    assert run.did("A") == [("idle", 0, 7_200)]
    assert run.did("B") == [("idle", 1_800, 5_400)]
    assert run.sent == []


class TestWhatComesOfCalls:
    def test_nobody_is_sent_to_a_second_call_about_the_same_incident(self) -> None:
        run = play([Call(at=3), Call(received_s=10, at=3, desk_s=60, duplicate_of=0)], TWO_CARS)
        second = run.incidents[1]
        assert (second.outcome, second.cleared_s, second.duplicate_of) == ("duplicate", 70, 0)
        assert run.sent == [(0, "A", 0)]

    def test_a_false_alarm_takes_its_time_and_is_told_as_such(self) -> None:
        call = Call(at=3, on_scene_s=120, false_alarm=True, backup=2, custody_s=900)
        run = play([call], TWO_CARS, centres=LINE.places([5]))
        (incident,) = run.incidents
        assert (incident.outcome, incident.arrived_s, incident.cleared_s) == ("false_alarm", 330, 450)
        assert incident.backup == 0
        assert run.sent == [(0, "A", 0)]
        assert run.did("A", "transporting", "handing_over") == []

    def test_a_call_taken_back_at_the_desk_sends_nobody(self) -> None:
        run = play([Call(at=3, desk_s=60, withdrawn_s=30)], TWO_CARS)
        (incident,) = run.incidents
        assert (incident.outcome, incident.cleared_s, run.sent) == ("withdrawn", 30, [])
        assert isnan(incident.ordered_s)

    def test_a_call_taken_back_while_it_waits_is_not_served_later(self) -> None:
        run = play([Call(at=0), Call(received_s=10, at=0, withdrawn_s=300)], [car("A", 0)])
        assert run.incidents[1].outcome == "withdrawn"
        assert run.sent == [(0, "A", 0)]

    def test_whoever_is_turning_out_stays(self) -> None:
        run = play([Call(at=3, withdrawn_s=20)], [car("A", 0)])
        order = run.order(0, "A")
        assert (order.called_off, order.called_off_s, order.cleared_s) == ("withdrawn", 20, 20)
        assert isnan(order.rolling_s)
        assert run.did("A") == steps(("idle", 0), ("turn_out", 0), ("idle", 20))[1:]

    def test_whoever_is_rolling_is_called_off_and_turns_back(self) -> None:
        run = play([Call(at=3, withdrawn_s=130)], [car("A", 0)])
        order = run.order(0, "A")
        assert (order.rolling_s, order.called_off, order.called_off_s) == (30, "withdrawn", 130)
        assert isnan(order.arrived_s)
        assert run.did("A", "returning", "idle") == [("returning", 130, 230), ("idle", 230, 7_200)]

    def test_nobody_takes_back_what_somebody_has_come_for(self) -> None:
        run = play([Call(at=3, withdrawn_s=331)], [car("A", 0)])
        assert run.incidents[0].outcome == "cleared"
        assert run.order(0, "A").called_off is None

    def test_each_incident_ends_in_exactly_one_way(self) -> None:
        calls = [
            Call(at=3),
            Call(received_s=1, at=3, duplicate_of=0, withdrawn_s=500),
            Call(received_s=2, at=4, false_alarm=True),
            Call(received_s=3, at=9, withdrawn_s=50),
            Call(received_s=7_000, at=9, on_scene_s=20_000),
        ]
        outcomes = [i.outcome for i in play(calls, TWO_CARS).incidents]
        assert outcomes == ["cleared", "duplicate", "false_alarm", "withdrawn", "open"]


class TestTheQueue:
    def test_the_more_urgent_is_served_first_and_of_equals_the_one_that_has_waited_longer(self) -> None:
        """Waiting begins when the desk is done, not when the call is received."""
        told = [(0, 3, 0), (1, 3, 50), (2, 3, 0), (3, 1, 0), (4, 2, 0)]
        run = play([Call(received_s=s, priority=p, desk_s=d, on_scene_s=60) for s, p, d in told], [car("A", 0)])
        assert [incident for incident, *_ in run.sent] == [0, 3, 4, 2, 1]

    def test_of_two_that_wait_the_same_the_one_received_first_is_served(self) -> None:
        run = play([Call(), Call(received_s=10, desk_s=20), Call(received_s=20, desk_s=10)], [car("A", 0)])
        assert [incident for incident, *_ in run.sent] == [0, 1, 2]

    def test_nobody_waits_while_a_unit_is_free(self) -> None:
        run = play([Call(at=0), Call(at=0), Call(at=0)], TWO_CARS)
        assert run.sent[:2] == [(0, "A", 0), (1, "B", 0)]
        assert run.sent[2] == (2, "A", 630)

    def test_who_wants_more_than_are_free_gets_them_one_after_the_other(self) -> None:
        calls = [Call(at=9, on_scene_s=100), Call(received_s=1, at=0, units_needed=2)]
        run = play(calls, TWO_CARS)
        assert run.sent == [(0, "B", 0), (1, "A", 1), (1, "B", 130)]

    def test_those_behind_one_that_nobody_can_reach_are_served(self, town: Town) -> None:
        """Street 2 – 3 is closed for a while: the P1 in it waits, the P4 behind it does not, and all comes right."""
        calls = [Call(at=town.on(2, 3, 0.5), priority=1), Call(received_s=10, at=town.on(0, 1, 0.5), priority=4)]
        run = town.play(calls, [car("A", 0)], town.closed(2, 3, 0, 2_000))
        assert run.sent == [(1, "A", 10), (0, "A", 2_000)]

    def test_units_that_come_on_duty_at_one_moment_are_all_seen_by_those_that_wait(self) -> None:
        """A comes first in the roster, but B is nearer."""
        day = (Span(1_000, 7_200),)
        run = play([Call(at=6)], [car("A", 0, duty=day), car("B", 9, duty=day)])
        assert run.sent == [(0, "B", 1_000)]

    def test_a_call_at_the_very_beginning_sees_all_units(self) -> None:
        assert play([Call(at=8)], TWO_CARS).sent == [(0, "B", 0)]

    def test_a_policy_may_look_at_the_whole_queue(self) -> None:
        """Two calls wait when two cars come on duty: the older would take B from the place of the other."""
        day = (Span(1_000, 7_200),)
        calls = [Call(at=6), Call(received_s=5, at=9)]
        units = [car("A", 0, duty=day), car("B", 9, duty=day)]
        assert play(calls, units).sent == [(0, "B", 1_000), (1, "A", 1_000)]
        assert sorted(play(calls, units, policy=batch).sent) == [(0, "A", 1_000), (1, "B", 1_000)]


class TestMaximumHold:
    CALLS = (Call(at=0, on_scene_s=970), Call(received_s=10, at=0, priority=3), Call(received_s=500, at=0, priority=1))

    def test_without_it_the_more_urgent_always_goes_first(self) -> None:
        assert [incident for incident, *_ in play(self.CALLS, [car("A", 0)]).sent] == [0, 2, 1]

    def test_a_call_that_has_waited_longer_comes_before_all_others(self) -> None:
        run = play(self.CALLS, [car("A", 0)], max_hold_s=900)
        assert [incident for incident, *_ in run.sent] == [0, 1, 2]

    def test_one_that_has_not_waited_so_long_does_not(self) -> None:
        run = play(self.CALLS, [car("A", 0)], max_hold_s=1_000)
        assert [incident for incident, *_ in run.sent] == [0, 2, 1]

    def test_nothing_holds_it_back(self) -> None:
        """Both cars are kept for what is more urgent, until the call is overdue."""
        kept = partial(reserve, keep_p3=2)
        assert play([Call(at=2)], TWO_CARS, policy=kept).sent == []
        assert play([Call(at=2)], TWO_CARS, policy=kept, max_hold_s=600).sent == [(0, "A", 600)]

    def test_one_whose_unit_was_taken_away_is_overdue_when_it_waits_again(self) -> None:
        """The P4 has waited since second 0; its unit is called off for a P1, and a P3 comes meanwhile."""
        calls = [
            Call(at=3, priority=4, on_scene_s=2_000),
            Call(received_s=1_000, at=3, priority=1, on_scene_s=500),
            Call(received_s=1_100, at=3, priority=3),
        ]
        taken = [incident for incident, *_ in play(calls, [car("A", 3)], policy=preempt).sent]
        assert taken == [0, 1, 2, 0]
        taken = [incident for incident, *_ in play(calls, [car("A", 3)], policy=preempt, max_hold_s=900).sent]
        assert taken == [0, 1, 0, 2]

    def test_backup_is_asked_for_in_its_own_urgency_and_is_overdue_with_the_call(self) -> None:
        calls = [
            Call(at=9, priority=3, backup=1, on_scene_s=4_000),
            Call(received_s=100, at=0, priority=3, on_scene_s=1_000),
            Call(received_s=200, at=0, priority=2, on_scene_s=10),
        ]
        units = [car("A", 0), car("B", 0)]
        assert [i for i, *_ in play(calls, units).sent] == [0, 1, 2, 0]
        assert [i for i, *_ in play(calls, units, max_hold_s=900).sent] == [0, 1, 0, 2]


class TestTheEnd:
    UNIT = car("A", 0, turn_out_post_s=0.0)
    END_S = 1_000 + FOLLOW_UP_S

    def run(self, first_takes_s: float) -> Played:
        calls = [Call(on_scene_s=first_takes_s), Call(received_s=10, at=9, on_scene_s=50)]
        return play(calls, [self.UNIT], horizon_s=1_000)

    def test_after_the_horizon_incidents_are_followed_to_their_end(self) -> None:
        run = self.run(3_000)
        assert [i.cleared_s for i in run.incidents] == [3_000, 3_965]
        assert run.did("A")[-1] == ("on_scene", 3_915, 3_965)

    def test_but_for_no_more_than_four_hours(self) -> None:
        under_way = self.run(self.END_S - 20)
        assert [i.outcome for i in under_way.incidents] == ["cleared", "open"]
        assert under_way.order(1, "A").rolling_s == self.END_S - 5
        assert under_way.did("A")[-1] == ("travelling", self.END_S - 5, self.END_S)
        assert isnan(self.run(self.END_S - 10).order(1, "A").rolling_s)
        assert [i for i, *_ in self.run(self.END_S + 10).sent] == [0]

    def test_without_anything_open_it_ends_at_the_horizon(self) -> None:
        run = play([Call(on_scene_s=10)], [car("A", 0)], horizon_s=1_000)
        assert run.did("A")[-1] == ("idle", 40, 1_000)

    def test_the_share_that_is_done_rises_within_0_and_1(self) -> None:
        told: list[float] = []
        simulate(posed([Call(received_s=s) for s in range(0, 3_000, 100)], [car("A", 0)]), told.append)
        assert len(told) >= 100
        assert told == sorted(told)
        assert 0 <= told[0] < 0.01
        assert 0.99 < told[-1] <= 1

    def test_telling_it_changes_nothing(self) -> None:
        problem = posed([Call(received_s=s, at=s % 7) for s in range(0, 3_000, 100)], TWO_CARS)
        quiet, told = simulate(problem), simulate(problem, lambda _: None)
        for name in ("incidents", "assignments", "unit_states"):
            assert getattr(quiet, name).equals(getattr(told, name))


class TestWhatAPolicyMayNotOrder:
    CALLS = (Call(at=3), Call(received_s=50, at=4))

    def played(self, policy: DispatchPolicy, units: Sequence[UnitSpec] = TWO_CARS) -> None:
        play(self.CALLS, units, policy=policy)

    def test_a_unit_that_is_off_duty(self) -> None:
        off = car("C", 5, duty=(Span(3_000, 4_000),))
        with pytest.raises(ValueError, match="sent unit C, which is not free"):
            self.played(lambda at: [order_of(at, 2)], units=[*TWO_CARS, off])

    def test_a_unit_that_is_with_something_as_urgent(self) -> None:
        with pytest.raises(ValueError, match="unit A, which is engaged with an incident of priority 3, to one of pri"):
            self.played(lambda at: [order_of(at, 0)])

    def test_an_incident_that_does_not_wait(self) -> None:
        def policy(at: Situation) -> list[Order]:
            return [order_of(at, int(at.free[0]), incident=0)]

        with pytest.raises(ValueError, match="sent unit B to incident 0, which does not wait"):
            self.played(policy)

    def test_a_unit_that_cannot_do_what_it_is_wanted_for(self) -> None:
        with pytest.raises(ValueError, match="unit H, which cannot do what it is wanted for"):
            self.played(lambda at: [order_of(at, 0)], units=[car("H", 0, kind=HELPER), car("A", 0)])


def test_a_plain_function_is_a_policy() -> None:
    """A user's own, in one line: whoever is last in the roster."""
    run = play([Call(at=0), Call(received_s=5, at=0)], TWO_CARS, policy=lambda at: [order_of(at, int(at.free[-1]))])
    assert run.sent == [(0, "B", 0), (1, "A", 5)]


def test_what_a_policy_sees() -> None:
    seen: list[Situation] = []

    def policy(at: Situation) -> list[Order]:
        seen.append(at._replace(waiting=list(at.waiting)))
        return nearest(at)

    calls = [
        Call(at=3, priority=2, units_needed=2, cell=7, type=4),
        Call(received_s=20, at=5, priority=3),
        Call(received_s=40, at=5, priority=1),
    ]
    play(calls, [car("A", 0)], policy=policy, max_hold_s=700)
    call = seen[0].call
    assert (call.incident, call.priority, call.type, call.cell) == (0, 2, 4, 7)
    assert (call.ready_s, len(call.roles), call.sent, call.overdue, call.limit_s) == (0, 2, 0, False, 300)
    assert (seen[0].now_s, seen[0].hour, seen[0].free.tolist()) == (0, 10, [0])
    # the second unit that it wants is never free before it is dealt with, nor is anybody for what comes in between;
    # when A is, the P3 has waited longer than the maximum hold
    assert [(at.now_s, at.call.incident) for at in seen[1:]] == [(930, 1), (1_745, 2)]
    assert [(c.incident, c.overdue) for c in seen[1].waiting] == [(1, True), (2, True)]
