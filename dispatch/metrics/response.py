"""Response: shares within the limit, times of the first, second and last unit, tiers, and where it is worst.

A share within the limit counts an incident that was never reached as a failure; see `called_for` for what is counted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from dispatch.log import RunLog
from dispatch.metrics.keys import By, grouped, names_of, spread_of
from dispatch.metrics.outcomes import GRACE_S, called_for, response_s, within_limit
from dispatch.standard import Clock, ResponseStandard

LEAST_INCIDENTS = 10
"""A cell with fewer is not called one of the worst: its share is chance. Assumed."""


def share_within(log: RunLog, by: By, clock: Clock) -> pd.DataFrame:
    """Compliance by columns of the incidents or of the units that stopped the clock, or overall (one row "all").

    Columns: `incidents` that called for a response, `reached`, `share` = within the limit / incidents, and `mean_s`,
    `p50_s`, `p90_s`, `p95_s` of the response times of those reached.
    """
    seconds, within = response_s(log, clock), within_limit(log, clock)
    rows = log.incidents.assign(response_s=seconds, within=within)[called_for(log, clock)]
    groups = grouped(log, rows, by)
    seconds = groups["response_s"]
    return pd.DataFrame(
        {
            "incidents": groups.size(),
            "reached": seconds.count(),
            "share": groups["within"].mean(),
            **spread_of(seconds),
        }
    )


def worst_cells(log: RunLog, clock: Clock, n: int = 10, least: int = LEAST_INCIDENTS) -> pd.DataFrame:
    """The n grid cells with the smallest share within the limit among those with at least `least` incidents, the worst
    first, of equals the one with more incidents; rows of `share_within`."""
    cells = share_within(log, "cell", clock)
    cells = cells[(cells["incidents"] >= least) & (cells.index != "")]
    worst: pd.DataFrame = cells.sort_values(["share", "incidents"], ascending=[True, False], kind="stable").head(n)
    return worst


def nth_arrival(
    log: RunLog, n: int = 1, *, echelon: int | None = None, kinds: Collection[str] | None = None
) -> pd.DataFrame:
    """The n-th arrival at each incident among the units of a tier, or of some kinds, or all.

    Columns `arrived_s` and the `rolling_s` of that unit, one row an incident in the order of the incidents; NaN where
    fewer arrived. A unit that came twice counts once.
    """
    units = log.units
    wanted = pd.Series(True, index=units.index)
    if echelon is not None:
        wanted &= units["echelon"] == echelon
    if kinds is not None:
        wanted &= units["kind"].isin(list(kinds))
    came = log.assignments[log.assignments["arrived_s"].notna()]
    came = came[came["unit_id"].isin(units.loc[wanted, "unit_id"])].sort_values("arrived_s", kind="stable")
    came = came.drop_duplicates(["incident_id", "unit_id"])
    nth = came[came.groupby("incident_id").cumcount() == n - 1].set_index("incident_id")
    found = nth[["arrived_s", "rolling_s"]].reindex(log.incidents["incident_id"])
    return found.set_index(log.incidents.index)


def arrivals(
    log: RunLog, clock: Clock, by: By = None, kinds: Mapping[str, Collection[str]] | None = None
) -> pd.DataFrame:
    """How soon what was there: one row for each group and `arrival`, the last level of the index.

    `present`: any unit, sworn or not; `first`: one that may act alone, which stops the clock; `second`: two units, at
    incidents that asked for two or more; `assembled`: as many as were asked for, backup included; and for each entry of
    `kinds` (such as {"armed": {"armed_patrol"}}) the first unit of those kinds, at incidents to which one was sent.

    Columns: `incidents` that called for a response and for that arrival, `reached`, and the times of `share_within`,
    from the clock's start; of a clock that starts with wheels rolling that is the rolling of the unit which arrived,
    for all but `assembled` and `present`: there it is that of the unit which stopped the clock.
    """
    incidents = log.incidents
    called = called_for(log, clock)
    second = nth_arrival(log, 2)
    several = (incidents["units_needed"] + incidents["backup"] >= 2) | second["arrived_s"].notna()
    start_s = incidents[f"{clock}_s"]

    def own_start_s(found: pd.DataFrame) -> pd.Series:
        return found["rolling_s"] if clock is Clock.ROLLING else start_s

    asked: dict[str, tuple[pd.Series, pd.Series]] = {
        "present": (called, incidents["present_s"] - start_s),
        "first": (called, incidents["arrived_s"] - start_s),
        "second": (called & several, second["arrived_s"] - own_start_s(second)),
        "assembled": (called, incidents["assembled_s"] - start_s),
    }
    for label, names in (kinds or {}).items():
        found = nth_arrival(log, kinds=names)
        ids = log.units.loc[log.units["kind"].isin(list(names)), "unit_id"]
        sent = log.assignments.loc[log.assignments["unit_id"].isin(ids), "incident_id"]
        asked[label] = called & incidents["incident_id"].isin(sent), found["arrived_s"] - own_start_s(found)
    parts = {}
    for label, (rows, seconds) in asked.items():
        groups = grouped(log, incidents.assign(seconds=seconds)[rows], by)
        parts[label] = pd.DataFrame(
            {"incidents": groups.size(), "reached": groups["seconds"].count(), **spread_of(groups["seconds"])}
        )
    return _stacked(parts, "arrival", by)


def within_tier(log: RunLog, standard: ResponseStandard, tier: int, clock: Clock) -> pd.DataFrame:
    """One tier of the echelon reading at each incident: `sent`, whether a unit of it was; `response_s` of its own first
    arrival, from the incident's clock start (from its own rolling on that clock); `within` the tier's limit."""
    first = nth_arrival(log, echelon=tier)
    start_s = first["rolling_s"] if clock is Clock.ROLLING else log.incidents[f"{clock}_s"]
    ids = log.units.loc[log.units["echelon"] == tier, "unit_id"]
    sent = log.incidents["incident_id"].isin(log.assignments.loc[log.assignments["unit_id"].isin(ids), "incident_id"])
    seconds = first["arrived_s"] - start_s
    within = seconds <= standard.tier_limits_s[tier] + GRACE_S
    return pd.DataFrame({"sent": sent, "response_s": seconds, "within": within})


def tiers(log: RunLog, standard: ResponseStandard, clock: Clock, by: By = None) -> pd.DataFrame:
    """The echelon reading: one row for each group and `tier` (1, 3 or 5 minutes), the last level of the index.

    Columns: `limit_s`; `units` of that tier in the roster; `incidents` that called for a response; `sent`, those to
    which a unit of the tier was; `reached`; `share` = within the tier's limit / incidents; `share_sent` = within /
    sent; and the times of `share_within`. A tier of which the roster has no unit is not met and not failed: its shares
    are NaN and its `units` 0.
    """
    called = called_for(log, clock)
    parts = {}
    for tier, limit_s in sorted(standard.tier_limits_s.items()):
        found = within_tier(log, standard, tier, clock)
        groups = grouped(log, log.incidents.assign(**found)[called], by)
        units = int((log.units["echelon"] == tier).sum())
        sums = groups[["sent", "within"]].sum()
        parts[tier] = pd.DataFrame(
            {
                "limit_s": limit_s,
                "units": units,
                "incidents": groups.size(),
                "sent": sums["sent"],
                "reached": groups["response_s"].count(),
                "share": groups["within"].mean() if units else np.nan,
                "share_sent": sums["within"] / sums["sent"].where(sums["sent"] > 0),
                **spread_of(groups["response_s"]),
            }
        )
    return _stacked(parts, "tier", by)


def _stacked(parts: Mapping[int, pd.DataFrame] | Mapping[str, pd.DataFrame], name: str, by: By) -> pd.DataFrame:
    """Tables of the same groups as one, with a last level of the index that tells them apart."""
    whole = pd.concat(parts, names=[name])
    levels = list(range(1, whole.index.nlevels))
    table: pd.DataFrame = whole.reorder_levels([*levels, 0])
    table = table.sort_index(level=list(range(len(levels))), sort_remaining=False, kind="stable")
    return table.droplevel(0) if not names_of(by) else table
