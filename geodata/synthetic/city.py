"""The demo city, put together."""

from __future__ import annotations

from dataclasses import replace

import geopandas as gpd
import numpy as np

from geodata.city import City
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
    network, quarters = make_network(plan, warp, seed)
    grid = make_grid(plan, warp, network, quarters, seed)
    drawn = City(
        name="云江市",
        name_en="Yunjiang (demo)",
        network=network,
        grid=grid,
        pieces=cut_streets(network, grid),
        sites=make_sites(warp, network, grid, seed),
        posts=make_posts(warp, network, grid),
        areas=_backdrop(plan, warp),
        sources=(f"Yunjiang is an invented city, made by geodata.synthetic from seed {seed}; no real data are in it.",),
    )
    return _at_scale(drawn, SCALE)


def _at_scale(city: City, scale: float) -> City:
    """The same city, all its lengths multiplied about the board's origin."""

    def points(xy_m: Floats) -> Floats:
        return np.asarray(ORIGIN_M + scale * (xy_m - ORIGIN_M))

    def table(rows: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
        return rows.set_geometry(rows.geometry.scale(scale, scale, origin=tuple(ORIGIN_M)))

    network = replace(
        city.network,
        node_xy_m=points(city.network.node_xy_m),
        shape_xy_m=points(city.network.shape_xy_m),
        street_length_m=scale * city.network.street_length_m,
    )
    grid = Grid(table(city.grid.cells), city.grid.areas)
    at = city.posts.positions
    return replace(
        city,
        network=network,
        grid=grid,
        pieces=cut_streets(network, grid),
        sites=Sites(table(city.sites.table)),
        posts=Posts(table(city.posts.table), Positions(at.edge, scale * at.offset_m)),
        areas=table(city.areas),
    )


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
