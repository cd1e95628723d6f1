"""The plots of a report, as SVG."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from dispatch.metrics import share_within, utilisation, with_hour
from scenarios import charts
from scenarios.findings import Headline, cell_table, headline_of
from scenarios.terms import Verdict

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def headline(shown: Any) -> Headline:
    return headline_of(shown.log, shown.summary, shown.scenario)


@pytest.fixture(scope="module")
def plots(shown: Any, headline: Headline) -> dict[str, Callable[[], str]]:
    hours = share_within(with_hour(shown.log, headline.start), "hour", headline.clock)
    cells = cell_table(shown.city, shown.log, headline.clock)
    return {
        "curves": lambda: charts.response_curves(shown.log, headline),
        "hours": lambda: charts.hours(hours, headline),
        "workload": lambda: charts.workload(utilisation(shown.log)),
        "map": lambda: charts.city_map(shown.city, cells, headline),
    }


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def bars(svg: str, colour: str) -> int:
    """How many shapes are filled with a colour."""
    return len(re.findall(f"fill: {colour}", svg))


@pytest.mark.parametrize("name", ["curves", "hours", "workload", "map"])
def test_a_plot_is_svg_alone_and_the_same_each_time(plots: dict[str, Callable[[], str]], name: str) -> None:
    svg = plots[name]()
    assert svg == plots[name]()
    root = ElementTree.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert root.attrib["aria-label"]
    references = re.findall(r'href="([^"]*)"|url\(([^)]*)\)', svg)
    assert all("".join(found).startswith(("#", "data:image/png")) for found in references)


def test_plots_on_one_page_share_no_id(plots: dict[str, Callable[[], str]]) -> None:
    ids = [name for draw in plots.values() for name in re.findall(r'\bid="([^"]*)"', draw())]
    assert len(ids) == len(set(ids))


def test_curves_name_each_class_with_its_share_and_limit(
    plots: dict[str, Callable[[], str]], headline: Headline
) -> None:
    found = " ".join(texts(plots["curves"]()))
    for of_class in headline.classes:
        assert f"{of_class.term.zh} {of_class.term.en}" in found
        assert f"≤ {of_class.limit_s / 60:.0f} min" in found


def test_a_curve_ends_at_the_share_that_was_reached(shown: Any, headline: Headline) -> None:
    """Half of the general incidents never reached: the curve stays at half the height of the axis."""
    incidents = shown.log.incidents.query("place_class == 'general'").head(40).assign(ordered_s=0.0, arrived_s=100.0)
    incidents.loc[incidents.index[::2], "arrived_s"] = np.nan
    svg = charts.response_curves(replace(shown.log, incidents=incidents), headline)
    points = re.findall(r"[ML] ([\d.]+) ([\d.]+)", longest_path(svg))
    heights = [float(y) for _, y in points]
    floor, top = axis_ends(svg)
    assert (floor - min(heights)) / (floor - top) == pytest.approx(0.5 / 1.02, abs=0.01)


def longest_path(svg: str) -> str:
    return max(re.findall(r'<path d="([^"]*)"', svg), key=len)


def axis_ends(svg: str) -> tuple[float, float]:
    """Lower and upper end of the axes' background, the second patch."""
    background = re.findall(r'patch_2">\s*<path d="([^"]*)"', svg)[0]
    heights = [float(y) for _, y in re.findall(r"[ML] ([\d.]+) ([\d.]+)", background)]
    return max(heights), min(heights)


def test_hours_are_coloured_by_their_share(headline: Headline) -> None:
    shares = {8: 0.95, 9: 0.85, 10: 0.5, 11: 0.4}
    table = pd.DataFrame({"share": shares, "incidents": dict.fromkeys(shares, 3)})
    svg = charts.hours(table, headline)
    assert [bars(svg, found.value) for found in (Verdict.MET, Verdict.NEARLY, Verdict.NOT_MET)] == [1, 1, 2]


def test_units_over_the_ceiling_stand_out_and_are_named_while_there_is_room() -> None:
    use = pd.DataFrame({"utilisation": [0.2, 0.61, 0.6]}, index=["甲<1>", "$x_1$", "C"])
    svg = charts.workload(use)
    assert bars(svg, Verdict.NOT_MET.value) == 1
    named = [text for text in texts(svg) if text in use.index]
    assert named == ["$x_1$", "C", "甲<1>"]
    many = pd.DataFrame({"utilisation": np.linspace(0.1, 0.5, 240)}, index=[f"U{i}" for i in range(240)])
    svg = charts.workload(many)
    assert not [text for text in texts(svg) if text.startswith("U")]
    assert "240 units" in " ".join(texts(svg))


def test_the_map_names_the_districts(plots: dict[str, Callable[[], str]]) -> None:
    assert {"东区", "西区"} <= set(texts(plots["map"]()))


def test_a_log_without_incidents_has_empty_plots(shown: Any, headline: Headline) -> None:
    nothing = replace(shown.log, incidents=shown.log.incidents.iloc[:0])
    assert "目标" in " ".join(texts(charts.response_curves(nothing, headline)))
    by_hour = share_within(with_hour(nothing, headline.start), "hour", headline.clock)
    svg = charts.hours(by_hour, headline)
    assert bars(svg, Verdict.MET.value) == bars(svg, Verdict.NOT_MET.value) == 0
