"""Reader of CAD exports: rows of incidents or of unit assignments, gathered by call; what is wrong is counted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dispatch.history.cadfile import read_file
from dispatch.history.cadrows import CODES, MOST_EXAMPLES, NO_CODE, TEXTS, CadRows, read_rows
from dispatch.history.cadwords import CadMapping, is_personal
from dispatch.history.record import (
    ASSIGNMENT_COLUMNS,
    ASSIGNMENT_TIMES,
    CALL_COLUMNS,
    CALL_TIMES,
    TIMES,
    UNKNOWN,
    Count,
    History,
)
from geodata.city import City, Source
from geodata.errors import Fault, InputError

_PERSONAL_VALUE = re.compile(
    r"(?:\+?86)?1[3-9]\d{9}|\d{17}[\dXx]"
    r"|[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][·\- ]?[A-Z0-9]{4,6}警?"
)

Told = Callable[[str, float], None]


def read_cad(
    paths: Sequence[Path],
    city: City,
    mapping: CadMapping | None = None,
    *,
    places_crs: str | None = None,
    progress: Told = lambda _stage, _share: None,
) -> History:
    """The history in files of one CAD system, one row an incident or one row an assignment of a unit, told apart by
    nothing: rows of one call number are one incident, and each row that names a unit or has one of its times is an
    assignment. Of values that differ between the rows of a call the earliest time and the first other one is taken.

    `places_crs` declares the CRS or the datum of the coordinates; degrees are WGS-84 if it is left out.

    Raises:
        InputError: a file that cannot be read, columns that are missing, times that are unreadable, places that have
            no declared CRS or mostly lie far from the city's streets, or no row with a call's time.
    """
    mapping = mapping or CadMapping()
    counts: list[Count] = []
    rows, files = [], []
    for i, path in enumerate(paths):
        progress("Reading", i / len(paths))
        file = read_file(path, mapping.find)
        rows.append(read_rows(file, mapping, city, places_crs, counts))
        chosen, n = dict(file.chosen), len(file)
        files.append((path, chosen, file.names, n))
        if file.torn:
            named = tuple(f"row {number:,}" for number in file.torn[:MOST_EXAMPLES])
            total = n + len(file.torn)
            counts.append(Count(kind="rows torn", rows=len(file.torn), of=total, done="left out", examples=named))
        del file
    progress("Reading", 1)
    progress("Gathering", 0)
    columns: dict[str, str] = {}
    for _, chosen, _, _ in files:
        for name, column in chosen.items():
            known = columns.get(name, column).split(" / ")
            columns[name] = " / ".join(dict.fromkeys([*known, column]))
    calls, assignments = _gathered(_nameless(_together(rows), counts), counts)
    unread = dict.fromkeys(name for _, chosen, names, _ in files for name in names if name not in chosen.values())
    personal = tuple(name for name in unread if is_personal(name))
    n_columns = len(unread) + len(dict.fromkeys(c for _, chosen, _, _ in files for c in chosen.values()))
    if personal:
        done = "never read"
        counts.append(
            Count(
                kind="columns that may tell of persons", rows=len(personal), of=n_columns, done=done, examples=personal
            )
        )
    other = tuple(name for name in unread if not is_personal(name))
    if other:
        kind = "columns without a use"
        counts.append(Count(kind=kind, rows=len(other), of=n_columns, done="not read", examples=other[:12]))
    progress("Gathering", 1)
    return History(
        calls=calls,
        assignments=assignments,
        epsg=city.network.epsg,
        sources=tuple(
            Source.of_file(f"{n:,} rows of a CAD export", path, declared=places_crs or "") for path, _, _, n in files
        ),
        columns=columns,
        counts=tuple(_summed(counts)),
    )


def _together(parts: Sequence[CadRows]) -> CadRows:
    """The rows of all files, one after another; a column that a file lacks is empty there."""
    sizes = [len(part.xy_m) for part in parts]
    times, texts, codes = {}, {}, {}
    for name in TIMES:
        columns = (p.times.get(name, np.full(n, "NaT", "datetime64[ms]")) for p, n in zip(parts, sizes, strict=True))
        times[name] = np.concatenate(list(columns))
    for name in TEXTS:
        series = [p.texts.get(name, pd.Series([""] * n, dtype="str")) for p, n in zip(parts, sizes, strict=True)]
        texts[name] = pd.concat(series, ignore_index=True)
    for name in CODES:
        numbers = (p.codes.get(name, np.full(n, NO_CODE[name], np.uint8)) for p, n in zip(parts, sizes, strict=True))
        codes[name] = np.concatenate(list(numbers))
    return CadRows(times, texts, codes, np.concatenate([part.xy_m for part in parts]))


def _nameless(rows: CadRows, counts: list[Count]) -> CadRows:
    """Units and the like that are told by a phone, identity or plate number get numbers of their own instead."""
    texts = dict(rows.texts)
    for name in ("unit", "unit_kind", "jurisdiction"):
        code, distinct = pd.factorize(texts[name])
        odd = np.array([_PERSONAL_VALUE.fullmatch(value) is not None for value in distinct.tolist()], bool)
        if odd.any():
            number = np.cumsum(odd)
            told = [f"{name} {k}" if o else v for v, o, k in zip(distinct.tolist(), odd, number, strict=True)]
            texts[name] = pd.Series(told, dtype="str").take(code).reset_index(drop=True)
            kind = f"values of {name} that look like phone, identity or plate numbers"
            done = "replaced by numbers of their own"
            counts.append(Count(kind=kind, rows=int(odd[code].sum()), of=len(code), done=done))
    return replace(rows, texts=texts)


def _gathered(rows: CadRows, counts: list[Count]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Calls and assignments as the tables of a `History`."""
    n_rows = len(rows.xy_m)
    call, n = _call_of_row(rows.texts["number"], counts)
    calls: dict[str, Any] = {}
    for name in CALL_TIMES:
        at = np.full(n, np.datetime64("NaT"), "datetime64[ms]")
        np.fmin.at(at, call, rows.times[name])
        calls[name] = at
        differs = ~np.isnat(rows.times[name]) & (rows.times[name] != at[call])
        _disagree(name, differs, call, n, "the earliest is taken", counts)
    for name in CODES:
        known = rows.codes[name] != NO_CODE[name]
        calls[name] = _first_known(rows.codes[name], known, call, n, NO_CODE[name])
        _disagree(name, known & (rows.codes[name] != calls[name][call]), call, n, "the first is taken", counts)
    both = (calls["type"] != UNKNOWN) & (calls["first_type"] != UNKNOWN)
    changed = both & (calls["type"] != calls["first_type"])
    if changed.any():
        done = "the final type is used"
        kind = "calls whose final type is not the first one"
        counts.append(Count(kind=kind, rows=int(changed.sum()), of=int(both.sum()), done=done))
    calls["type"] = np.where(calls["type"] == UNKNOWN, calls["first_type"], calls["type"])
    placed = np.isfinite(rows.xy_m[:, 0])
    for axis, name in enumerate(("x_m", "y_m")):
        calls[name] = _first_known(rows.xy_m[:, axis], placed, call, n, np.nan)
    moved = placed & ((rows.xy_m[:, 0] != calls["x_m"][call]) | (rows.xy_m[:, 1] != calls["y_m"][call]))
    _disagree("place", moved, call, n, "the first is taken", counts)
    for name in ("number", "jurisdiction"):
        first = _first_known(np.arange(n_rows), (rows.texts[name] != "").to_numpy(bool), call, n, -1)
        text = rows.texts[name].take(np.maximum(first, 0)).reset_index(drop=True)
        calls[name] = text.where(first >= 0, "")
    order, row_of_call = _in_order(calls["received"], counts)
    table = pd.DataFrame({name: calls[name] for name in CALL_COLUMNS}).take(order).reset_index(drop=True)
    lost = int(np.isnan(table["x_m"]).sum())
    if lost:
        done = "without a place: left out of a replay"
        counts.append(Count(kind="calls without a place", rows=lost, of=len(table), done=done))
    return table, _assignments(rows, row_of_call[call], counts)


def _call_of_row(number: pd.Series, counts: list[Count]) -> tuple[NDArray[np.int64], int]:
    """The call of each row, from 0; a row without a number is a call of its own."""
    code, distinct = pd.factorize(number.where(number != ""), use_na_sentinel=True)
    call = code.astype(np.int64)
    alone = call < 0
    call[alone] = len(distinct) + np.arange(int(alone.sum()))
    n = len(distinct) + int(alone.sum())
    if alone.any() and len(distinct):
        kind, done = "rows without a call number", "each is a call of its own"
        counts.append(Count(kind=kind, rows=int(alone.sum()), of=len(number), done=done))
    again = len(number) - n
    if again:
        kind, done = "rows that go on with a call", "gathered by call number"
        counts.append(Count(kind=kind, rows=again, of=len(number), done=done))
    return call, n


def _in_order(received: NDArray[np.datetime64], counts: list[Count]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The calls with a time in the order received, and the place of each call in it, -1 for the others."""
    order = np.argsort(received, kind="stable")  # missing ones come last
    order = order[~np.isnat(received[order])]
    if not len(order):
        mend = "Look at the column that was read as the time of the call."
        raise InputError(Fault("history", "", "no call with a received time", "at least one", mend))
    if lost := len(received) - len(order):
        kind = "calls without a received time"
        counts.append(Count(kind=kind, rows=lost, of=len(received), done="left out"))
    place = np.full(len(received), -1)
    place[order] = np.arange(len(order))
    return order, place


def _assignments(rows: CadRows, call: NDArray[np.int64], counts: list[Count]) -> pd.DataFrame:
    """The rows that name a unit or have a time of one, without those told twice; by call, order and row."""
    unit = rows.texts["unit"]
    timed = np.any([~np.isnat(rows.times[name]) for name in ASSIGNMENT_TIMES], axis=0)
    chosen = np.flatnonzero((call >= 0) & (timed | (unit != "").to_numpy(bool)))
    columns: dict[str, Any] = {"call": call[chosen]}
    columns |= {name: rows.texts[name].to_numpy()[chosen] for name in ("unit", "unit_kind")}
    columns |= {name: rows.times[name][chosen] for name in ASSIGNMENT_TIMES}
    table = pd.DataFrame(columns)[list(ASSIGNMENT_COLUMNS)].astype({"unit": "str", "unit_kind": "str"})
    # only rows of one call can tell one assignment twice
    many = np.flatnonzero(np.bincount(table["call"], minlength=1)[table["call"]] > 1)
    twice = np.zeros(len(table), bool)
    twice[many] = table.take(many).duplicated().to_numpy()
    if twice.any():
        kind = "assignments told twice"
        counts.append(Count(kind=kind, rows=int(twice.sum()), of=len(table), done="the second is left out"))
    kept = table[~twice]
    order = np.lexsort((kept["ordered"].to_numpy(), kept["call"].to_numpy()))
    return kept.take(order).reset_index(drop=True)


def _first_known(
    values: NDArray[Any], known: NDArray[np.bool_], call: NDArray[np.int64], n: int, none: float
) -> NDArray[Any]:
    """(n,) of the rows of each call that have a value, that of the first."""
    found = np.full(n, none, values.dtype)
    rows = np.flatnonzero(known)[::-1]
    # of several writes to one place the last one stays: the first row, from behind
    found[call[rows]] = values[rows]
    return found


def _disagree(
    name: str, differs: NDArray[np.bool_], call: NDArray[np.int64], n: int, done: str, counts: list[Count]
) -> None:
    if differs.any():
        rows = len(np.unique(call[differs]))
        counts.append(Count(kind=f"calls whose rows differ in {name}", rows=rows, of=n, done=done))


def _summed(counts: Iterable[Count]) -> list[Count]:
    """Counts of one kind in several files as one."""
    found: dict[tuple[str, str], Count] = {}
    for count in counts:
        key = (count.kind, count.done)
        found[key] = count if key not in found else _sum(found[key], count)
    return list(found.values())


def _sum(one: Count, other: Count) -> Count:
    examples = (*one.examples, *other.examples)[:MOST_EXAMPLES]
    rows, of = one.rows + other.rows, one.of + other.of
    return Count(kind=one.kind, rows=rows, of=of, done=one.done, examples=examples)
