"""Contracts with writes that the model lacks: each is found, no later than its kind of comparison allows.

A wrong word in a slot that the model knows shows when all state is read next; a slot that it never named
shows in the audit of the whole storage at the end of a run.
"""

from __future__ import annotations

import re

import pytest

from backstop.hosts.artifacts import CONTRACTS
from backstop.hosts.host_registry import open_host
from backstop.lockstep.lockstep_difference import DivergenceError
from backstop.proof.fuzz.fuzz_run import FuzzRun, derive_run_seed
from backstop.proof.lockstep import replay_trace_in_lockstep
from tests.support.long_test_marks import build_pytest_params_with_deep_marks
from tests.support.revert_setter_and_source_helpers import edit_contracts

RUN_LENGTH, CHECK_EVERY = 400, 100
WRITES = {
    "an allowance that nobody gave": ("devnet/Token", "transfer", "self.allowance[to][to] = 5"),
    "a report of nobody": ("PriceFeed", "report", "self.reports[collateral_type][31] = 1"),
    "the price of another type": ("PriceFeed", "poke", "self.withheld[(collateral_type + 1) % 3] = 7"),
    "an operator": ("VaultEngine", "deposit_and_draw", "self.operators[receiver][self] = True"),
    "a vault of nobody": ("VaultEngine", "deposit_and_draw", "self.vaults[collateral_type][self] += 1"),
    "salvage that drifts": ("VaultEngine", "accrue", "ledger.salvage[collateral_type] += 1"),
    "a top of an auction to come": ("CollateralAuction", "take", "self.tops[auction_id + 1_000] = 1"),
    "a level of a batch to come": ("Pool", "deposit", "exit_batches.levels[99] = 1"),
    "flags that drift": ("LiquidationEngine", "flag", "vault_flags.of_types[collateral_type] += 1"),
    "what another has paid in": ("PerpetualMarket", "deposit", "cycle_book.paid_in[self] += 1"),
}
SHORT = ("an allowance that nobody gave",)
RUNS = {"a level of a batch to come": 2}
"""Runs that make the call, where run 0 does not."""


@pytest.mark.parametrize(
    "name",
    build_pytest_params_with_deep_marks(
        WRITES, set(WRITES) - set(SHORT), "tests/backstop/proof/fuzz/test_hidden_writes.py::test_it_is_found"
    ),
)
def test_it_is_found(name, tmp_path):
    file, function, line = WRITES[name]
    source = (CONTRACTS / f"{file}.vy").read_text()
    head = re.search(rf'^def {function}\(.*?""".*?"""\n', source, re.DOTALL | re.MULTILINE)
    assert head
    wrong = edit_contracts(tmp_path, f"{file}.vy", head[0], f"{head[0]}    {line}\n")

    # Whether the model has no such record: then only an audit reads it.
    unnamed = False
    with open_host("revm") as host:
        machine = FuzzRun(
            host, derive_run_seed(1, RUNS.get(name, 0)), artifacts=wrong, check_every=CHECK_EVERY, traces=None
        )
        with pytest.raises(DivergenceError) as caught:
            for _ in machine.play_random_steps(RUN_LENGTH):
                pass
            machine.both.compare_state()
            unnamed = True
            machine.both.audit_storage()
    found, trace = caught.value.differences[0].step, machine.both.build_trace()

    # As it was found when all was read after every step, and as a simulated run finds it.
    for check_every in (1, None):
        with open_host("revm", trace.started_at) as host:
            if unnamed:
                both = replay_trace_in_lockstep(trace, host, artifacts=wrong, check_every=check_every)
                both.compare_state()
                with pytest.raises(DivergenceError):
                    both.audit_storage()
            else:
                with pytest.raises(DivergenceError) as again:
                    replay_trace_in_lockstep(
                        trace, host, artifacts=wrong, check_every=check_every
                    ).compare_state()
                assert abs(found - again.value.differences[0].step) < CHECK_EVERY
