"""CSV files as tables of texts."""

from __future__ import annotations

import csv
import io
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from geodata.errors import Fault, InputError
from geodata.network import Bools, Floats
from geodata.readers.coordinates import raise_first
from geodata.readers.noding import Index
from geodata.readers.packed import read_bytes
from geodata.readers.vector import text_encoding

_DELIMITERS = ",;\t|"
_CHUNK_ROWS = 50_000
_MEND_ROW = "Mend the line; a value with a separator in it needs quotes."


@dataclass(frozen=True, slots=True)
class CsvTable:
    """The rows of a CSV as texts, and the line on which each begins."""

    source: str
    data: pd.DataFrame
    lines: Index

    def __len__(self) -> int:
        return len(self.lines)

    @classmethod
    def read(cls, path: Path, expected: str) -> CsvTable:
        """A `.csv` or `.csv.gz` in UTF-8 or GB18030, its values parted by commas, semicolons, tabs or bars. Blank lines
        do not count.

        Raises:
            InputError: no such file, no text, a header with a name twice, rows of another length, or no rows.
        """
        source = str(path)

        def refuse(place: str, found: str, mend: str = "Save it as CSV in UTF-8, one record a line.") -> InputError:
            return InputError(Fault(source, place, found, expected, mend))

        content = read_bytes(path, expected)
        if (at := content.find(b"\0")) >= 0:
            line = content.count(b"\n", 0, at) + 1
            raise refuse(f"line {line}", "a NUL byte")
        encoding = text_encoding(content)
        first_line = next(io.BytesIO(content), b"")
        delimiter = max(_DELIMITERS, key=first_line.decode(encoding, "ignore").count)
        # decoded piece by piece: as one text the file would take up to four times its size
        text = io.TextIOWrapper(io.BytesIO(content), encoding, newline="")
        del content
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        lines: array[int] = array("q")
        chunks: list[pd.DataFrame] = []
        rows: list[list[str]] = []
        faults: list[Fault] = []
        try:
            # GB18030 may have a mark at the start too, which its decoder leaves in
            header = [name.strip().removeprefix("\ufeff") for name in next(reader, [])]
            if not any(header):
                raise refuse("header", "an empty line" if first_line else "an empty file", "Check the file.")
            for name in sorted(name for name in set(header) if header.count(name) > 1):
                raise refuse("header", f"{name!r} twice", "Rename one.")
            line = reader.line_num + 1
            for record in reader:
                if len(record) == len(header):
                    rows.append(record)
                    lines.append(line)
                elif any(cell.strip() for cell in record):
                    found = f"{len(record)} values"
                    faults.append(Fault(source, f"line {line}", found, f"{len(header)} as in the header", _MEND_ROW))
                line = reader.line_num + 1
                if len(rows) == _CHUNK_ROWS:
                    # arrow's texts take a fraction of the memory of Python's
                    chunks.append(pd.DataFrame(rows, columns=header, dtype=str))
                    rows = []
        except UnicodeDecodeError as error:
            found = f"text that is neither UTF-8 nor GB18030 ({error.reason})"
            raise refuse(f"line {reader.line_num + 1} or after it", found) from error
        except csv.Error as error:
            raise refuse(f"line {reader.line_num}", str(error), "Look for a quote that is never closed.") from error
        raise_first(faults)
        if not lines:
            raise refuse("", "no rows", "Check the file.")
        chunks.append(pd.DataFrame(rows, columns=header, dtype=str))
        return cls(source, pd.concat(chunks, ignore_index=True), np.array(lines, np.int64))

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.data.columns]

    def rows(self, wanted: Bools) -> CsvTable:
        return self if wanted.all() else CsvTable(self.source, self.data[wanted], self.lines[wanted])

    def find(self, named: str | None, usual: Sequence[str]) -> str | None:
        """The column that is named, or one with a usual name, or None."""
        if named is None:
            lower = {name.lower(): name for name in reversed(self.names)}
            return next((lower[name] for name in usual if name in lower), None)
        if named not in self.names:
            expected = f"one of {', '.join(self.names)}"
            raise InputError(
                Fault(self.source, "header", f"no column {named!r}", expected, "Name a column of the file.")
            )
        return named

    def required(self, named: str | None, usual: Sequence[str], what: str) -> str:
        found = self.find(named, usual)
        if found is None:
            expected = f"a column for {what}, such as {usual[0]!r}"
            raise InputError(Fault(self.source, "header", ", ".join(self.names), expected, "Name the column."))
        return found

    def texts(self, column: str | None) -> pd.Series[str]:
        """The column's values; empty ones where there is no column."""
        return pd.Series([""] * len(self), dtype=str) if column is None else self.data[column]

    def numbers(self, column: str) -> tuple[Floats, Index]:
        """The column's values, NaN where there is none, and the rows that hold something else than a number."""
        texts = self.data[column].str.strip()
        values = pd.to_numeric(texts, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        return values, np.flatnonzero(np.isnan(values) & (texts != "").to_numpy(bool))
