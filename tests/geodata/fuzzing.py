"""Every reader against spoiled files, made from real ones: `python tests/geodata/fuzzing.py --rounds 200`.

A file is read, or refused with an `InputError` that names it, and nothing else happens: no other exception, no warning,
no hang, nothing written. What a case does depends on its name and round alone, so that one can be repeated:
`--only NAME --first ROUND --rounds 1`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import geopandas as gpd
import networkx as nx
import numpy as np
import osmium
import osmnx
import pandas as pd
import pyogrio
import rasterio
import shapely
from rasterio.transform import from_bounds
from spoiling import spoil, spoiled_layer, write_layer

from geodata.assemble import assemble_city
from geodata.calibrate import read_journeys
from geodata.city import City
from geodata.errors import InputError
from geodata.readers.layers import LineColumns
from geodata.readers.places import read_posts, read_sites
from geodata.readers.population import ResidentsFile, read_residents
from geodata.readers.roads import RoadOptions

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
BOX = (112.970, 28.188, 112.985, 28.200)
"""Of Changsha: the blocks around the Wuyi Square."""
LIMIT_S = 30.0
MOST_CHARACTERS = 600
MOST_FAULTS = 21
SPARE_BYTES = 3 << 30
"""What a case may ask for beyond what is in use."""
_EXCEPTION = re.compile(r"\b[A-Z]\w*(?:Error|Exception)\b|Traceback|<class '|object at 0x")

Read = Callable[[Path], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file that is read, alone or with others beside it."""

    name: str
    reader: str
    folder: Path
    file: str
    """What the reader is given; "" for the folder."""
    read: Read
    spoilt: tuple[str, ...]
    """Which of the files are spoiled, one in each round."""
    layer: gpd.GeoDataFrame | None = None
    """What is in the file, to be spoiled before it is written."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a case."""

    sample: Sample
    round: int
    done: str
    """"read", "refused" or "broken"."""
    told: str
    seconds: float


class _TooLongError(BaseException):
    """Not to be caught by any reader."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise _TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def spoiled_case(sample: Sample, number: int, folder: Path) -> None:
    """Fill a folder with a sample, spoiled as its round says; round 0 is as it was."""
    rng = random.Random(f"{sample.name} {number}")
    shutil.copytree(sample.folder, folder)
    if not number:
        return
    if sample.layer is not None and rng.random() < 0.5:
        path = folder / sample.file
        path.unlink()
        try:
            write_layer(spoiled_layer(sample.layer, rng), path)
            return
        except (RuntimeError, ValueError, TypeError, shapely.errors.ShapelyError):
            # the format cannot hold it
            shutil.rmtree(folder)
            shutil.copytree(sample.folder, folder)
    path = folder / rng.choice(sample.spoilt)
    path.write_bytes(spoil(path.name, path.read_bytes(), rng))


def _state(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p.relative_to(folder)): (p.stat().st_size, p.stat().st_mtime_ns) for p in folder.rglob("*")}


def wrong_with(error: InputError, folder: Path, files: tuple[str, ...]) -> str:
    """What is wrong with the words of a refusal, "" where they are right."""
    if len(error.faults) > MOST_FAULTS:
        return f"{len(error.faults)} faults in one message"
    for fault in error.faults:
        text = str(fault).replace(str(folder.parent), "")
        if fault.source != "city" and not any(name in text for name in files):
            return f"names no file: {text}"
        if "\n" in text or "\r" in text:
            return f"more than one line: {text!r}"
        if len(text) > MOST_CHARACTERS:
            return f"{len(text)} characters: {text}"
        if found := _EXCEPTION.search(text):
            return f"{found.group()!r} means nothing to a user: {text}"
        if not (fault.found.strip() and fault.expected.strip() and fault.mend.strip()):
            return f"a part is empty: {fault!r}"
    return ""


def run_case(sample: Sample, number: int, scratch: Path) -> Outcome:
    folder = scratch / "case"
    spoiled_case(sample, number, folder)
    before = _state(folder)
    done, told = "read", ""
    start = time.monotonic()
    try:
        with _time_limit(LIMIT_S), warnings.catch_warnings():
            warnings.simplefilter("error")
            sample.read(folder / sample.file)
    except InputError as error:
        done, told = "refused", str(error)
        if wrong := wrong_with(error, folder, (*before, folder.name)):
            done, told = "broken", wrong
    except _TooLongError:
        done, told = "broken", f"longer than {LIMIT_S:g} s"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        done, told = "broken", "".join(traceback.format_exception(error, limit=-6))
    seconds = time.monotonic() - start
    if done != "broken" and _state(folder) != before:
        done, told = "broken", f"written: {sorted(_state(folder).items() ^ before.items())}"
    if done == "refused" and not number:
        done = "broken"
    shutil.rmtree(folder)
    return Outcome(sample, number, done, told, seconds)


def _roads(**options: object) -> Read:
    return lambda path: assemble_city(
        path,
        name="城",
        road_options=RoadOptions(**options),
        n_posts=1,
        cell_m=2000.0,  # type: ignore[arg-type]
    )


def samples(scratch: Path) -> list[Sample]:
    """All of them, written into folders of their own."""
    made = _Samples(scratch)
    made.osm()
    made.graphs()
    made.tables()
    made.layers()
    made.places()
    made.residents()
    made.others()
    return made.all


class _Samples:
    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self.all: list[Sample] = []
        source = DATA / "changsha-osm2019" / "changsha_simplified_edges.gpkg"
        edges = pyogrio.read_dataframe(source, layer="edges", bbox=BOX)
        nodes = pyogrio.read_dataframe(source, layer="nodes")
        self._nodes = nodes[nodes["osmid"].isin(edges["u"]) | nodes["osmid"].isin(edges["v"])]
        classes = ("primary", "residential", "支路", "service")
        self._edges = edges.assign(
            name=[f"解放路{i % 7}" for i in range(len(edges))],
            highway=[classes[i % 4] for i in range(len(edges))],
            oneway=["yes" if i % 9 == 0 else "no" for i in range(len(edges))],
            maxspeed=[f"{30 + 10 * (i % 4)}" for i in range(len(edges))],
        )
        self._roads = self._scratch / "roads.gpkg"
        write_layer(self._edges, self._roads)
        self._city = assemble_city(self._roads, name="长沙", n_posts=4, cell_m=500.0)[0]
        lonlat = np.column_stack([self._nodes.geometry.x, self._nodes.geometry.y])
        self._lonlat = lonlat[:: max(len(lonlat) // 12, 1)][:12]

    def _add(
        self,
        name: str,
        reader: str,
        files: Mapping[str, bytes],
        read: Read,
        *,
        spoilt: tuple[str, ...] | None = None,
        layer: gpd.GeoDataFrame | None = None,
    ) -> None:
        folder = self._scratch / "samples" / name
        folder.mkdir(parents=True)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        first = next(iter(files))
        self.all.append(
            Sample(
                name=name,
                reader=reader,
                folder=folder,
                file=first,
                read=read,
                spoilt=spoilt or tuple(files),
                layer=layer,
            )
        )

    def _add_layer(self, name: str, reader: str, file: str, table: gpd.GeoDataFrame, read: Read) -> None:
        folder = self._scratch / "samples" / name
        folder.mkdir(parents=True)
        write_layer(table, folder / file)
        spoilt = tuple(sorted(path.name for path in folder.iterdir()))
        self.all.append(
            Sample(name=name, reader=reader, folder=folder, file=file, read=read, spoilt=spoilt, layer=table)
        )

    def osm(self) -> None:
        small = DATA / "small-osm"
        oakland = (small / "West-Oakland.osm.bz2").read_bytes()
        self._add("oakland.osm.bz2", "OSM", {"oakland.osm.bz2": oakland}, _roads())
        for end in ("osm", "osm.gz", "osm.pbf"):
            path = self._scratch / f"oakland.{end}"
            with osmium.SimpleWriter(str(path)) as writer:
                for item in osmium.FileProcessor(small / "West-Oakland.osm.bz2"):
                    writer.add(item)
            self._add(path.name, "OSM", {path.name: path.read_bytes()}, _roads())
        self._add("moscow.osm.gz", "OSM", {"moscow.osm.gz": (small / "moscow.osm.gz").read_bytes()}, _roads())
        whole = json.loads(gzip.decompress((small / "stockholm_w_overpass.json.gz").read_bytes()))
        ways = [e for e in whole["elements"] if e["type"] == "way"][:120]
        used = {node for way in ways for node in way["nodes"]}
        whole["elements"] = [e for e in whole["elements"] if e["type"] == "node" and e["id"] in used] + ways
        text = json.dumps(whole, ensure_ascii=False).encode()
        self._add("overpass.json", "Overpass JSON", {"overpass.json": text}, _roads())
        self._add("overpass.json.gz", "Overpass JSON", {"overpass.json.gz": gzip.compress(text)}, _roads())

    def graphs(self) -> None:
        graph = osmnx.load_graphml(DATA / "small-osm" / "stockholm_w_simplified.graphml")
        near = nx.ego_graph(graph, next(iter(graph)), radius=9, undirected=True)
        path = self._scratch / "stockholm.graphml"
        osmnx.save_graphml(near, path)
        content = path.read_bytes()
        self._add("stockholm.graphml", "GraphML", {"stockholm.graphml": content}, _roads())
        self._add("stockholm.graphml.gz", "GraphML", {"stockholm.graphml.gz": gzip.compress(content)}, _roads())
        denver = (DATA / "hive" / "downtown_denver_network.json").read_bytes()
        self._add("denver.json", "node-link JSON", {"denver.json": denver}, _roads())
        packed = self._scratch / "stockholm.gpkg"
        osmnx.save_graph_geopackage(near, packed, directed=True)
        self._add("osmnx.gpkg", "osmnx GPKG", {"osmnx.gpkg": packed.read_bytes()}, _roads())

    def tables(self) -> None:
        nodes = pd.DataFrame(
            {"node": self._nodes["osmid"], "lon": self._nodes.geometry.x, "lat": self._nodes.geometry.y}
        )
        edges = pd.DataFrame(self._edges.drop(columns="geometry"))
        edges = edges[["u", "v", "length", "name", "highway", "oneway", "maxspeed"]]
        edges["t_siren_s"] = edges["length"] / 10
        tables = {
            "edges.csv": edges.to_csv(index=False).encode(),
            "nodes.csv": nodes.to_csv(index=False).encode("gb18030"),
        }
        self._add("edges.csv", "road tables", tables, _roads())
        packed = {f"{name}.gz": gzip.compress(content) for name, content in tables.items()}
        self._add("edges.csv.gz", "road tables", packed, _roads())
        chicago = DATA / "chicago-tntp"
        texts = {
            kind: gzip.decompress((chicago / f"ChicagoRegional_{kind}.tntp.gz").read_bytes()).decode().splitlines()
            for kind in ("net", "node", "flow")
        }
        most = 10_600
        net = [line for line in texts["net"] if not line.startswith("\t") or _ends_below(line, most)]
        first = next(i for i, line in enumerate(net) if line.startswith("\t"))
        head = [line for line in net[:first] if "NUMBER OF" not in line]
        files = {
            "c_net.tntp": [f"<NUMBER OF LINKS> {len(net) - first}", *head, *net[first:]],
            "c_node.tntp": texts["node"][:1] + [line for line in texts["node"][1:] if int(line.split()[0]) < most],
            "c_flow.tntp": [line for line in texts["flow"] if not line[:1].isdigit() or _ends_below(line, most)],
        }
        content = {name: "\n".join(lines).encode() for name, lines in files.items()}
        self._add("c_net.tntp", "TNTP", content, _roads(crs="EPSG:26771"))

    def layers(self) -> None:
        columns = LineColumns(road_class="highway", limit_kmh="maxspeed", one_way="oneway", name="name")
        for file in (
            "roads.gpkg",
            "roads.shp",
            "roads.zip",
            "roads.geojson",
            "roads.json",
            "roads.fgb",
            "roads.parquet",
        ):
            table = self._edges.drop(columns=["key"])
            if file == "roads.json":
                read: Read = _roads(crs="GCJ-02", node_crossings=True)
                plain = self._scratch / "plain.geojson"
                write_layer(table, plain)
                plain.rename(self._scratch / "plain.json")
                content = (self._scratch / "plain.json").read_bytes()
                self._add(file, "line layers", {file: content}, read)
            else:
                self._add_layer(file, "line layers", file, table, _roads(columns=columns))

    def places(self) -> None:
        city = self._city
        epsg = city.network.epsg

        def areas(**options: object) -> Read:
            return lambda path: assemble_city(self._roads, name="城", areas=path, n_posts=1, **options)  # type: ignore[arg-type]

        def cells(path: Path) -> object:
            return assemble_city(self._roads, name="城", grid=path, n_posts=1, repair=path.suffix == ".geojson")

        districts = DATA / "changsha-districts"
        self._add(
            "430100.json", "areas", {"430100.json": _simpler(districts / "430100.json")}, areas(grid_crs="GCJ-02")
        )
        self._add(
            "districts.geojson",
            "areas",
            {"districts.geojson": _simpler(districts / "changsha_districts_wgs84.geojson")},
            areas(repair=True),
        )
        grid = city.grid.cells.to_crs(4326)
        grid["code"] = [f"0{430102000 + i}" for i in range(len(grid))]
        grid["residents"] = 1000.0
        grid["parent"] = ["0430102"] * len(grid)
        for file in ("grid.gpkg", "grid.shp", "grid.geojson", "grid.fgb", "grid.parquet", "grid.zip"):
            self._add_layer(file, "cells", file, grid, cells)
        points = gpd.GeoDataFrame(
            {
                "id": [f"0{i + 1}" for i in range(len(self._lonlat))],
                "name": [f"解放路{i}号" for i in range(len(self._lonlat))],
                "place_class": [("vital", "key", "重点地区")[i % 3] for i in range(len(self._lonlat))],
                "opening_hours": ["Mo-Fr 08:00-18:00"] * len(self._lonlat),
                "capacity": [1 + i % 3 for i in range(len(self._lonlat))],
                "unit_kinds": ["car;motorcycle"] * len(self._lonlat),
            },
            geometry=shapely.points(self._lonlat),
            crs=4326,
        )
        table = pd.DataFrame(points.drop(columns="geometry")).assign(lon=points.geometry.x, lat=points.geometry.y)

        def sites(path: Path) -> object:
            return read_sites(path, epsg=epsg, network=city.network, limit_m=500.0)

        def posts(path: Path) -> object:
            return read_posts(path, city.network)

        for reader, read in (("sites", sites), ("posts", posts)):
            for encoding in ("utf-8", "gb18030"):
                content = table.to_csv(index=False).encode(encoding)
                self._add(f"{reader}_{encoding}.csv", reader, {f"{reader}.csv": content}, read)
            for end in ("geojson", "gpkg", "parquet"):
                self._add_layer(f"{reader}.{end}", reader, f"{reader}.{end}", points, read)

    def residents(self) -> None:
        grid, road_m = self._city.grid, self._city.road_m_by_cell

        def read(path: Path) -> object:
            return read_residents(ResidentsFile(path=path), grid, road_m, total=10_000)

        table = pd.DataFrame({"code": grid.codes, "residents": np.arange(len(grid)) * 10 + 1})
        self._add("residents.csv", "residents table", {"residents.csv": table.to_csv(index=False).encode()}, read)
        west, south, east, north = grid.cells.to_crs(4326).total_bounds
        value = np.random.default_rng(135).integers(0, 60, (24, 24)).astype(np.float32)
        with zipfile.ZipFile(DATA / "auckland" / "pop_density_raster.zip") as archive:
            (self._scratch / "auckland.tif").write_bytes(archive.read(archive.namelist()[0]))
        with rasterio.open(self._scratch / "auckland.tif") as raster:
            middle = raster.read(1)[raster.height // 2 :, raster.width // 2 :][:24, :24]
        value = np.where(np.isfinite(middle) & (middle >= 0), middle, value).astype(np.float32)
        transform = from_bounds(west, south, east, north, 24, 24)
        for file, driver in (("people.tif", "GTiff"), ("people.asc", "AAIGrid")):
            folder = self._scratch / f"raster_{driver}"
            folder.mkdir()
            shape = {"driver": "GTiff", "width": 24, "height": 24, "count": 1, "dtype": "float32", "crs": "EPSG:4326"}
            plain = folder / "plain.tif"
            with rasterio.open(plain, "w", **shape, transform=transform, compress="lzw", nodata=-1) as raster:
                raster.write(value, 1)
            if driver == "GTiff":
                content = {file: plain.read_bytes()}
            else:
                with rasterio.open(plain) as raster:
                    wkt = raster.crs.to_wkt()
                size = (east - west) / 24
                head = f"ncols 24\nnrows 24\nxllcorner {west}\nyllcorner {south}\ncellsize {size}\nNODATA_value -1\n"
                rows = "\n".join(" ".join(f"{v:.2f}" for v in row) for row in value)
                content = {file: (head + rows).encode(), "people.prj": wkt.encode()}
            self._add(file, "residents raster", content, read)
        cells = gpd.GeoDataFrame(
            {"floors": [3] * len(self._lonlat)}, geometry=shapely.buffer(shapely.points(self._lonlat), 0.0004), crs=4326
        )
        floors: Read = lambda path: read_residents(  # noqa: E731
            ResidentsFile(path=path, weight="floors"), grid, road_m, total=10_000
        )
        self._add_layer("buildings.geojson", "residents layer", "buildings.geojson", cells, floors)

    def others(self) -> None:
        network = self._city.network
        journeys = pd.DataFrame(np.column_stack([self._lonlat, self._lonlat[::-1]]))
        journeys.columns = pd.Index(["origin_lon", "origin_lat", "dest_lon", "dest_lat"])
        journeys["start"] = "2026-03-02T08:30:00+08:00"
        journeys["seconds"] = 240
        content = {"journeys.csv": journeys.to_csv(index=False).encode()}
        self._add("journeys.csv", "journeys", content, lambda path: read_journeys(path, network))
        folder = self._scratch / "samples" / "saved city"
        self._city.save(folder)
        spoilt = tuple(sorted(path.name for path in folder.iterdir()))
        self.all.append(
            Sample(name="saved city", reader="saved city", folder=folder, file="", read=City.load, spoilt=spoilt)
        )


def _ends_below(line: str, most: int) -> bool:
    a, b = line.split()[:2]
    return int(a) < most and int(b) < most


def _simpler(path: Path) -> bytes:
    """Polygons of fewer vertices, their properties as they are."""
    whole = json.loads(path.read_text("utf-8"))
    for feature in whole["features"]:
        shape = shapely.geometry.shape(feature["geometry"])
        feature["geometry"] = shapely.geometry.mapping(shapely.simplify(shape, 0.005))
    return json.dumps(whole, ensure_ascii=False).encode()


def main() -> int:
    parse = argparse.ArgumentParser(description="Read spoiled files; tell what breaks.")
    parse.add_argument("--rounds", type=int, default=200, help="of each sample")
    parse.add_argument("--first", type=int, default=1, help="the number of the first round")
    parse.add_argument("--only", default="", help="samples whose name or reader holds this")
    told = parse.parse_args()
    if not DATA.is_dir():
        print(f"the real files are missing: {DATA}")
        return 2
    counts: dict[str, Counter[str]] = {}
    slowest: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        found = [s for s in samples(scratch) if told.only in s.name or told.only in s.reader]
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + SPARE_BYTES, resource.RLIM_INFINITY))
        for sample in found:
            count = counts.setdefault(sample.reader, Counter())
            for number in (0, *range(told.first, told.first + told.rounds)):
                outcome = run_case(sample, number, scratch)
                count["cases"] += 1
                count[outcome.done] += 1
                slowest[sample.reader] = max(slowest.get(sample.reader, 0.0), outcome.seconds)
                if outcome.done == "broken":
                    print(f"\n{sample.name}, round {number}: {outcome.told}", flush=True)
    print(f"\n{'reader':<18}{'cases':>8}{'read':>8}{'refused':>9}{'broken':>8}{'slowest':>9}")
    for reader, count in counts.items():
        columns = "".join(f"{count[key]:>{width},}" for key, width in zip(_COLUMNS, (8, 8, 9, 8), strict=True))
        print(f"{reader:<18}{columns}{slowest[reader]:>7.1f} s")
    whole = sum(counts.values(), Counter())
    columns = "".join(f"{whole[key]:>{width},}" for key, width in zip(_COLUMNS, (8, 8, 9, 8), strict=True))
    print(f"{'all':<18}{columns}")
    return int(whole["broken"] > 0)


_COLUMNS = ("cases", "read", "refused", "broken")

if __name__ == "__main__":
    sys.exit(main())
