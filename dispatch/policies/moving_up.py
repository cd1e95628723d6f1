"""Move-up policies: which free units stand by at other posts. A policy reads what is standing and returns moves; it
changes nothing.

A unit counts at the post where it stands or to which it drives; one that drives to none yet counts at its home. Those
that may not act alone stop no clock: they count nowhere, and are not moved. `busy` is everywhere the share of time that
a unit is engaged, by which expected cover is reckoned (`dispatch.planning.expected`); None: as all units have been so
far in the run. `capacity` is the number of units that may stand at each post; None: any.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum

import numpy as np
from pydantic import NonNegativeFloat, NonNegativeInt
from scipy.optimize import linear_sum_assignment

from dispatch.planning.expected import Counts, expected_share, marginal_shares
from dispatch.policies.relocating import expected_cover
from dispatch.policies.situation import Move, Standing
from dispatch.policies.standing_by import (
    Capacity,
    Share,
    WayTimes,
    base_post,
    count_at_posts,
    groups_of,
    room_at_posts,
    way_s,
)
from geodata.network import Floats

FAR_S = 1e7
"""What the least important post of a table is worth that nobody can get to; more than all moves together take."""


class Least(StrEnum):
    """What the moves to the posts of a table make least."""

    TOTAL = "total"
    """The time of all moves."""
    LONGEST = "longest"
    """The time of the longest, so that the table is complied with soonest; and then the time of all."""


def dmexclp(
    standing: Standing,
    *,
    busy: Share | None = None,
    max_move_s: NonNegativeFloat = math.inf,
    min_gain: NonNegativeFloat = 0.0,
    capacity: Capacity | None = None,
) -> list[Move]:
    """The unit that has just become free goes to the post where it raises the expected share most, Σ wᵢ (1 − q) qⁿ⁽ⁱ⁾
    over the points that the post reaches, where n(i) other free units reach point i; and nobody else moves. Jagtenberg,
    Bhulai and van der Mei, An efficient heuristic for real-time ambulance redeployment, Operations Research for Health
    Care 4 (2015).

    Args:
        standing: what is seen.
        busy: see above.
        max_move_s: posts that it would take longer to get to, without siren, are passed over.
        min_gain: it goes where it would go anyhow unless another post is better by more than this share.
        capacity: see above.
    """
    unit = standing.freed
    if unit < 0 or not standing.units.acts_alone[unit] or unit not in standing.idle:
        return []
    cover, base, at_post = standing.cover, base_post(standing, unit), count_at_posts(standing)
    at_post[base] -= 1
    gain = marginal_shares(cover, at_post, standing.busy_share if busy is None else busy)
    least = gain[base] + min_gain
    if capacity is not None:
        gain[at_post >= room_at_posts(capacity, cover.n_posts)] = -math.inf
    while gain[post := int(gain.argmax())] > least:
        if max_move_s == math.inf or way_s(standing, unit, post) <= max_move_s:
            return [Move(unit, post)]
        gain[post] = -math.inf
    return []


def compliance_table(
    standing: Standing,
    *,
    table: tuple[tuple[NonNegativeInt, ...], ...],
    least: Least = Least.TOTAL,
    busy: Share | None = None,
    max_moves: NonNegativeInt = 2,
    max_move_s: NonNegativeFloat = 900.0,
    min_gain: float = -math.inf,
) -> list[Move]:
    """The moves that bring the free units to the posts that a table names for their number.

    Who goes where is an assignment problem; with the longest move made least a bottleneck one, as in van Barneveld,
    Bhulai and van der Mei, The effect of ambulance relocations on the performance of ambulance service providers,
    European Journal of Operational Research 252 (2016). A post that nobody can get to within the limit stays empty, the
    less important one before the more important. Units beyond the table stay where they are.

    Args:
        standing: what is seen.
        table: row n − 1 has the posts of n units, the most important first; a post stands there once for each of its
            units (`dispatch.planning.placing` makes such tables). More units than rows: the last.
        least: what is made least.
        busy: see above.
        max_moves: at once: those to the more important posts. Assumed.
        max_move_s: of each, without siren. Assumed.
        min_gain: of the expected share, by each of the moves in the mean; below it none is made.

    Raises:
        ValueError: the table names a post that there is not.
    """
    cover, at_post, groups = standing.cover, count_at_posts(standing), groups_of(standing)
    n_free = int(at_post.sum())
    if not groups or max_moves <= 0 or not table:
        return []
    row = table[min(n_free, len(table)) - 1]
    if not all(0 <= post < cover.n_posts for post in row):
        raise ValueError(f"a table with the posts {list(row)}, expected rows below {cover.n_posts}")
    base = np.array([group.post for group in groups for _ in group.units])
    movable = [(i, unit) for i, group in enumerate(groups) for unit in group.units]
    wanted = list(_open(row, at_post - np.bincount(base, minlength=cover.n_posts)))[: len(movable)]
    ways = WayTimes(standing, groups)
    while True:
        move_s = ways.least[np.ix_([i for i, _ in movable], wanted)].T
        pairs = _assign(np.where(move_s <= max_move_s, move_s, np.inf), least)
        chosen = [(*movable[who], wanted[place]) for place, who in pairs if base[who] != wanted[place]]
        if ways.known([(i, post) for i, _, post in chosen]):
            break
    moves = [Move(unit, post) for _, unit, post in chosen][:max_moves]
    if moves and min_gain > -math.inf:
        after = at_post.copy()
        for unit, post in moves:
            after[base_post(standing, unit)] -= 1
            after[post] += 1
        q = standing.busy_share if busy is None else busy
        if expected_share(cover, after, q) - expected_share(cover, at_post, q) < min_gain * len(moves):
            return []
    return sorted(moves)


MOVE_UPS: Mapping[str, Callable[..., list[Move]]] = {
    "compliance_table": compliance_table,
    "dmexclp": dmexclp,
    "expected_cover": expected_cover,
}
"""By the name that a scenario gives; options are keyword arguments. Without a policy all units stay at home."""


def _open(row: Sequence[int], fixed: Counts) -> Iterator[int]:
    """The posts of a table's row in their order, without those that units have which may not be moved."""
    for post in row:
        if fixed[post] > 0:
            fixed[post] -= 1
        else:
            yield post


def _assign(move_s: Floats, least: Least) -> list[tuple[int, int]]:
    """Pairs of a place wanted and who goes there, by place, of (n_wanted, n_movable) seconds; infinite ones never."""
    unfilled_s = FAR_S * np.arange(len(move_s), 0, -1)[:, None]
    if least is Least.LONGEST:
        # the least bound within which places no less important are filled
        bounds_s = np.unique(move_s[np.isfinite(move_s)])
        within = [0, len(bounds_s) - 1]
        empty = _total_s(np.where(np.isfinite(move_s), 0.0, unfilled_s))
        while within[0] < within[1]:
            middle = sum(within) // 2
            enough = _total_s(np.where(move_s <= bounds_s[middle], 0.0, unfilled_s)) <= empty
            within[enough] = middle + (not enough)
        move_s = np.where(move_s <= bounds_s[within[0]], move_s, np.inf) if len(bounds_s) else move_s
    place, who = linear_sum_assignment(np.where(np.isfinite(move_s), move_s, unfilled_s))
    filled = np.isfinite(move_s[place, who])
    return list(zip(place[filled].tolist(), who[filled].tolist(), strict=True))


def _total_s(cost_s: Floats) -> float:
    return float(cost_s[linear_sum_assignment(cost_s)].sum())
