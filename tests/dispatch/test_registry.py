"""Policies by name: those of the product and a user's own, and how faults in naming them are told."""

from __future__ import annotations

import math
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dispatch.policies import dispatching
from dispatch.policies.registry import POLICIES, RELIEFS, Place, resolve
from geodata.errors import Fault, InputError

PLACE = Place("city.toml", "dispatch.policy", "dispatch.options")

MINE = """
from __future__ import annotations
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from dispatch.policies.situation import Order, Situation

number = 5

def hold(situation: Situation) -> list[Order]:
    return []

def far(situation: Situation, *, beyond_m: float, names: tuple[str, ...] = (), anything=None) -> list[Order]:
    return []

def two(situation, k=3):
    return []

def odd(situation, *, k: Unknown = 3):
    return []

class Late:
    def __call__(self, situation, *, by_s: int = 60):
        return []

late = Late()
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_policies.py").write_text(MINE, "utf-8")
    (tmp_path / "broken_policies.py").write_text("import no_such_thing_at_all\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def faults(name: str, **options: Any) -> list[Fault]:
    with pytest.raises(InputError) as told:
        resolve(POLICIES, name, options, PLACE)
    assert all(fault.source == "city.toml" for fault in told.value.faults)
    return list(told.value.faults)


def test_the_policies_bear_the_names_that_scenarios_give() -> None:
    assert list(POLICIES) == [
        "nearest", "straight_line", "beat_first", "reserve", "preempt", "soonest_free", "batch", "cover_aware",
        "echelon",
    ]  # fmt: skip
    assert list(RELIEFS) == ["nearer"]
    assert all(policy.__doc__ for policy in (*POLICIES.values(), *RELIEFS.values()))


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_needs_no_option(name: str) -> None:
    policy = resolve(POLICIES, name, {}, PLACE)
    assert isinstance(policy, partial)
    assert (policy.func, policy.keywords) == (POLICIES[name], {})
    assert pickle.loads(pickle.dumps(policy)).func is POLICIES[name]  # noqa: S301 - a study sends policies to its workers


def test_options_are_taken_as_a_file_holds_them() -> None:
    def options(name: str, **given: Any) -> Any:
        return resolve(POLICIES, name, given, PLACE).keywords

    assert options("reserve", keep_p3=1) == {"keep_p3": 1}
    assert options("preempt", min_gain_s=45) == {"min_gain_s": 45.0}
    assert options("preempt", min_gain_s=math.inf) == {"min_gain_s": math.inf}
    assert options("batch", weights=[9, 3, 2.5, 1]) == {"weights": (9.0, 3.0, 2.5, 1.0)}
    assert options("echelon", plan={"1": [1, 5], "2": []}) == {"plan": {1: (1, 5), 2: ()}}
    assert options("echelon", plan={1: (1, 5)}) == {"plan": {1: (1, 5)}}
    assert resolve(RELIEFS, "nearer", {"gain": 0.5}, PLACE).keywords == {"gain": 0.5}


def test_a_name_that_is_nearly_right_is_suggested() -> None:
    (fault,) = faults("nearst")
    assert (fault.place, fault.found) == ("dispatch.policy", 'the unknown policy "nearst"')
    assert fault.expected.startswith("one of nearest, straight_line, ")
    assert fault.mend == "Did you mean `nearest`?"
    assert "Did you mean" not in faults("closest of them")[0].mend


def test_all_faults_of_the_options_are_told_at_once() -> None:
    misspelt, low, text = faults("reserve", kep_p3=1, keep_p2=-1, keep_p4="2")
    assert (misspelt.place, misspelt.mend) == ("dispatch.options.kep_p3", "Did you mean `keep_p3`?")
    assert misspelt.expected == "one of keep_p2, keep_p3, keep_p4, as reserve has"
    assert (low.place, low.found, low.expected) == ("dispatch.options.keep_p2", "-1", "greater than or equal to 0")
    assert (text.place, text.found, text.expected) == ("dispatch.options.keep_p4", "'2'", "a valid integer")


@pytest.mark.parametrize(
    ("name", "options", "place"),
    [
        ("nearest", {"k": 3}, "k"),
        ("reserve", {"keep_p3": 2.0}, "keep_p3"),
        ("reserve", {"keep_p3": True}, "keep_p3"),
        ("preempt", {"min_gain_s": math.nan}, "min_gain_s"),
        ("preempt", {"min_gain_s": "60"}, "min_gain_s"),
        ("soonest_free", {"within_s": -1}, "within_s"),
        ("batch", {"weights": [8, 4, 2]}, "weights.3"),
        ("batch", {"weights": [8, 4, 2, 0]}, "weights.3"),
        ("batch", {"calls": 0}, "calls"),
        ("cover_aware", {"busy": 1.1}, "busy"),
        ("cover_aware", {"from_priority": 5}, "from_priority"),
        ("echelon", {"plan": {"1": [1, 4]}}, "plan.1.1"),
        ("echelon", {"plan": {"0": [1]}}, "plan.0.[key]"),
        ("echelon", {"plan": [1, 3]}, "plan"),
    ],
)
def test_a_wrong_option_is_told_with_its_place(name: str, options: dict[str, Any], place: str) -> None:
    (fault,) = faults(name, **options)
    assert fault.place == f"dispatch.options.{place}"


@pytest.mark.usefixtures("mine")
def test_a_policy_of_ones_own_is_found_by_its_dotted_name() -> None:
    assert resolve(POLICIES, "my_policies.hold", {}, PLACE)(None) == []
    far = resolve(POLICIES, "my_policies.far", {"beyond_m": 5, "names": ["a"], "anything": {"b": 1}}, PLACE)
    assert far.keywords == {"beyond_m": 5.0, "names": ("a",), "anything": {"b": 1}}
    assert resolve(POLICIES, "my_policies.late", {"by_s": 5}, PLACE).keywords == {"by_s": 5}
    by_path = resolve(POLICIES, "dispatch.policies.dispatching.nearest", {}, PLACE)
    assert by_path.func is dispatching.nearest


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize(
    ("name", "options", "found", "mend"),
    [
        ("my_policies.hald", {}, "my_policies, which has no hald", "Did you mean `hold`?"),
        ("my_policies.number", {}, "my_policies.number, a int", "Name a function of"),
        ("my_policies.two", {}, "my_policies.two with 2 arguments by position", "Write it so."),
        ("my_policies.odd", {}, "the types of whose options are not known: name 'Unknown' is not defined", "Write"),
        ("my_policies.far", {}, "nothing", "Add it; my_policies.far has no default"),
        ("my_policies.far", {"beyond_m": "5"}, "'5'", "Correct it"),
        ("my_polices.hold", {}, "cannot be imported: ModuleNotFoundError", "PYTHONPATH"),
        ("broken_policies.hold", {}, "No module named 'no_such_thing_at_all'", "Mend the module"),
        ("builtins.print", {}, "builtins.print with 0 arguments by position", "Write it so."),
        ("nearest.", {}, '"nearest."', "Name a policy that exists."),
        ("..", {}, '".."', "Name a policy that exists."),
    ],
)
def test_what_cannot_be_called_as_a_policy_is_refused(
    name: str, options: dict[str, Any], found: str, mend: str
) -> None:
    (fault,) = faults(name, **options)
    assert found in fault.found
    assert mend in fault.mend
