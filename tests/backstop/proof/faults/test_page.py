"""docs/reference/faults.md has the table of today, and names every part, way and call."""

from __future__ import annotations

import pytest

from backstop.proof.faults.breakable_components import PARTS
from backstop.proof.faults.call_liveness_table import CALLS, count_applicable_fault_cells
from backstop.proof.faults.failure_modes import WAYS
from tests.backstop.proof.faults.holes import HOLES
from tests.support.checkout_paths import ROOT

PAGE = (ROOT / "docs" / "reference" / "faults.md").read_text()
HEAD = "| part | " + " | ".join(WAYS) + " |\n"


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_each_part_has_its_row(part):
    """Count working cells against all cells, by way: the difference is the known holes."""
    (row,) = [line for line in PAGE.split(HEAD)[1].splitlines() if line.startswith(f"| {part.name} |")]
    cells = []
    for way in WAYS:
        asked = count_applicable_fault_cells([part], [way])
        holes = sum(1 for hole in HOLES if (hole.part, hole.way) == (part.name, way))
        cells.append(f"{asked - holes}/{asked}" if asked else "")
    assert row == f"| {part.name} | " + " | ".join(cells) + " |"


def test_sums_rules_and_calls():
    cells = count_applicable_fault_cells(PARTS, None)
    assert f"{cells - len(HOLES):,} of {cells:,} cells work." in PAGE
    for rule in {hole.rule for hole in HOLES}:
        assert f"\n| {rule} |" in PAGE
    calls = PAGE.split("| call | at |")[1].split("\n\n")[0]
    for call in CALLS:
        assert call.name.split()[0] in calls, call.name
