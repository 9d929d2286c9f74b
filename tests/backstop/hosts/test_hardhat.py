"""A second EVM: the JSON-RPC calls suit more nodes than Anvil, and another EVM agrees with the model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backstop.errors import BackstopError
from backstop.hosts.anvil import RpcHost
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.hosts.host_interface import CALL_GAS
from backstop.hosts.rpc_client import NodeClient
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.proof.lockstep import deploy_lockstep
from tests.support.auction_steps import (
    WETH,
    get_only_event_values,
    liquidate_vault,
    read_stablecoins,
    take_collateral,
)
from tests.support.checkout_paths import ROOT
from tests.support.deployed_protocol import PRICES, DeployedProtocol
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import BUFFER, SAVINGS, deposit_savings

CLI = ROOT / "node_modules" / "hardhat" / "internal" / "cli" / "cli.js"
CONFIG = ROOT / "tools" / "hardhat" / "hardhat.config.js"
START_SECONDS = 15.0


def node_binary() -> str:
    """Node beside the running Python, else on PATH."""
    found = shutil.which("node", path=os.pathsep.join((str(Path(sys.prefix) / "bin"), os.environ["PATH"])))
    if found is None:
        pytest.fail("node is not installed: run `make setup`", pytrace=False)
    return found


@pytest.fixture
def hardhat(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a Hardhat node of our own, of a hardfork."""
    if not CLI.is_file():
        pytest.fail("hardhat is not installed: run `make testtools`", pytrace=False)
    port = str(find_free_non_ephemeral_port())
    command = [
        node_binary(),
        str(CLI),
        "--config",
        str(CONFIG),
        "node",
        "--hostname",
        "127.0.0.1",
        "--port",
        port,
    ]
    said = tmp_path / "log"
    env = os.environ | {"BACKSTOP_HARDFORK": getattr(request, "param", "cancun")}
    with said.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT, env=env
        )
    try:
        yield wait_for(f"http://127.0.0.1:{port}", process, said)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], said: Path) -> str:
    """The address, once a node answers there."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with closing(NodeClient(url)) as client:
                client.request("eth_chainId")
            return url
        except BackstopError:
            time.sleep(0.05)
    pytest.fail(f"hardhat does not run: {said.read_text(errors='replace')[-2_000:]}", pytrace=False)


@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_campaign.py::test_both_hosts_agree_to_the_last_slot")
@pytest.mark.hardhat
@pytest.mark.parametrize("hardhat", ["osaka"], indirect=True)
def test_a_transaction_has_no_more_gas_than_a_chain_of_today_allows(hardhat):
    with closing(NodeClient(hardhat)) as client:
        sender = client.request("eth_accounts")[0]
        call = {"from": sender, "to": sender, "gas": hex(CALL_GAS)}
        assert client.request("eth_sendTransaction", call)
        with pytest.raises(BackstopError, match="16777216"):
            client.request("eth_sendTransaction", call | {"gas": hex(CALL_GAS + 1)})


@pytest.mark.deep(brief="tests/backstop/proof/fuzz/test_campaign.py::test_both_hosts_agree_to_the_last_slot")
@pytest.mark.hardhat
@pytest.mark.parametrize("hardhat", ["cancun", "osaka"], indirect=True)
def test_a_loss_in_lockstep_with_hardhat(hardhat, artifacts):
    with closing(RpcHost(NodeClient(hardhat))) as host:
        assert "hardhat" in str(host.client.request("web3_clientVersion")).lower()
        protocol = DeployedProtocol(deploy_lockstep(host, artifacts=artifacts, traces=None))
        for symbol, price in PRICES.items():
            protocol.post_price(symbol, price)
        deposit_savings(protocol, "saver", 20_000 * WAD)
        protocol.borrow("borrower", "WETH", 10 * WAD, 13_000 * WAD)
        with reverts("liquidation_engine: safe vault"):
            liquidate_vault(protocol)
        protocol.give_stablecoin("taker", 20_000 * WAD)

        # The price falls: one half of the lot is sold, then nobody wants the other.
        protocol.post_price("WETH", 1_500 * RAY)
        auction = liquidate_vault(protocol)
        principal = protocol.read("CollateralAuction.auction_of", auction)[6]
        assert principal > 13_000 * RAD
        protocol.advance(1_000)
        with reverts("dutch_auction: price too high"):
            take_collateral(protocol, auction, max_price=1_000 * RAY)
        take_collateral(protocol, auction, 5 * WAD)
        collateral, paid = get_only_event_values(protocol, "Taken")[2:4]
        assert protocol.read("WETH.balanceOf", "taker") == collateral == 5 * WAD
        assert read_stablecoins(protocol, "taker") == 20_000 * WAD - paid
        for _ in range(3):
            protocol.post_price("WETH", RAY)
        with reverts("collateral_auction: needs reset"):
            take_collateral(protocol, auction)
        protocol.do("CollateralAuction.close", auction, sender="stranger")

        # The buffer has its fees, the reserve has gone to the liquidator; the saver pays the rest.
        deficit = protocol.read("VaultEngine.deficit_of", WETH)
        assert deficit >= principal - paid * RAY > 0
        assert protocol.do("LossWaterfall.cover", WETH, sender="stranger") == deficit
        stages = [log.values[2] for log in protocol.last.logs if log.event == "LossCovered"]
        assert stages == [BUFFER, SAVINGS]
        assert protocol.read("VaultEngine.deficit_of", WETH) == 0
        assert 0 < protocol.read("Savings.totalAssets") < 20_000 * WAD
        # Nothing differed at any step; now once more all that the model knows.
        protocol.lockstep.compare_state()
