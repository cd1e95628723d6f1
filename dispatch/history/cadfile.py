"""Files of CAD exports: their columns, and those that are wanted as Arrow arrays. CSV and Parquet."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from geodata.errors import Fault, InputError, plain
from geodata.readers.packed import read_bytes

EXPECTED = "a CAD export as CSV (UTF-8 or GB18030) or Parquet"
MOST_TORN = 0.01
"""Rows of another length than the header, of all, that are left out and counted; more, and the file is refused.
Assumed."""
_LEAST_PROOF = 4
"""So many Chinese letters read as UTF-8 before the first bad byte prove that the file is UTF-8, and damaged."""
_CHUNK_BYTES = 1 << 24
_HEAD_BYTES = 1 << 20
_DELIMITERS = ",;\t|"
_MEND = "Export it again as CSV in UTF-8, one header line, one record a row."
_CHINESE = re.compile(r"[\u2e80-\u9fff\uff00-\uffef]")


@dataclass(frozen=True, slots=True, eq=False)
class CadFile:
    """The wanted columns of a file."""

    source: str
    names: tuple[str, ...]
    """Of all columns."""
    chosen: Mapping[str, str]
    """Names of the columns that were read, by field."""
    columns: Mapping[str, pa.Array]
    """By field, (n,) texts or whatever Parquet holds."""
    row: NDArray[np.int64]
    """(n,) number of each row in the file, from 1 below the header."""
    torn: tuple[int, ...]
    """Numbers of the rows that were left out for their length."""

    def __len__(self) -> int:
        return len(self.row)


def read_file(path: Path, choose: Callable[[Sequence[str], str], Mapping[str, str]]) -> CadFile:
    """Read the columns that `choose` finds among the names in the file, by field; no other is decoded.

    Raises:
        InputError: no such file, another format, neither UTF-8 nor GB18030, a damaged or empty file.
    """
    source, suffix = str(path), path.suffix.lower()
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no such file"
        raise InputError(Fault(source, "", found, EXPECTED, "Check the path."))
    if suffix in (".xlsx", ".xls", ".xlsm", ".et"):
        mend = "Save the sheet as CSV UTF-8, times formatted as yyyy-mm-dd hh:mm:ss."
        raise InputError(Fault(source, "", f"a workbook ({suffix})", EXPECTED, mend))
    if suffix in (".parquet", ".pq"):
        return _read_parquet(path, choose)
    return _read_csv(path, choose)


def _read_parquet(path: Path, choose: Callable[[Sequence[str], str], Mapping[str, str]]) -> CadFile:
    source = str(path)
    try:
        file = pq.ParquetFile(path)
        names = list(file.schema_arrow.names)
        chosen = dict(choose(names, source))
        table = file.read(columns=list(dict.fromkeys(chosen.values())))
        columns = {field: _whole(table.column(name)) for field, name in chosen.items() if table.num_rows}
    except (pa.ArrowException, OSError) as error:
        raise InputError(Fault(source, "", plain(error), "a Parquet file", "Copy the file anew.")) from error
    if not table.num_rows:
        raise InputError(Fault(source, "", "no rows", "at least one", "Check the file."))
    return CadFile(source, tuple(names), chosen, columns, np.arange(1, table.num_rows + 1), ())


def _read_csv(path: Path, choose: Callable[[Sequence[str], str], Mapping[str, str]]) -> CadFile:
    source = str(path)
    text = _utf8(read_bytes(path, EXPECTED), source)
    if text.count(b'"') % 2:
        raise _refusal(source, "", "an odd number of quotes", "Look for a quote that is never closed.")
    head = io.StringIO(text[:_HEAD_BYTES].decode("utf-8", "ignore"), newline="")
    first = next((line for line in head if line.strip()), "")
    head.seek(0)
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(head, delimiter=delimiter)
    names = next(([name.strip() for name in record] for record in reader if any(map(str.strip, record))), [])
    if not names:
        raise _refusal(source, "", "an empty file", "Check the file.")
    n_header = reader.line_num
    chosen = dict(choose(names, source))
    torn: list[int] = []

    def note(row: pc_csv.InvalidRow) -> str:
        torn.append(int(row.number) - n_header)
        return "skip"

    labels = [f"c{i}" for i in range(len(names))]
    label = {field: labels[names.index(name)] for field, name in chosen.items()}
    wanted = list(dict.fromkeys(label.values()))
    try:
        table = pc_csv.read_csv(
            pa.BufferReader(text),
            # rows have numbers only where one thread reads
            pc_csv.ReadOptions(column_names=labels, skip_rows=n_header, use_threads=False, block_size=_CHUNK_BYTES),
            pc_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=note),
            pc_csv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), strings_can_be_null=False
            ),
        )
        columns = {field: _whole(table.column(name)) for field, name in label.items() if table.num_rows}
    except pa.ArrowException as error:
        if b"\n" not in text.strip():
            raise _refusal(source, "", "no rows below the header", "Check the file.") from error
        raise _refusal(source, "", plain(error), _MEND) from error
    n = table.num_rows
    if len(torn) > MOST_TORN * (n + len(torn)):
        found = (
            f"{len(torn):,} of {n + len(torn):,} rows of another length than the header, the first is row {torn[0]:,}"
        )
        raise _refusal(source, "", found, "Put values with a separator in them in quotes.")
    if not n:
        raise _refusal(source, "", "no rows below the header", "Check the file.")
    row = np.setdiff1d(np.arange(1, n + len(torn) + 1), torn)
    return CadFile(source, tuple(names), chosen, columns, row, tuple(torn))


def _utf8(content: bytes, source: str) -> bytes:
    """The content in UTF-8 without a mark at its start; GB18030 is converted, nothing is ever replaced."""
    if content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise _refusal(source, "", "UTF-16 text", _MEND)
    if (at := content.find(b"\0")) >= 0:
        raise _refusal(source, _line(content, at), "a NUL byte: this is no CSV, or a damaged one", _MEND)
    damage = _first_bad_byte(content, "utf-8")
    if damage is None:
        return content.removeprefix(codecs.BOM_UTF8)
    before = content[max(0, damage - _HEAD_BYTES) : damage]
    read = before.decode("utf-8", "ignore")
    if content.startswith(codecs.BOM_UTF8) or len(_CHINESE.findall(read)) >= _LEAST_PROOF:
        found = f"the byte 0x{content[damage]:02x} in a text that is UTF-8 up to there"
        raise _refusal(source, _line(content, damage), found, "Export it again: the file is damaged or cut short.")
    wrong = _first_bad_byte(content, "gb18030")
    if wrong is not None:
        found = f"the byte 0x{content[wrong]:02x}, which is neither UTF-8 nor GB18030"
        raise _refusal(source, _line(content, wrong), found, _MEND)
    decoder = codecs.getincrementaldecoder("gb18030")()
    # piece by piece: as one text it would take up to four times its size
    pieces = [
        decoder.decode(content[at : at + _CHUNK_BYTES], at + _CHUNK_BYTES >= len(content)).encode("utf-8")
        for at in range(0, len(content), _CHUNK_BYTES)
    ]
    # GB18030 may have a mark at the start too, which its decoder leaves in
    return b"".join(pieces).removeprefix(codecs.BOM_UTF8)


def _first_bad_byte(content: bytes, encoding: str) -> int | None:
    """Where the content stops being text of an encoding, None if it does not."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for at in range(0, max(len(content), 1), _CHUNK_BYTES):
        kept = len(decoder.getstate()[0])
        try:
            decoder.decode(content[at : at + _CHUNK_BYTES], at + _CHUNK_BYTES >= len(content))
        except UnicodeDecodeError as error:
            return at - kept + error.start
    return None


def _line(content: bytes, at: int) -> str:
    count = content.count(b"\n", 0, at) + 1
    return f"line {count:,}"


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """One array; texts of every kind as Arrow's plain ones, which hold up to 2 GiB.

    Raises:
        pa.ArrowInvalid: more than that.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        kind = pa.string()
    return pa.concat_arrays(column.cast(kind).chunks)


def _refusal(source: str, place: str, found: str, mend: str) -> InputError:
    return InputError(Fault(source, place, found, EXPECTED, mend))
