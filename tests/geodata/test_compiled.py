"""Machine code of kernels: kept on disk, and several arrays handed over as one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from geodata.compiled import compiled, hold, is_kept


@compiled
def add_up(held: object, factor: float) -> float:
    numbers, (one, other) = held.what  # type: ignore[attr-defined]
    numbers[0] += 1
    return factor * numbers.sum() + one[0] + other[0]


def test_a_kernel_is_kept_once_it_was_called(tmp_path: Path) -> None:
    source = tmp_path / "made.py"
    source.write_text(
        "from geodata.compiled import compiled\n\n\n@compiled\ndef twice(x):\n    return 2 * x\n", "utf-8"
    )
    spec = importlib.util.spec_from_file_location("made", source)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert not is_kept(made.twice)
    assert made.twice(3.0) == 6.0
    assert is_kept(made.twice)


def test_what_is_held_is_the_same_memory() -> None:
    numbers, one, other = np.zeros(3), np.array([10.0]), np.array([5], np.int32)
    held = hold((numbers, (one, other)))
    assert add_up(held, 2.0) == 17.0
    assert numbers[0] == 1.0
    one[0] = 20.0
    assert add_up(held, 2.0) == 29.0
