"""What the engine writes down while it runs, and the tables made of it when the run is over."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from dispatch.incidents import IncidentType, Outcome
from dispatch.log import RunLog
from dispatch.problem import Problem
from dispatch.units import Span, UnitState
from geodata.compiled import compiled
from geodata.grid import Level
from geodata.network import Floats, Ints
from geodata.positions import Position
from geodata.sites import PlaceClass

# the values of an assignment and of a state, one row after the other in flat arrays
ASSIGNMENT = 15
(
    INCIDENT, UNIT, ORDERED, ROLLING, ARRIVED, CLEARED, TRAVEL, EXPECTED, FROM_EDGE, FROM_M, CALLED_OFF, WHY, CENTRE,
    LEFT, HANDED,
) = range(ASSIGNMENT)  # fmt: skip
NUMBERS, VALUES = 5, 3
STATE_UNIT, STATE_OF, STATE_INCIDENT, STATE_POST, STATE_EDGE = range(NUMBERS)
START, STATE_M, EXTRA = range(VALUES)
OFF_DUTY = max(UnitState) + 1
"""In place of a state: the unit has gone home."""
CALLED_OFF_WHY = ("cleared", "withdrawn", "preempted", "relieved", "no_way")
BY_CLEARED, BY_WITHDRAWN, BY_PREEMPTED, BY_RELIEVED, BY_NO_WAY = range(len(CALLED_OFF_WHY))

Texts = pd.api.extensions.ExtensionArray


class Journal:
    """Flat arrays that only grow. What a unit will do next is written down at once, with the second at which it will
    begin; if something else comes first, the later entry that begins earlier makes it void."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        n = len(problem.incidents)
        # plain arrays of doubles: as quick as lists to write and read one by one, in a third of the memory
        self.ordered_s, self.rolling_s, self.arrived_s, self.present_s, self.assembled_s, self.cleared_s = (
            array("d", [nan]) * n for _ in range(6)
        )
        self.outcome = bytearray([Outcome.OPEN]) * n
        self.first_unit = array("i", [-1]) * n
        self.assignments = array("d")
        self._state_numbers, self._state_values = array("i"), array("d")

    def assign(
        self, incident: int, unit: int, ordered_s: float, rolling_s: float, travel_m: float, expected_s: float,
        where: Position,
    ) -> int:  # fmt: skip
        """Note an order; the place of its row."""
        at = len(self.assignments)
        self.assignments.extend(
            (incident, unit, ordered_s, rolling_s, nan, nan, travel_m, expected_s, *where, nan, -1.0, -1.0, nan, nan)
        )
        return at

    def state(
        self, unit: int, state: int, start_s: float, where: Position, incident: int = -1, post: int = -1,
        extra: float = 0.0,
    ) -> None:  # fmt: skip
        """Note what a unit does from a second on. `extra`: phase of a patrol, or the pace of who is in motion."""
        edge, offset_m = where
        self._state_numbers.extend((unit, state, incident, post, edge))
        self._state_values.extend((start_s, offset_m, extra))

    def take(self, assignments: Floats, numbers: Ints, values: Floats) -> None:
        """Note what was written elsewhere in the same columns, row after row."""
        self.assignments.frombytes(assignments.tobytes())
        self._state_numbers.frombytes(numbers.tobytes())
        self._state_values.frombytes(values.tobytes())

    def tables(self, answered_s: Floats, ready_s: Floats, backup_asked: Sequence[int], end_s: float) -> RunLog:
        """The log, when the run is over; the journal is empty then."""
        unit_ids = texts([unit.id for unit in self._problem.units])
        states = self._unit_states(unit_ids, end_s)
        # the journal of a year is as large as its tables: what is done with is let go
        self._state_numbers, self._state_values = array("i"), array("d")
        assignments = self._assignments(unit_ids, end_s)
        self.assignments = array("d")
        incidents = self._incidents(unit_ids, answered_s, ready_s, backup_asked)
        return RunLog(incidents, assignments, states, self._units(unit_ids))

    def _incidents(
        self, unit_ids: Texts, answered_s: Floats, ready_s: Floats, backup_asked: Sequence[int]
    ) -> pd.DataFrame:
        incidents, grid = self._problem.incidents, self._problem.grid
        # the last text is taken by -1: no cell, no unit
        if grid is None:
            codes = districts = texts([""])
        else:
            codes, districts = texts([*grid.codes, ""]), texts([*grid.ancestor(Level.DISTRICT), ""])
        cell = incidents.cell if grid is not None else np.full(len(incidents), -1)
        duplicate_of = pd.arrays.IntegerArray(incidents.duplicate_of.astype(np.int64), incidents.duplicate_of < 0)
        return pd.DataFrame(
            {
                "incident_id": np.arange(len(incidents)),
                "type": texts([t.label for t in IncidentType]).take(incidents.type),
                "priority": incidents.priority,
                "cell": codes.take(cell),
                "district": districts.take(cell),
                "place_class": texts([c.label for c in PlaceClass]).take(incidents.place_class),
                "x_m": incidents.xy_m[:, 0],
                "y_m": incidents.xy_m[:, 1],
                "edge": incidents.positions.edge,
                "offset_m": incidents.positions.offset_m,
                "received_s": incidents.received_s,
                "answered_s": answered_s,
                "ready_s": ready_s,
                "ordered_s": np.frombuffer(self.ordered_s),
                "rolling_s": np.frombuffer(self.rolling_s),
                "arrived_s": np.frombuffer(self.arrived_s),
                "present_s": np.frombuffer(self.present_s),
                "assembled_s": np.frombuffer(self.assembled_s),
                "cleared_s": np.frombuffer(self.cleared_s),
                "outcome": texts([o.label for o in Outcome]).take(np.frombuffer(self.outcome, np.uint8)),
                "first_unit": _with_none(unit_ids).take(np.frombuffer(self.first_unit, np.int32)),
                "limit_s": incidents.limit_s,
                "desk_s": incidents.desk_s,
                "units_needed": incidents.units_needed,
                "backup": np.array(backup_asked, np.uint8),
                "duplicate_of": duplicate_of,
            }
        )

    def _assignments(self, unit_ids: Texts, end_s: float) -> pd.DataFrame:
        rows = np.frombuffer(self.assignments).reshape(-1, ASSIGNMENT)
        rolling_s = rows[:, ROLLING].copy()
        rolling_s[(rolling_s > rows[:, CALLED_OFF]) | (rolling_s > end_s)] = nan
        centre = pd.arrays.IntegerArray(rows[:, CENTRE].astype(np.int64), rows[:, CENTRE] < 0)
        return pd.DataFrame(
            {
                "incident_id": rows[:, INCIDENT].astype(np.int64),
                "unit_id": unit_ids.take(rows[:, UNIT].astype(int)),
                "ordered_s": rows[:, ORDERED],
                "rolling_s": rolling_s,
                "arrived_s": rows[:, ARRIVED],
                "cleared_s": rows[:, CLEARED],
                "travel_m": rows[:, TRAVEL],
                "expected_s": rows[:, EXPECTED],
                "edge": rows[:, FROM_EDGE].astype(np.int32),
                "offset_m": rows[:, FROM_M],
                "called_off_s": rows[:, CALLED_OFF],
                "called_off": texts([*CALLED_OFF_WHY, None]).take(rows[:, WHY].astype(int)),
                "centre": centre,
                "left_s": rows[:, LEFT],
                "handed_s": rows[:, HANDED],
            }
        )

    def _unit_states(self, unit_ids: Texts, end_s: float) -> pd.DataFrame:
        # column by column, as a year of a large city has millions of rows
        numbers = np.frombuffer(self._state_numbers, np.int32).reshape(-1, NUMBERS)
        values = np.frombuffer(self._state_values).reshape(-1, VALUES)
        by_unit = np.argsort(numbers[:, STATE_UNIT], kind="stable").astype(np.int32)
        stop_s = _stops(numbers[by_unit, STATE_UNIT], values[by_unit, START], end_s)
        lasting = (stop_s > values[by_unit, START]) & (numbers[by_unit, STATE_OF] != OFF_DUTY)
        row, stop_s = by_unit[lasting], stop_s[lasting]
        del by_unit, lasting
        state, incident = numbers[row, STATE_OF].astype(np.uint8), numbers[row, STATE_INCIDENT]
        extra, on_patrol = values[row, EXTRA], state == UnitState.PATROLLING
        columns = {
            "unit_id": unit_ids.take(numbers[row, STATE_UNIT]),
            "state": texts([s.label for s in UnitState]).take(state),
            "start_s": values[row, START],
            "end_s": stop_s,
            "incident_id": pd.arrays.IntegerArray(incident.astype(np.int64), incident < 0),
            "post": numbers[row, STATE_POST],
            "edge": numbers[row, STATE_EDGE],
            "offset_m": values[row, STATE_M],
            "phase_s": np.where(on_patrol, extra, 0.0),
            "pace": np.where(on_patrol | (extra == 0), 1.0, extra),
        }
        return pd.DataFrame(columns, copy=False)

    def _units(self, unit_ids: Texts) -> pd.DataFrame:
        units, horizon_s = self._problem.units, self._problem.horizon_s
        duties = [unit.duty if unit.duty is not None else (Span(0.0, horizon_s),) for unit in units]
        return pd.DataFrame(
            {
                "unit_id": unit_ids,
                "kind": texts([unit.kind.name for unit in units]),
                "acts_alone": [unit.kind.acts_alone for unit in units],
                "echelon": np.array([unit.kind.echelon for unit in units], np.uint8),
                "shift": texts([unit.shift for unit in units]),
                "post": np.array([unit.post for unit in units], np.int32),
                "beat": np.array([unit.beat for unit in units], np.int32),
                "duty_s": np.array(
                    [sum(max(min(s.end_s, horizon_s) - s.begin_s, 0.0) for s in duty) for duty in duties], float
                ),
            }
        )


@compiled
def _stops(unit: Any, start_s: Any, end_s: float) -> Any:
    """When each state ends: where the earliest of the same unit's later entries begins. Rows by unit, as written."""
    stop_s = np.empty(len(unit))
    for i in range(len(unit) - 1, -1, -1):
        stop_s[i] = end_s
        if i + 1 < len(unit) and unit[i + 1] == unit[i]:
            stop_s[i] = min(start_s[i + 1], stop_s[i + 1])
    return stop_s


def texts(values: Sequence[str | None]) -> Texts:
    return pd.array(np.array(values, object), dtype="str")


def _with_none(values: Texts) -> Texts:
    """The texts and a missing one, which -1 takes."""
    return texts([*values, None])
