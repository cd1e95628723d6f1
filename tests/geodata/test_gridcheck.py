"""What is wrong with a grid is told with its codes, its size and its place; what was mended is not there any more."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import shapely.affinity
from hypothesis import given
from hypothesis import strategies as st

from geodata.grid import AREA_COLUMNS, CELL_COLUMNS
from geodata.gridcheck import GAP_M, MENDED, PROBLEM_COLUMNS, Kind, Problem, check_grid, problem_table, repair_grid
from geodata.makegrid import CellKind, make_grid

EPSG = 4547
box = shapely.box


def cells_of(*shapes: shapely.Geometry | None, parent: str = "D", **columns: list) -> gpd.GeoDataFrame:
    codes = [f"C{i}" for i in range(len(shapes))]
    given_columns = {"code": codes, "parent": parent, "name": codes, "name_en": codes, "residents": 1.0} | columns
    return gpd.GeoDataFrame(given_columns, geometry=list(shapes), crs=EPSG)[list(CELL_COLUMNS)]


def areas_of(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame([(*row, row[0], row[0]) for row in rows], columns=list(AREA_COLUMNS))


def told(problems: list[Problem]) -> list[tuple[Kind, tuple[str, ...], int]]:
    return [(p.kind, p.codes, round(p.area_m2)) for p in problems]


HALVES = box(0, 0, 100, 100), box(100, 0, 200, 100)


def test_a_good_grid_has_no_problem() -> None:
    assert check_grid(cells_of(*HALVES), areas_of(("D", "", "district")), box(0, 0, 200, 100)) == []


def test_an_overlap_is_told_with_its_two_cells_its_ground_and_its_place() -> None:
    (problem,) = check_grid(cells_of(HALVES[0], box(90, 0, 200, 100)))
    assert told([problem]) == [(Kind.OVERLAP, ("C0", "C1"), 1000)]
    assert shapely.equals(problem.geometry, box(90, 0, 100, 100))
    assert problem.length_m == pytest.approx(220)
    assert str(problem) == "overlap: cells C0 and C1 share 1,000 m²"


def test_a_cell_drawn_upon_another_is_an_overlap() -> None:
    assert told(check_grid(cells_of(*HALVES, box(30, 30, 60, 60)))) == [(Kind.OVERLAP, ("C0", "C2"), 900)]


def test_one_grid_drawn_over_another_overlaps_within_as_well_as_at_its_rim() -> None:
    lower = [box(x, y, x + 100, y + 100) for x in range(0, 600, 100) for y in range(0, 600, 100)]
    upper = [shapely.affinity.translate(cell, 150, 150) for cell in lower[:30]]
    problems = check_grid(cells_of(*lower, *upper))
    both = shapely.intersection(shapely.union_all(lower), shapely.union_all(upper))
    assert {p.kind for p in problems} == {Kind.OVERLAP}
    assert sum(p.area_m2 for p in problems) == pytest.approx(both.area)


def test_each_part_of_a_cell_may_overlap_and_leave_gaps() -> None:
    apart = shapely.MultiPolygon([box(0, 0, 100, 100), box(200, 0, 300, 100)])
    problems = check_grid(cells_of(apart, box(100, 0, 210, 100)))
    assert told(problems) == [(Kind.PARTS, ("C0",), 20_000), (Kind.OVERLAP, ("C0", "C1"), 1000)]


def test_borders_that_differ_by_a_hair_are_no_overlap_and_no_gap() -> None:
    assert check_grid(cells_of(HALVES[0], box(99.999, 0, 200, 100), box(0, 100.001, 200, 200))) == []


RING = shapely.difference(box(0, 0, 300, 300), box(100, 100, 200, 200))


def test_a_free_place_is_a_gap_or_a_hole_by_its_width() -> None:
    narrow = box(100, 100, 200 - GAP_M + 1, 200)
    assert told(check_grid(cells_of(RING, narrow))) == [(Kind.GAP, ("C0", "C1"), 900)]
    assert told(check_grid(cells_of(RING))) == [(Kind.HOLE, ("C0",), 10_000)]
    assert told(check_grid(cells_of(RING), gap_m=101)) == [(Kind.GAP, ("C0",), 10_000)]


def test_what_the_boundary_has_and_no_cell_covers_is_told_once() -> None:
    boundary = box(0, 0, 400, 300)
    problems = check_grid(cells_of(RING), boundary=boundary)
    assert told(problems) == [(Kind.HOLE, ("C0",), 10_000), (Kind.UNCOVERED, (), 30_000)]
    assert check_grid(cells_of(box(0, 0, 300, 299.5)), boundary=box(0, 0, 300, 300)) == []


def test_invalid_empty_and_scattered_cells_are_told() -> None:
    bow = shapely.Polygon([(0, 0), (100, 100), (100, 0), (0, 100)])
    apart = shapely.MultiPolygon([box(300, 0, 400, 100), box(500, 0, 600, 100)])
    problems = check_grid(cells_of(bow, shapely.Polygon(), apart, None))
    assert [(p.kind, p.codes) for p in problems] == [
        (Kind.INVALID, ("C0",)),
        (Kind.EMPTY, ("C1",)),
        (Kind.EMPTY, ("C3",)),
        (Kind.PARTS, ("C2",)),
    ]
    assert "Self-intersection" in problems[0].found


def test_tiny_and_narrow_cells_are_told() -> None:
    strip, crumb = box(0, 200, 1000, 204), box(500, 0, 506, 7)
    problems = check_grid(cells_of(*HALVES, strip, crumb))
    assert [(p.kind, p.codes) for p in problems] == [(Kind.TINY, ("C2",)), (Kind.TINY, ("C3",))]


def test_the_same_polygon_is_told_wherever_its_ring_begins() -> None:
    turned = shapely.Polygon([(100, 0), (100, 100), (0, 100), (0, 0)])
    problems = check_grid(cells_of(HALVES[0], HALVES[1], turned))
    assert told(problems)[0] == (Kind.SAME_SHAPE, ("C0", "C2"), 10_000)


def test_the_same_code_is_told_once_for_all_its_cells() -> None:
    cells = cells_of(*HALVES, box(200, 0, 300, 100), code=["A", "A", "A"])
    assert [(p.kind, p.codes, p.found) for p in check_grid(cells)] == [
        (Kind.SAME_CODE, ("A",), "3 cells have the code A")
    ]


def test_the_line_upwards_is_checked_where_areas_are_given() -> None:
    areas = areas_of(("D", "X", "district"), ("X", "D", "community"))
    assert [(p.kind, p.codes) for p in check_grid(cells_of(*HALVES, parent="?"), areas)] == [
        (Kind.ORPHAN, ("C0",)),
        (Kind.ORPHAN, ("C1",)),
        (Kind.CYCLE, ("D", "X")),
    ]


def test_a_cell_that_lies_outside_its_area_is_told() -> None:
    areas = gpd.GeoDataFrame(areas_of(("D", "", "district")), geometry=[box(0, 0, 140, 100)], crs=EPSG)
    assert told(check_grid(cells_of(*HALVES), areas)) == [(Kind.OUTSIDE, ("C1", "D"), 6000)]
    nearly = areas.set_geometry([box(0, 0, 196, 100)], crs=EPSG)
    assert check_grid(cells_of(*HALVES), nearly) == []


def test_problems_can_be_saved_as_a_layer(tmp_path: Path) -> None:
    problems = check_grid(cells_of(HALVES[0], box(90, 0, 200, 100), shapely.Polygon(), code=["A", "B", "C"]))
    table = problem_table(problems, EPSG)
    assert tuple(table.columns) == PROBLEM_COLUMNS
    table.to_file(tmp_path / "faults.gpkg", layer="grid")
    again = gpd.read_file(tmp_path / "faults.gpkg", layer="grid")
    assert again["codes"].tolist() == ["C", "A/B"]
    assert again["area_m2"].tolist() == [0, 1000]
    assert len(problem_table([], EPSG)) == 0


def test_ground_that_two_cells_claim_goes_to_the_smaller() -> None:
    cells, said = repair_grid(cells_of(*HALVES, box(30, 30, 60, 60)))
    assert cells.area.tolist() == pytest.approx([9100, 10_000, 900])
    assert said == ["gave to C2 the overlap: cells C0 and C2 share 900 m²"]


def test_a_gap_goes_to_the_cell_with_the_longest_border_on_it() -> None:
    upper = shapely.union_all([box(0, 50, 200, 100), box(80, 46, 120, 50)])
    lower = shapely.difference(box(0, 0, 200, 50), box(80, 42, 120, 50))
    cells, said = repair_grid(cells_of(upper, lower))
    assert cells.area.tolist() == pytest.approx([10_160, 9840])
    assert said == ["gave to C1 the gap: 160 m² free between C0, C1"]


def test_holes_stay() -> None:
    cells, said = repair_grid(cells_of(RING))
    assert cells.area.tolist() == [80_000]
    assert said == []


def test_a_good_grid_is_left_as_it_is() -> None:
    good = cells_of(*HALVES)
    cells, said = repair_grid(good)
    assert said == []
    assert cells.equals(good)


def test_copies_and_cells_without_ground_are_removed_and_told() -> None:
    cells, said = repair_grid(cells_of(HALVES[0], HALVES[0], shapely.Polygon(), HALVES[1]))
    assert cells["code"].tolist() == ["C0", "C3"]
    assert said == ["removed cell C2, which has no ground", "removed cell C1, a copy of cell C0"]


def made_grid(kind: CellKind, cell_m: float, side_m: float) -> gpd.GeoDataFrame:
    area = gpd.GeoDataFrame({"code": ["D"], "name": ["区"]}, geometry=[box(0, 0, side_m, side_m)], crs=EPSG)
    return make_grid(area, kind, cell_m)


def damaged(cells: gpd.GeoDataFrame, rng: np.random.Generator, share: float) -> gpd.GeoDataFrame:
    """Some cells moved, shrunk, grown, drawn twice, tied in a knot, emptied, or with a corner torn off."""

    def knot(shape: shapely.Geometry) -> shapely.Geometry:
        ring = shapely.get_coordinates(shape)[:-1]
        ring[[1, 2]] = ring[[2, 1]]
        return shapely.Polygon(ring)

    def torn(shape: shapely.Geometry) -> shapely.Geometry:
        ring = shapely.get_coordinates(shape)[:-1]
        ring[rng.integers(len(ring))] += rng.uniform(-30, 30, 2)
        return shapely.Polygon(ring)

    shapes = np.asarray(cells.geometry.array, object).copy()
    for i in rng.choice(len(shapes), max(1, int(share * len(shapes))), replace=False):
        ways = (
            lambda shape: shapely.affinity.translate(shape, *rng.uniform(-25, 25, 2)),
            lambda shape: shapely.affinity.scale(shape, *rng.uniform(0.9, 1.1, 2)),
            lambda shape: shapely.affinity.rotate(shape, float(rng.uniform(-9, 9))),
            lambda _: shapes[rng.integers(len(shapes))],
            lambda _: shapely.Polygon(),
            knot,
            torn,
        )
        shapes[i] = ways[rng.integers(len(ways))](shapes[i]) if not shapes[i].is_empty else shapes[i]
    return cells.set_geometry(gpd.GeoSeries(shapes, index=cells.index, crs=cells.crs))


@pytest.mark.parametrize("kind", [CellKind.SQUARE, CellKind.HEX])
@given(seed=st.integers(0, 10**6), share=st.floats(0.01, 0.8))
def test_after_the_repair_nothing_of_those_kinds_is_found(kind: CellKind, seed: int, share: float) -> None:
    broken = damaged(made_grid(kind, 200, 1000), np.random.default_rng(seed), share)
    before = shapely.union_all(shapely.make_valid(np.asarray(broken.geometry.array, object)))
    cells, _ = repair_grid(broken)
    found = Counter(p.kind for p in check_grid(cells) if p.kind in MENDED)
    assert not found
    assert shapely.difference(before, cells.union_all()).area < 1
    assert cells["code"].is_unique


def test_a_city_of_many_cells_is_checked_in_seconds() -> None:
    cells = made_grid(CellKind.HEX, 100, 13_000)
    assert len(cells) > 18_650
    begin = time.perf_counter()
    assert check_grid(cells, areas_of(("D", "", "district")), box(0, 0, 13_000, 13_000)) == []
    assert time.perf_counter() - begin < 10
