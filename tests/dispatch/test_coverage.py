"""What the posts reach: on one straight road by hand, and in the small city by trying points along the streets."""

from __future__ import annotations

from dataclasses import replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from dispatch.planning.coverage import cell_coverage, coverage, site_times_s
from geodata.city import City
from geodata.grid import Grid, Level, cut_streets
from geodata.network import OneWay, RoadClass, RoadNetwork, Streets, build_network
from geodata.positions import Positions, snap
from geodata.reach import reach_lines, reach_stretches
from geodata.routing import RoadTravel
from geodata.sites import Posts, Sites
from geodata.speeds import SpeedProfile
from geodata.timetable import times_to

MONDAY_18 = 18
"""In the evening peak: 21 km/h on an arterial."""
MONDAY_12 = 12
"""Off-peak: 36 km/h."""
SIREN_M_S = 21 * 1.3 / 3.6
JUNCTIONS_M = (0.0, 1_500.0, 3_000.0, 4_000.0, 8_000.0)


def straight_road(road_class: RoadClass = RoadClass.ARTERIAL, one_way: OneWay = OneWay.NO) -> RoadNetwork:
    """One road of 8 km from west to east; a one-way one has a way back that is out of reach, 100 km long."""
    x = np.array(JUNCTIONS_M)
    start, end = np.arange(4), np.arange(1, 5)
    shapes = [[(x[i], 0.0), (x[i + 1], 0.0)] for i in range(4)]
    if one_way is not OneWay.NO:
        start, end = np.r_[start, 4], np.r_[end, 0]
        shapes.append([(8_000.0, 0.0), (4_000.0, 50_000.0), (0.0, 0.0)])
    network, dropped = build_network(
        Streets(
            epsg=4547,
            start=start,
            end=end,
            one_way=np.full(len(start), one_way, np.int8),
            road_class=np.full(len(start), road_class, np.uint8),
            speed_kmh=np.full(len(start), np.nan),
            name=[""] * len(start),
            shape_first=np.r_[0, np.cumsum([len(shape) for shape in shapes])],
            shape_xy_m=np.concatenate([np.array(shape) for shape in shapes]),
        )
    )
    assert not dropped
    return network


def at_x(network: RoadNetwork, *x_m: float) -> Positions:
    return snap(network, np.array([(x, 0.0) for x in x_m]))[0]


def line_city(*posts_m: float) -> City:
    """The straight road in four cells of 2 km by 1 km with 400, 300, 200 and 100 residents; a vital site at 2.1 km, a
    key one at 3.5 km, one of no class at 7 km."""
    network = straight_road()
    boxes = [shapely.box(2_000 * i, -500, 2_000 * (i + 1), 500) for i in range(4)]
    cells = gpd.GeoDataFrame(
        {
            "code": list("abcd"),
            "parent": "C",
            "name": list("abcd"),
            "name_en": list("abcd"),
            "residents": [400.0, 300.0, 200.0, 100.0],
        },
        geometry=boxes,
        crs=4547,
    )
    areas = pd.DataFrame({"code": ["C"], "parent": [""], "level": [Level.CITY], "name": ["城"], "name_en": ["City"]})
    grid = Grid(cells, areas)
    names = {"name": "", "name_en": ""}
    sites = gpd.GeoDataFrame(
        {"id": ["v", "k", "o"], "kind": "site", "place_class": ["vital", "key", ""]} | names,
        geometry=[shapely.Point(x, 0) for x in (2_100, 3_500, 7_000)],
        crs=4547,
    )
    posts = gpd.GeoDataFrame(
        {"id": [f"P{x}" for x in posts_m], "kind": "post", "capacity": 1} | names,
        geometry=[shapely.Point(x, 0) for x in posts_m],
        crs=4547,
    )
    return City(
        name="一条路",
        name_en="One Road",
        network=network,
        grid=grid,
        pieces=cut_streets(network, grid),
        sites=Sites(sites[["id", "name", "name_en", "kind", "place_class", "geometry"]]),
        posts=Posts(posts[["id", "name", "name_en", "kind", "capacity", "geometry"]], at_x(network, *posts_m)),
        areas=gpd.GeoDataFrame({"kind": []}, geometry=[], crs=4547),
        sources=(),
    )


def reached_m(
    network: RoadNetwork, speeds: SpeedProfile, minutes: tuple[float, ...], factor: float = 1.3
) -> list[float]:
    """How far east a unit comes from the road's west end in the evening peak."""
    stretches = reach_stretches(
        RoadTravel(network, speeds), at_x(network, 0.0), [60 * m for m in minutes], MONDAY_18, factor
    )
    length_m = (stretches.to_share - stretches.from_share) * network.street_length_m[stretches.street]
    return np.bincount(stretches.limit, length_m, minlength=len(minutes)).cumsum().tolist()


@pytest.mark.parametrize(
    ("road_class", "metres"),
    [(RoadClass.ARTERIAL, [455, 1_365, 2_275]), (RoadClass.EXPRESSWAY, [672, 2_015, 3_358])],
)
def test_reach_in_the_evening_peak_with_siren(road_class: RoadClass, metres: list[float]) -> None:
    assert reached_m(straight_road(road_class), SpeedProfile(), (1, 3, 5)) == pytest.approx(metres, abs=0.5)


def test_reach_on_a_road_measured_at_14_kilometres_an_hour() -> None:
    """五一大道: 14.2 km/h in the evening peak."""
    slow = np.where(np.arange(168) % 24 == 18, 14.2, 36.0)
    speeds = SpeedProfile(np.stack([slow] * 5))
    assert reached_m(straight_road(), speeds, (1, 3, 5)) == pytest.approx([308, 923, 1_538], abs=0.5)


def test_a_turn_out_of_30_seconds_shortens_the_reach() -> None:
    assert reached_m(straight_road(), SpeedProfile(), (0.5, 2.5, 4.5)) == pytest.approx([228, 1_138, 2_048], abs=0.6)


def test_a_street_with_a_speed_of_its_own_slows_down_in_the_peak_as_its_class_does() -> None:
    network = straight_road()
    own = replace(network, street_speed_kmh=np.full(network.n_streets, 72.0))
    assert reached_m(own, SpeedProfile(), (1, 3)) == pytest.approx([910, 2_730], abs=0.5)


def test_reach_runs_both_ways_from_a_post_and_with_the_traffic_alone_on_a_one_way_road() -> None:
    for one_way, expected in ((OneWay.NO, (1_545, 2_455)), (OneWay.FORWARD, (2_000, 2_455))):
        network = straight_road(one_way=one_way)
        travel = RoadTravel(network)
        band = reach_lines(travel, at_x(network, 2_000.0), [60.0], MONDAY_18, 1.3).geometry[0]
        assert (band.bounds[0], band.bounds[2]) == pytest.approx(expected, abs=0.01)


def test_the_share_of_each_cells_road_by_hand() -> None:
    """From 2 km, in 5 minutes less 30 s of turn-out, 2,047.5 m both ways; in one minute 227.5 m."""
    city = line_city(2_000.0)
    travel = RoadTravel(city.network)
    shares = cell_coverage(city, travel, minutes=(1, 3, 5), hour=MONDAY_18)
    near, mid = 30 * SIREN_M_S / 2_000, 150 * SIREN_M_S / 2_000
    far = 270 * SIREN_M_S - 2_000
    assert shares == pytest.approx(np.array([[near, mid, 1], [near, mid, 1], [0, 0, far / 2_000], [0, 0, 0]]))


def test_the_table_of_a_city_by_hand() -> None:
    table = coverage(line_city(2_000.0), RoadTravel(line_city(2_000.0).network), minutes=(1, 3), hour=MONDAY_18)
    assert set(table.columns) == {"minutes", "road_length", "area", "residents", "cells", "sites", "vital", "key"}
    assert table["cells"].tolist() == [0, 0]
    near, mid = 30 * SIREN_M_S / 2_000, 150 * SIREN_M_S / 2_000
    assert table["road_length"].tolist() == pytest.approx([near / 2, mid / 2])
    assert table["area"].tolist() == pytest.approx([near / 2, mid / 2])
    assert table["residents"].tolist() == pytest.approx([0.7 * near, 0.7 * mid])
    # of the two sites that have a class the vital one is 100 m away, the key one 1,500 m
    assert table["vital"].tolist() == [1, 1]
    assert table["key"].tolist() == [0, 0]
    assert table["sites"].tolist() == pytest.approx([1 / 2, 1 / 2])


def test_hour_speed_factor_and_turn_out_count() -> None:
    city = line_city(2_000.0)
    travel = RoadTravel(city.network)

    def reached(**changed: float) -> float:
        asked = {"minutes": (1,), "hour": MONDAY_18} | changed
        return float(cell_coverage(city, travel, **asked)[0, 0]) * 2_000

    assert reached() == pytest.approx(30 * 21 * 1.3 / 3.6)
    assert reached(hour=MONDAY_12) == pytest.approx(30 * 36 * 1.3 / 3.6)
    assert reached(speed_factor=1.0) == pytest.approx(30 * 21 / 3.6)
    assert reached(turn_out_s=0.0) == pytest.approx(60 * 21 * 1.3 / 3.6)
    assert reached(turn_out_s=75.0) == 0


def test_times_to_sites_are_of_the_post_whose_unit_is_there_first() -> None:
    city = line_city(2_000.0, 6_000.0)
    driving = np.array([100, 1_500, 1_000]) / SIREN_M_S
    seconds = site_times_s(city, RoadTravel(city.network), hour=MONDAY_18)
    assert seconds == pytest.approx(30 + driving)
    slow_first = site_times_s(city, RoadTravel(city.network), hour=MONDAY_18, turn_out_s=np.array([10_000.0, 10.0]))
    assert (slow_first >= 10 + driving - 1e-9).all()
    assert slow_first.max() < 10_000


def test_two_posts_reach_what_either_reaches_and_no_road_counts_twice() -> None:
    def shares(*posts_m: float) -> np.ndarray:
        city = line_city(*posts_m)
        return cell_coverage(city, RoadTravel(city.network), minutes=(3,), hour=MONDAY_18)[:, 0] * 2_000

    reach_m = 150 * SIREN_M_S
    assert shares(1_000.0, 1_600.0) == pytest.approx([2_000, 1_600 + reach_m - 2_000, 0, 0])
    assert shares(1_000.0, 1_000.0) == pytest.approx(shares(1_000.0))


def test_longer_limits_reach_no_less_in_any_cell(small_city: City) -> None:
    travel = RoadTravel(small_city.network)
    shares = cell_coverage(small_city, travel, minutes=np.arange(0, 9, 0.5).tolist(), hour=MONDAY_18)
    assert (np.diff(shares, axis=1) >= -1e-12).all()
    assert shares[:, 0] == pytest.approx(0)
    assert shares[:, -1] == pytest.approx(1)
    table = coverage(small_city, travel, minutes=(1, 3, 5, 8), hour=MONDAY_18)
    assert (np.diff(table.to_numpy(), axis=0) >= 0).all()
    assert table.iloc[-1, 1:].tolist() == pytest.approx([1.0] * 7)


def test_coverage_equals_the_share_of_points_along_the_streets_that_are_reached_in_time(small_city: City) -> None:
    network, pieces = small_city.network, small_city.pieces
    travel, minutes = RoadTravel(network), (1.0, 2.0, 3.0)
    shares = cell_coverage(small_city, travel, minutes=minutes, hour=MONDAY_18)
    posts = small_city.posts.positions
    step_m = 20.0
    inside, total = np.zeros((len(small_city.grid), len(minutes))), np.zeros(len(small_city.grid))
    for street, cell, low, high in zip(pieces.street, pieces.cell, pieces.from_m, pieces.to_m, strict=True):
        n = max(round((high - low) / step_m), 1)
        edge = int(network.edge_of_street[street])
        for along_m in low + (np.arange(n) + 0.5) * (high - low) / n:
            offset_m = network.length_m[edge] - along_m if network.backward[edge] else along_m
            goal = Positions(np.array([edge], np.int32), np.array([offset_m]))[0]
            seconds = 30 + times_to(travel, posts, goal, MONDAY_18).min() / 1.3
            inside[cell] += (seconds <= 60 * np.array(minutes)) * (high - low) / n
            total[cell] += (high - low) / n
    assert shares == pytest.approx(inside / total[:, None], abs=0.015)
    whole = coverage(small_city, travel, minutes=minutes, hour=MONDAY_18)["road_length"]
    assert whole.tolist() == pytest.approx((inside.sum(axis=0) / total.sum()).tolist(), abs=0.003)
    assert whole.between(0.01, 0.99).all()


def test_a_city_without_sites_or_residents_has_no_share_of_them(small_city: City) -> None:
    bare = replace(
        small_city,
        sites=Sites(small_city.sites.table.iloc[:0]),
        grid=Grid(small_city.grid.cells.assign(residents=0.0), small_city.grid.areas),
    )
    table = coverage(bare, RoadTravel(bare.network), minutes=(3,), hour=MONDAY_18)
    assert table[["residents", "sites", "vital", "key"]].isna().all(axis=None)
    assert table[["road_length", "area"]].notna().all(axis=None)


def test_backward_is_where_one_would_have_to_stand() -> None:
    """On a one-way road to the east a unit at 2 km gets to what lies ahead; who is to reach 2 km must stand behind."""
    network = straight_road(one_way=OneWay.FORWARD)
    travel, here = RoadTravel(network), at_x(network, 2_000.0)
    for backward, expected in ((False, (2_000, 2_455)), (True, (1_545, 2_000))):
        band = reach_lines(travel, here, [60.0], MONDAY_18, 1.3, backward=backward).geometry[0]
        assert (band.bounds[0], band.bounds[2]) == pytest.approx(expected, abs=0.01)
