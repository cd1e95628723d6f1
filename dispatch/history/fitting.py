"""Fitting a demand to a history.

The rates are Poisson, each shrunk by a Gamma prior towards what its surroundings say (empirical Bayes: Clayton and
Kaldor, Biometrics 43, 1987): with n events where the prior expects m, the rate is the expected one times
(n + α) / (m + α). The shape α is found by maximum likelihood of the counts, which are negative binomial then, so that
the data tell how far they may depart from the prior. Three steps, for each type:

1. hours of the week: the prior is a kernel over the neighbouring hours, cyclic in the week, and the same hour on
   other days;
2. cells: all types together shrink towards the metres of road, each type towards all types;
3. type, cell and hour: the prior is the product of the two margins; a triangular kernel of `BLOCK_H` hours, cyclic in
   the week, gathers both n and m (local likelihood: Tibshirani and Hastie, JASA 82, 1987).

The rates of a type in an hour of the week, over all cells, are those of step 1, scaled so that the total is kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import gammaln

from dispatch.history.durations import Lognormals
from dispatch.history.fitted import BLOCK_H, WEEK_H, FittedDemand, cells_of
from dispatch.history.record import Count, History
from dispatch.incidents import Floats, IncidentType
from geodata.city import City
from geodata.errors import Fault, InputError

_LAGS = {1: 1.0, 2: 0.5} | {24 * day: 0.25 for day in (1, 2, 3)}
"""Weights of the hours before and after in the prior of an hour; half as much for the hour on other days. Assumed."""
_LARGEST_SHAPE = 1e6
"""Counts that vary no more than Poisson's leave the prior as it is."""
LEAST_A_DAY = 10.0
"""With so many calls a day, a day without any is none in 20,000. Assumed."""
MOST_EXAMPLES = 5
_TURN_OUT_S, _TURN_OUT_CV = 30.0, 0.5
"""Of a kind of unit where nothing is recorded. Assumed."""


def fit_demand(
    history: History, city: City, *, start: datetime | None = None, end: datetime | None = None
) -> FittedDemand:
    """Fit the demand of a city from what was received from `start` until `end`, whole hours of local time; the whole
    days of the history if they are left out. See the head of this file.

    Days without any call are gaps of the record where there are many on other days: exports are cut to months, and one
    wrong year must not thin out all rates. Incidents without a place count in the hours, and are spread over the cells
    as the others of their type are.

    Raises:
        InputError: no incident with a place in that time.
    """
    begin, until = start or history.start, end or history.end
    if begin >= until or any(
        (moment.minute, moment.second, moment.microsecond) != (0, 0, 0) for moment in (begin, until)
    ):
        raise ValueError(f"from {begin} to {until}: expected whole hours, the earlier one first")
    part = history.between(begin, until)
    row, positions, n_far = part.placed(city)
    cell = cells_of(city, positions)
    chosen = part.asks_for_a_unit[row] & (cell >= 0)
    row, cell = row[chosen], cell[chosen]
    n = int(part.asks_for_a_unit.sum())
    if not len(row):
        found = f"no incident with a place in {city.name} from {begin:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M}"
        mend = "Choose another time, or the city that the history was imported for."
        raise InputError(Fault("history", "incidents", found, "some to fit a demand from", mend))
    hour = _hour_of_week(part.calls["received"].to_numpy())
    observed_h, gaps = _observed_h(part, begin, until)
    n_types, n_cells = len(IncidentType), len(city.grid)
    asks = part.asks_for_a_unit
    by_hour = np.bincount(part.type[asks] * WEEK_H + hour[asks], minlength=n_types * WEEK_H).reshape(n_types, WEEK_H)
    by_cell = np.bincount(part.type[row] * n_cells + cell, minlength=n_types * n_cells).reshape(n_types, n_cells)
    hourly = np.array([_hourly(counts, observed_h) for counts in by_hour.astype(float)])
    cell_share = _cell_shares(by_cell.astype(float), city.road_m_by_cell)
    at = (part.type[row] * n_cells + cell) * WEEK_H + hour[row]
    where, number = np.unique(at, return_counts=True)
    seen = np.column_stack([where // (n_cells * WEEK_H), where // WEEK_H % n_cells, where % WEEK_H, number])
    placed_h = hourly * observed_h * (by_cell.sum(axis=1) / np.maximum(by_hour.sum(axis=1), 1))[:, None]
    shape = np.array([_shape_of_blocks(seen[seen[:, 0] == t], cell_share[t], placed_h[t]) for t in range(n_types)])
    kinds, kind = np.unique(part.assignments["unit_kind"].to_numpy(object).astype(str), return_inverse=True)
    counts = (
        Count(
            kind="calls that ask for no unit (duplicate or invalid)", rows=len(part) - n, of=len(part), done="left out"
        ),
        Count(
            kind="incidents without a place in the city's cells",
            rows=n - len(row),
            of=n,
            done="spread over the cells as the others of their type",
        ),
        Count(kind="incidents far from any street", rows=n_far, of=len(part), done="among those without a place"),
        Count(
            kind="days without any call",
            rows=len(gaps),
            of=-((begin - until) // timedelta(days=1)),
            done="taken as gaps of the record, not as quiet days",
            examples=tuple(str(day) for day in gaps[:MOST_EXAMPLES]),
        ),
        Count(
            kind="hours of the week that were not observed",
            rows=int((observed_h == 0).sum()),
            of=WEEK_H,
            done="taken from the hours about them and the same hour of other days",
        ),
    )
    return FittedDemand(
        cell_codes=city.grid.codes.astype(str),
        hourly=hourly,
        cell_share=cell_share,
        shape=shape,
        observed_h=observed_h,
        seen=seen.astype(np.int64),
        desk=part.desk_times,
        on_scene=part.on_scene_times,
        turn_out=Lognormals.fit(part.turn_out_s, kind, [_TURN_OUT_S] * len(kinds), _TURN_OUT_CV),
        unit_kinds=tuple(kinds.tolist()),
        priority_share=part.priority_share,
        second_unit_share=part.second_unit_share,
        start=begin,
        end=until,
        counts=tuple(count for count in counts if count.rows),
    )


def _observed_h(part: History, begin: datetime, until: datetime) -> tuple[Floats, NDArray[np.datetime64]]:
    """(168,) how often each hour of the week was observed between two moments, and the days in which nothing was: those
    without any call, where a day with calls has `LEAST_A_DAY` of them on average."""
    hour = np.arange(np.datetime64(begin, "h"), np.datetime64(until, "h"))
    days, calls = np.unique(part.calls["received"].to_numpy("datetime64[D]"), return_counts=True)
    seen = np.isin(hour.astype("datetime64[D]"), days) | (calls.mean() < LEAST_A_DAY)
    gaps = np.unique(hour[~seen].astype("datetime64[D]"))
    return np.bincount(_hour_of_week(hour[seen]), minlength=WEEK_H).astype(float), gaps


def _hour_of_week(at: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """From Monday 0:00; the first Monday that numpy knows is 5 January 1970."""
    hours = at.astype("datetime64[h]") - np.datetime64("1970-01-05T00", "h")
    return np.asarray(hours.astype(np.int64) % WEEK_H)


def _hourly(n: Floats, observed_h: Floats) -> Floats:
    """(168,) events an hour: step 1. One hour at the mean rate is added to the kernel, so that no prior is 0."""
    total = n.sum()
    if not total:
        return np.zeros(WEEK_H)
    mean = total / observed_h.sum()
    events, hours = np.full(WEEK_H, mean), np.ones(WEEK_H)
    for lag, weight in _LAGS.items():
        for shift in (lag, -lag):
            events += weight * np.roll(n, shift)
            hours += weight * np.roll(observed_h, shift)
    prior = events / hours
    m = prior * observed_h
    rate = prior * _shrunk(n, m, _shape(n, m))
    return np.asarray(rate * total / (rate * observed_h).sum())


def _cell_shares(n: Floats, road_m: Floats) -> Floats:
    """(T, C) shares of the cells in each type: step 2."""
    every = n.sum(axis=0)
    m = every.sum() * road_m / road_m.sum()
    share = m * _shrunk(every, m, _shape(every, m))
    share /= share.sum()
    found = []
    for of_type in n:
        m = of_type.sum() * share
        own = share * _shrunk(of_type, m, _shape(of_type, m))
        found.append(own / own.sum())
    return np.array(found)


def _shape_of_blocks(seen: NDArray[np.int64], share: Floats, by_hour: Floats) -> float:
    """α of a type in step 3, from blocks of `BLOCK_H` hours, as wide as the kernel."""
    n = np.zeros((len(share), WEEK_H // BLOCK_H))
    np.add.at(n, (seen[:, 1], seen[:, 2] // BLOCK_H), seen[:, 3])
    m = share[:, None] * by_hour.reshape(-1, BLOCK_H).sum(axis=1)
    return _shape(n.reshape(-1), m.reshape(-1))


def _shrunk(n: Floats, m: Floats, alpha: float) -> Floats:
    """What the expected m are multiplied by."""
    return (n + alpha) / (m + alpha)


def _shape(n: Floats, m: Floats) -> float:
    """The α that makes counts n with Gamma-Poisson laws of means m most likely, up to `_LARGEST_SHAPE`."""
    some = m > 0
    n, m = n[some], m[some]
    hit = n > 0
    n_hit, m_hit = n[hit], m[hit]
    if not len(n_hit):
        return _LARGEST_SHAPE

    def unlikely(log_alpha: float) -> float:
        alpha = np.exp(log_alpha)
        each = gammaln(n_hit + alpha) - gammaln(alpha) + n_hit * np.log(m_hit / (m_hit + alpha))
        return float(alpha * np.log1p(m / alpha).sum() - each.sum())

    found = minimize_scalar(unlikely, bounds=(np.log(1e-3), np.log(_LARGEST_SHAPE)), method="bounded")
    return float(np.exp(found.x))
