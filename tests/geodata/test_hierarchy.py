"""Who belongs to whom: by column, by code, by ground; and what is told of codes that do not fit."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geodata.grid import AREA_COLUMNS, CELL_COLUMNS, Grid
from geodata.hierarchy import (
    GB_2260,
    GB_30428,
    Way,
    areas_of_codes,
    build_hierarchy,
    damaged_codes,
    hierarchy_problems,
    link,
    parents_by_ground,
    parents_by_prefix,
)

EPSG = 4547


def cells_of(codes: list[str], parents: list[str] | None = None, shapes: list | None = None) -> gpd.GeoDataFrame:
    boxes = shapes or [shapely.box(100 * i, 0, 100 * i + 100, 100) for i in range(len(codes))]
    columns = {"code": codes, "parent": parents or [""] * len(codes), "name": codes, "name_en": codes, "residents": 1.0}
    return gpd.GeoDataFrame(columns, geometry=boxes, crs=EPSG)[list(CELL_COLUMNS)]


def areas_of(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """(code, parent, level) each."""
    return pd.DataFrame([(*row, f"{row[0]}区", row[0]) for row in rows], columns=list(AREA_COLUMNS))


def kinds(cells: pd.DataFrame, areas: pd.DataFrame) -> list[str]:
    return sorted(kind for kind, _, _ in hierarchy_problems(cells, areas))


def test_the_code_of_an_area_is_the_longest_beginning() -> None:
    areas = ["430102", "430102001", "430103"]
    assert parents_by_prefix(["43010200101", "430102999", "430105001"], areas).tolist() == ["430102001", "430102", ""]


def test_no_area_lies_under_itself() -> None:
    assert parents_by_prefix(["430102", "430102001"], ["430102", "430102001"]).tolist() == ["", "430102"]


def test_zeros_fill_up_the_codes_of_higher_levels() -> None:
    areas = ["430000", "430100", "430102"]
    assert parents_by_prefix(areas, areas, GB_2260).tolist() == ["", "430000", "430100"]
    communities = ["430102001000", "430102001003"]
    assert parents_by_prefix(["43010200100312"], communities, GB_30428).tolist() == ["430102001003"]
    assert parents_by_prefix(communities, ["430102", *communities], GB_30428).tolist() == ["430102", "430102001000"]


def test_a_cell_belongs_to_the_area_that_holds_most_of_it() -> None:
    areas = np.array([shapely.box(0, 0, 100, 100), shapely.box(100, 0, 200, 100)], object)
    cells = np.array([shapely.box(70, 0, 120, 50), shapely.box(90, 0, 160, 50), shapely.box(180, 0, 300, 9)], object)
    assert parents_by_ground(cells, areas, ["W", "E"]).tolist() == ["W", "E", ""]


def test_ground_that_two_areas_claim_counts_for_the_first() -> None:
    areas = np.array([shapely.box(0, 0, 100, 100)] * 2, object)
    assert parents_by_ground(areas[:1], areas, ["A", "B"]).tolist() == ["A"]


def test_the_column_counts_before_the_code_and_the_code_before_the_ground() -> None:
    areas = gpd.GeoDataFrame(
        areas_of(("A", "", "district"), ("B", "", "district"), ("C", "", "district")),
        geometry=[shapely.box(0, 0, 1000, 100), None, None],
        crs=EPSG,
    )
    linked = link(cells_of(["B1", "B2", "X3"], ["C", "?", ""]), areas, ["district"])
    assert linked.parent.tolist() == ["C", "B", "A"]
    assert linked.way.tolist() == [Way.COLUMN, Way.PREFIX, Way.GROUND]
    assert linked.remarks("cells") == ["3 cells: 1 by column, 1 by prefix, 1 by ground"]


def test_a_part_of_the_city_may_lack_a_level() -> None:
    areas = gpd.GeoDataFrame(
        areas_of(("city", "", "city"), ("east", "", "district")),
        geometry=[shapely.box(0, 0, 200, 100), shapely.box(100, 0, 200, 100)],
        crs=EPSG,
    )
    cells, linked, _ = build_hierarchy(cells_of(["x", "y"]), areas)
    assert cells["parent"].tolist() == ["city", "east"]
    assert linked["parent"].tolist() == ["", "city"]


SIX = ("city", "district", "subdistrict", "community", "grid", "microgrid")


@given(st.integers(1, 6), st.integers(1, 3), st.randoms(use_true_random=False))
def test_codes_of_any_depth_make_the_same_tree_however_rows_are_sorted(depth: int, wide: int, order) -> None:
    level = ["1"]
    lengths = [1 + 2 * i for i in range(depth)]
    for _ in range(depth):
        level = [f"{code}{i:02d}" for code in level for i in range(1, wide + 1)]
    areas = areas_of_codes(level, lengths, SIX[:depth]).assign(parent="")
    mixed = areas.sample(frac=1, random_state=order.randrange(1000)).reset_index(drop=True)
    cells, linked, _ = build_hierarchy(cells_of(level), mixed, levels=SIX[:depth])
    assert hierarchy_problems(cells, linked, SIX[:depth]) == []
    grid = Grid(cells, linked)
    assert grid.levels == SIX[:depth]
    for own, length in zip(SIX, lengths, strict=False):
        assert grid.ancestor_code(own).tolist() == [code[:length] for code in level]


def test_tables_of_levels_with_and_without_shapes_go_together() -> None:
    city = areas_of(("43", "", "city"))
    districts = gpd.GeoDataFrame(
        areas_of(("4301", "", "district"), ("4302", "", "district")),
        geometry=[shapely.box(0, 0, 100, 100), shapely.box(100, 0, 200, 100)],
        crs=EPSG,
    )
    cells, areas, remarks = build_hierarchy(cells_of(["a", "b"]), [city, districts])
    assert cells["parent"].tolist() == ["4301", "4302"]
    assert areas["parent"].tolist() == ["", "43", "43"]
    assert remarks == ["2 areas of level district: 2 by prefix", "2 cells: 2 by ground"]
    assert Grid(cells, areas).outlines("district").area.tolist() == [10_000, 10_000]


def test_the_outline_of_an_area_is_its_own_where_it_is_known() -> None:
    areas = areas_of(("D", "", "district"), ("E", "", "district"))
    cells = cells_of(["1", "2", "3"], ["D", "D", "E"])
    dissolved = Grid(cells, areas).outlines("district")
    assert dissolved["code"].tolist() == ["D", "E"]
    assert dissolved.area.tolist() == [20_000, 10_000]
    own = gpd.GeoDataFrame(areas, geometry=[shapely.box(0, 0, 210, 100), None], crs=EPSG)
    assert Grid(cells, own).outlines("district").area.tolist() == [21_000, 10_000]


def test_areas_of_one_name_are_not_one_area() -> None:
    areas = areas_of(("D", "", "community"), ("E", "", "community")).assign(name="新村社区")
    outlines = Grid(cells_of(["1", "2"], ["D", "E"]), areas).outlines("community")
    assert outlines["name"].tolist() == ["新村社区"] * 2


def test_cells_without_a_known_parent_are_orphans() -> None:
    found = hierarchy_problems(cells_of(["1", "2", "3"], ["D", "", "?"]), areas_of(("D", "", "district")))
    assert [(kind, codes) for kind, codes, _ in found] == [("orphan", ("2",)), ("orphan", ("3",))]
    assert "names ?, unknown" in found[1][2]


def test_an_area_below_the_top_needs_a_parent() -> None:
    assert kinds(cells_of([]), areas_of(("C", "", "city"), ("D", "", "district"), ("E", "C", "district"))) == ["orphan"]


def test_a_circle_is_told_once_and_does_not_hang() -> None:
    areas = areas_of(("A", "B", "city"), ("B", "C", "district"), ("C", "A", "community"), ("D", "C", "grid"))
    cells = cells_of(["1"], ["D"])
    assert kinds(cells, areas) == ["cycle"]
    assert Grid(cells, areas).ancestor("city").tolist() == ["A区"]


def test_a_parent_on_the_same_or_a_lower_level_is_told() -> None:
    areas = areas_of(("C", "", "city"), ("D", "E", "district"), ("E", "C", "community"), ("F", "D", "district"))
    found = hierarchy_problems(cells_of([]), areas, ["city", "district", "community"])
    assert [codes for kind, codes, _ in found if kind == "wrong level"] == [("D", "E"), ("F", "D")]


def test_a_code_that_two_areas_have_is_told() -> None:
    assert kinds(cells_of([]), areas_of(("C", "", "city"), ("C", "", "city"))) == ["same code"]


def test_codes_that_lost_their_zeros_are_told_by_the_areas_that_they_miss() -> None:
    (fault,) = damaged_codes(["1010200100101", "1010200100102"], areas=["010102", "010103"])
    assert fault.width == 14
    assert str(fault) == (
        "2 codes have lost their leading zeros, such as 1010200100101 for 01010200100101. "
        "Keep codes as text, or fill them up to 14 digits."
    )


def test_codes_that_lost_their_zeros_are_told_by_the_lengths_that_they_miss() -> None:
    (fault,) = damaged_codes(["1010200100101"], lengths=GB_30428)
    assert fault.width == 14


def test_codes_of_parts_with_a_digit_less_than_others_are_told() -> None:
    (fault,) = damaged_codes(["1010200100101", "11010200100101"])
    assert (fault.codes, fault.width) == (("1010200100101",), 14)


def test_numbers_of_different_lengths_are_told_where_the_file_holds_numbers() -> None:
    (fault,) = damaged_codes(["7", "12"], numeric=True)
    assert fault.width == 2
    assert damaged_codes(["7", "12"]) == []


@pytest.mark.parametrize("code", ["4.30102E+13", "4e19"])
def test_codes_that_were_rounded_are_told(code: str) -> None:
    (fault,) = damaged_codes([code, "430102"])
    assert fault.codes == (code,)
    assert fault.width is None
    assert "as text" in fault.mend


def test_a_number_too_long_to_be_exact_is_told() -> None:
    assert damaged_codes(["43010200100101000000"], numeric=True)[0].codes == ("43010200100101000000",)
    assert damaged_codes(["43010200100101000000"]) == []


def test_good_codes_are_not_suspected() -> None:
    assert damaged_codes(["43010200100101", "43010200100102"], areas=["430102001001"], lengths=GB_30428) == []
    assert damaged_codes(["01", "02", "A-7", ""], areas=["0"]) == []
    assert damaged_codes([]) == []
