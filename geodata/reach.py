"""What is reached within a time: exact to the metre, the last street cut where the time runs out.

Forward it is what units can get to from where they stand; backward it is from where an incident is reached in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geodata.along import HEAD, TAIL, TWIN
from geodata.city import City
from geodata.lines import cut_lines
from geodata.network import Floats, Ints, RoadNetwork
from geodata.positions import Positions, snap
from geodata.routing import RoadTravel, part_s
from geodata.spread import bands, pass_places, seconds_at, spread

WELL_REACHED = 0.9
"""A cell counts as reached when so much of its road is. Assumed, after the usual target of 90 %."""


class Stretches(NamedTuple):
    """Stretches of streets, sorted by street and share; no two have road in common."""

    street: Ints
    from_share: Floats
    """Of the street's line."""
    to_share: Floats
    limit: Ints
    """The first of the limits that it is reached within."""

    def overlap(self, street: Ints, from_share: Floats, to_share: Floats, n_limits: int) -> Floats:
        """(n, n_limits) share of street that n given spans have in common with what is reached within each limit."""
        begin = np.searchsorted(self.street, street, "left")
        count = np.searchsorted(self.street, street, "right") - begin
        span = np.repeat(np.arange(len(street)), count)
        mine = np.arange(len(span)) - np.repeat(np.cumsum(count) - count, count) + begin[span]
        common = np.minimum(to_share[span], self.to_share[mine]) - np.maximum(from_share[span], self.from_share[mine])
        cell = span * n_limits + self.limit[mine]
        total = np.bincount(cell, np.maximum(common, 0), minlength=len(street) * n_limits)
        within: Floats = np.cumsum(total.reshape(len(street), n_limits), axis=1)
        return within


@dataclass(frozen=True, eq=False, kw_only=True)
class Reach:
    """Seconds everywhere on the roads, made by `reach`."""

    network: RoadNetwork
    limit_s: float
    """Beyond it nothing is known."""
    streets: tuple[Any, ...]
    """The first arguments of the functions of `geodata.spread` about streets."""

    def at(self, positions: Positions) -> Floats:
        """(n,) seconds at positions, infinite beyond the limit."""
        street, share = on_street(self.network, positions)
        return self.at_points(street, share)

    def at_points(self, street: Ints, share: Floats) -> Floats:
        """(n,) seconds at shares of streets, infinite beyond the limit."""
        seconds = self.beyond(street, share)
        return np.where(seconds <= self.limit_s, seconds, np.inf)

    def beyond(self, street: Ints, share: Floats) -> Floats:
        """(n,) seconds at shares of streets, told beyond the limit too as far as the street begins within it: on its
        last street a way is known to where it would end."""
        seconds: Floats = seconds_at(*self.streets, street, share)
        return seconds

    def stretches(self, limits_s: Sequence[float]) -> Stretches:
        """What is reached within each of rising limits but not within the one before."""
        limits = np.array(limits_s, float)
        if not len(limits) or (np.diff(limits) <= 0).any() or limits[-1] > self.limit_s:
            raise ValueError(f"limits {list(limits_s)}, expected them to rise, up to {self.limit_s:g} s")
        return Stretches(*bands(*self.streets, limits))

    def table(self, limits_s: Sequence[float]) -> gpd.GeoDataFrame:
        """A row a stretch, for a notebook or for QGIS: `street`, `from_share`, `to_share`, `limit_s`, the seconds at
        both ends `from_s` and `to_s`, and its line. In a stretch the seconds may rise from both ends.
        """
        found = self.stretches(limits_s)
        ends_s = [self.beyond(found.street, share) for share in (found.from_share, found.to_share)]
        columns = {
            "street": found.street,
            "from_share": found.from_share,
            "to_share": found.to_share,
            "limit_s": np.array(limits_s, float)[found.limit],
            "from_s": ends_s[0],
            "to_s": ends_s[1],
        }
        lines = cut_lines(self.network, found.street, found.from_share, found.to_share)
        return gpd.GeoDataFrame(columns, geometry=lines, crs=self.network.epsg)


def on_street(network: RoadNetwork, positions: Positions) -> tuple[Ints, Floats]:
    """The street of each position, and the share of its line."""
    edge = positions.edge
    share = np.clip(positions.offset_m / network.length_m[edge], 0, 1)
    return network.street[edge], np.where(network.backward[edge], 1 - share, share)


def reach(
    travel: RoadTravel,
    positions: Positions,
    hour: int,
    limit_s: float = np.inf,
    speed_factor: float = 1.0,
    delay_s: Floats | float = 0.0,
    *,
    backward: bool = False,
) -> Reach:
    """The least seconds from any of the positions to everywhere on the roads, or from everywhere to any of them.

    Args:
        travel: times on the roads.
        positions: where units set off; backward: where they are wanted.
        hour: of the week, or a moment (`RoadTravel.moment`).
        limit_s: how far it is looked.
        speed_factor: on the roads' speed.
        delay_s: before they set off, for all or for each position.
        backward: from everywhere to the positions.
    """
    network, period, ends = travel.network, travel.period(hour), travel.drive.ends
    edge = positions.edge
    share = np.clip(positions.offset_m / network.length_m[edge], 0, 1)
    twin = ends[edge, TWIN]
    two_way = twin >= 0
    ahead = share if backward else 1 - share
    own_s, twin_s = part_s(ahead, period.time_s[edge]), part_s(1 - ahead, period.time_s[twin])
    late_s = np.broadcast_to(delay_s, len(positions)) * speed_factor
    port = TAIL if backward else HEAD
    seeds = np.r_[ends[edge, port], ends[twin[two_way], port]]
    seed_s = np.r_[own_s + late_s, (twin_s + late_s)[two_way]]
    links, streets = (period.inward, period.streets_inward) if backward else (period.outward, period.streets_outward)
    port_s = spread(*links, seeds, seed_s, float(limit_s * speed_factor))
    at_street, at_share = on_street(network, positions)
    order = np.lexsort((at_share, at_street))
    at_street, at_share, at_s = at_street[order], at_share[order], late_s[order] / speed_factor
    roads = *streets, port_s, 1 / speed_factor
    pass_places(*roads, at_street, at_share, at_s)
    return Reach(network=network, limit_s=float(limit_s), streets=(*roads, at_street, at_share, at_s))


def reach_stretches(
    travel: RoadTravel,
    positions: Positions,
    limits_s: Sequence[float],
    hour: int,
    speed_factor: float = 1.0,
    delay_s: Floats | float = 0.0,
    *,
    backward: bool = False,
) -> Stretches:
    """The stretches of street within each limit but not within the one before, which rise; arguments as of `reach`."""
    found = reach(travel, positions, hour, max(limits_s), speed_factor, delay_s, backward=backward)
    return found.stretches(limits_s)


def reach_lines(
    travel: RoadTravel,
    positions: Positions,
    limits_s: Sequence[float],
    hour: int,
    speed_factor: float = 1.0,
    delay_s: Floats | float = 0.0,
    *,
    backward: bool = False,
) -> gpd.GeoDataFrame:
    """One row a limit, in rising order: `limit_s`, and as `geometry` the stretches reached within it but not
    within the one before. Arguments as of `reach`."""
    limits = sorted(limits_s)
    stretches = reach_stretches(travel, positions, limits, hour, speed_factor, delay_s, backward=backward)
    lines = cut_lines(travel.network, stretches.street, stretches.from_share, stretches.to_share)
    rows = [shapely.MultiLineString(lines[stretches.limit == number].tolist()) for number in range(len(limits))]
    return gpd.GeoDataFrame({"limit_s": limits}, geometry=rows, crs=travel.network.epsg)


def cell_shares(city: City, found: Reach, limits_s: Sequence[float]) -> Floats:
    """(n_cells, n_limits) share of each cell's road length within each of rising limits; 0 for a cell without road."""
    network, pieces = city.network, city.pieces
    street_m = network.street_length_m[pieces.street]
    stretches = found.stretches(limits_s)
    common = stretches.overlap(pieces.street, pieces.from_m / street_m, pieces.to_m / street_m, len(limits_s))
    reached_m = np.stack(
        [np.bincount(pieces.cell, common[:, i] * street_m, minlength=len(city.grid)) for i in range(len(limits_s))], 1
    )
    road_m = city.road_m_by_cell[:, None]
    return np.minimum(np.divide(reached_m, road_m, out=np.zeros_like(reached_m), where=road_m > 0), 1.0)


def reach_shares(
    city: City, found: Reach, limits_s: Sequence[float], polygons: gpd.GeoDataFrame | None = None
) -> pd.DataFrame:
    """How much of a city is reached: a row for each of rising limits, with `limit_s` and the shares `road_length`,
    `area`, `residents`, `cells`, `sites`, `vital`, `key` within it.

    Area and residents of a cell count as far as its roads are reached; of the cells with a road those count of which
    `WELL_REACHED` is. A site counts as reached when the point of the road nearest to its centre is. NaN where the city
    has none of a kind. With `polygons` of the same limits, as `geodata.outline` makes them, a column `ground` has the
    share of the cells' area that lies in them.
    """
    by_cell = cell_shares(city, found, limits_s)
    cells = city.grid.cells
    weights = {
        "road_length": city.road_m_by_cell,
        "area": cells.geometry.area.to_numpy(),
        "residents": cells["residents"].to_numpy(float),
    }
    table = pd.DataFrame({"limit_s": list(limits_s)})
    for name, weight in weights.items():
        table[name] = weight @ by_cell / weight.sum() if weight.sum() > 0 else np.nan
    if polygons is not None:
        inside = [shapely.area(shapely.intersection(city.grid.polygons, shape)).sum() for shape in polygons.geometry]
        table["ground"] = np.array(inside) / weights["area"].sum()
    with_road = city.road_m_by_cell > 0
    # a hair less, so that a cell reached in all of its pieces is not lost by rounding
    well = by_cell[with_road] >= WELL_REACHED - 1e-9
    table["cells"] = well.mean(axis=0) if with_road.any() else np.nan
    seconds = site_seconds(city, found)
    classes = city.sites.table["place_class"].to_numpy()
    for name, chosen in {"sites": classes != "", "vital": classes == "vital", "key": classes == "key"}.items():
        table[name] = [(seconds[chosen] <= limit_s).mean() if chosen.any() else np.nan for limit_s in limits_s]
    return table


def site_seconds(city: City, found: Reach) -> Floats:
    """(n_sites,) seconds at the point of the road nearest to each site's centre."""
    centres = city.sites.table.geometry.centroid
    if not len(centres):
        return np.empty(0)
    at: NDArray[np.float64] = np.stack([centres.x, centres.y], 1)
    return found.at(snap(city.network, at)[0])
