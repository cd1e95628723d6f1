"""The luck of journeys: drawn before the run by incident and unit, so that policies meet the same."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from played import Call, car, play

from dispatch.engine.luck import JourneyLuck
from dispatch.policies.dispatching import batch, nearest, preempt
from dispatch.streams import key


def factors(seed: int, cv: float, n: int = 40_000) -> np.ndarray:
    luck = JourneyLuck(key(seed, "journeys"), cv)
    return np.array([luck(incident, unit) for incident in range(n // 40) for unit in range(40)])


@pytest.mark.parametrize("cv", [0.1, 0.3, 0.8])
def test_journeys_are_lognormal_around_what_the_dispatcher_expects(cv: float) -> None:
    drawn = factors(135, cv)
    n = len(drawn)
    assert abs(drawn.mean() - 1) < 3.5 * cv / np.sqrt(n)
    sigma = np.sqrt(np.log1p(cv**2))
    logs = np.log(drawn)
    assert abs(logs.mean() + sigma**2 / 2) < 3.5 * sigma / np.sqrt(n)
    assert abs(logs.std() - sigma) < 3.5 * sigma / np.sqrt(2 * n)
    skewness = ((logs - logs.mean()) ** 3).mean() / logs.std() ** 3
    assert abs(skewness) < 3.5 * np.sqrt(6 / n)


def test_units_and_incidents_are_lucky_each_for_itself() -> None:
    logs = np.log(factors(135, 0.3)).reshape(-1, 40)
    least = 4.0 / np.sqrt(logs.size)
    for a, b in [(logs[:, 1:], logs[:, :-1]), (logs[1:], logs[:-1])]:
        assert abs(np.corrcoef(a.reshape(-1), b.reshape(-1))[0, 1]) < least
    assert len(np.unique(logs)) == logs.size


def test_no_variation_no_luck() -> None:
    assert set(factors(135, 0.0, 400)) == {1.0}


def test_another_seed_is_other_luck_and_the_same_the_same() -> None:
    assert (factors(1, 0.3, 400) == factors(1, 0.3, 400)).all()
    assert not (factors(1, 0.3, 400) == factors(2, 0.3, 400)).any()


def test_a_journey_takes_its_luck_and_the_dispatcher_expects_none() -> None:
    run = play([Call(at=4)], [car("A", 0)], journey_cv=0.4, seed=3)
    order, luck = run.order(0, "A"), JourneyLuck(key(3, "journeys"), 0.4)(0, 0)
    assert order.expected_s == 30 + 400
    assert order.arrived_s == pytest.approx(30 + 400 * luck, abs=1e-9)
    assert run.rows("A", "travelling")[0].pace == pytest.approx(luck)
    # back home there is no hurry, and no luck
    ((_, begin_s, end_s),) = run.did("A", "returning")
    assert end_s - begin_s == pytest.approx(400)


def test_policies_that_send_the_same_unit_to_the_same_incident_meet_the_same_luck() -> None:
    calls = [Call(received_s=700.0 * i, at=(3 * i) % 10) for i in range(9)]
    units = [car(f"U{i}", 3 * i) for i in range(4)]
    one, other = (
        play(calls, units, policy=policy, journey_cv=0.5) for policy in (nearest, partial(batch, weights=(1, 1, 1, 9)))
    )
    paces = [
        {(r.incident_id, r.unit_id): r.pace for u in units for r in run.rows(u.id, "travelling")}
        for run in (one, other)
    ]
    both = paces[0].keys() & paces[1].keys()
    assert len(both) >= 5
    assert all(paces[0][pair] == paces[1][pair] for pair in both)


def test_whoever_is_sent_again_to_the_same_incident_has_the_same_luck() -> None:
    """A is called off for a P1 and comes back."""
    calls = [Call(at=5, priority=4), Call(received_s=100, at=0, priority=1, on_scene_s=50)]
    run = play(calls, [car("A", 0)], policy=preempt, journey_cv=0.5)
    first, again = [r.pace for r in run.rows("A", "travelling") if r.incident_id == 0]
    assert first == again
