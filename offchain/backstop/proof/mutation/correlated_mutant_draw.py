"""A draw of mutants for new pairs: by seed, without any that was drawn before, kept in a file before a trial.

The model's side of a pair is written by hand, so the file holds mutants in the order in which they are read:
each is made a pair, or passed over with a reason, until there are enough.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import yaml

from backstop.errors import BackstopError
from backstop.hosts.artifacts import CONTRACTS
from backstop.proof.mutation.contract_mutants import FILES, Mutant, list_mutants
from backstop.proof.mutation.correlated_mutants import DRAWN, HUNTED, PAIRS, read_mutant_pairs_from_yaml_files

SCHEMA_VERSION = 1
# Tokens, access, words and what campaigns cannot reach: their mutants make no wrong rule.
LEFT_OUT = ("Stablecoin", "Equity", "roles", "units", "bounds", "Timelock", "ChainlinkReporter")
# Mutants that are kept for each pair that is wanted: most of them are passed over.
READ_FOR_ONE = 6


def draw_mutants(count: int, seed: int, known: Iterable[str], root: Path = CONTRACTS) -> list[Mutant]:
    """Return a random sample of new mutants from which `count` mutant pairs are written by hand.

    A pair is the same mistake in contract and model. Six mutants are drawn for each pair, because most are
    passed over. Mutants in `known` are left out.
    """
    before = set(known)
    found = [
        mutant
        for contract in FILES
        if contract not in LEFT_OUT
        for mutant in list_mutants(contract, root)
        if mutant.id not in before
    ]
    Random(seed).shuffle(found)
    return found[: READ_FOR_ONE * count]


def read_drawn_mutant_ids(folder: Path = PAIRS) -> set[str]:
    """Return the ids of all mutants that earlier draws contain, whether used for a pair or skipped."""
    pairs = [*read_mutant_pairs_from_yaml_files(folder), *read_mutant_pairs_from_yaml_files(HUNTED)]
    ids = {pair.origin for pair in pairs if pair.source == DRAWN}
    for file in folder.parent.glob("skipped*.yaml"):
        ids |= {str(each["id"]) for each in yaml.safe_load(file.read_text())}
    for file in (folder.parent / "draws").glob("*.yaml"):
        ids |= {str(each["id"]) for each in yaml.safe_load(file.read_text())["mutants"]}
    return ids


def write_draw(mutants: Iterable[Mutant], count: int, seed: int, file: Path) -> None:
    """Write drawn mutants to a YAML file; raise BackstopError if the file exists."""
    if file.exists():
        raise BackstopError(f"{file}: the draw is made already; expected a new file")
    entries: list[dict[str, Any]] = [
        {
            "id": each.id,
            "file": each.file,
            "function": each.function,
            "operator": each.operator,
            "diff": each.make_diff(),
        }
        for each in mutants
    ]
    content = {"schema_version": SCHEMA_VERSION, "seed": seed, "pairs": count, "mutants": entries}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content, sort_keys=False, width=120))
