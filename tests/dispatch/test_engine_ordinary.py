"""Where many units are on the move, nobody can tell from the log that not all of them were looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
import simpy
from log_checker import check_log

from dispatch.demand import Demand, Life, draw_incidents
from dispatch.engine import lookout, ordinary, simulate
from dispatch.engine.clock import Clock
from dispatch.engine.run import Run
from dispatch.log import TABLES
from dispatch.patrol import Patrol
from dispatch.policies.dispatching import nearest
from dispatch.policies.ground import Ground
from dispatch.policies.patrolling import Patroller, make_patrol
from dispatch.policies.situation import Order, Situation
from dispatch.problem import Problem
from dispatch.standard import ResponseStandard
from dispatch.units import Meal, Span, UnitSpec
from geodata.city import City
from geodata.routing import HourOfWeek, RoadTravel

START = datetime(2026, 6, 1, 7, 30)
HORIZON_S = 6 * 3_600.0
UNITS = 40


def posed(city: City, patrolling: int, **told: object) -> Problem:
    """A morning of a small city with forty units, of which the first ones roam."""
    posts = city.posts.positions
    travel = RoadTravel(city.network, anchors=posts)
    ground = Ground(city=city, travel=travel)

    def unit(row: int) -> UnitSpec:
        home = row % len(posts)
        who = Patroller(unit=str(row), home=posts[home], seed=135)
        options = {"weight": "road_length", "within_m": 1_000.0}
        patrol = make_patrol("roaming", ground, who, options) if row < patrolling else None
        return UnitSpec(id=str(row), post=home, patrol=patrol)

    demand = Demand(incidents_per_day=2_500.0, life=Life(backup_share={3: 0.1}, false_alarm_share={}))
    standard = ResponseStandard()
    incidents = draw_incidents(city, demand, standard, start=START, horizon_s=HORIZON_S, seed=135)
    problem = Problem(
        incidents=incidents,
        units=tuple(unit(row) for row in range(UNITS)),
        posts=posts,
        travel={"obey_all": travel},
        policy=nearest,
        standard=standard,
        start=START,
        horizon_s=HORIZON_S,
        journey_cv=0.3,
        seed=135,
    )
    return replace(problem, **told)


def step_by_step(situation: Situation) -> list[Order]:
    """The same policy by another name."""
    return nearest(situation)


def assert_same_log(problem: Problem) -> None:
    log, other = simulate(problem), simulate(replace(problem, policy=step_by_step))
    for table in TABLES:
        pd.testing.assert_frame_equal(getattr(log, table), getattr(other, table), check_exact=True, obj=table)


@pytest.mark.parametrize("patrolling", [0, 12, UNITS])
def test_the_log_is_the_same_however_many_units_patrol(small_city: City, patrolling: int) -> None:
    problem = posed(small_city, patrolling)
    assert patrolling == 0 or patrolling > lookout.FIRST
    assert_same_log(problem)
    check_log(simulate(problem), problem)


def test_the_log_is_the_same_with_shifts_meals_and_outages(small_city: City) -> None:
    problem = posed(small_city, 20)
    duty = (Span(0.0, 2 * 3_600.0), Span(2.5 * 3_600.0, HORIZON_S))
    units = [
        replace(
            unit,
            duty=duty if row % 4 == 1 else None,
            meals=(Meal(3_600.0, 7_200.0, 1_800.0),) if row % 4 == 2 else (),
            outages=(Span(5_000.0, 9_000.0),) if row % 4 == 3 else (),
        )
        for row, unit in enumerate(problem.units)
    ]
    assert_same_log(replace(problem, units=tuple(units)))


def test_the_log_is_the_same_when_the_sheet_is_full_again_and_again(
    small_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ordinary, "ROOM", 2)
    assert_same_log(posed(small_city, 12))


class TestClock:
    def test_events_beside_the_queue_come_first_where_their_number_is_smaller(self) -> None:
        clock, seen = Clock(), []
        numbers = [clock.number() for _ in range(2)]
        beside = [(5.0, numbers[0], "beside, foreseen first")]
        clock.at(5.0, lambda event: seen.append(event.value), "queue")
        beside.append((5.0, clock.number(), "beside, foreseen last"))
        clock.at(6.0, lambda event: seen.append(event.value), "end")

        def deal(until_s: float, until_number: int) -> bool:
            while beside and beside[0][:2] < (until_s, until_number):
                seen.append(beside.pop(0)[2])
            return False

        clock.beside = deal
        clock.run(until=10.0)
        assert seen == ["beside, foreseen first", "queue", "beside, foreseen last", "end"]

    def test_what_was_left_to_others_may_put_something_before_the_next_event(self) -> None:
        clock, seen = Clock(), []
        clock.at(9.0, lambda _: seen.append(("queue", clock.now)), None)
        left = [3.0]

        def deal(until_s: float, until_number: int) -> bool:  # noqa: ARG001
            if not left:
                return False
            clock.advance(left.pop())
            clock.at(4.0, lambda _: seen.append(("asked for", clock.now)), None)
            return True

        clock.beside = deal
        clock.run(until=simpy.core.Infinity)
        assert seen == [("asked for", 4.0), ("queue", 9.0)]


class TestFastest:
    LENGTH_M = np.array([100.0, 400.0])

    def of(self, until_s: list[float]) -> float:
        patrol = Patrol(
            name="any",
            edge=np.array([0, 1, 1], np.int32),
            from_share=np.array([0.0, 0.0, 0.5]),
            to_share=np.array([1.0, 0.5, 0.5]),
            until_s=np.array(until_s),
        )
        return patrol.fastest_m_s(self.LENGTH_M)

    def test_a_patrol_is_as_fast_as_its_fastest_stretch(self) -> None:
        assert self.of([20.0, 30.0, 90.0]) == 20.0

    def test_a_leap_is_infinitely_fast_and_a_stop_is_not(self) -> None:
        assert self.of([20.0, 20.0, 90.0]) == np.inf
        assert self.of([20.0, 40.0, 40.0]) == 10.0


def test_an_hour_begins_at_its_second_whatever_was_asked_before() -> None:
    for start_s in (0.0, 23_400.0, 84_000.415036):
        hours = HourOfWeek(start_s)
        for n in (1, 7, 200):
            begins_s = n * 3_600.0 - start_s % 3_600.0
            for asked_s in (begins_s - 1_800.3, begins_s - 0.1, begins_s + 0.1, begins_s + 1_700.7):
                hour, from_s, until_s = hours.surely(asked_s)
                assert from_s < asked_s < until_s
                assert {hours(s) for s in np.linspace(from_s, np.nextafter(until_s, 0), 50)} == {hour}
                assert until_s <= begins_s or from_s >= begins_s


def test_at_the_full_hour_the_hour_that_begins_counts(small_city: City) -> None:
    """At 07:00 sharp, whatever moment of the hour before was asked for last."""
    run = Run(posed(small_city, 0, start=datetime(2026, 6, 1, 6, 30)))
    roads = run.roads[0]
    for asked_s in np.random.default_rng(135).uniform(0, 1_800, 200).tolist():
        assert run.moment_at(roads, asked_s) == 6
        assert run.moment_at(roads, 1_800.0) == 7
