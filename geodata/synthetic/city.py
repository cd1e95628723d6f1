"""The demo city, put together."""

from __future__ import annotations

from dataclasses import replace

import geopandas as gpd
import numpy as np

from geodata.city import City, Source
from geodata.grid import Grid, cut_streets
from geodata.network import Floats
from geodata.positions import Positions
from geodata.sites import Posts, Sites
from geodata.synthetic.cells import bend, make_grid
from geodata.synthetic.places import make_posts, make_sites
from geodata.synthetic.plan import AIRPORT, AIRPORT_HALF_M, RIVER_X_M, Plan, airfield, draw_plan
from geodata.synthetic.streams import EPSG, ORIGIN_M
from geodata.synthetic.streets import make_network
from geodata.synthetic.warp import Warp

AIRFIELD = (
    ("airport", "云江机场 Yunjiang Airport", (-AIRPORT_HALF_M[0], -AIRPORT_HALF_M[1], *AIRPORT_HALF_M)),
    ("runway", "", (-1100.0, -40.0, 1100.0, 5.0)),
    ("runway", "", (-1100.0, 300.0, 1100.0, 345.0)),
)
"""Kind, name and sides from the airport's centre, in metres."""

SCALE = 0.55
"""Of the board that the plan is drawn on. Twenty posts nearly reach a city of this size in five minutes, so that its
map has all colours."""


def demo_city(seed: int = 135) -> City:
    """An invented city of about 1.15 million residents, 13 km across, in EPSG:4547.

    It has 8,000 to 12,000 nodes, five districts and over 400 cells. The same seed gives the same city.
    """
    plan, warp = draw_plan(seed), Warp.draw(seed, RIVER_X_M)
    drawn, quarters = make_network(plan, warp, seed)
    cells = make_grid(plan, warp, drawn, quarters, seed)
    sites, posts = make_sites(warp, drawn, cells, seed), make_posts(warp, drawn, cells)

    network = replace(
        drawn,
        node_xy_m=_at_scale(drawn.node_xy_m),
        shape_xy_m=_at_scale(drawn.shape_xy_m),
        street_length_m=SCALE * drawn.street_length_m,
    )
    grid = Grid(_table_at_scale(cells.cells), cells.areas)
    at = posts.positions
    return City(
        name="云江市",
        name_en="Yunjiang (demo)",
        network=network,
        grid=grid,
        pieces=cut_streets(network, grid),
        sites=Sites(_table_at_scale(sites.table)),
        posts=Posts(_table_at_scale(posts.table), Positions(at.edge, SCALE * at.offset_m)),
        areas=_table_at_scale(_backdrop(plan, warp)),
        sources=(
            Source(
                what=f"Yunjiang is an invented city, made by geodata.synthetic from seed {seed}; no real data in it"
            ),
        ),
    )


def _at_scale(xy_m: Floats) -> Floats:
    return np.asarray(ORIGIN_M + SCALE * (xy_m - ORIGIN_M))


def _table_at_scale(drawn: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    return drawn.set_geometry(drawn.geometry.scale(SCALE, SCALE, origin=tuple(ORIGIN_M)))


def _backdrop(plan: Plan, warp: Warp) -> gpd.GeoDataFrame:
    inside = plan.boundary
    rows = [
        ("park", "", plan.island),
        *(("park", "", park.intersection(inside)) for park in plan.parks.values()),
        ("water", "云江 Yun River", plan.river.intersection(inside)),
        ("water", "东湖 Donghu Lake", plan.lake),
    ]
    shapes = [bend(shape, warp) for _, _, shape in rows]
    centre = warp(np.array([AIRPORT]))[0]
    kinds = [row[0] for row in rows] + [kind for kind, _, _ in AIRFIELD]
    names = [row[1] for row in rows] + [name for _, name, _ in AIRFIELD]
    shapes += [airfield(centre, *sides) for _, _, sides in AIRFIELD]
    return gpd.GeoDataFrame({"kind": kinds, "name": names}, geometry=shapes, crs=EPSG)
