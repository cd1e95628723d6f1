"""Downloads through osmnx, tried against a server of our own on this machine that gives recorded answers."""

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import osmnx
import pytest
import shapely

from geodata.errors import InputError
from geodata.network import Streets, build_network
from geodata.readers.download import read_bbox, read_place, read_polygon
from geodata.readers.graphml import read_graphml

DATA = Path(__file__).parents[2] / "../shared/data/small-osm"
BOX = (18.0, 59.30, 18.10, 59.35)
"""Södermalm and around."""


@dataclass
class Server:
    """What it answers to the next requests, and what it was asked."""

    url: str
    overpass: tuple[int, bytes] = (200, b"{}")
    nominatim: tuple[int, bytes] = (200, b"[]")
    asked: list[str] = field(default_factory=list)


def small_answer(**more: Any) -> bytes:
    nodes = [(1, 18.06, 59.32), (2, 18.07, 59.32), (3, 18.07, 59.325)]
    ways = [(10, [1, 2], {"highway": "primary", "oneway": "yes"}), (11, [2, 3], {"highway": "residential"})]
    elements = [{"type": "node", "id": i, "lon": lon, "lat": lat} for i, lon, lat in nodes]
    elements += [{"type": "way", "id": i, "nodes": refs, "tags": tags} for i, refs, tags in ways]
    return json.dumps({"elements": elements} | more).encode()


def place_answer(box: tuple[float, float, float, float] = BOX) -> bytes:
    west, south, east, north = box
    found = {
        "place_id": 1,
        "display_name": "Stockholm",
        "boundingbox": [str(south), str(north), str(west), str(east)],
        "lat": str(south),
        "lon": str(west),
        "importance": 1.0,
        "geojson": shapely.geometry.mapping(shapely.box(*box)),
    }
    return json.dumps([found]).encode()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            told.asked.append(self.path.partition("?")[0])
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = told.nominatim if self.path.startswith("/search") else told.overpass
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Server(f"http://127.0.0.1:{httpd.server_address[1]}")
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    for name, value in {
        "overpass_url": f"{told.url}/api",
        "nominatim_url": f"{told.url}/",
        "overpass_rate_limit": False,
        "requests_timeout": 5,
    }.items():
        monkeypatch.setattr(osmnx.settings, name, value)
    # the politeness of one second between requests is for the public servers
    monkeypatch.setattr("osmnx._nominatim.time.sleep", lambda _: None)
    yield told
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def in_box() -> tuple[Streets, list[Any]]:
    return read_bbox(BOX)


def in_place() -> tuple[Streets, list[Any]]:
    return read_place("Stockholm")


def in_polygon() -> tuple[Streets, list[Any]]:
    return read_polygon(shapely.box(*BOX))


ALL = pytest.mark.parametrize("read", [in_box, in_place, in_polygon])


@ALL
def test_the_streets_of_a_place_a_box_or_a_polygon(
    server: Server, read: Callable[[], tuple[Streets, list[Any]]]
) -> None:
    server.overpass, server.nominatim = (200, small_answer()), (200, place_answer())
    streets, defects = read()
    assert streets.epsg == 32634
    assert sorted(streets.label or []) == ["edge 1-2", "edge 2-3"]
    assert sorted(streets.one_way) == [0, 1]
    assert [str(defect) for defect in defects] == [
        "download without turn restrictions: every turn counts as allowed; "
        "an .osm.pbf or Overpass file brings the restrictions"
    ]


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data/small-osm is not there")
def test_a_recorded_answer_gives_the_network_that_osmnx_made_of_it(server: Server) -> None:
    server.overpass = 200, gzip.decompress((DATA / "stockholm_w_overpass.json.gz").read_bytes())
    network, _ = build_network(in_box()[0])
    expected, _ = build_network(read_graphml(DATA / "stockholm_w_simplified.graphml")[0])
    # osmnx leaves out private roads, which made dead ends there
    assert network.n_nodes == pytest.approx(expected.n_nodes, rel=0.05)
    assert network.street_length_m.sum() == pytest.approx(expected.street_length_m.sum(), rel=0.05)


def test_osmnx_is_left_as_it_was(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    server.overpass = 200, small_answer()
    before = dict(vars(osmnx.settings)), socket.getaddrinfo
    in_box()
    assert (dict(vars(osmnx.settings)), socket.getaddrinfo) == before
    server.overpass = 504, b""
    with pytest.raises(InputError):
        in_box()
    assert (dict(vars(osmnx.settings)), socket.getaddrinfo) == before
    assert not list(tmp_path.iterdir())


@ALL
@pytest.mark.parametrize(
    ("status", "content", "found"),
    [
        (429, b"", "HTTP 429 Too Many Requests"),
        (504, b"<html>busy</html>", "HTTP 504 Gateway Timeout"),
        (500, b"", "HTTP 500"),
        (200, b"<html>Sign in</html>", "a page instead of data"),
        (200, b"", "a page instead of data"),
        (200, b'{"elements": [', "JSONDecodeError|no answer|responded"),
    ],
)
def test_a_server_that_gives_no_data_is_told_at_once(
    server: Server, read: Callable[[], Any], status: int, content: bytes, found: str
) -> None:
    server.overpass, server.nominatim = (status, content), (200, place_answer())
    with pytest.raises(InputError, match=found):
        read()
    assert server.asked.count("/api/interpreter") == 1


@pytest.mark.usefixtures("server")
def test_a_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(osmnx.settings, "overpass_url", f"http://127.0.0.1:{free.getsockname()[1]}/api")
    with pytest.raises(
        InputError, match=r"no answer from the OpenStreetMap servers \(ConnectionError\).*Check the conn"
    ):
        in_box()


@ALL
def test_an_answer_without_roads_is_told(server: Server, read: Callable[[], Any]) -> None:
    server.overpass, server.nominatim = (200, b'{"elements": []}'), (200, place_answer())
    with pytest.raises(InputError, match="No data elements in server response"):
        read()


@ALL
def test_an_answer_that_was_broken_off_is_refused(server: Server, read: Callable[[], Any]) -> None:
    remark = 'runtime error: Query timed out in "query" at line 1 after 180 seconds.'
    server.overpass, server.nominatim = (200, small_answer(remark=remark)), (200, place_answer())
    with pytest.raises(InputError, match=r"remark: found .*timed out.*expected a whole answer"):
        read()


def test_an_unknown_place_is_refused(server: Server) -> None:
    with pytest.raises(InputError, match=r"Atlantis: place: found .*0 results.*Check the spelling"):
        read_place("Atlantis")
    assert server.asked == ["/search"]


def test_a_place_that_is_a_point_is_refused(server: Server) -> None:
    answer = json.loads(place_answer())
    answer[0]["geojson"] = {"type": "Point", "coordinates": BOX[:2]}
    server.nominatim = 200, json.dumps(answer).encode()
    with pytest.raises(InputError, match=r"Bar: place: found Nominatim did not geocode .*Polygon"):
        read_place("Bar")


@pytest.mark.parametrize("box", [(18.1, 59.3, 18.0, 59.4), (59.3, 118.0, 59.4, 118.1), (0, 0, float("nan"), 1)])
def test_a_box_that_is_none_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="no box on the earth"):
        read_bbox(box)


@pytest.mark.parametrize(
    ("polygon", "found"),
    [
        (shapely.Point(18, 59), "no polygon"),
        (shapely.Polygon(), "an empty polygon"),
        (shapely.box(600_000, 6_500_000, 610_000, 6_510_000), "no degrees"),
        (shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), "Self-intersection"),
    ],
)
def test_a_polygon_that_is_none_is_refused(polygon: Any, found: str) -> None:
    with pytest.raises(InputError, match=found):
        read_polygon(polygon)
