"""Every reader against spoiled files, made from real ones: `python tests/geodata/fuzzing.py --rounds 200`.

A file is read, or refused with an `InputError` that names it, and nothing else happens: no other exception, no warning,
no hang, nothing written. What a case does depends on its name and round alone, so that one can be repeated:
`--only NAME --first ROUND --rounds 1`.
"""

from __future__ import annotations

import argparse
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import shapely
from fuzz_samples import DATA, Sample, samples
from spoiling import spoil, spoiled_layer, write_layer

from geodata.errors import InputError

LIMIT_S = 30.0
MOST_CHARACTERS = 600
MOST_FAULTS = 21
SPARE_BYTES = 3 << 30
"""What a case may ask for beyond what is in use."""
_EXCEPTION = re.compile(r"\b[A-Z]\w*(?:Error|Exception)\b|Traceback|<class '|object at 0x")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case."""

    sample: Sample
    round: int
    done: str
    """"read", "refused" or "broken"."""
    told: str
    seconds: float


class _TooLongError(BaseException):
    """Not to be caught by any reader."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def spoiled_case(sample: Sample, number: int, folder: Path) -> None:
    """Fill a folder with a sample, spoiled as its round says; round 0 is as it was."""
    rng = random.Random(f"{sample.name} {number}")
    shutil.copytree(sample.folder, folder)
    if not number:
        return
    if sample.layer is not None and rng.random() < 0.5:
        path = folder / sample.file
        path.unlink()
        try:
            write_layer(spoiled_layer(sample.layer, rng), path)
            return
        except (RuntimeError, ValueError, TypeError, shapely.errors.ShapelyError):
            # the format cannot hold it
            shutil.rmtree(folder)
            shutil.copytree(sample.folder, folder)
    path = folder / rng.choice(sample.spoilt)
    path.write_bytes(spoil(path.name, path.read_bytes(), rng))


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p.relative_to(folder)): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*")}


def wrong_with(error: InputError, folder: Path, files: tuple[str, ...]) -> str:
    """What is wrong with the words of a refusal, "" where they are right."""
    if len(error.faults) > MOST_FAULTS:
        return f"{len(error.faults)} faults in one message"
    for fault in error.faults:
        text = str(fault).replace(str(folder.parent), "")
        if fault.source != "city" and not any(name in text for name in files):
            return f"names no file: {text}"
        if "\n" in text or "\r" in text:
            return f"more than one line: {text!r}"
        if len(text) > MOST_CHARACTERS:
            return f"{len(text)} characters: {text}"
        if found := _EXCEPTION.search(text):
            return f"{found.group()!r} means nothing to a user: {text}"
        if not (fault.found.strip() and fault.expected.strip() and fault.mend.strip()):
            return f"a part is empty: {fault!r}"
    return ""


def run_case(sample: Sample, number: int, scratch: Path) -> Outcome:
    folder = scratch / "case"
    spoiled_case(sample, number, folder)
    before = _state(folder)
    done, told = "read", ""
    start = time.monotonic()
    try:
        with _time_limit(LIMIT_S), warnings.catch_warnings():
            warnings.simplefilter("error")
            sample.read(folder / sample.file)
    except InputError as error:
        done, told = "refused", str(error)
        if wrong := wrong_with(error, folder, (*before, folder.name)):
            done, told = "broken", wrong
    except _TooLongError:
        done, told = "broken", f"longer than {LIMIT_S:g} s"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        done, told = "broken", "".join(traceback.format_exception(error, limit=-6))
    seconds = time.monotonic() - start
    if done != "broken" and _state(folder) != before:
        done, told = "broken", f"written: {sorted(_state(folder).items() ^ before.items())}"
    if done == "refused" and not number:
        done = "broken"
    shutil.rmtree(folder)
    return Outcome(sample, number, done, told, seconds)


def main() -> int:
    parse = argparse.ArgumentParser(description="Read spoiled files; tell what breaks.")
    parse.add_argument("--rounds", type=int, default=200, help="of each sample")
    parse.add_argument("--first", type=int, default=1, help="the number of the first round")
    parse.add_argument("--only", default="", help="samples whose name or reader holds this")
    told = parse.parse_args()
    if not DATA.is_dir():
        print(f"the real files are missing: {DATA}")
        return 2
    counts: dict[str, Counter[str]] = {}
    slowest: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        found = [s for s in samples(scratch) if told.only in s.name or told.only in s.reader]
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + SPARE_BYTES, resource.RLIM_INFINITY))
        for sample in found:
            count = counts.setdefault(sample.reader, Counter())
            for number in (0, *range(told.first, told.first + told.rounds)):
                outcome = run_case(sample, number, scratch)
                count["cases"] += 1
                count[outcome.done] += 1
                slowest[sample.reader] = max(slowest.get(sample.reader, 0.0), outcome.seconds)
                if outcome.done == "broken":
                    print(f"\n{sample.name}, round {number}: {outcome.told}", flush=True)
    print(f"\n{'reader':<18}{'cases':>8}{'read':>8}{'refused':>9}{'broken':>8}{'slowest':>9}")
    for reader, count in counts.items():
        columns = "".join(f"{count[key]:>{width},}" for key, width in zip(_COLUMNS, (8, 8, 9, 8), strict=True))
        print(f"{reader:<18}{columns}{slowest[reader]:>7.1f} s")
    whole = sum(counts.values(), Counter())
    columns = "".join(f"{whole[key]:>{width},}" for key, width in zip(_COLUMNS, (8, 8, 9, 8), strict=True))
    print(f"{'all':<18}{columns}")
    return int(whole["broken"] > 0)


_COLUMNS = ("cases", "read", "refused", "broken")

if __name__ == "__main__":
    sys.exit(main())
