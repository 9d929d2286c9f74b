"""Notebooks of docs/tutorials: their cells run, and their output equals the file's.

    python -m tests.support.notebooks docs/tutorials/notebooks/one-crash.ipynb

runs a notebook and writes its outputs anew. Only text is kept: a table as it prints.
"""

from __future__ import annotations

import ast
import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pandas as pd


def select_code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells with code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def get_shown_output(cell: dict[str, Any]) -> str:
    """Return the output of a cell according to the file, and its last line's value."""
    return "".join(
        "".join(each.get("text", each.get("data", {}).get("text/plain"))) for each in cell["outputs"]
    )


def run_cells_and_capture_output(notebook: dict[str, Any]) -> list[tuple[str, str]]:
    """Run all cells in one namespace; return each one's printed text, and its last expression as text."""
    names: dict[str, Any] = {"__name__": "__main__"}
    options = ("display.width", 120, "display.max_columns", 20, "display.max_rows", 40)
    found = []
    with pd.option_context(*options):
        for number, cell in enumerate(select_code_cells(notebook)):
            tree, last = ast.parse("".join(cell["source"])), None
            if tree.body and isinstance(shown := tree.body[-1], ast.Expr):
                tree.body.pop()
                last = ast.Expression(shown.value)
            with redirect_stdout(io.StringIO()) as printed:
                exec(compile(tree, f"cell {number}", "exec"), names)
                value = None if last is None else eval(compile(last, f"cell {number}", "eval"), names)
            found.append((printed.getvalue(), "" if value is None else repr(value)))
    return found


def run_and_save_notebook(notebook_file: Path) -> None:
    """Run a notebook and write what it printed into it."""
    notebook = json.loads(notebook_file.read_text())
    for number, (cell, (printed, value)) in enumerate(
        zip(select_code_cells(notebook), run_cells_and_capture_output(notebook), strict=True), 1
    ):
        cell["execution_count"], cell["outputs"] = number, []
        if printed:
            text = printed.splitlines(keepends=True)
            cell["outputs"].append({"name": "stdout", "output_type": "stream", "text": text})
        if value:
            data = {"text/plain": value.splitlines(keepends=True)}
            cell["outputs"].append(
                {"data": data, "execution_count": number, "metadata": {}, "output_type": "execute_result"}
            )
    notebook_file.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        run_and_save_notebook(Path(name))
