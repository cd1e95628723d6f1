"""Road graphs as osmnx writes them to GraphML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.parsers import expat

from geodata.crs import parse_crs
from geodata.defects import Defect, general
from geodata.errors import Fault, InputError, plain
from geodata.network import Streets
from geodata.readers.arcs import CLASS_WITHOUT_ANY
from geodata.readers.graphs import ATTRIBUTES, streets_of_graph
from geodata.readers.packed import read_chunks

__all__ = ["CLASS_WITHOUT_ANY", "read_graphml"]
_MEND = "Write the graph with osmnx.save_graphml."


def read_graphml(path: Path, *, epsg: int | None = None, crs: str | None = None) -> tuple[Streets, list[Defect]]:
    """The streets of an osmnx graph, `.graphml` or `.graphml.gz`. Opposite edges along one line are one two-way street,
    all others one-way; see `streets_of_graph`. `crs` declares the CRS of a graph that does not tell it.

    Raises:
        InputError: no such file, no GraphML or one that declares entities, no CRS, nodes without coordinates, or no
            edge that can be driven.
    """
    source = str(path)
    graph = _Graph(source)
    try:
        graph.parse(read_chunks(path, "an osmnx GraphML file"))
    except (expat.ExpatError, LookupError) as error:  # the second: an encoding that nobody knows
        raise InputError(Fault(source, "", f"no XML ({plain(error)})", "an osmnx GraphML file", _MEND)) from error
    told = crs or graph.attributes.get("crs")
    if told is None:
        raise InputError(Fault(source, "graph", "no `crs` entry", "the CRS of the nodes, such as EPSG:4326", _MEND))
    streets, defects = streets_of_graph(
        parse_crs(told, source), graph.nodes, graph.edges, source, epsg, directed=graph.directed
    )
    if not graph.directed:
        defects.append(general("undirected graph", "every street is taken as two-way", streets.epsg))
    return streets, defects


class _Graph:
    """What a GraphML file holds of use, streamed: nothing but the values that are read is kept."""

    def __init__(self, source: str) -> None:
        self.attributes: dict[str, str] = {}
        self.directed = True
        self.nodes: list[tuple[str, Mapping[str, str]]] = []
        self.edges: list[tuple[str, str, Mapping[str, str]]] = []
        self._source = source
        self._names: dict[str, str] = {}
        self._values = self.attributes
        self._key = ""
        self._text: list[str] | None = None
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.EntityDeclHandler = self._entity

    def parse(self, content: Iterable[bytes]) -> None:
        for chunk in content:
            self._parser.Parse(chunk, False)
        self._parser.Parse(b"", True)

    def _refuse(self, found: str, expected: str, mend: str = _MEND) -> InputError:
        return InputError(Fault(self._source, f"line {self._parser.CurrentLineNumber}", found, expected, mend))

    def _entity(self, name: str, *_: object) -> None:
        # a few lines of entities may stand for gigabytes of text, or for another file; no graph needs any
        raise self._refuse(f"a declaration of the entity {name!r}", "plain GraphML", "Remove the DOCTYPE.")

    def _start(self, name: str, get: Mapping[str, str]) -> None:
        tag = name.rpartition(":")[2]
        try:
            if tag == "key":
                self._names[get["id"]] = get.get("attr.name", get["id"])
            elif tag == "graph":
                self.directed = get.get("edgedefault") != "undirected"
            elif tag == "node":
                self._values = {}
                self.nodes.append((get["id"], self._values))
            elif tag == "edge":
                self._values = {}
                self.edges.append((get["source"], get["target"], self._values))
            elif tag == "data":
                self._key, self._text = self._names.get(get["key"], get["key"]), []
        except KeyError as error:
            raise self._refuse(f"<{tag}> without {error.args[0]!r}", "an osmnx GraphML file") from error

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)

    def _end(self, name: str) -> None:
        tag = name.rpartition(":")[2]
        if tag == "data" and self._text is not None:
            if self._values is self.attributes or self._key in ATTRIBUTES:
                self._values[self._key] = "".join(self._text)
            self._text = None
        elif tag in ("node", "edge"):
            self._values = self.attributes
