"""Compiled contracts with freshly built codecs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from backstop.hosts.artifacts import Artifacts


def build_uncached_artifacts(kinds: Iterable[str]) -> Artifacts:
    """Return artifacts of kinds of contracts with an ABI that is read once more, by the current codec."""
    artifacts = Artifacts()
    for kind in kinds:
        artifacts._loaded[kind] = replace(artifacts[kind])  # a copy has no codec yet
    return artifacts
