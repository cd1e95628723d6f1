"""Travel by a plain matrix: as it says between places, worked out from it under way, as roads whose times it holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import hard_network, hard_travel, random_positions

from geodata.matrix import SHORTEST_M, MatrixTravel
from geodata.positions import Position, Positions
from geodata.routing import RoadTravel
from geodata.timetable import times_between
from geodata.travel import NoWayError, Route, TravelTimes

TIMES_S = np.array([[0.0, 100.0, 50.0], [80.0, 0.0, 400.0], [300.0, 20.0, 5.0]])
"""Asymmetric, and from 0 to 1 it is quicker over 2: 70 s instead of 100; to stay at 2 takes 5 s."""
LENGTH_M = np.array([[0.0, 1_000.0, 500.0], [800.0, 0.0, 4_000.0], [3_000.0, 200.0, 50.0]])


@pytest.fixture
def travel() -> MatrixTravel:
    return MatrixTravel(TIMES_S, LENGTH_M, anchors=[0, 2])


def under_way(travel: MatrixTravel, origin: int, target: int, share: float) -> Position:
    edge = origin * travel.n_places + target
    return Position(edge, share * float(travel.length_m[edge]))


def along(travel: MatrixTravel, route: Route, hour: int = 0) -> tuple[float, float]:
    """Seconds and metres of a route, stretch by stretch."""
    begin, end = np.zeros(len(route.edges)), np.ones(len(route.edges))
    begin[0], end[-1] = route.begin_share, route.end_share
    share = end - begin
    return float(share @ travel.edge_time_s(hour)[route.edges]), float(share @ travel.length_m[route.edges])


def test_it_is_travel_as_the_upper_floors_know_it(travel: MatrixTravel) -> None:
    known: TravelTimes = travel
    assert known.changes_s == ()
    assert known.moment(100, 1e6) == 100
    assert known.calm is known
    assert known.keep(0) is None
    assert len(known.edge_time_s(0)) == len(known.length_m) == 9
    assert list(known.anchors) == [travel.place(0), travel.place(2)]


@pytest.mark.parametrize("origin", range(3))
@pytest.mark.parametrize("target", range(3))
def test_from_place_to_place_it_takes_what_the_matrix_says(travel: MatrixTravel, origin: int, target: int) -> None:
    route = travel.route(travel.place(origin), travel.place(target), 0)
    assert route.time_s == TIMES_S[origin, target]
    assert route.length_m == LENGTH_M[origin, target]
    assert route.edges.tolist() == [3 * origin + target]
    assert along(travel, route) == (route.time_s, route.length_m)


def test_without_lengths_a_metre_stands_for_a_second() -> None:
    travel = MatrixTravel(TIMES_S)
    assert travel.route(travel.place(0), travel.place(1), 0).length_m == 100
    assert travel.length_m.reshape(3, 3).diagonal().tolist() == [SHORTEST_M, SHORTEST_M, 5.0]


@pytest.mark.parametrize(
    ("share", "target", "time_s", "edges"),
    [
        (0.25, 1, 75, [1]),
        (0.25, 0, 20, [3]),
        # on: 75 + 400, back: 20 + 50
        (0.25, 2, 70, [3, 2]),
        (0.0, 2, 50, [2]),
        # at the end it is at place 1, from where it may no longer turn back
        (1.0, 2, 400, [5]),
        (0.99, 2, 0.99 * 80 + 50, [3, 2]),
    ],
)
def test_from_the_middle_of_a_way_one_goes_on_or_turns_back(
    travel: MatrixTravel, share: float, target: int, time_s: float, edges: list[int]
) -> None:
    route = travel.route(under_way(travel, 0, 1, share), travel.place(target), 0)
    assert route.time_s == pytest.approx(time_s)
    assert route.edges.tolist() == edges
    assert along(travel, route) == pytest.approx((route.time_s, route.length_m))


def test_the_middle_of_a_way_is_reached_from_the_nearer_end(travel: MatrixTravel) -> None:
    middle = under_way(travel, 0, 1, 0.25)
    assert travel.route(travel.place(0), middle, 0).time_s == 25
    # against the way out: 75 % of the 80 s from 1 to 0
    assert travel.route(travel.place(1), middle, 0).time_s == 60
    assert travel.route(travel.place(2), middle, 0).edges.tolist() == [7, 3]
    ahead = travel.route(under_way(travel, 0, 1, 0.1), middle, 0)
    assert (ahead.edges.tolist(), ahead.begin_share, ahead.end_share) == ([1], 0.1, 0.25)
    behind = travel.route(under_way(travel, 1, 0, 0.25), middle, 0)
    assert (behind.edges.tolist(), behind.begin_share, behind.end_share) == ([3], 0.25, 0.75)
    assert travel.route(middle, middle, 0).time_s == 0


@given(st.integers(0, 2**32), st.floats(0, 1), st.floats(0, 1))
def test_every_route_takes_the_time_of_its_stretches_one_after_the_other(seed: int, begin: float, end: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 5))
    times_s = np.where(rng.random((n, n)) < 0.2, np.inf, rng.uniform(0, 100, (n, n)))
    np.fill_diagonal(times_s, rng.choice([0.0, 3.0], n))
    travel = MatrixTravel(times_s)
    ends = [under_way(travel, *rng.integers(0, n, 2), share) for share in (begin, end)]
    try:
        route = travel.route(*ends, 0)
    except NoWayError:
        assert travel.nearest_drives(ends[1], np.zeros(1, int), _one(ends[0]), np.zeros(1), np.ones(1), 0) == []
        return
    assert along(travel, route) == pytest.approx((route.time_s, route.length_m))
    heads, tails = route.edges % n, route.edges // n
    assert (heads[:-1] == tails[1:]).all()
    ((_, drive),) = travel.nearest_drives(ends[1], np.zeros(1, int), _one(ends[0]), np.zeros(1), np.ones(1), 0)
    assert drive == (route.time_s, route.length_m)


def _one(position: Position) -> Positions:
    return Positions(np.array([position.edge]), np.array([position.offset_m]))


@pytest.mark.parametrize("seed", range(20))
def test_the_nearest_are_those_with_the_least_times_and_of_equals_the_smaller_row(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, units = 6, 12
    travel = MatrixTravel(np.where(np.eye(n) > 0, 0.0, rng.integers(1, 4, (n, n)) * 10.0))
    positions = travel.places(rng.integers(0, n, units))
    delay_s, slowness = rng.integers(0, 2, units) * 10.0, rng.choice([0.5, 1.0], units)
    rows = np.sort(rng.choice(units, 9, replace=False))
    target = travel.place(int(rng.integers(0, n)))
    cost = {r: delay_s[r] + slowness[r] * travel.route(positions[r], target, 0).time_s for r in rows.tolist()}
    expected = sorted(cost, key=lambda r: (cost[r], r))
    for k in (1, 4, 20):
        found = travel.nearest_drives(target, rows[::-1], positions, delay_s, slowness, 0, k)
        assert [row for row, _ in found] == expected[:k]


def test_who_cannot_come_is_not_among_the_nearest() -> None:
    travel = MatrixTravel([[0, np.inf], [10, 0]], anchors=[1])
    both, zeros, ones = travel.places([0, 1]), np.zeros(2), np.ones(2)
    found = travel.nearest_drives(travel.place(1), np.arange(2), both, zeros, ones, 0, 2)
    assert [row for row, _ in found] == [1]
    with pytest.raises(NoWayError):
        travel.route(travel.place(0), travel.place(1), 0)
    assert travel.route(travel.place(1), travel.place(0), 0).time_s == 10


def test_hours_have_their_own_matrices_and_those_without_hurry_theirs() -> None:
    of_hour = np.arange(168) >= 24
    both = np.stack([TIMES_S, 2 * TIMES_S])
    travel = MatrixTravel(both, matrix_of_hour=of_hour, calm_times_s=3 * both, anchors=[1])

    def seconds(t: MatrixTravel, hour: int) -> float:
        return t.route(t.place(0), t.place(1), hour).time_s

    assert [seconds(travel, hour) for hour in (0, 23, 24, 167)] == [100, 100, 200, 200]
    assert [seconds(travel.calm, hour) for hour in (0, 24)] == [300, 600]
    assert travel.calm.anchors is travel.anchors
    assert travel.calm.calm is travel.calm
    assert travel.edge_time_s(30)[1] == 200


def test_all_that_decides_the_times_is_in_the_digest() -> None:
    travels = [
        MatrixTravel(TIMES_S),
        MatrixTravel(TIMES_S + 1),
        MatrixTravel(TIMES_S, LENGTH_M),
        MatrixTravel(TIMES_S, calm_times_s=2 * TIMES_S),
        MatrixTravel([TIMES_S, TIMES_S], matrix_of_hour=np.zeros(168, int)),
    ]
    assert len({travel.digest for travel in travels}) == len(travels)
    assert MatrixTravel(TIMES_S).digest == travels[0].digest


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"times_s": np.zeros((2, 3))}, "square"),
        ({"times_s": np.zeros((0, 0))}, "square"),
        ({"times_s": [[0, -1], [1, 0]]}, "seconds of 0 or more"),
        ({"times_s": [[0, np.nan], [1, 0]]}, "seconds of 0 or more"),
        ({"times_s": [[np.inf, 1], [1, 0]]}, "diagonal"),
        ({"times_s": TIMES_S, "length_m": np.ones((2, 2))}, "length_m of shape"),
        ({"times_s": TIMES_S, "length_m": -LENGTH_M}, "metres of 0 or more"),
        ({"times_s": TIMES_S, "length_m": np.full((3, 3), np.inf)}, "metres of 0 or more"),
        ({"times_s": TIMES_S, "calm_times_s": np.zeros((2, 2))}, "as times_s"),
        ({"times_s": TIMES_S, "anchors": [3]}, "rows 0 to 2"),
        ({"times_s": TIMES_S, "anchors": Positions(np.array([1]), np.array([50.0]))}, "an anchor"),
        ({"times_s": [TIMES_S, TIMES_S]}, "without matrix_of_hour"),
        ({"times_s": TIMES_S, "matrix_of_hour": np.ones(168, int)}, "168 numbers"),
        ({"times_s": TIMES_S, "matrix_of_hour": [0]}, "168 numbers"),
    ],
)
def test_a_matrix_that_is_none_is_refused(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        MatrixTravel(**given)


@pytest.mark.parametrize("seed", range(15))
def test_the_matrix_of_a_road_network_answers_as_the_roads_do(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = hard_network(rng, 12)
    roads, hour = hard_travel(rng, network)
    where = random_positions(network, rng, 8)
    roads = RoadTravel(network, rules=replace(roads.rules), anchors=where.take(np.arange(3)), slowdowns=roads.slowdowns)
    times_s = times_between(roads, where, where, hour)
    length_m = np.zeros((8, 8))
    for i, j in np.argwhere(np.isfinite(times_s)).tolist():
        length_m[i, j] = roads.route(where[i], where[j], hour).length_m
    matrix = MatrixTravel(times_s, length_m, anchors=[0, 1, 2])
    places = matrix.places(range(8))
    rows, delay_s, slowness = np.arange(8), rng.uniform(0, 60, 8), rng.uniform(0.6, 1, 8)
    standing = np.where(rows < 3, rows, -1).astype(np.int32)
    for target in range(8):
        asked = rows, delay_s, slowness, hour, 4, standing
        by_road = roads.nearest_drives(where[target], rows, where, *asked[1:])
        by_matrix = matrix.nearest_drives(places[target], rows, places, *asked[1:])
        assert [row for row, _ in by_matrix] == [row for row, _ in by_road]
        for (_, a), (_, b) in zip(by_matrix, by_road, strict=True):
            assert a == pytest.approx(b, abs=2 * SHORTEST_M)
