"""Pairs: the same wrong rule in a contract and in its model, so that comparing the two says nothing.

One file of `tests/backstop/proof/mutation/pairs` holds a few. A text is whole lines or a part of one, and
occurs exactly once in its file, so that a pair outlives edits elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from backstop.errors import BackstopError
from backstop.hosts.artifacts import ROOT

SCHEMA_VERSION = 1
PAIRS = ROOT / "tests" / "backstop" / "proof" / "mutation" / "pairs"
# Those that the hunt is tried with, drawn after it was written, and harmless ones.
HUNTED = PAIRS / "hunted"
# Where the files of the two sides lie, under the root of a checkout.
SIDES = {"contract": Path("contracts"), "model": Path("offchain") / "backstop" / "model"}
DRAWN, BY_HAND = "drawn", "by hand"


@dataclass(frozen=True)
class TextChange:
    """Replacement of one text in a file; `file` is relative to the root of a checkout."""

    file: str
    before: str
    after: str

    def apply(self, root: Path) -> None:
        """Apply the replacement in a checkout.

        Raises BackstopError unless the old text occurs exactly once.
        """
        path = root / self.file
        text = path.read_text() if path.is_file() else ""
        if (found := text.count(self.before)) != 1:
            line = self.before.strip().partition("\n")[0]
            raise BackstopError(f"{self.file} has {found} times what a pair changes ({line}): write it anew")
        path.write_text(text.replace(self.before, self.after))


@dataclass(frozen=True)
class CorrelatedMutant:
    """The same mistake in a contract and in its model, so that comparing the two does not reveal it.

    `wrong` describes the mistake, and `gains` the account that it favours.
    """

    name: str
    wrong: str
    gains: str
    source: str  # DRAWN or BY_HAND
    origin: str  # the id of the mutant, or the kind of failure
    changes: tuple[TextChange, ...]

    def apply(self, root: Path) -> None:
        """Apply the mistake to the contracts and to the model of a checkout."""
        for change in self.changes:
            try:
                change.apply(root)
            except BackstopError as error:
                raise BackstopError(f"pair {self.name}: {error}") from None

    def __str__(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def read_mutant_pairs_from_yaml_files(folder: Path = PAIRS) -> list[CorrelatedMutant]:
    """Return all mutant pairs of a folder's YAML files.

    Raises BackstopError if there are none, one is incomplete, or two have the same name.
    """
    pairs = [pair for file in sorted(folder.glob("*.yaml")) for pair in read_mutant_pair_file(file)]
    if not pairs:
        raise BackstopError(f"there are no pairs in {folder}: it holds them as *.yaml")
    names = [pair.name for pair in pairs]
    for name in names:
        if names.count(name) > 1:
            raise BackstopError(f"two pairs in {folder} are called {name}: rename one")
    return pairs


def select_correlated_mutants(
    correlated_mutants: Iterable[CorrelatedMutant], names: Iterable[str], contract_files: Iterable[str]
) -> list[CorrelatedMutant]:
    """Return the pairs with these names and those that change one of these contract files.

    Returns all pairs if neither is given. Raises BackstopError for an unknown name.
    """
    correlated_mutants, names, contract_files = (
        list(correlated_mutants),
        set(names),
        {str(SIDES["contract"] / file) for file in contract_files},
    )
    if unknown := names - {pair.name for pair in correlated_mutants}:
        raise BackstopError(f"no pair {min(unknown)!r}: {PAIRS} has them all")
    if not names and not contract_files:
        return correlated_mutants
    return [
        pair
        for pair in correlated_mutants
        if pair.name in names or contract_files & {change.file for change in pair.changes}
    ]


def read_mutant_pair_file(file: Path) -> list[CorrelatedMutant]:
    """Return the mutant pairs of one YAML file; raise BackstopError if one is incomplete."""
    try:
        content = yaml.safe_load(file.read_text())
        if content["schema_version"] != SCHEMA_VERSION:
            version = content["schema_version"]
            raise BackstopError(f"{file} has schema version {version}, this program reads {SCHEMA_VERSION}")
        return [_parse_correlated_mutant(entry) for entry in content["pairs"]]
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise BackstopError(
            f"{file} is not a list of name, wrong, gains, source, contract and model ({error!r})"
        ) from None


def _parse_correlated_mutant(entry: dict[str, Any]) -> CorrelatedMutant:
    known = {"name", "wrong", "gains", "source", *SIDES}
    if entry.keys() != known:
        raise ValueError(f"fields {sorted(entry.keys() ^ known)}")
    source = next(kind for kind in (DRAWN, BY_HAND) if kind in entry["source"])
    changes = tuple(
        TextChange(str(folder / each["file"]), each["before"], each["after"])
        for side, folder in SIDES.items()
        for each in entry[side]
    )
    if {Path(change.file).suffix for change in changes} != {".vy", ".py"}:
        raise ValueError(f"{entry['name']} does not change both sides")
    return CorrelatedMutant(
        str(entry["name"]),
        str(entry["wrong"]),
        str(entry["gains"]),
        source,
        str(entry["source"][source]),
        changes,
    )
