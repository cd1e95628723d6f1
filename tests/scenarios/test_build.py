"""From a scenario and a city to a problem."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace
from typing import Any

import geopandas as gpd
import numpy as np
import pytest

from dispatch.demand import Demand
from dispatch.policies.registry import POLICIES
from dispatch.standard import ResponseStandard
from dispatch.units import UnitSpec
from geodata.city import City
from geodata.driving import OBEY_ALL
from geodata.errors import InputError
from geodata.grid import Grid
from geodata.positions import Positions
from geodata.sites import Posts
from geodata.speeds import SpeedProfile
from scenarios.build import build_problem, check_fit, standard_of
from scenarios.forces import deal, forces_of
from scenarios.happenings import demand_of
from scenarios.roads import rules_of, speeds_of, travels_of
from scenarios.schema import Scenario


def scenario(**parts: Any) -> Scenario:
    given = {"name": "test", "city": {"synthetic_seed": 1}, "run": {"days": 0.5}, "demand": {"incidents_per_day": 200}}
    return Scenario.model_validate(given | parts)


def units_of(asked: Scenario, city: City, n_units: int | None = None) -> tuple[UnitSpec, ...]:
    return forces_of(asked, city, travels_of(asked, city), n_units).units


def test_the_defaults_of_a_scenario_are_those_of_the_model(small_city: City) -> None:
    demand = demand_of(scenario(), small_city)
    for field in fields(Demand):
        if field.name != "incidents_per_day":
            assert getattr(demand, field.name) == getattr(Demand(incidents_per_day=200), field.name), field.name
    assert standard_of(scenario()) == ResponseStandard()
    np.testing.assert_array_equal(speeds_of(scenario()).kmh, SpeedProfile().kmh)
    assert speeds_of(scenario()).off_peak_kmh == SpeedProfile().off_peak_kmh
    unit, default = units_of(scenario(), small_city)[2], UnitSpec(id="", post=0)
    assert small_city.posts.table["kind"][unit.post] == "room"
    for name in ("kind", "turn_out_post_s", "turn_out_mobile_s", "patrol", "meals", "outages", "standby", "beat"):
        assert getattr(unit, name) == getattr(default, name), name


def test_a_rate_by_residents_becomes_one_by_day(small_city: City) -> None:
    demand = demand_of(scenario(demand={"per_1000_residents_a_year": 365}), small_city)
    assert demand.incidents_per_day == pytest.approx(10_000 / 1000)


def test_what_a_scenario_states_reaches_the_problem(small_city: City) -> None:
    problem = build_problem(
        scenario(
            standard={"limits_s": {"key": 200}, "headline": "received"},
            speeds={"off_peak_kmh": {"arterial": 40}, "night_factor": 2.0},
            dispatch={"policy": "straight_line"},
            run={"start": scenario().run.start.replace(hour=20), "days": 0.5, "seed": 4},
        ),
        small_city,
    )
    assert problem.policy.func is POLICIES["straight_line"]
    assert problem.standard.headline == "received"
    assert set(problem.incidents.limit_s) <= {60.0, 200.0, 300.0}
    assert problem.horizon_s == 43_200
    noon, midnight = 12, 0
    kmh = problem.travel["obey_all"].speeds.kmh
    assert (kmh[1, noon], kmh[1, midnight]) == (40, 80)


def test_units_go_to_every_post_first_and_then_where_there_is_room(small_city: City) -> None:
    # capacities 3, 2, 1, 1
    assert deal(small_city, 4) == [0, 1, 2, 3]
    assert deal(small_city, 7) == [0, 1, 2, 3, 0, 1, 0]
    assert Counter(deal(small_city, 14)) == {0: 6, 1: 4, 2: 2, 3: 2}
    assert deal(small_city, 1) == [0]


def test_units_are_named_by_post_and_shift_and_turn_out_as_their_post_does(small_city: City) -> None:
    units = units_of(scenario(), small_city, 5)
    assert [unit.id for unit in units] == [
        *("P01-D1", "P02-D1", "P03-D1", "P04-D1", "P01-D2"),
        *("P01-N1", "P02-N1", "P03-N1", "P04-N1", "P01-N2"),
    ]
    assert [unit.turn_out_post_s for unit in units[:4]] == [75, 75, 30, 30]
    assert [unit.shift for unit in units] == ["day"] * 5 + ["night"] * 5
    # the run starts at 8; who is on duty at its end follows the last incidents
    assert [span for unit in (units[0], units[-1]) for span in unit.duty] == [(0, 43_200), (43_200, 57_600)]


def test_a_shift_can_have_a_share_of_the_units(small_city: City) -> None:
    shifts = [
        {"name": "early", "start": "06:00", "end": "18:00"},
        {"name": "evening", "start": "18:00", "end": "06:00", "share": 0.5},
    ]
    units = units_of(scenario(units={"count": 5, "shifts": shifts}), small_city)
    assert Counter(unit.shift for unit in units) == {"early": 5, "evening": 3}
    assert len({unit.id for unit in units}) == 8


def test_levels_and_policies_meet_the_same_incidents_and_replications_do_not(small_city: City) -> None:
    few, many = (build_problem(scenario(), small_city, 3, n) for n in (4, 9))
    other = build_problem(scenario(), small_city, 4, 4)
    np.testing.assert_array_equal(few.incidents.received_s, many.incidents.received_s)
    assert len(few.units) < len(many.units)
    assert few.digest != many.digest
    assert not np.array_equal(few.incidents.received_s, other.incidents.received_s)


def test_a_city_that_cannot_answer_is_refused_with_all_its_faults(small_city: City) -> None:
    nobody = Grid(small_city.grid.cells.assign(residents=0.0), small_city.grid.areas)
    none = Positions(np.empty(0, np.int32), np.empty(0))
    bare = replace(small_city, grid=nobody, posts=Posts(small_city.posts.table[:0], none))
    with pytest.raises(InputError) as caught:
        build_problem(scenario(demand={}), bare)
    assert [fault.place for fault in caught.value.faults] == ["posts", "grid", "grid"]
    assert "--make-posts" in caught.value.faults[0].mend
    assert "road_length" in caught.value.faults[1].mend
    assert "incidents_per_day" in caught.value.faults[2].mend


def test_without_residents_incidents_can_follow_the_roads(small_city: City) -> None:
    nobody = Grid(small_city.grid.cells.assign(residents=0.0), small_city.grid.areas)
    by_road = scenario(demand={"incidents_per_day": 200, "weight": "road_length"})
    assert len(build_problem(by_road, replace(small_city, grid=nobody)).incidents) > 0


def test_a_city_without_cells_is_refused(small_city: City) -> None:
    cells = gpd.GeoDataFrame(small_city.grid.cells[:0], crs=small_city.grid.cells.crs)
    with pytest.raises(InputError, match="no cells"):
        build_problem(scenario(), replace(small_city, grid=Grid(cells, small_city.grid.areas)))


def test_driving_rules_sirens_and_delays_are_those_of_the_units() -> None:
    plain = rules_of(scenario())
    assert plain == OBEY_ALL
    asked = scenario(
        units={"driving": "emergency", "siren": {"arterial": 1.2}}, speeds={"junction_s": 4.0, "u_turn_s": 9.0}
    )
    rules = rules_of(asked)
    assert (rules.turn_restrictions, rules.contraflow) == (False, 0.5)
    assert rules.siren == (1.0, 1.2, 1.0, 1.0, 1.0)
    assert (rules.junction_s, rules.u_turn_s) == (4.0, 9.0)
    assert rules.calm == replace(OBEY_ALL, junction_s=4.0, u_turn_s=9.0)


def test_a_table_of_times_that_the_roads_lack_is_refused(small_city: City) -> None:
    asked = scenario(speeds={"given_off_peak": "free_flow", "given_peak": "congested"})
    with pytest.raises(InputError, match=r"no table of times 'free_flow', as speeds\.given_off_peak asks for"):
        check_fit(asked, small_city)
    with pytest.raises(ValueError, match="both or none"):
        scenario(speeds={"given_off_peak": "free_flow"})
