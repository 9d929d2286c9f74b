"""The index of vaults agrees with a full scan, after any changes of vaults."""

from __future__ import annotations

from random import Random

import pytest

from backstop.keepers.keeper_role_register import has_occasion
from backstop.keepers.vault_risk_index import VaultRiskIndex
from backstop.model.interfaces import Vault
from backstop.simulation import block_runner
from backstop.simulation.scenario import load_scenario
from backstop.simulation.simulator import simulate
from tests.support.keeper_scenario import iter_simulation_after_each_block

LONGER = pytest.mark.deep(
    brief="tests/backstop/keepers/test_vaults.py::test_whoever_has_no_occasion_wants_nothing"
)

WAD = 10**18
OWNERS = [f"0x{i:040x}" for i in range(30)]


def random_vault(dice: Random) -> Vault:
    debt = dice.choice((0, dice.randrange(1, 10**6) * WAD, dice.randrange(1, 10**30)))
    return Vault(dice.choice((0, 1, dice.randrange(1, 10**24))), debt)


@pytest.mark.parametrize("seed", range(20))
def test_it_agrees_with_a_look_at_every_vault(seed) -> None:
    dice = Random(seed)
    table = {(c, owner): random_vault(dice) for c in (0, 1) for owner in OWNERS if dice.random() < 0.7}
    index = VaultRiskIndex(table)
    for _ in range(40):
        written = [(dice.randrange(2), dice.choice(OWNERS)) for _ in range(dice.randrange(4))]
        table |= {key: random_vault(dice) for key in written}
        for key in written:
            index.handle_written_record(key)
        for c in (0, 1):
            mine = {owner: vault for (type_, owner), vault in table.items() if type_ == c}
            assert index.get_locked_collateral(c) == sum(vault.locked_collateral for vault in mine.values())
            assert index.list_indebted_owners(c) == [
                owner for owner, vault in mine.items() if vault.normalized_debt
            ]
            price, rate = dice.randrange(1, 10**30), dice.randrange(10**27, 10**28)
            wanted = {
                owner
                for owner, vault in mine.items()
                if vault.normalized_debt * rate > vault.locked_collateral * price
            }
            found = index.list_riskier_owners(c, price, rate)
            # At the edge it may have more; what is well above, no.
            close = {
                owner
                for owner, vault in mine.items()
                if vault.normalized_debt * rate * 10**12 >= vault.locked_collateral * price * (10**12 - 1)
            }
            assert wanted <= set(found) <= close
            assert len(found) == len(set(found))


def test_whoever_has_no_occasion_wants_nothing() -> None:
    """Asked all the same, keepers without an occasion send nothing, in any block of a crash."""
    skipped: set[str] = set()
    for run in iter_simulation_after_each_block("tests/data/runs/small.yaml"):
        view = run.build_keeper_view()
        for state in run.keepers:
            role = state.keeper.group.role
            if not has_occasion(role, view):
                skipped.add(role)
                assert state.keeper.decide_calls(view, state.memory, 1) == []
    assert {"liquidator", "flash_taker", "bidder", "crank", "coverer"} <= skipped


@pytest.mark.deep(brief="tests/backstop/keepers/test_vaults.py::test_whoever_has_no_occasion_wants_nothing")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("tests/data/guards/guarded.yaml", marks=LONGER),
        "tests/data/audit/strained.yaml",
        pytest.param("nomad-bridge", marks=LONGER),
    ],
)
def test_runs_do_not_show_who_was_not_asked(name, monkeypatch) -> None:
    """With workouts, guards and facilitators: the same run, to the transaction, as with all keepers asked."""
    scenario = load_scenario(name)
    short = simulate(scenario, "model", 1)
    monkeypatch.setattr(block_runner, "has_occasion", lambda role, view: True)
    whole = simulate(scenario, "model", 1)
    assert short.summary == whole.summary
    assert short.tables == whole.tables
