"""Scenario files: found, read and refused with every fault at once; and written back as resolved."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from geodata.errors import Fault, InputError
from scenarios.schema import Part, Scenario, known_keys, part_of
from scenarios.schema.roads import is_wkt

LIBRARY = Path(__file__).parent / "library"
HEAD = "# The scenario as resolved: every default is filled in. To run it again: patrol run {name}\n\n"


def library() -> dict[str, Path]:
    """The built-in scenarios: name and file, by name."""
    return {path.stem: path for path in sorted(LIBRARY.glob("*.toml"))}


def find_scenario(name: str) -> Path:
    """The file that is meant: a path to one, or the name of a built-in scenario.

    Raises:
        InputError: neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    built_in = library()
    if name in built_in:
        return built_in[name]
    if path.is_dir():
        inside = path / "scenario.toml"
        mend = f"Name its scenario: {inside}." if inside.is_file() else "Name a file inside it."
        raise InputError(Fault(name, "", "a folder", "a scenario file", mend))
    near = difflib.get_close_matches(name, built_in, 1)
    mend = f"Did you mean {near[0]}?" if near else "`patrol scenarios` lists the built-in ones."
    raise InputError(Fault(name, "", "no such file", f"a .toml file or one of {', '.join(built_in)}", mend))


def load_scenario(path: Path | str) -> Scenario:
    """Read a scenario file; the paths in it become absolute.

    Raises:
        InputError: with a fault for each unknown key, missing key and impossible value.
    """
    path = Path(path)
    text = _read(path)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        mend = "Text stands in quotes, tables in [brackets], and each key once."
        raise InputError(Fault(str(path), "", f"no valid TOML: {error}", "a TOML file", mend)) from error
    return resolve(data, source=str(path), folder=path.parent, lines=_key_lines(text))


def resolve(data: Mapping[str, Any], *, source: str, folder: Path, lines: Mapping[str, int] | None = None) -> Scenario:
    """The scenario that a mapping of keys means, every default filled in and its paths made absolute.

    Args:
        source: what faults name as their file.
        folder: what paths are relative to.
        lines: the line of each dotted key, where they are known.

    Raises:
        InputError: as `load_scenario`.
    """
    try:
        scenario = Scenario.model_validate(dict(data))
    except ValidationError as error:
        raise InputError(*(_fault(source, detail, lines or {}) for detail in _root_faults(error))) from error
    return _anchored(scenario, folder)


def _anchored(scenario: Scenario, folder: Path) -> Scenario:
    """With the paths of a file in a folder made absolute, so that it means the same wherever it is written again."""

    def absolute(path: str) -> str:
        return (folder / Path(path).expanduser()).resolve().as_posix()

    city, demand, dispatch, travel = scenario.city, scenario.demand, scenario.dispatch, scenario.travel
    own = {name for name in (dispatch.policy, dispatch.relief, dispatch.move_up) if name and "." in name}
    changed: dict[str, Part] = {
        "demand": demand.model_copy(
            update={key: absolute(path) for key in ("history", "fitted") if (path := getattr(demand, key))}
        ),
        "travel": travel.model_copy(
            update={
                "closures": tuple(
                    closure if is_wkt(closure.area) else closure.model_copy(update={"area": absolute(closure.area)})
                    for closure in travel.closures
                )
            }
        ),
    }
    if city.path is not None:
        changed["city"] = city.model_copy(update={"path": absolute(city.path)})
    if own or dispatch.folder is not None:
        changed["dispatch"] = dispatch.model_copy(update={"folder": absolute(dispatch.folder or ".")})
    return scenario.model_copy(update=changed)


def dump(scenario: Scenario, name: str = "scenario.toml") -> str:
    """The scenario as TOML text; read again it gives an equal one."""
    return HEAD.format(name=name) + tomli_w.dumps(scenario.model_dump(exclude_none=True))


def _read(path: Path) -> str:
    if not path.is_file():
        raise InputError(Fault(str(path), "", "no such file", "a scenario file", "Check the path."))
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"bytes that are not UTF-8 (at {error.start})"
        raise InputError(Fault(str(path), "", found, "a text file in UTF-8", "Save it as UTF-8.")) from error


def _root_faults(error: ValidationError) -> list[ErrorDetails]:
    """Without those that only follow from another: a list whose items are wrong counts as too short."""
    found = error.errors(include_url=False)
    wrong = {detail["loc"][:depth] for detail in found for depth in range(len(detail["loc"]))}
    return [detail for detail in found if detail["type"] != "too_short" or detail["loc"] not in wrong]


def _fault(source: str, error: ErrorDetails, lines: Mapping[str, int]) -> Fault:
    place = _dotted(error["loc"])
    where = _with_line(place, lines) if place else "the file"
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "scenario":
        return Fault(source, where, context["found"], context["expected"], context["mend"])
    if kind == "extra_forbidden":
        expected, mend = _nearest_key(error["loc"])
        return Fault(source, where, f"the unknown key `{error['loc'][-1]}`", expected, mend)
    if kind == "missing":
        about = next((key.description for key in known_keys() if key.place == _indexless(place)), "")
        return Fault(source, where, "nothing", f"`{error['loc'][-1]}`", about or f"Add [{place}].")
    default = next((key.default for key in known_keys() if key.place == _indexless(place)), "")
    mend = f"Correct it; left out, it is {default}." if default else "Correct it."
    return Fault(source, where, _shown(given), _expected(kind, context, error["msg"]), mend)


def _dotted(loc: tuple[int | str, ...]) -> str:
    """`units.shifts[1].name`; what pydantic adds for a choice between types is left out."""
    text = ""
    for step in loc:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.removeprefix(".")


def _indexless(place: str) -> str:
    return re.sub(r"\[\d+\]", "[]", place)


def _with_line(place: str, lines: Mapping[str, int]) -> str:
    """The place and its line, or the line of the nearest table above it that the file states."""
    above = place
    while above and above not in lines:
        above = re.sub(r"(\.[^.\[\]]+|\[\d+\]|^[^.\[\]]+)$", "", above)
    return f"{place} (line {lines[above]})" if above else place


def _nearest_key(loc: tuple[int | str, ...]) -> tuple[str, str]:
    """What was expected in place of an unknown key, and the mend."""
    part: type[Part] = Scenario
    for step in loc[:-1]:
        # a number of a list and a name of one's own stand between two tables
        if isinstance(step, str) and step in part.model_fields:
            part = part_of(part.model_fields[step].annotation) or part
    here, typed = list(part.model_fields), str(loc[-1])
    expected = f"one of {', '.join(here)}"
    # what stands in lists and under names of one's own is not meant where it was left out
    outside = [key.place for key in known_keys() if "[]" not in key.place and ".NAME." not in key.place]
    elsewhere = {place.rpartition(".")[2]: place for place in reversed(outside)}
    near_here = difflib.get_close_matches(typed, here, 1)
    if near_here and typed not in elsewhere:
        return expected, f"Did you mean `{near_here[0]}`?"
    if near := difflib.get_close_matches(typed, elsewhere, 1, cutoff=0.75):
        table, _, key = elsewhere[near[0]].rpartition(".")
        return expected, f"Did you mean `{key}` in [{table}]?" if table else f"Did you mean `{key}` at the top?"
    return expected, "Remove it; `patrol scenarios --keys` explains every key."


_TYPES = {
    "float_type": "a number",
    "int_type": "a whole number",
    "string_type": "text in quotes",
    "datetime_type": "a date and time without quotes, such as 2026-06-01T08:00:00",
    "date_type": "a date without quotes, such as 2026-10-01",
    "dict_type": "a table",
    "bool_type": "true or false",
    "time_type": 'a time of day, such as "08:00"',
    "model_type": "a table",
    "tuple_type": "a list",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": "above {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
    "enum": "{expected}",
    "string_pattern_mismatch": "text such as demo-2 (lower-case letters, digits, - and _)",
    "string_too_short": "some text",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of {max_length}",
}


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    if kind in _TYPES:
        return _TYPES[kind]
    numbers = {k: f"{v:g}" if isinstance(v, float) else v for k, v in context.items()}
    return _BOUNDS[kind].format(**numbers) if kind in _BOUNDS else message


def _shown(value: object) -> str:
    match value:
        case str():
            return f'the text "{value}"'
        case bool():
            return str(value).lower()
        case date():
            return value.isoformat()
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return "a table"
    return str(value)


_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"-]+)\s*=")


def _key_lines(text: str) -> dict[str, int]:
    """The line, from 1, of each table and key that is written on a line of its own."""
    return dict(_each_line(text))


def _each_line(text: str) -> Iterator[tuple[str, int]]:
    table, seen = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _TABLE.match(line):
            table = ""
            *above, last = header[2].split(".")
            for step in above:
                table = f"{table}.{step}".removeprefix(".")
                # a table below a list belongs to the last of it
                table += f"[{seen[table]}]" if table in seen else ""
            table = f"{table}.{last}".removeprefix(".")
            if header[1] == "[[":
                seen[table] = seen.get(table, -1) + 1
                table = f"{table}[{seen[table]}]"
            yield table, number
        elif key := _KEY.match(line):
            yield f"{table}.{key[1]}".removeprefix("."), number
