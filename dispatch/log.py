"""What happened: three tables that everything shown later is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

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
        "received_s": "call received, seconds from the run's start (T1)",
        "ordered_s": "first unit ordered (T2); empty: never",
        "rolling_s": "the unit that arrived first was rolling (T3); empty: never",
        "arrived_s": "first arrival on scene; empty: never",
        "cleared_s": "dealt with, all units free; empty: not before the end",
        "first_unit": "the unit that arrived first; empty: none",
        "limit_s": "the standard's limit here",
        "desk_s": "call handling before the first order could be given",
        "units_needed": "units asked for",
    },
    "assignments": {
        "incident_id": "as in incidents",
        "unit_id": "the unit",
        "ordered_s": "it was ordered",
        "rolling_s": "it set off; empty: not before the end or the cancelling",
        "arrived_s": "it arrived; empty: never",
        "cleared_s": "it was free again; empty: not before the end",
        "travel_m": "length of its route to the scene",
        "cancelled_s": "it was called off on the way; empty: it was not",
    },
    "unit_states": {
        "unit_id": "the unit",
        "state": "idle, turn_out, travelling, on_scene or returning",
        "start_s": "from",
        "end_s": "to; the next state of a span of duty begins here",
        "incident_id": "the incident it is for; empty where none",
    },
}
"""Every column of every table of a run. `_s` are seconds from the run's start, `_m` metres."""


@dataclass(frozen=True, slots=True, eq=False)
class RunLog:
    """The three tables of `TABLES`; rows by incident, by order given, and by unit and time."""

    incidents: pd.DataFrame
    assignments: pd.DataFrame
    unit_states: pd.DataFrame

    def write(self, folder: Path) -> None:
        """One Parquet file a table."""
        for name in TABLES:
            getattr(self, name).to_parquet(folder / f"{name}.parquet", index=False)

    @classmethod
    def read(cls, folder: Path) -> RunLog:
        return cls(*(pd.read_parquet(folder / f"{name}.parquet") for name in TABLES))
