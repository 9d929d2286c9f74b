"""The draw of mutants: one seed gives one order, each kind of fault in turn."""

from pathlib import Path

import pytest

from benchmarks.cli.bench_lockstep import SEED
from benchmarks.lockstep.foreign_vaults import VAULTS
from benchmarks.lockstep.vault_mutant_draw import COUNT, draw_mutants, iter_mutants_in_order_of_draw

SNEKMATE = VAULTS["snekmate"]


def test_one_seed_gives_one_order_of_all_mutants() -> None:
    order = list(iter_mutants_in_order_of_draw(SNEKMATE, "seed"))
    assert order == list(iter_mutants_in_order_of_draw(SNEKMATE, "seed"))
    assert order != list(iter_mutants_in_order_of_draw(SNEKMATE, "another"))
    assert sorted(order, key=lambda each: each.key) == sorted(
        SNEKMATE.list_mutants(), key=lambda each: each.key
    )
    operators = {each.operator for each in order}
    assert {each.operator for each in order[: len(operators)]} == operators and len(operators) > 8
    assert not {each.function for each in order} & {"permit", "DOMAIN_SEPARATOR"}


@pytest.mark.deep(
    brief="tests/benchmarks/lockstep/test_vault_mutant_draw.py::test_one_seed_gives_one_order_of_all_mutants"
)
@pytest.mark.parametrize("name", VAULTS)
def test_every_drawn_mutant_compiles_to_another_vault(name: str, tmp_path: Path) -> None:
    drawn = draw_mutants(VAULTS[name], SEED, tmp_path)
    whole = VAULTS[name].compile_vault(tmp_path / "again")
    codes = {each.build.contracts["Vault"].bytecode for each in drawn}
    assert len(codes) == COUNT and whole.contracts["Vault"].bytecode not in codes
    assert {each.build.contracts["Asset"].bytecode for each in drawn} == {whole.contracts["Asset"].bytecode}
    order = [each.id for each in iter_mutants_in_order_of_draw(VAULTS[name], SEED)]
    places = [order.index(each.mutant.id) for each in drawn]
    assert places == sorted(places)
