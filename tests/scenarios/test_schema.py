"""What a scenario may say, and what holds where it is silent."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from scenarios.schema import Scenario, known_keys


def scenario(**parts: Any) -> Scenario:
    return Scenario.model_validate({"name": "test", "city": {"synthetic_seed": 1}} | parts)


def test_a_name_and_a_city_are_enough() -> None:
    made = scenario()
    assert made.run.start == datetime(2026, 6, 1, 8)
    assert made.run.start.strftime("%A") == "Monday"
    assert made.demand.per_1000_residents_a_year == 120
    assert [shift.name for shift in made.units.shifts] == ["day", "night"]


def test_a_stated_rate_takes_the_place_of_the_default_one() -> None:
    demand = scenario(demand={"incidents_per_day": 50}).demand
    assert (demand.incidents_per_day, demand.per_1000_residents_a_year) == (50, None)


def test_part_of_a_table_can_be_stated_and_the_rest_keeps_its_default() -> None:
    limits = scenario(standard={"limits_s": {"key": 240}}).standard.limits_s
    assert (limits.vital, limits.key, limits.general) == (60, 240, 300)


def test_a_scenario_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        scenario().units.count = 3


@pytest.mark.parametrize(
    "parts",
    [
        {"run": {"days": 0}},
        {"run": {"days": 367}},
        {"run": {"days": float("nan")}},
        {"run": {"days": "7"}},
        {"run": {"seed": -1}},
        {"run": {"start": 20260601}},
        {"standard": {"limits_s": {"vital": 0}}},
        {"standard": {"target_share": 1.2}},
        {"standard": {"target_share": 0.7, "amber_share": 0.8}},
        {"standard": {"headline": "arrived"}},
        {"demand": {"incidents_per_day": 0}},
        {"demand": {"type_share": {"crime": 0.5}}},
        {"demand": {"hour_weight": [1.0] * 23}},
        {"demand": {"hour_weight": [0.0] * 24}},
        {"demand": {"weekday_weight": [1.0] * 6 + [-1.0]}},
        {"demand": {"desk_cv": -0.1}},
        {"units": {"count": 0}},
        {"units": {"count": 2.5}},
        {"units": {"count": True}},
        {"units": {"shifts": []}},
        {"units": {"shifts": [{"name": "day", "start": 8, "end": "20:00"}]}},
        {"dispatch": {"policy": "fastest"}},
        {"speeds": {"night_factor": 0}},
        {"city": {}},
        {"city": {"path": "a", "synthetic_seed": 1}},
        {"name": "With Space"},
    ],
)
def test_impossible_values_are_refused(parts: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        scenario(**parts)


def test_every_key_is_explained_and_every_number_of_the_model_says_where_it_comes_from() -> None:
    keys = list(known_keys())
    assert len(keys) == len({key.place for key in keys}) > 50
    assert [key.place for key in keys if not key.description] == []
    numbers = [key for key in keys if re.match(r"\[?[\d.]", key.default) and not key.place.startswith("run.")]
    unmarked = [key.place for key in numbers if not re.search(r"\[[PLDA]\]", key.description)]
    assert unmarked == ["units.shifts[].share"]
