"""Expected coverage: what units reach within the limit, given how often they are busy.

A unit is there when it is called with probability 1 − q, whatever the others do. That is the maximal expected covering
location model, MEXCLP: Daskin, A maximum expected covering location model, Transportation Science 17 (1983). A point
that n units reach within its limit is covered with probability 1 − qⁿ; the n-th of them adds (1 − q) qⁿ⁻¹. Units that
help one another are not independent: with common queueing the values are somewhat too high (Batta, Dolan and
Krishnamurthy, The maximal expected covering location problem: revisited, Transportation Science 23, 1989).

`at_post` is everywhere (n_posts,) the number of units that stand at each post, `busy` a share of time, 0 to 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatch.cover import Cover
from geodata.compiled import compiled
from geodata.network import Floats

Counts = NDArray[np.int64]


def reaching(cover: Cover, at_post: Counts) -> Counts:
    """(n_points,) units that reach each point within its limit."""
    counts: Counts = _checked(cover, at_post) @ cover.within
    return counts


def reached_share(cover: Cover, at_post: Counts, at_least: int = 1) -> float:
    """Share of the demand that at least so many units reach within its limit, were all of them free: with 2 double
    coverage. With `at_post > 0` posts are counted in the place of units."""
    return float(cover.weight @ (reaching(cover, at_post) >= at_least))


def expected_by_point(cover: Cover, at_post: Counts, busy: float) -> Floats:
    """(n_points,) probability that a free unit reaches each point within its limit, 1 − qⁿ."""
    return np.asarray(1.0 - busy_share(busy) ** reaching(cover, at_post), float)


def expected_share(cover: Cover, at_post: Counts, busy: float) -> float:
    """Share of the demand that a free unit is expected to reach in time: Σ wᵢ (1 − qⁿ⁽ⁱ⁾), the value of MEXCLP."""
    return float(cover.weight @ expected_by_point(cover, at_post, busy))


def expected_by_point_of_units(cover: Cover, post: Counts, busy: Floats) -> Floats:
    """(n_points,) the same for units that are not equally busy: 1 − Π qᵤ over the units that reach the point.

    Args:
        cover: the posts.
        post: (n_units,) where each stands.
        busy: (n_units,) how busy each is, as from a run or a hypercube model.
    """
    post, busy = np.asarray(post), np.asarray(busy, float)
    if post.shape != busy.shape or not ((busy >= 0) & (busy <= 1)).all():
        raise ValueError(f"busy shares of {busy.shape} units at {post.shape} posts, expected as many, from 0 to 1")
    all_busy = np.ones(cover.n_posts)
    np.multiply.at(all_busy, post, busy)
    share: Floats = 1.0 - np.where(cover.within, all_busy[:, None], 1.0).prod(axis=0)
    return share


def expected_share_of_units(cover: Cover, post: Counts, busy: Floats) -> float:
    """Share of the demand that a free unit is expected to reach, of units that are not equally busy; arguments as of
    `expected_by_point_of_units`."""
    return float(cover.weight @ expected_by_point_of_units(cover, post, busy))


def marginal_shares(cover: Cover, at_post: Counts, busy: float) -> Floats:
    """(n_posts,) by how much one more unit at each post raises the expected share: Σ wᵢ (1 − q) qⁿ⁽ⁱ⁾ over the points
    that the post reaches. It falls as units are added. Summed in one order on every machine."""
    sets = cover.sets
    share: Floats = _marginal(
        sets.first, sets.post, sets.weight, _checked(cover, at_post), busy_share(busy), np.zeros(cover.n_posts)
    )
    return share


def busy_share(busy: float) -> float:
    """Itself.

    Raises:
        ValueError: it is no share.
    """
    if not 0 <= busy <= 1:
        raise ValueError(f"busy share of {busy}, expected 0 to 1")
    return float(busy)


def _checked(cover: Cover, at_post: Counts) -> Counts:
    counts = np.asarray(at_post, np.int64)
    if counts.shape != (cover.n_posts,) or (counts < 0).any():
        raise ValueError(f"units at {counts.shape} posts, expected {cover.n_posts}, none below 0")
    return counts


@compiled
def _marginal(first: Any, post: Any, weight: Any, at_post: Any, busy: float, gain: Any) -> Any:
    power = np.empty(at_post.sum() + 1)
    power[0] = 1.0 - busy
    for n in range(1, len(power)):
        power[n] = power[n - 1] * busy
    for i in range(len(weight)):
        n = 0
        for k in range(first[i], first[i + 1]):
            n += at_post[post[k]]
        more = weight[i] * power[n]
        for k in range(first[i], first[i + 1]):
            gain[post[k]] += more
    return gain
