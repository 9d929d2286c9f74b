"""The unmodified programs of docs/examples, on a real chain with an unsafe vault."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from eth_account import Account

from backstop.live.operate.live_system import LiveSystem
from backstop.model.arithmetic import WAD
from tests.support.checkout_paths import ROOT
from tests.support.condition_wait import wait_until_true
from tests.support.devnet_process import Devnet
from tests.support.vault_auctions_after_price_drop import BORROWER, ETH, liquidate_borrower_and_advance_time

EXAMPLES = ROOT / "docs" / "examples"
SILVERBACK = ROOT / "tools" / "silverback" / ".venv" / "bin" / "silverback"
KEY = "0x" + "11" * 32


class Program:
    """A program in a folder, and the text that it prints."""

    def __init__(self, folder: Path, *command: object, **environment: str) -> None:
        self.file = folder / "printed"
        with self.file.open("wb") as printed:
            self.process = subprocess.Popen(
                [str(each) for each in command],
                cwd=folder,
                env=os.environ | environment,
                stdout=printed,
                stderr=subprocess.STDOUT,
            )

    def find_line(self, text: str) -> str:
        """The line with a text, once it is there."""
        wait_until_true(
            lambda: any(text in line for line in self.file.read_text().splitlines(keepends=True)),
            self.process,
            told=self.file.read_text,
        )
        (line,) = (each for each in self.file.read_text().splitlines() if text in each)
        return line


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts programs that end with the test."""
    started: list[Program] = []

    def start_one(*command: object, **environment: str) -> Program:
        started.append(Program(tmp_path, *command, **environment))
        return started[-1]

    yield start_one
    for each in started:
        each.process.terminate()
        each.process.wait()


def count_debt(system: LiveSystem) -> int:
    """The borrower's part of the debt of its type."""
    return int(system.view("VaultEngine", "vault", ETH, BORROWER)[1])


def test_the_liquidator_on_web3_liquidates_an_unsafe_vault(
    fallen: LiveSystem, fallen_devnet: Devnet, start: Callable[..., Program]
) -> None:
    keeper = Account.from_key(KEY).address
    fallen_devnet.node.request("anvil_setBalance", keeper, hex(WAD))
    assert count_debt(fallen) > 0
    program = start(
        *(sys.executable, EXAMPLES / "web3_liquidator.py", "deployment.json", fallen_devnet.url),
        KEEPER_KEY=KEY,
    )
    line = program.find_line("'auction_id': 1, ").lower()
    assert f"'owner': '{BORROWER}'" in line and f"'collateral': {300 * WAD}" in line
    assert count_debt(fallen) == 0 < fallen.view("Stablecoin", "balanceOf", keeper.lower())


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_examples.py::"
    "test_the_liquidator_on_web3_liquidates_an_unsafe_vault"
)
def test_the_watch_on_silverback_tells_of_a_liquidation(
    fallen: LiveSystem, fallen_devnet: Devnet, start: Callable[..., Program]
) -> None:
    if not SILVERBACK.exists():
        pytest.fail("Silverback is not installed: `make deep` does it", pytrace=False)
    program = start(
        *(SILVERBACK, "run", "silverback_watch", "--network", "ethereum:local:foundry"),
        APE_FOUNDRY_HOST=fallen_devnet.url,
        DEPLOYMENT="deployment.json",
        PYTHONPATH=str(EXAMPLES),
    )
    program.find_line("Startup complete")
    liquidate_borrower_and_advance_time(fallen)
    line = program.find_line("auction 1 sells").lower()
    assert f": {BORROWER} owed 38,000, auction 1 sells 300.00" in line
