"""The 1-3-5 minute standard: a limit by place class, a target, three clocks."""

from typing import Any

import numpy as np
import pytest

from dispatch.standard import Clock, ResponseStandard
from geodata.sites import PlaceClass


def test_by_default_one_minute_to_vital_three_to_key_five_to_other_places() -> None:
    classes = np.array([PlaceClass.VITAL, PlaceClass.GENERAL, PlaceClass.KEY, PlaceClass.VITAL], np.uint8)
    assert ResponseStandard().limit_s(classes).tolist() == [60, 300, 180, 60]


def test_by_default_nine_in_ten_are_wanted_from_the_order_and_eight_in_ten_nearly_meet_it() -> None:
    standard = ResponseStandard()
    assert (standard.target_share, standard.amber_share, standard.headline) == (0.90, 0.80, Clock.ORDERED)


def test_limits_of_ones_own() -> None:
    limits = {PlaceClass.GENERAL: 600.0, PlaceClass.KEY: 300.0, PlaceClass.VITAL: 300.0}
    assert ResponseStandard(limits_s=limits).limit_s(np.arange(3, dtype=np.uint8)).tolist() == [600, 300, 300]


def test_no_places_have_no_limits() -> None:
    assert ResponseStandard().limit_s(np.empty(0, np.uint8)).shape == (0,)


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
    ],
)
def test_an_impossible_standard_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        ResponseStandard(**wrong)
