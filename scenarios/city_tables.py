"""What `patrol city` shows: a saved city's manifest and sizes, what it holds, and what in it looks wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from geodata.check import Finding
from geodata.city import City
from geodata.crs import LONLAT, project
from geodata.defects import MOST_EXAMPLES, Defect
from scenarios.console import plain_table, titled

HA = 1e4
MOST_KINDS = 8
MOST_LETTERS = 60
"""Of the examples of a fault; one is always shown whole."""


def check_tables(city: City, findings: Sequence[Finding], faults: Sequence[Defect]) -> list[RenderableType]:
    """What a city holds, then its faults: what is still in it, the worst first, and what was mended on reading."""
    table = _facts((finding.topic, _marked(finding)) for finding in findings)
    if names := city.network.given_names:
        table.add_row("tables of times", f"{', '.join(names)}; used by speeds.given_off_peak and given_peak alone")
    for source in city.sources:
        table.add_row("source", str(source))
    kept = [fault for fault in faults if fault.stays]
    dealt = [fault for fault in faults if not fault.stays]
    parts: list[RenderableType] = [titled(city.title, table)]
    if kept:
        parts.append(titled("Still in it", _fault_table(kept, "what to do")))
    if dealt:
        parts.append(titled("Wrong in the sources, dealt with", _fault_table(dealt, "what was done")))
    n = sum(bool(finding.warning) for finding in findings)
    closing = [f"{n} to look at, marked with !"] * bool(n)
    closing += [f"{len(kept)} {'kind' if len(kept) == 1 else 'kinds'} of fault still in it"] * bool(kept)
    return [*parts, Text(f"{'; '.join(closing)}." if closing else "Nothing in it looks wrong.")]


def info_tables(city: City, manifest: Mapping[str, Any] | None, folder: Path) -> list[RenderableType]:
    """What a saved city is: name, digest, who wrote it, sources, extent, sizes. A city without a manifest was made for
    this moment, and has no folder."""
    network, grid = city.network, city.grid
    xy = shapely.get_coordinates(shapely.box(*network.node_xy_m.min(axis=0), *network.node_xy_m.max(axis=0)))
    lonlat = project(xy, network.epsg, LONLAT)
    (west, south), (east, north) = lonlat.min(axis=0), lonlat.max(axis=0)
    rows = [("name", city.title), ("CRS", f"EPSG:{network.epsg}")]
    if manifest is not None:
        size = (folder / "manifest.json").stat().st_size + sum(file["bytes"] for file in manifest["files"].values())
        versions = ", ".join(f"{name} {number}" for name, number in manifest["written_by"].items())
        rows = [
            ("name", city.title),
            ("folder", f"{folder}, {size / 1e6:,.1f} MB in {len(manifest['files']) + 1} files"),
            ("digest", manifest["digest"]),
            ("format", f"{manifest['format']}, written by {versions}"),
            ("CRS", f"EPSG:{manifest['crs']['epsg']} {manifest['crs']['name']}"),
        ]
    rows += [
        ("bounds", f"longitude {west:.4f} to {east:.4f}, latitude {south:.4f} to {north:.4f}"),
        ("junctions", f"{network.n_nodes:,}"),
        ("streets", f"{network.n_streets:,}, {network.street_length_m.sum() / 1000:,.1f} km"),
        ("forbidden turns", f"{len(network.banned_turns):,}"),
        ("tables of times", ", ".join(network.given_names) or "none"),
        ("cells", f"{len(grid):,}"),
        ("residents", f"{grid.cells['residents'].sum():,.0f}"),
        ("areas", _by(grid.areas["level"].tolist(), grid.levels)),
        ("sites", _by(city.sites.table["place_class"].tolist(), ("vital", "key", "general"))),
        ("posts", _by(city.posts.table["kind"].tolist())),
        ("source defects", _by(city.defects["kind"].tolist())),
    ]
    for source in city.sources:
        rows.append(("source", str(source)))
        if source.sha256:
            rows.append(("", f"SHA-256 {source.sha256}"))
    return [_facts((topic, Text(value)) for topic, value in rows)]


def _by(values: Sequence[str], order: Iterable[str] | None = None) -> str:
    """How many in all, and of each, those in the given order or the most frequent first."""
    words, counts = np.unique(np.array(values, object).astype(str), return_counts=True)
    number = dict(zip(words.tolist(), counts.tolist(), strict=True))
    ranked = sorted(number, key=lambda word: (-number[word], word)) if order is None else order
    each = [f"{number[word]:,} {word}" for word in ranked if word in number]
    more = f", {len(each) - MOST_KINDS:,} kinds more" if len(each) > MOST_KINDS else ""
    return f"{len(values):,}" + (f": {', '.join(each[:MOST_KINDS])}{more}" if each else "")


def _facts(rows: Iterable[tuple[str, Text]]) -> Table:
    table = plain_table()
    table.show_header = False
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for topic, value in rows:
        table.add_row(topic, value)
    return table


def _marked(finding: Finding) -> Text:
    return Text.assemble(finding.value, Text(f"\n! {finding.warning}" if finding.warning else "", "yellow"))


def _fault_table(faults: Sequence[Defect], what: str) -> Table:
    table = plain_table()
    table.add_column("fault")
    table.add_column("cases", justify="right")
    table.add_column("extent", justify="right", no_wrap=True)
    table.add_column(what)
    table.add_column("examples", overflow="fold")
    for fault in faults:
        table.add_row(Text(fault.kind), f"{len(fault):,}", _extent(fault), Text(fault.done), Text(_examples(fault)))
    return table


def _extent(fault: Defect) -> str:
    """Hectares of polygons, kilometres of lines, nothing for points."""
    area_m2 = float(np.nansum(shapely.area(fault.shapes)))
    if area_m2 > 0:
        return f"{area_m2 / HA:,.2f} ha"
    return f"{fault.metres / 1000:,.2f} km" if fault.metres > 0 else ""


def _examples(fault: Defect) -> str:
    """The first cases by what a user finds them by, as many as go on a line or two."""
    named = [label for label in dict.fromkeys(fault.label) if label]
    shown = named[:1]
    for label in named[1:MOST_EXAMPLES]:
        if len(", ".join([*shown, label])) > MOST_LETTERS:
            break
        shown.append(label)
    return ", ".join(shown) + (" …" if len(named) > len(shown) else "")
