"""Sites that ask for a fast response, and the posts where units stand by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from geodata.network import Floats
from geodata.positions import Positions

SITE_COLUMNS = ("id", "name", "name_en", "kind", "place_class", "geometry")
POST_COLUMNS = ("id", "name", "name_en", "kind", "capacity", "geometry")
SITE_RADIUS_M = {"vital": 150.0, "key": 250.0}
"""How far around a site given as a point its place class holds. Assumed."""


class PlaceClass(IntEnum):
    """How fast a place must be reached, the most demanding last (其他区域, 重点地区, 要害部位)."""

    GENERAL = 0
    KEY = 1
    VITAL = 2

    @property
    def label(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, eq=False)
class Sites:
    """`table`: one row a site in the network's CRS, columns `SITE_COLUMNS`; `place_class` is the label of a
    `PlaceClass`, `geometry` a point (its class holds within `SITE_RADIUS_M`) or a polygon."""

    table: gpd.GeoDataFrame

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def zones(self) -> gpd.GeoDataFrame:
        """The area in which each site's place class holds; columns as `table`."""
        shapes = np.asarray(self.table.geometry.array, object)
        radius = self.table["place_class"].map(SITE_RADIUS_M).fillna(0).to_numpy(float)
        area = np.where(shapely.get_dimensions(shapes) == 2, shapes, shapely.buffer(shapes, radius))
        return self.table.set_geometry(gpd.GeoSeries(area, index=self.table.index, crs=self.table.crs))

    def place_class(self, xy_m: Floats) -> NDArray[np.uint8]:
        """The most demanding `PlaceClass` among the zones that contain each of (n, 2) points."""
        points = np.asarray(shapely.points(np.asarray(xy_m, float).reshape(-1, 2)))
        zone_class = np.array([PlaceClass[c.upper()] for c in self.table["place_class"]], np.uint8)
        found = np.zeros(len(points), np.uint8)
        if len(self):
            point, zone = shapely.STRtree(np.asarray(self.zones.geometry.array)).query(points, "intersects")
            np.maximum.at(found, point, zone_class[zone])
        return found


@dataclass(frozen=True, eq=False)
class Posts:
    """`table`: one row a post in the network's CRS, columns `POST_COLUMNS`; `capacity` is the number of units that
    can stand by there. `positions`: where each meets the road."""

    table: gpd.GeoDataFrame
    positions: Positions

    def __len__(self) -> int:
        return len(self.table)
