"""Trials of pairs: the detectors of a wrong rule that contract and model share; results are kept.

A result holds as long as the contracts, the model, the properties, the moves and the pair are the same.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_json
from backstop.hosts.artifacts import CONTRACTS, ROOT, Artifacts, hash_files
from backstop.proof.mutation.correlated_mutants import CorrelatedMutant
from backstop.proof.mutation.mistake_detectors import (
    BROKEN,
    DIFFERENCE,
    NOTICED,
    SILENT,
    WITNESSES,
    DetectorTask,
    DetectorVerdict,
    copy_checkout,
)

SCHEMA_VERSION = 1
# So long may a witness take for a pair.
LONGEST = 600.0
# Folders of the package on which a result hangs.
LOOKED_AT = ("model", "proof/properties", "proof/fuzz", "deployment")


@dataclass(frozen=True)
class MutantPairResult:
    """Final verdict on one mutant pair (the same mistake in contract and model)."""

    key: str  # hash of all it hangs on
    witness: str
    outcome: str
    by: str
    step: int
    said: str
    seconds: float

    @property
    def detector_or_outcome(self) -> str:
        """Detector that noticed the mistake, "nobody" if none did, or another outcome."""
        return {NOTICED: self.by, SILENT: "nobody"}.get(self.outcome, self.outcome)


class MutantPairResultStore:
    """Results of mutant pairs by name, kept in one file."""

    def __init__(self, file: Path, fresh: bool = False) -> None:
        self.file = file
        self._found: dict[str, MutantPairResult] = {}
        if file.exists() and not fresh:
            mend = "choose another --out, or remove it"
            content = read_versioned_json(file, "file of results", SCHEMA_VERSION, "run it first", mend)
            try:
                self._found = {name: MutantPairResult(**fields) for name, fields in content["pairs"].items()}
            except (KeyError, TypeError, AttributeError) as error:
                raise BackstopError(f"{file} is not a valid file of results ({error!r}): {mend}") from None

    def get_result(self, mutant_pair: CorrelatedMutant, input_hash: str) -> MutantPairResult | None:
        """Return the stored result of a pair, or None if there is none or its inputs have changed."""
        result = self._found.get(mutant_pair.name)
        return result if result is not None and result.key == input_hash else None

    def add_result(self, mutant_pair: CorrelatedMutant, result: MutantPairResult) -> None:
        """Store a pair's result and write the file at once."""
        self._found[mutant_pair.name] = result
        pairs = {name: asdict(each) for name, each in self._found.items()}
        write_json({"schema_version": SCHEMA_VERSION, "pairs": pairs}, self.file)


def try_mutant_pairs(
    mutant_pairs: Sequence[CorrelatedMutant],
    result_store: MutantPairResultStore,
    steps: int,
    seed: int = 1,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[CorrelatedMutant, MutantPairResult]]:
    """Yield each mutant pair with its stored or new result, until `stopped` returns True.

    `steps` and `seed` define the fuzz campaign.
    """
    Artifacts().load()  # copies take over what is compiled
    package = ROOT / "offchain" / "backstop"
    sources = [*CONTRACTS.rglob("*.vy*"), *(p for each in LOOKED_AT for p in (package / each).rglob("*.py"))]
    same = repr((hash_files(sources), steps, seed, *WITNESSES))
    for pair in mutant_pairs:
        key = hashlib.sha256(f"{same} {pair}".encode()).hexdigest()[:24]
        result = result_store.get_result(pair, key)
        if result is None:
            began = time.monotonic()
            witness, word = _find_first_detector_verdict(pair, DetectorTask(steps, seed, LONGEST, stopped))
            if stopped():
                return
            result = MutantPairResult(key, witness, *word, round(time.monotonic() - began, 1))
            result_store.add_result(pair, result)
        yield pair, result


def _find_first_detector_verdict(
    mutant_pair: CorrelatedMutant, task: DetectorTask
) -> tuple[str, DetectorVerdict]:
    """Run the detectors one after another, and return the first name and verdict that is not silent.

    A silent detector noticed nothing. If all are silent, the name is empty.
    """
    with copy_checkout(mutant_pair) as copy:
        for name, ask in WITNESSES.items():
            word = ask(copy, task)
            if word.outcome != SILENT:
                return name, word
    return "", DetectorVerdict(SILENT)


def build_mutant_pair_console_table(
    pair_results: Iterable[tuple[CorrelatedMutant, MutantPairResult]],
) -> Table:
    """Return a table with the detector and the step of detection of each mutant pair."""
    found = Table("pair", "kind", "noticed by", box=None, pad_edge=False)
    found.add_column("step", justify="right")
    for pair, result in pair_results:
        found.add_row(
            pair.name, pair.source, result.detector_or_outcome, f"{result.step:,}" if result.step else ""
        )
    return found


def format_noticed_pair_count(pair_results: Sequence[tuple[CorrelatedMutant, MutantPairResult]]) -> str:
    """Return one line with the number of noticed mutant pairs."""
    noticed = sum(result.outcome == NOTICED for _, result in pair_results)
    return f"noticed {noticed} of {len(pair_results)}"


def iter_invalid_mutant_pair_violations(
    pair_results: Iterable[tuple[CorrelatedMutant, MutantPairResult]],
) -> Iterator[str]:
    """Yield a message for each pair that cannot run or makes contract and model differ."""
    for pair, result in pair_results:
        if result.outcome == DIFFERENCE:
            yield f"{pair.name} is not a pair, contract and model differ: {result.said}"
        elif result.outcome == BROKEN:
            yield f"{pair.name} cannot be run: {result.said}"
