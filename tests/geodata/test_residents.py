"""Residents by table, by raster and by weights: totals are kept, and what does not fit is told."""

from __future__ import annotations

import zipfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio import Affine

from geodata.borders import ring_edges
from geodata.errors import InputError
from geodata.grid import AREA_COLUMNS, Grid
from geodata.raster import zonal_sums
from geodata.residents import (
    RasterUnit,
    residents_from_raster,
    residents_from_table,
    residents_from_weights,
    whole_residents,
)

EPSG = 4547
AUCKLAND = Path(__file__).parents[3] / "shared" / "data" / "auckland"
box = shapely.box


def grid_of(*shapes: shapely.Geometry, parents: list[str] | None = None, epsg: int = EPSG) -> Grid:
    codes = [f"C{i}" for i in range(len(shapes))]
    columns = {"code": codes, "parent": parents or ["D"] * len(codes), "name": codes, "name_en": codes}
    areas = [("T", "", "city", "", ""), ("D", "T", "district", "", ""), ("E", "T", "district", "", "")]
    return Grid(
        gpd.GeoDataFrame(columns | {"residents": np.nan}, geometry=list(shapes), crs=epsg),
        pd.DataFrame(areas, columns=list(AREA_COLUMNS)),
    )


FOUR = grid_of(*(box(x, 0, x + 100, 100) for x in (0, 100, 200, 300)), parents=["D", "D", "D", "E"])
EVEN = np.ones(4)


def from_table(table: dict[str, float], weight: np.ndarray = EVEN) -> tuple[list[float], list[str]]:
    found, remarks = residents_from_table(
        FOUR, list(table), np.array(list(table.values()), float), weight, "people.csv"
    )
    return found.tolist(), remarks


def test_a_table_tells_the_residents_by_code() -> None:
    assert from_table({"C2": 30, "C0": 10, "C1": 20, "C3": 0}) == ([10, 20, 30, 0], [])


def test_codes_missing_and_unknown_are_told() -> None:
    found, remarks = from_table({"C0": 10, "X7": 5})
    assert found[0] == 10
    assert np.isnan(found[1:]).all()
    assert remarks == [
        "people.csv: 1 code (X7) no cell or area has: left out",
        "people.csv: 3 codes (C1, C2, C3) of cells it does not tell of",
    ]


def test_what_a_table_tells_of_an_area_is_spread_over_its_other_cells() -> None:
    assert from_table({"C0": 10, "D": 100, "C3": 7}, np.array([5, 2, 1, 1])) == ([10, 60, 30, 7], [])


def test_the_lowest_area_that_the_table_knows_counts_first() -> None:
    assert from_table({"D": 90, "T": 100}) == ([30, 30, 30, 10], [])


def test_without_weight_an_area_is_spread_evenly() -> None:
    assert from_table({"D": 90, "E": 1}, np.zeros(4)) == ([30, 30, 30, 1], [])


def test_sums_that_disagree_are_told() -> None:
    cells = {"C0": 10.0, "C1": 20.0, "C2": 30.0, "C3": 1.0}
    assert from_table(cells | {"D": 70}) == ([10, 20, 30, 1], ["area D: its cells add up to 60, not 70"])
    found, (remark,) = from_table({"C0": 10, "C1": 20, "C3": 1, "D": 25})
    assert found == [10, 20, 0, 1]
    assert "more than its 25" in remark


def test_faults_of_a_table_are_told_at_once() -> None:
    with pytest.raises(InputError) as error:
        residents_from_table(FOUR, ["C0", "C0", "C1", "C2"], np.array([1, 2, -3, np.nan]), EVEN, "people.csv")
    assert [fault.place for fault in error.value.faults] == ["code C0", "code C1", "code C2"]


def test_a_table_with_codes_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match="codes such as 'C0'"):
        from_table({"1": 10, "2": 20})


@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=40).filter(lambda number: sum(number) > 0.5))
def test_whole_residents_add_up_to_the_same(number: list[float]) -> None:
    whole = whole_residents(np.array(number))
    assert whole.sum() == round(sum(number))
    assert (np.abs(whole - number) < 1.5).all()
    assert whole_residents(np.array(number), 1234).sum() == 1234


def test_a_total_is_spread_by_the_weights_of_points_and_by_the_ground_of_polygons() -> None:
    shapes = [shapely.Point(50, 50), shapely.Point(900, 900), box(150, 10, 250, 20), box(350, 0, 450, 10)]
    places = gpd.GeoDataFrame(geometry=shapes, crs=EPSG)
    count = residents_from_weights(FOUR, places, np.array([1.0, 9.0, 2.0, 2.0]), 1001)
    assert count.sum() == 1001
    assert count.tolist() == pytest.approx([1001 / 4] * 4, abs=1)


def test_a_building_on_a_border_between_points_counts_once() -> None:
    places = gpd.GeoDataFrame(geometry=[shapely.Point(100, 50), box(90, 0, 110, 9)], crs=EPSG)
    assert residents_from_weights(FOUR, places, np.array([2.0, 2.0]), 4).tolist() == [3, 1, 0, 0]


def test_weights_outside_the_grid_are_refused() -> None:
    places = gpd.GeoDataFrame(geometry=[shapely.Point(900, 50)], crs=EPSG)
    with pytest.raises(ValueError, match="weights"):
        residents_from_weights(FOUR, places, np.ones(1), 100)


def edges_of(*polygons: shapely.Geometry) -> tuple[np.ndarray, np.ndarray]:
    begin, end, of = ring_edges(np.array(polygons, object))
    return np.stack([begin, end], axis=1), of


def by_intersection(value: np.ndarray, polygon: shapely.Geometry) -> float:
    rows, columns = np.indices(value.shape)
    pixels = box(columns, rows, columns + 1, rows + 1)
    return float((value * shapely.area(shapely.intersection(pixels, polygon))).sum())


@given(st.integers(0, 10**6))
def test_zonal_sums_agree_with_cutting_every_pixel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    value = rng.uniform(0, 9, (7, 9))
    angle = np.sort(rng.uniform(0, 2 * np.pi, 9))
    star = shapely.Polygon(
        np.c_[4.5 + np.cos(angle) * rng.uniform(1, 6, 9), 3.5 + np.sin(angle) * rng.uniform(1, 5, 9)]
    )
    holed = shapely.difference(box(-1, 0, 6, 6.5), box(2, 1, 3.5, 4))
    on_lines = box(2, 1, 5, 4)
    apart = shapely.MultiPolygon([box(0.3, 0.3, 1.2, 2.1), box(7, 5.5, 8.1, 7.5)])
    polygons = [shapely.make_valid(star, method="structure"), holed, on_lines, apart]
    sums = zonal_sums(value, *edges_of(*polygons), 4)
    assert sums == pytest.approx([by_intersection(value, polygon) for polygon in polygons], abs=1e-9)


def raster_at(path: Path, value: np.ndarray, transform: Affine, crs: str | None = "EPSG:4547", **kind: object) -> Path:
    rows, columns = value.shape
    profile = {"driver": "GTiff", "height": rows, "width": columns, "count": 1, "dtype": value.dtype, "crs": crs}
    with rasterio.open(path, "w", transform=transform, **(profile | kind)) as raster:
        raster.write(value, 1)
    return path


NORTH_UP = Affine(50, 0, -25, 0, -50, 125)
"""Pixels of 50 m around the four cells, half a pixel beside their borders."""


def test_pixels_on_borders_are_shared_by_ground(tmp_path: Path) -> None:
    value = np.zeros((3, 9))
    value[1, 2] = 8  # over the border of the first two cells
    value[0, 4] = 8  # over the border of the next two, and half outside
    path = raster_at(tmp_path / "people.tif", value, NORTH_UP)
    found, remarks = residents_from_raster(FOUR, path, RasterUnit.COUNT)
    assert found == pytest.approx([4, 6, 2, 0])
    assert remarks == [f"{path}: 12 residents in the cells"]


def test_a_density_is_multiplied_by_the_ground(tmp_path: Path) -> None:
    path = raster_at(tmp_path / "people.tif", np.full((3, 9), 1000, np.float32), NORTH_UP)
    assert residents_from_raster(FOUR, path, RasterUnit.PER_KM2)[0] == pytest.approx([10] * 4)


def test_a_raster_may_be_turned(tmp_path: Path) -> None:
    turned = Affine.translation(200, 50) @ Affine.rotation(30) @ Affine.scale(20) @ Affine.translation(-20, -20)
    path = raster_at(tmp_path / "people.tif", np.full((40, 40), 3.0), turned)
    assert residents_from_raster(FOUR, path, RasterUnit.COUNT)[0] == pytest.approx([3 * 25] * 4)


def test_a_raster_in_degrees_gives_the_same_people_by_count_and_by_density(tmp_path: Path) -> None:
    x, y = 500_000, 3_120_000  # on the central meridian, 114° E, where EPSG:4547 is true to scale
    grid = grid_of(*(box(x + 400 * i, y, x + 400 * i + 400, y + 300) for i in range(3)))
    transform = Affine(0.0005, 0, 113.99, 0, -0.0005, 28.21)
    path = raster_at(tmp_path / "people.tif", np.full((60, 60), 2500.0), transform, "EPSG:4326")
    found, _ = residents_from_raster(grid, path, RasterUnit.PER_KM2)
    assert found == pytest.approx([2500 * 0.12] * 3, rel=1e-5)


def test_ground_without_a_number_counts_as_empty_and_is_told(tmp_path: Path) -> None:
    value = np.full((3, 9), 4.0)
    value[:, :3] = -9999
    path = raster_at(tmp_path / "people.tif", value, NORTH_UP, nodata=-9999)
    found, remarks = residents_from_raster(FOUR, path, RasterUnit.COUNT)
    assert found == pytest.approx([0, 12, 16, 16])
    assert remarks[1].endswith("2 codes (C0, C1) of cells with ground where it holds no number; counted as empty")


def test_cells_beyond_the_raster_are_told(tmp_path: Path) -> None:
    path = raster_at(tmp_path / "people.tif", np.full((3, 5), 4.0), NORTH_UP)
    found, remarks = residents_from_raster(FOUR, path, RasterUnit.COUNT)
    assert found == pytest.approx([16, 16, 4, 0])
    assert "2 codes (C2, C3)" in remarks[1]


def test_a_raster_elsewhere_without_crs_or_cut_short_is_refused(tmp_path: Path) -> None:
    value = np.ones((3, 9))
    far = raster_at(tmp_path / "far.tif", value, Affine(50, 0, 9000, 0, -50, 125))
    with pytest.raises(InputError, match="no pixel where the cells are"):
        residents_from_raster(FOUR, far, RasterUnit.COUNT)
    lost = raster_at(tmp_path / "lost.tif", value, NORTH_UP, crs=None)
    with pytest.raises(InputError, match="no CRS"):
        residents_from_raster(FOUR, lost, RasterUnit.COUNT)
    with pytest.raises(InputError, match="no readable raster"):
        residents_from_raster(FOUR, tmp_path / "none.tif", RasterUnit.COUNT)
    short = tmp_path / "short.tif"
    short.write_bytes(raster_at(tmp_path / "whole.tif", np.ones((99, 99)), NORTH_UP).read_bytes()[:600])
    with pytest.raises(InputError, match="no readable raster"):
        residents_from_raster(FOUR, short, RasterUnit.COUNT)


@pytest.mark.skipif(not AUCKLAND.is_dir(), reason="no ../shared/data/auckland")
def test_the_people_of_auckland_are_all_in_the_cells_that_fill_the_raster(tmp_path: Path) -> None:
    with zipfile.ZipFile(AUCKLAND / "pop_density_raster.zip") as packed:
        path = Path(packed.extract("auckland-urban-pop-densit-40m.tif", tmp_path))
    with rasterio.open(path) as raster:
        bounds, density = raster.bounds, raster.read(1)
        lat = raster.xy(np.arange(raster.height), 0)[1]
        height, width = -raster.transform.e, raster.transform.a
    # metres of a degree: the series of the WGS 84 ellipsoid (NGA.STND.0036)
    phi = np.radians(lat)
    north_m = 111132.954 - 559.822 * np.cos(2 * phi) + 1.175 * np.cos(4 * phi)
    east_m = 111412.84 * np.cos(phi) - 93.5 * np.cos(3 * phi) + 0.118 * np.cos(5 * phi)
    plain = float((density * (north_m * height * east_m * width)[:, None]).sum() / 1e6)
    x, y = (np.linspace(a, b, 41) for a, b in ((bounds.left, bounds.right), (bounds.bottom, bounds.top)))
    lonlat = [box(x[i], y[j], x[i + 1], y[j + 1]) for j in range(40) for i in range(40)]
    cells = gpd.GeoSeries(lonlat, crs=4326).to_crs(2193)
    found, remarks = residents_from_raster(grid_of(*cells, epsg=2193), path, RasterUnit.PER_KM2)
    assert found.sum() == pytest.approx(plain, rel=1e-5)
    assert 1_200_000 < plain < 1_400_000
    assert len(remarks) == 1
