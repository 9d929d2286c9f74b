"""`backstop.attach`: a deployment to look at and to play with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import ape
import pytest
from eth_account import Account
from web3 import Web3

import backstop
from backstop.contract_base import RevertError
from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.rpc_client import NodeUnavailableError
from backstop.live.operate.live_system import LiveSystem
from backstop.model.arithmetic import RAY, WAD
from backstop.system import Action
from tests.support.devnet_process import Devnet


@pytest.fixture
def deployed(devnet: Devnet, deployment, tmp_path: Path):
    return backstop.attach(tmp_path / "deployment.json", devnet.url)


def test_contracts_are_asked_and_told(deployed) -> None:
    assert deployed.VaultEngine.collateral_types() == 3
    assert deployed.contracts["Market.ETH"].price() == 0
    with pytest.raises(AttributeError, match="VaultEngine has no function 'frob'"):
        deployed.VaultEngine.frob()
    with pytest.raises(AttributeError, match="contract 'Vat' is unknown"):
        _ = deployed.Vat
    assert {"deposit_and_draw", "address"} <= set(dir(deployed.VaultEngine))
    assert {"VaultEngine", "snapshot", "frames"} <= set(dir(deployed))

    for i in range(4):
        assert deployed.PriceFeed.report(0, 200 * RAY, sender=f"reporter_{i + 1}").ok
    outcome = deployed.PriceFeed.poke(0, sender="borrower")
    assert [log.event for log in outcome.logs] == ["Poked"]
    refused = deployed.PriceFeed.poke(0, sender=get_account("borrower").upper().replace("0X", "0x"))
    assert refused.reason == "price_feed: too early"
    with pytest.raises(RevertError, match="terms: unknown type"):
        deployed.VaultEngine.terms_of(7)


def test_contracts_are_those_of_web3(deployed, devnet: Devnet) -> None:
    w3 = Web3(Web3.HTTPProvider(devnet.url))
    contracts = deployed.web3(w3)
    assert set(contracts) == set(deployed.contracts) and "VaultEngine" in dir(contracts)
    assert contracts.VaultEngine.functions.collateral_types().call() == 3
    assert contracts["Market.ETH"].functions.UNIT().call() == deployed.contracts["Market.ETH"].UNIT()
    for i in range(4):
        reporter = get_account(f"reporter_{i + 1}")
        devnet.node.request("anvil_impersonateAccount", reporter)
        devnet.node.request("anvil_setBalance", reporter, hex(WAD))
        sent = contracts.PriceFeed.functions.report(0, 200 * RAY).transact(
            {"from": Web3.to_checksum_address(reporter)}
        )
    (event,) = contracts.PriceFeed.events.Reported().process_receipt(
        w3.eth.wait_for_transaction_receipt(sent)
    )
    assert (event["event"], event["args"]["price"]) == ("Reported", 200 * RAY)
    assert deployed.frames["actions"]["method"].to_list()[-4:] == ["report"] * 4
    with pytest.raises(AttributeError, match="contract 'Vat' is unknown; expected one of "):
        _ = contracts.Vat


def test_web3_of_another_chain_is_refused(deployed) -> None:
    with pytest.raises(
        BackstopError, match="Web3 is on chain 131277322940537, and the deployment on chain 31337"
    ):
        deployed.web3(Web3(Web3.EthereumTesterProvider()))


def test_contracts_are_those_of_ape(deployed, devnet: Devnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ape.networks, "active_provider", None)  # another test may have connected it
    with pytest.raises(
        BackstopError, match=r"^Ape is not connected, and the deployment on chain 31337: use `with "
    ):
        _ = deployed.ape
    with ape.networks.parse_network_choice(devnet.url):
        engine = deployed.ape.VaultEngine
        assert engine.collateral_types() == 3 and engine.address.lower() == deployed.VaultEngine.address
        account = ape.accounts.test_accounts[0]
        before = deployed.ETH.balanceOf(account)
        receipt = deployed.ape["ETH"].mint(account, 7 * WAD, sender=account)
        (event,) = receipt.decode_logs(deployed.ape["ETH"].Transfer)
        assert event.amount == 7 * WAD == deployed.ETH.balanceOf(account) - before


def test_accounts_of_other_libraries_are_addresses_and_sign(deployed, devnet: Devnet) -> None:
    account = Account.from_key("0x" + "11" * 32)
    devnet.node.request("anvil_setBalance", account.address, hex(WAD))
    assert deployed.ETH.mint(account, 5 * WAD, sender=account).ok
    assert deployed.ETH.balanceOf(account) == deployed.ETH.balanceOf(account.address.lower()) == 5 * WAD
    assert deployed.ETH.allowance(account, deployed.VaultEngine) == 0


def test_it_reads_what_others_did(deployed, attach: Callable[..., LiveSystem]) -> None:
    borrower, engine = get_account("borrower"), deployed.VaultEngine.address
    other = attach()
    for action in (
        *(Action("PriceFeed", "report", (0, 200 * RAY), get_account(f"reporter_{i + 1}")) for i in range(4)),
        Action("PriceFeed", "poke", (0,), borrower),
        Action("ETH", "mint", (borrower, 200 * WAD), borrower),
        Action("ETH", "approve", (engine, 200 * WAD), borrower),
        Action("VaultEngine", "deposit_and_draw", (0, borrower, 200 * WAD, 10_000 * WAD, borrower), borrower),
    ):
        assert other.apply(action).ok, action
    snapshot = deployed.snapshot()
    vault = snapshot["VaultEngine"]["vaults"][0, borrower]
    assert vault.locked_collateral == 200 * WAD
    # The chain's words, and the model that followed the other's transactions, say the same.
    model = deployed.system.mirror.model.snapshot()
    assert {(c, path, key) for c in model for path in model[c] for key in model[c][path]} == {
        (c, path, key) for c in snapshot for path in snapshot[c] for key in snapshot[c][path]
    }
    for contract, tables in model.items():
        for path, table in tables.items():
            assert {key: snapshot[contract][path][key] for key in table} == table
    deployed.system.compare_state()
    assert [vault.owner for vault in deployed.view().list_vaults_with_debt(0)] == [borrower]

    frames = deployed.frames
    (row,) = frames["vaults"].to_dict("records")
    assert (row["symbol"], row["owner"], row["locked_wad"]) == ("ETH", borrower, str(200 * WAD))
    assert 39_990 < row["ratio_bps"] <= 40_000
    assert list(frames["actions"]["method"])[-1] == "deposit_and_draw"
    assert list(frames["events"]["event"])[-1] == "Transfer"
    assert frames["auctions"].empty


def test_a_contract_from_elsewhere_is_followed(deployed, devnet: Devnet) -> None:
    """A contract wallet opens a vault: its calls are found inside the transaction."""
    node = devnet.node
    wallet = "0x" + "77" * 20
    # Forwards its call data after the first 32 bytes to the address in those.
    code = "0x602036038060205f375f5f825f5f5f355af100"
    node.request("anvil_setCode", wallet, code)
    before = len(deployed.frames["actions"])
    function = deployed.system.chain.get_function("ETH", "mint", 2)
    data = bytes(12) + bytes.fromhex(deployed.ETH.address[2:]) + function.encode_call((wallet, 5 * WAD))
    transaction = {
        "from": get_account("borrower"),
        "to": wallet,
        "data": "0x" + data.hex(),
        "gas": "0x100000",
    }
    deployed.system.host.wait_for_receipt(node.request("eth_sendTransaction", transaction))
    frames = deployed.frames
    assert len(frames["actions"]) == before + 1
    assert frames["actions"].iloc[-1]["sender"] == wallet
    assert deployed.snapshot()["ETH"]["balanceOf"][wallet] == 5 * WAD
    deployed.system.compare_state()
    assert not deployed.system.mirror.repeatable


def test_bad_files_and_nodes_are_named(devnet: Devnet, deployment, tmp_path: Path) -> None:
    file = tmp_path / "deployment.json"
    with pytest.raises(NodeUnavailableError, match=r"no node answers at http://127.0.0.1:1 "):
        backstop.attach(file, "http://127.0.0.1:1")
    with pytest.raises(BackstopError, match=r"deployment file .* not found"):
        backstop.attach(tmp_path / "other.json", devnet.url)
