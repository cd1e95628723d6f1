"""The policies by the names that a scenario gives, and a user's own by a dotted name."""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from dispatch.policies import dispatching, relieving
from dispatch.policies.situation import DispatchPolicy, Options, ReliefPolicy
from geodata.errors import Fault, Faults, InputError, plain

POLICIES: Mapping[str, DispatchPolicy] = {
    policy.__name__: policy
    for policy in (
        dispatching.nearest,
        dispatching.straight_line,
        dispatching.beat_first,
        dispatching.reserve,
        dispatching.preempt,
        dispatching.soonest_free,
        dispatching.batch,
        dispatching.cover_aware,
        dispatching.echelon,
    )
}
RELIEFS: Mapping[str, ReliefPolicy] = {"nearer": relieving.nearer}

Policy = TypeVar("Policy", bound=Callable[..., object])
TAKES = "a function of what a policy sees, and of options by keyword: def policy(situation, *, option=default)"


class Place(NamedTuple):
    """Where a policy is named, as a fault tells it."""

    source: str
    """The file."""
    name: str
    """The key that names the policy."""
    options: str
    """The table of its options."""


def resolve(known: Mapping[str, Policy], name: str, options: Options, place: Place) -> Policy:
    """A policy with its options set.

    Args:
        known: those of the product, such as `POLICIES`.
        name: one of these, or `package.module.function`.
        options: its keyword arguments, as a scenario file holds them: numbers, texts, lists, tables.
        place: where this was typed.

    Raises:
        InputError: no such policy, one that cannot be called as a policy is, an option that it does not have, or one
            of a wrong type or range as the type of the argument tells; all faults of the options at once.
    """
    policy = known[name] if name in known else _import(known, name, place)
    takes = _options(policy, name, place)
    faults, checked = Faults(place.source), dict[str, Any]()
    for option, value in options.items():
        where = f"{place.options}.{option}"
        if option not in takes:
            near = difflib.get_close_matches(option, takes, 1)
            mend = f"Did you mean `{near[0]}`?" if near else "Remove it."
            one_of = f"one of {', '.join(takes)}" if takes else "none"
            faults.add(where, "an unknown option", f"{one_of}, as {name} has", mend)
            continue
        try:
            # as from a file: lists become tuples, and texts the keys that are numbers; nothing else is converted
            checked[option] = takes[option].validate_json(json.dumps(value, default=str), strict=True)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                inner = "".join(f".{step}" for step in detail["loc"])
                expected = detail["msg"].removeprefix("Input should be ")
                faults.add(where + inner, repr(detail["input"]), expected, f"Correct it; {name} tells what it takes.")
    for option in sorted(_required(policy) - options.keys()):
        faults.add(f"{place.options}.{option}", "nothing", "a value", f"Add it; {name} has no default for it.")
    faults.raise_any()
    # a partial of a policy is one
    return partial(policy, **checked)  # type: ignore[return-value]


def _import(known: Mapping[str, Policy], name: str, place: Place) -> Any:
    """A user's own function."""
    expected = f"one of {', '.join(known)}, or package.module.function of one's own"
    module_name, _, function_name = name.rpartition(".")

    def fault(found: str, candidates: Any, mend: str) -> InputError:
        near = difflib.get_close_matches(function_name, candidates, 1)
        return InputError(
            Fault(place.source, place.name, found, expected, f"Did you mean `{near[0]}`?" if near else mend)
        )

    if not all(part.isidentifier() for part in name.split(".")):
        raise fault(f'"{name}"', known, "Name a policy that exists.")
    if not module_name:
        raise fault(f'the unknown policy "{name}"', known, "Name a policy that exists.")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        # whatever the user's module does when it is imported
        told = f"{name}, whose module cannot be imported: {type(error).__name__}: {error}"
        mend = "Mend the module, or put its folder on PYTHONPATH."
        raise InputError(Fault(place.source, place.name, told, expected, mend)) from error
    if not hasattr(module, function_name):
        raise fault(f"{module_name}, which has no {function_name}", vars(module), "Name a function of that module.")
    policy = getattr(module, function_name)
    if not callable(policy):
        raise fault(f"{name}, a {type(policy).__name__}", (), f"Name {TAKES}.")
    return policy


def _options(policy: Callable[..., object], name: str, place: Place) -> dict[str, TypeAdapter[Any]]:
    """What each keyword argument takes."""
    try:
        parameters = inspect.signature(policy).parameters.values()
    except (TypeError, ValueError) as error:
        raise _no_policy(place, f"{name}, whose arguments are not known") from error
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) != 1:
        raise _no_policy(place, f"{name} with {len(positional)} arguments by position")
    written = {p.name: p.annotation for p in parameters if p.kind == p.KEYWORD_ONLY}
    known = {option: Any if kind is inspect.Parameter.empty else kind for option, kind in written.items()}
    try:
        names = getattr(inspect.unwrap(policy), "__globals__", {})
        types = get_type_hints(SimpleNamespace(__annotations__=known), names, include_extras=True)
        return {option: TypeAdapter(kind) for option, kind in types.items()}
    except (NameError, SyntaxError, TypeError, PydanticUserError) as error:
        raise _no_policy(place, f"{name}, the types of whose options are not known: {plain(error)}") from error


def _required(policy: Callable[..., object]) -> set[str]:
    parameters = inspect.signature(policy).parameters.values()
    return {p.name for p in parameters if p.kind == p.KEYWORD_ONLY and p.default is p.empty}


def _no_policy(place: Place, found: str) -> InputError:
    return InputError(Fault(place.source, place.name, found, TAKES, "Write it so."))
