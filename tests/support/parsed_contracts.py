"""The contracts' sources, each parsed once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import vyper.ast as vy_ast


@cache
def parse_contract(path: Path) -> vy_ast.Module:
    """Return the tree of one file, which must not be changed."""
    return vy_ast.parse_to_ast(
        path.read_text(),
        resolved_path=str(path),
        module_path=str(path),
        is_interface=path.suffix == ".vyi",
    )
