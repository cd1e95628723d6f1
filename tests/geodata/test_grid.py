"""Cells, their hierarchy, and the streets cut at their borders."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely

from geodata.city import City
from geodata.grid import Grid, Level, cut_streets
from geodata.network import RoadNetwork, Streets, build_network

EPSG = 4547


def network_of(*lines: list[tuple[float, float]]) -> RoadNetwork:
    """Two-way streets along the given lines, which meet where their ends do."""
    ends = [point for line in lines for point in (line[0], line[-1])]
    number = {point: i for i, point in enumerate(dict.fromkeys(ends))}
    network, _ = build_network(
        Streets(
            epsg=EPSG,
            start=np.array([number[line[0]] for line in lines]),
            end=np.array([number[line[-1]] for line in lines]),
            one_way=np.zeros(len(lines), np.int8),
            road_class=np.full(len(lines), 3, np.uint8),
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
