"""Who decides in a scenario: its policies with their options, and what the posts cover, by which some of them go."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from dispatch.cover import Cover, make_cover
from dispatch.planning.placing import greedy_table
from dispatch.policies.moving_up import MOVE_UPS
from dispatch.policies.registry import POLICIES, RELIEFS, Place, resolve
from dispatch.policies.situation import DispatchPolicy, MoveUpPolicy, ReliefPolicy
from dispatch.standard import Reading, ResponseStandard
from geodata.city import City
from geodata.errors import Fault, Faults, InputError
from scenarios.forces import turn_out_by_post
from scenarios.happenings import by_priority, demand_by_cell
from scenarios.kinds import main_kind
from scenarios.roads import Travels
from scenarios.schema import Scenario

BUSY = 0.3
"""Share of the time that units are engaged, by which a compliance table is made where none is given. Assumed."""
COVER_HOUR = 10
"""Of the week, a Monday's forenoon off the peak, at which it is reckoned what posts cover. Assumed."""


def wants_cover(scenario: Scenario) -> bool:
    """Whether a policy goes by what posts cover; one of a user's own may."""
    part = scenario.dispatch
    return part.move_up is not None or part.policy == "cover_aware" or part.policy not in POLICIES


def cover_of(scenario: Scenario, city: City, travels: Travels, standard: ResponseStandard) -> Cover:
    """What the posts cover of the scenario's demand with units of the main kind.

    Raises:
        InputError: as `make_cover`, or a fitted demand that cannot be read.
    """
    kind = main_kind(scenario)
    by_severity = Reading.SEVERITY in standard.readings
    return make_cover(
        city,
        travels[kind.driving],
        standard,
        hour=COVER_HOUR,
        weight=demand_by_cell(scenario, city),
        priority_share=by_priority(scenario.demand.priority_share) if by_severity else None,
        turn_out_s=turn_out_by_post(scenario.units.turn_out_s, city),
        speed_factor=kind.speed_factor,
    )


def dispatch_policy(scenario: Scenario) -> DispatchPolicy:
    """Whom to send, its options set.

    Raises:
        InputError: as `resolve`.
    """
    part = scenario.dispatch
    return _resolved(scenario, POLICIES, "policy", part.policy, part.options)


def relief_policy(scenario: Scenario) -> ReliefPolicy | None:
    """Who takes over; errors as of `dispatch_policy`."""
    part = scenario.dispatch
    if part.relief is None:
        _check_unused(scenario, "relief", part.relief_options)
        return None
    return _resolved(scenario, RELIEFS, "relief", part.relief, part.relief_options)


def move_up_policy(scenario: Scenario, city: City, cover: Cover | None) -> MoveUpPolicy | None:
    """Who stands by where; errors as of `dispatch_policy`, and a table with posts that there are not."""
    part = scenario.dispatch
    if part.move_up is None or cover is None:
        _check_unused(scenario, "move_up", part.move_up_options)
        return None
    options = dict(part.move_up_options)
    if "table" in options:
        options["table"] = _rows_of_posts(scenario, city, options["table"])
    elif part.move_up == "compliance_table":
        n_most = sum(group.count for group in scenario.units.forces)
        options["table"] = greedy_table(cover, n_most, BUSY)
    return _resolved(scenario, MOVE_UPS, "move_up", part.move_up, options)


def _rows_of_posts(scenario: Scenario, city: City, table: Any) -> Any:
    """A compliance table with the rows of the posts that it names by their ids."""
    row_of = {str(post): row for row, post in enumerate(city.posts.table["id"])}
    faults = Faults(f"scenario {scenario.name}")
    if not isinstance(table, list | tuple) or not all(isinstance(posts, list | tuple) for posts in table):
        faults.add("dispatch.move_up_options.table", repr(table), "lists of ids of posts", 'Such as [["P01"]].')
        faults.raise_any()
    for post in dict.fromkeys(post for posts in table for post in posts):
        if str(post) not in row_of:
            near = difflib.get_close_matches(str(post), row_of, 1)
            mend = f"Did you mean {near[0]}?" if near else "Take ids of the city's posts."
            faults.add("dispatch.move_up_options.table", f"no post {post!r}", "ids of the city's posts", mend)
    faults.raise_any()
    return tuple(tuple(row_of[str(post)] for post in posts) for posts in table)


Policy = TypeVar("Policy", bound=Callable[..., object])


def _resolved(scenario: Scenario, known: Mapping[str, Policy], what: str, name: str, options: Any) -> Policy:
    place = Place(f"scenario {scenario.name}", f"dispatch.{what}", f"dispatch.{_options_key(what)}")
    with importable(scenario.dispatch.folder if name not in known else None, name.partition(".")[0]):
        return resolve(known, name, options, place)


def _options_key(what: str) -> str:
    return "options" if what == "policy" else f"{what}_options"


def _check_unused(scenario: Scenario, what: str, options: Mapping[str, Any]) -> None:
    """Options of a policy that is not asked for are a mistake."""
    if options:
        place, expected = f"dispatch.{what}_options", f"none, as dispatch.{what} names no policy"
        fault = Fault(f"scenario {scenario.name}", place, "options", expected, f"Name one in dispatch.{what}.")
        raise InputError(fault)


@contextmanager
def importable(folder: str | None, module: str) -> Iterator[None]:
    """A module in a folder can be imported, before any other of its name, be it that one is loaded already."""
    if folder is None:
        yield
        return
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if loaded is not None and not Path(loaded).is_relative_to(folder) and any(Path(folder).glob(f"{module}*")):
        del sys.modules[module]
        importlib.invalidate_caches()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
