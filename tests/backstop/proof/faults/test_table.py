"""When a part breaks, the others continue; where they do not today, the hole is named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pytest

from backstop.hosts.artifacts import Artifacts
from backstop.proof.faults.breakable_components import PARTS
from backstop.proof.faults.call_liveness_table import WORKS, FaultTableCell, list_fault_table_cells
from backstop.proof.faults.failure_modes import WAYS
from tests.backstop.proof.faults.holes import HOLES, Hole
from tests.support.known_issue_marks import check_holds, mark_known_issue

# A contract fails; test_callbacks.py has calls back.
BRIEF = ("reverts",)
OTHERS = tuple(way for way in WAYS if way not in BRIEF)
BRIEFLY = "tests/backstop/proof/faults/test_table.py::test_all_other_calls_work"

Cells = Mapping[tuple[str, str, str], FaultTableCell]


def by_name(cells: Iterable[FaultTableCell]) -> Cells:
    return {(cell.part, cell.call, cell.way): cell for cell in cells}


@pytest.fixture(scope="module")
def brief(artifacts: Artifacts) -> Cells:
    return by_name(list_fault_table_cells(failure_modes=BRIEF, artifacts=artifacts))


@pytest.fixture(scope="module")
def others(artifacts: Artifacts) -> Cells:
    return by_name(list_fault_table_cells(failure_modes=OTHERS, artifacts=artifacts))


def holes(ways: tuple[str, ...]) -> list:
    """The holes of these ways, each marked with its rule."""
    return [
        pytest.param(hole, marks=mark_known_issue(hole.rule), id=f"{hole.part}-{hole.way}-{hole.call}")
        for hole in HOLES
        if hole.way in ways
    ]


def assert_all_others_work(cells: Cells, part: str) -> None:
    known = {hole[:3] for hole in HOLES}
    asked = [cell for key, cell in cells.items() if cell.part == part and key not in known]
    assert [cell for cell in asked if cell.verdict != WORKS] == []


def assert_works(cells: Cells, hole: Hole) -> None:
    cell = cells[hole.part, hole.call, hole.way]
    check_holds(cell.verdict == WORKS, f"{cell.verdict}: {cell.note}")


@pytest.mark.parametrize("part", [part.name for part in PARTS if set(part.ways) & set(BRIEF)])
def test_all_other_calls_work(brief, part):
    assert_all_others_work(brief, part)


@pytest.mark.parametrize("hole", holes(BRIEF))
def test_a_call_that_must_work(brief, hole):
    assert_works(brief, hole)


@pytest.mark.deep(brief=BRIEFLY)
@pytest.mark.parametrize("part", [part.name for part in PARTS if set(part.ways) & set(OTHERS)])
def test_all_other_calls_work_by_other_ways(others, part):
    assert_all_others_work(others, part)


@pytest.mark.deep(brief="tests/backstop/proof/faults/test_table.py::test_a_call_that_must_work")
@pytest.mark.parametrize("hole", holes(OTHERS))
def test_a_call_that_must_work_by_other_ways(others, hole):
    assert_works(others, hole)
