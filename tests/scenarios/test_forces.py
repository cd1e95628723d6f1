"""Who is there: groups of units of several kinds, at which posts, on which shifts, and what they do when free."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import numpy as np
import pytest

from dispatch.policies.patrolling import FORMS
from dispatch.units import KINDS, UnitSpec
from geodata.city import City
from geodata.errors import Fault, InputError
from geodata.sites import Posts
from scenarios.build import build_problem
from scenarios.forces import Forces, apportion, forces_of, patrol_number
from scenarios.kinds import kinds_of, main_kind
from scenarios.roads import travels_of
from scenarios.schema import Scenario

HOUR_S = 3600.0
ALL_DAY = [{"name": "all", "start": "00:00", "end": "00:00"}]


def scenario(units: Any = None, start: datetime = datetime(2026, 6, 1, 8), days: float = 2, **parts: Any) -> Scenario:
    given = {"name": "test", "city": {"synthetic_seed": 1}, "demand": {"incidents_per_day": 50}}
    return Scenario.model_validate(given | {"run": {"start": start, "days": days}, "units": units or {}} | parts)


def forces(asked: Scenario, city: City, n_units: int | None = None, replication: int = 0) -> Forces:
    return forces_of(asked, city, travels_of(asked, city), n_units, replication)


def units(city: City, given: Any = None, **parts: Any) -> tuple[UnitSpec, ...]:
    return forces(scenario(given, **parts), city).units


def faults(city: City, given: Any = None, **parts: Any) -> tuple[Fault, ...]:
    with pytest.raises(InputError) as caught:
        build_problem(scenario(given, **parts), city)
    return caught.value.faults


def with_posts(city: City, **columns: list[str]) -> City:
    return replace(city, posts=Posts(city.posts.table.assign(**columns), city.posts.positions))


def working(found: tuple[UnitSpec, ...], at_s: float) -> list[UnitSpec]:
    return [unit for unit in found if any(span.begin_s <= at_s < span.end_s for span in unit.duty or ())]


# kinds and groups


def test_groups_are_units_of_their_kind_at_their_posts(small_city: City) -> None:
    found = units(
        small_city,
        {
            "groups": [
                {"name": "car", "count": 3},
                {"name": "moto", "kind": "motorcycle", "count": 2, "posts": ["P03", "P04"], "shifts": ALL_DAY},
            ]
        },
    )
    assert [unit.id for unit in found] == [
        *("P01-car-D1", "P02-car-D1", "P03-car-D1", "P01-car-N1", "P02-car-N1", "P03-car-N1"),
        *("P03-moto-A1", "P04-moto-A1"),
    ]
    assert Counter(unit.kind for unit in found) == {KINDS["patrol_car"]: 6, KINDS["motorcycle"]: 2}


def test_kinds_are_changed_and_defined(small_city: City) -> None:
    asked = scenario(
        {
            "kinds": {
                "patrol_car": {"crew": 2},
                "tactical": {"skills": ["armed", "dog"], "echelon": 5, "driving": "emergency", "speed_factor": 1.5},
            },
            "groups": [{"name": "a", "count": 2}, {"name": "b", "kind": "tactical", "count": 1}],
        }
    )
    kinds = {unit.kind.name: unit.kind for unit in forces(asked, small_city).units}
    assert kinds["patrol_car"] == replace(KINDS["patrol_car"], crew=2)
    tactical = kinds["tactical"]
    assert (tactical.skills, tactical.echelon, tactical.speed_factor) == ({"armed", "dog"}, 5, 1.5)
    assert tactical.acts_alone
    travels = travels_of(asked, small_city)
    assert set(travels) == {"obey_all", "emergency"}
    assert not travels["emergency"].rules.turn_restrictions
    assert main_kind(asked).name == "patrol_car"


def test_speed_factor_and_driving_of_the_units_are_those_of_their_kind(small_city: City) -> None:
    asked = scenario({"count": 2, "speed_factor": 1.1, "driving": "emergency"})
    assert kinds_of(asked)["patrol_car"] == replace(KINDS["patrol_car"], speed_factor=1.1, driving="emergency")
    assert {unit.kind.speed_factor for unit in forces(asked, small_city).units} == {1.1}
    # a motorcycle drives as one unless the file says otherwise
    assert kinds_of(scenario({"kind": "motorcycle"}))["motorcycle"] == KINDS["motorcycle"]


def test_an_unknown_kind_is_refused_with_the_nearest(small_city: City) -> None:
    (fault,) = faults(
        small_city, {"groups": [{"name": "a", "count": 1}, {"name": "b", "kind": "motorcycl", "count": 1}]}
    )
    assert fault.place == "units.groups[1].kind"
    assert fault.mend == "Did you mean `motorcycle`?"
    (fault,) = faults(small_city, {"kind": "hovercraft"})
    assert (fault.place, fault.mend) == ("units.kind", "Define it in [units.kinds.hovercraft].")


def test_another_number_of_units_is_shared_as_the_groups_share_theirs(small_city: City) -> None:
    asked = scenario({"groups": [{"name": "a", "count": 6}, {"name": "b", "count": 2}], "shifts": ALL_DAY})
    names = Counter(unit.id.split("-")[1] for unit in forces(asked, small_city, 12).units)
    assert names == {"a": 9, "b": 3}
    assert apportion([1, 1, 1], 4) == [2, 1, 1]
    assert apportion([6, 2], 1) == [1, 0]


# posts


def test_a_post_takes_the_kinds_that_it_names_and_units_for_whose_shifts_it_is_open(small_city: City) -> None:
    city = with_posts(
        small_city,
        unit_kinds=["motorcycle", "", "", "patrol_car;motorcycle"],
        opening_hours=["", "08:00-20:00", "", "Mo-Fr 00:00-24:00"],
    )
    found = units(city, {"count": 4})
    assert Counter(unit.id[:5] for unit in found if unit.shift == "day") == {"P02-D": 3, "P03-D": 1}
    assert Counter(unit.id[:5] for unit in found if unit.shift == "night") == {"P03-N": 4}
    weekdays = [{"name": "office", "start": "09:00", "end": "17:00", "weekdays": ["mon", "tue", "fri"]}]
    assert {unit.id[:3] for unit in units(city, {"count": 3, "shifts": weekdays})} == {"P02", "P03", "P04"}


def test_posts_that_there_are_not_or_that_take_no_such_unit_are_told_at_once(small_city: City) -> None:
    city = with_posts(
        small_city, unit_kinds=["motorcycle", "", "", ""], opening_hours=["", "", "", "Mo-Fr 08:00-20:00"]
    )
    found = faults(
        city,
        {
            "groups": [
                {"name": "a", "count": 1, "posts": ["P01", "P02"]},
                {"name": "b", "count": 1, "posts": ["P05", "P03"]},
                {"name": "c", "count": 1, "posts": ["P04"]},
            ],
            "shifts": ALL_DAY,
        },
    )
    assert [(fault.place, fault.found) for fault in found] == [
        ("units.groups[0].posts", "P01, which takes motorcycle only"),
        ("units.groups[1].posts", 'no post "P05"'),
        ("units.groups[2].posts", "no post"),
    ]
    assert found[1].mend.startswith("Did you mean P0")
    assert "open whenever all is on duty" in found[2].expected


# rosters


def test_a_rotation_has_one_team_on_each_shift(small_city: City) -> None:
    found = units(small_city, {"count": 3, "roster": "four_teams_three_shifts"}, days=8)
    assert len(found) == 12
    assert {unit.shift for unit in found} == set("ABCD")
    assert found[0].id == "P01-A1"
    for hour in range(0, 8 * 24, 3):
        assert len(working(found, hour * HOUR_S)) == 3
    assert {unit.shift for unit in working(found, 1.0)} != {unit.shift for unit in working(found, 9 * HOUR_S)}


def test_a_roster_begins_its_cycle_on_a_day(small_city: City) -> None:
    first = units(small_city, {"count": 1, "roster": "on_24_off_48", "roster_from": date(2026, 6, 1)})
    later = units(small_city, {"count": 1, "roster": "on_24_off_48", "roster_from": date(2026, 6, 2)})
    assert [unit.shift for unit in working(first, 0.0)] == ["A"]
    assert [unit.shift for unit in working(later, 0.0)] != ["A"]
    assert [unit.shift for unit in working(later, 24 * HOUR_S)] == ["A"]


def test_shifts_keep_to_their_weekdays_and_stagger(small_city: City) -> None:
    weekend = [{"name": "weekend", "start": "10:00", "end": "18:00", "weekdays": ["sat", "sun"]}]
    found = units(small_city, {"count": 2, "shifts": weekend, "stagger_min": 30}, start=datetime(2026, 6, 5), days=4)
    assert [span.begin_s / HOUR_S for span in found[0].duty or ()] == [34, 58]
    assert [span.begin_s / HOUR_S for span in found[1].duty or ()] == [34.5, 58.5]


def test_meals_are_had_in_the_shifts_into_which_they_fall(small_city: City) -> None:
    lunch, supper = {"window": ["11:30", "13:00"]}, {"window": ["18:00", "19:30"], "minutes": 45}
    shifts = [
        {"name": "day", "start": "08:00", "end": "16:00"},
        {"name": "late", "start": "16:00", "end": "00:00", "meal": supper},
        {"name": "night", "start": "00:00", "end": "08:00"},
    ]
    by_shift = {
        unit.shift: unit.meals for unit in units(small_city, {"count": 1, "shifts": shifts, "meals": [lunch]}, days=1)
    }
    assert by_shift["day"][0] == (3.5 * HOUR_S, 5 * HOUR_S, 36 * 60)
    assert by_shift["late"][0] == (10 * HOUR_S, 11.5 * HOUR_S, 45 * 60)
    assert by_shift["night"] == ()
    of_roster = units(small_city, {"count": 1, "roster": "three_shifts", "meals": [lunch]}, days=1)
    assert {unit.shift: len(unit.meals) > 0 for unit in of_roster} == {"day": True, "evening": False, "night": False}


def test_a_meal_outside_of_all_shifts_is_refused(small_city: City) -> None:
    night, noon = {"window": ["01:00", "02:00"]}, {"window": ["12:00", "12:30"]}
    shifts = [{"name": "day", "start": "08:00", "end": "20:00", "meal": night}]
    found = faults(small_city, {"count": 1, "shifts": shifts, "meals": [noon, night]})
    assert [fault.place for fault in found] == ["units.shifts[0].meal", "units.meals[1]"]


def test_vehicles_are_out_of_service_by_plan_and_at_random(small_city: City) -> None:
    plan = {"unit": "P02-A1", "start": datetime(2026, 6, 1, 10), "end": datetime(2026, 6, 1, 12)}
    found = units(small_city, {"count": 3, "shifts": ALL_DAY, "outages": [plan]})
    assert [unit.outages for unit in found] == [(), ((2 * HOUR_S, 4 * HOUR_S),), ()]
    broken = {"count": 3, "shifts": ALL_DAY, "breakdowns": {"mtbf_h": 8, "repair_h": 2}}
    asked = scenario(broken)
    some = [unit.outages for unit in forces(asked, small_city).units]
    assert all(some)
    assert some[0] != some[1]
    assert [unit.outages for unit in forces(asked, small_city).units] == some
    assert [unit.outages for unit in forces(asked, small_city, replication=1).units] != some


def test_an_outage_of_no_unit_is_refused(small_city: City) -> None:
    plan = {"unit": "P02-D9", "start": datetime(2026, 6, 1, 10), "end": datetime(2026, 6, 1, 12)}
    (fault,) = faults(small_city, {"count": 3, "outages": [plan]})
    assert (fault.place, fault.found) == ("units.outages[0].unit", 'no unit "P02-D9"')
    assert fault.mend == "Did you mean P02-D1?"


def test_on_holidays_a_third_works_and_a_third_stands_by(small_city: City) -> None:
    asked = scenario(
        {
            "count": 6,
            "shifts": ALL_DAY,
            "holidays": [{"first": date(2026, 10, 1), "last": date(2026, 10, 3)}],
            "call_up_below": 2,
            "call_up_min": 20,
        },
        start=datetime(2026, 10, 1, 8),
    )
    problem = build_problem(asked, small_city)
    assert len(working(problem.units, HOUR_S)) == 2
    assert sum(bool(unit.standby and unit.standby[0].begin_s == 0) for unit in problem.units) == 2
    assert (problem.call_up_below, problem.call_up_s) == (2, 1200)


# patrols and beats


PATROLS: dict[str, dict[str, Any]] = {
    "roaming": {"within_m": 1200},
    "route": {"places": ["S1", "S2", "P03"], "stay_min": 5},
    "hot_spots": {"spots": 3, "stay_min": [8, 12], "every_min": 90},
    "guard": {"places": ["S1", "S2", "S3", "S4"]},
    "checks": {"places": ["S1", "S2", "S3", "S4", "S5"], "stay_min": 4},
}


@pytest.mark.parametrize("form", FORMS)
def test_units_patrol_in_every_form(small_city: City, form: str) -> None:
    found = units(small_city, {"count": 3}, patrol={"form": form} | PATROLS[form], days=1)
    assert [unit.patrol is not None for unit in found] == [True] * 6
    assert {unit.patrol.name.split()[0] for unit in found if unit.patrol} == {form}
    assert {unit.patrol.again for unit in found if unit.patrol} == {FORMS[form].again}


def test_stays_of_a_route_take_their_minutes(small_city: City) -> None:
    unit, *_ = units(small_city, {"count": 1}, patrol={"form": "route", "places": ["S1"], "stay_min": 15})
    assert unit.patrol is not None
    lasts_s = np.diff(unit.patrol.until_s, prepend=0.0)
    standing = unit.patrol.from_share == unit.patrol.to_share
    assert lasts_s[standing].sum() == pytest.approx(15 * 60)


def test_sites_to_check_are_dealt_among_the_units_and_one_guards_each(small_city: City) -> None:
    checks = units(small_city, {"count": 3, "shifts": ALL_DAY}, patrol={"form": "checks"} | PATROLS["checks"])
    stops = [
        np.diff(u.patrol.until_s, prepend=0.0)[u.patrol.from_share == u.patrol.to_share] for u in checks if u.patrol
    ]
    assert [len(lasts_s) for lasts_s in stops] == [2, 2, 1]
    guards = units(small_city, {"count": 3, "shifts": ALL_DAY}, patrol={"form": "guard", "places": ["S1", "S4"]})
    assert [unit.patrol is not None for unit in guards] == [True, True, False]


def test_a_share_of_the_units_patrols_and_a_group_may_do_otherwise(small_city: City) -> None:
    assert [patrol_number(i, 0.5) for i in range(4)] == [0, None, 1, None]
    assert [patrol_number(i, 1.0) for i in range(3)] == [0, 1, 2]
    found = units(
        small_city,
        {
            "groups": [
                {"name": "a", "count": 4},
                {"name": "b", "count": 2, "patrol": {"form": "none"}},
            ],
            "shifts": ALL_DAY,
        },
        patrol={"form": "roaming", "share": 0.5},
    )
    assert [unit.patrol is not None for unit in found] == [True, False, True, False, False, False]


def test_a_patrol_that_cannot_be_driven_is_refused_with_its_place(small_city: City) -> None:
    (fault, *_) = faults(small_city, patrol={"form": "guard", "places": ["S77"]})
    assert fault.source == "scenario test"
    assert fault.place.startswith("patrol: ")
    assert "no site or post of this id" in fault.found
    group = {"name": "a", "count": 1, "patrol": {"form": "route", "places": ["P01"]}}
    (fault,) = faults(small_city, {"groups": [group], "shifts": ALL_DAY})
    assert fault.place == "units.groups[0].patrol"
    assert fault.expected == "a patrol that can be driven"
    (fault,) = faults(small_city, patrol={"form": "roaming", "within_m": 1})
    assert "no street of any weight" in fault.found


def test_units_have_the_beat_of_their_post_and_patrol_in_it(small_city: City) -> None:
    asked = scenario({"count": 4}, beats={"by": "district"}, patrol={"form": "hot_spots", "spots": 2})
    made = forces(asked, small_city)
    assert made.beats is not None
    assert {unit.id[:3]: unit.beat for unit in made.units} == {"P01": 1, "P02": 0, "P03": 1, "P04": 0}
    pieces = small_city.pieces
    for unit in made.units:
        assert unit.patrol is not None
        stops = unit.patrol.edge[unit.patrol.from_share == unit.patrol.to_share]
        cells = [set(pieces.cell[pieces.street == small_city.network.street[edge]]) for edge in stops]
        home = small_city.network.street[small_city.posts.positions.edge[unit.post]]
        at_home = [small_city.network.street[edge] == home for edge in stops]
        assert all(
            stay or any(made.beats.of_cell[cell] == unit.beat for cell in of_street)
            for of_street, stay in zip(cells, at_home, strict=True)
        )


def test_beats_by_post_and_a_group_with_another_beat(small_city: City) -> None:
    group = [{"name": "a", "count": 2, "beat": "P02"}, {"name": "b", "count": 2}]
    made = forces(scenario({"groups": group, "shifts": ALL_DAY}, beats={"by": "post"}), small_city)
    assert [unit.beat for unit in made.units] == [1, 1, 0, 1]
    assert made.beats is not None
    assert set(made.beats.of_cell) == {0, 1}


def test_beats_that_there_are_not_are_refused(small_city: City) -> None:
    (fault,) = faults(small_city, beats={"by": "street"})
    assert (fault.place, fault.expected) == ("beats.by", "one of post, city, district")
    group = [{"name": "a", "count": 2, "beat": "X"}]
    (fault,) = faults(small_city, {"groups": group}, beats={"by": "district"})
    assert fault.place == "units.groups[0].beat"
    (fault,) = faults(small_city, {"groups": group})
    assert "beats.by" in fault.mend
