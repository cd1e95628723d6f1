"""What `patrol coverage` and `patrol city calibrate` answer: layers for QGIS, tables, and speeds for a scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import geopandas as gpd
import numpy as np
from rich.console import RenderableType
from rich.text import Text

from geodata.calibrate import PERIODS, Calibration
from geodata.city import City
from geodata.network import RoadClass, RoadNetwork
from geodata.outline import reach_polygons
from geodata.reach import Reach, cell_shares
from geodata.readers.vector import POLYGONS, open_layer, to_projected
from geodata.speeds import Slowdown, edges_inside
from scenarios.console import plain_table, titled


def closure(network: RoadNetwork, path: Path, crs: str | None) -> Slowdown:
    """The roads that polygons of a file touch, closed for good.

    Raises:
        InputError: the file cannot be opened.
    """
    area = to_projected(open_layer(path, POLYGONS, crs=crs), network.epsg).geometry.union_all()
    return Slowdown(name=path.name, edges=edges_inside(network, area), from_s=-np.inf, until_s=np.inf)


def reach_layers(city: City, found: Reach, limits_s: Sequence[float]) -> dict[str, gpd.GeoDataFrame]:
    """What is reached, as layers: stretches of road with their seconds, ground, and each cell's shares."""
    by_cell = cell_shares(city, found, limits_s)
    columns = {f"within_{limit_s:g}_s": by_cell[:, i] for i, limit_s in enumerate(limits_s)}
    cells = city.grid.cells[["code", "name", "geometry"]].assign(**columns)
    return {
        "roads": found.table(limits_s),
        "ground": reach_polygons(found, limits_s),
        "cells": cells[["code", "name", *columns, "geometry"]],
    }


def calibration_tables(fitted: Calibration, left_out: Mapping[str, int]) -> list[RenderableType]:
    """Speeds and errors before and after."""
    speeds = plain_table()
    for head in ("period", "road class", "before\nkm/h", "after\nkm/h", "±", "journeys", "km"):
        speeds.add_column(head, justify="left" if head in ("period", "road class") else "right")
    speeds.add_column("")
    for row in fitted.speeds.to_dict("records"):
        speeds.add_row(
            row["period"],
            row["road_class"],
            f"{row['before_kmh']:.1f}",
            f"{row['after_kmh']:.1f}",
            f"{1.96 * row['se_kmh']:.1f}",
            f"{row['journeys']:,}",
            f"{row['km']:,.0f}",
            "" if row["enough"] else "too little to tell: nearly as assumed",
        )
    errors = plain_table()
    for head in ("period", "journeys", "median error\nbefore %", "after %", "RMSE\nbefore s", "after s"):
        errors.add_column(head, justify="left" if head == "period" else "right")
    errors.add_column("too long or short\nbefore s", justify="right")
    errors.add_column("after s", justify="right")
    for row in fitted.errors.to_dict("records"):
        shown = [
            row[f"{name}_{when}"] for name in ("median_abs_pct", "rmse_s", "bias_s") for when in ("before", "after")
        ]
        errors.add_row(row["period"], f"{row['journeys']:,}", *(f"{value:,.1f}" for value in shown))
    reasons = [f"{n:,} {reason}" for told in (left_out, fitted.left_out) for reason, n in told.items() if n]
    said = (
        f"Left out: {'; '.join(reasons) or 'none'}. {fitted.weighted_down:,} journeys far from the others count less."
    )
    return [titled("Speeds, with 95 % intervals", speeds), titled("Errors", errors), Text(said, "dim")]


def speeds_toml(fitted: Calibration) -> str:
    """The part of a scenario file that sets the fitted speeds. At night a scenario has one factor for all classes: the
    mean of theirs, by the kilometres driven."""
    kmh = fitted.speeds.set_index(["period", "road_class"])["after_kmh"]
    names = [c.name.lower() for c in RoadClass]
    night = np.array([kmh["night", name] / kmh["off_peak", name] for name in names])
    km = fitted.speeds.set_index(["period", "road_class"])["km"]["night"].reindex(names).to_numpy(float)
    factor = float(np.average(night, weights=km if km.sum() > 0 else None))
    lines = ["[speeds]", f"night_factor = {factor:.2f}"]
    for period in PERIODS[:2]:
        lines += ["", f"[speeds.{'peak' if period == 'peak' else 'off_peak'}_kmh]"]
        lines += [f"{name} = {kmh[period, name]:.1f}" for name in names]
    return "\n".join(lines) + "\n"
