"""Static coverage: what the posts reach within a time when every unit is there and free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from geodata.city import City
from geodata.network import Floats
from geodata.reach import Reach, cell_shares, reach, reach_shares, site_seconds
from geodata.routing import RoadTravel


def posts_reach(
    city: City,
    travel: RoadTravel,
    *,
    hour: int,
    limit_s: float = np.inf,
    speed_factor: float = 1.3,
    turn_out_s: Floats | float = 30.0,
) -> Reach:
    """Seconds from the order until a unit from any post is there, everywhere on the roads.

    Args:
        city: its posts are where units stand by.
        travel: over the city's network.
        hour: of the week (0: Monday 00:00–01:00).
        limit_s: how far it is looked.
        speed_factor: of a unit with siren.
        turn_out_s: from the order to rolling, for all posts or for each.
    """
    return reach(travel, city.posts.positions, hour, limit_s, speed_factor, turn_out_s)


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

    `minutes` are limits from the order to the arrival, in rising order; other arguments as of `posts_reach`.
    """
    limits_s = [60.0 * m for m in minutes]
    found = posts_reach(
        city, travel, hour=hour, limit_s=max(limits_s), speed_factor=speed_factor, turn_out_s=turn_out_s
    )
    return cell_shares(city, found, limits_s)


def coverage(
    city: City,
    travel: RoadTravel,
    *,
    minutes: Sequence[float],
    hour: int,
    speed_factor: float = 1.3,
    turn_out_s: Floats | float = 30.0,
) -> pd.DataFrame:
    """One row a limit: `minutes` and the shares within it, as `geodata.reach.reach_shares` has them.

    Arguments as of `cell_coverage`.
    """
    limits_s = [60.0 * m for m in minutes]
    found = posts_reach(
        city, travel, hour=hour, limit_s=max(limits_s), speed_factor=speed_factor, turn_out_s=turn_out_s
    )
    shares = reach_shares(city, found, limits_s).drop(columns="limit_s")
    shares.insert(0, "minutes", list(minutes))
    return shares


def site_times_s(
    city: City, travel: RoadTravel, *, hour: int, speed_factor: float = 1.3, turn_out_s: Floats | float = 30.0
) -> Floats:
    """(n_sites,) seconds from the order until a unit from any post is at each site's nearest point of the road."""
    found = posts_reach(city, travel, hour=hour, speed_factor=speed_factor, turn_out_s=turn_out_s)
    return site_seconds(city, found)
