"""What pyproject.toml asks for."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

from tests.support.checkout_paths import ROOT

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
EXTRA_REQUIREMENTS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def list_group_requirements(group: str) -> Iterator[str]:
    """Yield the requirements of a dependency group, with those of the groups that it includes."""
    for each in PYPROJECT["dependency-groups"][group]:
        if isinstance(each, dict):
            yield from list_group_requirements(each["include-group"])
        else:
            yield each
