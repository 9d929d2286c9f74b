"""The vaults of a deployment by how far each is from liquidation, from the chain's events.

    follower = Follower(node, deployment, snapshot=Path("vaults.db"))
    follower.catch_up()                                   # what is new since; reorganisations are undone
    at = follower.conditions(c)                           # the price and the rate that liquidations meet now
    for vault in follower.index.unsafe(c, at): ...        # as LiquidationEngine.liquidate would judge

`Index` alone knows no network: it takes blocks in by `apply`, takes them back by `roll_back`, and answers
`unsafe`, `callable` and `calls` under whatever conditions it is asked, with integers that are the contract's.
"""

from offchain.index.conditions import Conditions
from offchain.index.follower import Follower
from offchain.index.index import Block, Changed, Detached, Index, MarginCalled
from offchain.index.snapshot import Snapshot, UnusableSnapshot

__all__ = [
    "Block",
    "Changed",
    "Conditions",
    "Detached",
    "Follower",
    "Index",
    "MarginCalled",
    "Snapshot",
    "UnusableSnapshot",
]
