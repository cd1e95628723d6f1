"""A saved city as one page with a map of what is wrong with it, that opens without any connection; drawn by
`templates/city_map.js`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from geodata.city import City
from geodata.defects import Defect
from geodata.errors import Fault, InputError
from geodata.export import turn_lines
from geodata.grid import Level
from geodata.network import Bools, RoadClass, RoadNetwork
from geodata.sites import PlaceClass
from scenarios.compact import Encoder, Shapes
from scenarios.fault_terms import done_term, kind_term
from scenarios.mappage import (
    MANY_POSTS,
    ROAD_COLOUR,
    SYMBOL_PX,
    SYMBOLS,
    WRITTEN_BY,
    backdrop_data,
    drawn,
    extent,
    inside,
    page,
    symbol,
)
from scenarios.terms import PLACE_CLASS, PLACE_COLOUR, Term, count, kind, pages

FAULT_COLOUR = ("#d7301f", "#1f78b4", "#e08a00", "#6a3d9a", "#1b9e77", "#c2257f", "#7a5c12", "#17888f")
"""One after the other for the kinds of fault, then again from the first; all of them dark on the pale streets."""
ROAD_CLASS = {
    RoadClass.EXPRESSWAY: Term("快速路", "expressway"),
    RoadClass.ARTERIAL: Term("主干路", "arterial"),
    RoadClass.COLLECTOR: Term("次干路", "collector"),
    RoadClass.LOCAL: Term("支路", "local"),
    RoadClass.PEDESTRIAN: Term("步行街", "pedestrian"),
}
PLACES = {PlaceClass.GENERAL: "general", PlaceClass.KEY: "key", PlaceClass.VITAL: "vital"}
MOST_LATITUDE = 85.0
"""The page's projection ends there."""
HA = 1e4
KM = 1e3


def render_city_map(city: City, faults: Sequence[Defect], *, tiles: bool = False) -> str:
    """The page as HTML text, with every case of the faults (as `city_faults` gives them, in the CRS of the network).

    With `tiles` it asks OpenStreetMap for a backdrop; without, it asks for nothing.
    """
    encoder = Encoder.at(city.network.epsg, extent(city))
    turns = turn_lines(city.network)
    entries = [_fault(fault, encoder) for fault in faults]
    for entry, colour in zip(entries, np.resize(FAULT_COLOUR, len(entries)).tolist(), strict=True):
        entry["colour"] = colour
    # polygons that cross themselves, which the map is to show, cannot be joined
    sound = replace(city.grid, cells=city.grid.cells.assign(geometry=city.grid.cells.make_valid()))
    data = backdrop_data(replace(city, grid=sound), encoder) | {
        "one_way": encoder.shapes(_one_way(city.network)),
        "turns": {
            "shapes": encoder.shapes(np.asarray(turns.geometry.array, object)),
            "from": turns["from_name"].tolist(),
            "to": turns["to_name"].tolist(),
        },
        "cells": _cells(city, encoder),
        # smaller than on the map of a run: here they are not what one looks for
        "symbol": SYMBOL_PX | {"post": 20 if len(city.posts) <= MANY_POSTS else 12},
        "sites": _sites(city, encoder),
        "posts": _posts(city, encoder),
        "faults": entries,
    }
    panel = _panel(city, len(turns), entries)
    return page(city.title, panel, data, "city_map.js", _layers(city, len(turns)), tiles=tiles)


def check_page(path: Path, *, force: bool) -> None:
    """Refuse a place where a page is not to be written.

    Raises:
        InputError: `path` does not end in .html, is a folder, or is a file that is no page of ours, unless `force`
            (which replaces a file, never a folder).
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(Fault(str(path), "", path.suffix or "no suffix", "a name that ends in .html", "Add it."))
    if path.is_dir():
        raise InputError(Fault(str(path), "", "a folder", "a new file", "Name a file."))
    if path.exists() and not force and WRITTEN_BY.encode() not in path.read_bytes():
        mend = "Name another file, or give --force to replace it."
        raise InputError(Fault(str(path), "", "a file that Patrol 135 did not write", "a new file", mend))


def _layers(city: City, n_turns: int) -> dict[str, tuple[str, bool]]:
    """What the layer control offers; nothing that the city has none of."""
    classes = set(city.sites.table["place_class"])
    offered = {
        "land": ("底图 Land and water", True, True),
        "roads": ("道路 Roads", True, True),
        "oneway": ("单行道 One-way streets", True, bool(city.network.one_way.any())),
        "turns": ("禁止转向 Forbidden turns", True, n_turns > 0),
        "cells": ("网格 Cells", True, len(city.grid) > 0),
        "districts": ("区界 Districts", True, Level.DISTRICT in city.grid.levels),
        "general": ("其他场所 Other sites", False, "general" in classes),
        "key": ("重点地区 Key areas", True, "key" in classes),
        "vital": ("要害部位 Vital sites", True, "vital" in classes),
        "posts": ("驻点 Posts", True, len(city.posts) > 0),
    }
    return {name: (label, shown) for name, (label, shown, there) in offered.items() if there}


def _one_way(network: RoadNetwork) -> NDArray[np.object_]:
    """One-way streets as they are driven, joined where one goes on as another."""
    streets = np.flatnonzero(network.one_way)
    lines, against = network.lines[streets], network.backward[network.edge_of_street[streets]]
    driven = lines.copy()
    driven[against] = shapely.reverse(lines[against])
    return drawn(shapely.MultiLineString(driven.tolist()), directed=True)


def _cells(city: City, encoder: Encoder) -> dict[str, Any]:
    cells = city.grid.cells
    columns = {
        "编号 Code": cells["code"],
        "区 District": city.grid.ancestor(Level.DISTRICT),
        "居民 Residents": cells["residents"].map(count),
        "道路 Roads, km": [f"{metres / KM:,.1f}" for metres in city.road_m_by_cell],
    }
    name, name_en = cells["name"], cells["name_en"]
    return {
        "shapes": encoder.shapes(city.grid.polygons),
        "name": name.tolist(),
        "name_en": name_en.where(name_en != name, "").tolist(),
        "rows": [{"label": label, "values": list(values)} for label, values in columns.items()],
    }


def _sites(city: City, encoder: Encoder) -> list[dict[str, Any]]:
    groups = []
    for label in PLACES.values():
        chosen = (city.sites.table["place_class"] == label).to_numpy()
        # the general class holds everywhere: its sites have no zone of their own
        zones: Shapes = [] if label == "general" else np.asarray(city.sites.zones.geometry.array)[chosen]
        table = city.sites.table[chosen]
        marks = [
            {"at": at, **_named(row), "rows": [*_place_rows(row), ("等级 Class", " ".join(PLACE_CLASS[label]))]}
            for at, row in zip(encoder.points(inside(table.geometry)), table.to_dict("records"), strict=True)
        ]
        if marks:
            colour = PLACE_COLOUR[label]
            groups.append({"place_class": label, "colour": colour, "zones": encoder.shapes(zones), "marks": marks})
    return groups


def _posts(city: City, encoder: Encoder) -> list[dict[str, Any]]:
    table = city.posts.table
    return [
        {"at": at, **_named(row), "rows": [*_place_rows(row), ("容量 Room for units", count(row["capacity"]))]}
        for at, row in zip(encoder.points(inside(table.geometry)), table.to_dict("records"), strict=True)
    ]


def _named(row: dict[str, Any]) -> dict[str, str]:
    return {"zh": row["name"], "en": row["name_en"] if row["name_en"] != row["name"] else ""}


def _place_rows(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [("编号 Id", str(row["id"])), ("类别 Kind", kind(row["kind"]))]


def _fault(fault: Defect, encoder: Encoder) -> dict[str, Any]:
    """One layer: each case with what it is found by, its size, and its points, lines and areas."""
    lies = _on_the_map(fault.shapes, encoder.to_wgs84)
    shapes = fault.shapes.copy()
    shapes[~lies] = None
    parts, case = shapely.get_parts(shapes, return_index=True)
    while (several := shapely.get_type_id(parts) > 3).any():
        inner, of = shapely.get_parts(parts[several], return_index=True)
        parts, case = np.r_[parts[~several], inner], np.r_[case[~several], case[several][of]]
    dimension = shapely.get_dimensions(parts)
    point, line, area = (dimension == d for d in range(3))
    term, done = kind_term(fault.kind), done_term(fault.done)
    return {
        "kept": fault.stays,
        "general": fault.general,
        "zh": term.zh,
        "en": term.en,
        "done_zh": done.zh,
        "done": done.en,
        "label": list(fault.label),
        "size": _sizes(fault.shapes),
        "extent": _extent_of(fault),
        "symbol": next((name for name, some in (("area", area), ("line", line), ("point", point)) if some.any()), ""),
        "nowhere": np.flatnonzero(~lies).tolist(),
        "points": {"case": case[point].tolist(), "at": encoder.points(shapely.get_coordinates(parts[point]))},
        "lines": {"case": case[line].tolist(), "shapes": encoder.shapes(parts[line])},
        "areas": {"case": case[area].tolist(), "shapes": encoder.shapes(parts[area])},
    }


def _on_the_map(shapes: NDArray[np.object_], to_wgs84: pyproj.Transformer) -> Bools:
    """Whether each case lies somewhere that a page can show."""
    bounds = shapely.bounds(shapes)
    degrees = np.array([to_wgs84.transform(bounds[:, i], bounds[:, i + 1]) for i in (0, 2)])
    return np.asarray(np.isfinite(degrees).all(axis=(0, 1)) & (np.abs(degrees[:, 1]) < MOST_LATITUDE).all(axis=0))


def _sizes(shapes: NDArray[np.object_]) -> list[str]:
    """Of each case: hectares of an area, metres of a line, nothing of a point."""
    sizes = zip(np.nan_to_num(shapely.area(shapes)), np.nan_to_num(shapely.length(shapes)), strict=True)
    return [f"{m2 / HA:,.3g} ha" if m2 > 0 else f"{m:,.0f} m" if m > 0 else "" for m2, m in sizes]


def _extent_of(fault: Defect) -> str:
    area_m2 = float(np.nansum(shapely.area(fault.shapes)))
    if area_m2 > 0:
        return f"{area_m2 / HA:,.1f} ha"
    return f"{fault.metres / KM:,.1f} km" if fault.metres > 0 else ""


def _panel(city: City, n_turns: int, entries: Sequence[dict[str, Any]]) -> str:
    network = city.network
    n_sites = city.sites.table["place_class"].value_counts()
    rows = [entry | {"row": row, "n": len(entry["label"])} for row, entry in enumerate(entries)]
    shown = [row for row in rows if not row["general"]]
    return (
        pages()
        .get_template("city_panel.html")
        .render(
            city=city,
            name_en=city.name_en if city.name_en != city.name else "",
            kept=[row for row in shown if row["kept"]],
            dealt=[row for row in shown if not row["kept"]],
            general=[row for row in rows if row["general"]],
            roads=[
                (
                    ROAD_CLASS[c],
                    ROAD_COLOUR[c],
                    max(4 - c, 1),
                    network.street_length_m[network.street_class == c].sum() / KM,
                )
                for c in RoadClass
                if (network.street_class == c).any()
            ],
            one_way_km=network.street_length_m[network.one_way].sum() / KM,
            n_turns=n_turns,
            places=[(PLACE_CLASS[c], c, n_sites[c]) for c in reversed(PLACES.values()) if c in n_sites],
            symbols={name: symbol(name) for name in SYMBOLS},
        )
    )
