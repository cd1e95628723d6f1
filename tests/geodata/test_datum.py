"""The datums of Chinese data: names, conversions, and which one fits a layer of points."""

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geodata.crs import project
from geodata.datum import EAST, FADE_DEG, NORTH, SOUTH, WEST, Datum, datum_fit, from_wgs84, parse_datum, to_wgs84
from geodata.network import Floats

DATA = Path(__file__).parents[2] / "../shared/data"
DISTRICTS = DATA / "changsha-districts"
ROADS = DATA / "changsha-osm2019/changsha_simplified_edges.gpkg"
TIANANMEN = np.array([[116.404, 39.915]])
CORNER_M = np.array([400_000.0, 3_120_000.0])
SHIFTED = (Datum.GCJ02, Datum.BD09)


def apart_m(a: Floats, b: Floats) -> Floats:
    """Metres between points that are near each other, on a sphere."""
    east = (a[:, 0] - b[:, 0]) * np.cos(np.radians(b[:, 1]))
    return np.asarray(np.hypot(east, a[:, 1] - b[:, 1]) * 111_320)


@pytest.mark.parametrize(
    ("datum", "words"),
    [
        (Datum.WGS84, ["WGS84", "wgs-84", "WGS 1984", "EPSG:4326", 4326, "GPS"]),
        (Datum.CGCS2000, ["CGCS2000", "cgcs 2000", "EPSG:4490", "2000国家大地坐标系"]),
        (Datum.GCJ02, ["GCJ-02", "gcj02", "GCJ_02", "火星坐标", "高德"]),
        (Datum.BD09, ["BD-09", "bd09ll", "Bd 09", "百度", "百度坐标系"]),
        (None, ["EPSG:4547", "CGCS2000 / 3-degree Gauss-Kruger CM 114E", "+proj=utm +zone=49", "bd09mc", "GCJ-03", ""]),
    ],
)
def test_a_datum_is_known_by_whatever_a_user_types(datum: Datum | None, words: list[str | int]) -> None:
    assert [parse_datum(word) for word in words] == [datum] * len(words)


class TestConversion:
    def test_published_values_are_met(self) -> None:
        """The example that the open-source converters of the web maps print."""
        gcj02 = from_wgs84(TIANANMEN, Datum.GCJ02)
        assert gcj02[0] == pytest.approx((116.41024449916938, 39.91640428150164), abs=1e-12)
        # 116.404, 39.915 read as GCJ-02
        bd09 = from_wgs84(to_wgs84(TIANANMEN, Datum.GCJ02), Datum.BD09)
        assert bd09[0] == pytest.approx((116.41036949371029, 39.92133699351021), abs=1e-9)

    @given(st.floats(73.5, 135.1), st.floats(3.4, 53.6), st.sampled_from(SHIFTED))
    def test_there_and_back_ends_within_ten_micrometres_anywhere_in_china(
        self, lon: float, lat: float, datum: Datum
    ) -> None:
        here = np.array([[lon, lat]])
        there = from_wgs84(here, datum)
        assert 10 < apart_m(there, here)[0] < 1_600
        assert apart_m(to_wgs84(there, datum), here)[0] < 1e-5
        assert apart_m(from_wgs84(to_wgs84(here, datum), datum), here)[0] < 1e-5

    @given(st.floats(-0.02, 2 * FADE_DEG), st.floats(0, 1), st.sampled_from("NESW"), st.sampled_from(SHIFTED))
    def test_both_round_trips_are_exact_on_both_sides_of_the_outline(
        self, inside: float, along: float, side: str, datum: Datum
    ) -> None:
        lon, lat = WEST + along * (EAST - WEST), SOUTH + along * (NORTH - SOUTH)
        at = {"W": (WEST + inside, lat), "E": (EAST - inside, lat), "S": (lon, SOUTH + inside)}
        here = np.array([at.get(side, (lon, NORTH - inside))])
        assert apart_m(to_wgs84(from_wgs84(here, datum), datum), here)[0] < 1e-5
        assert apart_m(from_wgs84(to_wgs84(here, datum), datum), here)[0] < 1e-5

    @given(st.floats(-180, 180), st.floats(-90, 90))
    def test_outside_the_outline_gcj02_is_wgs84(self, lon: float, lat: float) -> None:
        here = np.array([[lon, lat]])
        if WEST < lon < EAST and SOUTH < lat < NORTH:
            here += (180, 0) if lon < 0 else (-180, 0)
        assert from_wgs84(here, Datum.GCJ02).tolist() == here.tolist()
        assert to_wgs84(here, Datum.GCJ02).tolist() == here.tolist()

    @pytest.mark.parametrize("lonlat", [(WEST, 40.0), (EAST, 40.0), (100.0, SOUTH), (100.0, NORTH)])
    def test_the_shift_does_not_leap_at_the_outline(self, lonlat: tuple[float, float]) -> None:
        around = np.array(lonlat) + 1e-7 * np.array([(-1, -1), (1, 1)])
        outside, inside = from_wgs84(around, Datum.GCJ02) - around
        assert np.abs(outside - inside).max() < 1e-7

    @pytest.mark.parametrize("datum", [Datum.WGS84, Datum.CGCS2000])
    def test_wgs84_and_cgcs2000_are_one(self, datum: Datum) -> None:
        assert from_wgs84(TIANANMEN, datum).tolist() == to_wgs84(TIANANMEN, datum).tolist() == TIANANMEN.tolist()

    def test_many_points_keep_their_order_and_missing_ones_stay_missing(self) -> None:
        points = np.array([[112.9, 28.2], [np.nan, np.nan], [113.0, 28.1]])
        before = points.copy()
        out = to_wgs84(points, Datum.BD09)
        assert np.isnan(out).any(axis=1).tolist() == [False, True, False]
        assert out[2].tolist() == to_wgs84(points[2:], Datum.BD09)[0].tolist()
        assert np.array_equal(points, before, equal_nan=True)
        assert to_wgs84(np.empty((0, 2)), Datum.GCJ02).shape == (0, 2)

    def test_coordinates_of_another_shape_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"shape \(2,\), expected \(n, 2\)"):
            from_wgs84(np.array([112.9, 28.2]), Datum.GCJ02)


@pytest.mark.skipif(not DISTRICTS.is_dir(), reason="the districts of Changsha are not at ../shared/data")
def test_the_districts_of_changsha_come_out_where_they_are() -> None:
    stored = shapely.get_coordinates(np.asarray(gpd.read_file(DISTRICTS / "430100.json").geometry))
    known = gpd.read_file(DISTRICTS / "changsha_districts_wgs84.geojson").geometry
    true = shapely.get_coordinates(np.asarray(known))
    assert 600 < np.median(apart_m(stored, true)) < 700
    assert apart_m(to_wgs84(stored, Datum.GCJ02), true).max() < 1e-5


def grid_roads_off_m(side_m: float) -> Callable[[Floats], Floats]:
    """Distance to the nearest line of a square net of roads around Changsha."""

    def off_m(lonlat: Floats) -> Floats:
        xy = project(lonlat, 4326, 4547)
        return np.asarray(np.abs(xy - side_m * np.round(xy / side_m)).min(axis=1))

    return off_m


def posts(n: int, side_m: float, noise_m: float = 0.0) -> Floats:
    rng = np.random.default_rng(7)
    junctions = side_m * np.round((rng.uniform(-6_000, 6_000, (n, 2)) + CORNER_M) / side_m)
    return project(junctions + rng.normal(0, noise_m, (n, 2)), 4547, 4326)


class TestFit:
    @pytest.mark.parametrize("true", [Datum.WGS84, *SHIFTED])
    @pytest.mark.parametrize("declared", list(Datum))
    def test_the_datum_of_posts_is_found_whatever_was_declared(self, true: Datum, declared: Datum) -> None:
        fit = datum_fit(from_wgs84(posts(33, 730, 4), true), grid_roads_off_m(730), declared, points="posts")
        right = declared is true or (declared, true) == (Datum.CGCS2000, Datum.WGS84)
        assert fit.fits is true
        assert fit.wrong is not right
        assert fit.n == 33
        assert fit.median_m[true] < fit.p90_m[true] < 5
        assert all(fit.median_m[other] > 30 for other in fit.median_m if other is not true)
        ending = f"{declared.value} fits" if right else f"declare {true.value}"
        assert fit.verdict.endswith(ending)

    def test_the_verdict_tells_both_medians_and_the_mend(self) -> None:
        def off_m(lonlat: Floats) -> Floats:
            return np.full(33, 6.4 if apart_m(lonlat, posts(33, 100))[0] < 1 else 512.0)

        fit = datum_fit(from_wgs84(posts(33, 100), Datum.GCJ02), off_m, points="posts")
        assert fit.verdict == "as WGS-84 the median of 33 posts is 512 m from a road, as GCJ-02 6 m: declare GCJ-02"

    @pytest.mark.parametrize("n", [0, 1, 9])
    def test_few_points_decide_nothing(self, n: int) -> None:
        fit = datum_fit(from_wgs84(posts(33, 730), Datum.GCJ02)[:n], grid_roads_off_m(730))
        assert (fit.fits, fit.wrong) == (None, False)
        assert fit.verdict.startswith(f"undecided: {n} points are too few")

    def test_points_that_do_not_stand_at_roads_decide_nothing(self) -> None:
        anywhere = project(np.random.default_rng(3).uniform(0, 5_000, (200, 2)) + CORNER_M, 4547, 4326)
        fit = datum_fit(anywhere, grid_roads_off_m(730))
        assert (fit.fits, fit.wrong) == (None, False)
        assert fit.verdict.startswith("undecided: as WGS-84 the median of 200 points is 1")

    def test_points_within_digitising_of_a_road_raise_no_alarm(self) -> None:
        def off_m(lonlat: Floats) -> Floats:
            return np.full(33, 0.5 if apart_m(lonlat, posts(33, 100))[0] < 1 else 9.0)

        assert not datum_fit(from_wgs84(posts(33, 100), Datum.GCJ02), off_m).wrong

    def test_points_nowhere_near_any_road_decide_nothing(self) -> None:
        far = datum_fit(posts(20, 730), lambda lonlat: np.full(len(lonlat), np.inf))
        farther = datum_fit(posts(20, 730), lambda lonlat: 300 + 1e3 * apart_m(lonlat, posts(20, 730)))
        assert (far.fits, far.wrong, farther.fits, farther.wrong) == (None, False, None, False)

    def test_no_distance_is_no_measurement(self) -> None:
        with pytest.raises(ValueError, match="NaN"):
            datum_fit(posts(20, 730), lambda lonlat: np.full(len(lonlat), np.nan))

    @pytest.mark.skipif(not ROADS.is_file(), reason="the roads of Changsha are not at ../shared/data")
    @pytest.mark.parametrize("true", [Datum.WGS84, *SHIFTED])
    def test_33_junctions_of_changsha_tell_their_datum(self, true: Datum) -> None:
        roads = gpd.read_file(ROADS, layer="edges").to_crs(4547)
        tree = shapely.STRtree(np.asarray(roads.geometry))
        nodes = shapely.get_coordinates(np.asarray(gpd.read_file(ROADS, layer="nodes").to_crs(4326).geometry))

        def off_m(lonlat: Floats) -> Floats:
            points = shapely.points(project(lonlat, 4326, 4547))
            return np.asarray(tree.query_nearest(points, return_distance=True, all_matches=False)[1])

        at = np.random.default_rng(135).choice(len(nodes), 33, replace=False)
        fit = datum_fit(from_wgs84(nodes[at], true), off_m)
        assert fit.fits is true
        assert fit.wrong is (true is not Datum.WGS84)
        assert fit.median_m[true] < 0.1

    @pytest.mark.skipif(not DISTRICTS.is_dir(), reason="the districts of Changsha are not at ../shared/data")
    def test_districts_tell_theirs_against_the_same_districts_of_known_datum(self) -> None:
        known = gpd.read_file(DISTRICTS / "changsha_districts_wgs84.geojson").to_crs(4547)
        borders = np.asarray(known.geometry.boundary.explode())
        tree = shapely.STRtree(borders)
        vertices = shapely.get_coordinates(np.asarray(gpd.read_file(DISTRICTS / "430100.json").geometry))[::20]

        def off_m(lonlat: Floats) -> Floats:
            points = shapely.points(project(lonlat, 4326, 4547))
            return np.asarray(tree.query_nearest(points, return_distance=True, all_matches=False)[1])

        fit = datum_fit(vertices, off_m, points="vertices", reference="the border")
        assert fit.fits is Datum.GCJ02
        assert fit.wrong
        assert pd.Series(fit.median_m).idxmin() is Datum.GCJ02
