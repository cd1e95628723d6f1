"""Who takes over a journey on the way."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from situations import MONDAY_8, after_s, random_positions, random_situation

from dispatch.policies.relieving import nearer
from dispatch.policies.situation import Journey, Relief

NOW_S = 1_000.0


def random_relief(seed: int) -> Relief:
    """Unit 0 has become free; others are on their way, and are expected after 10 to 900 s."""
    rng = np.random.default_rng(seed)
    situation = random_situation(seed)
    n = int(rng.integers(0, 6))
    journeys = [
        Journey(i, 1 + i, target, int(rng.integers(1, 8)), NOW_S + float(rng.uniform(10, 900)))
        for i, target in enumerate(random_positions(situation.travel[0].network, rng, n))
    ]
    units = situation.units._replace(incident=np.full(len(situation.units.post), -1))
    return Relief(NOW_S, MONDAY_8, 0, journeys, units, situation.travel)


def gains(relief: Relief) -> dict[int, float]:
    """The share that each journey gains, exhaustively, of those whose role the unit can fill."""
    at = random_situation(0)._replace(units=relief.units, travel=relief.travel)
    return {
        j.incident: 1 - after_s(at, 0, at.call._replace(target=j.target)) / (j.arrives_s - relief.now_s)
        for j in relief.journeys
        if j.role >> int(relief.units.kind[0]) & 1
    }


@settings(max_examples=80)
@given(st.integers(0, 2**32 - 1))
def test_the_journey_that_gains_the_largest_share_is_taken_over(seed: int) -> None:
    relief = random_relief(seed)
    share = gains(relief)
    orders = nearer(relief, gain=0.3)
    if max(share.values(), default=0.0) <= 0.3:
        assert orders == []
        return
    (order,) = orders
    assert share[order.incident] == pytest.approx(max(share.values()), abs=1e-9)
    assert (order.unit, order.relieves) == (0, 1 + order.incident)


def one_journey(turn_out_s: float, left_s: float, role: int = 1, unit: int = 1) -> Relief:
    """The unit stands where the other is to go."""
    relief = random_relief(0)
    units = relief.units._replace(
        turn_out_s=np.full(len(relief.units.post), turn_out_s), kind=np.zeros(len(relief.units.post), np.uint8)
    )
    journey = Journey(7, unit, units.positions[0], role, NOW_S + left_s)
    return relief._replace(journeys=[journey], units=units)


def test_the_gain_must_be_more_than_the_set_share_of_the_time_still_to_go() -> None:
    """30 of 60 s: a half."""
    relief = one_journey(30.0, 60.0)
    (order,) = partial(nearer, gain=0.49)(relief)
    assert (order.unit, order.incident, order.relieves, order.when_free) == (0, 7, 1, False)
    assert order.drive.time_s == pytest.approx(0, abs=1e-9)
    assert partial(nearer, gain=0.5)(relief) == []


def test_a_kind_that_will_not_do_relieves_nobody() -> None:
    assert nearer(one_journey(0.0, 600.0, role=0b10)) == []
    assert len(nearer(one_journey(0.0, 600.0, role=0b11))) == 1


def test_nobody_relieves_themselves_or_one_who_is_as_good_as_there() -> None:
    assert nearer(one_journey(0.0, 600.0, unit=0)) == []
    assert nearer(one_journey(0.0, 0.0)) == []
    assert nearer(one_journey(15.0, -20.0)) == []
    assert nearer(one_journey(0.0, 600.0)._replace(journeys=[])) == []
