"""Little's law on a run, as a check that its tables agree with each other."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dispatch.incidents import Floats
from dispatch.log import RunLog
from dispatch.units import ENGAGED


def _in_system(begin_s: Floats, end_s: Floats, from_s: float, to_s: float) -> float:
    """Mean number present between two seconds: the area under the steps of arrivals and departures."""
    at_s = np.clip(np.r_[begin_s, end_s], from_s, to_s)
    order = np.argsort(at_s, kind="stable")
    present = np.cumsum(np.r_[np.ones(len(begin_s)), -np.ones(len(end_s))][order])
    return float(present @ np.diff(np.r_[at_s[order], to_s])) / (to_s - from_s)


def littles_law(log: RunLog, from_s: float = 0.0, to_s: float | None = None) -> pd.DataFrame:
    """L = λ W (Little, 1961) over a window of the run, by default all of it.

    Rows: `incidents`, from the call until over; `waiting`, from the moment a unit could be ordered until the first one
    was; `engaged`, units with an incident, whose L comes from `unit_states` and λ and W from `assignments`.
    Columns: `l`, the mean number present; `arrivals_s`, λ a second; `w_s`, the mean stay of those that came within the
    window; `difference` = L − λ W. It is what stays that reach across the window's ends leave over: for a run that
    begins and ends empty it is 0 but for rounding, and otherwise goes to 0 as the window grows.

    Raises:
        ValueError: an empty window.
    """
    incidents, sent, states = log.incidents, log.assignments, log.unit_states
    if to_s is None:
        moments = [incidents["received_s"], incidents["cleared_s"], sent["cleared_s"], states["end_s"]]
        to_s = float(np.nanmax(np.concatenate([m.to_numpy(float) for m in moments] + [np.zeros(1)])))
    if not to_s > from_s:
        raise ValueError(f"a window from {from_s} to {to_s} s, expected a longer one")
    engaged = states[states["state"].isin([state.label for state in ENGAGED])]
    over_s = incidents["ordered_s"].fillna(incidents["cleared_s"])
    # those that were over at the desk waited for no unit
    waited = incidents[~(over_s <= incidents["ready_s"]) | incidents["ordered_s"].notna()]
    stays = {
        "incidents": (incidents["received_s"], incidents["cleared_s"]),
        "waiting": (waited["ready_s"], over_s[waited.index]),
        "engaged": (sent["ordered_s"], sent["cleared_s"]),
    }
    found = {}
    for name, (begin, end) in stays.items():
        # what is not over by the end of the window stays until then
        begin_s, end_s = begin.to_numpy(float), end.fillna(to_s).to_numpy(float)
        came = (begin_s >= from_s) & (begin_s < to_s)
        stayed_s = (np.maximum(end_s, begin_s) - begin_s)[came]
        counted = (begin_s, end_s) if name != "engaged" else tuple(engaged[c].to_numpy(float) for c in STATE_SPAN)
        arrivals_s = float(came.sum()) / (to_s - from_s)
        w_s = float(stayed_s.mean()) if len(stayed_s) else 0.0
        mean = _in_system(counted[0], counted[1], from_s, to_s)
        found[name] = mean, arrivals_s, w_s, mean - arrivals_s * w_s
    return pd.DataFrame.from_dict(found, orient="index", columns=["l", "arrivals_s", "w_s", "difference"])


STATE_SPAN = ("start_s", "end_s")
