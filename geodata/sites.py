"""Sites that ask for a fast response, and the posts where units stand by."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import ArrayLike, NDArray

from geodata.network import Bools, Floats
from geodata.opening import WEEK_MIN, opening_minutes
from geodata.positions import Positions

SITE_COLUMNS = ("id", "name", "name_en", "kind", "place_class", "geometry")
SITE_DEFAULTS: Mapping[str, str | float] = {"opening_hours": "", "off_road_m": math.nan}
"""Columns that are filled in where a table lacks them: always open, distance to the road unknown."""
POST_COLUMNS = ("id", "name", "name_en", "kind", "capacity", "geometry")
POST_DEFAULTS: Mapping[str, str | float] = {"unit_kinds": "", "opening_hours": "", "off_road_m": math.nan}
"""The same for posts: units of any kind."""
SITE_RADIUS_M = {"vital": 150.0, "key": 250.0}
"""How far around a site given as a point its place class holds. Assumed."""
_BETWEEN_KINDS = re.compile(r"\s*[;；、,，]\s*")


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
    """`table`: one row a site in the network's CRS, columns `SITE_COLUMNS` and those of `SITE_DEFAULTS`; `place_class`
    is the label of a `PlaceClass`, `geometry` a point (its class holds within `SITE_RADIUS_M`) or a polygon,
    `opening_hours` as `geodata.opening` reads it, `off_road_m` metres to the nearest street."""

    table: gpd.GeoDataFrame

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", _completed(self.table, SITE_DEFAULTS))

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def zones(self) -> gpd.GeoDataFrame:
        """The area in which each site's place class holds; columns as `table`."""
        shapes = np.asarray(self.table.geometry.array, object)
        radius = self.table["place_class"].map(SITE_RADIUS_M).fillna(0).to_numpy(float)
        area = np.where(shapely.get_dimensions(shapes) == 2, shapes, shapely.buffer(shapes, radius))
        return self.table.set_geometry(gpd.GeoSeries(area, index=self.table.index, crs=self.table.crs))

    @cached_property
    def week(self) -> Week:
        return Week.of(self.table["opening_hours"])

    def open_at(self, hour: float) -> Bools:
        """(n,) whether each site is open, `hour` hours after Monday 0:00 (18.5 is Monday 18:30)."""
        return self.week.open_at(np.arange(len(self)), hour)

    def place_class(self, xy_m: Floats, hour: ArrayLike | None = None) -> NDArray[np.uint8]:
        """The most demanding `PlaceClass` among the zones that contain each of (n, 2) points.

        `hour`: hours after Monday 0:00, one for all or (n,), when a site that is closed does not ask for its class;
        None: every site does.
        """
        points = np.asarray(shapely.points(np.asarray(xy_m, float).reshape(-1, 2)))
        zone_class = np.array([PlaceClass[c.upper()] for c in self.table["place_class"]], np.uint8)
        found = np.zeros(len(points), np.uint8)
        if len(self):
            point, zone = shapely.STRtree(np.asarray(self.zones.geometry.array)).query(points, "intersects")
            if hour is not None:
                asks = self.week.open_at(zone, np.broadcast_to(np.asarray(hour, float), len(points))[point])
                point, zone = point[asks], zone[asks]
            np.maximum.at(found, point, zone_class[zone])
        return found


@dataclass(frozen=True, eq=False)
class Posts:
    """`table`: one row a post in the network's CRS, columns `POST_COLUMNS` and those of `POST_DEFAULTS`; `capacity` is
    the number of units that can stand by there, `unit_kinds` their kinds with ";" between (empty: any),
    `opening_hours` when, `off_road_m` metres to its position. `positions`: where each meets the road."""

    table: gpd.GeoDataFrame
    positions: Positions

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", _completed(self.table, POST_DEFAULTS))

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def unit_kinds(self) -> tuple[frozenset[str], ...]:
        """The kinds of unit that each post takes; an empty set: any."""
        return tuple(frozenset(split_kinds(text)) for text in self.table["unit_kinds"].fillna(""))

    def takes(self, kind: str) -> Bools:
        """(n,) whether units of a kind can stand by at each post."""
        return np.array([not kinds or kind in kinds for kinds in self.unit_kinds], bool)

    def open_at(self, hour: float) -> Bools:
        """(n,) whether units may stand by at each post, `hour` hours after Monday 0:00."""
        return Week.of(self.table["opening_hours"]).open_at(np.arange(len(self)), hour)


@dataclass(frozen=True, slots=True, eq=False)
class Week:
    """When n places are open; those with the same text share a row of minutes."""

    row: NDArray[np.int64]
    """(n,)"""
    minutes: Bools
    """(k, 10080)"""

    @classmethod
    def of(cls, texts: pd.Series) -> Week:
        row, distinct = pd.factorize(texts.fillna("").to_numpy(object))
        minutes = np.array([opening_minutes(text) for text in distinct], bool)
        return cls(row.astype(np.int64), minutes.reshape(-1, WEEK_MIN))

    @property
    def ever_open(self) -> Bools:
        """(n,) whether each opens at all."""
        return np.asarray(self.minutes.any(axis=1), bool)[self.row]

    def open_at(self, place: NDArray[np.integer], hour: ArrayLike) -> Bools:
        """Whether each of the places is open at its hour of the week."""
        minute = np.floor(np.asarray(hour, float) * 60).astype(np.int64) % WEEK_MIN
        return np.asarray(self.minutes[self.row[place], minute], bool)


def split_kinds(text: str) -> list[str]:
    """The kinds of unit in a text with ";", "," or "、" between them."""
    return [kind for kind in _BETWEEN_KINDS.split(text.strip()) if kind]


def _completed(table: gpd.GeoDataFrame, defaults: Mapping[str, str | float]) -> gpd.GeoDataFrame:
    """The table with the columns that it lacks, in front of its geometry."""
    missing = {name: value for name, value in defaults.items() if name not in table}
    if not missing:
        return table
    order = [*(name for name in table.columns if name != "geometry"), *missing, "geometry"]
    columns = {
        name: pd.Series(value, index=table.index, dtype=object if isinstance(value, str) else float)
        for name, value in missing.items()
    }
    return table.assign(**columns)[order]
