"""A scenario file as a whole, and every key of it with its meaning."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Annotated, Any, NamedTuple

from pydantic import Field
from pydantic.fields import FieldInfo

from scenarios.schema.demand import DemandPart
from scenarios.schema.dispatch import DispatchPart
from scenarios.schema.parts import Part, Text
from scenarios.schema.patrol import BeatsPart, PatrolPart
from scenarios.schema.question import CityPart, RunPart, StandardPart
from scenarios.schema.roads import SpeedsPart, TravelPart
from scenarios.schema.units import UnitsPart


class Scenario(Part):
    """One question to the simulator, with every default filled in."""

    name: Annotated[Text, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = Field(
        description="Lower-case letters, digits, - and _: it names the folder of the results."
    )
    title: Text = Field(default="", description="What is asked, in a line.")
    title_zh: Text = Field(default="", description="The same in Chinese.")
    city: CityPart
    run: RunPart = RunPart()
    standard: StandardPart = StandardPart()
    demand: DemandPart = DemandPart()
    units: UnitsPart = UnitsPart()
    patrol: PatrolPart = PatrolPart()
    beats: BeatsPart = BeatsPart()
    dispatch: DispatchPart = DispatchPart()
    speeds: SpeedsPart = SpeedsPart()
    travel: TravelPart = TravelPart()


class Key(NamedTuple):
    """A key that a scenario file may hold."""

    place: str
    """Dotted, as `standard.limits_s.vital`; `[]` after a list of tables, `NAME` for a name of one's own."""
    default: str
    """As it would be typed; empty where it must be stated or has none."""
    description: str


def known_keys(part: type[Part] = Scenario, above: str = "") -> Iterator[Key]:
    """Every key of a scenario file with its default and its meaning, in the order of the file."""
    for name, field in part.model_fields.items():
        below, step = part_of(field.annotation), _step(field.annotation)
        if below is None or field.description:
            several = below is not None
            yield Key(above + name, "" if several else _default(field), field.description or "")
        if below is not None and not _told_elsewhere(field):
            yield from known_keys(below, f"{above}{name}{step}")


def part_of(annotation: Any) -> type[Part] | None:
    """The table that a key holds, or a list or a table of which it holds; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    inner = typing.get_args(annotation)
    return next((found for one in inner if (found := part_of(one)) is not None), None)


def _step(annotation: Any) -> str:
    """What stands between a key and those of the tables that it holds."""
    origin = typing.get_origin(annotation)
    if origin is tuple:
        return "[]."
    if origin is dict:
        return ".NAME."
    if origin is typing.Union or origin is types.UnionType or origin is Annotated:
        return max((_step(one) for one in typing.get_args(annotation)), key=len)
    return "."


def _told_elsewhere(field: FieldInfo) -> bool:
    return isinstance(field.json_schema_extra, Mapping) and "as" in field.json_schema_extra


def _default(field: FieldInfo) -> str:
    """A default as it would be typed."""
    if field.is_required() or field.default is None or field.default_factory is not None:
        return ""
    return _typed(field.default)


def _typed(value: object) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_typed, value))}]"
    return str(value)
