"""Faults of a source of roads: how they are told, and as a layer for QGIS."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely

from geodata.defects import DEFECT_COLUMNS, Defect, defect_table, general

EPSG = 4547
LINE = shapely.LineString([(400_000, 3_120_000), (401_000, 3_120_000)])


def islands(*label: str, **more: float) -> Defect:
    shapes = np.array([LINE] * len(label), object)
    return Defect(kind="islands", done="left out", label=label, shapes=shapes, epsg=EPSG, **more)


def without_place(*label: str) -> Defect:
    shapes = np.full(len(label), None)
    return Defect(kind="empty features", done="left out", label=label, shapes=shapes, epsg=EPSG)


def test_a_defect_tells_count_length_and_examples() -> None:
    assert str(islands("way 1", "way 2", "way 1")) == "3 islands, 3.0 km: left out (way 1, way 2)"
    assert str(islands(*"abcdef")) == "6 islands, 6.0 km: left out (a, b, c, d, e …)"
    assert str(islands(*"abcde")) == "5 islands, 5.0 km: left out (a, b, c, d, e)"
    assert str(islands("", "")) == "2 islands, 2.0 km: left out"
    assert str(islands("a", length_m=500.0)) == "1 case of islands, 0.5 km: left out (a)"


def test_what_lies_nowhere_has_no_length() -> None:
    assert str(without_place("feature 7")) == "1 case of empty features: left out (feature 7)"
    assert without_place("feature 7").metres == 0


def test_a_fault_of_the_whole_source_is_not_counted() -> None:
    assert str(general("no class column named", "all are local", EPSG)) == "no class column named: all are local"
    assert general("a", "b", EPSG).general
    assert not islands("").general


def test_all_cases_are_rows_of_one_layer_in_one_crs(tmp_path: Path) -> None:
    told = [islands("way 1", "way 2"), without_place("feature 7"), general("no class column named", "all local", EPSG)]
    table = defect_table([*told, islands()], 4326)
    assert table.crs == 4326
    assert tuple(table.columns) == DEFECT_COLUMNS
    assert table["label"].tolist() == ["way 1", "way 2", "feature 7", ""]
    assert table["length_m"].tolist() == pytest.approx([1000, 1000, np.nan, np.nan], nan_ok=True)
    table.to_file(tmp_path / "faults.gpkg")
    again = gpd.read_file(tmp_path / "faults.gpkg")
    assert again["kind"].tolist() == table["kind"].tolist()
    assert again.geometry.isna().tolist() == [False, False, True, True]


def test_without_defects_the_layer_is_empty() -> None:
    table = defect_table([islands()], EPSG)
    assert len(table) == 0
    assert tuple(table.columns) == DEFECT_COLUMNS
    assert table.crs == EPSG
