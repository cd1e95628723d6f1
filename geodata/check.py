"""What a city holds, and what in it looks wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from geodata.city import City
from geodata.grid import Grid, Level
from geodata.network import Floats, RoadClass, RoadNetwork
from geodata.positions import locate, snap
from geodata.readers.places import POST_SNAP_LIMIT_M, datum_warning

OVERLAP_M2 = 1.0
"""Cells that share less ground than this merely touch. Assumed: borders drawn twice differ by centimetres."""
MOST_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the report; `warning` says what to do about it, and is empty where nothing is wrong."""

    topic: str
    value: str
    warning: str = ""

    def __str__(self) -> str:
        return f"{self.topic}: {self.value}" + (f" — {self.warning}" if self.warning else "")


def check_city(city: City) -> list[Finding]:
    """Sizes first, then what was looked at, with a warning where it needs attention."""
    return [*_network(city.network), *_grid(city), *_posts(city), *_sites(city)]


def _network(network: RoadNetwork) -> list[Finding]:
    one_way = np.bincount(network.street, minlength=network.n_streets) == 1
    length_m = network.street_length_m
    known = np.isfinite(network.street_speed_kmh)
    found = [
        Finding(
            topic="roads",
            value=f"{network.n_nodes:,} junctions, {network.n_streets:,} streets, {network.n_open:,} directed edges, "
            f"{length_m.sum() / 1000:,.1f} km, EPSG:{network.epsg}",
        )
    ]
    for road_class in RoadClass:
        here = network.street_class == road_class
        if road_class is RoadClass.PEDESTRIAN and not here.any():
            continue
        value = f"{np.count_nonzero(here):,} streets, {length_m[here].sum() / 1000:,.1f} km"
        found.append(Finding(topic=f"roads, {road_class.name.lower()}", value=value))
    one_class = len(np.unique(network.street_class)) == 1
    warning = "All streets have one class, so all have one speed: give a class column." if one_class else ""
    share = length_m[known].sum() / length_m.sum()
    found.append(Finding(topic="roads with a speed of their own", value=f"{share:.0%} of the length", warning=warning))
    share = length_m[one_way].sum() / length_m.sum()
    found.append(Finding(topic="one-way roads", value=f"{share:.0%} of the length"))
    return found


def _grid(city: City) -> list[Finding]:
    grid, codes = city.grid, city.grid.codes
    size = f"{len(grid):,} cells, {grid.cells['residents'].sum():,.0f} residents"
    size += f", {np.count_nonzero(grid.areas['level'] == Level.DISTRICT):,} districts"
    empty = city.road_m_by_cell == 0
    orphan = ~grid.cells["parent"].isin(grid.areas["code"]).to_numpy(bool)
    pairs, shared_m2 = _overlaps(grid)
    overlapping = [f"{codes[a]}/{codes[b]}" for a, b in pairs]
    outside_m = city.network.street_length_m.sum() - city.road_m_by_cell.sum()
    return [
        Finding(topic="grid", value=size),
        _counted("cells without a road", codes[empty], "" if not empty.all() else "Roads and grid lie apart."),
        _counted("cells without an area above", codes[orphan], "Give each the code of its district."),
        _counted(
            "overlapping cells",
            np.array(overlapping, object),
            f"A point on the {shared_m2 / 1e4:,.2f} ha that they share counts for the first; mend the borders.",
        ),
        Finding(topic="roads outside the grid", value=f"{max(outside_m, 0) / 1000:,.1f} km"),
    ]


def _overlaps(grid: Grid) -> tuple[list[tuple[int, int]], float]:
    one, other = grid.tree.query(grid.polygons, predicate="intersects")
    first = one < other
    one, other = one[first], other[first]
    area_m2 = np.asarray(shapely.area(shapely.intersection(grid.polygons[one], grid.polygons[other])))
    over = area_m2 > OVERLAP_M2
    pairs = zip(one[over].tolist(), other[over].tolist(), strict=True)
    return sorted(pairs), float(area_m2[over].sum())


def _posts(city: City) -> list[Finding]:
    posts = city.posts
    if not len(posts):
        return [Finding(topic="posts", value="none", warning="A run needs at least one.")]
    spot = shapely.get_coordinates(np.asarray(posts.table.geometry.array, object))
    off_m = np.hypot(*(spot - locate(city.network, posts.positions)).T)
    capacity = int(posts.table["capacity"].sum())
    return [
        Finding(topic="posts", value=f"{len(posts):,} with room for {capacity:,} units"),
        Finding(topic="posts off the road", value=_distances(off_m), warning=datum_warning(off_m)),
        _counted("posts outside the grid", posts.table["id"].to_numpy(object)[city.grid.locate(spot) < 0], ""),
    ]


def _sites(city: City) -> list[Finding]:
    sites = city.sites
    if not len(sites):
        return [Finding(topic="sites", value="none")]
    counts = sites.table["place_class"].value_counts()
    shapes = np.asarray(sites.table.geometry.array, object)
    point = shapely.get_dimensions(shapes) == 0
    _, off_m = snap(city.network, shapely.get_coordinates(shapes[point]))
    far = sites.table["id"].to_numpy(object)[point][off_m > POST_SNAP_LIMIT_M]
    found = [Finding(topic="sites", value=", ".join(f"{n:,} {label}" for label, n in counts.items()))]
    if len(off_m):
        found.append(Finding(topic="sites off the road", value=_distances(off_m), warning=datum_warning(off_m)))
    warning = "Units stop at the nearest road; check where these are."
    return [*found, _counted(f"sites more than {POST_SNAP_LIMIT_M:g} m off the road", far, warning)]


def _counted(topic: str, ids: np.ndarray, warning: str) -> Finding:
    """How many, the first ones by name; the warning stands only where there is one."""
    named = ", ".join(ids[:MOST_NAMED].tolist()) + (" …" if len(ids) > MOST_NAMED else "")
    value = f"{len(ids):,} ({named})" if len(ids) else "none"
    return Finding(topic=topic, value=value, warning=warning if len(ids) else "")


def _distances(off_m: Floats) -> str:
    return f"median {np.median(off_m):,.0f} m, at most {off_m.max():,.0f} m"
