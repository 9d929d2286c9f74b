"""The vaults of a deployment by how far each is from liquidation, from the chain's events.

    follower = IndexFollower(node, deployment, snapshot=Path("vaults.db"))
    follower.sync_to_head()                               # reads newer blocks; undoes reorganisations
    at = follower.get_pricing_conditions(c)               # the price and the rate that liquidations meet now
    for vault in follower.index.find_unsafe(c, at): ...   # as LiquidationEngine.liquidate would judge

`VaultIndex` alone knows no network. It applies blocks by `apply`, rolls them back by `roll_back_last_block`,
and answers `find_unsafe`, `find_callable` and `list_calls` under any conditions, with integers that are the
contract's. A program that follows the chain already makes the blocks with `pick_vault_changes`, and passes
the calls of `list_vaults_with_unconfirmed_calls` to `set_confirmed_call_time`. From a keeper's view the
conditions are

    PricingConditions(
        view.get_liquidation_price(c), view.get_current_rate(c), view.timestamp,
        view.get_terms(c).liquidation_ratio, policy_terms, view.get_call_terms(c),
    )

with `policy_terms` the type's record in the table `terms` of the RiskPolicy in force.
"""

from backstop.live.index.index_follower import IndexFollower
from backstop.live.index.index_snapshot import IndexSnapshot, UnusableSnapshotError
from backstop.live.index.liquidation_pricing_inputs import PricingConditions
from backstop.live.index.vault_index_state import (
    BlockChanges,
    DetachedBlockError,
    MarginCalled,
    VaultChanged,
    VaultIndex,
)
from backstop.live.index.vault_log_reader import pick_vault_changes

__all__ = [
    "BlockChanges",
    "DetachedBlockError",
    "IndexFollower",
    "IndexSnapshot",
    "MarginCalled",
    "PricingConditions",
    "UnusableSnapshotError",
    "VaultChanged",
    "VaultIndex",
    "pick_vault_changes",
]
