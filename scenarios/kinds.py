"""The kinds of units that a scenario knows: the product's own, changed and added to as the file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from dispatch.units import KINDS, UnitKind
from scenarios.schema import Scenario


def kinds_of(scenario: Scenario) -> Mapping[str, UnitKind]:
    """All kinds by name, whether there are units of them or not."""
    part = scenario.units
    kinds = dict(KINDS)
    for name, changed in part.kinds.items():
        stated = changed.model_dump(exclude_none=True)
        if "skills" in stated:
            stated["skills"] = frozenset(stated["skills"])
        kinds[name] = replace(kinds.get(name, UnitKind(name=name)), **stated)
    if part.kind in kinds:
        shorthand = {"driving": part.driving, "speed_factor": part.speed_factor}
        stated = {key: value for key, value in shorthand.items() if value is not None}
        kinds[part.kind] = replace(kinds[part.kind], **stated)
    return kinds


def kinds_used(scenario: Scenario) -> tuple[UnitKind, ...]:
    """Those of its units, each once, in the order of the groups."""
    kinds = kinds_of(scenario)
    return tuple(kinds[name] for name in dict.fromkeys(group.kind for group in scenario.units.forces))


def main_kind(scenario: Scenario) -> UnitKind:
    """The kind of most units among those that may act alone; of all, where none may."""
    kinds, number = kinds_of(scenario), dict[str, int]()
    for group in scenario.units.forces:
        number[group.kind] = number.get(group.kind, 0) + group.count
    alone = [name for name in number if kinds[name].acts_alone]
    return kinds[max(alone or number, key=lambda name: number[name])]
