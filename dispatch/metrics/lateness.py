"""Lateness explained: where the seconds of each late response went."""

from __future__ import annotations

import pandas as pd

from dispatch.log import RunLog
from dispatch.metrics.keys import By, grouped
from dispatch.metrics.outcomes import late, response_s
from dispatch.standard import Clock

PARTS = ("desk_wait", "desk", "queue", "turn_out", "travel")
"""Waiting for a desk, call handling, waiting for a unit, turn-out, travel."""
COUNTED = {Clock.RECEIVED: PARTS, Clock.ORDERED: PARTS[2:], Clock.ROLLING: PARTS[4:]}
"""The parts that come after each clock's start; of the queue on the clock of the first order only what comes after it:
the unit that stopped the clock may have been ordered later."""


def parts(log: RunLog) -> pd.DataFrame:
    """The seconds of every incident that was reached, as five parts that add up to its response from the call.

    Columns: `incident_id`; `desk_wait_s` = answered − received; `desk_s` (call handling) = ready − answered; `queue_s`
    (waiting for a unit) = order of the unit that stopped the clock − ready, which is also the time lost where others
    had been ordered before it; `turn_out_s` = its rolling − its order; `travel_s` = its arrival − its rolling.
    """
    incidents = log.incidents[log.incidents["arrived_s"].notna()]
    came = log.assignments[log.assignments["arrived_s"].notna()].sort_values("arrived_s", kind="stable")
    # a unit that was called off the scene may come again
    ordered = came.drop_duplicates(["incident_id", "unit_id"]).set_index(["incident_id", "unit_id"])["ordered_s"]
    ordered_s = ordered.reindex(pd.MultiIndex.from_frame(incidents[["incident_id", "first_unit"]])).to_numpy()
    return pd.DataFrame(
        {
            "incident_id": incidents["incident_id"],
            "desk_wait_s": incidents["answered_s"] - incidents["received_s"],
            "desk_s": incidents["ready_s"] - incidents["answered_s"],
            "queue_s": ordered_s - incidents["ready_s"],
            "turn_out_s": incidents["rolling_s"] - ordered_s,
            "travel_s": incidents["arrived_s"] - incidents["rolling_s"],
        }
    )


def late_parts(log: RunLog, clock: Clock) -> pd.DataFrame:
    """Where the time of each late response went; one row an incident reached after its limit on this clock.

    The columns of `parts`, `response_s` on this clock and `over_s` beyond the limit. The parts before the clock's start
    are shown too: they are not in `response_s`.
    """
    found = parts(log)
    rows = late(log, clock).reindex(found.index)
    response = response_s(log, clock)[found.index]
    found = found.assign(response_s=response, over_s=response - log.incidents["limit_s"])[rows]
    return found.reset_index(drop=True)


def late_shares(log: RunLog, clock: Clock, by: By = None) -> pd.DataFrame:
    """Of the seconds of late responses after the clock's start, the share that each of `PARTS` took.

    Columns: `late`, the number of late responses, and one a part: Σ part / Σ of all parts that count on this clock; 0
    for those before its start.
    """
    rows = late_parts(log, clock)
    if clock is Clock.ORDERED:
        by_id = log.incidents.set_index("incident_id")
        first_s = rows["incident_id"].map(by_id["ordered_s"] - by_id["ready_s"])
        rows = rows.assign(queue_s=rows["queue_s"] - first_s)
    groups = grouped(log, rows, by)
    seconds = groups[[f"{part}_s" for part in PARTS]].sum().rename(columns=lambda name: name.removesuffix("_s"))
    seconds = seconds.assign(**{part: 0.0 for part in PARTS if part not in COUNTED[clock]})
    whole = seconds.sum(axis=1)
    return pd.DataFrame({"late": groups.size()}).join(seconds.div(whole.where(whole > 0), axis=0))
