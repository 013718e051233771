"""The notebooks run from top to bottom on a finished run; the output stored in them is of SYNTHETIC people."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import matplotlib as mpl
import pytest

from mgrisk.pipeline.finished import Run

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_on_the_demo(path: Path, small_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MGRISK_RUN", str(small_run.folder))
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    cells = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    space: dict[str, object] = {}
    for number, cell in enumerate(cells):
        exec(compile("".join(cell["source"]), f"{path.name}, cell {number}", "exec"), space)
    assert space["data"] == "SYNTHETIC"
    plt.close("all")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_it_does_on_synthetic_people_and_defines_next_to_nothing(path: Path) -> None:
    cells = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)]
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert "SYNTHETIC" in "".join(cells[0]["outputs"][0]["text"])
    shown = json.dumps(outputs)
    assert "/tmp/" not in shown
    assert "/home/" not in shown
    tree = ast.parse("\n".join("".join(cell["source"]) for cell in cells))
    assert not [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def test_there_are_four() -> None:
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04"]
