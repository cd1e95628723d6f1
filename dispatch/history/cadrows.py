"""The rows of one CAD export: times, words and places as arrays; what is wrong is counted, or refused with its mend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyproj
import shapely
from numpy.typing import NDArray

from dispatch.history.cadfile import CadFile
from dispatch.history.cadtimes import SERIAL, ReadTimes, read_times
from dispatch.history.cadwords import DEGREES, CadMapping, folded
from dispatch.history.record import FARTHEST_M, TIMES, UNKNOWN, Count
from dispatch.incidents import Floats
from geodata.city import City
from geodata.crs import LONLAT, check_on_earth, in_range, parse_declared, project
from geodata.datum import Datum, parse_datum, to_wgs84
from geodata.errors import Fault, InputError
from geodata.positions import snap
from geodata.readers.coordinates import raise_first
from geodata.readers.places import points_fit

MOST_EXAMPLES = 5
DATUM_SAMPLE = 5_000
MOST_FAR_SHARE = 0.5
"""Of the places that may lie far from any street before the file is refused: another datum or another city. Assumed."""
LEAST_PRESSES = 50
PRESS_SHARE = 0.5
"""A jurisdiction with so many arrivals, and so many of them at the second of the order, is named. Assumed."""
OTHER_DATUM = "places that look as if they had another datum"
TEXTS = ("number", "unit", "unit_kind", "jurisdiction")
CODES = ("type", "first_type", "priority", "status")
NO_CODE = {"type": UNKNOWN, "first_type": UNKNOWN, "priority": 0, "status": UNKNOWN}


@dataclass(frozen=True, slots=True, eq=False)
class CadRows:
    """The rows of one file, read."""

    times: Mapping[str, NDArray[np.datetime64]]
    texts: Mapping[str, pd.Series]
    codes: Mapping[str, NDArray[np.uint8]]
    xy_m: Floats
    """(n, 2), NaN: no place."""


def read_rows(file: CadFile, mapping: CadMapping, city: City, places_crs: str | None, counts: list[Count]) -> CadRows:
    times = _times(file, mapping, counts)
    texts = {}
    for name in TEXTS:
        if name in file.columns:
            text = pc.cast(file.columns[name], pa.string())
            texts[name] = pd.Series(pc.utf8_trim_whitespace(pc.fill_null(text, "")).to_pandas(), dtype="str")
    meanings: dict[str, Callable[[str], int | None]] = {
        "type": mapping.type_of,
        "first_type": mapping.type_of,
        "priority": mapping.priority_of,
        "status": mapping.status_of,
    }
    codes = {name: _codes(file, name, meanings[name], counts) for name in CODES if name in file.columns}
    return CadRows(times, texts, codes, _places(file, city, places_crs, counts))


def _times(file: CadFile, mapping: CadMapping, counts: list[Count]) -> dict[str, NDArray[np.datetime64]]:
    """The times of a file by field, once all of its columns were found readable; what is odd is counted."""
    found: dict[str, NDArray[np.datetime64]] = {}
    faults: list[Fault] = []
    n = len(file)
    for name in TIMES:
        if name not in file.columns:
            continue
        read = read_times(file.columns[name], mapping.time_format)
        column = file.chosen[name]
        faults += _unreadable(file, name, read)
        found[name] = read.at
        where = f"{name} ({column})"
        kinds = {
            f"times missing: {where}": (int(read.missing.sum()), "left empty"),
            f"times zero, or a date that stands for none: {where}": (int(read.placeholder.sum()), "left empty"),
            f"times with another offset than +08:00: {where}": (read.n_moved, "moved to the clock of China"),
        }
        counts += [Count(kind=kind, rows=k, of=n, done=done) for kind, (k, done) in kinds.items() if k]
    raise_first(faults)
    for one, other in combinations(found, 2):
        both = ~np.isnat(found[one]) & ~np.isnat(found[other])
        of = int(both.sum())
        reversed_ = int((found[other] < found[one])[both].sum())
        same = int((found[other] == found[one])[both].sum())
        done = "kept as recorded; the time between them is not used"
        if reversed_:
            counts.append(Count(kind=f"times reversed: {other} before {one}", rows=reversed_, of=of, done=done))
        if same:
            counts.append(Count(kind=f"times identical: {other} and {one}", rows=same, of=of, done=done))
    if "ordered" in found and "arrived" in found:
        counts += _presses(file, found["ordered"], found["arrived"])
    return found


def _unreadable(file: CadFile, name: str, read: ReadTimes) -> list[Fault]:
    """One fault for a column, with the first row and an example."""
    rows = np.flatnonzero(read.unreadable)
    if not len(rows):
        return []
    text = str(file.columns[name][int(rows[0])].as_py())
    more = f" (and {len(rows) - 1:,} rows more)" if len(rows) > 1 else ""
    mend = "Mend the times, or give their format in the mapping: [times] format = '%d/%m/%Y %H:%M'."
    if SERIAL.fullmatch(text):
        mend = "This is a spreadsheet's day number: format the column as yyyy-mm-dd hh:mm:ss there and export again."
    place = f"row {file.row[rows[0]]:,}, column {file.chosen[name]!r}"
    return [Fault(file.source, place, f"{text!r}{more}", "a date and a time such as 2024-05-01 08:30:00", mend)]


def _presses(file: CadFile, ordered: NDArray[np.datetime64], arrived: NDArray[np.datetime64]) -> list[Count]:
    """Arrivals at the second of the order, which are presses of a button and no arrivals; the jurisdictions where most
    are so are named."""
    both = ~np.isnat(ordered) & ~np.isnat(arrived)
    same = both & (ordered == arrived)
    if not same.any():
        return []
    named: tuple[str, ...] = ()
    if "jurisdiction" in file.columns:
        where = pd.Series(pc.fill_null(pc.cast(file.columns["jurisdiction"], pa.string()), "").to_pandas())
        by = pd.DataFrame({"where": where[both].to_numpy(), "same": same[both]}).groupby("where")["same"]
        table = by.agg(["size", "mean"])
        worst = table[(table["size"] >= LEAST_PRESSES) & (table["mean"] >= PRESS_SHARE)].sort_values("mean")[::-1]
        rows = zip(worst.index[:MOST_EXAMPLES], worst["mean"], strict=False)
        named = tuple(f"{where or 'no jurisdiction'} {100 * share:.0f} %" for where, share in rows)
    kind = "arrivals at the second of the order, which no unit makes"
    return [Count(kind=kind, rows=int(same.sum()), of=int(both.sum()), done="not used as travel", examples=named)]


def _codes(file: CadFile, name: str, meaning: Callable[[str], int | None], counts: list[Count]) -> NDArray[np.uint8]:
    """Values of types, priorities and states as numbers; each distinct one is looked up once."""
    encoded = pc.fill_null(pc.cast(file.columns[name], pa.string()), "").dictionary_encode()
    words = [word.strip() for word in encoded.dictionary.to_pylist()]
    means = [meaning(word) if word else None for word in words]
    none = NO_CODE[name]
    of_word = np.array([none if value is None else value for value in means], np.uint8)
    index = encoded.indices.to_numpy(zero_copy_only=False)
    number = np.bincount(index, minlength=len(words))
    n, where = len(file), f"{name} ({file.chosen[name]})"
    missing = int(sum(k for word, k in zip(words, number, strict=True) if not word))
    odd = sorted(
        ((int(k), word) for word, value, k in zip(words, means, number, strict=True) if word and value is None),
        key=lambda pair: (-pair[0], pair[1]),
    )
    if missing:
        counts.append(Count(kind=f"values missing: {where}", rows=missing, of=n, done="left empty"))
    if odd:
        named = tuple(f"{word[:20]} {k:,}" for k, word in odd[:MOST_EXAMPLES])
        done = "left empty; a mapping may tell what they mean"
        total = sum(k for k, _ in odd)
        counts.append(Count(kind=f"values not understood: {where}", rows=total, of=n, done=done, examples=named))
    return np.asarray(of_word[index], np.uint8)


def _places(file: CadFile, city: City, places_crs: str | None, counts: list[Count]) -> Floats:
    """(n, 2) in the city's CRS, NaN where there is no place.

    Raises:
        InputError: no CRS declared for metres, no place at all, or most of them far from any street.
    """
    source, n = file.source, len(file)
    x_name, y_name = file.chosen["x"], file.chosen["y"]
    if places_crs is not None:
        declared = parse_declared(places_crs, source)
    elif DEGREES.search(folded(x_name)):
        declared = pyproj.CRS(LONLAT)
    else:
        mend = "Declare it with --places-crs, such as EPSG:4547, GCJ-02 or BD-09."
        place = f"columns {x_name}, {y_name}"
        raise InputError(Fault(source, place, "no CRS", "the CRS or the datum of the coordinates", mend))
    xy = np.column_stack([_numbers(file.columns[name]) for name in ("x", "y")])
    given = np.isfinite(xy).all(axis=1)
    zero = given & (xy == 0).any(axis=1)
    degrees = isinstance(declared, Datum) or declared.is_geographic
    outside = given & ~zero & ~in_range(xy) if degrees else np.zeros(n, bool)
    usable = given & ~zero & ~outside
    xy_m = np.full((n, 2), np.nan)
    xy_m[usable] = _projected(xy[usable], declared, city.network.epsg, source)
    xy_m[~np.isfinite(xy_m).all(axis=1)] = np.nan
    usable = np.isfinite(xy_m[:, 0])
    sample = xy_m[usable][:: max(1, int(usable.sum()) // DATUM_SAMPLE)]
    label = declared.value if isinstance(declared, Datum) else declared.name
    off_m = snap(city.network, sample)[1]
    if not len(sample) or np.mean(off_m > FARTHEST_M) > MOST_FAR_SHARE:
        raise InputError(_no_places(file, city, xy, given & ~zero, declared, label, off_m))
    datum = declared if isinstance(declared, Datum) else parse_datum(places_crs or "") or Datum.WGS84
    if degrees:
        fit = points_fit(city.network, np.asarray(shapely.points(sample), object), datum)
        if fit.wrong:
            done = f"{fit.verdict} with --places-crs"
            counts.append(Count(kind=OTHER_DATUM, rows=n, of=n, done=done))
    far = np.zeros(n, bool)
    far[usable] = snap(city.network, xy_m[usable])[1] > FARTHEST_M
    kinds = {
        "places missing, or no number": ~given,
        "places at 0": zero,
        "places that are no longitude and latitude": given & ~zero & ~usable,
        f"places farther than {FARTHEST_M:,.0f} m from any street": far,
    }
    for kind, where in kinds.items():
        if where.any():
            rows = np.flatnonzero(where)[:MOST_EXAMPLES]
            named = tuple(f"row {number:,}" for number in file.row[rows])
            done = "without a place: left out of a replay"
            counts.append(Count(kind=kind, rows=int(where.sum()), of=n, done=done, examples=named))
    return xy_m


def _no_places(
    file: CadFile,
    city: City,
    xy: Floats,
    given: NDArray[np.bool_],
    declared: pyproj.CRS | Datum,
    label: str,
    off_m: Floats,
) -> Fault:
    """Why no place, or too few of them, are in the city."""
    place = f"columns {file.chosen['x']}, {file.chosen['y']}"
    if not given.any():
        return Fault(file.source, place, "no place in any row", "two numbers", "Name the columns of the coordinates.")
    sample = xy[given][:: max(1, int(given.sum()) // DATUM_SAMPLE)]
    turned_m = _projected(sample[:, ::-1], declared, city.network.epsg, file.source)
    turned_m = turned_m[np.isfinite(turned_m).all(axis=1)]
    expected = f"places in {city.name}"
    if len(turned_m) and np.median(snap(city.network, turned_m)[1]) <= FARTHEST_M:
        found = "x and y swapped"
        mend = f"Name them the other way round: --column x={file.chosen['y']} --column y={file.chosen['x']}."
        return Fault(file.source, place, found, expected, mend)
    x, y = sample[0]
    if len(off_m):
        share = 100 * np.mean(off_m > FARTHEST_M)
        found = f"{share:.0f} % of the places farther than {FARTHEST_M:,.0f} m from any street, read as {label}"
    else:
        found = f"({x:.10g}, {y:.10g}), read as {label}"
    mend = "Declare the right CRS or datum with --places-crs, or name the city that the incidents happened in."
    return Fault(file.source, place, found, expected, mend)


def _projected(xy: Floats, declared: pyproj.CRS | Datum, epsg: int, source: str) -> Floats:
    if isinstance(declared, Datum):
        inside = in_range(xy)
        out = np.full_like(xy, np.nan)
        out[inside] = project(to_wgs84(xy[inside], declared), LONLAT, epsg)
        return out
    check_on_earth(declared, source)
    return project(xy, declared, epsg)


def _numbers(column: pa.Array) -> Floats:
    if pa.types.is_string(column.type):
        text = pd.Series(pc.utf8_trim_whitespace(pc.fill_null(column, "")).to_pandas())
        return pd.to_numeric(text, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False), float)
