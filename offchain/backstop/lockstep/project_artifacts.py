"""The contracts of one project, compiled by any tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from backstop.errors import BackstopError
from backstop.lockstep.artifact_files import read_artifact_files
from backstop.lockstep.contract_artifacts import ProjectArtifact
from backstop.lockstep.vyper_sources import compile_vyper_source, find_vyper_layout


class ProjectArtifacts:
    """Compiled contracts of one project by name, read or compiled at first use."""

    def __init__(
        self,
        root: Path,
        files: Sequence[Path | str] = (),
        compiled: Mapping[str, ProjectArtifact] | None = None,
    ) -> None:
        """Search `files` first, then the `compiled` contracts, then Vyper sources in `root`/contracts."""
        self.root = root
        self._files = [root / each for each in files]
        self._loaded: dict[str, ProjectArtifact] = {}
        self._compiled = dict(compiled or {})
        self._read: dict[str, ProjectArtifact] | None = None

    def __getitem__(self, kind: str) -> ProjectArtifact:
        if kind not in self._loaded:
            self._loaded[kind] = self._find_artifact(kind)
        return self._loaded[kind]

    def _find_artifact(self, kind: str) -> ProjectArtifact:
        if self._read is None:
            self._read = read_artifact_files(self._files)
        if kind in self._read:
            return self._read[kind]
        source = self._find_source(kind)
        if kind in self._compiled:
            found = self._compiled[kind]
            return found if source is None else find_vyper_layout(found, source, self.root)
        if source is None:
            known = ", ".join(sorted({*self._read, *self._compiled}))
            raise BackstopError(
                f"contract {kind} not found: expected {self.root / 'contracts'}/**/{kind}.vy"
                + (f", or one of {known}" if known else "")
                + "; name the contract in KIND of its model, or its file in `artifacts` of the Campaign"
            )
        return compile_vyper_source(kind, source, self.root)

    def _find_source(self, kind: str) -> Path | None:
        found = sorted((self.root / "contracts").rglob(f"{kind}.vy"))
        if len(found) > 1:
            raise BackstopError(f"two contracts are called {kind}: {found[0]} and {found[1]}: rename one")
        return found[0] if found else None
