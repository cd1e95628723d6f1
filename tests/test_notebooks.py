"""The notebooks: stored without results, and running from top to bottom on the public names of the three packages."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CELL_LIMIT_S = 60


def read(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    return notebook


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_the_two_notebooks_are_there() -> None:
    assert [path.name for path in NOTEBOOKS][:2] == ["01_quickstart.ipynb", "02_coverage_analysis.ipynb"]


def test_no_result_is_stored(path: Path) -> None:
    notebook = read(path)
    assert [cell.id for cell in code_of(notebook) if cell.outputs or cell.execution_count is not None] == []
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


def test_only_public_names_are_used(path: Path) -> None:
    """What a notebook shows is what a reader may use: no underscore name of ours, and nothing of the roof."""
    tree = ast.parse("\n".join(cell.source for cell in code_of(read(path))))
    ours = [
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in ("geodata", "dispatch", "scenarios")
        for alias in node.names
    ]
    private = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr.startswith("_")]
    assert {module.split(".")[0] for module, _ in ours} == {"geodata", "dispatch", "scenarios"}
    assert [name for _, name in ours if name.startswith("_")] + private == []


def test_it_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    """Without an error, a warning or a file left behind; every plot is there."""
    notebook = read(path)
    client = NotebookClient(notebook, timeout=CELL_LIMIT_S, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = [output for cell in code_of(notebook) for output in cell.outputs]
    assert [output.text for output in outputs if output.output_type == "stream"] == []
    images = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(images) == sum(cell.source.count("plt.show()") for cell in code_of(notebook)) > 0
    assert list(tmp_path.iterdir()) == []
