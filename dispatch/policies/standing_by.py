"""Who stands by where, as move-up policies reckon it, and how long it would take them to get to other posts.

A unit counts at the post where it stands or to which it drives; one that drives to none yet counts at its home. Those
that may not act alone stop no clock: they count nowhere, and are not moved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field, NonNegativeInt

from dispatch.planning.expected import Counts
from dispatch.policies.situation import Standing
from geodata.travel import NoWayError

Share = Annotated[float, Field(ge=0, le=1)]
Capacity = tuple[NonNegativeInt, ...]
"""Units that may stand at each post."""


class Group(NamedTuple):
    """Units that may be moved and are alike."""

    post: int
    """At which they count."""
    at: int
    """The post at which they stand, -1: a single unit that is on the way."""
    units: list[int]


class WayTimes:
    """Seconds of the way of each group to each post without siren, measured no oftener than needed.

    From post to post they are kept. Of a unit on the way only that to the post where it counts is measured at first;
    those to others take no less than the difference (as the way by the other post would be no shorter). Who chooses by
    the least they can take, and again as long as a chosen one was not known, has chosen as if all had been measured.
    """

    def __init__(self, standing: Standing, groups: Sequence[Group]) -> None:
        self._standing, self._groups = standing, groups
        between_s = standing.cover.between_s
        self.least = np.zeros((len(groups), len(between_s)))
        """(n_groups, n_posts), 0 to the post where the group counts."""
        self._measured = np.zeros(self.least.shape, np.bool_)
        for i, group in enumerate(groups):
            if group.at >= 0:
                self.least[i], self._measured[i] = between_s[group.at], True
            else:
                self._measure(i, group.post)
            self.least[i, group.post], self._measured[i, group.post] = 0.0, True

    def known(self, ways: Sequence[tuple[int, int]]) -> bool:
        """Whether the ways of groups to posts were all measured; those that were not now are."""
        missing = [way for way in ways if not self._measured[way]]
        for way in missing:
            self._measure(*way)
        return not missing

    def _measure(self, group: int, post: int) -> None:
        time_s = way_s(self._standing, self._groups[group].units[0], post)
        if time_s < math.inf:
            at_least_s = time_s - self._standing.cover.between_s[:, post]
            self.least[group] = np.where(
                self._measured[group], self.least[group], np.maximum(self.least[group], at_least_s)
            )
        self.least[group, post], self._measured[group, post] = time_s, True


def base_post(standing: Standing, unit: int) -> int:
    """The post at which a unit counts."""
    heading = int(standing.heading[unit])
    return heading if heading >= 0 else int(standing.home[unit])


def count_at_posts(standing: Standing) -> Counts:
    """(n_posts,) units that count at each post."""
    heading, alone, idle = standing.heading, standing.units.acts_alone, standing.idle
    at_post = np.bincount(heading[alone & (heading >= 0)], minlength=standing.cover.n_posts)
    lost = idle[alone[idle] & (heading[idle] < 0)]
    if len(lost):
        at_post += np.bincount(standing.home[lost], minlength=standing.cover.n_posts)
    return at_post


def groups_of(standing: Standing) -> list[Group]:
    """The units that may be moved, by where they are."""
    units, groups = standing.units, dict[tuple[int, int], Group]()
    for unit in standing.idle[units.acts_alone[standing.idle]].tolist():
        base, at = base_post(standing, unit), int(units.post[unit])
        key = (base, at) if at >= 0 else (base, -1 - unit)
        groups.setdefault(key, Group(base, at, [])).units.append(unit)
    return list(groups.values())


def way_s(standing: Standing, unit: int, post: int) -> float:
    """Seconds that it takes a unit to get to a post without siren, infinite where no way is open."""
    at = int(standing.units.post[unit])
    if at >= 0:
        return float(standing.cover.between_s[at, post])
    travel = standing.travel[standing.units.kind[unit]].calm
    try:
        return float(travel.route(standing.units.positions[unit], standing.posts[post], standing.hour).time_s)
    except NoWayError:
        return math.inf


def room_at_posts(capacity: Sequence[int], n_posts: int) -> Counts:
    room = np.asarray(capacity, np.int64)
    if room.shape != (n_posts,) or room.min(initial=0) < 0:
        raise ValueError(f"capacity of {room.shape} posts, expected {n_posts}, none below 0")
    return room
