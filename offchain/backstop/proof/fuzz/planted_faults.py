"""Planted faults: a function that writes a unit too much while two predicates of the state hold together.

Model and chain have the same fault, so that comparing them says nothing: a property has to notice. The state
that both would have is put before the state properties as soon as the function succeeds in such a state, and
nothing is changed. So one campaign tries all faults, and each is as hard to find as if it were there alone.

    python -m backstop.proof.fuzz.planted_faults FILE --seed 1 --count 20 CAMPAIGN.json OTHER-CAMPAIGN.json

draws faults anew: the two predicates are a pair that held together in one of two campaigns of other seeds and
not in the other one, rare but possible; the function reads the first of them, directly or through others.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from inspect import getmembers, getsource, isclass, isfunction
from pathlib import Path
from random import Random
from textwrap import dedent
from typing import Any, NamedTuple

import click
import yaml

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_json, write_text
from backstop.model.contract_base import Contract
from backstop.proof.fuzz.campaign_counts import CampaignCounts
from backstop.proof.fuzz.fuzz_campaign import SCHEMA_VERSION as CAMPAIGN_VERSION
from backstop.proof.fuzz.state_coverage import StateCoverage
from backstop.proof.fuzz.state_observer import ENTRIES, NAMED, StateObserver, predicate_names
from backstop.proof.fuzz.state_predicates import derive_predicates, load_model_modules
from backstop.proof.lockstep import Lockstep
from backstop.proof.properties import PropertyViolationError, check_state
from backstop.system import Action, Outcome

SCHEMA_VERSION = 1


class LedgerWrite(NamedTuple):
    """An entry of a ledger that is a unit too much; the first one that is not zero."""

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
    """While both predicates hold, a successful call of a function writes a unit too much."""

    name: str
    predicates: tuple[str, str]
    contract: str  # the Vyper file
    method: str
    write: LedgerWrite

    def find_places(self) -> tuple[int, int]:
        """Return the places of the predicates; raises BackstopError if the model has them no more."""
        names = {name: place for place, name in enumerate(predicate_names())}
        missing = [each for each in self.predicates if each not in names]
        if missing:
            raise BackstopError(f"planted fault {self.name}: unknown predicate {missing[0]!r}; draw it anew")
        first, second = (names[each] for each in self.predicates)
        return first, second


def read_faults(path: Path) -> list[PlantedFault]:
    """Read planted faults; raises BackstopError if the file is none."""
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
    """Watches one run for calls that planted faults would spoil; `reported` has the first step of each."""

    def __init__(self, faults: Iterable[PlantedFault], both: Lockstep, observer: StateObserver) -> None:
        self._both, self._observer = both, observer
        self._by_call: dict[tuple[str, str], list[tuple[PlantedFault, int]]] = {}
        for fault in faults:
            first, second = fault.find_places()
            waiting = self._by_call.setdefault((fault.contract, fault.method), [])
            waiting.append((fault, 1 << first | 1 << second))
        self.reported: dict[str, int] = {}

    def find_met_faults(self, action: Action) -> list[PlantedFault]:
        """Return the faults that a call meets which is about to be made."""
        waiting = self._by_call.get((self._both.chain.kinds[action.contract], action.method))
        if not waiting:
            return []
        self._observer.update_predicates("")
        held = self._observer.held
        return [fault for fault, both in waiting if held & both == both and fault.name not in self.reported]

    def try_faults(self, faults: Iterable[PlantedFault], outcome: Outcome, step: int) -> None:
        """Put the state that each fault would make of a call that succeeded before the properties."""
        for fault in faults if outcome.ok else ():
            snapshot = self._both.snapshot()
            if _apply_write(snapshot, fault.write):
                try:
                    check_state(snapshot, self._both.addresses)
                except PropertyViolationError:
                    self.reported[fault.name] = step


def _apply_write(snapshot: Any, write: LedgerWrite) -> bool:
    """Add one to the first entry that is not zero; return whether there is one."""
    table = snapshot.get(write.contract, {}).get(write.path, {})
    for key, value in table.items():
        amount = getattr(value, write.field) if write.field else value
        if amount:
            table[key] = value._replace(**{write.field: amount + 1}) if write.field else amount + 1
            return True
    return False


# ------------------------------------------------------------------------- the draw


def draw_faults(
    coverages: tuple[StateCoverage, StateCoverage], tally: CampaignCounts, seed: int, count: int
) -> list[PlantedFault]:
    """Draw planted faults from pairs of predicates that one of two campaigns reached."""
    random, names = Random(f"planted faults {seed}"), predicate_names()
    one, other = (each.compute_joint_rows() for each in coverages)
    rare = [
        (a, b)
        for a in sorted(one.keys() | other.keys())
        for b in range(len(names))
        if a != b and (one.get(a, 0) ^ other.get(a, 0)) >> b & 1
    ]
    succeeded = Counter[tuple[str, str]]()
    for call, times in tally.calls.items():
        if call.reason is None:
            succeeded[call.contract, call.method] += times
    found: list[PlantedFault] = []
    while len(found) < count and rare:
        a, b = rare.pop(random.randrange(len(rare)))
        readers = [each for each in _find_readers(a) if succeeded[each]]
        if readers:
            (function,) = random.choices(readers, [succeeded[each] for each in readers])
            write = random.choice(WRITES)
            name = f"{function[1].strip('_')}-{len(found) + 1:02}".replace("_", "-")
            found.append(PlantedFault(name, (names[a], names[b]), *function, write))
    return found


def _find_readers(place: int) -> list[tuple[str, str]]:
    """Return the functions, by Vyper file and name, whose decisions read what a predicate asks about."""
    if len(ENTRIES) <= place < len(NAMED):
        return []
    asked = ENTRIES[place] if place < len(ENTRIES) else derive_predicates()[place - len(NAMED)]
    found = []
    for module, _ in load_model_modules():
        kinds: list[Any] = [kind for _, kind in getmembers(module, isclass) if issubclass(kind, Contract)]
        for kind in kinds:
            own = kind.__module__ == module.__name__ and hasattr(kind, "KIND")
            if own and asked.contract in [each.__name__ for each in kind.__mro__]:
                attributes = _find_predicate_attributes(asked.contract, asked.path, asked.text)
                found += [
                    (kind.KIND, name)
                    for name, method in getmembers(kind, isfunction)
                    if getattr(method, "abi", "") == "external"
                    and attributes & _find_read_attributes(kind, name)
                ]
    return sorted(set(found))


@cache
def _find_predicate_attributes(contract: str, path: str, text: str) -> frozenset[str]:
    """Return the names by which the model's code reads what a predicate asks about."""
    from backstop.proof.fuzz.state_predicates import iter_declared_tables

    fields = {each.attr for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Attribute)}
    if fields:
        return frozenset(fields)
    return frozenset(
        each.attribute for each in iter_declared_tables() if (each.contract, each.path) == (contract, path)
    )


@cache
def _find_read_attributes(kind: type, name: str) -> frozenset[str]:
    """Return the attributes that a method reads, itself or through other methods of its contract."""
    found: set[str] = set()
    waiting, seen = [name], {name}
    while waiting:
        method = getattr(kind, waiting.pop(), None)
        if not isfunction(method) or method.__name__ == "answer":
            continue
        tree = ast.parse(dedent(getsource(method)))
        attributes = {each.attr for each in ast.walk(tree) if isinstance(each, ast.Attribute)}
        found |= attributes
        waiting += attributes - seen
        seen |= attributes
    return frozenset(found)


def write_faults(faults: Sequence[PlantedFault], origin: Mapping[str, Any], path: Path) -> None:
    """Write planted faults with what they were drawn from."""
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
    """Yield a line for each fault with the step of the campaign that reported it, and the sum."""
    for each in faults:
        step = f"step {reported[each.name]:,}" if each.name in reported else "not reported"
        yield f"  {each.contract}.{each.method} while {' and '.join(each.predicates)}: {step}"
    yield f"planted faults reported: {len(reported)} of {len(faults)}"


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("campaigns", nargs=2, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seed", type=int, required=True)
@click.option("--count", type=click.IntRange(1), default=20, show_default=True)
def draw(file: Path, campaigns: tuple[Path, Path], seed: int, count: int) -> None:
    """Draw planted faults from two campaign.json of other seeds, and write them into FILE."""
    coverages, tally, origin = [], CampaignCounts(), {"seed": seed}
    for path in campaigns:
        content = read_json(path, "campaign", CAMPAIGN_VERSION, "run it", "run it again")
        found = StateCoverage()
        for each in content["rounds"].values():
            found.add_coverage(StateCoverage.from_json(each))
        coverages.append(found)
        tally.add_counts(CampaignCounts.from_json(content["tally"]))
        origin[f"steps with seed {content['settings']['seed']}"] = content["steps_done"]
    write_faults(draw_faults((coverages[0], coverages[1]), tally, seed, count), origin, file)


if __name__ == "__main__":
    draw()
