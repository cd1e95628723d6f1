"""Files that may be packed with gzip."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from geodata.errors import Fault, InputError

_CHUNK_BYTES = 1 << 20
MOST_TIMES = 200
"""No table or graph shrinks to less than the 200th part; what does is made to fill the memory. Assumed."""
_SMALL_BYTES = 1 << 26


def read_chunks(path: Path, expected: str) -> Iterator[bytes]:
    """The content of a file piece by piece, unpacked if its name ends in `.gz`.

    Raises:
        InputError: no such file, or an archive that is damaged or unpacks to absurdly much.
    """
    source = str(path)
    if not path.is_file():
        raise InputError(Fault(source, "", "no such file", expected, "Check the path."))
    most = max(_SMALL_BYTES, MOST_TIMES * path.stat().st_size)
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as content:
            while chunk := content.read(_CHUNK_BYTES):
                if content.tell() > most:
                    found = f"more than {MOST_TIMES} times its own size inside"
                    raise InputError(Fault(source, "", found, expected, "Unpack the file and look what it holds."))
                yield chunk
    except (OSError, EOFError, zlib.error) as error:
        mend = "Copy the file anew: it is damaged or cut short."
        raise InputError(Fault(source, "", str(error), "a whole file", mend)) from error


def read_bytes(path: Path, expected: str) -> bytes:
    """All of a file, as `read_chunks`."""
    return b"".join(read_chunks(path, expected))
