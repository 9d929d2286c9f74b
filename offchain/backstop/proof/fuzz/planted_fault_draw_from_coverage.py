"""Draw planted faults from the coverage of two campaigns.

    python -m backstop.proof.fuzz.planted_fault_draw_from_coverage FILE --seed 1 --count 20 A.json B.json

The two predicates of a fault are a pair that held together in one of two campaigns of other seeds and not in
the other one, rare but possible; the function reads the first of them, directly or through others.
"""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from inspect import getmembers, getsource, isclass, isfunction
from pathlib import Path
from random import Random
from textwrap import dedent
from typing import Any

import click

from backstop.contract_base import Contract
from backstop.files.atomic_files import read_versioned_json
from backstop.proof.fuzz.campaign_counts import CampaignCounts
from backstop.proof.fuzz.fuzz_campaign import SCHEMA_VERSION as CAMPAIGN_VERSION
from backstop.proof.fuzz.planted_faults import WRITES, PlantedFault, write_faults_yaml
from backstop.proof.fuzz.run_predicate_observer import ENTRIES, NAMED, list_state_predicate_names
from backstop.proof.fuzz.state_coverage import StateCoverage
from backstop.proof.fuzz.state_predicates import derive_model_state_predicates, list_model_modules_with_trees


def draw_faults(
    coverages: tuple[StateCoverage, StateCoverage], tally: CampaignCounts, seed: int, count: int
) -> list[PlantedFault]:
    """Draw at most `count` planted faults from pairs of predicates that one of two campaigns reached.

    A pair qualifies if its predicates held together in exactly one campaign. The fault's function reads the
    state of the pair's first predicate, and is drawn with a weight of its successful calls in `tally`.
    """
    random, names = Random(f"planted faults {seed}"), list_state_predicate_names()
    one, other = (each.build_joint_bits_by_predicate() for each in coverages)
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
        readers = [each for each in _list_functions_reading_predicate_state(a) if succeeded[each]]
        if readers:
            (function,) = random.choices(readers, [succeeded[each] for each in readers])
            write = random.choice(WRITES)
            name = f"{function[1].strip('_')}-{len(found) + 1:02}".replace("_", "-")
            found.append(PlantedFault(name, (names[a], names[b]), *function, write))
    return found


def _list_functions_reading_predicate_state(predicate_index: int) -> list[tuple[str, str]]:
    """Return the functions that read the state of a predicate, by Vyper file and name."""
    if len(ENTRIES) <= predicate_index < len(NAMED):
        return []
    asked = (
        ENTRIES[predicate_index]
        if predicate_index < len(ENTRIES)
        else derive_model_state_predicates()[predicate_index - len(NAMED)]
    )
    found = []
    for module, _ in list_model_modules_with_trees():
        kinds: list[Any] = [kind for _, kind in getmembers(module, isclass) if issubclass(kind, Contract)]
        for kind in kinds:
            own = kind.__module__ == module.__name__ and hasattr(kind, "KIND")
            if own and asked.contract in [each.__name__ for each in kind.__mro__]:
                attributes = _find_model_attributes_of_predicate(asked.contract, asked.path, asked.text)
                found += [
                    (kind.KIND, name)
                    for name, method in getmembers(kind, isfunction)
                    if getattr(method, "abi", "") == "external"
                    and attributes & _find_read_attributes(kind, name)
                ]
    return sorted(set(found))


@cache
def _find_model_attributes_of_predicate(contract: str, path: str, expression: str) -> frozenset[str]:
    """Return the attribute names by which the model's code reads the state of a predicate."""
    from backstop.proof.fuzz.state_predicates import iter_model_storage_tables

    fields = {each.attr for each in ast.walk(ast.parse(expression)) if isinstance(each, ast.Attribute)}
    if fields:
        return frozenset(fields)
    return frozenset(
        each.attribute
        for each in iter_model_storage_tables()
        if (each.contract, each.path) == (contract, path)
    )


@cache
def _find_read_attributes(kind: type, name: str) -> frozenset[str]:
    """Return the attributes that a method of the model reads, directly or through other methods."""
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


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("campaigns", nargs=2, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--seed", type=int, required=True)
@click.option("--count", type=click.IntRange(1), default=20, show_default=True)
def draw_planted_faults(file: Path, campaigns: tuple[Path, Path], seed: int, count: int) -> None:
    """Draw planted faults from two campaign.json of other seeds, and write them into FILE."""
    coverages, tally, origin = [], CampaignCounts(), {"seed": seed}
    for path in campaigns:
        content = read_versioned_json(path, "campaign", CAMPAIGN_VERSION, "run it", "run it again")
        found = StateCoverage()
        for each in content["rounds"].values():
            found.add_coverage(StateCoverage.from_json(each))
        coverages.append(found)
        tally.add_counts(CampaignCounts.from_json(content["tally"]))
        origin[f"steps with seed {content['settings']['seed']}"] = content["steps_done"]
    write_faults_yaml(draw_faults((coverages[0], coverages[1]), tally, seed, count), origin, file)


if __name__ == "__main__":
    draw_planted_faults()
