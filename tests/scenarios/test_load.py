"""Scenario files: read, refused with all faults at once, and written back as resolved."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from geodata.errors import Fault, InputError
from scenarios.console import run_tables
from scenarios.load import dump, find_scenario, library, load_scenario, resolve
from scenarios.run import read_run, run_scenario
from scenarios.schema import known_keys

HEAD = 'name = "test"\n[city]\nsynthetic_seed = 1\n'


def faults(text: str, folder: Path) -> tuple[Fault, ...]:
    path = folder / "wrong.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError) as caught:
        load_scenario(path)
    assert {fault.source for fault in caught.value.faults} == {str(path)}
    return caught.value.faults


@pytest.mark.parametrize(
    ("lines", "place", "found", "expected", "mend"),
    [
        ("[unit]\ncount = 3", "unit (line 4)", "the unknown key `unit`", "units", "Did you mean `units`?"),
        ("[units]\ncuont = 3", "units.cuont (line 5)", "`cuont`", "one of count, kind", "`count`?"),
        ("[standard]\nseed = 3", "standard.seed (line 5)", "`seed`", "limits_s", "Did you mean `seed` in [run]?"),
        ("[run]\nxyz = 3", "run.xyz (line 5)", "`xyz`", "start, days, seed", "patrol scenarios --keys"),
        ("[run]\ndays = -1", "run.days (line 5)", "-1", "above 0", "left out, it is 7.0"),
        ('[run]\ndays = "7"', "run.days (line 5)", 'the text "7"', "a number", "left out"),
        ("[run]\nstart = 2026-06-01", "run.start (line 5)", "2026-06-01", "2026-06-01T08:00:00", ""),
        ("[run]\nstart = 2026-06-01T08:00:00+08:00", "run.start", "+08:00", "without an offset", "T08:00:00."),
        ("[standard]\nlimits_s = { vitl = 60 }", "standard.limits_s.vitl (line 5)", "vitl", "vital", "`vital`?"),
        ('[standard]\nheadline = "now"', "standard.headline", '"now"', "'received', 'ordered' or 'rolling'", ""),
        ("[standard]\namber_share = 0.95", "standard.amber_share", "0.95", "at most the target_share, 0.9", "Lower"),
        ("[demand.type_share]\ncrime = 0.5", "demand.type_share (line 4)", "sum to 1.46", "sum to 1", "State all"),
        ('[dispatch]\npolicy = "nearst"', "dispatch.policy", '"nearst"', "nearest, straight_line", ""),
        (
            '[[units.shifts]]\nname = "a"\nstart = "08:00"\nend = "25:00"',
            "units.shifts[0].end (line 7)",
            '"25:00"',
            "a time of day",
            '"08:00"',
        ),
        ('[[units.shifts]]\nname = "a"\nstart = "08:00"', "units.shifts[0].end (line 4)", "nothing", "`end`", "20:00"),
        (
            "[demand]\nincidents_per_day = 9\nper_1000_residents_a_year = 9",
            "demand.per_1000_residents_a_year (line 6)",
            "both rates",
            "this one or `incidents_per_day`",
            "Remove one",
        ),
    ],
)
def test_a_fault_names_the_place_the_finding_the_expectation_and_the_mend(
    lines: str, place: str, found: str, expected: str, mend: str, tmp_path: Path
) -> None:
    (fault,) = faults(HEAD + lines, tmp_path)
    assert place in fault.place
    assert found in fault.found
    assert expected in fault.expected
    assert mend in fault.mend


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    text = 'titel = "?"\n' + HEAD + "path = 'x'\n[run]\ndays = 0\nseed = 1.5\n[speeds.peak_kmh]\nlocal = -3\n"
    assert {fault.place.split(" ")[0] for fault in faults(text, tmp_path)} == {
        "titel",
        "city",
        "run.days",
        "run.seed",
        "speeds.peak_kmh.local",
    }


def test_a_file_without_city_or_name_is_told_so(tmp_path: Path) -> None:
    assert [fault.expected for fault in faults("[run]\ndays = 1\n", tmp_path)] == ["`name`", "`city`"]


def test_a_broken_file_is_told_with_its_line(tmp_path: Path) -> None:
    (fault,) = faults(HEAD + "[run\n", tmp_path)
    assert "line 4" in fault.found


def test_a_file_that_is_no_text_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "gbk.toml"
    path.write_bytes('title = "示范"'.encode("gb18030"))
    with pytest.raises(InputError, match="Save it as UTF-8"):
        load_scenario(path)


def test_a_missing_file_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_scenario(tmp_path / "none.toml")


def test_a_city_is_looked_for_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text('name = "test"\ncity = { path = "../cities/a" }\n', "utf-8")
    found = load_scenario(path).city.path
    assert found is not None
    assert Path(found) == tmp_path.parent / "cities" / "a"


def test_a_scenario_written_as_resolved_reads_as_the_same(tmp_path: Path) -> None:
    first = tmp_path / "first.toml"
    first.write_text(HEAD + '[[units.shifts]]\nname = "all"\nstart = 00:00:00\nend = "00:00"\n', "utf-8")
    scenario = load_scenario(first)
    second = tmp_path / "second.toml"
    second.write_text(dump(scenario), "utf-8")
    assert load_scenario(second) == scenario
    assert dump(load_scenario(second)) == dump(scenario)
    assert "desk_mean_s = 83.0" in dump(scenario)


@pytest.mark.parametrize("name", library())
def test_every_built_in_scenario_loads_and_is_found_by_its_name(name: str) -> None:
    scenario = load_scenario(find_scenario(name))
    assert scenario.name == name
    assert scenario.title
    assert scenario.title_zh


@pytest.mark.parametrize(("name", "mend"), [("dmo", "Did you mean demo?"), ("x/y.toml", "patrol scenarios")])
def test_an_unknown_scenario_is_refused_with_the_nearest_name(name: str, mend: str) -> None:
    with pytest.raises(InputError) as caught:
        find_scenario(name)
    assert mend in caught.value.faults[0].mend


def test_a_run_folder_in_place_of_a_scenario_is_told_which_file_is_meant(tmp_path: Path) -> None:
    (tmp_path / "scenario.toml").write_text(HEAD, "utf-8")
    with pytest.raises(InputError) as caught:
        find_scenario(str(tmp_path))
    assert str(tmp_path / "scenario.toml") in caught.value.faults[0].mend


@pytest.mark.parametrize(
    ("name", "differs_in"),
    [
        ("demo_straight_line", {"dispatch"}),
        ("demo_night", {"units"}),
        ("demo_patrol", {"patrol"}),
        ("demo_kinds", {"units", "demand"}),
        ("demo_moveup", {"dispatch"}),
        ("demo_preempt", {"dispatch"}),
    ],
)
def test_the_demo_and_its_companions_differ_in_what_they_compare_alone(name: str, differs_in: set[str]) -> None:
    demo, other = (load_scenario(find_scenario(each)).model_dump() for each in ("demo", name))
    named = {"name", "title", "title_zh"}
    assert {key for key in demo if demo[key] != other[key]} - named == differs_in
    counts = [other["units"]["count"]] if other["units"]["count"] else [g["count"] for g in other["units"]["groups"]]
    assert demo["units"]["count"] == sum(counts)


GROUPS = """
[[units.groups]]
name = "a"
count = 2
[[units.groups]]
name = "b"
count = 3
[[units.groups.shifts]]
name = "day"
start = "08:00"
end = "20:00"
[[units.groups.shifts]]
name = "night"
"""


@pytest.mark.parametrize(
    ("lines", "place", "found", "expected", "mend"),
    [
        (GROUPS, "units.groups[1].shifts[1].start (line 15)", "nothing", "`start`", ""),
        (
            "[units]\ncount = 3\n[[units.groups]]\nname = 'a'\ncount = 1",
            "units.groups",
            "a count",
            "one of the two",
            "",
        ),
        (
            "[units]\nroster = 'always'\nshifts = []\nroster_form = 1",
            "units.roster_form",
            "`roster_form`",
            "",
            "roster_from",
        ),
        (
            "[units]\nroster = 'three'",
            "units.roster (line 5)",
            '"three"',
            "four_teams_two_shifts",
            "shifts of your own",
        ),
        ("[units]\nroster_from = 2026-01-01", "units.roster_from", "without a roster", "a roster", "State `roster`"),
        (
            "[units.kinds.tank]\ncrwe = 3",
            "units.kinds.tank.crwe (line 5)",
            "`crwe`",
            "one of crew",
            "Did you mean `crew`?",
        ),
        ("[units.kinds.tank]\nechelon = 2", "units.kinds.tank.echelon", "2", "one of 1, 3, 5", ""),
        ("[units]\nmeals = [{ window = ['11:30'] }]", "units.meals[0].window[1]", "nothing", "", ""),
        ("[[units.holidays]]\nfirst = 2026-10-07\nlast = 2026-10-01", "units.holidays[0]", "2026-10-07 to", "", ""),
        (
            "[[units.holidays]]\nfirst = '2026-10-07'",
            "units.holidays[0].first",
            "2026-10-07",
            "a date without quotes",
            "",
        ),
        (
            "[units]\nholidays = [{first = 2026-10-01, last = 2026-10-03}, {first = 2026-10-03, last = 2026-10-04}]",
            "units.holidays (line 5)",
            "2026-10-03 to 2026-10-04",
            "do not overlap",
            "Make them one.",
        ),
        ("[patrol]\nform = 'flying'", "patrol.form (line 5)", '"flying"', "none, route, roaming", ""),
        (
            "[patrol]\nform = 'guard'",
            "patrol (line 4)",
            "no places for the form guard",
            "at least one",
            "Name `places`.",
        ),
        ("[patrol]\nform = 'roaming'\nspots = 3", "patrol (line 4)", "`spots` with the form roaming", "within_m", ""),
        (
            "[patrol]\nform = 'roaming'\nstay_min = [3, 5]",
            "patrol",
            "two numbers",
            "one for the form",
            "Only hot spots",
        ),
        ("[patrol]\nplaces = 'S1'", "patrol.places (line 5)", "'S1'", "a list of ids", "Such as"),
        ("[patrol]\nplaces = [[1, 2, 3]]", "patrol.places (line 5)", "[1, 2, 3]", "[lon, lat]", "Such as"),
        ("[patrol]\nweight = 'crime'", "patrol.weight (line 5)", "'crime'", "residents or road_length", ""),
        ("[patrol]\nstay_min = [5, 3]", "patrol.stay_min (line 5)", "[5, 3]", "minutes", "[10, 16]"),
        ("[dispatch]\nrelief = 'next'", "dispatch.relief (line 5)", '"next"', "one of nearer, or module", ""),
        ("[dispatch]\nmove_up = 'dmexcl'", "dispatch.move_up (line 5)", '"dmexcl"', "compliance_table, dmexclp", ""),
        ("[standard]\nname = 'uk'", "standard.name (line 5)", '"uk"', "uk_15_20", ""),
        (
            "[standard]\nreadings = ['echelon', 'echelon']",
            "standard.readings",
            '"echelon" twice',
            "each reading once",
            "",
        ),
        ("[[demand.plans]]\npriority = 5\nroles = [{}]", "demand.plans[0].priority (line 5)", "5", "4 or less", ""),
        (
            "[[demand.plans]]\npriority = 1\nroles = []",
            "demand.plans[0].roles (line 6)",
            "a list of 0",
            "1 or more",
            "",
        ),
        ("[demand]\nhistory = 'a'\nfitted = 'b'", "demand.fitted (line 6)", "beside a history", "one of the two", ""),
        ("[demand]\nhistory = 'a'\nincidents_per_day = 9", "demand", "a rate beside `history`", "no rate", ""),
        (
            "[[travel.closures]]\nname = 'a'\narea = 'a.gpkg'\nstart = 2026-06-02T08:00:00\nend = 2026-06-01T08:00:00",
            "travel.closures[0] (line 4)",
            "2026-06-02 08:00:00 to",
            "an end after the start",
            "",
        ),
        ("[[travel.weather]]\nfactor = 0", "travel.weather[0].factor (line 5)", "0", "above 0", ""),
    ],
)
def test_what_cannot_be_is_refused_in_every_part(
    lines: str, place: str, found: str, expected: str, mend: str, tmp_path: Path
) -> None:
    fault = next(fault for fault in faults(HEAD + lines, tmp_path) if place in fault.place)
    assert found in fault.found
    assert expected in fault.expected
    assert mend in fault.mend


EVERYTHING = """
name = "everything"
city = { path = "city" }
run = { days = 1 }
beats = { by = "district" }
speeds = { junction_s = 2.0 }

[standard]
name = "chained"
priority_limits_s = { p4 = 900 }

[demand]
incidents_per_day = 150
units_at_once = { p1 = 3 }
backup_share = { p3 = 0.5 }
false_alarm_share = { help = 0.2 }
duplicate_share = 0.1
withdrawn_share = 0.1

[[demand.plans]]
priority = 1
roles = [{}, { skill = "armed" }, { acts_alone = false }]

[units]
stagger_min = 10
meals = [{ window = ["11:30", "13:30"] }]
breakdowns = { mtbf_h = 40, repair_h = 3 }
holidays = [{ first = 2026-06-03, last = 2026-06-04 }]
roster_from = 2026-05-01
outages = [{ unit = "P01-car-D1", start = 2026-06-01T09:00:00, end = 2026-06-01T10:00:00 }]
call_up_below = 1

[units.kinds.auxiliary_patrol]
crew = 4

[[units.groups]]
name = "car"
count = 4
beat = "W"

[[units.groups]]
name = "moto"
kind = "motorcycle"
count = 2
roster = "four_teams_two_shifts"
patrol = { form = "hot_spots", spots = 2, stay_min = [5, 8], every_min = 30 }

[[units.groups]]
name = "armed"
kind = "armed_patrol"
count = 1
posts = ["P01"]
shifts = [{ name = "all", start = "00:00", end = "00:00", meal = { window = ["18:00", "19:00"], minutes = 20 } }]

[[units.groups]]
name = "helpers"
kind = "auxiliary_patrol"
count = 2
patrol = { form = "checks", places = ["S1", "S4"], stay_min = 8 }

[patrol]
form = "roaming"
share = 0.5
within_m = 1500
weight = { G00 = 2.0, G11 = 3.0, G22 = 1.0, G33 = 1.0, G24 = 1.0, G04 = 2.0, G30 = 1.0, G13 = 1.0, G03 = 1, G23 = 1 }

[dispatch]
policy = "preempt"
options = { min_gain_s = 20 }
relief = "nearer"
move_up = "dmexclp"
desks = 2
max_hold_min = 20

[travel]
journey_cv = 0.2

[[travel.weather]]
start = 2026-06-01T12:00:00
end = 2026-06-01T14:00:00
factor = 0.8
"""


@pytest.fixture
def everything(small_city_folder: Path, tmp_path: Path) -> Path:
    """A scenario file that says something in every part."""
    (tmp_path / "everything.toml").write_text(
        EVERYTHING.replace('"city"', f'"{small_city_folder.as_posix()}"'), "utf-8"
    )
    return tmp_path / "everything.toml"


def test_a_scenario_that_says_everything_is_written_as_it_is_meant(everything: Path, tmp_path: Path) -> None:
    scenario = load_scenario(everything)
    (tmp_path / "again").mkdir()
    again = tmp_path / "again" / "again.toml"
    again.write_text(dump(scenario), "utf-8")
    assert load_scenario(again) == scenario
    assert scenario.standard.priority_limits_s.p4 == 900
    assert scenario.standard.priority_limits_s.p1 == 60
    assert [reading.value for reading in scenario.standard.readings] == ["place_class", "echelon", "severity"]


def test_a_scenario_that_says_everything_runs_and_is_read_again(everything: Path, tmp_path: Path) -> None:
    done = run_scenario(load_scenario(everything), tmp_path / "run")
    log = read_run(tmp_path / "run").log
    assert len(log.incidents) > 100
    assert set(log.units["kind"]) == {"patrol_car", "motorcycle", "armed_patrol", "auxiliary_patrol"}
    states = set(log.unit_states["state"])
    assert {"patrolling", "meal", "out_of_service", "moving_up", "on_scene"} <= states
    assert {"cleared", "false_alarm", "duplicate", "withdrawn"} <= set(log.incidents["outcome"])
    assert done.summary["tiers"] is not None
    report = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert "4 patrol_car, 2 motorcycle, 1 armed_patrol, 2 auxiliary_patrol" in report
    screen = Console(file=StringIO(), width=120)
    for part in run_tables(done):
        screen.print(part)
    told = screen.file.getvalue()
    assert "15 min P4" in told
    assert "second calls about others" in told
    assert "Share of incidents that each tier reached within its own limit" in told
    assert "could have been prevented" in told


def test_the_paths_of_a_scenario_become_absolute(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    closure = "start = 2026-06-01T08:00:00, end = 2026-06-02T08:00:00"
    file.write_text(
        HEAD + '[demand]\nhistory = "h"\n[dispatch]\npolicy = "mine.last"\n[travel]\nclosures = [\n'
        f'{{ name = "a", area = "flood.gpkg", {closure} }},\n'
        f'{{ name = "b", area = "POLYGON ((1 1, 2 1, 2 2, 1 1))", {closure} }} ]\n',
        "utf-8",
    )
    scenario = load_scenario(file)
    assert scenario.demand.history == (tmp_path / "h").as_posix()
    assert scenario.dispatch.folder == tmp_path.as_posix()
    areas = [closure.area for closure in scenario.travel.closures]
    assert areas == [(tmp_path / "flood.gpkg").as_posix(), "POLYGON ((1 1, 2 1, 2 2, 1 1))"]


@pytest.mark.parametrize(
    "value", [3, -1.5, "x", True, [], [1], [{}], {}, {"a": 1}, [[1, 2]], date(2026, 1, 1)], ids=repr
)
def test_whatever_stands_in_a_key_is_understood_or_refused(value: Any, tmp_path: Path) -> None:
    for key in known_keys():
        table: dict[str, Any] = {"name": "a", "city": {"synthetic_seed": 1}}
        *above, last = key.place.replace("NAME", "name").split(".")
        at = table
        for step in above:
            below = at.get(step.removesuffix("[]"), {})
            at[step.removesuffix("[]")] = [below] if step.endswith("[]") else below
            at = below
        at[last] = value
        with suppress(InputError):
            scenario = resolve(table, source="typed", folder=tmp_path)
            assert resolve(tomllib.loads(dump(scenario)), source="written", folder=tmp_path) == scenario
