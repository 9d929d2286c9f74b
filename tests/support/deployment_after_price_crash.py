"""A deployment after a crash, as an audit finds it."""

from __future__ import annotations

from pathlib import Path

from backstop.deployment.planned_contracts import Deployment
from backstop.live.mirror.chain_mirror import Mirror, open_mirror
from tests.support.devnet_process import Devnet


class DeploymentAfterPriceCrash:
    """The chain, its deployment, and the deployment's file."""

    def __init__(self, devnet: Devnet, deployment: Deployment, file: Path) -> None:
        self.devnet = devnet
        self.deployment = deployment
        self.file = file

    def open_mirror_at_block(self, block: int | None = None) -> Mirror:
        """A mirror of its own that has followed up to a block."""
        mirror = open_mirror(self.devnet.node, self.deployment)
        mirror.replay_to_block(block)
        return mirror
