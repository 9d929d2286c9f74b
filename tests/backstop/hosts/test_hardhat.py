"""A second EVM: the JSON-RPC calls suit more nodes than Anvil, and another EVM agrees with the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.hosts.anvil import RpcHost
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.free_ports import find_free_non_ephemeral_port
from backstop.hosts.hardhat import PROJECT_VARIABLE, HardhatHost, HardhatProcess, find_hardhat_project
from backstop.hosts.host_interface import CALL_GAS, GENESIS, Slot
from backstop.hosts.py_evm import PyEvmHost
from backstop.hosts.rpc_client import NodeClient
from backstop.lockstep.lockstep_difference import DivergenceError
from backstop.model.arithmetic import RAD, RAY, WAD
from backstop.proof.local_protocol import PRICES, LocalProtocol
from backstop.proof.lockstep import ProtocolLockstep, deploy_lockstep
from backstop.system import Action
from tests.support.auction_steps import (
    WETH,
    get_only_event_values,
    liquidate_vault,
    read_stablecoins,
    take_collateral,
)
from tests.support.hardhat_projects import PROJECTS, require_hardhat_project
from tests.support.revert_setter_and_source_helpers import reverts
from tests.support.saver_steps import BUFFER, SAVINGS, deposit_savings

BRIEF = "tests/backstop/proof/fuzz/test_campaign.py::test_both_hosts_agree_to_the_last_slot"

each_version = pytest.mark.parametrize("version", PROJECTS)
each_fork = pytest.mark.parametrize("hardfork", ["cancun", "osaka"])


@contextmanager
def open_hardhat(version: str, hardfork: str) -> Iterator[NodeClient]:
    """Start a Hardhat, connect to it, and stop it."""
    port = find_free_non_ephemeral_port()
    process = HardhatProcess(require_hardhat_project(version), port, hardfork=hardfork)
    try:
        with closing(process.connect_client(f"http://127.0.0.1:{port}")) as client:
            yield client
    finally:
        process.stop_process()


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.hardhat
@each_version
def test_a_transaction_has_no_more_gas_than_a_chain_of_today_allows(version: str) -> None:
    with open_hardhat(version, "osaka") as client:
        sender = client.request("eth_accounts")[0]
        call = {"from": sender, "to": sender, "gas": hex(CALL_GAS)}
        assert client.request("eth_sendTransaction", call)
        with pytest.raises(BackstopError, match="16777216"):
            client.request("eth_sendTransaction", call | {"gas": hex(CALL_GAS + 1)})


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.hardhat
@each_version
@each_fork
def test_a_loss_in_lockstep_with_hardhat(version: str, hardfork: str, artifacts: Artifacts) -> None:
    with open_hardhat(version, hardfork) as client, closing(RpcHost(client)) as host:
        assert str(client.request("web3_clientVersion")).startswith(f"HardhatNetwork/{version}/")
        protocol = LocalProtocol(deploy_lockstep(host, artifacts=artifacts, traces=None))
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


def check_storage_is_all_known(lockstep: ProtocolLockstep) -> None:
    """Check that an audit passes, and notices a word that no table of the model has."""
    host, mint = lockstep.chain.host, Action("WETH", "mint", (get_account("saver"), 1), get_account("saver"))
    assert lockstep.audit_storage() > 100
    host.write_slots({(lockstep.addresses["Stablecoin"], 10**6): 7})
    lockstep.apply(mint)  # blocks from now on have it
    with pytest.raises(DivergenceError, match=r"Stablecoin root of the storage: model '0x.*', chain '0x"):
        lockstep.audit_storage()


class RootOnlyHost(PyEvmHost):
    """A host with a real trie, which lists its storage as little as Hardhat does."""

    def read_nonzero_slots(self, addresses: Sequence[str]) -> dict[Slot, int]:
        raise BackstopError("it cannot list its storage")

    def read_storage_root(self, address: str) -> str:
        self._state.persist()
        accounts: Any = self._state._account_db
        account = accounts._get_account(bytes.fromhex(address[2:]))
        return f"0x{account.storage_root.hex()}"


def test_a_root_binds_all_of_a_contracts_storage(artifacts: Artifacts) -> None:
    check_storage_is_all_known(deploy_lockstep(RootOnlyHost(), artifacts=artifacts, traces=None))


@pytest.mark.deep(brief="tests/backstop/hosts/test_hardhat.py::test_a_root_binds_all_of_a_contracts_storage")
@pytest.mark.hardhat
@each_version
def test_storage_that_no_model_knows_is_noticed(version: str, artifacts: Artifacts) -> None:
    started = GENESIS + 1_000
    with closing(HardhatHost(started, require_hardhat_project(version))) as host:
        assert host.timestamp == started
        check_storage_is_all_known(deploy_lockstep(host, artifacts=artifacts, traces=None))


@pytest.mark.parametrize(
    ("package", "told"),
    [
        (None, r"Hardhat not found in .*: install it there, `npm install hardhat`, or name the folder"),
        ("{", r"package.json is not that of a Hardhat: install it anew"),
        ('{"version": "2.0.0"}', r"package.json is not that of a Hardhat: install it anew"),
        (
            '{"version": "latest", "bin": {"hardhat": "cli.js"}}',
            r"has Hardhat latest: install version 2",
        ),
        ('{"version": "4.0.0", "bin": {"hardhat": "cli.js"}}', r"has Hardhat 4.0.0: install version 2 or 3"),
        ('{"version": "3.0.0", "bin": {"hardhat": "no.js"}}', r"hardhat did not start: .*Cannot find module"),
    ],
)
def test_a_folder_without_a_hardhat_is_refused(tmp_path: Path, package: str | None, told: str) -> None:
    if package is not None:
        (tmp_path / "node_modules" / "hardhat").mkdir(parents=True)
        (tmp_path / "node_modules" / "hardhat" / "package.json").write_text(package)
    with pytest.raises(BackstopError, match=told) as error:
        HardhatHost(project=tmp_path)
    assert "\n" not in str(error.value)


def test_without_a_name_it_is_the_folder_of_the_environment_or_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here", "there"):
        (tmp_path / name / "node_modules" / "hardhat").mkdir(parents=True)
        (tmp_path / name / "node_modules" / "hardhat" / "package.json").write_text("{}")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv(PROJECT_VARIABLE, raising=False)
    assert find_hardhat_project() == tmp_path / "here"
    monkeypatch.setenv(PROJECT_VARIABLE, str(tmp_path / "there"))
    assert find_hardhat_project() == tmp_path / "there"
    assert find_hardhat_project(tmp_path / "here") == tmp_path / "here"
