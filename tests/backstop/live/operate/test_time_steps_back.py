"""A chain with a time that steps back, as a devnet's may: one line, and no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from backstop.cli.audit import cli as audit
from backstop.cli.keeper import cli as keeper
from backstop.cli.mirror import cli as mirror
from backstop.live.operate.live_system import LiveSystem

COMMANDS = {
    "keeper": (keeper, ["--roles", "accruer,poker,liquidator", "--once"]),
    "mirror": (mirror, ["--once"]),
    "audit": (audit, []),
}


def run_command(name: str, url: str, folder: Path) -> Result:
    program, more = COMMANDS[name]
    flags = ["--network", url, "--deployment", str(folder / "deployment.json"), *more]
    if name == "keeper":
        flags += ["--journal", str(folder / "runs")]
    if name == "audit":
        flags += ["--out", str(folder / "audit")]
    return CliRunner(mix_stderr=False).invoke(program, flags)


@pytest.mark.parametrize("command", COMMANDS)
def test_time_that_steps_back_is_one_line(fallen: LiveSystem, tmp_path: Path, command: str) -> None:
    """Fees were charged at a time that is yet to come. Once it has, all is as before."""
    node, before = fallen.node, fallen.node.get_head().timestamp
    node.request("anvil_setTime", before - 5_000)
    node.request("evm_mine")
    result = run_command(command, node.url, tmp_path)
    lines = [line for line in result.stderr.splitlines() if "time stepped back" in line]
    assert len(lines) == 1, result.stderr
    if command == "keeper":  # it waits
        assert result.exit_code == 0 and " nothing is sent for " in lines[0]
    else:
        assert result.exit_code == 1 and lines[0].startswith(f"Error: block {node.get_head().number} is ")
        assert lines[0].endswith(" wait until it is there again, or start the devnet anew")
    node.request("anvil_setTime", before + 1)
    node.request("evm_mine")
    result = run_command(command, node.url, tmp_path)
    assert result.exit_code == 0 and "stepped back" not in result.stderr
    if command == "keeper":
        assert " LiquidationEngine.liquidate(0, 0xa0ee7a14) sent, nonce 0" in result.stderr
