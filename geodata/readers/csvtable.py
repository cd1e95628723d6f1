"""CSV files as tables of texts."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from geodata.errors import Fault, InputError
from geodata.network import Bools, Floats
from geodata.readers.coordinates import raise_first
from geodata.readers.jsonfile import read_bytes
from geodata.readers.noding import Index
from geodata.readers.vector import text_encoding

_DELIMITERS = ",;\t|"


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
        try:
            text = content.decode(text_encoding(content))
        except UnicodeDecodeError as error:
            raise refuse("", f"text that is neither UTF-8 nor GB18030 ({error.reason})") from error
        del content
        first_line = text.partition("\n")[0]
        delimiter = max(_DELIMITERS, key=first_line.count)
        header = [name.strip() for name in next(csv.reader([first_line], delimiter=delimiter), [])]
        if not header or len(set(header)) < len(header):
            twice = next((name for name in header if header.count(name) > 1), None)
            raise refuse("header", "an empty file" if twice is None else f"{twice!r} twice", "Check the header.")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", pd.errors.ParserWarning)
                data = pd.read_csv(
                    io.StringIO(text),
                    sep=delimiter,
                    header=0,
                    names=header,
                    index_col=False,
                    dtype=str,
                    keep_default_na=False,
                    skip_blank_lines=False,
                )
        except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
            found = str(error).strip().removeprefix("Error tokenizing data. C error: ")
            raise refuse("", found, f"Each row needs the {len(header)} values of the header.") from error
        # a value in quotes may run over several lines
        extra = sum(
            (data[name].str.count("\n").fillna(0).to_numpy(np.int64) for name in header), np.zeros(len(data), np.int64)
        )
        lines = np.arange(2, len(data) + 2) + np.cumsum(extra) - extra
        blank = (data[header[0]].str.strip() == "").to_numpy() & data[header[1:]].isna().to_numpy().all(axis=1)
        data, lines = data[~blank], lines[~blank]
        raise_first(
            Fault(source, f"line {lines[i]}", "too few values", f"{len(header)} as in the header", "Mend the line.")
            for i in np.flatnonzero(data.isna().to_numpy().any(axis=1)).tolist()
        )
        if not len(data):
            raise refuse("", "no rows", "Check the file.")
        return cls(source, data, lines)

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.data.columns]

    def rows(self, wanted: Bools) -> CsvTable:
        return CsvTable(self.source, self.data[wanted], self.lines[wanted])

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
