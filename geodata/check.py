"""What a city holds, what in it looks wrong, and what was wrong with its sources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geodata.city import City
from geodata.crs import LONLAT, in_china, project
from geodata.datum import Datum, parse_datum
from geodata.defects import MOST_EXAMPLES, Defect
from geodata.gridcheck import Kind, Problem, check_grid
from geodata.network import Floats, RoadClass, RoadNetwork
from geodata.readers.places import POST_SNAP_LIMIT_M, datum_warning, off_road_m, points_fit
from geodata.sites import Week

FAR = f"more than {POST_SNAP_LIMIT_M:g} m off the road"
SAME_SPOT_M = 0.1
"""Places whose coordinates agree when rounded to this stand at one spot. Assumed."""
_GRID_MENDS: Mapping[Kind, str] = {
    Kind.INVALID: "build again with --repair",
    Kind.EMPTY: "remove them, or give them their polygon",
    Kind.PARTS: "give each part a code of its own, if it is a cell",
    Kind.TINY: "merge them with their neighbour",
    Kind.SAME_CODE: "give each a code of its own",
    Kind.SAME_SHAPE: "remove one of the two",
    Kind.OVERLAP: "a point there counts for the first cell; build again with --repair",
    Kind.GAP: "nobody answers for them; build again with --repair",
    Kind.HOLE: "nobody answers for them; draw cells there, unless they are water",
    Kind.UNCOVERED: "draw cells there",
    Kind.OUTSIDE: "mend their border, or the code of their area",
    Kind.ORPHAN: "give each the code of its area",
    Kind.CYCLE: "mend the parents of the areas",
    Kind.WRONG_LEVEL: "mend the levels or the parents of the areas",
}
_WORST: tuple[Kind, ...] = (
    *(Kind.SAME_CODE, Kind.CYCLE, Kind.INVALID, Kind.EMPTY, Kind.SAME_SHAPE, Kind.OVERLAP, Kind.ORPHAN),
    *(Kind.WRONG_LEVEL, Kind.OUTSIDE, Kind.UNCOVERED, Kind.GAP, Kind.TINY, Kind.PARTS, Kind.HOLE),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line on what a city holds; `warning` says what to do about it, and is empty where nothing is wrong."""

    topic: str
    value: str
    warning: str = ""

    def __str__(self) -> str:
        return f"{self.topic}: {self.value}" + (f" — {self.warning}" if self.warning else "")


def check_city(city: City) -> list[Finding]:
    """Sizes, distances and the datum of the points, with a warning where one needs attention."""
    return [*_network(city.network), *_grid(city), *_posts(city), *_sites(city), *_datum(city)]


def city_faults(city: City) -> list[Defect]:
    """Everything that is wrong: what is still in the city, the worst first, and then what was wrong with its sources
    and has been dealt with, by its length."""
    found = [*_place_faults(city), *_grid_faults(city), *_source_faults(city)]
    return sorted(found, key=lambda fault: not fault.stays)


def _network(network: RoadNetwork) -> Iterator[Finding]:
    length_m = network.street_length_m
    total_m = length_m.sum()
    value = f"{network.n_nodes:,} junctions, {network.n_streets:,} streets, {network.n_open:,} directed edges, "
    yield Finding(topic="roads", value=f"{value}{total_m / 1000:,.1f} km, EPSG:{network.epsg}")
    for road_class in RoadClass:
        here = network.street_class == road_class
        if road_class is RoadClass.PEDESTRIAN and not here.any():
            continue
        value = f"{np.count_nonzero(here):,} streets, {length_m[here].sum() / 1000:,.1f} km"
        yield Finding(topic=f"roads, {road_class.name.lower()}", value=value)
    one_class = len(np.unique(network.street_class)) == 1
    warning = "All streets have one class, so all have one speed: give a class column." if one_class else ""
    share = length_m[np.isfinite(network.street_speed_kmh)].sum() / total_m
    yield Finding(topic="roads with a speed of their own", value=f"{share:.0%} of the length", warning=warning)
    yield Finding(topic="one-way roads", value=f"{length_m[network.one_way].sum() / total_m:.0%} of the length")
    if len(network.banned_turns):
        yield Finding(topic="forbidden turns", value=f"{len(network.banned_turns):,}")


def _grid(city: City) -> Iterator[Finding]:
    grid, driven = city.grid, city.network.street_class != RoadClass.PEDESTRIAN
    levels = grid.areas["level"].value_counts()
    size = f"{len(grid):,} cells, {grid.cells['residents'].sum():,.0f} residents"
    above = "".join(f", {levels[level]:,} {_plural(level, int(levels[level]))}" for level in grid.levels[1:])
    yield Finding(topic="grid", value=size + above)
    bare = city.road_m_by_cell == 0
    warning = "Roads and grid lie apart." if bare.all() else ""
    yield Finding(topic="cells without a road", value=_counted(grid.codes[bare]), warning=warning)
    outside_m = city.network.street_length_m[driven].sum() - city.road_m_by_cell.sum()
    yield Finding(topic="roads outside the grid", value=f"{max(outside_m, 0) / 1000:,.1f} km")


def _posts(city: City) -> Iterator[Finding]:
    posts = city.posts
    if not len(posts):
        yield Finding(topic="posts", value="none", warning="A run needs at least one.")
        return
    capacity = int(posts.table["capacity"].sum())
    yield Finding(topic="posts", value=f"{len(posts):,} with room for {capacity:,} units")
    yield Finding(topic="posts off the road", value=_distances(off_road_m(city.network, _shapes(posts.table))))


def _sites(city: City) -> Iterator[Finding]:
    sites = city.sites
    if not len(sites):
        yield Finding(topic="sites", value="none")
        return
    counts = sites.table["place_class"].value_counts()
    yield Finding(topic="sites", value=", ".join(f"{n:,} {label}" for label, n in counts.items()))
    yield Finding(topic="sites off the road", value=_distances(off_road_m(city.network, _shapes(sites.table))))


def _datum(city: City) -> Iterator[Finding]:
    """Which datum fits each layer of points; nothing where there is none to choose, outside China."""
    declared = {source.what: parse_datum(source.declared) or Datum.WGS84 for source in city.sources}
    for what, table in (("posts", city.posts.table), ("sites", city.sites.table)):
        shapes = _shapes(table)
        points = shapes[shapely.get_dimensions(shapes) == 0]
        if not len(points) or not in_china(project(shapely.get_coordinates(points), city.network.epsg, LONLAT)).any():
            continue
        fit = points_fit(city.network, points, declared.get(what, Datum.WGS84), points=what)
        warning = datum_warning(off_road_m(city.network, points))
        if fit.wrong:
            warning = "Build the city again with that datum declared, so that they are converted."
        yield Finding(topic=f"datum of the {what}", value=fit.verdict, warning=warning)


def _place_faults(city: City) -> Iterator[Defect]:
    for what, table in (("posts", city.posts.table), ("sites", city.sites.table)):
        if not len(table):
            continue
        shapes, ids = _shapes(table), table["id"].to_numpy(object).astype(str)
        off_m = off_road_m(city.network, shapes)
        same_id = _first_alike(pd.factorize(ids)[0][:, None])
        same_spot = _first_alike(np.round(shapely.bounds(shapes) / SAME_SPOT_M))
        outside = np.bincount(city.grid.tree.query(shapes, "intersects")[0], minlength=len(shapes)) == 0
        distance = [f"{name} ({metres:,.0f} m)" for name, metres in zip(ids, off_m, strict=True)]
        company = [f"{name} at {ids[i]}" for name, i in zip(ids, same_spot, strict=True)]
        for kind, mend, wrong, label in (
            ("with the id of another", "rename or remove one of the two", same_id >= 0, ids),
            ("outside the grid", "draw cells there, or move them", outside, ids),
            (FAR, "move them, or declare their datum", off_m > POST_SNAP_LIMIT_M, distance),
            ("at one spot", "remove one of the two, if they are one", same_spot >= 0, company),
            ("that never open", "mend their opening hours", ~Week.of(table["opening_hours"]).ever_open, ids),
        ):
            if wrong.any():
                named = tuple(np.array(label, object)[wrong].tolist())
                cases = shapes[wrong]
                yield Defect(
                    kind=f"{what} {kind}", done=mend, label=named, shapes=cases, epsg=city.network.epsg, stays=True
                )


def _first_alike(keys: NDArray[np.generic]) -> NDArray[np.int64]:
    """(n,) the first row that equals each of the rows of a table, -1 for those that are the first."""
    _, first, row = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    alike = first[row.reshape(-1)]
    return np.where(alike == np.arange(len(keys)), -1, alike)


def _grid_faults(city: City) -> Iterator[Defect]:
    cases: dict[Kind, list[Problem]] = {kind: [] for kind in _WORST}
    for problem in check_grid(city.grid.cells, city.grid.areas, levels=city.grid.levels):
        cases[problem.kind].append(problem)
    ground = dict(zip(city.grid.codes[::-1], city.grid.polygons[::-1], strict=True))
    for kind, problems in cases.items():
        if problems:
            # a fault of codes alone is shown by the cell that has the code
            shapes = [problem.geometry or ground.get("".join(problem.codes[:1])) for problem in problems]
            yield Defect(
                kind=f"grid: {kind.value}",
                done=_GRID_MENDS[kind],
                label=tuple("/".join(problem.codes) for problem in problems),
                shapes=np.array(shapes, object),
                epsg=city.network.epsg,
                stays=True,
            )


def _source_faults(city: City) -> list[Defect]:
    """The defects that were saved with the city, the longest first."""
    faults = [
        Defect(
            kind=str(kind),
            done=str(done),
            label=tuple(cases["label"].astype(str)),
            shapes=_shapes(cases),
            epsg=city.network.epsg,
            stays=bool(stays),
        )
        for (kind, done, stays), cases in city.defects.groupby(["kind", "done", "stays"], sort=False)
    ]
    return sorted(faults, key=lambda fault: (-fault.metres, -len(fault)))


def _shapes(table: gpd.GeoDataFrame) -> NDArray[np.object_]:
    return np.asarray(table.geometry.array, object)


def _counted(ids: NDArray[np.object_]) -> str:
    """How many, and the first ones by name."""
    named = ", ".join(ids[:MOST_EXAMPLES].tolist()) + (" …" if len(ids) > MOST_EXAMPLES else "")
    return f"{len(ids):,} ({named})" if len(ids) else "none"


def _distances(off_m: Floats) -> str:
    return f"median {np.median(off_m):,.0f} m, at most {off_m.max():,.0f} m"


def _plural(word: str, n: int) -> str:
    if n == 1 or not word.isascii():
        return word
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
