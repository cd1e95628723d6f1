"""Where n available units should stand, for every n: the best placements by expected cover, and tables of them.

The integer programme is MEXCLP (Daskin 1983, see `dispatch.planning.expected`) over the sets of points that the same
posts reach: x_j units at post j, and a copy y_sk for the k-th unit that reaches set s, worth w_s (1 − q) qᵏ⁻¹. As later
copies are worth less, only the x_j need to be whole.

    max Σ w_s (1 − q) qᵏ⁻¹ y_sk    with  Σ_k y_sk ≤ Σ_{j reaches s} x_j,  Σ_j x_j = n,  0 ≤ y_sk ≤ 1
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from dispatch.cover import Cover, ReachSets
from dispatch.planning.expected import Counts, busy_share, marginal_shares
from geodata.network import Floats

Table = tuple[tuple[int, ...], ...]
"""Row n − 1: the posts of n available units, the most important first; a post stands there once for each of its
units."""

NEGLIGIBLE = 1e-6
"""Copies are left out when all of them together are worth less than this share of the demand. Assumed."""
SCALE = 1e4
"""Of the objective: the solver takes two solutions for equal that differ by 1e-6."""

WHOLE = 1e-6
"""A number so near to a whole one is whole."""


class Copies(NamedTuple):
    """The units that reach a set, one after the other."""

    set: Counts
    """(n_copies,) row of the set."""
    value: Floats
    """(n_copies,) what each adds to the expected share."""

    @classmethod
    def of(cls, weight: Floats, fewest: Counts, most: Counts, busy: float) -> Copies:
        """Those beyond `fewest` up to `most` units of each set, (n_sets,) each, but for negligible ones."""
        enough = np.log(NEGLIGIBLE) / np.log(busy) if 0 < busy < 1 else float(busy == 0)
        count = np.maximum(np.minimum(most, int(np.ceil(enough))) - fewest, 0)
        row = np.repeat(np.arange(len(weight)), count)
        before = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + fewest[row]
        return cls(row, weight[row] * (1 - busy) * busy**before)

    def matrix(self, n_sets: int) -> sparse.csr_array:
        """(n_sets, n_copies) with a one where a copy is of a set."""
        n = len(self.set)
        return sparse.csr_array((np.ones(n), (self.set, np.arange(n))), shape=(n_sets, n))


def reach_matrix(sets: ReachSets, n_posts: int) -> sparse.csr_array:
    """(n_sets, n_posts) with a one where a post reaches a set."""
    return sparse.csr_array((np.ones(len(sets.post)), sets.post, sets.first), shape=(len(sets.weight), n_posts))


def solve(
    value: Floats, whole: NDArray[np.bool_], most: Floats, rows: sparse.csr_array, low: Floats, high: Floats
) -> Floats:
    """The variables, 0 to `most`, that maximise value · variables with low ≤ rows · variables ≤ high.

    Raises:
        RuntimeError: the solver found no optimum.
    """
    # as a rule the best of the relaxed programme is whole, and it takes a tenth of the time
    for integrality in (np.zeros(len(value), np.int64), whole.astype(np.int64)):
        answer = milp(
            -SCALE * value,
            integrality=integrality,
            bounds=Bounds(0, most),
            constraints=LinearConstraint(rows, low, high),
            options={"mip_rel_gap": 0.0},
        )
        if not answer.success:
            raise RuntimeError(f"no optimum was found: {answer.message}")
        found: Floats = np.where(whole, np.rint(answer.x), answer.x)
        if np.abs(found - answer.x).max(initial=0.0) < WHOLE:
            break
    return found


def best_placement(cover: Cover, n_units: int, busy: float, *, capacity: Sequence[int] | None = None) -> Counts:
    """(n_posts,) units at each post for the largest expected share, exact but for `NEGLIGIBLE`.

    Args:
        cover: the posts.
        n_units: to be placed.
        busy: share of time that each is busy.
        capacity: (n_posts,) units that may stand at each post; None: any number.

    Raises:
        ValueError: more units than room.
    """
    counts: Counts = _programme(cover, [n_units], busy, np.ones(1), capacity)[0]
    return counts


def best_tables(
    cover: Cover,
    n_max: int,
    busy: float,
    *,
    nested: bool = False,
    likelihood: Floats | None = None,
    capacity: Sequence[int] | None = None,
) -> Table:
    """The placements of 1 to n_max units with the largest expected share, exact but for `NEGLIGIBLE`.

    Nested, each has the posts of the one before and one more, so that a single move follows when a unit leaves: the
    relocation problem MECRP of Gendreau, Laporte and Semet, The maximal expected coverage relocation problem for
    emergency vehicles, Journal of the Operational Research Society 57 (2006), with no change allowed but the added
    unit. That is one programme for all n, for some tens of posts and few units; `greedy_table` has no such bound.

    Args:
        cover: the posts.
        n_max: the most units that are available.
        busy: share of time that each is busy.
        nested: whether rows contain those before.
        likelihood: (n_max,) how often n units are available, by which nested placements weigh; None: all alike.
        capacity: (n_posts,) units that may stand at each post; None: any number.

    Raises:
        ValueError: more units than room.
    """
    weights = np.ones(n_max) if likelihood is None else np.asarray(likelihood, float)
    if weights.shape != (n_max,) or not (weights >= 0).all():
        raise ValueError(f"likelihood of {weights.shape} numbers of units, expected {n_max}, not negative")
    sizes = range(1, n_max + 1)
    if not nested:
        return tuple(ranked(cover, best_placement(cover, n, busy, capacity=capacity), busy) for n in sizes)
    counts = _programme(cover, list(sizes), busy, weights, capacity)
    order = np.diff(counts, axis=0, prepend=0).argmax(axis=1).tolist()
    return tuple(tuple(order[:n]) for n in sizes)


def greedy_table(cover: Cover, n_max: int, busy: float, *, capacity: Sequence[int] | None = None) -> Table:
    """Nested placements of 1 to n_max units, each with one more at the post where it raises the expected share most
    (ties: the smaller row). At least 1 − 1/e of the best share, as that of every rising submodular function: Nemhauser,
    Wolsey and Fisher, Mathematical Programming 14 (1978). Arguments and errors as of `best_tables`."""
    order = _add_one_by_one(cover, n_max, busy, _room(cover, n_max, capacity))
    return tuple(tuple(order[:n]) for n in range(1, n_max + 1))


def ranked(cover: Cover, at_post: Counts, busy: float) -> tuple[int, ...]:
    """The posts of a placement, each in its turn the one where a unit raises the expected share most."""
    return tuple(_add_one_by_one(cover, int(at_post.sum()), busy, at_post))


def _add_one_by_one(cover: Cover, n_units: int, busy: float, room: Counts) -> list[int]:
    at_post, order = np.zeros(cover.n_posts, np.int64), []
    for _ in range(n_units):
        gain = np.where(at_post < room, marginal_shares(cover, at_post, busy), -1.0)
        order.append(int(gain.argmax()))
        at_post[order[-1]] += 1
    return order


def _room(cover: Cover, n_units: int, capacity: Sequence[int] | None) -> Counts:
    room = np.full(cover.n_posts, n_units) if capacity is None else np.asarray(capacity, np.int64)
    if room.shape != (cover.n_posts,) or room.min(initial=0) < 0:
        raise ValueError(f"capacity of {room.shape} posts, expected {cover.n_posts}, none below 0")
    if n_units < 1 or room.sum() < n_units:
        raise ValueError(f"{n_units} units, expected 1 to {room.sum()}, for which there is room")
    limited: Counts = np.minimum(room, n_units)
    return limited


def _programme(
    cover: Cover, sizes: Sequence[int], busy: float, likelihood: Floats, capacity: Sequence[int] | None
) -> Counts:
    """(n_sizes, n_posts) nested placements of rising numbers of units."""
    busy = busy_share(busy)
    sets, posts = cover.sets, cover.n_posts
    room = _room(cover, sizes[-1], capacity)
    reach = reach_matrix(sets, posts)
    parts = [Copies.of(sets.weight, np.zeros_like(n), n, busy) for n in _most(reach, room, sizes)]
    blocks = [[-reach if i == k else None for k in range(len(sizes))] for i in range(len(sizes))]
    # rows: the copies of each size, the number of units of each, and that none leaves a post with the next size
    of_sets = sparse.hstack(
        [sparse.block_array(blocks), sparse.block_diag([c.matrix(len(sets.weight)) for c in parts])]
    )
    total = sparse.kron(sparse.eye_array(len(sizes)), np.ones((1, posts)))
    step = sparse.diags_array([-1.0, 1.0], offsets=[0, 1], shape=(len(sizes) - 1, len(sizes)))
    stays = sparse.kron(step, sparse.eye_array(posts))
    n_whole, n_copies = posts * len(sizes), sum(len(c.set) for c in parts)
    whole = np.arange(n_whole + n_copies) < n_whole
    fixed = sparse.vstack([total, stays])
    rows = sparse.vstack([of_sets, sparse.hstack([fixed, sparse.csr_array((fixed.shape[0], n_copies))])])
    n_sets, n_stays = of_sets.shape[0], stays.shape[0]
    size = np.asarray(sizes, float)
    found = solve(
        np.concatenate([np.zeros(n_whole), *(share * c.value for share, c in zip(likelihood, parts, strict=True))]),
        whole,
        np.concatenate([np.tile(room, len(sizes)), np.ones(n_copies)]),
        sparse.csr_array(rows),
        np.concatenate([np.full(n_sets, -np.inf), size, np.zeros(n_stays)]),
        np.concatenate([np.zeros(n_sets), size, np.full(n_stays, np.inf)]),
    )
    counts: Counts = found[:n_whole].reshape(len(sizes), posts).astype(np.int64)
    return counts


def _most(reach: sparse.csr_array, room: Counts, sizes: Sequence[int]) -> list[Counts]:
    """The most units of each size that can reach each set."""
    return [np.minimum((reach @ np.minimum(room, n)).astype(np.int64), n) for n in sizes]
