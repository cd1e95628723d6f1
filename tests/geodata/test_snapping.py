"""Points to their nearest street, and back: against shapely, on made and on real streets."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geodata.city import City
from geodata.network import RoadClass, RoadNetwork, build_network
from geodata.positions import Positions, locate, snap
from geodata.readers.graphml import read_graphml
from geodata.snapping import FARTHEST_M, Snapper, points_along

DATA = Path(__file__).parents[2] / "../shared/data"
CORNER_M = np.array([400_000.0, 3_120_000.0])

Shapes = tuple[np.ndarray, np.ndarray]


def shapes(*streets: Sequence[Sequence[float]]) -> Shapes:
    return np.cumsum([0, *(len(street) for street in streets)]), np.concatenate([np.array(s, float) for s in streets])


def lines_of(first: np.ndarray, xy_m: np.ndarray) -> np.ndarray:
    return np.asarray(shapely.linestrings(xy_m, indices=np.repeat(np.arange(len(first) - 1), np.diff(first))))


def random_shapes(rng: np.random.Generator, n: int) -> Shapes:
    """Streets that wander 20 to 400 m a step over 6 km, some points twice in a row."""
    first = np.r_[0, np.cumsum(rng.integers(2, 9, n))]
    step = rng.normal(0, 1, (first[-1], 2)) * rng.choice([0, 20, 100, 400], first[-1])[:, None]
    walked = np.cumsum(step, 0)
    begin = np.repeat(first[:-1], np.diff(first))
    return first, CORNER_M + rng.uniform(0, 6_000, (n, 2)).repeat(np.diff(first), 0) + walked - walked[begin]


def assert_nearest_as_shapely_says(first: np.ndarray, xy_m: np.ndarray, points: np.ndarray, wanted: np.ndarray) -> None:
    """Distance, street and place of every point, by measuring it to every street."""
    street, share, distance_m = Snapper(first, xy_m, wanted).nearest(points)
    lines, spots = lines_of(first, xy_m), np.asarray(shapely.points(points))
    to_each_m = np.where(wanted, shapely.distance(spots[:, None], lines), np.inf)
    assert distance_m == pytest.approx(to_each_m.min(1), rel=1e-9, abs=1e-9)
    # where two streets tie within rounding, either may be named
    clear = (to_each_m <= to_each_m.min(1)[:, None] * (1 + 1e-9) + 1e-9).sum(1) == 1
    assert np.array_equal(street[clear], to_each_m.argmin(1)[clear])
    assert wanted[street].all()
    assert ((share >= 0) & (share <= 1)).all()
    there = points_along(first, xy_m, street, share)
    assert np.hypot(*(there - points).T) == pytest.approx(distance_m, rel=1e-9, abs=1e-6)
    assert share[clear] == pytest.approx(
        shapely.line_locate_point(lines[street], spots, normalized=True)[clear], abs=1e-9
    )


@pytest.mark.parametrize("n", [1, 2, 4, 5, 17, 64, 400])
def test_the_nearest_of_all_streets_is_found(n: int) -> None:
    rng = np.random.default_rng(n)
    first, xy_m = random_shapes(rng, n)
    points = CORNER_M + rng.uniform(-3_000, 9_000, (500, 2))
    assert_nearest_as_shapely_says(first, xy_m, points, np.ones(n, bool))


@pytest.mark.parametrize("away_m", [30_000.0, 1e6, 9e7])
def test_points_far_outside_find_the_nearest_street_too(away_m: float) -> None:
    rng = np.random.default_rng(135)
    first, xy_m = random_shapes(rng, 300)
    bearing = rng.uniform(0, 2 * np.pi, 200)
    points = CORNER_M + away_m * np.stack([np.cos(bearing), np.sin(bearing)], 1)
    assert_nearest_as_shapely_says(first, xy_m, points, np.ones(300, bool))


def test_a_few_streets_far_from_all_others_do_no_harm() -> None:
    rng = np.random.default_rng(5)
    first, xy_m = random_shapes(rng, 300)
    xy_m[first[7] : first[8]] += 4e6
    xy_m[first[50]] -= [2e6, 0]
    points = np.r_[CORNER_M + rng.uniform(0, 6_000, (300, 2)), CORNER_M + 4e6 + rng.uniform(0, 6_000, (50, 2))]
    assert_nearest_as_shapely_says(first, xy_m, points, np.ones(300, bool))


def test_unwanted_streets_are_passed_over() -> None:
    rng = np.random.default_rng(6)
    first, xy_m = random_shapes(rng, 200)
    points = CORNER_M + rng.uniform(0, 6_000, (300, 2))
    assert_nearest_as_shapely_says(first, xy_m, points, rng.random(200) < 0.3)


@given(data=st.data())
def test_of_streets_equally_near_the_smallest_number_is_taken(data: st.DataObject) -> None:
    """Straight streets along the axes of a small lattice, so that distances are exact and ties are many."""
    small = st.integers(0, 5)
    ends = data.draw(
        st.lists(st.tuples(small, small, small, st.booleans()).map(_along_an_axis), min_size=1, max_size=12)
    )
    points = np.array(data.draw(st.lists(st.tuples(small, small), min_size=1, max_size=10)), float)
    boxes = np.array(ends, float)
    low, high = boxes.min(1), boxes.max(1)
    outside = np.maximum(np.maximum(low - points[:, None], points[:, None] - high), 0)
    expected = (outside**2).sum(2)
    street, _, distance_m = Snapper(*shapes(*ends)).nearest(points)
    assert np.array_equal(street, expected.argmin(1))
    assert np.array_equal(distance_m, np.sqrt(expected.min(1)))


def _along_an_axis(drawn: tuple[int, int, int, bool]) -> tuple[tuple[int, int], tuple[int, int]]:
    a, b, level, upright = drawn
    return ((level, a), (level, b)) if upright else ((a, level), (b, level))


def test_a_point_at_a_junction_lies_on_the_first_street_that_meets_there() -> None:
    first, xy_m = shapes([(9, 9), (5, 5)], [(0, 0), (10, 0)], [(0, 0), (0, 10)], [(-7, -3), (0, 0)])
    # exactly there, and beyond all the ends
    points = CORNER_M + np.array([(0, 0), (10, 0), (9, 10)])
    street, share, distance_m = Snapper(first, xy_m + CORNER_M).nearest(points)
    assert street.tolist() == [1, 1, 0]
    assert share.tolist() == [0, 1, 0]
    assert distance_m.tolist() == [0, 0, 1]


def test_beyond_the_ends_of_a_street_its_end_is_nearest() -> None:
    street, share, distance_m = Snapper(*shapes([(0, 0), (10, 0), (10, 10)])).nearest(
        np.array([(-3.0, -4.0), (10, 13), (13, -4), (2, 1)])
    )
    assert street.tolist() == [0, 0, 0, 0]
    assert share.tolist() == [0, 1, 0.5, 0.1]
    assert distance_m.tolist() == [5, 3, 5, 1]


def test_a_place_that_a_street_passes_twice_counts_as_its_first() -> None:
    ring = [(0, 0), (10, 0), (10, 10), (0, 10), (0, 0)]
    assert Snapper(*shapes(ring)).nearest(np.array([(0.0, 0.0)])).share.tolist() == [0]


def test_a_street_drawn_as_a_single_spot_can_be_nearest() -> None:
    first, xy_m = shapes([(50, 0), (60, 0)], [(3, 4), (3, 4)])
    street, share, distance_m = Snapper(first, xy_m).nearest(np.zeros((1, 2)))
    assert (street.tolist(), share.tolist(), distance_m.tolist()) == ([1], [0], [5])
    assert points_along(first, xy_m, street, np.array([0.7])).tolist() == [[3, 4]]


def test_the_same_point_many_times_has_one_answer() -> None:
    rng = np.random.default_rng(8)
    points = np.repeat(CORNER_M + rng.uniform(0, 6_000, (3, 2)), 100, 0)
    answer = Snapper(*random_shapes(rng, 100)).nearest(points)
    for column in answer:
        assert np.array_equal(column, column[::100].repeat(100))


def test_no_points_have_no_answer() -> None:
    first, xy_m = shapes([(0, 0), (10, 0)])
    for index in (Snapper(first, xy_m), Snapper(first, xy_m, np.zeros(1, bool))):
        assert [len(column) for column in index.nearest(np.empty((0, 2)))] == [0, 0, 0]


def test_points_without_any_wanted_street_are_refused() -> None:
    with pytest.raises(ValueError, match="2 points but no street"):
        Snapper(*shapes([(0, 0), (10, 0)]), np.zeros(1, bool)).nearest(np.zeros((2, 2)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300, -2 * FARTHEST_M])
def test_coordinates_that_are_nowhere_are_refused_by_their_row(bad: float) -> None:
    index = Snapper(*shapes([(0, 0), (10, 0)]))
    with pytest.raises(ValueError, match=r"^point 1: \(3\.0, .*\), expected finite metres.* \(1 such of 3\)"):
        index.nearest(np.array([(0, 0), (3, bad), (1, 1)]))
    with pytest.raises(ValueError, match=r"^shape point 1: "):
        Snapper(*shapes([(0, 0), (bad, 0)]))


def test_memory_mapped_shapes_are_read_where_they_lie(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    first, xy_m = random_shapes(rng, 50)
    np.save(tmp_path / "xy_m.npy", xy_m)
    mapped = np.load(tmp_path / "xy_m.npy", mmap_mode="r")
    points = CORNER_M + rng.uniform(0, 6_000, (100, 2))
    expected = Snapper(first, xy_m).nearest(points)
    for column, of_mapped in zip(expected, Snapper(first, mapped).nearest(points), strict=True):
        np.testing.assert_array_equal(of_mapped, column)
    assert np.array_equal(points_along(first, mapped, *expected[:2]), points_along(first, xy_m, *expected[:2]))


def test_points_along_streets_lie_where_shapely_puts_them() -> None:
    rng = np.random.default_rng(10)
    first, xy_m = random_shapes(rng, 200)
    street = rng.integers(0, 200, 3_000).astype(np.int32)
    share = rng.choice([0, 1, 0.5, *rng.random(50)], 3_000)
    length_m = shapely.length(lines_of(first, xy_m))[street]
    expected = shapely.line_interpolate_point(lines_of(first, xy_m)[street], share * length_m)
    assert points_along(first, xy_m, street, share) == pytest.approx(shapely.get_coordinates(expected), abs=1e-6)


def network_is_snapped_as_shapely_does(network: RoadNetwork, points: np.ndarray) -> None:
    """Against the tree and the lines of shapely: nearest street, offset along its edge, and the way back."""
    positions, off_m = snap(network, points)
    spots = np.asarray(shapely.points(points))
    point, street = network.tree.query_nearest(spots, all_matches=True)
    least = np.full(len(points), network.n_streets)
    np.minimum.at(least, point, street)
    lines, on = network.lines, network.street[positions.edge]
    assert off_m == pytest.approx(shapely.distance(spots, lines[least]), rel=1e-9, abs=1e-9)
    other = on != least
    assert shapely.distance(spots[other], lines[on[other]]) == pytest.approx(
        shapely.distance(spots[other], lines[least[other]]), rel=1e-12, abs=1e-9
    )
    assert other.mean() < 0.001
    assert np.array_equal(positions.edge, network.edge_of_street[on])
    share = shapely.line_locate_point(lines[on], spots, normalized=True)
    share = np.where(network.backward[positions.edge], 1 - share, share)
    assert positions.offset_m == pytest.approx(share * network.length_m[positions.edge], abs=1e-6)
    assert np.hypot(*(locate(network, positions) - points).T) == pytest.approx(off_m, rel=1e-9, abs=1e-6)


def everywhere(network: RoadNetwork) -> np.ndarray:
    """Points about the network, at junctions, on shape points and 40 km outside."""
    rng = np.random.default_rng(135)
    low, high = network.node_xy_m.min(0), network.node_xy_m.max(0)
    about = rng.uniform(low - 500, high + 500, (2_000, 2))
    return np.concatenate([about, network.node_xy_m[:500], network.shape_xy_m[::7][:500], about[:100] + 40_000])


def test_a_made_city_is_snapped_as_shapely_does(small_city: City) -> None:
    network_is_snapped_as_shapely_does(small_city.network, everywhere(small_city.network))


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
def test_real_streets_are_snapped_as_shapely_does() -> None:
    network, _ = build_network(read_graphml(DATA / "changsha-osm2019/changsha_core_small.graphml")[0])
    network_is_snapped_as_shapely_does(network, everywhere(network))


def test_any_edge_and_offset_is_located_as_shapely_does(small_city: City) -> None:
    """In both directions, and where the road is longer than its line on the map."""
    network = replace(small_city.network, street_length_m=small_city.network.street_length_m * 1.25)
    rng = np.random.default_rng(3)
    edge = np.arange(network.n_edges, dtype=np.int32)
    share = rng.random(len(edge))
    along = np.where(network.backward, 1 - share, share)
    expected = shapely.line_interpolate_point(network.lines[network.street], along, normalized=True)
    found = locate(network, Positions(edge, share * network.length_m))
    assert found == pytest.approx(shapely.get_coordinates(expected), abs=1e-6)


def test_no_position_lies_on_a_pedestrian_street(small_city: City) -> None:
    network = small_city.network
    middle = locate(network, Positions(network.edge_of_street[:50], network.length_m[network.edge_of_street[:50]] / 2))
    street_class = network.street_class.copy()
    street_class[:50] = RoadClass.PEDESTRIAN
    positions, off_m = snap(replace(network, street_class=street_class), middle)
    assert (network.street[positions.edge] >= 50).all()
    assert (off_m > 1).all()
    assert snap(network, middle)[1] == pytest.approx(0, abs=1e-6)
