"""A history is whole or refused, and its replay is what was recorded; what was not is drawn, and told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dispatch.history.durations import Basis, Lognormals
from dispatch.history.record import ASSIGNMENT_COLUMNS, CALL_COLUMNS, UNKNOWN, Count, History, Status
from dispatch.incidents import IncidentType
from dispatch.standard import ResponseStandard
from geodata.city import City, Source
from geodata.errors import InputError
from geodata.positions import Positions, locate
from geodata.sites import PlaceClass

MONDAY = datetime(2024, 4, 29)
Make = Callable[..., History]


@pytest.fixture
def make(small_city: City) -> Make:
    """n calls ten minutes apart, each ordered after 80 s, reached after 5 minutes and cleared after 20 more; columns
    of the calls and of the assignments may be changed."""

    def made(n: int = 100, calls: dict[str, Any] | None = None, sent: dict[str, Any] | None = None) -> History:
        edge = np.linspace(0, len(small_city.network.length_m) - 1, n).astype(np.int32)
        xy_m = locate(small_city.network, Positions(edge, small_city.network.length_m[edge] / 2))
        received = pd.Series(pd.date_range(MONDAY, periods=n, freq="10min")).astype("datetime64[ms]")
        none = pd.Series([pd.NaT] * n, dtype="datetime64[ms]")
        table: dict[str, Any] = {"received": received, "answered": none}
        table |= {"number": pd.Series(np.arange(n).astype(str)), "type": np.full(n, int(IncidentType.HELP), np.uint8)}
        table |= {"first_type": np.full(n, UNKNOWN, np.uint8), "priority": np.full(n, 3, np.uint8)}
        table |= {"status": np.full(n, UNKNOWN, np.uint8), "jurisdiction": ""}
        table |= {"x_m": xy_m[:, 0], "y_m": xy_m[:, 1]}
        after = {"ordered": 80, "accepted": None, "rolling": 110, "arrived": 380, "cleared": 1580, "feedback": None}
        units: dict[str, Any] = {"call": np.arange(n), "unit": "巡组1", "unit_kind": "patrol_car"}
        units |= {name: none if s is None else received + pd.Timedelta(seconds=s) for name, s in after.items()}
        return History(
            calls=pd.DataFrame(table | (calls or {}))[list(CALL_COLUMNS)],
            assignments=pd.DataFrame(units | (sent or {}))[list(ASSIGNMENT_COLUMNS)],
            epsg=small_city.network.epsg,
            sources=(Source(what="made for the tests"),),
            columns={"received": "报警时间"},
            counts=(Count(kind="rows torn", rows=1, of=9, done="left out", examples=("row 3",)),),
        )

    return made


def some(values: Any, rows: slice, none: Any = pd.NaT) -> Any:
    """A column with nothing in some rows."""
    changed = pd.Series(values).copy()
    changed.iloc[rows] = none
    return changed


def test_a_replay_is_what_was_recorded(make: Make, small_city: City) -> None:
    history = make()
    replay = history.replay(small_city, ResponseStandard())
    incidents = replay.incidents
    assert not replay.counts
    assert incidents.received_s.tolist() == (600.0 * np.arange(100)).tolist()
    assert set(incidents.desk_s) == {80.0}
    assert set(incidents.on_scene_s) == {1200.0}
    assert set(incidents.type) == {IncidentType.HELP}
    assert set(incidents.units_needed) == {1}
    assert np.abs(incidents.xy_m - history.calls[["x_m", "y_m"]].to_numpy()).max() < 1e-6
    assert (incidents.cell == small_city.grid.locate(incidents.xy_m)).all()
    vital = incidents.place_class == PlaceClass.VITAL
    assert (incidents.limit_s[vital] == 60).all()


def test_a_replay_takes_a_window(make: Make, small_city: City) -> None:
    start = MONDAY + timedelta(hours=2, minutes=5)
    replay = make().replay(small_city, ResponseStandard(), start=start, horizon_s=3600)
    assert replay.incidents.received_s.tolist() == [300, 900, 1500, 2100, 2700, 3300]
    assert replay.row.tolist() == list(range(13, 19))
    with pytest.raises(InputError, match="The history runs from 2024-04-29 to 2024-04-30"):
        make().replay(small_city, ResponseStandard(), start=datetime(2025, 1, 1), horizon_s=3600)


def test_the_desk_begins_with_the_answer_where_that_is_recorded(make: Make) -> None:
    received = make().calls["received"]
    answered = some(received + pd.Timedelta(seconds=20), slice(0, 50))
    answered.iloc[99] = received.iloc[99] - pd.Timedelta(seconds=9)
    assert make(calls={"answered": answered}).desk_s.tolist() == [80.0] * 50 + [60.0] * 49 + [80.0]


def test_what_was_not_recorded_is_drawn_by_type_and_priority_and_told(make: Make, small_city: City) -> None:
    history = make(1000)
    rng = np.random.default_rng(1)
    ordered = history.calls["received"] + pd.to_timedelta(np.round(rng.lognormal(4, 0.5, 1000), 3), "s")
    arrived = some(history.assignments["arrived"], slice(100, 400))
    priority = some(np.where(np.arange(1000) % 4 == 0, 1, 3), slice(0, 200), 0).astype(np.uint8)
    history = make(
        1000,
        calls={"priority": priority},
        sent={"ordered": some(ordered.astype("datetime64[ms]"), slice(500, 1000)), "arrived": arrived},
    )
    replay = history.replay(small_city, ResponseStandard(), seed=4)
    told = {count.kind: count for count in replay.counts}
    assert told["desk times not recorded, or not usable"].rows == 500
    assert told["on-scene times not recorded, or not usable"].rows == 300
    assert told["priorities not recorded"].rows == 200
    incidents = replay.incidents
    recorded = (ordered - history.calls["received"]).dt.total_seconds().to_numpy()[:500]
    assert incidents.desk_s[:500] == pytest.approx(recorded, abs=2e-3)
    drawn = np.log(incidents.desk_s[500:])
    assert abs(drawn.mean() - np.log(recorded).mean()) < 3.5 * 0.5 * np.sqrt(2 / 500)
    assert incidents.on_scene_s[100:400] == pytest.approx(1200)
    assert set(incidents.priority[:200]) == {1, 3}
    assert abs((incidents.priority[:200] == 1).mean() - 0.25) < 3.5 * np.sqrt(0.25 * 0.75 / 200)
    again = history.replay(small_city, ResponseStandard(), seed=4).incidents
    other = history.replay(small_city, ResponseStandard(), seed=5).incidents
    assert (again.desk_s == incidents.desk_s).all()
    assert (other.desk_s[:500] == incidents.desk_s[:500]).all()
    assert (other.desk_s[500:] != incidents.desk_s[500:]).all()


def test_zero_reversed_and_forgotten_times_are_no_times(make: Make, small_city: City) -> None:
    history = make()
    arrived = history.assignments["arrived"].copy()
    cleared = arrived + pd.to_timedelta([0, -60, 90_000, *[1200] * 97], "s")
    history = make(sent={"cleared": cleared.astype("datetime64[ms]")})
    assert np.isnan(history.on_scene_s[:3]).all()
    assert (history.on_scene_s[3:] == 1200).all()
    (told,) = history.replay(small_city, ResponseStandard()).counts
    assert (told.kind, told.rows) == ("on-scene times not recorded, or not usable", 3)


def test_calls_that_ask_for_no_unit_and_those_without_place_are_left_out(make: Make, small_city: City) -> None:
    status = np.full(100, int(Status.HANDLED), np.uint8)
    status[:3] = Status.DUPLICATE, Status.INVALID, Status.FALSE_ALARM
    x_m = some(make().calls["x_m"], slice(10, 14), np.nan)
    x_m.iloc[20] += 9_000
    replay = make(calls={"status": status, "x_m": x_m}).replay(small_city, ResponseStandard())
    assert replay.row.tolist() == [2, *range(3, 10), *range(14, 20), *range(21, 100)]
    told = {count.kind: count.rows for count in replay.counts}
    assert told == {
        "calls that ask for no unit (duplicate or invalid)": 2,
        "incidents without a place in the city": 5,
    }


def test_a_replay_is_silent_and_hands_over_what_it_drew(
    make: Make, small_city: City, caplog: pytest.LogCaptureFixture
) -> None:
    (told,) = make(sent={"unit": ""}).replay(small_city, ResponseStandard()).counts
    assert str(told) == "100 of 100 (100.0 %) units not recorded: drawn by priority"
    assert not caplog.records


def test_as_many_units_are_needed_as_were_sent(make: Make, small_city: City) -> None:
    history = make(3, sent={"call": [0, 0, 1], "unit": ["a", "b", "a"]})
    assert history.replay(small_city, ResponseStandard()).incidents.units_needed[:2].tolist() == [2, 1]


def test_a_saved_history_is_the_same_and_an_altered_one_is_refused(make: Make, tmp_path: Path) -> None:
    history = make()
    for name in ("one", "two"):
        history.save(tmp_path / name)
    names = ["assignments.parquet", "calls.parquet", "history.json"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == names
    assert all((tmp_path / "one" / n).read_bytes() == (tmp_path / "two" / n).read_bytes() for n in names)
    loaded = History.load(tmp_path / "one")
    pd.testing.assert_frame_equal(loaded.calls, history.calls, check_dtype=False)
    pd.testing.assert_frame_equal(loaded.assignments, history.assignments, check_dtype=False)
    assert (loaded.counts, loaded.sources, loaded.columns) == (history.counts, history.sources, history.columns)
    loaded.save(tmp_path / "two")
    assert all((tmp_path / "one" / n).read_bytes() == (tmp_path / "two" / n).read_bytes() for n in names)
    with (tmp_path / "one" / "calls.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"calls\.parquet: found other content"):
        History.load(tmp_path / "one")
    (tmp_path / "two" / "calls.parquet").unlink()
    with pytest.raises(InputError, match=r"calls\.parquet: found no such file"):
        History.load(tmp_path / "two")
    with pytest.raises(InputError, match="no such folder"):
        History.load(tmp_path / "none")


def test_a_history_replaces_only_a_history(make: Make, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear", "utf-8")
    with pytest.raises(InputError, match="a folder that holds no history"):
        make().save(tmp_path / "mine")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "letter.txt"]


@pytest.mark.parametrize(
    ("calls", "sent"),
    [
        ({"received": pd.Series([pd.NaT] * 100, dtype="datetime64[ms]")}, {}),
        ({"received": pd.Series(pd.date_range(MONDAY, periods=100)).astype("datetime64[ms]")[::-1].to_numpy()}, {}),
        ({"type": 17}, {}),
        ({"priority": 5}, {}),
        ({"status": 9}, {}),
        ({}, {"call": 100}),
    ],
)
def test_an_impossible_history_cannot_be(make: Make, calls: dict[str, Any], sent: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="history:"):
        make(calls=calls, sent=sent)


def test_a_part_of_a_history_keeps_its_assignments(make: Make) -> None:
    part = make().between(MONDAY + timedelta(hours=1), MONDAY + timedelta(hours=2))
    assert len(part) == 6
    assert part.calls["number"].tolist() == ["6", "7", "8", "9", "10", "11"]
    assert part.assignments["call"].tolist() == list(range(6))
    assert (part.desk_s == 80).all()


def test_lognormal_times_are_fitted_by_maximum_likelihood() -> None:
    rng = np.random.default_rng(3)
    group = np.repeat([0, 1, 2], [4000, 1000, 5])
    seconds = np.exp(np.where(group == 0, 6 + 0.8 * rng.standard_normal(5005), 5 + 0.4 * rng.standard_normal(5005)))
    seconds[:3] = np.nan, 0, 100_000
    times = Lognormals.fit(seconds, group, [1, 1, 1], 1)
    assert times.n.tolist() == [3997, 1000, 5]
    logs = np.log(seconds[3:4000])
    assert times.log_mean[0] == pytest.approx(logs.mean())
    assert times.log_sd[0] == pytest.approx(logs.std())
    assert abs(times.log_mean[1] - 5) < 3.5 * 0.4 / np.sqrt(1000)
    assert times.mean_s[0] == pytest.approx(np.exp(logs.mean() + logs.var() / 2))
    assert times.basis.tolist() == [Basis.OWN, Basis.OWN, Basis.ALL_GROUPS]
    assert times.log_mean[2] == pytest.approx(np.log(seconds[3:]).mean())
    assumed = Lognormals.fit(np.full(9, np.nan), np.zeros(9, int), [83], 0.5)
    assert (assumed.mean_s[0], assumed.cv[0]) == (pytest.approx(83), pytest.approx(0.5))
    assert assumed.basis.tolist() == [Basis.ASSUMED]
