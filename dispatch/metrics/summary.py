"""A run in one JSON object."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import pandas as pd

from dispatch.log import RunLog
from dispatch.metrics.flow import littles_law
from dispatch.metrics.keys import with_hour
from dispatch.metrics.lateness import PARTS, late_shares
from dispatch.metrics.outcomes import called_for, late, outcomes, results_by
from dispatch.metrics.response import arrivals, share_within, tiers
from dispatch.metrics.workload import busy_hours, gini, moves, workload
from dispatch.standard import Clock, Reading, ResponseStandard

TIMES = ("mean", "p50", "p90", "p95")


def summarise(
    log: RunLog,
    standard: ResponseStandard,
    *,
    start: datetime,
    seed: int,
    digest: str,
    preventable: Collection[int] | None = None,
) -> dict[str, Any]:
    """The run in one JSON object (`summary.json`). A figure that no incident gives is null.

    `preventable`: ids of the late incidents that another unit would have reached in time (`dispatch.explain`), on the
    headline clock; None: it was not looked into, and the figure is null.
    """
    log = with_hour(log, start)
    headline = standard.headline
    arrived = log.incidents["arrived_s"].notna()
    called = called_for(log, headline)
    load = workload(log)
    kinds = sorted(set(log.units["kind"]))

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
            "unreached": int((called & ~arrived).sum()),
            "called_for": int(called.sum()),
        },
        "outcomes": _row(outcomes(log)) | {"by_result": _row(results_by(log, headline))},
        "share_within": {
            "overall": {c.value: _number(overall[c]["share"].get("all")) for c in Clock},
            "by_place_class": shares("place_class", ["vital", "key", "general"]),
            "by_priority": shares("priority", [1, 2, 3, 4]),
            "by_district": shares("district", seen("district")),
            "by_hour": shares("hour", list(range(24))),
            "by_weekday": shares("weekday", list(range(7))),
            "by_type": shares("type", seen("type")),
            "by_kind": shares("kind", kinds),
        },
        "response_s": {c.value: {k: _number(overall[c][f"{k}_s"].get("all")) for k in TIMES} for c in Clock},
        "arrivals": {
            what: _arrival(row) for what, row in arrivals(log, headline, kinds={k: {k} for k in kinds}).iterrows()
        },
        "tiers": _tiers(log, standard) if Reading.ECHELON in standard.readings else None,
        "queue": _queue(log),
        "utilisation": {
            "mean": _number(load["busy_s"].sum() / load["on_duty_s"].sum()) if len(load) else None,
            "max": _number(load["utilisation"].max()),
            "gini": _number(gini(load["utilisation"])),
            "hours_above_60": _number(busy_hours(log, start, None)["share"].get("all")),
            "patrol_share": _number(load["patrol_s"].sum() / load["on_duty_s"].sum()) if len(load) else None,
            "moves": int(moves(log)["moves"].sum()),
            "by_unit": {str(unit): _number(value) for unit, value in load["utilisation"].items()},
        },
        "late": {c.value: _late(log, c) for c in Clock},
        "preventable": None if preventable is None else len(preventable),
        "standard": {
            "readings": [reading.value for reading in standard.readings],
            "limits_s": {c.label: s for c, s in sorted(standard.limits_s.items(), reverse=True)},
            "priority_limits_s": {str(p): s for p, s in sorted(standard.priority_limits_s.items())},
            "tier_limits_s": {str(tier): s for tier, s in sorted(standard.tier_limits_s.items())},
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
    shares = late_shares(log, clock)
    reached = log.incidents["arrived_s"].notna()
    missed = late(log, clock)
    return {"reached_late": int((missed & reached).sum()), "never_reached": int((missed & ~reached).sum())} | {
        part: _number(shares[part].get("all")) for part in PARTS
    }


def _arrival(row: pd.Series) -> dict[str, Any]:
    return {"incidents": int(row["incidents"]), "reached": int(row["reached"])} | {
        f"{name}_s": _number(row[f"{name}_s"]) for name in TIMES
    }


def _tiers(log: RunLog, standard: ResponseStandard) -> dict[str, Any]:
    """By tier on each clock; a tier without a unit has units 0 and null shares."""
    found: dict[str, Any] = {}
    for clock in Clock:
        for tier, row in tiers(log, standard, clock).iterrows():
            entry = found.setdefault(str(tier), {"units": int(row["units"]), "sent": int(row["sent"])})
            entry[clock.value] = {"share": _number(row["share"]), "share_sent": _number(row["share_sent"])}
    return found


def _queue(log: RunLog) -> dict[str, Any]:
    """Of the incidents for which a unit could be ordered: how many waited for one, and how long; how long callers
    waited for a desk."""
    incidents = log.incidents
    ready = incidents[incidents["ready_s"].notna() & called_for(log, Clock.ORDERED)]
    waited_s = ready["ordered_s"] - ready["ready_s"]
    desk_s = incidents["answered_s"] - incidents["received_s"]
    return {
        "waited": int((~(waited_s <= 0)).sum()),
        "never_ordered": int(waited_s.isna().sum()),
        "mean_s": _number(waited_s.mean()),
        "p90_s": _number(waited_s.quantile(0.9)),
        "max_s": _number(waited_s.max()),
        "mean_number": _number(littles_law(log).loc["waiting", "l"]) if len(log.unit_states) else None,
        "desk_mean_s": _number(desk_s.mean()),
        "desk_max_s": _number(desk_s.max()),
    }


def _row(table: pd.DataFrame) -> dict[str, Any]:
    """The one row of a table that is broken down by nothing, as numbers; zeros where it has none."""
    return {str(name): int(table[name].sum()) for name in table}


def _number(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)
