"""What `patrol history` shows: what was recorded, what was wrong with it, and what was fitted to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dispatch.history.durations import Basis, Lognormals
from dispatch.history.fitted import FittedDemand
from dispatch.history.record import TIMES, UNKNOWN, Count, History
from dispatch.incidents import IncidentType
from scenarios.console import percent, plain_table, titled
from scenarios.terms import INCIDENT_TYPE, PRIORITY, Term

_WORDS = {
    "number": Term("警情编号", "call number"),
    "received": Term("报警时间", "call received"),
    "answered": Term("接警时间", "call answered"),
    "ordered": Term("派警时间", "unit ordered"),
    "accepted": Term("签收时间", "order signed off"),
    "rolling": Term("出动时间", "wheels rolling"),
    "arrived": Term("到达时间", "arrival"),
    "cleared": Term("处置完毕时间", "end"),
    "feedback": Term("反馈时间", "feedback"),
    "type": Term("警情类别", "final type"),
    "first_type": Term("报警类别", "first type"),
    "priority": Term("警情级别", "priority"),
    "status": Term("状态", "status"),
    "jurisdiction": Term("管辖单位", "jurisdiction"),
    "unit": Term("处警单元", "unit"),
    "unit_kind": Term("警力类型", "kind of unit"),
    "x": Term("经度", "longitude or easting"),
    "y": Term("纬度", "latitude or northing"),
}
"""The fields of a history."""


def history_tables(history: History) -> list[RenderableType]:
    """What a history holds, its types and priorities, and what was found wrong in its files."""
    asks = history.asks_for_a_unit
    last = history.end - timedelta(days=1)
    placed = np.isfinite(history.calls["x_m"].to_numpy())
    facts = [
        ("period 时段", f"{history.start:%Y-%m-%d} to {last:%Y-%m-%d}, {(history.end - history.start).days:,} days"),
        ("calls 警情", f"{len(history):,}, {int(asks.sum()):,} ask for a unit, {int(placed.sum()):,} have a place"),
        ("assignments 派警", f"{len(history.assignments):,}, {_units(history)}"),
        ("CRS 坐标系", f"EPSG:{history.epsg}"),
        *(("source 来源", str(source)) for source in history.sources),
    ]
    return [
        titled("History 历史警情", _facts(facts)),
        titled("Columns read 读取的字段", _columns(history)),
        titled("Types 类别, and time on scene", _by_type(history.type[asks], history.on_scene_times, history)),
        titled("Priorities 级别, and time at the desk", _by_priority(history)),
        *count_tables("Found in the files 数据问题", history.counts),
    ]


def fitted_tables(demand: FittedDemand) -> list[RenderableType]:
    """What was fitted: incidents a week, times and mixes by type."""
    facts = [
        ("fitted to 时段", f"{demand.start:%Y-%m-%d %H:%M} to {demand.end:%Y-%m-%d %H:%M}"),
        ("incidents a week 每周警情", f"{demand.incidents_per_week:,.1f}"),
        ("cells 网格", f"{len(demand.cell_codes):,}, {len(np.unique(demand.seen[:, 1])):,} of them with an incident"),
    ]
    table = plain_table()
    table.add_column("type 类别")
    for head in ("a week", "share", "on scene\nmin", "CV", "times", *(term.en for term in PRIORITY.values())):
        table.add_column(head, justify="right")
    table.add_column("fitted from")
    weekly = demand.hourly.sum(axis=1)
    for kind in IncidentType:
        mean_s, cv = demand.on_scene.mean_s[kind], demand.on_scene.cv[kind]
        table.add_row(
            _term(INCIDENT_TYPE[kind.label]),
            f"{weekly[kind]:,.1f}",
            percent(weekly[kind] / weekly.sum()),
            f"{mean_s / 60:.1f}",
            f"{cv:.2f}",
            f"{demand.on_scene.n[kind]:,}",
            *(percent(share) for share in demand.priority_share[kind]),
            Basis(demand.on_scene.basis[kind]).label,
        )
    parts: list[RenderableType] = [titled("Fitted demand 拟合的需求", _facts(facts)), table]
    parts.append(titled("Desk times 接警处置 by priority", _times(_priorities(), demand.desk)))
    if any(demand.turn_out.n):
        names = [kind or "(kind not recorded)" for kind in demand.unit_kinds]
        parts.append(titled("Turn-out times 出动准备 by kind of unit", _times(names, demand.turn_out)))
    return [*parts, *count_tables("Could not be used as it was 未能直接使用", demand.counts)]


def count_tables(title: str, counts: Sequence[Count]) -> list[RenderableType]:
    """What was counted, nothing where there is nothing."""
    if not counts:
        return []
    table = plain_table()
    table.add_column("what")
    for head in ("rows", "of", "share"):
        table.add_column(head, justify="right")
    table.add_column("what was done")
    table.add_column("examples", overflow="fold")
    for count in counts:
        share = percent(count.rows / count.of) if count.of else ""
        examples = Text(", ".join(count.examples))
        table.add_row(Text(count.kind), f"{count.rows:,}", f"{count.of:,}", share, Text(count.done), examples)
    return [titled(title, table)]


def _units(history: History) -> str:
    unit = history.assignments["unit"]
    n = unit[unit != ""].nunique()
    return f"{n:,} different units" if n else "no unit named"


def _columns(history: History) -> Table:
    table = plain_table()
    table.add_column("field")
    table.add_column("column")
    table.add_column("recorded", justify="right")
    recorded = {name: history.calls[name].notna().sum() for name in ("received", "answered")}
    recorded |= {name: history.assignments[name].notna().sum() for name in TIMES if name not in recorded}
    for name, column in history.columns.items():
        table.add_row(f"{name}: {_term(_WORDS[name])}", Text(column), f"{recorded[name]:,}" if name in recorded else "")
    return table


def _by_type(kinds: np.ndarray, times: Lognormals, history: History) -> Table:
    table = plain_table()
    table.add_column("type 类别")
    for head in ("incidents", "share", "recorded\ntimes", "mean\nmin", "CV"):
        table.add_column(head, justify="right")
    table.add_column("from")
    number = np.bincount(kinds, minlength=len(IncidentType))
    unknown = int((history.calls["type"].to_numpy()[history.asks_for_a_unit] == UNKNOWN).sum())
    for kind in IncidentType:
        name = _term(INCIDENT_TYPE[kind.label])
        if kind is IncidentType.OTHER and unknown:
            name += f" ({unknown:,} not understood)"
        shown = (f"{times.n[kind]:,}", f"{times.mean_s[kind] / 60:.1f}", f"{times.cv[kind]:.2f}")
        share = percent(number[kind] / max(number.sum(), 1))
        table.add_row(name, f"{number[kind]:,}", share, *shown, Basis(times.basis[kind]).label)
    return table


def _by_priority(history: History) -> Table:
    number = np.bincount(history.calls["priority"].to_numpy()[history.asks_for_a_unit], minlength=len(PRIORITY) + 1)
    return _times([f"{name}: {n:,}" for name, n in zip(_priorities(), number, strict=True)], history.desk_times)


def _priorities() -> list[str]:
    return ["not recorded", *(_term(term) for term in PRIORITY.values())]


def _times(names: Sequence[str], times: Lognormals) -> Table:
    table = plain_table()
    table.add_column("")
    for head in ("times", "mean s", "CV"):
        table.add_column(head, justify="right")
    table.add_column("from")
    for i, name in enumerate(names):
        basis = Basis(times.basis[i]).label
        table.add_row(Text(name), f"{times.n[i]:,}", f"{times.mean_s[i]:.0f}", f"{times.cv[i]:.2f}", basis)
    return table


def _facts(rows: Iterable[tuple[str, str]]) -> Table:
    table = plain_table()
    table.show_header = False
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for topic, value in rows:
        table.add_row(topic, Text(value))
    return table


def _term(term: Term) -> str:
    return f"{term.en} {term.zh}"
