"""Ways to spoil a file: its bytes, its text, its structure, the shapes of its features; by a given random stream."""

from __future__ import annotations

import bz2
import copy
import gzip
import io
import json
import random
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from shapely import Geometry

ODD_NUMBERS = (
    "NaN",
    "nan",
    "inf",
    "-Infinity",
    "1e309",
    "-0",
    "",
    "abc",
    "9" * 40,
    "-1",
    "0",
    "1e-320",
    "1,5",
    "٣",
    "2^31",
)
ODD_VALUES = (
    None,
    [],
    {},
    "",
    "abc",
    True,
    -1,
    0,
    -0.0,
    1e309,
    float("nan"),
    10**400,
    [[[]]],
    ["a", None],
    {"a": {}},
    "\0",
)
NESTED = 60_000
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_PAIR = re.compile(r"(-?\d+\.\d+)([\s,;\"]{1,3}|\", \"|\" lon=\"|\" lat=\")(-?\d+\.\d+)")
_DECLARATION = re.compile(r"<\?xml[^>]*\?>")


def spoil(name: str, content: bytes, rng: random.Random) -> bytes:
    """The content of a file of that name, spoiled in one to three ways, packed as it was."""
    end = name.lower()
    if rng.random() < 0.6:
        for suffix, unpack, pack in _PACKED:
            if end.endswith(suffix):
                return pack(spoil(end.removesuffix(suffix), unpack(content), rng))
        if end.endswith(".zip"):
            return _spoiled_zip(content, rng)
        if end.endswith(".pbf"):
            return _spoiled_pbf(content, rng)
    for _ in range(rng.randint(1, 3)):
        content = _spoil_once(end, content, rng)
    return content


def _spoil_once(end: str, content: bytes, rng: random.Random) -> bytes:
    if end.endswith(_TEXTS) and rng.random() < 0.8:
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            return _spoiled_bytes(content, rng)
        if end.endswith(("json",)) and rng.random() < 0.5:
            return _spoiled_json(text, rng)
        if end.endswith((".osm", ".graphml")) and rng.random() < 0.3:
            return _spoiled_xml(text, rng).encode("utf-8", "surrogatepass")
        return _spoiled_text(text, rng)
    return _spoiled_bytes(content, rng)


_TEXTS = (".csv", ".json", ".geojson", ".osm", ".graphml", ".tntp", ".asc", ".prj")
_PACKED: tuple[tuple[str, Callable[[bytes], bytes], Callable[[bytes], bytes]], ...] = (
    (".gz", gzip.decompress, gzip.compress),
    (".bz2", bz2.decompress, bz2.compress),
)


def _spoiled_bytes(content: bytes, rng: random.Random) -> bytes:
    if not content:
        return rng.randbytes(rng.randint(0, 40))
    # what tells how to read a file mostly stands at its start or its end
    at = min(int(len(content) * rng.random() ** rng.choice((1, 1, 4))), len(content) - 1)
    at = len(content) - 1 - at if rng.random() < 0.25 else at
    length = rng.choice((1, 4, 64, 2048))
    way = rng.randrange(7)
    if way == 0:
        return content[:at]
    if way == 1:
        flipped = bytearray(content)
        for _ in range(rng.choice((1, 1, 3, 20))):
            flipped[min(at + rng.randrange(length), len(content) - 1)] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    if way == 2:
        return content[:at] + rng.randbytes(length) + content[at:]
    if way == 3:
        return content[:at] + content[at + length :]
    if way == 4:
        return content[:at] + content[at : at + length] * rng.choice((2, 2, 50)) + content[at + length :]
    if way == 5:
        fill = rng.choice((b"\0", b"\xff", b"\x80"))
        return content[:at] + fill * len(content[at : at + length]) + content[at + length :]
    return content[:at] + content[length:] + content[at:]


def _spoiled_text(text: str, rng: random.Random) -> bytes:
    lines = text.splitlines(keepends=True) or [""]
    way = rng.randrange(12)
    if way < 4:
        found = list(_NUMBER.finditer(text))
        for match in sorted(rng.sample(found, min(len(found), rng.choice((1, 1, 5, 200)))), key=lambda m: -m.start()):
            text = text[: match.start()] + rng.choice(ODD_NUMBERS) + text[match.end() :]
    elif way < 6:
        found = list(_PAIR.finditer(text))
        new = rng.choice((r"\3\2\1", r"0\g<2>0", r"\1", r"\1\2\3\2\3"))
        for match in sorted(rng.sample(found, min(len(found), rng.choice((1, 1, 300)))), key=lambda m: -m.start()):
            text = text[: match.start()] + match.expand(new) + text[match.end() :]
    elif way == 6:
        marks = [i for i, sign in enumerate(text) if sign in "{}[]\"'<>/,;\n"]
        for i in sorted(rng.sample(marks, min(len(marks), rng.choice((1, 1, 4)))), reverse=True):
            text = text[:i] + text[i + 1 :] if rng.random() < 0.7 else text[:i] + text[i] + text[i:]
    elif way == 7:
        at, to = rng.randrange(len(lines)), rng.randrange(len(lines))
        line = lines.pop(at)
        lines[to:to] = [line] * rng.choice((0, 1, 2))
        text = "".join(lines)
    elif way == 8:
        return text.encode(rng.choice(("gb18030", "utf-16", "utf-16-be", "utf-8-sig", "utf-7", "utf-32")), "replace")
    elif way == 9:
        cells = [line.split(",") for line in lines]
        column = rng.randrange(len(cells[0]))
        again = rng.random() < 0.5
        for row in cells[: rng.choice((1, len(cells)))]:
            row[column : column + 1] = row[column : column + 1] * 2 if again else []
        text = "".join(",".join(row) for row in cells)
    elif way == 10:
        text = re.sub(r"\b0+(?=\d)", "", text)
    else:
        word = rng.choice(re.findall(r"\w{2,}", text) or ["a"])
        text = text.replace(
            word, rng.choice(("", word * 3, word.upper(), "长沙", "\ufeff", "\U0001f693", "x" * 5000)), 3
        )
    return text.encode("utf-8", "surrogatepass")


def _spoiled_xml(text: str, rng: random.Random) -> str:
    start = match.end() if (match := _DECLARATION.match(text)) else 0
    way = rng.randrange(5)
    if way == 0:
        laughs = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
        values = list(re.finditer(r'"[^"<>]*"(?=\s*/?>)', text)) or [re.compile("$").search(text)]
        at = rng.choice(values)
        assert at is not None
        text = text[: at.start()] + '"&a11;"' + text[at.end() :]
        return f'{text[:start]}<!DOCTYPE osm [<!ENTITY a0 "ha">{laughs}]>{text[start:]}'
    if way == 1:
        text = f'{text[:start]}<!DOCTYPE osm [<!ENTITY x SYSTEM "file:///etc/hostname">]>{text[start:]}'
        return text.replace(' k="', ' k="&x;', 1).replace("<data ", "&x;<data ", 1)
    tags = list(re.finditer(r"</?\w[^>]*>", text))
    at = rng.choice(tags) if tags else re.compile("$").search(text)
    assert at is not None
    if way == 2:
        name = rng.choice(("a", "way", "node", "relation", "graph", "edge", "data"))
        return text[: at.start()] + f"<{name}>" * NESTED + (f"</{name}>" * NESTED) * rng.randrange(2) + text[at.end() :]
    if way == 3:
        return text[: at.start()] + text[at.end() :]
    attributes = list(re.finditer(r' [\w.]+="[^"]*"', text))
    at = rng.choice(attributes) if attributes else at
    odd = rng.choice(("", at.group() * 2, at.group().split('"')[0] + f'"{rng.choice(ODD_NUMBERS)}"', " &lt;", "]]>"))
    return text[: at.start()] + odd + text[at.end() :]


def _spoiled_json(text: str, rng: random.Random) -> bytes:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        return _spoiled_text(text, rng)
    for _ in range(rng.choice((1, 1, 1, 10))):
        parent: Any = None
        key: Any = None
        here = whole
        while isinstance(here, dict | list) and here and (parent is None or rng.random() < 0.85):
            parent = here
            key = rng.choice(list(here)) if isinstance(here, dict) else rng.randrange(len(here))
            here = here[key]
        if parent is None:
            break
        way = rng.randrange(6)
        if way == 0:
            del parent[key]
        elif way == 1 and isinstance(parent, list):
            parent[key:key] = [here] * rng.choice((1, 3))
        elif way == 2:
            parent[key] = [here] if rng.random() < 0.5 else {"type": here, "id": here}
        elif way == 3:
            parent[key] = "@deep@"
        else:
            parent[key] = copy.deepcopy(rng.choice(ODD_VALUES))
    told = json.dumps(whole, ensure_ascii=rng.random() < 0.5)
    opening, closing = rng.choice((("[", "]"), ('{"a":', "}")))
    return told.replace('"@deep@"', f"{opening * NESTED}0{closing * NESTED}", 1).encode("utf-8", "surrogatepass")


def _spoiled_zip(content: bytes, rng: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    way = rng.randrange(5)
    if way == 0:
        del members[name]
    elif way == 1:
        members[rng.choice(("a/b.shp", "../up.shp", "网格.geojson", name + ".bak", "__MACOSX/x.shp"))] = members[name]
    else:
        members[name] = spoil(name, members[name], rng)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return packed.getvalue()


def _varint(number: int) -> bytes:
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def _fields(message: bytes) -> list[tuple[int, bytes]]:
    """Tag and content of the fields of a protobuf message that has but numbers and texts."""
    found, at = [], 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte, at = message[at], at + 1
            value, shift = value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag, size = number(), number()
        if tag & 7 == 2:
            found.append((tag, message[at : at + size]))
            at += size
        else:
            found.append((tag, _varint(size)))
    return found


def _message(fields: list[tuple[int, bytes]]) -> bytes:
    return b"".join(_varint(tag) + (_varint(len(value)) if tag & 7 == 2 else b"") + value for tag, value in fields)


def _spoiled_pbf(content: bytes, rng: random.Random) -> bytes:
    """One block of an OSM PBF unpacked, spoiled and written unpacked, the framing right
    (https://wiki.openstreetmap.org/wiki/PBF_Format)."""
    blocks, at = [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        head = _fields(content[at + 4 : at + 4 + size])
        at += 4 + size
        length = next(value for tag, value in head if tag >> 3 == 3)
        n_bytes = sum((byte & 0x7F) << 7 * i for i, byte in enumerate(length))
        blocks.append((head, content[at : at + n_bytes]))
        at += n_bytes
    chosen = rng.randrange(len(blocks))
    out = b""
    for i, (head, blob) in enumerate(blocks):
        body = blob
        if i == chosen:
            packed = next((value for tag, value in _fields(blob) if tag >> 3 == 3), None)
            inside = zlib.decompress(packed) if packed else blob
            for _ in range(rng.randint(1, 3)):
                inside = _spoiled_bytes(inside, rng)
            body = _message([(1 << 3 | 2, inside)])
        head_bytes = _message([(t, _varint(len(body)) if t >> 3 == 3 else value) for t, value in head])
        out += len(head_bytes).to_bytes(4, "big") + head_bytes + body
    return out


def write_layer(table: gpd.GeoDataFrame, path: Path) -> None:
    """By the end of the name: GPKG, Shapefile, GeoJSON, FlatGeobuf, GeoParquet, or a ZIP archive of a Shapefile."""
    if path.suffix == ".parquet":
        table.to_parquet(path)
        return
    if path.suffix == ".zip":
        inside = path.with_suffix(".shp")
        write_layer(table, inside)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in sorted(path.parent.glob(f"{path.stem}.*")):
                if part != path:
                    archive.write(part, part.name)
                    part.unlink()
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.write_dataframe(table, path, encoding="GB18030" if path.suffix == ".shp" else None)


_EMPTY = {"LineString": shapely.LineString(), "Polygon": shapely.Polygon(), "Point": shapely.Point()}


def spoiled_shape(shape: Geometry, rng: random.Random) -> Geometry | None:
    xy = shapely.get_coordinates(shape)
    kind = shape.geom_type
    middle = xy.mean(axis=0)

    def moved(change: Callable[[np.ndarray], np.ndarray]) -> Geometry:
        return shapely.transform(shape, change)

    def one(value: tuple[float, float]) -> Callable[[np.ndarray], np.ndarray]:
        row = rng.randrange(len(xy))
        return lambda points: np.where(np.arange(len(points))[:, None] == row, value, points)

    flat = shapely.LineString(middle + 0.001 * np.array([(0, 0), (1, 1), (0, 1), (1, 0)]))
    ways: list[Callable[[], Geometry | None]] = [
        lambda: None,
        lambda: _EMPTY.get(kind, shapely.GeometryCollection()),
        lambda: shapely.force_3d(shape, rng.choice((0.0, 44.0, -1e300))),
        lambda: shapely.union(shape, moved(lambda points: points + 0.003)),
        lambda: shapely.Polygon(flat) if kind == "Polygon" else flat,
        lambda: moved(one((np.nan, np.nan))),
        lambda: moved(one((np.inf, 28.0))),
        lambda: moved(one((0.0, 0.0))),
        lambda: moved(lambda points: points[:, ::-1]),
        lambda: moved(lambda points: points * 1e5),
        lambda: moved(lambda points: points * 0 + middle),
        lambda: shapely.Point(middle),
        lambda: shapely.GeometryCollection([shape, shapely.Point(middle)]),
        lambda: shapely.MultiPoint(xy),
        lambda: shapely.LineString([middle, middle + 0.001]),
    ]
    try:
        return rng.choice(ways)()
    except shapely.errors.ShapelyError:
        return None


def spoiled_layer(table: gpd.GeoDataFrame, rng: random.Random) -> gpd.GeoDataFrame:
    """Some shapes spoiled, and at times the values or the CRS."""
    shapes = np.array(table.geometry.array, object)
    with np.errstate(all="ignore"):
        for i in rng.sample(range(len(table)), min(len(table), rng.choice((0, 1, 1, 5, 10_000)))):
            shapes[i] = spoiled_shape(shapes[i], rng)
    table = gpd.GeoDataFrame(table.drop(columns="geometry"), geometry=shapes, crs=table.crs)
    columns = [name for name in table.columns if name != "geometry"]
    way = rng.randrange(10)
    if way == 0 and columns:
        table = table.drop(columns=rng.choice(columns))
    elif way == 1 and columns:
        table[rng.choice(columns)] = rng.choice((np.nan, "", "abc", -1.0, 1e300, True))
    elif way == 2 and columns:
        column = rng.choice(columns)
        numbers = pd.to_numeric(table[column], errors="coerce")
        table[column] = numbers.astype("Int64") if (numbers % 1 == 0).all() else numbers
    elif way == 3:
        table = table.set_crs(rng.choice((None, 4547, 3857, 4490, 32649, 4978)), allow_override=True)
    elif way == 4:
        table = table.to_crs(rng.choice((4547, 3857, 4490)))
    elif way == 5:
        table = table.iloc[[0, *range(len(table))]] if rng.random() < 0.7 else table[:0]
    return table
