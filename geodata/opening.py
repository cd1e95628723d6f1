"""Opening hours as text, in the part of the OpenStreetMap notation that weekly timetables need.

Rules apart by `;`, each with days, times, or both: "24/7", "Mo-Fr 08:00-12:00,14:00-18:00; Sa 09:00-12:00",
"20:00-02:00" (over midnight), "We off". A later rule replaces the earlier ones on its days; a first rule that tells
when it is closed means that it is open else. Public and school holidays (`PH`, `SH`) are no part of a usual week and
are passed over. Chinese days and signs are understood.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from geodata.network import Bools

DAY_MIN = 1440
WEEK_MIN = 7 * DAY_MIN
MOST_SHOWN = 60
"""Characters of a text in a message."""
EXAMPLE = "24/7, or such as Mo-Fr 08:00-20:00; Sa 09:00-12:00"
_DAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
_HOLIDAYS = ("ph", "sh")
_CHINESE = {
    **{f"{word}{digit}": day for word in ("周", "星期") for digit, day in zip("一二三四五六日", _DAYS, strict=True)},
    **{"周天": "su", "星期天": "su", "节假日": "ph", "法定节假日": "ph"},
    **{"每天": "mo-su", "每日": "mo-su", "工作日": "mo-fr", "周末": "sa-su", "全天": "24/7", "24小时": "24/7"},
    **{"休息": "off", "关闭": "off", "至": "-", "到": "-", "、": ","},
    **{"：": ":", "；": ";", "，": ",", "–": "-", "—": "-", "～": "-", "~": "-", "－": "-"},
}
_CHINESE_WORDS = re.compile("|".join(sorted(map(re.escape, _CHINESE), key=len, reverse=True)))
_DAY = "(?:" + "|".join((*_DAYS, *_HOLIDAYS)) + ")"
_RULE = re.compile(rf"(?P<days>{_DAY}(?:[-,]{_DAY})*)?(?::?\s+|$|(?=\d))?(?P<times>off|closed|24/7|\d[\d:,-]*)?")
_SPAN = re.compile(r"(\d{1,2}):(\d\d)-(\d{1,2}):(\d\d)")


def opening_minutes(text: str) -> Bools:
    """(10080,) whether it is open in each minute of the week from Monday 0:00; always, where the text is empty.

    Raises:
        ValueError: what of the text is not understood.
    """
    return _parsed(text)[0]


def mentions_holidays(text: str) -> bool:
    """Whether rules for holidays were passed over.

    Raises:
        ValueError: as `opening_minutes`.
    """
    return _parsed(text)[1]


@lru_cache(maxsize=4096)
def _parsed(text: str) -> tuple[Bools, bool]:
    """Both answers for a text; many places share one."""
    if not text.strip():
        return _frozen(np.ones(WEEK_MIN, bool)), False
    spans: dict[int, list[tuple[int, int]]] = {}
    holidays = False
    plain = re.sub(r"\s*([-,;])\s*", r"\1", _CHINESE_WORDS.sub(lambda word: _CHINESE[word[0]], text.lower()).strip())
    for i, rule in enumerate(plain.removesuffix(";").split(";")):
        match = _RULE.fullmatch(rule.strip())
        if not match or not match[0]:
            raise ValueError(f"{rule.strip()[:MOST_SHOWN]!r} is not understood")
        days, named_holidays = _days(match["days"])
        holidays |= named_holidays
        times = _times(match["times"])
        if i == 0 and not times:
            # who begins with when it is closed means that it is open at all other times
            spans = {day: [(0, DAY_MIN)] for day in range(7)}
        spans.update(dict.fromkeys(days, times))
    open_ = np.zeros(WEEK_MIN, bool)
    for day, times in spans.items():
        for begin, end in times:
            open_[np.arange(day * DAY_MIN + begin, day * DAY_MIN + end) % WEEK_MIN] = True
    return _frozen(open_), holidays


def _frozen(minutes: Bools) -> Bools:
    minutes.flags.writeable = False
    return minutes


def _days(text: str | None) -> tuple[list[int], bool]:
    """Days of the week, 0 is Monday, and whether holidays stood among them."""
    if text is None:
        return list(range(7)), False
    days: list[int] = []
    holidays = False
    for part in text.split(","):
        ends = part.split("-")
        if part in _HOLIDAYS:
            holidays = True
        elif len(ends) > 2 or not set(ends) <= set(_DAYS):
            raise ValueError(f"{part!r} is no range of days")
        else:
            first, last = _DAYS.index(ends[0]), _DAYS.index(ends[-1])
            days += [(first + i) % 7 for i in range((last - first) % 7 + 1)]
    return days, holidays


def _times(text: str | None) -> list[tuple[int, int]]:
    """Minutes from midnight of the day on which a span begins; beyond 1440 on the next one."""
    if text is None or text == "24/7":
        return [(0, DAY_MIN)]
    if text in ("off", "closed"):
        return []
    spans = []
    for part in text.split(","):
        match = _SPAN.fullmatch(part)
        if not match:
            raise ValueError(f"{part!r} is no span of time such as 08:00-20:00")
        begin_h, begin_min, end_h, end_min = map(int, match.groups())
        begin, end = 60 * begin_h + begin_min, 60 * end_h + end_min
        if max(begin_min, end_min) > 59 or begin >= DAY_MIN or end > 2 * DAY_MIN:
            raise ValueError(f"{part!r} has a time that does not exist")
        if end <= begin:
            end += DAY_MIN
        if end - begin > DAY_MIN:
            raise ValueError(f"{part!r} is longer than a day")
        spans.append((begin, end))
    return spans
