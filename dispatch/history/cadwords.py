"""The words of CAD exports: usual names of columns, and of types, priorities and states, that a mapping overrules."""

from __future__ import annotations

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from dispatch.history.record import N_PRIORITIES, Status
from dispatch.incidents import IncidentType
from geodata.errors import Fault, Faults, InputError, plain

USUAL: Mapping[str, str] = {
    "number": "警情编号 接警单编号 接警编号 报警编号 警单编号 接处警编号 事件编号 案件编号 工单编号 call_number "
    "call_no call_id incident_number incident_no incident_id event_number event_id cad_number",
    "received": "报警时间 接报时间 来电时间 呼入时间 报警日期时间 received received_at received_time call_received "
    "call_time time_received report_time",
    "answered": "接警时间 接听时间 应答时间 answered answered_at answer_time call_answered time_answered",
    "ordered": "派警时间 派单时间 派出时间 下达时间 指令下达时间 处警下达时间 调度时间 ordered ordered_at "
    "order_time dispatched dispatch_time time_dispatched",
    "accepted": "签收时间 接单时间 处警签收时间 指令签收时间 accepted accepted_at accept_time sign_off "
    "sign_off_time signed_off acknowledged acknowledged_time",
    "rolling": "出动时间 出警时间 出发时间 rolling rolling_time wheels_rolling en_route en_route_time enroute_time",
    "arrived": "到达时间 到场时间 到达现场时间 到现场时间 抵达时间 arrived arrived_at arrival arrival_time on_scene "
    "on_scene_time time_arrived",
    "cleared": "处置完毕时间 处警完毕时间 处警结束时间 处置结束时间 完毕时间 结束时间 撤离时间 cleared cleared_at "
    "clear_time time_cleared closed_time",
    "feedback": "反馈时间 处警反馈时间 首次反馈时间 回告时间 feedback feedback_at feedback_time",
    "type": "最终警情类别 最终类别 反馈类别 反馈警情类别 处警类别 确认类别 final_type 警情类别 警情类型 案件类别 "
    "类别 类型 type incident_type",
    "first_type": "报警类别 报警类型 接警类别 初始类别 初始警情类别 first_type initial_type call_type",
    "priority": "警情级别 警情等级 级别 等级 优先级 priority incident_priority",
    "status": "警情状态 处警状态 处置状态 处理状态 状态 status",
    "jurisdiction": "管辖单位 管辖单位名称 管辖派出所 所属派出所 所属辖区 辖区 jurisdiction precinct",
    "unit": "处警单元 出警单元 处警单位 处警单位名称 出警单位 派警单位 处警警力 出警警力 警力编号 巡组 车组 呼号 "
    "unit unit_id call_sign",
    "unit_kind": "警力类型 警力种类 单元类型 unit_kind unit_type",
    "x": "经度 警情经度 定位经度 案发经度 lon lng longitude x x坐标 坐标x gis_x 横坐标",
    "y": "纬度 警情纬度 定位纬度 案发纬度 lat latitude y y坐标 坐标y gis_y 纵坐标",
}
"""By field, the names of columns that are recognised, the first one found before the others."""
DEGREES = re.compile(r"经度|lon|lng")
"""In the name of an x column that holds degrees."""
REQUIRED = {"received": "the time of the call", "x": "the place's longitude or easting", "y": "the other coordinate"}
PERSONAL = re.compile(
    r"姓名|名字|报警人|当事人|联系人|民警|警员|电话|手机|号码|联系方式|身份证|证件|车牌|号牌|住址|地址|内容|简要|详情|描述|备注|情况|"
    r"录音|照片|性别|年龄|^(?:full|first|last|caller|officer|victim)?name$|caller|phone|mobile|^tel|idcard|identity|passport|"
    r"plate|address|narrative|description|remark|comment|^notes?$|gender|^age$|birth"
)
"""In a folded name of a column that may tell of persons: it is never read."""

TYPE_WORDS: Mapping[IncidentType, str] = {
    IncidentType.CRIME: "刑事 刑事类 刑案 两抢一盗 盗窃 抢劫 抢夺 诈骗 电信诈骗 入室盗窃 crime criminal",
    IncidentType.PUBLIC_ORDER: "治安 治安类 行政 行政治安 打架 打架斗殴 斗殴 扰乱秩序 赌博 public_order publicorder "
    "disorder",
    IncidentType.TRAFFIC: "交通 交通类 交通事故 道路交通 道路交通事故 交通违法 traffic traffic_accident",
    IncidentType.DISPUTE: "纠纷 纠纷类 矛盾纠纷 家庭纠纷 邻里纠纷 经济纠纷 劳资纠纷 消费纠纷 感情纠纷 dispute",
    IncidentType.HELP: "求助 求助类 群众求助 群众紧急求助 紧急求助 公共求助 救助 走失 help assistance",
    IncidentType.OTHER: "其他 其它 其他类 其它类 other",
}
PRIORITY_WORDS: Mapping[int, str] = {
    1: "1 p1 一级 1级 一类 i级 i",
    2: "2 p2 二级 2级 二类 ii级 ii",
    3: "3 p3 三级 3级 三类 iii级 iii",
    4: "4 p4 四级 4级 四类 iv级 iv",
}
STATUS_WORDS: Mapping[Status, str] = {
    Status.HANDLED: "已处置 已处警 处置完毕 处警完毕 已办结 办结 已结 已反馈 已归档 归档 完成 已完成 handled closed "
    "cleared done",
    Status.FALSE_ALARM: "误报 虚报 谎报 虚假 虚假报警 false_alarm unfounded",
    Status.WITHDRAWN: "撤销 取消 已取消 已撤销 撤警 cancelled canceled withdrawn",
    Status.DUPLICATE: "重复 重复报警 duplicate",
    Status.INVALID: "无效 无效报警 无效警情 骚扰 骚扰电话 咨询 invalid nuisance",
}
_ENDS = re.compile(r"(?:类警情|类案件|警情|案件|事件|报警)$")
_BETWEEN = re.compile(r"[\s_\-—()（）\[\]【】:：/、,，.]+")
Meaning = TypeVar("Meaning")
_SECTIONS = ("columns", "types", "priorities", "statuses", "times")


def folded(text: str) -> str:
    """A word as it is compared: full-width letters made plain, small letters, nothing between them."""
    return _BETWEEN.sub("", unicodedata.normalize("NFKC", text).lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class CadMapping:
    """What a user says of an export; everything else goes by usual names and words."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Names of columns by field, a key of `USUAL`."""
    types: Mapping[str, IncidentType] = field(default_factory=dict)
    priorities: Mapping[str, int] = field(default_factory=dict)
    statuses: Mapping[str, Status] = field(default_factory=dict)
    time_format: str | None = None
    """As `strptime` takes it; for dates with the day or the month in front."""

    @classmethod
    def of(cls, options: Sequence[str] = (), path: Path | None = None) -> CadMapping:
        """From `FIELD=COLUMN` options, which go before a TOML file with tables `columns` (field = column), `types`,
        `priorities`, `statuses` (value = meaning) and `times` (`format`).

        Raises:
            InputError: no such file, no TOML, or a key or meaning that is not known; all are told at once.
        """
        typed = _options(options)
        if path is None:
            return cls(columns=typed)
        table, source = _toml(path), str(path)
        faults = Faults(source)
        for name in table:
            if name not in _SECTIONS or not isinstance(table[name], dict):
                faults.add(name, "a table that is not known", nearest(name, _SECTIONS), "Rename or remove it.")
        faults.raise_any()
        columns = _checked(table, "columns", faults, {name: name for name in USUAL}, keys=True)
        types = _checked(table, "types", faults, {kind.label: kind for kind in IncidentType})
        priorities = _checked(table, "priorities", faults, {str(p + 1): p + 1 for p in range(N_PRIORITIES)})
        statuses = _checked(table, "statuses", faults, {status.name.lower(): status for status in Status})
        times = table.get("times", {})
        for name, value in times.items():
            if name != "format" or not isinstance(value, str):
                faults.add(f"times.{name}", repr(value), "format, as a text", "Write format = '%d/%m/%Y %H:%M'.")
        faults.raise_any()
        return cls(
            columns=columns | typed,
            types=types,
            priorities=priorities,
            statuses=statuses,
            time_format=times.get("format"),
        )

    def find(self, names: Sequence[str], source: str) -> dict[str, str]:
        """The columns to read of those that a file has, by field.

        Raises:
            InputError: a mapped column that is missing, stands there twice or may tell of persons; no column for a
                field of `REQUIRED`; all are told at once.
        """
        faults = Faults(source)
        for wanted, column in self.columns.items():
            if column not in names:
                faults.add(
                    "header", f"no column {column!r} for {wanted}", nearest(column, names), "Name one of the file."
                )
            elif is_personal(column):
                expected = "a column that tells nothing of persons"
                faults.add("header", f"{wanted}={column!r}", expected, "Such columns are never read: leave it out.")
        by_name = {folded(name): name for name in reversed(names)}
        found = {
            wanted: next((by_name[folded(word)] for word in words.split() if folded(word) in by_name), None)
            for wanted, words in USUAL.items()
        }
        mapped = set(self.columns.values())
        chosen = {
            wanted: name for wanted, name in found.items() if name and name not in mapped and not is_personal(name)
        }
        chosen |= self.columns
        for wanted, what in REQUIRED.items():
            if wanted not in chosen:
                expected = f"a column of {what}, such as {USUAL[wanted].split()[0]!r}"
                mend = f"Name it with --column {wanted}=NAME."
                faults.add("header", f"columns {', '.join(names)}", expected, mend)
        for name in sorted({name for name in chosen.values() if names.count(name) > 1}):
            faults.add("header", f"{name!r} twice", "columns of different names", "Rename one.")
        faults.raise_any()
        return {wanted: chosen[wanted] for wanted in USUAL if wanted in chosen}

    def type_of(self, word: str) -> IncidentType | None:
        return _meaning(word, self.types, TYPE_WORDS)

    def priority_of(self, word: str) -> int | None:
        return _meaning(word, self.priorities, PRIORITY_WORDS)

    def status_of(self, word: str) -> Status | None:
        return _meaning(word, self.statuses, STATUS_WORDS)


def is_personal(name: str) -> bool:
    """Whether a column may tell of persons, by its name."""
    return PERSONAL.search(folded(name)) is not None


def nearest(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names first, then some of the others."""
    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=1, cutoff=0.4)
    named = ", ".join(listed[:12]) or "nothing"
    return f"{near[0]!r}, the nearest of: {named}" if near else f"one of: {named}"


def _meaning(word: str, own: Mapping[str, Meaning], usual: Mapping[Meaning, str]) -> Meaning | None:
    """The user's own meaning of a value, or the usual one."""
    if word in own:
        return own[word]
    words = {folded(known): meaning for meaning, texts in usual.items() for known in texts.split()}
    short = folded(word)
    return words.get(short, words.get(_ENDS.sub("", short)))


def _options(options: Sequence[str]) -> dict[str, str]:
    """`FIELD=COLUMN`, each field once."""
    faults, found = Faults("--column"), dict[str, str]()
    for text in options:
        name, _, column = (part.strip() for part in text.partition("="))
        if not (name and column):
            faults.add("", repr(text), "FIELD=COLUMN", "Write --column received=报警时间.")
        elif name not in USUAL:
            faults.add("", f"field {name!r}", nearest(name, USUAL), "Write --column received=报警时间.")
        elif name in found:
            faults.add("", f"{name} twice", "each field once", "Remove one.")
        else:
            found[name] = column
    faults.raise_any()
    return found


def _toml(path: Path) -> dict[str, Any]:
    source, expected = str(path), "a mapping in TOML"
    if not path.is_file():
        raise InputError(Fault(source, "", "no such file", expected, "Check the path."))
    try:
        # editors on Windows put a mark at the start
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(
            Fault(source, "", f"text that is no UTF-8 ({error.reason})", expected, "Save it so.")
        ) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(Fault(source, "", plain(error), expected, "Mend the line.")) from error


def _checked(
    table: Mapping[str, Any], name: str, faults: Faults, known: Mapping[str, Meaning], *, keys: bool = False
) -> dict[str, Any]:
    """A table of texts; its values, or its keys, turned into what they mean."""
    found: dict[str, Any] = {}
    for key, value in table.get(name, {}).items():
        word = key if keys else str(value)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "" or (keys and value != str(value)):
            faults.add(f"{name}.{key}", repr(value), "a text", "Write it in quotes.")
        elif word not in known:
            faults.add(f"{name}.{key}", repr(word), nearest(word, known), "Write one of these.")
        else:
            found[key] = value if keys else known[word]
    return found
