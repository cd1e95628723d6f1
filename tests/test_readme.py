"""What the README and its companions say holds: every command, file and example in them is tried."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import osmium
import pandas as pd
import pytest
from osmium.osm.mutable import Node, Way
from typer.main import get_command

from dispatch.engine import simulate
from dispatch.metrics import moves, utilisation
from dispatch.policies.dispatching import nearest
from geodata.city import City
from geodata.crs import LONLAT, project
from geodata.network import RoadClass
from scenarios.build import build_problem
from scenarios.cli import app, main, spread
from scenarios.run import RUN_FILES, read_run
from scenarios.schema import Scenario

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/engine.md", "docs/glossary.md", "docs/why.md")
README = (ROOT / "README.md").read_text("utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
TEXT = "\n".join((ROOT / page).read_text("utf-8") for page in PAGES)
N_CALLS = 350
HIGHWAY = {
    RoadClass.EXPRESSWAY: "trunk",
    RoadClass.ARTERIAL: "primary",
    RoadClass.COLLECTOR: "tertiary",
    RoadClass.LOCAL: "residential",
}


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def patrol_commands(text: str) -> list[list[str]]:
    """The arguments of every `patrol …` in a text, in code blocks and between backticks."""
    lines = [line for language in ("sh", "bat") for block in blocks(text, language) for line in block.splitlines()]
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    split = (shlex.split(line.replace("\\", "/"), comments=True) for line in lines + inline if "patrol" in line)
    return [words[1:] for words in split if words and words[0].endswith("patrol")]


def in_blocks(text: str) -> list[list[str]]:
    return patrol_commands("\n".join(f"```sh\n{block}```" for block in blocks(text, "sh")))


@pytest.mark.parametrize("words", patrol_commands(TEXT), ids=" ".join)
def test_every_command_is_understood(words: list[str]) -> None:
    """The command exists; where more than its name is given, its options exist too and their values can be read."""
    command = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    if words:
        assert not hasattr(command, "commands"), f"patrol knows no {words[0]}"
        command.make_context(command.name, list(spread(words)))


def test_make_knows_every_target() -> None:
    known = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^|=wheels )make ([a-z]+)", TEXT, re.MULTILINE))
    assert {"demo", "test", "check", "bench"} <= named <= known


def test_every_file_that_is_named_exists() -> None:
    links = re.findall(r"\]\(((?!https?:)[^)#]+)\)", TEXT)
    code = re.findall(r"`((?:geodata|dispatch|scenarios|notebooks|tests|docs|\.ci)/[\w./-]*)`", TEXT)
    assert len(links) > 4
    assert len(code) > 10
    missing = [name for name in links + code if not any((ROOT / folder / name).exists() for folder in ("", "docs"))]
    assert missing == []


def test_the_picture_is_light() -> None:
    assert (ROOT / "docs" / "map.png").stat().st_size < 400_000


def test_the_steps_without_make_are_those_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    plain = re.sub(r"--quiet |--disable-pip-version-check ", "", makefile).replace("--editable", "-e")
    [windows] = blocks(README, "bat")
    installs = re.findall(r"python -m (pip install .*)", windows)
    assert len(installs) == 2
    assert [line for line in installs if line not in plain] == []


def test_the_files_of_a_run_are_those_of_the_table() -> None:
    table = README.split("## What a run's folder holds")[1].split("##")[0]
    assert tuple(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)) == RUN_FILES


def test_the_example_city_can_be_built_run_and_studied(
    small_city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The README's own sequence, with its own CSV and TOML files, over roads and districts of the same extent."""
    monkeypatch.chdir(tmp_path)
    write_osm(small_city, Path("roads.osm.pbf"))
    write_districts(small_city, Path("districts.geojson"))
    for name, text in zip(("posts.csv", "sites.csv"), blocks(README, "csv"), strict=True):
        assert f"`{name}`" in README
        Path(name).write_text(text, "utf-8")
    [toml] = blocks(README, "toml")
    Path("jiangcheng.toml").write_text(toml, "utf-8")
    write_calls(small_city, Path("calls.csv"))

    # the numbers of the text take minutes
    fewer = {
        "staff": ["--replications", "2", "--workers", "1"],
        "compare": ["--policies", "nearest,+dmexclp", "--replications", "2", "--workers", "1"],
    }
    tried = []
    for words in in_blocks(README):
        with pytest.raises(SystemExit) as left:
            main([*words, *fewer.get(words[0], [])])
        assert left.value.code == 0, f"patrol {' '.join(words)}\n{capsys.readouterr().err}"
        tried.append(words[0])
    assert tried == [
        *("city", "city", "city", "scenarios", "scenarios"),
        *("run", "map", "explain", "staff", "compare", "coverage", "history", "history"),
    ]

    run = read_run(Path("out/jiangcheng"))
    assert len(run.city.posts) == 3
    assert set(run.city.sites.table["place_class"]) == {"vital", "key"}
    assert {unit.rpartition("-")[2][0] for unit in utilisation(run.log).index} == {"D", "N"}
    assert run.summary["incidents"]["total"] > 300
    assert "jiangcheng" in capsys.readouterr().out
    replays_and_fits(toml, capsys)


def test_the_example_policies_work(small_city: City, tmp_path: Path) -> None:
    """As CONTRIBUTING shows them: functions in a file beside the scenario."""
    sending, moving = blocks(CONTRIBUTING, "python")
    assert len(sending.splitlines()) <= 10
    [policy] = re.findall(r'`policy = "([^"]+)"`', CONTRIBUTING)
    [move_up] = re.findall(r'`move_up = "([^"]+)"`', CONTRIBUTING)
    (tmp_path / f"{policy.split('.')[0]}.py").write_text(f"{sending}\n{moving}", "utf-8")
    scenario = Scenario.model_validate(
        {
            "name": "own",
            "city": {"synthetic_seed": 1},
            "run": {"days": 7},
            "demand": {"incidents_per_day": 150},
            "units": {"count": 6},
            "dispatch": {"policy": policy, "move_up": move_up, "folder": str(tmp_path)},
        }
    )
    problem = build_problem(scenario, small_city)
    log, other = simulate(problem), simulate(replace(problem, policy=nearest))
    assert log.incidents["arrived_s"].notna().all()
    assert not log.assignments.equals(other.assignments)
    assert moves(log)["moves"].sum() > 0
    assert moves(simulate(replace(problem, move_up=None)))["moves"].sum() == 0


def replays_and_fits(toml: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The two lines of the text about recorded incidents, each in place of the rate."""
    [rate] = re.findall(r"^incidents_per_day = .*$", toml, re.MULTILINE)
    lines = re.findall(r"`((?:history|fitted) = [^`]+)`", README)
    assert len(lines) == 2
    total = []
    for line in lines:
        Path("recorded.toml").write_text(toml.replace(rate, line), "utf-8")
        with pytest.raises(SystemExit) as left:
            main(["run", "recorded.toml", "--out", "out/recorded"])
        assert left.value.code == 0, capsys.readouterr().err
        total.append(read_run(Path("out/recorded")).summary["incidents"]["total"])
    assert total[0] == N_CALLS
    assert 0.7 * N_CALLS < total[1] < 1.3 * N_CALLS


def write_calls(city: City, path: Path) -> None:
    """A week of calls as a dispatch system exports them, each at a junction."""
    lonlat = project(city.network.node_xy_m, city.network.epsg, LONLAT)
    received = pd.date_range("2026-06-01 08:00", periods=N_CALLS, freq="28min")
    place = lonlat[np.random.default_rng(1).choice(len(lonlat), N_CALLS)]
    table = {
        "警情编号": [f"J{i:04d}" for i in range(N_CALLS)],
        "报警时间": received,
        "派警时间": received + pd.Timedelta(seconds=80),
        "到达时间": received + pd.Timedelta(seconds=300),
        "处置完毕时间": received + pd.Timedelta(minutes=25),
        "警情类别": np.resize(["求助", "纠纷", "交通事故"], N_CALLS),
        "警情级别": np.resize(["三级", "二级"], N_CALLS),
        "经度": place[:, 0],
        "纬度": place[:, 1],
    }
    pd.DataFrame(table).to_csv(path, index=False, encoding="gb18030")


def write_osm(city: City, path: Path) -> None:
    """The city's streets as an OSM file; its places keep their longitude and latitude."""
    network = city.network
    lonlat = project(network.node_xy_m, network.epsg, LONLAT).tolist()
    with osmium.SimpleWriter(str(path)) as writer:
        for i, (lon, lat) in enumerate(lonlat, 1):
            writer.add_node(Node(id=i, location=(lon, lat)))
        for street, edge in enumerate(network.edge_of_street.tolist(), 1):
            tags = {"highway": HIGHWAY[RoadClass(network.street_class[street - 1])]}
            tags |= {"oneway": "yes"} if network.twin[edge] < 0 else {}
            ends = [int(network.tail[edge]) + 1, int(network.head[edge]) + 1]
            writer.add_way(Way(id=street, nodes=ends, tags=tags))


def write_districts(city: City, path: Path) -> None:
    cells = city.grid.cells.merge(city.grid.areas[["code", "name"]], left_on="parent", right_on="code")
    districts = cells[["parent", "name_y", "geometry"]].dissolve("parent").reset_index()
    districts = districts.rename(columns={"parent": "code", "name_y": "name"})
    gpd.GeoDataFrame(districts).to_crs(LONLAT).to_file(path)
