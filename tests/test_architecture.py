"""The three floors: imports run downwards only, and walled libraries stay in their rooms."""

import ast
import functools
import importlib.metadata
import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("geodata", "dispatch", "scenarios")
ROOMS = {
    "osmnx": {"geodata/readers/download.py"},
    "rasterio": {"geodata/raster.py"},
    "osmium": {"geodata/readers/osm.py"},
    "networkx": {"geodata/readers/", "geodata/synthetic/"},
    "simpy": {"dispatch/engine/clock.py"},
    "folium": {"scenarios/mappage.py"},
    "matplotlib": {"scenarios/charts.py"},
    "typer": {"scenarios/cli", "scenarios/console.py"},
}


def modules() -> list[Path]:
    return [path for floor in FLOORS for path in sorted((ROOT / floor).rglob("*.py"))]


@functools.cache
def imported(path: Path) -> frozenset[str]:
    """Full names of everything that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards_only(path: Path) -> None:
    floor = path.relative_to(ROOT).parts[0]
    above = FLOORS[FLOORS.index(floor) + 1 :]
    assert not {name for name in imported(path) if name.split(".")[0] in above}


@pytest.mark.parametrize("library", ROOMS)
def test_a_walled_library_stays_in_its_room(library: str) -> None:
    users = {
        path.relative_to(ROOT).as_posix()
        for path in modules()
        if any(name.split(".")[0] == library for name in imported(path))
    }
    assert {user for user in users if not user.startswith(tuple(ROOMS[library]))} == set()


def test_modules_do_not_import_in_circles() -> None:
    name_of = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in modules()
    }
    needs = {
        name: {
            other
            for other in name_of
            if other != name and any(i == other or i.startswith(f"{other}.") for i in imported(path))
        }
        for name, path in name_of.items()
    }
    # a package's own file may gather from its modules, which name the package in their imports
    needs = {name: {o for o in others if not name.startswith(f"{o}.")} for name, others in needs.items()}
    while ready := [name for name, others in needs.items() if not others & needs.keys()]:
        for name in ready:
            del needs[name]
    assert not needs, f"modules that import each other: {sorted(needs)}"


@pytest.mark.parametrize("floor", FLOORS)
def test_each_import_name_comes_from_this_distribution(floor: str) -> None:
    """Other projects own these names on the public package index."""
    spec = importlib.util.find_spec(floor)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).parents[1] == ROOT
    assert importlib.metadata.packages_distributions().get(floor, ["patrol135"]) == ["patrol135"]
    assert importlib.metadata.metadata("patrol135")["Name"] == "patrol135"


def test_the_command_line_is_the_roof() -> None:
    cli = {"scenarios.cli"}
    assert not [path for path in modules() if path.stem != "cli" and {n for n in imported(path) if n in cli}]


def test_the_package_is_never_uploaded() -> None:
    assert "Private :: Do Not Upload" in importlib.metadata.metadata("patrol135").get_all("Classifier")
