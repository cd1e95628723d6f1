"""Cells between main roads: they fill the boundary, and strips between carriageways are none of them."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from geodata.blocks import NARROW_M, road_blocks
from geodata.city import City
from geodata.network import RoadClass, RoadNetwork, Streets, build_network

ARTERIAL, COLLECTOR, LOCAL = RoadClass.ARTERIAL, RoadClass.COLLECTOR, RoadClass.LOCAL
SQUARE = shapely.box(0, 0, 1000, 1000)
Road = tuple[float, float, float, float, RoadClass]


def network_of(*roads: Road) -> RoadNetwork:
    """Straight streets; all ends are joined to one place by local ones, so that the network hangs together."""
    starts = [(i + 1, 0) for i in range(2 * len(roads))]
    lines = [[road[:2], road[2:4]] for road in roads]
    lines += [[end, (5000, 5000)] for line in lines[: len(roads)] for end in line]
    n = len(roads)
    return build_network(
        Streets(
            epsg=4547,
            start=np.r_[2 * np.arange(n) + 1, [start for start, _ in starts]],
            end=np.r_[2 * np.arange(n) + 2, np.zeros(2 * n, int)],
            one_way=np.zeros(3 * n, np.int8),
            road_class=np.array([road[4] for road in roads] + [LOCAL] * 2 * n, np.uint8),
            speed_kmh=np.full(3 * n, np.nan),
            name=[""] * 3 * n,
            shape_first=2 * np.arange(3 * n + 1),
            shape_xy_m=np.array(lines, float).reshape(-1, 2),
        )
    )[0]


def blocks_of(*roads: Road, least_m2: float = 10_000, least_class: RoadClass = ARTERIAL) -> list[float]:
    """Areas in hectares, in the order of the codes."""
    blocks, of = road_blocks(np.array([SQUARE], object), network_of(*roads), least_m2, least_class)
    assert shapely.coverage_is_valid(blocks)
    assert shapely.equals(shapely.normalize(shapely.union_all(blocks)), SQUARE)
    assert (of == 0).all()
    return [round(area / 10_000, 3) for area in shapely.area(blocks)]


CROSS = (300, -50, 300, 1050, ARTERIAL), (-50, 600, 1050, 600, ARTERIAL)


def test_main_roads_cut_the_boundary_into_blocks_in_reading_order() -> None:
    assert blocks_of(*CROSS) == [12, 28, 18, 42]


def test_lesser_roads_cut_nothing_unless_asked_for() -> None:
    roads = (*CROSS[:1], (-50, 600, 1050, 600, COLLECTOR), (-50, 200, 1050, 200, LOCAL))
    assert blocks_of(*roads) == [30, 70]
    assert blocks_of(*roads, least_class=COLLECTOR) == [12, 28, 18, 42]


def test_a_road_that_ends_within_a_block_cuts_nothing() -> None:
    assert blocks_of((300, -50, 300, 700, ARTERIAL)) == [100]


def test_a_small_block_joins_the_neighbour_with_the_longest_border() -> None:
    roads = (300, -50, 300, 1050, ARTERIAL), (-50, 200, 1050, 200, ARTERIAL)
    assert blocks_of(*roads) == [24, 56, 6, 14]
    assert blocks_of(*roads, least_m2=61_000) == [30, 56, 14]


def test_the_strip_between_two_carriageways_is_no_block() -> None:
    roads = (500, -50, 500, 1050, ARTERIAL), (520, -50, 520, 1050, ARTERIAL)
    assert sorted(blocks_of(*roads)) == [48, 52]
    apart = (500, -50, 500, 1050, ARTERIAL), (500 + 2 * NARROW_M, -50, 500 + 2 * NARROW_M, 1050, ARTERIAL)
    assert len(blocks_of(*apart)) == 3


def test_strips_of_a_crossing_of_two_dual_roads_leave_four_blocks() -> None:
    dual = [(x, -50, x, 1050, ARTERIAL) for x in (490, 510)] + [(-50, y, 1050, y, ARTERIAL) for y in (490, 510)]
    assert len(blocks_of(*dual)) == 4


def test_a_boundary_without_main_roads_is_one_block() -> None:
    assert blocks_of((100, 100, 900, 900, LOCAL)) == [100]


def test_blocks_stay_within_their_own_polygon() -> None:
    shapes = np.array([shapely.box(0, 0, 400, 1000), shapely.box(400, 0, 1000, 1000)], object)
    blocks, of = road_blocks(shapes, network_of(*CROSS), 10_000)
    assert of.tolist() == [0, 0, 0, 0, 1, 1]
    for i, shape in enumerate(shapes):
        assert shapely.area(blocks[of == i]).sum() == pytest.approx(shape.area)
        assert shapely.covers(shapely.buffer(shape, 1e-6), blocks[of == i]).all()


def test_a_boundary_with_a_hole_keeps_it() -> None:
    holed = shapely.difference(SQUARE, shapely.box(100, 100, 250, 250))
    blocks, _ = road_blocks(np.array([holed], object), network_of(*CROSS), 10_000)
    assert shapely.area(blocks).sum() == pytest.approx(holed.area)


@pytest.mark.parametrize("least_class", [ARTERIAL, COLLECTOR])
def test_the_blocks_of_a_city_fill_it(small_city: City, least_class: RoadClass) -> None:
    whole = shapely.union_all(small_city.grid.polygons)
    blocks, _ = road_blocks(np.array([whole], object), small_city.network, 50_000, least_class)
    assert shapely.coverage_is_valid(blocks)
    assert shapely.area(blocks).sum() == pytest.approx(whole.area)
    assert shapely.area(blocks).min() >= 50_000
    again, _ = road_blocks(np.array([whole], object), small_city.network, 50_000, least_class)
    assert shapely.equals_exact(blocks, again).all()
