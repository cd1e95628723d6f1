"""Logs made by hand: rows state what matters, the rest is filled in."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import nan
from typing import Any

import pandas as pd

from dispatch.log import TABLES, RunLog

TEXTS = {
    "type", "cell", "district", "place_class", "outcome", "first_unit", "unit_id", "called_off", "state", "kind",
    "shift",
}  # fmt: skip
WHOLE = {"duplicate_of", "centre"}
Row = dict[str, Any]


def incident(number: int, received_s: float, **told: Any) -> Row:
    """One at the desk for a minute, general, P3; answered at once. What came of it is told."""
    row = {
        "incident_id": number, "type": "help", "priority": 3, "cell": "G00", "district": "West",
        "place_class": "general", "x_m": 0.0, "y_m": 0.0, "edge": 0, "offset_m": 0.0, "received_s": received_s,
        "limit_s": 300.0,
        "outcome": "cleared", "units_needed": 1, "backup": 0, "duplicate_of": None, "first_unit": None,
    }  # fmt: skip
    row |= {name: nan for name in TABLES["incidents"] if name not in row}
    row |= {"answered_s": received_s, "ready_s": received_s + 60.0} | told
    row["desk_s"] = row["ready_s"] - row["answered_s"]
    # the first unit is all that was asked for, unless more is told
    return row | {name: row["arrived_s"] for name in ("present_s", "assembled_s") if name not in told}


def order(number: int, unit: str, ordered_s: float, **told: Any) -> Row:
    row = {"incident_id": number, "unit_id": unit, "ordered_s": ordered_s, "travel_m": 500.0, "expected_s": 100.0}
    row |= {"edge": 0, "offset_m": 0.0, "called_off": None, "centre": None}
    return row | {name: nan for name in TABLES["assignments"] if name not in row} | told


def states(unit: str, *steps: tuple[Any, ...]) -> list[Row]:
    """(state, from, more) one after the other; the last, of any name, only ends the one before it."""
    usual = {"incident_id": None, "post": 0, "edge": 0, "offset_m": 0.0, "phase_s": 0.0, "pace": 1.0}
    return [
        {"unit_id": unit, "state": step[0], "start_s": step[1], "end_s": after[1]} | usual | (step[2:] or ({},))[0]
        for step, after in pairwise(steps)
    ]


def unit(name: str, **told: Any) -> Row:
    row = {
        "unit_id": name,
        "kind": "patrol_car",
        "acts_alone": True,
        "echelon": 3,
        "shift": "day",
        "post": 0,
        "beat": -1,
    }
    return row | {"duty_s": 0.0} | told


def made(
    incidents: Sequence[Row] = (), orders: Sequence[Row] = (), spans: Sequence[Row] = (), units: Sequence[Row] = ()
) -> RunLog:
    return RunLog(*(_table(name, rows) for name, rows in zip(TABLES, (incidents, orders, spans, units), strict=True)))


def _table(name: str, rows: Sequence[Row]) -> pd.DataFrame:
    for row in rows:
        assert not set(row) - set(TABLES[name]), f"{name} has no {set(row) - set(TABLES[name])}"
    columns = {}
    for column in TABLES[name]:
        values = [row[column] for row in rows]
        whole = column in WHOLE or (name == "unit_states" and column == "incident_id")
        kind = "str" if column in TEXTS else "Int64" if whole else None if rows else "float64"
        columns[column] = pd.Series(values, dtype=kind)
    return pd.DataFrame(columns)
