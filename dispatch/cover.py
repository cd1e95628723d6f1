"""What each post covers: the table on which policies and plans reckon expected coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geodata.network import Bools, Floats


@dataclass(frozen=True, eq=False, kw_only=True)
class Cover:
    """Demand points against posts."""

    time_s: Floats
    """(n_posts, n_points) seconds from the order to the arrival of a unit from each post, turn-out included."""
    limit_s: Floats
    """(n_points,) within which each point is to be reached."""
    weight: Floats
    """(n_points,) share of the demand, summing to 1."""
    between_s: Floats
    """(n_posts, n_posts) seconds from post to post as traffic drives."""

    def __post_init__(self) -> None:
        posts, points = self.time_s.shape
        if not (self.limit_s.shape == self.weight.shape == (points,) and self.between_s.shape == (posts, posts)):
            raise ValueError("cover: arrays that do not fit one another")

    @property
    def within(self) -> Bools:
        """(n_posts, n_points) whether a post reaches a point within its limit."""
        return np.asarray(self.time_s <= self.limit_s)
