"""The contracts that Ape has compiled for its project."""

from __future__ import annotations

import json
from pathlib import Path

from backstop.errors import BackstopError
from backstop.lockstep.artifact_files import read_contract_entries
from backstop.lockstep.contract_artifacts import ProjectArtifact


def load_ape_contracts(root: Path) -> dict[str, ProjectArtifact]:
    """Compile Ape's project, and return its contracts by name; empty if `root` is another project.

    Raises BackstopError if the compilation fails.
    """
    import ape

    project = ape.project
    if Path(project.path).resolve() != root.resolve():
        return {}
    try:
        containers = project.load_contracts()
    except Exception as error:  # of whichever compiler plugin
        raise BackstopError(f"Ape cannot compile {root}: {str(error).splitlines()[0]}") from error
    entries = {
        name: json.loads(each.contract_type.model_dump_json(by_alias=True))
        for name, each in containers.items()
    }
    triples = [(str(each.get("sourceId")), name, each) for name, each in entries.items()]
    return read_contract_entries(triples, root)
