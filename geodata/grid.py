"""The managed grid: cells, the areas they belong to, their neighbours, and the pieces of street that lie in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geodata.borders import Borders, shared_borders
from geodata.network import Floats, Ints, RoadClass, RoadNetwork

CELL_COLUMNS = ("code", "parent", "name", "name_en", "residents", "geometry")
AREA_COLUMNS = ("code", "parent", "level", "name", "name_en")
ON_BORDER_M = 0.01
"""A point in no cell and this near to one lies on its border, but for rounding. Assumed."""
LEAST_BORDER_M = 5.0
"""Cells that share less border than this meet at a corner. Assumed."""


class Level(StrEnum):
    """The usual levels above the cell (城市, 区县, 街道/镇, 社区/村). A level is text: a city may have others."""

    CITY = "city"
    DISTRICT = "district"
    SUBDISTRICT = "subdistrict"
    COMMUNITY = "community"


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells (网格) in a projected CRS and the hierarchy of areas above them.

    `cells`: one row a cell, columns `CELL_COLUMNS`; `code` and `parent` are text, `residents` a count, `geometry` a
    polygon or multipolygon. `areas`: one row an area, columns `AREA_COLUMNS`, and `geometry` where its own outline is
    known; `level` is any text, `parent` the code of another area or empty. A cell's `parent` is an area's code, or
    empty.
    """

    cells: gpd.GeoDataFrame
    areas: pd.DataFrame

    def __len__(self) -> int:
        return len(self.cells)

    @cached_property
    def codes(self) -> NDArray[np.object_]:
        codes: NDArray[np.object_] = self.cells["code"].to_numpy(object)
        return codes

    @cached_property
    def polygons(self) -> NDArray[np.object_]:
        return np.asarray(self.cells.geometry.array, object)

    @cached_property
    def tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.polygons)

    def locate(self, xy_m: Floats) -> Ints:
        """The one cell that each of (n, 2) points belongs to, -1 outside. Of the cells that share a border, the one
        that comes first has the points on it; a point in none is on the border of one within `ON_BORDER_M`."""
        points = np.asarray(shapely.points(np.asarray(xy_m, float).reshape(-1, 2)), object)
        found = np.full(len(points), len(self), np.int32)
        point, cell = self.tree.query(points, predicate="intersects")
        np.minimum.at(found, point, cell.astype(np.int32))
        lost = np.flatnonzero(found == len(self))
        point, cell = self.tree.query_nearest(points[lost], max_distance=ON_BORDER_M)
        np.minimum.at(found, lost[point], cell.astype(np.int32))
        found[found == len(self)] = -1
        return found

    @cached_property
    def borders(self) -> Borders:
        """All pairs of cells that share a border, however short."""
        return shared_borders(self.polygons)

    def neighbours(self, least_m: float = LEAST_BORDER_M) -> Ints:
        """(k, 2) pairs of cells with at least so much border in common, the smaller number first."""
        return self.borders.pairs[self.borders.length_m >= least_m]

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """The levels of the areas from the top downwards; those equally deep in the order of the table."""
        parent = dict(zip(self.areas["code"], self.areas["parent"], strict=True))
        depth: dict[str, int] = {}
        for code, level in zip(self.areas["code"], self.areas["level"], strict=True):
            depth[str(level)] = max(depth.get(str(level), 0), len(_line_up(parent.get(code, ""), parent)))
        return tuple(sorted(depth, key=lambda level: depth[level]))

    def ancestor_code(self, level: str) -> pd.Series:
        """Code of the area of a level that each cell lies in, "" where there is none."""
        parent = dict(zip(self.areas["code"], self.areas["parent"], strict=True))
        wanted = set(self.areas.loc[self.areas["level"] == level, "code"])
        above = {
            code: next((up for up in _line_up(code, parent) if up in wanted), "")
            for code in self.cells["parent"].unique()
        }
        codes: pd.Series = self.cells["parent"].map(above)
        return codes

    def ancestor(self, level: str) -> pd.Series:
        """Name of the area of a level that each cell lies in, "" where there is none."""
        name = dict(zip(self.areas["code"], self.areas["name"], strict=True))
        names: pd.Series = self.ancestor_code(level).map({"": ""} | name)
        return names

    def outlines(self, level: str) -> gpd.GeoDataFrame:
        """The areas of a level as polygons, dissolved from their cells unless their own outline is known; columns
        `code`, `name`, `geometry`."""
        code = self.ancestor_code(level)
        merged = self.cells[["geometry"]].assign(code=code)[code != ""].dissolve("code")
        areas = self.areas[self.areas["level"] == level].drop_duplicates("code")
        shape = pd.Series(merged.geometry.to_numpy(object), index=merged.index, dtype=object)
        if "geometry" in areas:
            own = pd.Series(areas["geometry"].to_numpy(object), index=areas["code"], dtype=object).dropna()
            shape = own.combine_first(shape)
        shape = shape.reindex(areas["code"]).dropna()
        name = areas.set_index("code")["name"][shape.index].to_numpy()
        return gpd.GeoDataFrame(
            {"code": shape.index.to_numpy(), "name": name}, geometry=shape.to_numpy(), crs=self.cells.crs
        )


def _line_up(code: str, parent: Mapping[str, str]) -> list[str]:
    """An area and those above it, from below; it ends where the line runs in a circle."""
    line: list[str] = []
    while code and code not in line:
        line.append(code)
        code = parent.get(code, "")
    return line


@dataclass(frozen=True, slots=True, eq=False)
class RoadPieces:
    """Which stretch of which street lies in which cell; a street that crosses a border has a piece on each side."""

    street: Ints
    cell: Ints
    from_m: Floats
    """Along the street's line."""
    to_m: Floats

    def length_by_cell(self, n_cells: int) -> Floats:
        """(n_cells,) metres of road in each cell."""
        length_m: Floats = np.bincount(self.cell, self.to_m - self.from_m, minlength=n_cells).astype(float)
        return length_m

    def main_road_share(self, network: RoadNetwork, n_cells: int) -> Floats:
        """(n_cells,) share of the metres of road in each cell that are expressway or arterial, NaN without a road."""
        main = network.street_class[self.street] <= RoadClass.ARTERIAL
        main_m = np.bincount(self.cell[main], (self.to_m - self.from_m)[main], minlength=n_cells)
        road_m = self.length_by_cell(n_cells)
        return np.where(road_m > 0, main_m / np.where(road_m > 0, road_m, 1), np.nan)


def cut_streets(network: RoadNetwork, grid: Grid) -> RoadPieces:
    """Cut every street that cars may drive at the borders of the cells. What lies outside all cells has no piece, nor
    has a pedestrian street; what runs along a shared border belongs to the first of the two cells."""
    line, cell = grid.tree.query(network.lines, predicate="intersects")
    driven = network.street_class[line] != RoadClass.PEDESTRIAN
    line, cell = line[driven], cell[driven]
    inside = shapely.covers(grid.polygons[cell], network.lines[line])
    order = np.lexsort((cell, line))
    line, cell, inside = line[order], cell[order], inside[order]
    shape_m = shapely.length(network.lines)
    # a street wholly in one cell has one piece, the first cell's where it runs along a border
    whole_line, first = np.unique(line[inside], return_index=True)
    whole_cell = cell[inside][first]
    parts = ~np.isin(line, whole_line)
    cut = shapely.intersection(network.lines[line[parts]], grid.polygons[cell[parts]])
    piece, pair = shapely.get_parts(cut, return_index=True)
    linear = (shapely.get_type_id(piece) == 1) & (shapely.length(piece) > 0)
    piece, pair = piece[linear], pair[linear]
    part_line, part_cell = line[parts][pair], cell[parts][pair]
    marks = [
        shapely.get_point(piece, 0),
        shapely.get_point(piece, -1),
        shapely.line_interpolate_point(piece, 0.5, normalized=True),
    ]
    begin, end, middle = (shapely.line_locate_point(network.lines[part_line], mark) for mark in marks)
    low, high = np.minimum(begin, end), np.maximum(begin, end)
    # the ends of a closed street are one point, found at 0: a piece whose middle lies beyond runs up to the other end
    runs_out = (middle < low) | (middle > high)
    low, high = np.where(runs_out, high, low), np.where(runs_out, shape_m[part_line], high)
    low = _after_others(part_line, low, high)
    some = high > low
    part_line, part_cell, low, high = part_line[some], part_cell[some], low[some], high[some]
    scale = network.street_length_m / shape_m
    street = np.r_[whole_line, part_line].astype(np.int32)
    from_m = np.r_[np.zeros(len(whole_line)), low] * scale[street]
    to_m = np.r_[shape_m[whole_line], high] * scale[street]
    cells = np.r_[whole_cell, part_cell].astype(np.int32)
    order = np.lexsort((from_m, cells, street))
    return RoadPieces(
        street[order], cells[order], from_m[order], np.minimum(to_m, network.street_length_m[street])[order]
    )


def _after_others(line: Ints, low: Floats, high: Floats) -> Floats:
    """Where pieces begin once what an earlier piece of their street already holds is taken off; a stretch along the
    border of two cells would be held twice."""
    order = np.lexsort((low, line))
    taken = np.full(len(line), -np.inf)
    for before, now in pairwise(order.tolist()):
        if line[before] == line[now]:
            taken[now] = max(taken[before], high[before])
    begin: Floats = np.maximum(low, np.minimum(taken, high))
    return begin
