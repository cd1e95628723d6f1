"""Cells, their hierarchy and neighbours, and the streets cut at their borders."""

import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geodata.city import City
from geodata.grid import AREA_COLUMNS, Grid, Level, cut_streets
from geodata.makegrid import CellKind, make_grid
from geodata.network import RoadClass, RoadNetwork, Streets, build_network

EPSG = 4547


def network_of(*lines: list[tuple[float, float]], classes: list[RoadClass] | None = None) -> RoadNetwork:
    """Two-way streets along the given lines, which meet where their ends do."""
    ends = [point for line in lines for point in (line[0], line[-1])]
    number = {point: i for i, point in enumerate(dict.fromkeys(ends))}
    network, _ = build_network(
        Streets(
            epsg=EPSG,
            start=np.array([number[line[0]] for line in lines]),
            end=np.array([number[line[-1]] for line in lines]),
            one_way=np.zeros(len(lines), np.int8),
            road_class=np.array(classes or [RoadClass.LOCAL] * len(lines), np.uint8),
            speed_kmh=np.full(len(lines), np.nan),
            name=[""] * len(lines),
            shape_first=np.cumsum([0, *(len(line) for line in lines)]),
            shape_xy_m=np.array([point for line in lines for point in line], float),
        )
    )
    return network


def grid_of(*boxes: shapely.Polygon) -> Grid:
    """Cells of a district of two communities: the first cell in one, the others in the other."""
    n = len(boxes)
    cells = gpd.GeoDataFrame(
        {
            "code": [f"0{i}" for i in range(n)],
            "parent": ["A"] + ["B"] * (n - 1),
            "name": "",
            "name_en": "",
            "residents": 10,
        },
        geometry=list(boxes),
        crs=EPSG,
    )
    areas = pd.DataFrame(
        {
            "code": ["D", "A", "B"],
            "parent": ["", "D", "D"],
            "level": ["district", "community", "community"],
            "name": ["东区", "甲社区", "乙社区"],
            "name_en": ["East", "First", "Second"],
        }
    )
    return Grid(cells, areas)


HALVES = grid_of(shapely.box(0, 0, 100, 100), shapely.box(100, 0, 200, 100))


def spans(network: RoadNetwork, grid: Grid) -> list[tuple[int, float, float]]:
    """(cell, from, to) of every piece."""
    pieces = cut_streets(network, grid)
    return [
        (int(c), pytest.approx(a, abs=1e-6), pytest.approx(b, abs=1e-6))
        for c, a, b in zip(pieces.cell, pieces.from_m, pieces.to_m, strict=True)
    ]


def test_a_street_is_cut_at_the_border_of_two_cells() -> None:
    assert spans(network_of([(30, 50), (130, 50)]), HALVES) == [(0, 0, 70), (1, 70, 100)]


def test_what_lies_outside_all_cells_has_no_piece() -> None:
    assert spans(network_of([(150, 50), (250, 50)]), HALVES) == [(1, 0, 50)]


def test_a_street_along_a_border_belongs_to_the_first_cell_alone() -> None:
    assert spans(network_of([(100, 10), (100, 90)]), HALVES) == [(0, 0, 80)]


def test_a_stretch_along_a_border_is_held_once() -> None:
    network = network_of([(50, 10), (100, 10), (100, 60), (150, 60)])
    assert cut_streets(network, HALVES).length_by_cell(2).sum() == pytest.approx(150)


def test_a_closed_street_across_a_border_is_held_once() -> None:
    ring = network_of([(80, 20), (150, 20), (150, 60), (80, 60), (80, 20)])
    length_m = cut_streets(ring, HALVES).length_by_cell(2)
    assert length_m == pytest.approx([20 + 40 + 20, 50 + 40 + 50])


def test_every_metre_inside_the_grid_is_in_one_piece(small_city: City) -> None:
    inside = small_city.grid.cells.union_all()
    expected = shapely.length(shapely.intersection(small_city.network.lines, inside)).sum()
    assert cut_streets(small_city.network, small_city.grid).length_by_cell(20).sum() == pytest.approx(expected)


def test_a_point_on_a_shared_border_belongs_to_one_cell() -> None:
    assert HALVES.locate(np.array([[100.0, 50], [99, 50], [101, 50], [300, 50]])).tolist() == [0, 0, 1, -1]


def test_a_cell_climbs_to_the_areas_above_it() -> None:
    assert HALVES.ancestor(Level.COMMUNITY).tolist() == ["甲社区", "乙社区"]
    assert HALVES.ancestor(Level.DISTRICT).tolist() == ["东区", "东区"]
    assert HALVES.ancestor(Level.CITY).tolist() == ["", ""]
    assert HALVES.outlines(Level.DISTRICT).area.tolist() == [20_000.0]


def test_a_pedestrian_street_has_no_piece() -> None:
    lines = [(10, 50), (60, 50)], [(60, 50), (90, 50)], [(90, 50), (10, 50)]
    network = network_of(*lines, classes=[RoadClass.LOCAL, RoadClass.PEDESTRIAN, RoadClass.LOCAL])
    pieces = cut_streets(network, HALVES)
    assert RoadClass.PEDESTRIAN in network.street_class
    assert RoadClass.PEDESTRIAN not in network.street_class[pieces.street]
    assert pieces.length_by_cell(2) == pytest.approx([130, 0])


def test_the_share_of_main_roads_is_by_length() -> None:
    lines = [(10, 50), (40, 50)], [(40, 50), (50, 50)], [(50, 50), (90, 50)]
    network = network_of(*lines, classes=[RoadClass.EXPRESSWAY, RoadClass.ARTERIAL, RoadClass.COLLECTOR])
    share = cut_streets(network, HALVES).main_road_share(network, 2)
    assert share[0] == pytest.approx(0.5)
    assert np.isnan(share[1])


def test_neighbours_share_a_border_and_not_just_a_corner() -> None:
    four = grid_of(*(shapely.box(x, y, x + 100, y + 100) for y in (0, 100) for x in (0, 100)))
    assert four.neighbours().tolist() == [[0, 1], [0, 2], [1, 3], [2, 3]]
    assert four.borders.length_m == pytest.approx([100] * 4)


def test_a_long_border_beside_two_short_ones_is_shared_with_both() -> None:
    grid = grid_of(shapely.box(0, 0, 100, 100), shapely.box(100, 0, 200, 30), shapely.box(100, 30, 200, 100))
    assert grid.neighbours().tolist() == [[0, 1], [0, 2], [1, 2]]
    assert grid.borders.length_m == pytest.approx([30, 70, 100], abs=0.6)


def test_a_border_that_was_drawn_twice_is_one() -> None:
    grid = grid_of(shapely.box(0, 0, 100, 100), shapely.box(100.1, 3, 200, 90), shapely.box(203, 0, 300, 100))
    assert grid.neighbours().tolist() == [[0, 1]]
    assert grid.borders.length_m == pytest.approx([87], abs=0.6)


def test_each_part_of_a_cell_has_neighbours() -> None:
    apart = shapely.MultiPolygon([shapely.box(0, 0, 100, 100), shapely.box(200, 0, 300, 100)])
    grid = grid_of(shapely.box(100, 0, 200, 100), apart, shapely.box(300, 0, 400, 100))
    assert grid.neighbours().tolist() == [[0, 1], [1, 2]]
    assert grid.borders.length_m == pytest.approx([200, 100])


def test_the_least_border_of_neighbours_can_be_chosen() -> None:
    grid = grid_of(shapely.box(0, 0, 100, 100), shapely.box(100, 80, 200, 180))
    assert grid.neighbours().tolist() == [[0, 1]]
    assert grid.neighbours(least_m=21).tolist() == []


def test_borders_add_up_to_the_outlines_of_the_cells(small_city: City) -> None:
    grid = small_city.grid
    outer_m = shapely.length(shapely.union_all(grid.polygons))
    assert 2 * grid.borders.length_m.sum() + outer_m == pytest.approx(shapely.length(grid.polygons).sum())


def test_levels_run_from_the_top_whatever_they_are_called() -> None:
    areas = pd.DataFrame(
        [("w", "g", "微网格", "", ""), ("g", "c", "网格", "", ""), ("c", "", "市", "", "")], columns=list(AREA_COLUMNS)
    )
    assert Grid(HALVES.cells.assign(parent="w"), areas).levels == ("市", "网格", "微网格")
    assert HALVES.levels == ("district", "community")


@pytest.fixture(scope="module")
def made(small_city: City) -> dict[CellKind, Grid]:
    """A grid of each kind in a boundary that is no rectangle."""
    x, y = small_city.grid.cells.total_bounds[:2]
    shape = shapely.Polygon([(x, y + 90), (x + 2800, y), (x + 2900, y + 2700), (x + 200, y + 2900)])
    areas = gpd.GeoDataFrame({"code": ["D"], "name": ["区"]}, geometry=[shape], crs=EPSG)
    none = pd.DataFrame(columns=list(AREA_COLUMNS))
    return {kind: Grid(make_grid(areas, kind, 400, network=small_city.network), none) for kind in CellKind}


@pytest.mark.parametrize("kind", list(CellKind))
@given(seed=st.integers(0, 10**6))
def test_a_point_on_a_border_or_corner_belongs_to_the_first_cell_that_has_it(
    kind: CellKind, made: dict[CellKind, Grid], seed: int
) -> None:
    grid = made[kind]
    rng = np.random.default_rng(seed)
    rims = shapely.boundary(grid.polygons)
    cell = rng.integers(0, len(grid), 60)
    along = shapely.line_interpolate_point(rims[cell], rng.uniform(0, 1, 60), normalized=True)
    corners = shapely.get_coordinates(rims[cell[:20]])
    spot = np.concatenate([shapely.get_coordinates(along), corners])
    away_m = shapely.distance(shapely.points(spot)[:, None], grid.polygons[None])
    found = grid.locate(spot)
    assert (found >= 0).all()
    assert (away_m[np.arange(len(spot)), found] < 1e-6).all()
    assert (found[60:] == np.argmax(away_m[60:] == 0, axis=1)).all()
    shuffled = rng.permutation(len(spot))
    assert (grid.locate(spot[shuffled]) == found[shuffled]).all()


def test_a_point_beyond_the_rim_belongs_to_no_cell() -> None:
    assert HALVES.locate(np.array([[-0.001, 50], [-0.02, 50], [50, 100.02]])).tolist() == [0, -1, -1]


def test_many_points_are_located_at_once(made: dict[CellKind, Grid]) -> None:
    grid = made[CellKind.SQUARE]
    west, south, east, north = grid.cells.total_bounds
    spot = np.random.default_rng(1).uniform((west, south), (east, north), (200_000, 2))
    begin = time.perf_counter()
    found = grid.locate(spot)
    assert time.perf_counter() - begin < 10
    counted = np.bincount(found[found >= 0], minlength=len(grid)) / len(spot)
    expected = grid.cells.area / ((east - west) * (north - south))
    assert np.abs(counted - expected).max() < 0.003
