"""Scenario files: read, refused with all faults at once, and written back as resolved."""

from __future__ import annotations

from pathlib import Path

import pytest

from geodata.errors import Fault, InputError
from scenarios.load import dump, find_scenario, library, load_scenario

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
    [("demo_straight_line", {"dispatch"}), ("demo_night", {"units"})],
)
def test_the_demo_and_its_companions_differ_in_what_they_compare_alone(name: str, differs_in: set[str]) -> None:
    demo, other = (load_scenario(find_scenario(each)).model_dump() for each in ("demo", name))
    named = {"name", "title", "title_zh"}
    assert {key for key in demo if demo[key] != other[key]} - named == differs_in
    assert demo["units"]["count"] == other["units"]["count"]
