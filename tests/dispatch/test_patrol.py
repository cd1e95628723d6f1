"""A patrol's timeline: where it is at any second, which edges it visits, and how often places are seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.patrol import Patrol, Visits, presence
from geodata.positions import Position

LENGTH_M = np.array([100.0, 250.0, 400.0])


def there_and_back(*, again: bool = True) -> Patrol:
    """From a post in the middle of edge 0 along it into edge 1, a stay of a minute, and back by edge 2 to the post."""
    return Patrol(
        name="round",
        edge=np.array([0, 1, 1, 1, 2, 0], np.int32),
        from_share=np.array([0.5, 0.0, 0.4, 0.4, 0.0, 0.0]),
        to_share=np.array([1.0, 0.4, 0.4, 1.0, 1.0, 0.5]),
        until_s=np.array([10.0, 30.0, 90.0, 120.0, 200.0, 210.0]),
        again=again,
    )


def random_patrol(rng: np.random.Generator, *, again: bool) -> Patrol:
    n = int(rng.integers(1, 12))
    edge = rng.integers(0, 3, n).astype(np.int32)
    shares = rng.integers(0, 3, (2, n)) / 2
    time_s = rng.integers(0, 4, n).astype(float)
    time_s[rng.integers(0, n)] += 1
    return Patrol(
        name="any", edge=edge, from_share=shares[0], to_share=shares[1], until_s=np.cumsum(time_s), again=again
    )


def walk(patrol: Patrol, seconds: float) -> Position:
    """Stretch after stretch, until the time is used up."""
    while True:
        before_s = 0.0
        for i, edge in enumerate(patrol.edge):
            lasts_s = patrol.until_s[i] - before_s
            if seconds < lasts_s:
                done = seconds / lasts_s
                share = (1 - done) * patrol.from_share[i] + done * patrol.to_share[i]
                return Position(int(edge), share * LENGTH_M[edge])
            seconds -= lasts_s
            before_s = patrol.until_s[i]
        if not patrol.again:
            return Position(int(patrol.edge[-1]), patrol.to_share[-1] * LENGTH_M[patrol.edge[-1]])


@pytest.mark.parametrize(
    ("phase_s", "edge", "offset_m"),
    [
        (0.0, 0, 50.0),
        (5.0, 0, 75.0),
        (20.0, 1, 50.0),
        (60.0, 1, 100.0),
        (105.0, 1, 175.0),
        (160.0, 2, 200.0),
        (205.0, 0, 25.0),
    ],
)
def test_where_it_is(phase_s: float, edge: int, offset_m: float) -> None:
    assert there_and_back().at(phase_s, LENGTH_M) == (edge, pytest.approx(offset_m))


def test_it_begins_anew_or_stays_at_its_end() -> None:
    assert there_and_back().at(210.0 * 3 + 5, LENGTH_M) == (0, pytest.approx(75.0))
    assert there_and_back(again=False).at(210.0 * 3 + 5, LENGTH_M) == (0, pytest.approx(50.0))


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_its_place_at_random_seconds_is_that_of_a_slow_walk(seed: int, again: bool) -> None:
    rng = np.random.default_rng(seed)
    patrol = random_patrol(rng, again=again)
    for phase_s in rng.uniform(0, 3 * patrol.length_s, 20).tolist():
        edge, offset_m = walk(patrol, phase_s)
        assert patrol.at(phase_s, LENGTH_M) == (edge, pytest.approx(offset_m, abs=1e-6))


def test_how_far_it_drives() -> None:
    patrol = there_and_back()
    assert patrol.driven_m(LENGTH_M) == pytest.approx(50 + 250 + 400 + 50)
    assert patrol.km_per_hour(LENGTH_M) == pytest.approx(0.75 / (210 / 3600))


def test_a_stay_and_the_way_to_and_from_it_are_one_visit_and_so_is_passing_the_post() -> None:
    seen = there_and_back().visits(0.0, 300.0)
    assert seen.edge.tolist() == [0, 1, 2, 0, 1]
    assert seen.begin_s.tolist() == [0, 10, 120, 200, 220]
    assert seen.end_s.tolist() == [10, 120, 200, 220, 300]


def test_who_drives_a_ring_twice_visits_it_twice() -> None:
    ring = Patrol(
        name="ring",
        edge=np.array([1, 1], np.int32),
        from_share=np.zeros(2),
        to_share=np.ones(2),
        until_s=np.array([30.0, 60.0]),
    )
    assert ring.visits(0.0, 90.0).begin_s.tolist() == [0, 30, 60]


def test_visits_from_one_phase_to_another_begin_and_end_with_them() -> None:
    # the fifth round begins at 840 s
    seen = there_and_back().visits(1_000.0, 1_045.0)
    assert seen.edge.tolist() == [2, 0]
    assert seen.begin_s.tolist() == [1_000, 1_040]
    assert seen.end_s.tolist() == [1_040, 1_045]


def test_after_a_patrol_that_does_not_begin_anew_nothing_is_visited() -> None:
    patrol = there_and_back(again=False)
    assert patrol.visits(190.0, 500.0).end_s.tolist() == [200, 210]
    assert patrol.visits(300.0, 500.0).edge.tolist() == []
    assert patrol.visits(50.0, 50.0).edge.tolist() == []


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_it_is_on_the_edge_that_it_visits_at_every_moment(seed: int, again: bool) -> None:
    rng = np.random.default_rng(seed)
    patrol = random_patrol(rng, again=again)
    from_s, to_s = np.sort(rng.uniform(0, 3 * patrol.length_s, 2)).tolist()
    seen = patrol.visits(from_s, to_s)
    until_s = to_s if again else min(to_s, patrol.length_s)
    assert (seen.begin_s < seen.end_s).all()
    assert (seen.begin_s[1:] == seen.end_s[:-1]).all()
    if from_s < until_s:
        assert seen.begin_s[0] == from_s
        assert seen.end_s[-1] == pytest.approx(until_s)
    for edge, middle_s in zip(seen.edge, (seen.begin_s + seen.end_s) / 2, strict=True):
        assert patrol.at(middle_s, LENGTH_M).edge == edge


def test_gaps_run_from_the_beginning_of_the_span_to_its_end() -> None:
    seen = presence(
        np.array([0, 0, 2]), np.array([100.0, 400.0, 0.0]), np.array([150.0, 450.0, 1_000.0]), 3, 0.0, 1_000.0
    )
    assert seen.visits.tolist() == [2, 0, 1]
    assert seen.longest_gap_s.tolist() == [550, 1_000, 0]


def test_visits_that_overlap_or_touch_are_one() -> None:
    begin_s, end_s = np.array([0.0, 10.0, 20.0, 60.0]), np.array([50.0, 20.0, 40.0, 70.0])
    seen = presence(np.zeros(4, np.int32), begin_s, end_s, 1, 0.0, 70.0)
    assert (seen.visits.tolist(), seen.longest_gap_s.tolist()) == ([2], [10])


def test_where_nobody_patrols_the_gap_is_the_whole_span() -> None:
    none = Visits(np.empty(0, np.int32), np.empty(0), np.empty(0))
    seen = presence(*none, 2, 10.0, 70.0)
    assert (seen.visits.tolist(), seen.longest_gap_s.tolist()) == ([0, 0], [60, 60])


@given(st.integers(0, 2**32 - 1))
def test_presence_agrees_with_a_look_at_every_second(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, span = int(rng.integers(0, 15)), 60
    place, begin = rng.integers(0, 4, n).astype(np.int32), rng.integers(0, span, n)
    end = np.minimum(begin + rng.integers(1, 20, n), span)
    seen = presence(place, begin.astype(float), end.astype(float), 4, 0.0, float(span))
    there = np.zeros((4, span + 1), bool)
    for p, a, b in zip(place, begin, end, strict=True):
        there[p, a:b] = True
    for p in range(4):
        line = "".join("x" if second else "." for second in there[p, :span])
        assert seen.visits[p] == len([part for part in line.split(".") if part])
        assert seen.longest_gap_s[p] == max(len(part) for part in line.split("x"))


@pytest.mark.parametrize("until_s", [[0.0, 0.0], [5.0, 3.0], [-1.0, 3.0], [1.0]])
def test_a_timeline_that_takes_no_time_or_runs_backwards_is_refused(until_s: list[float]) -> None:
    with pytest.raises(ValueError, match="patrol bad"):
        Patrol(
            name="bad",
            edge=np.zeros(2, np.int32),
            from_share=np.zeros(2),
            to_share=np.ones(2),
            until_s=np.array(until_s),
        )
