"""Kinds of units, what they may do, and units that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from dispatch.units import ENGAGED, KINDS, PATROL_CAR, Meal, Role, Span, UnitKind, UnitSpec, UnitState


def test_who_may_be_first_and_who_only_supports() -> None:
    alone = {name for name, kind in KINDS.items() if kind.acts_alone}
    assert alone == {"patrol_car", "motorcycle", "foot_patrol", "platform_crew", "armed_patrol"}
    assert {name for name, kind in KINDS.items() if Role().filled_by(kind)} == alone


@pytest.mark.parametrize(
    ("role", "filled_by"),
    [
        (Role(skill="armed"), {"armed_patrol"}),
        (Role(kinds=frozenset({"motorcycle", "guards"})), {"motorcycle"}),
        (Role(kinds=frozenset({"motorcycle", "guards"}), acts_alone=False), {"motorcycle", "guards"}),
        (Role(skill="armed", kinds=frozenset({"patrol_car"})), set()),
        (Role(acts_alone=False), set(KINDS)),
    ],
)
def test_a_role_is_filled_by_those_who_have_all_that_it_asks_for(role: Role, filled_by: set[str]) -> None:
    assert {name for name, kind in KINDS.items() if role.filled_by(kind)} == filled_by


def test_kinds_are_known_by_their_own_names() -> None:
    assert all(name == kind.name for name, kind in KINDS.items())
    assert UnitSpec(id="A", post=0).kind is PATROL_CAR


@pytest.mark.parametrize("wrong", [{"speed_factor": 0.0}, {"crew": 0}, {"echelon": 2}])
def test_an_impossible_kind_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="kind trike"):
        UnitKind(name="trike", **wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"turn_out_post_s": -1.0},
        {"turn_out_mobile_s": -1.0},
        {"duty": (Span(0.0, 0.0),)},
        {"duty": (Span(5.0, 6.0), Span(0.0, 1.0))},
        {"standby": (Span(0.0, 2.0), Span(1.0, 3.0))},
        {"outages": (Span(2.0, 1.0),)},
        {"meals": (Meal(2.0, 1.0, 60.0),)},
        {"meals": (Meal(0.0, 1.0, 0.0),)},
    ],
)
def test_an_impossible_unit_is_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="unit A"):
        UnitSpec(id="A", post=0, **wrong)


def test_spans_may_adjoin_one_another() -> None:
    spans = (Span(0.0, 1.0), Span(1.0, 2.0))
    assert UnitSpec(id="A", post=0, duty=spans, outages=spans).duty == spans


def test_states_are_labelled_as_the_log_documents_them() -> None:
    assert [state.label for state in UnitState] == [
        *("idle", "turn_out", "travelling", "on_scene", "returning", "patrolling", "moving_up"),
        *("transporting", "handing_over", "meal", "out_of_service"),
    ]
    assert {state.label for state in ENGAGED} == {"turn_out", "travelling", "on_scene", "transporting", "handing_over"}
