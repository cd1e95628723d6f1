"""The projected CRS that fits a place, and refusals of those that do not."""

import numpy as np
import pytest

from geodata.crs import choose_epsg, project, projected_epsg
from geodata.errors import InputError

CHANGSHA = np.array([[112.98, 28.19]])


@pytest.mark.parametrize(
    ("place", "lon", "lat", "epsg"),
    [
        ("Changsha", 112.98, 28.19, 4547),
        ("Huizhou", 114.42, 23.11, 4547),
        ("Ningxiang, west", 112.2, 28.2, 4546),
        ("Meishan", 103.85, 30.07, 4544),
        ("Kashgar", 75.99, 39.47, 4534),
        ("Fuyuan", 134.3, 48.36, 4554),
        ("Lingshui", 110.0, 18.5, 4546),
        ("Seoul", 126.98, 37.57, 32652),
        ("Hanoi", 105.85, 21.03, 32648),
        ("Baltimore", -76.6, 39.3, 32618),
        ("Auckland", 174.76, -36.85, 32760),
        ("the date line", 180.0, 10.0, 32660),
    ],
)
def test_the_zone_follows_the_place(place: str, lon: float, lat: float, epsg: int) -> None:
    assert projected_epsg(lon, lat) == epsg, place


def test_easting_stands_before_northing_although_the_chinese_grid_names_them_the_other_way() -> None:
    x, y = project(CHANGSHA, 4326, 4547)[0]
    assert 399_000 < x < 401_000
    assert 3_118_000 < y < 3_121_000
    assert project(np.array([[x, y]]), 4547, 4326)[0] == pytest.approx(CHANGSHA[0], abs=1e-9)


@pytest.mark.parametrize("epsg", [3857, 4326, 2277, 32617])
def test_a_crs_that_does_not_measure_metres_there_is_refused(epsg: int) -> None:
    with pytest.raises(InputError, match=rf"EPSG:{epsg}: .*expected a projected CRS in true metres.*EPSG:4547"):
        choose_epsg(CHANGSHA, epsg, "roads.gpkg")


def test_an_unknown_code_is_refused() -> None:
    with pytest.raises(InputError, match="EPSG:999999"):
        choose_epsg(CHANGSHA, 999999, "roads.gpkg")


def test_a_neighbouring_zone_may_be_chosen() -> None:
    assert choose_epsg(CHANGSHA, 4546, "roads.gpkg") == 4546


def test_coordinates_that_are_no_degrees_are_refused() -> None:
    with pytest.raises(InputError, match=r"1 of 2 points: found \(400000, 3.12e\+06\).*degrees"):
        choose_epsg(np.array([[112.9, 28.2], [400_000.0, 3_120_000.0]]), None, "roads.geojson")
