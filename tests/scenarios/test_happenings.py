"""What happens: response plans, what becomes of incidents, histories replayed and demand that was fitted to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dispatch.engine import simulate
from dispatch.history.cad import read_cad
from dispatch.history.cadwords import CadMapping
from dispatch.history.fitting import fit_demand
from dispatch.incidents import IncidentType
from dispatch.problem import ANYBODY_SWORN
from dispatch.units import Role
from geodata.city import City
from geodata.crs import LONLAT, project
from geodata.errors import Fault, InputError
from geodata.sites import Sites
from scenarios.build import build_problem
from scenarios.schema import Scenario

TYPES = {"crime": "刑事", "traffic": "交通", "help": "求助"}


def scenario(demand: Any = None, **parts: Any) -> Scenario:
    given = {"name": "test", "city": {"synthetic_seed": 1}, "run": {"days": 1}, "units": {"count": 6}}
    return Scenario.model_validate(given | {"demand": demand or {"incidents_per_day": 200}} | parts)


def faults(asked: Scenario, city: City) -> tuple[Fault, ...]:
    with pytest.raises(InputError) as caught:
        build_problem(asked, city)
    return caught.value.faults


def test_a_plan_tells_the_roles_of_a_priority_and_how_many_come(small_city: City) -> None:
    plan = {"priority": 1, "roles": [{}, {"skill": "armed"}, {"acts_alone": False, "kinds": ["guards"]}]}
    groups = [{"name": kind, "kind": kind, "count": 2} for kind in ("patrol_car", "armed_patrol", "guards")]
    asked = scenario({"incidents_per_day": 200, "plans": [plan]}, units={"groups": groups})
    problem = build_problem(asked, small_city)
    armed, guards = Role(skill="armed"), Role(acts_alone=False, kinds=frozenset({"guards"}))
    assert problem.plans == (ANYBODY_SWORN, (Role(), armed, guards))
    first = problem.incidents.priority == 1
    assert first.any()
    assert set(problem.incidents.plan[first]) == {1}
    assert set(problem.incidents.plan[~first]) == {0}
    assert set(problem.incidents.units_needed[first]) == {3}
    assert set(problem.incidents.units_needed[~first]) == {1}
    log = simulate(problem)
    ids = log.incidents.loc[log.incidents["priority"] == 1, "incident_id"]
    sent = log.assignments[log.assignments["incident_id"].isin(ids)].merge(log.units, on="unit_id")
    assert (sent.groupby("incident_id")["kind"].agg(set).map(len) > 1).all()


def test_a_role_that_no_unit_fills_is_refused(small_city: City) -> None:
    plans = [
        {"priority": 1, "roles": [{}, {"skill": "armed"}]},
        {"priority": 2, "roles": [{"kinds": ["motorcycle"]}, {"kinds": ["tank"]}]},
    ]
    found = faults(scenario({"plans": plans}), small_city)
    assert [fault.place for fault in found] == [
        "demand.plans[0].roles[1]",
        "demand.plans[1].roles[0]",
        "demand.plans[1].roles[1].kinds",
        "demand.plans[1].roles[1]",
    ]
    assert "there are patrol_car" in found[0].found


def test_units_none_of_which_may_act_alone_are_refused(small_city: City) -> None:
    (fault,) = faults(scenario(units={"kind": "guards", "count": 3}), small_city)
    assert "may act alone" in fault.expected


def test_what_becomes_of_incidents_is_what_the_scenario_says(small_city: City) -> None:
    whole = dict.fromkeys(("crime", "public_order", "traffic", "dispute", "help", "other"), 1.0)
    asked = scenario(
        {
            "incidents_per_day": 200,
            "units_at_once": {"p3": 3},
            "backup_share": {"p4": 1.0},
            "false_alarm_share": whole | {"help": 0.0},
            "false_alarm_min": 5,
            "duplicate_share": 0.5,
            "withdrawn_share": 0.5,
        }
    )
    incidents = build_problem(asked, small_city).incidents
    first = incidents.duplicate_of < 0
    assert 0 < (~first).sum() < first.sum()
    assert set(incidents.units_needed[incidents.priority == 3]) == {3}
    assert set(incidents.backup[incidents.priority == 4]) == {1}
    assert (incidents.false_alarm == (incidents.type != IncidentType.HELP)).all()
    assert 200 < incidents.on_scene_s[incidents.false_alarm].mean() < 400
    assert 0.3 < np.isfinite(incidents.withdrawn_s[first]).mean() < 0.7


def test_custody_ends_at_a_case_handling_centre(small_city: City) -> None:
    asked = scenario({"incidents_per_day": 200, "custody_share": {"traffic": 1.0}, "custody_min": 10})
    (fault,) = faults(asked, small_city)
    assert "case_centre" in fault.expected
    table = small_city.sites.table.copy()
    table.loc[3, "kind"] = "case_centre"
    problem = build_problem(asked, replace(small_city, sites=Sites(table)))
    assert problem.centres is not None
    assert len(problem.centres) == 1
    traffic = problem.incidents.type == IncidentType.TRAFFIC
    assert ((problem.incidents.custody_s > 0) == traffic).all()
    log = simulate(problem)
    assert "transporting" in set(log.unit_states["state"])
    assert build_problem(scenario(), replace(small_city, sites=Sites(table))).centres is None


@pytest.fixture(scope="module")
def recorded(small_city: City, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a history of two days, and the demand fitted to it."""
    folder = tmp_path_factory.mktemp("recorded")
    n = 400
    received = pd.date_range("2024-05-06", periods=n, freq="432s")
    lonlat = project(small_city.network.node_xy_m[np.linspace(0, 398, n).astype(int)], small_city.network.epsg, LONLAT)
    table = {
        "警情编号": np.arange(n),
        "报警时间": received,
        "派警时间": received + pd.Timedelta(seconds=70),
        "到达时间": received + pd.Timedelta(seconds=300),
        "反馈时间": received + pd.Timedelta(seconds=1500),
        "警情类别": np.resize(list(TYPES.values()), n),
        "警情级别": 1 + np.arange(n) % 4,
        "经度": lonlat[:, 0],
        "纬度": lonlat[:, 1],
    }
    pd.DataFrame(table).to_csv(folder / "cad.csv", index=False)
    history = read_cad([folder / "cad.csv"], small_city, CadMapping())
    history.save(folder / "history")
    fit_demand(history, small_city, start=history.start, end=history.end).save(folder / "demand")
    return folder


def test_a_history_is_replayed_with_the_plans_of_the_scenario(small_city: City, recorded: Path) -> None:
    plan = {"priority": 1, "roles": [{}, {}, {}]}
    day = {"start": datetime(2024, 5, 7), "days": 0.5}
    asked = scenario({"history": str(recorded / "history"), "plans": [plan]}, run=day)
    incidents = build_problem(asked, small_city).incidents
    assert incidents.received_s.tolist() == (432.0 * np.arange(100)).tolist()
    assert set(incidents.desk_s) == {70.0}
    assert (incidents.units_needed[incidents.priority == 1] == 3).all()
    assert set(incidents.plan[incidents.priority == 1]) == {1}
    again = build_problem(asked, small_city, replication=3).incidents
    assert again.received_s.tolist() == incidents.received_s.tolist()


def test_a_history_of_another_time_is_refused(small_city: City, recorded: Path) -> None:
    (fault,) = faults(scenario({"history": str(recorded / "history")}), small_city)
    assert "2024-05-06" in fault.mend


def test_incidents_are_drawn_from_a_fitted_demand(small_city: City, recorded: Path) -> None:
    asked = scenario(
        {"fitted": str(recorded / "demand"), "duplicate_share": 0.3, "plans": [{"priority": 2, "roles": [{}, {}]}]},
        dispatch={"move_up": "dmexclp"},
    )
    problem = build_problem(asked, small_city)
    incidents, first = problem.incidents, problem.incidents.duplicate_of < 0
    assert 120 < first.sum() < 280
    assert set(incidents.type) <= {IncidentType.CRIME, IncidentType.TRAFFIC, IncidentType.HELP}
    assert (~first).any()
    second = incidents.duplicate_of[~first]
    assert (incidents.units_needed[~first] == incidents.units_needed[second]).all()
    assert (incidents.units_needed[incidents.priority == 2] >= 2).all()
    assert not incidents.backup.any()
    assert problem.cover is not None
    other = build_problem(asked, small_city, replication=1).incidents
    assert len(other) != len(incidents) or other.received_s.tolist() != incidents.received_s.tolist()


IN_VAIN = {"units_at_once": {"p3": 2}, "backup_share": {"p3": 0.5}, "type_share": {"crime": 0.05, "other": 0.22}}
"""Beside any records,"""
OF_LIFE = {"false_alarm_share": {"help": 0.1}, "duplicate_share": 0.1, "withdrawn_min": 5, "custody_share": {"help": 1}}
"""and beside a history."""


def test_keys_that_have_no_effect_beside_a_history_are_refused(small_city: City, recorded: Path) -> None:
    found = faults(scenario({"history": str(recorded / "history")} | IN_VAIN | OF_LIFE), small_city)
    assert {fault.place for fault in found} == {f"demand.{name}" for name in (*IN_VAIN, *OF_LIFE)}
    (told,) = [fault for fault in found if fault.place == "demand.duplicate_share"]
    assert told.found == "a value beside `history`"
    assert told.mend == "Remove `duplicate_share`, or `history`."


def test_beside_a_fitted_demand_incidents_have_a_life_and_nothing_else_is_stated(
    small_city: City, recorded: Path
) -> None:
    life = {name: value for name, value in OF_LIFE.items() if name != "custody_share"}
    asked = {"fitted": str(recorded / "demand")}
    incidents = build_problem(scenario(asked | life), small_city).incidents
    assert incidents.false_alarm.any()
    found = faults(scenario(asked | life | IN_VAIN), small_city)
    assert {fault.place for fault in found} == {f"demand.{name}" for name in IN_VAIN}
    assert all(fault.mend.endswith("or `fitted`.") for fault in found)


def test_a_replay_as_resolved_states_all_defaults_and_is_not_refused(small_city: City, recorded: Path) -> None:
    day = {"start": datetime(2024, 5, 7), "days": 0.5}
    asked = scenario({"history": str(recorded / "history")}, run=day)
    again = Scenario.model_validate(asked.model_dump(exclude_none=True))
    assert len(build_problem(again, small_city).incidents) == 100


def test_a_folder_that_holds_no_history_is_refused(small_city: City, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="patrol history import"):
        build_problem(scenario({"history": str(tmp_path)}), small_city)
