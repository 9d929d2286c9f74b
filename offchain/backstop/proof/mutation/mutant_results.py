"""The fate of each mutant, kept in one file, so that a run goes on where the last one ended.

The file is a cache: contracts are edited between two runs by design, and then every mutant is tried again.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_json
from backstop.hosts.artifacts import CONTRACTS, ROOT, hash_files
from backstop.proof.mutation.contract_mutants import Mutant

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class MutantResult:
    """Result of running the tests on one mutant."""

    outcome: str  # killed, survived, invalid: does not compile, same code: compiles to the same
    seconds: float
    suite: str  # hash of the tests it met
    by: str = ""  # the test that failed

    @property
    def counts(self) -> bool:
        """True if the mutant compiled to other code, so that the tests could detect a fault."""
        return self.outcome in ("killed", "survived")


class MutantResultStore:
    """Results by mutant, kept in one file.

    A result is valid for the same contracts. A surviving mutant's result also needs the same tests.
    """

    def __init__(self, file: Path, fresh: bool = False) -> None:
        self.file = file
        self.contracts = hash_files(CONTRACTS.rglob("*.vy*"))
        self.suite = hash_files(
            path for folder in ("offchain", "tests") for path in (ROOT / folder).rglob("*.py")
        )
        self._records: dict[str, dict[str, Any]] = {}
        # The test that killed a mutant, or one of its function, probably does so again.
        self._killers: dict[tuple[str, ...], list[str]] = {}
        if file.exists():
            self._load_records_and_killers(fresh)

    def get_result(self, mutant: Mutant) -> MutantResult | None:
        """Return a mutant's stored result, or None if it is missing or no longer valid."""
        record = self._records.get(mutant.id)
        if record is None:
            return None
        result = _parse_result(record)
        return None if result.outcome == "survived" and result.suite != self.suite else result

    def list_killers(self, mutant: Mutant) -> list[str]:
        """Return up to five tests that killed this mutant or others of its function, latest first."""
        own, like = ((mutant.id,), (mutant.file, mutant.function))
        found = [*reversed(self._killers.get(own, [])), *reversed(self._killers.get(like, []))]
        return list(dict.fromkeys(found))[:5]

    def add_result(self, mutant: Mutant, result: MutantResult) -> None:
        """Store a mutant's result and write the file at once."""
        fields = {k: v for k, v in vars(mutant).items() if k != "edit"}
        self._records[mutant.id] = {**fields, **asdict(result)}
        self._remember_killer(mutant.id)
        content = {"schema_version": SCHEMA_VERSION, "contracts": self.contracts, "mutants": self._records}
        write_json(content, self.file)

    def _remember_killer(self, id_: str) -> None:
        record = self._records[id_]
        if by := record["by"]:
            for key in ((id_,), (record["file"], record["function"])):
                self._killers.setdefault(key, []).append(by)

    def _load_records_and_killers(self, should_discard_results: bool) -> None:
        """Load the results of an earlier run.

        If they are to be discarded, or the contracts have changed, only the killing tests are kept as hints.
        """
        again = "choose another --out, or remove it"
        content = read_versioned_json(self.file, "file of results", SCHEMA_VERSION, "run it first", again)
        try:
            self._records = dict(content["mutants"])
            for id_, record in self._records.items():
                _parse_result(record)
                self._remember_killer(id_)
            still_hold = content["contracts"] == self.contracts and not should_discard_results
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BackstopError(f"{self.file} is not a valid file of results ({error!r}): {again}") from None
        if not still_hold:
            self._records = {}


def _parse_result(record: dict[str, Any]) -> MutantResult:
    return MutantResult(
        str(record["outcome"]), float(record["seconds"]), str(record["suite"]), str(record["by"])
    )
