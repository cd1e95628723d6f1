"""Who is sent, and who stands by where."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from dispatch.policies.moving_up import MOVE_UPS
from dispatch.policies.registry import POLICIES, RELIEFS
from scenarios.schema.parts import NotNegative, Part, Text, Whole, refusal


def _policy(known: Iterable[str]) -> AfterValidator:
    """A name of the product's own, or a dotted one, which is looked for when the scenario is built."""

    def check(name: str) -> str:
        if name not in known and "." not in name:
            expected = f"one of {', '.join(known)}, or module.function of one's own"
            raise refusal(f'"{name}"', expected, "Name a policy that exists.")
        return name

    return AfterValidator(check)


_OPTIONS: Callable[[], dict[str, Any]] = dict


class DispatchPart(Part):
    """Who is sent."""

    policy: Annotated[Text, _policy(POLICIES)] = Field(
        default="nearest",
        description=f"Whom to send: {', '.join(POLICIES)}, or module.function of one's own beside this file.",
    )
    options: dict[str, Any] = Field(default_factory=_OPTIONS, description="Of that policy, by name.")
    relief: Annotated[Text, _policy(RELIEFS)] | None = Field(
        default=None,
        description=f"Who takes over a journey when a unit frees itself: {', '.join(RELIEFS)}; left out: nobody.",
    )
    relief_options: dict[str, Any] = Field(default_factory=_OPTIONS, description="Of it, by name.")
    move_up: Annotated[Text, _policy(MOVE_UPS)] | None = Field(
        default=None, description=f"Who stands by where: {', '.join(MOVE_UPS)}; left out: all at their own post."
    )
    move_up_options: dict[str, Any] = Field(
        default_factory=_OPTIONS, description="Of it, by name; posts in a compliance table by their ids."
    )
    move_gap_min: NotNegative = Field(
        default=10.0, description="A unit that was moved to another post is left there so many minutes. [A]"
    )
    desks: Annotated[Whole, Field(ge=0)] = Field(
        default=0, description="Desks that take calls; 0: as many as are wanted. [A]"
    )
    max_hold_min: NotNegative | None = Field(
        default=None, description="Minutes after which a waiting call comes before all others; left out: never."
    )
    folder: Text | None = Field(
        default=None, description="Where one's own policies are, relative to this file; left out: beside it."
    )
