"""Shapes for a page, small: WGS-84 degrees as whole steps from point to point, in one flat list of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geodata.network import Floats

Shapes = Sequence[BaseGeometry] | NDArray[np.object_]
STEPS_A_DEGREE = 100_000
"""One step is about a metre."""


@dataclass(frozen=True, slots=True)
class Encoder:
    """Turns shapes of one projected CRS into steps from an origin.

    A list of shapes becomes `[lines, points, dx, dy, dx, dy, …, points, …, lines, …]`: for each shape the number of
    its lines (rings of a polygon, holes included), for each line the number of its points, for each point the steps
    east and north from the point before it, whichever shape that was in; the first counts from the origin.
    """

    to_wgs84: pyproj.Transformer
    origin: tuple[int, int]
    """Steps east and north of 0° E 0° N."""

    @classmethod
    def at(cls, epsg: int, xy_m: Floats) -> Encoder:
        """With its origin at the south-west corner of (n, 2) points in a CRS."""
        transformer = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
        corner = _steps(transformer, xy_m).min(axis=0)
        return cls(transformer, (int(corner[0]), int(corner[1])))

    def shapes(self, shapes: Shapes) -> list[int]:
        """Lines and polygons, also of many parts, as one flat list; see above."""
        parts, shape = shapely.get_parts(np.asarray(shapes, object), return_index=True)
        areal = shapely.get_dimensions(parts) == 2
        rings, part = shapely.get_rings(parts[areal], return_index=True)
        lines = np.r_[parts[~areal], rings]
        shape = np.r_[shape[~areal], shape[areal][part]]
        closed = np.arange(len(lines)) >= (~areal).sum()
        order = np.argsort(shape, kind="stable")
        xy, line = shapely.get_coordinates(lines[order], return_index=True)
        steps = _steps(self.to_wgs84, xy)
        starts = np.diff(line, prepend=-1) > 0
        last_of_ring = np.r_[starts[1:], True] & closed[order][line] if len(line) else starts
        kept = (starts | np.diff(steps, axis=0, prepend=steps[:1]).any(axis=1)) & ~last_of_ring
        moves = np.diff(steps[kept], axis=0, prepend=np.array([self.origin])).reshape(-1).tolist()
        first = np.searchsorted(line[kept], np.arange(len(lines) + 1)).tolist()
        of_shape = np.searchsorted(shape[order], np.arange(len(shapes) + 1)).tolist()
        flat: list[int] = []
        for begin, end in pairwise(of_shape):
            flat.append(end - begin)
            for a, b in pairwise(first[begin : end + 1]):
                flat.append(b - a)
                flat += moves[2 * a : 2 * b]
        return flat

    def points(self, xy_m: Floats) -> list[list[int]]:
        """Each of (n, 2) points as `[east, north]` steps from the origin."""
        moved: list[list[int]] = (_steps(self.to_wgs84, xy_m) - self.origin).tolist()
        return moved


def _steps(to_wgs84: pyproj.Transformer, xy_m: Floats) -> NDArray[np.int64]:
    degrees = np.stack(to_wgs84.transform(*np.asarray(xy_m, float).T), axis=1)
    steps: NDArray[np.int64] = np.rint(degrees * STEPS_A_DEGREE).astype(np.int64)
    return steps
