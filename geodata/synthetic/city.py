"""The demo city, put together."""

from __future__ import annotations

import geopandas as gpd
import shapely

from geodata.city import City
from geodata.grid import cut_streets
from geodata.synthetic.cells import bend, make_grid
from geodata.synthetic.places import make_posts, make_sites
from geodata.synthetic.plan import RIVER_X_M, Plan, draw_plan
from geodata.synthetic.streams import EPSG
from geodata.synthetic.streets import make_network
from geodata.synthetic.warp import Warp


def demo_city(seed: int = 135) -> City:
    """An invented city of about 1.15 million residents, 24 km across, in EPSG:4547.

    It has 8,000 to 12,000 nodes, five districts and over 400 cells. The same seed gives the same city.
    """
    plan, warp = draw_plan(seed), Warp.draw(seed, RIVER_X_M)
    network, quarters = make_network(plan, warp, seed)
    grid = make_grid(plan, warp, network, quarters, seed)
    return City(
        name="云江市",
        name_en="Yunjiang (demo)",
        network=network,
        grid=grid,
        pieces=cut_streets(network, grid),
        sites=make_sites(warp, network, grid, seed),
        posts=make_posts(warp, network, grid, seed),
        areas=_backdrop(plan, warp),
        sources=(f"Yunjiang is an invented city, made by geodata.synthetic from seed {seed}; no real data are in it.",),
    )


def _backdrop(plan: Plan, warp: Warp) -> gpd.GeoDataFrame:
    inside = plan.boundary
    rows = [
        ("park", "", plan.island),
        *(("park", "", park.intersection(inside)) for park in plan.parks.values()),
        ("airport", "云江机场 Yunjiang Airport", plan.airport),
        ("water", "云江 Yun River", plan.river.intersection(inside)),
        ("water", "东湖 Donghu Lake", plan.lake),
    ]
    shapes = [shapely.simplify(bend(shape, warp), 1.0) for _, _, shape in rows]
    return gpd.GeoDataFrame(
        {"kind": [row[0] for row in rows], "name": [row[1] for row in rows]}, geometry=shapes, crs=EPSG
    )
