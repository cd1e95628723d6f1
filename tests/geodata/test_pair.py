"""The search for a single way: it passes the core, landmarks bound it, a limit ends it; and of many on the move the
nearest is found."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import hard_network, hard_travel, random_positions, reference_times

from geodata.network import RoadNetwork
from geodata.pair import LINE, LINES, LINK, OWN_LINKS, SAME_POCKET, bound_s, laid_out, seek
from geodata.positions import Position, Positions
from geodata.routing import Period, RoadTravel
from geodata.search import nearest_with_drives
from geodata.travel import NoWayError, Route


def network_of(seed: int) -> tuple[np.random.Generator, RoadNetwork]:
    """From one long ring to a thicket."""
    rng = np.random.default_rng(seed)
    return rng, hard_network(rng, int(rng.integers(3, 60)), float(rng.choice([0.0, 0.2, 0.5, 1.0, 2.0])))


def bound(period: Period, target: Position, origin: Position) -> float:
    _, _, ends, road, _, _, guide, *_ = period.graph
    return float(bound_s(ends, road, guide, *target, *origin))


def sought(period: Period, target: Position, origin: Position, limit_s: float = np.inf) -> float | None:
    """None where the search cannot tell."""
    _, _, ends, road, _, _, guide, bucket_s, _, buckets, counter, _ = period.graph
    seconds, start, _ = seek(ends, road, guide, bucket_s, buckets, counter, *target, *origin, limit_s)
    return None if start == SAME_POCKET else float(seconds)


@settings(max_examples=120)
@given(st.integers(0, 2**32 - 1))
def test_ways_take_as_long_as_by_networkx_and_no_bound_is_higher(seed: int) -> None:
    rng, network = network_of(seed)
    travel, hour = hard_travel(rng, network)
    period = travel.period(hour)
    period.set_guide()
    origins, targets = random_positions(network, rng, 8), random_positions(network, rng, 4)
    expected = reference_times(travel, hour, list(origins), list(targets))
    for j, target in enumerate(targets):
        for i, origin in enumerate(origins):
            assert bound(period, target, origin) <= expected[i, j] + 1e-9
            seconds = sought(period, target, origin)
            assert seconds is None or seconds == pytest.approx(expected[i, j], abs=1e-6)
            if not np.isfinite(expected[i, j]):
                with pytest.raises(NoWayError):
                    travel.route(origin, target, hour)
                continue
            route = travel.route(origin, target, hour)
            assert route.time_s == pytest.approx(expected[i, j], abs=1e-6)
            check_told(travel, period, route, origin, target)


def check_told(travel: RoadTravel, period: Period, route: Route, origin: Position, target: Position) -> None:
    """The edges of a route join, take its seconds (but for the turning round) and have its metres, and it begins and
    ends where it should."""
    network, edges = travel.network, route.edges
    share = np.ones(len(edges))
    share[-1] = route.end_share
    share[0] -= route.begin_share
    assert (network.head[edges[:-1]] == network.tail[edges[1:]]).all()
    assert (share * network.length_m[edges]).sum() == pytest.approx(route.length_m, rel=1e-6, abs=1e-6)
    whole = period.time_s[edges]
    assert np.where(share > 0, share * np.where(share > 0, whole, 0), 0).sum() <= route.time_s + 1e-6
    for edge, along, place in ((edges[0], route.begin_share, origin), (edges[-1], route.end_share, target)):
        assert network.street[edge] == network.street[place.edge]
        metres = along * network.length_m[edge]
        turned = network.length_m[edge] - metres if edge != place.edge else metres
        assert turned == pytest.approx(place.offset_m, abs=1e-6)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_a_way_is_found_up_to_the_limit_and_not_beyond(seed: int) -> None:
    rng, network = network_of(seed)
    travel, hour = hard_travel(rng, network)
    period = travel.period(hour)
    period.set_guide()
    origin, target = random_positions(network, rng, 2)
    seconds = sought(period, target, origin)
    if seconds is not None and 1.0 < seconds < np.inf:
        assert sought(period, target, origin, seconds + 1e-6) == seconds
        assert sought(period, target, origin, seconds - 1e-3) == np.inf


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_nearest_of_many_that_are_about_as_near(seed: int) -> None:
    """More than are searched for one by one; several at one place, of whom the smaller row comes first."""
    rng, network = network_of(seed)
    travel, hour = hard_travel(rng, network)
    places, target = random_positions(network, rng, 10), random_positions(network, rng, 1)[0]
    which = rng.integers(0, 10, 60)
    units = Positions(places.edge[which], places.offset_m[which])
    road_s = reference_times(travel, hour, list(places), [target])[which, 0]
    # who is nearer sets off later
    delay_s = np.where(np.isfinite(road_s), 1_000.0 - np.minimum(road_s, 1_000.0), 0.0) + rng.choice([0.0, 0.5], 60)
    cost = delay_s + road_s
    rows = rng.permutation(60)[:50]
    found, seconds = travel.nearest(target, rows, units, delay_s, np.ones(60), hour, 1)
    if not np.isfinite(cost[rows]).any():
        assert not len(found)
        return
    assert seconds[0] == pytest.approx(cost[rows].min(), abs=1e-6)
    same = rows[(which[rows] == which[found[0]]) & (delay_s[rows] == delay_s[found[0]])]
    assert found[0] == same.min()

    # the same in memory that others left behind
    best, best_s, room = np.empty(1, np.int64), np.empty(1), np.full((2, 90, 2), -1.0)
    asked = rows, units.edge, units.offset_m, delay_s, np.ones(60), best, best_s, 0, np.inf, *room
    assert nearest_with_drives(*travel.period(hour).graph, *target, *asked) == 1
    assert (best[0], best_s[0]) == (found[0], seconds[0])
    # which search found it does not show
    route = travel.route(units[found[0]], target, hour)
    time_s, length_m = room[0, rows.tolist().index(found[0])].tolist()
    assert time_s == route.time_s
    assert length_m == pytest.approx(route.length_m, rel=1e-6, abs=1e-6)


def test_of_who_has_no_way_the_landmarks_know() -> None:
    rng = np.random.default_rng(7)
    network = hard_network(rng, 40)
    period = RoadTravel(network).period(0)
    period.set_guide()
    marks, ends = period.graph[6].marks, period.graph[2]
    origin, target = Position(0, 0.0), Position(60, 0.0)
    before = marks.copy()
    assert np.isfinite(bound(period, target, origin))
    # as it would be on an island: from no landmark a way leads to the target's street
    for edge in (target.edge, ends[target.edge, 2]):
        marks[ends[edge, :2], :8] = np.iinfo(np.uint16).max
    assert bound(period, target, origin) == np.inf
    marks[:] = before
    assert np.isfinite(bound(period, target, origin))


@pytest.mark.parametrize("seed", range(5))
def test_all_links_of_a_port_lie_together(seed: int) -> None:
    rng = np.random.default_rng(seed)
    degree = rng.integers(0, 2 * OWN_LINKS, 40)
    first = np.r_[0, np.cumsum(degree)].astype(np.int32)
    given_links, marks = np.zeros(first[-1], LINK), rng.integers(0, 9, (40, 16)).astype(np.uint16)
    given_links["edge"] = np.arange(first[-1])
    ports, own_marks, links = laid_out(first, given_links, marks)
    assert ports.ctypes.data % LINE == 0
    assert len(ports) == 41
    for i, port in enumerate(ports[:-1]):
        begin, end = int(port["first"]), int(port["first"]) + int(port["degree"])
        assert (links[begin:end] == given_links[first[i] : first[i + 1]]).all()
        assert (begin // LINES == i) == (degree[i] <= OWN_LINKS)
        assert (own_marks[i, :16] == marks[i]).all()
