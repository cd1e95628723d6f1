"""A run of the small city, as the pages are made from it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from typing import Any

import pytest

from dispatch.engine import simulate
from dispatch.log import RunLog
from dispatch.metrics import summarise
from geodata.city import City
from geodata.grid import Grid
from geodata.sites import Sites
from scenarios.build import build_problem
from scenarios.schema import Scenario


@dataclass(frozen=True)
class Shown:
    """What `render_map` and `render_report` are given, in their order."""

    city: City
    log: RunLog
    summary: Mapping[str, Any]
    scenario: Scenario

    @property
    def parts(self) -> tuple[City, RunLog, Mapping[str, Any], Scenario]:
        return self.city, self.log, self.summary, self.scenario


@pytest.fixture(scope="session")
def shown(small_city: City) -> Shown:
    """Two days with 60 incidents a day and three units: some are late, and all numbers are small."""
    scenario = Scenario.model_validate(
        {
            "name": "small",
            "title": "Two days",
            "title_zh": "两天",
            "city": {"synthetic_seed": 1},
            "run": {"days": 2},
            "demand": {"incidents_per_day": 60},
            "units": {"count": 3},
        }
    )
    problem = build_problem(scenario, small_city)
    log = simulate(problem)
    summary = summarise(log, problem.standard, start=problem.start, seed=scenario.run.seed, digest=problem.digest)
    return Shown(small_city, log, summary, scenario)


class Page(HTMLParser):
    """A page taken apart as a browser does: its tags with their attributes, and its texts by the tag around them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append((self.tags[-1][0] if self.tags else "", data))

    @property
    def visible(self) -> str:
        return " ".join(" ".join(text for tag, text in self.texts if tag not in ("script", "style")).split())


@pytest.fixture(scope="session")
def parse() -> type[Page]:
    return Page


@dataclass(frozen=True)
class Opened:
    """What a browser without a network made of a page."""

    dom: str
    console: tuple[str, ...]
    """What it complained about."""


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Opened]:
    """Opens HTML text in headless Chromium that can resolve no host name."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium to open the page with")
    folder = tmp_path_factory.mktemp("browser")

    def open_page(html: str) -> Opened:
        page = folder / "page.html"
        page.write_text(html, "utf-8")
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        options += ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}"]
        options += ["--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000", "--dump-dom", page.as_uri()]
        done = subprocess.run([chromium, *options], capture_output=True, text=True, timeout=90, check=True)
        return Opened(done.stdout, tuple(line for line in done.stderr.splitlines() if "CONSOLE" in line))

    return open_page


@pytest.fixture(scope="session")
def bare_city(small_city: City) -> City:
    """The small city with its roads, cells and posts alone: no sites, no backdrop, no areas above the cells."""
    return replace(
        small_city,
        sites=Sites(small_city.sites.table.iloc[:0]),
        areas=small_city.areas.iloc[:0],
        grid=Grid(small_city.grid.cells.assign(parent=""), small_city.grid.areas.iloc[:0]),
    )
