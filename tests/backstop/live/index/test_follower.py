"""The index of a real node: after any change of the chain, it agrees with the contracts."""

from __future__ import annotations

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.live.index import IndexFollower
from backstop.model.arithmetic import WAD
from tests.support.facilitator_steps import ROLLUP
from tests.support.many_vaults_devnet import ManyVaultsDevnet

pytestmark = pytest.mark.anvil
BORROWER, SAVER = get_account("borrower"), get_account("saver")
SAFE = "liquidation_engine: safe vault"


def unsafe(follower: IndexFollower) -> list[str]:
    return [vault.owner for vault in follower.index.find_unsafe(0, follower.get_pricing_conditions(0))]


def test_it_finds_what_the_contracts_would_liquidate_and_call(town: ManyVaultsDevnet) -> None:
    follower = town.build_index_follower()
    follower.sync_to_head()
    assert unsafe(follower) == []
    assert follower.list_sample_differences(10) == []

    # 30 tokens for 30,000 coins: called under 1,480 a token, liquidated under 1,450.
    town.post_prices(1_470)
    follower.sync_to_head()
    at = follower.get_pricing_conditions(0)
    assert unsafe(follower) == []
    assert [vault.owner for vault in follower.index.find_callable(0, at)] == [BORROWER]
    assert town.call_and_return_revert_reason("LiquidationEngine.call", 0, BORROWER) is None
    follower.sync_to_head()
    (call,) = follower.index.list_calls(0, at)
    assert (call.owner, call.due - call.called_at, call.expires - call.due) == (BORROWER, 3_600, 7_200)
    assert not follower.index.find_callable(0, at) and unsafe(follower) == []
    assert follower.list_sample_differences(10) == []

    town.pass_time(3_600)
    follower.sync_to_head()
    assert unsafe(follower) == [BORROWER]
    # A touch that does not meet the call leaves it, one that does ends it: no event tells the difference.
    assert (
        town.call_and_return_revert_reason("VaultEngine.deposit_and_draw", 0, BORROWER, 0, 0, BORROWER)
        is None
    )
    follower.sync_to_head()
    assert unsafe(follower) == [BORROWER]
    town.open_vault("saver", 1, 0)
    assert town.call_and_return_revert_reason("WETH.mint", BORROWER, 10**18, sender="borrower") is None
    engine = town.deployment.addresses["VaultEngine"]
    assert town.call_and_return_revert_reason("WETH.approve", engine, 10**18, sender="borrower") is None
    assert (
        town.call_and_return_revert_reason(
            "VaultEngine.deposit_and_draw", 0, BORROWER, 10**18, 0, BORROWER, sender="borrower"
        )
        is None
    )
    follower.sync_to_head()
    assert unsafe(follower) == [] and not follower.index.list_calls(0, follower.get_pricing_conditions(0))
    assert follower.list_sample_differences(10) == []

    town.post_prices(1_000)
    follower.sync_to_head()
    assert sorted(unsafe(follower)) == sorted([BORROWER, SAVER])
    for owner in (BORROWER, SAVER):
        assert town.call_and_return_revert_reason("LiquidationEngine.liquidate", 0, owner, owner) is None
    follower.sync_to_head()
    assert unsafe(follower) == []
    assert town.call_and_return_revert_reason("LiquidationEngine.liquidate", 0, SAVER, SAVER) == SAFE
    assert follower.list_sample_differences(10) == []


def test_a_facilitator_is_not_offered(town: ManyVaultsDevnet) -> None:
    """Under its ratio, with a loss announced; but no auction has room for notes."""
    assert (
        town.call_and_return_revert_reason("Rollup.draw", 50_000 * WAD, get_account("saver"), sender="bridge")
        is None
    )
    assert town.call_and_return_revert_reason("Rollup.announce_loss", 20_000 * WAD, sender="guardian") is None
    follower = town.build_index_follower()
    follower.sync_to_head()
    at, bridge = follower.get_pricing_conditions(ROLLUP), town.deployment.addresses["Rollup"]
    assert follower.index.get_vault(ROLLUP, bridge).normalized_debt == 50_000 * WAD
    assert follower.index.find_unsafe(ROLLUP, at) == follower.index.find_callable(ROLLUP, at) == []
    liquidation = ROLLUP, bridge, get_account("liquidator")
    assert (
        town.call_and_return_revert_reason("LiquidationEngine.liquidate", *liquidation)
        == "liquidation_engine: no room"
    )
    # It is nothing but the room that is missing.
    assert town.call_and_return_revert_reason("VaultEngine.set_auction_limit", ROLLUP, 100_000) is None
    follower.sync_to_head()
    (vault,) = follower.index.find_unsafe(ROLLUP, follower.get_pricing_conditions(ROLLUP))
    assert vault.owner == bridge
    assert follower.list_sample_differences(10) == []


def test_a_reorganisation_is_undone(town: ManyVaultsDevnet) -> None:
    follower = town.build_index_follower()
    follower.sync_to_head()
    known = follower.index.get_vault(0, BORROWER)
    fork = town.send_node_request("evm_snapshot")
    town.open_vault("borrower", 1, 1_000)
    town.open_vault("taker", 10, 5_000)
    follower.sync_to_head()
    assert follower.index.get_vault(0, get_account("taker")).normalized_debt
    town.send_node_request("evm_revert", fork)
    with pytest.raises(BackstopError, match=r"no longer part of the chain: catch up first"):
        follower.get_pricing_conditions(0)
    town.open_vault("liquidator", 10, 6_000)
    said: list[str] = []
    follower.say = said.append
    index = follower.index
    follower.sync_to_head()
    assert follower.index is index and "reorganised: back from block" in said[0]
    assert follower.index.get_vault(0, BORROWER) == known
    assert follower.index.get_vault(0, get_account("taker")).normalized_debt == 0
    assert follower.index.get_vault(0, get_account("liquidator")).normalized_debt
    assert follower.list_sample_differences(10) == []


def test_a_shorter_chain_is_followed_as_well(town: ManyVaultsDevnet) -> None:
    follower = town.build_index_follower()
    follower.sync_to_head()
    before = follower.index.number
    fork = town.send_node_request("evm_snapshot")
    assert town.call_and_return_revert_reason("RiskPolicy.set_call_terms", 0, 15_000, 3_600, 7_200) is None
    town.post_prices(1_490)
    assert town.call_and_return_revert_reason("LiquidationEngine.call", 0, BORROWER) is None
    follower.sync_to_head()
    assert follower.index.get_vault(0, BORROWER).called_at
    town.send_node_request("evm_revert", fork)
    follower.sync_to_head()
    assert (follower.index.number, follower.index.get_vault(0, BORROWER).called_at) == (before, 0)
    assert follower.list_sample_differences(10) == []


def test_a_deeper_reorganisation_starts_from_nothing(town: ManyVaultsDevnet) -> None:
    fork = town.send_node_request("evm_snapshot")
    town.open_vault("taker", 10, 5_000)
    town.send_node_request("anvil_mine", "0x50")
    follower = town.build_index_follower()
    follower.sync_to_head()
    town.send_node_request("evm_revert", fork)
    town.open_vault("liquidator", 10, 6_000)
    town.send_node_request("anvil_mine", "0x60")
    said: list[str] = []
    follower.say = said.append
    follower.sync_to_head()
    assert "starting from nothing" in said[0]
    assert follower.index.get_vault(0, get_account("taker")).normalized_debt == 0
    assert follower.list_sample_differences(10) == []


def test_a_difference_is_found(town: ManyVaultsDevnet) -> None:
    follower = town.build_index_follower()
    follower.sync_to_head()
    vaults = follower.index.types[0]
    row = vaults.get_or_add_row(bytes.fromhex(BORROWER[2:]))
    vaults.put_record(row, vaults.get_record(row)._replace(locked=7))
    (difference,) = follower.list_sample_differences(10)
    assert BORROWER in difference and "index (7," in difference
    vaults.put_record(row, vaults.get_record(row)._replace(normalized_debt=7))
    assert "normalized debt of all vaults: index" in follower.list_sample_differences(0)[0]
