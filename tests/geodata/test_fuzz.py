"""Bad input: every reader reads a spoiled file or refuses it by name, tells of all that it leaves out, and never takes
more memory than there is."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from fuzz_samples import BOX, DATA, samples
from fuzzing import run_case
from spoiling import spoiled_layer, write_layer

from geodata.assemble import assemble_city
from geodata.calibrate import read_journeys
from geodata.defects import Defect
from geodata.errors import InputError
from geodata.network import Streets
from geodata.readers.layers import LineColumns
from geodata.readers.places import read_sites
from geodata.readers.roads import RoadOptions, read_roads

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real files are not at {DATA}")

ROUNDS = 10
"""Of each sample; `make fuzz` does more."""
READERS = (
    "OSM",
    "Overpass JSON",
    "GraphML",
    "node-link JSON",
    "osmnx GPKG",
    "road tables",
    "TNTP",
    "line layers",
    "areas",
    "cells",
    "sites",
    "posts",
    "residents table",
    "residents raster",
    "residents layer",
    "journeys",
    "saved city",
)
CHANGSHA = DATA / "changsha-osm2019"


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def all_samples(scratch: Path) -> list[object]:
    return list(samples(scratch))


@pytest.mark.xdist_group("fuzz")
def test_every_reader_has_samples(all_samples: list) -> None:
    assert {sample.reader for sample in all_samples} == set(READERS)


@pytest.mark.xdist_group("fuzz")
@pytest.mark.parametrize("reader", READERS)
def test_a_spoiled_file_is_read_or_refused_by_name(reader: str, all_samples: list, scratch: Path) -> None:
    outcomes = [
        run_case(sample, number, scratch)
        for sample in all_samples
        if sample.reader == reader
        for number in range(ROUNDS + 1)
    ]
    broken = [f"{o.sample.name}, round {o.round}: {o.told}" for o in outcomes if o.done == "broken"]
    assert not broken, "\n".join(broken)
    assert {outcome.done for outcome in outcomes} == {"read", "refused"}


def changsha_lines() -> gpd.GeoDataFrame:
    table = pyogrio.read_dataframe(CHANGSHA / "changsha_simplified_edges.gpkg", layer="edges", bbox=BOX)
    return table[["length", "geometry"]].assign(highway="primary", name="路")


def accounted(streets: Streets, defects: Iterable[Defect]) -> set[str]:
    """The first word or two that a street or a defect calls its row by."""
    assert streets.label is not None
    told = [*streets.label, *(label for defect in defects for label in defect.label)]
    return {part.partition(" (")[0] for label in told for part in label.split(" × ")}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("end", ["gpkg", "geojson", "parquet"])
def test_each_feature_of_a_spoiled_layer_is_a_street_or_told(tmp_path: Path, end: str, seed: int) -> None:
    table = changsha_lines()
    spoiled = spoiled_layer(table, random.Random(f"told {end} {seed}")).set_crs(4326, allow_override=True)
    path = tmp_path / f"roads.{end}"
    write_layer(spoiled, path)
    try:
        streets, defects = read_roads(path)
    except InputError:
        return
    assert accounted(streets, defects) >= {f"feature {i + 1}" for i in range(len(spoiled))}


def test_what_a_layer_loses_is_counted_by_kind(tmp_path: Path) -> None:
    table = changsha_lines()
    shapes = np.array(table.geometry.array, object)
    shapes[0] = None
    shapes[1] = shapely.LineString()
    shapes[2] = shapely.get_point(shapes[2], 0)
    shapes[3] = shapely.LineString([shapely.get_point(shapes[3], 0)] * 2)
    shapes[4] = shapely.force_3d(shapes[4], 44.0)
    shapes[5] = shapely.MultiLineString([shapes[5], shapes[6]])
    table = gpd.GeoDataFrame(table.drop(columns="geometry"), geometry=shapes, crs=4326)
    table.loc[table.index[7], "highway"] = "canal"
    write_layer(table, tmp_path / "roads.gpkg")
    columns = LineColumns(road_class="highway", name="name")
    streets, defects = read_roads(tmp_path / "roads.gpkg", RoadOptions(columns=columns))
    counts = {defect.kind: len(defect) for defect in defects}
    assert counts["features without geometry"] == 2
    assert counts["features that are no lines"] == 1
    assert counts["lines without length"] == 1
    assert counts["streets whose class is not understood"] == 1
    assert set(streets.label or ()) == {f"feature {i + 1}" for i in range(4, len(table))}


def test_each_row_of_a_spoiled_table_is_a_street_or_told(tmp_path: Path) -> None:
    nodes = pd.read_csv(CHANGSHA / "nodes.csv.gz", dtype=str)[:4000]
    edges = pd.read_csv(CHANGSHA / "edges.csv.gz", dtype=str)
    edges = edges[edges["u"].isin(nodes["node"]) & edges["v"].isin(nodes["node"])].reset_index(drop=True)
    assert len(edges) > 500
    edges.loc[0, "v"] = "nowhere"
    edges.loc[1, "v"] = edges.loc[1, "u"]
    edges.loc[2:4, "length_m"] = ["NaN", "-5", "1e309"]
    edges.loc[5] = edges.loc[6]
    nodes.to_csv(tmp_path / "nodes.csv", index=False)
    edges.to_csv(tmp_path / "edges.csv", index=False)
    streets, defects = read_roads(tmp_path / "edges.csv")
    assert accounted(streets, defects) >= {f"line {i + 2}" for i in range(len(edges))}
    told = {label for defect in defects for label in defect.label}
    assert {"line 2 (node 'nowhere')", "line 3", "line 5 (-5 m)", "line 6 (inf m)"} <= told


def test_each_edge_of_a_spoiled_graph_is_a_street_or_told(tmp_path: Path) -> None:
    text = (DATA / "small-osm" / "stockholm_w_simplified.graphml").read_text("utf-8")
    pairs = [tuple(part.split('"')[i] for i in (1, 3)) for part in text.split("<edge ")[1:]]
    plain = "".join(text.partition("<edge ")[:1])
    key = next(part.split('"')[1] for part in text.split("<key ")[1:] if 'id="' in part and '"highway"' in part)
    assert key
    path = tmp_path / "graph.graphml"
    first = text.index("<edge ")
    spoiled = text[:first] + text[first:].replace(">residential<", ">footway<", 40)
    path.write_text(spoiled, "utf-8")
    assert plain in spoiled
    streets, defects = read_roads(path)
    kinds = {defect.kind: len(defect) for defect in defects}
    assert kinds["edges not for cars"] >= 40
    known = accounted(streets, defects)
    missing = (
        {f"edge {u}-{v}" for u, v in pairs} - known - {f"edge {v}-{u}" for u, v in pairs if f"edge {v}-{u}" in known}
    )
    assert all(f"edge {b}-{a}" in known for a, b in (edge.removeprefix("edge ").split("-") for edge in missing))


def test_a_row_of_places_is_read_or_named(tmp_path: Path) -> None:
    path = tmp_path / "sites.csv"
    rows = [f"{i},站{i},112.97{i},28.19{i}" for i in range(9)]
    path.write_text("\n".join(["id,name,lon,lat", *rows]), "utf-8")
    assert len(read_sites(path, epsg=4547)[0]) == len(rows)
    rows[2], rows[4], rows[6] = "2,站,NaN,28.192", "4,站,0,0", "6,站,28.196,112.976"
    path.write_text("\n".join(["id,name,lon,lat", *rows]), "gb18030")
    with pytest.raises(InputError, match=r"line 4: found lon='NaN'"):
        read_sites(path, epsg=4547)
    rows[2] = "2,站,112.972,28.192"
    path.write_text("\n".join(["id,name,lon,lat", *rows]), "utf-8-sig")
    with pytest.raises(InputError) as refused:
        read_sites(path, epsg=4547)
    assert [fault.place for fault in refused.value.faults] == ["line 6", "line 8"]


def test_each_journey_is_used_or_counted(tmp_path: Path) -> None:
    write_layer(changsha_lines(), tmp_path / "roads.gpkg")
    city, _ = assemble_city(tmp_path / "roads.gpkg", name="城", n_posts=1)
    good = "112.975,28.193,112.981,28.197,2026-03-02T08:30:00,240"
    odd = [
        good.replace("112.975", "NaN"),
        good.replace("28.197", "1e309"),
        good.replace("2026", "0001").replace("-03-02T08", "-01-01T00").replace(":00,", ":00+14:00,"),
        good.replace(",240", ",-0"),
        good.replace("112.975", "113.9"),
    ]
    header = "origin_lon,origin_lat,dest_lon,dest_lat,start,seconds"
    (tmp_path / "journeys.csv").write_text("\n".join([header, good, *odd, good]), "utf-8")
    journeys, left_out = read_journeys(tmp_path / "journeys.csv", city.network)
    assert len(journeys) == 2
    assert sum(left_out.values()) == len(odd)


LIMITED = """
import resource, sys
from pathlib import Path
from geodata.errors import InputError
from geodata.readers.roads import RoadOptions, read_roads
in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + (1 << 30),) * 2)
for name in sys.argv[1:]:
    try:
        read_roads(Path(name), RoadOptions(crs="EPSG:4326") if name.endswith((".shp", ".tntp")) else None)
        print("read")
    except InputError as error:
        print("refused")
"""
"""Reads files with a gigabyte to spare."""


def bombs(folder: Path) -> list[Path]:
    """Small files that would fill the memory if anybody believed them."""
    blank = 300 << 20
    zeros = gzip.compress(bytes(blank), 1)
    names = ["edges.csv.gz", "graph.graphml.gz", "over.json.gz", "city.osm.gz", "x_net.tntp.gz"]
    for name in (*names, "nodes.csv.gz"):
        (folder / name).write_bytes(zeros)
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 12))
    for name, root in (("laughs.graphml", "graphml"), ("laughs.osm", "osm")):
        text = (
            f'<?xml version="1.0"?><!DOCTYPE {root} [<!ENTITY a0 "ha">{entities}]><{root} version="0.6">&a11;</{root}>'
        )
        (folder / name).write_text(text, "utf-8")
        names.append(name)
    with zipfile.ZipFile(folder / "roads.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("roads.geojson", b" " * blank)
    (folder / "deep.json").write_text('{"nodes": ' + "[" * 5_000_000, "utf-8")
    (folder / "deep.geojson").write_text('{"type":"FeatureCollection","features":' + "[" * 5_000_000, "utf-8")
    table = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.LineString([(112.9, 28.1), (112.91, 28.1)])], crs=4326)
    for name in ("roads.shp", "roads.fgb"):
        write_layer(table, folder / name)
    shape, feature = (bytearray((folder / name).read_bytes()) for name in ("roads.shp", "roads.fgb"))
    # its line has two milliards of points, its last feature as many bytes
    shape[148:152] = (2**31 - 1).to_bytes(4, "little")
    size = next(i for i in range(len(feature)) if int.from_bytes(feature[i : i + 4], "little") == len(feature) - i - 4)
    feature[size : size + 4] = (2**31 - 1).to_bytes(4, "little")
    (folder / "roads.shp").write_bytes(shape)
    (folder / "roads.fgb").write_bytes(feature)
    head = json.dumps({"version": 0.6, "osm3s": {}, "elements": [{"type": "way", "id": 1, "nodes": [10**400]}]})
    (folder / "huge.json").write_text(head, "utf-8")
    # a block of OSM PBF that tells of two gigabytes
    (folder / "huge.osm.pbf").write_bytes(bytes.fromhex("0000000d0a094f534d48656164657218ffffffff07") + b"\x0a" * 50)
    more = ["roads.zip", "deep.json", "deep.geojson", "roads.shp", "roads.fgb", "huge.json", "huge.osm.pbf"]
    return [folder / name for name in (*names, *more)]


def test_a_small_file_never_takes_a_gigabyte(tmp_path: Path) -> None:
    paths = bombs(tmp_path)
    assert max(path.stat().st_size for path in paths) < 6_000_000
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, paths)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = dict(zip([path.name for path in paths], done.stdout.split(), strict=True))
    assert [name for name, what in said.items() if what == "read"] == []
