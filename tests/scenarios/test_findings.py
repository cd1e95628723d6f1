"""What both pages show of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from dispatch.engine import simulate
from dispatch.log import RunLog
from dispatch.metrics import late, summarise
from dispatch.standard import Clock
from geodata.city import City
from scenarios.build import build_problem, standard_of
from scenarios.findings import (
    cell_table,
    headline_of,
    late_incidents,
    post_table,
    site_table,
    standing_posts,
    worst_cells,
)
from scenarios.maps import render_map
from scenarios.report import render_report
from scenarios.schema import Scenario
from scenarios.terms import Verdict


def test_the_headline_is_the_summary_s_share_by_the_headline_clock(shown: Any) -> None:
    headline = headline_of(shown.log, shown.summary, shown.scenario)
    assert headline.clock is Clock.ORDERED
    assert headline.share == shown.summary["share_within"]["overall"]["ordered"]
    assert [found.limit_s for found in headline.classes] == [60, 180, 300]
    assert sum(found.incidents for found in headline.classes) == headline.total == len(shown.log.incidents)
    assert headline.period == "2026-06-01 08:00 – 2026-06-03 08:00 (2 days)"


def test_a_share_at_the_target_meets_it_and_none_says_nothing(shown: Any) -> None:
    headline = headline_of(shown.log, shown.summary, shown.scenario)
    verdicts = {0.9: Verdict.MET, 0.8999: Verdict.NEARLY, 0.8: Verdict.NEARLY, 0.7999: Verdict.NOT_MET}
    assert {share: headline.verdict_of(share) for share in verdicts} == verdicts
    assert headline.verdict_of(None) is headline.verdict_of(float("nan")) is Verdict.NONE


def test_every_cell_has_its_row_and_the_never_reached_are_late(shown: Any) -> None:
    incidents = shown.log.incidents.copy()
    never = incidents.index[incidents["cell"] == "G12"]
    incidents.loc[never, ["rolling_s", "arrived_s", "cleared_s"]] = np.nan
    log = replace(shown.log, incidents=incidents)
    cells = cell_table(shown.city, log, Clock.ORDERED)
    assert cells["code"].tolist() == shown.city.grid.codes.tolist()
    row = cells.set_index("code").loc["G12"]
    assert row["incidents"] == row["late"] == len(never) > 0
    assert row["share"] == 0
    assert np.isnan(row["p50_s"])
    assert row["district"] == "西区"
    assert cells["late"].sum() == len(late_incidents(log, Clock.ORDERED)) == late(log, Clock.ORDERED).sum()


def test_the_worst_cells_have_the_most_late_incidents_then_the_smaller_share() -> None:
    cells = pd.DataFrame(
        {"code": ["a", "b", "c", "d", "e"], "late": [2, 5, 2, 2, 0], "share": [0.5, 0.9, 0.1, 0.5, np.nan]}
    )
    assert worst_cells(cells)["code"].tolist() == ["b", "c", "a", "d"]
    many = pd.DataFrame({"code": list("abcdefghijklm"), "late": range(1, 14), "share": 0.5})
    assert worst_cells(many)["code"].tolist() == list("mlkjihgfed")


def test_a_site_counts_the_incidents_in_its_zone(shown: Any) -> None:
    station = shown.city.sites.zones.geometry.iloc[0].centroid
    incidents = shown.log.incidents.head(3).assign(
        x_m=[station.x, station.x + 140, station.x + 160],
        y_m=station.y,
        ordered_s=0.0,
        arrived_s=[50.0, 70.0, 10.0],
        limit_s=60.0,
    )
    sites = site_table(shown.city, replace(shown.log, incidents=incidents), Clock.ORDERED)
    assert sites.loc[0, ["name", "incidents", "late", "share"]].tolist() == ["火车站", 2, 1, 0.5]
    assert sites["incidents"].sum() == 2
    assert np.isnan(sites.loc[1, "share"])


def test_a_post_s_use_is_that_of_its_units_together(shown: Any) -> None:
    posts = post_table(shown.city, shown.log)
    states = shown.log.unit_states
    seconds = states["end_s"] - states["start_s"]
    own = states["unit_id"].isin(posts.loc[0, "units"].split(", "))
    busy = own & states["state"].isin(["turn_out", "travelling", "on_scene"])
    assert posts.loc[0, "utilisation"] == pytest.approx(seconds[busy].sum() / seconds[own].sum())
    named = [unit for ids in posts["units"] if ids for unit in ids.split(", ")]
    assert sorted(named) == sorted(shown.log.units["unit_id"])
    empty = posts[posts["units"] == ""]
    assert len(empty) == 1
    assert empty["incidents"].tolist() == [0]
    assert empty["utilisation"].isna().all()
    assert posts["incidents"].sum() == shown.log.assignments["arrived_s"].notna().sum()


def test_a_city_without_sites_or_districts_has_its_tables(shown: Any, bare_city: City) -> None:
    assert len(site_table(bare_city, shown.log, Clock.ORDERED)) == 0
    assert set(cell_table(bare_city, shown.log, Clock.ORDERED)["district"]) == {""}
    assert isinstance(bare_city.sites.zones, gpd.GeoDataFrame)


@pytest.mark.parametrize(
    ("name", "limits_s", "en", "vital_s"),
    [
        ("one_three_five", (60, 180, 300), "1 min vital sites, 3 min key areas, 5 min other areas", 60),
        ("uk_15_20", (900, 1200), "15 min vital sites, 15 min key areas, 20 min other areas", 900),
        ("severity", (60, 180, 300, 600), "1 min P1, 3 min P2, 5 min P3, 10 min P4", None),
        ("echelon", (300,), "5 min everywhere", None),
        (
            "chained",
            (60, 180, 300, 600),
            "the shorter of 1 min vital sites, 3 min key areas, 5 min other areas and",
            None,
        ),
    ],
)
def test_the_limits_are_told_as_the_standard_reads_them(
    shown: Any, name: str, limits_s: tuple[float, ...], en: str, vital_s: float | None
) -> None:
    scenario = Scenario.model_validate({"name": "a", "city": {"synthetic_seed": 1}, "standard": {"name": name}})
    start = shown.scenario.run.start
    summary = summarise(shown.log, standard_of(scenario), start=start, seed=1, digest="d")
    headline = headline_of(shown.log, summary, shown.scenario)
    assert headline.limits_s == limits_s
    assert headline.limits.en.startswith(en)
    assert headline.classes[0].limit_s == vital_s


def test_units_that_patrol_stand_at_no_post(small_city: City) -> None:
    groups = [{"name": "a", "count": 2}, {"name": "b", "count": 1, "posts": ["P04"], "patrol": {"form": "none"}}]
    given = {"name": "a", "city": {"synthetic_seed": 1}, "run": {"days": 0.2}, "units": {"groups": groups}}
    given |= {"patrol": {"form": "roaming"}, "demand": {"incidents_per_day": 40}}
    scenario = Scenario.model_validate(given)
    problem = build_problem(scenario, small_city)
    log = simulate(problem)
    assert standing_posts(log).tolist() == [3]
    summary = summarise(log, problem.standard, start=problem.start, seed=1, digest="d")
    assert "Reach from the posts</h2>" in render_map(small_city, log, summary, scenario)
    for page in (render_map, render_report):
        # nobody stands by at all
        assert page(small_city, log_of_patrols(log), summary, scenario)
    assert "Reach from the posts</h2>" not in render_map(small_city, log_of_patrols(log), summary, scenario)


def log_of_patrols(log: RunLog) -> RunLog:
    return replace(log, units=log.units[log.units["post"] != 3])
