"""What the log says: response times, shares within the limit, lateness explained, workload. Pure functions of the log.

A share within the limit counts an incident that was never reached as a failure: it is reached too late on any clock.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from dispatch.log import RunLog
from dispatch.standard import Clock, ResponseStandard
from dispatch.units import UnitState

BUSY = (UnitState.TURN_OUT.label, UnitState.TRAVELLING.label, UnitState.ON_SCENE.label)


def response_s(log: RunLog, clock: Clock) -> pd.Series:
    """Seconds from the clock's start to the first arrival, one an incident; NaN where none arrived."""
    seconds: pd.Series = log.incidents["arrived_s"] - log.incidents[f"{clock}_s"]
    return seconds


def within_limit(log: RunLog, clock: Clock) -> pd.Series:
    """Whether each incident was reached within its limit; one never reached was not."""
    # a millisecond's grace, so that a journey of exactly the limit is not lost to rounding
    within: pd.Series = response_s(log, clock) <= log.incidents["limit_s"] + 1e-3
    return within


def with_hour(log: RunLog, start: datetime) -> RunLog:
    """The log with a column `hour` (0–23, local time at which the call was received) among the incidents."""
    midnight_s = (start - start.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
    hour = ((log.incidents["received_s"] + midnight_s) // 3600 % 24).astype(int)
    return RunLog(log.incidents.assign(hour=hour), log.assignments, log.unit_states)


def share_within(log: RunLog, by: str | None, clock: Clock) -> pd.DataFrame:
    """Compliance by a column of the incidents, or overall (one row "all") for None.

    Columns: `incidents`, `reached`, `share` within the limit of all incidents, and `mean_s`, `p50_s`, `p90_s` of the
    response times of those reached.
    """
    table = pd.DataFrame({"response_s": response_s(log, clock), "within": within_limit(log, clock)})
    key = log.incidents[by] if by else pd.Series("all", index=table.index)
    groups = table.groupby(key, observed=True)
    seconds = groups["response_s"]
    return pd.DataFrame(
        {
            "incidents": groups.size(),
            "reached": seconds.count(),
            "share": groups["within"].mean(),
            "mean_s": seconds.mean(),
            "p50_s": seconds.quantile(0.5),
            "p90_s": seconds.quantile(0.9),
        }
    )


def late_parts(log: RunLog, clock: Clock) -> pd.DataFrame:
    """Where the time of each late response went; one row an incident reached after its limit on this clock.

    Columns: `incident_id`, `desk_s` (call handling), `queue_s` (waiting for a unit), `turn_out_s` and `travel_s` of the
    unit that arrived first, `response_s` on this clock, `over_s` beyond the limit. Of the four parts, those before the
    clock's start are shown too: they are not in `response_s`. A first arrival by a unit that was ordered later than
    the first order counts the difference as queue.
    """
    incidents = log.incidents
    late = incidents["arrived_s"].notna() & ~within_limit(log, clock)
    rows = incidents[late]
    firsts = log.assignments.set_index(["incident_id", "unit_id"])["ordered_s"]
    # a unit may be sent to one incident again after it was called off; its last order brought it there
    firsts = firsts[~firsts.index.duplicated(keep="last")]
    ordered_s = firsts.reindex(pd.MultiIndex.from_frame(rows[["incident_id", "first_unit"]])).to_numpy()
    response = response_s(log, clock)[late]
    return pd.DataFrame(
        {
            "incident_id": rows["incident_id"],
            "desk_s": rows["desk_s"],
            "queue_s": np.maximum(ordered_s - rows["received_s"] - rows["desk_s"], 0),
            "turn_out_s": rows["rolling_s"] - ordered_s,
            "travel_s": rows["arrived_s"] - rows["rolling_s"],
            "response_s": response,
            "over_s": response - rows["limit_s"],
        }
    ).reset_index(drop=True)


def utilisation(log: RunLog) -> pd.DataFrame:
    """Workload by unit: `on_duty_s`, `busy_s` (from the order to clearing), `utilisation` = busy / on duty, `incidents`
    attended. Index `unit_id`."""
    states = log.unit_states
    seconds = states["end_s"] - states["start_s"]
    on_duty_s = seconds.groupby(states["unit_id"]).sum()
    busy_s = seconds.where(states["state"].isin(BUSY), 0.0).groupby(states["unit_id"]).sum()
    attended = log.assignments["arrived_s"].notna().groupby(log.assignments["unit_id"]).sum()
    return pd.DataFrame(
        {
            "on_duty_s": on_duty_s,
            "busy_s": busy_s,
            "utilisation": busy_s / on_duty_s,
            "incidents": attended.reindex(on_duty_s.index, fill_value=0),
        }
    )


def summarise(log: RunLog, standard: ResponseStandard, *, start: datetime, seed: int, digest: str) -> dict[str, Any]:
    """The run in one JSON object (`summary.json`). A figure that no incident gives is null."""
    log = with_hour(log, start)
    arrived = log.incidents["arrived_s"].notna()
    load = utilisation(log)

    def shares(by: str, values: list[Any]) -> dict[str, dict[str, float | None]]:
        tables = {clock: share_within(log, by, clock)["share"] for clock in Clock}
        return {str(value): {clock.value: _number(tables[clock].get(value)) for clock in Clock} for value in values}

    def seen(by: str) -> list[Any]:
        return sorted(value for value in log.incidents[by].unique() if value != "")

    overall = {clock: share_within(log, None, clock) for clock in Clock}
    return {
        "incidents": {
            "total": len(arrived),
            "reached": int(arrived.sum()),
            "unreached": int((~arrived).sum()),
        },
        "share_within": {
            "overall": {c.value: _number(overall[c]["share"].get("all")) for c in Clock},
            "by_place_class": shares("place_class", ["vital", "key", "general"]),
            "by_priority": shares("priority", [1, 2, 3, 4]),
            "by_district": shares("district", seen("district")),
            "by_hour": shares("hour", list(range(24))),
            "by_type": shares("type", seen("type")),
        },
        "response_s": {
            c.value: {k: _number(overall[c][f"{k}_s"].get("all")) for k in ("mean", "p50", "p90")} for c in Clock
        },
        "utilisation": {
            "mean": _number(load["busy_s"].sum() / load["on_duty_s"].sum()) if len(load) else None,
            "max": _number(load["utilisation"].max()),
            "by_unit": {str(unit): _number(value) for unit, value in load["utilisation"].items()},
        },
        "late": {c.value: _late(log, c) for c in Clock},
        "standard": {
            "limits_s": {c.label: s for c, s in sorted(standard.limits_s.items(), reverse=True)},
            "target_share": standard.target_share,
            "amber_share": standard.amber_share,
            "headline": standard.headline.value,
        },
        "seed": seed,
        "digest": digest,
    }


def _late(log: RunLog, clock: Clock) -> dict[str, Any]:
    """How many were late or never reached, and which share of the late ones' seconds each part took, counted from
    the call, or from the clock's start where that is later."""
    parts = late_parts(log, clock)
    counted = {
        Clock.RECEIVED: ("desk", "queue", "turn_out", "travel"),
        Clock.ORDERED: ("turn_out", "travel"),
        Clock.ROLLING: ("travel",),
    }[clock]
    total = {part: float(parts[f"{part}_s"].sum()) for part in counted}
    every = sum(total.values())
    shares = {p: total.get(p, 0.0) / every if every else None for p in ("desk", "queue", "turn_out", "travel")}
    return {"reached_late": len(parts), "never_reached": int(log.incidents["arrived_s"].isna().sum())} | shares


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
