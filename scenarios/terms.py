"""How things are said and coloured on every page: terms in both languages, numbers, verdicts."""

from __future__ import annotations

import json
import math
from enum import Enum
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup


class Term(NamedTuple):
    """A word in Chinese and in English."""

    zh: str
    en: str


PLACE_CLASS = {
    "vital": Term("要害部位", "vital sites"),
    "key": Term("重点地区", "key areas"),
    "general": Term("其他区域", "other areas"),
}
CLOCK = {
    "received": Term("接警起", "from call received (T1)"),
    "ordered": Term("派警起", "from dispatch order (T2)"),
    "rolling": Term("出动起", "from wheels rolling (T3)"),
}
INCIDENT_TYPE = {
    "crime": Term("刑事", "crime"),
    "public_order": Term("治安", "public order"),
    "traffic": Term("交通", "traffic"),
    "dispute": Term("纠纷", "dispute"),
    "help": Term("求助", "help"),
    "other": Term("其他", "other"),
}
PART = {
    "desk_wait": Term("等待接警席", "waiting for a desk"),
    "desk": Term("接警处置", "call handling"),
    "queue": Term("等待警力", "waiting for a unit"),
    "turn_out": Term("出动准备", "turn-out"),
    "travel": Term("路途", "travel"),
}
TIER = {
    1: Term("最小应急单元", "the smallest units at hand"),
    3: Term("巡逻车组", "patrol cars"),
    5: Term("市级和武装力量", "city and armed units"),
}
PRIORITY = {1: Term("一级", "P1"), 2: Term("二级", "P2"), 3: Term("三级", "P3"), 4: Term("四级", "P4")}

KIND = {
    "airport": Term("机场", "airport"),
    "armed_point": Term("武装执勤点", "armed point"),
    "bank": Term("银行", "bank"),
    "bank_vault": Term("金库", "bank vault"),
    "broadcaster": Term("广播电视", "broadcaster"),
    "case_centre": Term("执法办案中心", "case-handling centre"),
    "coach_station": Term("汽车站", "coach station"),
    "government": Term("政府机关", "government"),
    "hospital": Term("医院", "hospital"),
    "hotel": Term("旅馆", "hotel"),
    "market": Term("市场", "market"),
    "metro_station": Term("地铁站", "metro station"),
    "plaza": Term("广场", "plaza"),
    "police_headquarters": Term("公安局", "police headquarters"),
    "police_room": Term("警务室", "police room"),
    "police_station": Term("派出所", "police station"),
    "power_plant": Term("电厂", "power plant"),
    "quick_police_platform": Term("快警平台", "quick-police platform"),
    "railway_station": Term("火车站", "railway station"),
    "scenic_area": Term("景区", "scenic area"),
    "school": Term("学校", "school"),
    "shopping_mall": Term("商场", "shopping mall"),
    "shopping_street": Term("商业街", "shopping street"),
    "stadium": Term("体育场馆", "stadium"),
    "standby": Term("屯警点", "standby point"),
    "standby_point": Term("屯警点", "standby point"),
    "station": Term("派出所", "police station"),
    "telecom_hub": Term("通信枢纽", "telecom hub"),
    "university": Term("大学", "university"),
    "waterworks": Term("水厂", "waterworks"),
}
"""The kinds of sites and posts that have a word of their own; any other is shown as the city's file has it."""


class Verdict(Enum):
    """What a share within the limit means against the target; its value is the colour it is shown in.

    Green, amber and vermilion of different lightness, so that they stay apart for colour-blind eyes.
    """

    MET = "#1a9272"
    NEARLY = "#f0b429"
    NOT_MET = "#cc4125"
    NONE = "#b4bac2"

    @property
    def term(self) -> Term:
        return _VERDICT[self]


_VERDICT = {
    Verdict.MET: Term("达标", "met"),
    Verdict.NEARLY: Term("接近达标", "nearly met"),
    Verdict.NOT_MET: Term("未达标", "not met"),
    Verdict.NONE: Term("无警情", "no incidents"),
}
BACKDROP_COLOUR = {"park": "#d3e6c6", "water": "#b3d4ea", "airport": "#dcd9e6", "runway": "#a9a5b8"}
PLACE_COLOUR = {"vital": "#5b1a8b", "key": "#c04cab", "general": "#5b6470"}
PART_COLOUR = {
    "desk_wait": "#5b6775",
    "desk": "#8da0b3",
    "queue": "#cc4125",
    "turn_out": "#f0b429",
    "travel": "#2f6fb3",
}


def verdict(share: float | None, target: float, amber: float) -> Verdict:
    """Where a share stands against the target and the share from which it is nearly met."""
    if share is None or math.isnan(share):
        return Verdict.NONE
    if share >= target:
        return Verdict.MET
    return Verdict.NEARLY if share >= amber else Verdict.NOT_MET


def percent(share: float | None, digits: int = 1) -> str:
    """`87.3 %` with a space that does not break, and a dash where there is none."""
    return "–" if share is None or math.isnan(share) else f"{100 * share:.{digits}f}\u00a0%"


def minutes(seconds: float | None) -> str:
    """Minutes and seconds as `4:05`, and a dash where there are none."""
    if seconds is None or math.isnan(seconds):
        return "–"
    whole = round(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


def limit(seconds: float | None) -> str:
    """A limit as it is spoken of: `3 min`, or `90 s` where it is no whole number of minutes; a dash for none."""
    if seconds is None:
        return "–"
    return f"{seconds / 60:.0f} min" if seconds % 60 == 0 else f"{seconds:.0f} s"


def kind(name: str) -> str:
    """A kind of site or post in both languages."""
    return " ".join(KIND[name]) if name in KIND else name


def count(number: float) -> str:
    return f"{number:,.0f}"


def script_json(value: Any) -> Markup:
    """JSON that may stand inside a script element: nothing in it can end the element or open a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def own_file(name: str) -> str:
    """The text of one of the style sheets and scripts that are written into the pages."""
    return resources.files("scenarios").joinpath("templates", name).read_text("utf-8")


@cache
def pages() -> jinja2.Environment:
    """The templates, in which every value is escaped and a missing one is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("scenarios"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "minutes": minutes, "limit": limit, "count": count, "kind": kind}
    return environment
