"""By what a table is broken down: any columns of the incidents and of the units, one or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from dispatch.log import RunLog

By = str | Sequence[str] | None
"""Names of columns, or None: all in one row, which is called "all"."""
HOUR_S = 3600.0
UNIT_COLUMNS = ("unit_id", "kind", "acts_alone", "echelon", "shift", "post", "beat")


def local_hour(seconds: pd.Series, start: datetime) -> tuple[pd.Series, pd.Series]:
    """Hour of the day (0–23) and day of the week (0: Monday) in local time of seconds since the run's start."""
    midnight_s = (start - start.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    hours = ((seconds + midnight_s) // HOUR_S).astype(np.int64)
    return hours % 24, (hours // 24 + start.weekday()) % 7


def with_hour(log: RunLog, start: datetime) -> RunLog:
    """The log with the columns `hour` (0–23) and `weekday` (0: Monday) among the incidents: the local time at which the
    call was received."""
    hour, weekday = local_hour(log.incidents["received_s"], start)
    return replace(log, incidents=log.incidents.assign(hour=hour, weekday=weekday))


def names_of(by: By) -> list[str]:
    """The columns that a table is broken down by."""
    if by is None:
        return []
    return [by] if isinstance(by, str) else list(by)


def grouped(log: RunLog, rows: pd.DataFrame, by: By) -> Any:
    """`rows` grouped by columns that they have themselves, that their incident has (through `incident_id`) or that
    their unit has (through `unit_id`; of an incident: the unit that stopped the clock).

    Rows without a unit have the kind and the shift "".

    Raises:
        ValueError: a column that neither they nor their incidents nor units have.
    """
    names = names_of(by)
    if not names:
        keys: list[Any] = [pd.Series("all", index=rows.index, dtype="str")]
    else:
        keys = [column(log, rows, name) for name in names]
    return rows.groupby(keys, observed=True, dropna=False)


def column(log: RunLog, rows: pd.DataFrame, name: str) -> pd.Series:
    """One column to group rows by, as `grouped` finds it."""
    if name in rows:
        found: pd.Series = rows[name]
        return found
    if name in UNIT_COLUMNS:
        unit = rows["unit_id"] if "unit_id" in rows else _through_incident(log, rows, "first_unit")
        if name != "unit_id":
            unit = unit.map(log.units.set_index("unit_id")[name])
        return (unit.fillna("") if name in ("unit_id", "kind", "shift") else unit).rename(name)
    if name in log.incidents and "incident_id" in rows:
        return _through_incident(log, rows, name)
    known = [*dict.fromkeys([*rows, *(log.incidents if "incident_id" in rows else ()), *UNIT_COLUMNS])]
    mend = "; hour and weekday come with with_hour" if name in ("hour", "weekday") else ""
    raise ValueError(f"no column {name!r} to break down by, expected one of {known}{mend}")


def _through_incident(log: RunLog, rows: pd.DataFrame, name: str) -> pd.Series:
    if rows.index is log.incidents.index or rows["incident_id"] is log.incidents["incident_id"]:
        values = log.incidents[name]
    else:
        values = rows["incident_id"].map(log.incidents.set_index("incident_id")[name])
    return pd.Series(values, index=rows.index).rename(name)


def spread_of(seconds: Any) -> dict[str, Any]:
    """Mean, median, P90 and P95 of grouped seconds; those that are NaN do not count. Quantiles are interpolated
    linearly (Hyndman and Fan, 1996, definition 7)."""
    return {
        "mean_s": seconds.mean(),
        "p50_s": seconds.quantile(0.5),
        "p90_s": seconds.quantile(0.9),
        "p95_s": seconds.quantile(0.95),
    }
