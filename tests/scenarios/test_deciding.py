"""Who decides: policies with their options, one's own beside the scenario, and move-ups between posts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dispatch.engine import simulate
from geodata.city import City
from geodata.errors import Fault, InputError
from scenarios.build import build_problem
from scenarios.load import load_scenario
from scenarios.run import read_run, run_scenario
from scenarios.schema import Scenario

OWN = '''
from dispatch.policies.dispatching import nearest

def last(situation, *, at_least: int = 0):
    """Whoever comes last in the roster."""
    free = situation.free[-1:]
    return nearest(situation._replace(free=free)) if len(free) > at_least else []
'''


def scenario(dispatch: Any, **parts: Any) -> Scenario:
    given = {"name": "test", "city": {"synthetic_seed": 1}, "run": {"days": 0.5}, "demand": {"incidents_per_day": 120}}
    return Scenario.model_validate(given | {"units": {"count": 5}, "dispatch": dispatch} | parts)


def faults(city: City, dispatch: Any, **parts: Any) -> tuple[Fault, ...]:
    with pytest.raises(InputError) as caught:
        build_problem(scenario(dispatch, **parts), city)
    return caught.value.faults


def test_options_reach_the_policies(small_city: City) -> None:
    problem = build_problem(
        scenario(
            {
                "policy": "preempt",
                "options": {"min_gain_s": 30},
                "relief": "nearer",
                "relief_options": {"gain": 0.5},
                "desks": 3,
                "max_hold_min": 15,
                "move_gap_min": 5,
            }
        ),
        small_city,
    )
    assert problem.policy.keywords == {"min_gain_s": 30}
    assert problem.relief is not None
    assert problem.relief.keywords == {"gain": 0.5}
    assert (problem.desks, problem.max_hold_s, problem.move_gap_s) == (3, 900, 300)
    assert problem.cover is None
    assert len(simulate(problem).incidents)


def test_wrong_options_are_told_with_their_place(small_city: City) -> None:
    found = faults(small_city, {"policy": "preempt", "options": {"min_gain": 30, "min_gain_s": "soon"}})
    assert [fault.place for fault in found] == ["dispatch.options.min_gain", "dispatch.options.min_gain_s"]
    assert found[0].mend == "Did you mean `min_gain_s`?"
    assert found[0].source == "scenario test"
    (fault,) = faults(small_city, {"relief": "nearer", "relief_options": {"gain": 2}})
    assert fault.place == "dispatch.relief_options.gain"
    (fault,) = faults(small_city, {"relief_options": {"gain": 0.2}})
    assert fault.mend == "Name one in dispatch.relief."


def test_a_policy_without_what_it_goes_by_is_refused(small_city: City) -> None:
    (fault,) = faults(small_city, {"policy": "beat_first"})
    assert fault.place == "beats.by"
    problem = build_problem(scenario({"policy": "beat_first"}, beats={"by": "post"}), small_city)
    assert problem.beats is not None
    assert build_problem(scenario({"policy": "cover_aware"}), small_city).cover is not None
    (fault,) = faults(small_city, {"move_up": "dmexclp"}, patrol={"form": "roaming"})
    assert fault.place == "dispatch.move_up"


def test_units_move_up_between_posts(small_city: City) -> None:
    problem = build_problem(scenario({"move_up": "dmexclp", "move_up_options": {"busy": 0.4}}), small_city)
    assert problem.move_up is not None
    assert problem.move_up.keywords == {"busy": 0.4}
    assert problem.cover is not None
    assert problem.cover.n_posts == 4
    assert problem.cover.weight.sum() == pytest.approx(1)
    assert "moving_up" in set(simulate(problem).unit_states["state"])


def test_by_severity_a_place_counts_once_for_each_priority(small_city: City) -> None:
    by_place, by_severity = (
        build_problem(scenario({"move_up": "dmexclp"}, standard={"name": name}), small_city).cover
        for name in ("one_three_five", "severity")
    )
    assert by_place is not None
    assert by_severity is not None
    assert len(by_severity.limit_s) == 4 * len(by_place.limit_s)
    assert set(by_severity.limit_s) == {60, 180, 300, 600}


def test_a_compliance_table_names_posts_by_their_ids_and_is_made_where_none_is_given(small_city: City) -> None:
    stated = {"move_up": "compliance_table", "move_up_options": {"table": [["P02"], ["P02", "P04"]]}}
    problem = build_problem(scenario(stated), small_city)
    assert problem.move_up is not None
    assert problem.move_up.keywords == {"table": ((1,), (1, 3))}
    made = build_problem(scenario({"move_up": "compliance_table"}), small_city).move_up
    assert made is not None
    assert [len(row) for row in made.keywords["table"]] == [1, 2, 3, 4, 5]
    (fault,) = faults(small_city, {"move_up": "compliance_table", "move_up_options": {"table": [["P9"]]}})
    assert (fault.place, fault.found) == ("dispatch.move_up_options.table", "no post 'P9'")
    (fault,) = faults(small_city, {"move_up": "compliance_table", "move_up_options": {"table": "P01"}})
    assert fault.expected == "lists of ids of posts"


def test_a_policy_of_one_s_own_lies_beside_the_scenario(
    small_city_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "own_policy_135.py").write_text(OWN, "utf-8")
    file = tmp_path / "beside" / "scenario.toml"
    file.write_text(
        f'name = "own"\ncity.path = "{small_city_folder.as_posix()}"\nrun.days = 0.1\n'
        'dispatch = { policy = "own_policy_135.last", options = { at_least = 0 } }\n',
        "utf-8",
    )
    monkeypatch.chdir(tmp_path)
    run_scenario(load_scenario(file), tmp_path / "run")
    run = read_run(tmp_path / "run")
    assert run.scenario.dispatch.folder == (tmp_path / "beside").as_posix()
    assert len(run.log.assignments)


def test_two_folders_may_each_have_a_module_of_one_name(small_city: City, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "twin_policies_135.py").write_text(f"def {folder}(situation):\n    return []\n", "utf-8")
    for folder in ("first", "second", "first"):
        chosen = {"policy": f"twin_policies_135.{folder}", "folder": str(tmp_path / folder)}
        problem = build_problem(scenario(chosen), small_city)
        assert problem.policy.func.__name__ == folder


def test_a_policy_that_cannot_be_imported_is_told(small_city: City, tmp_path: Path) -> None:
    (fault,) = faults(small_city, {"policy": "no_such_module_135.last", "folder": str(tmp_path)})
    assert fault.place == "dispatch.policy"
    assert "No module named 'no_such_module_135'" in fault.found
