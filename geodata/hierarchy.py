"""The areas above the cells, at any depth: who belongs to whom by column, by code and by ground, and what is wrong."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geodata.grid import AREA_COLUMNS

Texts = NDArray[np.object_]
LEAST_SHARE = 0.5
"""An area holds what lies in it with more than this share of its ground. Assumed."""
GB_2260 = (2, 4, 6)
"""Digits down to province, city and district (GB/T 2260)."""
GB_30428 = (6, 9, 12, 14)
"""Digits down to district, subdistrict, community and grid (GB/T 30428.1: 6 + 3 + 3 + 2)."""


class Way(StrEnum):
    """How a parent was found."""

    COLUMN = "column"
    PREFIX = "prefix"
    GROUND = "ground"


@dataclass(frozen=True, slots=True)
class Linked:
    """The parents of n children."""

    parent: Texts
    """(n,) codes, "" where there is none."""
    way: Texts
    """(n,) values of `Way`, "" where there is no parent."""

    def remarks(self, what: str) -> list[str]:
        """How many were placed by which way, unless all name their parent themselves."""
        counts = Counter(self.way.tolist())
        if set(counts) <= {Way.COLUMN}:
            return []
        said = [f"{counts[way]:,} by {way.value}" for way in Way if counts[way]]
        if counts[""]:
            said.append(f"{counts['']:,} have no area above")
        return [f"{len(self.way):,} {what}: {', '.join(said)}"]


def parents_by_column(column: Sequence[str], areas: Iterable[str]) -> Texts:
    """The parents that a column names, "" where it names no known area."""
    known = set(areas)
    return np.array([code if code in known else "" for code in column], object)


def parents_by_prefix(codes: Sequence[str], areas: Sequence[str], lengths: Sequence[int] | None = None) -> Texts:
    """The area whose code is the longest beginning of each code, "" where none is.

    `lengths` are the numbers of characters down to each level, such as `GB_30428`; an area's code may then be filled
    up with zeros behind them (430100 for the city 4301). Without them any shorter code of an area may be the beginning.
    """
    stems = {code: code for code in areas}
    steps = sorted(set(map(len, areas)) if lengths is None else set(lengths), reverse=True)
    if lengths is not None:
        stems = {_stem(code, lengths): code for code in reversed(areas)}
    found = np.full(len(codes), "", object)
    for i, code in enumerate(codes):
        own = code if lengths is None else _stem(code, lengths)
        found[i] = next((stems[own[:n]] for n in steps if n < len(own) and own[:n] in stems), "")
    return found


def _stem(code: str, lengths: Sequence[int]) -> str:
    """A code without the zeros that fill up its lower levels."""
    return next((code[:n] for n in sorted(lengths) if n < len(code) and not code[n:].strip("0")), code)


def parents_by_ground(polygons: Texts, areas: Texts, codes: Sequence[str]) -> Texts:
    """The code of the area that holds more than `LEAST_SHARE` of each polygon, "" where none does."""
    found = np.full(len(polygons), "", object)
    if not len(areas) or not len(polygons):
        return found
    shapely.prepare(areas)
    child, area = shapely.STRtree(polygons).query(areas, predicate="intersects")[::-1]
    held_m2 = shapely.area(polygons[child])
    cut = ~shapely.covers(areas[area], polygons[child])
    held_m2[cut] = shapely.area(shapely.intersection(areas[area[cut]], polygons[child[cut]]))
    much = held_m2 > LEAST_SHARE * shapely.area(polygons[child])
    # of areas that overlap, the first keeps what both hold
    order = np.lexsort((area, child))[::-1]
    order = order[much[order]]
    found[child[order]] = np.array(codes, object)[area[order]]
    return found


def link(
    children: pd.DataFrame, areas: pd.DataFrame, levels: Sequence[str], lengths: Sequence[int] | None = None
) -> Linked:
    """The parents of children among areas of some levels (top first), by the best of what is there.

    The column `parent` counts where it names one of the areas; then the code; then the ground, where both tables have
    geometry: of the lowest level that holds the child, so that a part of the city may lack a level.
    """
    areas = areas[areas["level"].isin(levels)]
    known = areas["code"].astype(str).tolist()
    codes = children["code"].astype(str).tolist()
    parent = parents_by_column(children["parent"].tolist(), known)
    way = np.where(parent != "", Way.COLUMN.value, "").astype(object)

    def fill(found: Texts, by: Way) -> None:
        new = (parent == "") & (found != "") & (found != np.array(codes, object))
        parent[new], way[new] = found[new], by.value

    fill(parents_by_prefix(codes, known, lengths), Way.PREFIX)
    if "geometry" in children and "geometry" in areas:
        for level in reversed(levels):
            here = areas[(areas["level"] == level) & areas["geometry"].notna()]
            lost = np.flatnonzero((parent == "") & children["geometry"].notna().to_numpy())
            found = np.full(len(children), "", object)
            found[lost] = parents_by_ground(
                children["geometry"].to_numpy(object)[lost], here["geometry"].to_numpy(object), here["code"].tolist()
            )
            fill(found, Way.GROUND)
    return Linked(parent, way)


def build_hierarchy(
    cells: gpd.GeoDataFrame,
    areas: pd.DataFrame | Sequence[pd.DataFrame],
    *,
    levels: Sequence[str] | None = None,
    lengths: Sequence[int] | None = None,
) -> tuple[gpd.GeoDataFrame, pd.DataFrame, list[str]]:
    """Cells and areas with their parents filled in, and remarks on how they were found.

    `areas` have `AREA_COLUMNS` and may have `geometry`; a table for each level may be given apart. `levels` runs from
    the top downwards; without it, in the order in which the levels appear. What names an unknown parent and is found
    by no other way keeps it, for `hierarchy_problems` to tell.
    """
    table = areas if isinstance(areas, pd.DataFrame) else _stacked(areas)
    order = list(dict.fromkeys(table["level"])) if levels is None else list(levels)
    table = table.copy()
    remarks = []
    for depth, level in enumerate(order):
        here = (table["level"] == level).to_numpy()
        if depth and here.any():
            linked = link(table[here], table, order[:depth], lengths)
            table.loc[here, "parent"] = np.where(linked.parent == "", table.loc[here, "parent"], linked.parent)
            remarks += linked.remarks(f"areas of level {level}")
    linked = link(cells, table, order, lengths)
    remarks += linked.remarks("cells")
    parent = np.where(linked.parent == "", cells["parent"].to_numpy(object), linked.parent)
    return cells.assign(parent=parent), table, remarks


def _stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table of all levels, with geometry where one of them has it."""
    if not any("geometry" in table for table in tables):
        table: pd.DataFrame = pd.concat(tables, ignore_index=True)
        return table
    crs = next(table.crs for table in tables if isinstance(table, gpd.GeoDataFrame))
    shaped = [table if "geometry" in table else table.assign(geometry=None) for table in tables]
    rows = [pd.DataFrame(table)[[*AREA_COLUMNS, "geometry"]].astype(object) for table in shaped]
    stacked: pd.DataFrame = gpd.GeoDataFrame(pd.concat(rows, ignore_index=True), geometry="geometry", crs=crs)
    return stacked


def areas_of_codes(codes: Sequence[str], lengths: Sequence[int], levels: Sequence[str]) -> pd.DataFrame:
    """The areas that codes of cells tell of by themselves, `AREA_COLUMNS`, called by their codes.

    Raises:
        ValueError: not as many lengths as levels, or lengths that do not grow.
    """
    if len(lengths) != len(levels) or list(lengths) != sorted(set(lengths)):
        raise ValueError(f"lengths {tuple(lengths)} for levels {tuple(levels)}, expected one for each, growing")
    rows = []
    for depth, (length, level) in enumerate(zip(lengths, levels, strict=True)):
        for code in dict.fromkeys(code[:length] for code in codes if len(code) > length):
            rows.append((code, code[: lengths[depth - 1]] if depth else "", level, code, code))
    return pd.DataFrame(rows, columns=list(AREA_COLUMNS))


@dataclass(frozen=True, slots=True)
class CodeFault:
    """What happened to a column of codes on its way, and the mend."""

    codes: tuple[str, ...]
    """Those that show it."""
    found: str
    mend: str
    width: int | None = None
    """Fill up with zeros to so many digits, where that mends it."""

    def __str__(self) -> str:
        return f"{self.found}. {self.mend}"


_SCIENTIFIC = re.compile(r"^\d(\.\d+)?[eE]\+?\d+$")
MOST_EXACT_DIGITS = 15
"""A table program keeps no more of a number."""
MOST_ZEROS = 2
"""The most leading zeros that are missed. Assumed."""
LEAST_PARTED = 6
"""Codes with fewer digits may be running numbers. Assumed."""


def damaged_codes(
    codes: Sequence[str], *, areas: Sequence[str] = (), lengths: Sequence[int] = (), numeric: bool = False
) -> list[CodeFault]:
    """Codes that were numbers for a while: without their leading zeros, or rounded.

    Leading zeros are missed where filling up makes codes begin as the `areas` do, or reach a length among `lengths`;
    or else where the file holds numbers (`numeric`) of different lengths.
    """
    faults = []
    rounded = tuple(code for code in codes if _SCIENTIFIC.match(code))
    rounded += tuple(
        code for code in codes if numeric and len(code) > MOST_EXACT_DIGITS and code.endswith("000") and code.isdigit()
    )
    if rounded:
        found = f"{len(rounded):,} codes are rounded numbers, such as {rounded[0]}"
        faults.append(CodeFault(rounded, found, "Take them from the source again, as text; the digits are lost."))
    width, short = _shortened([code for code in codes if code.isdigit()], areas, lengths, numeric)
    if short:
        found = f"{len(short):,} codes have lost their leading zeros, such as {short[0]} for {short[0].zfill(width)}"
        faults.append(CodeFault(short, found, f"Keep codes as text, or fill them up to {width} digits.", width))
    return faults


def _shortened(
    codes: list[str], areas: Sequence[str], lengths: Sequence[int], numeric: bool
) -> tuple[int, tuple[str, ...]]:
    """How many digits codes once had, and those that have fewer; none where nothing is missed."""
    longest = max(map(len, codes), default=0)
    sizes = set(map(len, codes))
    if lengths:
        odd = [code for code in codes if len(code) not in lengths]
        width = min((n for n in lengths if n > max(map(len, odd), default=0)), default=0)
        return width, tuple(code for code in odd if width - len(code) <= MOST_ZEROS)
    begun = np.count_nonzero(parents_by_prefix(codes, areas) != "")
    for width in range(longest, longest + MOST_ZEROS + 1) if areas else ():
        filled = [code.zfill(width) for code in codes]
        if np.count_nonzero(parents_by_prefix(filled, areas) != "") > begun:
            return width, tuple(code for code in codes if len(code) < width)
    # codes made of parts have one length; running numbers are shorter than that
    parts = longest >= LEAST_PARTED and sizes == {longest - 1, longest} and all(code[0] != "0" for code in codes)
    if parts or (numeric and len(sizes) > 1):
        return longest, tuple(code for code in codes if len(code) < longest)
    return longest, ()


def hierarchy_problems(
    cells: pd.DataFrame, areas: pd.DataFrame, levels: Sequence[str] | None = None
) -> list[tuple[str, tuple[str, ...], str]]:
    """What is wrong with the line upwards, as (kind, codes, what was found): "orphan" has no parent or an unknown one,
    "cycle" is above itself, "wrong level" has a parent on its own level or a lower one, "same code" occurs twice."""
    order = {level: i for i, level in enumerate(dict.fromkeys(areas["level"]) if levels is None else levels)}
    level: dict[str, str] = dict(zip(areas["code"], areas["level"], strict=True))
    parent: dict[str, str] = dict(zip(areas["code"], areas["parent"], strict=True))
    found: list[tuple[str, tuple[str, ...], str]] = []
    for code, n in Counter(areas["code"].tolist()).items():
        if n > 1:
            found.append(("same code", (code,), f"{n} areas have the code {code}"))
    for code, above in zip(cells["code"], cells["parent"], strict=True):
        if above not in parent:
            found.append(("orphan", (code,), f"cell {code} names {above or 'no area'}" + (", unknown" * bool(above))))
    top = min((order[own] for own in level.values()), default=0)
    circles: set[frozenset[str]] = set()
    for code, above in parent.items():
        if above and above not in parent:
            found.append(("orphan", (code,), f"area {code} names {above}, unknown"))
        elif not above and order[level[code]] > top:
            found.append(("orphan", (code,), f"area {code} ({level[code]}) names no area"))
        elif (circle := _circle(code, parent)) and frozenset(circle) not in circles:
            circles.add(frozenset(circle))
            found.append(("cycle", circle, f"areas {' > '.join((*circle, circle[0]))} are above themselves"))
        elif above and not circle and order[level[above]] >= order[level[code]]:
            found.append(("wrong level", (code, above), f"{level[code]} {code} lies under {level[above]} {above}"))
    return found


def _circle(code: str, parent: Mapping[str, str]) -> tuple[str, ...]:
    """The areas from one back to itself, () where it is not above itself."""
    line = [code]
    while (up := parent.get(line[-1], "")) and up not in line:
        line.append(up)
    return tuple(line) if up == code else ()
