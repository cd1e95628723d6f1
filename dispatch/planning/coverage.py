"""Static coverage: what the posts reach within a time when every unit is there and free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from geodata.city import City
from geodata.network import Floats
from geodata.positions import snap
from geodata.reach import reach_stretches
from geodata.routing import RoadTravel


def cell_coverage(
    city: City,
    travel: RoadTravel,
    *,
    minutes: Sequence[float],
    hour: int,
    speed_factor: float = 1.3,
    turn_out_s: Floats | float = 30.0,
) -> Floats:
    """(n_cells, n_minutes) share of each cell's road length within each time from a post; 0 for a cell without road.

    Args:
        city: its posts are where units stand by.
        travel: over the city's network.
        minutes: limits, from the order to the arrival.
        hour: of the week (0: Monday 00:00–01:00).
        speed_factor: of a unit with siren.
        turn_out_s: from the order to rolling, for all posts or for each.
    """
    network, pieces = city.network, city.pieces
    limits_s = [60.0 * m for m in minutes]
    stretches = reach_stretches(travel, city.posts.positions, limits_s, hour, speed_factor, turn_out_s)
    street_m = network.street_length_m[pieces.street]
    common = stretches.overlap(pieces.street, pieces.from_m / street_m, pieces.to_m / street_m, len(limits_s))
    reached_m = np.stack(
        [np.bincount(pieces.cell, common[:, i] * street_m, minlength=len(city.grid)) for i in range(len(limits_s))], 1
    )
    road_m = city.road_m_by_cell[:, None]
    return np.minimum(np.divide(reached_m, road_m, out=np.zeros_like(reached_m), where=road_m > 0), 1.0)


def coverage(
    city: City,
    travel: RoadTravel,
    *,
    minutes: Sequence[float],
    hour: int,
    speed_factor: float = 1.3,
    turn_out_s: Floats | float = 30.0,
) -> pd.DataFrame:
    """One row a limit: `minutes` and the shares `road_length`, `area`, `residents`, `sites`, `vital`, `key` within it.

    Area and residents of a cell count as far as its roads are reached. A site counts as reached when the point of the
    road nearest to its centre is. NaN where the city has none of a kind. Arguments as of `cell_coverage`.
    """
    by_cell = cell_coverage(city, travel, minutes=minutes, hour=hour, speed_factor=speed_factor, turn_out_s=turn_out_s)
    cells = city.grid.cells
    weights = {
        "road_length": city.road_m_by_cell,
        "area": cells.geometry.area.to_numpy(),
        "residents": cells["residents"].to_numpy(float),
    }
    table = pd.DataFrame({"minutes": list(minutes)})
    for name, weight in weights.items():
        table[name] = weight @ by_cell / weight.sum() if weight.sum() > 0 else np.nan
    seconds = site_times_s(city, travel, hour=hour, speed_factor=speed_factor, turn_out_s=turn_out_s)
    classes = city.sites.table["place_class"].to_numpy()
    for name, chosen in {"sites": classes != "", "vital": classes == "vital", "key": classes == "key"}.items():
        within = [(seconds[chosen] <= 60 * m).mean() if chosen.any() else np.nan for m in minutes]
        table[name] = within
    return table


def site_times_s(
    city: City, travel: RoadTravel, *, hour: int, speed_factor: float = 1.3, turn_out_s: Floats | float = 30.0
) -> Floats:
    """(n_sites,) seconds from the order until a unit from any post is at each site's nearest point of the road."""
    centres = city.sites.table.geometry.centroid
    if not len(centres):
        return np.empty(0)
    goals, _ = snap(city.network, np.stack([centres.x, centres.y], 1))
    posts = city.posts.positions
    return np.array([(turn_out_s + travel.times(posts, goal, hour) / speed_factor).min() for goal in goals])
