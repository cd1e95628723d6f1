"""Who is moved to which post: by hand, and against all moves that could be made in small cases."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.cover import Cover
from dispatch.planning.expected import expected_share
from dispatch.planning.placing import best_tables, greedy_table
from dispatch.policies.moving_up import MOVE_UPS, Least, compliance_table, dmexclp
from dispatch.policies.relocating import TIE_SHARE_A_S, expected_cover
from dispatch.policies.situation import Move, Standing, Units
from geodata.matrix import MatrixTravel


def cover_of(reached: Sequence[Sequence[int]], weight: Sequence[float], between_s: np.ndarray) -> Cover:
    """What each post reaches, and the time from post to post."""
    within = np.zeros((len(reached), len(weight)), bool)
    for post, points in enumerate(reached):
        within[post, list(points)] = True
    return Cover(
        time_s=np.where(within, 100.0, np.inf),
        limit_s=np.full(len(weight), 180.0),
        weight=np.array(weight),
        between_s=between_s,
    )


def standing_of(
    cover: Cover,
    heading: Sequence[int],
    *,
    freed: int = -1,
    idle: Sequence[int] | None = None,
    home: Sequence[int] | None = None,
    away: dict[int, int] | None = None,
    alone: Sequence[bool] | None = None,
    times_s: np.ndarray | None = None,
    busy_share: float = 0.5,
) -> Standing:
    """Units that stand at the post they head for, but for those away at a place; engaged ones head for none."""
    n, away = len(heading), away or {}
    travel = MatrixTravel(cover.between_s if times_s is None else times_s, anchors=list(range(cover.n_posts)))
    post = np.array([-1 if unit in away else at for unit, at in enumerate(heading)], np.int32)
    units: Any = Units(*[None] * len(Units._fields))
    return Standing(
        now_s=0.0,
        hour=0,
        freed=freed,
        idle=np.array([i for i in range(n) if heading[i] >= 0 or i in away] if idle is None else idle, np.int64),
        heading=np.array(heading, np.int32),
        home=np.array([max(h, 0) for h in heading] if home is None else home),
        busy_share=busy_share,
        cover=cover,
        units=units._replace(
            positions=travel.places([away.get(unit, max(at, 0)) for unit, at in enumerate(heading)]),
            post=post,
            kind=np.zeros(n, np.uint8),
            acts_alone=np.ones(n, bool) if alone is None else np.array(alone),
        ),
        travel=[travel],
        posts=list(travel.places(range(cover.n_posts))),
    )


LINE_S = 300.0 * abs(np.arange(3)[:, None] - np.arange(3))
"""Three posts five minutes from one another along a road."""


@pytest.fixture
def line() -> Cover:
    """Each post reaches the points around it: 0.5, 0.2 and 0.2 of the demand; the last two reach 0.1 in common."""
    return cover_of([[0], [1, 3], [2, 3]], [0.5, 0.2, 0.2, 0.1], LINE_S)


def test_a_freed_unit_goes_where_it_adds_most_by_hand(line: Cover) -> None:
    """Busy 50 %. At the first post two others stand: there it adds 0.5 · 0.5 · 0.25 = 0.0625. At the second one stands:
    0.5 · 0.5 (0.2 + 0.1) = 0.075. At the third none, but its last point is reached once: 0.5 (0.2 + 0.05) = 0.125."""
    freed = standing_of(line, [0, 0, 1, -1], freed=3, away={3: 0}, home=[0, 0, 1, 0])
    assert dmexclp(freed) == [Move(3, 2)]
    assert dmexclp(freed, min_gain=0.0624) == [Move(3, 2)]
    assert dmexclp(freed, min_gain=0.0626) == []
    assert dmexclp(freed, max_move_s=599) == [Move(3, 1)]
    assert dmexclp(freed, max_move_s=299) == []
    assert dmexclp(freed, capacity=(3, 2, 0)) == [Move(3, 1)]


def test_the_share_of_time_that_units_are_busy_decides(line: Cover) -> None:
    """Hardly ever busy, a unit at the third post alone adds anything; busy 90 %, the third one at the first post adds
    0.1 · 0.5 · 0.81 = 0.0405, one at the third 0.1 (0.2 + 0.09) = 0.029."""
    freed = standing_of(line, [0, 0, 1, -1], freed=3, away={3: 1}, home=[0, 0, 1, 1], busy_share=0.9)
    assert dmexclp(freed) == [Move(3, 0)]
    assert dmexclp(freed, busy=0.01) == [Move(3, 2)]
    assert dmexclp(freed, busy=1.0) == []


def test_it_goes_home_if_no_post_is_better_and_nobody_moves_when_a_unit_was_sent(line: Cover) -> None:
    assert dmexclp(standing_of(line, [0, 1, -1], freed=2, away={2: 0}, home=[0, 1, 2])) == []
    assert dmexclp(standing_of(line, [0, 0, 0])) == []
    assert dmexclp(standing_of(line, [0, 0, -1], freed=2, away={2: 0}, idle=[0, 1])) == []


def test_units_that_may_not_act_alone_neither_count_nor_move(line: Cover) -> None:
    for alone, moves in (([True] * 4, []), ([True, True, False, True], [Move(3, 2)])):
        seen = standing_of(line, [0, 1, 2, -1], freed=3, away={3: 0}, alone=alone, home=[0, 1, 2, 0])
        assert dmexclp(seen, busy=0.1) == moves
    helper = standing_of(line, [0, 0, 0, -1], freed=3, away={3: 0}, alone=[True] * 3 + [False])
    assert dmexclp(helper) == []
    crowd = standing_of(line, [0, 0, 0], alone=[True, False, False])
    assert expected_cover(crowd, max_moves=3) == []
    assert compliance_table(crowd, table=((0,), (1, 2), (1, 2, 0))) == []


def test_expected_cover_by_hand(line: Cover) -> None:
    """Three at the first post, busy 50 %: of 0.4375 a move to the second adds 0.15 and takes 0.0625; one to the third
    from then on adds 0.125 and takes 0.125: 0.0875 for one move, nothing more for two."""
    crowd = standing_of(line, [0, 0, 0])
    assert expected_share(line, np.array([3, 0, 0]), 0.5) == pytest.approx(0.4375)
    assert expected_share(line, np.array([2, 1, 0]), 0.5) == pytest.approx(0.4375 + 0.0875)
    assert expected_cover(crowd, max_moves=2) == [Move(0, 1)]
    assert expected_cover(crowd, min_gain=0.087) == [Move(0, 1)]
    assert expected_cover(crowd, min_gain=0.088) == []
    assert expected_cover(crowd, max_moves=0) == []
    assert expected_cover(crowd, max_move_s=299.0) == []
    assert expected_cover(crowd, busy=0.1, max_moves=2) == [Move(0, 1), Move(1, 2)]
    assert expected_cover(crowd, busy=0.1, max_move_s=300.0) == [Move(0, 1)]
    assert expected_cover(crowd, busy=1.0) == []


def test_full_posts_get_nobody_unless_somebody_leaves(line: Cover) -> None:
    """From the third post the second is five minutes away: room is made there for one from the first."""
    seen = standing_of(line, [0, 0, 0, 1, 1])
    assert expected_cover(seen, busy=0.1, capacity=(3, 2, 2), max_move_s=300.0, max_moves=1) == [Move(3, 2)]
    full = standing_of(line, [0, 0, 1], idle=[0, 1])
    assert expected_cover(full, busy=0.1, capacity=(2, 1, 0)) == []


def lawful_plans(standing: Standing, max_moves: int, max_move_s: float, way_s: np.ndarray) -> list[dict[int, int]]:
    units = standing.idle.tolist()
    base = np.where(standing.heading < 0, standing.home, standing.heading)
    posts = range(standing.cover.n_posts)
    ways = [(u, p) for u in units for p in posts if p != base[u] and way_s[u, p] <= max_move_s]
    chosen = itertools.chain.from_iterable(itertools.combinations(ways, k) for k in range(max_moves + 1))
    return [dict(plan) for plan in chosen if len(dict(plan)) == len(plan)]


@settings(max_examples=60)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3),
    st.sampled_from([0.0, 0.3, 0.8]),
    st.sampled_from([0.0, 0.002, 0.03]),
    st.sampled_from([250.0, 600.0, 5000.0]),
    st.booleans(),
)
def test_expected_cover_is_the_best_of_all_plans(
    seed: int, max_moves: int, busy: float, min_gain: float, max_move_s: float, limited: bool
) -> None:
    rng = np.random.default_rng(seed)
    posts, points, n, places = 4, 10, 5, 7
    xy = rng.uniform(0, 900, (places, 2))
    times_s = np.hypot(*(xy[:, None] - xy).transpose(2, 0, 1))
    weight = rng.exponential(size=points)
    cover = Cover(
        time_s=rng.uniform(0, 400, (posts, points)),
        limit_s=np.full(points, 180.0),
        weight=weight / weight.sum(),
        between_s=times_s[:posts, :posts],
    )
    heading = rng.integers(0, posts, n)
    heading[0] = -1
    home = np.where(heading < 0, 3, heading)
    away = {0: int(rng.integers(0, places)), 1: int(rng.integers(0, places))}
    standing = standing_of(cover, heading, freed=0, away=away, idle=[0, 1, 2, 3], home=home, times_s=times_s)
    way_s = np.array([times_s[away.get(unit, home[unit]), :posts] for unit in range(n)])
    capacity = tuple(rng.integers(1, 4, posts).tolist()) if limited else None
    now = np.bincount(home, minlength=posts)

    def worth(plan: dict[int, int]) -> float:
        after = now.copy()
        for unit, post in plan.items():
            after[home[unit]] -= 1
            after[post] += 1
        if capacity is not None and (after > np.maximum(capacity, now)).any():
            return -math.inf
        seconds = sum(way_s[unit, post] for unit, post in plan.items())
        return expected_share(cover, after, busy) - min_gain * len(plan) - TIE_SHARE_A_S * seconds

    options = {"busy": busy, "max_moves": max_moves, "max_move_s": max_move_s, "min_gain": min_gain}
    found = dict(expected_cover(standing, capacity=capacity, **options))
    best = max(worth(plan) for plan in lawful_plans(standing, max_moves, max_move_s, way_s))
    assert len(found) <= max_moves
    assert all(way_s[unit, post] <= max_move_s and home[unit] != post for unit, post in found.items())
    assert worth(found) == pytest.approx(best, abs=2e-6)


def test_of_equally_good_moves_the_shortest_are_made() -> None:
    """Two posts alike, each with a unit too many; one is nearer to the post that nobody stands at."""
    between_s = np.array([[0.0, 50, 400], [50, 0, 200], [400, 200, 0]])
    cover = cover_of([[0], [1], [2]], [0.3, 0.3, 0.4], between_s)
    assert expected_cover(standing_of(cover, [0, 0, 1, 1]), busy=0.1, max_moves=1) == [Move(2, 2)]


def test_a_table_is_complied_with_by_the_shortest_moves(line: Cover) -> None:
    """Wanted at 1 and 2, standing at 0 and 1: 600 s in all either way; the longest is least if each goes one on."""
    table = ((1,), (2, 1))
    seen = standing_of(line, [0, 1])
    moves = compliance_table(seen, table=table)
    assert moves in ([Move(0, 2)], [Move(0, 1), Move(1, 2)])
    assert compliance_table(seen, table=table, least=Least.LONGEST) == [Move(0, 1), Move(1, 2)]
    assert compliance_table(seen, table=table, max_move_s=300.0) == [Move(0, 1), Move(1, 2)]
    assert compliance_table(standing_of(line, [1, 2]), table=table) == []


def test_a_table_is_complied_with_as_far_as_the_limits_allow(line: Cover) -> None:
    table = ((0,), (0, 1), (0, 2, 1), (0, 2, 1, 1))
    crowd = standing_of(line, [0, 0, 0])
    assert sorted(post for _, post in compliance_table(crowd, table=table)) == [1, 2]
    [(_, post)] = compliance_table(crowd, table=table, max_moves=1)
    assert post == 2
    [(_, post)] = compliance_table(crowd, table=table, max_move_s=300.0)
    assert post == 1
    assert compliance_table(crowd, table=table, max_moves=0) == []
    # the unit that may not be moved holds the place at the third post
    held = standing_of(line, [2, 0, 0], idle=[1, 2])
    [(unit, post)] = compliance_table(held, table=table)
    assert (unit in (1, 2), post) == (True, 1)
    # with more units than the table has rows the last one holds, and the others stay
    assert compliance_table(standing_of(line, [0, 2, 1, 1, 1]), table=table) == []
    # (0.1375 + 0.0125) for two moves
    assert compliance_table(crowd, table=table, min_gain=0.08) == []
    with pytest.raises(ValueError, match="expected rows below 3"):
        compliance_table(crowd, table=((0,), (0, 1), (0, 1, 3)))


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.sampled_from([300.0, 700.0, 5000.0]), st.sampled_from(list(Least)))
def test_moves_to_a_table_are_the_best_of_all_assignments(seed: int, max_move_s: float, least: Least) -> None:
    rng = np.random.default_rng(seed)
    posts, n, places = 4, 4, 6
    xy = rng.uniform(0, 900, (places, 2))
    times_s = np.hypot(*(xy[:, None] - xy).transpose(2, 0, 1))
    cover = cover_of([[0], [1], [2], [3]], [0.25] * 4, times_s[:posts, :posts])
    heading, away = rng.integers(0, posts, n), {0: 4, 2: 5}
    row = tuple(rng.integers(0, posts, n).tolist())
    standing = standing_of(cover, heading, away=away, times_s=times_s)
    way_s = np.array([times_s[away.get(unit, heading[unit]), :posts] for unit in range(n)])
    way_s[np.arange(n), heading] = 0

    def judged(who: Sequence[int]) -> tuple[Any, ...]:
        """Which places stay empty, the most important first; then the seconds."""
        seconds = [way_s[unit, post] for unit, post in zip(who, row, strict=True)]
        filled = [s for s in seconds if s <= max_move_s]
        longest = max(filled, default=0.0) if least is Least.LONGEST else 0.0
        return [s > max_move_s for s in seconds], round(longest, 6), round(sum(filled), 6)

    best = min(map(judged, itertools.permutations(range(n))))
    moves = compliance_table(standing, table=(row,), max_moves=n, max_move_s=max_move_s, least=least)
    chosen = [way_s[unit, post] for unit, post in moves]
    after = heading.copy()
    for unit, post in moves:
        after[unit] = post
    stay_empty = sum(np.maximum(np.bincount(row, minlength=posts) - np.bincount(after, minlength=posts), 0))
    assert stay_empty == sum(best[0])
    assert max(chosen, default=0.0) <= max_move_s
    assert round(sum(chosen), 6) == pytest.approx(best[2], abs=1e-5)
    if least is Least.LONGEST:
        assert max(chosen, default=0.0) == pytest.approx(best[1], abs=1e-5)


def test_tables_made_from_expected_cover_are_followed(line: Cover) -> None:
    for table in (greedy_table(line, 3, 0.1), best_tables(line, 3, 0.1), best_tables(line, 3, 0.1, nested=True)):
        moves = compliance_table(standing_of(line, [0, 0, 0]), table=table)
        assert sorted(post for _, post in moves) == [1, 2]


def test_policies_change_nothing_and_answer_the_same_again(line: Cover) -> None:
    seen = standing_of(line, [0, 0, 0, -1], freed=3, away={3: 0}, home=[0, 0, 0, 0])
    seen.heading.setflags(write=False)
    seen.idle.setflags(write=False)
    for name, options in (
        ("dmexclp", {}),
        ("expected_cover", {}),
        ("compliance_table", {"table": ((0,), (0, 1), (0, 1, 2))}),
    ):
        assert MOVE_UPS[name](seen, **options) == MOVE_UPS[name](seen, **options)


def test_a_decision_for_a_freed_unit_takes_microseconds() -> None:
    """60 posts, 240 units, 2,086 points. 0.1 ms is aimed at; the bound leaves room for a busy machine."""
    rng = np.random.default_rng(1)
    n_posts, n_points, n = 60, 2_086, 240
    points, posts = rng.uniform(0, 11_000, (n_points, 2)), rng.uniform(0, 11_000, (n_posts, 2))
    way_m = [np.hypot(*(posts[:, None] - other).transpose(2, 0, 1)) for other in (points, posts)]
    cover = Cover(
        time_s=30 + 0.12 * way_m[0],
        limit_s=np.full(n_points, 300.0),
        weight=np.full(n_points, 1 / n_points),
        between_s=0.16 * way_m[1],
    )
    heading = rng.integers(0, n_posts, n)
    heading[7] = -1
    seen = standing_of(cover, heading, freed=7, away={7: 3})
    dmexclp(seen)
    took_s = []
    for _ in range(20):
        begun = time.perf_counter()
        dmexclp(seen)
        took_s.append(time.perf_counter() - begun)
    assert min(took_s) < 5e-4
