"""The search for a single way: landmarks bound it, a limit ends it, and of many on the move it finds the nearest."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import hard_network, hard_travel, random_positions, reference_times

from geodata.network import RoadNetwork
from geodata.pair import LINES, OWN_LINKS, PORT, bound_s, seek
from geodata.positions import Position, Positions
from geodata.routing import Period, RoadTravel


def network_of(seed: int) -> tuple[np.random.Generator, RoadNetwork]:
    rng = np.random.default_rng(seed)
    return rng, hard_network(rng, int(rng.integers(3, 40)))


def bound(period: Period, target: Position, origin: Position) -> float:
    ends, road, guide, *_ = period.pair
    return float(bound_s(ends, road, guide, *target, *origin))


def sought(period: Period, target: Position, origin: Position, limit_s: float = np.inf) -> float:
    return float(seek(*period.pair[:-1], *target, *origin, limit_s)[0])


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_the_landmarks_never_bound_a_way_too_high(seed: int) -> None:
    rng, network = network_of(seed)
    travel, hour = hard_travel(rng, network)
    period = travel.period(hour)
    period.set_landmarks()
    origins, targets = random_positions(network, rng, 6), random_positions(network, rng, 3)
    expected = reference_times(travel, hour, list(origins), list(targets))
    for j, target in enumerate(targets):
        for i, origin in enumerate(origins):
            assert bound(period, target, origin) <= expected[i, j] + 1e-9
            assert sought(period, target, origin) == pytest.approx(expected[i, j], abs=1e-6)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_a_way_is_found_up_to_the_limit_and_not_beyond(seed: int) -> None:
    rng, network = network_of(seed)
    travel, hour = hard_travel(rng, network)
    period = travel.period(hour)
    period.set_landmarks()
    origin, target = random_positions(network, rng, 2)
    seconds = sought(period, target, origin)
    if np.isfinite(seconds) and seconds > 1.0:
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


def test_of_who_has_no_way_the_landmarks_know() -> None:
    rng, network = network_of(7)
    origin, target = random_positions(network, rng, 2)
    travel = RoadTravel(network)
    period = travel.period(0)
    period.set_landmarks()
    ends, _, guide, *_ = period.pair
    table = guide[0].copy()
    assert np.isfinite(bound(period, target, origin))
    # as it would be on an island: from no landmark a way leads to the target's street
    guide[0][ends[target.edge, :2], :8] = np.iinfo(np.uint16).max
    assert bound(period, target, origin) == np.inf
    assert sought(period, target, origin) == np.inf
    guide[0][:] = table
    assert np.isfinite(sought(period, target, origin))


@pytest.mark.parametrize("seed", range(5))
def test_all_links_of_a_port_lie_together(seed: int) -> None:
    _, network = network_of(seed)
    travel = RoadTravel(network)
    period = travel.period(0)
    period.set_landmarks()
    _, ports, links, *_ = period.pair[2]
    first, record, _ = period.inward
    assert ports.ctypes.data % PORT.itemsize == 0
    for i, port in enumerate(ports[:-1]):
        own = links[port["first"] : port["last"]]
        degree = first[i + 1] - first[i]
        assert (own[:degree] == record[first[i] : first[i + 1]]).all()
        # the rest leads nowhere
        assert (own["other"][degree:] == i).all()
        assert not own["s"][degree:].any()
        assert (port["first"] // LINES == i) == (degree <= OWN_LINKS)
