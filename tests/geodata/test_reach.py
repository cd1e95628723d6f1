"""What is reached agrees, point by point along the streets, with networkx on random networks."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import hard_network, hard_travel, random_positions, reference_times

from geodata.city import City
from geodata.network import RoadNetwork, Streets, build_network
from geodata.outline import reach_polygons
from geodata.positions import Positions, locate, snap
from geodata.reach import on_street, reach, reach_lines, reach_shares
from geodata.routing import RoadTravel

MONDAY_18 = 18
LIMITS_S = (60.0, 180.0, 300.0)
seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=80)
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


@settings(max_examples=60)
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


def ladder(rungs_x_m: tuple[float, ...]) -> RoadNetwork:
    """Two banks of 4 km, 120 m apart, with a junction every 500 m and bridges at the given places."""
    x = np.arange(0.0, 4_001.0, 500.0)
    n = len(x)
    xy = np.r_[np.stack([x, np.zeros(n)], 1), np.stack([x, np.full(n, 120.0)], 1)]
    bank = np.stack([np.arange(n - 1), np.arange(1, n)], 1)
    rungs = [[i, i + n] for i in range(n) if x[i] in rungs_x_m]
    ends = np.concatenate([bank, bank + n, np.array(rungs).reshape(-1, 2)]).astype(np.int64)
    s = len(ends)
    network, dropped = build_network(
        Streets(
            epsg=4547,
            start=ends[:, 0],
            end=ends[:, 1],
            one_way=np.zeros(s, np.int8),
            road_class=np.full(s, 1, np.uint8),
            speed_kmh=np.full(s, np.nan),
            name=[""] * s,
            shape_first=np.arange(s + 1) * 2,
            shape_xy_m=xy[ends].reshape(-1, 2),
        )
    )
    assert not dropped
    return network


def test_a_polygon_never_crosses_a_river_to_a_bank_that_is_not_reached() -> None:
    """The bridge is 4 km away: of the far bank nothing is reached, and the polygon ends in the water."""
    network = ladder((4_000.0,))
    found = reach(RoadTravel(network), snap(network, np.array([[500.0, 0.0]]))[0], 12, 100.0)
    shape = reach_polygons(found, (100.0,)).geometry[0]
    west, south, east, north = shape.bounds
    assert north <= 60.0
    assert (west, south) == pytest.approx((0, 0), abs=1e-6)
    # 1,000 m at 36 km/h, on the road itself to the metre
    assert east <= 1_550
    on_road = shapely.intersection(shape, shapely.LineString([(0, 0), (4_000, 0)]))
    assert on_road.bounds[2] == pytest.approx(1_500, abs=0.01)
    near = ladder((500.0, 4_000.0))
    found = reach(RoadTravel(near), snap(near, np.array([[500.0, 0.0]]))[0], 12, 100.0)
    assert reach_polygons(found, (100.0,)).geometry[0].covers(shapely.box(100, 0, 1_300, 120))


def test_polygons_hold_the_roads_that_are_reached_and_none_that_are_far_beyond(small_city: City) -> None:
    network = small_city.network
    travel = RoadTravel(network)
    found = reach(travel, small_city.posts.positions, MONDAY_18, 300.0, 1.3, 30.0)
    polygons = reach_polygons(found, LIMITS_S)
    assert polygons["limit_s"].tolist() == list(LIMITS_S)
    assert polygons.geometry.is_valid.all()
    probes = random_positions(network, np.random.default_rng(5), 400)
    seconds = found.at(probes)
    points = shapely.points(locate(network, probes))
    for limit_s, shape in zip(LIMITS_S, polygons.geometry, strict=True):
        away_m = shapely.distance(shape, points)
        # between two points of a road the time may peak unseen: ten metres are two seconds
        assert away_m[seconds <= limit_s - 2].max() < 10
        assert (away_m[seconds > limit_s + 15] > 0).all()
    areas = polygons.area.to_numpy()
    assert (np.diff(areas) > 0).all()
    shares = reach_shares(small_city, found, LIMITS_S, polygons)
    assert shares["ground"].to_numpy() == pytest.approx(shares["area"].to_numpy(), abs=0.15)


def test_a_polygon_beyond_what_was_looked_at_is_refused(small_city: City) -> None:
    found = reach(RoadTravel(small_city.network), small_city.posts.positions, MONDAY_18, 60.0)
    with pytest.raises(ValueError, match="beyond the 60 s"):
        reach_polygons(found, (60.0, 300.0))
    nothing = reach(RoadTravel(small_city.network), small_city.posts.positions, MONDAY_18, 60.0, delay_s=90.0)
    assert reach_polygons(nothing, (60.0,)).geometry[0].is_empty
