"""A Hardhat of our own, of version 2 or 3: the one that a project's folder has, with a configuration of ours.

It starts in a temporary folder, as Hardhat takes its configuration from where it starts, and nothing of the
project is changed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.hosts.anvil import RpcHost
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.hosts.host_interface import CHAIN_ID, GENESIS, Slot
from backstop.hosts.node_process import NodeProcess

PROJECT_VARIABLE = "BACKSTOP_HARDHAT"
"""Environment variable with the folder of the Hardhat project; the current folder without it."""

_VERSIONS = ("2", "3")
# Without questions, and nothing is told to others.
_QUIET = {"HARDHAT_DISABLE_TELEMETRY_PROMPT": "true", "HARDHAT_DISABLE_TELEMETRY": "true"}


class HardhatProcess(NodeProcess):
    """Hardhat node as a child process, which ends with this process.

    Blocks may have equal timestamps, so that a run can be repeated exactly.
    """

    def __init__(
        self,
        project: Path | None,
        port: int,
        *,
        timestamp: int | None = None,
        accounts: int = 20,
        hardfork: str = "cancun",
        throw_away: bool = True,
    ) -> None:
        """Start Hardhat on a port; with `throw_away` the node accepts calls without fees."""
        folder = find_hardhat_project(project)
        version, program = _read_version_and_program(folder)
        super().__init__("hardhat")
        network: dict[str, Any] = {
            "chainId": CHAIN_ID,
            "hardfork": hardfork,
            "allowBlocksWithSameTimestamp": True,
            "accounts": {"count": accounts},
        }
        if timestamp is not None:
            network["initialDate"] = datetime.fromtimestamp(timestamp, UTC).isoformat()
        if throw_away:
            network |= {"initialBaseFeePerGas": 0, "gasPrice": 0}
        self._write_configuration(version, network)
        (self.folder / "node_modules").symlink_to(folder / "node_modules", target_is_directory=True)
        command = [_find_node_binary(), str(program), "node", "--hostname", "127.0.0.1", "--port", str(port)]
        # It writes a line for each call that it gets.
        self._start_process(command, logs_output=False, folder=self.folder, environment=_QUIET)

    def _write_configuration(self, version: int, network: dict[str, Any]) -> None:
        """Write package.json and Hardhat's configuration in the module format of its version."""
        modern = version > 2
        networks = {"node": {"type": "edr-simulated"} | network} if modern else {"hardhat": network}
        export = "export default" if modern else "module.exports ="
        content = json.dumps({"networks": networks}, indent=2)
        (self.folder / "package.json").write_text(
            json.dumps({"private": True} | ({"type": "module"} if modern else {}))
        )
        (self.folder / "hardhat.config.js").write_text(f"{export} {content};\n")


class HardhatHost(RpcHost):
    """Chain host on a temporary Hardhat node, which is killed with this process."""

    name = "hardhat"
    process: HardhatProcess

    def __init__(self, timestamp: int = GENESIS, project: Path | None = None) -> None:
        port = find_free_non_ephemeral_port()
        self.process = HardhatProcess(project, port, timestamp=timestamp)
        try:
            super().__init__(self.process.connect_client(f"http://127.0.0.1:{port}"))
        except BaseException:
            self.process.stop_process()
            raise

    def read_nonzero_slots(self, addresses: Sequence[str]) -> dict[Slot, int]:
        raise BackstopError("Hardhat cannot list its storage: read_storage_root binds all of it")

    def read_storage_root(self, address: str) -> str:
        return str(self.client.request("eth_getProof", address, [], "latest")["storageHash"])


def find_hardhat_project(folder: Path | None = None) -> Path:
    """Return the folder of the Hardhat project: the argument, environment variable, or current folder.

    Raises BackstopError if Hardhat is not installed there.
    """
    project = (folder or Path(os.environ.get(PROJECT_VARIABLE) or Path.cwd())).resolve()
    if not (project / "node_modules" / "hardhat" / "package.json").is_file():
        raise BackstopError(
            f"Hardhat not found in {project}: install it there, `npm install hardhat`, or name the folder "
            f"of a project that has one (`devnet --hardhat FOLDER`; for hosts {PROJECT_VARIABLE}=FOLDER)"
        )
    return project


def _read_version_and_program(project: Path) -> tuple[int, Path]:
    """Return the major version of a project's Hardhat, and the script that Node runs."""
    package = project / "node_modules" / "hardhat" / "package.json"
    try:
        content = json.loads(package.read_text(encoding="utf-8"))
        version, program = content["version"], content["bin"]["hardhat"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BackstopError(f"{package} is not that of a Hardhat: install it anew") from None
    major, *_ = str(version).split(".")
    if major not in _VERSIONS:
        raise BackstopError(f"{project} has Hardhat {version}: install version 2 or 3")
    return int(major), package.parent / program


def _find_node_binary() -> str:
    """Return the path of Node, beside the running Python or on PATH; raise BackstopError without one."""
    path = os.pathsep.join((str(Path(sys.prefix) / "bin"), os.environ.get("PATH", "")))
    found = shutil.which("node", path=path)
    if found is None:
        raise BackstopError(
            "node is not installed: Hardhat needs it, of version 22.13 or later for Hardhat 3"
        )
    return found
