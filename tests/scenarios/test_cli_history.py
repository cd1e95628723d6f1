"""`patrol history`, as typed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from dispatch.history.fitted import FittedDemand
from dispatch.history.record import History
from geodata.city import City
from geodata.crs import LONLAT, project
from geodata.datum import Datum, from_wgs84
from geodata.errors import InputError
from geodata.positions import Positions, locate
from scenarios.cli_history import history_app

Typed = Callable[..., str]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Type a `history` command in a folder of its own; its text, blanks drawn together."""
    monkeypatch.chdir(tmp_path)

    def command(*words: object) -> str:
        ended = CliRunner().invoke(history_app, [str(word) for word in words])
        if ended.exception is not None:
            raise ended.exception
        return re.sub(r"\s+", " ", ended.output)

    return command


@pytest.fixture
def cad(small_city: City, tmp_path: Path) -> Path:
    """200 calls, ten minutes apart."""
    n = 200
    edge = np.linspace(0, len(small_city.network.length_m) - 1, n).astype(np.int32)
    xy_m = locate(small_city.network, Positions(edge, small_city.network.length_m[edge] / 3))
    lonlat = project(xy_m, small_city.network.epsg, LONLAT)
    received = pd.Series(pd.date_range("2024-05-06", periods=n, freq="10min"))
    table: dict[str, Any] = {
        "编号": np.arange(n),
        "报警时间": received,
        "派警时间": received + pd.Timedelta(seconds=70),
        "到达时间": (received + pd.Timedelta(seconds=70)).where(
            np.arange(n) < 20, received + pd.Timedelta(seconds=400)
        ),
        "反馈时间": received + pd.Timedelta(seconds=2200),
        "警情类别": np.where(np.arange(n) % 2, "交通", "涉水"),
        "报警人姓名": "张三",
        "经度": lonlat[:, 0],
        "纬度": lonlat[:, 1],
    }
    pd.DataFrame(table).to_csv(tmp_path / "may.csv", index=False, encoding="gb18030")
    return tmp_path / "may.csv"


def test_import_info_and_fit(typed: Typed, cad: Path, small_city_folder: Path, tmp_path: Path) -> None:
    told = typed("import", cad, "--city", small_city_folder, "--out", "h", "--column", "number=编号")
    assert "calls 警情 200, 200 ask for a unit, 200 have a place" in told
    assert "2024-05-06 to 2024-05-07, 2 days" in told
    assert "traffic 交通 100 50.0 %" in told
    assert "other 其他 (100 not understood) 100" in told
    assert "values not understood" in told
    assert "涉水 100" in told
    assert re.search("times identical: arrived.* 20 200 10.0 %", told)
    assert re.search("columns that may tell of.* 1 9 11.1 % never read 报警人姓名", told)
    assert told.endswith("History h ")
    assert len(History.load(tmp_path / "h")) == 200
    assert re.search("times identical: arrived.* 20 200 10.0 %", typed("info", "h"))
    told = typed("fit", "h", "--city", small_city_folder, "--to", "2024-05-07")
    assert "2024-05-06 00:00 to 2024-05-07 00:00" in told
    assert re.search("hours of the week that.* 144 168", told)
    assert told.endswith("Demand h-demand ")
    demand = FittedDemand.load(tmp_path / "h-demand")
    assert (demand.hourly * demand.observed_h).sum() == pytest.approx(144)


def test_the_name_of_the_file_is_the_name_of_the_history(typed: Typed, cad: Path, small_city_folder: Path) -> None:
    mapping = cad.with_name("mapping.toml")
    mapping.write_text('[columns]\nnumber = "编号"\n[types]\n"涉水" = "help"\n', "utf-8")
    told = typed("import", cad, "--city", small_city_folder, "--mapping", mapping, "-q")
    assert "help 求助 100 50.0 %" in told
    assert told.endswith("History histories/may ")


def test_a_datum_that_does_not_fit_is_told(
    typed: Typed, cad: Path, small_city_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(cad, encoding="gb18030")
    table[["经度", "纬度"]] = from_wgs84(table[["经度", "纬度"]].to_numpy(), Datum.GCJ02)
    table.to_csv(cad, index=False)
    told = typed("import", cad, "--city", small_city_folder, "--out", "h") + capfd.readouterr().err
    assert "declare GCJ-02 with --places-crs" in told
    told = typed("import", cad, "--city", small_city_folder, "--out", "h", "--places-crs", "GCJ-02")
    assert "look as if they had another datum" not in told


def test_mistakes_are_told_and_leave_nothing(typed: Typed, cad: Path, small_city_folder: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError) as told:
        typed("import", "a.csv", cad, "b.csv", "--city", small_city_folder)
    assert [fault.source for fault in told.value.faults] == ["a.csv", "b.csv"]
    with pytest.raises(InputError, match="'到达时间', the nearest"):
        typed("import", cad, "--city", small_city_folder, "--column", "arrived=到达时刻")
    with pytest.raises(InputError, match="holds no history"):
        typed("import", cad, "--city", small_city_folder, "--out", tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        typed("info", "h")
    assert sorted(tmp_path.iterdir()) == before
    typed("import", cad, "--city", small_city_folder, "--out", "h")
    with pytest.raises(InputError, match="The history runs from 2024-05-06 to 2024-05-08"):
        typed("fit", "h", "--city", small_city_folder, "--from", "2024-06-01")


def test_what_a_replay_draws_is_told_once_a_command_and_not_to_the_quiet(
    typed: Typed, patrol: Callable[..., Any], cad: Path, small_city_folder: Path, tmp_path: Path
) -> None:
    typed("import", cad, "--city", small_city_folder, "--out", "h", "--column", "number=编号")
    (tmp_path / "replay.toml").write_text(
        f'name = "replay"\ncity.path = "{small_city_folder.as_posix()}"\ndemand.history = "h"\n'
        "run.start = 2024-05-06T08:00:00\nrun.days = 0.25\nunits.count = 4\n",
        "utf-8",
    )
    drawn = "replay: 36 of 36 (100.0 %) priorities not recorded: drawn by type"
    asked = {
        "run": (),
        "compare": ("--policies", "reserve,batch", "--replications", 2, "--workers", 1),
        "staff": ("--units", "4,5", "--replications", 2, "--workers", 2),
    }
    for command, options in asked.items():
        told = patrol(command, "replay.toml", *options)
        assert (told.status, told.err.count(drawn)) == (0, 1), told.err
        assert told.err.count("units not recorded: drawn by priority") == 1
        assert patrol(command, "replay.toml", *options, "--out", f"quiet-{command}", "--quiet").err == ""
