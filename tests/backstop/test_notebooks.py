"""The notebooks of docs/tutorials run, and print their stored output."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from tests.support.checkout_paths import ROOT
from tests.support.notebooks import (
    get_shown_output,
    run_and_save_notebook,
    run_cells_and_capture_output,
    select_code_cells,
)

NOTEBOOKS = ROOT / "docs" / "tutorials" / "notebooks"
SHORT = "contracts"
"""The one that is run every time, which needs a node."""

LONG = pytest.mark.deep(brief="tests/backstop/test_notebooks.py::test_a_notebook_prints_what_it_shows")
FILES = sorted(NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(file, marks=pytest.mark.anvil if file.stem == SHORT else LONG, id=file.stem)
        for file in FILES
    ],
)
def test_a_notebook_prints_what_it_shows(file: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    notebook = json.loads(file.read_text())
    found = ["".join(each) for each in run_cells_and_capture_output(notebook)]
    assert found == [get_shown_output(cell) for cell in select_code_cells(notebook)]
    assert sum(map(bool, found)) > 3


def test_what_it_prints_is_written_into_it(tmp_path) -> None:
    file = tmp_path / "own.ipynb"
    source = ["x = 20\n", "print('a')\n", "x + 1"]
    cell: dict[str, object] = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": source,
    }
    text = {"cell_type": "markdown", "metadata": {}, "source": ["# A title"]}
    file.write_text(json.dumps({"cells": [text, cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    run_and_save_notebook(file)
    notebook = json.loads(file.read_text())
    assert get_shown_output(select_code_cells(notebook)[0]) == "a\n21" and notebook["cells"][0] == text
