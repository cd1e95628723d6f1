"""The city: network, grid, sites and posts in one bundle, saved and loaded whole."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from geodata.errors import Fault, InputError
from geodata.files import write_folder
from geodata.grid import Grid, RoadPieces
from geodata.network import Floats, RoadNetwork
from geodata.positions import Positions
from geodata.sites import Posts, Sites

FORMAT = 2


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
    sources: tuple[str, ...]
    """Where the data come from, with licence, a line each."""

    @cached_property
    def road_m_by_cell(self) -> Floats:
        return self.pieces.length_by_cell(len(self.grid))

    def save(self, folder: Path) -> None:
        """Write the bundle beside `folder` and move it into place; an older one there is replaced."""
        write_folder(folder, self._write)

    def _write(self, folder: Path) -> None:
        arrays = {f.name: getattr(self.network, f.name) for f in fields(RoadNetwork)}
        scalars = {k: v for k, v in arrays.items() if not isinstance(v, np.ndarray)}
        arrays = {k: v for k, v in arrays.items() if isinstance(v, np.ndarray)}
        arrays |= {f"piece_{f.name}": getattr(self.pieces, f.name) for f in fields(RoadPieces)}
        arrays |= {"post_edge": self.posts.positions.edge, "post_offset_m": self.posts.positions.offset_m}
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)
        tables = {"cells": self.grid.cells, "sites": self.sites.table, "posts": self.posts.table}
        for name, table in (tables | {"backdrop": self.areas}).items():
            table.to_parquet(folder / f"{name}.parquet", index=False)
        self.grid.areas.to_parquet(folder / "areas.parquet", index=False)
        manifest = {
            "format": FORMAT,
            "name": self.name,
            "name_en": self.name_en,
            "network": scalars,
            "sources": self.sources,
            "files": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
        }
        (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> City:
        """Read a saved bundle; its arrays are mapped from the files, not copied.

        Raises:
            InputError: the folder is none, is of a newer format, or a file in it is missing or was altered.
        """
        manifest = _read_manifest(folder)
        array = {
            Path(name).stem: np.load(folder / name, mmap_mode="r", allow_pickle=False)
            for name in manifest["files"]
            if name.endswith(".npy")
        }
        scalars: dict[str, Any] = manifest["network"]
        scalars = {key: tuple(value) if isinstance(value, list) else value for key, value in scalars.items()}
        held: dict[str, Any] = scalars | array
        network = RoadNetwork(**{f.name: held[f.name] for f in fields(RoadNetwork)})
        table = {name: gpd.read_parquet(folder / f"{name}.parquet") for name in ("cells", "sites", "posts", "backdrop")}
        return cls(
            name=manifest["name"],
            name_en=manifest["name_en"],
            network=network,
            grid=Grid(table["cells"], pd.read_parquet(folder / "areas.parquet")),
            pieces=RoadPieces(**{f.name: array[f"piece_{f.name}"] for f in fields(RoadPieces)}),
            sites=Sites(table["sites"]),
            posts=Posts(table["posts"], Positions(np.array(array["post_edge"]), np.array(array["post_offset_m"]))),
            areas=table["backdrop"],
            sources=tuple(manifest["sources"]),
        )


def _read_manifest(folder: Path) -> dict[str, Any]:
    def refuse(place: str, found: str, expected: str) -> InputError:
        return InputError(Fault(str(folder), place, found, expected, "Build the city again with `patrol city build`."))

    path = folder / "manifest.json"
    if not path.is_file():
        raise refuse("", "no manifest.json" if folder.is_dir() else "no such folder", "the folder of a saved city")
    try:
        manifest: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise refuse("manifest.json", f"no JSON ({error})", "the manifest of a saved city") from error
    if manifest.get("format") != FORMAT:
        raise refuse("manifest.json", f"format {manifest.get('format')!r}", f"format {FORMAT}")
    for name, digest in manifest["files"].items():
        if not (folder / name).is_file():
            raise refuse(name, "no such file", "a file that the manifest lists")
        if _sha256(folder / name) != digest:
            raise refuse(name, "other content than was saved", f"SHA-256 {digest[:12]}…")
    return manifest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
