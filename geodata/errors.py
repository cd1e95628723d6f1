"""What a user's mistake looks like: every fault names its place and its mend, and all are told at once."""

from __future__ import annotations

import re
from dataclasses import dataclass

_MOST_CHARACTERS = {"place": 80, "found": 160, "expected": 250}
"""Of what comes from files and libraries, so that one fault stays readable in a line of its own."""
_CLASS_NAME = re.compile(r"\b[A-Z]\w*(?:Error|Exception)\b(?:: )?")


def plain(error: BaseException) -> str:
    """What a library says of a file, without the names of its classes."""
    text = " ".join(_CLASS_NAME.sub("", str(error)).split())
    return text or "something that cannot be read"


def _line(text: str, most: int) -> str:
    """On one line, its middle left out where it is longer than `most`."""
    line = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in " ".join(text.split()))
    return line if len(line) <= most else f"{line[: most * 3 // 4].rstrip()} … {line[-(most // 4) :].lstrip()}"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with an input, in the five parts that a user needs to mend it."""

    source: str
    """The file, or what was typed."""
    place: str
    """Where in it: a layer, a row, a key."""
    found: str
    expected: str
    mend: str

    def __post_init__(self) -> None:
        for name, most in _MOST_CHARACTERS.items():
            object.__setattr__(self, name, _line(getattr(self, name), most))

    def __str__(self) -> str:
        where = f"{self.source}: {self.place}" if self.place else self.source
        return f"{where}: found {self.found}; expected {self.expected}. {self.mend}"


class InputError(ValueError):
    """An input cannot be used; `faults` holds every reason that was found."""

    def __init__(self, *faults: Fault) -> None:
        if not faults:
            raise TypeError("an InputError tells at least one fault")
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))

    def __reduce__(self) -> tuple[type[InputError], tuple[Fault, ...]]:
        # as it is: workers hand it over to the process that started them
        return type(self), self.faults


class Faults:
    """Gathers faults so that one run over an input tells all of them."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._faults: list[Fault] = []

    def add(self, place: str, found: str, expected: str, mend: str) -> None:
        self._faults.append(Fault(self.source, place, found, expected, mend))

    def raise_any(self) -> None:
        """Raise one InputError for all that was gathered, or do nothing."""
        if self._faults:
            raise InputError(*self._faults)
