"""Networks as tables of nodes and edges, and as TNTP files."""

import contextlib
import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geodata.errors import InputError
from geodata.network import OneWay, RoadClass, Streets, build_network
from geodata.readers.tables import EdgeColumns, NodeColumns, read_tables
from geodata.readers.tntp import read_tntp
from geodata.readers.values import POSTED_LIMIT_SHARE

DATA = Path(__file__).parents[2] / "../shared/data"
NODES = "id,lon,lat\n1,112.90,28.20\n2,112.91,28.20\n3,112.91,28.21\n"
"""1 to 2 are 982 m apart, 2 to 3 1,108 m."""
NAN = float("nan")


def write(folder: Path, edges: str, nodes: str = NODES, *, encoding: str = "utf-8") -> Path:
    (folder / "nodes.csv").write_bytes(nodes.encode(encoding))
    (folder / "edges.csv").write_bytes(edges.encode(encoding))
    return folder / "edges.csv"


def read(folder: Path, edges: str, nodes: str = NODES, **options: Any) -> tuple[Streets, list[str]]:
    streets, defects = read_tables(write(folder, edges, nodes), **({"directed": True} | options))
    told = [str(defect) for defect in defects]
    return streets, [text for text in told if "without classes" not in text]


def test_opposite_rows_of_one_length_are_one_street_with_both_times(tmp_path: Path) -> None:
    edges = "u,v,length_m,t_siren_s,t_normal_s\n1,2,1000,50,60\n2,1,1000.05,70,80\n2,3,1200,90,99\n"
    streets, told = read(tmp_path, edges)
    assert told == []
    assert streets.epsg == 4547
    assert streets.one_way.tolist() == [OneWay.NO, OneWay.FORWARD]
    assert list(streets.label or ()) == ["line 2", "line 4"]
    assert streets.length_m == pytest.approx([1000, 1200])
    assert list(streets.given_s) == ["siren", "normal"]
    assert streets.given_s["siren"] == pytest.approx(np.array([[50, 70], [90, NAN]]), nan_ok=True)
    assert streets.given_s["normal"] == pytest.approx(np.array([[60, 80], [99, NAN]]), nan_ok=True)


def test_opposite_rows_of_different_lengths_stay_apart(tmp_path: Path) -> None:
    streets, _ = read(tmp_path, "u,v,length_m\n1,2,1000\n2,1,1100\n")
    assert streets.one_way.tolist() == [OneWay.FORWARD, OneWay.FORWARD]


def test_rows_may_be_whole_streets_with_a_one_way_mark(tmp_path: Path) -> None:
    edges = "u,v,oneway,t_car_s\n1,2,no,100\n2,3,yes,110\n3,1,-1,150\n1,3,sometimes,150\n"
    streets, told = read(tmp_path, edges, directed=False)
    assert streets.one_way.tolist() == [OneWay.NO, OneWay.FORWARD, OneWay.BACKWARD, OneWay.NO]
    expected = np.array([[100, 100], [110, NAN], [NAN, 150], [150, 150]])
    assert streets.given_s["car"] == pytest.approx(expected, nan_ok=True)
    assert "1 case of one-way marks that are not understood, 1.5 km: taken as both ways (line 5 (sometimes))" in told


@pytest.mark.parametrize(
    ("edges", "taken"),
    [
        ("u,v\n1,2\n2,1\n2,3\n", "for one direction"),
        ("u,v\n1,2\n2,3\n", "for a whole street"),
        ("u,v,oneway\n1,2,no\n2,1,no\n2,3,yes\n", "for one direction"),
        ("u,v,oneway\n1,2,no\n2,3,yes\n3,2,yes\n", "for a whole street"),
    ],
)
def test_whether_rows_are_directed_is_seen_from_their_opposites_and_told(
    tmp_path: Path, edges: str, taken: str
) -> None:
    streets, told = read(tmp_path, edges, directed=None)
    assert f"source that does not say whether its edges are directed: each edge is taken {taken}" in told
    assert streets.one_way[0] == OneWay.NO


def test_a_two_way_mark_on_one_direction_alone_is_told(tmp_path: Path) -> None:
    streets, told = read(tmp_path, "u,v,oneway,length_m\n1,2,no,1000\n2,1,no,1000\n2,3,no,1200\n3,1,yes,1500\n")
    assert streets.one_way.tolist() == [OneWay.NO, OneWay.FORWARD, OneWay.FORWARD]
    assert told == [
        "1 case of edges marked as two-way without an opposite one, 1.1 km: "
        "taken as one-way: each edge is one direction (line 4)"
    ]


def test_lengths_are_measured_where_there_are_none_or_wrong_ones(tmp_path: Path) -> None:
    streets, told = read(tmp_path, "u,v,length_m\n1,2,\n2,3,0\n3,2,-5\n1,3,10\n3,1,long\n2,1,1000\n")
    assert streets.length_m == pytest.approx([982, 1108, 1481, 1000], abs=1)
    assert told == [
        "1 case of lengths that are no number, 1.5 km: measured on the line instead (line 6 (long))",
        "1 case of edges without a length, 1.0 km: measured on the line instead (line 2)",
        "2 lengths that are none, 2.2 km: measured on the line instead (line 3 (0 m), line 4 (-5 m))",
        "1 case of lengths shorter than the line, 1.5 km: measured on the line instead (line 5 (10 m))",
    ]
    streets, told = read(tmp_path, "u,v\n1,2\n")
    assert streets.length_m == pytest.approx([982], abs=1)
    assert told == ["source without lengths: measured on the lines"]


def test_times_that_cannot_be_right_are_told_and_not_used(tmp_path: Path) -> None:
    streets, told = read(tmp_path, "u,v,t_car_s\n1,2,0\n2,3,-4\n3,1,\n1,3,soon\n2,1,3\n3,2,100\n")
    assert np.isnan(streets.given_s["car"]).sum() == 2 * 3 - 1
    assert [text for text in told if "time" in text] == [
        "1 case of times 'car' that are no number, 1.5 km: not used: the class decides there (line 5 (soon))",
        "2 times 'car' that are none, 2.1 km: not used: the class decides there (line 2 (0 s), line 3 (-4 s))",
        "1 case of times 'car' too short, 1.0 km: not used: the class decides there (line 6 (1,178 km/h))",
        "2 edges without a time 'car', 3.0 km: the class decides there (line 4, line 5)",
    ]


def test_units_stand_in_the_names_of_columns_or_are_assumed_and_told(tmp_path: Path) -> None:
    streets, told = read(tmp_path, "u,v,length_km,t_bus_min\n1,2,1.5,3\n")
    assert streets.length_m == pytest.approx([1500])
    assert streets.given_s["bus"][0, 0] == 180
    assert told == []
    streets, told = read(tmp_path, "u,v,length,free_flow_time\n1,2,1500,180\n")
    assert streets.given_s["free_flow"][0, 0] == 180
    assert told == [
        "column 'length' that names no unit: taken in metres",
        "column 'free_flow_time' that names no unit: taken in seconds",
    ]


def test_lengths_in_another_unit_are_noticed(tmp_path: Path) -> None:
    _, told = read(tmp_path, "u,v,length_m\n1,2,3222\n2,3,3635\n")
    assert told == [
        "lengths that are mostly 3.3 times as long as the lines: used as they are; check the unit that they are in"
    ]


def test_columns_may_have_any_names(tmp_path: Path) -> None:
    edges = "a,b,len_m,kind,v_max,label,mins\n1,2,1000,主干路,60,五一大道,2\n2,3,1200,what,900,,3\n"
    nodes = "no,X,Y\n1,500000,3120000\n2,501000,3120000\n3,501000,3121100\n"
    columns = EdgeColumns(
        start="a", end="b", length="len_m", road_class="kind", limit_kmh="v_max", name="label", times={"car": "mins"}
    )
    streets, told = read(
        tmp_path, edges, nodes, columns=columns, node_columns=NodeColumns(id="no", x="X", y="Y"), crs="EPSG:4547"
    )
    assert streets.shape_xy_m[0].tolist() == pytest.approx([500000, 3120000])
    assert streets.road_class.tolist() == [RoadClass.ARTERIAL, RoadClass.LOCAL]
    assert streets.speed_kmh == pytest.approx([60 * POSTED_LIMIT_SHARE, NAN], nan_ok=True)
    assert list(streets.name) == ["五一大道", ""]
    assert told == [
        "column 'mins' that names no unit: taken in seconds",
        "1 case of classes that are not understood, 1.1 km: taken as local (line 3 (what))",
        "1 case of speeds not used, 1.1 km: the class decides (line 3 (900 km/h))",
        "2 times 'car' too short, 2.1 km: not used: the class decides there (line 2 (1,800 km/h), line 3 (1,440 km/h))",
    ]


def test_edges_to_unknown_nodes_are_left_out_and_told(tmp_path: Path) -> None:
    streets, told = read(tmp_path, "u,v\n1,2\n2,9\n,1\n8,9\n")
    assert list(streets.label or ()) == ["line 2"]
    assert told[0] == (
        "3 edges to nodes that are not listed: left out (line 3 (node '9'), line 4 (node ''), line 5 (node '8'))"
    )


def test_ids_that_a_spreadsheet_wrote_as_decimals_are_the_same(tmp_path: Path) -> None:
    streets, _ = read(tmp_path, "u,v\n1,2.0\n", NODES.replace("1,112.90", "1.0,112.90"))
    assert len(streets.start) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_text_may_be_in_each_usual_encoding(tmp_path: Path, encoding: str) -> None:
    path = write(
        tmp_path, "起点,终点,路名\n1,2,芙蓉路\n", "编号,经度,纬度\n1,112.90,28.20\n2,112.91,28.20\n", encoding=encoding
    )
    assert list(read_tables(path)[0].name) == ["芙蓉路"]


def test_blank_lines_do_not_count_but_keep_the_numbers_of_the_others(tmp_path: Path) -> None:
    streets, told = read(tmp_path, 'u,v,name\n\n1,2,"two\nlines"\n\n2,3,b\n7,1,\n')
    assert list(streets.label or ()) == ["line 3", "line 6"]
    assert told[0].startswith("1 case of edges to nodes that are not listed: left out (line 7 ")


def test_a_declared_datum_is_converted(tmp_path: Path) -> None:
    plain, _ = read(tmp_path, "u,v\n1,2\n")
    moved, _ = read(tmp_path, "u,v\n1,2\n", crs="GCJ-02")
    assert 200 < np.hypot(*(plain.shape_xy_m - moved.shape_xy_m).T).max() < 900


def test_a_node_listed_twice_at_one_place_is_told(tmp_path: Path) -> None:
    _, told = read(tmp_path, "u,v\n1,2\n", NODES + "1,112.90,28.20\n")
    assert told[0] == "1 case of nodes listed again: the first one stays (line 5)"


@pytest.mark.parametrize(
    ("edges", "nodes", "found"),
    [
        ("u,v\n1,2\n", NODES + "1,112.95,28.20\n", r"nodes\.csv: line 5: found the id '1' again, at another place"),
        ("u,v\n1,2\n", NODES + "4,x,28\n", r"nodes\.csv: line 5: found 'x' and '28'"),
        ("u,v\n1,2\n", NODES + "4,,28\n", r"nodes\.csv: line 5: found '' and '28'"),
        ("u,v\n1,2\n", NODES + "4,inf,28\n", r"nodes\.csv: line 5"),
        ("u,v\n1,2\n", NODES + "4,0,0\n", r"nodes\.csv: line 5: found \(0, 0\)"),
        ("u,v\n1,2\n", NODES + "4,28.2,112.9\n", r"nodes\.csv: line 5: found .*swapped"),
        ("u,v\n1,2\n", "id,x,y\n1,112.9,28.2\n2,112.9,28.3\n", r"columns x, y: found no CRS"),
        ("u,v\n1,2\n", "id,a,b\n1,2,3\n", "header: found id, a, b; expected columns lon and lat, or x and y"),
        ("u,v\n1,2\n", "lon,lat\n112.9,28.2\n", "expected a column for the id of a node"),
        ("u,w\n1,2\n", NODES, "expected a column for the node where it ends, such as 'v'"),
        ("u,v\n8,9\n", NODES, "none of them in .*nodes.csv"),
        ("u,v\n", NODES, r"edges\.csv: found no rows"),
        ("", NODES, r"edges\.csv"),
        ("u,v\n1,2,3\n", NODES, r"edges\.csv"),
        ("u,v\n1,2\n1,2,3\n", NODES, r"edges\.csv: line 3: found 3 values; expected 2"),
        ("u,v\n1,2\n1\n", NODES, r"edges\.csv: line 3: found 1 values; expected 2"),
        ("u,v,u\n1,2,3\n", NODES, "'u' twice"),
        ('u,v\n1,"2\n', NODES, r"edges\.csv: line 2: found unexpected end of data"),
        ("u,v\n1,\0\n", NODES, r"edges\.csv: line 2: found a NUL byte"),
    ],
)
def test_what_is_wrong_with_a_table_is_told_by_row(tmp_path: Path, edges: str, nodes: str, found: str) -> None:
    with pytest.raises(InputError, match=found):
        read(tmp_path, edges, nodes)


def test_a_missing_table_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, "u,v\n1,2\n")
    (tmp_path / "nodes.csv").unlink()
    with pytest.raises(InputError, match=r"no table of nodes beside it; expected a file nodes\.csv"):
        read_tables(path)
    with pytest.raises(InputError, match="no such file"):
        read_tables(path, tmp_path / "none.csv")
    with pytest.raises(InputError, match="no column 'kind'; expected one of u, v"):
        read_tables(write(tmp_path, "u,v\n1,2\n"), columns=EdgeColumns(road_class="kind"))


def test_a_packed_table_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "u,v\n1,2\n")
    packed = tmp_path / "edges.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert len(read_tables(packed)[0].start) == 1
    packed.write_bytes(packed.read_bytes()[:-4])
    with pytest.raises(InputError, match="Copy the file anew"):
        read_tables(packed)


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
def test_a_real_city_keeps_its_arcs_and_both_times() -> None:
    network, lost = build_network(read_tables(DATA / "auckland/arcs.csv.gz")[0])
    arcs = pd.read_csv(DATA / "auckland/arcs.csv.gz")
    assert (network.n_nodes, network.n_open, lost) == (54_370, 90_638, [])
    assert network.given_names == ("siren", "normal")
    total = np.nansum(network.given_s[:, : network.n_open], axis=1)
    assert total == pytest.approx([arcs["t_siren_s"].sum(), arcs["t_normal_s"].sum()])


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
def test_a_real_city_of_undirected_segments_is_two_way() -> None:
    streets, defects = read_tables(DATA / "changsha-osm2019/edges.csv.gz")
    assert len(streets.start) == 74_546
    assert not streets.one_way.any()
    assert [(defect.kind, len(defect)) for defect in defects if not defect.general] == [("lengths that are none", 5)]


@settings(max_examples=200)
@given(data=st.data())
def test_mangled_tables_are_read_or_refused_but_never_break(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("mangled")
    path = write(folder, "u,v,length_m,oneway,maxspeed,t_car_s\n1,2,1000,yes,60,50\n2,1,1000,no,,60\n2,3,1200,,50,70\n")
    for name in ("nodes.csv", "edges.csv"):
        content = bytearray((folder / name).read_bytes())
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(content) - 1))
            odd = [b"", b"9", b",", b"\n", b'"', b"-", b"nan", b"\xff", b"\0", b"1e999"]
            content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.sampled_from(odd))
        (folder / name).write_bytes(bytes(content))
    with contextlib.suppress(InputError):
        streets, _ = read_tables(path)
        assert np.isfinite(streets.shape_xy_m).all()


NET = """<NUMBER OF ZONES> 1
<NUMBER OF NODES> 3
<FIRST THRU NODE> 2
<NUMBER OF LINKS> 4
<END OF METADATA>

~ init_node term_node capacity length free_flow_time b power speed toll link_type ;
\t1\t2\t1000\t0.6\t0\t0.15\t4\t25\t0\t3\t;
\t2\t3\t1000\t0.7\t1.0\t0.15\t4\t40\t0\t1\t;
\t3\t2\t1000\t0.7\t1.0\t0.15\t4\t40\t0\t1\t;
\t3\t1\t500\t1\t2.0\t0.15\t4\t30\t0\t2\t;
"""
PLACES = "node\tX\tY ;\n1\t700000\t1900000 ;\n2\t703000\t1900000 ;\n3\t703000\t1903500 ;\n"
FLOW = "<NUMBER OF LINKS> -1\n<END OF METADATA>\n\nFrom To Volume Cost ;\n1 2 10 0 ;\n2 3 2000 1 ;\n3 2 0 1 ;\n"
CHICAGO = "EPSG:26771"


def tntp(folder: Path, net: str = NET, places: str = PLACES, flow: str | None = FLOW) -> Path:
    (folder / "Town_net.tntp").write_text(net)
    (folder / "Town_node.tntp").write_text(places)
    if flow is not None:
        (folder / "Town_flow.tntp").write_text(flow)
    return folder / "Town_net.tntp"


def test_tntp_files_give_free_flow_and_congested_times(tmp_path: Path) -> None:
    streets, defects = read_tntp(tntp(tmp_path), crs=CHICAGO)
    assert list(streets.label or ()) == ["line 8", "line 9", "line 11"]
    assert streets.one_way.tolist() == [OneWay.FORWARD, OneWay.NO, OneWay.FORWARD]
    assert streets.length_m == pytest.approx(1609.344 * np.array([0.6, 0.7, 1.0]))
    assert streets.given_s["free_flow"] == pytest.approx(np.array([[NAN, NAN], [60, 60], [120, NAN]]), nan_ok=True)
    slow = 60 * (1 + 0.15 * 2**4)
    assert streets.given_s["congested"] == pytest.approx(np.array([[NAN, NAN], [slow, 60], [NAN, NAN]]), nan_ok=True)
    assert streets.speed_kmh == pytest.approx([NAN, 1609.344 * 0.7 / 60 * 3.6, 1609.344 / 120 * 3.6], nan_ok=True)
    assert streets.road_class.tolist() == [RoadClass.LOCAL, RoadClass.COLLECTOR, RoadClass.LOCAL]
    told = [str(defect) for defect in defects]
    assert told[:2] == [
        "units that the file does not tell: lengths taken in units of 1,609.34 m, times in units of 60 s",
        "link types that the file does not explain: all streets but connectors are taken as collector",
    ]
    assert any(text.startswith("2 centroid connectors") and "(line 8, line 11)" in text for text in told)
    assert any(
        text.startswith("1 case of times 'free_flow' that are none") and "(line 8 (0 s))" in text for text in told
    )
    assert any(text.startswith("1 case of edges without a time 'congested'") and "(line 11)" in text for text in told)


def test_tntp_units_and_classes_may_be_named(tmp_path: Path) -> None:
    streets, _ = read_tntp(
        tntp(tmp_path, flow=None),
        crs=CHICAGO,
        metres_per_length=1000,
        seconds_per_time=3600,
        class_of_type={1: RoadClass.ARTERIAL},
    )
    assert streets.length_m == pytest.approx([600, 700, 1000])
    assert list(streets.given_s) == ["free_flow"]
    assert streets.given_s["free_flow"][1].tolist() == [3600, 3600]
    assert streets.road_class[1] == RoadClass.ARTERIAL


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
def test_the_real_rush_hour_of_chicago_agrees_with_its_published_costs() -> None:
    folder = DATA / "chicago-tntp"
    streets, defects = read_tntp(folder / "ChicagoRegional_net.tntp.gz", crs=CHICAGO)
    net, flow = (
        pd.read_csv(folder / f"ChicagoRegional_{name}.tntp.gz", sep="\t", skiprows=head).rename(columns=str.strip)
        for name, head in (("net", 7), ("flow", 7))
    )
    # the published cost is minutes, with a toll at 0.1 minutes a cent and a mile at 0.25 minutes
    expected_s = 60 * (flow["Cost"].to_numpy() - 0.25 * net["length"].to_numpy() - 0.1 * net["toll"].to_numpy())
    line = np.array([int(label.removeprefix("line ")) for label in streets.label or []])
    row = line - 10
    along = streets.given_s["congested"][:, 0]
    known = ~np.isnan(along)
    assert known.mean() > 0.8
    assert along[known] == pytest.approx(expected_s[row][known], abs=1e-6)
    network, _ = build_network(streets)
    assert (network.n_nodes, network.n_open) == (12_978, 39_017)
    counted = {defect.kind: len(defect) for defect in defects}
    assert counted["centroid connectors"] == 3582


@pytest.mark.parametrize(
    ("net", "places", "found"),
    [
        (NET.rstrip().rpartition("\n")[0] + "\n", PLACES, r"found 3 rows; expected <NUMBER OF LINKS> 4"),
        (NET, PLACES.replace("3\t703000", "2\t703000"), r"Town_node\.tntp: line 4: found the node 2 again"),
        (NET, PLACES.rstrip().rpartition("\n")[0] + "\n", "found 2 nodes; expected the 3"),
        (NET, PLACES.replace("1903500", "nan"), r"line 4: found no place"),
        (NET.replace("0.15\t4\t25", "0.15\tfour\t25"), PLACES, r"Town_net\.tntp: line 8: found power 'four'"),
        (NET.replace("\t0\t3\t;", "\t;"), PLACES, r"Town_net\.tntp: line 8: found 8 values"),
        (NET.replace("\t1\t2\t1000", "\t1\t7\t1000"), PLACES, r"line 8: found a node that Town_node\.tntp does not"),
        ("", PLACES, r"Town_net\.tntp: found no rows"),
    ],
)
def test_what_is_wrong_with_a_tntp_file_is_told(tmp_path: Path, net: str, places: str, found: str) -> None:
    with pytest.raises(InputError, match=found):
        read_tntp(tntp(tmp_path, net, places), crs=CHICAGO)


def test_a_tntp_network_needs_nodes_and_a_crs(tmp_path: Path) -> None:
    path = tntp(tmp_path)
    with pytest.raises(InputError, match=r"TNTP files tell no CRS.*Declare it"):
        read_tntp(path, crs=None)
    (tmp_path / "alone").mkdir()
    shutil.copy(path, tmp_path / "alone")
    with pytest.raises(InputError, match=r"no file of nodes beside it; expected Town_node\.tntp"):
        read_tntp(tmp_path / "alone/Town_net.tntp", crs=CHICAGO)


def test_nodes_in_feet_that_are_taken_for_metres_are_pointed_out(tmp_path: Path) -> None:
    """Thirty edges of 100 m in a row, their nodes 328 apart."""
    nodes = "".join(f"{i},{500_000 + 328.08 * i},3120000\n" for i in range(31))
    (tmp_path / "nodes.csv").write_text(f"id,x,y\n{nodes}")
    edges = "".join(f"{i},{i + 1},100\n" for i in range(30))
    (tmp_path / "edges.csv").write_text(f"u,v,length_m\n{edges}")
    _, defects = read_tables(tmp_path / "edges.csv", crs="EPSG:4547", directed=False)
    told = next(defect for defect in defects if defect.stays)
    assert str(told).startswith("lengths that are mostly 0.3 of the lines between the nodes: check the CRS")
