"""A line of a contract has at most 110 columns: mamushi wraps code, not comments and docstrings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.checkout_paths import ROOT

CONTRACTS = sorted(path for path in (ROOT / "contracts").rglob("*.vy*") if path.suffix in (".vy", ".vyi"))
COLUMNS = 110


def too_long(source: str) -> list[int]:
    """The numbers of lines that are too long; a string that is a line by itself cannot be broken."""
    found = enumerate(source.splitlines(), 1)
    return [i for i, line in found if len(line) > COLUMNS and not (line[:5] == '    "' and line[-1] == '"')]


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_line_is_too_long(path: Path) -> None:
    assert too_long(path.read_text(encoding="utf-8")) == []


def test_a_long_line_is_seen() -> None:
    assert too_long("x\n" + "# " + "x" * 109) == [2]
    assert too_long('    "' + "x" * 109 + '"') == []
