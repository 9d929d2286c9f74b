"""A stage: a chain on which the day is about to begin, and its node, which may be killed at any time."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from backstop.deployment.deployment_file import read_deployment
from backstop.deployment.role_accounts import ACCOUNTS, get_account
from backstop.errors import BackstopError
from backstop.hosts.anvil import AnvilProcess
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.live.node.rpc_node import Head, Node
from backstop.live.node.signers import Signers
from backstop.live.operate.devnet_process import read_start_time
from backstop.live.operate.live_system import LiveSystem
from backstop.live.operate.resumable_deployment import deploy_live
from backstop.live.operate.scenario_driver import LiveSimulation
from backstop.model.arithmetic import WAD
from backstop.simulation.scenario import Scenario, load_scenario
from backstop.system import Action

STORM = Path(__file__).with_name("storm.yaml")
STATE, DEPLOYMENT = "state.json", "deployment.json"


def prepare_chain(folder: Path, scenario: Scenario, seed: int, capital: Mapping[str, int]) -> None:
    """Deploy the protocol on a new Anvil, open the scenario's vaults and pools, and save the chain.

    `capital` is the stablecoin balance that each named account gets [wad]. The state of the chain, up to the
    first block of the scenario, and the deployment file are saved in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    node, process = start_anvil("--state", str(folder / STATE))
    try:
        deploy_with_vaults(node, folder, scenario, seed, capital)
    finally:
        process.stop_process()


def deploy_with_vaults(
    node: Node, folder: Path, scenario: Scenario, seed: int, capital: Mapping[str, int]
) -> None:
    """Deploy the protocol on a node, and open the scenario's vaults and pools.

    `capital` is the stablecoin balance that each named account gets [wad]. The deployment file is written to
    the folder.
    """
    signers = Signers(test_accounts=True)
    deploy_live(node, scenario.parameters, folder / DEPLOYMENT, signers)
    system = LiveSystem(node, read_deployment(folder / DEPLOYMENT), signers, impersonate=True)
    with system.impersonate_and_freeze_time():
        crash = LiveSimulation(scenario, system, seed, speed=0.0, played=())
        crash.open_book(lambda done, total, text: None, lambda: False)
        maker = get_account("market_maker")
        for name, wad in capital.items():
            before = crash.get_stablecoin_balance(get_account(name))
            source, sink = (maker, get_account(name)) if wad >= before else (get_account(name), maker)
            outcome = system.apply(Action("Stablecoin", "transfer", (sink, abs(wad - before)), source))
            if not outcome.ok:
                raise BackstopError(f"no {wad // WAD} stablecoins for {name}: {outcome.reason}")
        system.raise_differences()


def storm_scenario() -> Scenario:
    """Return the scenario of a price crash that the chaos runs disturb."""
    return load_scenario(STORM)


class AnvilChain:
    """Anvil node that mines on request, with a fixed time between blocks, and saves its state to a file.

    The state is saved about once a second, between two blocks: Anvil's own save during mining may mix two
    blocks. So a SIGKILL loses the last second, like a rollback.
    """

    def __init__(self, folder: Path, block_time: int) -> None:
        self.block_time = block_time
        self.deployment = read_deployment(folder / DEPLOYMENT)
        self.file = folder / STATE
        self.port = find_free_non_ephemeral_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.keeps = True
        """Whether its state is written, as one needs that is going to be killed."""
        self.forgotten: set[int] = set()
        """Blocks that the node has pruned the state of."""
        self._due = 0.0
        self.start_node_from_saved_state()

    def start_node_from_saved_state(self) -> None:
        """Start the node again from the saved state."""
        # With the same time at the start its first block is the same.
        flags = ("--load-state", str(self.file), "--timestamp", str(read_start_time(self.file)))
        self.node, self.process = start_anvil("--no-mining", *flags, port=self.port)
        head = self.node.get_head()
        self.oldest = head.number
        """The oldest block that the node still has the state of: a chain cannot be rolled back behind it."""
        self.forgotten.update(range(head.number))
        self.node.request("anvil_setBlockTimestampInterval", self.block_time)
        self.set_clock(head.timestamp)

    @property
    def head_block(self) -> Head:
        """Newest block of the node."""
        return self.node.get_head()

    def set_clock(self, timestamp: int) -> None:
        """Set the node's clock, so that the next block comes one block time after `timestamp` [seconds]."""
        self.node.request("anvil_setTime", timestamp)

    def mine_block(self) -> Head:
        """Mine one block with the pool's transactions that fit, and return it.

        The state is saved afterwards if a save is due.
        """
        self.node.request("evm_mine")
        if self.keeps and time.monotonic() > self._due:
            began = time.monotonic()
            state = gzip.decompress(bytes.fromhex(self.node.request("anvil_dumpState")[2:]))
            self.file.write_bytes(state)
            # A long history takes longer: it must not take all the time.
            self._due = time.monotonic() + max(1.0, 5 * (time.monotonic() - began))
        return self.head_block

    def kill_node(self) -> None:
        """Kill the node by SIGKILL: the transaction pool and the unsaved state are lost."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.stop_process()

    def close(self) -> None:
        """Stop the node."""
        self.process.stop_process()


def start_anvil(*flags: str, port: int = 0) -> tuple[Node, AnvilProcess]:
    """Start an Anvil with the test accounts; return a client of the node, and its process.

    `flags` are further command-line flags. Port 0 chooses a free port.
    """
    port = port or find_free_non_ephemeral_port()
    url = f"http://127.0.0.1:{port}"
    flags = ("--port", str(port), "--accounts", str(len(ACCOUNTS)), *flags)
    process = AnvilProcess(*flags, throw_away=False)
    process.connect_client(url).close()
    return Node(url), process


def copy_chain_state(source_folder: Path, target_folder: Path) -> None:
    """Copy a chain's saved state and deployment file, so that another run has the same start."""
    target_folder.mkdir(parents=True, exist_ok=True)
    for name in (STATE, DEPLOYMENT):
        shutil.copyfile(source_folder / name, target_folder / name)
