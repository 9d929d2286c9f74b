"""Mutants of the lines that changed since a commit, each put before a campaign of random steps.

Zero differences alone prove nothing: this counts how many faults in new lines the same campaign notices.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from backstop.errors import BackstopError
from backstop.hosts.artifacts import CONTRACTS, Artifacts
from backstop.proof.mutation.contract_mutants import FILES, Mutant, list_mutants
from backstop.proof.mutation.mistake_detectors import (
    BROKEN,
    SILENT,
    DetectorTask,
    DetectorVerdict,
    copy_checkout,
    run_campaign,
)

_FILE = re.compile(r"^\+\+\+ b/contracts/(.+)$")
_LINES = re.compile(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@")
_LONGEST = 900.0
"""Seconds after which a mutant's campaign is given up."""


@dataclass(frozen=True)
class ContractOnlyMistake:
    """Mutant that is applied to the contracts only, and not to the model."""

    mutant: Mutant

    def apply(self, root: Path) -> None:
        """Write the mutant into the contracts of a checkout."""
        path = root / "contracts" / self.mutant.file
        path.write_text(self.mutant.apply(path.read_text()))


def read_changed_lines(revision: str, root: Path = CONTRACTS.parent) -> dict[str, set[int]]:
    """Return the line numbers of each contract file that were added since a git revision.

    Raises BackstopError if git does not know the revision.
    """
    options = ("--unified=0", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")
    command = ["git", "diff", *options, revision, "--", "contracts"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if done.returncode != 0:
        reason = done.stderr.strip().partition("\n")[0]
        raise BackstopError(f"--since {revision}: {reason}; expected a commit of this checkout")
    found: dict[str, set[int]] = {}
    file = ""
    for line in done.stdout.splitlines():
        if name := _FILE.match(line):
            file = name[1]
        elif place := _LINES.match(line):
            first, count = int(place[1]), int(place[2] or 1)
            found.setdefault(file, set()).update(range(first, first + count))
    return found


def shuffle_mutants_of_lines(
    lines_by_file: Mapping[str, set[int]], seed: int, root: Path = CONTRACTS
) -> list[Mutant]:
    """Return all mutants of these lines, shuffled by the seed.

    A mutant is a contract with one small fault.
    """
    found = [
        mutant
        for contract in FILES
        for mutant in list_mutants(contract, root)
        if mutant.line in lines_by_file.get(mutant.file, ())
    ]
    Random(seed).shuffle(found)
    return found


def try_mutants(
    mutants: list[Mutant], count: int, steps: int, seed: int, stopped: Callable[[], bool] = lambda: False
) -> Iterator[tuple[Mutant, DetectorVerdict]]:
    """Yield `count` mutants with the verdict of a fuzz campaign on each.

    Mutants that do not compile are skipped. `stopped` ends the iteration early.
    """
    Artifacts().load()  # copies take over what is compiled
    for mutant in mutants:
        if count == 0 or stopped():
            return
        with copy_checkout(ContractOnlyMistake(mutant)) as copy:
            word = run_campaign(copy, DetectorTask(steps, seed, _LONGEST, stopped))
        if word.outcome == BROKEN and not word.step:
            continue
        if not stopped():
            count -= 1
            yield mutant, word


def list_results(done: list[tuple[Mutant, DetectorVerdict]]) -> Iterator[str]:
    """Yield the report lines of each tried mutant, and a last line with the number of detected ones."""
    for mutant, word in done:
        told = f"noticed at step {word.step:,}: {word.by or word.said.partition(chr(10))[0]}"
        place = f"{mutant.file}:{mutant.line} {mutant.function}, {mutant.operator}"
        yield f"{place}: {'not noticed' if word.outcome == SILENT else told}"
        yield f"  - {mutant.before}"
        yield f"  + {mutant.after}"
    noticed = sum(word.outcome != SILENT for _, word in done)
    yield f"noticed {noticed} of {len(done)} mutants of changed lines"
