"""The table of cover: where its points of demand lie, how soon and within what they are reached."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dispatch.cover import Cover, demand_points, make_cover
from dispatch.standard import STANDARDS, ResponseStandard
from geodata.city import City
from geodata.errors import InputError
from geodata.positions import locate
from geodata.routing import RoadTravel
from geodata.speeds import Slowdown
from geodata.timetable import times_from

MONDAY_18 = 18


@pytest.fixture(scope="module")
def travel(small_city: City) -> RoadTravel:
    return RoadTravel(small_city.network)


def test_a_cell_has_a_point_for_each_so_many_metres_of_road_and_at_least_one(small_city: City) -> None:
    weight = np.arange(20.0)
    for road_per_point_m in (200.0, 1_000.0, np.inf):
        points, share = demand_points(small_city, weight, road_per_point_m)
        cell = small_city.grid.locate(locate(small_city.network, points))
        expected = np.maximum(np.rint(small_city.road_m_by_cell / road_per_point_m), 1) * (weight > 0)
        assert np.bincount(cell, minlength=20).tolist() == expected.tolist()
        assert np.bincount(cell, share, minlength=20) == pytest.approx(weight / weight.sum())


def test_points_lie_evenly_along_the_road_of_a_cell(small_city: City) -> None:
    """Of a cell cut into points every metre or so, each street has as many as it is long."""
    weight = np.zeros(20)
    weight[7] = 1.0
    points, _ = demand_points(small_city, weight, 1.0)
    found = np.bincount(small_city.network.street[points.edge], minlength=small_city.network.n_streets)
    mine = small_city.pieces.cell == 7
    length_m = (small_city.pieces.to_m - small_city.pieces.from_m)[mine]
    assert found[small_city.pieces.street[mine]] == pytest.approx(length_m, abs=2)


def test_times_are_those_of_units_with_siren_from_the_order_on(small_city: City, travel: RoadTravel) -> None:
    turn_out_s = np.array([30.0, 75.0, 30.0, 0.0])
    cover = make_cover(
        small_city,
        travel,
        ResponseStandard(),
        hour=MONDAY_18,
        weight=np.ones(20),
        turn_out_s=turn_out_s,
        speed_factor=1.5,
    )
    points, share = demand_points(small_city, np.ones(20), 5_000.0)
    posts = small_city.posts.positions
    for post in range(4):
        drive_s = times_from(travel, posts[post], points, MONDAY_18)
        assert cover.time_s[post] == pytest.approx(turn_out_s[post] + drive_s / 1.5)
        assert cover.between_s[post] == pytest.approx(times_from(travel, posts[post], posts, MONDAY_18))
    assert cover.weight == pytest.approx(share)
    assert cover.weight.sum() == pytest.approx(1)


def test_limits_are_those_of_the_place_class_at_the_hour(small_city: City) -> None:
    city = replace(
        small_city, sites=type(small_city.sites)(small_city.sites.table.assign(opening_hours="Mo-Su 08:00-12:00"))
    )
    points, _ = demand_points(city, np.ones(20), 200.0)
    place_class = city.sites.place_class(locate(city.network, points))
    closure = Slowdown(name="cordon", edges=np.arange(2, dtype=np.int32), from_s=100.0, until_s=200.0)
    travel = RoadTravel(city.network, slowdowns=[closure])

    def limit_s(hour: int) -> np.ndarray:
        made = make_cover(city, travel, ResponseStandard(), hour=hour, weight=np.ones(20), road_per_point_m=200.0)
        return made.limit_s

    assert limit_s(9).tolist() == np.array([300.0, 180.0, 60.0])[place_class].tolist()
    assert set(limit_s(9)) == {300.0, 180.0, 60.0}
    assert set(limit_s(MONDAY_18)) == {300.0}
    assert limit_s(travel.moment(9, 150.0)).tolist() == limit_s(9).tolist()


def test_with_a_standard_by_severity_a_point_is_there_for_each_priority(small_city: City, travel: RoadTravel) -> None:
    def made(**told: object) -> Cover:
        return make_cover(small_city, travel, STANDARDS["severity"], hour=MONDAY_18, weight=np.ones(20), **told)

    cover, n = made(priority_share={1: 0.3, 2: 0.0, 4: 0.9}), 20
    assert cover.time_s.shape == (4, 2 * n)
    assert (cover.time_s[:, :n] == cover.time_s[:, n:]).all()
    assert set(cover.limit_s[:n]) == {60.0}
    assert set(cover.limit_s[n:]) == {600.0}
    assert [cover.weight[:n].sum(), cover.weight[n:].sum()] == pytest.approx([0.25, 0.75])


def test_points_that_the_same_posts_reach_are_taken_together() -> None:
    within = np.array([[1, 0, 1, 0, 1, 0], [0, 1, 1, 0, 1, 1]], bool)
    cover = Cover(
        time_s=np.where(within, 100.0, np.inf),
        limit_s=np.full(6, 100.0),
        weight=np.array([0.1, 0.2, 0.15, 0.25, 0.3, 0.0]),
        between_s=np.zeros((2, 2)),
    )
    sets = cover.sets
    posts = [tuple(sets.post[a:b].tolist()) for a, b in zip(sets.first[:-1], sets.first[1:], strict=True)]
    assert dict(zip(posts, sets.weight.tolist(), strict=True)) == pytest.approx({(0,): 0.1, (1,): 0.2, (0, 1): 0.45})


def test_a_city_without_demand_on_its_roads_is_told(small_city: City) -> None:
    with pytest.raises(InputError, match="no cell with a street that has demand"):
        demand_points(small_city, np.zeros(20), 1_000.0)
    with pytest.raises(ValueError, match="not negative"):
        demand_points(small_city, np.full(20, -1.0), 1_000.0)


def test_a_table_whose_parts_do_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Cover(time_s=np.ones((2, 3)), limit_s=np.ones(3), weight=np.ones(3), between_s=np.ones((3, 3)))
