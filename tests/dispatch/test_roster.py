"""Rosters become spans of duty, standby, meals and outages; impossible ones are refused."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.roster import (
    DAY_S,
    MEAL_S,
    REST,
    Breakdowns,
    Duties,
    Holiday,
    OutOfService,
    Roster,
    Rotation,
    Shift,
    duties,
    relief_factor,
    teams_on_duty,
)
from dispatch.rotations import ROSTERS, even_shifts
from dispatch.units import Meal, Span, UnitSpec

HOUR = 3600.0
MONDAY = datetime(2026, 6, 1)
NIGHT = Shift(name="night", start_s=20 * HOUR, end_s=8 * HOUR)
DAY = Shift(name="day", start_s=8 * HOUR, end_s=20 * HOUR)
WEEKEND = frozenset({5, 6})
FOUR_TEAMS = ROSTERS["four_teams_three_shifts"]


def told(roster: Roster | Shift, *, days: float = 1.0, **changed: Any) -> Duties:
    """The duties of one unit, which any unit can have."""
    if isinstance(roster, Shift):
        roster = Roster(name="one shift", shifts=(roster,))
    given_ = {"unit_id": "P01-D1", "team": 0, "start": MONDAY, "horizon_s": days * DAY_S} | changed
    found = duties(roster, **given_)
    UnitSpec(id=given_["unit_id"], post=0, **found._asdict())
    return found


def hours(spans: tuple[Span, ...]) -> list[tuple[float, float]]:
    return [(span.begin_s / HOUR, span.end_s / HOUR) for span in spans]


def total_s(spans: tuple[Span, ...]) -> float:
    return sum(span.end_s - span.begin_s for span in spans)


def test_a_day_shift_in_a_run_of_two_days_from_midnight() -> None:
    assert hours(told(DAY, days=2).duty) == [(8, 20), (32, 44)]


def test_a_night_shift_runs_past_midnight_and_is_cut_at_both_ends_of_the_run() -> None:
    assert NIGHT.length_s == 12 * HOUR
    assert hours(told(NIGHT).duty) == [(0, 8), (20, 24)]


def test_a_run_that_starts_within_a_shift_begins_on_duty() -> None:
    assert hours(told(DAY, start=MONDAY + timedelta(hours=10), days=1 / 6).duty) == [(0, 4)]


def test_a_shift_that_has_just_ended_or_not_yet_begun_gives_no_duty() -> None:
    for hour in (20, 4):
        assert told(DAY, start=MONDAY + timedelta(hours=hour), days=1 / 6).duty == ()


@pytest.mark.parametrize("start_s", [0.0, 8 * HOUR])
@pytest.mark.parametrize("start_of_day_s", [0.0, 13 * HOUR, 23_309.572069, 1_427.987710, 52_413.331026])
def test_a_shift_of_a_whole_day_is_one_span_whatever_the_second_at_which_the_run_starts(
    start_s: float, start_of_day_s: float
) -> None:
    all_day = Shift(name="all day", start_s=start_s, end_s=start_s)
    assert told(all_day, start=MONDAY + timedelta(seconds=start_of_day_s), days=20).duty == ((0.0, 20 * DAY_S),)


@given(
    begin=st.integers(0, 2 * 86_400 - 1),
    end=st.integers(0, 86_400),
    weekdays=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 14 * 86_400),
    horizon=st.integers(1, 9 * 86_400),
    at=st.integers(0, 9 * 86_400 - 1),
)
def test_a_second_is_on_duty_where_the_clock_and_the_weekday_say_so(
    begin: int, end: int, weekdays: frozenset[int], start: int, horizon: int, at: int
) -> None:
    shift = Shift(name="any", start_s=begin, end_s=end, weekdays=weekdays)
    spans = told(shift, start=MONDAY + timedelta(seconds=start), horizon_s=horizon).duty
    second, length = start + at, (end - begin) % 86_400 or 86_400
    on_duty = any(
        day % 7 in weekdays and 0 <= second - day * 86_400 - begin < length
        for day in range(second // 86_400 - 3, second // 86_400 + 1)
    )
    assert any(a <= at < b for a, b in spans) == (on_duty and at < horizon)
    assert all(0 <= a < b <= horizon for a, b in spans)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(spans))


def test_a_night_that_belongs_to_the_evening_before_may_begin_at_midnight() -> None:
    small_hours = Shift(name="night", start_s=24 * HOUR, end_s=8 * HOUR, weekdays=WEEKEND)
    assert hours(told(small_hours, days=7).duty) == [(0, 8), (144, 152)]
    assert hours(told(replace(small_hours, start_s=0.0), days=7).duty) == [(120, 128), (144, 152)]


def test_shifts_that_adjoin_one_another_are_one_span() -> None:
    rotation = Rotation(cycle=("day", "night"), offsets=(0,), reference=MONDAY.date())
    both = Roster(name="double", shifts=(DAY, NIGHT), rotation=rotation)
    # the night of each second day ends where the next day's shift begins
    assert hours(told(both, days=4).duty) == [(0, 20), (44, 68), (92, 96)]


def test_a_unit_starts_later_by_its_number_and_ends_as_much_later() -> None:
    staggered = Roster(name="staggered", shifts=(NIGHT,), stagger_s=HOUR / 2)
    assert hours(told(staggered, number=0).duty) == [(0, 8), (20, 24)]
    assert hours(told(staggered, number=3).duty) == [(0, 9.5), (21.5, 24)]
    assert total_s(told(staggered, number=200, days=30).duty) == pytest.approx(30 * 12 * HOUR)


@pytest.mark.parametrize(
    ("name", "teams", "week_h"),
    [
        ("always", 1, 168.0),
        ("two_shifts", 2, 84.0),
        ("three_shifts", 3, 56.0),
        ("four_teams_two_shifts", 4, 42.0),
        ("four_teams_three_shifts", 4, 42.0),
        ("five_teams_three_shifts", 5, 33.6),
        ("on_24_off_48", 3, 56.0),
    ],
)
def test_the_usual_rosters_keep_one_team_on_duty_and_share_the_hours_evenly(
    name: str, teams: int, week_h: float
) -> None:
    roster = ROSTERS[name]
    assert roster.n_teams == teams
    at_s, on_duty = teams_on_duty(roster, datetime(2026, 6, 1, 6, 30, 7), 21 * DAY_S)
    assert (at_s.tolist(), on_duty.tolist()) == ([0.0], [1])
    # 60 days: whole cycles of each
    worked_s = [total_s(told(roster, team=team, days=60).duty) for team in range(teams)]
    assert worked_s == pytest.approx([week_h * HOUR * 60 / 7] * teams)


def test_four_teams_go_through_day_evening_night_and_rest_one_after_the_other() -> None:
    on_reference_day = datetime(2024, 1, 1)
    for team in range(4):
        later = on_reference_day + timedelta(days=team)
        assert hours(told(FOUR_TEAMS, team=team, start=later, days=4).duty) == [(8, 16), (40, 48), (72, 80)]


def test_a_team_that_rests_two_days_after_24_hours_works_every_third_day() -> None:
    roster = ROSTERS["on_24_off_48"]
    assert hours(told(roster, start=datetime(2024, 1, 1), days=7).duty) == [(8, 32), (80, 104), (152, 168)]


def test_teams_on_duty_are_counted_at_each_change() -> None:
    overlapping = Roster(name="overlap", shifts=(DAY, NIGHT, Shift(name="evening", start_s=18 * HOUR, end_s=2 * HOUR)))
    at_s, teams = teams_on_duty(overlapping, MONDAY, DAY_S)
    assert list(zip(at_s / HOUR, teams, strict=True)) == [(0, 2), (2, 1), (18, 2)]


def test_a_roster_with_too_few_teams_at_some_moment_is_refused_with_the_moment() -> None:
    with pytest.raises(ValueError, match=r"0 teams on duty from 00:00 on day 0 .* expected 1 at each moment"):
        Roster(name="days only", shifts=(DAY,), on_duty=1)
    weekdays = replace(DAY, weekdays=frozenset(range(5)))
    with pytest.raises(ValueError, match=r"0 teams on duty from 08:00 on day 5"):
        Roster(name="no weekend", shifts=(weekdays, NIGHT), on_duty=1)
    assert FOUR_TEAMS.rotation is not None
    with pytest.raises(ValueError, match=r"1 teams on duty from 00:00 .* expected 2"):
        replace(FOUR_TEAMS, on_duty=2)
    twice = replace(FOUR_TEAMS.rotation, offsets=(0, 0, 1, 2))
    with pytest.raises(ValueError, match="0 teams on duty"):
        replace(FOUR_TEAMS, rotation=twice)


def test_a_team_in_two_shifts_at_once_is_refused() -> None:
    long_night = Shift(name="night", start_s=20 * HOUR, end_s=9 * HOUR)
    rotation = Rotation(cycle=("night", "day", REST), offsets=(0, 1))
    with pytest.raises(ValueError, match="team 0 in two shifts at once from 08:00"):
        Roster(name="tired", shifts=(DAY, long_night), rotation=rotation)


NAMES = ("a", "b", "c")


@st.composite
def rosters(draw: st.DrawFn) -> Roster:
    """Shifts of at most 12 hours that begin on the day that they belong to, in any cycle."""
    shifts = tuple(
        Shift(
            name=name,
            start_s=(begin := draw(st.integers(0, 86_399))),
            end_s=(begin + draw(st.integers(1, 43_200))) % 86_400,
            weekdays=draw(st.frozensets(st.integers(0, 6), min_size=1)),
            meals=tuple(draw(st.lists(st.just(Meal(0.0, 0.0, 1.0)), max_size=1))),
        )
        for name in NAMES
    )
    day_off_between = [name for one in draw(st.lists(st.sampled_from(NAMES), min_size=1)) for name in (one, REST)]
    rotation = Rotation(
        cycle=tuple(day_off_between), offsets=tuple(draw(st.lists(st.integers(-9, 9), min_size=1, max_size=4)))
    )
    first = draw(st.integers(0, 12))
    holiday = Holiday(
        first=date(2026, 6, 1) + timedelta(days=first),
        last=date(2026, 6, 1) + timedelta(days=first + draw(st.integers(0, 4))),
        shift=Shift(name="holiday", start_s=(at := draw(st.integers(0, 86_399))), end_s=at, meals=shifts[0].meals),
    )
    return Roster(
        name="any",
        shifts=shifts,
        rotation=rotation,
        stagger_s=draw(st.sampled_from((0.0, 600.0, 5_000.0))),
        holidays=draw(st.sampled_from(((), (holiday,)))),
        breakdowns=draw(st.sampled_from((None, Breakdowns(mean_between_s=DAY_S, mean_repair_s=HOUR)))),
        out_of_service=draw(
            st.sampled_from(((), (OutOfService("u", MONDAY + timedelta(days=1), MONDAY + timedelta(days=3)),)))
        ),
    )


@given(rosters(), st.integers(0, 4), st.integers(0, 6 * 86_400), st.floats(1.0, 9 * DAY_S))
def test_all_spans_lie_in_the_run_in_order_and_apart(roster: Roster, number: int, start: int, horizon_s: float) -> None:
    begin = MONDAY + timedelta(seconds=start)
    for team in range(roster.n_teams):
        found = duties(roster, unit_id="u", team=team, number=number, start=begin, horizon_s=horizon_s)
        UnitSpec(id="u", post=0, **found._asdict())
        for spans in (found.duty, found.standby, found.outages):
            assert all(0 <= a < b <= horizon_s for a, b in spans)
            assert all(a.end_s < b.begin_s for a, b in itertools.pairwise(spans))
        for meal in found.meals:
            assert 0 <= meal.earliest_s <= meal.latest_s <= horizon_s
            assert any(a <= meal.earliest_s and meal.latest_s <= b for a, b in found.duty)
        # nobody stands by on duty
        assert all(a.end_s <= b.begin_s + 1e-6 for a, b in itertools.pairwise(sorted(found.duty + found.standby)))


@given(rosters(), st.integers(0, 3 * 86_400), st.integers(0, 2 * 86_400))
def test_a_run_that_starts_later_sees_the_same_duties(roster: Roster, start: int, later: int) -> None:
    end_s = 5 * DAY_S
    early, late = (
        told(
            replace(roster, breakdowns=None),
            unit_id="u",
            start=MONDAY + timedelta(seconds=second),
            horizon_s=end_s - (second - start),
        )
        for second in (start, start + later)
    )
    for a, b in zip(early[:2] + early[3:], late[:2] + late[3:], strict=True):
        cut = [Span(max(span.begin_s - later, 0.0), span.end_s - later) for span in a if span.end_s > later]
        assert np.array(cut) == pytest.approx(np.array(b))


def test_each_shift_has_its_meals_within_their_windows() -> None:
    eating = replace(DAY, meals=(Meal(3 * HOUR, 5 * HOUR, MEAL_S),))
    assert told(eating, days=2).meals == ((11 * HOUR, 13 * HOUR, 2160.0), (35 * HOUR, 37 * HOUR, 2160.0))


def test_meals_of_a_shift_begun_before_the_run_are_cut_or_gone() -> None:
    eating = replace(NIGHT, meals=(Meal(HOUR, 2 * HOUR, MEAL_S), Meal(3 * HOUR, 6 * HOUR, MEAL_S)))
    assert told(eating).meals == ((0.0, 2 * HOUR, 2160.0), (21 * HOUR, 22 * HOUR, 2160.0), (23 * HOUR, DAY_S, 2160.0))


def test_meals_by_the_clock_stay_where_they_are_when_units_are_staggered() -> None:
    lunch, late = Meal(11.5 * HOUR, 13 * HOUR, MEAL_S), Meal(23.5 * HOUR, 0.5 * HOUR, MEAL_S)
    roster = Roster(
        name="eating",
        shifts=(replace(DAY, clock_meals=(lunch,)), replace(NIGHT, clock_meals=(late,))),
        stagger_s=2 * HOUR,
    )
    assert told(roster).meals == (lunch,)
    assert told(roster, number=1).meals == (lunch,)
    # on duty from 12 on, and from 14 on: what is left of the window, and nothing
    assert told(roster, number=2).meals == ((12 * HOUR, 13 * HOUR, 2160.0),)
    assert told(roster, number=3).meals == ()
    assert told(roster, team=1, days=1.5).meals == ((0.0, HOUR / 2, 2160.0), (23.5 * HOUR, 24.5 * HOUR, 2160.0))


def test_a_vehicle_is_out_of_service_by_plan() -> None:
    service = OutOfService("P01-D1", datetime(2026, 5, 31, 12), datetime(2026, 6, 1, 6))
    more = OutOfService("P01-D1", datetime(2026, 6, 1, 4), datetime(2026, 6, 1, 9))
    other = OutOfService("P02-D1", datetime(2026, 6, 1, 10), datetime(2026, 6, 1, 12))
    roster = Roster(name="served", shifts=(DAY,), out_of_service=(service, more, other))
    assert hours(told(roster).outages) == [(0, 9)]
    assert hours(told(roster, unit_id="P02-D1").outages) == [(10, 12)]
    assert hours(told(roster).duty) == [(8, 20)]


def test_vehicles_fail_and_are_repaired_as_often_and_as_long_as_asked() -> None:
    mean_between_s, mean_repair_s = 20 * HOUR, 4 * HOUR
    failing = Breakdowns(mean_between_s=mean_between_s, mean_repair_s=mean_repair_s)
    roster = Roster(name="failing", shifts=(DAY,), breakdowns=failing)
    years = [told(roster, unit_id=f"u{i}", days=365).outages for i in range(20)]
    repairs_s = np.array([b - a for spans in years for a, b in spans[:-1]])
    between_s = np.array([b.begin_s - a.end_s for spans in years for a, b in itertools.pairwise(spans)])
    assert abs(repairs_s.mean() - mean_repair_s) < 3.5 * mean_repair_s / np.sqrt(len(repairs_s))
    assert abs(between_s.mean() - mean_between_s) < 3.5 * mean_between_s / np.sqrt(len(between_s))
    assert abs((between_s > mean_between_s).mean() - np.exp(-1)) < 3.5 * 0.5 / np.sqrt(len(between_s))


def test_failures_depend_on_the_unit_the_seed_and_the_replication_alone() -> None:
    failing = Breakdowns(mean_between_s=DAY_S, mean_repair_s=HOUR)
    roster = Roster(name="failing", shifts=(DAY, NIGHT), breakdowns=failing, stagger_s=60.0)
    once = told(roster, days=30).outages
    elsewhere = told(roster, days=30, team=1, number=5, start=MONDAY + timedelta(hours=7)).outages
    assert np.array(elsewhere) == pytest.approx(np.array(once))
    longer = told(roster, days=60).outages
    assert longer[: len(once) - 1] == once[:-1]
    for other in ({"unit_id": "P02-D1"}, {"seed": 1}, {"replication": 1}):
        assert told(roster, days=30, **other).outages != once
    # repairs twice as long move the failures and change no time between them
    slow = told(replace(roster, breakdowns=replace(failing, mean_repair_s=2 * HOUR)), days=30).outages
    assert slow[0].begin_s == once[0].begin_s
    for spans in itertools.islice(zip(itertools.pairwise(once), itertools.pairwise(slow), strict=False), 5):
        (a, b), (c, d) = spans
        assert d.begin_s - c.end_s == pytest.approx(b.begin_s - a.end_s)
        assert c.end_s - c.begin_s == pytest.approx(2 * (a.end_s - a.begin_s))


NATIONAL_DAY = Holiday(first=date(2026, 10, 1), last=date(2026, 10, 3))


def test_on_holidays_a_third_works_a_third_stands_by_and_a_third_rests_and_they_change_each_day() -> None:
    roster = replace(FOUR_TEAMS, holidays=(NATIONAL_DAY,))
    on, standby = [], []
    for team, number in itertools.product(range(4), range(3)):
        found = told(roster, team=team, number=number, start=datetime(2026, 10, 1, 8), days=3)
        assert total_s(found.duty) == total_s(found.standby) == DAY_S
        on.append(found.duty[0].begin_s / DAY_S)
        standby.append(found.standby[0].begin_s / DAY_S)
    assert np.bincount(np.array(on, int)).tolist() == np.bincount(np.array(standby, int)).tolist() == [4, 4, 4]
    # never from duty to standby at once
    assert all((a + 1) % 3 != b for a, b in zip(on, standby, strict=True))


def test_the_ordinary_roster_ends_where_holidays_begin_and_goes_on_where_they_end() -> None:
    early = replace(NATIONAL_DAY, shift=Shift(name="holiday", start_s=0.0, end_s=0.0))
    roster = Roster(name="two", shifts=(DAY, NIGHT), holidays=(early,))
    night = told(roster, team=1, start=datetime(2026, 9, 30), days=6)
    # the night is cut off at midnight; rest, standby and duty by thirds; the end of a night, and nights again
    assert hours(night.duty) == [(0, 8), (20, 24), (72, 104), (116, 128), (140, 144)]
    assert hours(night.standby) == [(48, 72)]


def test_meals_on_holidays_are_those_of_the_holiday() -> None:
    lunch = Meal(12 * HOUR, 13 * HOUR, MEAL_S)
    all_day = Shift(name="holiday", start_s=8 * HOUR, end_s=8 * HOUR, clock_meals=(lunch,))
    roster = Roster(
        name="feast",
        shifts=(replace(DAY, meals=(Meal(HOUR, HOUR, MEAL_S),)),),
        holidays=(replace(NATIONAL_DAY, shift=all_day),),
    )
    meals = [told(roster, number=number, start=datetime(2026, 9, 30), days=5).meals for number in range(3)]
    ordinary = {9.0, 4 * 24 + 9.0}
    assert all({m.earliest_s / HOUR for m in each} >= ordinary for each in meals)
    assert sorted(m.earliest_s / HOUR for each in meals for m in each if m.earliest_s / HOUR not in ordinary) == [
        36.0,
        60.0,
        84.0,
    ]


@pytest.mark.parametrize(
    ("hours_a_day", "factor"), [(8.0, 1.58), (24.0, 4.74)], ids=["a post of 8 hours", "a post that is always held"]
)
def test_the_relief_factor_is_that_of_the_literature(hours_a_day: float, factor: float) -> None:
    assert relief_factor(hours_a_day) == pytest.approx(factor, abs=0.005)
    assert relief_factor(hours_a_day, 2_920.0) == hours_a_day / 8


@pytest.mark.parametrize(("start_s", "end_s"), [(-1.0, 0.0), (2 * DAY_S, 0.0), (0.0, DAY_S + 1), (0.0, np.nan)])
def test_a_shift_outside_the_day_is_refused(start_s: float, end_s: float) -> None:
    with pytest.raises(ValueError, match="within a day"):
        Shift(name="odd", start_s=start_s, end_s=end_s)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weekdays": frozenset({7})},
        {"weekdays": frozenset()},
        {"meals": (Meal(0.0, 12 * HOUR, MEAL_S),)},
        {"meals": (Meal(2 * HOUR, HOUR, MEAL_S),)},
        {"meals": (Meal(-1.0, HOUR, MEAL_S),)},
        {"meals": (Meal(0.0, HOUR, 0.0),)},
        {"clock_meals": (Meal(20 * HOUR, 21 * HOUR, MEAL_S),)},
        {"clock_meals": (Meal(25 * HOUR, 26 * HOUR, MEAL_S),)},
        {"clock_meals": (Meal(12 * HOUR, 13 * HOUR, -1.0),)},
    ],
)
def test_an_impossible_shift_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"shift day: .*expected"):
        replace(DAY, **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"shifts": ()},
        {"shifts": (DAY, DAY)},
        {"shifts": (replace(DAY, name=REST),)},
        {"rotation": Rotation(cycle=("late",), offsets=(0,))},
        {"stagger_s": -1.0},
        {"stagger_s": np.inf},
        {"on_duty": -1},
        {"holidays": (NATIONAL_DAY, replace(NATIONAL_DAY, first=date(2026, 10, 3), last=date(2026, 10, 4)))},
        {"out_of_service": (OutOfService("u", MONDAY, MONDAY),)},
        {"out_of_service": (OutOfService("u", MONDAY.astimezone(), MONDAY.astimezone() + timedelta(days=1)),)},
    ],
)
def test_an_impossible_roster_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="roster odd: "):
        Roster(**{"name": "odd", "shifts": (DAY,)} | wrong)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (Rotation, {"cycle": (), "offsets": (0,)}),
        (Rotation, {"cycle": ("day",), "offsets": ()}),
        (Holiday, {"first": date(2026, 10, 2), "last": date(2026, 10, 1)}),
        (Holiday, {"first": date(2026, 10, 1), "last": date(2026, 10, 1), "shift": replace(DAY, weekdays=WEEKEND)}),
        (Breakdowns, {"mean_between_s": 0.0, "mean_repair_s": 1.0}),
        (Breakdowns, {"mean_between_s": 1.0, "mean_repair_s": np.nan}),
        (Breakdowns, {"mean_between_s": 1.0, "mean_repair_s": 1.0, "repair_cv": -0.1}),
    ],
)
def test_an_impossible_part_is_refused(kind: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        kind(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"team": 1},
        {"team": -1},
        {"number": -1},
        {"horizon_s": 0.0},
        {"horizon_s": np.inf},
        {"start": MONDAY.astimezone()},
    ],
)
def test_duties_of_no_such_unit_or_run_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        told(DAY, **wrong)


@pytest.mark.parametrize("wrong", [(0.0, 1_849.0), (25.0, 1_849.0), (8.0, 0.0), (8.0, 9_000.0)])
def test_an_impossible_relief_factor_is_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        relief_factor(*wrong)


def test_even_shifts_fill_the_day() -> None:
    evening = even_shifts(("early", "late", "night"), 6 * HOUR)
    assert [(s.start_s / HOUR, s.end_s / HOUR) for s in evening] == [(6, 14), (14, 22), (22, 6)]
    assert sum(s.length_s for s in evening) == DAY_S
