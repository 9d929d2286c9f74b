"""`ape run index`: a snapshot from one start to the next, one line for each error."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.index import cli
from tests.support.many_vaults_devnet import ManyVaultsDevnet

pytestmark = pytest.mark.anvil


def test_a_snapshot_is_kept_checked_and_replaced(
    town: ManyVaultsDevnet, town_folder: Path, tmp_path: Path
) -> None:
    snapshot = tmp_path / "vaults.db"
    common = "--network", town.devnet.url, "--deployment", town_folder / "deployment.json"

    def run(*flags: object):
        words = [*common, "--snapshot", snapshot, *flags]
        return CliRunner(mix_stderr=False).invoke(cli, list(map(str, words)))

    town.send_node_request("anvil_mine", "0x80")
    done = run()
    assert done.exit_code == 0 and "2 vaults compared with the chain, 0 differences" in done.stdout
    assert "block" in done.stderr
    town.post_prices(1_000)
    done = run()
    assert done.exit_code == 0 and not done.stderr
    assert [cell.strip() for cell in done.stdout.splitlines()[4].split("│")[1:-1]] == [
        "WETH",
        "2",
        "2",
        "2",
        "0",
    ]

    with sqlite3.connect(snapshot) as file:
        file.execute("UPDATE vaults SET word = zeroblob(32) WHERE row = 1")
    file.close()
    town.send_node_request("anvil_mine", "0x1")
    before = snapshot.read_bytes()
    wrong = run()
    assert snapshot.read_bytes() == before  # what differs from the chain is not kept
    assert wrong.exit_code == 1 and "index and chain differ 2 times: --cold builds it anew" in wrong.stderr
    with sqlite3.connect(snapshot) as file:
        file.execute("PRAGMA user_version = 9")
    file.close()
    refused = run()
    assert refused.exit_code == 1 and refused.stderr.count("\n") == 1
    assert "schema version 9" in refused.stderr and "--cold" in refused.stderr
    assert run("--cold").exit_code == 0
    assert run("--verify", "0").exit_code == 0
