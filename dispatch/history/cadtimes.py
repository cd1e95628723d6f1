"""Times as exports write them: read in bulk, each told to be a time, missing, a placeholder or unreadable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

CHINA_HOURS = 8
"""Of Asia/Shanghai before UTC, at all times since 1991; times without an offset are meant so."""
EARLIEST_YEAR, LATEST_YEAR = 1980, 2100
"""A year outside stands for none: 0000, 1900 and 1970 are what systems write for no time. Assumed."""
MISSING = pa.array(["", "null", "none", "nan", "nat", "n/a", "na", "\\n", "-", "--", "/", "无", "空"])
NO_TIME = pa.array(["0", "0.0", "00:00", "00:00:00", "0:00", "0:00:00"])
_ISO = r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,3})?$"
_OFFSET = r"\s*(?P<z>[Zz]|[+-]\d{2}:?\d{2})?$"
_PARTED = (
    r"^(?P<y>\d{4})\s*[-/.年]\s*(?P<mo>\d{1,2})\s*[-/.月]\s*(?P<d>\d{1,2})\s*日?"
    r"(?:[\sT]*(?P<noon>上午|下午|[AaPp][Mm])?\s*(?P<h>\d{1,2})\s*[:：时点]\s*(?P<mi>\d{1,2})"
    r"(?:\s*[:：分]\s*(?P<s>\d{1,2})(?:[.,](?P<f>\d{1,9}))?)?\s*[分秒]?)?\s*(?P<noon2>[AaPp][Mm])?" + _OFFSET
)
_COMPACT = (
    r"^(?P<y>\d{4})(?P<mo>\d{2})(?P<d>\d{2})"
    r"(?:[ T]?(?P<h>\d{2})(?P<mi>\d{2})(?P<s>\d{2})?(?:[.,](?P<f>\d{1,9}))?)?(?P<noon>)(?P<noon2>)" + _OFFSET
)
SERIAL = re.compile(r"\d{5}(\.\d+)?")
"""A day count of a spreadsheet."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadTimes:
    """A column of n times."""

    at: NDArray[np.datetime64]
    """(n,) local milliseconds; NaT where there is none."""
    missing: NDArray[np.bool_]
    placeholder: NDArray[np.bool_]
    """Zeros and dates that stand for no time."""
    unreadable: NDArray[np.bool_]
    n_moved: int
    """Times with an offset other than that of China, moved to its clock."""


def read_times(column: pa.Array, time_format: str | None = None) -> ReadTimes:
    """Times of a column of texts, or of Arrow's own times; numbers are unreadable, as nothing tells their unit.

    Texts: year, month and day in this order with any of `-/.年月日` between or in 14 digits, hours and minutes, seconds
    or not, 上午/下午 or AM/PM, an offset or not; or as `time_format` says.
    """
    if pa.types.is_timestamp(column.type):
        return _of_arrow(column)
    text = pc.utf8_trim_whitespace(pc.fill_null(pc.cast(column, pa.string()), ""))
    small = pc.utf8_lower(text)
    missing = _numpy(pc.is_in(small, value_set=MISSING))
    zero = _numpy(pc.is_in(text, value_set=NO_TIME))
    n = len(text)
    at = np.full(n, np.datetime64("NaT"), "datetime64[ms]")
    left, placeholder, moved = ~(missing | zero), zero, 0
    if time_format is not None:
        found = pc.strptime(text, format=time_format, unit="s", error_is_null=True)
        # the C library takes 31 February for 3 March
        same = pc.equal(_unpadded(pc.strftime(found, format=time_format)), _unpadded(text))
        good = _numpy(pc.fill_null(same, False)) & left
        at[good] = _moments(found)[good]
        left = left & ~good
    else:
        iso = _numpy(pc.match_substring_regex(text, _ISO)) & left
        whole, moments = _cast(text.filter(pa.array(iso)))
        if whole:
            at[iso] = moments
            left = left & ~iso
        for pattern in (_PARTED, _COMPACT):
            rows = np.flatnonzero(left)
            if not len(rows):
                break
            found_at, n_moved = _by_pattern(text.take(pa.array(rows)), pattern)
            at[rows] = found_at
            left[rows] = np.isnat(found_at)
            moved += n_moved
    year = at.astype("datetime64[Y]").astype(np.int64) + 1970
    out = ~np.isnat(at) & ((year < EARLIEST_YEAR) | (year >= LATEST_YEAR))
    # year and month 0 are no date: the pattern does not read them
    none = _numpy(pc.match_substring_regex(text, r"^0000\D?00?\D?00?")) & left
    at[out] = np.datetime64("NaT")
    return ReadTimes(at, missing, placeholder | out | none, left & ~none, moved)


def _of_arrow(column: pa.Array) -> ReadTimes:
    at = _moments(column)
    moved = 0
    if column.type.tz is not None:
        at = at + np.timedelta64(CHINA_HOURS, "h")
        moved = 0 if column.type.tz in ("Asia/Shanghai", "+08:00") else int((~np.isnat(at)).sum())
    missing = np.isnat(at)
    year = at.astype("datetime64[Y]").astype(np.int64) + 1970
    out = ~missing & ((year < EARLIEST_YEAR) | (year >= LATEST_YEAR))
    at[out] = np.datetime64("NaT")
    return ReadTimes(at, missing, out, np.zeros(len(at), bool), moved)


def _by_pattern(text: pa.Array, pattern: str) -> tuple[NDArray[np.datetime64], int]:
    """(n,) moments, NaT where the pattern does not fit or there is no such moment, and how many had an offset other
    than China's."""
    parts = pc.extract_regex(text, pattern)
    fits = _numpy(pc.is_valid(parts))

    def part(name: str, default: str = "0") -> Any:
        found = pc.fill_null(pc.struct_field(parts, name), "")
        return pc.if_else(pc.equal(found, ""), default, found)

    def number(name: str) -> NDArray[np.int64]:
        return np.asarray(pc.cast(part(name), pa.int64()).to_numpy(zero_copy_only=False))

    year, month, day, hour, minute, second = (number(name) for name in ("y", "mo", "d", "h", "mi", "s"))
    milli = _milliseconds(part("f"))
    noon = pc.utf8_lower(pc.binary_join_element_wise(part("noon", ""), part("noon2", ""), ""))
    after = _numpy(pc.is_in(noon, value_set=pa.array(["下午", "pm"])))
    before = _numpy(pc.is_in(noon, value_set=pa.array(["上午", "am"])))
    has_noon = after | before
    # 下午 13:05 is written too
    hour = np.where(after & (hour < 12), hour + 12, np.where(before & (hour == 12), 0, hour))
    has_hour = _numpy(pc.not_equal(part("h", ""), ""))
    months = (year - 1970) * 12 + month - 1
    days = months.astype("datetime64[M]").astype("datetime64[D]") + (day - 1)
    good = fits & (month >= 1) & (month <= 12) & (day >= 1) & (days.astype("datetime64[M]").astype(np.int64) == months)
    # a date alone is no time, unless it stands for none
    good &= (hour < 24) & (minute < 60) & (second < 60) & (has_hour | (year < EARLIEST_YEAR)) & (has_hour | ~has_noon)
    seconds = hour * 3600 + minute * 60 + second
    at = days.astype("datetime64[ms]") + (seconds * 1000 + milli).astype("timedelta64[ms]")
    zone = part("z", "")
    east_min, has_zone = _offsets(zone)
    at = at + np.where(has_zone, CHINA_HOURS * 60 - east_min, 0).astype("timedelta64[m]")
    at[~good] = np.datetime64("NaT")
    return at, int((good & has_zone & (east_min != CHINA_HOURS * 60)).sum())


def _milliseconds(digits: pa.Array) -> NDArray[np.int64]:
    """Of the digits behind the seconds."""
    three = pc.utf8_slice_codeunits(pc.utf8_rpad(digits, width=3, padding="0"), 0, 3)
    return np.asarray(pc.cast(three, pa.int64()).to_numpy(zero_copy_only=False))


def _offsets(zone: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Minutes east of Greenwich, and whether there is an offset; few are distinct."""
    encoded = zone.dictionary_encode()
    words = encoded.dictionary.to_pylist()
    minutes = np.array([_offset_min(word) for word in words], np.int64)
    has = np.array([word != "" for word in words], bool)
    code = encoded.indices.to_numpy(zero_copy_only=False)
    return minutes[code], has[code]


def _offset_min(word: str) -> int:
    if word in ("", "Z", "z"):
        return 0
    digits = word[1:].replace(":", "")
    return (-1 if word[0] == "-" else 1) * (int(digits[:2]) * 60 + int(digits[2:]))


def _cast(text: pa.Array) -> tuple[bool, NDArray[np.datetime64]]:
    """By Arrow's own reader, the fastest; False where one of them is no moment."""
    try:
        return True, _moments(pc.cast(text, pa.timestamp("ms")))
    except pa.ArrowInvalid:
        return False, np.empty(0, "datetime64[ms]")


def _unpadded(text: pa.Array) -> pa.Array:
    """Without zeros in front of numbers."""
    return pc.replace_substring_regex(text, r"\b0+(\d)", r"\1")


def _moments(column: pa.Array) -> NDArray[np.datetime64]:
    plain = pc.cast(column, pa.timestamp("ms", column.type.tz), safe=False)
    return np.array(plain.to_numpy(zero_copy_only=False), "datetime64[ms]")


def _numpy(flags: Any) -> NDArray[np.bool_]:
    return np.asarray(flags.to_numpy(zero_copy_only=False), bool)
