"""Tests that take long: `make deep` runs them, `make test` what shows less of the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pytest


def build_pytest_params_with_deep_marks(
    values: Iterable[Any], long_case_names: Collection[Any], brief_reason: str
) -> list[Any]:
    """Parametrize by values, of which some take long. A file goes by its name."""
    found = []
    for value in values:
        name = value.stem if isinstance(value, Path) else value
        marks = (pytest.mark.deep(brief=brief_reason),) if name in long_case_names else ()
        found.append(pytest.param(value, id=str(name), marks=marks))
    assert sum(bool(each.marks) for each in found) == len(long_case_names), (
        "a long case that is not among the values"
    )
    return found
