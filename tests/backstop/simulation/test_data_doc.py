"""docs/reference/data.md lists every table and column as they are."""

from __future__ import annotations

import re

from backstop.simulation.run_directory import TABLES
from backstop.simulation.simulator import simulate
from tests.support.checkout_paths import ROOT

DOC = ROOT / "docs" / "reference" / "data.md"


def documented() -> dict[str, dict[str, str]]:
    """Table -> column -> type, from the headings and tables of the page."""
    found = {}
    for name, body in re.findall(r"^## (\w+)\.parquet\n(.*?)(?=^## |\Z)", DOC.read_text(), re.M | re.S):
        found[name] = dict(re.findall(r"^\| `(\w+)` \| (\w+) \| ", body, re.M))
    return found


def test_every_column_is_documented() -> None:
    assert documented() == TABLES
    assert {name: list(columns) for name, columns in documented().items()} == {
        name: list(columns) for name, columns in TABLES.items()
    }


def test_every_field_of_the_summary_is_documented(small) -> None:
    (section,) = re.findall(r"^## summary.json\n(.*?)^## ", DOC.read_text(), re.M | re.S)
    named = set(re.findall(r"`(\w+)`", section))
    summary = simulate(small, "model", 1).summary
    assert set(summary) <= named
    assert set(summary["collateral_types"][0]) <= named
