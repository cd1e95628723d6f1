"""Grids and posts made by rule."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geodata.city import City
from geodata.grid import CELL_COLUMNS
from geodata.makegrid import (
    SLIVER_SHARE,
    CellKind,
    made_posts,
    make_grid,
    spread_residents,
    without_overlaps,
)
from geodata.positions import locate, snap
from geodata.sites import POST_COLUMNS

KINDS = pytest.mark.parametrize("kind", [CellKind.SQUARE, CellKind.HEX])


def areas(*shapes: shapely.Geometry) -> gpd.GeoDataFrame:
    codes = [f"43010{i + 1}" for i in range(len(shapes))]
    return gpd.GeoDataFrame({"code": codes, "name": [f"区{c}" for c in codes]}, geometry=list(shapes), crs=4547)


TWO = areas(
    shapely.Polygon([(0, 0), (5300, 0), (4700, 4100), (300, 3800)]),
    shapely.Polygon([(5300, 0), (9900, 700), (9000, 4000), (4700, 4100)]),
)


@KINDS
def test_the_cells_fill_each_area_without_overlap(kind: CellKind) -> None:
    cells = make_grid(TWO, kind, 500)
    assert tuple(cells.columns) == CELL_COLUMNS
    assert cells.is_valid.all()
    for code, whole in zip(TWO["code"], TWO.geometry, strict=True):
        own = cells[cells["parent"] == code]
        assert own.area.sum() == pytest.approx(whole.area)
        assert own.union_all().symmetric_difference(whole).area == pytest.approx(0, abs=1e-3)


@KINDS
def test_codes_are_different_texts_that_begin_with_their_area(kind: CellKind) -> None:
    cells = make_grid(TWO, kind, 500)
    assert cells["code"].is_unique
    for code, parent in zip(cells["code"], cells["parent"], strict=True):
        assert code.startswith(f"{parent}-")


def test_a_whole_square_measures_what_was_asked_for() -> None:
    cells = make_grid(areas(shapely.box(0, 0, 3000, 2000)), CellKind.SQUARE, 500)
    assert cells.area.tolist() == pytest.approx([250_000] * 24)
    assert cells["code"].iloc[0] == "430101-001-001"
    north_west = cells.set_index("code").geometry["430101-001-001"]
    assert north_west.bounds == (0, 1500, 500, 2000)


def test_a_whole_hexagon_measures_what_was_asked_for_between_its_sides() -> None:
    cells = make_grid(areas(shapely.box(0, 0, 5000, 5000)), CellKind.HEX, 500)
    whole = cells[shapely.get_num_coordinates(np.asarray(cells.geometry.array)) == 7].cx[500:4500, 500:4500]
    assert len(whole) > 60
    assert whole.area.tolist() == pytest.approx([500**2 * np.sqrt(3) / 2] * len(whole), rel=1e-4)
    width = whole.bounds["maxx"] - whole.bounds["minx"]
    assert width.tolist() == pytest.approx([500] * len(whole), abs=0.01)


@KINDS
def test_slivers_join_a_neighbour(kind: CellKind) -> None:
    strip = areas(shapely.box(0, 0, 5010, 5010))
    cells = make_grid(strip, kind, 500)
    assert cells.area.min() >= SLIVER_SHARE * 500**2 * np.sqrt(3) / 2


def test_an_area_smaller_than_a_sliver_keeps_its_cell() -> None:
    cells = make_grid(areas(shapely.box(0, 0, 1000, 1000), shapely.box(1000, 0, 1020, 20)), CellKind.SQUARE, 500)
    assert cells["parent"].tolist() == ["430101"] * 4 + ["430102"]
    assert cells.area.iloc[-1] == pytest.approx(400)


def test_ground_claimed_by_two_areas_belongs_to_the_first() -> None:
    cells = make_grid(areas(shapely.box(0, 0, 2000, 2000), shapely.box(1900, 0, 4000, 2000)), CellKind.SQUARE, 500)
    assert cells.area.sum() == pytest.approx(4000 * 2000)
    assert cells[cells["parent"] == "430101"].area.sum() == pytest.approx(2000 * 2000)


def test_an_area_with_a_hole_keeps_it() -> None:
    holed = shapely.box(0, 0, 3000, 3000).difference(shapely.box(700, 700, 2200, 2200))
    assert make_grid(areas(holed), CellKind.SQUARE, 500).area.sum() == pytest.approx(holed.area)


def test_areas_that_only_touch_stay_as_they_are() -> None:
    shapes = np.asarray(TWO.geometry.array, object)
    assert all(a is b for a, b in zip(without_overlaps(shapes), shapes, strict=True))


def test_blocks_lie_between_the_main_roads_of_a_network(small_city: City) -> None:
    district = small_city.grid.outlines("district")
    cells = make_grid(district, CellKind.BLOCKS, 1000, network=small_city.network)
    assert tuple(cells.columns) == CELL_COLUMNS
    assert cells["code"].iloc[0] == "W-B0001"
    assert cells["code"].is_unique
    assert set(cells["parent"]) == {"W", "E"}
    for code, whole in zip(district["code"], district.geometry, strict=True):
        own = cells[cells["parent"] == code]
        assert own.area.sum() == pytest.approx(whole.area)
        assert own.union_all().symmetric_difference(whole).area == pytest.approx(0, abs=1e-3)


def test_blocks_without_a_network_are_refused() -> None:
    with pytest.raises(ValueError, match="no network"):
        make_grid(TWO, CellKind.BLOCKS, 500)


@pytest.mark.parametrize("cell_m", [0, -5, float("nan")])
def test_a_cell_without_a_size_is_refused(cell_m: float) -> None:
    with pytest.raises(ValueError, match="expected more than 0 m"):
        make_grid(TWO, CellKind.SQUARE, cell_m)


@given(st.integers(0, 10**7), arrays(float, st.integers(1, 50), elements=st.floats(0, 1e6)))
def test_residents_add_up_and_follow_the_weights(total: int, weight: np.ndarray) -> None:
    if not weight.sum() > 0:
        with pytest.raises(ValueError, match="weights"):
            spread_residents(total, weight)
        return
    count = spread_residents(total, weight)
    assert count.sum() == total
    assert (np.abs(count - total * weight / weight.sum()) < 1 + 1e-6).all()
    assert (count[weight == 0] <= 0).all()


def test_made_posts_stand_on_roads_with_ids_of_their_own(small_city: City) -> None:
    posts = made_posts(small_city.network, small_city.pieces, small_city.road_m_by_cell, 12, seed=1)
    assert set(POST_COLUMNS) <= set(posts.table.columns)
    assert posts.table["id"].tolist() == [f"P{i:03d}" for i in range(1, 13)]
    spot = shapely.get_coordinates(np.asarray(posts.table.geometry.array))
    assert snap(small_city.network, spot)[1] == pytest.approx(0, abs=1e-6)
    assert locate(small_city.network, posts.positions) == pytest.approx(spot)


def test_the_seed_decides_where_posts_are(small_city: City) -> None:
    weight = small_city.road_m_by_cell

    def spots(seed: int) -> list[float]:
        return made_posts(small_city.network, small_city.pieces, weight, 6, seed).table.geometry.x.tolist()

    assert spots(1) == spots(1)
    assert spots(1) != spots(2)


def test_posts_go_where_the_weight_is(small_city: City) -> None:
    weight = np.zeros(len(small_city.grid))
    weight[3] = 1
    posts = made_posts(small_city.network, small_city.pieces, weight, 5, seed=1)
    near = shapely.buffer(small_city.grid.polygons[3], 50)
    assert shapely.covers(near, np.asarray(posts.table.geometry.array)).all()


def test_made_posts_leave_nobody_farther_than_random_ones(small_city: City) -> None:
    network = small_city.network

    def mean_distance_m(spot: np.ndarray) -> float:
        away = np.hypot(*(network.node_xy_m[:, None] - spot[None]).transpose(2, 0, 1))
        return float(away.min(axis=1).mean())

    posts = made_posts(network, small_city.pieces, small_city.road_m_by_cell, 9, seed=1)
    rng = np.random.default_rng(0)
    by_chance = [mean_distance_m(network.node_xy_m[rng.choice(network.n_nodes, 9)]) for _ in range(50)]
    assert mean_distance_m(locate(network, posts.positions)) < min(by_chance)


def test_more_posts_than_streets_are_refused(small_city: City) -> None:
    with pytest.raises(ValueError, match="10000 posts asked for, expected 1 to"):
        made_posts(small_city.network, small_city.pieces, small_city.road_m_by_cell, 10_000, seed=1)
