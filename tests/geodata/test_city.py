"""A saved city comes back as it was, and one that was altered is refused."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

from geodata.city import City
from geodata.errors import InputError
from geodata.files import write_folder
from geodata.network import RoadNetwork


@pytest.fixture
def saved(small_city: City, tmp_path: Path) -> Path:
    small_city.save(tmp_path / "city")
    return tmp_path / "city"


def test_a_city_comes_back_as_it_was_saved(small_city: City, saved: Path) -> None:
    city = City.load(saved)
    for field in fields(RoadNetwork):
        was, now = getattr(small_city.network, field.name), getattr(city.network, field.name)
        assert np.array_equal(was, now, equal_nan=field.name == "street_speed_kmh")
    assert city.network.digest == small_city.network.digest
    for was, now in (
        (small_city.grid.cells, city.grid.cells),
        (small_city.grid.areas, city.grid.areas),
        (small_city.sites.table, city.sites.table),
        (small_city.posts.table, city.posts.table),
    ):
        assert_frame_equal(was, now, check_dtype=False)
    assert list(city.posts.positions) == list(small_city.posts.positions)
    assert (city.name, city.name_en, city.sources) == (small_city.name, small_city.name_en, small_city.sources)


def test_the_same_city_is_saved_in_the_same_bytes(small_city: City, saved: Path, tmp_path: Path) -> None:
    small_city.save(tmp_path / "again")
    for path in saved.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_saving_again_replaces_the_folder_whole(small_city: City, saved: Path) -> None:
    (saved / "stray.txt").write_text("left by hand")
    small_city.save(saved)
    assert not (saved / "stray.txt").exists()
    assert [path.name for path in saved.parent.iterdir()] == ["city"]


def test_a_write_that_fails_leaves_the_old_folder_and_nothing_else(saved: Path) -> None:
    before = sorted(path.name for path in saved.iterdir())

    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_folder(saved, fail)
    assert sorted(path.name for path in saved.iterdir()) == before
    assert [path.name for path in saved.parent.iterdir()] == ["city"]


@pytest.mark.parametrize(
    ("break_it", "place", "found"),
    [
        (lambda folder: (folder / "tail.npy").unlink(), "tail.npy", "no such file"),
        (lambda folder: (folder / "cells.parquet").write_bytes(b"PAR1"), "cells.parquet", "other content"),
        (lambda folder: (folder / "manifest.json").unlink(), "", "no manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json", "no JSON"),
        (lambda folder: (folder / "manifest.json").write_text('{"format": 99}'), "manifest.json", "format 99"),
    ],
)
def test_a_city_that_was_cut_short_or_altered_is_refused(saved: Path, break_it, place: str, found: str) -> None:
    break_it(saved)
    with pytest.raises(InputError) as refusal:
        City.load(saved)
    fault = refusal.value.faults[0]
    assert fault.place == place
    assert found in fault.found
    assert "patrol city build" in fault.mend


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        City.load(tmp_path / "nowhere")
