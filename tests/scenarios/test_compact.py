"""Shapes as steps from point to point."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
from shapely.geometry.base import BaseGeometry

from scenarios.compact import STEPS_A_DEGREE, Encoder

EPSG = 4547
CORNER_M = np.array([400_000.0, 3_120_000.0])


def around(shape: BaseGeometry) -> BaseGeometry:
    return shapely.transform(shape, lambda xy: xy + CORNER_M)


SQUARE = around(shapely.box(0, 0, 900, 700))
PIERCED = around(shapely.box(0, 0, 900, 700).difference(shapely.box(100, 100, 300, 200)))
TWO = around(shapely.MultiPolygon([shapely.box(0, 0, 50, 50), shapely.box(90, 90, 200, 150)]))
BENT = around(shapely.LineString([(0, 0), (400, 30), (450, 600)]))


def decoded(flat: list[int], origin: tuple[int, int]) -> list[list[np.ndarray]]:
    """What `map.js` reads out of the list: for each shape its lines as (n, 2) degrees."""
    numbers = iter(flat)
    at = np.array(origin)
    shapes = []
    for n_lines in numbers:
        lines = []
        for _ in range(n_lines):
            line = []
            for _ in range(next(numbers)):
                at = at + np.array([next(numbers), next(numbers)])
                line.append(at / STEPS_A_DEGREE)
            lines.append(np.array(line))
        shapes.append(lines)
    return shapes


def test_shapes_come_back_within_half_a_step() -> None:
    shapes = [SQUARE, BENT, PIERCED, TWO]
    encoder = Encoder.at(EPSG, shapely.get_coordinates(shapes))
    degrees = pyproj.Transformer.from_crs(EPSG, 4326, always_xy=True)
    back = decoded(encoder.shapes(shapes), encoder.origin)
    rings = [shapely.get_rings(shapely.get_parts(shape)) for shape in (SQUARE, PIERCED, TWO)]
    expected = [list(rings[0]), [BENT], list(rings[1]), list(rings[2])]
    assert [len(lines) for lines in back] == [1, 1, 2, 2]
    for found, lines in zip(back, expected, strict=True):
        for points, line in zip(found, lines, strict=True):
            wanted = np.stack(degrees.transform(*shapely.get_coordinates(line).T), 1)
            # a ring is left open: the page closes it
            wanted = wanted[:-1] if line.is_closed else wanted
            np.testing.assert_allclose(points, wanted, atol=0.5001 / STEPS_A_DEGREE, rtol=0)


def test_points_that_fall_together_are_one() -> None:
    line = around(shapely.LineString([(0, 0), (0.1, 0.1), (0.2, 0), (300, 0)]))
    encoder = Encoder.at(EPSG, shapely.get_coordinates(line))
    assert encoder.shapes([line])[:2] == [1, 2]


def test_an_empty_shape_keeps_its_place() -> None:
    encoder = Encoder.at(EPSG, shapely.get_coordinates(SQUARE))
    back = decoded(encoder.shapes([SQUARE, shapely.Polygon(), SQUARE]), encoder.origin)
    assert [len(lines) for lines in back] == [1, 0, 1]
    np.testing.assert_array_equal(back[0][0], back[2][0])
    assert encoder.shapes([]) == []


def test_points_count_from_the_south_west_corner() -> None:
    encoder = Encoder.at(EPSG, shapely.get_coordinates(SQUARE))
    east, north = np.array(encoder.points(shapely.get_coordinates(SQUARE))).T
    assert (east.min(), north.min()) == (0, 0)
    # a degree of longitude is shorter than one of latitude by the cosine of 28.2° N
    assert (east.max() / 900) / (north.max() / 700) == pytest.approx(1 / np.cos(np.radians(28.2)), rel=0.03)
