"""The 1-3-5 minute standard: its readings and their limits, a target, three clocks."""

from typing import Any

import numpy as np
import pytest

from dispatch.standard import STANDARDS, Clock, Reading, ResponseStandard
from geodata.sites import PlaceClass

CLASSES = np.array([PlaceClass.VITAL, PlaceClass.GENERAL, PlaceClass.KEY, PlaceClass.VITAL], np.uint8)
PRIORITIES = np.array([4, 1, 2, 1], np.uint8)


def test_by_default_one_minute_to_vital_three_to_key_five_to_other_places() -> None:
    assert ResponseStandard().limit_s(CLASSES).tolist() == [60, 300, 180, 60]
    # the priority decides nothing in this reading
    assert ResponseStandard().limit_s(CLASSES, PRIORITIES).tolist() == [60, 300, 180, 60]


def test_by_default_nine_in_ten_are_wanted_from_the_order_and_eight_in_ten_nearly_meet_it() -> None:
    standard = ResponseStandard()
    assert (standard.target_share, standard.amber_share, standard.headline) == (0.90, 0.80, Clock.ORDERED)


def test_limits_of_ones_own() -> None:
    limits = {PlaceClass.GENERAL: 600.0, PlaceClass.KEY: 300.0, PlaceClass.VITAL: 300.0}
    assert ResponseStandard(limits_s=limits).limit_s(np.arange(3, dtype=np.uint8)).tolist() == [600, 300, 300]


def test_no_places_have_no_limits() -> None:
    assert ResponseStandard().limit_s(np.empty(0, np.uint8)).shape == (0,)


def test_the_severity_reading_goes_by_priority_wherever_it_is() -> None:
    limits = {1: 90.0, 2: 200.0, 3: 400.0, 4: 900.0}
    standard = ResponseStandard(readings=(Reading.SEVERITY,), priority_limits_s=limits)
    assert standard.limit_s(CLASSES, PRIORITIES).tolist() == [900, 90, 200, 90]


def test_the_severity_reading_without_priorities_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="needs the priorities"):
        STANDARDS["severity"].limit_s(CLASSES)


def test_chained_readings_take_the_most_demanding_limit() -> None:
    chained = ResponseStandard(readings=(Reading.PLACE_CLASS, Reading.SEVERITY))
    # vital P4: 60 by place; general P1: 60 by priority; key P2: 180 by both; vital P1: 60 by both
    assert chained.limit_s(CLASSES, PRIORITIES).tolist() == [60, 60, 180, 60]
    milder = ResponseStandard(readings=chained.readings, priority_limits_s={1: 240.0, 2: 300.0, 3: 400.0, 4: 500.0})
    assert milder.limit_s(CLASSES, PRIORITIES).tolist() == [60, 240, 180, 60]


def test_the_echelon_reading_alone_gives_an_incident_the_limit_of_its_last_tier() -> None:
    assert STANDARDS["echelon"].limit_s(CLASSES).tolist() == [300] * 4
    two = ResponseStandard(readings=(Reading.ECHELON,), tier_limits_s={1: 60.0, 3: 200.0})
    assert two.limit_s(CLASSES).tolist() == [200] * 4


def test_the_echelon_reading_beside_another_leaves_the_limit_to_it() -> None:
    both = ResponseStandard(readings=(Reading.ECHELON, Reading.PLACE_CLASS), tier_limits_s={1: 10.0})
    assert both.limit_s(CLASSES).tolist() == ResponseStandard().limit_s(CLASSES).tolist()


@pytest.mark.parametrize(
    ("name", "vital_key_general_s", "clock"),
    [
        ("one_three_five", [60, 180, 300], "ordered"),
        ("urban_5_suburb_10", [300, 300, 600], "ordered"),
        ("key_5_urban_10", [300, 300, 600], "received"),
        ("eight_minutes", [480, 480, 480], "received"),
        ("uk_15_20", [900, 900, 1200], "received"),
        ("nfpa_1710", [240, 240, 240], "rolling"),
    ],
)
def test_the_standards_in_public_use_have_names(name: str, vital_key_general_s: list[float], clock: str) -> None:
    standard = STANDARDS[name]
    places = np.array([PlaceClass.VITAL, PlaceClass.KEY, PlaceClass.GENERAL], np.uint8)
    assert standard.limit_s(places).tolist() == vital_key_general_s
    assert standard.headline == clock


def test_the_chained_standard_has_all_three_readings() -> None:
    assert set(STANDARDS["chained"].readings) == set(Reading)
    assert STANDARDS["chained"].limit_s(CLASSES, PRIORITIES).tolist() == [60, 60, 180, 60]


def test_the_clocks_are_named_as_the_log_names_its_columns() -> None:
    assert [clock.value for clock in Clock] == ["received", "ordered", "rolling"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"limits_s": {PlaceClass.GENERAL: 300.0, PlaceClass.KEY: 180.0}},
        {"limits_s": {PlaceClass.GENERAL: 300.0, PlaceClass.KEY: 180.0, PlaceClass.VITAL: 0.0}},
        {"target_share": 1.2},
        {"amber_share": 0.0},
        {"target_share": 0.7, "amber_share": 0.8},
        {"readings": ()},
        {"readings": (Reading.SEVERITY, Reading.SEVERITY)},
        {"priority_limits_s": {1: 60.0}},
        {"priority_limits_s": {1: 60.0, 2: 60.0, 3: 60.0, 4: float("nan")}},
        {"tier_limits_s": {}},
        {"tier_limits_s": {2: 60.0}},
        {"tier_limits_s": {1: -1.0}},
    ],
)
def test_an_impossible_standard_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ResponseStandard(**wrong)
