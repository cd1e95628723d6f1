"""Folders of Parquet tables and numpy arrays beside one JSON file that lists each of them with its hash. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from geodata.bundle import sha256
from geodata.errors import Fault, InputError, plain
from geodata.files import write_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What such a folder holds, in words for its faults."""

    name: str
    """"history"."""
    form: int
    mend: str
    """How to make one anew."""

    @property
    def head(self) -> str:
        return f"{self.name}.json"

    def refusal(self, folder: Path, place: str, found: str, expected: str) -> InputError:
        return InputError(Fault(str(folder), place, found, expected, self.mend))


def write_saved(
    folder: Path,
    kind: Kind,
    about: Mapping[str, Any],
    *,
    arrays: Mapping[str, NDArray[Any]] | None = None,
    tables: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Write the folder whole or not at all; the same content gives the same bytes.

    Raises:
        InputError: something else than an older one of this kind stands there.
    """
    check_free(folder, kind)

    def write(beside: Path) -> None:
        for name, array in (arrays or {}).items():
            np.save(beside / f"{name}.npy", array, allow_pickle=False)
        for name, table in (tables or {}).items():
            columns = pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata({})
            pq.write_table(columns, beside / f"{name}.parquet", compression="zstd")
        files = {path.name: sha256(path) for path in sorted(beside.iterdir())}
        head = {"format": kind.form} | dict(about) | {"files": files}
        text = json.dumps(head, ensure_ascii=False, indent=1, allow_nan=False)
        (beside / kind.head).write_text(text, "utf-8", newline="\n")

    write_folder(folder, write)


def check_free(folder: Path, kind: Kind) -> None:
    """
    Raises:
        InputError: something else than an older one of this kind stands there, which shall not be replaced.
    """
    if folder.exists() and not (folder / kind.head).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        found = f"a folder that holds no {kind.name}" if folder.is_dir() else "a file"
        expected = f"a new or empty folder, or a saved {kind.name}"
        raise InputError(Fault(str(folder), "", found, expected, "Name another place with --out."))


def read_saved(folder: Path, kind: Kind) -> tuple[dict[str, Any], dict[str, NDArray[Any]], dict[str, pd.DataFrame]]:
    """The JSON, the arrays and the tables of a folder, once each file has been found as it was saved.

    Raises:
        InputError: no such folder, another format, or a file that is missing or was altered.
    """
    head = folder / kind.head
    if not head.is_file():
        found = f"no {kind.head}" if folder.is_dir() else "no such folder"
        raise kind.refusal(folder, "", found, f"the folder of a saved {kind.name}")
    try:
        about = json.loads(head.read_text("utf-8"))
        form, files = about["format"], dict(about["files"])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise kind.refusal(folder, kind.head, plain(error), f"the head of a saved {kind.name}") from error
    if form != kind.form:
        raise kind.refusal(folder, kind.head, f"format {form!r}", f"format {kind.form}")
    for name, digest in files.items():
        if Path(name).name != name or not (folder / name).is_file():
            raise kind.refusal(folder, name, "no such file", f"a file that {kind.head} lists")
        if sha256(folder / name) != digest:
            raise kind.refusal(folder, name, "other content than was saved", "the file as it was saved")
    paths = [folder / name for name in files]
    arrays = {path.stem: np.load(path, allow_pickle=False) for path in paths if path.suffix == ".npy"}
    tables = {path.stem: pd.read_parquet(path) for path in paths if path.suffix == ".parquet"}
    return about, arrays, tables
