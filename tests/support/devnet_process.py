"""A devnet of a test of its own, and where it listens."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

from backstop.deployment.role_accounts import ACCOUNTS
from backstop.hosts.anvil import AnvilProcess
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.live.node.rpc_node import Node
from backstop.live.operate.devnet_process import read_start_time
from tests.support.checkout_paths import DATA

SMALL = DATA / "runs" / "small.yaml"


class Devnet:
    """An Anvil on a port, which can be killed and started again."""

    def __init__(self, *flags: str) -> None:
        self.port = find_free_non_ephemeral_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.flags = flags
        self.start_node_process()

    def start_node_process(self) -> None:
        """Start it, again if need be; a chain in a file keeps its block 0, and its time goes on."""
        flags = ("--port", str(self.port), "--accounts", str(len(ACCOUNTS)), *self.flags)
        files = [Path(file) for flag, file in pairwise(self.flags) if flag in ("--load-state", "--state")]
        kept = [file for file in files if file.exists()]
        for file in kept:
            flags += ("--timestamp", str(read_start_time(file)))
        self.process = AnvilProcess(*flags, throw_away=False)
        self.process.connect_client(self.url).close()
        if kept:
            self.node.request("anvil_setTime", max(int(time.time()), self.node.get_head().timestamp + 1))

    @property
    def node(self) -> Node:
        """A connection of its own."""
        return Node(self.url)
