"""The report of a run: one page to read and to print."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dispatch.log import RunLog
from dispatch.metrics import share_within, summarise
from dispatch.standard import Clock
from geodata.city import City
from geodata.sites import Posts, Sites
from scenarios.build import standard_of
from scenarios.findings import headline_of
from scenarios.report import render_report
from scenarios.schema import Scenario, known_keys
from scenarios.terms import CLOCK, PART, PLACE_CLASS, minutes
from scenarios.terms import percent as unbroken_percent


@pytest.fixture(scope="module")
def page(shown: Any) -> str:
    return render_report(*shown.parts)


@pytest.fixture(scope="module")
def text(page: str, parse: Callable[[str], Any]) -> str:
    visible: str = parse(page).visible
    return visible


def percent(share: float, digits: int = 1) -> str:
    """As the visible text of a page is given by `parse`, with plain spaces."""
    return unbroken_percent(share, digits).replace("\u00a0", " ")


def summary_of(shown: Any, log: RunLog) -> dict[str, Any]:
    standard = standard_of(shown.scenario)
    return summarise(log, standard, start=shown.scenario.run.start, seed=7, digest="d" * 64)


def test_the_page_refers_to_nothing_outside_and_runs_nothing(page: str, parse: Callable[[str], Any]) -> None:
    tags = parse(page).tags
    assert not [tag for tag, attributes in tags if "src" in attributes or tag in ("script", "link", "iframe", "base")]
    assert {attributes["href"] for tag, attributes in tags if tag == "a"} == {"map.html"}
    links = [value for tag, attributes in tags for key, value in attributes.items() if key in ("href", "xlink:href")]
    assert all(link.startswith(("#", "data:image/png")) or link == "map.html" for link in links)
    assert not re.search(r"@import|url\((?!#)", page)


def test_the_same_run_gives_the_same_page(page: str, shown: Any) -> None:
    assert render_report(*shown.parts) == page


def test_the_headline_says_what_it_means_in_both_languages(text: str, shown: Any) -> None:
    headline = headline_of(shown.log, shown.summary, shown.scenario)
    hundredth = f"{100 * (headline.share or 0):.0f}"
    assert percent(headline.share or 0) in text
    assert f"{headline.verdict.term.zh} {headline.verdict.term.en}" in text
    assert f"每100起警情中，{hundredth}起在时限内有警力到达（要害部位1分钟、重点地区3分钟、其他区域5分钟）" in text
    assert (
        f"Of every 100 incidents, {hundredth} were reached within their limit (1 min vital sites, 3 min key areas"
        in text
    )


@pytest.mark.parametrize("clock", list(Clock))
def test_each_clock_has_its_table(text: str, shown: Any, clock: Clock) -> None:
    table = share_within(shown.log, "place_class", clock)
    block = text[text.index(f"{CLOCK[clock].zh} {CLOCK[clock].en}", text.index("Three clocks")) :]
    for name, row in table.iterrows():
        term = PLACE_CLASS[str(name)]
        times = " ".join(minutes(row[f"{what}_s"]) for what in ("mean", "p50", "p90"))
        expected = f"{term.zh} {term.en} {row['incidents']:.0f} {row['reached']:.0f} {percent(row['share'])} {times}"
        assert expected in block


def test_those_never_reached_count_and_are_shown(shown: Any, parse: Callable[[str], Any]) -> None:
    incidents = shown.log.incidents.copy()
    incidents.loc[incidents.index[:9], ["rolling_s", "arrived_s", "cleared_s"]] = np.nan
    log = replace(shown.log, incidents=incidents)
    summary = summary_of(shown, log)
    unreached = summary["incidents"]["unreached"]
    assert unreached >= 9
    text = parse(render_report(shown.city, log, summary, *shown.parts[3:])).visible
    assert f"Never reached {unreached}" in text
    assert f"among them {unreached} that no unit ever reached" in text
    assert percent(summary["share_within"]["overall"]["ordered"]) in text


def test_late_seconds_are_put_into_words(text: str, shown: Any) -> None:
    of_call = {part: shown.summary["late"]["received"][part] for part in PART}
    most = max(of_call, key=lambda part: of_call[part] or 0)
    assert f"{percent(of_call[most], 0)} are {PART[most].en} ({PART[most].zh})" in text
    for clock in Clock:
        assert f"{shown.summary['late'][clock]['reached_late']} late" in text


def test_every_assumed_value_is_listed_as_assumed(text: str) -> None:
    keys = [key for key in known_keys() if "[A]" in key.description and "[]" not in key.place]
    unused = ("patrol.", "units.breakdowns.")
    assumed = [key.place for key in keys if key.default and not key.place.startswith(unused)]
    assumed += ["patrol_car.speed_factor", "patrol_car.driving"]
    assert len(assumed) > 20
    block = text[text.index("假设 assumed", text.index("what is assumed") + 20) : text.index("报道 press")]
    assert [place for place in assumed if place not in block] == []
    assert "zone around a point 150 m" in block


def test_what_the_scenario_sets_is_marked(shown: Any) -> None:
    given = {"name": "own", "city": {"synthetic_seed": 1}, "run": {"days": 2}, "units": {"count": 3}}
    scenario = Scenario.model_validate(given | {"demand": {"incidents_per_day": 60, "on_scene_cv": 0.7}})
    page = render_report(*shown.parts[:3], scenario)
    own = re.findall(r'<code>([^<]*)</code>[^<]*</dt><dd class="own">([^<]*)<', page)
    assert {("units.count", "3"), ("demand.on_scene_cv", "0.7")} <= set(own)
    assert "demand.desk_cv" not in dict(own)


def test_the_source_the_seed_and_the_versions_are_told(text: str, shown: Any) -> None:
    assert "made for the tests" in text
    assert f"Seed {shown.summary['seed']}" in text
    assert shown.summary["digest"] in text
    assert re.search(r"patrol135 \d+\.\d+", text)


def test_names_are_text_and_never_markup(shown: Any, parse: Callable[[str], Any]) -> None:
    bad = "<script>x()</script>{{ 7 * 191 }}\"'&amp;"
    city = shown.city
    spoilt = replace(
        city,
        name=bad,
        sites=Sites(city.sites.table.assign(name=bad, kind=bad)),
        posts=Posts(city.posts.table.assign(name=bad), city.posts.positions),
        grid=replace(
            city.grid, cells=city.grid.cells.assign(name=bad), areas=city.grid.areas.assign(name=lambda t: bad + t.code)
        ),
        sources=(bad,),
    )
    log = replace(shown.log, incidents=shown.log.incidents.assign(district=bad))
    spoilt_page = render_report(spoilt, log, summary_of(shown, log), *shown.parts[3:])
    found = parse(spoilt_page)
    assert "script" not in [tag for tag, _ in found.tags]
    assert "1337" not in found.visible
    assert bad in found.visible


def test_a_run_without_incidents_in_a_bare_city_has_its_report(
    shown: Any, bare_city: City, parse: Callable[[str], Any]
) -> None:
    nothing = replace(shown.log, incidents=shown.log.incidents.iloc[:0], assignments=shown.log.assignments.iloc[:0])
    text = parse(render_report(bare_city, nothing, summary_of(shown, nothing), *shown.parts[3:])).visible
    assert "无警情 no incidents" in text
    assert "本次运行没有警情。" in text
    assert "无超时警情 No incident was late." in text


def test_a_browser_without_a_network_shows_it(page: str, browser: Callable[[str], Any]) -> None:
    opened = browser(page)
    assert opened.console == ()
    assert opened.dom.count("<svg") == 4
