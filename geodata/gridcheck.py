"""What is wrong with the polygons of a grid, each case with its codes, its size and its place; and the mending."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geodata.borders import edges
from geodata.hierarchy import hierarchy_problems
from geodata.network import Bools

Polygons = NDArray[np.object_]
SLIVER_M2 = 1.0
"""Less ground than this in an overlap or a gap comes of a border drawn twice, and is not told. Assumed."""
GAP_M = 10.0
"""A free place between cells is a gap where no wider circle fits into it, or else a hole, such as a lake. Assumed."""
RIM_M = 1.0
"""Where the boundary and the outline of the cells differ by less, they agree. Assumed."""
OUTSIDE_SHARE = 0.05
"""A cell with more of its ground than this outside its area is told. Assumed."""
JUST_M = 1e-4
"""Faces of some ground are wider than this, and coordinates finer."""
ALONG = 0.382
"""Of an edge: not its middle, where the borders of a regular grid end."""
TINY_SHARE = 0.01
"""A cell smaller than this share of the usual one is told. Assumed."""
NARROW_M = 5.0
"""A cell of less mean width is told. Assumed."""


class Kind(StrEnum):
    """What can be wrong."""

    INVALID = "invalid ring"
    EMPTY = "no ground"
    PARTS = "several parts"
    TINY = "tiny or narrow"
    SAME_CODE = "same code"
    SAME_SHAPE = "same polygon"
    OVERLAP = "overlap"
    GAP = "gap"
    HOLE = "hole"
    UNCOVERED = "uncovered"
    OUTSIDE = "outside its area"
    ORPHAN = "orphan"
    CYCLE = "cycle"
    WRONG_LEVEL = "wrong level"


MENDED = (Kind.INVALID, Kind.EMPTY, Kind.SAME_SHAPE, Kind.OVERLAP, Kind.GAP)
"""What `repair_grid` leaves none of."""
PROBLEM_COLUMNS = ("kind", "codes", "area_m2", "length_m", "found", "geometry")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Problem:
    """One case of one kind."""

    kind: Kind
    codes: tuple[str, ...]
    """The cells or areas that it concerns."""
    found: str
    geometry: shapely.Geometry | None = None
    """Where it lies, None for one that lies nowhere."""

    @property
    def area_m2(self) -> float:
        return 0.0 if self.geometry is None else float(shapely.area(self.geometry))

    @property
    def length_m(self) -> float:
        """Of the outline."""
        return 0.0 if self.geometry is None else float(shapely.length(self.geometry))

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.found}"


def problem_table(problems: Iterable[Problem], epsg: int) -> gpd.GeoDataFrame:
    """A row a problem, columns `PROBLEM_COLUMNS`, codes joined by "/"; for saving and for QGIS."""
    rows = [(p.kind.value, "/".join(p.codes), p.area_m2, p.length_m, p.found, p.geometry) for p in problems]
    table = pd.DataFrame(rows, columns=list(PROBLEM_COLUMNS))
    return gpd.GeoDataFrame(table, geometry="geometry", crs=epsg)


def check_grid(
    cells: gpd.GeoDataFrame,
    areas: pd.DataFrame | None = None,
    boundary: shapely.Geometry | None = None,
    *,
    levels: Sequence[str] | None = None,
    gap_m: float = GAP_M,
) -> list[Problem]:
    """Everything that is wrong with cells (`CELL_COLUMNS`, projected CRS), kind after kind.

    `areas` (`AREA_COLUMNS`, with or without geometry) are those above the cells, `levels` their levels from the top
    downwards; `boundary` is what the cells should cover. Free places open to the outside are told only where a
    boundary is given.
    """
    codes = cells["code"].to_numpy(object)
    shapes = np.asarray(cells.geometry.array, object)
    problems = _shape_problems(codes, shapes)
    ground = _mended(shapes)
    here = shapely.area(ground) > 0
    codes, ground = codes[here], ground[here]
    problems += _duplicates(cells["code"].to_numpy(object), codes, ground)
    problems += _cover_problems(codes, ground, boundary, gap_m)
    if areas is not None:
        told = hierarchy_problems(cells, areas, levels)
        problems += [Problem(kind=Kind(kind), codes=concerned, found=found) for kind, concerned, found in told]
        if "geometry" in areas:
            problems += _outside(codes, cells["parent"].to_numpy(object)[here], ground, areas)
    rank = {kind: i for i, kind in enumerate(Kind)}
    return sorted(problems, key=lambda problem: rank[problem.kind])


def _mended(shapes: Polygons) -> Polygons:
    """Valid polygons and multipolygons; empty ones where there is no ground."""
    mended = shapes.copy()
    mended[shapely.is_missing(shapes)] = shapely.Polygon()
    wrong = np.flatnonzero(~shapely.is_valid(mended) | (shapely.get_dimensions(mended) < 2))
    whole = shapely.make_valid(mended[wrong], method="structure", keep_collapsed=False)
    for i, shape in zip(wrong, whole, strict=True):
        parts = np.asarray(shapely.get_parts(shape), object)
        flat = parts[shapely.get_dimensions(parts) == 2]
        mended[i] = shapely.union_all(flat) if len(flat) else shapely.Polygon()
    return mended


def _shape_problems(codes: NDArray[np.object_], shapes: Polygons) -> list[Problem]:
    """Of each cell by itself."""
    problems = []
    area_m2, round_m = shapely.area(shapes), shapely.length(shapes)
    area_m2 = np.where(np.isfinite(area_m2), area_m2, 0)
    empty = area_m2 == 0
    invalid = ~shapely.is_valid(shapes) & ~shapely.is_missing(shapes)
    for i in np.flatnonzero(invalid):
        found = f"cell {codes[i]}: {shapely.is_valid_reason(shapes[i])}"
        problems.append(Problem(kind=Kind.INVALID, codes=(codes[i],), found=found, geometry=shapes[i]))
    for i in np.flatnonzero(empty & ~invalid):
        problems.append(Problem(kind=Kind.EMPTY, codes=(codes[i],), found=f"cell {codes[i]} has no ground"))
    parts = shapely.get_num_geometries(shapes)
    for i in np.flatnonzero((parts > 1) & ~empty):
        found = f"cell {codes[i]} has {parts[i]} parts"
        problems.append(Problem(kind=Kind.PARTS, codes=(codes[i],), found=found, geometry=shapes[i]))
    least_m2 = TINY_SHARE * float(np.median(area_m2[~empty])) if (~empty).any() else 0.0
    width_m = np.divide(2 * area_m2, round_m, out=np.zeros(len(codes)), where=round_m > 0)
    for i in np.flatnonzero(~empty & ~invalid & ((area_m2 < least_m2) | (width_m < NARROW_M))):
        found = f"cell {codes[i]} holds {area_m2[i]:,.0f} m², {width_m[i]:,.1f} m wide on average"
        problems.append(Problem(kind=Kind.TINY, codes=(codes[i],), found=found, geometry=shapes[i]))
    return problems


def _duplicates(every: NDArray[np.object_], codes: NDArray[np.object_], ground: Polygons) -> list[Problem]:
    values, counts = np.unique(every.astype(str), return_counts=True)
    problems = [
        Problem(kind=Kind.SAME_CODE, codes=(str(code),), found=f"{n} cells have the code {code}")
        for code, n in zip(values[counts > 1], counts[counts > 1], strict=True)
    ]
    copy, first = _copies(ground)
    for i in np.flatnonzero(copy):
        found = f"cell {codes[i]} has the polygon of cell {codes[first[i]]}"
        pair = (codes[first[i]], codes[i])
        problems.append(Problem(kind=Kind.SAME_SHAPE, codes=pair, found=found, geometry=ground[i]))
    return problems


def _copies(ground: Polygons) -> tuple[Bools, NDArray[np.int64]]:
    """(n,) whether a polygon was there before, wherever its rings begin, and (n,) the first of its like."""
    _, first = np.unique(shapely.bounds(ground), axis=0, return_inverse=True)
    alike = np.flatnonzero(np.bincount(first)[first] > 1)
    of = np.arange(len(ground))
    seen: dict[bytes, int] = {}
    for i, wkb in zip(alike.tolist(), shapely.to_wkb(shapely.normalize(ground[alike])), strict=True):
        of[i] = seen.setdefault(wkb, i)
    return of != np.arange(len(ground)), of


def _faces(ground: Polygons, tree: shapely.STRtree) -> tuple[Polygons, NDArray[np.int64]]:
    """The places that loose edges bound, slivers aside, and how many cells lie over each."""
    _, loose = edges(ground).loose_lines()
    noded = shapely.get_parts(shapely.union_all(loose))
    faces = np.asarray(shapely.get_parts(shapely.polygonize(noded)), object)
    faces = faces[shapely.area(faces) > SLIVER_M2]
    face, _ = tree.query(_just_within(faces), predicate="intersects")
    return faces, np.bincount(face, minlength=len(faces))


def _just_within(faces: Polygons) -> Polygons:
    """A point inside each face, beside its longest edge: further in it could lie on the border of two cells, which
    would seem to share it. Only their intersection then tells that they do not."""
    xy, face = shapely.get_coordinates(shapely.get_exterior_ring(shapely.orient_polygons(faces)), return_index=True)
    along = np.flatnonzero(face[1:] == face[:-1])
    step = xy[along + 1] - xy[along]
    length_m = np.hypot(*step.T)
    order = np.lexsort((-length_m, face[along]))
    _, first = np.unique(face[along][order], return_index=True)
    longest = order[first]
    left = step[longest][:, ::-1] * [-1, 1] / length_m[longest][:, None]
    inner = xy[along][longest] + ALONG * step[longest] + JUST_M * left
    return np.asarray(shapely.points(inner), object)


def _cover_problems(
    codes: NDArray[np.object_], ground: Polygons, boundary: shapely.Geometry | None, gap_m: float
) -> list[Problem]:
    """Ground that belongs to two cells, or to none."""
    tree = shapely.STRtree(ground)
    faces, over = _faces(ground, tree)
    problems = _overlaps(codes, ground, tree, faces[over > 1])
    free = faces[over == 0]
    place, beside = tree.query(free, predicate="intersects")
    order = np.lexsort((beside, place))
    around = np.split(codes[beside[order]], np.searchsorted(place[order], np.arange(1, len(free))))
    for shape, wide, named in zip(free, _holds_circle(free, gap_m), around, strict=False):
        kind = Kind.HOLE if wide else Kind.GAP
        found = f"{shapely.area(shape):,.0f} m² free between {_listed(named.tolist())}"
        problems.append(Problem(kind=kind, codes=tuple(named.tolist()), found=found, geometry=shape))
    if boundary is not None:
        beyond = shapely.get_parts(shapely.difference(boundary, shapely.union_all(faces)))
        beyond = beyond[shapely.area(beyond) > SLIVER_M2]
        for shape in beyond[_holds_circle(beyond, RIM_M)]:
            found = f"{shapely.area(shape):,.0f} m² of the boundary without a cell"
            problems.append(Problem(kind=Kind.UNCOVERED, codes=(), found=found, geometry=shape))
    return problems


def _holds_circle(shapes: Polygons, width_m: float) -> Bools:
    """Whether a circle so wide fits into each polygon."""
    return ~np.asarray(shapely.is_empty(shapely.buffer(shapes, -width_m / 2)))


def _overlaps(codes: NDArray[np.object_], ground: Polygons, tree: shapely.STRtree, doubled: Polygons) -> list[Problem]:
    concerned = np.unique(tree.query(doubled, predicate="intersects")[1])
    one, other = tree.query(ground[concerned], predicate="intersects")
    one = concerned[one]
    pairs = np.unique(np.sort(np.c_[one, other][one != other], axis=1), axis=0)
    common = np.asarray(shapely.intersection(ground[pairs[:, 0]], ground[pairs[:, 1]]), object)
    much = shapely.area(common) > SLIVER_M2
    problems = []
    for (a, b), shape in zip(pairs[much], common[much], strict=True):
        found = f"cells {codes[a]} and {codes[b]} share {shapely.area(shape):,.0f} m²"
        problems.append(Problem(kind=Kind.OVERLAP, codes=(codes[a], codes[b]), found=found, geometry=shape))
    return problems


def _outside(
    codes: NDArray[np.object_], parents: NDArray[np.object_], ground: Polygons, areas: pd.DataFrame
) -> list[Problem]:
    known = areas[areas["geometry"].notna()].drop_duplicates("code")
    shapes = known["geometry"].to_numpy(object)
    shapely.prepare(shapes)
    row = pd.Index(known["code"]).get_indexer(parents)
    lie = np.flatnonzero(row >= 0)
    lie = lie[~shapely.covers(shapes[row[lie]], ground[lie])]
    beyond = shapely.difference(ground[lie], shapes[row[lie]])
    problems = []
    for i, shape in zip(lie, beyond, strict=True):
        share = shapely.area(shape) / shapely.area(ground[i])
        if share > OUTSIDE_SHARE:
            found = f"{share:.0%} of cell {codes[i]} lies outside its area {parents[i]}"
            problems.append(Problem(kind=Kind.OUTSIDE, codes=(codes[i], parents[i]), found=found, geometry=shape))
    return problems


def _listed(codes: Sequence[str], most: int = 3) -> str:
    return ", ".join(codes[:most]) + (" …" if len(codes) > most else "")


def repair_grid(cells: gpd.GeoDataFrame, *, gap_m: float = GAP_M) -> tuple[gpd.GeoDataFrame, list[str]]:
    """The cells without problems of the kinds `MENDED`, and what was done, a line each.

    Invalid rings are made valid; cells without ground and copies of an earlier polygon are removed; ground that two
    cells claim goes to the smaller one, which could lose all of it otherwise (a station drawn upon its quarter); gaps
    go to the cell with the longest border on them. Shared borders then agree vertex by vertex. Holes stay.
    """
    codes = cells["code"].to_numpy(object)
    shapes = np.asarray(cells.geometry.array, object)
    said = [
        f"made cell {codes[i]} valid: {shapely.is_valid_reason(shapes[i])}"
        for i in np.flatnonzero(~shapely.is_valid(shapes) & ~shapely.is_missing(shapes))
    ]
    ground = _mended(shapes)
    kept = shapely.area(ground) > 0
    said += [f"removed cell {code}, which has no ground" for code in codes[~kept]]
    rows = np.flatnonzero(kept)
    copy, first = _copies(ground[rows])
    said += [
        f"removed cell {codes[rows[i]]}, a copy of cell {codes[rows[first[i]]]}" for i in np.flatnonzero(copy).tolist()
    ]
    rows = rows[~copy]
    ground = ground[rows]
    wrong = [p for p in _cover_problems(codes[rows], ground, None, gap_m) if p.kind in MENDED]
    if wrong:
        # a little more than what is told as a gap, so that rounding leaves none
        ground = shapely.coverage_clean(  # type: ignore[attr-defined]  # newer than its stubs
            ground, gap_width=1.01 * gap_m, merge_strategy="min_area"
        )
        said += _given(wrong, codes[rows], ground)
        kept = shapely.area(ground) > 0
        said += [f"removed cell {code}, which others cover wholly" for code in codes[rows[~kept]]]
        rows, ground = rows[kept], ground[kept]
    table = cells.iloc[rows].reset_index(drop=True)
    return table.set_geometry(gpd.GeoSeries(ground, index=table.index, crs=cells.crs)), said


def _given(problems: Sequence[Problem], codes: NDArray[np.object_], ground: Polygons) -> list[str]:
    """Who has the ground of each problem now."""
    spots = shapely.point_on_surface(np.array([p.geometry for p in problems], object))
    spot, cell = shapely.STRtree(ground).query(spots, predicate="intersects")
    to = np.full(len(problems), "no cell", object)
    to[spot[::-1]] = codes[cell[::-1]]
    return [f"gave to {code} the {p.kind.value}: {p.found}" for code, p in zip(to, problems, strict=True)]
