"""A cover in a stranger's callback has its usual effect or none: no caller chooses the payer.

Tokens and other parts that call back are rows of the table, by the way "re-enters".
"""

from __future__ import annotations

import pytest

from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.proof.faults.breakable_components import Component
from backstop.proof.faults.broken_contract_bytecode import build_target_call_bytecode, make_reentrant_code
from backstop.proof.faults.component_failure_scenario import FaultScenario
from backstop.proof.faults.core_scenario import STORM, WBTC, XAU, iter_core_scenario_moments
from backstop.proof.faults.intact_and_broken_call_runner import CallRunner
from backstop.proof.faults.liveness_calls import CallStep

TAKER = "0x" + "77" * 20
CALLED, NOT_CALLED = b"\x01", b""


@pytest.fixture(scope="module")
def bench(artifacts) -> CallRunner:
    """The storm: a loss beyond all stages, and auctions."""
    return next(
        CallRunner(it, moment) for moment, it in iter_core_scenario_moments(artifacts) if moment == STORM
    )


def cover(it: FaultScenario, c: int) -> CallStep:
    return CallStep(it.build_action("LossWaterfall.cover", c, by="coverer"))


def take(it: FaultScenario, auction: str, key: int, data: bytes) -> CallStep:
    """Take a little, with a callback or without."""
    arguments = key, WAD // 100, MAX_UINT256, TAKER, data
    return CallStep(it.build_action(f"{auction}.take", *arguments, by="bidder"))


def take_all(it: FaultScenario, auction: str, c: int) -> CallStep:
    """Take all that is for sale, if anything is."""
    return CallStep(
        it.build_action(f"{auction}.take", c, MAX_UINT256, MAX_UINT256, "bidder", b"", by="bidder"), False
    )


def run(bench: CallRunner, steps: list[CallStep]) -> list[int]:
    """Every word that the steps leave; all of them have to succeed."""
    found = bench.run_steps_and_roll_back(steps, Component(""), None)
    assert found.reason is None and found.wrong is None
    return found.words


def called_back(bench: CallRunner, c: int) -> None:
    """Let every call to the taker cover a type's loss."""
    it = bench.it
    data = it.encode_call("LossWaterfall.cover", c)
    it.host.set_code(TAKER, build_target_call_bytecode(it.host, it.get_address("LossWaterfall"), data))


def covers_within(bench: CallRunner, steps: list[CallStep], c: int) -> bool:
    """Whether a loss of the type is covered within the last of the steps."""
    host = bench.chain.host
    snapshot = host.snapshot()
    try:
        *_, last = [bench.chain.apply(step.action) for step in steps]
    finally:
        host.restore_snapshot(snapshot)
    of_type = [log.event for log in last.logs if log.contract == "LossWaterfall" and log.values[0] == c]
    return bool({"LossCovered", "LossReserved"} & set(of_type))


def test_within_a_take_of_collateral(bench):
    it = bench.it
    called_back(bench, XAU)
    lots = it.both.model.get_live_tables()["CollateralAuction"]["lots"]
    id = next(id for id, lot in lots.items() if lot.target)
    called, quiet = (take(it, "CollateralAuction", id, data) for data in (CALLED, NOT_CALLED))
    bench.register_slots_written_by_steps([quiet, cover(it, XAU)])
    outside = run(bench, [quiet, cover(it, XAU)])
    within = run(bench, [called, cover(it, XAU)])
    assert within == outside
    assert covers_within(bench, [called], XAU)


def before(it: FaultScenario, auction: str) -> list[CallStep]:
    """Cover until the auction of equity runs for gold, and would be next to pay for bitcoin."""
    if auction == "StakeAuction":
        return [cover(it, XAU)]
    # Until stake is at its cap, which is one for all types.
    return [cover(it, XAU), *[take_all(it, "StakeAuction", XAU), cover(it, XAU)] * 8]


@pytest.mark.parametrize("auction", ["StakeAuction", "MintAuction"])
def test_within_a_take_of_equity(bench, auction):
    """The loss of another type is covered while the auction is locked: that does not look like a failure."""
    it = bench.it
    called_back(bench, WBTC)
    first = before(it, auction)
    called, quiet = (take(it, auction, XAU, data) for data in (CALLED, NOT_CALLED))
    bench.register_slots_written_by_steps([*first, quiet, cover(it, WBTC)])
    outside = run(bench, [*first, quiet, cover(it, WBTC)])
    again = cover(it, WBTC)._replace(needed=False)  # all may be covered by then
    within = run(bench, [*first, called, again])
    assert within == outside
    assert covers_within(bench, [*first, called], WBTC)


@pytest.mark.parametrize("token", ["WETH", "WBTC"])
def test_within_a_transfer_of_collateral(bench, token):
    """The ledger is locked while a token moves, and with it what stages need in order to pay.

    A cover reverts then, instead of finding that all of them have failed.
    """
    it = bench.it
    c = it.markets[token]
    withdraw = c, "debtless", 0, WAD // 10, "debtless"
    out = CallStep(it.build_action("VaultEngine.repay_and_withdraw", *withdraw, by="debtless"))
    bench.register_slots_written_by_steps([out, cover(it, XAU)])
    outside = run(bench, [out, cover(it, XAU)])
    original = it.get_code(token)
    data = it.encode_call("LossWaterfall.cover", XAU)
    it.host.set_code(
        it.get_address(token), make_reentrant_code(it.host, original, it.get_address("LossWaterfall"), data)
    )
    try:
        assert run(bench, [out, cover(it, XAU)]) == outside
        assert not covers_within(bench, [out], XAU)
    finally:
        it.host.set_code(it.get_address(token), original)
