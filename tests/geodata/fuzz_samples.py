"""Files for every reader, cut from real ones to a size that is read in a moment."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import networkx as nx
import numpy as np
import osmium
import osmnx
import pandas as pd
import pyogrio
import rasterio
import shapely
from spoiling import write_layer

from geodata.assemble import assemble_city
from geodata.calibrate import read_journeys
from geodata.city import City
from geodata.readers.layers import LineColumns
from geodata.readers.places import read_posts, read_sites
from geodata.readers.population import ResidentsFile, read_residents
from geodata.readers.roads import RoadOptions
from geodata.residents import RasterUnit

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
BOX = (112.970, 28.188, 112.985, 28.200)
"""Of Changsha: the blocks around the Wuyi Square."""

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
            # the pixels of the real raster hold a density
            file = ResidentsFile(path=path, unit=RasterUnit.PER_KM2)
            return read_residents(file, grid, road_m, total=10_000)

        table = pd.DataFrame({"code": grid.codes, "residents": np.arange(len(grid)) * 10 + 1})
        self._add("residents.csv", "residents table", {"residents.csv": table.to_csv(index=False).encode()}, read)
        west, south, east, north = grid.cells.to_crs(4326).total_bounds
        value = np.random.default_rng(135).integers(0, 60, (24, 24)).astype(np.float32)
        with zipfile.ZipFile(DATA / "auckland" / "pop_density_raster.zip") as archive:
            (self._scratch / "auckland.tif").write_bytes(archive.read(archive.namelist()[0]))
        with rasterio.open(self._scratch / "auckland.tif") as raster:
            middle = raster.read(1)[raster.height // 2 :, raster.width // 2 :][:24, :24]
        value = np.where(np.isfinite(middle) & (middle >= 0), middle, value).astype(np.float32)
        transform = rasterio.Affine((east - west) / 24, 0, west, 0, (south - north) / 24, north)
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
