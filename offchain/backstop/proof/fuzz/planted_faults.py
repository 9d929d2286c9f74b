"""Planted faults: a function that writes a unit too much while two predicates of the state hold together.

Model and chain have the same fault, so that comparing them says nothing: a property has to notice. The state
that both would have is put before the state properties as soon as the function succeeds in such a state, and
nothing is changed. So one campaign tries all faults, and each is as hard to find as if it were there alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from backstop.errors import BackstopError
from backstop.files.atomic_files import write_text
from backstop.proof.fuzz.run_predicate_observer import StateObserver, list_state_predicate_names
from backstop.proof.lockstep import ProtocolLockstep
from backstop.proof.properties import PropertyViolationError, check_state_properties
from backstop.system import Action, Outcome

SCHEMA_VERSION = 1


class LedgerWrite(NamedTuple):
    """Faulty write of a planted fault: it adds one unit to the first non-zero entry of a table."""

    contract: str
    path: str
    field: str = ""


WRITES = (
    LedgerWrite("Stablecoin", "erc20.totalSupply"),
    LedgerWrite("VaultEngine", "ledger.system", "buffers"),
    LedgerWrite("VaultEngine", "ledger.system", "reserve"),
    LedgerWrite("VaultEngine", "vaults", "normalized_debt"),
)
"""Ledgers that a property adds up anew in every state."""


@dataclass(frozen=True)
class PlantedFault:
    """Planted fault: a successful call of a function writes one unit too much to a ledger.

    The fault occurs only while both of its state predicates hold.
    """

    name: str
    predicates: tuple[str, str]
    contract: str  # the Vyper file
    method: str
    write: LedgerWrite

    def find_state_predicate_index_pair(self) -> tuple[int, int]:
        """Return the indices of the fault's two predicates among all state predicates.

        Raises BackstopError if the model no longer has a predicate.
        """
        names = {name: place for place, name in enumerate(list_state_predicate_names())}
        missing = [each for each in self.predicates if each not in names]
        if missing:
            raise BackstopError(f"planted fault {self.name}: unknown predicate {missing[0]!r}; draw it anew")
        first, second = (names[each] for each in self.predicates)
        return first, second


def read_faults_yaml(path: Path) -> list[PlantedFault]:
    """Read planted faults from a YAML file. Raises BackstopError if the file is missing or invalid."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {content['schema_version']}")
        found = []
        for each in content["faults"]:
            contract, method = each["function"].split(".")
            first, second = each["predicates"]
            found.append(
                PlantedFault(each["name"], (first, second), contract, method, LedgerWrite(*each["write"]))
            )
        return found
    except (OSError, yaml.YAMLError, KeyError, IndexError, TypeError, ValueError) as error:
        raise BackstopError(f"{path}: no list of planted faults ({error!r}); draw it anew") from None


class FaultTrial:
    """Trial of planted faults in one run: it tests whether a state property would detect each fault.

    `reported` maps the name of each detected fault to the step of its first detection.
    """

    def __init__(
        self, faults: Iterable[PlantedFault], both: ProtocolLockstep, observer: StateObserver
    ) -> None:
        self._both, self._observer = both, observer
        self._by_call: dict[tuple[str, str], list[tuple[PlantedFault, int]]] = {}
        for fault in faults:
            first, second = fault.find_state_predicate_index_pair()
            waiting = self._by_call.setdefault((fault.contract, fault.method), [])
            waiting.append((fault, 1 << first | 1 << second))
        self.reported: dict[str, int] = {}

    def find_met_faults(self, action: Action) -> list[PlantedFault]:
        """Return the undetected faults that a call would trigger: same function, both predicates hold.

        Call this just before the call is applied.
        """
        waiting = self._by_call.get((self._both.chain.kinds[action.contract], action.method))
        if not waiting:
            return []
        self._observer.update_predicates("")
        held = self._observer.held
        return [fault for fault, both in waiting if held & both == both and fault.name not in self.reported]

    def record_detected_faults(self, faults: Iterable[PlantedFault], outcome: Outcome, step: int) -> None:
        """Check the state properties on a snapshot with each fault, and record the faults that fail them.

        Nothing is recorded if the call reverted. The real state is not changed. `step` is the run's step.
        """
        for fault in faults if outcome.ok else ():
            snapshot = self._both.snapshot()
            if _increment_first_nonzero_entry(snapshot, fault.write):
                try:
                    check_state_properties(snapshot, self._both.addresses)
                except PropertyViolationError:
                    self.reported[fault.name] = step


def _increment_first_nonzero_entry(snapshot: Any, ledger_write: LedgerWrite) -> bool:
    """Add one to the first non-zero entry of a table in a snapshot; return False if there is none."""
    table = snapshot.get(ledger_write.contract, {}).get(ledger_write.path, {})
    for key, value in table.items():
        amount = getattr(value, ledger_write.field) if ledger_write.field else value
        if amount:
            table[key] = (
                value._replace(**{ledger_write.field: amount + 1}) if ledger_write.field else amount + 1
            )
            return True
    return False


def write_faults_yaml(faults: Sequence[PlantedFault], origin: Mapping[str, Any], path: Path) -> None:
    """Write planted faults and the origin of their draw (seed and campaigns) to a YAML file."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "drawn": dict(origin),
        "faults": [
            {
                "name": each.name,
                "predicates": list(each.predicates),
                "function": f"{each.contract}.{each.method}",
                "write": [part for part in each.write if part],
            }
            for each in faults
        ],
    }
    write_text(yaml.safe_dump(content, sort_keys=False, width=110), path)


def result_lines(faults: Sequence[PlantedFault], reported: Mapping[str, int]) -> Iterator[str]:
    """Yield a text line for each planted fault with the step that reported it, then the total."""
    for each in faults:
        step = f"step {reported[each.name]:,}" if each.name in reported else "not reported"
        yield f"  {each.contract}.{each.method} while {' and '.join(each.predicates)}: {step}"
    yield f"planted faults reported: {len(reported)} of {len(faults)}"
