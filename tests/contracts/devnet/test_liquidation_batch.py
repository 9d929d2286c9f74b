"""Many liquidations in one transaction: none fails because of another; those without gas are left out."""

import pytest

from backstop.hosts.host_interface import CALL_GAS
from backstop.model.arithmetic import RAY, WAD
from tests.support.revert_setter_and_source_helpers import reverts

WETH = 0
OWNERS = [f"owner_{i}" for i in range(5)]
GAS = 1_000_000


@pytest.fixture
def batch(protocol):
    """Five unsafe vaults, and the contract that liquidates them."""
    protocol.lockstep.create_contract(
        "LiquidationBatch", "LiquidationBatch", protocol.address("LiquidationEngine")
    )
    for owner in OWNERS:
        protocol.borrow(owner, "WETH", 10 * WAD, 13_000 * WAD)
    protocol.post_price("WETH", 1_880 * RAY)
    # The properties of steps are of one liquidation; those of states are asserted all the same.
    protocol.lockstep.step_check = None
    return protocol


def liquidate(protocol, owners=OWNERS, *, gas_each=GAS, least=1):
    return protocol.do(
        "LiquidationBatch.liquidate_many",
        WETH,
        [protocol.address(each) for each in owners],
        "liquidator",
        gas_each,
        least,
        sender="stranger",
    )


def test_all_are_started_and_the_rewards_go_where_they_are_sent(batch):
    before = batch.read("Stablecoin.balanceOf", "liquidator")
    assert liquidate(batch) == 0b11111
    assert batch.read("CollateralAuction.last_id") == 5
    each = (batch.read("Stablecoin.balanceOf", "liquidator") - before) // 5
    assert each > 0
    assert batch.last.logs[-1].event == "BatchLiquidated"


def test_one_that_somebody_has_liquidated_takes_nothing_from_the_others(batch):
    batch.do("LiquidationEngine.liquidate", WETH, OWNERS[1], "keeper", sender="keeper")
    assert liquidate(batch) == 0b11101
    for least in (0, 1):  # a batch that starts nothing reverts, whatever is asked of it
        with reverts("liquidation_batch: too few"):
            liquidate(batch, least=least)


def test_fewer_than_wanted_revert_and_start_nothing(batch):
    with reverts("liquidation_batch: too few"):
        liquidate(batch, [*OWNERS, "nobody"], least=6)
    assert batch.read("CollateralAuction.last_id") == 0
    with reverts("liquidation_batch: too few"):
        liquidate(batch, [])
    assert liquidate(batch, [*OWNERS, "nobody"], least=5) == 0b11111


def test_what_there_is_no_gas_for_is_left_out(batch):
    """On the chain alone: the model counts no gas."""
    batch.lockstep.apply_pending_chain_steps()
    chain, host = batch.lockstep.chain, batch.lockstep.chain.host
    function = chain.get_function("LiquidationBatch", "liquidate_many", 5)
    owners = tuple(map(batch.address, OWNERS))

    def call(gas_each, least=1):
        data = function.encode_call((WETH, owners, batch.address("liquidator"), gas_each, least))
        before = host.snapshot()
        try:
            return host.run_transaction(batch.address("stranger"), batch.address("LiquidationBatch"), data)
        finally:
            host.restore_snapshot(before)

    most = CALL_GAS  # of a transaction
    assert function.decode_result(call(GAS).data) == 0b11111
    found = [call(gas_each) for gas_each in (most // 2, most * 95 // 100)]
    assert [function.decode_result(each.data) for each in found] == [0b11111, 0b11]
    assert not call(most).ok  # none has so much
    assert not call(50_000).ok  # too little for any
    assert not call(most * 95 // 100, least=3).ok
