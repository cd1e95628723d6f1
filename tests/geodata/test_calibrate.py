"""Speeds are found again from journeys that were made with them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from geodata.calibrate import Journeys, calibrate, period_of_hours, read_journeys
from geodata.city import City
from geodata.crs import project
from geodata.errors import InputError
from geodata.network import RoadNetwork
from geodata.positions import Positions, locate
from geodata.routing import RoadTravel
from geodata.speeds import SpeedProfile, weekly_kmh

TRUE = SpeedProfile(weekly_kmh((60.0, 27.0, 24.0, 15.0, 9.0), (33.0, 26.0, 14.0, 12.0, 7.0), 1.3))
N = 700


def recorded(network: RoadNetwork, noise: float, outliers: float = 0.0) -> Journeys:
    """Journeys driven at the true speeds, with a scatter; some of them stopped for lunch."""
    rng = np.random.default_rng(135)

    def places() -> Positions:
        edge = rng.integers(0, network.n_open, N).astype(np.int32)
        return Positions(edge, rng.random(N) * network.length_m[edge])

    origins, targets, hour = places(), places(), rng.integers(0, 168, N)
    travel = RoadTravel(network, TRUE)
    seconds = np.array([travel.route(origins[i], targets[i], int(hour[i])).time_s for i in range(N)])
    seconds *= rng.lognormal(0, noise, N) * np.where(rng.random(N) < outliers, 3.5, 1.0)
    return Journeys(origins=origins, targets=targets, hour=hour, seconds=seconds)


def true_kmh() -> dict[tuple[str, str], float]:
    hours = period_of_hours()
    return {
        (period, name): TRUE.kmh[c, hours == p].mean()
        for p, period in enumerate(("peak", "off_peak", "night"))
        for c, name in enumerate(("expressway", "arterial", "collector", "local", "pedestrian"))
    }


@pytest.mark.parametrize(("noise", "outliers", "within"), [(0.0, 0.0, 0.03), (0.1, 0.0, 0.08), (0.1, 0.1, 0.12)])
def test_known_speeds_are_recovered(small_city: City, noise: float, outliers: float, within: float) -> None:
    network = small_city.network
    found = calibrate(network, recorded(network, noise, outliers))
    table = found.speeds.set_index(["period", "road_class"])
    driven = table[table["journeys"] > 50]
    assert len(driven) == 9
    assert driven["enough"].all()
    for key, row in driven.iterrows():
        assert row["after_kmh"] == pytest.approx(true_kmh()[key], rel=within)
        assert abs(row["after_kmh"] - true_kmh()[key]) < abs(row["before_kmh"] - true_kmh()[key]) + 0.5
    errors = found.errors.set_index("period")
    assert (errors["median_abs_pct_after"] < errors["median_abs_pct_before"]).all()
    assert errors.loc["all", "journeys"] + sum(found.left_out.values()) == N
    if outliers:
        assert found.weighted_down > 40
    else:
        assert (errors["rmse_s_after"] < errors["rmse_s_before"]).all()
        assert errors.loc["all", "bias_s_after"] == pytest.approx(0, abs=5)


def test_a_class_without_journeys_keeps_its_speed_and_says_so(small_city: City) -> None:
    found = calibrate(small_city.network, recorded(small_city.network, 0.1))
    idle = found.speeds[found.speeds["road_class"].isin(["expressway", "pedestrian"])]
    assert idle["after_kmh"].to_numpy() == pytest.approx(idle["before_kmh"].to_numpy())
    assert not idle["enough"].any()
    assert (idle["km"] == 0).all()
    assert found.profile.kmh[0] == pytest.approx(SpeedProfile().kmh[0])


def test_few_journeys_move_a_speed_little(small_city: City) -> None:
    network = small_city.network
    every = recorded(network, 0.3)
    few, many = (
        calibrate(network, every.take(np.arange(n))).speeds.set_index(["period", "road_class"]) for n in (4, N)
    )
    local = ("night", "local")
    assert few.loc[local, "se_kmh"] > many.loc[local, "se_kmh"]
    assert not few["enough"].all()


def test_impossible_journeys_are_left_out_and_counted(small_city: City) -> None:
    network = small_city.network
    good = recorded(network, 0.05)
    seconds = good.seconds.copy()
    seconds[:5], seconds[5:8], seconds[8:10], seconds[10] = np.nan, 1.0, 1e6, -4.0
    targets = Positions(good.targets.edge.copy(), good.targets.offset_m.copy())
    targets.edge[20:24], targets.offset_m[20:24] = good.origins.edge[20:24], good.origins.offset_m[20:24]
    found = calibrate(network, Journeys(origins=good.origins, targets=targets, hour=good.hour, seconds=seconds))
    assert found.left_out["no seconds above 0"] == 6
    assert found.left_out["shorter than 300 m"] >= 4
    assert found.left_out["faster than 150 km/h"] <= 3
    assert found.errors.set_index("period").loc["all", "journeys"] + sum(found.left_out.values()) == N
    with pytest.raises(ValueError, match="no journey of 2 can be used"):
        calibrate(
            network, Journeys(origins=good.origins, targets=targets, hour=good.hour, seconds=seconds).take([0, 1])
        )


def journey_file(folder: Path, network: RoadNetwork, journeys: Journeys, encoding: str = "utf-8") -> Path:
    ends = [project(locate(network, places), network.epsg, 4326) for places in (journeys.origins, journeys.targets)]
    day, hour = np.divmod(journeys.hour, 24)
    table = pd.DataFrame(np.hstack(ends).astype(str), columns=["origin_lon", "origin_lat", "dest_lon", "dest_lat"])
    # 1 June 2026 is a Monday
    table["start"] = [f"2026-06-{1 + d:02d}T{h:02d}:30:00" for d, h in zip(day, hour, strict=True)]
    table["seconds"] = journeys.seconds.astype(str)
    table["备注"] = "出警"
    table.loc[0, "origin_lon"] = "东经"
    table.loc[1, "start"] = "yesterday"
    table.loc[2, "seconds"] = "0"
    table.loc[3, "dest_lat"] = "30"
    table.loc[4, "start"] = "2026-06-01T00:10:00+00:00"
    path = folder / "journeys.csv"
    table.to_csv(path, index=False, encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_journeys_are_read_from_a_file_and_bad_rows_counted(small_city: City, tmp_path: Path, encoding: str) -> None:
    network = small_city.network
    wrote = recorded(network, 0.1).take(np.arange(40))
    journeys, left_out = read_journeys(journey_file(tmp_path, network, wrote, encoding), network)
    assert sorted(left_out.values()) == [1, 1, 1, 1]
    assert len(journeys) == 36
    assert journeys.hour[0] == 8
    assert journeys.hour[1:].tolist() == wrote.hour[5:].tolist()
    assert journeys.seconds == pytest.approx(wrote.seconds[4:])
    assert locate(network, journeys.targets) == pytest.approx(locate(network, wrote.targets)[4:], abs=0.01)


def test_a_wrong_crs_of_journeys_is_refused_with_the_reasons(small_city: City, tmp_path: Path) -> None:
    path = journey_file(tmp_path, small_city.network, recorded(small_city.network, 0.1).take(np.arange(20)))
    with pytest.raises(InputError, match="further than 200 m"):
        read_journeys(path, small_city.network, "EPSG:4547")
