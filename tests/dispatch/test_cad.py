"""Exports of dispatch systems are read as they come: what is odd is counted, what cannot be right is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dispatch.history.cad import read_cad
from dispatch.history.cadwords import CadMapping
from dispatch.history.record import UNKNOWN, Count, History, Status
from dispatch.incidents import IncidentType
from geodata.city import City
from geodata.crs import LONLAT, project
from geodata.datum import Datum, from_wgs84
from geodata.errors import InputError
from geodata.positions import Positions, locate

ROW = {
    "警情编号": "A1",
    "报警时间": "2024-05-01 08:00:00",
    "派警时间": "2024-05-01 08:01:20",
    "出动时间": "2024-05-01 08:02:00",
    "到达时间": "2024-05-01 08:06:00",
    "反馈时间": "2024-05-01 08:30:00",
    "警情类别": "治安",
    "警情级别": "二级",
    "处警单位": "巡组1",
}
Export = Callable[..., Path]
Read = Callable[..., History]


@pytest.fixture(scope="session")
def lonlat(small_city: City) -> np.ndarray:
    """Twenty places on streets, in WGS-84."""
    edge = np.linspace(0, len(small_city.network.length_m) - 1, 20).astype(np.int32)
    middle = small_city.network.length_m[edge] / 2
    return project(locate(small_city.network, Positions(edge, middle)), small_city.network.epsg, LONLAT)


@pytest.fixture
def export(tmp_path: Path, lonlat: np.ndarray) -> Export:
    """A CSV of rows like `ROW`, each with what differs, at one place after another."""

    def written(*rows: dict[str, Any], name: str = "cad.csv", encoding: str = "utf-8", drop: str = "") -> Path:
        whole = []
        for i, row in enumerate(rows or ({},)):
            lon, lat = lonlat[i % len(lonlat)]
            whole.append({**ROW, "警情编号": f"A{i + 1}", "经度": f"{lon:.7f}", "纬度": f"{lat:.7f}"} | row)
        table = pd.DataFrame(whole).fillna("").drop(columns=drop.split())
        path = tmp_path / name
        path.write_bytes(table.to_csv(index=False).encode(encoding))
        return path

    return written


@pytest.fixture
def read(small_city: City) -> Read:
    def done(*paths: Path, **said: Any) -> History:
        return read_cad(paths, small_city, **said)

    return done


def counted(history: History, kind: str) -> Count:
    (found,) = [count for count in history.counts if count.kind.startswith(kind)]
    return found


def kinds(history: History) -> str:
    return "; ".join(count.kind for count in history.counts)


def refused(read: Read, *paths: Path, **said: Any) -> str:
    with pytest.raises(InputError) as told:
        read(*paths, **said)
    return str(told.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_an_export_with_chinese_columns_is_read_in_each_encoding(export: Export, read: Read, encoding: str) -> None:
    history = read(export({}, {"警情类别": "交通事故", "警情级别": "P1"}, encoding=encoding))
    assert history.calls["number"].tolist() == ["A1", "A2"]
    assert history.calls["type"].tolist() == [IncidentType.PUBLIC_ORDER, IncidentType.TRAFFIC]
    assert history.calls["priority"].tolist() == [2, 1]
    assert history.calls["received"].iloc[0] == pd.Timestamp("2024-05-01 08:00")
    assert history.assignments["unit"].tolist() == ["巡组1", "巡组1"]
    assert history.desk_s.tolist() == [80, 80]
    assert history.on_scene_s.tolist() == [24 * 60, 24 * 60]
    assert history.turn_out_s.tolist() == [40, 40]
    assert not history.counts


def test_english_columns_and_parquet_times_are_read(tmp_path: Path, read: Read, lonlat: np.ndarray) -> None:
    received = pd.Series(pd.to_datetime(["2024-05-01 00:00:00", "2024-05-01 01:00:00"])).dt.tz_localize("UTC")
    table = pd.DataFrame(
        {
            "call_number": [17, 18],
            "call_received": received,
            "dispatch_time": pd.to_datetime(["2024-05-01 08:01:00", None]),
            "incident_type": pd.Categorical(["crime", "dispute"]),
            "priority": [1, 4],
            "lon": lonlat[:2, 0],
            "lat": lonlat[:2, 1],
        }
    )
    table.to_parquet(tmp_path / "cad.parquet")
    history = read(tmp_path / "cad.parquet")
    assert history.calls["received"].tolist() == [pd.Timestamp("2024-05-01 08:00"), pd.Timestamp("2024-05-01 09:00")]
    assert history.calls["type"].tolist() == [IncidentType.CRIME, IncidentType.DISPUTE]
    assert history.calls["priority"].tolist() == [1, 4]
    assert history.calls["number"].tolist() == ["17", "18"]
    assert history.desk_s[0] == 60
    assert np.isnan(history.desk_s[1])
    assert len(history.assignments) == 1
    assert counted(history, "times with another offset").rows == 2


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.large_string())])
def test_texts_in_parquet_are_read_as_those_in_csv(
    export: Export, read: Read, tmp_path: Path, kind: pa.DataType
) -> None:
    path = export({"报警时间": "2024年5月1日 8:00"}, {"到达时间": ""})
    table = pa.Table.from_pandas(pd.read_csv(path, dtype=str, keep_default_na=False), preserve_index=False)
    columns = [column.cast(pa.string()).cast(kind) for column in table.columns]
    pq.write_table(pa.table(columns, names=table.column_names), tmp_path / "cad.parquet", row_group_size=1)
    history = read(tmp_path / "cad.parquet")
    pd.testing.assert_frame_equal(history.calls, read(path).calls)
    pd.testing.assert_frame_equal(history.assignments, read(path).assignments)


def test_rows_of_one_call_are_one_incident_with_an_assignment_each(export: Export, read: Read) -> None:
    second = {
        "警情编号": "A1",
        "处警单位": "巡组2",
        "派警时间": "2024-05-01 08:01:00",
        "反馈时间": "2024-05-01 08:40:00",
    }
    history = read(export({}, second, {}, {**second, "报警时间": "2024-05-01 08:00:30"}))
    assert len(history) == 2
    assert history.calls["number"].tolist() == ["A1", "A3"]
    assert history.n_units.tolist() == [2, 1]
    assert history.assignments["unit"].tolist() == ["巡组2", "巡组1", "巡组1"]
    assert history.desk_s[0] == 60, "to the first order"
    assert history.on_scene_s[0] == 34 * 60, "to the last feedback"
    assert counted(history, "rows that go on with a call").rows == 2
    assert counted(history, "assignments told twice").rows == 1
    assert counted(history, "calls whose rows differ in received").rows == 1
    assert counted(history, "calls whose rows differ in place").rows == 1


def test_several_files_are_one_history(export: Export, read: Read) -> None:
    late, early = (
        export({}, name="may.csv"),
        export({"警情编号": "B1", "报警时间": "2024-04-01 08:00"}, name="april.csv"),
    )
    history = read(late, early)
    assert history.calls["number"].tolist() == ["B1", "A1"]
    assert [source.file for source in history.sources] == ["may.csv", "april.csv"]


def test_a_mapping_overrules_usual_names_and_tells_words(export: Export, read: Read, tmp_path: Path) -> None:
    rows = {"警情类别": "涉水", "警情级别": "特急", "到现场": "2024-05-01 08:09:00", "状态": "白跑"}
    path = export(rows, {"警情类别": "邻里不和", "到现场": "2024-05-01 08:09:00"})
    toml = tmp_path / "mapping.toml"
    toml.write_text('[types]\n"涉水" = "help"\n[priorities]\n"特急" = 1\n[statuses]\n"白跑" = "false_alarm"', "utf-8")
    history = read(path, mapping=CadMapping.of(["arrived=到现场"], toml))
    assert history.calls["type"].tolist() == [IncidentType.HELP, UNKNOWN]
    assert history.calls["priority"].tolist() == [1, 2]
    assert history.calls["status"].tolist() == [Status.FALSE_ALARM, UNKNOWN]
    assert history.on_scene_s.tolist() == [21 * 60] * 2
    assert counted(history, "values not understood: type").examples == ("邻里不和 1",)
    assert counted(history, "columns without a use").examples == ("到达时间",)


def test_the_final_type_goes_before_the_first(export: Export, read: Read) -> None:
    history = read(export({"报警类别": "纠纷", "警情类别": "刑事案件"}, {"报警类别": "群众求助", "警情类别": ""}))
    assert history.calls["type"].tolist() == [IncidentType.CRIME, IncidentType.HELP]
    assert history.calls["first_type"].tolist() == [IncidentType.DISPUTE, IncidentType.HELP]
    assert counted(history, "calls whose final type is not the first one").rows == 1


def test_columns_that_may_tell_of_persons_are_never_read(export: Export, read: Read, tmp_path: Path) -> None:
    personal = {
        "报警人姓名": "张三",
        "联系电话": "13900001111",
        "身份证号": "x",
        "车牌号": "x",
        "简要警情": '称:"我,\n在家"',
    }
    history = read(export(personal, personal))
    assert counted(history, "columns that may tell of persons").examples == tuple(personal)
    history.save(tmp_path / "h")
    tables = [path.read_bytes() for path in (tmp_path / "h").glob("*.parquet")]
    assert all(word.encode() not in table for word in ("张三", "13900001111", "在家") for table in tables)
    told = refused(read, export(personal), mapping=CadMapping.of(["unit=报警人姓名"]))
    assert "unit='报警人姓名'" in told
    assert "never read" in told


def test_units_told_by_plates_and_phones_get_numbers(export: Export, read: Read) -> None:
    units = ["湘A1234警", "13900001111", "巡组1", "湘A1234警"]
    history = read(export(*({"处警单位": unit} for unit in units)))
    assert history.assignments["unit"].tolist() == ["unit 1", "unit 2", "巡组1", "unit 1"]
    assert counted(history, "values of unit that look like phone").rows == 3


@pytest.mark.parametrize(
    "written",
    [
        "2024-05-01 08:30:05",
        "2024-05-01T08:30:05.000+08:00",
        "2024-05-01T00:30:05Z",
        "2024/5/1 8:30:05",
        "2024.05.01 08:30:05",
        "2024年5月1日 8时30分05秒",
        "2024/5/1 上午 8:30:05",
        "2024/5/1 8:30:05 AM",
        "20240501083005",
        " 2024-05-01  08：30：05 ",
    ],
)
def test_times_are_read_in_many_forms(export: Export, read: Read, written: str) -> None:
    history = read(export({"报警时间": written}))
    assert history.calls["received"].iloc[0] == pd.Timestamp("2024-05-01 08:30:05")


def test_hours_after_noon_and_at_midnight_are_read(export: Export, read: Read) -> None:
    forms = ["2024/5/1 下午 1:05", "2024/5/1 12:05:00 AM", "2024/5/1 23:59"]
    received = read(export(*({"报警时间": form} for form in forms))).calls["received"]
    assert received.dt.strftime("%H:%M").tolist() == ["00:05", "13:05", "23:59"]


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("45413.354", "spreadsheet's day number"),
        ("2024-02-31 08:00:00", "2024-02-31"),
        ("2024-05-01", "a date and a time"),
        ("01/05/2024 08:00", "[times] format"),
        ("8 Uhr", "8 Uhr"),
        ("2024-05-01 25:00:00", "25:00"),
    ],
)
def test_an_unreadable_time_is_told_with_its_row(export: Export, read: Read, written: str, hint: str) -> None:
    told = refused(read, export({}, {"到达时间": written}, {"到达时间": written}))
    assert "row 2, column '到达时间'" in told
    assert "(and 1 rows more)" in told
    assert hint in told


def test_a_format_may_be_given(export: Export, read: Read) -> None:
    times = dict.fromkeys(("派警时间", "出动时间", "到达时间", "反馈时间"), "")
    said = CadMapping(time_format="%d/%m/%Y %H:%M")
    history = read(export({"报警时间": "1/5/2024 8:30", **times}), mapping=said)
    assert history.calls["received"].iloc[0] == pd.Timestamp("2024-05-01 08:30")
    assert "31/02/2024" in refused(read, export({"报警时间": "31/02/2024 08:30", **times}), mapping=said)


def test_odd_times_are_counted_by_kind_and_by_pair_and_left_as_they_are(export: Export, read: Read) -> None:
    history = read(
        export(
            {"到达时间": ""},
            {"到达时间": "0000-00-00 00:00:00", "反馈时间": "1900-01-01 00:00:00"},
            {"到达时间": "2024-05-01 08:01:20"},
            {"到达时间": "2024-05-01 08:00:30"},
            {"派警时间": "NULL"},
        )
    )
    assert counted(history, "times missing: arrived").rows == 1
    assert counted(history, "times missing: ordered").rows == 1
    assert counted(history, "times zero, or a date that stands for none: arrived").rows == 1
    assert counted(history, "times zero, or a date that stands for none: feedback").rows == 1
    assert counted(history, "times identical: arrived and ordered").rows == 1
    assert counted(history, "times reversed: arrived before ordered").rows == 1
    assert counted(history, "times reversed: arrived before ordered").of == 2
    assert counted(history, "times reversed: arrived before rolling").rows == 2
    assert "received" not in kinds(history)
    assert history.assignments["arrived"].isna().tolist() == [True, True, False, False, False]
    assert np.isnan(history.on_scene_s).tolist() == [True, True, False, False, False]


def test_offices_that_press_the_button_at_once_are_named(export: Export, read: Read) -> None:
    pressed = {"到达时间": ROW["派警时间"], "管辖单位": "东风所"}
    history = read(export(*[pressed] * 60, *[{"管辖单位": "解放所"}] * 60))
    found = counted(history, "arrivals at the second of the order")
    assert (found.rows, found.of, found.examples) == (60, 120, ("东风所 100 %",))


def test_rows_without_time_or_place_are_counted(export: Export, read: Read) -> None:
    rows = ({"报警时间": ""}, {"经度": "0", "纬度": "0"}, {"经度": "", "纬度": ""}, {"经度": "118.1"}, {}, {}, {})
    history = read(export(*rows))
    assert len(history) == 6
    assert counted(history, "calls without a received time").rows == 1
    assert counted(history, "places at 0").examples == ("row 2",)
    assert counted(history, "places missing").examples == ("row 3",)
    assert counted(history, "places farther than 1,000 m").examples == ("row 4",)
    assert counted(history, "calls without a place").rows == 2


@pytest.mark.parametrize(("declared", "datum"), [("GCJ-02", Datum.GCJ02), ("bd09", Datum.BD09)])
def test_places_come_out_of_their_datum(
    export: Export, read: Read, lonlat: np.ndarray, declared: str, datum: Datum
) -> None:
    shifted = from_wgs84(lonlat, datum)
    rows = [{"经度": f"{lon:.7f}", "纬度": f"{lat:.7f}"} for lon, lat in shifted]
    right = read(export(*rows), places_crs=declared)
    plain = read(export(*[{}] * len(rows), name="plain.csv"))
    columns = ["x_m", "y_m"]
    assert np.abs(right.calls[columns].to_numpy() - plain.calls[columns].to_numpy()).max() < 0.05
    assert right.sources[0].declared == declared
    assert "another datum" not in kinds(right)


def test_a_wrong_datum_is_told(export: Export, read: Read, lonlat: np.ndarray) -> None:
    rows = [{"经度": f"{lon:.7f}", "纬度": f"{lat:.7f}"} for lon, lat in from_wgs84(lonlat, Datum.GCJ02)]
    history = read(export(*rows))
    assert "declare GCJ-02 with --places-crs" in counted(history, "places that look as if").done


def test_metres_need_a_crs(export: Export, read: Read, small_city: City, lonlat: np.ndarray) -> None:
    (x, y) = project(lonlat[:1], LONLAT, small_city.network.epsg)[0]
    path = export({"x坐标": f"{x:.3f}", "y坐标": f"{y:.3f}"}, drop="经度 纬度")
    assert "--places-crs" in refused(read, path)
    assert read(path, places_crs="EPSG:4547").calls["x_m"].iloc[0] == pytest.approx(x, abs=0.002)


def test_swapped_and_foreign_places_are_refused(export: Export, read: Read, lonlat: np.ndarray) -> None:
    lon, lat = lonlat[0]
    told = refused(read, export({"经度": lat, "纬度": lon}))
    assert "x and y swapped" in told
    assert "--column x=纬度 --column y=经度" in told
    assert "100 % of the places farther than 1,000 m" in refused(read, export({"经度": 116.4, "纬度": 39.9}))
    assert "no place in any row" in refused(read, export({"经度": "", "纬度": ""}))


def test_torn_rows_are_left_out_and_counted_unless_there_are_many(export: Export, read: Read) -> None:
    path = export(*[{}] * 200)
    lines = path.read_text("utf-8").splitlines()
    lines[8] = "A8,2024-05-01"
    path.write_text("\n".join(lines), "utf-8")
    history = read(path)
    assert len(history) == 199
    assert counted(history, "rows torn").examples == ("row 8",)
    lines[2:8] = [line + ",more" for line in lines[2:8]]
    path.write_text("\n".join(lines), "utf-8")
    assert "7 of 200 rows of another length than the header, the first is row 2" in refused(read, path)


def test_rows_are_numbered_as_in_the_file_behind_a_torn_one(export: Export, read: Read) -> None:
    path = export(*[{}] * 300, {"到达时间": "soon"})
    lines = path.read_text("utf-8").splitlines()
    lines[1] = "A1"
    path.write_text("\n".join(lines), "utf-8")
    assert "row 301, column '到达时间'" in refused(read, path)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_are_seen(export: Export, read: Read, delimiter: str) -> None:
    path = export({}, {})
    path.write_text(path.read_text("utf-8").replace(",", delimiter), "utf-8")
    assert len(read(path)) == 2


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        (b"", "an empty file"),
        ("报警时间,经度,纬度\n".encode(), "no rows below the header"),
        ("报警时间,经度,纬度\n2024-05-01 08:00:00,112,28\n".encode("utf-16"), "UTF-16"),
        (b"a,b\n1,\0\n", "line 2: found a NUL byte"),
        ("报警时间,经度\n".encode("gb18030") + b"\xff\xff,1\n", "line 2: found the byte 0xff, which is neither"),
        ("报警时间,经度,纬度\n".encode() + b"\xb1\xa8,1,2\n", "line 2: found the byte 0xb1 in a text that is UTF-8"),
        ('报警时间,经度,纬度\n"2024-05-01 08:00:00,1,2\n'.encode(), "odd number of quotes"),
        ("报警的时间,经度,纬度\n1,1,2\n".encode(), "--column received=NAME"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, read: Read, content: bytes, hint: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    told = refused(read, path)
    assert hint in told
    assert "bad.csv" in told


def test_workbooks_and_missing_files_are_refused_with_a_mend(tmp_path: Path, read: Read) -> None:
    (tmp_path / "cad.xlsx").write_bytes(b"PK")
    assert "Save the sheet as CSV" in refused(read, tmp_path / "cad.xlsx")
    assert "no such file" in refused(read, tmp_path / "none.csv")
    (tmp_path / "cad.parquet").write_bytes(b"PAR1")
    assert "a Parquet file" in refused(read, tmp_path / "cad.parquet")


def test_a_mapped_column_that_is_missing_is_told_with_the_nearest(export: Export, read: Read) -> None:
    told = refused(read, export(), mapping=CadMapping.of(["arrived=到达的时间", "unit=单位"]))
    assert "no column '到达的时间' for arrived; expected '到达时间', the nearest of" in told
    assert "no column '单位' for unit" in told


def test_all_faults_of_a_mapping_are_told_at_once(tmp_path: Path) -> None:
    toml = tmp_path / "mapping.toml"
    toml.write_text('[columns]\narived = "a"\nunit = 3\n[types]\n"x" = "traffik"\n[times]\nform = "x"\n', "utf-8")
    with pytest.raises(InputError) as told:
        CadMapping.of(path=toml)
    text = str(told.value)
    assert "columns.arived" in text
    assert "'arrived', the nearest" in text
    assert "columns.unit: found 3; expected a text" in text
    assert "'traffic', the nearest" in text
    assert "times.form" in text
    with pytest.raises(InputError, match="'received', the nearest"):
        CadMapping.of(["recieved=报警时间"])
    with pytest.raises(InputError, match="FIELD=COLUMN"):
        CadMapping.of(["报警时间"])
    toml.write_text('[column]\narrived = "a"\n', "utf-8")
    with pytest.raises(InputError, match="'columns', the nearest"):
        CadMapping.of(path=toml)
