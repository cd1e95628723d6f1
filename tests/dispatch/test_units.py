"""Shifts become spans of duty; impossible shifts and units are refused."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.units import ALL_DAY, DAY_S, Shift, UnitSpec, UnitState

HOUR = 3600.0
NIGHT = Shift(name="night", start_s=20 * HOUR, end_s=8 * HOUR)
DAY = Shift(name="day", start_s=8 * HOUR, end_s=20 * HOUR)


def test_a_day_shift_in_a_run_of_two_days_from_midnight() -> None:
    assert DAY.spans(0.0, 2 * DAY_S) == [(8 * HOUR, 20 * HOUR), (32 * HOUR, 44 * HOUR)]


def test_a_night_shift_runs_past_midnight_and_is_cut_at_both_ends_of_the_run() -> None:
    assert NIGHT.length_s == 12 * HOUR
    assert NIGHT.spans(0.0, DAY_S) == [(0.0, 8 * HOUR), (20 * HOUR, 24 * HOUR)]


def test_a_run_that_starts_within_a_shift_begins_on_duty() -> None:
    assert DAY.spans(10 * HOUR, 4 * HOUR) == [(0.0, 4 * HOUR)]


def test_a_shift_that_has_just_ended_or_not_yet_begun_gives_no_duty() -> None:
    assert DAY.spans(20 * HOUR, 4 * HOUR) == []
    assert DAY.spans(4 * HOUR, 4 * HOUR) == []


@pytest.mark.parametrize("shift", [ALL_DAY, Shift(name="from noon to noon", start_s=12 * HOUR, end_s=12 * HOUR)])
@pytest.mark.parametrize("start_of_day_s", [0.0, 13 * HOUR, 23_309.572069, 1_427.987710, 52_413.331026])
def test_a_shift_of_a_whole_day_is_one_span_whatever_the_second_at_which_the_run_starts(
    shift: Shift, start_of_day_s: float
) -> None:
    assert shift.spans(start_of_day_s, 20 * DAY_S) == [(0.0, 20 * DAY_S)]


@given(
    st.integers(0, 86_399),
    st.integers(0, 86_400),
    st.integers(0, 86_399),
    st.integers(1, 4 * 86_400),
    st.integers(0, 4 * 86_400 - 1),
)
def test_a_second_is_on_duty_where_the_clock_says_so(begin: int, end: int, start: int, horizon: int, at: int) -> None:
    spans = Shift(name="any", start_s=begin, end_s=end).spans(float(start), float(horizon))
    clock = (start + at) % 86_400
    on_duty = begin <= clock < end if begin < end else clock >= begin or clock < end
    assert any(a <= at < b for a, b in spans) == (on_duty and at < horizon)
    assert all(0 <= a < b <= horizon for a, b in spans)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize(("start_s", "end_s"), [(-1.0, 8 * HOUR), (DAY_S, 8 * HOUR), (0.0, DAY_S + 1), (0.0, -1.0)])
def test_a_shift_outside_the_day_is_refused(start_s: float, end_s: float) -> None:
    with pytest.raises(ValueError, match="within a day"):
        Shift(name="odd", start_s=start_s, end_s=end_s)


@pytest.mark.parametrize("wrong", [{"speed_factor": 0.0}, {"turn_out_post_s": -1.0}, {"turn_out_mobile_s": -1.0}])
def test_an_impossible_unit_is_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="unit A"):
        UnitSpec(id="A", post=0, **wrong)


def test_states_are_labelled_as_the_log_documents_them() -> None:
    assert [state.label for state in UnitState] == ["idle", "turn_out", "travelling", "on_scene", "returning"]
