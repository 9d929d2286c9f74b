"""A seeded draw of mutants of a foreign vault, each compiled and told from the vault by its bytecode."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from random import Random
from typing import NamedTuple

from backstop.proof.mutation.contract_mutants import Mutant
from backstop.proof.mutation.equivalent_mutants import read_equivalence_arguments
from benchmarks.lockstep.foreign_vaults import BENCH, CompilationError, ForeignVault, VaultBuild

COUNT = 10
EQUIVALENT = BENCH / "equivalent.yaml"
"""Mutants that are argued to change nothing observable; others are drawn in their place."""


class DrawnMutant(NamedTuple):
    """Drawn mutant with its compiled contracts and the folder of its sources."""

    mutant: Mutant
    build: VaultBuild
    folder: Path


def iter_mutants_in_order_of_draw(vault: ForeignVault, seed: str) -> Iterator[Mutant]:
    """Yield all mutants of a vault in a seeded random order, alternating between the operators."""
    order = vault.list_mutants()
    Random(f"{seed} {vault.name}").shuffle(order)
    by_operator: dict[str, list[Mutant]] = {}
    for mutant in order:
        by_operator.setdefault(mutant.operator, []).append(mutant)
    for left in cycle(list(by_operator.values())):
        if left:
            yield left.pop()
        elif not any(by_operator.values()):
            return


def draw_mutants(vault: ForeignVault, seed: str, folder: Path, count: int = COUNT) -> list[DrawnMutant]:
    """Draw mutants of a vault, compile each in a new folder, and return `count` of them.

    A mutant that does not compile or is equivalent is replaced by the next. A mutant is equivalent if
    equivalent.yaml lists it, or if its bytecode is that of the vault or of an earlier mutant.
    """
    whole = vault.compile_vault(folder / "whole")
    known = {whole.contracts["Vault"].bytecode}
    argued = read_equivalence_arguments(EQUIVALENT)
    drawn: list[DrawnMutant] = []
    for mutant in iter_mutants_in_order_of_draw(vault, seed):
        if len(drawn) == count:
            break
        if mutant.key in argued:
            continue
        place = folder / mutant.id
        try:
            build = vault.compile_vault(place, mutant)
        except CompilationError:
            shutil.rmtree(place)
            continue
        if build.contracts["Vault"].bytecode in known:
            shutil.rmtree(place)
            continue
        known.add(build.contracts["Vault"].bytecode)
        drawn.append(DrawnMutant(mutant, build, place))
    return drawn
