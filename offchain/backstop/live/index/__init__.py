"""The vaults of a deployment by how far each is from liquidation, from the chain's events.

    follower = Follower(node, deployment, snapshot=Path("vaults.db"))
    follower.catch_up()                                   # reads newer blocks; undoes reorganisations
    at = follower.conditions(c)                           # the price and the rate that liquidations meet now
    for vault in follower.index.unsafe(c, at): ...        # as LiquidationEngine.liquidate would judge

`Index` alone knows no network: it applies blocks by `apply`, rolls them back by `roll_back`, and answers
`unsafe`, `callable` and `calls` under any conditions, with integers that are the contract's. A program that
follows the chain already makes the blocks with `changes_of`, passes `confirm` the calls that `doubtful`
lists, and has conditions of its own; from a keeper's view these are

    Conditions(view.liquidation_price(c), view.rate(c), view.timestamp, view.terms(c).liquidation_ratio,
               policy_terms, view.call_terms(c))

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
