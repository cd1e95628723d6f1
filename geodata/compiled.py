"""How kernels are compiled: to machine code on first use, kept on disk, without the interpreter's lock."""

from __future__ import annotations

from typing import Any

import numba


def compiled(function: Any) -> Any:
    """A function of numbers and plain arrays as machine code; division by zero gives infinity, as in numpy."""
    return numba.njit(function, cache=True, nogil=True, error_model="numpy")
