"""A contract that exercises the hard cases of hosts, codecs and storage layout."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.artifacts import Artifacts
from backstop.hosts.chain_system import ChainSystem
from tests.support.storage_fixture_contract import SENDER

SHELF = '''
    # pragma version 0.4.3
    """
    @license GNU Affero General Public License v3.0 only
    """
    from contracts.modules import labels

    initializes: labels

    struct Item:
        owner: address
        amount: int128
        tags: DynArray[String[8], 4]

    event Stored:
        key: indexed(uint256)
        name: String[32]
        owner: indexed(address)
        note: Bytes[64]
        amounts: DynArray[int256, 8]

    event Anonymous:
        text: indexed(String[8])

    count: public(uint256)
    closed: public(bool)
    owner: address
    amounts: HashMap[uint256, uint256]
    nested: HashMap[uint256, HashMap[address, HashMap[bytes32, int256]]]
    visits: transient(uint256)

    @external
    def store(key: uint256, name: String[32], note: Bytes[64], amounts: DynArray[int256, 8]) -> uint256:
        self.count += 1
        self.amounts[key] = block.timestamp
        self.nested[key][msg.sender][empty(bytes32)] = -1
        labels.mark(key)
        log Stored(key=key, name=name, owner=msg.sender, note=note, amounts=amounts)
        log Anonymous(text="text")
        return self.count

    @external
    def fill(start: uint256, count: uint256):
        for i: uint256 in range(start, start + count, bound=200):
            self.amounts[i] = i * i

    @external
    def echo(item: Item, pair: int128[2], text: String[64] = "none") -> (Item, int128[2], String[64]):
        return item, pair, text

    @external
    def fail(kind: uint256):
        self.count = 99
        if kind == 0:
            raise "shelf: refused"
        assert kind != 1
        if kind == 2:
            self.count -= 100
        assert kind != 3, UNREACHABLE
        raw_revert(b"\\\\x12\\\\x34")

    @external
    def visit() -> uint256:
        self.visits += 1
        return self.visits

    @external
    @view
    def now() -> (uint256, uint256):
        return block.timestamp, chain.id

    @external
    @view
    def refuse():
        raise "shelf: no view"
'''


LABELS = '''
    # pragma version 0.4.3
    """
    @license GNU Affero General Public License v3.0 only
    """
    marked: HashMap[uint256, bool]

    @internal
    def mark(key: uint256):
        self.marked[key] = True
'''


@pytest.fixture(scope="session")
def shelf_root(tmp_path_factory) -> Path:
    """A contracts folder with one contract and one module."""
    root = tmp_path_factory.mktemp("shelf") / "contracts"
    (root / "modules").mkdir(parents=True)
    (root / "Shelf.vy").write_text(dedent(SHELF).replace("\\\\", "\\"))
    (root / "modules" / "labels.vy").write_text(dedent(LABELS))
    return root


@pytest.fixture(scope="session")
def shelf_artifacts(shelf_root) -> Artifacts:
    return Artifacts(shelf_root, shelf_root.parent / "cache")


@pytest.fixture
def shelf_on(shelf_artifacts, new_host):
    """Deploys the contract on a host by name."""

    def deploy(name: str) -> ChainSystem:
        host = new_host(name)
        address = host.deploy_contract(shelf_artifacts["Shelf"].bytecode, SENDER)
        assert address == compute_contract_address(SENDER, 0)
        return ChainSystem(host, shelf_artifacts, {"Shelf": "Shelf"}, {"Shelf": address})

    return deploy
