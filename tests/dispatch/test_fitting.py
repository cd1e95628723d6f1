"""Incidents drawn from known rates, exported, imported and fitted: the rates, times and mixes come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from dispatch.demand import Demand, draw_incidents
from dispatch.history.cad import read_cad
from dispatch.history.durations import Lognormals
from dispatch.history.fitted import WEEK_H, FittedDemand, cells_of, draw_fitted, points_in_cells
from dispatch.history.fitting import fit_demand
from dispatch.history.record import History
from dispatch.incidents import Incidents, IncidentType
from dispatch.roster import DAY_S
from dispatch.standard import ResponseStandard
from geodata.city import City
from geodata.crs import LONLAT, project
from geodata.errors import InputError

MONDAY = datetime(2024, 1, 1)
WEEKS = 26
DEMAND = Demand(incidents_per_day=300)
TYPES = ("刑事", "治安", "交通", "纠纷", "求助", "其他")


class Known(NamedTuple):
    """What was drawn, and what came back of it."""

    incidents: Incidents
    history: History
    fitted: FittedDemand


def export(city: City, incidents: Incidents, path: Path, start: datetime = MONDAY) -> Path:
    """A CAD file of incidents, to the millisecond."""
    received = np.datetime64(start, "ms") + np.round(incidents.received_s * 1000).astype("timedelta64[ms]")
    ordered = received + np.round(incidents.desk_s * 1000).astype("timedelta64[ms]")
    rolling = ordered + np.timedelta64(40, "s")
    arrived = ordered + np.timedelta64(240, "s")
    lonlat = project(incidents.xy_m, city.network.epsg, LONLAT)
    pd.DataFrame(
        {
            "警情编号": np.arange(len(incidents)),
            "报警时间": np.datetime_as_string(received),
            "派警时间": np.datetime_as_string(ordered),
            "出动时间": np.datetime_as_string(rolling),
            "到达时间": np.datetime_as_string(arrived),
            "反馈时间": np.datetime_as_string(
                arrived + np.round(incidents.on_scene_s * 1000).astype("timedelta64[ms]")
            ),
            "警情类别": np.array(TYPES)[incidents.type],
            "警情级别": incidents.priority,
            "警力类型": "patrol_car",
            "经度": lonlat[:, 0],
            "纬度": lonlat[:, 1],
        }
    ).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def known(small_city: City, tmp_path_factory: pytest.TempPathFactory) -> Known:
    incidents = draw_incidents(
        small_city, DEMAND, ResponseStandard(), start=MONDAY, horizon_s=WEEKS * 7 * DAY_S, seed=135
    )
    path = export(small_city, incidents, tmp_path_factory.mktemp("cad") / "cad.csv")
    history = read_cad([path], small_city)
    return Known(incidents, history, fit_demand(history, small_city))


def true_hourly() -> np.ndarray:
    """(types, 168) incidents an hour."""
    day = np.array(DEMAND.hour_weight) / np.sum(DEMAND.hour_weight)
    week = (np.array(DEMAND.weekday_weight)[:, None] * day * DEMAND.incidents_per_day).reshape(-1)
    share = np.array([DEMAND.type_share[kind] for kind in IncidentType])
    return share[:, None] / share.sum() * week


def test_the_total_volume_is_kept(known: Known) -> None:
    fitted = known.fitted
    assert (fitted.hourly * fitted.observed_h).sum() == pytest.approx(len(known.incidents))
    by_type = np.bincount(known.incidents.type, minlength=6)
    assert (fitted.hourly * fitted.observed_h).sum(axis=1) == pytest.approx(by_type)
    assert sum(fitted.rates(kind).sum() for kind in IncidentType) == pytest.approx(fitted.incidents_per_week)


def test_rates_by_hour_of_week_come_back_nearer_than_the_counts_alone(known: Known) -> None:
    n = true_hourly() * known.fitted.observed_h
    fitted = known.fitted.hourly * known.fitted.observed_h
    assert (abs(fitted - n) < 4.5 * np.sqrt(n)).all()
    hour = (known.incidents.received_s // 3600).astype(int) % WEEK_H
    counted = np.zeros_like(n)
    np.add.at(counted, (known.incidents.type, hour), 1)
    assert ((fitted - n) ** 2 / n).mean() < 0.5 * ((counted - n) ** 2 / n).mean()


def test_rates_by_cell_come_back(known: Known, small_city: City) -> None:
    residents = small_city.grid.cells["residents"].to_numpy(float)
    n = len(known.incidents) * residents / residents.sum()
    fitted = sum((known.fitted.rates(kind) * known.fitted.observed_h).sum(axis=1) for kind in IncidentType)
    assert (abs(fitted - n) < 3.5 * np.sqrt(n)).all()


def test_types_that_fall_alike_everywhere_are_fitted_so(known: Known) -> None:
    """The product of the margins is the truth here: cell and hour hardly depart from it."""
    traffic = IncidentType.TRAFFIC
    product = known.fitted.cell_share[traffic][:, None] * known.fitted.hourly[traffic]
    departure = known.fitted.rates(traffic) / product - 1
    assert np.sqrt((departure**2).mean()) < 0.05


def test_times_come_back_by_type(known: Known) -> None:
    times: Lognormals = known.fitted.on_scene
    sd = np.sqrt(np.log1p(DEMAND.on_scene_cv**2))
    for kind in IncidentType:
        n = (known.incidents.type == kind).sum()
        assert times.n[kind] == n
        log_mean = np.log(DEMAND.on_scene_mean_s[kind]) - sd**2 / 2
        assert abs(times.log_mean[kind] - log_mean) < 3.5 * sd / np.sqrt(n)
        assert abs(times.log_sd[kind] - sd) < 3.5 * sd / np.sqrt(2 * n)
    assert known.fitted.desk.mean_s[1:] == pytest.approx(np.full(4, DEMAND.desk_mean_s), rel=0.05)
    assert known.fitted.desk.cv[1:] == pytest.approx(np.full(4, DEMAND.desk_cv), rel=0.1)
    assert known.fitted.unit_kinds == ("patrol_car",)
    assert known.fitted.turn_out.mean_s == pytest.approx([40.0])


def test_the_mix_of_priorities_comes_back(known: Known) -> None:
    share = np.array([DEMAND.priority_share[p] for p in (1, 2, 3, 4)])
    n = np.bincount(known.incidents.type, minlength=6)[:, None]
    assert (abs(known.fitted.priority_share - share) < 3.5 * np.sqrt(share * (1 - share) / n)).all()


def test_drawn_incidents_follow_the_fitted_demand(known: Known, small_city: City) -> None:
    weeks = 20
    asked = {"start": MONDAY, "horizon_s": weeks * 7 * DAY_S}
    drawn = draw_fitted(small_city, known.fitted, ResponseStandard(), seed=1, **asked)
    expected = known.fitted.incidents_per_week * weeks
    assert abs(len(drawn) - expected) < 3.5 * np.sqrt(expected)
    cell = cells_of(small_city, drawn.positions)
    for kind in (IncidentType.TRAFFIC, IncidentType.CRIME):
        rates = known.fitted.rates(kind) * weeks
        of_kind = drawn.type == kind
        hour = (drawn.received_s[of_kind] // 3600).astype(int) % WEEK_H
        for counted, n in (
            (np.bincount(cell[of_kind], minlength=len(rates)), rates.sum(axis=1)),
            (np.bincount(hour, minlength=WEEK_H), rates.sum(axis=0)),
        ):
            chi_square = ((counted - n) ** 2 / n).sum()
            assert abs(chi_square - len(n)) < 4 * np.sqrt(2 * len(n))
    again = draw_fitted(small_city, known.fitted, ResponseStandard(), seed=1, **asked)
    assert all(
        (getattr(again, f.name) == getattr(drawn, f.name)).all() for f in fields(Incidents) if f.name != "positions"
    )
    other = draw_fitted(small_city, known.fitted, ResponseStandard(), seed=1, replication=1, **asked)
    assert len(other) != len(drawn)


def test_a_draw_may_start_within_an_hour(known: Known, small_city: City) -> None:
    start = MONDAY + timedelta(hours=8, minutes=40)
    drawn = draw_fitted(small_city, known.fitted, ResponseStandard(), start=start, horizon_s=900, seed=2)
    assert (np.diff(drawn.received_s) >= 0).all()
    assert drawn.received_s.max(initial=0) <= 900


def test_a_cell_that_has_its_own_night_is_found(known: Known, small_city: City) -> None:
    """Every incident of one type in one cell is moved to the small hours of Saturday."""
    incidents = known.incidents
    cell = cells_of(small_city, incidents.positions)
    night = (cell == 7) & (incidents.type == IncidentType.TRAFFIC)
    week = incidents.received_s // (7 * DAY_S)
    at_s = np.where(night, week * 7 * DAY_S + 5 * DAY_S + incidents.received_s % 10_800, incidents.received_s)
    order = np.argsort(at_s, kind="stable")
    calls = known.history.calls.copy()
    calls["received"] = np.datetime64(MONDAY, "ms") + (at_s * 1000).astype("timedelta64[ms]")
    empty = known.history.assignments.iloc[:0]
    history = replace(known.history, calls=calls.take(order).reset_index(drop=True), assignments=empty)
    shares = fit_demand(history, small_city).rates(IncidentType.TRAFFIC)
    hours = shares[7] / shares[7].sum()
    # the kernel spreads some of it over the hours about, and the other cells, which are alike, hold it back a little
    assert hours[120:123].sum() > 0.6
    assert hours[117:126].sum() > 0.8
    others = np.delete(shares, 7, axis=0).sum(axis=0)
    assert others[120:123].sum() / others.sum() < 0.03


def test_calls_without_a_place_count_in_the_volume(known: Known, small_city: City) -> None:
    calls = known.history.calls.copy()
    calls.loc[calls.index % 2 == 0, ["x_m", "y_m"]] = np.nan
    fitted = fit_demand(replace(known.history, calls=calls), small_city)
    assert (fitted.hourly * fitted.observed_h).sum() == pytest.approx(len(known.incidents))
    (told,) = fitted.counts
    assert told.kind.startswith("incidents without a place")
    assert told.rows == (len(calls) + 1) // 2


def test_a_few_days_are_fitted_and_the_rest_of_the_week_is_told(known: Known, small_city: City) -> None:
    fitted = fit_demand(known.history, small_city, start=MONDAY, end=MONDAY + timedelta(days=3))
    (told,) = fitted.counts
    assert (told.kind, told.rows) == ("hours of the week that were not observed", 96)
    sunday, days = fitted.hourly[:, 144:].sum(), fitted.hourly[:, :72].sum() / 3
    assert sunday == pytest.approx(days, rel=0.15)
    with pytest.raises(InputError, match="no incident with a place"):
        fit_demand(known.history, small_city, start=datetime(2020, 1, 1), end=datetime(2020, 1, 2))


def test_gaps_of_the_record_are_no_quiet_days(known: Known, small_city: City) -> None:
    """Two months are missing, and one call has a wrong year."""
    calls = known.history.calls
    month = calls["received"].dt.month
    calls = calls[(month < 3) | (month > 4)].reset_index(drop=True)
    calls.loc[len(calls) - 1, "received"] += pd.Timedelta(days=3660)
    history = replace(known.history, calls=calls, assignments=known.history.assignments.iloc[:0])
    fitted = fit_demand(history, small_city)
    (told,) = fitted.counts
    assert told.kind == "days without any call"
    assert told.examples[:2] == ("2024-03-01", "2024-03-02")
    assert fitted.incidents_per_week == pytest.approx(known.fitted.incidents_per_week, rel=0.03)
    assert (fitted.hourly * fitted.observed_h).sum() == pytest.approx(len(calls))


def test_with_few_calls_a_day_without_any_is_a_quiet_one(known: Known, small_city: City) -> None:
    calls = known.history.calls.iloc[::150].reset_index(drop=True)
    history = replace(known.history, calls=calls, assignments=known.history.assignments.iloc[:0])
    fitted = fit_demand(history, small_city)
    assert not fitted.counts
    assert fitted.observed_h.tolist() == [WEEKS] * WEEK_H


def test_types_that_never_happened_have_no_rate(known: Known, small_city: City) -> None:
    calls = known.history.calls[known.history.calls["type"] == IncidentType.HELP].reset_index(drop=True)
    history = replace(known.history, calls=calls, assignments=known.history.assignments.iloc[:0])
    fitted = fit_demand(history, small_city)
    assert fitted.hourly[IncidentType.CRIME].sum() == 0
    drawn = draw_fitted(small_city, fitted, ResponseStandard(), start=MONDAY, horizon_s=DAY_S, seed=1)
    assert set(drawn.type) == {IncidentType.HELP}


def test_points_lie_in_their_cells_and_evenly_on_their_streets(small_city: City) -> None:
    rng = np.random.default_rng(5)
    cell = rng.integers(0, len(small_city.grid), 20_000)
    positions = points_in_cells(small_city, cell, rng)
    assert (cells_of(small_city, positions) == cell).all()
    pieces = small_city.pieces
    of_cell = pieces.cell == 3
    length_m = (pieces.to_m - pieces.from_m)[of_cell]
    street = small_city.network.street[positions.edge[cell == 3]]
    counted = np.array([(street == s).sum() for s in pieces.street[of_cell]])
    n = counted.sum() * length_m / length_m.sum()
    assert abs(((counted - n) ** 2 / n).sum() - len(n)) < 4 * np.sqrt(2 * len(n))


def test_a_saved_demand_is_the_same(known: Known, tmp_path: Path) -> None:
    known.fitted.save(tmp_path / "one")
    loaded = FittedDemand.load(tmp_path / "one")
    loaded.save(tmp_path / "two")
    files = contents(tmp_path / "one")
    assert "demand.json" in files
    assert files == contents(tmp_path / "two")
    assert (loaded.rates(IncidentType.HELP) == known.fitted.rates(IncidentType.HELP)).all()
    (tmp_path / "one" / "hourly.npy").write_bytes(b"")
    with pytest.raises(InputError, match=r"hourly\.npy: found other content"):
        FittedDemand.load(tmp_path / "one")


def contents(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_demand_of_another_grid_is_refused(known: Known, small_city: City) -> None:
    codes = known.fitted.cell_codes.copy()
    codes[0] = "elsewhere"
    with pytest.raises(InputError, match="the grid that the demand was fitted on"):
        draw_fitted(
            small_city,
            replace(known.fitted, cell_codes=codes),
            ResponseStandard(),
            start=MONDAY,
            horizon_s=DAY_S,
            seed=1,
        )
