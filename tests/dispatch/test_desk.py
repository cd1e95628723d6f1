"""Desks: calls are answered in the order received, each by the first desk that is free."""

from __future__ import annotations

import numpy as np
import pytest
from played import Call, car, play

from dispatch.engine.desk import answered_s

RECEIVED_S = np.array([0.0, 10.0, 20.0, 500.0])
DESK_S = np.array([60.0, 30.0, 60.0, 60.0])


@pytest.mark.parametrize(
    ("desks", "answered"),
    [(0, [0, 10, 20, 500]), (1, [0, 60, 90, 500]), (2, [0, 10, 40, 500]), (3, [0, 10, 20, 500])],
)
def test_a_call_waits_for_the_first_free_desk(desks: int, answered: list[float]) -> None:
    assert answered_s(RECEIVED_S, DESK_S, desks).tolist() == answered


def test_nobody_calls() -> None:
    assert len(answered_s(np.empty(0), np.empty(0), 2)) == 0


def test_never_more_calls_at_a_time_than_desks() -> None:
    rng = np.random.default_rng(135)
    received_s, desk_s = np.sort(rng.uniform(0, 5_000, 300)), rng.exponential(60, 300)
    begins_s = answered_s(received_s, desk_s, 3)
    at_desks = (begins_s <= begins_s[:, None]) & (begins_s[:, None] < begins_s + desk_s)
    assert at_desks.sum(axis=1).max() == 3
    assert (begins_s >= received_s).all()
    assert (np.diff(begins_s) >= 0).all()
    # nobody waits while a desk is free
    waits = begins_s > received_s
    busy_before = (begins_s < begins_s[:, None]) & (begins_s[:, None] <= begins_s + desk_s + 1e-9)
    assert (busy_before.sum(axis=1)[waits] >= 3).all()


def test_the_desk_is_the_bottleneck_and_no_car() -> None:
    """Two calls at once and a car at each place: with one desk the second is ordered a minute later."""
    calls = [Call(at=0, desk_s=60.0), Call(at=5, desk_s=60.0)]
    run = play(calls, [car("A", 0), car("B", 5)], desks=1)
    assert [(i.answered_s, i.ready_s, i.ordered_s) for i in run.incidents] == [(0, 60, 60), (60, 120, 120)]


def test_a_second_call_about_the_same_incident_keeps_its_desk() -> None:
    calls = [Call(at=0, desk_s=60.0), Call(at=0, desk_s=60.0, duplicate_of=0), Call(at=0, desk_s=60.0)]
    run = play(calls, [car("A", 0), car("B", 0)], desks=1)
    assert [i.ready_s for i in run.incidents] == [60, 120, 180]


def test_urgency_does_not_count_before_the_desk_has_heard_of_it() -> None:
    calls = [Call(priority=4, desk_s=60.0), Call(received_s=1.0, priority=1, desk_s=60.0)]
    run = play(calls, [car("A", 0)], desks=1)
    assert [i.answered_s for i in run.incidents] == [0, 60]
