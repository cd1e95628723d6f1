"""Beats by a level of the grid's areas or by the nearest post, and which of them touch."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from dispatch.beats import BY_POST, beat_of_posts, beats_by_level, beats_by_post, make_beats
from geodata.city import City
from geodata.errors import InputError
from geodata.grid import Grid
from geodata.positions import snap
from geodata.routing import RoadTravel

WEST, EAST = 1, 0
"""In the order of the districts' codes."""


@pytest.fixture(scope="module")
def travel(small_city: City) -> RoadTravel:
    return RoadTravel(small_city.network, anchors=small_city.posts.positions)


def test_each_district_is_a_beat_and_holds_its_cells(small_city: City) -> None:
    beats = beats_by_level(small_city.grid, "district")
    assert beats.of_cell.tolist() == [WEST, WEST, WEST, EAST, EAST] * 4
    assert beats.neighbours.tolist() == [[False, True], [True, False]]


def test_cells_without_an_area_of_the_level_have_no_beat(small_city: City) -> None:
    cells = small_city.grid.cells.copy()
    cells.loc[[0, 7], "parent"] = ""
    beats = beats_by_level(Grid(cells, small_city.grid.areas), "district")
    assert np.flatnonzero(beats.of_cell < 0).tolist() == [0, 7]


def test_a_level_that_the_grid_lacks_is_refused_with_those_that_it_has(small_city: City) -> None:
    with pytest.raises(InputError, match="'village'; expected one of city, district, or post"):
        beats_by_level(small_city.grid, "village")


def test_a_cell_belongs_to_the_post_that_is_nearest_by_road(small_city: City, travel: RoadTravel) -> None:
    beats = beats_by_post(small_city, travel)
    middles = snap(small_city.network, shapely.get_coordinates(shapely.centroid(small_city.grid.polygons)))[0]
    seconds = np.array([[travel.route(post, to, 10).time_s for post in small_city.posts.positions] for to in middles])
    assert beats.of_cell.tolist() == seconds.argmin(axis=1).tolist()
    assert set(beats.of_cell.tolist()) == {0, 1, 2, 3}


def test_posts_that_do_not_count_win_no_cell(small_city: City, travel: RoadTravel) -> None:
    beats = beats_by_post(small_city, travel, np.array([1, 2]))
    assert set(beats.of_cell.tolist()) == {1, 2}
    assert beats.neighbours.shape == (4, 4)
    assert beats.neighbours.sum() == 2
    with pytest.raises(ValueError, match="no post"):
        beats_by_post(small_city, travel, np.empty(0, int))


def test_two_beats_touch_where_any_two_of_their_cells_share_a_border(small_city: City, travel: RoadTravel) -> None:
    beats = beats_by_post(small_city, travel)
    polygons = small_city.grid.polygons
    for a in range(4):
        for b in range(4):
            shared_m = sum(
                shapely.intersection(polygons[i], polygons[j]).length
                for i in np.flatnonzero(beats.of_cell == a)
                for j in np.flatnonzero(beats.of_cell == b)
            )
            assert beats.neighbours[a, b] == (a != b and shared_m > 5)


def test_the_beat_of_a_post_is_that_of_its_cell(small_city: City, travel: RoadTravel) -> None:
    beats, of_post = make_beats(small_city, travel, "district")
    assert of_post.tolist() == beat_of_posts(small_city, beats).tolist() == [WEST, EAST, WEST, EAST]


def test_by_post_each_post_has_its_own_beat(small_city: City, travel: RoadTravel) -> None:
    beats, of_post = make_beats(small_city, travel, BY_POST)
    assert of_post.tolist() == [0, 1, 2, 3]
    assert beats.of_cell.tolist() == beats_by_post(small_city, travel).of_cell.tolist()
