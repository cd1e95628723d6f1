"""Kept times where posts outnumber those that are kept of a node: the answers are those of the search from scratch."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_routing import random_network, random_positions

from geodata import keeping
from geodata.network import RoadNetwork
from geodata.positions import Positions
from geodata.routing import RoadTravel
from geodata.speeds import Slowdown
from geodata.timetable import times_between

HOUR = 18
SEARCHES = 10
"""Place of the searches' counter among their first arguments."""


@contextmanager
def keeping_only(k: int) -> Iterator[None]:
    """So many anchors are kept for each node."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeping, "LEAST_KEPT", k)
        patch.setattr(keeping, "MOST_KEPT", k)
        yield


def some_closed(network: RoadNetwork, rng: np.random.Generator) -> list[Slowdown]:
    edges = np.flatnonzero(rng.random(network.n_edges) < 0.2).astype(np.int32)
    return [Slowdown(name="flood", edges=edges, from_s=0.0, until_s=np.inf, factor=0.0)]


def posts_of(network: RoadNetwork, rng: np.random.Generator, n: int) -> Positions:
    """Random ones, of which some share a street or a place."""
    posts = random_positions(network, rng, n)
    edge = posts.edge[rng.integers(0, n, n // 3)]
    posts.edge[: len(edge)], posts.offset_m[: len(edge)] = (
        edge,
        rng.choice([0.0, 0.5, 1.0], len(edge)) * network.length_m[edge],
    )
    return posts


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 5]), st.booleans())
def test_the_nearest_are_the_same_however_few_are_kept(seed: int, k: int, floods: bool) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, int(rng.integers(5, 80)))
    posts = posts_of(network, rng, int(rng.integers(6, 30)))
    slowdowns = some_closed(network, rng) if floods else []
    travel = RoadTravel(network, anchors=posts, slowdowns=slowdowns)
    moment = travel.moment(HOUR, 0.0)
    n = int(rng.integers(1, 25))
    anchor = np.where(rng.random(n) < 0.7, rng.integers(0, len(posts), n), -1).astype(np.int32)
    units, standing = random_positions(network, rng, n), anchor >= 0
    units.edge[standing], units.offset_m[standing] = posts.edge[anchor[standing]], posts.offset_m[anchor[standing]]
    delay_s, slowness = rng.choice([0.0, 30.0, 300.0], n), rng.choice([0.7, 1.0], n)
    targets = random_positions(network, rng, 3)
    cost = delay_s[:, None] + slowness[:, None] * times_between(travel, units, targets, moment)
    rows = np.sort(rng.permutation(n)[: rng.integers(1, n + 1)])
    with keeping_only(k):
        for number, target in enumerate(targets):
            wanted = int(rng.integers(1, 4))
            found = travel.nearest_drives(target, rows, units, delay_s, slowness, moment, wanted, anchor=anchor)
            expected = np.sort(cost[rows, number])[:wanted]
            seconds = [delay_s[row] + slowness[row] * drive.time_s for row, drive in found]
            assert seconds == pytest.approx(expected[expected < np.inf], abs=1e-6)
            assert seconds == pytest.approx([cost[row, number] for row, _ in found], abs=1e-6)
            for row, drive in found:
                route = travel.route(units[row], target, moment)
                assert drive.time_s == pytest.approx(route.time_s, abs=1e-6)
                assert drive.length_m == pytest.approx(route.length_m, abs=1e-3)
    assert travel.period(moment).near[0].shape[1] == k


@pytest.mark.parametrize("n_posts", [keeping.SEEN + 300, 40_000])
def test_very_many_posts_are_told_apart(n_posts: int) -> None:
    rng = np.random.default_rng(n_posts)
    network = random_network(rng, 60)
    posts = random_positions(network, rng, n_posts)
    travel, plain = RoadTravel(network, anchors=posts), RoadTravel(network)
    targets = random_positions(network, rng, 10)
    rows = np.arange(n_posts)
    none = np.zeros(n_posts)
    for target in targets:
        expected, _ = plain.nearest(target, rows, posts, none, none + 1, HOUR, 3)
        found = travel.nearest_drives(target, rows, posts, none, none + 1, HOUR, 3, anchor=rows.astype(np.int32))
        assert [row for row, _ in found] == expected.tolist()


@pytest.mark.parametrize(("n_posts", "k"), [(40, 7), (keeping.SEEN + 300, 90)])
def test_every_node_keeps_its_nearest_posts_once_each_and_in_order(n_posts: int, k: int) -> None:
    rng = np.random.default_rng(8)
    network = random_network(rng, 70)
    posts = random_positions(network, rng, n_posts)
    travel = RoadTravel(network, anchors=posts)
    with keeping_only(k):
        travel.keep(HOUR)
    near, _ = travel.period(HOUR).near
    ends = travel.drive.ends
    # a node is where an edge that leaves it begins
    out = np.array([np.flatnonzero(ends[: network.n_open, 0] == node)[0] for node in range(len(near))], np.int32)
    expected = np.sort(times_between(travel, posts, Positions(out, np.zeros(len(out))), HOUR), axis=0)[:k].T
    assert near["s"] == pytest.approx(expected, abs=1e-6)
    assert all(len(set(row.tolist())) == k for row in near["anchor"])


def test_who_stands_at_a_post_is_found_without_a_search() -> None:
    rng = np.random.default_rng(4)
    network = random_network(rng, 60)
    posts = random_positions(network, rng, 30)
    travel = RoadTravel(network, anchors=posts)
    rows, none, anchor = np.arange(30), np.zeros(30), np.arange(30, dtype=np.int32)
    counter = travel.period(HOUR).graph[SEARCHES]

    def searches() -> int:
        before = int(counter[0])
        for target in random_positions(network, np.random.default_rng(1), 20):
            travel.nearest_drives(target, rows, posts, none, none + 1, HOUR, 1, anchor=anchor)
        return int(counter[0]) - before

    assert searches() == 0
    with keeping_only(5):
        travel = RoadTravel(network, anchors=posts)
        travel.keep(HOUR)
    counter = travel.period(HOUR).graph[SEARCHES]
    rows = rows[-4:]
    assert searches() > 0
