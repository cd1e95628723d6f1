"""How kernels are compiled: to machine code on first use, kept on disk, without the interpreter's lock; how much is
handed over to them at once; and two instructions of the processor that they use."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numba
from llvmlite import ir
from numba.core import types
from numba.experimental import structref
from numba.extending import intrinsic

BYTE = ir.IntType(8).as_pointer()


def _keep_by_source() -> None:
    """Keep machine code in a folder named after the source of all kernels and of the enumerations that they know: these
    are built into other kernels, and numba looks only at the file of the one that it loads."""
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    here = Path(__file__).parent
    sha = hashlib.sha256()
    for path in sorted([*here.glob("*.py"), *here.parent.glob("dispatch/**/*.py")]):
        text = path.read_bytes()
        if b"@compiled" in text or b"@lean" in text or b"IntEnum" in text:
            sha.update(text)
    setattr(numba.config, "CACHE_DIR", str(here / "__pycache__" / f"kernels-{sha.hexdigest()[:12]}"))  # noqa: B010 - unknown to mypy


_keep_by_source()


def compiled(function: Any) -> Any:
    """A function of numbers and plain arrays as machine code; division by zero gives infinity, as in numpy."""
    # said, as it would otherwise be compiled as the function that calls it
    return _kernel(function, _nrt=True)


def lean(function: Any) -> Any:
    """As `compiled`, for functions that make no arrays: no references are counted, which takes a third of the time of a
    short one that is given many. numba does not document the option."""
    return _kernel(function, _nrt=False)


def _kernel(function: Any, **options: Any) -> Any:
    return numba.njit(function, cache=True, nogil=True, error_model="numpy", **options)


def is_kept(kernel: Any) -> bool:
    """Whether machine code of a kernel lies on the disk already."""
    return any(Path(kernel.stats.cache_path).glob(f"*.{kernel.py_func.__name__}-*.nbi"))


@structref.register
class _HeldType(types.StructRef):
    def preprocess_fields(self, fields: Any) -> Any:
        return tuple((name, types.unliteral(kind)) for name, kind in fields)  # type: ignore[no-untyped-call]


class Held(structref.StructRefProxy):
    """What `hold` gives; compiled functions find in its field `what` what was held."""


structref.define_boxing(_HeldType, Held)  # type: ignore[no-untyped-call]
structref.define_constructor(Held, _HeldType, ["what"])  # type: ignore[no-untyped-call]


@compiled
def hold(what: Any) -> Any:
    """Arrays in a tuple, and tuples in it, as one argument of compiled functions. Each array that is handed over by
    itself takes a tenth of a microsecond, and sixty of them more than many a kernel. Named tuples have to be those of
    the packages: their classes are noted with the machine code, which everybody loads."""
    return Held(what)  # type: ignore[no-untyped-call]


def _fetch_soon(_typing: Any, array: Any, row: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [BYTE, flag, flag, flag])
        fetch = builder.module.declare_intrinsic("llvm.prefetch.p0", (), kind)
        # to read, into the nearest cache, data
        builder.call(fetch, [_row(context, builder, signature, args, 0), flag(0), flag(3), flag(1)])
        return context.get_dummy_value()

    return types.void(array, row), code


def _most_above(_typing: Any, marks: Any, row: Any, goals: Any, goal: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number, many = ir.IntType(16), ir.VectorType(ir.IntType(16), 16)
        rows = (_row(context, builder, signature, args, i) for i in (0, 2))
        one, other = (builder.load(builder.bitcast(at, many.as_pointer()), align=2) for at in rows)
        module = builder.module
        above = module.declare_intrinsic("llvm.usub.sat.v16i16", (), ir.FunctionType(many, [many, many]))
        most = module.declare_intrinsic("llvm.vector.reduce.umax.v16i16", (), ir.FunctionType(number, [many]))
        return builder.zext(builder.call(most, [builder.call(above, [one, other])]), ir.IntType(64))

    return types.int64(marks, row, goals, goal), code


def _row(context: Any, builder: Any, signature: Any, args: Any, i: int) -> Any:
    """The address of the row args[i + 1] of the array args[i]."""
    array = context.make_array(signature.args[i])(context, builder, args[i])
    row = context.cast(builder, args[i + 1], signature.args[i + 1], types.intp)
    start = builder.ptrtoint(array.data, ir.IntType(64))
    return builder.inttoptr(builder.add(start, builder.mul(row, builder.extract_value(array.strides, 0))), BYTE)


fetch_soon: Any = intrinsic(_fetch_soon)
"""`fetch_soon(array, row)` lets the processor fetch a row of an array while the kernel goes on with other things: what
a search needs of the next nodes lies all over the memory, and waiting for it would take most of the time."""
most_above: Any = intrinsic(_most_above)
"""`most_above(marks, row, goals, goal)` is by how much any of the first 16 numbers of a row of `marks` is above that of
a row of `goals`, at least 0; both arrays are of uint16. It takes a tenth of the time of 16 comparisons."""
