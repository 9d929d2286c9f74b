"""The naive stability pool alone, with coins, collateral and an engine that sells by a script."""

from __future__ import annotations

from collections import Counter

from backstop.contract_base import World
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.chain_system import ChainSystem
from backstop.hosts.host_interface import Host
from backstop.hosts.model_system import ModelSystem
from backstop.proof.lockstep import ProtocolLockstep
from backstop.studies.peer_liquidations.stability_pool_agreement import PoolAgreement, list_pool_creations

ONE_COIN = "Withdrawal must leave totalBoldDeposits >= MIN_BOLD_IN_SP"
NO_DEPOSIT = "StabilityPool: User must have a non-zero deposit"
ALL_SEQUENCES = PoolAgreement(
    sequences=180,
    operations=6_042,
    calls=Counter({"open": 1_172, "provide": 980, "withdraw": 464, "liquidate": 447}),
    both_refuse=Counter(
        {
            f"withdraw: {ONE_COIN}": 136,
            f"withdraw: {NO_DEPOSIT}": 87,
            "provide: StabilityPool: Amount must be non-zero": 21,
        }
    ),
    # Ours pays zero, or the gains of a member who keeps the deposit.
    peer_refuses=Counter(
        {
            "claim: StabilityPool: User must have no deposit": 53,
            "claim: StabilityPool: Amount must be non-zero": 51,
            f"withdraw: {NO_DEPOSIT}": 24,
        }
    ),
)
"""The results of all open sequences of Liquity v2, on the model and on a chain."""


def deploy_scripted_pool(host: Host, artifacts: Artifacts) -> ProtocolLockstep:
    """Deploy on the model and a chain, which are compared at every step."""
    creations = list_pool_creations()
    artifacts.load(each.kind for each in creations)
    model = ModelSystem(World(host.timestamp, 1))
    both = ProtocolLockstep(model, ChainSystem(host, artifacts, {}, {}), traces=None)
    for creation in creations:
        both.add_contract(creation)
    return both
