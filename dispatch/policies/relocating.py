"""Moves to the maximal expected cover: the move-up policy that weighs all units at once."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt
from scipy import sparse

from dispatch.planning.expected import Counts, busy_share
from dispatch.planning.placing import Copies, reach_matrix, solve
from dispatch.policies.situation import Move, Standing
from dispatch.policies.standing_by import Capacity, Group, Share, WayTimes, count_at_posts, groups_of, room_at_posts
from geodata.compiled import compiled
from geodata.network import Bools, Floats

TIE_SHARE_A_S = 1e-8
"""Share of the demand that a second of a move is worth: of equally good moves the shortest are made. Assumed."""
ROUNDING = 1e-12
"""Of shares of the demand."""


def expected_cover(
    standing: Standing,
    *,
    busy: Share | None = None,
    max_moves: NonNegativeInt = 1,
    max_move_s: NonNegativeFloat = 900.0,
    min_gain: NonNegativeFloat = 0.001,
    capacity: Capacity | None = None,
) -> list[Move]:
    """The moves with the largest expected share, less `min_gain` for each of them, by an integer programme.

    f_gj units move from post g, or from where a unit on the way is, to post j, which takes t_gj; y_sk is the k-th unit
    that reaches set s of points, for the numbers k that so many moves can bring about:

        max Σ w_s (1 − q) qᵏ⁻¹ y_sk − Σ (min_gain + TIE_SHARE_A_S t_gj) f_gj
        with  Σ_k y_sk ≤ units that reach s after the moves,  Σ f_gj ≤ max_moves,  f_gj = 0 where t_gj > max_move_s

    After the relocation problem of Gendreau, Laporte and Semet (2006), with the covering terms of Daskin (1983).

    Args:
        standing: what is seen.
        busy: see `dispatch.policies.moving_up`.
        max_moves: at once. One takes milliseconds, several may take seconds where most units are busy. Assumed.
        max_move_s: of each, without siren. Assumed.
        min_gain: of the expected share, by each. Assumed.
        capacity: see `dispatch.policies.moving_up`.
    """
    busy = busy_share(standing.busy_share if busy is None else busy)
    groups = groups_of(standing)
    n_moved = min(max_moves, sum(len(group.units) for group in groups))
    if n_moved <= 0:
        return []
    n_posts = standing.cover.n_posts
    room = None if capacity is None else room_at_posts(capacity, n_posts)
    ways = WayTimes(standing, groups)
    plan = _Plan(standing, groups, ways, busy, n_moved, max_move_s, min_gain, room)
    made, gain = plan.one_by_one()
    while n_moved > 1:
        allowed = plan.may_be_best(gain)
        made = plan.best(allowed)
        if ways.known(made):
            break
    left = [iter(group.units) for group in groups]
    return sorted(Move(next(left[i]), post) for i, post in made)


class _Plan:
    """One decision. A way is a group and the post to which one of its units may move."""

    def __init__(
        self,
        standing: Standing,
        groups: list[Group],
        ways: WayTimes,
        busy: float,
        n_moved: int,
        max_move_s: float,
        min_gain: float,
        room: Counts | None,
    ) -> None:
        self._sets, self._n_posts = standing.cover.sets, standing.cover.n_posts
        self._reach = reach_matrix(self._sets, self._n_posts)
        self._at_post = count_at_posts(standing)
        self._base = np.array([group.post for group in groups])
        self._size = np.array([len(group.units) for group in groups])
        self._ways, self._busy, self._n_moved = ways, busy, n_moved
        self._max_move_s, self._min_gain, self._room = max_move_s, min_gain, room

    def one_by_one(self) -> tuple[list[tuple[int, int]], float]:
        """Ways that are made one after the other, each the best at its time, and what they bring in all."""
        made: list[tuple[int, int]] = []
        at_post, size, total = self._at_post.copy(), self._size.copy(), 0.0
        gain = self._gain(at_post, 1)
        while len(made) < self._n_moved:
            net = np.where(size[:, None] > 0, self._net(gain), -np.inf)
            if self._room is not None:
                net[:, at_post >= self._room] = -np.inf
            group, post = divmod(int(net.argmax()), self._n_posts)
            if net[group, post] <= ROUNDING:
                break
            if self._ways.known([(group, post)]):
                made.append((group, post))
                total += float(net[group, post])
                at_post[self._base[group]] -= 1
                at_post[post] += 1
                size[group] -= 1
                gain = self._gain(at_post, 1)
        return made, total

    def may_be_best(self, gain: float) -> Bools:
        """(n_groups, n_posts) the ways that a plan can hold that brings no less than one that is known: beside each
        there is room for others that bring no more than the best of all."""
        net = self._net(self._gain(self._at_post, self._n_moved))
        allowed = net + (self._n_moved - 1) * max(float(net.max()), 0.0) >= gain - ROUNDING
        if self._room is None:
            # elsewhere a way that brings nothing itself may make room for another
            allowed &= net > 0
        return allowed & (net > -np.inf)

    def best(self, allowed: Bools) -> list[tuple[int, int]]:
        """The ways of the best plan."""
        group, post = np.nonzero(allowed)
        n_ways = len(post)
        if not n_ways:
            return []
        change = _ones(post, self._n_posts) - _ones(self._base[group], self._n_posts)
        per_set = self._reach @ change
        touched = np.flatnonzero(abs(per_set).sum(axis=1))
        now = (self._reach @ self._at_post).astype(np.int64)[touched]
        fewest = np.maximum(now - self._n_moved, 0)
        copies = Copies.of(self._sets.weight[touched], fewest, now + self._n_moved, self._busy)
        limits = sparse.vstack([change, _ones(group, len(self._size)), _ones(0 * post, 1)])
        rows = sparse.block_array([[-per_set[touched], copies.matrix(len(touched))], [limits, None]])
        room = np.full(self._n_posts, np.inf)
        if self._room is not None:
            room = np.maximum(self._room - self._at_post, 0.0)
        high = np.concatenate([now - fewest, room, self._size, [self._n_moved]])
        found = solve(
            np.concatenate([-self._cost()[group, post], copies.value]),
            np.arange(rows.shape[1]) < n_ways,
            np.concatenate([np.minimum(self._size, self._n_moved)[group], np.ones(len(copies.set))]),
            sparse.csr_array(rows),
            np.full(len(high), -np.inf),
            high,
        )
        made = np.repeat(np.arange(n_ways), found[:n_ways].astype(np.int64))
        return list(zip(group[made].tolist(), post[made].tolist(), strict=True))

    def _cost(self) -> Floats:
        """(n_groups, n_posts) what each way takes off the share."""
        cost: Floats = self._min_gain + TIE_SHARE_A_S * self._ways.least
        return cost

    def _gain(self, at_post: Counts, n_moved: int) -> Floats:
        """(n_groups, n_posts) what each way adds to the expected share at most among so many, for one alone exactly
        that."""
        sets, n_posts = self._sets, self._n_posts
        between = np.zeros((n_posts, n_posts))
        _most_gain(sets.first, sets.post, sets.weight, at_post, self._busy, n_moved, between)
        gain: Floats = between[self._base]
        return gain

    def _net(self, gain: Floats) -> Floats:
        """(n_groups, n_posts) gains less their cost, −∞ where there is no way."""
        least = self._ways.least
        can = (least <= self._max_move_s) & (least < math.inf)
        can[np.arange(len(self._base)), self._base] = False
        return np.where(can, gain - np.where(can, self._cost(), 0.0), -np.inf)


@compiled
def _most_gain(first: Any, post: Any, weight: Any, at_post: Any, busy: float, n_moved: int, gain: Any) -> None:
    """Fill (n_posts, n_posts) with what a move from one post to another adds at most to the expected share when n_moved
    are made: the set that it enters has as few other units as may be, the set that it leaves as many. Summed in one
    order on every machine."""
    n_posts = len(at_post)
    power = np.empty(at_post.sum() + n_moved + 1)
    power[0] = 1.0 - busy
    for n in range(1, len(power)):
        power[n] = power[n - 1] * busy
    enters, leaves = np.zeros(n_posts), np.zeros(n_posts)
    for i in range(len(weight)):
        n = 0
        for k in range(first[i], first[i + 1]):
            n += at_post[post[k]]
        more = weight[i] * power[max(n + 1 - n_moved, 0)]
        less = weight[i] * power[max(n + n_moved - 2, 0)]
        for k in range(first[i], first[i + 1]):
            enters[post[k]] += more
            leaves[post[k]] += less
            for m in range(first[i], first[i + 1]):
                gain[post[k], post[m]] += less - more
    for origin in range(n_posts):
        for target in range(n_posts):
            gain[origin, target] += enters[target] - leaves[origin]


def _ones(row: Counts, n_rows: int) -> sparse.csr_array:
    """(n_rows, n) with a one in the given row of each column."""
    n = len(row)
    return sparse.csr_array((np.ones(n), (row, np.arange(n))), shape=(n_rows, n))
