"""How incidents ended, and which of them called for a response."""

from __future__ import annotations

import numpy as np
import pandas as pd

from dispatch.incidents import Outcome
from dispatch.log import RunLog
from dispatch.metrics.keys import By, grouped
from dispatch.standard import Clock

RESULTS = ("within", "late", "never_reached", "withdrawn_in_time", "duplicate")
GRACE_S = 1e-3
"""A journey of exactly the limit is not lost to rounding."""


def response_s(log: RunLog, clock: Clock) -> pd.Series:
    """Seconds from the clock's start to the first arrival of a unit that may act alone, one an incident; NaN where none
    arrived."""
    seconds: pd.Series = log.incidents["arrived_s"] - log.incidents[f"{clock}_s"]
    return seconds


def within_limit(log: RunLog, clock: Clock) -> pd.Series:
    """Whether each incident was reached within its limit; one never reached was not."""
    within: pd.Series = response_s(log, clock) <= log.incidents["limit_s"] + GRACE_S
    return within


def called_for(log: RunLog, clock: Clock) -> pd.Series:
    """Whether each incident called for a response: those are the denominator of every share within a limit.

    All do but two sorts. A duplicate is answered with the incident that it is about. An incident that was withdrawn
    before anybody arrived, and before its limit had run out, asks no more; one withdrawn after that is a failure. The
    limit runs from the clock's start; where the unit was not yet ordered, or not yet rolling, from the step before
    that, though not from before a unit could have been ordered (`ready_s`). False alarms call for a response, and so
    do incidents that are still open at the end of the run.
    """
    incidents = log.incidents
    since_s = incidents["received_s"]
    if clock is not Clock.RECEIVED:
        since_s = incidents["ordered_s"].fillna(incidents["ready_s"])
    if clock is Clock.ROLLING:
        since_s = incidents["rolling_s"].fillna(since_s)
    waited_s = incidents["cleared_s"] - since_s
    in_vain = (
        (incidents["outcome"] == Outcome.WITHDRAWN.label)
        & incidents["arrived_s"].isna()
        & ~(waited_s > incidents["limit_s"] + GRACE_S)
    )
    called: pd.Series = ~in_vain & incidents["duplicate_of"].isna()
    return called


def late(log: RunLog, clock: Clock) -> pd.Series:
    """Whether each incident called for a response and was not reached within its limit: late, or never."""
    missed: pd.Series = called_for(log, clock) & ~within_limit(log, clock)
    return missed


def results(log: RunLog, clock: Clock) -> pd.Series:
    """The one of `RESULTS` that each incident is.

    `within` its limit; reached `late`; `never_reached`, though it called for a response; `withdrawn_in_time`, before
    its limit had run out; `duplicate`. Only the first three are in the denominator of a share.
    """
    incidents = log.incidents
    called, within, reached = called_for(log, clock), within_limit(log, clock), incidents["arrived_s"].notna()
    duplicate = incidents["outcome"] == Outcome.DUPLICATE.label
    which = np.select([duplicate, ~called, within, reached], [4, 3, 0, 1], 2)
    named = pd.array(np.array(RESULTS, object), dtype="str").take(which)
    return pd.Series(named, index=incidents.index, name="result")


def results_by(log: RunLog, clock: Clock, by: By = None) -> pd.DataFrame:
    """How many incidents are each of `RESULTS`; one column each."""
    which = results(log, clock)
    rows = log.incidents.assign(**{name: which == name for name in RESULTS})
    return pd.DataFrame(grouped(log, rows, by)[list(RESULTS)].sum())


def outcomes(log: RunLog, by: By = None) -> pd.DataFrame:
    """How many incidents ended in each `Outcome`; one column a label. Each incident ends in exactly one."""
    labels = [outcome.label for outcome in Outcome]
    rows = log.incidents.assign(**{label: log.incidents["outcome"] == label for label in labels})
    return pd.DataFrame(grouped(log, rows, by)[labels].sum())
