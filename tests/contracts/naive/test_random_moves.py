"""Random moves against naive contracts and their models: as with all others, nothing differs."""

from dataclasses import replace
from random import Random

import pytest

from backstop.proof.fuzz.fuzz_run import ASK_EVERY, FuzzRun
from backstop.proof.fuzz.parameter_generator import draw_parameters

POOLS = ("junior", "senior", "savings")


def naive_parameters(seed):
    """Those that the fuzzer would draw, with every pool of stablecoin and the waterfall naive."""
    parameters = draw_parameters(Random(seed))
    pools = {
        name: replace(getattr(parameters, name), cooldown=0, contract="InstantExitPool") for name in POOLS
    }
    return replace(parameters, **pools, waterfall_contract="CalendarCapWaterfall")


@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_campaign.py::test_model_and_chain_agree")
def test_model_and_contracts_agree(new_host, tmp_path):
    """Counterfactual properties ask for more than these rules promise: a run ends before one is checked."""
    called = set()
    for seed in range(6):
        parameters = naive_parameters(seed)
        machine = FuzzRun(new_host(), seed, parameters=parameters, check_every=50, traces=tmp_path)
        called |= {
            played.action.method for played in machine.play_random_steps(ASK_EVERY - 1) if played.outcome.ok
        }
        machine.both.audit_storage()
    assert {"deposit", "cover"} <= called and not called.isdisjoint(("redeem", "withdraw"))
