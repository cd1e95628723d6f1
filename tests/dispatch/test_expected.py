"""Expected coverage and the placements that are best by it: by hand, and against all placements of small cases."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.cover import Cover
from dispatch.planning.expected import (
    expected_by_point,
    expected_by_point_of_units,
    expected_share,
    expected_share_of_units,
    marginal_shares,
    reached_share,
    reaching,
)
from dispatch.planning.placing import best_placement, best_tables, greedy_table, ranked

BUSY = st.floats(0, 0.95)


def small_cover(seed: int, posts: int = 4, points: int = 9) -> Cover:
    """Posts that reach about two points in five; some demand that nobody reaches."""
    rng = np.random.default_rng(seed)
    weight = rng.exponential(size=points)
    return Cover(
        time_s=rng.uniform(0, 500, (posts, points)),
        limit_s=np.full(points, 200.0),
        weight=weight / weight.sum(),
        between_s=rng.uniform(100, 900, (posts, posts)) * (1 - np.eye(posts)),
    )


def placements(posts: int, units: int) -> list[np.ndarray]:
    chosen = itertools.combinations_with_replacement(range(posts), units)
    return [np.bincount(np.array(posts_, int), minlength=posts) for posts_ in chosen]


@pytest.fixture
def three_points() -> Cover:
    """The first of two posts reaches the first two points within their limit, the second the last two."""
    return Cover(
        time_s=np.array([[100.0, 180.0, 301.0], [400.0, 180.0, 300.0]]),
        limit_s=np.array([300.0, 180.0, 300.0]),
        weight=np.array([0.5, 0.3, 0.2]),
        between_s=np.array([[0.0, 200.0], [200.0, 0.0]]),
    )


def test_expected_share_by_hand(three_points: Cover) -> None:
    """Two units at the first post and one at the second, each busy 40 % of the time: the points are reached by 2, 3 and
    1 units, covered with probability 1 − 0.16, 1 − 0.064 and 1 − 0.4; in all 0.42 + 0.2808 + 0.12 = 0.8208."""
    at_post = np.array([2, 1])
    assert reaching(three_points, at_post).tolist() == [2, 3, 1]
    assert expected_by_point(three_points, at_post, 0.4) == pytest.approx([0.84, 0.936, 0.6])
    assert expected_share(three_points, at_post, 0.4) == pytest.approx(0.8208)


def test_marginal_share_by_hand(three_points: Cover) -> None:
    """One more at the first post adds 0.6 (0.5 · 0.16 + 0.3 · 0.064), at the second 0.6 (0.3 · 0.064 + 0.2 · 0.4)."""
    assert marginal_shares(three_points, np.array([2, 1]), 0.4) == pytest.approx([0.05952, 0.05952])
    assert marginal_shares(three_points, np.array([0, 0]), 0.4) == pytest.approx([0.48, 0.3])


def test_double_coverage_by_hand(three_points: Cover) -> None:
    at_post = np.array([2, 1])
    assert reached_share(three_points, at_post) == pytest.approx(1.0)
    assert reached_share(three_points, at_post, 2) == pytest.approx(0.8)
    assert reached_share(three_points, at_post, 3) == pytest.approx(0.3)
    assert reached_share(three_points, at_post > 0, 2) == pytest.approx(0.3)


def test_units_that_are_not_equally_busy_by_hand(three_points: Cover) -> None:
    """Busy 0.5 and 0.2 at the first post, 0.9 at the second."""
    post, busy = np.array([0, 0, 1]), np.array([0.5, 0.2, 0.9])
    assert expected_by_point_of_units(three_points, post, busy) == pytest.approx([0.9, 0.91, 0.1])
    assert expected_share_of_units(three_points, post, busy) == pytest.approx(0.45 + 0.273 + 0.02)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=4, max_size=4), BUSY)
def test_units_equally_busy_are_one_case_of_units_that_are_not(seed: int, at: list[int], busy: float) -> None:
    cover, at_post = small_cover(seed), np.array(at)
    post = np.repeat(np.arange(4), at_post)
    of_units = expected_share_of_units(cover, post, np.full(len(post), busy))
    assert of_units == pytest.approx(expected_share(cover, at_post, busy), abs=1e-12)


@given(st.integers(0, 10_000), st.lists(st.integers(0, 3), min_size=4, max_size=4), BUSY, st.integers(0, 3))
def test_a_further_unit_adds_its_marginal_share_which_falls_with_every_unit(
    seed: int, at: list[int], busy: float, where: int
) -> None:
    cover, at_post = small_cover(seed), np.array(at)
    more = at_post + np.eye(4, dtype=int)
    gains = [expected_share(cover, with_one, busy) - expected_share(cover, at_post, busy) for with_one in more]
    marginal = marginal_shares(cover, at_post, busy)
    assert marginal == pytest.approx(gains, abs=1e-12)
    assert (marginal_shares(cover, more[where], busy) <= marginal + 1e-15).all()


def test_with_units_never_busy_it_is_plain_coverage_and_with_units_always_busy_none(three_points: Cover) -> None:
    assert expected_share(three_points, np.array([1, 0]), 0.0) == pytest.approx(0.8)
    assert expected_share(three_points, np.array([5, 5]), 1.0) == 0
    assert marginal_shares(three_points, np.array([1, 0]), 0.0) == pytest.approx([0, 0.2])


@pytest.mark.parametrize("busy", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("seed", range(6))
def test_the_best_placement_is_the_best_of_all(seed: int, busy: float) -> None:
    cover = small_cover(seed)
    for units in (1, 2, 4, 5):
        found = best_placement(cover, units, busy)
        assert found.sum() == units
        best = max(expected_share(cover, p, busy) for p in placements(4, units))
        assert expected_share(cover, found, busy) == pytest.approx(best, abs=2e-6)


@pytest.mark.parametrize("seed", range(6))
def test_no_more_stand_at_a_post_than_there_is_room_for(seed: int) -> None:
    cover, room = small_cover(seed), np.array([1, 2, 1, 0])
    found = best_placement(cover, 3, 0.4, capacity=room.tolist())
    lawful = [p for p in placements(4, 3) if (p <= room).all()]
    assert (found <= room).all()
    assert expected_share(cover, found, 0.4) == pytest.approx(
        max(expected_share(cover, p, 0.4) for p in lawful), abs=2e-6
    )
    assert (np.bincount(greedy_table(cover, 4, 0.4, capacity=room.tolist())[-1], minlength=4) == room).all()


@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.4, 0.8]))
def test_the_greedy_table_is_nested_and_near_the_exact_one(seed: int, busy: float) -> None:
    cover = small_cover(seed, posts=5, points=12)
    greedy, exact = greedy_table(cover, 4, busy), best_tables(cover, 4, busy)
    for n, (mine, best) in enumerate(zip(greedy, exact, strict=True), start=1):
        assert mine == greedy[-1][:n]
        assert len(best) == n
        mine_share, best_share = (expected_share(cover, np.bincount(p, minlength=5), busy) for p in (mine, best))
        assert best_share >= mine_share - 2e-6
        assert mine_share >= (1 - 1 / math.e) * best_share - 2e-6


@pytest.mark.parametrize("seed", range(4))
def test_the_exact_nested_table_is_the_best_of_all_orders(seed: int) -> None:
    cover, busy, likelihood = small_cover(seed), 0.4, np.array([0.1, 0.6, 0.3])

    def worth(order: tuple[int, ...]) -> float:
        counts = [np.bincount(order[:n], minlength=4) for n in (1, 2, 3)]
        return sum(p * expected_share(cover, c, busy) for p, c in zip(likelihood, counts, strict=True))

    table = best_tables(cover, 3, busy, nested=True, likelihood=likelihood)
    assert [row == table[-1][: len(row)] for row in table] == [True] * 3
    best = max(worth(order) for order in itertools.product(range(4), repeat=3))
    assert worth(table[-1]) == pytest.approx(best, abs=5e-6)


def test_a_placement_is_ranked_by_what_each_unit_adds(three_points: Cover) -> None:
    assert ranked(three_points, np.array([2, 1]), 0.4) == (0, 0, 1)
    assert ranked(three_points, np.array([1, 2]), 0.0) == (0, 1, 1)


def test_numbers_that_cannot_be_are_refused(three_points: Cover) -> None:
    with pytest.raises(ValueError, match="busy share of"):
        expected_share(three_points, np.array([1, 1]), 1.2)
    with pytest.raises(ValueError, match="expected 2, none below 0"):
        reaching(three_points, np.array([1, 1, 1]))
    with pytest.raises(ValueError, match="as many"):
        expected_share_of_units(three_points, np.array([0]), np.array([0.2, 0.3]))
    with pytest.raises(ValueError, match="expected 1 to 3"):
        best_placement(three_points, 4, 0.4, capacity=[2, 1])
    with pytest.raises(ValueError, match="capacity"):
        greedy_table(three_points, 2, 0.4, capacity=[2])
    with pytest.raises(ValueError, match="likelihood"):
        best_tables(three_points, 2, 0.4, nested=True, likelihood=np.ones(3))
