"""Workload: how busy units are, how evenly, outside their beats, after hours; meals and moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from dispatch.incidents import Floats
from dispatch.log import RunLog
from dispatch.metrics.keys import HOUR_S, By, grouped, local_hour, names_of
from dispatch.units import ENGAGED, Span, UnitSpec, UnitState

BUSY = tuple(state.label for state in ENGAGED)
CEILING = 0.6
"""The rule of 60: units that are engaged for more of their duty time answer late and do nothing else."""
LEAST_DUTY_S = 1800.0
"""An hour of the clock in which a unit is on duty for less says nothing about its load. Assumed."""
SPENT: Mapping[str, tuple[str, ...]] = {
    "busy_s": BUSY,
    "patrol_s": (UnitState.PATROLLING.label,),
    "meal_s": (UnitState.MEAL.label,),
    "out_s": (UnitState.OUT_OF_SERVICE.label,),
}
"""What the time on duty is spent on; the rest a unit stands by or drives home."""


def utilisation(log: RunLog) -> pd.DataFrame:
    """Workload by unit: `on_duty_s`, `busy_s` (with an incident, from the order until it is free), `utilisation` =
    busy / on duty, `incidents` attended. Index `unit_id`; units that were never on duty are left out."""
    return workload(log)[["on_duty_s", "busy_s", "utilisation", "incidents"]]


def workload(log: RunLog, by: By = "unit_id", start: datetime | None = None) -> pd.DataFrame:
    """Workload by columns of the units, and by `hour` and `weekday`, for which `start` must be given.

    Columns: `on_duty_s`, all that the log has of the units, overtime included; `busy_s`, with an incident, from the
    order until free of it; `patrol_s`, `meal_s`, `out_s` (vehicle out of service); `utilisation` = busy / on duty;
    `patrol_share` = patrol / on duty; `incidents` attended.

    Raises:
        ValueError: hour or weekday without a start.
    """
    attended = log.assignments[log.assignments["arrived_s"].notna()]
    if {"hour", "weekday"} & set(names_of(by)):
        if start is None:
            raise ValueError("by hour or weekday needs the start of the run")
        rows = unit_hours(log, start)
        hour, weekday = local_hour(attended["arrived_s"], start)
        attended = attended.assign(hour=hour, weekday=weekday)
    else:
        rows = _spent(log.unit_states)
    found = pd.DataFrame(grouped(log, rows, by)[["on_duty_s", *SPENT]].sum())
    incidents = grouped(log, attended, by).size().reindex(found.index, fill_value=0)
    return found.assign(
        utilisation=found["busy_s"] / found["on_duty_s"],
        patrol_share=found["patrol_s"] / found["on_duty_s"],
        incidents=incidents,
    )


def _spent(states: pd.DataFrame) -> pd.DataFrame:
    """The states with their seconds under what they are spent on."""
    seconds = states["end_s"] - states["start_s"]
    columns = {name: seconds.where(states["state"].isin(labels), 0.0) for name, labels in SPENT.items()}
    return pd.DataFrame({"unit_id": states["unit_id"], "on_duty_s": seconds, **columns})


def unit_hours(log: RunLog, start: datetime) -> pd.DataFrame:
    """One row a unit and hour of the clock in which it was on duty: `unit_id`, `at_s` (when the hour begins), `hour`,
    `weekday`, `on_duty_s` and what `SPENT` names."""
    states = log.unit_states
    past_s = (start.minute * 60 + start.second) + start.microsecond / 1e6
    edges_s = np.arange(-past_s, float(states["end_s"].max()) + HOUR_S if len(states) else 0.0, HOUR_S)
    tables = []
    for unit, own in states.groupby("unit_id", sort=False):
        begin_s, end_s = own["start_s"].to_numpy(), own["end_s"].to_numpy()
        spent = _spent(own)
        hours = {
            name: np.diff(_until(begin_s, end_s, spent[name].to_numpy(), edges_s)) for name in ("on_duty_s", *SPENT)
        }
        tables.append(pd.DataFrame({"unit_id": unit, "at_s": edges_s[:-1], **hours})[hours["on_duty_s"] > 0])
    if not tables:
        return pd.DataFrame(columns=["unit_id", "at_s", "on_duty_s", *SPENT, "hour", "weekday"])
    whole = pd.concat(tables, ignore_index=True)
    hour, weekday = local_hour(whole["at_s"], start)
    return whole.assign(hour=hour, weekday=weekday)


def _until(begin_s: Floats, end_s: Floats, amount: Floats, at_s: Floats) -> Floats:
    """How much has come together by each moment, where amounts come evenly between their begins and ends, spans that
    follow one another."""
    knots = np.stack([begin_s, end_s], axis=1).reshape(-1)
    sums = np.cumsum(np.stack([np.zeros(len(amount)), amount], axis=1).reshape(-1))
    return np.interp(at_s, knots, sums) if len(knots) else np.zeros_like(at_s)


def busy_hours(log: RunLog, start: datetime, by: By = "unit_id", ceiling: float = CEILING) -> pd.DataFrame:
    """How many unit-hours were too full: `hours` of the clock in which units were on duty for at least `LEAST_DUTY_S`,
    `above`, those in which busy / on duty exceeds the ceiling, and `share` = above / hours."""
    rows = unit_hours(log, start)
    rows = rows[rows["on_duty_s"] >= LEAST_DUTY_S]
    groups = grouped(log, rows.assign(above=rows["busy_s"] > ceiling * rows["on_duty_s"]), by)
    return pd.DataFrame({"hours": groups.size(), "above": groups["above"].sum(), "share": groups["above"].mean()})


def gini(values: ArrayLike) -> float:
    """How unevenly values are spread: 0 all equal, towards 1 all with one; NaN for none or where all are 0.

    G = Σᵢ Σⱼ |xᵢ − xⱼ| / (2 n² x̄), reckoned as Σᵢ (2i − n − 1) x₍ᵢ₎ / (n Σ x) over the sorted values (Gini, 1912; the
    second form: Dixon et al., 1987, Ecology 68).
    """
    x = np.sort(np.asarray(values, float))
    x = x[np.isfinite(x)]
    n = len(x)
    return float((2 * np.arange(1, n + 1) - n - 1) @ x / (n * x.sum())) if n and x.sum() > 0 else np.nan


def cross_beat(log: RunLog, beat_of_cell: Mapping[str, int], by: By = None) -> pd.DataFrame:
    """How often units are sent out of their beat: `orders` of units that have a beat to cells that are in one (codes of
    cells with their beats, -1: none), `crossing`, those to another beat, and `share` = crossing / orders."""
    cell = log.assignments["incident_id"].map(log.incidents.set_index("incident_id")["cell"])
    asked = cell.map(beat_of_cell).fillna(-1).astype(np.int64)
    own = log.assignments["unit_id"].map(log.units.set_index("unit_id")["beat"]).astype(np.int64)
    rows = log.assignments.assign(crossing=asked != own)[(asked >= 0) & (own >= 0)]
    groups = grouped(log, rows, by)
    return pd.DataFrame(
        {"orders": groups.size(), "crossing": groups["crossing"].sum(), "share": groups["crossing"].mean()}
    )


def overtime(log: RunLog, units: Sequence[UnitSpec], until_s: float = np.inf) -> pd.DataFrame:
    """Index `unit_id`; `overtime_s`: seconds in which each unit was with an incident, or on its way home, outside its
    duty (standby is duty too, once it is called up). `until_s`: the horizon, where the rosters of a run may end."""
    states = log.unit_states[log.unit_states["start_s"] < until_s]
    late = states[states["state"].isin((*BUSY, UnitState.RETURNING.label))]
    by_unit = dict(iter(late.groupby("unit_id", sort=False)))
    found = {}
    for spec in units:
        own = by_unit.get(spec.id)
        if own is None or spec.duty is None:
            found[spec.id] = 0.0
            continue
        spans: list[Span] = sorted((*spec.duty, *spec.standby))
        begin_s, end_s = (np.array(ends, float) for ends in zip(*spans, strict=True)) if spans else (np.empty(0),) * 2
        rows = np.minimum(own[["start_s", "end_s"]].to_numpy(float), until_s)
        inside = np.diff(_until(begin_s, end_s, end_s - begin_s, rows), axis=1).sum()
        found[spec.id] = max(float((rows[:, 1] - rows[:, 0]).sum() - inside), 0.0)
    return pd.DataFrame({"overtime_s": found}).rename_axis("unit_id")


def meals(log: RunLog, units: Sequence[UnitSpec]) -> pd.DataFrame:
    """What became of the meals of the roster: index `unit_id`; `due`, `taken`, `interrupted` (begun and cut short) and
    `lost` (not begun by the end of their window). A meal whose window was still open when the log ends is not due."""
    rows = log.unit_states[log.unit_states["state"] == UnitState.MEAL.label]
    by_unit = dict(iter(rows.groupby("unit_id", sort=False)))
    end_s = float(log.unit_states["end_s"].max())
    found = {}
    for spec in units:
        counts = dict.fromkeys(("due", "taken", "interrupted", "lost"), 0)
        own = by_unit.get(spec.id, rows.iloc[:0])
        seconds = (own["end_s"] - own["start_s"]).to_numpy()
        begun_s = own["start_s"].to_numpy()
        for meal in spec.meals:
            if meal.latest_s + meal.length_s > end_s:
                continue
            eaten_s = seconds[(begun_s >= meal.earliest_s) & (begun_s <= meal.latest_s)].sum()
            counts["due"] += 1
            counts["lost" if not eaten_s else "taken" if eaten_s >= meal.length_s - 1e-6 else "interrupted"] += 1
        found[spec.id] = counts
    return pd.DataFrame.from_dict(found, orient="index", columns=["due", "taken", "interrupted", "lost"]).rename_axis(
        "unit_id"
    )


def moves(log: RunLog, by: By = "unit_id") -> pd.DataFrame:
    """Moves to other posts: `moves`, how many were begun, and `moving_s`, the seconds on the way. Their kilometres come
    from `dispatch.whereabouts.driven`."""
    states = log.unit_states
    before = states.shift()
    # one that has to take another way on its way is still the same move
    same = (before["unit_id"] == states["unit_id"]) & (before["state"] == states["state"])
    same &= (before["post"] == states["post"]) & (before["end_s"] == states["start_s"])
    moving = states["state"] == UnitState.MOVING_UP.label
    rows = pd.DataFrame(
        {"unit_id": states["unit_id"], "moves": ~same, "moving_s": states["end_s"] - states["start_s"]}
    )[moving]
    return pd.DataFrame(grouped(log, rows, by)[["moves", "moving_s"]].sum())
