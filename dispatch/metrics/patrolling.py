"""Patrol: kilometres, visits, the longest gap and 见警率, from the units' states and their patrols."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from dispatch.log import RunLog
from dispatch.metrics.keys import HOUR_S
from dispatch.patrol import Patrol, presence
from dispatch.units import UnitSpec, UnitState
from geodata.network import Floats, Ints


def _rows(log: RunLog, units: Sequence[UnitSpec]) -> list[tuple[str, Patrol, Floats, Floats, Floats]]:
    """Of each unit that patrols: when it began and ended to, and the phases in which it began."""
    states = log.unit_states[log.unit_states["state"] == UnitState.PATROLLING.label]
    by_unit = dict(iter(states.groupby("unit_id", sort=False)))
    found = []
    for unit in units:
        own = by_unit.get(unit.id)
        if unit.patrol is not None and own is not None:
            start_s, end_s, phase_s = own[["start_s", "end_s", "phase_s"]].to_numpy(float).T
            found.append((unit.id, unit.patrol, start_s, end_s, phase_s))
    return found


def patrol_km(log: RunLog, units: Sequence[UnitSpec], length_m: Floats) -> pd.DataFrame:
    """What each unit of the roster did on patrol: index `unit_id`; `patrol_s`, `km` driven, `rounds` of its patrol.

    Metres between two phases are whole rounds and the parts of rounds at both ends. `length_m`: by edge.
    """
    found = {unit.id: (0.0, 0.0, 0.0) for unit in units}
    for unit, patrol, start_s, end_s, phase_s in _rows(log, units):
        steps_m = np.abs(patrol.to_share - patrol.from_share) * length_m[patrol.edge]
        knots_s, sums_m = np.r_[0.0, patrol.until_s], np.r_[0.0, np.cumsum(steps_m)]

        def driven_m(at_s: Floats, patrol: Patrol = patrol, knots_s: Floats = knots_s, m: Floats = sums_m) -> Floats:
            rounds, rest_s = np.divmod(at_s, patrol.length_s) if patrol.again else (np.zeros(len(at_s)), at_s)
            return np.asarray(rounds * m[-1] + np.interp(rest_s, knots_s, m))

        lasted_s = end_s - start_s
        metres = float((driven_m(phase_s + lasted_s) - driven_m(phase_s)).sum())
        found[unit] = float(lasted_s.sum()), metres / 1000, float(lasted_s.sum()) / patrol.length_s
    return pd.DataFrame.from_dict(found, orient="index", columns=["patrol_s", "km", "rounds"]).rename_axis("unit_id")


def visits(log: RunLog, units: Sequence[UnitSpec]) -> pd.DataFrame:
    """Each time that a unit on patrol was on an edge: `unit_id`, `edge`, `begin_s`, `end_s`."""
    tables = []
    for unit, patrol, start_s, end_s, phase_s in _rows(log, units):
        for begin_s, until_s, phase in zip(start_s.tolist(), end_s.tolist(), phase_s.tolist(), strict=True):
            seen = patrol.visits(phase, phase + until_s - begin_s)
            shift_s = begin_s - phase
            tables.append((unit, seen.edge, seen.begin_s + shift_s, seen.end_s + shift_s))
    if not tables:
        return pd.DataFrame({"unit_id": pd.Series(dtype="str"), "edge": [], "begin_s": [], "end_s": []})
    names = np.repeat(np.array([table[0] for table in tables], object), [len(table[1]) for table in tables])
    edge, begin, end = (np.concatenate([table[i] for table in tables]) for i in (1, 2, 3))
    return pd.DataFrame({"unit_id": pd.array(names, dtype="str"), "edge": edge, "begin_s": begin, "end_s": end})


def presence_by_place(
    log: RunLog, units: Sequence[UnitSpec], place_of_edge: Ints, n_places: int, from_s: float, to_s: float
) -> pd.DataFrame:
    """How often places see a patrol between two seconds of the run; one row a place, from 0.

    Args:
        place_of_edge: (m,) the place that each edge belongs to, such as its street or a key segment; -1: none.

    Columns: `visits` (those that overlap or touch are one); `longest_gap_s`, without anybody, the whole span where
    nobody comes; `seen_share` (见警率): of the hours since `from_s`, the share in which somebody was there.
    """
    found = visits(log, units)
    place = place_of_edge[found["edge"].to_numpy(np.int64)]
    begin_s, end_s = found["begin_s"].to_numpy(float), found["end_s"].to_numpy(float)
    inside = (place >= 0) & (begin_s < to_s) & (end_s > from_s)
    place, begin_s, end_s = place[inside], np.maximum(begin_s[inside], from_s), np.minimum(end_s[inside], to_s)
    seen = presence(place, begin_s, end_s, n_places, from_s, to_s)
    hours = int(np.ceil((to_s - from_s) / HOUR_S))
    first = ((begin_s - from_s) // HOUR_S).astype(np.int64)
    # who leaves on the stroke was not there in the next hour
    last = np.maximum(np.ceil((end_s - from_s) / HOUR_S).astype(np.int64) - 1, first)
    lasting = last - first + 1
    place_hours = np.repeat(place.astype(np.int64) * hours + first, lasting)
    place_hours += np.arange(len(place_hours)) - np.repeat(np.cumsum(lasting) - lasting, lasting)
    share = np.bincount(np.unique(place_hours) // hours, minlength=n_places) / hours
    return pd.DataFrame(
        {"visits": seen.visits, "longest_gap_s": seen.longest_gap_s, "seen_share": share},
        index=pd.RangeIndex(n_places, name="place"),
    )
