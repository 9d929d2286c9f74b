"""Vectors of other systems' liquidations, as they lie in tests/data/peer_liquidations."""

from __future__ import annotations

from functools import cache
from typing import Any

from backstop.studies.peer_liquidations.vector_replay import read_vector_groups
from tests.support.checkout_paths import ROOT

VECTORS = ROOT / "tests" / "data" / "peer_liquidations"


@cache
def load_group(name: str) -> list[dict[str, Any]]:
    """Return all cases of a group."""
    return read_vector_groups(VECTORS / f"{name}.json.gz")[name]
