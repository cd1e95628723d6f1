"""What is reached agrees, point by point along the streets, with networkx on random networks."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import hard_network, hard_travel, random_positions, reference_times

from geodata.city import City
from geodata.positions import Positions
from geodata.reach import on_street, reach, reach_lines, reach_shares
from geodata.routing import RoadTravel

MONDAY_18 = 18
LIMITS_S = (60.0, 180.0, 300.0)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=80, deadline=None)
@given(seeds, st.booleans())
def test_seconds_everywhere_are_those_of_networkx_there_and_back(seed: int, backward: bool) -> None:
    rng = np.random.default_rng(seed)
    network = hard_network(rng, int(rng.integers(4, 20)))
    travel, moment = hard_travel(rng, network)
    posts = random_positions(network, rng, 3)
    delay_s = rng.choice([0.0, 30.0, 75.0], 3)
    probes = random_positions(network, rng, 10)
    probes = Positions(np.r_[probes.edge, posts.edge], np.r_[probes.offset_m, posts.offset_m])
    found = reach(travel, posts, moment, 300.0, 1.3, delay_s, backward=backward)
    ways = (list(probes), list(posts)) if backward else (list(posts), list(probes))
    times = reference_times(travel, moment, *ways)
    expected = ((times if backward else times.T) / 1.3 + delay_s).min(axis=1)
    sure = np.abs(expected - 300) > 1e-6
    assert found.at(probes)[sure] == pytest.approx(np.where(expected <= 300, expected, np.inf)[sure], abs=1e-6)

    stretches = found.stretches(LIMITS_S)
    street, share = on_street(network, probes)
    for i in range(len(probes)):
        here = (stretches.street == street[i]) & (stretches.from_share <= share[i]) & (share[i] <= stretches.to_share)
        for number, limit_s in enumerate(LIMITS_S):
            # a place that can be left but along which nobody may drive has no stretch of its own
            if abs(expected[i] - limit_s) > 1e-6 and np.isfinite(expected[i]) and 0 < share[i] < 1 and i < 10:
                assert (here & (stretches.limit <= number)).any() == (expected[i] <= limit_s)


@settings(max_examples=60, deadline=None)
@given(seeds, st.booleans())
def test_the_rim_lies_where_the_time_runs_out(seed: int, backward: bool) -> None:
    rng = np.random.default_rng(seed)
    network = hard_network(rng, int(rng.integers(4, 20)))
    travel, moment = hard_travel(rng, network)
    posts = random_positions(network, rng, 2)
    found = reach(travel, posts, moment, LIMITS_S[-1], 1.3, backward=backward)
    table = found.table(LIMITS_S)
    for end in ("from", "to"):
        inside = table[f"{end}_share"].between(1e-9, 1 - 1e-9)
        at_rim = table[inside & ~table[f"{end}_share"].isin(found.streets[5])]
        seconds = at_rim[f"{end}_s"].to_numpy(float)
        # a cut inside a street is at a limit; only a way that is driven in one direction ends where another begins
        closed = ~np.isfinite(travel.edge_time_s(moment))
        one_way = (closed | closed[network.reverse])[network.edge_of_street]
        seconds = seconds[~one_way[at_rim["street"]]]
        distance = np.abs(seconds[:, None] - np.array(LIMITS_S)).min(axis=1) if len(seconds) else np.zeros(0)
        assert np.isfinite(seconds).all()
        assert (distance < 1e-6).all()
    metres = (table["to_share"] - table["from_share"]) * network.street_length_m[table["street"]]
    assert table.length.to_numpy() == pytest.approx(metres.to_numpy(), abs=1e-6)


def test_the_bands_of_reach_share_no_road_and_leave_none_out() -> None:
    rng = np.random.default_rng(7)
    network = hard_network(rng, 25)
    driven = network.street_class < 4
    posts = random_positions(network, rng, 2)
    bands = reach_lines(RoadTravel(network), posts, (60.0, 300.0, 1e6), MONDAY_18)
    assert bands["limit_s"].tolist() == [60.0, 300.0, 1e6]
    assert bands.length.sum() == pytest.approx(network.street_length_m[driven].sum())
    assert (bands.length > 0).all()
    assert shapely.get_num_geometries(bands.geometry.array).sum() < 3 * network.n_streets


def test_limits_must_rise_and_stay_within_what_was_looked_at() -> None:
    network = hard_network(np.random.default_rng(1), 10)
    found = reach(RoadTravel(network), random_positions(network, np.random.default_rng(1), 1), MONDAY_18, 60.0)
    for wrong in ((60.0, 30.0), (30.0, 90.0), ()):
        with pytest.raises(ValueError, match="expected them to rise"):
            found.stretches(wrong)


def test_shares_of_a_city_by_limit(small_city: City) -> None:
    travel = RoadTravel(small_city.network)
    found = reach(travel, small_city.posts.positions, MONDAY_18, 600.0, 1.3, 30.0)
    shares = reach_shares(small_city, found, (10.0, 60.0, 180.0, 600.0)).set_index("limit_s")
    assert list(shares) == ["road_length", "area", "residents", "cells", "sites", "vital", "key"]
    assert (np.diff(shares.to_numpy(), axis=0) >= 0).all()
    assert shares.loc[10.0].tolist() == [0.0] * 7
    assert shares.loc[600.0].tolist() == pytest.approx([1.0] * 7)
    stretches = found.stretches((180.0,))
    street_m = small_city.network.street_length_m
    reached_m = ((stretches.to_share - stretches.from_share) * street_m[stretches.street]).sum()
    assert shares.loc[180.0, "road_length"] == pytest.approx(reached_m / street_m.sum(), abs=1e-6)
