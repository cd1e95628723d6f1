"""JSON files, and which of the road formats one holds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from geodata.errors import Fault, InputError
from geodata.readers.packed import read_bytes, read_chunks
from geodata.readers.vector import text_encoding

_HEAD_BYTES = 1 << 16
_MEND_COPY = "Copy the file anew: it is damaged or cut short."


class JsonKind(StrEnum):
    """What a `.json` may be."""

    LAYER = "GeoJSON"
    OVERPASS = "Overpass JSON"
    NODE_LINK = "node-link JSON"


# Of keys that stand at the start of such a file, the one that is found first tells.
_KEYS = {
    "elements": JsonKind.OVERPASS,
    "osm3s": JsonKind.OVERPASS,
    "features": JsonKind.LAYER,
    "geometry": JsonKind.LAYER,
    "coordinates": JsonKind.LAYER,
    "multigraph": JsonKind.NODE_LINK,
    "nodes": JsonKind.NODE_LINK,
    "links": JsonKind.NODE_LINK,
}
_FIRST_KEY = re.compile(rf'"({"|".join(_KEYS)})"\s*:')


def json_kind(path: Path) -> JsonKind:
    """Which of the road formats a `.json` or `.json.gz` holds, by its first keys; GeoJSON where none is known.

    Raises:
        InputError: no such file, or a damaged archive.
    """
    head = next(read_chunks(path, "a JSON file"), b"")[:_HEAD_BYTES].decode("utf-8", "ignore")
    found = _FIRST_KEY.search(head)
    return _KEYS[found[1]] if found else JsonKind.LAYER


def load_json(path: Path, expected: str, hook: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """The object that a JSON file holds. `hook` takes each object inside as soon as it is read and may return a smaller
    one, so that a large file is never held whole.

    Raises:
        InputError: no such file, no JSON, NaN or Infinity, or something else than an object.
    """
    source = str(path)
    content = read_bytes(path, expected)

    def refuse(name: str) -> float:
        raise ValueError(f"{name} where a number is expected")

    try:
        text = content.decode(text_encoding(content)).removeprefix("\ufeff")
        del content
        loaded = json.loads(text, object_hook=hook, parse_constant=refuse)
    except RecursionError as error:
        raise InputError(Fault(source, "", "objects nested too deeply", expected, "Check the file.")) from error
    except ValueError as error:
        raise InputError(Fault(source, "", f"no JSON ({error})", expected, _MEND_COPY)) from error
    if not isinstance(loaded, dict):
        raise InputError(Fault(source, "", f"a JSON {type(loaded).__name__}", expected, "Check the file."))
    return loaded
