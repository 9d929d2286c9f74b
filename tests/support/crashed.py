"""A deployment after a crash, as an audit finds it."""

from __future__ import annotations

from pathlib import Path

from backstop.deployment.plan import Deployment
from backstop.live.follow.mirror import Mirror, open_mirror
from tests.support.devnet import Devnet


class Crashed:
    """The chain, its deployment, and the deployment's file."""

    def __init__(self, devnet: Devnet, deployment: Deployment, file: Path) -> None:
        self.devnet = devnet
        self.deployment = deployment
        self.file = file

    def mirror(self, block: int | None = None) -> Mirror:
        """A mirror of its own that has followed up to a block."""
        mirror = open_mirror(self.devnet.node, self.deployment)
        mirror.follow_to(block)
        return mirror
