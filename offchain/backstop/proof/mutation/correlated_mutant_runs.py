"""Trials of pairs: who notices a wrong rule that contract and model share; results are kept after each.

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
from backstop.files.atomic_files import read_json, write_json
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
class PairResult:
    """The last word on one pair, and whose it is."""

    key: str  # hash of all it hangs on
    witness: str
    outcome: str
    by: str
    step: int
    said: str
    seconds: float

    @property
    def told(self) -> str:
        """Who noticed, or what else there is to say."""
        return {NOTICED: self.by, SILENT: "nobody"}.get(self.outcome, self.outcome)


class PairResultStore:
    """Results by the pair's name, in one file."""

    def __init__(self, file: Path, fresh: bool = False) -> None:
        self.file = file
        self._found: dict[str, PairResult] = {}
        if file.exists() and not fresh:
            mend = "choose another --out, or remove it"
            content = read_json(file, "file of results", SCHEMA_VERSION, "run it first", mend)
            try:
                self._found = {name: PairResult(**fields) for name, fields in content["pairs"].items()}
            except (KeyError, TypeError, AttributeError) as error:
                raise BackstopError(f"{file} is not a whole file of results ({error!r}): {mend}") from None

    def get_result(self, pair: CorrelatedMutant, key: str) -> PairResult | None:
        """Return what is known of a pair and still holds."""
        result = self._found.get(pair.name)
        return result if result is not None and result.key == key else None

    def add_result(self, pair: CorrelatedMutant, result: PairResult) -> None:
        """Keep a result, at once also on disk."""
        self._found[pair.name] = result
        pairs = {name: asdict(each) for name, each in self._found.items()}
        write_json({"schema_version": SCHEMA_VERSION, "pairs": pairs}, self.file)


def try_pairs(
    pairs: Sequence[CorrelatedMutant],
    results: PairResultStore,
    steps: int,
    seed: int = 1,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[CorrelatedMutant, PairResult]]:
    """Yield the pairs one after the other with what became of them, until somebody stops it."""
    Artifacts().load()  # copies take over what is compiled
    package = ROOT / "offchain" / "backstop"
    sources = [*CONTRACTS.rglob("*.vy*"), *(p for each in LOOKED_AT for p in (package / each).rglob("*.py"))]
    same = repr((hash_files(sources), steps, seed, *WITNESSES))
    for pair in pairs:
        key = hashlib.sha256(f"{same} {pair}".encode()).hexdigest()[:24]
        result = results.get_result(pair, key)
        if result is None:
            began = time.monotonic()
            witness, word = _ask_detectors(pair, DetectorTask(steps, seed, LONGEST, stopped))
            if stopped():
                return
            result = PairResult(key, witness, *word, round(time.monotonic() - began, 1))
            results.add_result(pair, result)
        yield pair, result


def _ask_detectors(pair: CorrelatedMutant, task: DetectorTask) -> tuple[str, DetectorVerdict]:
    """Ask one witness after the other; return the first that is not silent."""
    with copy_checkout(pair) as copy:
        for name, ask in WITNESSES.items():
            word = ask(copy, task)
            if word.outcome != SILENT:
                return name, word
    return "", DetectorVerdict(SILENT)


def build_pair_table(done: Iterable[tuple[CorrelatedMutant, PairResult]]) -> Table:
    """Return a table with a row for each pair."""
    found = Table("pair", "kind", "noticed by", box=None, pad_edge=False)
    found.add_column("step", justify="right")
    for pair, result in done:
        found.add_row(pair.name, pair.source, result.told, f"{result.step:,}" if result.step else "")
    return found


def format_pair_total(done: Sequence[tuple[CorrelatedMutant, PairResult]]) -> str:
    """Return the sum in one line."""
    noticed = sum(result.outcome == NOTICED for _, result in done)
    return f"noticed {noticed} of {len(done)}"


def iter_pair_complaints(done: Iterable[tuple[CorrelatedMutant, PairResult]]) -> Iterator[str]:
    """Yield what is wrong with pairs that are none."""
    for pair, result in done:
        if result.outcome == DIFFERENCE:
            yield f"{pair.name} is no pair, contract and model differ: {result.said}"
        elif result.outcome == BROKEN:
            yield f"{pair.name} cannot be run: {result.said}"
