"""Mutants that are argued to have no observable effect."""

from __future__ import annotations

from pathlib import Path

import yaml

from backstop.errors import BackstopError
from backstop.hosts.artifacts import ROOT

EQUIVALENT = ROOT / "tests" / "backstop" / "proof" / "mutation" / "equivalent.yaml"


def read_equivalence_arguments(file: Path = EQUIVALENT) -> dict[tuple[str, ...], str]:
    """Return the argument why a mutant has no observable effect, by `Mutant.key`.

    Raises BackstopError if the file is malformed.
    """
    found: dict[tuple[str, ...], str] = {}
    try:
        for entry in yaml.safe_load(file.read_text()) or []:
            words = (entry["file"], entry["function"], entry["operator"], entry["before"], entry["after"])
            found[(*words, str(entry.get("nth", 1)))] = str(entry["why"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise BackstopError(
            f"{file} is not a list of file, function, operator, before, after and why ({error!r})"
        ) from None
    return found
