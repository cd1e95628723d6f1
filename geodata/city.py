"""The city: network, grid, sites and posts in one bundle, saved and loaded whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj

from geodata.bundle import MANIFEST, Bundle, read_bundle, read_manifest, refusal, sha256, write_bundle
from geodata.crs import LONLAT
from geodata.defects import defect_table
from geodata.errors import InputError, plain
from geodata.files import write_folder
from geodata.grid import Grid, RoadPieces
from geodata.network import Floats, RoadNetwork
from geodata.positions import Positions
from geodata.sites import Posts, Sites

FORMAT = 2
FIRST_FORMAT = 2
"""Older ones were never released."""
UPGRADES: Mapping[int, Callable[[Bundle], Bundle]] = {}
"""From a format to the next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a part of a city comes from."""

    what: str
    """"roads", "posts"; or a sentence where it was made without a file."""
    file: str = ""
    """Its name, without the folder."""
    sha256: str = ""
    licence: str = ""
    declared: str = ""
    """The CRS or datum that its coordinates were declared to be in, empty where the file tells."""

    @classmethod
    def of_file(cls, what: str, path: Path, *, licence: str = "", declared: str = "") -> Source:
        digest = sha256(path) if path.is_file() else ""
        return cls(what=what, file=path.name, sha256=digest, licence=licence, declared=declared)

    def __str__(self) -> str:
        name = f"{self.what}: {self.file}" if self.file else self.what
        return ", ".join(part for part in (name, self.licence, self.declared) if part)


@dataclass(frozen=True, eq=False, kw_only=True)
class City:
    """Everything that stands still, in one projected CRS."""

    name: str
    name_en: str
    network: RoadNetwork
    grid: Grid
    pieces: RoadPieces
    """The network's streets cut at the grid's borders."""
    sites: Sites
    posts: Posts
    areas: gpd.GeoDataFrame
    """Backdrop for maps: columns `kind` ("water", "park", "airport", "runway") and `geometry`. May be empty."""
    sources: tuple[Source, ...]
    """Where the data come from."""
    defects: gpd.GeoDataFrame = field(default_factory=partial(defect_table, (), LONLAT))
    """What was wrong with the sources, as `geodata.defects.defect_table` gives it."""

    @property
    def title(self) -> str:
        """Its name and its English name, once where they are the same."""
        return " ".join(dict.fromkeys((self.name, self.name_en)))

    @cached_property
    def road_m_by_cell(self) -> Floats:
        return self.pieces.length_by_cell(len(self.grid))

    def save(self, folder: Path) -> None:
        """Write the bundle beside `folder` and move it into place; an older one there is replaced. The same city gives
        the same bytes in every file."""
        bundle = self._bundle()
        write_folder(folder, lambda beside: write_bundle(beside, bundle, FORMAT))

    def _bundle(self) -> Bundle:
        network = {f.name: getattr(self.network, f.name) for f in fields(RoadNetwork)}
        arrays = {name: value for name, value in network.items() if isinstance(value, np.ndarray)}
        arrays |= {f"piece_{f.name}": getattr(self.pieces, f.name) for f in fields(RoadPieces)}
        arrays |= {"post_edge": self.posts.positions.edge, "post_offset_m": self.posts.positions.offset_m}
        tables = {
            "cells": self.grid.cells,
            "areas": self.grid.areas,
            "sites": self.sites.table,
            "posts": self.posts.table,
            "backdrop": self.areas,
            "defects": self.defects,
            "names": pd.DataFrame({"name": pd.Series(self.network.names, dtype=object)}),
        }
        epsg = self.network.epsg
        manifest = {
            "name": self.name,
            "name_en": self.name_en,
            "crs": {"epsg": epsg, "name": pyproj.CRS(epsg).name},
            "sources": [asdict(source) for source in self.sources],
            "counts": {
                "junctions": self.network.n_nodes,
                "streets": self.network.n_streets,
                "cells": len(self.grid),
                "areas": len(self.grid.areas),
                "sites": len(self.sites),
                "posts": len(self.posts),
            },
            "defects": {str(kind): int(n) for kind, n in self.defects["kind"].value_counts().sort_index().items()},
            "given_names": list(self.network.given_names),
        }
        return Bundle(manifest=manifest, arrays=arrays, tables=tables)

    @classmethod
    def load(cls, folder: Path) -> City:
        """Read a saved bundle; its arrays are mapped from the files, not copied.

        Raises:
            InputError: the folder is none, is of a newer format, or a file in it is missing, was altered or added.
        """
        try:
            bundle = read_bundle(folder, range(FIRST_FORMAT, FORMAT + 1))
            for step in range(bundle.manifest["format"], FORMAT):
                bundle = UPGRADES[step](bundle)
            return cls._of(bundle)
        except InputError:
            raise
        except (LookupError, TypeError, ValueError) as error:
            # every file is as the manifest says: whoever wrote them did not know what a city is made of
            found = f"no city in them ({plain(error)})"
            raise refusal(folder, MANIFEST, found, "the files of a saved city") from error

    @classmethod
    def _of(cls, bundle: Bundle) -> City:
        manifest, array, table = bundle.manifest, bundle.arrays, bundle.tables
        epsg = manifest["crs"]["epsg"]
        held: dict[str, Any] = dict(array)
        held |= {"epsg": epsg, "names": tuple(table["names"]["name"].tolist())}
        held |= {"given_names": tuple(manifest["given_names"])}
        known = {f.name for f in fields(Source)}
        optional = {"defects": table["defects"]} if "defects" in table else {}
        return cls(
            name=manifest["name"],
            name_en=manifest["name_en"],
            network=RoadNetwork(**{f.name: held[f.name] for f in fields(RoadNetwork)}),
            grid=Grid(table["cells"], table["areas"]),
            pieces=RoadPieces(**{f.name: array[f"piece_{f.name}"] for f in fields(RoadPieces)}),
            sites=Sites(table["sites"]),
            posts=Posts(table["posts"], Positions(np.array(array["post_edge"]), np.array(array["post_offset_m"]))),
            areas=table["backdrop"] if "backdrop" in table else _no_backdrop(epsg),
            sources=tuple(Source(**{k: v for k, v in s.items() if k in known}) for s in manifest["sources"]),
            **optional,
        )


def city_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a saved city: `format`, `digest`, `written_by`, `name`, `name_en`, `crs`, `sources`, `counts`,
    `defects` and `files`.

    Raises:
        InputError: as `City.load`.
    """
    return read_manifest(folder, range(FIRST_FORMAT, FORMAT + 1))


def _no_backdrop(epsg: int) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"kind": pd.Series([], dtype=object)}, geometry=[], crs=epsg)
