"""The faults of a city's data in Chinese: their kinds, and what was done or is to be done about them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from scenarios.terms import Term

_KIND: Mapping[str, str] = {
    "one-way traps": "单行陷阱",
    "one-way roads cut off at the rim": "数据边缘被截断的单行道路",
    "islands": "孤立路段",
    "streets drawn twice": "重复绘制的道路",
    "streets without length": "零长度道路",
    "streets far outside": "边界外的道路",
    "pedestrian streets apart": "孤立的步行街",
    "crossings without a shared vertex": "相交但无共用节点",
    "lines that cross themselves": "自相交的线",
    "dead ends that nearly meet another street": "断头路几乎接上另一条路",
    "features without geometry": "无图形的要素",
    "features too far away to be drawn on one map with the others": "位置离其他要素过远的要素",
    "features that are no lines": "不是线的要素",
    "lines without length": "零长度的线",
    "no class column named": "未指定道路等级字段",
    "ways closed to the public": "禁止社会车辆通行的道路",
    "ways listed again": "重复列出的道路",
    "ways without length": "零长度道路",
    "ways with nodes that the file does not place": "缺节点坐标的道路",
    "ways of kinds that are no streets": "不是车行道的线",
    "speed limits that cannot be used": "无法使用的限速",
    "speed limits not used": "未使用的限速",
    "speeds not used": "未使用的速度",
    "one-way marks that are not understood": "无法理解的单行标记",
    "turn restrictions that cut roads off": "会切断道路的转向限制",
    "conditional turn restrictions": "有条件的转向限制",
    "turn restrictions for other vehicles": "针对其他车辆的转向限制",
    "turn restrictions of an unknown kind": "未知类型的转向限制",
    "turn restrictions over several junctions": "跨多个路口的转向限制",
    "turn restrictions with wrong members": "成员有误的转向限制",
    "turn restrictions with members that are not in the file": "成员不在文件内的转向限制",
    "turn restrictions at ways that were left out": "位于未采用道路的转向限制",
    "turn restrictions on turns that one-way streets forbid already": "单行已禁止的转向限制",
    "answer without relations": "数据不含转向限制",
    "download without turn restrictions": "数据不含转向限制",
    "remark of the server": "服务器说明",
    "undirected graph": "无向图",
    "source without classes": "数据无道路等级",
    "source without lengths": "数据无长度",
    "source that does not say whether its edges are directed": "数据未说明边是否有向",
    "edges to nodes that are not listed": "节点不存在的边",
    "edges without a class": "无等级的边",
    "edges without a length": "无长度的边",
    "edges not for cars": "非机动车的边",
    "edges marked as two-way without an opposite one": "标为双向但缺反向的边",
    "classes that are not understood": "无法理解的道路等级",
    "lengths that are no number": "不是数字的长度",
    "lines over impossible places": "坐标不可能的线",
    "lines that do not run between their nodes": "不在两端节点之间的线",
    "nodes listed again": "重复列出的节点",
    "grid: invalid ring": "网格：图形无效",
    "grid: no ground": "网格：无面积",
    "grid: several parts": "网格：由多块组成",
    "grid: tiny or narrow": "网格：过小或过窄",
    "grid: same code": "网格：编码重复",
    "grid: same polygon": "网格：图形重复",
    "grid: overlap": "网格：相互重叠",
    "grid: gap": "网格：缝隙",
    "grid: hole": "网格：空洞",
    "grid: uncovered": "网格：未覆盖",
    "grid: outside its area": "网格：超出所属区域",
    "grid: orphan": "网格：无上级",
    "grid: cycle": "网格：上级循环",
    "grid: wrong level": "网格：层级错误",
}
_KIND_PATTERN: Mapping[str, str] = {
    r"ends of lines within (.+) m of another line": r"端点距另一条线不足 \1 米",
    r"(posts|sites) with the id of another": r"\1编号重复",
    r"(posts|sites) outside the grid": r"\1在网格之外",
    r"(posts|sites) more than (.+) m off the road": r"\1离道路超过 \2 米",
    r"(posts|sites) at one spot": r"\1位置重合",
    r"(posts|sites) that never open": r"\1从不开放",
}
_DONE: Mapping[str, str] = {
    "left out: they can be entered or left, but not both": "未采用：只能进或只能出",
    "left out: they lead out of the data": "未采用：通往数据范围之外，请读入更大范围",
    "left out: not connected with the main network": "未采用：与主路网不连通",
    "left out: more than": "未采用：在边界外太远",
    "left out": "未采用",
    "left out: the first one stays": "未采用：保留第一条",
    "the first one stays": "保留第一条",
    "joined": "已连接",
    "made junctions": "已作为路口",
    "taken for bridges": "按立交处理",
    "taken for bridges: if they are junctions": "按立交处理；若是路口，应打断成路口",
    "taken for bridges, though": "按立交处理，但数据未标桥梁、隧道或层",
    "taken as": "已按此推定",
    "all streets are taken as": "所有道路按同一等级处理",
    "every street is taken as two-way": "所有道路按双向处理",
    "not honoured": "未采用",
    "not kept: a road could not be reached or left": "未采用：会使道路无法进入或离开",
    "not needed": "无需处理",
    "not joined, though within": "未连接，请核对",
    "not used": "未使用",
    "the class decides": "按道路等级取值",
    "measured on the line": "按线形量算",
    "cut there": "已在该处截断",
    "used as they are": "照原值使用，请核对单位",
    "there are no turn restrictions": "没有转向限制",
    "build again with --repair": "请用 --repair 重新生成",
    "remove them, or give them their polygon": "请删除或补上图形",
    "give each part a code of its own": "请为每块单独编码",
    "merge them with their neighbour": "请并入相邻网格",
    "give each a code of its own": "请各自编码",
    "remove one of the two": "请删去其一",
    "a point there counts for the first cell": "该处计入第一个网格；请用 --repair 重新生成",
    "nobody answers for them": "无人负责；请用 --repair 重新生成",
    "nobody answers for them; draw cells there": "无人负责；请补画网格（水面除外）",
    "draw cells there": "请补画网格",
    "draw cells there, or move them": "请补画网格或移动位置",
    "mend their border": "请修正边界或所属区域的编码",
    "give each the code of its area": "请补上所属区域的编码",
    "mend the parents of the areas": "请修正区域的上级",
    "mend the levels": "请修正区域的层级或上级",
    "rename or remove one of the two": "请改名或删去其一",
    "move them, or declare their datum": "请移动位置或声明坐标系",
    "mend their opening hours": "请修正开放时间",
}
"""By how what was done, or is to be done, begins; the longest beginning counts."""
_WHAT = {"posts": "驻点", "sites": "场所"}


def kind_term(kind: str) -> Term:
    """A kind of fault in both languages; one that has no word here is shown in English alone."""
    if kind in _KIND:
        return Term(_KIND[kind], kind)
    for pattern, zh in _KIND_PATTERN.items():
        if found := re.fullmatch(pattern, kind):
            word = found.expand(zh)
            return Term(_WHAT.get(found[1], "") + word.removeprefix(found[1] if found[1] in _WHAT else ""), kind)
    return Term("", kind)


def done_term(done: str) -> Term:
    """What was done about a fault, or is to be done, in both languages; in English alone where there is no word."""
    begins = max((begin for begin in _DONE if done.startswith(begin)), key=len, default=None)
    return Term("" if begins is None else _DONE[begins], done)
