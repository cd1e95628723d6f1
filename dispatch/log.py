"""What happened: four tables that everything shown later is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 500_000
"""Written at once."""
TABLES: dict[str, dict[str, str]] = {
    "incidents": {
        "incident_id": "number in the order received, from 0",
        "type": "label of IncidentType",
        "priority": "1 (life at risk) to 4",
        "cell": "code of the grid cell, empty outside",
        "district": "name of the district, empty outside",
        "place_class": "vital, key or general",
        "x_m": "easting in the city's CRS",
        "y_m": "northing",
        "edge": "edge of the network on which it lies",
        "offset_m": "metres from the edge's tail",
        "received_s": "call received, seconds from the run's start (T1)",
        "answered_s": "a desk took the call",
        "ready_s": "the desk was done: a unit could be ordered",
        "ordered_s": "first unit ordered (T2); empty: never",
        "rolling_s": "the unit that stopped the clock was rolling (T3); empty: never",
        "arrived_s": "first arrival of a unit that may act alone: the clock stops; empty: never",
        "present_s": "first arrival of any unit; empty: never",
        "assembled_s": "as many units there as were asked for, backup included; empty: never",
        "cleared_s": "over: dealt with, withdrawn or recognised as a duplicate; empty: not before the end",
        "outcome": "label of Outcome: cleared, false_alarm, duplicate, withdrawn or open",
        "first_unit": "the unit that stopped the clock; empty: none",
        "limit_s": "the standard's limit here",
        "desk_s": "call handling: ready_s - answered_s",
        "units_needed": "units asked for at once",
        "backup": "further units asked for on the scene, 0 where nobody came to ask",
        "duplicate_of": "incident_id of the earlier call about it; empty: none",
    },
    "assignments": {
        "incident_id": "as in incidents",
        "unit_id": "the unit",
        "ordered_s": "it was ordered; one waited for until it was free is ordered when it is free",
        "rolling_s": "it set off; empty: not before the end or the calling off",
        "arrived_s": "it arrived; empty: never",
        "cleared_s": "it was free of the incident: dealt with, handed over or called off; empty: not before the end",
        "travel_m": "length of its route to the scene as it was ordered",
        "expected_s": "seconds from the order to its arrival that the dispatcher reckoned with",
        "edge": "where it was when it was ordered: edge",
        "offset_m": "and metres from the edge's tail",
        "called_off_s": "it was called off, on the way or, preempted, on the scene; empty: it was not",
        "called_off": "why: cleared, withdrawn, preempted, relieved or no_way; empty: it was not",
        "centre": "row of the case-handling centre to which it took somebody; empty: none",
        "left_s": "it left the scene for there; empty: it did not",
        "handed_s": "it was there; empty: it was not",
    },
    "unit_states": {
        "unit_id": "the unit",
        "state": "label of UnitState",
        "start_s": "from",
        "end_s": "to; the next state of a span of duty begins here",
        "incident_id": "the incident that it is for; empty where none",
        "post": "row of the post that it stands at or drives to; -1 with an incident, on patrol, at a meal or cut off",
        "edge": "where it is when the state begins: edge",
        "offset_m": "and metres from the edge's tail",
        "phase_s": "patrolling: seconds into its patrol when the state begins; otherwise 0",
        "pace": "in motion: its seconds for a second of the roads (siren, noise); otherwise 1",
    },
    "units": {
        "unit_id": "the unit",
        "kind": "name of its kind",
        "acts_alone": "whether its arrival stops the clock",
        "echelon": "its tier: 1, 3 or 5 minutes",
        "shift": "name of its shift or team",
        "post": "row of its home post",
        "beat": "its beat, -1: none",
        "duty_s": "seconds that it was to be on duty within the run",
    },
}
"""Every column of every table of a run. `_s` are seconds from the run's start, `_m` metres."""


@dataclass(frozen=True, slots=True, eq=False)
class RunLog:
    """The four tables of `TABLES`; rows by incident, by order given, by unit and time, and by unit."""

    incidents: pd.DataFrame
    assignments: pd.DataFrame
    unit_states: pd.DataFrame
    units: pd.DataFrame

    def write(self, folder: Path) -> None:
        """One Parquet file a table."""
        for name in TABLES:
            table = getattr(self, name)
            schema = pa.Schema.from_pandas(table, preserve_index=False)
            with pq.ParquetWriter(folder / f"{name}.parquet", schema) as file:
                # piece by piece, so that a year of a large city is not held twice
                for first in range(0, max(len(table), 1), ROWS):
                    rows = table.iloc[first : first + ROWS]
                    file.write_table(pa.Table.from_pandas(rows, schema, preserve_index=False))

    @classmethod
    def read(cls, folder: Path) -> RunLog:
        return cls(*(pd.read_parquet(folder / f"{name}.parquet") for name in TABLES))
