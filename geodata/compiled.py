"""How kernels are compiled: to machine code on first use, kept on disk, without the interpreter's lock."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numba


def _keep_by_source() -> None:
    """Keep machine code in a folder named after the source of all kernels: one kernel is built into another, and numba
    looks only at the file of the one that it loads."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    here = Path(__file__).parent
    sha = hashlib.sha256()
    for path in sorted(here.glob("*.py")):
        text = path.read_bytes()
        if b"@compiled" in text:
            sha.update(text)
    setattr(numba.config, "CACHE_DIR", str(here / "__pycache__" / f"kernels-{sha.hexdigest()[:12]}"))  # noqa: B010 - unknown to mypy


_keep_by_source()


def compiled(function: Any) -> Any:
    """A function of numbers and plain arrays as machine code; division by zero gives infinity, as in numpy."""
    return numba.njit(function, cache=True, nogil=True, error_model="numpy")
