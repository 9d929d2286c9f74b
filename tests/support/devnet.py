"""A devnet of a test of its own, and where it listens."""

from __future__ import annotations

from backstop.deployment.accounts import ACCOUNTS
from backstop.hosts.anvil import AnvilProcess
from backstop.hosts.ports import free_port
from backstop.live.node.rpc_node import Node
from tests.support.paths import DATA

SMALL = DATA / "runs" / "small.yaml"


class Devnet:
    """An Anvil on a port, which can be killed and started again."""

    def __init__(self, *flags: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.flags = flags
        self.start()

    def start(self) -> None:
        """Start it, again if need be."""
        flags = ("--port", str(self.port), "--accounts", str(len(ACCOUNTS)), *self.flags)
        self.process = AnvilProcess(*flags, throw_away=False)
        self.process.connect(self.url).close()

    @property
    def node(self) -> Node:
        """A connection of its own."""
        return Node(self.url)
