"""A devnet of a test of its own, and where it listens."""

from __future__ import annotations

import socket

from backstop.deployment.accounts import ACCOUNTS
from backstop.hosts.anvil import AnvilProcess
from backstop.live.node.rpc_node import Node
from tests.support.paths import DATA

SMALL = DATA / "runs" / "small.yaml"


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
